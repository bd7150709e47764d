//! The text of a stage: made on demand from the graph a module was compiled from, or read out of a bundle.

use std::collections::BTreeMap;
use tricot_compiler::{Compiled, Stage};
use tricot_dialects::text;
use tricot_runtime::Bundle;
use tricot_types::Diagnostic;

/// What a stage looks like.
pub enum Text {
    /// Of the whole module.
    Whole(String),
    /// By kernel.
    Kernels(BTreeMap<String, String>),
}

/// A stage of what was compiled with its text emitted; `None` where the target has no such stage.
pub fn of_compiled(compiled: &Compiled, target: &str, stage: Stage) -> Option<Text> {
    let result = compiled.targets.iter().find(|t| t.name == target);
    let main = result.and_then(|t| t.variants.last());
    match stage {
        Stage::Graph => compiled.graph.as_ref().map(|g| Text::Whole(text::print(g))),
        Stage::Rewrite => result?.module.as_ref().map(|m| Text::Whole(text::print(m))),
        Stage::Schedule => Some(Text::Whole(main?.schedule.to_string())),
        Stage::Plan => serde_json::to_string_pretty(main?.plan.as_ref()?).ok().map(Text::Whole),
        Stage::Mlir | Stage::Llvm | Stage::Ptx | Stage::Sass => {
            let kernels = result?.compiled.iter().flat_map(|c| &c.kernels);
            let texts = kernels.filter_map(|(name, k)| Some((name.clone(), k.texts.get(stage.name())?.clone())));
            let texts: BTreeMap<_, _> = texts.collect();
            (!texts.is_empty()).then_some(Text::Kernels(texts))
        }
    }
}

/// A stage of a bundle, which holds PTX and plans only.
pub fn of_bundle(bundle: &Bundle, target: &str, stage: Stage) -> Result<Option<Text>, Diagnostic> {
    let manifest = bundle.manifest();
    match stage {
        Stage::Plan => {
            let plan = manifest.targets.get(target).and_then(|t| t.variants.last());
            Ok(plan.and_then(|p| serde_json::to_string_pretty(p).ok()).map(Text::Whole))
        }
        Stage::Ptx => {
            let mut texts = BTreeMap::new();
            for name in manifest.entries.keys() {
                let kernel = name.strip_prefix(target).and_then(|n| n.strip_prefix('/'));
                if let Some(kernel) = kernel.and_then(|n| n.strip_suffix(".ptx")) {
                    texts.insert(kernel.to_string(), String::from_utf8_lossy(bundle.entry(name)?).into_owned());
                }
            }
            Ok((!texts.is_empty()).then_some(Text::Kernels(texts)))
        }
        _ => Ok(None),
    }
}
