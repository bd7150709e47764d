//! A target's kernels and weights on one device.
//!
//! The central type is [`CudaProgram`]: loaded modules, functions by kernel name, weights uploaded once.

use super::assemble;
use super::context::{Context, CudaMemory};
use super::driver::{check, describe};
use crate::bound::{Bound, Place};
use crate::bundle::{Bundle, target_entry};
use cudarc::driver::sys::{self, CUfunction_attribute, CUjit_option, CUresult};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};
use tricot_plan::{GpuLaunch, How, Launch, Param, Step};
use tricot_types::Diagnostic;

/// Static limit above which dynamic shared memory must be asked for, in bytes.
const DEFAULT_SHARED: u32 = 48 << 10;
/// Largest cluster that needs no opt-in.
const PORTABLE_CLUSTER: u32 = 8;

/// Code of a `sm_*` target on one device.
pub(crate) struct CudaProgram {
    kernels: BTreeMap<String, Kernel>,
    weights: Mutex<BTreeMap<String, CudaMemory>>,
    pub(super) context: Arc<Context>,
}

struct Kernel {
    module: sys::CUmodule,
    function: sys::CUfunction,
    /// Dynamic shared memory opted in to.
    shared: u32,
}

// SAFETY: driver handles may be used from any thread.
unsafe impl Send for Kernel {}
// SAFETY: the driver locks internally.
unsafe impl Sync for Kernel {}

impl CudaProgram {
    /// Loads every kernel of the target's plans.
    pub fn load(bundle: &Bundle, target: &str, ordinal: u32) -> Result<CudaProgram, Vec<Diagnostic>> {
        let context = Context::of(ordinal)?;
        let mut program = CudaProgram { kernels: BTreeMap::new(), weights: Mutex::default(), context: context.clone() };
        let _entered = context.enter()?;
        let mut problems = vec![];
        for plan in &bundle.manifest().targets[target].variants {
            for step in &plan.steps {
                let Step::Launch(Launch { kernel, how: How::Gpu(gpu), .. }) = step else { continue };
                let result = match program.kernels.get_mut(kernel) {
                    Some(loaded) => prepare(&context, loaded, kernel, gpu),
                    None => load_kernel(&context, bundle, target, kernel, gpu).and_then(|mut loaded| {
                        let result = prepare(&context, &mut loaded, kernel, gpu);
                        program.kernels.insert(kernel.clone(), loaded);
                        result
                    }),
                };
                problems.extend(result.err());
            }
        }
        if problems.is_empty() { Ok(program) } else { Err(problems) }
    }

    /// The function of a kernel.
    pub(super) fn function(&self, kernel: &str) -> Result<sys::CUfunction, Diagnostic> {
        let found = self.kernels.get(kernel).map(|k| k.function);
        found.ok_or_else(|| Diagnostic::error("TC0825", format!("kernel `{kernel}` was not loaded")))
    }

    /// Address of every buffer that is a weight, uploading those not yet there; 0 for the others.
    pub fn weights(&self, bundle: &Bundle, bound: &Bound) -> Result<Vec<u64>, Vec<Diagnostic>> {
        bundle.verify_entries(&bound.weights().collect::<Vec<_>>())?;
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        let mut address = |place: &Place| {
            let Place::Weight(name) = place else { return Ok::<u64, Diagnostic>(0) };
            if let Some(memory) = weights.get(name) {
                return Ok(memory.pointer());
            }
            let bytes = bundle.entry(name)?;
            let memory = self.allocate(bytes.len() as u64, &format!("weight `{name}`"))?;
            memory.upload(0, bytes)?;
            let pointer = memory.pointer();
            weights.insert(name.clone(), memory);
            Ok(pointer)
        };
        Ok(bound.buffers.iter().map(|b| address(&b.place)).collect::<Result<_, _>>()?)
    }

    /// Device memory; TC0823 when there is not enough.
    pub fn allocate(&self, bytes: u64, what: &str) -> Result<CudaMemory, Diagnostic> {
        CudaMemory::allocate(&self.context, bytes, what)
    }

    /// Waits for everything queued on the device, on whatever stream.
    pub fn wait(&self) {
        if let Ok(_entered) = self.context.enter() {
            // SAFETY: the context is current. A failure of the work is reported where its results are asked for.
            let _ = unsafe { sys::cuCtxSynchronize() };
        }
    }
}

impl Drop for CudaProgram {
    fn drop(&mut self) {
        if let Ok(_entered) = self.context.enter() {
            for kernel in self.kernels.values() {
                // SAFETY: loaded in this context; instances that could still run it keep the program alive.
                let _ = unsafe { sys::cuModuleUnload(kernel.module) };
            }
        }
    }
}

