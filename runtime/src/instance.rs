//! A module with memory: binds symbols, checks inputs, runs.
//!
//! The central type is [`Instance`]. Its workspace keeps its address until a binding needs more than it has,
//! so CUDA graphs stay valid; bindings are kept in a small least-recently-used cache by symbol values.

use crate::bound::{Bound, BoundPort, Place, StepWork};
use crate::cuda::CudaBinding;
use crate::module::{Inner, Program};
use crate::options::{RunOptions, RunReport};
use crate::symbols::{self, NamedShape, unknown_input};
use crate::tensor::{HostTensor, TensorRef};
use crate::workspace::{Allocator, Workspace, check_alignment};
use std::sync::Arc;
use tricot_plan::Manifest;
use tricot_types::{Bindings, DType, Diagnostic};

/// Bindings kept.
const MAX_BINDINGS: usize = 16;

/// See the module page. `Send`; one thread at a time.
pub struct Instance {
    /// Values given to [`Instance::bind`]; used for symbols that no input shape determines.
    given: Bindings,
    /// Most recently used last.
    bindings: Vec<(Bindings, Binding)>,
    workspace: Workspace,
    allocator: Option<Arc<dyn Allocator>>,
    /// Last, because dropping the bindings waits for work that may still run this code.
    module: Arc<Inner>,
}

struct Binding {
    bound: Bound,
    /// Address of every buffer that is a weight; 0 for the others.
    weights: Vec<u64>,
    cuda: CudaBinding,
}

impl Instance {
    pub(crate) fn new(module: Arc<Inner>) -> Instance {
        Instance { module, given: Bindings::new(), bindings: vec![], workspace: Workspace::None, allocator: None }
    }

    /// Makes memory ready for these symbol values. Values stay in force for symbols that no input determines.
    ///
    /// # Errors
    /// TC0805, TC0806, TC0808, TC0809 for values that cannot be; TC0811 or TC0823 out of memory; TC0810 when the
    /// caller's workspace is too small.
    pub fn bind(&mut self, values: &Bindings) -> Result<(), Vec<Diagnostic>> {
        self.given = values.clone();
        self.select(values)
    }

    /// The symbol values of the last binding.
    pub fn bound_symbols(&self) -> Option<&Bindings> {
        self.bindings.last().map(|(values, _)| values)
    }

    /// Inputs with actual shapes under the last binding.
    pub fn inputs(&self) -> &[BoundPort] {
        self.bindings.last().map_or(&[], |(_, b)| &b.bound.inputs)
    }

    /// Outputs with actual shapes under the last binding.
    pub fn outputs(&self) -> &[BoundPort] {
        self.bindings.last().map_or(&[], |(_, b)| &b.bound.outputs)
    }

    /// What each step does under the last binding, in the order of [`RunReport::steps`].
    pub fn work(&self) -> &[StepWork] {
        self.bindings.last().map_or(&[], |(_, b)| &b.bound.work)
    }

    /// Uses the caller's memory as workspace, on the module's device, 256-byte aligned.
    /// [`crate::Module::workspace_bytes`] tells how much a binding needs. TC0810 when it is misaligned.
    ///
    /// # Safety
    /// The memory is valid for `bytes`, unused by others while runs are under way, and outlives the instance.
    pub unsafe fn set_workspace(&mut self, pointer: u64, bytes: u64) -> Result<(), Diagnostic> {
        check_alignment(pointer)?;
        self.forget_graphs();
        self.workspace = Workspace::Caller { pointer, bytes };
        Ok(())
    }

    /// Takes workspaces from here on from the caller's allocator. What is bound already keeps its memory until it must
    /// grow. A workspace set by [`Instance::set_workspace`] stays in force.
    pub fn set_allocator(&mut self, allocator: Arc<dyn Allocator>) {
        self.allocator = Some(allocator);
    }

    /// Infers the symbols from inputs' shapes (in the manifest's order) and binds them, so that
    /// [`Instance::outputs`] tells what memory a run needs. Errors as [`Instance::run`].
    pub fn bind_shapes(&mut self, inputs: &[(DType, &[u64])]) -> Result<(), Vec<Diagnostic>> {
        let module = self.module.clone();
        let ports = &module.bundle.manifest().inputs;
        if inputs.len() != ports.len() {
            let d = Diagnostic::error("TC0801", format!("{} inputs given, {} expected", inputs.len(), ports.len()));
            return Err(vec![d]);
        }
        let list: Vec<_> =
            ports.iter().zip(inputs).map(|(p, (dtype, shape))| (p.name.as_str(), *dtype, *shape)).collect();
        self.prepare_shapes(&list, vec![])
    }

