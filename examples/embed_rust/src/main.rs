//! Tricot inside another program: build a graph, compile it in process, run it on the CPU.
//!
//! The graph is a linear layer with a squared ReLU, `y = relu(x w)²`, for any number of rows.

use tricot_compiler::{Compiler, Options, Report};
use tricot_dialects::builder::build_main;
use tricot_dialects::{Constant, Module, TensorType};
use tricot_runtime::bundle::Bundle;
use tricot_runtime::{Device, HostTensor, RunOptions};
use tricot_types::{DType, Diagnostic, Poly, Symbol};

const INPUTS: usize = 64;
const OUTPUTS: usize = 32;

/// The layer with the given weights, row-major `[INPUTS, OUTPUTS]`.
fn layer(weights: &[f64]) -> Result<Module, Diagnostic> {
    let rows = Symbol::new("rows").expect("an identifier");
    let mut module = Module::new("layer");
    module.symbols.insert(rows.clone(), Default::default());
    build_main(&mut module, |b| {
        let x = b.input("x", TensorType::new(DType::F32, [Poly::symbol(rows), Poly::from(INPUTS as i64)]));
        let w = b.constant(Constant::from_f64(DType::F32, vec![INPUTS as u64, OUTPUTS as u64], weights))?;
        let h = b.contract("ri,io->ro", &[x, w], DType::F32)?;
        let r = b.map("relu", &[h])?;
        let y = b.map("square", &[r])?;
        b.output("y", y);
        Ok(())
    })?;
    Ok(module)
}

/// Compiles the module for the CPU and loads it.
fn load(module: Module) -> Result<tricot_runtime::Module, Vec<Diagnostic>> {
    let compiler = Compiler::new(Options::default(), vec![Box::new(tricot_cpu::CpuBackend)])?;
    let bytes = compiler.compile(module, &mut Report::default(), &|_| {})?.bundle_bytes()?;
    // SAFETY: the bundle was compiled a moment ago by this very process.
    unsafe { tricot_runtime::Module::load_trusted(Bundle::from_bytes("layer", &bytes)?, Device::Cpu) }
}

/// Runs the layer on `rows` rows.
fn run(module: &tricot_runtime::Module, rows: usize, x: &[f32]) -> Result<Vec<f32>, Vec<Diagnostic>> {
    let x = HostTensor::from_slice(&[rows as u64, INPUTS as u64], x)?;
    let (outputs, _) = module.instance().run(&[("x", &x)], &RunOptions::default())?;
    Ok(outputs[0].as_slice::<f32>().expect("the output is f32").to_vec())
}

fn data(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn main() {
    let result = layer(&data(INPUTS * OUTPUTS, 1)).map_err(|d| vec![d]).and_then(load).and_then(|module| {
        for rows in [1, 5] {
            let x: Vec<f32> = data(rows * INPUTS, 2).into_iter().map(|v| v as f32).collect();
            let y = run(&module, rows, &x)?;
            println!("{rows} rows: y[0][..4] = {:?}", &y[..4]);
        }
        Ok(())
    });
    if let Err(problems) = result {
        problems.iter().for_each(|p| eprintln!("{p}"));
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_agrees_with_a_plain_loop() {
        let weights = data(INPUTS * OUTPUTS, 3);
        let module = load(layer(&weights).unwrap()).unwrap_or_else(|p| panic!("{}", p[0]));
        for rows in [1, 7, 33] {
            let x: Vec<f32> = data(rows * INPUTS, 4 + rows as u64).into_iter().map(|v| v as f32).collect();
            let y = run(&module, rows, &x).unwrap_or_else(|p| panic!("{}", p[0]));
            let (mut difference, mut norm) = (0.0, 0.0);
            for r in 0..rows {
                for o in 0..OUTPUTS {
                    let w = |i: usize| f64::from(weights[i * OUTPUTS + o] as f32);
                    let sum: f64 = (0..INPUTS).map(|i| f64::from(x[r * INPUTS + i]) * w(i)).sum();
                    let expected = sum.max(0.0).powi(2);
                    difference += (f64::from(y[r * OUTPUTS + o]) - expected).powi(2);
                    norm += expected * expected;
                }
            }
            let error = (difference / norm).sqrt();
            assert!(error <= 1e-5, "{rows} rows: relative error {error:e}");
        }
    }
}
