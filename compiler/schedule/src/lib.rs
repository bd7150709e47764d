//! From a graph to kernels and a plan: which ops share a kernel, in which order kernels run, where values live.
//!
//! The central type is [`Schedule`]. This crate knows no target's instructions: it writes kernel descriptions and a plan
//! whose launches a backend completes.

mod attention;
mod bag;
mod check;
mod collapse;
mod contraction;
mod coords;
pub mod cost;
mod custom;
mod eval;
mod flat;
mod fold;
mod group;
mod interface;
mod memory;
mod merge;
mod nest;
mod order;
mod plan;
mod prepack;
mod scalar;
mod sparse;
mod special;
pub mod text;
mod widen;
mod winograd;
mod work;

pub use interface::Interface;
pub use prepack::Recipe;
pub use work::work;

use flat::Flat;
use fold::Effort;
use std::collections::BTreeMap;
use tricot_dialects::{Constant, Module, Node, TensorType};
use tricot_kernel::{CompiledTarget, KernelDesc};
use tricot_plan::{BufferId, Launch, Plan, PlanBuffer, Step};
use tricot_rates::Rates;
use tricot_types::{Diagnostic, Poly, SymbolTable};

/// What may influence a schedule.
#[derive(Clone, Debug)]
pub struct ScheduleOptions {
    /// The target's name, for costs; every schedule is right on every target.
    pub target: String,
    /// Let ops share kernels and stay whole. Without it every op of the graph decomposed to primitives is a kernel of its own.
    pub fuse: bool,
}

impl Default for ScheduleOptions {
    fn default() -> Self {
        ScheduleOptions { target: String::new(), fuse: true }
    }
}

/// Kernels, buffers and steps of one module.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    pub interface: Interface,
    pub symbols: SymbolTable,
    /// Distinct kernels in order of first use.
    pub kernels: Vec<KernelDesc>,
    pub buffers: Vec<PlanBuffer>,
    pub steps: Vec<ScheduledStep>,
    pub arena_bytes: Poly,
    /// Constants the plan's weight buffers name, by entry name.
    pub weights: BTreeMap<String, Constant>,
    /// How weights come from others, by entry name, where the target likes another layout.
    pub prepack: BTreeMap<String, Recipe>,
}

impl PartialEq for Schedule {
    /// Constants are equal by content.
    fn eq(&self, other: &Schedule) -> bool {
        let weights = |s: &Schedule| s.weights.iter().map(|(n, c)| (n.clone(), c.hash())).collect::<Vec<_>>();
        self.interface == other.interface
            && self.symbols == other.symbols
            && self.kernels == other.kernels
            && self.buffers == other.buffers
            && self.steps == other.steps
            && self.arena_bytes == other.arena_bytes
            && weights(self) == weights(other)
            && self.prepack == other.prepack
    }
}

/// A step without the target's part.
#[derive(Clone, Debug, PartialEq)]
pub enum ScheduledStep {
    Launch {
        /// A kernel's name.
        kernel: String,
        /// In the order of the kernel's own list.
        buffers: Vec<BufferId>,
        /// Values of the kernel's symbols, in its order.
        symbols: Vec<Poly>,
        /// The user's values that it computes, by name and operator.
        nodes: Vec<String>,
    },
    /// Copies whole buffers' bytes.
    Copy { from: BufferId, to: BufferId, bytes: Poly },
}

/// Schedules a verified module.
///
/// # Errors
/// TC04xx what cannot be scheduled, at the user's own nodes; TC10xx faults of the compiler.
pub fn schedule(module: &Module, options: &ScheduleOptions) -> Result<Schedule, Vec<Diagnostic>> {
    scheduled(module, options, Effort::Full)
}

