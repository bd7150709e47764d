//! The proof format: per function, ground steps over shared terms. The central type is [`Proof`].
//!
//! A proof is text: a header, then per function its terms (each by number, children before parents), the steps and the outputs. It is
//! written in one canonical way, so equal proofs are equal bytes.

use crate::format::{attr_exact, parse_attr};
use crate::term::{Bank, Head, OpRef, TermId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tricot_dialects::{TensorType, registry};
use tricot_types::{Diagnostic, Poly};

/// One equation `from = to` by one rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub rule: String,
    pub from: u32,
    pub to: u32,
    /// What the pattern's variables stand for; empty for computing rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub substitution: BTreeMap<String, u32>,
    /// Conditions of the rule with the values they had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, String>,
}

/// A head with children, as written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TermText(pub String, #[serde(default)] pub Vec<u32>);

/// The proof for one function.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunctionProof {
    pub function: String,
    /// Terms the steps mention and all their parts.
    pub terms: Vec<TermText>,
    pub steps: Vec<Step>,
}

/// That a result module computes what a source module computes, in exact arithmetic.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Proof {
    pub version: u32,
    pub functions: Vec<FunctionProof>,
}

/// The version this code writes and reads.
pub const VERSION: u32 = 1;

/// Largest proof that is read.
const MAX_BYTES: usize = 1 << 28;

impl Proof {
    /// The canonical text.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Proof, Diagnostic> {
        let bad = |m: String| Diagnostic::error("TC0310", format!("this is no proof: {m}"));
        if text.len() > MAX_BYTES {
            return Err(bad(format!("longer than {MAX_BYTES} bytes")));
        }
        let proof: Proof = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        match proof.version {
            VERSION => Ok(proof),
            other => Err(bad(format!("version {other}, this program reads {VERSION}"))
                .with_help("verify with the program that wrote it")),
        }
    }

    /// Number of steps of all functions.
    pub fn steps(&self) -> usize {
        self.functions.iter().map(|f| f.steps.len()).sum()
    }
}

/// Writes terms of a bank, renumbered from 0.
pub struct Writer {
    pub terms: Vec<TermText>,
    numbers: BTreeMap<TermId, u32>,
}

impl Writer {
    /// Takes in everything reachable from `roots`.
    pub fn new(bank: &Bank, roots: &[TermId]) -> Writer {
        let mut out = Writer { terms: vec![], numbers: BTreeMap::new() };
        for t in bank.reachable(roots) {
            let term = bank.term(t);
            let children = term.children.iter().map(|c| out.numbers[c]).collect();
            out.numbers.insert(t, out.terms.len() as u32);
            out.terms.push(TermText(head_text(&term.head), children));
        }
        out
    }

    /// The number of a term.
    pub fn number(&self, t: TermId) -> u32 {
        self.numbers[&t]
    }
}

fn head_text(head: &Head) -> String {
    match head {
        Head::Op(op) => op.0.name.into(),
        Head::Attr(value) => format!("'{}", attr_exact(value)),
        Head::Get(at) => format!("#{at}"),
        Head::Input(at, ty) => {
            let shape: Vec<String> = ty.shape.iter().map(ToString::to_string).collect();
            let encoding = ty.encoding.map(|e| format!("|{e}")).unwrap_or_default();
            format!("%{at}:{}:{}{encoding}", ty.dtype, shape.join(";"))
        }
    }
}

fn parse_head(text: &str) -> Result<Head, String> {
    let bad = || format!("`{text}` heads no term");
    if let Some(value) = text.strip_prefix('\'') {
        return Ok(Head::Attr(parse_attr(value)?));
    }
    if let Some(at) = text.strip_prefix('#') {
        return Ok(Head::Get(at.parse().map_err(|_| bad())?));
    }
    if let Some(rest) = text.strip_prefix('%') {
        let mut parts = rest.splitn(3, ':');
        let mut next = || parts.next().ok_or_else(bad);
        let (at, dtype, shape) = (next()?, next()?, next()?);
        if shape.contains('|') {
            return Err("encoded inputs are not supported in proofs".into());
        }
        let dims = shape.split(';').filter(|d| !d.is_empty()).map(|d| d.parse::<Poly>().map_err(|_| bad()));
        let dims = dims.collect::<Result<Vec<_>, _>>()?;
        let dtype = dtype.parse().map_err(|_| bad())?;
        return Ok(Head::Input(at.parse().map_err(|_| bad())?, TensorType::new(dtype, dims)));
    }
    Ok(Head::Op(OpRef(registry::lookup(text).ok_or_else(bad)?)))
}

/// Reads a function's terms into a bank; the term of every number.
pub fn read_terms(bank: &mut Bank, terms: &[TermText]) -> Result<Vec<TermId>, String> {
    let mut out: Vec<TermId> = vec![];
    for (number, TermText(head, children)) in terms.iter().enumerate() {
        let children = children
            .iter()
            .map(|c| out.get(*c as usize).copied().ok_or_else(|| format!("term {number} mentions term {c} before it")))
            .collect::<Result<Vec<_>, _>>()?;
        out.push(bank.add(parse_head(head)?, children).map_err(|m| format!("term {number}: {m}"))?);
    }
    Ok(out)
}
