//! Element addresses: affine in loop variables with polynomial strides, plus data-dependent terms.

use crate::expr::ExprId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tricot_types::Poly;

/// A loop variable of a kernel; numbers are unique within one [`crate::KernelDesc`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoopVar(pub u32);

/// The linear element index `offset + sum(var * stride) + sum(expr * stride)` into a buffer.
///
/// In elements of the buffer's dtype, whatever its size in bits; nothing is clamped. Data-dependent
/// terms (gather indices, division of a loop variable after a reshape) are i64 expressions.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Index {
    pub offset: Poly,
    /// Strides by loop variable; no zero strides.
    pub affine: BTreeMap<LoopVar, Poly>,
    /// Data-dependent terms and their strides.
    pub dynamic: Vec<(ExprId, Poly)>,
}

impl Index {
    /// Element 0.
    pub fn zero() -> Index {
        Index::default()
    }

    /// Adds `var * stride`.
    pub fn plus(mut self, var: LoopVar, stride: impl Into<Poly>) -> Index {
        let stride = self.affine.remove(&var).unwrap_or_default() + stride.into();
        if !stride.is_zero() {
            self.affine.insert(var, stride);
        }
        self
    }

    /// Adds a constant number of elements.
    pub fn shifted(mut self, by: impl Into<Poly>) -> Index {
        self.offset = self.offset + by.into();
        self
    }

    /// Adds `expr * stride`.
    pub fn plus_dynamic(mut self, expr: ExprId, stride: impl Into<Poly>) -> Index {
        self.dynamic.push((expr, stride.into()));
        self
    }

    /// Whether only loop variables and symbols enter.
    pub fn is_affine(&self) -> bool {
        self.dynamic.is_empty()
    }

    /// The stride of `var`, zero if it does not enter the affine part.
    pub fn stride(&self, var: LoopVar) -> Poly {
        self.affine.get(&var).cloned().unwrap_or_default()
    }
}
