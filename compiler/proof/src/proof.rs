//! The proof format: per function, ground steps over shared terms. The central type is [`Proof`].
//!
//! A proof is text: a header, then per function its terms (each by number, children before parents), the steps and the outputs. It is
//! written in one canonical way, so equal proofs are equal bytes.

use crate::format::{attr_exact, parse_attr};
use crate::term::{Bank, Head, OpRef, TermId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tricot_dialects::{Constant, Hash, OpSet, TensorType, text};
use tricot_types::{DType, Diagnostic, Poly, SymbolTable};

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

/// A type, as written in graph text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TypeText(pub String, pub String);

/// An output before and after.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutputProof {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    pub ty: TypeText,
    pub from: u32,
    pub to: u32,
}

/// The proof for one function.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunctionProof {
    pub function: String,
    pub inputs: Vec<(String, TypeText)>,
    pub outputs: Vec<OutputProof>,
    /// Terms the steps and outputs mention and all their parts.
    pub terms: Vec<TermText>,
    pub steps: Vec<Step>,
}

/// A constant the terms mention. Short ones are written out as runs of equal elements; of others only the type is known, and
/// steps that need their values hold only beside the source model.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConstantText {
    pub hash: String,
    pub dtype: DType,
    pub shape: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<String>,
}

/// That a result module computes what a source module computes, in exact arithmetic.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Proof {
    pub version: u32,
    pub symbols: SymbolTable,
    /// Declarations of the ops that a user declared, those used before those that use them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<String>,
    pub constants: Vec<ConstantText>,
    pub functions: Vec<FunctionProof>,
}

/// The version this code writes and reads.
pub const VERSION: u32 = 1;

/// Largest proof that is read.
const MAX_BYTES: usize = 1 << 28;

/// Longest constant that is written out, in bytes of its text.
const MAX_RUNS: usize = 1 << 16;

impl Proof {
    /// The canonical text.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text form. `name` is what messages call it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Proof, Vec<Diagnostic>> {
        let bad = |m: String| Diagnostic::error("TC0310", format!("this is no proof: {m}")).at_name(name, "");
        if bytes.len() > MAX_BYTES {
            return Err(vec![bad(format!("longer than {MAX_BYTES} bytes"))]);
        }
        let proof: Proof = serde_json::from_slice(bytes).map_err(|e| vec![bad(e.to_string())])?;
        match proof.version {
            VERSION => Ok(proof),
            other => Err(vec![
                bad(format!("version {other}, this program reads {VERSION}"))
                    .with_help("verify with the program that wrote it"),
            ]),
        }
    }

    /// The declared ops; TC0311 for declarations that cannot be read.
    pub fn op_set(&self) -> Result<OpSet, Vec<Diagnostic>> {
        let mut ops = OpSet::default();
        for declaration in &self.ops {
            ops = text::parse_ops("the proof", declaration, &ops).map_err(|problems| {
                let why = problems.first().map(|d| d.message.clone()).unwrap_or_default();
                vec![Diagnostic::error("TC0311", format!("a declaration of the proof cannot be read: {why}"))]
            })?;
        }
        Ok(ops)
    }

    /// Number of steps of all functions.
    pub fn steps(&self) -> usize {
        self.functions.iter().map(|f| f.steps.len()).sum()
    }
}

impl TypeText {
    /// Writes a type.
    pub fn new(ty: &TensorType) -> TypeText {
        let shape: Vec<String> = ty.shape.iter().map(ToString::to_string).collect();
        TypeText(ty.dtype.to_string(), shape.join(";"))
    }

    /// Reads it back. Encodings do not cross function borders.
    pub fn read(&self) -> Result<TensorType, String> {
        let bad = || format!("`{}[{}]` is no type", self.0, self.1);
        let dims = self.1.split(';').filter(|d| !d.is_empty()).map(|d| d.parse::<Poly>().map_err(|_| bad()));
        Ok(TensorType::new(self.0.parse().map_err(|_| bad())?, dims.collect::<Result<Vec<_>, _>>()?))
    }
}

