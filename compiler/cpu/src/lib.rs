//! The cpu backend: every kernel description to x86-64 machine code, ahead of time, through Cranelift.
//!
//! The central type is [`CpuBackend`]. All kernels of a target become one blob of position-independent code without
//! relocations (`code.bin`); what code cannot do itself it asks of the helper table (`tricot_plan::helpers`). This crate
//! knows no graph, no plan and no runtime.

mod access;
mod attention;
mod blob;
mod contraction;
mod convert;
mod emit;
mod isa;
mod loops;
mod math;
mod memory;
mod nest;
mod ops;
mod peel;
mod simplify;
mod sparse;
mod stage;
mod value;

use blob::{Blob, Unit};
use isa::Machine;
use std::collections::BTreeMap;
use tricot_kernel::{
    AttentionKind, Backend, Body, CompileOptions, CompiledKernel, CompiledTarget, KernelDesc, KernelText,
};
use tricot_plan::{CpuLaunch, How};
use tricot_types::{Diagnostic, Poly};

/// The `cpu` target.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuBackend;

impl CpuBackend {
    /// The backend; it has no state.
    pub fn new() -> CpuBackend {
        CpuBackend
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn fingerprint(&self, options: &CompileOptions) -> String {
        Machine::new(options.native_cpu).map(|m| m.features.join(" ")).unwrap_or_default()
    }

    /// See [`Backend::compile`]; codes TC06xx. The stage `mlir` is Cranelift IR here, `sass` the machine code as assembly.
    fn compile(&self, kernels: &[KernelDesc], options: &CompileOptions) -> Result<CompiledTarget, Vec<Diagnostic>> {
        let machine = Machine::new(options.native_cpu).map_err(|e| vec![e])?;
        let text = options.want.iter().any(|w| matches!(*w, "mlir" | "sass"));
        let compiled = compile_all(kernels, &machine, options, text);
        let (mut blob, mut out, mut errors) = (Blob::default(), BTreeMap::new(), vec![]);
        for (desc, result) in kernels.iter().zip(compiled) {
            let (unit, choice) = match result {
                Ok(done) => done,
                Err(problems) => {
                    errors.extend(problems.into_iter().map(|e| e.at_name(&desc.name, "in this kernel")));
                    continue;
                }
            };
            let offset = blob.append(&unit);
            let mut texts = KernelText::new();
            for (stage, text) in [("mlir", unit.clif), ("sass", unit.asm)] {
                if options.want.contains(&stage) {
                    texts.insert(stage, text);
                }
            }
            let how = How::Cpu(CpuLaunch { offset, scratch: Poly::default() });
            out.insert(desc.name.clone(), CompiledKernel { how, choice, texts });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let files = BTreeMap::from([("code.bin".to_string(), blob.bytes)]);
        Ok(CompiledTarget { features: machine.features, files, kernels: out })
    }
}

type Compiled = Result<(Unit, String), Vec<Diagnostic>>;

/// Compiles the kernels on all cores; results in their order.
fn compile_all(kernels: &[KernelDesc], machine: &Machine, options: &CompileOptions, text: bool) -> Vec<Compiled> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(kernels.len().max(1));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut results: Vec<Option<Compiled>> = kernels.iter().map(|_| None).collect();
    // Helpers do not unwind: they take no more kernels, and this thread ends the work.
    let stop = tricot_types::stop::current();
    let stopped = || stop.as_ref().is_some_and(|s| s.reason().is_some());
    let done = std::thread::scope(|scope| {
        let work = || {
            let mut mine = vec![];
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(desc) = kernels.get(at).filter(|_| !stopped()) else { return mine };
                mine.push((at, compile_one(desc, machine, options, text)));
            }
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().unwrap_or_default());
        }
        all
    });
    tricot_types::stop::check();
    for (at, result) in done {
        results[at] = Some(result);
    }
    let lost = || Err(vec![Diagnostic::error("TC0692", "the code generator stopped on a kernel")]);
    results.into_iter().map(|r| r.unwrap_or_else(lost)).collect()
}

fn compile_one(desc: &KernelDesc, machine: &Machine, options: &CompileOptions, text: bool) -> Compiled {
    let isa = machine.isa.as_ref();
    let compiled = match &desc.body {
        Body::Nest(nest) => nest::compile(desc, nest, isa, text),
        Body::Contraction(c) => contraction::compile(desc, &desc.exprs, c, &options.symbols, isa, text),
        Body::SparseContraction(c) => sparse::densify(desc, c).and_then(|(exprs, dense)| {
            let (unit, choice) = contraction::compile(desc, &exprs, &dense, &options.symbols, isa, text)?;
            Ok((unit, format!("2:4 unpacked, {choice}")))
        }),
        Body::Attention(a) => match &a.kind {
            AttentionKind::Dot { .. } => attention::dot(desc, a, isa, text),
            AttentionKind::Trilinear { .. } => attention::trilinear(desc, a, isa, text),
        },
        Body::Custom(c) => {
            Err(Diagnostic::error("TC0690", format!("`{}` is code for {}, not for cpu", c.entry, c.target))
                .at_name(format!("kernel `{}`", desc.name), ""))
        }
    };
    compiled.map_err(|e| vec![e])
}
