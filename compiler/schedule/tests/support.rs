//! Running a schedule with the interpreter of kernel descriptions, and comparing.

use std::cell::Cell;
use std::collections::BTreeMap;
use tricot_cpu::CpuBackend;
use tricot_dialects::builder::build_main;
use tricot_dialects::{Builder, Module, ValueId};
use tricot_kernel::{Access, Backend, CompileOptions, KernelDesc};
use tricot_kernel_tests::oracle;
use tricot_plan::{CpuLaunch, How, Storage};
use tricot_reference::{Mode, Options, Tensor, evaluate};
use tricot_runtime::cpu::CpuCode;
use tricot_schedule::{Schedule, ScheduleOptions, ScheduledStep, schedule};
use tricot_types::DType::{F32, F64};
use tricot_types::{Bindings, DType, Diagnostic, Poly, Symbol, SymbolInfo};

/// Builds a module of symbols `b` and `s`.
pub fn module(build: impl FnOnce(&mut Builder<'_>) -> Result<(), Diagnostic>) -> Module {
    let mut module = Module::new("test");
    for name in ["b", "s"] {
        module.symbols.insert(Symbol::new(name).unwrap(), SymbolInfo::default());
    }
    build_main(&mut module, build).unwrap_or_else(|e| panic!("{e}"));
    tricot_dialects::verify::verify(&module).unwrap_or_else(|e| panic!("{}", e[0]));
    module
}

pub fn sym(name: &str) -> Poly {
    Poly::symbol(Symbol::new(name).unwrap())
}

pub fn scheduled(module: &Module, fuse: bool) -> Schedule {
    scheduled_for(module, "cpu", fuse)
}

/// Launches of the schedule for a target.
pub fn launches(module: &Module, target: &str) -> usize {
    let s = scheduled_for(module, target, true);
    s.steps.iter().filter(|s| matches!(s, ScheduledStep::Launch { .. })).count()
}

/// As [`scheduled`], for a target.
pub fn scheduled_for(module: &Module, target: &str, fuse: bool) -> Schedule {
    let options = ScheduleOptions { target: target.into(), fuse };
    let s = schedule(module, &options).unwrap_or_else(|e| panic!("{}", e[0]));
    for k in &s.kernels {
        tricot_kernel::verify::verify(k).unwrap_or_else(|e| panic!("{}\n{k}", e[0]));
    }
    let text = s.to_string();
    // As the file of weights beside the text would give them.
    let mut weights = tricot_dialects::ConstantStore::default();
    for c in s.weights.values() {
        weights.add(c.clone());
    }
    let back = tricot_schedule::text::parse("printed", &text, &weights).unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
    assert_eq!(back, s, "{text}");
    assert_eq!(back.to_string(), text);
    s
}

thread_local! {
    /// Each test runs on its own thread, so its numbers are the same in every run.
    static SEED: Cell<u64> = const { Cell::new(1) };
}

/// Fresh random numbers: normal-ish floats, or integers in `range`.
pub fn random(dtype: DType, count: usize, range: (i64, i64)) -> Vec<f64> {
    let mut state = SEED.replace(SEED.get() + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count)
        .map(|_| match dtype.is_float() {
            true => (0..4).map(|_| next() - 0.5).sum::<f64>() * 3.0,
            false => (range.0 as f64 + (next() * (range.1 - range.0 + 1) as f64).floor()).min(range.1 as f64),
        })
        .collect()
}

/// What runs kernels.
pub enum Engine {
    /// The interpreter of descriptions.
    Oracle,
    /// Compiled code of this machine.
    Cpu { code: CpuCode, launches: BTreeMap<String, CpuLaunch> },
}

impl Engine {
    pub fn cpu(s: &Schedule) -> Engine {
        let options = CompileOptions { symbols: s.symbols.clone(), ..CompileOptions::default() };
        let compiled = CpuBackend.compile(&s.kernels, &options).unwrap_or_else(|e| {
            let text: String = s.kernels.iter().map(ToString::to_string).collect();
            panic!("{}\n{text}", e[0])
        });
        let code = CpuCode::map(&compiled.files["code.bin"], &compiled.features).unwrap();
        let launches = compiled.kernels.into_iter().map(|(name, k)| match k.how {
            How::Cpu(launch) => (name, launch),
            How::Gpu(_) => panic!("a grid launch of the cpu backend"),
        });
        Engine::Cpu { code, launches: launches.collect() }
    }

    /// Runs one kernel on the bytes of its buffers.
    fn launch(&self, desc: &KernelDesc, symbols: &[i64], data: &mut [Vec<u8>]) {
        match self {
            Engine::Oracle => {
                let inner: Bindings = desc.symbols.iter().cloned().zip(symbols.iter().copied()).collect();
                let numbers = desc.buffers.iter().zip(data.iter());
                let mut numbers: Vec<Vec<oracle::Num>> =
                    numbers.map(|(b, raw)| oracle::decode(b.dtype, raw, oracle::elements(&b.shape, &inner))).collect();
                oracle::run(desc, &inner, &mut numbers);
                for ((b, values), raw) in desc.buffers.iter().zip(&numbers).zip(data) {
                    if b.access != Access::Read {
                        *raw = oracle::encode(b.dtype, values);
                    }
                }
            }
            Engine::Cpu { code, launches } => {
                // Each buffer stands alone and is 64-byte aligned.
                let mut aligned: Vec<Vec<[u64; 8]>> = data.iter().map(|d| vec![[0u64; 8]; d.len() / 64 + 2]).collect();
                let mut pointers = vec![];
                for (a, d) in aligned.iter_mut().zip(data.iter()) {
                    let start = a.as_mut_ptr().cast::<u8>();
                    // SAFETY: the block has 64 bytes to spare for the alignment.
                    let p = unsafe { start.add(start.align_offset(64)) };
                    // SAFETY: from there the block is at least as long as the data.
                    unsafe { std::ptr::copy_nonoverlapping(d.as_ptr(), p, d.len()) };
                    pointers.push(p);
                }
                // SAFETY: the code was compiled from this description, and every buffer has its size.
                unsafe { code.call(&launches[&desc.name], &pointers, symbols) }.unwrap();
                for (p, d) in pointers.iter().zip(data.iter_mut()) {
                    // SAFETY: as above.
                    unsafe { std::ptr::copy_nonoverlapping(*p, d.as_mut_ptr(), d.len()) };
                }
            }
        }
    }
}

/// Runs a schedule on input bytes; output bytes. All memory starts as 0xff.
pub fn run(s: &Schedule, engine: &Engine, module: &Module, bindings: &Bindings, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let main = module.main().unwrap();
    let bytes = |p: &Poly| usize::try_from(p.eval(bindings).unwrap()).unwrap();
    let size = |dtype: DType, shape: &[Poly]| {
        let n: i64 = shape.iter().map(|d| d.eval(bindings).unwrap()).product();
        dtype.bytes(n as u64).unwrap() as usize
    };
    let mut outputs: Vec<Vec<u8>> =
        main.outputs.iter().map(|o| vec![0xff; size(main.ty(o.value).dtype, &main.ty(o.value).shape)]).collect();
    let mut arena = vec![0xffu8; bytes(&s.arena_bytes)];
    let read = |arena: &[u8], outputs: &[Vec<u8>], id: usize| -> Vec<u8> {
        let b = &s.buffers[id];
        let n = size(b.dtype, &b.shape);
        match &b.storage {
            Storage::Input(i) => inputs[*i as usize].clone(),
            Storage::Output(i) => outputs[*i as usize].clone(),
            Storage::Weight(w) => s.weights[w].bytes().to_vec(),
            Storage::Arena { offset } => arena[bytes(offset)..bytes(offset) + n].to_vec(),
        }
    };
    let write = |arena: &mut [u8], outputs: &mut [Vec<u8>], id: usize, data: &[u8]| match &s.buffers[id].storage {
        Storage::Output(i) => outputs[*i as usize].copy_from_slice(data),
        Storage::Arena { offset } => arena[bytes(offset)..bytes(offset) + data.len()].copy_from_slice(data),
        other => panic!("a step writes {other:?}"),
    };
    for step in &s.steps {
        match step {
            ScheduledStep::Copy { from, to, bytes: n } => {
                let data = read(&arena, &outputs, from.0 as usize);
                assert_eq!(data.len(), bytes(n));
                write(&mut arena, &mut outputs, to.0 as usize, &data);
            }
            ScheduledStep::Launch { kernel, buffers, symbols, .. } => {
                let desc = s.kernels.iter().find(|k| k.name == *kernel).unwrap();
                let symbols: Vec<i64> = symbols.iter().map(|p| p.eval(bindings).unwrap()).collect();
                let mut data: Vec<Vec<u8>> = buffers.iter().map(|id| read(&arena, &outputs, id.0 as usize)).collect();
                engine.launch(desc, &symbols, &mut data);
                for ((b, id), raw) in desc.buffers.iter().zip(buffers).zip(&data) {
                    if b.access != Access::Read {
                        write(&mut arena, &mut outputs, id.0 as usize, raw);
                    }
                }
            }
        }
    }
    outputs
}

/// Relative L2 error; infinities and NaNs must agree exactly in place.
pub fn error(have: &[f64], want: &[f64]) -> f64 {
    assert_eq!(have.len(), want.len());
    let (mut difference, mut norm) = (0.0, 0.0);
    for (h, w) in have.iter().zip(want) {
        if w.is_nan() || w.is_infinite() {
            if h.is_nan() != w.is_nan() || !w.is_nan() && h != w {
                return f64::INFINITY;
            }
            continue;
        }
        difference += (h - w) * (h - w);
        norm += w * w;
    }
    if difference.is_nan() { f64::INFINITY } else { difference.sqrt() / norm.sqrt().max(1e-30) }
}

/// Random inputs for a module, integers within `range`.
pub fn inputs(module: &Module, bindings: &Bindings, range: (i64, i64)) -> Vec<Vec<u8>> {
    let main = module.main().unwrap();
    main.inputs()
        .map(|v: ValueId| {
            let ty = main.ty(v);
            let n: i64 = ty.shape.iter().map(|d| d.eval(bindings).unwrap()).product();
            let range = if ty.dtype == DType::Bool { (0, 1) } else { range };
            tricot_dialects::scalar::encode(ty.dtype, &random(ty.dtype, n as usize, range))
        })
        .collect()
}

/// Checks a module: the schedule's outputs, interpreted and compiled, against the reference for several sizes. Returns the
/// number of launches.
pub fn check_range(module: &Module, range: (i64, i64)) -> usize {
    let s = scheduled(module, true);
    let (plain, gpu) = (scheduled(module, false), scheduled_for(module, "sm_90a", true));
    let mut runs = vec![(&s, Engine::Oracle), (&s, Engine::cpu(&s)), (&plain, Engine::Oracle)];
    if gpu != s {
        runs.push((&gpu, Engine::Oracle));
    }
    let main = module.main().unwrap();
    for (b, n) in [(1, 1), (2, 3), (3, 8)] {
        let bindings: Bindings = [(Symbol::new("b").unwrap(), b), (Symbol::new("s").unwrap(), n)].into();
        let inputs = inputs(module, &bindings, range);
        let tensors: Vec<Tensor> = main
            .inputs()
            .zip(&inputs)
            .map(|(v, bytes)| {
                let ty = main.ty(v);
                let shape: Vec<usize> = ty.shape.iter().map(|d| d.eval(&bindings).unwrap() as usize).collect();
                Tensor::from_bytes(ty.dtype, &shape, bytes).unwrap()
            })
            .collect();
        let reference = |mode| {
            let options = Options { mode, symbols: bindings.clone(), ..Options::default() };
            evaluate(module, &tensors, &options).unwrap_or_else(|e| panic!("{e}"))
        };
        let (exact, typed) = (reference(Mode::Exact), reference(Mode::Typed));
        for (which, (schedule, engine)) in runs.iter().enumerate() {
            let have = run(schedule, engine, module, &bindings, &inputs);
            for (i, o) in main.outputs.iter().enumerate() {
                let dtype = main.ty(o.value).dtype;
                let have = Tensor::from_bytes(dtype, &exact[i].shape, &have[i]).unwrap().to_f64();
                let (want, typed) = (exact[i].to_f64(), typed[i].to_f64());
                let bound = match dtype {
                    F64 => 1e-12,
                    F32 => 1e-5,
                    d if d.is_float() => 6e-3,
                    _ => 0.0,
                };
                let (e, own) = (error(&have, &want), error(&typed, &want));
                // Where the declared roundings show, they are what counts.
                let e = if own > bound { e.min(error(&have, &typed)) } else { e };
                let bound = if own.is_finite() { bound.max(1.3 * own) } else { bound };
                assert!(
                    e <= bound,
                    "output {} of run {which} differs by {e}, typed by {own}, b={b} s={n}\n{have:?}\n{want:?}\n{}\n{schedule}",
                    o.name,
                    tricot_dialects::text::print(module)
                );
            }
        }
    }
    s.steps.iter().filter(|s| matches!(s, ScheduledStep::Launch { .. })).count()
}

/// As [`check_range`] with small integers.
pub fn check(module: &Module) -> usize {
    check_range(module, (-3, 6))
}
