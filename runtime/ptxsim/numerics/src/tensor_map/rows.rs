//! The rows of a box: which bytes of global memory go to which bytes of shared memory (PTX ISA 5.5, "Tensors").

use super::{Error, TensorMap};
use crate::matrix::shared::Swizzle;

/// The innermost line of a box at one position of the outer dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Bytes from the start of the box in shared memory, before the swizzle.
    pub shared: u32,
    /// Address of the box's first element of this line; meaningful for the bytes inside only.
    pub global: u64,
    /// The bytes `inside.0 .. inside.1` of the line lie in the tensor; the others are filled.
    pub inside: (u32, u32),
}

impl TensorMap {
    /// Bytes of a line of a box.
    pub fn line_bytes(&self) -> u32 {
        self.boxes[0] * self.element_bytes().unwrap_or(0)
    }

    /// Elements taken along dimension `i`; steps of the innermost dimension are ignored, as on hardware.
    fn taken(&self, i: usize) -> u32 {
        if i == 0 { self.boxes[0] } else { self.boxes[i].div_ceil(self.steps[i]) }
    }

    /// Bytes of a box: what a transfer adds to its barrier's transaction count.
    pub fn box_bytes(&self) -> u32 {
        (1..self.rank as usize).fold(self.line_bytes(), |bytes, i| bytes.saturating_mul(self.taken(i)))
    }

    /// The shared address of byte `byte` of a box that begins at `start`: the pattern follows address bits, so it repeats
    /// from multiples of 8 lines on.
    pub fn shared_address(&self, start: u32, byte: u32) -> u32 {
        let swizzle = [Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128][(self.swizzle & 3) as usize];
        swizzle.apply(start + byte)
    }

    /// Calls `visit` for each line of the box at `coordinates` (innermost first; they may lie outside the tensor).
    pub fn rows(&self, coordinates: &[i32], mut visit: impl FnMut(Row)) -> Result<(), Error> {
        if self.interleave != 0 {
            return Err(Error::Interleaved(self.interleave));
        }
        let rank = self.rank as usize;
        if coordinates.len() != rank {
            return Err(Error::Coordinates(coordinates.len(), self.rank));
        }
        let bytes = i64::from(self.element_bytes().unwrap_or(0));
        let first = i64::from(coordinates[0]);
        let clip = |v: i64| (v.clamp(0, i64::from(self.boxes[0])) * bytes) as u32;
        let inner = (clip(-first), clip(self.dims[0] as i64 - first));
        let lines: u32 = (1..rank).map(|i| self.taken(i)).product();
        for line in 0..lines {
            let (mut rest, mut inside) = (line, inner.0 < inner.1);
            let mut global = self.address.wrapping_add_signed(first * bytes);
            for (i, &start) in coordinates.iter().enumerate().skip(1) {
                let at = i64::from(start) + i64::from(rest % self.taken(i) * self.steps[i]);
                rest /= self.taken(i);
                inside &= (0..self.dims[i] as i64).contains(&at);
                global = global.wrapping_add((at as u64).wrapping_mul(self.strides[i - 1]));
            }
            visit(Row { shared: line * self.line_bytes(), global, inside: if inside { inner } else { (0, 0) } });
        }
        Ok(())
    }
}