/// Seconds the schedule of a verified module takes on `options.target`, by the model. Large constants are not folded for it.
///
/// # Errors
/// As [`schedule`].
pub fn estimate(module: &Module, options: &ScheduleOptions) -> Result<f64, Vec<Diagnostic>> {
    Ok(cost::seconds(&scheduled(module, options, Effort::Outline)?, &Rates::named(&options.target)))
}

fn scheduled(module: &Module, options: &ScheduleOptions, effort: Effort) -> Result<Schedule, Vec<Diagnostic>> {
    let own = |node: &Node, types: &[TensorType]| custom::keeps(node, types, &options.target, &module.symbols);
    let keep = |node: &Node, types: &[TensorType]| options.fuse && (group::keeps(node, types) || own(node, types));
    let mut flat = flat::flatten(module, keep)?;
    if options.target == "sm_90a" {
        widen::widen(&mut flat).map_err(|d| vec![d])?;
    }
    if options.fuse {
        let rates = Rates::named(&options.target);
        let outline = |trial: &Flat| lay_out(trial.clone(), options, Effort::Outline).ok();
        flat = merge::merge(flat, &|trial| Some(cost::seconds(&outline(trial)?, &rates)));
    }
    let schedule = lay_out(flat, options, effort)?;
    Ok(Schedule { interface: Interface::of(module), ..schedule })
}

/// From a flat graph to kernels and their plan.
fn lay_out(mut flat: Flat, options: &ScheduleOptions, effort: Effort) -> Result<Schedule, Vec<Diagnostic>> {
    tricot_types::stop::check();
    let mut recipes = BTreeMap::new();
    if options.fuse {
        fold::fold(&mut flat, effort).map_err(|d| vec![d])?;
    }
    // Layouts do not enter the cost, and an outline lacks the constants.
    if options.fuse && effort == Effort::Full {
        recipes = prepack::prepack(&mut flat, &options.target).map_err(|d| vec![d])?;
    }
    tricot_types::stop::check();
    let kernels = group::group(&flat, options.fuse)?;
    let mut schedule = plan::plan(&flat, kernels)?;
    let entries = recipes.into_iter().map(|(hash, recipe)| (plan::weight_entry(hash), recipe));
    schedule.prepack = entries.filter(|(name, _)| schedule.weights.contains_key(name)).collect();
    let faults: Vec<Diagnostic> =
        schedule.kernels.iter().filter_map(|k| tricot_kernel::verify::verify(k).err()).flatten().collect();
    if faults.is_empty() { Ok(schedule) } else { Err(faults) }
}

impl Schedule {
    /// Completes the launches with a target's compiled kernels.
    ///
    /// # Errors
    /// TC1041 a kernel was not compiled.
    pub fn finish(&self, compiled: &CompiledTarget) -> Result<Plan, Diagnostic> {
        let kernels: BTreeMap<&str, &KernelDesc> = self.kernels.iter().map(|k| (k.name.as_str(), k)).collect();
        let mut steps = vec![];
        for step in &self.steps {
            steps.push(match step {
                ScheduledStep::Copy { from, to, bytes } => Step::Copy { from: *from, to: *to, bytes: bytes.clone() },
                ScheduledStep::Launch { kernel, buffers, symbols, nodes } => {
                    let missing = || Diagnostic::error("TC1041", format!("kernel `{kernel}` was not compiled"));
                    let done = compiled.kernels.get(kernel).ok_or_else(missing)?;
                    let desc = kernels.get(kernel.as_str()).ok_or_else(missing)?;
                    Step::Launch(Launch {
                        kernel: kernel.clone(),
                        buffers: buffers.clone(),
                        symbols: symbols.clone(),
                        symbol_names: desc.symbols.clone(),
                        nodes: nodes.clone(),
                        work: work::work(desc, &self.symbols),
                        how: done.how.clone(),
                    })
                }
            });
        }
        Ok(Plan {
            symbols: self.symbols.clone(),
            buffers: self.buffers.clone(),
            arena_bytes: self.arena_bytes.clone(),
            steps,
        })
    }
}
