//! Checks an untrusted manifest against itself and the archive, before anything is evaluated or run.
//!
//! What holds afterwards: every symbol is declared and its limits make sense, every polynomial mentions only
//! declared symbols, every index (inputs, outputs, weights, buffers, kernel parameters) is in range, and every
//! entry exists with the size promised. Sizes under given symbols are checked when they are bound.

use super::archive::Archive;
use super::{check_launch, layout};
use std::collections::{BTreeMap, BTreeSet};
use tricot_plan::{Manifest, Plan, Port, Step, Storage};
use tricot_types::{Diagnostic, Poly, Symbol, SymbolTable};

/// Problems reported at most.
const MAX_PROBLEMS: usize = 20;
/// Symbols of a bundle at most; keeps the checks of every launch cheap.
const MAX_SYMBOLS: usize = 1024;
/// Dimensions of a tensor at most.
pub const MAX_RANK: usize = 32;

/// Collects problems of one bundle.
pub struct Problems<'a> {
    pub file: &'a str,
    pub list: Vec<Diagnostic>,
}

impl Problems<'_> {
    /// A problem (TC0706) at a named part of the manifest.
    pub fn add(&mut self, place: &str, message: String) {
        if self.list.len() < MAX_PROBLEMS {
            let d = Diagnostic::error("TC0706", format!("invalid manifest: {message}"));
            self.list.push(d.at_name(format!("{place} of {}", self.file), "").with_help("build the bundle again"));
        }
    }

    /// A problem with an entry (TC0707).
    fn entry(&mut self, name: &str, message: String) {
        if self.list.len() < MAX_PROBLEMS {
            let d = Diagnostic::error("TC0707", message).at_name(format!("entry `{name}` of {}", self.file), "");
            self.list.push(d.with_help("copy or build the bundle again"));
        }
    }

    /// Every symbol of `poly` must be one of `known`.
    pub fn poly(&mut self, place: &str, poly: &Poly, known: &BTreeSet<&Symbol>) {
        let mut missing = None;
        poly.visit_symbols(&mut |s| {
            if !known.contains(s) {
                missing = Some(s.clone());
            }
        });
        if let Some(s) = missing {
            self.add(place, format!("`{poly}` mentions the undeclared symbol `{s}`"));
        }
    }

    fn shape(&mut self, place: &str, shape: &[Poly], known: &BTreeSet<&Symbol>) {
        if shape.len() > MAX_RANK {
            self.add(place, format!("{} dimensions, at most {MAX_RANK} are allowed", shape.len()));
        }
        shape.iter().for_each(|dim| self.poly(place, dim, known));
    }

    fn symbols(&mut self, place: &str, table: &SymbolTable) {
        if table.len() > MAX_SYMBOLS {
            return self.add(place, format!("{} symbols, at most {MAX_SYMBOLS} are allowed", table.len()));
        }
        for (symbol, info) in table {
            if Symbol::new(symbol.name()).is_none() {
                self.add(place, format!("{:?} is no symbol name", symbol.name()));
            }
            if info.min < 0 || info.max < info.min || info.multiple < 1 {
                let (min, max, multiple) = (info.min, info.max, info.multiple);
                self.add(place, format!("symbol `{symbol}` has min {min}, max {max}, multiple {multiple}"));
            }
        }
    }
}

/// Everything wrong with the manifest; empty when it may be used.
pub fn check(m: &Manifest, archive: &Archive, file: &str) -> Vec<Diagnostic> {
    let mut p = Problems { file, list: vec![] };
    check_entries(m, archive, &mut p);
    p.symbols("symbols", &m.symbols);
    if m.symbols.len() > MAX_SYMBOLS {
        return p.list;
    }
    let known: BTreeSet<&Symbol> = m.symbols.keys().collect();
    check_ports(m, &known, &mut p);
    for (name, target) in &m.targets {
        if target.variants.is_empty() {
            p.add(&format!("target `{name}`"), "no plan".into());
        }
        if let Some(proof) = target.proof.as_ref().filter(|proof| !m.entries.contains_key(*proof)) {
            p.add(&format!("target `{name}`"), format!("its proof `{proof}` is no entry"));
        }
        for (i, plan) in target.variants.iter().enumerate() {
            check_plan(m, name, &format!("variant {i} of target `{name}`"), plan, &known, &mut p);
        }
    }
    p.list
}

