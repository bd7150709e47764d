//! What a target must do: turn descriptions into code, launches and readable stages.

use crate::desc::KernelDesc;
use std::collections::BTreeMap;
use tricot_plan::launch::How;
use tricot_types::{Diagnostic, SymbolTable};

/// A code generator for one target.
pub trait Backend: Send + Sync {
    /// `cpu` or `sm_90a`.
    fn name(&self) -> &'static str;

    /// What decides about the code besides Tricot's own sources and the arguments: the processor's features, the
    /// assembler's version. Part of the key of cached bundles.
    fn fingerprint(&self, _options: &CompileOptions) -> String {
        String::new()
    }

    /// Compiles all kernels of a module. Every kernel that fails contributes its diagnostics, none stops the others.
    fn compile(&self, kernels: &[KernelDesc], options: &CompileOptions) -> Result<CompiledTarget, Vec<Diagnostic>>;
}

/// What may influence code.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// What is known about the symbols.
    pub symbols: SymbolTable,
    /// `cpu=native`: use every feature of this machine; else x86-64-v3.
    pub native_cpu: bool,
    /// Stage names (`mlir`, `llvm`, `ptx`, `sass`) whose text is wanted; others may be skipped.
    pub want: Vec<&'static str>,
    /// Stop after this stage; no launchable code is needed then.
    pub stop_after: Option<&'static str>,
}

/// All code of a target.
#[derive(Clone, Debug, Default)]
pub struct CompiledTarget {
    /// Machine features needed, for the manifest.
    pub features: Vec<String>,
    /// Files for the bundle, by entry name relative to the target's folder (`code.bin`, `<kernel>.ptx`, `<kernel>.cubin`).
    pub files: BTreeMap<String, Vec<u8>>,
    /// Kernels by [`KernelDesc::name`].
    pub kernels: BTreeMap<String, CompiledKernel>,
}

/// One compiled kernel.
#[derive(Clone, Debug)]
pub struct CompiledKernel {
    pub how: How,
    /// A short human name of the family and config chosen (`wgmma 128x256x64 s4`).
    pub choice: String,
    pub texts: KernelText,
}

/// Stage name to text, for dumps and snapshots.
pub type KernelText = BTreeMap<&'static str, String>;
