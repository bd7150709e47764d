//! Loop nests: maps, reductions, normalisations, scans, gathers and scatters, as SIMT kernels.
//!
//! The central type is [`Plan`]: how the parallel points and the loops of the stages are spread over threads. Four ways:
//! `flat` (a single store stage without accumulators: one or a few consecutive points of all its loops a thread), `team` (one
//! thread, warp or block for each parallel point, which shares out the loops of every stage), and `serial` (one thread in
//! all, for 4-bit stores that share bytes in ways no thread could own).

pub(crate) mod plan;
mod points;
mod stages;
mod team;

pub use plan::Plan;
pub(crate) use points::{delinearise, extents};

use crate::eval::Facts;
use crate::kernel::Kernel;
use crate::select::Family;
use plan::Way;
use tricot_kernel::{Body, KernelDesc, Nest};
use tricot_plan::{GpuLaunch, Param};
use tricot_types::{Diagnostic, Poly, SymbolTable};

/// A loop nest and its plan.
pub struct NestFamily {
    desc: KernelDesc,
    symbols: SymbolTable,
    plan: Plan,
}

/// Takes every [`Body::Nest`].
pub fn family(desc: &KernelDesc, symbols: &SymbolTable) -> Option<Box<dyn Family>> {
    let Body::Nest(nest) = &desc.body else { return None };
    Some(Box::new(NestFamily::new(desc.clone(), nest, symbols)))
}

impl NestFamily {
    fn new(desc: KernelDesc, nest: &Nest, symbols: &SymbolTable) -> NestFamily {
        let plan = Plan::choose(&Facts::new(&desc, symbols), nest);
        NestFamily { desc, symbols: symbols.clone(), plan }
    }
}

/// Every buffer, then every symbol: the parameters of all SIMT kernels.
pub(crate) fn plain_params(desc: &KernelDesc) -> Vec<Param> {
    let buffers = (0..desc.buffers.len() as u32).map(Param::Buffer);
    buffers.chain((0..desc.symbols.len() as u32).map(Param::Symbol)).collect()
}

/// A launch of `blocks` one-dimensional blocks with [`plain_params`].
pub(crate) fn plain_launch(desc: &KernelDesc, blocks: Poly, threads: u32, shared_bytes: u32) -> GpuLaunch {
    GpuLaunch {
        entry: String::new(),
        grid: [blocks, 1.into(), 1.into()],
        block: [threads, 1, 1],
        cluster: [1, 1, 1],
        shared_bytes,
        params: plain_params(desc),
        scratch: Poly::default(),
        zero_scratch: false,
        min_assembler: crate::ptxas::MINIMUM_TEXT.into(),
    }
}

impl Family for NestFamily {
    fn choice(&self) -> String {
        self.plan.to_string()
    }

    fn launch(&self) -> GpuLaunch {
        plain_launch(&self.desc, self.plan.blocks.clone(), self.plan.threads, self.plan.shared_bytes)
    }

    fn emit(&self, kernel: &Kernel) -> Result<(), Diagnostic> {
        let Body::Nest(nest) = &self.desc.body else { unreachable!("constructed from a nest") };
        let facts = Facts::new(&self.desc, &self.symbols);
        match self.plan.way {
            Way::Flat { lanes, pairs } => stages::flat(kernel, &facts, nest, &self.plan, lanes, pairs),
            Way::Team { size } => stages::team(kernel, &facts, nest, &self.plan, size),
            Way::Serial => stages::serial(kernel, &facts, nest),
        }
        Ok(())
    }
}
