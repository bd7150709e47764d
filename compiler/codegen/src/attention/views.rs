//! Tensors of an attention kernel: strided views, fetched by TMA or read and written by threads.
//!
//! The central type is [`Tensor`], a view with the extents its axes have. It knows no algorithm.

use crate::emit::{Ty, Val};
use crate::kernel::Kernel;
use crate::tile::smem::{OperandTile, ROW};
use crate::tile::tma::{self, Dim};
use tricot_kernel::View;
use tricot_plan::launch::TensorMap;
use tricot_types::{DType, Poly, SymbolTable};

/// A view with axes (batch, sequence, head, feature) and their extents.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub view: View,
    pub dtype: DType,
    pub extents: [Poly; 4],
}

impl Tensor {
    /// Whether features are contiguous and every row begins at a multiple of `elements`.
    pub fn rows_aligned(&self, elements: i64, symbols: &SymbolTable) -> bool {
        let multiple = |p: &Poly| p.known_multiple(symbols) % elements == 0;
        let far = self.view.strides[..3].iter().zip(&self.extents).all(|(s, e)| e.is_one() || multiple(s));
        self.view.strides[3].is_one() && far && multiple(&self.view.offset)
    }

    /// The tensor map that copies chunks of `tile`, sequence by features; `None` where TMA cannot.
    pub fn map(&self, tile: &OperandTile, rows: u32, symbols: &SymbolTable) -> Option<TensorMap> {
        let dim = |axis: usize, tile: u32| Dim {
            extent: self.extents[axis].clone(),
            stride: self.view.strides[axis].clone(),
            tile,
        };
        let dims = [dim(3, ROW / tile.bytes), dim(1, rows), dim(2, 1), dim(0, 1)];
        tma::source(self.view.buffer, self.dtype, &self.view.offset, &dims, symbols)
    }

    /// The global address of the row at (batch, sequence, head), i32 indices.
    pub fn row(&self, k: &Kernel, at: [Val; 3]) -> Val {
        let b = &k.b;
        let mut index = k.poly(&self.view.offset);
        for (stride, i) in self.view.strides.iter().zip(at) {
            index = b.add(index, b.mul(k.poly(stride), b.resize_s(i, Ty::I64)));
        }
        b.gep(k.buffer(self.view.buffer), element(self.dtype), index)
    }
}

/// The register type of an element.
pub fn element(dtype: DType) -> Ty {
    match dtype {
        DType::F16 => Ty::F16,
        DType::BF16 => Ty::BF16,
        _ => Ty::F32,
    }
}

/// Copies a tile of consecutive rows of one head from position `sequence` on, by tensor map number `map`. One thread.
#[allow(clippy::too_many_arguments)]
pub fn copy_rows(k: &Kernel, map: usize, tile: &OperandTile, to: Val, sequence: Val, head: Val, batch: Val, full: Val) {
    let b = &k.b;
    for chunk in 0..tile.chunks() {
        let feature = b.i32((chunk * tile.per_row()) as i32);
        let to = crate::tile::smem::plus(b, to, chunk * tile.chunk_bytes());
        tma::load(b, to, k.tensor_map(map), &[feature, sequence, head, batch], full);
    }
}
