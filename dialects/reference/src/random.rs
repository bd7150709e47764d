//! Random numbers: `core.random` and seeded test inputs.

use crate::array::Array;
use crate::lower::Call;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use tricot_dialects::Module;
use tricot_dialects::scalar::round_float;
use tricot_types::{Bindings, DType, Diagnostic};

const C: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014) on `x + C`.
pub fn splitmix64(x: u64) -> u64 {
    let mut z = x.wrapping_add(C);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `core.random` as its definition says.
pub fn random(call: &Call) -> Array {
    let (dtype, shape) = call.types[0].clone();
    let seed = call.attrs.int("seed") as u64;
    let double = dtype == DType::F64;
    let fraction = |word: u64| match double {
        true => (word >> 12) as f64 / (1u64 << 52) as f64,
        false => (word >> 40) as f64 / (1u64 << 24) as f64,
    };
    let value = |i: usize| {
        let word = |k: u64| splitmix64(seed.wrapping_add((2 * i as u64 + k).wrapping_mul(C)));
        let u1 = fraction(word(0));
        if call.attrs.str("kind") == "uniform" {
            return u1;
        }
        let u2 = fraction(word(1));
        match double {
            true => (-2.0 * (1.0 - u1).ln()).sqrt() * (std::f64::consts::TAU * u2).cos(),
            false => {
                let (u1, u2) = (u1 as f32, u2 as f32);
                f64::from((-2.0 * (1.0 - u1).ln()).sqrt() * (std::f32::consts::TAU * u2).cos())
            }
        }
    };
    let n = shape.iter().product();
    Array::floats(shape, (0..n).map(value).collect())
}

/// What a random input should look like.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Hint {
    /// Normal with this standard deviation.
    Normal(f64),
    /// Uniform in `lo..hi`; for floats.
    Uniform(f64, f64),
    /// Uniform integers `lo..=hi`; any type.
    Ints(i64, i64),
    /// Rank 1, not decreasing, from 0 on, at most this: offsets of bags.
    Offsets(i64),
}

/// Inputs for `main`, a function of the seed and each input's position only: floats normal with standard deviation 1, integers 0 or
/// 1, unless `hints` names the input. Symbols without a binding take their hint. Values are rounded to the dtype.
pub fn random_inputs(
    module: &Module,
    seed: u64,
    symbols: &Bindings,
    hints: &BTreeMap<String, Hint>,
) -> Result<Vec<Tensor>, Diagnostic> {
    let main = module.main().ok_or_else(|| Diagnostic::error("TC0800", "the module has no function @main"))?;
    let mut bindings: Bindings = module.symbols.iter().map(|(s, info)| (s.clone(), info.hint)).collect();
    bindings.extend(symbols.iter().map(|(s, v)| (s.clone(), *v)));
    let names: Vec<String> = main.input_names().map(String::from).collect();
    let mut out = vec![];
    for (at, (name, ty)) in names.iter().zip(main.input_types()).enumerate() {
        let mut shape = vec![];
        for d in &ty.shape {
            let value = d.eval(&bindings).ok().and_then(|v| usize::try_from(v).ok());
            shape.push(value.ok_or_else(|| Diagnostic::error("TC0803", format!("the size {d} has no value")))?);
        }
        let n: usize = shape.iter().product();
        let mut state = splitmix64(seed ^ splitmix64(at as u64));
        let mut next = || {
            state = state.wrapping_add(C);
            splitmix64(state)
        };
        let mut unit = || (next() >> 11) as f64 / (1u64 << 53) as f64;
        let usual = if ty.dtype.is_float() { Hint::Normal(1.0) } else { Hint::Ints(0, 1) };
        let mut values: Vec<f64> = match *hints.get(name).unwrap_or(&usual) {
            Hint::Normal(deviation) => (0..n)
                .map(|_| deviation * (-2.0 * (1.0 - unit()).ln()).sqrt() * (std::f64::consts::TAU * unit()).cos())
                .collect(),
            Hint::Uniform(lo, hi) => (0..n).map(|_| lo + (hi - lo) * unit()).collect(),
            Hint::Ints(lo, hi) => (0..n).map(|_| lo as f64 + (unit() * ((hi - lo) as f64 + 1.0)).floor()).collect(),
            Hint::Offsets(most) => (0..n).map(|_| (unit() * (most as f64 + 1.0)).floor()).collect(),
        };
        if let Some(Hint::Offsets(_)) = hints.get(name) {
            values.sort_by(f64::total_cmp);
            values.first_mut().into_iter().for_each(|v| *v = 0.0);
        }
        out.push(match ty.dtype.is_float() {
            true => {
                let rounded = values.into_iter().map(|v| round_float(ty.dtype, v, true)).collect();
                Tensor::floats(ty.dtype, &shape, rounded)
            }
            false => Tensor::ints(ty.dtype, &shape, values.into_iter().map(|v| v as i64).collect()),
        });
    }
    Ok(out)
}
