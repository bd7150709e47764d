//! `tricot run`: a bundle on real or random inputs, compared where asked.

use crate::args::{ModelArgs, Run};
use crate::build::write_out;
use crate::files::{self, Array};
use crate::progress::Progress;
use crate::{Outcome, models};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use tricot_compiler::{Cache, Report, cache, dump, numerics};
use tricot_plan::Port;
use tricot_reference::{Tensor, relative_l2};
use tricot_runtime::bundle::Bundle;
use tricot_runtime::{Device, HostTensor, Module, RunOptions, Timing};
use tricot_types::{Bindings, DType, Diagnostic};

#[derive(Serialize)]
struct RunJson {
    device: String,
    /// Seconds, one a run.
    seconds: Vec<f64>,
    median_seconds: f64,
    outputs: BTreeMap<String, OutputJson>,
}

#[derive(Serialize)]
struct OutputJson {
    dtype: DType,
    shape: Vec<u64>,
    /// Root mean square of the elements; a quick sign of life.
    rms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    relative_error: Option<f64>,
}

pub fn run(args: &Run) -> Outcome {
    let progress = Progress::new();
    let (bundle, given) = match is_bundle(&args.bundle) {
        true => (Bundle::open(&args.bundle)?, models::bindings(&args.set)?),
        false => {
            progress.say("compiling");
            // The code is for the sizes of `--set` already.
            (compile(args)?, Bindings::new())
        }
    };
    let module = load(bundle, args.device.as_deref(), args.digest.as_deref())?;
    // A misspelt output is better known before the run than after it.
    named("output", &args.output, &module.manifest().outputs)?;
    let inputs = inputs(args, &module.manifest().inputs, &given, module.manifest())?;
    let named: Vec<(&str, &HostTensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    // A symbol that `--set` and an array give different values is an error, and so is one that nothing gives a value.
    let shapes: Vec<(&str, &[u64])> = inputs.iter().map(|(n, t)| (n.as_str(), t.shape())).collect();
    let mut instance = module.bind(&module.infer(&shapes, &given)?)?;
    let options = RunOptions { timing: Timing::Run, ..RunOptions::default() };
    let (mut seconds, mut outputs) = (vec![], vec![]);
    progress.say("running");
    for _ in 0..args.repeat.max(1) {
        let (tensors, report) = instance.run(&named, &options)?;
        outputs = tensors;
        seconds.push(report.total.unwrap_or_default().as_secs_f64());
    }
    drop(progress);
    let ports: Vec<Port> = module.manifest().outputs.clone();
    let errors = compare(args, &ports, &outputs)?;
    save(args, &ports, &outputs)?;
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let json = RunJson {
        device: module.device().to_string(),
        median_seconds: sorted[sorted.len() / 2],
        seconds,
        outputs: ports
            .iter()
            .zip(&outputs)
            .map(|(p, t)| {
                let values =
                    tricot_dialects::scalar::decode(t.dtype(), t.bytes(), t.shape().iter().product::<u64>() as usize);
                let mean = values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64;
                let relative_error = errors.get(&p.name).copied();
                let entry =
                    OutputJson { dtype: t.dtype(), shape: t.shape().to_vec(), rms: mean.sqrt(), relative_error };
                (p.name.clone(), entry)
            })
            .collect(),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let text = serde_json::to_string_pretty(&json).expect("string keys and numbers");
        write_out(&mut out, &format!("{text}\n"))?;
    } else {
        let mut text = format!("{} in {:.3} ms\n", json.device, json.median_seconds * 1e3);
        for (name, o) in &json.outputs {
            let error = o.relative_error.map(|e| format!(", relative error {e:.2e}")).unwrap_or_default();
            text += &format!("{name}: {}{:?}, rms {:.6}{error}\n", o.dtype, o.shape, o.rms);
        }
        write_out(&mut out, &text)?;
    }
    let worst: Vec<Diagnostic> = errors
        .iter()
        .filter(|(_, e)| !(**e <= args.bound))
        .map(|(name, e)| {
            Diagnostic::error(
                "TC0920",
                format!("output `{name}` is off by {e:.3e} (relative L2), the bound is {:.3e}", args.bound),
            )
        })
        .collect();
    if worst.is_empty() { Ok(()) } else { Err(worst) }
}

fn is_bundle(path: &Path) -> bool {
    let mut magic = [0u8; 2];
    let read = std::fs::File::open(path).and_then(|mut f| std::io::Read::read_exact(&mut f, &mut magic));
    path.extension().is_some_and(|e| e == "tricot") || (read.is_ok() && &magic == b"PK")
}

/// A bundle of the model for the device asked for.
fn compile(args: &Run) -> Result<Bundle, Vec<Diagnostic>> {
    let target = match &args.device {
        Some(d) if d.starts_with("cuda") => "sm_90a",
        _ => "cpu",
    };
    let compiler = models::compiler(models::options(&args.rewrite, &[target.to_string()]))?;
    let model = ModelArgs {
        model: args.bundle.clone(),
        weights: args.weights.clone(),
        ops: args.ops.clone(),
        set: args.set.clone(),
    };
    let (graph, mut report) = (models::load(&model)?, Report::default());
    match cache(args)? {
        Some(cache) => Ok(compiler.compile_cached(graph, &cache, &mut report, &|_| {})?.bundle),
        // In memory: a run that is interrupted leaves nothing behind.
        None => {
            let bytes = compiler.compile(graph, &mut report, &|_| {})?.bundle_bytes()?;
            Bundle::from_bytes(&args.bundle.display().to_string(), &bytes)
        }
    }
}

/// The cache asked for by `--cache` or TRICOT_CACHE, else the user's own, which is done without where it cannot be used.
fn cache(args: &Run) -> Result<Option<Cache>, Diagnostic> {
    match &args.cache {
        Some(folder) if folder.as_os_str() == "off" => Ok(None),
        Some(folder) => Ok(Some(Cache::open(folder, cache::limit_from_env()?)?)),
        None if std::env::var_os("TRICOT_CACHE").is_some() => Cache::from_env(),
        None => {
            let limit = cache::limit_from_env()?;
            Ok(Cache::default_folder().and_then(|folder| Cache::open(folder, limit).ok()))
        }
    }
}

/// The bundle's code on the device asked for, or the best there is.
pub fn load(bundle: Bundle, device: Option<&str>, digest: Option<&str>) -> Result<Module, Vec<Diagnostic>> {
    let device = pick_device(device, &bundle)?;
    match digest {
        Some(text) => {
            let digest: tricot_dialects::Hash =
                text.parse().map_err(|m| vec![Diagnostic::error("TC0914", format!("--digest: {m}"))])?;
            Module::load(bundle, device, &digest.0)
        }
        // SAFETY: whoever runs `tricot run BUNDLE` or `tricot bench BUNDLE` asks for its code to be run, as with any program.
        None => unsafe { Module::load_trusted(bundle, device) },
    }
}

fn pick_device(device: Option<&str>, bundle: &Bundle) -> Result<Device, Vec<Diagnostic>> {
    if let Some(text) = device {
        return Device::parse(text).map_err(|d| vec![d]);
    }
    let best = Device::best();
    let has = |target: &str| bundle.manifest().targets.contains_key(target);
    Ok(if best != Device::Cpu && has("sm_90a") { best } else { Device::Cpu })
}

/// `name=value` pairs of a repeated flag; every name must be one of `known`.
fn named<'a>(flag: &str, pairs: &'a [String], known: &[Port]) -> Result<BTreeMap<&'a str, &'a str>, Vec<Diagnostic>> {
    let (mut out, mut problems) = (BTreeMap::new(), vec![]);
    for pair in pairs {
        match pair.split_once('=') {
            Some((name, value)) if known.iter().any(|p| p.name == name) => drop(out.insert(name, value)),
            Some((name, _)) => {
                let names: Vec<_> = known.iter().map(|p| p.name.as_str()).collect();
                problems.push(
                    Diagnostic::error("TC0915", format!("--{flag}: there is no {flag} `{name}`"))
                        .with_help(format!("there is {}", names.join(", "))),
                );
            }
            None => problems.push(Diagnostic::error("TC0915", format!("--{flag}: `{pair}` is not NAME=VALUE"))),
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn inputs(
    args: &Run,
    ports: &[Port],
    given: &Bindings,
    manifest: &tricot_plan::Manifest,
) -> Result<Vec<(String, HostTensor)>, Vec<Diagnostic>> {
    let values = named("input", &args.input, ports)?;
    let (mut out, mut problems, mut shapes) = (vec![], vec![], vec![]);
    let mut loaded: BTreeMap<&str, HostTensor> = BTreeMap::new();
    for port in ports {
        let Some(value) = values.get(port.name.as_str()).filter(|v| !v.starts_with("random:")) else { continue };
        match files::read_npy(Path::new(value)).and_then(|a| fit(a, port)) {
            Ok(tensor) => {
                shapes.push((port, tensor.shape().to_vec()));
                loaded.insert(&port.name, tensor);
            }
            Err(problem) => problems.push(problem),
        }
    }
    // Random inputs take their sizes from --set, from the other inputs, and else from the symbols' hints.
    let mut sizes = given.clone();
    for (port, shape) in &shapes {
        for (dim, size) in port.shape.iter().zip(shape) {
            if let Some(symbol) = dim.as_symbol() {
                sizes.entry(symbol.clone()).or_insert(*size as i64);
            }
        }
    }
    for (symbol, info) in &manifest.symbols {
        sizes.entry(symbol.clone()).or_insert(info.hint);
    }
    for port in ports {
        if let Some(tensor) = loaded.remove(port.name.as_str()) {
            out.push((port.name.clone(), tensor));
            continue;
        }
        let seed = match values.get(port.name.as_str()) {
            None => Ok(0),
            Some(v) => v["random:".len()..]
                .parse()
                .map_err(|_| Diagnostic::error("TC0915", format!("--input {}={v}: the seed is no number", port.name))),
        };
        match seed.and_then(|seed| numerics::random_tensor(port, &sizes, seed)) {
            Ok(tensor) => out.push((port.name.clone(), tensor)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

/// The array as the port wants it. numpy has no bf16 and no 8-bit floats: for those, float32 is rounded.
fn fit(array: Array, port: &Port) -> Result<HostTensor, Diagnostic> {
    let numpy_lacks = matches!(port.dtype, DType::BF16 | DType::F8E4M3 | DType::F8E5M2);
    let bytes = match numpy_lacks && array.dtype == DType::F32 {
        true => {
            let values = tricot_dialects::scalar::decode(array.dtype, &array.bytes, array.bytes.len() / 4);
            return HostTensor::from_bytes(
                port.dtype,
                &array.shape,
                &tricot_dialects::scalar::encode(port.dtype, &values),
            );
        }
        false => array.bytes,
    };
    HostTensor::from_bytes(array.dtype, &array.shape, &bytes)
}

fn compare(args: &Run, ports: &[Port], outputs: &[HostTensor]) -> Result<BTreeMap<String, f64>, Vec<Diagnostic>> {
    let Some(path) = &args.compare else { return Ok(BTreeMap::new()) };
    let references = files::read_npz(path).map_err(|d| vec![d])?;
    let (mut errors, mut problems) = (BTreeMap::new(), vec![]);
    for (name, array) in references {
        let Some(at) = ports.iter().position(|p| p.name == name) else {
            problems.push(Diagnostic::error("TC0916", format!("{}: the model has no output `{name}`", path.display())));
            continue;
        };
        let ours = &outputs[at];
        if ours.shape() != array.shape {
            let message =
                format!("output `{name}` has shape {:?}, {} says {:?}", ours.shape(), path.display(), array.shape);
            problems.push(Diagnostic::error("TC0916", message));
            continue;
        }
        let shape: Vec<usize> = array.shape.iter().map(|d| *d as usize).collect();
        let tensor = |dtype, bytes: &[u8]| {
            Tensor::from_bytes(dtype, &shape, bytes).expect("the array was read with this dtype and shape")
        };
        errors.insert(name, relative_l2(&tensor(ours.dtype(), ours.bytes()), &tensor(array.dtype, &array.bytes)));
    }
    if problems.is_empty() { Ok(errors) } else { Err(problems) }
}

/// Writes the outputs asked for, all of them or none.
fn save(args: &Run, ports: &[Port], outputs: &[HostTensor]) -> Outcome {
    let mut files = vec![];
    for (name, file) in named("output", &args.output, ports)? {
        let at = ports.iter().position(|p| p.name == name).expect("checked by `named`");
        let t = &outputs[at];
        files.push((Path::new(file), files::npy_bytes(t.dtype(), t.shape(), t.bytes())));
    }
    let files: Vec<(&Path, &[u8])> = files.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect();
    dump::write_together(&files).map_err(|d| vec![d])
}
