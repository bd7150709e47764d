//! A plan under given symbol values: every polynomial evaluated, every size and range checked.
//!
//! The central type is [`Bound`]. After [`bind`] succeeds, a device may use its numbers as they are: each
//! buffer lies in its port, weight or the arena, each copy within its buffers, each grid within the hardware's
//! limits. Knows no device memory.

use crate::tensor::tensor_bytes;
use serde::Serialize;
use tricot_plan::{
    BufferId, CpuLaunch, GpuLaunch, How, Launch, Manifest, Param, Plan, Port, Step, Storage, Swizzle, Units,
};
use tricot_types::{Bindings, DType, Diagnostic, Poly, Symbol};

/// Alignment of the arena and of every buffer in it, in bytes.
pub const ARENA_ALIGN: u64 = 256;

/// A plan with numbers for symbols.
#[derive(Clone, Debug)]
pub struct Bound {
    pub inputs: Vec<BoundPort>,
    pub outputs: Vec<BoundPort>,
    pub buffers: Vec<BoundBuffer>,
    pub steps: Vec<BoundStep>,
    /// What each step does.
    pub work: Vec<StepWork>,
    /// Byte offset in the workspace of the scratch memory that all launches share.
    pub scratch_offset: u64,
    /// Bytes of workspace: arena and scratch.
    pub workspace_bytes: u64,
}

impl Bound {
    /// Entry names of the weights, repeats included.
    pub fn weights(&self) -> impl Iterator<Item = &str> {
        self.buffers.iter().filter_map(|b| if let Place::Weight(name) = &b.place { Some(name.as_str()) } else { None })
    }
}

/// What one step does at the bound sizes, as the compiler counted it; zeros where it did not.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StepWork {
    /// Kernel name, `copy` or `zero`.
    pub name: String,
    /// See [`tricot_plan::Work`].
    pub flops: f64,
    pub bytes: f64,
    pub units: Units,
    /// Some loop's length depends on data and was guessed.
    pub estimate: bool,
}

/// An input or output with its actual shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoundPort {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<u64>,
    pub bytes: u64,
    /// For an output: number of the input whose memory it may share.
    pub alias: Option<usize>,
}

/// A buffer of the plan.
#[derive(Clone, Debug)]
pub struct BoundBuffer {
    pub place: Place,
    pub bytes: u64,
}

/// Where it lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    Input(usize),
    Output(usize),
    Weight(String),
    /// Byte offset in the workspace.
    Arena(u64),
}

/// A step with numbers. Buffers by index into [`Bound::buffers`].
#[derive(Clone, Debug)]
pub enum BoundStep {
    Copy { from: usize, to: usize, bytes: u64 },
    Zero { buffer: usize, bytes: u64 },
    Cpu { kernel: String, launch: CpuLaunch, buffers: Vec<usize>, symbols: Vec<i64>, scratch: u64 },
    Gpu(BoundGpu),
}

impl BoundStep {
    /// Kernel name, `copy` or `zero`.
    pub fn name(&self) -> &str {
        match self {
            BoundStep::Copy { .. } => "copy",
            BoundStep::Zero { .. } => "zero",
            BoundStep::Cpu { kernel, .. } => kernel,
            BoundStep::Gpu(gpu) => &gpu.kernel,
        }
    }
}

/// A grid launch with numbers.
#[derive(Clone, Debug)]
pub struct BoundGpu {
    pub kernel: String,
    /// The user's values that it computes, by name and operator.
    pub nodes: Vec<String>,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    pub shared_bytes: u32,
    pub params: Vec<BoundParam>,
    /// Bytes of scratch to zero before the launch.
    pub zero_scratch: u64,
}

impl BoundGpu {
    /// The kernel and the nodes it computes, for messages.
    pub fn place(&self) -> String {
        match &self.nodes[..] {
            [] => format!("kernel `{}`", self.kernel),
            nodes => format!("kernel `{}` of {}", self.kernel, nodes.join(", ")),
        }
    }
}

/// A kernel parameter; buffers by index into [`Bound::buffers`].
#[derive(Clone, PartialEq, Debug)]
pub enum BoundParam {
    Buffer(usize),
    Value(i64),
    Scratch,
    TensorMap(BoundMap),
}

/// A tensor map recipe with numbers.
#[derive(Clone, PartialEq, Debug)]
pub struct BoundMap {
    pub buffer: usize,
    pub offset: u64,
    pub dtype: DType,
    pub dims: Vec<u64>,
    pub strides: Vec<u64>,
    pub tile: Vec<u32>,
    pub swizzle: Swizzle,
}

