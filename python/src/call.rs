//! One call of a module: tensors in, tensors out, nothing copied.
//!
//! The central types are [`Loaded`], code on a device with a pool of instances, and [`Slot`], an instance together with what a
//! call of the sizes it last saw needs. A call takes a slot, so calls from several threads never share one, and puts it back.
//! Slots belong to a stream: work queued on it may still use the instance's memory, and only later work of the same stream is
//! ordered after it. A call with the sizes of the slot's last one infers, evaluates and allocates nothing but its outputs.

use crate::dlpack::{self, After, View};
use crate::error::Outcome;
use crate::exchange::Exchange;
use crate::module::Module;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tricot_plan::{Manifest, Port};
use tricot_runtime::symbols::{self, shape_text};
use tricot_runtime::{Bundle, Device, Instance, RunOptions};
use tricot_types::{Bindings, Diagnostic, Symbol};

/// Idle instances kept by device; streams and threads beyond that pay for a new one.
const MAX_IDLE: usize = 16;

/// A bundle's code on a device.
pub struct Loaded {
    module: tricot_runtime::Module,
    idle: Mutex<Vec<Slot>>,
}

/// See the module page.
struct Slot {
    instance: Instance,
    stream: Option<u64>,
    /// Sizes of all inputs one after the other, for which the instance is bound; the ranks are those of the ports.
    sizes: Option<Vec<i64>>,
    /// Values of symbols that no input determines.
    given: Bindings,
    /// How to allocate outputs for inputs of a type.
    makers: Option<Makers>,
}

/// Callables without arguments, one an output, and what turns the results into what the caller gets.
struct Makers {
    kind: Py<PyAny>,
    each: Vec<Py<PyAny>>,
    finish: Option<Py<PyAny>>,
}

impl Loaded {
    pub fn new(bundle: Arc<Bundle>, device: Device) -> Result<Loaded, Vec<Diagnostic>> {
        // SAFETY: who compiles a model or calls `tricot.load` asks for its code to be run; the docs say so.
        let module = unsafe { tricot_runtime::Module::load_trusted(bundle, device)? };
        Ok(Loaded { module, idle: Mutex::new(vec![]) })
    }

    fn take(&self, stream: Option<u64>) -> Slot {
        let mut idle = self.idle.lock().unwrap_or_else(|e| e.into_inner());
        match idle.iter().rposition(|s| s.stream == stream) {
            Some(at) => idle.remove(at),
            None => {
                let instance = self.module.instance();
                Slot { instance, stream, sizes: None, given: Bindings::new(), makers: None }
            }
        }
    }

    fn put_back(&self, slot: Slot) {
        let mut idle = self.idle.lock().unwrap_or_else(|e| e.into_inner());
        let old = if idle.len() == MAX_IDLE { Some(idle.remove(0)) } else { None };
        idle.push(slot);
        drop(idle);
        drop(old); // Waits for its stream, therefore without the lock.
    }
}

/// What a caller may say beside the inputs.
#[derive(Default)]
struct Extras<'py> {
    out: Option<Bound<'py, PyAny>>,
    stream: Option<u64>,
    symbols: Bindings,
}

/// Runs the module.
///
/// # Errors
/// TC0801 a missing input, TC0802 an unknown one, TC0803 a wrong element type, TC0804 a wrong shape, TC0840 no tensor, TC0841 not
/// contiguous, TC0842 a device the module cannot use, TC0843 an output that cannot be written, and those of the runtime.
pub fn call<'py>(
    module: &Module,
    py: Python<'py>,
    inputs: &Bound<'py, PyTuple>,
    named: Option<&Bound<'py, PyDict>>,
) -> Outcome<Bound<'py, PyAny>> {
    let manifest = module.bundle().manifest();
    let (objects, extras) = arguments(manifest, inputs, named)?;
    let device = pick_device(manifest, &objects, &extras)?;
    let stream = match device {
        Device::Cpu | Device::Sim => None,
        Device::Cuda(ordinal) => Some(match extras.stream {
            Some(stream) => stream,
            None => current_stream(py, objects.first(), ordinal)?,
        }),
    };
    let mut problems = vec![];
    let after = match (device, stream) {
        (Device::Cuda(ordinal), Some(stream)) => After::Queued { stream, ordinal },
        _ => After::Host,
    };
    let views: Vec<View<'py>> = manifest
        .inputs
        .iter()
        .zip(&objects)
        .map(|(port, object)| {
            let view = View::of(object, &port.name, after)?;
            check(&view, port, "input", device, &mut problems);
            Ok(view)
        })
        .collect::<Outcome<_>>()?;
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let loaded = module.on(device)?;
    let mut slot = loaded.take(stream);
    let result = run(py, manifest, &loaded.module, &mut slot, &objects, &views, &extras, device);
    if result.is_err() {
        // A failed binding may have left another one in force.
        slot.sizes = None;
    }
    loaded.put_back(slot);
    result
}

