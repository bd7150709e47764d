//! Numbers against the float64 reference: seeded inputs, the bounds, the verdicts.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::fmt;
use tricot_dialects::Module;
use tricot_plan::Port;
use tricot_reference::{Mode, Options, Tensor, evaluate, relative_l2};
use tricot_runtime::{HostTensor, RunOptions};
use tricot_types::{Bindings, DType, Diagnostic};

/// Bound for outputs computed in f32 throughout: relative L2 error against float64.
pub const F32_BOUND: f64 = 1e-5;
/// A reduced-precision graph may err this many times as much as its own typed evaluation.
pub const TYPED_FACTOR: f64 = 1.3;

/// One output's verdict.
#[derive(Clone, Debug)]
pub struct Found {
    pub output: String,
    /// Relative L2 error of the device's result against the exact reference.
    pub error: f64,
    pub bound: f64,
}

impl Found {
    /// Whether the error is inside the bound; NaN is not.
    pub fn within(&self) -> bool {
        self.error <= self.bound
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "output `{}`: relative error {:.2e}, bound {:.2e}", self.output, self.error, self.bound)
    }
}

/// Runs `loaded` on seeded random inputs and compares every output with the reference of `source`, the graph the user wrote.
pub fn check(
    source: &Module,
    loaded: &tricot_runtime::Module,
    given: &Bindings,
    seed: u64,
) -> Result<Vec<Found>, Vec<Diagnostic>> {
    let manifest = loaded.manifest();
    let mut sizes = given.clone();
    for (symbol, info) in &manifest.symbols {
        sizes.entry(symbol.clone()).or_insert(info.hint);
    }
    let inputs = manifest
        .inputs
        .iter()
        .map(|port| Ok((port.name.as_str(), random_tensor(port, &sizes, seed)?)))
        .collect::<Result<Vec<_>, Diagnostic>>()
        .map_err(|d| vec![d])?;
    let named: Vec<(&str, &HostTensor)> = inputs.iter().map(|(n, t)| (*n, t)).collect();
    let (outputs, _) = loaded.instance().run(&named, &RunOptions::default())?;
    compare(source, &inputs, &outputs)
}

/// Compares outputs that came from `inputs` with the reference.
pub fn compare(
    source: &Module,
    inputs: &[(&str, HostTensor)],
    outputs: &[HostTensor],
) -> Result<Vec<Found>, Vec<Diagnostic>> {
    let main = source.main().ok_or_else(|| vec![Diagnostic::error("TC0120", "the module has no function @main")])?;
    let ordered: Vec<Tensor> = main
        .input_names()
        .map(|name| {
            let tensor = inputs.iter().find(|(n, _)| *n == name).map(|(_, t)| t).ok_or_else(|| {
                vec![Diagnostic::error("TC0801", format!("input `{name}` of the source is no input of the bundle"))]
            })?;
            Ok(from_host(tensor))
        })
        .collect::<Result<_, Vec<Diagnostic>>>()?;
    let exact =
        evaluate(source, &ordered, &Options { mode: Mode::Exact, ..Options::default() }).map_err(|d| vec![d])?;
    let reduced = reduced_precision(source);
    let typed = match reduced {
        true => Some(
            evaluate(source, &ordered, &Options { mode: Mode::Typed, ..Options::default() }).map_err(|d| vec![d])?,
        ),
        false => None,
    };
    let mut found = vec![];
    for (i, output) in main.outputs.iter().enumerate() {
        let bound = match &typed {
            Some(typed) => (TYPED_FACTOR * relative_l2(&typed[i], &exact[i])).max(F32_BOUND),
            None => F32_BOUND,
        };
        found.push(Found {
            output: output.name.clone(),
            error: relative_l2(&from_host(&outputs[i]), &exact[i]),
            bound,
        });
    }
    Ok(found)
}

/// A host tensor as the reference holds it.
fn from_host(tensor: &HostTensor) -> Tensor {
    let shape: Vec<usize> = tensor.shape().iter().map(|d| *d as usize).collect();
    Tensor::from_bytes(tensor.dtype(), &shape, tensor.bytes()).expect("a host tensor holds what dtype and shape say")
}

/// Whether any value of the module is a 16- or 8-bit float.
pub fn reduced_precision(module: &Module) -> bool {
    module.functions.values().any(|f| {
        f.order().iter().any(|id| f.node(*id).results.iter().any(|t| t.dtype.is_float() && t.dtype.bits() <= 16))
    })
}

/// Seeded random contents for an input: N(0, 1) for floats, small non-negative integers for integer types.
pub fn random_tensor(port: &Port, sizes: &Bindings, seed: u64) -> Result<HostTensor, Diagnostic> {
    let shape: Vec<u64> = port
        .shape
        .iter()
        .map(|d| {
            let value = d.eval(sizes).map_err(|e| {
                Diagnostic::error("TC0917", format!("input `{}`: {e}", port.name))
                    .with_help("bind it with --set SYMBOL=N")
            })?;
            u64::try_from(value).map_err(|_| {
                Diagnostic::error("TC0917", format!("input `{}`: a size of {value} is negative", port.name))
            })
        })
        .collect::<Result<_, _>>()?;
    let mut tensor = HostTensor::zeros(port.dtype, &shape)?;
    let count = shape.iter().product::<u64>() as usize;
    // The name enters the seed, so that equal inputs of equal seed still differ.
    let digest = blake3::hash(port.name.as_bytes());
    let name = u64::from_le_bytes(digest.as_bytes()[..8].try_into().expect("eight bytes"));
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name);
    let bytes = match port.dtype.is_float() {
        true => {
            let values: Vec<f64> = (0..count).map(|_| normal(&mut rng)).collect();
            tricot_dialects::scalar::encode(port.dtype, &values)
        }
        false => {
            let modulus = if port.dtype == DType::Bool { 2 } else { 4 };
            let values: Vec<i64> = (0..count).map(|_| (rng.next_u32() % modulus) as i64).collect();
            tricot_dialects::scalar::encode_int(port.dtype, &values)
        }
    };
    tensor.bytes_mut().copy_from_slice(&bytes);
    Ok(tensor)
}

/// One N(0, 1) value (Box-Muller).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let unit = |rng: &mut ChaCha8Rng| (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let (a, b) = (1.0 - unit(rng), unit(rng));
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}
