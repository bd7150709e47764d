//! Runs kernels without a GPU: their unoptimised LLVM IR is compiled for this machine, with thread numbers, barriers, shuffles and
//! the few PTX instructions they use replaced by functions here.
//!
//! Kernels that communicate run with one system thread for each CUDA thread of a block, the others in a plain loop.
//! This checks what the emitters mean, not what ptxas makes of it.

use crate::lower::{Session, UNOPTIMISED};
use crate::select::Family;
use inkwell::OptimizationLevel;
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::targets::{InitializationConfig, Target};
use std::cell::Cell;
use std::sync::{Barrier, Mutex};
use tricot_kernel::KernelDesc;
use tricot_kernel_tests::oracle;
use tricot_plan::Param;
use tricot_types::{Bindings, DType};

/// What the threads of a block share.
struct Block {
    barrier: Barrier,
    warps: Vec<(Barrier, Mutex<[u32; 32]>)>,
}

thread_local! {
    static THREAD: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    static BLOCK: Cell<*const Block> = const { Cell::new(std::ptr::null()) };
}

extern "C" fn tid() -> u32 {
    THREAD.get().0
}

extern "C" fn ctaid() -> u32 {
    THREAD.get().1
}

extern "C" fn laneid() -> u32 {
    THREAD.get().0 % 32
}

extern "C" fn barrier() {
    // SAFETY: set by `run` for as long as the block's threads live.
    unsafe { (*BLOCK.get()).barrier.wait() };
}

fn exchange(value: u32, from: u32) -> u32 {
    let (barrier, slots) = unsafe { &(&(*BLOCK.get()).warps)[(THREAD.get().0 / 32) as usize] };
    slots.lock().unwrap()[laneid() as usize] = value;
    barrier.wait();
    let got = slots.lock().unwrap()[from as usize % 32];
    barrier.wait();
    got
}

extern "C" fn bfly(value: u32, mask: u32) -> u32 {
    exchange(value, laneid() ^ mask)
}

extern "C" fn idx(value: u32, lane: u32) -> u32 {
    exchange(value, lane)
}

extern "C" fn bfly_f32(value: f32, mask: u32) -> f32 {
    f32::from_bits(bfly(value.to_bits(), mask))
}

extern "C" fn idx_f32(value: f32, lane: u32) -> f32 {
    f32::from_bits(idx(value.to_bits(), lane))
}

extern "C" fn ex2(x: f32) -> f32 {
    x.exp2()
}

extern "C" fn cvt_rz(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near).abs() > x.abs() { f32::from_bits(near.to_bits() - 1) } else { near }
}

fn narrow(dtype: DType, x: f64) -> u16 {
    let bytes = oracle::encode(dtype, &[oracle::Num::F(x)]);
    u16::from(bytes[0]) | bytes.get(1).map_or(0, |b| u16::from(*b) << 8)
}

fn widen(dtype: DType, bits: u16) -> f32 {
    oracle::decode(dtype, &bits.to_le_bytes(), 1)[0].float() as f32
}

extern "C" fn f32_to_f16(x: f32) -> u16 {
    narrow(DType::F16, f64::from(x))
}

extern "C" fn f64_to_f16(x: f64) -> u16 {
    narrow(DType::F16, x)
}

extern "C" fn f32_to_bf16(x: f32) -> u16 {
    narrow(DType::BF16, f64::from(x))
}

extern "C" fn f16_to_f32(x: u16) -> f32 {
    widen(DType::F16, x)
}

extern "C" fn bf16_to_f32(x: u16) -> f32 {
    widen(DType::BF16, x)
}

fn satfinite(dtype: DType, most: f64, x: f32) -> u16 {
    narrow(dtype, if x.is_nan() { f64::NAN } else { f64::from(x).clamp(-most, most) })
}

extern "C" fn to_e4m3(_high: f32, low: f32) -> u16 {
    satfinite(DType::F8E4M3, 448.0, low)
}