/// Evaluates the first variant of `plans` that admits `values`. `values` must have passed [`crate::symbols::check`].
///
/// # Errors
/// TC0808 no variant admits the sizes, TC0809 a size is negative or does not fit, TC0813 a buffer or copy leaves its
/// memory: the bundle is faulty.
pub fn bind(manifest: &Manifest, plans: &[Plan], values: &Bindings) -> Result<(usize, Bound), Vec<Diagnostic>> {
    let admits =
        |plan: &Plan| plan.symbols.iter().all(|(s, info)| values.get(s).is_some_and(|v| info.check(*v).is_ok()));
    let Some(variant) = plans.iter().position(admits) else {
        let sizes: Vec<_> = values.iter().map(|(s, v)| format!("{s} = {v}")).collect();
        return Err(vec![
            Diagnostic::error("TC0808", format!("no variant of the bundle admits {}", sizes.join(", ")))
                .with_help("`tricot inspect` lists the variants; build with a bucket that covers these sizes"),
        ]);
    };
    let plan = &plans[variant];
    let binder = Binder { manifest, plan, values };
    let mut bound = Bound {
        inputs: binder.ports(&manifest.inputs)?,
        outputs: binder.ports(&manifest.outputs)?,
        buffers: vec![],
        steps: vec![],
        work: vec![],
        scratch_offset: 0,
        workspace_bytes: size(&plan.arena_bytes, values, "arena")?,
    };
    let arena = bound.workspace_bytes;
    let mut problems = vec![];
    for buffer in &plan.buffers {
        match binder.buffer(&bound, buffer, arena) {
            Ok(b) => bound.buffers.push(b),
            Err(d) => problems.push(d),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let ends = bound.buffers.iter().map(|b| if let Place::Arena(at) = b.place { at + b.bytes } else { 0 });
    bound.scratch_offset = ends.max().unwrap_or(0).next_multiple_of(ARENA_ALIGN);
    let mut scratch = 0;
    for (i, step) in plan.steps.iter().enumerate() {
        let done = binder.step(&bound, step, &mut scratch).map_err(|d| d.at_name(format!("step {i}"), ""))?;
        if let Some(done) = done {
            bound.work.push(binder.work(step, &done));
            bound.steps.push(done);
        }
    }
    let needed = bound.scratch_offset.checked_add(scratch).ok_or_else(|| too_big("workspace", "scratch"))?;
    bound.workspace_bytes = if scratch == 0 { arena } else { arena.max(needed) };
    Ok((variant, bound))
}

fn too_big(what: &str, value: &str) -> Diagnostic {
    Diagnostic::error("TC0809", format!("size of {what}: {value} does not fit")).with_help("bind smaller sizes")
}

/// A polynomial as a size in bytes or elements.
fn size(poly: &Poly, values: &Bindings, what: &str) -> Result<u64, Diagnostic> {
    let value = poly.eval(values).map_err(|e| too_big(what, &e.to_string()))?;
    u64::try_from(value).map_err(|_| {
        Diagnostic::error("TC0809", format!("size of {what}: `{poly}` is {value}, below zero"))
            .with_help("these sizes leave nothing to compute; bind larger ones")
    })
}

fn faulty(message: String) -> Diagnostic {
    Diagnostic::error("TC0813", format!("faulty plan: {message}")).with_help("build the bundle again")
}

struct Binder<'a> {
    manifest: &'a Manifest,
    plan: &'a Plan,
    values: &'a Bindings,
}

impl Binder<'_> {
    fn shape(&self, shape: &[Poly], name: &str) -> Result<Vec<u64>, Diagnostic> {
        shape.iter().map(|dim| size(dim, self.values, name)).collect()
    }

    fn ports(&self, ports: &[Port]) -> Result<Vec<BoundPort>, Diagnostic> {
        let port = |p: &Port| {
            let shape = self.shape(&p.shape, &p.name)?;
            let bytes = tensor_bytes(p.dtype, &shape)?;
            let alias = p.alias.as_ref().and_then(|a| self.manifest.inputs.iter().position(|i| i.name == *a));
            Ok(BoundPort { name: p.name.clone(), dtype: p.dtype, shape, bytes, alias })
        };
        ports.iter().map(port).collect()
    }

    fn buffer(&self, bound: &Bound, buffer: &tricot_plan::PlanBuffer, arena: u64) -> Result<BoundBuffer, Diagnostic> {
        let name = &buffer.name;
        let bytes = tensor_bytes(buffer.dtype, &self.shape(&buffer.shape, name)?)?;
        let within = |what: &str, have: u64, place: Place| match bytes <= have {
            true => Ok(BoundBuffer { place, bytes }),
            false => Err(faulty(format!("buffer `{name}` of {bytes} bytes in {what} of {have} bytes"))),
        };
        match &buffer.storage {
            Storage::Input(n) => within("an input", bound.inputs[*n as usize].bytes, Place::Input(*n as usize)),
            Storage::Output(n) => within("an output", bound.outputs[*n as usize].bytes, Place::Output(*n as usize)),
            Storage::Weight(w) => within("a weight", self.manifest.entries[w].bytes, Place::Weight(w.clone())),
            Storage::Arena { offset } => {
                let at = size(offset, self.values, name)?;
                let end = at.checked_add(bytes).filter(|end| *end <= arena);
                if end.is_none() || at % ARENA_ALIGN != 0 {
                    let message = format!("buffer `{name}` of {bytes} bytes at byte {at} of an arena of {arena} bytes");
                    return Err(faulty(message));
                }
                Ok(BoundBuffer { place: Place::Arena(at), bytes })
            }
        }
    }

    fn step(&self, bound: &Bound, step: &Step, scratch: &mut u64) -> Result<Option<BoundStep>, Diagnostic> {
        let span = |id: BufferId, bytes: &Poly| {
            let (index, bytes) = (id.0 as usize, size(bytes, self.values, "copy")?);
            match bytes <= bound.buffers[index].bytes {
                true => Ok((index, bytes)),
                false => Err(faulty(format!("{bytes} bytes of buffer `{}`", self.plan.buffers[index].name))),
            }
        };
        Ok(Some(match step {
            Step::Copy { from, to, bytes } => {
                let ((from, bytes), (to, _)) = (span(*from, bytes)?, span(*to, bytes)?);
                BoundStep::Copy { from, to, bytes }
            }
            Step::Zero { buffer, bytes } => {
                let (buffer, bytes) = span(*buffer, bytes)?;
                BoundStep::Zero { buffer, bytes }
            }
            Step::Launch(launch) => return self.launch(bound, launch, scratch),
        }))
    }

    /// The numbers of [`StepWork`]. A size that cannot be evaluated counts nothing: no run depends on it.
    fn work(&self, step: &Step, bound: &BoundStep) -> StepWork {
        let mut out =
            StepWork { name: bound.name().into(), flops: 0.0, bytes: 0.0, units: Units::Scalar, estimate: false };
        match (step, bound) {
            // A copy reads and writes.
            (_, BoundStep::Copy { bytes, .. }) => out.bytes = 2.0 * *bytes as f64,
            (_, BoundStep::Zero { bytes, .. }) => out.bytes = *bytes as f64,
            (Step::Launch(Launch { work: Some(work), symbols, symbol_names, .. }), _) => {
                let mut inner = self.values.clone();
                let known = |(name, p): (&Symbol, &Poly)| Some((name.clone(), p.eval(self.values).ok()?));
                inner.extend(symbol_names.iter().zip(symbols).filter_map(known));
                let count = |p: &Poly| p.eval(&inner).map_or(0.0, |n| n.max(0) as f64);
                (out.flops, out.bytes) = (count(&work.flops), count(&work.bytes));
                (out.units, out.estimate) = (work.units, work.estimate);
            }
            _ => {}
        }
        out
    }

    fn launch(&self, bound: &Bound, launch: &Launch, scratch: &mut u64) -> Result<Option<BoundStep>, Diagnostic> {
        let kernel = &launch.kernel;
        self.disjoint(bound, launch)?;
        let value = |p: &Poly| p.eval(self.values).map_err(|e| too_big(kernel, &e.to_string()));
        let symbols = launch.symbols.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        let mut inner = self.values.clone();
        inner.extend(launch.symbol_names.iter().cloned().zip(symbols.iter().copied()));
        let buffers: Vec<usize> = launch.buffers.iter().map(|b| b.0 as usize).collect();
        let mut want = |poly: &Poly| {
            let bytes = size(poly, &inner, &format!("scratch of `{kernel}`"))?;
            *scratch = bytes.max(*scratch);
            Ok::<u64, Diagnostic>(bytes)
        };
        match &launch.how {
            How::Cpu(cpu) => {
                let scratch = want(&cpu.scratch)?;
                let (kernel, launch) = (kernel.clone(), cpu.clone());
                Ok(Some(BoundStep::Cpu { kernel, launch, buffers, symbols, scratch }))
            }
            How::Gpu(gpu) => {
                let bytes = want(&gpu.scratch)?;
                let grid = grid(kernel, gpu, &inner)?;
                if grid.contains(&0) {
                    return Ok(None); // Nothing to compute: an empty tensor.
                }
                let param = |p: &Param| gpu_param(p, &buffers, &symbols, &inner, bound);
                Ok(Some(BoundStep::Gpu(BoundGpu {
                    kernel: kernel.clone(),
                    nodes: launch.nodes.clone(),
                    grid,
                    block: gpu.block,
                    cluster: gpu.cluster,
                    shared_bytes: gpu.shared_bytes,
                    params: gpu.params.iter().map(param).collect::<Result<_, _>>()?,
                    zero_scratch: if gpu.zero_scratch { bytes } else { 0 },
                })))
            }
        }
    }

    /// Distinct arena buffers of one launch must not partly overlap.
    fn disjoint(&self, bound: &Bound, launch: &Launch) -> Result<(), Diagnostic> {
        let mut ranges: Vec<(u64, u64)> = vec![];
        for id in &launch.buffers {
            let b = &bound.buffers[id.0 as usize];
            if let (Place::Arena(at), true) = (&b.place, b.bytes > 0) {
                ranges.push((*at, at + b.bytes));
            }
        }
        ranges.sort_unstable();
        ranges.dedup();
        match ranges.windows(2).find(|w| w[1].0 < w[0].1) {
            None => Ok(()),
            Some(w) => {
                let (a, b) = (w[0], w[1]);
                Err(faulty(format!("kernel `{}` has overlapping buffers at bytes {a:?} and {b:?}", launch.kernel)))
            }
        }
    }
}

