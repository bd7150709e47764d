//! One step of a plan: a kernel launch or a copy.

use crate::memory::BufferId;
use serde::{Deserialize, Serialize};
use tricot_types::{DType, Poly, Symbol};

/// What happens next. Steps run in order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Launch(Launch),
    /// Copies `bytes` bytes between two buffers (an aliased input that must be preserved, an output
    /// that is an input or a weight).
    Copy {
        from: BufferId,
        to: BufferId,
        bytes: Poly,
    },
    /// Fills a buffer with zero bytes.
    Zero {
        buffer: BufferId,
        bytes: Poly,
    },
}

/// One kernel launch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Launch {
    /// The kernel's name; its code is the bundle entry of the target with that name.
    pub kernel: String,
    /// The plan's buffers, in the order of the kernel's own buffer list.
    pub buffers: Vec<BufferId>,
    /// Values of the kernel's symbols, in the order of the kernel's own symbol list: polynomials over
    /// the plan's symbols.
    pub symbols: Vec<Poly>,
    /// Names of the kernel's symbols, one for each of `symbols`: the polynomials in `how` use them.
    /// May be empty when `how` mentions the plan's symbols only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbol_names: Vec<Symbol>,
    /// The user's values that it computes, as far as they have names, each with its operator; a run needs none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// What it does, for whoever judges how fast it was; a run needs none of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Work>,
    pub how: How,
}

/// What one launch does, counted from its loops: polynomials over the kernel's symbols. Each touched element moves once.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Work {
    /// Operations of the matrix products where there are any, multiply-adds counting two and 2:4 products as dense ones; of all
    /// arithmetic otherwise.
    pub flops: Poly,
    /// Bytes between memory and the kernel.
    pub bytes: Poly,
    pub units: Units,
    /// Some loop's length depends on data and was guessed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimate: bool,
}

/// What could do the arithmetic of a launch: decides which ceiling it is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    Scalar,
    /// A matrix product of elements of this type.
    Matrix(DType),
    /// A matrix product with a 2:4 compressed operand.
    Sparse24(DType),
}

/// How the target starts it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    Cpu(CpuLaunch),
    Gpu(GpuLaunch),
}

/// A call of `fn(table: *const Helpers, buffers: *const *mut u8, symbols: *const i64) -> i32` at a byte
/// offset of the target's one code blob. The function parallelises itself through the table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CpuLaunch {
    /// Byte offset of the entry point in the code blob.
    pub offset: u64,
    /// Bytes of scratch the kernel wants as one extra last buffer pointer; 0 for none.
    pub scratch: Poly,
}

/// A grid launch. Sizes may be polynomials over the kernel's own symbols.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GpuLaunch {
    /// The function's name in the code; the kernel's where empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry: String,
    pub grid: [Poly; 3],
    pub block: [u32; 3],
    /// Cluster size; `[1, 1, 1]` for none.
    pub cluster: [u32; 3],
    /// Dynamic shared memory in bytes, at most 232,448 (227 KiB) on sm_90.
    pub shared_bytes: u32,
    /// Kernel parameters in order.
    pub params: Vec<Param>,
    /// Bytes of scratch the kernel wants; [`Param::Scratch`] passes it. 0 for none.
    pub scratch: Poly,
    /// The scratch must read as zeros at launch.
    pub zero_scratch: bool,
    /// Oldest ptxas allowed to assemble the PTX, such as `13.3`.
    pub min_assembler: String,
}

/// One kernel parameter. Buffer and symbol numbers index the launch's own lists.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Param {
    /// A 64-bit device pointer to the start of buffer number `0`.
    Buffer(u32),
    /// A 64-bit integer: symbol number `0`.
    Symbol(u32),
    /// A 64-bit integer computed from the kernel's symbols.
    Value(Poly),
    /// A 32-bit value: the low half of this.
    Word(Poly),
    /// A 64-bit device pointer to the scratch memory.
    Scratch,
    /// A 128-byte CUtensorMap by value (64-byte aligned), encoded at bind.
    TensorMap(TensorMap),
}

/// Recipe of a tiled CUtensorMap (CUDA driver API, `cuTensorMapEncodeTiled`): innermost dimension first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TensorMap {
    /// Buffer number in the launch's list.
    pub buffer: u32,
    /// Byte offset of the view's origin in the buffer; a multiple of 16.
    pub offset: Poly,
    pub dtype: DType,
    /// Extents, innermost first; 1 to 5 of them.
    pub dims: Vec<Poly>,
    /// Byte strides of dimensions 1.., each a multiple of 16; one fewer than `dims`.
    pub strides: Vec<Poly>,
    /// Box extents, at most 256 each.
    pub tile: Vec<u32>,
    pub swizzle: Swizzle,
}

/// Shared-memory swizzle of a TMA copy (PTX ISA, "Swizzling modes").
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Swizzle {
    None,
    B32,
    B64,
    B128,
}
