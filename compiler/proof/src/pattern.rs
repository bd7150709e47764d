//! Patterns of rules, written as text: `(map.mul ?x =1)`, `(core.select ?c ?x ?x)`, `(get 0 (nn.attention …))` without attributes.
//!
//! `?x` is a variable, `=c` any term whose elements all are the number `c`, `map.f` the op `core.map {fn = "f"}`. Other ops have their
//! attributes at the default.

use crate::sem::{Depth, Sem};
use crate::term::{Bank, TermId};
use std::collections::BTreeMap;
use tricot_dialects::{Attrs, registry};

/// A parsed pattern.
#[derive(Clone, PartialEq, Debug)]
pub enum Pattern {
    Var(String),
    /// All elements are this number.
    Splat(f64),
    Map(String, Vec<Pattern>),
    Op(&'static str, Vec<Pattern>),
}

/// Variables and what they stand for.
pub type Substitution = BTreeMap<String, TermId>;

impl Pattern {
    /// Reads the text. `None` where it names an op or function that does not exist.
    pub fn parse(text: &str) -> Option<Pattern> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut tokens = spaced.split_whitespace();
        let out = Pattern::read(&mut tokens)?;
        tokens.next().is_none().then_some(out)
    }

    fn read<'t>(tokens: &mut (impl Iterator<Item = &'t str> + Clone)) -> Option<Pattern> {
        let token = tokens.next()?;
        if let Some(name) = token.strip_prefix('?') {
            return Some(Pattern::Var(name.into()));
        }
        if let Some(value) = token.strip_prefix('=') {
            return Some(Pattern::Splat(value.parse().ok()?));
        }
        if token != "(" {
            return None;
        }
        let name = tokens.next()?;
        let mut children = vec![];
        loop {
            let mut ahead = tokens.clone();
            if ahead.next()? == ")" {
                *tokens = ahead;
                break;
            }
            children.push(Pattern::read(tokens)?);
        }
        match name.strip_prefix("map.") {
            Some(f) => {
                f.parse::<tricot_dialects::ScalarFn>().ok()?;
                Some(Pattern::Map(f.into(), children))
            }
            None => Some(Pattern::Op(registry::lookup(name)?.name, children)),
        }
    }

    /// Whether the term is an instance; extends the substitution.
    pub fn matches(&self, bank: &mut Bank, term: TermId, with: &mut Substitution) -> bool {
        match self {
            Pattern::Var(name) => *with.entry(name.clone()).or_insert(term) == term,
            Pattern::Splat(value) => Sem::new(bank, Depth::Views).splat(term) == Some(*value),
            Pattern::Map(f, children) => bank.is_map(term, f) && Pattern::all(children, bank, term, with),
            Pattern::Op(name, children) => {
                let plain = bank.def(term).is_some_and(|d| {
                    d.attrs.iter().all(|a| a.default.is_some_and(|v| bank.attr(term, a.name) == Some(&v.value())))
                });
                bank.is(term, name) && plain && Pattern::all(children, bank, term, with)
            }
        }
    }

    fn all(children: &[Pattern], bank: &mut Bank, term: TermId, with: &mut Substitution) -> bool {
        let operands = bank.operands(term).to_vec();
        operands.len() == children.len() && children.iter().zip(operands).all(|(p, t)| p.matches(bank, t, with))
    }

    /// The instance under a substitution.
    pub fn instantiate(&self, bank: &mut Bank, with: &Substitution) -> Result<TermId, String> {
        let mut build = |children: &[Pattern]| -> Result<Vec<TermId>, String> {
            children.iter().map(|c| c.instantiate(bank, with)).collect()
        };
        match self {
            Pattern::Var(name) => with.get(name).copied().ok_or_else(|| format!("`?{name}` stands for nothing")),
            Pattern::Splat(_) => Err("a number has no shape of its own".into()),
            Pattern::Map(f, children) => {
                let children = build(children)?;
                bank.map(f, &children)
            }
            Pattern::Op(name, children) => {
                let children = build(children)?;
                bank.op(name, Attrs::new(), &children)
            }
        }
    }
}
