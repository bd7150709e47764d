//! A Tricot module behind a custom op of candle: `y = relu(x w)²` on tensors of candle's, on the CPU.
//!
//! The central type is [`TricotOp`]. It hands candle's own memory to the module; only tensors that are not contiguous are
//! copied. A bundle from a file would do as well: `Bundle::open` instead of [`compile`].

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use std::sync::Mutex;
use tricot_compiler::{Compiler, Options, Report};
use tricot_runtime::{Bundle, DType, Device, Diagnostic, Instance, Module, RunOptions, TensorRef};
use tricot_types::{Poly, Symbol};

const WIDTH: i64 = 64;

/// A module with two f32 inputs and one f32 output as an op of candle. Threads share it; each call takes an instance of
/// its own from a pool.
struct TricotOp {
    module: Module,
    idle: Mutex<Vec<Instance>>,
}

fn problem(problems: Vec<Diagnostic>) -> candle_core::Error {
    let texts: Vec<String> = problems.iter().map(Diagnostic::to_string).collect();
    candle_core::Error::Msg(texts.join("\n"))
}

impl TricotOp {
    fn new(module: Module) -> TricotOp {
        TricotOp { module, idle: Mutex::default() }
    }

    fn run(
        &self,
        instance: &mut Instance,
        x: &[f32],
        xs: &[usize],
        w: &[f32],
        ws: &[usize],
    ) -> Result<(Vec<f32>, Shape)> {
        let shape = |s: &[usize]| s.iter().map(|d| *d as u64).collect::<Vec<u64>>();
        let view = |values: &[f32], s: &[usize]| TensorRef {
            pointer: values.as_ptr() as u64,
            dtype: DType::F32,
            shape: shape(s),
        };
        let inputs = [view(x, xs), view(w, ws)];
        // Binding tells the output's shape, so that its memory can be candle's own.
        let shapes: Vec<_> = inputs.iter().map(|t| (t.dtype, t.shape.as_slice())).collect();
        instance.bind_shapes(&shapes).map_err(problem)?;
        let dims: Vec<usize> = instance.outputs()[0].shape.iter().map(|d| *d as usize).collect();
        let mut y = vec![0f32; dims.iter().product()];
        let outputs = [TensorRef { pointer: y.as_mut_ptr() as u64, dtype: DType::F32, shape: shape(&dims) }];
        // SAFETY: all three live until the call returns, and have the bytes their shapes say.
        unsafe { instance.run_at(&inputs, &outputs, &RunOptions::default()) }.map_err(problem)?;
        Ok((y, Shape::from_dims(&dims)))
    }
}

impl CustomOp2 for TricotOp {
    fn name(&self) -> &'static str {
        "tricot"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (contiguous(x, xl)?, contiguous(w, wl)?);
        let idle = self.idle.lock().expect("nothing panics while it is held").pop();
        let mut instance = idle.unwrap_or_else(|| self.module.instance());
        let result = self.run(&mut instance, x, xl.dims(), w, wl.dims());
        self.idle.lock().expect("nothing panics while it is held").push(instance);
        let (y, shape) = result?;
        Ok((CpuStorage::F32(y), shape))
    }
}

/// The values of a contiguous f32 tensor.
fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else { candle_core::bail!("the module takes f32 tensors") };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("the module takes contiguous tensors; call `contiguous` first"),
    }
}

