//! Which kernel family implements a description: one ordered list, the specialised families first.
//!
//! The central type is [`Family`]: a choice made for one [`KernelDesc`], with its launch and its emitter.

use crate::kernel::Kernel;
use tricot_kernel::{Body, KernelDesc};
use tricot_plan::GpuLaunch;
use tricot_types::{Diagnostic, SymbolTable};

/// A way to run one kernel. Construction decides everything, so that `launch` and `emit` agree.
pub trait Family {
    /// Family and config for people, such as `simt 64x64x16`.
    fn choice(&self) -> String;

    /// Grid, block, shared memory and parameters. Polynomials are over the kernel's own symbols.
    fn launch(&self) -> GpuLaunch;

    /// Emits the body. Only what the description makes impossible is an error; nothing panics on a description that passed `check`.
    fn emit(&self, kernel: &Kernel) -> Result<(), Diagnostic>;
}

/// Tries one family on a description; `None` means it declines.
type Try = fn(&KernelDesc, &SymbolTable) -> Option<Box<dyn Family>>;

/// In order of preference; the generic families at the end take every description of their anchor.
const FAMILIES: &[Try] = &[
    crate::attention::try_fused,
    crate::sparse::try_sparse,
    crate::contraction::try_dense,
    crate::nest::family,
    crate::simt::contraction::family,
    crate::simt::rewrite::contraction_family,
    crate::simt::rewrite::sparse_family,
    crate::simt::attention::family,
];

/// How many families at the front of [`FAMILIES`] use tensor cores.
#[cfg(test)]
const TENSOR: usize = 3;

/// As [`select`] among the generic families only.
#[cfg(test)]
pub(crate) fn select_generic(desc: &KernelDesc, symbols: &SymbolTable) -> Option<Box<dyn Family>> {
    FAMILIES[TENSOR..].iter().find_map(|family| family(desc, symbols))
}

/// The family for a description.
pub fn select(desc: &KernelDesc, symbols: &SymbolTable) -> Result<Box<dyn Family>, Diagnostic> {
    FAMILIES.iter().find_map(|family| family(desc, symbols)).ok_or_else(|| {
        let anchor = match &desc.body {
            Body::Nest(_) => "a loop nest",
            Body::Contraction(_) => "a contraction",
            Body::SparseContraction(_) => "a 2:4 contraction",
            Body::Attention(_) => "attention",
            Body::Custom(_) => "code of the user's own",
        };
        Diagnostic::error("TC0507", format!("no sm_90a kernel family takes {anchor} of this form"))
            .at_name(format!("kernel `{}`", desc.name), "")
    })
}
