//! Bulk tensor copies (PTX ISA 9.7.9.27, `cp.async.bulk.tensor`) and the recipes of their tensor maps.
//!
//! The central type is [`Source`], a strided view of a buffer that satisfies the rules of `cuTensorMapEncodeTiled`. It
//! knows no kernel description beyond buffers and polynomials.

use crate::emit::{Builder, Val};
use tricot_plan::launch::{Swizzle, TensorMap};
use tricot_types::{DType, Poly, SymbolTable};

/// Most dimensions of a tensor map.
pub const MAX_RANK: usize = 5;

/// Strides, and the address, are multiples of this many bytes.
pub const ALIGN: i64 = 16;

/// Largest extent of a box along one dimension.
pub const MAX_BOX: u32 = 256;

/// One dimension of a view: its extent, element stride and the box extent.
#[derive(Clone, PartialEq, Debug)]
pub struct Dim {
    pub extent: Poly,
    pub stride: Poly,
    pub tile: u32,
}

/// Copies a box from global to shared memory; completion counts bytes at the mbarrier `full`. Coordinates (i32) run
/// innermost first, may lie outside the tensor on either side, and read as zeros there. One thread.
pub fn load(b: &Builder, to: Val, map: Val, coordinates: &[Val], full: Val) {
    let rank = coordinates.len();
    let at = (0..rank).map(|i| format!("${}", 2 + i)).collect::<Vec<_>>().join(", ");
    let text = format!(
        "cp.async.bulk.tensor.{rank}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [$0], [$1, {{{at}}}], [${}];",
        2 + rank
    );
    let operands: Vec<Val> = [to, map].into_iter().chain(coordinates.iter().copied()).chain([full]).collect();
    b.asm_effect(&text, &format!("r,l{},r", ",r".repeat(rank)), &operands);
}

/// The tensor map of a view with 128-byte swizzle, or `None` where the rules of `cuTensorMapEncodeTiled` are not known to
/// hold: rank at most 5, unit inner stride, outer strides positive multiples of 16 bytes, origin at a multiple of 16 bytes.
/// The stride of an outer dimension of extent 1 does not matter.
pub fn source(buffer: u32, dtype: DType, offset: &Poly, dims: &[Dim], symbols: &SymbolTable) -> Option<TensorMap> {
    let width = i64::from(dtype.bits() / 8);
    let bytes = |elements: &Poly| elements.checked_mul(&Poly::constant(width));
    let aligned = |bytes: &Poly| bytes.known_multiple(symbols) % ALIGN == 0;
    let offset = bytes(offset)?;
    let inner = dims.first()?;
    if dims.len() > MAX_RANK || !(inner.stride.is_one() || inner.extent.is_one()) || !aligned(&offset) {
        return None;
    }
    let mut strides = vec![];
    for dim in &dims[1..] {
        let stride = if dim.extent.is_one() { Poly::constant(ALIGN) } else { bytes(&dim.stride)? };
        if !aligned(&stride) || stride.bounds(symbols).0 < ALIGN {
            return None;
        }
        strides.push(stride);
    }
    let fits = |d: &Dim| d.tile <= MAX_BOX && d.extent.bounds(symbols).0 >= 1;
    if !dims.iter().all(fits) || inner.tile * width as u32 != super::smem::ROW {
        return None;
    }
    Some(TensorMap {
        buffer,
        offset,
        dtype,
        dims: dims.iter().map(|d| d.extent.clone()).collect(),
        strides,
        tile: dims.iter().map(|d| d.tile).collect(),
        swizzle: Swizzle::B128,
    })
}