/// Orders positional and named inputs as the manifest does; the rest are extras.
fn arguments<'py>(
    manifest: &Manifest,
    inputs: &Bound<'py, PyTuple>,
    named: Option<&Bound<'py, PyDict>>,
) -> Outcome<(Vec<Bound<'py, PyAny>>, Extras<'py>)> {
    let mut extras = Extras::default();
    let Some(named) = named.filter(|d| !d.is_empty()) else {
        if inputs.len() != manifest.inputs.len() {
            return Err(missing(manifest, inputs.len()).into());
        }
        return Ok((inputs.iter().collect(), extras));
    };
    let mut ordered: Vec<Option<Bound<'py, PyAny>>> = inputs.iter().map(Some).collect();
    if ordered.len() > manifest.inputs.len() {
        return Err(missing(manifest, ordered.len()).into());
    }
    ordered.resize(manifest.inputs.len(), None);
    for (name, value) in named {
        let name: String = name.extract()?;
        // A model's own names come first: an input may be called `out`.
        match manifest.inputs.iter().position(|p| p.name == name) {
            Some(at) if ordered[at].is_some() => {
                return Err(Diagnostic::error("TC0802", format!("input `{name}` is given twice")).into());
            }
            Some(at) => ordered[at] = Some(value),
            None if name == "out" => extras.out = Some(value).filter(|v| !v.is_none()),
            None if name == "stream" => extras.stream = value.extract::<Option<u64>>()?,
            None if name == "symbols" => {
                for (name, size) in value.extract::<BTreeMap<String, i64>>()? {
                    let symbol = Symbol::new(&name);
                    let symbol = symbol.ok_or_else(|| Diagnostic::error("TC0912", format!("`{name}` is no symbol")))?;
                    extras.symbols.insert(symbol, size);
                }
            }
            None => return Err(symbols::unknown_input(manifest, &name).into()),
        }
    }
    let given = ordered.iter().flatten().count();
    if given != ordered.len() {
        return Err(missing(manifest, given).into());
    }
    Ok((ordered.into_iter().flatten().collect(), extras))
}

fn missing(manifest: &Manifest, given: usize) -> Diagnostic {
    let port = |p: &Port| format!("{}: {}{}", p.name, p.dtype, shape_text(&p.shape));
    let list: Vec<_> = manifest.inputs.iter().map(port).collect();
    Diagnostic::error("TC0801", format!("{given} inputs given, {} expected", manifest.inputs.len())).with_note(
        if list.is_empty() { "the model has no inputs".into() } else { format!("inputs: {}", list.join(", ")) },
    )
}

