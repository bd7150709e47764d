//! The `sim` device: a GPU target's PTX, executed by the simulator in host memory.
//!
//! The central type is [`SimProgram`]. Slow and exact; whatever the simulator finds wrong with a kernel ends the run. Built with
//! the feature `sim`.

use crate::bound::{Bound, BoundGpu, BoundMap, BoundParam, BoundStep, Place};
use crate::bundle::{Bundle, target_entry};
use crate::options::{RunOptions, RunReport, StepTime, Timing};
use std::collections::BTreeMap;
use std::time::Instant;
use tricot_plan::{How, Launch, Step, Swizzle};
use tricot_ptxsim::machine::tensormap::element_bytes;
use tricot_ptxsim::memory::{DEFINED, UNDEFINED};
use tricot_ptxsim::report::Severity;
use tricot_ptxsim::{Device, Launch as SimLaunch, TensorMap, pack};
use tricot_types::{DType, Diagnostic};

/// Which bytes of each region of memory hold something, by the region's address.
type Written = BTreeMap<u64, Vec<u8>>;

/// Warp instructions of one launch after which it counts as endless.
const LIMIT: u64 = 20_000_000_000;

/// Findings of one launch that a message lists.
const SHOWN: usize = 8;

/// The target whose PTX is simulated.
pub(crate) const TARGET: &str = "sm_90a";

/// The kernels of the target: PTX and entry by name.
pub(crate) struct SimProgram {
    kernels: BTreeMap<String, (String, String)>,
    /// Outputs whose elements are smaller than a byte: who writes half a byte reads the other half.
    packed: Vec<usize>,
}

impl SimProgram {
    /// Reads the PTX of every kernel of the plans.
    ///
    /// # Errors
    /// TC0871 PTX that the simulator cannot read or does not know all of, TC0711 a kernel without PTX.
    pub fn load(bundle: &Bundle) -> Result<SimProgram, Vec<Diagnostic>> {
        let mut kernels = BTreeMap::new();
        let mut problems = vec![];
        let outputs = bundle.manifest().outputs.iter().enumerate();
        let packed = outputs.filter(|(_, port)| port.dtype.bits() < 8).map(|(n, _)| n).collect();
        let variants = bundle.manifest().targets.get(TARGET).map(|t| &t.variants);
        for step in variants.into_iter().flatten().flat_map(|plan| &plan.steps) {
            let Step::Launch(Launch { kernel, how: How::Gpu(gpu), .. }) = step else { continue };
            if kernels.contains_key(kernel) {
                continue;
            }
            let entry = if gpu.entry.is_empty() { kernel } else { &gpu.entry };
            match known(bundle, kernel, entry) {
                Ok(text) => {
                    kernels.insert(kernel.clone(), (text, entry.clone()));
                }
                Err(d) => problems.push(d.at_name(format!("kernel `{kernel}`"), "")),
            }
        }
        if problems.is_empty() { Ok(SimProgram { kernels, packed }) } else { Err(problems) }
    }

    /// Address of every buffer that is a weight; 0 for the others.
    pub fn weights(&self, bundle: &Bundle, bound: &Bound) -> Result<Vec<u64>, Vec<Diagnostic>> {
        bundle.verify_entries(&bound.weights().collect::<Vec<_>>())?;
        let address = |place: &Place| match place {
            Place::Weight(name) => bundle.entry(name).map(|bytes| bytes.as_ptr() as u64),
            _ => Ok::<u64, Diagnostic>(0),
        };
        Ok(bound.buffers.iter().map(|b| address(&b.place)).collect::<Result<_, _>>()?)
    }

