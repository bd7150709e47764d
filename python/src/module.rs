//! Compiled modules: made from a graph or opened from a file, inspected, saved, called.
//!
//! The central type is [`Module`]. Code is loaded onto a device when tensors of that device first arrive, so a module for
//! `sm_90a` can be made and saved where there is no GPU. How a call goes is in [`crate::call`].

use crate::call::Loaded;
use crate::error::{Outcome, entry};
use crate::stages::{self, Text};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tricot_compiler::{Compiled, Compiler, Options, Report, Stage, error::guard};
use tricot_kernel::Backend;
use tricot_kernel::remote::RemoteBackend;
use tricot_runtime::cpu::threads;
use tricot_runtime::{Bundle, Device};
use tricot_types::{Bindings, Diagnostic};

/// A compiled model: `module(*inputs, out=None, stream=None, symbols={}, **named)`. Safe to call from several threads.
///
/// Runs on DLPack tensors (NumPy, torch, CuPy, JAX) without copies. Inputs come in the model's order or by name; `input_names` lists
/// them, `inspect()` their dtypes and shapes. They must be contiguous, of the declared dtype, and all on one device, which is where
/// the model runs. The result is one tensor, or a tuple if the model has several outputs, of the first input's library.
///
/// `out`: tensor, or list or tuple of tensors, to write the outputs into; it is then what is returned.
/// `stream`: the CUstream to queue the work on, together with `out`; by default the current stream of the first input's library. On a
/// CUDA device the call returns when the work is queued. A captured call uses the module's memory: warm up on the stream that is
/// captured, and keep the module as long as the captured graph.
/// `symbols`: sizes that no input's shape determines.
///
/// Raises `tricot.Error`: TC0801 missing, TC0802 unknown input, TC0803 dtype, TC0804 shape, TC0806 a size that breaks a promise, TC0810
/// alignment or overlap, TC0840 no tensor, TC0841 not contiguous, TC0842 device, TC0843 read-only output, TC0844 outputs that the
/// library cannot allocate.
#[pyclass(frozen, module = "tricot")]
pub struct Module {
    bundle: Arc<Bundle>,
    /// Where it was compiled here.
    origin: Option<Origin>,
    loaded: Mutex<Vec<(Device, Arc<Loaded>)>>,
}

/// What stages and explanations are made from.
struct Origin {
    graph: Arc<tricot_dialects::Module>,
    settings: Settings,
    /// By target.
    explanations: BTreeMap<String, String>,
    bytes: Vec<u8>,
}

/// How a module was compiled.
pub struct Settings {
    options: Options,
    /// The program that generates `sm_90a` code.
    sm90_program: Option<PathBuf>,
    /// The assembler it shall use where `TRICOT_PTXAS` does not say.
    ptxas: Option<String>,
}

impl Settings {
    /// TC0915 for a `winograd` that does not exist.
    pub fn new(
        targets: Vec<String>,
        max_rel_err: f64,
        winograd: &str,
        buckets: Vec<Bindings>,
        native_cpu: bool,
        sm90_program: Option<PathBuf>,
        ptxas: Option<String>,
    ) -> Result<Settings, Diagnostic> {
        use tricot_rewrite::Winograd;
        let winograd = match winograd {
            "off" => Winograd::Off,
            "auto" => Winograd::Auto,
            "f23" => Winograd::F23,
            "f43" => Winograd::F43,
            other => {
                return Err(Diagnostic::error("TC0915", format!("winograd `{other}` does not exist"))
                    .with_help("use \"off\", \"auto\", \"f23\" or \"f43\""));
            }
        };
        if !(0.0..=1.0).contains(&max_rel_err) {
            return Err(Diagnostic::error("TC0915", format!("max_rel_err is {max_rel_err}"))
                .with_help("give a relative error between 0 and 1"));
        }
        let options = Options { targets, max_rel_err, winograd, buckets, native_cpu, ..Options::default() };
        Ok(Settings { options, sm90_program, ptxas })
    }

