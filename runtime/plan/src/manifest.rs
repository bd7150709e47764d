//! `manifest.json`: the first entry of a bundle.

use crate::launch::Step;
use crate::memory::PlanBuffer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tricot_types::{DType, Poly, SymbolTable};

/// Version of the manifest's form; a reader refuses any other.
pub const FORMAT_VERSION: u32 = 1;

/// Everything a reader must know before it touches another entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The compiler's version.
    pub tricot: String,
    /// Name of the model.
    pub name: String,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub symbols: SymbolTable,
    /// One plan per target name (`cpu`, `sm_90a`).
    pub targets: BTreeMap<String, TargetPlan>,
    /// Every other entry of the archive, by name.
    pub entries: BTreeMap<String, Entry>,
}

/// A named input or output.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Port {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Poly>,
    /// For an output: the input whose memory it may share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// Size and digest of an archive entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub bytes: u64,
    /// blake3, 64 hex digits.
    pub blake3: String,
    /// For weights held outside the archive: the file beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
    /// For weights: element type and shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensor: Option<(DType, Vec<u64>)>,
}

/// One target's code and its plans.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TargetPlan {
    /// Machine features the code needs (`avx2`, `fma`, …), checked before anything is mapped.
    pub features: Vec<String>,
    /// Variants in order of preference; the first whose symbol table admits the bound sizes is taken.
    pub variants: Vec<Plan>,
    /// Entry name of the rewrite proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// How one variant runs: buffers, arena, steps.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Sizes this variant accepts; narrower than the manifest's when it is a bucket.
    pub symbols: SymbolTable,
    pub buffers: Vec<PlanBuffer>,
    /// Bytes of the arena, every [`crate::Storage::Arena`] buffer and scratch included.
    pub arena_bytes: Poly,
    pub steps: Vec<Step>,
}
