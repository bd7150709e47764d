//! Sets of inputs and outputs that rotate, each with an instance of its own, and the clocks around their runs.
//!
//! The central type is [`Sets`]. Going through a few hundred megabytes before a buffer comes again keeps caches out of the measurement.

use std::time::{Duration, Instant};
use tricot_compiler::numerics;
use tricot_plan::Port;
use tricot_runtime::cuda::{Context, CudaMemory, Event, Stream};
use tricot_runtime::{
    ARENA_ALIGN, Bindings, BoundPort, Device, Diagnostic, HostTensor, Instance, Module, RunOptions, RunReport,
    StepWork, TensorRef, Timing,
};

type Outcome<T> = Result<T, Vec<Diagnostic>>;

/// Random values made for one input; longer inputs repeat them.
const VALUES: i64 = 1 << 22;
/// Least sets, and most.
const LEAST: u64 = 3;
const MOST: u64 = 256;
/// Runs after which samples are read from the device.
const BATCH: Duration = Duration::from_millis(100);

pub struct Sets {
    sets: Vec<Set>,
    /// Bytes of one set's inputs and outputs.
    each: u64,
    replayed: bool,
    gpu: Option<(Stream, std::sync::Arc<Context>)>,
}

/// Fields drop in this order: the instance waits for its work before its memory goes.
struct Set {
    instance: Instance,
    memory: Memory,
}

enum Memory {
    Host { inputs: Vec<(String, HostTensor)>, outputs: Vec<HostTensor> },
    Device { inputs: Vec<TensorRef>, outputs: Vec<TensorRef>, _memory: CudaMemory },
}

impl Sets {
    /// As many sets as make `rotate` bytes, or as fit the device.
    pub fn new(module: &Module, symbols: &Bindings, rotate: u64) -> Outcome<Sets> {
        let first = module.bind(symbols)?;
        let (ins, outs) = (first.inputs().to_vec(), first.outputs().to_vec());
        let each = ins.iter().chain(&outs).map(|p| p.bytes).sum::<u64>();
        let inputs = module.manifest().inputs.iter().zip(&ins).map(|(port, bound)| random(port, bound));
        let inputs: Vec<HostTensor> = inputs.collect::<Outcome<_>>()?;
        let gpu = match module.device() {
            Device::Cpu | Device::Sim => None,
            Device::Cuda(n) => {
                let context = Context::of(n).map_err(|d| vec![d])?;
                Some((Stream::new(&context).map_err(|d| vec![d])?, context))
            }
        };
        let mut out = Sets { sets: vec![], each, replayed: false, gpu };
        let mut instance = Some(first);
        for _ in 0..rotate.div_ceil(each.max(1)).clamp(LEAST, MOST) {
            let one = match instance.take() {
                Some(first) => Ok(first),
                None => module.bind(symbols),
            };
            let made = one.and_then(|instance| {
                let memory = match &out.gpu {
                    None => host(&inputs, &outs, &ins)?,
                    Some((_, context)) => device(context, &inputs, &ins, &outs)?,
                };
                Ok(Set { instance, memory })
            });
            match made {
                Ok(set) => out.sets.push(set),
                // Memory is full: what fits will do.
                Err(problems) if !out.sets.is_empty() && problems.iter().all(|d| d.code == "TC0823") => break,
                Err(problems) => return Err(problems),
            }
        }
        Ok(out)
    }

    pub fn len(&self) -> usize {
        self.sets.len()
    }

    pub fn bytes(&self) -> u64 {
        self.each * self.sets.len() as u64
    }

    pub fn replayed(&self) -> bool {
        self.replayed
    }

    /// What each step does.
    pub fn work(&self) -> Vec<StepWork> {
        self.sets[0].instance.work().to_vec()
    }

    fn run(&mut self, at: usize, timing: Timing) -> Outcome<RunReport> {
        let stream = self.gpu.as_ref().map(|(s, _)| s.raw());
        let options = RunOptions { stream, synchronize: stream.is_none(), timing, ..RunOptions::default() };
        let Set { instance, memory } = &mut self.sets[at];
        let report = match memory {
            Memory::Host { inputs, outputs } => {
                let inputs: Vec<_> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
                instance.run_into(&inputs, &mut outputs.iter_mut().collect::<Vec<_>>(), &options)?
            }
            // SAFETY: the memory belongs to the set, is as large as the ports and outlives the runs: sets drop after the last wait.
            Memory::Device { inputs, outputs, .. } => unsafe { instance.run_at(inputs, outputs, &options)? },
        };
        self.replayed |= report.replayed;
        Ok(report)
    }

    fn wait(&self) -> Outcome<()> {
        self.gpu.as_ref().map_or(Ok(()), |(stream, _)| stream.synchronize().map_err(|d| vec![d]))
    }

    /// Runs every set twice, which makes the graphs, and on for so many seconds.
    pub fn warm_up(&mut self, seconds: f64) -> Outcome<()> {
        let begin = Instant::now();
        for pass in 0.. {
            if pass >= 2 && begin.elapsed().as_secs_f64() >= seconds {
                break;
            }
            for at in 0..self.len() {
                self.run(at, Timing::Off)?;
            }
            self.wait()?;
        }
        Ok(())
    }

