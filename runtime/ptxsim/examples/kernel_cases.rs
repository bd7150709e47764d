//! Runs compiled kernel cases in the simulator and compares with the oracle.
//! `TRICOT_SIM_FAST=1` multiplies matrices in host floats.
//! `TRICOT_SIM_PLAIN=1` leaves the order of accesses unchecked.
//!
//! `kernel_cases DIR [NAME-PART]`: DIR holds `<case>.json` (a `GpuLaunch`) and `<case>.ptx`, and with the suffix `.generic`
//! for kernels that avoid tensor cores. `TRICOT_SIM_SEEDS=N` runs each case under N seeds as well.

use std::path::Path;
use std::time::Instant;
use tricot_kernel_tests::cases::{self, Case};
use tricot_kernel_tests::oracle;
use tricot_plan::{GpuLaunch, Param, Swizzle};
use tricot_ptxsim::{Device, Launch, Report, TensorMap, pack};
use tricot_types::DType;

/// The relative error, the report, and the seconds of the launch alone.
fn run(folder: &Path, case: &Case, name: &str, seed: Option<u64>) -> Result<(f64, Report, f64), String> {
    let read = |end: &str| std::fs::read_to_string(folder.join(format!("{name}.{end}"))).map_err(|e| e.to_string());
    let launch: GpuLaunch = serde_json::from_str(&read("json")?).map_err(|e| e.to_string())?;
    let mut device = Device::new();
    let module = device.load(&read("ptx")?).map_err(|e| e.to_string())?;
    let program = module.kernel(&case.desc.name).map_err(|e| e.to_string())?;
    let inputs = case.inputs();
    let mut bases = vec![];
    for (values, b) in inputs.iter().zip(&case.desc.buffers) {
        let bytes = oracle::encode(b.dtype, values);
        let nibbles = matches!(b.dtype, DType::I4 | DType::U4);
        let only_written = b.access == tricot_kernel::Access::Write && !nibbles;
        let len = bytes.len();
        bases.push(device.memory.add(&b.name, (!only_written).then_some(bytes), len));
    }
    let size = |p: &tricot_types::Poly| p.eval(&case.bindings).map_err(|e| e.to_string());
    let bytes = size(&launch.scratch)? as usize;
    let scratch = device.memory.add("scratch", launch.zero_scratch.then(|| vec![0; bytes]), bytes);
    let mut arguments = vec![];
    for (n, p) in launch.params.iter().enumerate() {
        let want = program.params.get(n).map_or(8, |p| p.2 as usize);
        let value = match p {
            Param::Buffer(b) => bases[*b as usize],
            Param::Symbol(s) => case.bindings[&case.desc.symbols[*s as usize]] as u64,
            Param::Value(v) => size(v)? as u64,
            Param::Scratch => scratch,
            Param::TensorMap(map) => {
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
                let values = |p: &[tricot_types::Poly]| {
                    p.iter().map(|p| size(p).map(|v| v as u64)).collect::<Result<Vec<_>, _>>()
                };
                let tensor = TensorMap {
                    address: bases[map.buffer as usize] + size(&map.offset)? as u64,
                    elemtype,
                    element: tricot_ptxsim::machine::tensormap::element_bytes(elemtype).unwrap_or(1),
                    dims: values(&map.dims)?.into_iter().map(|d| d as u32).collect(),
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
                tensor.check()?;
                arguments.push(tensor.encode().to_vec());
                continue;
            }
        };
        arguments.push(value.to_le_bytes()[..want.min(8)].to_vec());
    }
    let grid: Vec<i64> = launch.grid.iter().map(size).collect::<Result<_, _>>()?;
    let mut report = Report::default();
    let mut seconds = 0.0;
    if grid.iter().all(|n| *n > 0) {
        let launch = Launch {
            grid: [grid[0] as u32, grid[1] as u32, grid[2] as u32],
            block: launch.block,
            cluster: launch.cluster,
            dynamic_shared: launch.shared_bytes,
            params: pack(&program, &arguments)?,
            registers: program.bounds.maxntid.map(|t| (65536 / t.iter().product::<u32>() / 8 * 8).min(168)),
            seed,
            order: std::env::var_os("TRICOT_SIM_PLAIN").is_none(),
            exact: std::env::var_os("TRICOT_SIM_FAST").is_none(),
            ..Launch::default()
        };
        let start = Instant::now();
        report = device.run(&module, &program, &launch);
        seconds = start.elapsed().as_secs_f64();
    }
    if let Some(first) = report.findings.first() {
        let more = report.findings.len() - 1;
        return Err(format!("{first} [+{more}]"));
    }
    let mut got = vec![];
    for ((base, b), values) in bases.iter().zip(&case.desc.buffers).zip(&inputs) {
        let region = device.memory.region(*base).ok_or("a buffer")?;
        got.push(oracle::decode(b.dtype, &region.data, values.len()));
    }
    Ok((case.check(&case.expected(&inputs), &got)?, report, seconds))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(&args[0]);
    let part = args.get(1).cloned().unwrap_or_default();
    let seeds: u64 = std::env::var("TRICOT_SIM_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let (mut good, mut bad) = (0, 0);
    let start = Instant::now();
    for case in cases::all().into_iter().filter(|c| c.desc.name.contains(&part)) {
        for suffix in ["", ".generic"] {
            let name = format!("{}{suffix}", case.desc.name);
            if !folder.join(format!("{name}.ptx")).is_file() {
                continue;
            }
            for seed in std::iter::once(None).chain((0..seeds).map(Some)) {
                match std::panic::catch_unwind(|| run(folder, &case, &name, seed)) {
                    Ok(Ok((error, report, time))) => {
                        good += 1;
                        if time > 0.3 || args.len() > 1 {
                            let speed = report.lane_instructions as f64 / time / 1e6;
                            println!(
                                "ok {name} {error:.1e} {time:.2} s, {} lane instructions, {speed:.0} M/s",
                                report.lane_instructions
                            );
                        }
                    }
                    Ok(Err(e)) => {
                        bad += 1;
                        println!("BAD {name} (seed {seed:?}): {e}");
                    }
                    Err(_) => {
                        bad += 1;
                        println!("BAD {name} (seed {seed:?}): panics");
                    }
                }
            }
        }
    }
    println!("{good} right, {bad} wrong, {:.1} s", start.elapsed().as_secs_f64());
    if bad > 0 {
        std::process::exit(1);
    }
}
