//! Emitted kernels in the simulator: a case's PTX against the oracle, without a GPU.
//!
//! The central function is [`simulate`]. Knows no backend; it gets text and a launch.

use crate::cases::Case;
use crate::oracle;
use tricot_plan::{GpuLaunch, Param, Swizzle};
use tricot_ptxsim::machine::tensormap::element_bytes;
use tricot_ptxsim::{Device, Launch, Report, TensorMap, pack};
use tricot_types::{DType, Poly};

/// How a case is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Random moments of asynchronous operations and a random order of warps; the latest legal moments without one.
    pub seed: Option<u64>,
    /// Look for races and missing fences.
    pub order: bool,
    /// Matrix products bit for bit as the tensor core.
    pub exact: bool,
    /// Blocks along x in place of those of the launch, for kernels that take tile after tile.
    pub blocks: Option<u32>,
    /// The clusters to run, by number; all without it.
    pub only: Option<std::ops::Range<u64>>,
    /// Warp instructions after which a run counts as endless.
    pub steps: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { seed: None, order: true, exact: true, blocks: None, only: None, steps: 20_000_000_000 }
    }
}

/// Runs a case's kernel and holds it to what the oracle expects: the error, and the report.
///
/// # Errors
/// What the simulator cannot run, its first finding, or an error above the case's bound.
pub fn simulate(
    case: &Case,
    ptx: &str,
    launch: &GpuLaunch,
    expected: &[Vec<oracle::Num>],
    options: Options,
) -> Result<(f64, Report), String> {
    let ran = run(case, ptx, launch, options)?;
    if let Some(first) = ran.report.findings.first() {
        return Err(format!("{first} [+{}]", ran.report.findings.len() - 1));
    }
    Ok((case.check(expected, &ran.values)?, ran.report))
}

/// What a run left behind.
pub struct Ran {
    pub report: Report,
    /// The elements of every buffer.
    pub values: Vec<Vec<oracle::Num>>,
    /// The bytes of every buffer that are defined.
    pub defined: Vec<Vec<bool>>,
    /// Seconds in the simulator.
    pub seconds: f64,
}

/// Runs a case's kernel on the case's inputs: the report, and what the buffers then hold.
///
/// # Errors
/// What the simulator cannot run.
pub fn run(case: &Case, ptx: &str, launch: &GpuLaunch, options: Options) -> Result<Ran, String> {
    let mut device = Device::new();
    let module = device.load(ptx).map_err(|e| e.to_string())?;
    let program = module.kernel(&case.desc.name).map_err(|e| e.to_string())?;
    let inputs = case.inputs();
    let mut bases = vec![];
    for (values, b) in inputs.iter().zip(&case.desc.buffers) {
        let bytes = oracle::encode(b.dtype, values);
        // Who writes half a byte reads the other half.
        let only_written = b.access == tricot_kernel::Access::Write && b.dtype.bits() >= 8;
        let len = bytes.len();
        bases.push(device.memory.add(&b.name, (!only_written).then_some(bytes), len));
    }
    let size = |p: &Poly| p.eval(&case.bindings).map_err(|e| e.to_string());
    let bytes = size(&launch.scratch)? as usize;
    let scratch = device.memory.add("scratch", launch.zero_scratch.then(|| vec![0; bytes]), bytes);
    let mut arguments = vec![];
    for (p, (_, _, want)) in launch.params.iter().zip(&program.params) {
        let value = match p {
            Param::Buffer(b) => bases[*b as usize],
            Param::Symbol(s) => case.bindings[&case.desc.symbols[*s as usize]] as u64,
            Param::Value(v) | Param::Word(v) => size(v)? as u64,
            Param::Scratch => scratch,
            Param::TensorMap(map) => {
                arguments.push(tensor_map(map, bases[map.buffer as usize], &size)?.encode().to_vec());
                continue;
            }
        };
        arguments.push(value.to_le_bytes()[..(*want as usize).min(8)].to_vec());
    }
    let grid = launch.grid.iter().map(|p| Ok(size(p)? as u32)).collect::<Result<Vec<u32>, String>>()?;
    let mut report = Report::default();
    let mut seconds = 0.0;
    if !grid.contains(&0) {
        let launch = Launch {
            grid: [options.blocks.unwrap_or(grid[0]).min(grid[0]), grid[1], grid[2]],
            block: launch.block,
            cluster: launch.cluster,
            only: options.only,
            dynamic_shared: launch.shared_bytes,
            params: pack(&program, &arguments)?,
            seed: options.seed,
            order: options.order,
            exact: options.exact,
            step_limit: options.steps,
            ..Launch::default()
        };
        let start = std::time::Instant::now();
        report = device.run(&module, &program, &launch);
        seconds = start.elapsed().as_secs_f64();
    }
    let (mut got, mut defined) = (vec![], vec![]);
    for ((base, b), values) in bases.iter().zip(&case.desc.buffers).zip(&inputs) {
        let region = device.memory.region(*base).ok_or("a buffer is gone")?;
        got.push(oracle::decode(b.dtype, &region.data, values.len()));
        defined.push(region.state.iter().map(|s| s & 1 != 0).collect());
    }
    Ok(Ran { report, values: got, defined, seconds })
}

fn tensor_map(
    map: &tricot_plan::TensorMap,
    base: u64,
    size: &impl Fn(&Poly) -> Result<i64, String>,
) -> Result<TensorMap, String> {
    // Numbers of `tensormap.replace` (PTX ISA 9.7.9.28).
    let elemtype = match map.dtype {
        DType::F32 => 7,
        DType::F64 => 9,
        DType::F16 => 6,
        DType::BF16 => 10,
        DType::I32 => 3,
        DType::U32 => 2,
        DType::I16 | DType::U16 => 1,
        _ => 0,
    };
    let values = |p: &[Poly]| p.iter().map(|p| Ok(size(p)? as u64)).collect::<Result<Vec<u64>, String>>();
    let tensor = TensorMap {
        address: base + size(&map.offset)? as u64,
        elemtype,
        element: element_bytes(elemtype).unwrap_or(1),
        dims: values(&map.dims)?,
        strides: values(&map.strides)?,
        tile: map.tile.clone(),
        element_strides: vec![1; map.dims.len()],
        swizzle: match map.swizzle {
            Swizzle::None => 0,
            Swizzle::B32 => 1,
            Swizzle::B64 => 2,
            Swizzle::B128 => 3,
        },
        interleave: 0,
        fill_nan: false,
    };
    tensor.check().map_err(|e| e.to_string())?;
    Ok(tensor)
}
