//! Running a flattened module call by call.

mod access;
mod attention;
pub mod contract;
mod elementwise;
mod fold;
mod movement;

use crate::array::{Array, row_major};
use crate::boxes::{Range, folded, is_view, sliceable, whole};
use crate::lower::{Call, Program, Value, bind, lower};
use crate::plan::{Source, Step, cut, last_reads, plan};
use crate::tensor::{Data, Tensor};
use crate::{Mode, Options};
use rayon::prelude::*;
use std::collections::BTreeSet;
use tricot_dialects::scalar::round_float;
use tricot_dialects::{Module, ScalarFn};
use tricot_types::{DType, Diagnostic};

/// Runs `main`. Inputs come in the order of its parameters, results in the order of its outputs.
///
/// Errors: TC0800 to TC0803 for inputs that do not fit the module, TC0804 when even the smallest slices exceed the memory cap.
pub fn evaluate(module: &Module, inputs: &[Tensor], options: &Options) -> Result<Vec<Tensor>, Diagnostic> {
    let shapes: Vec<&[usize]> = inputs.iter().map(|t| t.shape.as_slice()).collect();
    let bindings = bind(module, &shapes, &options.symbols)?;
    let main = module.main().expect("bind found it");
    for (name, (ty, tensor)) in main.input_names().zip(main.input_types().iter().zip(inputs)) {
        let fits = ty.dtype == tensor.dtype && matches!(tensor.data, Data::Float(_)) == ty.dtype.is_float();
        if !fits {
            let message = format!("input `{name}` is {}, the module says {ty}", tensor.dtype);
            return Err(Diagnostic::error("TC0801", message));
        }
    }
    let program = lower(module, &bindings)?;
    let mut run = Run::new(&program, inputs, options);
    run.all()?;
    let outputs = program.outputs.clone();
    Ok(outputs.iter().map(|v| run.take(*v)).collect())
}

/// Bytes that a part of a value too large to store takes, as far as possible.
const PART: u64 = 128 << 20;

struct Run<'a> {
    program: &'a Program,
    inputs: &'a [Tensor],
    options: &'a Options,
    values: Vec<Vec<Option<Array>>>,
    /// Calls whose results are never stored as a whole.
    unstored: Vec<bool>,
    needed: Vec<bool>,
}