    /// Runs on host tensors and returns all outputs in the manifest's order. Symbols are bound from the shapes.
    ///
    /// # Errors
    /// TC0801 a missing input, TC0802 an unknown one, TC0803 a wrong element type, TC0804 a wrong shape, and those
    /// of [`Instance::bind`] and of the device. Problems with inputs are all reported at once.
    pub fn run(
        &mut self,
        inputs: &[(&str, &HostTensor)],
        options: &RunOptions,
    ) -> Result<(Vec<HostTensor>, RunReport), Vec<Diagnostic>> {
        let ordered = self.prepare(inputs)?;
        let make = |port: &BoundPort| HostTensor::zeros(port.dtype, &port.shape);
        let mut outputs = self.outputs().iter().map(make).collect::<Result<Vec<_>, _>>()?;
        let report = self.run_host(&ordered, &mut outputs.iter_mut().collect::<Vec<_>>(), options)?;
        Ok((outputs, report))
    }

    /// The same into tensors the caller owns, in the manifest's order. TC0803, TC0804 when one does not fit.
    pub fn run_into(
        &mut self,
        inputs: &[(&str, &HostTensor)],
        outputs: &mut [&mut HostTensor],
        options: &RunOptions,
    ) -> Result<RunReport, Vec<Diagnostic>> {
        let ordered = self.prepare(inputs)?;
        let given: Vec<_> = outputs.iter().map(|t| (t.dtype(), t.shape())).collect();
        check_outputs(self.outputs(), &given)?;
        self.run_host(&ordered, outputs, options)
    }

    /// Runs on memory the caller owns on the module's device; inputs and outputs in the manifest's order.
    /// On `cuda` the work is queued on `options.stream` and may be captured there.
    ///
    /// # Errors
    /// As [`Instance::run`], and TC0810 for a misaligned address or an output that overlaps another tensor. An
    /// output may be at the address of the input it aliases.
    ///
    /// # Safety
    /// Every address is valid on the device for the bytes of its dtype and shape until the work is complete, and
    /// nothing else touches outputs and workspace meanwhile.
    pub unsafe fn run_at(
        &mut self,
        inputs: &[TensorRef],
        outputs: &[TensorRef],
        options: &RunOptions,
    ) -> Result<RunReport, Vec<Diagnostic>> {
        self.bind_shapes(&inputs.iter().map(|t| (t.dtype, t.shape.as_slice())).collect::<Vec<_>>())?;
        let given: Vec<_> = outputs.iter().map(|t| (t.dtype, t.shape.as_slice())).collect();
        check_outputs(self.outputs(), &given)?;
        let inputs: Vec<_> = inputs.iter().map(|t| t.pointer).collect();
        let outputs: Vec<_> = outputs.iter().map(|t| t.pointer).collect();
        // SAFETY: passed on.
        unsafe { self.run_bound(&inputs, &outputs, options) }
    }

    /// Runs under the last binding, at addresses in the manifest's order: for callers that run the same sizes again and
    /// again and have compared dtypes and shapes with [`Instance::inputs`] and [`Instance::outputs`] themselves.
    ///
    /// # Errors
    /// TC0801 for a wrong number of addresses or no binding, TC0810 as in [`Instance::run_at`], and those of the device.
    ///
    /// # Safety
    /// As [`Instance::run_at`], for the dtypes and shapes of the last binding.
    pub unsafe fn run_bound(
        &mut self,
        inputs: &[u64],
        outputs: &[u64],
        options: &RunOptions,
    ) -> Result<RunReport, Vec<Diagnostic>> {
        let expected = (self.inputs().len(), self.outputs().len());
        if self.bindings.is_empty() || (inputs.len(), outputs.len()) != expected {
            let given = (inputs.len(), outputs.len());
            let message = format!("{given:?} inputs and outputs given, {expected:?} bound");
            return Err(vec![Diagnostic::error("TC0801", message)]);
        }
        self.check_addresses(inputs, outputs)?;
        // SAFETY: passed on.
        unsafe { self.run_pointers(inputs, outputs, options) }
    }

