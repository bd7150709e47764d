//! Runs a description on the backend and on the oracle, and compares.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tricot_cpu::CpuBackend;
use tricot_kernel::*;
use tricot_kernel_tests::oracle::{self, Num};
use tricot_plan::How;
use tricot_runtime::cpu::CpuCode;
use tricot_types::{Bindings, DType, Poly, Symbol, SymbolTable};

pub fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A normal deviate.
pub fn normal(rng: &mut impl Rng) -> f64 {
    let (a, b): (f64, f64) = (rng.random_range(1e-12..1.0), rng.random_range(0.0..1.0));
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

pub fn symbol(name: &str) -> Symbol {
    Symbol::new(name).unwrap()
}

pub fn sym(name: &str) -> Poly {
    Poly::symbol(symbol(name))
}

/// A case: description, sizes, and how to fill inputs.
pub struct Case {
    pub desc: KernelDesc,
    pub sizes: Bindings,
    /// For each buffer the contents; empty means random.
    pub inputs: Vec<Option<Vec<Num>>>,
    pub scale: f64,
}

impl Case {
    pub fn new(desc: KernelDesc) -> Case {
        let inputs = desc.buffers.iter().map(|_| None).collect();
        Case { desc, sizes: Bindings::new(), inputs, scale: 1.0 }
    }

    pub fn with(mut self, name: &str, value: i64) -> Case {
        self.sizes.insert(symbol(name), value);
        self
    }

    pub fn input(mut self, buffer: usize, values: Vec<Num>) -> Case {
        self.inputs[buffer] = Some(values);
        self
    }

    fn elements(&self, b: &Buffer) -> usize {
        b.shape.iter().map(|p| p.eval(&self.sizes).unwrap()).product::<i64>() as usize
    }

    /// Elements of every buffer; outputs are poisoned.
    fn fill(&self, seed: u64) -> Vec<Vec<Num>> {
        let mut rng = seeded(seed);
        let mut element = |b: &Buffer| match b.dtype.int_range() {
            _ if b.access == Access::Write && b.dtype.is_float() => Num::F(f64::NAN),
            _ if b.access == Access::Write => Num::I(1),
            None => Num::F(oracle::round(b.dtype, normal(&mut rng) * self.scale)),
            Some((lo, hi)) => Num::I(rng.random_range(lo.max(-100) as i64..=hi.min(100) as i64)),
        };
        let random = |b: &Buffer| (0..self.elements(b)).map(|_| element(b)).collect();
        let filled: Vec<Vec<Num>> = self.desc.buffers.iter().map(random).collect();
        filled.into_iter().zip(&self.inputs).map(|(random, given)| given.clone().unwrap_or(random)).collect()
    }

    /// Machine code's results, from buffers at odd element addresses.
    pub fn run_code(&self, inputs: &[Vec<Num>], threads: usize) -> Vec<Vec<Num>> {
        let bytes: Vec<Vec<u8>> =
            self.desc.buffers.iter().zip(inputs).map(|(b, values)| oracle::encode(b.dtype, values)).collect();
        let out = self.run_bytes(&bytes, threads);
        self.desc.buffers.iter().zip(out).map(|(b, bytes)| oracle::decode(b.dtype, &bytes, self.elements(b))).collect()
    }

    fn run_bytes(&self, inputs: &[Vec<u8>], threads: usize) -> Vec<Vec<u8>> {
        let target = CpuBackend.compile(std::slice::from_ref(&self.desc), &CompileOptions::default());
        let target = target.unwrap_or_else(|e| panic!("{}", e[0]));
        let code = CpuCode::map(&target.files["code.bin"], &target.features).unwrap();
        let How::Cpu(launch) = &target.kernels[&self.desc.name].how else { panic!("a cpu launch") };
        let symbols: Vec<i64> = self.desc.symbols.iter().map(|s| self.sizes[s]).collect();
        // One element past a 64-byte boundary, with sentinels on both sides.
        let mut backing: Vec<Vec<u64>> = inputs.iter().map(|b| vec![0x5a5a_5a5a_5a5a_5a5a; b.len() / 8 + 40]).collect();
        let mut pointers = vec![];
        for ((b, bytes), space) in self.desc.buffers.iter().zip(inputs).zip(&mut backing) {
            let at = space.as_mut_ptr().cast::<u8>();
            let skew = at.align_offset(64) + 64 + (b.dtype.bits() as usize / 8).max(1);
            unsafe {
                let at = at.add(skew);
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
                pointers.push((at, skew));
            }
        }
        let raw: Vec<*mut u8> = pointers.iter().map(|(p, _)| *p).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        struct Send_<'a>(&'a [*mut u8]);
        unsafe impl Send for Send_<'_> {}
        unsafe impl Sync for Send_<'_> {}
        let shared = Send_(&raw);
        pool.install(|| {
            let shared = &shared;
            unsafe { code.call(launch, shared.0, &symbols) }.unwrap()
        });
        let mut out = vec![];
        for (i, bytes) in inputs.iter().enumerate() {
            let (_, skew) = pointers[i];
            let all: &[u8] = unsafe { std::slice::from_raw_parts(backing[i].as_ptr().cast(), backing[i].len() * 8) };
            let (before, rest) = all.split_at(skew);
            let (mine, after) = rest.split_at(bytes.len());
            assert!(before.iter().chain(after).all(|b| *b == 0x5a), "buffer {i} written out of bounds");
            out.push(mine.to_vec());
        }
        out
    }

    /// The results of one thread, after checking that three give the same bits.
    pub fn run_same(&self, inputs: &[Vec<Num>]) -> Vec<Vec<Num>> {
        let (got, many) = (self.run_code(inputs, 1), self.run_code(inputs, 3));
        let bits = |all: &[Vec<Num>]| -> Vec<Vec<u8>> {
            self.desc.buffers.iter().zip(all).map(|(b, values)| oracle::encode(b.dtype, values)).collect()
        };
        assert!(bits(&got) == bits(&many), "{}: results depend on the number of threads", self.desc.name);
        got
    }

    /// Relative L2 error over the written buffers; integers must agree exactly, threads must not matter.
    pub fn check(&self, tolerance: f64) {
        let inputs = self.fill(7);
        let got = self.run_same(&inputs);
        let mut expected = inputs;
        oracle::run(&self.desc, &self.sizes, &mut expected);
        let case = tricot_kernel_tests::cases::Case {
            desc: self.desc.clone(),
            symbols: SymbolTable::new(),
            bindings: self.sizes.clone(),
            bound: tolerance,
            data: (0.0, 1.0),
            given: Default::default(),
        };
        case.check(&expected, &got).unwrap_or_else(|e| panic!("{}: {e}", self.desc.name));
    }
}

/// Tolerance for one rounding to a dtype on top of f32 arithmetic.
pub fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-12,
        DType::F32 => 1e-5,
        DType::BF16 | DType::F16 => 6e-3,
        DType::F8E4M3 => 6e-2,
        DType::F8E5M2 => 1.2e-1,
        _ => 0.0,
    }
}

pub fn buffer(name: &str, dtype: DType, shape: &[Poly], access: Access) -> Buffer {
    Buffer { name: name.into(), dtype, shape: shape.to_vec(), access }
}

/// A row-major index over variables of these extents.
pub fn rows(vars: &[(LoopVar, Poly)]) -> Index {
    let mut below = Poly::constant(1);
    let mut index = Index::zero();
    for (v, e) in vars.iter().rev() {
        index = index.plus(*v, below.clone());
        below = below * e.clone();
    }
    index
}
