//! Kernel descriptions: what schedule asks of a backend, and all that a backend gets to know.
//!
//! The central type is [`KernelDesc`]: buffers, symbols and one [`Body`] (an anchor with prologue and
//! epilogue expression DAGs over strided views). Shared by the `cpu` and `sm_90a` backends. This
//! crate knows no graph node, no target and no instruction.

pub mod backend;
pub mod custom;
pub mod desc;
pub mod expr;
pub mod index;
pub mod remote;
pub mod scalar;
pub mod text;
pub mod verify;
pub mod wire;

pub use backend::{Backend, CompileOptions, CompiledKernel, CompiledTarget, KernelText};
pub use custom::{Custom, CustomArgument, CustomCode};
pub use desc::{
    Acc, Access, Attention, AttentionKind, Body, Buffer, Carry, Combine, Contraction, Extent, KernelDesc, Loop, Nest,
    Precision, SparseContraction, Stage, Store, View,
};
pub use expr::{CastMode, Const, Expr, ExprId, Exprs, Node};
pub use index::{Index, LoopVar};
pub use scalar::{Binary, Unary};
