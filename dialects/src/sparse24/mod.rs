//! `sparse24`: 2:4 structured sparsity: of every four neighbours along an axis the two best are kept.
//!
//! Values and metadata are logical here (two values and a nibble for every group of four); the packing that sparse tensor cores
//! read belongs to schedule. Decompositions give the bare buffers, without the encoding.

mod choose;
mod compress;
mod matmul;

use crate::attr::{Attr, AttrKind};
use crate::core::check_axis;
use crate::op::{AttrDef, OpDef, OpView, defaulted, required};
use crate::ty::{Encoding, TensorType};
use tricot_types::{DType, Poly};

/// All ops of the dialect.
pub const OPS: &[&OpDef] =
    &[&choose::MASK, &choose::SELECT, &compress::COMPRESS, &compress::DECOMPRESS, &matmul::MATMUL];

const AXIS: AttrDef = required("axis", AttrKind::Int, "the axis whose elements form groups of four");
const BY: AttrDef = defaulted(
    "by",
    AttrKind::Word(&["magnitude", "value"]),
    || Attr::Str("magnitude".into()),
    "what makes an element better: its magnitude or its value",
);

/// The axis, whose size must be a visible multiple of `multiple`; returns the quotient too.
fn groups(view: &OpView<'_>, multiple: i64) -> Result<(usize, Poly), String> {
    let x = &view.operands[0];
    if x.dtype == DType::Bool {
        return Err("x must be a float or integer tensor, not bool".into());
    }
    let axis = check_axis(view.attrs.int("axis"), x.rank())?;
    match x.shape[axis].exact_div(&Poly::constant(multiple)) {
        Some(count) => Ok((axis, count)),
        None => Err(format!("axis {axis} of {x} must hold a multiple of {multiple} elements")),
    }
}

/// Checks values `[…, k / 2]` against metadata `[…, k / 8]`; returns `k`.
fn check_compressed(values: &TensorType, meta: &TensorType) -> Result<Poly, String> {
    let last = values.rank().checked_sub(1).ok_or("values must have rank 1 at least")?;
    match values.encoding {
        None => {}
        Some(Encoding::Sparse24 { axis }) if axis as usize == last => {}
        Some(other) => return Err(format!("values are encoded {other}, expected sparse24<{last}>")),
    }
    if meta.dtype != DType::U8 {
        return Err(format!("meta must be u8, not {meta}"));
    }
    let Some(bytes) = values.shape[last].exact_div(&Poly::constant(4)) else {
        return Err(format!("the last axis of {values} must hold a multiple of 4 values"));
    };
    let mut wanted = values.shape.clone();
    wanted[last] = bytes;
    if meta.shape != wanted {
        return Err(format!("meta is {meta}, expected {}", TensorType::new(DType::U8, wanted)));
    }
    Ok(values.shape[last].clone() * Poly::constant(2))
}