fn check_entries(m: &Manifest, archive: &Archive, p: &mut Problems) {
    for name in archive.entries.keys().filter(|n| *n != layout::MANIFEST && !m.entries.contains_key(*n)) {
        p.entry(name, format!("the manifest does not know the entry `{name}`"));
    }
    for (name, entry) in &m.entries {
        if entry.blake3.len() != 64 || !entry.blake3.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            p.entry(name, format!("`{}` is no blake3 digest", entry.blake3));
        }
        match (archive.entries.get(name), &entry.external) {
            (Some(range), None) if range.len() as u64 != entry.bytes => {
                p.entry(name, format!("{} bytes promised, {} present", entry.bytes, range.len()));
            }
            (Some(_), None) => {}
            (None, Some(file)) if layout::name_is_legal(file) && layout::name_is_legal(name) => {}
            (None, Some(file)) => p.entry(name, format!("`{file}` is no file beside the bundle")),
            (Some(_), Some(_)) => p.entry(name, "both inside and outside the archive".into()),
            (None, None) => p.entry(name, format!("the entry `{name}` is missing")),
        }
        if let Some((dtype, shape)) = &entry.tensor {
            let bytes = crate::tensor::tensor_bytes(*dtype, shape).ok();
            if shape.len() > MAX_RANK || bytes != Some(entry.bytes) {
                p.entry(name, format!("a tensor {dtype}{shape:?} does not take {} bytes", entry.bytes));
            }
        }
    }
}

fn check_ports(m: &Manifest, known: &BTreeSet<&Symbol>, p: &mut Problems) {
    let mut inputs: BTreeMap<&str, &Port> = BTreeMap::new();
    for port in &m.inputs {
        p.shape(&format!("input `{}`", port.name), &port.shape, known);
        if inputs.insert(&port.name, port).is_some() {
            p.add("inputs", format!("two inputs are called `{}`", port.name));
        }
    }
    let mut names = BTreeSet::new();
    for port in &m.outputs {
        let place = format!("output `{}`", port.name);
        p.shape(&place, &port.shape, known);
        if !names.insert(&port.name) {
            p.add("outputs", format!("two outputs are called `{}`", port.name));
        }
        if let Some(alias) = &port.alias {
            match inputs.get(alias.as_str()) {
                None => p.add(&place, format!("it aliases `{alias}`, which is no input")),
                Some(input) if input.dtype != port.dtype || input.shape != port.shape => {
                    p.add(&place, format!("it aliases `{alias}`, whose type differs"));
                }
                Some(_) => {}
            }
        }
    }
}

fn check_plan(m: &Manifest, target: &str, place: &str, plan: &Plan, known: &BTreeSet<&Symbol>, p: &mut Problems) {
    p.symbols(place, &plan.symbols);
    for symbol in plan.symbols.keys().filter(|s| !known.contains(s)) {
        p.add(place, format!("it limits the undeclared symbol `{symbol}`"));
    }
    p.poly(place, &plan.arena_bytes, known);
    let mut written = vec![false; m.outputs.len()];
    for (i, buffer) in plan.buffers.iter().enumerate() {
        let place = format!("buffer {i} (`{}`) in {place}", buffer.name);
        p.shape(&place, &buffer.shape, known);
        let port = |ports: &[Port], n: u32, p: &mut Problems| match ports.get(n as usize) {
            None => p.add(&place, format!("input or output number {n} of {}", ports.len())),
            Some(port) if port.dtype != buffer.dtype => {
                p.add(&place, format!("{} for `{}` of {}", buffer.dtype, port.name, port.dtype));
            }
            Some(_) => {}
        };
        match &buffer.storage {
            Storage::Input(n) => port(&m.inputs, *n, p),
            Storage::Output(n) => {
                port(&m.outputs, *n, p);
                written.get_mut(*n as usize).into_iter().for_each(|w| *w = true);
            }
            Storage::Weight(name) if !m.entries.contains_key(name) => {
                p.add(&place, format!("weight `{name}` is no entry"))
            }
            Storage::Weight(_) => {}
            Storage::Arena { offset } => p.poly(&place, offset, known),
        }
    }
    for (port, _) in m.outputs.iter().zip(&written).filter(|(_, w)| !**w) {
        p.add(place, format!("no buffer is the output `{}`", port.name));
    }
    for (i, step) in plan.steps.iter().enumerate() {
        let place = format!("step {i} in {place}");
        let buffer = |id: tricot_plan::BufferId, writes: bool, p: &mut Problems| match plan.buffers.get(id.0 as usize) {
            None => p.add(&place, format!("buffer {} of {}", id.0, plan.buffers.len())),
            Some(b) if writes && matches!(b.storage, Storage::Weight(_)) => {
                p.add(&place, format!("it writes the weight `{}`", b.name));
            }
            Some(_) => {}
        };
        match step {
            Step::Copy { from, to, bytes } => {
                buffer(*from, false, p);
                buffer(*to, true, p);
                p.poly(&place, bytes, known);
            }
            Step::Zero { buffer: id, bytes } => {
                buffer(*id, true, p);
                p.poly(&place, bytes, known);
            }
            Step::Launch(launch) => {
                launch.buffers.iter().for_each(|id| buffer(*id, false, p));
                check_launch::check(m, target, &place, launch, known, p);
            }
        }
    }
}
