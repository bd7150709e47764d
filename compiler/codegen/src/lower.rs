//! From MLIR to PTX: the pass pipeline, the translation to LLVM IR, LLVM's optimiser and its NVPTX back end.
//!
//! The central type is [`Session`], one MLIR context that serves many kernels. Runs in the worker process, since LLVM may
//! abort on code it cannot select.

use crate::kernel;
use crate::select::Family;
use inkwell::OptimizationLevel;
use inkwell::context::AsContextRef;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{CodeModel, FileType, InitializationConfig, RelocMode, Target, TargetMachine, TargetTriple};
use melior::Context;
use melior::dialect::DialectRegistry;
use melior::pass::PassManager;
use melior::utility::{parse_pass_pipeline, register_all_dialects, register_all_llvm_translations};
use mlir_sys::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::rc::Rc;
use tricot_kernel::KernelDesc;
use tricot_types::Diagnostic;

/// The chip all code is for; wgmma and setmaxnreg need the `a`.
pub const CHIP: &str = "sm_90a";
/// PTX ISA 8.6: everything for Hopper, and any driver of CUDA 12.7 or later reads it.
pub const FEATURES: &str = "+ptx86";

/// The LLVM IR before optimisation, for this crate's emulator.
pub(crate) const UNOPTIMISED: &str = "unoptimised";

const PIPELINE: &str = "builtin.module(convert-scf-to-cf,gpu.module(convert-gpu-to-nvvm,convert-nvvm-to-llvm,\
    convert-arith-to-llvm),convert-cf-to-llvm,reconcile-unrealized-casts,canonicalize,cse)";

/// Registers the passes of [`PIPELINE`]. All of MLIR's passes would bring every back end of LLVM into the executable: more than
/// half of its bytes.
fn register_passes() {
    // SAFETY: registering a pass fills a table that MLIR guards by a lock; registering it again changes nothing.
    unsafe {
        mlirRegisterConversionSCFToControlFlowPass();
        mlirRegisterConversionConvertGpuOpsToNVVMOps();
        mlirRegisterConversionConvertNVVMToLLVMPass();
        mlirRegisterConversionArithToLLVMConversionPass();
        mlirRegisterConversionConvertControlFlowToLLVMPass();
        mlirRegisterConversionReconcileUnrealizedCastsPass();
        mlirRegisterTransformsCanonicalizer();
        mlirRegisterTransformsCSE();
    }
}

/// One kernel's code as text.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    pub ptx: String,
    /// Texts of the stages `mlir` and `llvm`, where asked for.
    pub texts: BTreeMap<String, String>,
}

/// An MLIR context with every dialect, and the NVPTX target machine.
pub struct Session {
    context: Context,
    messages: Rc<RefCell<Vec<String>>>,
    machine: TargetMachine,
}

impl Session {
    /// Sets up MLIR and LLVM; about 10 ms.
    pub fn new() -> Result<Session, Diagnostic> {
        let registry = DialectRegistry::new();
        register_all_dialects(&registry);
        register_passes();
        let context = Context::new_with_threading(false);
        context.append_dialect_registry(&registry);
        context.load_all_available_dialects();
        register_all_llvm_translations(&context);
        let messages = Rc::new(RefCell::new(Vec::new()));
        let sink = messages.clone();
        context.attach_diagnostic_handler(move |diagnostic| {
            let mut text = diagnostic.to_string();
            for i in 0..diagnostic.note_count() {
                if let Ok(note) = diagnostic.note(i) {
                    text.push_str(&format!("; {note}"));
                }
            }
            sink.borrow_mut().push(text);
            true
        });

        Target::initialize_nvptx(&InitializationConfig::default());
        let triple = TargetTriple::create("nvptx64-nvidia-cuda");
        let machine = Target::from_triple(&triple).ok().and_then(|t| {
            t.create_target_machine(
                &triple,
                CHIP,
                FEATURES,
                OptimizationLevel::Aggressive,
                RelocMode::Default,
                CodeModel::Default,
            )
        });
        let machine = machine.ok_or_else(|| {
            Diagnostic::error("TC0502", format!("LLVM has no NVPTX target for {CHIP}"))
                .with_help("build against LLVM 22 with the NVPTX back end, such as Debian's llvm-22-dev")
        })?;
        Ok(Session { context, messages, machine })
    }

