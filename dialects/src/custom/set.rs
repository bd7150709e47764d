//! [`OpSet`]: the ops a module knows.

use super::CustomOp;
use crate::graph::Function;
use crate::op::OpDef;
use crate::registry;
use indexmap::IndexMap;
use std::fmt;

/// Declared ops in an order in which each comes after those it uses. The registry's ops are always known.
///
/// ```
/// use tricot_dialects::{Attrs, Module, OpSet, TensorType, builder::build_main, text::parse_ops};
/// use tricot_types::DType;
/// let twice = "op @mylib.twice(%x: T[n]) {\n  %y = core.map %x, %x {fn = \"add\"} : T[n]\n  return \"y\" = %y\n}";
/// let mut module = Module::new("example");
/// module.ops.merge(&parse_ops("twice", twice, &OpSet::default()).unwrap()).unwrap();
/// build_main(&mut module, |b| {
///     let x = b.input("x", TensorType::new(DType::BF16, [4]));
///     let y = b.one("mylib.twice", &[x], Attrs::new())?;
///     b.output("y", y);
///     Ok(())
/// })
/// .unwrap();
/// assert_eq!(module.main().unwrap().output_types()[0].to_string(), "bf16[4]");
/// ```
#[derive(Clone, Default)]
pub struct OpSet {
    by_name: IndexMap<&'static str, &'static OpDef>,
}

impl OpSet {
    /// The definition of `dialect.op`, declared or of the registry.
    pub fn lookup(&self, name: &str) -> Option<&'static OpDef> {
        self.by_name.get(name).copied().or_else(|| registry::lookup(name))
    }

    /// The known name closest to a misspelt one.
    pub fn suggest(&self, name: &str) -> Option<&'static str> {
        registry::closest(name, self.by_name.keys().copied().chain(registry::all().map(|d| d.name)))
    }

    /// Adds a definition. False if the name means another one already.
    pub fn insert(&mut self, def: &'static OpDef) -> bool {
        match self.lookup(def.name) {
            Some(known) => std::ptr::eq(known, def),
            None => {
                self.by_name.insert(def.name, def);
                true
            }
        }
    }

    /// Adds all of another set; the first name that means something else is the error.
    pub fn merge(&mut self, other: &OpSet) -> Result<(), &'static str> {
        match other.by_name.values().find(|def| !self.insert(def)) {
            None => Ok(()),
            Some(def) => Err(def.name),
        }
    }

    /// The declarations, those used before those that use them.
    pub fn declared(&self) -> impl Iterator<Item = &'static CustomOp> + '_ {
        self.by_name.values().filter_map(|def| def.declaration())
    }

    /// All but those of these names and those that use one of them.
    pub fn without(&self, names: &[String]) -> OpSet {
        let gone = |name: &str| names.iter().any(|n| n == name);
        let uses = |def: &OpDef| def.declaration().is_some_and(|op| op.scope.by_name.keys().any(|n| gone(n)));
        let kept = self.by_name.iter().filter(|(name, def)| !gone(name) && !uses(def));
        OpSet { by_name: kept.map(|(name, def)| (*name, *def)).collect() }
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What a module keeps: its own declarations, and those of a library that functions or its own declarations use.
    pub(crate) fn kept<'f>(&self, library: &OpSet, functions: impl Iterator<Item = &'f Function>) -> OpSet {
        let mut used = self.used_by(functions);
        for def in self.by_name.values().filter(|def| !library.by_name.contains_key(def.name)) {
            let scope = def.declaration().map(|op| op.scope.clone()).unwrap_or_default();
            used.by_name.extend(scope.by_name);
            used.by_name.insert(def.name, def);
        }
        let names: Vec<_> = self.by_name.keys().copied().filter(|n| used.by_name.contains_key(n)).collect();
        OpSet { by_name: names.into_iter().map(|n| (n, self.by_name[n])).collect() }
    }

    /// Those that functions use, and those these use.
    pub fn used_by<'f>(&self, functions: impl Iterator<Item = &'f Function>) -> OpSet {
        let mut used: Vec<&str> = vec![];
        for function in functions {
            for id in function.order() {
                used.extend(function.node(id).op.declaration().map(|op| op.name.as_str()));
            }
        }
        let mut out = OpSet::default();
        // Backwards, so that users are seen before what they use.
        for (name, def) in self.by_name.iter().rev() {
            if used.contains(name) {
                used.extend(def.declaration().into_iter().flat_map(|op| op.scope.by_name.keys()));
                out.by_name.insert(name, def);
            }
        }
        out.by_name.reverse();
        out
    }
}

impl fmt::Debug for OpSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl PartialEq for OpSet {
    fn eq(&self, other: &OpSet) -> bool {
        self.by_name.len() == other.by_name.len()
            && self.by_name.iter().all(|(name, def)| other.by_name.get(name).is_some_and(|o| std::ptr::eq(*o, *def)))
    }
}
