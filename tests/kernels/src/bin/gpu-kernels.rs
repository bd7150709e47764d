//! Runs compiled kernels on a GPU and compares with the oracle.
//!
//! `gpu-kernels DIR [NAME-PART]`: DIR holds `<case>.json` (a `GpuLaunch`) and `<case>.cubin` for the cases of
//! `tricot_kernel_tests::cases`, and with the suffix `.generic` for kernels that avoid tensor cores; `TRICOT_EMIT_CASES=DIR cargo test -p
//! tricot-codegen cases_assemble` writes them. Cases run in a child process, so that a bad address or a hang costs one case. Ends
//! with status 1 if any case fails.

use cudarc::driver::sys::{self, CUresult};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use tricot_kernel_tests::cases::{self, Case};
use tricot_kernel_tests::oracle;
use tricot_plan::{GpuLaunch, Param, Swizzle, TensorMap};
use tricot_types::{Bindings, DType};

/// A case and the suffix of its files.
type Entry = (Case, &'static str);

fn entries(folder: &Path, part: &str) -> Vec<Entry> {
    let all = cases::all().into_iter().filter(|c| c.desc.name.contains(part));
    let both = all.flat_map(|c| [(c.clone(), ""), (c, ".generic")]);
    both.filter(|(c, suffix)| folder.join(format!("{}{suffix}.cubin", c.desc.name)).is_file()).collect()
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = args.first().map(PathBuf::from) else {
        eprintln!("usage: gpu-kernels DIR [NAME-PART]");
        return ExitCode::from(2);
    };
    let part = args.get(1).cloned().unwrap_or_default();
    let entries = entries(&folder, &part);
    if let Some(first) = args.get(2).and_then(|n| n.parse().ok()) {
        return child(&folder, &entries[first..]);
    }
    let mut failures = vec![];
    let mut next = 0;
    while next < entries.len() {
        next = watch(&folder, &part, &entries, next, &mut failures);
    }
    println!("{} cases, {} failed", entries.len(), failures.len());
    failures.iter().for_each(|f| println!("  {f}"));
    ExitCode::from(u8::from(!failures.is_empty() || entries.is_empty()))
}

/// Runs a child from case `first` on until it ends, dies or hangs; returns the case to go on with.
fn watch(folder: &Path, part: &str, entries: &[Entry], first: usize, failures: &mut Vec<String>) -> usize {
    let program = std::env::current_exe().expect("a path to this program");
    let mut child = Command::new(program)
        .args([folder.as_os_str(), part.as_ref(), first.to_string().as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let (send, receive) = channel();
    let out = child.stdout.take().expect("piped");
    std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|l| send.send(l)));
    let mut next = first;
    loop {
        match receive.recv_timeout(Duration::from_secs(60)) {
            Ok(line) => {
                println!("{line}");
                if !line.starts_with("ok ") {
                    failures.push(line);
                }
                next += 1;
            }
            Err(reason) => {
                if next < entries.len() {
                    let what = if reason == RecvTimeoutError::Timeout { "hangs" } else { "kills the process" };
                    failures.push(format!("{}{} {what}", entries[next].0.desc.name, entries[next].1));
                    next += 1;
                }
                let _ = child.kill();
                let _ = child.wait();
                return next;
            }
        }
    }
}

/// Runs cases one after the other; stops at the first CUDA error, which would poison the rest.
fn child(folder: &Path, entries: &[Entry]) -> ExitCode {
    let mut context = std::ptr::null_mut();
    // SAFETY: plain driver calls with valid pointers.
    unsafe {
        let mut device = 0;
        ok(sys::cuInit(0), "cuInit").expect("a CUDA driver");
        ok(sys::cuDeviceGet(&mut device, 0), "cuDeviceGet").expect("a GPU");
        ok(sys::cuDevicePrimaryCtxRetain(&mut context, device), "a context").expect("a context");
        ok(sys::cuCtxSetCurrent(context), "a context").expect("a context");
    }
    for (case, suffix) in entries {
        let name = format!("{}{suffix}", case.desc.name);
        // The driver's errors are sticky; anything else concerns this case only.
        let (line, fatal) = match run(folder, case, &name) {
            Ok(Ok(error)) => (format!("ok {name} {error:.1e}"), false),
            Ok(Err(wrong)) => (format!("{name}: {wrong}"), false),
            Err(broken) => (format!("{name}: {broken}"), true),
        };
        println!("{line}");
        let _ = std::io::stdout().flush();
        if fatal {
            return ExitCode::from(1);
        }
    }
    ExitCode::SUCCESS
}

fn ok(result: CUresult, what: &str) -> Result<(), String> {
    if result == CUresult::CUDA_SUCCESS { Ok(()) } else { Err(format!("{what}: {result:?}")) }
}

const GUARD: usize = 256;

/// Device memory with a guard behind it.
struct Memory {
    pointer: u64,
    bytes: usize,
}

impl Memory {
    fn new(content: &[u8]) -> Result<Memory, String> {
        let mut padded = content.to_vec();
        padded.resize(content.len() + GUARD, 0xa5);
        let mut pointer = 0;
        // SAFETY: the context is current; sizes match.
        unsafe {
            ok(sys::cuMemAlloc_v2(&mut pointer, padded.len()), "cuMemAlloc")?;
            ok(sys::cuMemcpyHtoD_v2(pointer, padded.as_ptr().cast(), padded.len()), "upload")?;
        }
        Ok(Memory { pointer, bytes: content.len() })
    }

    /// The content, and whether the guard is whole.
    fn read(&self) -> Result<(Vec<u8>, bool), String> {
        let mut all = vec![0u8; self.bytes + GUARD];
        // SAFETY: as large as the allocation.
        unsafe { ok(sys::cuMemcpyDtoH_v2(all.as_mut_ptr().cast(), self.pointer, all.len()), "download")? };
        let whole = all[self.bytes..].iter().all(|b| *b == 0xa5);
        all.truncate(self.bytes);
        Ok((all, whole))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated above.
        unsafe { sys::cuMemFree_v2(self.pointer) };
    }
}

#[repr(C, align(128))]
struct Slot([u64; 16]);

/// The relative error, or what is wrong with the result; the outer error means that the driver gave up.
fn run(folder: &Path, case: &Case, name: &str) -> Result<Result<f64, String>, String> {
    let read = |end: &str| std::fs::read(folder.join(format!("{name}.{end}"))).map_err(|e| e.to_string());
    let launch: GpuLaunch = serde_json::from_slice(&read("json")?).map_err(|e| e.to_string())?;
    let cubin = read("cubin")?;
    let inputs = case.inputs();
    let buffers: Vec<Memory> = inputs
        .iter()
        .zip(&case.desc.buffers)
        .map(|(v, b)| Memory::new(&oracle::encode(b.dtype, v)))
        .collect::<Result<_, _>>()?;
    let size = |p: &tricot_types::Poly| p.eval(&case.bindings).map_err(|e| e.to_string());
    let scratch = Memory::new(&vec![if launch.zero_scratch { 0 } else { 0xff }; size(&launch.scratch)? as usize])?;
    let mut slots: Vec<Slot> = launch
        .params
        .iter()
        .map(|p| {
            let mut slot = Slot([0; 16]);
            match p {
                Param::Buffer(b) => slot.0[0] = buffers[*b as usize].pointer,
                Param::Symbol(s) => slot.0[0] = case.bindings[&case.desc.symbols[*s as usize]] as u64,
                Param::Value(v) | Param::Word(v) => slot.0[0] = size(v)? as u64,
                Param::Scratch => slot.0[0] = scratch.pointer,
                Param::TensorMap(map) => slot.0 = encode(map, buffers[map.buffer as usize].pointer, &case.bindings)?,
            }
            Ok(slot)
        })
        .collect::<Result<_, String>>()?;
    let grid = launch.grid.iter().map(size).collect::<Result<Vec<i64>, _>>()?;
    let mut list: Vec<*mut std::ffi::c_void> = slots.iter_mut().map(|s| s.0.as_mut_ptr().cast()).collect();
    let mut module = std::ptr::null_mut();
    // SAFETY: the image, the entry's name and the parameters outlive the calls.
    unsafe {
        ok(sys::cuModuleLoadData(&mut module, cubin.as_ptr().cast()), "cuModuleLoadData")?;
        let mut function = std::ptr::null_mut();
        let entry = std::ffi::CString::new(case.desc.name.clone()).map_err(|e| e.to_string())?;
        ok(sys::cuModuleGetFunction(&mut function, module, entry.as_ptr()), "cuModuleGetFunction")?;
        let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        ok(sys::cuFuncSetAttribute(function, attribute, launch.shared_bytes as i32), "shared memory")?;
        let [x, y, z] = launch.cluster;
        let mut attributes = [sys::CUlaunchAttribute {
            id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
            pad: [0; 4],
            value: sys::CUlaunchAttributeValue {
                clusterDim: sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x, y, z },
            },
        }];
        let config = sys::CUlaunchConfig {
            gridDimX: grid[0] as u32,
            gridDimY: grid[1] as u32,
            gridDimZ: grid[2] as u32,
            blockDimX: launch.block[0],
            blockDimY: launch.block[1],
            blockDimZ: launch.block[2],
            sharedMemBytes: launch.shared_bytes,
            hStream: std::ptr::null_mut(),
            attrs: attributes.as_mut_ptr(),
            numAttrs: u32::from(launch.cluster != [1, 1, 1]),
        };
        if grid.iter().all(|n| *n > 0) {
            ok(sys::cuLaunchKernelEx(&config, function, list.as_mut_ptr(), std::ptr::null_mut()), "launch")?;
            ok(sys::cuCtxSynchronize(), "run")?;
        }
    }
    let mut got = vec![];
    for ((memory, b), values) in buffers.iter().zip(&case.desc.buffers).zip(&inputs) {
        let (bytes, whole) = memory.read()?;
        if !whole {
            return Ok(Err(format!("stores past the end of {}", b.name)));
        }
        got.push(oracle::decode(b.dtype, &bytes, values.len()));
    }
    // SAFETY: loaded above, and nothing of it runs any more.
    unsafe { ok(sys::cuModuleUnload(module), "cuModuleUnload")? };
    Ok(case.check(&case.expected(&inputs), &got))
}

