//! A summary of a bundle for people and scripts; what `tricot inspect` prints.

use super::Bundle;
use serde::Serialize;
use std::collections::BTreeMap;
use tricot_plan::{Port, Step, Storage};
use tricot_types::SymbolTable;

/// The summary. Serialises to JSON in a stable order.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    pub name: String,
    /// Version of the compiler that wrote the bundle.
    pub tricot: String,
    /// Digest that stands for the whole bundle, 64 hex digits.
    pub digest: String,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub symbols: SymbolTable,
    pub targets: BTreeMap<String, TargetSummary>,
    pub entries: Vec<EntrySummary>,
    /// Bytes of all weights, inside or outside the archive.
    pub weight_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct TargetSummary {
    pub features: Vec<String>,
    pub proof: Option<String>,
    pub variants: Vec<VariantSummary>,
}

#[derive(Clone, Debug, Serialize)]
pub struct VariantSummary {
    pub symbols: SymbolTable,
    pub steps: usize,
    pub buffers: usize,
    /// Polynomial over the symbols.
    pub arena_bytes: String,
    /// Kernel names in order of first launch, with the number of launches.
    pub kernels: Vec<(String, usize)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct EntrySummary {
    pub name: String,
    pub bytes: u64,
    pub blake3: String,
    /// Byte offset in the archive, or the file outside.
    pub place: String,
    /// Element type and shape of a weight.
    pub tensor: Option<String>,
}

impl Bundle {
    /// Summarises the manifest; reads no entry.
    pub fn inspect(&self) -> Inspection {
        let m = self.manifest();
        let mut weights = BTreeMap::new();
        let mut targets = BTreeMap::new();
        for (name, target) in &m.targets {
            let mut variants = vec![];
            for plan in &target.variants {
                for buffer in &plan.buffers {
                    if let Storage::Weight(entry) = &buffer.storage {
                        weights.insert(entry, m.entries.get(entry).map_or(0, |e| e.bytes));
                    }
                }
                variants.push(VariantSummary {
                    symbols: plan.symbols.clone(),
                    steps: plan.steps.len(),
                    buffers: plan.buffers.len(),
                    arena_bytes: plan.arena_bytes.to_string(),
                    kernels: kernels(&plan.steps),
                });
            }
            let summary = TargetSummary { features: target.features.clone(), proof: target.proof.clone(), variants };
            targets.insert(name.clone(), summary);
        }
        let entry = |(name, e): (&String, &tricot_plan::Entry)| EntrySummary {
            name: name.clone(),
            bytes: e.bytes,
            blake3: e.blake3.clone(),
            place: e.external.clone().unwrap_or_else(|| self.entry_offset(name).unwrap_or_default().to_string()),
            tensor: e.tensor.as_ref().map(|(dtype, shape)| format!("{dtype}{shape:?}")),
        };
        Inspection {
            name: m.name.clone(),
            tricot: m.tricot.clone(),
            digest: self.digest_hex(),
            inputs: m.inputs.clone(),
            outputs: m.outputs.clone(),
            symbols: m.symbols.clone(),
            targets,
            entries: m.entries.iter().map(entry).collect(),
            weight_bytes: weights.values().fold(0, |a: u64, b| a.saturating_add(*b)),
        }
    }
}

fn kernels(steps: &[Step]) -> Vec<(String, usize)> {
    let mut order: Vec<(String, usize)> = vec![];
    let mut index = BTreeMap::new();
    for step in steps {
        if let Step::Launch(launch) = step {
            let at = *index.entry(&launch.kernel).or_insert_with(|| {
                order.push((launch.kernel.clone(), 0));
                order.len() - 1
            });
            order[at].1 += 1;
        }
    }
    order
}
