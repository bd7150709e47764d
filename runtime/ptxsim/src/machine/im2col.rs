//! Tensor maps in im2col mode (PTX ISA 5.5.4; CUDA driver API, `cuTensorMapEncodeIm2col`), and maps of either mode.
//!
//! ```text
//! images of a batch, W x H pixels:          the box of filter bases: lower corner from (0, 0), upper corner from the last
//!   ┌───────────────┐                       pixel. A copy starts at a base inside the box and takes Pixels-per-Column
//!   │ ┌─────────┐   │                       bases: along W, at the box's right edge on to its left edge one step down,
//!   │ │ · 1 2 3 │   │                       after its last row on to the next image. The pixel of a base is the base
//!   │ │ 4 5 6 … │   │                       plus the instruction's offsets; Channels-per-Pixel elements of it lie
//!   │ └─────────┘   │                       together in shared memory.
//!   └───────────────┘
//! ```
//! Central types: [`Im2colMap`], what the driver's call takes, and [`Map`], what 128 bytes spell. The encoding is that of
//! [`TensorMap`] and, behind it, byte 9 the mode, 102… lower corner, 108… upper corner (3 x i16), 114 pixels (u16).

use super::family_async::{Target, reduces};
use super::op::{Mode, TensorKind};
use super::tensormap::TensorMap;

/// An im2col tensor map: rank 3 (C, W, N), 4 (C, W, H, N) or 5 (C, W, H, D, N).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Im2colMap {
    /// `tile[0]` is Channels-per-Pixel; the other extents are 1.
    pub tensor: TensorMap,
    /// Corners of the box of bases, W first.
    pub lower: Vec<i32>,
    pub upper: Vec<i32>,
    /// Pixels-per-Column.
    pub pixels: u32,
}

impl Im2colMap {
    pub fn encode(&self) -> [u8; 128] {
        let mut b = self.tensor.encode();
        b[9] = 1;
        for (n, (lower, upper)) in self.lower.iter().zip(&self.upper).enumerate() {
            b[102 + 2 * n..104 + 2 * n].copy_from_slice(&(*lower as i16).to_le_bytes());
            b[108 + 2 * n..110 + 2 * n].copy_from_slice(&(*upper as i16).to_le_bytes());
        }
        b[114..116].copy_from_slice(&(self.pixels as u16).to_le_bytes());
        b
    }

    /// The driver's limits.
    pub fn check(&self) -> Result<(), String> {
        self.tensor.check().map_err(|e| e.to_string())?;
        let rank = self.tensor.dims.len();
        // Signed bits of a corner.
        let bits = match rank {
            3 => 16,
            4 => 8,
            5 => 5,
            _ => return Err(format!("an im2col tensor map of rank {rank}; 3 to 5 are possible")),
        };
        if self.lower.len() != rank - 2 || self.upper.len() != rank - 2 {
            return Err(format!("{} values for a corner of the box of pixels, not {}", self.lower.len(), rank - 2));
        }
        let limit = 1 << (bits - 1);
        if let Some(v) = self.lower.iter().chain(&self.upper).find(|v| !(-limit..limit).contains(*v)) {
            return Err(format!("a corner of the box of pixels at {v}; {} to {} are possible", -limit, limit - 1));
        }
        if let Some(d) = self.tensor.dims[1..rank - 1].iter().find(|d| **d > 1 << 31) {
            return Err(format!("an extent of {d} pixels; 1 to 2^31 are possible"));
        }
        let inner = u64::from(self.tensor.tile[0]) * u64::from(self.tensor.element);
        if inner % 16 != 0 {
            return Err(format!("{inner} bytes of channels a pixel; multiples of 16 are possible"));
        }
        if (0..rank - 2).any(|n| self.last(n) < i64::from(self.lower[n])) {
            return Err("a box of pixels that holds none".into());
        }
        if !(1..=1024).contains(&self.pixels) {
            return Err(format!("{} pixels a column; 1 to 1024 are possible", self.pixels));
        }
        Ok(())
    }

    /// The last base of the box along W, H or D.
    fn last(&self, n: usize) -> i64 {
        self.tensor.dims[n + 1] as i64 - 1 + i64::from(self.upper[n])
    }

    /// Why coordinates (innermost first, then offsets of W, H and D) are none for this map.
    fn check_coordinates(&self, coordinates: &[i32]) -> Result<(), String> {
        let rank = self.tensor.dims.len();
        for n in 0..rank - 2 {
            let (base, range) = (i64::from(coordinates[n + 1]), i64::from(self.lower[n])..=self.last(n));
            if !range.contains(&base) {
                return Err(format!("coordinate {} of an im2col copy is {base}, outside its box {range:?}", n + 1));
            }
        }
        let most = [65535, 255, 31][rank - 3];
        match coordinates[rank..].iter().find(|o| !(0..=most).contains(*o)) {
            Some(o) => Err(format!("an im2col offset of {o}; 0 to {most} are possible")),
            None => Ok(()),
        }
    }

