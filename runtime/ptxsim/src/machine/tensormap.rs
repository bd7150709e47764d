//! Tensor maps in the simulator's own 128-byte encoding (PTX ISA 5.5; CUDA driver API, `cuTensorMapEncodeTiled`).
//!
//! Central type: [`TensorMap`]. Bytes: 0–3 a mark, 4 rank, 5 element type, 6 swizzle, 7 interleave, 8 fill, 16 address,
//! 24… extents (5 x u32, less one), 48… byte strides of dimensions 1–4 (u64 / 16 as u64), 80… box (5 x u16, less one),
//! 96… element strides (5 x u8, less one). All zeros plus `tensormap.replace` of every field give a valid map.

use super::access::combine;
use super::op::{AtomOp, Scalar};
use super::tiled::{Limit, Tiled};
use tricot_ptx_numerics::convert::{Convert, Type};
use tricot_ptx_numerics::format::{F32, Round, TF32};

const MARK: [u8; 4] = *b"sim\0";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMap {
    pub address: u64,
    /// Element type as `tensormap.replace` numbers it (PTX ISA 9.7.9.28).
    pub elemtype: u8,
    /// Bytes of an element.
    pub element: u32,
    /// Extents, innermost first.
    pub dims: Vec<u64>,
    /// Byte strides of dimensions 1 and up.
    pub strides: Vec<u64>,
    pub tile: Vec<u32>,
    pub element_strides: Vec<u32>,
    /// 0 none, 1 32 bytes, 2 64 bytes, 3 128 bytes.
    pub swizzle: u8,
    pub interleave: u8,
    /// Out-of-bounds floats read as NaN.
    pub fill_nan: bool,
}

/// Bytes of an element type by its number.
pub fn element_bytes(elemtype: u8) -> Option<u32> {
    Some(match elemtype {
        0 => 1,
        1 | 6 | 10 => 2,
        2 | 3 | 7 | 8 | 11 | 12 => 4,
        4 | 5 | 9 => 8,
        _ => return None,
    })
}

/// The driver's number of an element type (`CUtensorMapDataType`).
fn data_type(elemtype: u8) -> u32 {
    match elemtype {
        8 => 10,
        9 => 8,
        10 => 9,
        other => other.into(),
    }
}

impl TensorMap {
    pub fn encode(&self) -> [u8; 128] {
        let mut b = [0; 128];
        b[..4].copy_from_slice(&MARK);
        b[4] = self.dims.len() as u8 - 1;
        b[5] = self.elemtype;
        b[6] = self.swizzle;
        b[7] = self.interleave;
        b[8] = u8::from(self.fill_nan);
        b[16..24].copy_from_slice(&self.address.to_le_bytes());
        for (n, d) in self.dims.iter().enumerate() {
            b[24 + 4 * n..28 + 4 * n].copy_from_slice(&(d.wrapping_sub(1) as u32).to_le_bytes());
        }
        for (n, s) in self.strides.iter().enumerate() {
            b[48 + 8 * n..56 + 8 * n].copy_from_slice(&s.to_le_bytes());
        }
        for (n, t) in self.tile.iter().enumerate() {
            b[80 + 2 * n..82 + 2 * n].copy_from_slice(&(t.wrapping_sub(1) as u16).to_le_bytes());
        }
        for (n, s) in self.element_strides.iter().enumerate() {
            b[96 + n] = s.wrapping_sub(1) as u8;
        }
        b
    }