    /// Runs all steps.
    ///
    /// # Errors
    /// TC0870 with what the simulator found.
    ///
    /// # Safety
    /// As for the `cpu` device: `pointers` holds one address of host memory per buffer of `bound`, valid for its bytes and disjoint
    /// as the plan assumes; `workspace` is valid for `workspace_bytes`.
    pub unsafe fn run(
        &self,
        bound: &Bound,
        pointers: &[u64],
        workspace: u64,
        options: &RunOptions,
    ) -> Result<RunReport, Diagnostic> {
        let mut report = RunReport::default();
        let start = Instant::now();
        let at = |buffer: usize| pointers[buffer] as *mut u8;
        // The caller's inputs and weights hold something; the rest does when a step has written it.
        let mut written = Written::new();
        for (b, p) in bound.buffers.iter().zip(pointers) {
            let packed = matches!(b.place, Place::Output(n) if self.packed.contains(&n));
            if packed || matches!(b.place, Place::Input(_) | Place::Weight(_)) {
                fill(&mut written, *p, b.bytes);
            }
        }
        for step in &bound.steps {
            options.check_cancel()?;
            let step_start = Instant::now();
            match step {
                BoundStep::Copy { from, to, bytes } => {
                    if pointers[*from] != pointers[*to] {
                        // SAFETY: `bytes` is within both buffers (checked when bound); `copy` allows overlap.
                        unsafe { at(*from).copy_to(at(*to), *bytes as usize) };
                    }
                    fill(&mut written, pointers[*to], *bytes);
                }
                BoundStep::Zero { buffer, bytes } => {
                    // SAFETY: `bytes` is within the buffer.
                    unsafe { at(*buffer).write_bytes(0, *bytes as usize) };
                    fill(&mut written, pointers[*buffer], *bytes);
                }
                BoundStep::Gpu(gpu) => {
                    // SAFETY: passed on.
                    unsafe { self.launch(gpu, bound, pointers, workspace, &mut written) }?;
                }
                BoundStep::Cpu { kernel, .. } => {
                    return Err(Diagnostic::error("TC0813", format!("kernel `{kernel}` is no GPU kernel")));
                }
            }
            if options.timing == Timing::Steps {
                report.steps.push(StepTime { name: step.name().into(), time: step_start.elapsed() });
            }
        }
        report.total = (options.timing != Timing::Off).then(|| start.elapsed());
        Ok(report)
    }

    /// # Safety
    /// As [`SimProgram::run`].
    unsafe fn launch(
        &self,
        gpu: &BoundGpu,
        bound: &Bound,
        pointers: &[u64],
        workspace: u64,
        written: &mut Written,
    ) -> Result<(), Diagnostic> {
        if gpu.grid.contains(&0) {
            return Ok(());
        }
        let fail = |message: String| Diagnostic::error("TC0870", message).at_name(gpu.place(), "");
        let missing = || Diagnostic::error("TC0825", format!("kernel `{}` was not loaded", gpu.kernel));
        let (text, entry) = self.kernels.get(&gpu.kernel).ok_or_else(missing)?;
        let mut device = Device::new();
        let module = device.load(text).map_err(|e| fail(e.to_string()))?;
        let program = module.kernel(entry).map_err(|e| fail(e.to_string()))?;
        let scratch = workspace + bound.scratch_offset;
        if gpu.zero_scratch > 0 {
            // SAFETY: scratch lies within the workspace.
            unsafe { (scratch as *mut u8).write_bytes(0, gpu.zero_scratch as usize) };
            fill(written, scratch, gpu.zero_scratch);
        }
        // One region for each address: buffers that share memory share it here too.
        let mut ranges: BTreeMap<u64, (String, usize)> = BTreeMap::new();
        for p in &gpu.params {
            let (address, name, bytes) = match p {
                BoundParam::Buffer(b) | BoundParam::TensorMap(BoundMap { buffer: b, .. }) => {
                    (pointers[*b], buffer_name(bound, *b), bound.buffers[*b].bytes)
                }
                BoundParam::Scratch => (scratch, "scratch".to_string(), bound.workspace_bytes - bound.scratch_offset),
                BoundParam::Value(_) => continue,
            };
            let slot = ranges.entry(address).or_insert((name, 0));
            slot.1 = slot.1.max(bytes as usize);
        }
        let mut regions: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
        for (address, (name, bytes)) in &ranges {
            // SAFETY: the memory is valid for the buffer's bytes.
            let held = unsafe { std::slice::from_raw_parts(*address as *const u8, *bytes) }.to_vec();
            let base = device.memory.add(name, Some(held), *bytes);
            if let Some(region) = device.memory.region_mut(base) {
                let known = written.get(address).map_or(&[][..], Vec::as_slice);
                region.state.iter_mut().enumerate().for_each(|(i, s)| *s = known.get(i).copied().unwrap_or(UNDEFINED));
            }
            regions.insert(*address, (base, *bytes));
        }
        let mut arguments = vec![];
        for (p, (_, _, size)) in gpu.params.iter().zip(&program.params) {
            let value = match p {
                BoundParam::Buffer(b) => regions[&pointers[*b]].0,
                BoundParam::Scratch => regions[&scratch].0,
                BoundParam::Value(v) => *v as u64,
                BoundParam::TensorMap(map) => {
                    let tensor = tensor_map(map, regions[&pointers[map.buffer]].0);
                    tensor.check().map_err(|e| fail(e.to_string()))?;
                    arguments.push(tensor.encode().to_vec());
                    continue;
                }
            };
            arguments.push(value.to_le_bytes()[..(*size as usize).min(8)].to_vec());
        }
        let launch = SimLaunch {
            grid: gpu.grid,
            block: gpu.block,
            cluster: gpu.cluster,
            dynamic_shared: gpu.shared_bytes,
            params: pack(&program, &arguments).map_err(fail)?,
            step_limit: LIMIT,
            order: true,
            exact: false,
            ..SimLaunch::default()
        };
        let report = device.run(&module, &program, &launch);
        let errors = report.errors().count();
        if errors > 0 {
            let faults = if errors == 1 { "a fault" } else { &format!("{errors} faults") };
            let base = fail(format!("the simulator finds {faults}"));
            let errors = report.by_cause().into_iter().filter(|(_, f)| f.class.severity() == Severity::Error);
            let line = |(follows, f)| format!("{}{f}", if follows { "may follow from it: " } else { "" });
            return Err(errors.take(SHOWN).map(line).fold(base, Diagnostic::with_note));
        }
        for (address, (base, bytes)) in regions {
            let Some(region) = device.memory.region(base) else { continue };
            let now = &region.data[..bytes];
            // SAFETY: the memory is valid for the buffer's bytes. What the kernel did not change is not written: it may be read-only.
            unsafe {
                if std::slice::from_raw_parts(address as *const u8, bytes) != now {
                    (address as *mut u8).copy_from(now.as_ptr(), bytes);
                }
            }
            written.insert(address, region.state.clone());
        }
        Ok(())
    }
}