/// `y = relu(x w)²` for any number of rows, compiled in process.
fn compile() -> std::result::Result<Module, Vec<Diagnostic>> {
    let rows = Symbol::new("rows").expect("an identifier");
    let mut module = tricot_dialects::Module::new("layer");
    module.symbols.insert(rows.clone(), Default::default());
    tricot_dialects::builder::build_main(&mut module, |b| {
        let ty = |shape: [Poly; 2]| tricot_dialects::TensorType::new(DType::F32, shape);
        let x = b.input("x", ty([Poly::symbol(rows), Poly::from(WIDTH)]));
        let w = b.input("w", ty([Poly::from(WIDTH), Poly::from(WIDTH)]));
        let h = b.contract("ri,io->ro", &[x, w], DType::F32)?;
        let r = b.map("relu", &[h])?;
        let y = b.map("square", &[r])?;
        b.output("y", y);
        Ok(())
    })?;
    let compiler = Compiler::new(Options::default(), vec![Box::new(tricot_cpu::CpuBackend)])?;
    let bytes = compiler.compile(module, &mut Report::default(), &|_| {})?.bundle_bytes()?;
    // SAFETY: this very process compiled the bundle a moment ago.
    unsafe { Module::load_trusted(Bundle::from_bytes("layer", &bytes)?, Device::Cpu) }
}

fn main() -> Result<()> {
    let op = TricotOp::new(compile().map_err(problem)?);
    let cpu = candle_core::Device::Cpu;
    let w = Tensor::randn(0f32, 0.2, (WIDTH as usize, WIDTH as usize), &cpu)?;
    for rows in [1, 5] {
        let x = Tensor::randn(0f32, 1.0, (rows, WIDTH as usize), &cpu)?;
        let y = x.apply_op2_no_bwd(&w, &op)?;
        println!("{rows} rows: {:?}, mean {}", y.shape(), y.mean_all()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative L2 distance of candle's result from loops in float64.
    fn error(x: &Tensor, w: &Tensor, y: &Tensor) -> f64 {
        let (x, w, y) = (x.to_vec2::<f32>().unwrap(), w.to_vec2::<f32>().unwrap(), y.to_vec2::<f32>().unwrap());
        let (mut difference, mut norm) = (0.0, 0.0);
        for (row, out) in x.iter().zip(&y) {
            for (o, have) in out.iter().enumerate() {
                let sum: f64 = row.iter().zip(&w).map(|(a, w)| f64::from(*a) * f64::from(w[o])).sum();
                let want = sum.max(0.0).powi(2);
                difference += (f64::from(*have) - want).powi(2);
                norm += want * want;
            }
        }
        (difference / norm).sqrt()
    }

    fn random(rows: usize) -> Tensor {
        Tensor::randn(0f32, 1.0, (rows, WIDTH as usize), &candle_core::Device::Cpu).unwrap()
    }

    #[test]
    fn the_op_agrees_with_plain_loops_from_many_threads() {
        let op = TricotOp::new(compile().unwrap_or_else(|p| panic!("{}", p[0])));
        let w = random(WIDTH as usize);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (op, w) = (&op, &w);
                scope.spawn(move || {
                    for rows in [1, 7 + thread, 33] {
                        let x = random(rows);
                        let y = x.apply_op2_no_bwd(w, op).unwrap();
                        let error = error(&x, w, &y);
                        assert!(y.dims() == [rows, WIDTH as usize] && error <= 1e-5, "relative error {error:e}");
                    }
                });
            }
        });
    }

    #[test]
    fn slices_of_larger_tensors_are_read_in_place_and_others_refused() {
        let op = TricotOp::new(compile().unwrap_or_else(|p| panic!("{}", p[0])));
        let (x, w) = (random(10), random(WIDTH as usize));
        let part = x.narrow(0, 3, 4).unwrap();
        let y = part.apply_op2_no_bwd(&w, &op).unwrap();
        assert!(error(&part, &w, &y) <= 1e-5);
        let turned = w.t().unwrap();
        let refused = x.apply_op2_no_bwd(&turned, &op).unwrap_err().to_string();
        assert!(refused.contains("contiguous"), "{refused}");
        let narrow = x.narrow(1, 0, 32).unwrap().contiguous().unwrap();
        let refused = narrow.apply_op2_no_bwd(&w, &op).unwrap_err().to_string();
        assert!(refused.contains("TC0804") && refused.contains("`x`"), "{refused}");
    }
}