    /// The map in 128 bytes, or why it is none.
    pub fn decode(b: &[u8; 128]) -> Result<TensorMap, String> {
        if b[..4] != MARK {
            return Err(
                "the 128 bytes are not a tensor map of this simulator (maps that a driver encoded are not supported)"
                    .into(),
            );
        }
        let rank = b[4] as usize + 1;
        let element = element_bytes(b[5]).ok_or_else(|| format!("element type {} of a tensor map", b[5]))?;
        if rank > 5 || b[6] > 3 || b[7] > 2 {
            return Err(format!("a tensor map of rank {rank}, swizzle {} and interleave {}", b[6], b[7]));
        }
        if b[7] != 0 {
            return Err("interleaved tensor maps are not supported: the ISA leaves open where their slices lie".into());
        }
        let u32_at = |n: usize| u32::from_le_bytes([b[n], b[n + 1], b[n + 2], b[n + 3]]);
        let u64_at = |n: usize| u64::from(u32_at(n)) | u64::from(u32_at(n + 4)) << 32;
        let map = TensorMap {
            address: u64_at(16),
            elemtype: b[5],
            element,
            dims: (0..rank).map(|n| u64::from(u32_at(24 + 4 * n)) + 1).collect(),
            strides: (0..rank - 1).map(|n| u64_at(48 + 8 * n)).collect(),
            tile: (0..rank).map(|n| u32::from(u16::from_le_bytes([b[80 + 2 * n], b[81 + 2 * n]])) + 1).collect(),
            element_strides: (0..rank).map(|n| u32::from(b[96 + n]) + 1).collect(),
            swizzle: b[6],
            interleave: b[7],
            fill_nan: b[8] != 0,
        };
        map.check().map_err(|e| e.to_string())?;
        Ok(map)
    }

    /// The driver's limits.
    pub fn check(&self) -> Result<(), Limit> {
        let mut tiled = Tiled {
            data_type: data_type(self.elemtype),
            rank: self.dims.len() as u32,
            address: self.address,
            interleave: self.interleave.into(),
            swizzle: self.swizzle.into(),
            fill: self.fill_nan.into(),
            ..Tiled::default()
        };
        // More than the arrays hold is a rank that is refused.
        tiled.dims.iter_mut().zip(&self.dims).for_each(|(to, from)| *to = *from);
        tiled.strides.iter_mut().zip(&self.strides).for_each(|(to, from)| *to = *from);
        tiled.boxes.iter_mut().zip(&self.tile).for_each(|(to, from)| *to = *from);
        tiled.steps.iter_mut().zip(&self.element_strides).for_each(|(to, from)| *to = *from);
        tiled.check()
    }

    /// `tensormap.replace` on raw bytes.
    pub fn replace(old: &[u8; 128], field: &str, index: Option<i64>, value: u64) -> Result<[u8; 128], String> {
        let mut b = *old;
        if b[..4] != MARK {
            if b.iter().any(|x| *x != 0) {
                return Err(
                    "tensormap.replace on bytes that are neither zero nor a tensor map of this simulator".into()
                );
            }
            b[..4].copy_from_slice(&MARK);
        }
        let n = index.unwrap_or(0);
        let max = if field == "global_stride" { 4 } else { 5 };
        if !(0..max).contains(&n) {
            return Err(format!("dimension {n} of `{field}`"));
        }
        let n = n as usize;
        let narrow = value as u32;
        match field {
            "global_address" => b[16..24].copy_from_slice(&value.to_le_bytes()),
            "rank" => b[4] = narrow as u8,
            "box_dim" => b[80 + 2 * n..82 + 2 * n].copy_from_slice(&(narrow.wrapping_sub(1) as u16).to_le_bytes()),
            "global_dim" => b[24 + 4 * n..28 + 4 * n].copy_from_slice(&narrow.wrapping_sub(1).to_le_bytes()),
            "global_stride" => b[48 + 8 * n..56 + 8 * n].copy_from_slice(&value.to_le_bytes()),
            "element_stride" => b[96 + n] = narrow.wrapping_sub(1) as u8,
            "elemtype" => b[5] = narrow as u8,
            "interleave_layout" => b[7] = narrow as u8,
            "swizzle_mode" => b[6] = narrow as u8,
            "fill_mode" => b[8] = narrow as u8,
            _ => return Err(format!("there is no field `{field}`")),
        }
        Ok(b)
    }

    /// Elements taken along a dimension; steps of the innermost one are ignored.
    fn taken(&self, n: usize) -> u32 {
        if n == 0 { self.tile[0] } else { self.tile[n].div_ceil(self.element_strides[n]) }
    }

