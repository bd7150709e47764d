//! Tensor types: element type, symbolic shape and, for compressed or transformed values, a logical encoding.

use std::fmt;
use tricot_types::{DType, Poly};

/// A logical encoding. It changes only through explicit ops; physical layout is schedule's business.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Encoding {
    /// The kept values of a 2:4 compressed tensor: `axis` holds two values for every four logical ones.
    Sparse24 { axis: u32 },
    /// Winograd-domain data of F(m, r).
    Winograd { m: u32, r: u32 },
}

/// The type of a graph value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TensorType {
    pub dtype: DType,
    pub shape: Vec<Poly>,
    pub encoding: Option<Encoding>,
}

impl TensorType {
    /// A plain tensor type.
    pub fn new(dtype: DType, shape: impl IntoIterator<Item = impl Into<Poly>>) -> TensorType {
        TensorType { dtype, shape: shape.into_iter().map(Into::into).collect(), encoding: None }
    }

    /// A scalar: rank 0.
    pub fn scalar(dtype: DType) -> TensorType {
        TensorType { dtype, shape: vec![], encoding: None }
    }

    /// The same shape with another element type.
    pub fn with_dtype(&self, dtype: DType) -> TensorType {
        TensorType { dtype, ..self.clone() }
    }

    /// The same element type with another shape, no encoding.
    pub fn with_shape(&self, shape: Vec<Poly>) -> TensorType {
        TensorType { dtype: self.dtype, shape, encoding: None }
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn elements(&self) -> Poly {
        self.shape.iter().cloned().product()
    }

    /// The same for a type a user wrote: more than 64 bits can count is an error, where [`TensorType::elements`] panics.
    pub fn count(&self) -> Result<Poly, String> {
        let product = self.shape.iter().try_fold(Poly::constant(1), |n, d| n.checked_mul(d));
        product.ok_or_else(|| format!("{self} has more elements than 64 bits can count"))
    }

    /// The shape if no symbol enters.
    pub fn static_shape(&self) -> Option<Vec<i64>> {
        self.shape.iter().map(Poly::as_constant).collect()
    }

    /// Bytes of the dense buffer that holds it.
    pub fn bytes(&self) -> Poly {
        (self.elements() * Poly::constant(i64::from(self.dtype.bits()))).ceil_div(8)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Encoding::Sparse24 { axis } => write!(f, "sparse24<{axis}>"),
            Encoding::Winograd { m, r } => write!(f, "winograd<{m}, {r}>"),
        }
    }
}

impl fmt::Display for TensorType {
    /// `bf16[b, s, 64, 128]`, `f32[]`, `f16[m, 32, sparse24<1>]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, d) in self.shape.iter().enumerate() {
            write!(f, "{}{d}", if i > 0 { ", " } else { "" })?;
        }
        if let Some(e) = self.encoding {
            write!(f, "{}{e}", if self.shape.is_empty() { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