impl<'a> Run<'a> {
    fn new(program: &'a Program, inputs: &'a [Tensor], options: &'a Options) -> Run<'a> {
        let n = program.calls.len();
        let mut needed = vec![false; n];
        let outputs: BTreeSet<usize> = program.outputs.iter().map(|v| v.0).collect();
        outputs.iter().for_each(|c| needed[*c] = true);
        for c in (0..n).rev().filter(|c| needed[*c]).collect::<Vec<_>>() {
            mark(program, c, &mut needed);
        }
        let limit = options.memory_cap / 8;
        let mut unstored = vec![false; n];
        for (c, call) in program.calls.iter().enumerate() {
            let bytes = 8 * call.types.iter().map(|(_, s)| s.iter().product::<usize>() as u64).sum::<u64>();
            let free = is_view(call) && call.operands.first().is_none_or(|v| !unstored[v.0]);
            let fixed = call.input.is_some() || call.types.len() != 1 || call.op.name == "core.constant";
            unstored[c] = bytes > limit && !free && !fixed && !outputs.contains(&c);
        }
        let values = program.calls.iter().map(|c| vec![None; c.types.len()]).collect();
        Run { program, inputs, options, values, unstored, needed }
    }

    /// Runs every call that is stored, freeing values after their last reader.
    fn all(&mut self) -> Result<(), Diagnostic> {
        let n = self.program.calls.len();
        let mut last = vec![0; n];
        for c in (0..n).filter(|c| self.needed[*c] && !self.unstored[*c]) {
            let mut seen = BTreeSet::new();
            self.read_by(c, &mut seen);
            seen.into_iter().for_each(|v| last[v] = c);
        }
        self.program.outputs.iter().for_each(|v| last[v.0] = n);
        let mut dying = vec![vec![]; n + 1];
        last.iter().enumerate().for_each(|(v, at)| dying[*at].push(v));
        for c in 0..n {
            if self.needed[c] && !self.unstored[c] {
                self.values[c] = self.call(c)?.into_iter().map(Some).collect();
            }
            for v in &dying[c] {
                if *v != c {
                    self.values[*v].iter_mut().for_each(|a| *a = None);
                }
            }
        }
        Ok(())
    }

    /// Stored calls that a call reads, directly or through unstored ones.
    fn read_by(&self, call: usize, seen: &mut BTreeSet<usize>) {
        for v in &self.program.calls[call].operands {
            if seen.insert(v.0) && self.unstored[v.0] {
                self.read_by(v.0, seen);
            }
        }
    }

    fn take(&mut self, v: Value) -> Tensor {
        let array = self.values[v.0][v.1].clone().expect("outputs are stored");
        let (dtype, shape) = self.program.calls[v.0].types[v.1].clone();
        Tensor { dtype, shape, data: array.into_data() }
    }

    fn call(&self, c: usize) -> Result<Vec<Array>, Diagnostic> {
        let call = &self.program.calls[c];
        if let Some(i) = call.input {
            return Ok(vec![self.argument(i, call)]);
        }
        let stored = |v: usize| !self.unstored[v];
        let folds = whole(&folded(self.program, call));
        let shape = &call.types[0].1;
        if call.operands.iter().all(|v| stored(v.0)) {
            let steps = plan(self.program, c, whole(shape), folds, &stored);
            return Ok(self.steps(&steps, true));
        }
        // Small parts stay in cache and in memory the allocator keeps; the cap allows larger ones where they must be. As many
        // parts as there are threads are computed at a time.
        let cap = self.options.memory_cap / 2;
        let small = (cap / rayon::current_num_threads() as u64).min(PART);
        let mut found = cut(self.program, c, small, &stored);
        if found.2 > small {
            found = cut(self.program, c, cap, &stored);
        }
        let (lengths, fold_lengths, peak) = found;
        if peak > self.options.memory_cap {
            let message =
                format!("computing `{}` takes {peak} bytes, the cap is {}", call.op.name, self.options.memory_cap);
            return Err(Diagnostic::error("TC0804", message).with_help("raise the memory cap"));
        }
        let single = lengths == *shape && fold_lengths == folds.iter().map(|f| f.1).collect::<Vec<_>>();
        if single {
            let steps = plan(self.program, c, whole(shape), folds, &stored);
            return Ok(self.steps(&steps, true));
        }
        let total: usize = shape.iter().product();
        let mut out = match call.types[0].0.is_float() {
            true => Data::Float(vec![0.0; total]),
            false => Data::Int(vec![0; total]),
        };
        // Positions only; the buffer is `out`.
        let frame = Array { data: Default::default(), offset: 0, strides: row_major(shape), shape: shape.clone() };
        let fold_sizes: Vec<usize> = folds.iter().map(|f| f.1).collect();
        let one = |part: &Vec<Range>| {
            let mut sum: Option<Array> = None;
            for fold in grid(&fold_sizes, &fold_lengths) {
                let steps = plan(self.program, c, part.clone(), fold, &stored);
                let piece = self.steps(&steps, false).remove(0);
                sum = Some(match sum {
                    None => piece,
                    Some(old) => self.combine(call, old, piece),
                });
            }
            self.round(call.types[0].0, sum.expect("at least one part"))
        };
        let parts = grid(shape, &lengths);
        let pieces: Vec<Array> = match peak <= small {
            true => parts.par_iter().map(one).collect(),
            false => parts.iter().map(one).collect(),
        };
        for (part, piece) in parts.iter().zip(&pieces) {
            movement::write(&mut out, &frame.part(part), piece);
        }
        Ok(vec![Array::new(shape.clone(), out)])
    }

    /// Joins two partial folds.
    fn combine(&self, call: &Call, a: Array, b: Array) -> Array {
        let kind = if call.op.name == "core.contract" { "sum" } else { call.attrs.str("kind") };
        let f: ScalarFn = fold::function(kind);
        let shape = a.shape.clone();
        let dtype = call.types[0].0;
        match dtype.is_float() {
            true => {
                let narrow = self.narrow(dtype) && matches!(kind, "sum" | "prod");
                let g = |x, y| if narrow { f64::from(f.eval(x, y) as f32) } else { f.eval(x, y) };
                Array::floats(shape, crate::array::map2(a.f(), &a, b.f(), &b, g))
            }
            false => Array::ints(shape, crate::array::map2(a.i(), &a, b.i(), &b, |x, y| f.eval_int(dtype, x, y))),
        }
    }

    /// Whether sums of this type accumulate in f32.
    fn narrow(&self, dtype: DType) -> bool {
        self.options.mode == Mode::Typed && dtype.is_float() && dtype != DType::F64
    }

    /// Attention takes its weights in the operands' type where that has 16 bits.
    fn weight_rounding(&self, call: &Call) -> impl Fn(f64) -> f64 + Sync + use<> {
        let dtype = call.types[0].0;
        let narrow = self.narrow(dtype) && dtype.bits() == 16;
        move |x| if narrow { round_float(dtype, x, false) } else { x }
    }

    fn round(&self, dtype: DType, a: Array) -> Array {
        match self.options.mode == Mode::Typed && dtype.is_float() && dtype != DType::F64 {
            true => Array::floats(a.shape.clone(), crate::array::map1(a.f(), &a, |x| round_float(dtype, x, false))),
            false => a,
        }
    }

    fn argument(&self, i: usize, call: &Call) -> Array {
        let tensor = &self.inputs[i];
        self.round(call.types[0].0, Array::new(tensor.shape.clone(), tensor.data.clone()))
    }

    /// Runs a plan; the results of its last step, rounded if `round`.
    fn steps(&self, steps: &[Step], round: bool) -> Vec<Array> {
        let last = last_reads(self.program, steps);
        let mut results: Vec<Vec<Array>> = Vec::with_capacity(steps.len());
        for (at, step) in steps.iter().enumerate() {
            let operand = |source: &Source| match source {
                Source::Step(s) => results[*s][0].clone(),
                Source::Stored(v, part) => {
                    self.values[v.0][v.1].as_ref().expect("operands are computed first").part(part)
                }
            };
            let operands: Vec<Array> = step.operands.iter().map(operand).collect();
            let call = &self.program.calls[step.call];
            let mut out = self.step(call, step, &operands);
            if !sliceable(call) && out.len() == 1 {
                out[0] = out[0].part(&step.range);
            }
            drop(operands);
            // What moves elements has nothing to round.
            let exact = is_view(call) || !call.types[0].0.is_float();
            if (round || at + 1 < steps.len()) && !exact {
                out = out.into_iter().zip(&call.types).map(|(a, (d, _))| self.round(*d, a)).collect();
            }
            results.push(out);
            for s in 0..at {
                if last[s] <= at {
                    results[s].clear();
                }
            }
        }
        results.pop().unwrap_or_default()
    }

    fn step(&self, call: &Call, step: &Step, v: &[Array]) -> Vec<Array> {
        let range = &step.range;
        let one = |a| vec![a];
        let dtypes: Vec<DType> = call.operands.iter().map(|o| self.program.dtype(*o)).collect();
        let shapes: Vec<&[usize]> = call.operands.iter().map(|o| self.program.shape(*o)).collect();
        match call.op.name {
            "core.map" => one(elementwise::map(call, dtypes[0], v)),
            "core.select" => one(elementwise::select(v)),
            "core.cast" => one(elementwise::cast(call, dtypes[0], v, self.options.mode)),
            "core.broadcast" => one(movement::broadcast(call, range, v)),
            "core.transpose" => one(v[0].permute(call.attrs.ints("perm").iter().map(|p| *p as usize))),
            "core.reshape" => one(movement::reshape(shapes[0], &call.types[0].1, range, v)),
            "core.slice" => one(movement::slice(call, range, v)),
            "core.window" => one(movement::window(call, range, v)),
            "core.pad" => one(movement::pad(call, range, shapes[0], v)),
            "core.concat" => one(movement::concat(call, range, v)),
            "core.iota" => one(movement::iota(call, range)),
            "core.size" => one(Array::ints(vec![], vec![crate::lower::size(call.attrs.dim("value"))])),
            "core.constant" => {
                let hash = call.attrs.constant("value");
                let tensor = Tensor::from_constant(self.program.constants.get(hash).expect("verified"));
                one(Array::new(tensor.shape, tensor.data))
            }
            "core.random" => one(crate::random::random(call)),
            "core.reduce" => one(fold::reduce(call, dtypes[0], &v[0], self.narrow(dtypes[0]))),
            "core.scan" => {
                let full = fold::scan(call, dtypes[0], &v[0], self.narrow(dtypes[0]));
                let axis = call.attrs.int("axis") as usize;
                let mut part = whole(&full.shape);
                part[axis] = range[axis];
                one(full.part(&part))
            }
            "core.arg_reduce" => one(access::arg_reduce(call, dtypes[0], &v[0])),
            "core.top_k" => access::top_k(call, dtypes[0], &v[0]),
            "core.contract" => one(contract::contract(call, v, range, &step.folds, self.narrow(dtypes[0]))),
            "core.gather" => one(access::gather(call, v)),
            "core.scatter" => one(access::scatter(call, dtypes[0], v, self.options.mode)),
            "core.update_slice" => one(access::update_slice(call, v)),
            "nn.attention" => attention::dot(call, v, self.weight_rounding(call)),
            "trilinear.attention" => attention::trilinear(call, v, self.weight_rounding(call)),
            "trilinear.attention_backward" => attention::trilinear_backward(call, v),
            other => unreachable!("`{other}` was not lowered"),
        }
    }
}

fn mark(program: &Program, call: usize, needed: &mut [bool]) {
    let mut stack = vec![call];
    while let Some(c) = stack.pop() {
        for v in &program.calls[c].operands {
            if !std::mem::replace(&mut needed[v.0], true) {
                stack.push(v.0);
            }
        }
    }
}

/// All parts of a shape, at most `lengths` long each.
fn grid(shape: &[usize], lengths: &[usize]) -> Vec<Vec<Range>> {
    let mut out = vec![vec![]];
    for (n, len) in shape.iter().zip(lengths) {
        let cuts: Vec<Range> = match n {
            0 => vec![(0, 0)],
            _ => (0..*n).step_by((*len).max(1)).map(|s| (s, (*len).max(1).min(n - s))).collect(),
        };
        out = out
            .into_iter()
            .flat_map(|head: Vec<Range>| {
                cuts.iter().map(move |c| head.iter().copied().chain([*c]).collect()).collect::<Vec<_>>()
            })
            .collect();
    }
    out
}