    /// Orders the inputs as the manifest does, infers the symbols and binds them.
    fn prepare<'a>(&mut self, inputs: &[(&str, &'a HostTensor)]) -> Result<Vec<&'a HostTensor>, Vec<Diagnostic>> {
        let module = self.module.clone();
        let manifest = module.bundle.manifest();
        let mut problems = vec![];
        let mut ordered: Vec<Option<&HostTensor>> = vec![None; manifest.inputs.len()];
        for (name, tensor) in inputs {
            match manifest.inputs.iter().position(|p| p.name == *name) {
                None => problems.push(unknown_input(manifest, name)),
                Some(i) if ordered[i].is_some() => {
                    problems.push(Diagnostic::error("TC0802", format!("input `{name}` is given twice")));
                }
                Some(i) => ordered[i] = Some(*tensor),
            }
        }
        let mut list = vec![];
        for (port, tensor) in manifest.inputs.iter().zip(&ordered) {
            match tensor {
                None => {
                    problems.push(Diagnostic::error("TC0801", format!("input `{}` is missing", port.name)).at_name(
                        port.name.clone(),
                        format!("{}{} expected", port.dtype, symbols::shape_text(&port.shape)),
                    ))
                }
                Some(t) => list.push((port.name.as_str(), t.dtype(), t.shape())),
            }
        }
        self.prepare_shapes(&list, problems)?;
        Ok(ordered.into_iter().flatten().collect())
    }

    fn prepare_shapes(
        &mut self,
        list: &[(&str, DType, &[u64])],
        mut problems: Vec<Diagnostic>,
    ) -> Result<(), Vec<Diagnostic>> {
        let module = self.module.clone();
        let manifest = module.bundle.manifest();
        for (name, dtype, _) in list {
            if let Some(port) = manifest.inputs.iter().find(|p| p.name == *name && p.dtype != *dtype) {
                problems.push(
                    Diagnostic::error("TC0803", format!("input `{name}` is {dtype}, {} expected", port.dtype))
                        .with_help("convert the tensor; Tricot never converts inputs by itself"),
                );
            }
        }
        let shapes: Vec<NamedShape> = list.iter().map(|(name, _, shape)| (*name, *shape)).collect();
        // A missing input leaves symbols unbound; say only what its absence does not explain.
        let incomplete = !problems.is_empty();
        match symbols::infer(manifest, &shapes, &free_values(manifest, &self.given)) {
            Ok(values) if problems.is_empty() => return self.select(&values),
            Ok(_) => {}
            Err(more) => problems.extend(more.into_iter().filter(|d| !(incomplete && d.code == "TC0805"))),
        }
        Err(problems)
    }

    /// Makes `values` the last binding and the workspace big enough.
    fn select(&mut self, values: &Bindings) -> Result<(), Vec<Diagnostic>> {
        if let Some(i) = self.bindings.iter().position(|(v, _)| v == values) {
            let hit = self.bindings.remove(i);
            self.bindings.push(hit);
        } else {
            let bound = self.module.bound(values)?;
            let weights = match &self.module.program {
                Program::Cpu(cpu) => cpu.weights(&self.module.bundle, &bound)?,
                Program::Cuda(cuda) => cuda.weights(&self.module.bundle, &bound)?,
                #[cfg(feature = "sim")]
                Program::Sim(sim) => sim.weights(&self.module.bundle, &bound)?,
            };
            if self.bindings.len() == MAX_BINDINGS {
                self.bindings.remove(0);
            }
            self.bindings.push((values.clone(), Binding { bound, weights, cuda: CudaBinding::default() }));
        }
        let needed = self.bindings.last().map_or(0, |(_, b)| b.bound.workspace_bytes);
        Ok(self.grow(needed)?)
    }

    fn grow(&mut self, needed: u64) -> Result<(), Diagnostic> {
        let have = self.workspace.bytes();
        if needed <= have {
            return Ok(());
        }
        if let Workspace::Caller { .. } = self.workspace {
            return Err(Diagnostic::error("TC0810", format!("the workspace has {have} bytes, {needed} are needed"))
                .with_help("ask `workspace_bytes` for the symbol values you bind"));
        }
        self.forget_graphs();
        self.workspace = Workspace::None; // Frees the old memory before asking for more.
        self.workspace = Workspace::allocate(&self.module, self.allocator.as_ref(), needed)?;
        Ok(())
    }

    /// Graphs hold workspace addresses.
    fn forget_graphs(&mut self) {
        self.bindings.iter_mut().for_each(|(_, b)| b.cuda.forget_graphs());
    }

    fn run_host(
        &mut self,
        inputs: &[&HostTensor],
        outputs: &mut [&mut HostTensor],
        options: &RunOptions,
    ) -> Result<RunReport, Vec<Diagnostic>> {
        let module = self.module.clone();
        match &module.program {
            program if program.in_host_memory() => {
                let inputs: Vec<_> = inputs.iter().map(|t| t.bytes().as_ptr() as u64).collect();
                let outputs: Vec<_> = outputs.iter_mut().map(|t| t.bytes_mut().as_mut_ptr() as u64).collect();
                // SAFETY: the tensors are alive and borrowed, of the sizes the binding was made for.
                unsafe { self.run_pointers(&inputs, &outputs, options) }
            }
            Program::Cuda(cuda) => {
                let workspace = self.workspace.pointer();
                let (_, binding) = self.bindings.last_mut().expect("a run is prepared by a binding");
                let resolve = |i: &[u64], o: &[u64]| pointers(&binding.bound, &binding.weights, workspace, i, o);
                Ok(cuda.run_host(&binding.bound, &mut binding.cuda, resolve, workspace, inputs, outputs, options)?)
            }
            _ => unreachable!("a program is in host memory or on a GPU"),
        }
    }

    /// # Safety
    /// As [`Instance::run_at`], for the last binding.
    unsafe fn run_pointers(
        &mut self,
        inputs: &[u64],
        outputs: &[u64],
        options: &RunOptions,
    ) -> Result<RunReport, Vec<Diagnostic>> {
        let workspace = self.workspace.pointer();
        let (_, binding) = self.bindings.last_mut().expect("a run is prepared by a binding");
        let list = pointers(&binding.bound, &binding.weights, workspace, inputs, outputs);
        let bound = &binding.bound;
        // SAFETY: passed on; the workspace is as large as the binding wants.
        let report = match &self.module.program {
            Program::Cpu(cpu) => unsafe { cpu.run(bound, &list, workspace, options) },
            Program::Cuda(cuda) => unsafe { cuda.run(bound, &mut binding.cuda, &list, workspace, options) },
            #[cfg(feature = "sim")]
            Program::Sim(sim) => unsafe { sim.run(bound, &list, workspace, options) },
        };
        Ok(report?)
    }

    fn check_addresses(&self, inputs: &[u64], outputs: &[u64]) -> Result<(), Vec<Diagnostic>> {
        let align = |dtype: DType| match self.module.program.in_host_memory() {
            true => u64::from(dtype.bits() / 8).max(1),
            false => 16,
        };
        let ports = self.inputs().iter().zip(inputs).chain(self.outputs().iter().zip(outputs));
        let ranges: Vec<_> = ports.map(|(p, at)| (p, *at, at.saturating_add(p.bytes))).collect();
        let mut problems = vec![];
        for (i, (port, start, end)) in ranges.iter().enumerate() {
            if port.bytes > 0 && (*start == 0 || start % align(port.dtype) != 0) {
                let message =
                    format!("`{}` is at {start:#x}, {}-byte alignment is needed", port.name, align(port.dtype));
                problems.push(Diagnostic::error("TC0810", message));
            }
            if i < inputs.len() {
                continue;
            }
            for (j, (other, s, e)) in ranges[..i].iter().enumerate() {
                let aliased = port.alias == Some(j) && s == start;
                if start < e && s < end && !aliased {
                    let message = format!("output `{}` overlaps `{}`", port.name, other.name);
                    problems.push(Diagnostic::error("TC0810", message).with_help(
                        "give every output memory of its own; only an output that aliases an input may share it",
                    ));
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// The address of every buffer.
fn pointers(bound: &Bound, weights: &[u64], workspace: u64, inputs: &[u64], outputs: &[u64]) -> Vec<u64> {
    let address = |(i, b): (usize, &crate::bound::BoundBuffer)| match &b.place {
        Place::Input(n) => inputs[*n],
        Place::Output(n) => outputs[*n],
        Place::Weight(_) => weights[i],
        Place::Arena(at) => workspace + at,
    };
    bound.buffers.iter().enumerate().map(address).collect()
}

/// The given values of symbols that appear in no input's shape.
fn free_values(manifest: &Manifest, given: &Bindings) -> Bindings {
    let mut free = given.clone();
    for dim in manifest.inputs.iter().flat_map(|p| &p.shape) {
        dim.visit_symbols(&mut |s| {
            free.remove(s);
        });
    }
    free
}

fn check_outputs(ports: &[BoundPort], given: &[(DType, &[u64])]) -> Result<(), Vec<Diagnostic>> {
    if ports.len() != given.len() {
        let message = format!("{} outputs given, {} expected", given.len(), ports.len());
        return Err(vec![Diagnostic::error("TC0801", message)]);
    }
    let mut problems = vec![];
    for (port, (dtype, shape)) in ports.iter().zip(given) {
        let (name, want) = (&port.name, port.dtype);
        if *dtype != want {
            problems.push(Diagnostic::error("TC0803", format!("output `{name}` is {want}, {dtype} given")));
        }
        if *shape != port.shape {
            let message = format!("output `{name}` has shape {:?}, {shape:?} given", port.shape);
            problems.push(Diagnostic::error("TC0804", message));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