/// The grid, within the limits of the hardware and whole clusters.
fn grid(kernel: &str, gpu: &GpuLaunch, values: &Bindings) -> Result<[u32; 3], Diagnostic> {
    let mut grid = [0u32; 3];
    for (axis, limit) in [(0, i32::MAX as u64), (1, 65_535), (2, 65_535)] {
        let blocks = size(&gpu.grid[axis], values, &format!("the grid of `{kernel}`"))?;
        if blocks > limit {
            return Err(Diagnostic::error("TC0809", format!("kernel `{kernel}` needs {blocks} blocks on axis {axis}"))
                .with_note(format!("the hardware allows {limit}"))
                .with_help("bind smaller sizes"));
        }
        grid[axis] = blocks as u32;
        if blocks % u64::from(gpu.cluster[axis]) != 0 {
            return Err(faulty(format!("kernel `{kernel}`: {blocks} blocks in clusters of {}", gpu.cluster[axis])));
        }
    }
    Ok(grid)
}

fn gpu_param(
    param: &Param,
    buffers: &[usize],
    symbols: &[i64],
    values: &Bindings,
    bound: &Bound,
) -> Result<BoundParam, Diagnostic> {
    Ok(match param {
        Param::Buffer(n) => BoundParam::Buffer(buffers[*n as usize]),
        Param::Symbol(n) => BoundParam::Value(symbols[*n as usize]),
        Param::Value(p) | Param::Word(p) => {
            BoundParam::Value(p.eval(values).map_err(|e| too_big("a parameter", &e.to_string()))?)
        }
        Param::Scratch => BoundParam::Scratch,
        Param::TensorMap(map) => {
            let sizes =
                |polys: &[Poly]| polys.iter().map(|p| size(p, values, "a tensor map")).collect::<Result<Vec<_>, _>>();
            let bound_map = BoundMap {
                buffer: buffers[map.buffer as usize],
                offset: size(&map.offset, values, "a tensor map")?,
                dtype: map.dtype,
                dims: sizes(&map.dims)?,
                strides: sizes(&map.strides)?,
                tile: map.tile.clone(),
                swizzle: map.swizzle,
            };
            check_map(&bound_map, bound)?;
            BoundParam::TensorMap(bound_map)
        }
    })
}