    fn each_element(&self, coordinates: &[i32], mut f: impl FnMut(u64, Option<u64>)) {
        let t = &self.tensor;
        let (rank, element) = (t.dims.len(), u64::from(t.element));
        let mut base: Vec<i64> = coordinates[1..rank].iter().map(|c| i64::from(*c)).collect();
        let mut offset = 0;
        for _ in 0..self.pixels {
            let (mut address, mut inside) = (t.address, true);
            for (n, b) in base.iter().enumerate() {
                let c = b + i64::from(coordinates.get(rank + n).copied().unwrap_or(0));
                inside &= (0..t.dims[n + 1] as i64).contains(&c);
                address = address.wrapping_add((c as u64).wrapping_mul(t.strides[n]));
            }
            for channel in 0..i64::from(t.tile[0]) {
                let c = i64::from(coordinates[0]) + channel;
                let inside = inside && (0..t.dims[0] as i64).contains(&c);
                f(offset, inside.then_some(address.wrapping_add((c as u64).wrapping_mul(element))));
                offset += element;
            }
            // The next base: the first of W, H and D that stays inside the box; behind the last one, the next image.
            let mut n = 0;
            while n < rank - 2 {
                base[n] += i64::from(t.element_strides[n + 1]);
                if base[n] <= self.last(n) {
                    break;
                }
                base[n] = i64::from(self.lower[n]);
                n += 1;
            }
            if n == rank - 2 {
                base[n] += 1;
            }
        }
    }
}

/// A tensor map of either mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Map {
    Tile(TensorMap),
    Im2col(Im2colMap),
}

impl Map {
    /// The map in 128 bytes, or why it is none.
    pub fn decode(b: &[u8; 128]) -> Result<Map, String> {
        let tensor = TensorMap::decode(b)?;
        if b[9] == 0 {
            return Ok(Map::Tile(tensor));
        }
        let corner = |from: usize, n: usize| i32::from(i16::from_le_bytes([b[from + 2 * n], b[from + 1 + 2 * n]]));
        let space = tensor.dims.len().saturating_sub(2).min(3);
        let map = Im2colMap {
            lower: (0..space).map(|n| corner(102, n)).collect(),
            upper: (0..space).map(|n| corner(108, n)).collect(),
            pixels: u32::from(u16::from_le_bytes([b[114], b[115]])),
            tensor,
        };
        map.check()?;
        Ok(Map::Im2col(map))
    }

    pub fn tensor(&self) -> &TensorMap {
        match self {
            Map::Tile(t) => t,
            Map::Im2col(m) => &m.tensor,
        }
    }

    /// Bytes that a copy moves.
    pub fn bytes(&self) -> u32 {
        match self {
            Map::Tile(t) => t.box_bytes(),
            Map::Im2col(m) => m.pixels * m.tensor.tile[0] * m.tensor.element,
        }
    }

    /// Bytes of shared memory that a copy spans: a swizzle wider than a row leaves gaps.
    pub fn window(&self) -> usize {
        self.tensor().spread(u64::from(self.bytes())) as usize
    }

    /// Why an instruction cannot use the map so: its mode, its coordinates and behind them its im2col offsets.
    pub(super) fn check_use(&self, mode: Mode, rank: usize, coordinates: &[i32]) -> Result<(), String> {
        let has = self.tensor().dims.len();
        if rank != has {
            return Err(format!("{rank} coordinates for a tensor map of rank {has}"));
        }
        match (self, mode) {
            (Map::Tile(_), Mode::Tile) => Ok(()),
            (Map::Im2col(m), Mode::Im2col | Mode::Im2colNoOffsets) => m.check_coordinates(coordinates),
            (Map::Tile(_), _) => Err("an im2col copy with a tiled tensor map".into()),
            (Map::Im2col(_), _) => Err("a tiled copy with an im2col tensor map".into()),
        }
    }

    /// Why the map and coordinates are none for a load, a store or a reduction. Neither the ISA nor the driver's manual says
    /// so, but hardware ends these with an illegal instruction (`recordings/copies.out`).
    pub(super) fn check_kind(&self, kind: TensorKind, coordinates: &[i32]) -> Result<(), String> {
        let inner = i64::from(coordinates[0]) * i64::from(self.tensor().element);
        if kind != TensorKind::Prefetch && inner % 16 != 0 {
            return Err(format!(
                "the innermost coordinate of a tensor copy, {}, is at byte {inner}; multiples of 16 are possible",
                coordinates[0]
            ));
        }
        if !matches!(kind, TensorKind::Store | TensorKind::Reduce(_)) {
            return Ok(());
        }
        if let Some(c) = coordinates.iter().find(|c| **c < 0) {
            return Err(format!("a tensor store at coordinate {c}; only loads may start below zero"));
        }
        if let Map::Im2col(m) = self
            && (m.lower.iter().any(|c| *c < 0) || m.upper.iter().any(|c| *c > 0))
        {
            let corners = format!("{:?} to {:?}", m.lower, m.upper);
            return Err(format!("an im2col store by a map whose box of pixels, {corners}, is larger than the tensor"));
        }
        self.check_reduction(kind)
    }

    /// Why elements of the map's type cannot be reduced so.
    fn check_reduction(&self, kind: TensorKind) -> Result<(), String> {
        let TensorKind::Reduce(op) = kind else { return Ok(()) };
        let names: &[&str] = match self.tensor().elemtype {
            2 => &["u32", "b32"],
            3 => &["s32", "b32"],
            4 => &["u64", "b64"],
            5 => &["s64"],
            6 => &["f16"],
            7 | 8 | 11 | 12 => &["f32"],
            9 => &["f64"],
            10 => &["bf16"],
            _ => &[],
        };
        if names.iter().any(|ty| reduces(op, ty, Target::Global)) {
            return Ok(());
        }
        Err(format!("a tensor reduction ({op:?}) of elements of type {}", self.tensor().elemtype))
    }

    /// Every element of a copy: its byte offset in shared memory before the swizzle, and its address unless it is out of
    /// bounds.
    pub fn each_element(&self, coordinates: &[i32], f: impl FnMut(u64, Option<u64>)) {
        match self {
            Map::Tile(t) => t.each_element(coordinates, f),
            Map::Im2col(m) => m.each_element(coordinates, f),
        }
    }
}