    /// Emits and lowers one kernel. `want` names the stages whose text is kept; `stop` the last stage to run (`mlir`, `llvm`, else PTX).
    pub fn lower(
        &self,
        desc: &KernelDesc,
        family: &dyn Family,
        want: &[String],
        stop: Option<&str>,
    ) -> Result<Lowered, Diagnostic> {
        let wanted = |stage: &str| want.iter().any(|w| w == stage) || stop == Some(stage);
        self.messages.borrow_mut().clear();
        let launch = family.launch();
        let fail = |code, what: &str, notes: Vec<String>| failure(desc, family, code, what, notes);

        // SAFETY: the context outlives the module; the module is destroyed by `owned` at the end of this function.
        let (module, emitted) = unsafe { kernel::build(self.context.to_raw(), desc, &launch, |k| family.emit(k)) };
        let owned = unsafe { melior::ir::Module::from_raw(module) };
        emitted?;
        let operation = unsafe { mlirModuleGetOperation(module) };
        let mut lowered = Lowered::default();
        if !unsafe { mlirOperationVerify(operation) } {
            return Err(fail("TC0501", "the kernel's MLIR does not verify", self.messages.take()));
        }
        if wanted("mlir") {
            lowered.texts.insert("mlir".into(), print(operation));
        }
        if stop == Some("mlir") {
            return Ok(lowered);
        }

        let llvm = inkwell::context::Context::create();
        let ir = self.translate(&llvm, owned, desc, family)?;
        if stop == Some(UNOPTIMISED) {
            lowered.texts.insert(UNOPTIMISED.into(), ir.print_to_string().to_string());
            return Ok(lowered);
        }
        ir.run_passes("default<O3>", &self.machine, PassBuilderOptions::create())
            .map_err(|e| fail("TC0502", "LLVM's optimiser failed", vec![e.to_string()]))?;
        if wanted("llvm") {
            lowered.texts.insert("llvm".into(), ir.print_to_string().to_string());
        }
        if stop == Some("llvm") {
            return Ok(lowered);
        }
        let ptx = self
            .machine
            .write_to_memory_buffer(&ir, FileType::Assembly)
            .map_err(|e| fail("TC0502", "LLVM's NVPTX back end failed", vec![e.to_string()]))?;
        let bytes = ptx.as_slice();
        let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        lowered.ptx = String::from_utf8_lossy(bytes).into_owned();
        // LLVM and MLIR turn some operations into calls of libraries that a kernel is never linked with.
        if let Some(call) = lowered.ptx.lines().find(|l| l.contains(".extern .func")) {
            return Err(fail("TC0502", "the kernel calls a function nothing defines", vec![call.trim().to_string()]));
        }
        Ok(lowered)
    }