    fn compile(
        &self,
        graph: &tricot_dialects::Module,
        emit: Option<Stage>,
        stop_after: Option<Stage>,
    ) -> Result<Compiled, Vec<Diagnostic>> {
        let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(tricot_cpu::CpuBackend)];
        if let Some(program) = &self.sm90_program {
            let given = self.ptxas.iter().filter(|_| std::env::var_os("TRICOT_PTXAS").is_none());
            let environment = given.map(|p| ("TRICOT_PTXAS".to_string(), p.clone())).collect();
            backends.push(Box::new(RemoteBackend { name: "sm_90a", program: program.clone(), environment }));
        }
        let options = Options { emit: emit.into_iter().collect(), stop_after, ..self.options.clone() };
        let compiler = Compiler::new(options, backends)?;
        let text = || tricot_dialects::text::print(graph);
        // In the runtime's pool: rayon's own would hang in a forked child of a process that compiled.
        threads::install(|| guard("compile", text, || compiler.compile(graph.clone(), &mut Report::default(), &|_| {})))
    }
}

impl Module {
    pub fn compile(graph: Arc<tricot_dialects::Module>, settings: Settings) -> Result<Module, Vec<Diagnostic>> {
        let compiled = settings.compile(&graph, None, None)?;
        let explanations = compiled.targets.iter().map(|t| (t.name.clone(), t.explain())).collect();
        let bytes = threads::install(|| compiled.bundle_bytes())?;
        let bundle = Arc::new(Bundle::from_bytes(&graph.name, &bytes)?);
        let origin = Some(Origin { graph, settings, explanations, bytes });
        Ok(Module { bundle, origin, loaded: Mutex::new(vec![]) })
    }

    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// The code on a device, loaded on first use.
    pub fn on(&self, device: Device) -> Outcome<Arc<Loaded>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, found)) = loaded.iter().find(|(d, _)| *d == device) {
            return Ok(found.clone());
        }
        let new = Arc::new(Loaded::new(self.bundle.clone(), device)?);
        loaded.push((device, new.clone()));
        Ok(new)
    }

    fn targets(&self) -> Vec<String> {
        match &self.origin {
            // In the order they were asked for.
            Some(origin) => origin.settings.options.targets.clone(),
            None => self.bundle.manifest().targets.keys().cloned().collect(),
        }
    }

    fn from_graph(&self, what: &str) -> Outcome<&Origin> {
        Ok(self.origin.as_ref().ok_or_else(|| {
            Diagnostic::error(
                "TC0845",
                format!("`{}` was loaded from a bundle, which does not hold {what}", self.bundle.name()),
            )
            .with_help("compile the model in this process, or run `tricot build --emit` on it")
        })?)
    }

    /// The target meant: the one named, else the first.
    fn target(&self, name: Option<&str>) -> Outcome<String> {
        let targets = self.targets();
        match name {
            None => Ok(targets.first().cloned().unwrap_or_default()),
            Some(name) if targets.iter().any(|t| t == name) => Ok(name.to_string()),
            Some(name) => Err(Diagnostic::error("TC0930", format!("the module has no target `{name}`"))
                .with_help(format!("targets: {}", targets.join(", ")))
                .into()),
        }
    }
}

/// Opens a bundle; see `tricot.load`.
#[pyfunction]
#[pyo3(signature = (path, digest = None))]
pub fn open(py: Python<'_>, path: PathBuf, digest: Option<&str>) -> PyResult<Module> {
    entry(py, || {
        let bundle = py.detach(|| Bundle::open(&path))?;
        if let Some(digest) = digest.filter(|d| !d.eq_ignore_ascii_case(&bundle.digest_hex())) {
            let problem =
                Diagnostic::error("TC0709", format!("`{}` has digest {}", bundle.name(), bundle.digest_hex()));
            let problem = problem.with_note(format!("expected {digest}"));
            return Err(problem.with_help("this is not the bundle you trust; do not run it").into());
        }
        Ok(Module { bundle: Arc::new(bundle), origin: None, loaded: Mutex::new(vec![]) })
    })
}