/// Where to run: where the first tensor is, if there is a choice at all.
fn pick_device(manifest: &Manifest, objects: &[Bound<'_, PyAny>], extras: &Extras<'_>) -> Outcome<Device> {
    let cpu = manifest.targets.contains_key("cpu");
    if cpu && manifest.targets.len() == 1 {
        return Ok(Device::Cpu);
    }
    let out = extras.out.as_ref().map(|o| o.get_item(0).unwrap_or_else(|_| o.clone()));
    let found = objects.first().or(out.as_ref()).and_then(dlpack::device);
    match (found, cpu) {
        (Some(Device::Cpu), false) => {
            let targets: Vec<_> = manifest.targets.keys().map(String::as_str).collect();
            Err(Diagnostic::error(
                "TC0842",
                format!("the inputs are in host memory, the module is for {}", targets.join(", ")),
            )
            .with_help("move the tensors to a CUDA device, or compile with target=[\"cpu\", \"sm_90a\"]")
            .into())
        }
        (Some(device), _) => Ok(device),
        (None, true) => Ok(Device::Cpu),
        (None, false) => Ok(Device::Cuda(0)),
    }
}

/// What can be wrong with a tensor without looking at symbols.
fn check(view: &View<'_>, port: &Port, kind: &str, device: Device, problems: &mut Vec<Diagnostic>) {
    let name = &port.name;
    if view.dtype() != Some(port.dtype) {
        let given = view.dtype_text();
        let d = Diagnostic::error("TC0803", format!("{kind} `{name}` is {given}, {} expected", port.dtype));
        problems.push(d.with_help("convert the tensor; Tricot never converts by itself"));
    }
    if view.device() != Some(device) {
        let given = view.device().map_or("an unknown kind of device".into(), |d| d.to_string());
        let d = Diagnostic::error("TC0842", format!("{kind} `{name}` is on {given}, this call runs on {device}"));
        problems.push(d.with_help("move the tensor there; the module's targets are in `module.targets`"));
    }
    if !view.is_contiguous() {
        let (shape, strides) = (view.shape(), view.strides());
        let d = Diagnostic::error("TC0841", format!("{kind} `{name}` is not contiguous"));
        let d = d.with_note(format!("shape {shape:?} with strides {strides:?}"));
        problems
            .push(d.with_help("pass `numpy.ascontiguousarray(x)` or `x.contiguous()`; Tricot never copies by itself"));
    }
}

#[allow(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
fn run<'py>(
    py: Python<'py>,
    manifest: &Manifest,
    module: &tricot_runtime::Module,
    slot: &mut Slot,
    objects: &[Bound<'py, PyAny>],
    views: &[View<'py>],
    extras: &Extras<'py>,
    device: Device,
) -> Outcome<Bound<'py, PyAny>> {
    bind(manifest, module, slot, views, &extras.symbols)?;
    let outputs = match &extras.out {
        Some(out) => given_outputs(manifest, slot, out, device)?,
        None => new_outputs(py, manifest, slot, objects.first(), device)?,
    };
    let pointers: Vec<u64> = outputs.views.iter().map(View::pointer).collect();
    let inputs: Vec<u64> = views.iter().map(View::pointer).collect();
    let options = match slot.stream {
        None => RunOptions::default(),
        Some(stream) => RunOptions { stream: Some(stream), synchronize: false, ..RunOptions::default() },
    };
    let instance = &mut slot.instance;
    // SAFETY: dtypes, shapes and device were compared with the binding; the owners in `views` and `outputs` hold the memory
    // until the work is complete on the cpu, and until it is queued on a CUDA stream, whose allocators order reuse after it.
    py.detach(|| unsafe { instance.run_bound(&inputs, &pointers, &options) })?;
    outputs.give(py)
}

/// Makes the instance ready for these sizes; nothing to do if it is.
fn bind(
    manifest: &Manifest,
    module: &tricot_runtime::Module,
    slot: &mut Slot,
    views: &[View<'_>],
    given: &Bindings,
) -> Result<(), Vec<Diagnostic>> {
    let mut ports = manifest.inputs.iter().zip(views);
    let sizes = || views.iter().flat_map(|v| v.shape());
    let same = slot.sizes.as_ref().is_some_and(|old| sizes().eq(old));
    if same && slot.given == *given && ports.all(|(p, v)| p.shape.len() == v.shape().len()) {
        return Ok(());
    }
    let shapes: Vec<Vec<u64>> =
        views.iter().map(|v| v.shape().iter().map(|d| u64::try_from(*d).unwrap_or(0)).collect()).collect();
    let named: Vec<_> = manifest.inputs.iter().zip(&shapes).map(|(p, s)| (p.name.as_str(), s.as_slice())).collect();
    slot.instance.bind(&module.infer(&named, given)?)?;
    slot.sizes = Some(sizes().copied().collect());
    slot.given = given.clone();
    slot.makers = None;
    Ok(())
}

/// Where the results go, and what the caller gets for it.
struct Outputs<'py> {
    views: Vec<View<'py>>,
    given: Given<'py>,
}

enum Given<'py> {
    /// Objects, one a view; `finish` turns them into what the caller gets.
    Objects { objects: Vec<Bound<'py, PyAny>>, finish: Option<Py<PyAny>> },
    /// The views are fresh tensors of a library, which makes its objects of them.
    Fresh(Exchange),
    /// The caller's own `out=`.
    Out(Bound<'py, PyAny>),
}

impl<'py> Outputs<'py> {
    fn give(self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let (objects, finish) = match self.given {
            Given::Out(out) => return Ok(out),
            Given::Objects { objects, finish } => (objects, finish),
            Given::Fresh(exchange) => {
                let each = self.views.into_iter().filter_map(View::into_managed).map(|m| exchange.import(py, m));
                (each.collect::<Outcome<Vec<_>>>()?, None)
            }
        };
        let result = match <[_; 1]>::try_from(objects) {
            Ok([one]) => one,
            Err(many) => PyTuple::new(py, many)?.into_any(),
        };
        Ok(match finish {
            Some(finish) => finish.bind(py).call1((result,))?,
            None => result,
        })
    }
}

/// The tensors of `out=`: one tensor, or a list or tuple of them.
fn given_outputs<'py>(
    manifest: &Manifest,
    slot: &Slot,
    out: &Bound<'py, PyAny>,
    device: Device,
) -> Outcome<Outputs<'py>> {
    let many = out.is_instance_of::<PyTuple>() || out.is_instance_of::<PyList>();
    let objects = if many { out.try_iter()?.collect::<PyResult<Vec<_>>>()? } else { vec![out.clone()] };
    if objects.len() != manifest.outputs.len() {
        let message = format!("{} outputs given, {} expected", objects.len(), manifest.outputs.len());
        return Err(Diagnostic::error("TC0801", message).into());
    }
    let mut problems = vec![];
    let mut views = Vec::with_capacity(objects.len());
    for ((port, bound), object) in manifest.outputs.iter().zip(slot.instance.outputs()).zip(&objects) {
        let view = View::of(object, &port.name, overwritten(slot))?;
        check(&view, port, "output", device, &mut problems);
        if !view.shape().iter().map(|d| *d as u64).eq(bound.shape.iter().copied()) {
            let message = format!("output `{}` has shape {:?}, {:?} given", port.name, bound.shape, view.shape());
            problems.push(Diagnostic::error("TC0804", message));
        }
        if view.read_only {
            problems.push(Diagnostic::error("TC0843", format!("output `{}` is read-only memory", port.name)));
        }
        views.push(view);
    }
    match problems.is_empty() {
        true => Ok(Outputs { views, given: Given::Out(out.clone()) }),
        false => Err(problems.into()),
    }
}

