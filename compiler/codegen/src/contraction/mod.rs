//! Tensor-core contractions: TMA into swizzled shared memory, wgmma, fused stores.
//!
//! The central type is [`Contract`], the [`Family`] of dense contractions of 16- and 8-bit floats into f32. [`plan`] decides which loops
//! become a tile and how TMA fetches them, [`config`] picks sizes, [`kernel`] and [`epilogue`] emit. Declines what TMA cannot
//! fetch; the generic families take it then.

pub mod axes;
pub mod config;
pub mod epilogue;
pub mod kernel;
mod metadata;
pub mod plan;

use crate::eval::facts::Facts;
use crate::kernel::Kernel;
use crate::select::Family;
use crate::tile::roles::{SMS, THREADS};
use config::Config;
use epilogue::Walk;
use kernel::Pipeline;
use plan::Plan;
use tricot_kernel::{Body, KernelDesc};
use tricot_plan::{GpuLaunch, Param};
use tricot_types::{Diagnostic, Poly, SymbolTable};

/// A contraction on tensor cores.
pub struct Contract {
    pipeline: Pipeline,
    walk: Walk,
    launch: GpuLaunch,
    choice: String,
    symbols: SymbolTable,
}

/// The dense family's answer to a description.
pub fn try_dense(desc: &KernelDesc, symbols: &SymbolTable) -> Option<Box<dyn Family>> {
    let Body::Contraction(c) = &desc.body else { return None };
    let problem = plan::dense(desc, c)?;
    // The tile's rows come in steps of 128, its columns of 32: a small side belongs into the columns.
    let layouts = [problem.clone(), problem.swapped()].map(|p| {
        let plan = Plan::new(&p, symbols)?;
        let (config, cost) = Config::choose(&plan, symbols);
        Some((plan, config, cost))
    });
    let (plan, config, _) =
        layouts.into_iter().flatten().reduce(|best, other| if other.2 < best.2 { other } else { best })?;
    let pipeline = Pipeline { plan, config, metadata: None, stores: c.stores.clone() };
    Some(Box::new(Contract::new(desc, pipeline, symbols)?))
}

impl Contract {
    /// Fixes launch and stores of a pipeline.
    pub fn new(desc: &KernelDesc, pipeline: Pipeline, symbols: &SymbolTable) -> Option<Contract> {
        let Pipeline { plan, config, .. } = &pipeline;
        let walk = Walk::new(desc, &pipeline, symbols)?;
        let places = config.places(plan);
        let (row, col) = (plan.row_tile(config.rows()), plan.col_tile(config.cols));
        let maps = [plan.row.map(&row, symbols)?, plan.col.map(&col, symbols)?];
        let mut params: Vec<Param> = maps.into_iter().map(Param::TensorMap).collect();
        params.extend((0..desc.buffers.len() as u32).map(Param::Buffer));
        params.extend((0..desc.symbols.len() as u32).map(Param::Symbol));
        let launch = GpuLaunch {
            entry: String::new(),
            grid: [blocks(plan, config), Poly::constant(1), Poly::constant(1)],
            block: [THREADS, 1, 1],
            cluster: [1, 1, 1],
            shared_bytes: places.total,
            params,
            scratch: Poly::default(),
            zero_scratch: false,
            min_assembler: crate::ptxas::MINIMUM_TEXT.into(),
        };
        let sparse = if pipeline.metadata.is_some() { ".sp" } else { "" };
        let choice = format!(
            "wgmma{sparse} {}x{}x{} s{}{}",
            config.rows(),
            config.cols,
            plan.stage_depth(),
            config.stages,
            if walk.lanes > 1 { format!(" v{}", walk.lanes) } else { String::new() }
        );
        Some(Contract { pipeline, walk, launch, choice, symbols: symbols.clone() })
    }
}

/// Blocks of a persistent launch: one per SM, fewer where there are certainly fewer tiles.
fn blocks(plan: &Plan, config: &Config) -> Poly {
    let tiles = |axis: &axes::Axis, tile: u32| axis.extent.ceil_div(i64::from(tile)).as_constant();
    let batch = plan.batch.iter().map(|a| a.extent.as_constant()).try_fold(1i64, |n, e| n.checked_mul(e?));
    let count =
        tiles(&plan.rows, config.rows()).zip(tiles(&plan.cols, config.cols)).and_then(|(m, n)| m.checked_mul(n));
    let count = count.zip(batch).and_then(|(plane, batch)| plane.checked_mul(batch));
    Poly::constant(count.unwrap_or(i64::MAX).clamp(1, i64::from(SMS)))
}

impl Family for Contract {
    fn choice(&self) -> String {
        self.choice.clone()
    }

    fn launch(&self) -> GpuLaunch {
        self.launch.clone()
    }

    fn emit(&self, kernel: &Kernel) -> Result<(), Diagnostic> {
        let facts = Facts::new(kernel.desc, &self.symbols);
        self.pipeline.emit(kernel, &facts, &self.walk);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