/// The kernel's cubin if the bundle has one, else its PTX assembled.
fn load_kernel(
    context: &Context,
    bundle: &Bundle,
    target: &str,
    kernel: &str,
    gpu: &GpuLaunch,
) -> Result<Kernel, Diagnostic> {
    let cubin = target_entry(target, &format!("{kernel}.cubin"));
    let mut image = if bundle.manifest().entries.contains_key(&cubin) {
        bundle.entry(&cubin)?.to_vec()
    } else {
        let ptx = bundle.entry(&target_entry(target, &format!("{kernel}.ptx")))?;
        assemble::image(ptx, target, &gpu.min_assembler, context.driver.version)
            .map_err(|d| d.at_name(format!("kernel `{kernel}`"), "the bundle has its PTX only"))?
    };
    image.push(0); // PTX is read as a C string; a cubin ignores what follows it.

    let mut log = vec![0u8; 8192];
    let mut options = [CUjit_option::CU_JIT_ERROR_LOG_BUFFER, CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
    let mut values = [log.as_mut_ptr().cast(), log.len() as *mut std::ffi::c_void];
    let mut module = std::ptr::null_mut();
    // SAFETY: image, options and log live through the call; the caller of `load_trusted` trusts the code.
    let result = unsafe {
        sys::cuModuleLoadDataEx(&mut module, image.as_ptr().cast(), 2, options.as_mut_ptr(), values.as_mut_ptr())
    };
    if result != CUresult::CUDA_SUCCESS {
        let end = log.iter().position(|b| *b == 0).unwrap_or(log.len());
        let text = String::from_utf8_lossy(&log[..end]).trim().to_string();
        let version = context.driver.version;
        let mut d = Diagnostic::error("TC0825", format!("the driver refuses kernel `{kernel}`: {}", describe(result)))
            .with_note(format!("the driver supports CUDA {}.{}", version / 1000, version % 1000 / 10))
            .with_help("install driver 580 (CUDA 13.0) or later; the code is for one device generation only");
        if !text.is_empty() {
            d = d.with_note(text);
        }
        return Err(d);
    }
    let mut function = std::ptr::null_mut();
    let missing = || Diagnostic::error("TC0825", format!("the code of kernel `{kernel}` has no such entry point"));
    let entry = if gpu.entry.is_empty() { kernel } else { &gpu.entry };
    let name = CString::new(entry).map_err(|_| missing())?;
    // SAFETY: the module is loaded and the name ends with a zero byte.
    let result = unsafe { sys::cuModuleGetFunction(&mut function, module, name.as_ptr()) };
    let loaded = Kernel { module, function, shared: DEFAULT_SHARED };
    if result != CUresult::CUDA_SUCCESS {
        // SAFETY: loaded above and not shared.
        let _ = unsafe { sys::cuModuleUnload(loaded.module) };
        return Err(missing().with_note(describe(result)));
    }
    Ok(loaded)
}

/// Opts in to large shared memory and clusters, and compares the signature with the plan's parameters.
fn prepare(context: &Context, loaded: &mut Kernel, kernel: &str, gpu: &GpuLaunch) -> Result<(), Diagnostic> {
    let function = loaded.function;
    let set = |attribute, value: i32| {
        // SAFETY: the function is loaded.
        check(unsafe { sys::cuFuncSetAttribute(function, attribute, value) }, &format!("preparing kernel `{kernel}`"))
    };
    if gpu.shared_bytes > loaded.shared {
        loaded.shared = gpu.shared_bytes;
        set(CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, gpu.shared_bytes as i32)?;
    }
    if gpu.cluster.iter().product::<u32>() > PORTABLE_CLUSTER {
        set(CUfunction_attribute::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1)?;
    }
    if !context.driver.has_param_info {
        return Ok(());
    }
    let mut have = vec![];
    for index in 0.. {
        let (mut offset, mut size) = (0, 0);
        // SAFETY: the function is loaded; past the last parameter the driver returns an error.
        match unsafe { sys::cuFuncGetParamInfo(function, index, &mut offset, &mut size) } {
            CUresult::CUDA_SUCCESS => have.push(size),
            _ => break,
        }
    }
    let size = |p: &Param| match p {
        Param::TensorMap(_) => 128,
        Param::Word(_) => 4,
        Param::Buffer(_) | Param::Symbol(_) | Param::Value(_) | Param::Scratch => 8,
    };
    let want: Vec<usize> = gpu.params.iter().map(size).collect();
    if have == want {
        return Ok(());
    }
    Err(Diagnostic::error("TC0825", format!("kernel `{kernel}` takes other parameters than the plan passes"))
        .with_note(format!("sizes in the code: {have:?}, in the plan: {want:?}"))
        .with_help("the bundle is faulty; build it again"))
}