/// Outputs are only written, so nobody has to wait for what they held.
fn overwritten(slot: &Slot) -> After {
    if slot.stream.is_some() { After::Nothing } else { After::Host }
}

/// Fresh outputs of the first input's library.
fn new_outputs<'py>(
    py: Python<'py>,
    manifest: &Manifest,
    slot: &mut Slot,
    example: Option<&Bound<'py, PyAny>>,
    device: Device,
) -> Outcome<Outputs<'py>> {
    if let Some(outputs) = fresh_outputs(py, manifest, slot, example, device)? {
        return Ok(outputs);
    }
    let kind = example.map_or_else(|| py.None().into_bound(py), |e| e.get_type().into_any());
    if !slot.makers.as_ref().is_some_and(|m| m.kind.is(&kind)) {
        let wanted = slot.instance.outputs().iter().map(|p| Ok((p.dtype.name(), PyTuple::new(py, &p.shape)?)));
        let wanted = wanted.collect::<PyResult<Vec<_>>>()?;
        let ordinal = if let Device::Cuda(n) = device { Some(n) } else { None };
        let makers = helper(py, "makers")?.call1((&kind, wanted, ordinal)).map_err(|e| no_outputs(py, e))?;
        let (each, finish) = makers.extract()?;
        slot.makers = Some(Makers { kind: kind.unbind(), each, finish });
    }
    let (objects, finish) = match &slot.makers {
        Some(makers) => {
            let each = makers.each.iter().map(|m| m.bind(py).call0()).collect::<PyResult<Vec<_>>>();
            (each.map_err(|e| no_outputs(py, e))?, makers.finish.as_ref().map(|f| f.clone_ref(py)))
        }
        None => (vec![], None),
    };
    let named = manifest.outputs.iter().zip(&objects);
    let views = named.map(|(port, o)| View::of(o, &port.name, overwritten(slot))).collect::<Outcome<Vec<_>>>()?;
    Ok(Outputs { views, given: Given::Objects { objects, finish } })
}

/// Fresh outputs made without a call of Python code, where the library of the first input can.
fn fresh_outputs<'py>(
    py: Python<'py>,
    manifest: &Manifest,
    slot: &Slot,
    example: Option<&Bound<'py, PyAny>>,
    device: Device,
) -> Outcome<Option<Outputs<'py>>> {
    let Some(exchange) = example.and_then(Exchange::of) else { return Ok(None) };
    let mut views = Vec::with_capacity(manifest.outputs.len());
    for (port, bound) in manifest.outputs.iter().zip(slot.instance.outputs()) {
        let Some(tensor) = exchange.allocate(py, bound.dtype, &bound.shape, device) else { return Ok(None) };
        views.push(View::managed(tensor.map_err(|e| no_outputs(py, e))?, &port.name)?);
    }
    Ok(Some(Outputs { views, given: Given::Fresh(exchange) }))
}

fn no_outputs(py: Python<'_>, error: PyErr) -> crate::error::Failure {
    Diagnostic::error("TC0844", format!("outputs cannot be allocated: {}", error.value(py)))
        .with_help("pass your own with `out=`")
        .into()
}

/// The stream on which the caller's library queues work now, as a `CUstream`.
fn current_stream<'py>(py: Python<'py>, example: Option<&Bound<'py, PyAny>>, ordinal: u32) -> Outcome<u64> {
    if let Some(exchange) = example.and_then(Exchange::of) {
        return Ok(exchange.current_stream(py, ordinal)?);
    }
    let kind = example.map_or_else(|| py.None().into_bound(py), |e| e.get_type().into_any());
    Ok(helper(py, "current_stream")?.call1((kind, ordinal))?.extract()?)
}

/// A function of `tricot._libraries`.
fn helper<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static LIBRARIES: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let module = LIBRARIES
        .get_or_try_init(py, || Ok::<_, PyErr>(py.import(intern!(py, "tricot._libraries"))?.into_any().unbind()))?;
    module.bind(py).getattr(name)
}