    /// The optimiser's input: the module as LLVM IR for NVPTX.
    fn translate<'c>(
        &self,
        llvm: &'c inkwell::context::Context,
        module: melior::ir::Module,
        desc: &KernelDesc,
        family: &dyn Family,
    ) -> Result<inkwell::module::Module<'c>, Diagnostic> {
        let fail = |code, what: &str, notes: Vec<String>| failure(desc, family, code, what, notes);
        let manager = PassManager::new(&self.context);
        parse_pass_pipeline(manager.as_operation_pass_manager(), PIPELINE)
            .map_err(|e| fail("TC0501", "the pass pipeline does not parse", vec![e.to_string()]))?;
        let mut owned = module;
        if manager.run(&mut owned).is_err() {
            return Err(fail("TC0501", "lowering to the LLVM dialect failed", self.messages.take()));
        }

        // SAFETY: the gpu.module is the first operation of the module's body; both libraries are the same static LLVM.
        let device = unsafe { mlirBlockGetFirstOperation(mlirModuleGetBody(owned.to_raw())) };
        let raw = unsafe { mlirTranslateModuleToLLVMIR(device, llvm.as_ctx_ref().cast()) };
        if raw.is_null() {
            return Err(fail("TC0501", "translation to LLVM IR failed", self.messages.take()));
        }
        let ir = unsafe { inkwell::module::Module::new(raw.cast()) };
        ir.set_triple(&self.machine.get_triple());
        ir.set_data_layout(&self.machine.get_target_data().get_data_layout());
        ir.verify().map_err(|e| fail("TC0502", "the kernel's LLVM IR does not verify", vec![e.to_string()]))?;
        Ok(ir)
    }
}

/// A diagnostic about one kernel.
fn failure(desc: &KernelDesc, family: &dyn Family, code: &'static str, what: &str, notes: Vec<String>) -> Diagnostic {
    let base = Diagnostic::error(code, what.to_string()).at_name(format!("kernel `{}`", desc.name), family.choice());
    notes.into_iter().fold(base, Diagnostic::with_note)
}

