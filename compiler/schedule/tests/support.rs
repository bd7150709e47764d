//! Running a schedule with the interpreter of kernel descriptions, and comparing.

use std::sync::atomic::{AtomicU64, Ordering};
use tricot_dialects::builder::build_main;
use tricot_dialects::{Builder, Module, ValueId};
use tricot_plan::Storage;
use tricot_schedule::{Schedule, ScheduleOptions, ScheduledStep, schedule};
use tricot_tests::oracle;
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
    let options = ScheduleOptions { fuse, ..ScheduleOptions::default() };
    let s = schedule(module, &options).unwrap_or_else(|e| panic!("{}", e[0]));
    for k in &s.kernels {
        tricot_kernel::verify::verify(k).unwrap_or_else(|e| panic!("{}\n{k}", e[0]));
    }
    let text = s.to_string();
    let back = tricot_schedule::text::parse("printed", &text, &module.constants)
        .unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
    assert_eq!(back, s, "{text}");
    assert_eq!(back.to_string(), text);
    s
}

static SEED: AtomicU64 = AtomicU64::new(1);

/// Fresh random numbers: normal-ish floats, or integers in `range`.
pub fn random(dtype: DType, count: usize, range: (i64, i64)) -> Vec<f64> {
    let mut state = SEED.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
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

/// Runs a schedule on input bytes; output bytes. All memory starts as 0xff.
pub fn run(s: &Schedule, module: &Module, bindings: &Bindings, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
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
            ScheduledStep::Launch { kernel, buffers, symbols } => {
                let desc = s.kernels.iter().find(|k| k.name == *kernel).unwrap();
                let inner: Bindings =
                    desc.symbols.iter().cloned().zip(symbols.iter().map(|p| p.eval(bindings).unwrap())).collect();
                let mut data: Vec<Vec<oracle::Num>> = vec![];
                for (b, id) in desc.buffers.iter().zip(buffers) {
                    let raw = read(&arena, &outputs, id.0 as usize);
                    assert_eq!(raw.len(), size(b.dtype, &b.shape), "{kernel} {}", b.name);
                    data.push(oracle::decode(b.dtype, &raw, oracle::elements(&b.shape, &inner)));
                }
                oracle::run(desc, &inner, &mut data);
                for ((b, id), values) in desc.buffers.iter().zip(buffers).zip(&data) {
                    if b.access != tricot_kernel::Access::Read {
                        write(&mut arena, &mut outputs, id.0 as usize, &oracle::encode(b.dtype, values));
                    }
                }
            }
        }
    }
    outputs
}

/// Decoded values.
pub fn values(dtype: DType, bytes: &[u8], shape: &[Poly], bindings: &Bindings) -> Vec<f64> {
    let n: i64 = shape.iter().map(|d| d.eval(bindings).unwrap()).product();
    tricot_dialects::scalar::decode(dtype, bytes, n as usize)
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

/// Checks a module: the schedule's outputs against the reference for several sizes. Returns the number of kernels.
pub fn check_range(module: &Module, range: (i64, i64)) -> usize {
    let s = scheduled(module, true);
    let plain = scheduled(module, false);
    let main = module.main().unwrap();
    for (b, n) in [(1, 1), (2, 3), (3, 8)] {
        let bindings: Bindings = [(Symbol::new("b").unwrap(), b), (Symbol::new("s").unwrap(), n)].into();
        let inputs = inputs(module, &bindings, range);
        let have = run(&s, module, &bindings, &inputs);
        let want = run(&plain, module, &bindings, &inputs);
        for (o, (have, want)) in main.outputs.iter().zip(have.iter().zip(&want)) {
            let ty = main.ty(o.value);
            let (have, want) =
                (values(ty.dtype, have, &ty.shape, &bindings), values(ty.dtype, want, &ty.shape, &bindings));
            let bound = match ty.dtype {
                DType::F64 => 1e-12,
                DType::F32 => 1e-5,
                d if d.is_float() => 6e-3,
                _ => 0.0,
            };
            let e = error(&have, &want);
            assert!(e <= bound, "output {} differs by {e}\n{}", o.name, tricot_dialects::text::print(module));
        }
    }
    s.steps.iter().filter(|s| matches!(s, ScheduledStep::Launch { .. })).count()
}

/// As [`check_range`] with small integers.
pub fn check(module: &Module) -> usize {
    check_range(module, (-3, 6))
}