extern "C" fn to_e5m2(_high: f32, low: f32) -> u16 {
    satfinite(DType::F8E5M2, 57344.0, low)
}

extern "C" fn from_e4m3(x: u16) -> u32 {
    u32::from(narrow(DType::F16, f64::from(widen(DType::F8E4M3, x & 255))))
}

extern "C" fn from_e5m2(x: u16) -> u32 {
    u32::from(narrow(DType::F16, f64::from(widen(DType::F8E5M2, x & 255))))
}

extern "C" fn minnum_f32(x: f32, y: f32) -> f32 {
    x.min(y)
}

extern "C" fn maxnum_f32(x: f32, y: f32) -> f32 {
    x.max(y)
}

extern "C" fn minnum_f64(x: f64, y: f64) -> f64 {
    x.min(y)
}

extern "C" fn maxnum_f64(x: f64, y: f64) -> f64 {
    x.max(y)
}

/// (name in IR, declaration without name, address).
fn externals() -> Vec<(&'static str, &'static str, usize)> {
    vec![
        ("minnum_f32", "float @(float, float)", minnum_f32 as *const () as usize),
        ("maxnum_f32", "float @(float, float)", maxnum_f32 as *const () as usize),
        ("minnum_f64", "double @(double, double)", minnum_f64 as *const () as usize),
        ("maxnum_f64", "double @(double, double)", maxnum_f64 as *const () as usize),
        ("tid", "i32 @()", tid as *const () as usize),
        ("ctaid", "i32 @()", ctaid as *const () as usize),
        ("laneid", "i32 @()", laneid as *const () as usize),
        ("barrier", "void @()", barrier as *const () as usize),
        ("bfly", "i32 @(i32, i32)", bfly as *const () as usize),
        ("idx", "i32 @(i32, i32)", idx as *const () as usize),
        ("bfly_f32", "float @(float, i32)", bfly_f32 as *const () as usize),
        ("idx_f32", "float @(float, i32)", idx_f32 as *const () as usize),
        ("ex2", "float @(float)", ex2 as *const () as usize),
        ("cvt_rz", "float @(double)", cvt_rz as *const () as usize),
        ("f32_to_f16", "i16 @(float)", f32_to_f16 as *const () as usize),
        ("f64_to_f16", "i16 @(double)", f64_to_f16 as *const () as usize),
        ("f32_to_bf16", "i16 @(float)", f32_to_bf16 as *const () as usize),
        ("f16_to_f32", "float @(i16)", f16_to_f32 as *const () as usize),
        ("bf16_to_f32", "float @(i16)", bf16_to_f32 as *const () as usize),
        ("to_e4m3", "i16 @(float, float)", to_e4m3 as *const () as usize),
        ("to_e5m2", "i16 @(float, float)", to_e5m2 as *const () as usize),
        ("from_e4m3", "i32 @(i16)", from_e4m3 as *const () as usize),
        ("from_e5m2", "i32 @(i16)", from_e5m2 as *const () as usize),
    ]
}

