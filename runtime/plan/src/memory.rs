//! Where every buffer of a plan lives.

use serde::{Deserialize, Serialize};
use tricot_types::{DType, Poly};

/// Index into [`crate::Plan::buffers`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BufferId(pub u32);

/// A dense row-major buffer of the plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PlanBuffer {
    /// For people: the value it holds.
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<Poly>,
    pub storage: Storage,
}

/// The memory behind a buffer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// The caller's tensor for input number `0`.
    Input(u32),
    /// The caller's tensor for output number `0`.
    Output(u32),
    /// A weight of the bundle, by entry name; uploaded once per instance.
    Weight(String),
    /// The one arena: a byte offset, always a multiple of 256.
    Arena { offset: Poly },
}