/// Encodes a tensor map (CUDA driver API, `cuTensorMapEncodeTiled`).
fn encode(map: &TensorMap, base: u64, bindings: &Bindings) -> Result<[u64; 16], String> {
    use sys::CUtensorMapDataType as T;
    let value = |p: &tricot_types::Poly| p.eval(bindings).map(|v| v as u64).map_err(|e| e.to_string());
    let dims = map.dims.iter().map(value).collect::<Result<Vec<u64>, _>>()?;
    let strides = map.strides.iter().map(value).collect::<Result<Vec<u64>, _>>()?;
    let ones = vec![1u32; dims.len()];
    let ty = match map.dtype {
        DType::F32 => T::CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        DType::F64 => T::CU_TENSOR_MAP_DATA_TYPE_FLOAT64,
        DType::F16 => T::CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        DType::BF16 => T::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
        DType::I32 => T::CU_TENSOR_MAP_DATA_TYPE_INT32,
        DType::U32 => T::CU_TENSOR_MAP_DATA_TYPE_UINT32,
        DType::I16 | DType::U16 => T::CU_TENSOR_MAP_DATA_TYPE_UINT16,
        _ => T::CU_TENSOR_MAP_DATA_TYPE_UINT8,
    };
    let swizzle = match map.swizzle {
        Swizzle::None => sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_NONE,
        Swizzle::B32 => sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_32B,
        Swizzle::B64 => sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_64B,
        Swizzle::B128 => sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
    };
    let mut slot = Slot([0; 16]);
    // SAFETY: arrays as long as the rank says; the map is 128 bytes, aligned.
    let result = unsafe {
        sys::cuTensorMapEncodeTiled(
            slot.0.as_mut_ptr().cast(),
            ty,
            dims.len() as u32,
            (base + value(&map.offset)?) as *mut _,
            dims.as_ptr(),
            strides.as_ptr(),
            map.tile.as_ptr(),
            ones.as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            swizzle,
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    };
    ok(result, "cuTensorMapEncodeTiled")?;
    Ok(slot.0)
}