/// Rewrites one line of IR.
fn translate(line: &str) -> String {
    let mut line = line.replace("ptx_kernel ", "");
    // Library calls the just-in-time linker does not find.
    for name in ["minnum.f32", "maxnum.f32", "minnum.f64", "maxnum.f64"] {
        let intrinsic = format!("@llvm.{name}");
        if line.starts_with("declare") && line.contains(&intrinsic) {
            return String::new();
        }
        line = line.replace(&intrinsic, &format!("@{}", name.replace('.', "_")));
    }
    let result = || line.split(" = ").next().unwrap_or("").trim().to_string();
    // The operand list of a call: what stands between the last opening parenthesis that is not an attribute's and the last closing one.
    let operands = |line: &str| -> Vec<String> {
        let end = line.rfind(')').unwrap();
        let start = line[..end].rfind('(').unwrap();
        line[start + 1..end].split(", ").map(str::to_string).collect()
    };
    if line.starts_with("target ") || line.starts_with("source_filename") {
        return String::new();
    }
    if line.contains(" call ") || line.trim_start().starts_with("call ") {
        for (name, ours) in [("sreg.tid.x", "tid"), ("sreg.ctaid.x", "ctaid"), ("sreg.laneid", "laneid")] {
            if line.contains(name) {
                return format!("{} = call i32 @{ours}()", result());
            }
        }
        if line.contains("llvm.nvvm.barrier") {
            return "call void @barrier()".into();
        }
        for kind in ["bfly", "idx"] {
            if line.contains(&format!("shfl.sync.{kind}")) {
                let ops = operands(&line);
                let float = ops[1].starts_with("float");
                let (suffix, ty) = if float { ("_f32", "float") } else { ("", "i32") };
                return format!("{} = call {ty} @{kind}{suffix}({}, {})", result(), ops[1], ops[2]);
            }
        }
        for (text, ours, ty) in [
            ("ex2.approx", "ex2", "float"),
            ("cvt.rz.f32.f64", "cvt_rz", "float"),
            ("satfinite.e4m3x2", "to_e4m3", "i16"),
            ("satfinite.e5m2x2", "to_e5m2", "i16"),
            ("f16x2.e4m3x2", "from_e4m3", "i32"),
            ("f16x2.e5m2x2", "from_e5m2", "i32"),
        ] {
            if line.contains("asm") && line.contains(text) {
                return format!("{} = call {ty} @{ours}({})", result(), operands(&line).join(", "));
            }
        }
        assert!(!line.contains(" asm "), "the emulator does not know {line}");
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    if let ["define" | "declare", ..] = words.as_slice() {
        return if line.contains("llvm.nvvm") { String::new() } else { line };
    }
    if let [name, "=", op @ ("fptrunc" | "fpext"), from, value, "to", to] = words.as_slice() {
        let (function, bits) = match (*from, *to) {
            ("float", "half") => ("f32_to_f16", true),
            ("double", "half") => ("f64_to_f16", true),
            ("float", "bfloat") => ("f32_to_bf16", true),
            ("half", "float") => ("f16_to_f32", false),
            ("bfloat", "float") => ("bf16_to_f32", false),
            _ => {
                assert!(!line.contains("half") && !line.contains("bfloat"), "the emulator does not know {op}: {line}");
                return line;
            }
        };
        let temporary = format!("%bits.{}", name.trim_start_matches('%'));
        return if bits {
            format!("{temporary} = call i16 @{function}({from} {value})\n{name} = bitcast i16 {temporary} to {to}")
        } else {
            format!("{temporary} = bitcast {from} {value} to i16\n{name} = call float @{function}(i16 {temporary})")
        };
    }
    line
}

/// Numbered values must be named in order; the inserted lines have names, which is always allowed. `args` are 64-bit.
fn module_text(ir: &str, kernel: &str, params: usize) -> String {
    let mut text: String = ir.lines().map(|l| translate(l) + "\n").collect();
    for (name, ty, _) in externals() {
        text += &format!("declare {}\n", ty.replace('@', &format!("@{name}")));
    }
    let loads: String = (0..params)
        .map(|i| format!("%p{i} = getelementptr i64, ptr %args, i64 {i}\n%a{i} = load i64, ptr %p{i}\n%g{i} = inttoptr i64 %a{i} to ptr addrspace(1)\n"))
        .collect();
    let define = text
        .lines()
        .find(|l| l.starts_with("define") && l.contains(&format!("@{kernel}(")))
        .expect("the kernel is defined");
    let list = define[define.find('(').unwrap() + 1..].to_string();
    let mut kinds = vec![];
    let mut rest = list.as_str();
    for _ in 0..params {
        kinds.push(rest.starts_with("i64"));
        rest = rest.split_once(", ").map_or("", |p| p.1);
        while !rest.is_empty() && !(rest.starts_with("i64 ") || rest.starts_with("ptr ")) {
            rest = rest.split_once(", ").map_or("", |p| p.1);
        }
    }
    let args: Vec<String> = kinds
        .iter()
        .enumerate()
        .map(|(i, int)| if *int { format!("i64 %a{i}") } else { format!("ptr addrspace(1) %g{i}") })
        .collect();
    text += &format!(
        "define void @emulated_entry(ptr %args) {{\n{loads}call void @{kernel}({})\nret void\n}}\n",
        args.join(", ")
    );
    text
}

/// Runs a kernel on buffers of bytes, with guard bytes behind each to notice stores past the end.
pub(crate) fn run(desc: &KernelDesc, family: &dyn Family, bindings: &Bindings, buffers: &mut [Vec<u8>]) {
    let lowered = Session::new().unwrap().lower(desc, family, &[], Some(UNOPTIMISED)).unwrap_or_else(|d| panic!("{d}"));
    let launch = family.launch();
    let text = module_text(&lowered.texts[UNOPTIMISED], &desc.name, launch.params.len());
    Target::initialize_native(&InitializationConfig::default()).unwrap();
    if let Some(folder) = std::env::var_os("TRICOT_DUMP_EMULATED") {
        std::fs::write(std::path::Path::new(&folder).join(format!("{}.ll", desc.name)), &text).unwrap();
    }
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(format!("{text}\0").as_bytes(), "kernel");
    let module = context.create_module_from_ir(buffer).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let engine = module.create_jit_execution_engine(OptimizationLevel::Less).unwrap();
    for (name, _, address) in externals() {
        engine.add_global_mapping(&module.get_function(name).unwrap(), address);
    }
    let shared = vec![0u128; launch.shared_bytes as usize / 16 + 1];
    if let Some(global) = module.get_global("shared") {
        engine.add_global_mapping(&global, shared.as_ptr() as usize);
    }
    let entry: extern "C" fn(*const i64) =
        unsafe { std::mem::transmute(engine.get_function_address("emulated_entry").unwrap()) };

    const GUARD: usize = 64;
    let mut padded: Vec<Vec<u128>> = buffers
        .iter()
        .map(|b| {
            let mut bytes = b.clone();
            bytes.resize(b.len().next_multiple_of(16) + GUARD, 0xa5);
            bytes.chunks(16).map(|c| u128::from_le_bytes(c.try_into().unwrap())).collect()
        })
        .collect();
    let args: Vec<i64> = launch
        .params
        .iter()
        .map(|p| match p {
            Param::Buffer(i) => padded[*i as usize].as_mut_ptr() as i64,
            Param::Symbol(i) => bindings[&desc.symbols[*i as usize]],
            Param::Value(p) => p.eval(bindings).unwrap(),
            other => panic!("the emulator has no {other:?}"),
        })
        .collect();
    let grid: Vec<i64> = launch.grid.iter().map(|p| p.eval(bindings).unwrap()).collect();
    assert!(grid[1] == 1 && grid[2] == 1 && launch.block[1] == 1 && launch.block[2] == 1);
    let threads = launch.block[0];
    let together = text.contains("call void @barrier")
        || text.contains("@bfly") && text.matches("@bfly").count() > 2
        || text.matches("@idx").count() > 2;
    for block in 0..grid[0] as u32 {
        if !together {
            for thread in 0..threads {
                THREAD.set((thread, block));
                entry(args.as_ptr());
            }
            continue;
        }
        let warp = |_| (Barrier::new(32), Mutex::new([0; 32]));
        let state =
            Block { barrier: Barrier::new(threads as usize), warps: (0..threads.div_ceil(32)).map(warp).collect() };
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (state, args) = (&state, &args);
                scope.spawn(move || {
                    THREAD.set((thread, block));
                    BLOCK.set(state);
                    entry(args.as_ptr());
                });
            }
        });
    }
    for (out, from) in buffers.iter_mut().zip(padded) {
        let bytes: Vec<u8> = from.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert!(
            bytes[out.len()..].iter().all(|b| *b == 0xa5),
            "a store past the end of a buffer of {} bytes",
            out.len()
        );
        let size = out.len();
        out.copy_from_slice(&bytes[..size]);
    }
}