/// A tensor map must stay inside its buffer and inside what `cuTensorMapEncodeTiled` accepts.
fn check_map(map: &BoundMap, bound: &Bound) -> Result<(), Diagnostic> {
    let bits = u64::from(map.dtype.bits());
    let mut last = (map.dims[0].saturating_sub(1)).checked_mul(bits / 8);
    for (dim, stride) in map.dims[1..].iter().zip(&map.strides) {
        last = last.and_then(|l| l.checked_add(dim.saturating_sub(1).checked_mul(*stride)?));
    }
    let end = last.and_then(|l| l.checked_add(bits / 8)?.checked_add(map.offset));
    let have = bound.buffers[map.buffer].bytes;
    if end.is_none_or(|end| end > have) && !map.dims.contains(&0) {
        return Err(faulty(format!(
            "a tensor map over {:?} with strides {:?} leaves its {have} bytes",
            map.dims, map.strides
        )));
    }
    let aligned = map.offset.is_multiple_of(16) && map.strides.iter().all(|s| s.is_multiple_of(16) && *s < 1 << 40);
    if !aligned || map.dims.iter().any(|d| !(1..=1 << 32).contains(d)) {
        return Err(Diagnostic::error(
            "TC0826",
            format!("no tensor map has dims {:?}, strides {:?}, offset {}", map.dims, map.strides, map.offset),
        )
        .with_note("strides and offset must be multiples of 16 bytes, dims lie in 1..=2^32")
        .with_help("declare the symbol with a `multiple` that keeps rows aligned, and build again"));
    }
    Ok(())
}