/// The operation in MLIR's custom syntax.
fn print(operation: MlirOperation) -> String {
    unsafe extern "C" fn append(text: MlirStringRef, into: *mut c_void) {
        // SAFETY: `into` is the `String` below, `text` a valid slice for the length of the call.
        unsafe {
            let bytes = std::slice::from_raw_parts(text.data.cast::<u8>(), text.length);
            (*into.cast::<String>()).push_str(&String::from_utf8_lossy(bytes));
        }
    }
    let mut out = String::new();
    unsafe { mlirOperationPrint(operation, Some(append), (&raw mut out).cast()) };
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::{Cmp, Ty};
    use crate::kernel::Kernel;
    use crate::ptxas::Assembler;
    use tricot_kernel::{Access, Body, Buffer, Exprs, Nest};
    use tricot_plan::{GpuLaunch, Param, Swizzle, TensorMap};
    use tricot_types::{DType, Poly, Symbol};

    /// Uses each part of the builder once.
    struct Probe;

    fn description() -> KernelDesc {
        let n = Symbol::new("n").unwrap();
        let buffer =
            |name: &str, access| Buffer { name: name.into(), dtype: DType::F32, shape: vec![n.clone().into()], access };
        KernelDesc {
            name: "probe".into(),
            symbols: vec![n.clone()],
            buffers: vec![buffer("x", Access::Read), buffer("y", Access::Write)],
            exprs: Exprs::default(),
            body: Body::Nest(Nest { parallel: vec![], stages: vec![] }),
        }
    }

    impl Family for Probe {
        fn choice(&self) -> String {
            "probe".into()
        }

        fn launch(&self) -> GpuLaunch {
            let n: Poly = Symbol::new("n").unwrap().into();
            let map = TensorMap {
                buffer: 0,
                offset: Poly::default(),
                dtype: DType::F32,
                dims: vec![n.clone()],
                strides: vec![],
                tile: vec![64],
                swizzle: Swizzle::None,
            };
            GpuLaunch {
                entry: String::new(),
                grid: [n.ceil_div(128), 1.into(), 1.into()],
                block: [128, 1, 1],
                cluster: [1, 1, 1],
                shared_bytes: 512,
                params: vec![Param::Buffer(0), Param::Buffer(1), Param::Symbol(0), Param::TensorMap(map)],
                scratch: Poly::default(),
                zero_scratch: false,
                min_assembler: crate::ptxas::MINIMUM_TEXT.into(),
            }
        }

        fn emit(&self, k: &Kernel) -> Result<(), Diagnostic> {
            let b = &k.b;
            let n = k.symbol(&Symbol::new("n").unwrap());
            let t = b.thread(0);
            let at = b.add(b.mul(b.resize_s(b.block(0), Ty::I64), b.i64(128)), b.resize_u(t, Ty::I64));
            b.asm_effect("prefetch.tensormap [$0];", "l", &[k.tensor_map(0)]);
            b.when(b.cmp(Cmp::Slt, at, n), || {
                let x = b.load(b.gep(k.buffer(0), Ty::F32, at), Ty::F32, 4);
                b.store(b.fma(x, x, x), b.gep(k.shared(), Ty::F32, t), 4);
            });
            b.barrier();
            let sum = b.for_loop(b.i32(0), b.i32(128), b.i32(1), &[b.f32(0.0)], |i, acc| {
                vec![b.add(acc[0], b.load(b.gep(k.shared(), Ty::F32, i), Ty::F32, 4))]
            })[0];
            let pair = b.pin(&[sum, b.shuffle_xor(sum, 1)]);
            let scaled = b.asm_pure("ex2.approx.ftz.f32 $0, $1;", "=f,f", &[b.add(pair[0], pair[1])], Ty::F32);
            let whole = b.while_loop(
                &[b.float_to_int_s(scaled, Ty::I32)],
                |v| b.cmp(Cmp::Sgt, v[0], b.i32(100)),
                |v| vec![b.shr_s(v[0], b.i32(1))],
            )[0];
            let chosen =
                b.if_else(b.cmp(Cmp::Eq, t, b.i32(0)), || vec![sum], || vec![b.int_to_float_s(whole, Ty::F32)])[0];
            b.when(b.cmp(Cmp::Slt, at, n), || b.store(chosen, b.gep(k.buffer(1), Ty::F32, at), 4));
            Ok(())
        }
    }

    #[test]
    fn a_kernel_goes_through_every_stage_twice_with_the_same_bytes() {
        let desc = description();
        let lower = || {
            let session = Session::new().unwrap();
            session.lower(&desc, &Probe, &["mlir".into(), "llvm".into()], None).unwrap()
        };
        let (one, two) = (lower(), lower());
        assert_eq!(one.ptx, two.ptx);
        assert!(one.texts["mlir"].contains("scf.for") && one.texts["llvm"].contains("nvvm"), "{:?}", one.texts);
        for part in [
            ".target sm_90a",
            ".minnctapersm 1",
            "ld.global.nc",
            "prefetch.tensormap",
            "shfl.sync.bfly",
            ".align 64 .b8",
        ] {
            assert!(one.ptx.contains(part), "no {part} in\n{}", one.ptx);
        }
        let Some(assembler) = crate::testing::assembler() else { return };
        let made = |l: &Lowered| Assembler::assemble(assembler, "probe", &l.ptx).unwrap();
        assert_eq!(made(&one).cubin, made(&two).cubin);
        assert!(made(&one).usage.registers > 0);
        assert!(!String::from_utf8_lossy(&made(&one).cubin).contains("/tmp"));
    }

    #[test]
    fn what_mlir_rejects_is_a_diagnostic_that_names_the_kernel() {
        struct Wrong;
        impl Family for Wrong {
            fn choice(&self) -> String {
                "wrong".into()
            }
            fn launch(&self) -> GpuLaunch {
                Probe.launch()
            }
            fn emit(&self, k: &Kernel) -> Result<(), Diagnostic> {
                k.b.op1("arith.addi", &[k.b.i32(1), k.b.i64(1)], Ty::I32, &[]);
                Ok(())
            }
        }
        let error = Session::new().unwrap().lower(&description(), &Wrong, &[], None).unwrap_err();
        assert_eq!(error.code, "TC0501");
        assert!(error.to_string().contains("kernel `probe`") && !error.notes.is_empty(), "{error}");
    }
}
