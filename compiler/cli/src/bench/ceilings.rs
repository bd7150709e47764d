//! What a device could do: operations and bytes a second.
//!
//! The central type is [`Ceilings`]. A GPU's follow from its clocks and units at the highest clock, which power rarely allows for long; a
//! processor's are measured: products by the library the cpu target calls, bytes by adding up memory on all threads.

use rayon::prelude::*;
use serde::Serialize;
use std::time::Instant;
use tricot_plan::Units;
use tricot_runtime::{DType, Device, Diagnostic, StepWork, cuda};

/// Operations a clock and multiprocessor of compute capability 9.0: 16-bit matrix products, twice that for 8-bit ones, half for tf32;
/// f32 multiply-adds on 128 lanes. Source: NVIDIA H100 white paper.
const MATRIX_16: f64 = 4096.0;
const SCALAR_32: f64 = 256.0;

#[derive(Clone, Debug, Serialize)]
pub struct Ceilings {
    pub device: String,
    /// Operations a second of matrix products of 8-, 16- and 32-bit elements.
    pub matrix: [f64; 3],
    pub scalar: f64,
    /// Bytes a second.
    pub bandwidth: f64,
    /// Where the numbers come from.
    pub source: &'static str,
}

impl Ceilings {
    pub fn of(device: Device) -> Result<Ceilings, Vec<Diagnostic>> {
        match device {
            Device::Cpu => Ok(processor()),
            Device::Sim => Err(vec![
                tricot_types::Diagnostic::error("TC0829", "a simulated device has no speed")
                    .with_help("time the bundle on `cpu` or `cuda`"),
            ]),
            Device::Cuda(n) => gpu(n).map_err(|d| vec![d]),
        }
    }

    #[cfg(test)]
    pub fn flat(device: &str, operations: f64, bandwidth: f64) -> Ceilings {
        Ceilings { device: device.into(), matrix: [operations; 3], scalar: operations, bandwidth, source: "given" }
    }

    /// Operations a second of these units.
    pub fn rate(&self, units: Units) -> f64 {
        let matrix = |dtype: DType| match dtype.bits() {
            ..=8 => self.matrix[0],
            16 => self.matrix[1],
            _ => self.matrix[2],
        };
        match units {
            Units::Scalar => self.scalar,
            Units::Matrix(dtype) => matrix(dtype),
            // Counted as dense work, done in half of it on tensor cores.
            Units::Sparse24(dtype) if dtype.bits() <= 16 => 2.0 * matrix(dtype),
            Units::Sparse24(dtype) => matrix(dtype),
        }
    }

    /// The least seconds a step can take.
    pub fn seconds(&self, work: &StepWork) -> f64 {
        (work.flops / self.rate(work.units)).max(work.bytes / self.bandwidth)
    }

    pub fn words(&self) -> String {
        let [narrow, half, single] = self.matrix.map(|r| r / 1e12);
        format!(
            "{narrow:.4} TFLOP/s in products of 8-bit elements, {half:.4} of 16-bit, {single:.4} of 32-bit, {:.4} elsewhere, {:.1} GB/s; {}",
            self.scalar / 1e12,
            self.bandwidth / 1e9,
            self.source
        )
    }
}

fn gpu(ordinal: u32) -> Result<Ceilings, Diagnostic> {
    let clocks = cuda::clocks(ordinal)?;
    let all = cuda::probe()?;
    let (name, units) =
        all.iter().find(|d| d.ordinal == ordinal).map_or(("?".into(), 0), |d| (d.name.clone(), d.multiprocessors));
    let each = f64::from(units) * f64::from(clocks.core_khz) * 1e3;
    Ok(Ceilings {
        device: name,
        // Products of 32-bit elements run on the f32 lanes unless a budget allows tf32.
        matrix: [2.0 * MATRIX_16 * each, MATRIX_16 * each, SCALAR_32 * each],
        scalar: SCALAR_32 * each,
        // Memory transfers twice a clock.
        bandwidth: 2.0 * f64::from(clocks.memory_khz) * 1e3 * f64::from(clocks.bus_bits) / 8.0,
        source: "from units and highest clocks",
    })
}

fn processor() -> Ceilings {
    let threads = rayon::current_num_threads();
    let products = best(3, || products(384));
    Ceilings {
        device: format!("cpu, {threads} threads"),
        matrix: [products; 3],
        scalar: products,
        bandwidth: best(3, || memory(64 << 20)),
        source: "measured: f32 products of the gemm library, reading memory",
    }
}

fn best(times: usize, measure: impl Fn() -> f64) -> f64 {
    (0..times).map(|_| measure()).fold(0.0, f64::max)
}

/// Operations a second of an f32 product on every thread at once.
fn products(n: usize) -> f64 {
    let begin = Instant::now();
    let sum: f32 = (0..rayon::current_num_threads())
        .into_par_iter()
        .map(|_| {
            let (a, b, mut c) = (vec![0.5f32; n * n], vec![0.25f32; n * n], vec![0f32; n * n]);
            for _ in 0..8 {
                let stride = n as isize;
                // SAFETY: three n x n matrices, row-major.
                unsafe {
                    gemm::gemm(
                        n,
                        n,
                        n,
                        c.as_mut_ptr(),
                        1,
                        stride,
                        true,
                        a.as_ptr(),
                        1,
                        stride,
                        b.as_ptr(),
                        1,
                        stride,
                        1.0f32,
                        1.0f32,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
            }
            c[0]
        })
        .sum();
    std::hint::black_box(sum);
    16.0 * (n as f64).powi(3) * rayon::current_num_threads() as f64 / begin.elapsed().as_secs_f64()
}

/// Bytes a second of adding up `elements` words on all threads.
fn memory(elements: usize) -> f64 {
    let words = vec![1u64; elements];
    let begin = Instant::now();
    let sum: u64 = words.par_chunks(1 << 16).map(|c| c.iter().sum::<u64>()).sum();
    std::hint::black_box(sum);
    elements as f64 * 8.0 / begin.elapsed().as_secs_f64()
}
