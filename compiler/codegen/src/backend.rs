//! [`Sm90Backend`]: kernel descriptions in, PTX, cubins and launches out.

use crate::check::check;
use crate::custom;
use crate::ptxas::{self, Assembler};
use crate::worker::{Emitted, Request, emit_all};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tricot_kernel::{Backend, Body, CompileOptions, CompiledKernel, CompiledTarget, KernelDesc};
use tricot_plan::How;
use tricot_types::Diagnostic;

/// The code generator for Hopper GPUs. Needs ptxas, no GPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sm90Backend;

/// Dynamic shared memory a block may have on sm_90 (CUDA C Programming Guide, "Compute Capability 9.0").
const MAX_SHARED: u32 = 232_448;

impl Backend for Sm90Backend {
    fn name(&self) -> &'static str {
        "sm_90a"
    }

    fn fingerprint(&self, _options: &CompileOptions) -> String {
        let version = Assembler::find().map(|a| a.version());
        version.map(|(major, minor)| format!("ptxas {major}.{minor}")).unwrap_or_default()
    }

    /// Stages are `mlir` (before lowering), `llvm` (optimised), `ptx` and `sass`. Kernels with equal descriptions up to the name are
    /// compiled once each; results depend on nothing but the arguments and the version of ptxas.
    fn compile(&self, kernels: &[KernelDesc], options: &CompileOptions) -> Result<CompiledTarget, Vec<Diagnostic>> {
        let malformed: Vec<Diagnostic> = kernels.iter().filter_map(|k| check(k).err()).flatten().collect();
        if !malformed.is_empty() {
            return Err(malformed);
        }
        // What came as code needs no emission.
        let (given, described): (Vec<&KernelDesc>, Vec<&KernelDesc>) =
            kernels.iter().partition(|k| matches!(k.body, Body::Custom(_)));
        let request = Request {
            kernels: described.iter().map(|k| (*k).clone()).collect(),
            symbols: options.symbols.clone(),
            want: options.want.iter().map(|s| s.to_string()).collect(),
            stop_after: options.stop_after.map(str::to_string),
        };
        let assembling = !matches!(options.stop_after, Some("mlir" | "llvm" | "ptx"));
        let assembler = if assembling { Some(Assembler::find().map_err(|d| vec![d])?) } else { None };
        let emitted = if described.is_empty() { vec![] } else { emit_all(request) };
        let mut finished = in_parallel(&emitted, |at, result| {
            let emitted = result.as_ref().map_err(Clone::clone)?;
            finish(described[at], emitted, assembler, options)
        });
        finished.extend(in_parallel(&given, |_, desc| match &desc.body {
            Body::Custom(c) => custom::compile(desc, c, assembler, options),
            _ => unreachable!("partitioned by this"),
        }));

        let mut target = CompiledTarget { features: vec!["sm_90a".into()], ..CompiledTarget::default() };
        let mut problems = Vec::new();
        for (desc, result) in described.iter().chain(&given).zip(finished) {
            match result {
                Ok((kernel, files)) => {
                    target.files.extend(files);
                    target.kernels.insert(desc.name.clone(), kernel);
                }
                Err(d) => problems.push(d),
            }
        }
        if problems.is_empty() { Ok(target) } else { Err(problems) }
    }
}

type Files = BTreeMap<String, Vec<u8>>;

/// Checks the launch, assembles and collects one kernel.
fn finish(
    desc: &KernelDesc,
    emitted: &Emitted,
    assembler: Option<&Assembler>,
    options: &CompileOptions,
) -> Result<(CompiledKernel, Files), Diagnostic> {
    let launch = &emitted.launch;
    let threads: u64 = launch.block.iter().map(|n| u64::from(*n)).product();
    if launch.shared_bytes > MAX_SHARED || threads > 1024 {
        let what = format!("{} bytes of shared memory and {threads} threads a block", launch.shared_bytes);
        return Err(Diagnostic::error(
            "TC0508",
            format!("the kernel wants {what}; the limits are {MAX_SHARED} and 1024"),
        )
        .at_name(format!("kernel `{}`", desc.name), &emitted.choice));
    }
    let wanted = |stage: &str| options.want.contains(&stage) || options.stop_after == Some(stage);
    let mut files = Files::new();
    let mut texts = BTreeMap::new();
    for stage in ["mlir", "llvm"] {
        if let Some(text) = emitted.texts.get(stage) {
            texts.insert(stage, text.clone());
        }
    }
    if wanted("ptx") {
        texts.insert("ptx", emitted.ptx.clone());
    }
    if let Some(assembler) = assembler {
        let assembled = assembler.assemble(&desc.name, &emitted.ptx)?;
        if wanted("sass") {
            if let Some(text) = ptxas::disassemble(&assembled.cubin) {
                texts.insert("sass", text);
            }
        }
        files.insert(format!("{}.ptx", desc.name), emitted.ptx.clone().into_bytes());
        files.insert(format!("{}.cubin", desc.name), assembled.cubin);
    }
    let how = How::Gpu(launch.clone());
    Ok((CompiledKernel { how, choice: emitted.choice.clone(), texts }, files))
}

/// Maps on as many threads as there are processors, keeping the order; ptxas runs take 0.1 to 0.3 s each.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let slots: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let at = next.fetch_add(1, Ordering::Relaxed)
                    && at < items.len()
                {
                    let result = work(at, &items[at]);
                    *slots[at].lock().expect("no holder of the lock panics") = Some(result);
                }
            });
        }
    });
    let take = |slot: Mutex<Option<R>>| {
        slot.into_inner().expect("no holder of the lock panics").expect("every slot was filled")
    };
    slots.into_iter().map(take).collect()
}