    /// Bytes of a box; a box larger than any memory counts as `u32::MAX`.
    pub fn box_bytes(&self) -> u32 {
        let bytes = (0..self.tile.len()).fold(u64::from(self.element), |n, d| n.saturating_mul(self.taken(d).into()));
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// The bytes of an element out of bounds: zero, or for floats of every width a NaN of halves 7ff7 (as recorded; the ISA
    /// names none).
    pub fn fill(&self) -> [u8; 8] {
        if self.fill_nan { 0x7ff7_7ff7_7ff7_7ff7_u64.to_le_bytes() } else { [0; 8] }
    }

    /// Whether copies into shared memory change bits.
    pub fn converts(&self) -> bool {
        matches!(self.elemtype, 11 | 12)
    }

    /// The bits of an element as a copy into shared memory leaves them: those of tf32 are rounded, but not flushed.
    pub fn loaded(&self, bits: u64) -> u64 {
        const ROUNDED: Convert = Convert {
            to: Type::Float(&TF32),
            from: Type::Float(&F32),
            round: Round::Near,
            whole: false,
            sat: false,
            finite: false,
            relu: false,
            ftz: false,
        };
        if self.converts() { ROUNDED.apply(bits) } else { bits }
    }

    /// What a reduction makes of an element in global memory.
    pub fn reduced(&self, op: AtomOp, before: u64, value: u64) -> u64 {
        let ftz = matches!(self.elemtype, 8 | 12);
        let flush = |bits| if ftz { F32.flush(bits) } else { bits };
        flush(combine(op, self.scalar(), flush(before), flush(value), 0))
    }

    /// Bytes of a row of the box.
    fn row(&self) -> u64 {
        u64::from(self.tile[0]) * u64::from(self.element)
    }

    /// Bytes from a row of the box to the next in shared memory: a swizzle wider than a row leaves a gap.
    fn pitch(&self) -> u64 {
        if self.swizzle == 0 { self.row() } else { 16 << self.swizzle }
    }

    /// Bytes of shared memory that `bytes` of the box take, with gaps.
    pub fn spread(&self, bytes: u64) -> u64 {
        bytes / self.row() * self.pitch()
    }

    /// The parts of shared memory that a copy of `bytes` at `start` touches: offset and length.
    pub fn pieces(&self, start: u64, bytes: u64) -> Vec<(u64, u64)> {
        if self.row() == self.pitch() {
            return vec![(0, bytes)];
        }
        (0..bytes).step_by(16).map(|offset| (self.swizzled(start, offset) - start, 16)).collect()
    }

    /// What a box's shared address must be a multiple of.
    pub fn shared_alignment(&self) -> u64 {
        128
    }

    /// The shared address of a byte of the box: 16-byte pieces are exchanged within 128-byte lines by the line's number,
    /// `address bits 4–6 ^= bits 7–9` for 128 bytes, fewer bits for less.
    pub fn swizzled(&self, base: u64, offset: u64) -> u64 {
        let (row, pitch) = (self.row(), self.pitch());
        let offset = if row == pitch { offset } else { offset / row * pitch + offset % row };
        super::matrix::swizzle(base + offset, [0, 1, 2, 3][self.swizzle as usize])
    }

    /// Element type for reductions.
    pub fn scalar(&self) -> Scalar {
        match self.elemtype {
            3 => Scalar::S32,
            4 => Scalar::U64,
            5 => Scalar::S64,
            6 => Scalar::F16,
            7 | 8 | 11 | 12 => Scalar::F32,
            9 => Scalar::F64,
            10 => Scalar::Bf16,
            _ => Scalar::U32,
        }
    }

    /// Every element of a box at coordinates: its byte offset in the box, and its address unless it is out of bounds.
    pub fn each_element(&self, coordinates: &[i32], mut f: impl FnMut(u64, Option<u64>)) {
        let rank = self.dims.len();
        let mut at = vec![0u32; rank];
        let mut offset = 0;
        loop {
            let mut address = self.address;
            let mut inside = true;
            for n in 0..rank {
                let step = if n == 0 { 1 } else { i64::from(self.element_strides[n]) };
                let c = i64::from(coordinates[n]) + i64::from(at[n]) * step;
                inside &= c >= 0 && c < self.dims[n] as i64;
                let stride = if n == 0 { u64::from(self.element) } else { self.strides[n - 1] };
                address = address.wrapping_add((c as u64).wrapping_mul(stride));
            }
            f(offset, inside.then_some(address));
            offset += u64::from(self.element);
            let mut n = 0;
            loop {
                if n == rank {
                    return;
                }
                at[n] += 1;
                if at[n] < self.taken(n) {
                    break;
                }
                at[n] = 0;
                n += 1;
            }
        }
    }
}