#[pymethods]
impl Module {
    #[pyo3(signature = (*inputs, **named))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        inputs: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        entry(py, || crate::call::call(self, py, inputs, named))
    }

    /// The manifest as JSON, with the digest beside it.
    fn _inspect(&self, py: Python<'_>) -> PyResult<(String, String)> {
        entry(py, || {
            let text = serde_json::to_string(self.bundle.manifest());
            let text = text.map_err(|e| Diagnostic::error("TC1000", format!("the manifest has no JSON form: {e}")))?;
            Ok((text, self.bundle.digest_hex()))
        })
    }

    /// What the bundle holds: digest, inputs and outputs (name, dtype, shape), symbols, targets, entries.
    fn inspect<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("tricot._module")?.call_method1("inspect", (slf,))
    }

    /// Text of every stage of its compilation, as a mapping: `module.stages["ptx"]`. See `tricot.Stages`.
    #[getter]
    fn stages<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("tricot._module")?.call_method1("stages", (slf,))
    }

    /// Names of the targets, the first one first.
    #[getter(targets)]
    fn target_names(&self) -> Vec<String> {
        self.targets()
    }

    /// Whether it was compiled in this process rather than loaded.
    #[getter]
    fn is_compiled(&self) -> bool {
        self.origin.is_some()
    }

    /// The model's name.
    #[getter]
    fn name(&self) -> String {
        self.bundle.manifest().name.clone()
    }

    /// Names of the inputs, in the order of a call.
    #[getter]
    fn input_names(&self) -> Vec<String> {
        self.bundle.manifest().inputs.iter().map(|p| p.name.clone()).collect()
    }

    /// Names of the outputs, in the order of a call's results.
    #[getter]
    fn output_names(&self) -> Vec<String> {
        self.bundle.manifest().outputs.iter().map(|p| p.name.clone()).collect()
    }

    /// One stage for the target named, by default the first: text, or for `mlir`, `llvm`, `ptx` and `sass` text by kernel.
    #[pyo3(signature = (name, target = None))]
    fn stage<'py>(&self, py: Python<'py>, name: &str, target: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
        entry(py, || {
            let stage: Stage = name.parse().map_err(|m: String| Diagnostic::error("TC0913", m))?;
            let target = self.target(target)?;
            let text = match &self.origin {
                None => stages::of_bundle(&self.bundle, &target, stage)?,
                Some(origin) => py.detach(|| {
                    let stop = (stage != Stage::Sass).then_some(stage);
                    let compiled = origin.settings.compile(&origin.graph, Some(stage), stop)?;
                    Ok::<_, Vec<Diagnostic>>(stages::of_compiled(&compiled, &target, stage))
                })?,
            };
            match text {
                Some(Text::Whole(text)) => Ok(text.into_pyobject(py).map_err(PyErr::from)?.into_any()),
                Some(Text::Kernels(texts)) => Ok(texts.into_pyobject(py)?.into_any()),
                None => {
                    self.from_graph(&format!("stage `{name}`"))?;
                    Err(Diagnostic::error("TC0913", format!("target `{target}` has no stage `{name}`")).into())
                }
            }
        })
    }

    /// The rewriting steps by name; or why the op `why_not` ("trilinear.attention") is not in the result.
    #[pyo3(signature = (target = None, why_not = None))]
    fn explain(&self, py: Python<'_>, target: Option<&str>, why_not: Option<&str>) -> PyResult<String> {
        entry(py, || {
            let target = self.target(target)?;
            let origin = self.from_graph("its explanation")?;
            let Some(op) = why_not else { return Ok(origin.explanations.get(&target).cloned().unwrap_or_default()) };
            Ok(py.detach(|| {
                // The rewriter knows why it did not find an op; the schedules, why a candidate that has it lost.
                let options = origin.settings.options.rewrite_options(&target);
                let reason = tricot_rewrite::why_not(&origin.graph, op, &options)?;
                let compiled = origin.settings.compile(&origin.graph, None, Some(Stage::Rewrite))?;
                let result = compiled.targets.iter().find(|t| t.name == target);
                Ok::<_, Vec<Diagnostic>>(result.and_then(|t| t.why_not(op)).unwrap_or(reason))
            })?)
        })
    }

    /// Writes the `.tricot` bundle, all of it or nothing.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        entry(py, || {
            let origin = self.from_graph("a copy of itself")?;
            Ok(py.detach(|| tricot_compiler::dump::write_together(&[(&path, &origin.bytes)]))?)
        })
    }

    fn __repr__(&self) -> String {
        format!("<tricot.Module `{}` for {}>", self.bundle.manifest().name, self.targets().join(", "))
    }
}