/// Elements of `width` bytes in hex, `n*` before one that repeats; `None` where that is longer than [`MAX_RUNS`], which most weights
/// find out after a few kilobytes of comparisons.
fn write_runs(bytes: &[u8], width: usize) -> Option<String> {
    let chunks: Vec<&[u8]> = bytes.chunks(width).collect();
    let runs = || chunks.chunk_by(|a, b| a == b);
    if runs().take(MAX_RUNS / (2 * width) + 1).count() > MAX_RUNS / (2 * width) {
        return None;
    }
    let mut out = String::new();
    for run in runs() {
        if !out.is_empty() {
            out.push(' ');
        }
        if run.len() > 1 {
            out += &run.len().to_string();
            out.push('*');
        }
        for byte in run[0] {
            out.extend([byte >> 4, byte & 15].map(|d| char::from(b"0123456789abcdef"[d as usize])));
        }
    }
    (out.len() <= MAX_RUNS).then_some(out)
}

impl ConstantText {
    /// Writes a constant.
    pub fn new(hash: Hash, constant: &Constant) -> ConstantText {
        let runs = write_runs(constant.bytes(), (constant.dtype.bits() as usize / 8).max(1));
        ConstantText { hash: hash.to_string(), dtype: constant.dtype, shape: constant.shape.clone(), runs }
    }

    /// Hash and type, and the constant if it is written out. Its hash is checked.
    pub fn read(&self) -> Result<(Hash, TensorType, Option<Constant>), String> {
        let hash: Hash = self.hash.parse()?;
        let dims: Option<Vec<Poly>> = self.shape.iter().map(|d| i64::try_from(*d).ok().map(Poly::constant)).collect();
        let ty = TensorType::new(self.dtype, dims.ok_or("a size is too large")?);
        let Some(runs) = &self.runs else { return Ok((hash, ty, None)) };
        let elements = self.shape.iter().try_fold(1u64, |a, d| a.checked_mul(*d));
        let wanted = elements.and_then(|n| self.dtype.bytes(n)).filter(|n| *n <= 1 << 32).ok_or("too large")?;
        let mut bytes: Vec<u8> = vec![];
        for run in runs.split(' ').filter(|r| !r.is_empty()) {
            let (count, text) = match run.split_once('*') {
                Some((n, t)) => (n.parse::<u64>().map_err(|e| e.to_string())?, t),
                None => (1, run),
            };
            if text.len() % 2 != 0 || !text.is_ascii() {
                return Err(format!("`{text}` is no run"));
            }
            let chunk = (0..text.len() / 2)
                .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|e| e.to_string()))
                .collect::<Result<Vec<u8>, _>>()?;
            let total = count.checked_mul(chunk.len() as u64).and_then(|n| n.checked_add(bytes.len() as u64));
            if total.is_none_or(|n| n > wanted) {
                return Err("a constant has more bytes than its type".into());
            }
            (0..count).for_each(|_| bytes.extend_from_slice(&chunk));
        }
        let constant = Constant::new(self.dtype, self.shape.clone(), std::sync::Arc::new(bytes));
        let constant = constant.ok_or("a constant has fewer bytes than its type")?;
        match constant.hash() == hash {
            true => Ok((hash, ty, Some(constant))),
            false => Err(format!("constant {hash} has other contents")),
        }
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
            let TypeText(dtype, shape) = TypeText::new(ty);
            format!("%{at}:{dtype}:{shape}")
        }
    }
}

fn parse_head(text: &str, ops: &OpSet) -> Result<Head, String> {
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
        let ty = TypeText(dtype.into(), shape.into()).read()?;
        return Ok(Head::Input(at.parse().map_err(|_| bad())?, ty));
    }
    Ok(Head::Op(OpRef(ops.lookup(text).ok_or_else(bad)?)))
}

/// Reads a function's terms into a bank; the term of every number.
pub fn read_terms(bank: &mut Bank, terms: &[TermText]) -> Result<Vec<TermId>, String> {
    let mut out: Vec<TermId> = vec![];
    for (number, TermText(head, children)) in terms.iter().enumerate() {
        let children = children
            .iter()
            .map(|c| out.get(*c as usize).copied().ok_or_else(|| format!("term {number} mentions term {c} before it")))
            .collect::<Result<Vec<_>, _>>()?;
        out.push(bank.add(parse_head(head, &bank.ops)?, children).map_err(|m| format!("term {number}: {m}"))?);
    }
    Ok(out)
}
