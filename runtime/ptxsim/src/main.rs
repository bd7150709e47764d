//! `tricot-ptxsim`: runs one kernel of a PTX file on the simulated device and reports.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use tricot_ptxsim::{Device, Launch, Module, Report, pack};

/// Run a kernel of a PTX file on a CPU and report out-of-bounds accesses, uninitialised data, barrier mistakes and deadlocks
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The PTX file
    file: PathBuf,
    /// Kernel to run; without it the file is checked: every kernel is decoded and what is not supported is listed
    #[arg(long)]
    entry: Option<String>,
    /// Blocks: `x`, `x,y` or `x,y,z`
    #[arg(long, default_value = "1", value_parser = triple)]
    grid: [u32; 3],
    /// Threads of a block
    #[arg(long, default_value = "1", value_parser = triple)]
    block: [u32; 3],
    /// Blocks of a cluster
    #[arg(long, default_value = "1", value_parser = triple)]
    cluster: [u32; 3],
    /// Arguments in order: `u32:7`, `i64:-1`, `f32:0.5`, `out:BYTES` (uninitialised), `zero:BYTES`, `in:FILE` (raw bytes)
    #[arg(long = "arg", allow_hyphen_values = true)]
    args: Vec<String>,
    /// Dynamic shared memory in bytes
    #[arg(long, default_value_t = 0)]
    shared: u32,
    /// Registers of a thread at launch, for `setmaxnreg`
    #[arg(long)]
    regs: Option<u32>,
    /// Random order of warps and moments of asynchronous operations
    #[arg(long)]
    seed: Option<u64>,
    /// End with a finding after so many warp instructions
    #[arg(long, default_value_t = 1_000_000_000)]
    steps: u64,
    /// Write the buffer of the argument with this number, from 0, to a file: `2=out.bin`
    #[arg(long)]
    save: Vec<String>,
    /// Matrix products: bit for bit as the tensor core, or in host floats
    #[arg(long, value_enum, default_value_t = Mma::Exact)]
    mma: Mma,
    /// Do not check the order of accesses to memory
    #[arg(long)]
    no_order: bool,
    /// PTX lines of two accesses: print the operations that order the second after the first
    #[arg(long, num_args = 2, value_names = ["LINE", "LINE"])]
    explain_order: Option<Vec<u32>>,
    /// Run only these clusters (blocks without clusters) by their number in the grid, x fastest: `5` or `5..8`
    #[arg(long, value_parser = range)]
    only: Option<std::ops::Range<u64>>,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Mma {
    Exact,
    Fast,
}

