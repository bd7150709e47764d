//! Tricot's dialects: types, the op registry, graphs, graph text and the verifier.
//!
//! The central types are [`op::OpDef`] (everything there is to know about one op, in one place) and [`Module`] (a set of
//! functions over them). This crate knows no compiler, no GPU and no file format but its own graph text.

pub mod attr;
pub mod builder;
mod check;
pub mod constant;
pub mod core;
pub mod custom;
pub mod embedding;
pub mod gradient;
pub mod graph;
pub mod irdl;
pub mod nn;
pub mod op;
pub mod page;
pub mod quant;
pub mod registry;
pub mod scalar;
pub mod sparse24;
pub mod text;
pub mod trilinear;
pub mod ty;
pub mod verify;
pub mod winograd;

pub use attr::{Attr, AttrKind, Attrs};
pub use builder::Builder;
pub use constant::{Constant, ConstantStore, Hash};
pub use custom::{CustomOp, OpSet};
pub use graph::{Function, Module, Node, NodeId, Origin, Output, ValueId};
pub use op::{Meaning, OpDef, OpView, Work};
pub use scalar::ScalarFn;
pub use ty::{Encoding, TensorType};
