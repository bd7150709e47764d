//! Hand-made bundles.

use std::collections::BTreeMap;
use tricot_runtime::bundle::layout::{self, MANIFEST, Member};
use tricot_runtime::plan::{BufferId, Entry, How, Launch, Manifest, Plan, PlanBuffer, Port, Step, Storage, TargetPlan};
use tricot_runtime::{Bindings, Bundle, DType, HostTensor, Symbol};
use tricot_types::{Poly, SymbolInfo};

pub fn poly(text: &str) -> Poly {
    text.parse().unwrap()
}

pub fn shape(dims: &[&str]) -> Vec<Poly> {
    dims.iter().map(|d| poly(d)).collect()
}

pub fn symbol(name: &str) -> Symbol {
    Symbol::new(name).unwrap()
}

pub fn bindings(values: &[(&str, i64)]) -> Bindings {
    values.iter().map(|(n, v)| (symbol(n), *v)).collect()
}

pub fn port(name: &str, dims: &[&str]) -> Port {
    Port { name: name.into(), dtype: DType::F32, shape: shape(dims), alias: None }
}

pub fn buffer(name: &str, dims: &[&str], storage: Storage) -> PlanBuffer {
    PlanBuffer { name: name.into(), dtype: DType::F32, shape: shape(dims), storage }
}

pub fn arena(offset: &str) -> Storage {
    Storage::Arena { offset: poly(offset) }
}

pub fn launch(kernel: &str, buffers: &[u32], symbols: &[(&str, &str)], how: How) -> Step {
    Step::Launch(Launch {
        kernel: kernel.into(),
        buffers: buffers.iter().map(|b| BufferId(*b)).collect(),
        symbols: symbols.iter().map(|(_, value)| poly(value)).collect(),
        symbol_names: symbols.iter().map(|(name, _)| symbol(name)).collect(),
        nodes: vec![],
        work: None,
        how,
    })
}

pub fn copy(from: u32, to: u32, bytes: &str) -> Step {
    Step::Copy { from: BufferId(from), to: BufferId(to), bytes: poly(bytes) }
}

pub fn info(min: i64, max: i64, multiple: i64) -> SymbolInfo {
    SymbolInfo { min, max, multiple, hint: min.max(multiple) }
}

/// A manifest with one target; entries are filled in by [`archive`].
pub fn manifest(
    target: &str,
    symbols: &[(&str, SymbolInfo)],
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    variants: Vec<Plan>,
) -> Manifest {
    Manifest {
        format: tricot_runtime::plan::FORMAT_VERSION,
        tricot: "test".into(),
        name: "test".into(),
        inputs,
        outputs,
        symbols: symbols.iter().map(|(n, i)| (symbol(n), i.clone())).collect(),
        targets: [(target.to_string(), TargetPlan { features: vec![], variants, proof: None })].into(),
        entries: BTreeMap::new(),
    }
}

/// Adds entries to a manifest, and writes the archive.
pub fn archive(manifest: &mut Manifest, entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    for (name, bytes) in entries {
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        let entry = Entry { bytes: bytes.len() as u64, blake3, external: None, tensor: None };
        manifest.entries.insert(name.to_string(), entry);
    }
    raw_archive(&serde_json::to_vec(manifest).unwrap(), entries)
}

/// An archive with any manifest text.
pub fn raw_archive(manifest: &[u8], entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut sorted: Vec<_> = entries.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    sorted.sort();
    sorted.insert(0, (MANIFEST, manifest));
    let (mut out, mut placed) = (vec![], vec![]);
    for (name, bytes) in sorted {
        let member = Member { name: name.into(), bytes: bytes.len() as u64, crc32: layout::crc32(bytes) };
        let at = out.len() as u64;
        out.extend(layout::local_header(&member, at));
        out.extend(bytes);
        placed.push((member, at));
    }
    let directory = layout::directory(&placed, out.len() as u64);
    out.extend(directory);
    out
}

pub fn open(manifest: &mut Manifest, entries: &[(&str, Vec<u8>)]) -> Bundle {
    Bundle::from_bytes("test.tricot", &archive(manifest, entries)).unwrap_or_else(|e| panic!("{}", text(&e)))
}

pub fn text(problems: &[tricot_types::Diagnostic]) -> String {
    problems.iter().map(|d| format!("{d}\n")).collect()
}

pub fn codes(problems: &[tricot_types::Diagnostic]) -> Vec<&'static str> {
    problems.iter().map(|d| d.code).collect()
}

/// Reproducible values in -1..1.
pub fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub fn tensor(dims: &[u64], values: &[f32]) -> HostTensor {
    HostTensor::from_slice(dims, values).unwrap()
}

pub fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