/// A buffer as the user knows it, for findings.
fn buffer_name(bound: &Bound, buffer: usize) -> String {
    match &bound.buffers[buffer].place {
        Place::Input(n) => format!("input {}", bound.inputs[*n].name),
        Place::Output(n) => format!("output {}", bound.outputs[*n].name),
        Place::Weight(name) => format!("weight {name}"),
        Place::Arena(_) => format!("workspace buffer {buffer}"),
    }
}

/// Says that bytes from an address on hold something.
fn fill(written: &mut Written, address: u64, bytes: u64) {
    let state = written.entry(address).or_default();
    let bytes = bytes as usize;
    state.resize(state.len().max(bytes), UNDEFINED);
    state[..bytes].fill(DEFINED);
}

/// A kernel's PTX, all of which the simulator knows.
fn known(bundle: &Bundle, kernel: &str, entry: &str) -> Result<String, Diagnostic> {
    let name = target_entry(TARGET, &format!("{kernel}.ptx"));
    if !bundle.manifest().entries.contains_key(&name) {
        return Err(Diagnostic::error("TC0711", "the bundle has no PTX of this kernel, only machine code"));
    }
    let unreadable = |why: String| Diagnostic::error("TC0871", format!("the simulator cannot run the PTX: {why}"));
    let text = std::str::from_utf8(bundle.entry(&name)?).map_err(|e| unreadable(e.to_string()))?;
    let module = Device::new().load(text).map_err(|e| unreadable(e.to_string()))?;
    module.kernel(entry).map_err(|e| unreadable(e.to_string()))?;
    Ok(text.to_string())
}

fn tensor_map(map: &BoundMap, base: u64) -> TensorMap {
    // Numbers of `tensormap.replace` (PTX ISA 9.7.9.28).
    let elemtype = match map.dtype {
        DType::F16 => 6,
        DType::BF16 => 10,
        DType::F32 => 7,
        DType::F64 => 9,
        DType::I32 => 3,
        DType::U32 => 2,
        DType::I16 | DType::U16 => 1,
        _ => 0,
    };
    TensorMap {
        address: base + map.offset,
        elemtype,
        element: element_bytes(elemtype).unwrap_or(1),
        dims: map.dims.clone(),
        strides: map.strides.clone(),
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
    }
}
