//! What must hold of a schedule that was read rather than made: numbers and names mean something, buffers are large enough.
//!
//! The central function is [`check`]. What it cannot see, as any edit to a kernel, is the writer's responsibility.

use crate::{Schedule, ScheduledStep};
use std::collections::BTreeMap;
use tricot_kernel::KernelDesc;
use tricot_plan::{BufferId, Storage};
use tricot_types::{DType, Diagnostic, Poly};

/// Every breach, as TC0422.
pub fn check(s: &Schedule) -> Vec<Diagnostic> {
    let mut messages = vec![];
    steps(s, &mut messages);
    ports(s, &mut messages);
    for b in &s.buffers {
        if let Storage::Weight(w) = &b.storage
            && !s.weights.contains_key(w)
        {
            messages.push(format!("buffer `{}` names the weight `{w}`, which is not there", b.name));
        }
    }
    messages.into_iter().map(|m| Diagnostic::error("TC0422", m)).collect()
}

/// Bytes of an array at the symbols' hints.
fn bytes(s: &Schedule, dtype: DType, shape: &[Poly]) -> f64 {
    let elements: f64 = shape.iter().map(|d| d.hint(&s.symbols)).product();
    (elements * f64::from(dtype.bits()) / 8.0).ceil()
}

fn steps(s: &Schedule, messages: &mut Vec<String>) {
    let kernels: BTreeMap<&str, &KernelDesc> = s.kernels.iter().map(|k| (k.name.as_str(), k)).collect();
    for (i, step) in s.steps.iter().enumerate() {
        let touched: Vec<BufferId> = match step {
            ScheduledStep::Copy { from, to, .. } => vec![*from, *to],
            ScheduledStep::Launch { buffers, .. } => buffers.clone(),
        };
        let unknown = touched.iter().filter(|b| b.0 as usize >= s.buffers.len());
        let unknown: Vec<String> = unknown.map(|b| format!("step {i}: no buffer {}", b.0)).collect();
        let ScheduledStep::Launch { kernel, buffers, symbols, .. } = step else {
            messages.extend(unknown);
            continue;
        };
        match kernels.get(kernel.as_str()) {
            _ if !unknown.is_empty() => messages.extend(unknown),
            None => messages.push(format!("step {i}: no kernel `{kernel}`")),
            Some(k) if k.buffers.len() != buffers.len() || k.symbols.len() != symbols.len() => messages.push(format!(
                "step {i}: `{kernel}` takes {} buffers and {} symbols, not {} and {}",
                k.buffers.len(),
                k.symbols.len(),
                buffers.len(),
                symbols.len()
            )),
            Some(k) => {
                for (own, id) in k.buffers.iter().zip(buffers) {
                    let given = &s.buffers[id.0 as usize];
                    if bytes(s, given.dtype, &given.shape) < bytes(s, own.dtype, &own.shape) {
                        messages.push(format!("step {i}: `{kernel}` needs more than buffer {} holds", id.0));
                    }
                }
            }
        }
    }
}

/// Every output has one buffer, and ports' buffers are as large as the ports.
fn ports(s: &Schedule, messages: &mut Vec<String>) {
    let mut written = vec![0; s.interface.outputs.len()];
    for b in &s.buffers {
        let (port, which, n) = match &b.storage {
            Storage::Input(n) => (s.interface.inputs.get(*n as usize), "input", *n),
            Storage::Output(n) => (s.interface.outputs.get(*n as usize), "output", *n),
            _ => continue,
        };
        match port {
            Some(p) if p.dtype == b.dtype && bytes(s, p.dtype, &p.shape) == bytes(s, b.dtype, &b.shape) => {
                if which == "output" {
                    written[n as usize] += 1;
                }
            }
            _ => messages.push(format!("buffer `{}` does not fit {which} {n}", b.name)),
        }
    }
    for (n, count) in written.into_iter().enumerate().filter(|(_, count)| *count != 1) {
        messages.push(format!("{count} buffers are output {n}"));
    }
}