    /// Seconds of a run: one sample for each pass over the sets.
    pub fn whole(&mut self, seconds: f64) -> Outcome<Vec<f64>> {
        let (begin, mut samples) = (Instant::now(), vec![]);
        while samples.is_empty() || begin.elapsed().as_secs_f64() < seconds {
            samples.extend(self.batch()?);
        }
        Ok(samples)
    }

    /// Samples of passes that are queued one after another without a wait.
    fn batch(&mut self) -> Outcome<Vec<f64>> {
        let begin = Instant::now();
        let Some((stream, context)) = &self.gpu else {
            for at in 0..self.len() {
                self.run(at, Timing::Off)?;
            }
            return Ok(vec![begin.elapsed().as_secs_f64() / self.len() as f64]);
        };
        let (raw, context) = (stream.raw(), context.clone());
        // SAFETY: the stream lives as long as the sets.
        let mark = || unsafe { Event::record(&context, raw) }.map_err(|d| vec![d]);
        let mut marks = vec![mark()?];
        while marks.len() < 3 || begin.elapsed() < BATCH {
            for at in 0..self.len() {
                self.run(at, Timing::Off)?;
            }
            marks.push(mark()?);
        }
        self.wait()?;
        let time = |pair: &[Event]| Ok(pair[0].until(&pair[1]).map_err(|d| vec![d])?.as_secs_f64() / self.len() as f64);
        // The first pass fills the queue.
        marks[1..].windows(2).map(time).collect()
    }

    /// Seconds of every step, one sample for each timed run.
    pub fn steps(&mut self, seconds: f64) -> Outcome<Vec<Vec<f64>>> {
        let (begin, mut samples) = (Instant::now(), vec![vec![]; self.work().len()]);
        // Launching a step takes some 20 us, its events included; so long the device is kept busy before.
        let one = self.batch()?.into_iter().fold(f64::INFINITY, f64::min).max(1e-6);
        let ahead = ((samples.len() as f64 * 20e-6 / one).ceil() as usize).clamp(1, 10_000);
        for at in (0..self.len()).cycle() {
            if self.gpu.is_some() {
                for i in 0..ahead {
                    self.run((at + 1 + i) % self.len(), Timing::Off)?;
                }
            }
            let report = self.run(at, Timing::Steps)?;
            for (all, step) in samples.iter_mut().zip(&report.steps) {
                all.push(step.time.as_secs_f64());
            }
            let runs = samples.first().map_or(usize::MAX, Vec::len);
            if runs >= self.len() && begin.elapsed().as_secs_f64() >= seconds {
                break;
            }
        }
        self.wait()?;
        Ok(samples)
    }
}

/// A random tensor for a port; of long ones only the beginning is drawn, and repeated.
fn random(port: &Port, bound: &BoundPort) -> Outcome<HostTensor> {
    let sizes = Bindings::new();
    let elements = bound.shape.iter().product::<u64>();
    let drawn = Port { shape: vec![(elements.min(VALUES as u64) as i64).into()], ..port.clone() };
    let values = numerics::random_tensor(&drawn, &sizes, 0).map_err(|d| vec![d])?;
    let mut out = HostTensor::zeros(port.dtype, &bound.shape).map_err(|d| vec![d])?;
    if !values.bytes().is_empty() {
        out.bytes_mut()
            .chunks_mut(values.bytes().len())
            .for_each(|part| part.copy_from_slice(&values.bytes()[..part.len()]));
    }
    Ok(out)
}

fn host(inputs: &[HostTensor], outs: &[BoundPort], ins: &[BoundPort]) -> Outcome<Memory> {
    let copy = |t: &HostTensor| HostTensor::from_bytes(t.dtype(), t.shape(), t.bytes());
    let inputs = inputs.iter().zip(ins).map(|(t, p)| Ok((p.name.clone(), copy(t)?))).collect::<Result<_, _>>();
    let outputs = outs.iter().map(|p| HostTensor::zeros(p.dtype, &p.shape)).collect::<Result<_, _>>();
    Ok(Memory::Host { inputs: inputs.map_err(|d: Diagnostic| vec![d])?, outputs: outputs.map_err(|d| vec![d])? })
}

fn device(
    context: &std::sync::Arc<Context>,
    inputs: &[HostTensor],
    ins: &[BoundPort],
    outs: &[BoundPort],
) -> Outcome<Memory> {
    let mut end = 0u64;
    let mut place = |p: &BoundPort| {
        let at = end;
        end += p.bytes.next_multiple_of(ARENA_ALIGN);
        (at, p.clone())
    };
    let ins: Vec<_> = ins.iter().map(&mut place).collect();
    let outs: Vec<_> = outs.iter().map(&mut place).collect();
    let memory = CudaMemory::allocate(context, end, "inputs and outputs").map_err(|d| vec![d])?;
    for ((at, _), tensor) in ins.iter().zip(inputs) {
        memory.upload(*at, tensor.bytes()).map_err(|d| vec![d])?;
    }
    let tensor =
        |(at, p): (u64, BoundPort)| TensorRef { pointer: memory.pointer() + at, dtype: p.dtype, shape: p.shape };
    let [inputs, outputs] = [ins, outs].map(|list| list.into_iter().map(tensor).collect());
    Ok(Memory::Device { inputs, outputs, _memory: memory })
}