fn triple(text: &str) -> Result<[u32; 3], String> {
    let mut out = [1; 3];
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > 3 {
        return Err("at most three numbers".into());
    }
    for (o, p) in out.iter_mut().zip(&parts) {
        *o = p.trim().parse().map_err(|_| format!("`{p}` is not a number"))?;
    }
    Ok(out)
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let number = |t: &str| t.trim().parse::<u64>().map_err(|_| format!("`{t}` is not a number"));
    match text.split_once("..") {
        Some((a, b)) => Ok(number(a)?..number(b)?),
        None => number(text).map(|n| n..n.saturating_add(1)),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match work(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// Bytes of an argument, and its buffer's address if it is one.
fn argument(device: &mut Device, n: usize, text: &str) -> Result<(Vec<u8>, Option<u64>), String> {
    let (kind, value) = text.split_once(':').ok_or_else(|| format!("argument `{text}`: `kind:value` is expected"))?;
    let wrong = || format!("argument `{text}`: `{value}` does not fit {kind}");
    let name = format!("argument {n}");
    let size = || value.parse::<usize>().ok().filter(|n| *n <= 1 << 34).ok_or_else(wrong);
    let base = match kind {
        "u8" => return Ok((value.parse::<u8>().map_err(|_| wrong())?.to_le_bytes().to_vec(), None)),
        "u32" => return Ok((value.parse::<u32>().map_err(|_| wrong())?.to_le_bytes().to_vec(), None)),
        "i32" => return Ok((value.parse::<i32>().map_err(|_| wrong())?.to_le_bytes().to_vec(), None)),
        "u64" => return Ok((value.parse::<u64>().map_err(|_| wrong())?.to_le_bytes().to_vec(), None)),
        "i64" => return Ok((value.parse::<i64>().map_err(|_| wrong())?.to_le_bytes().to_vec(), None)),
        "f32" => return Ok((value.parse::<f32>().map_err(|_| wrong())?.to_le_bytes().to_vec(), None)),
        "f64" => return Ok((value.parse::<f64>().map_err(|_| wrong())?.to_le_bytes().to_vec(), None)),
        "out" => device.memory.add(&name, None, size()?),
        "zero" => device.memory.add(&name, Some(vec![0; size()?]), 0),
        "in" => device.memory.add(&name, Some(std::fs::read(value).map_err(|e| format!("{value}: {e}"))?), 0),
        _ => return Err(format!("argument `{text}`: kinds are u8 u32 i32 u64 i64 f32 f64 out zero in")),
    };
    Ok((base.to_le_bytes().to_vec(), Some(base)))
}

fn check(module: &Module) -> Result<bool, String> {
    let mut good = true;
    for name in module.kernels() {
        match module.kernel(name) {
            Ok(p) => {
                println!("{name}: {} instructions, {} bytes of static shared memory", p.code.len(), p.static_shared)
            }
            Err(e) => {
                good = false;
                eprintln!("{name}:\n{e}");
            }
        }
    }
    Ok(good)
}

fn work(options: &Options) -> Result<bool, String> {
    let text = std::fs::read_to_string(&options.file).map_err(|e| format!("{}: {e}", options.file.display()))?;
    let mut device = Device::new();
    let module = device.load(&text).map_err(|e| format!("{}: {e}", options.file.display()))?;
    let Some(entry) = &options.entry else { return check(&module) };
    let program = module.kernel(entry).map_err(|e| format!("{}: {e}", options.file.display()))?;
    let made =
        options.args.iter().enumerate().map(|(n, a)| argument(&mut device, n, a)).collect::<Result<Vec<_>, _>>()?;
    let (arguments, buffers): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    let launch = Launch {
        grid: options.grid,
        block: options.block,
        cluster: options.cluster,
        dynamic_shared: options.shared,
        params: pack(&program, &arguments)?,
        registers: options.regs,
        seed: options.seed,
        step_limit: options.steps,
        counters: true,
        order: !options.no_order,
        explain: options.explain_order.as_ref().map(|l| (l[0], l[1])),
        only: options.only.clone(),
        exact: options.mma == Mma::Exact,
    };
    let report = device.run(&module, &program, &launch);
    for save in &options.save {
        let (n, file) = save.split_once('=').ok_or_else(|| format!("--save {save}: `number=file` is expected"))?;
        let base = n.parse::<usize>().ok().and_then(|n| buffers.get(n).copied().flatten());
        let region =
            base.and_then(|b| device.memory.region(b)).ok_or_else(|| format!("--save {save}: no such buffer"))?;
        std::fs::write(file, &region.data).map_err(|e| format!("{file}: {e}"))?;
    }
    if options.json {
        println!("{:#}", report.json());
    } else {
        print(&report);
    }
    Ok(report.errors().next().is_none())
}

fn print(report: &Report) {
    print!("{}", report.output);
    for (follows, finding) in report.by_cause() {
        println!("{}{finding}", if follows { "  may follow from it: " } else { "" });
    }
    println!("{} findings", report.findings.len());
    for step in &report.order {
        println!("{step}");
    }
    println!(
        "{} blocks, {} warp instructions, {} lane instructions",
        report.blocks, report.instructions, report.lane_instructions
    );
    for (what, bytes) in &report.bytes {
        println!("{what}: {bytes} bytes");
    }
    for (kind, what) in ["load", "store"].into_iter().enumerate() {
        let share = |space: &str, count: u64, size: u64| {
            let moved = report.bytes.get(format!("{space} {what}").as_str()).copied().unwrap_or(0);
            format!("{:.0} % of their bytes used", moved as f64 * 100.0 / (size * count) as f64)
        };
        let (sectors, lines, passes) = (report.sectors[kind], report.lines[kind], report.passes[kind]);
        if sectors > 0 {
            let used = share("global", sectors, 32);
            println!("global {what}: {sectors} sectors of 32 bytes, {used}, in {lines} lines");
        }
        if passes > 0 {
            let used = share("shared", passes, 128);
            println!("shared {what}: {passes} passes of 128 bytes, {used}");
        }
    }
    for (line, passes) in &report.bank_conflicts {
        println!("bank conflicts at PTX line {line}: {passes} more passes");
    }
    if report.tensor_operations > 0 {
        println!("tensor cores: {} multiply-adds", report.tensor_operations);
    }
}
