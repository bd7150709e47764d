//! Tensor maps: the driver's limits, an encoding of our own, and which element of a box lies where.
//!
//! Central type: [`TensorMap`], the arguments of `cuTensorMapEncodeTiled`. It does not know memory: it yields addresses.
//! Interleaved layouts and im2col are accepted or refused as the driver does but have no addresses yet: [`TensorMap::rows`]
//! returns an error for them.

mod rows;

pub use rows::Row;

/// `CUDA_SUCCESS` and `CUDA_ERROR_INVALID_VALUE`.
pub const SUCCESS: u32 = 0;
pub const INVALID_VALUE: u32 = 1;

/// First bytes of an encoding; maps encoded by a driver do not have them.
const MAGIC: u32 = 0x504d_5854;

/// The arguments of `cuTensorMapEncodeTiled` (CUDA driver API, "Tensor Map Object Management"). Enumerations are the
/// driver's numbers; entries from `rank` on are unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TensorMap {
    /// 0 u8, 1 u16, 2 u32, 3 s32, 4 u64, 5 s64, 6 f16, 7 f32, 8 f64, 9 bf16, 10 f32.ftz, 11 tf32, 12 tf32.ftz
    pub data_type: u32,
    pub rank: u32,
    pub address: u64,
    /// Extents in elements, innermost first.
    pub dims: [u64; 5],
    /// Strides of dimensions 1.. in bytes.
    pub strides: [u64; 4],
    /// Extents of a box in elements.
    pub boxes: [u32; 5],
    /// Steps between the elements of a box that are taken.
    pub steps: [u32; 5],
    /// 0 none, 1 16 bytes, 2 32 bytes.
    pub interleave: u32,
    /// 0 none, 1 32 bytes, 2 64 bytes, 3 128 bytes.
    pub swizzle: u32,
    /// L2 promotion: 0 none, 1 64 bytes, 2 128 bytes, 3 256 bytes.
    pub l2: u32,
    /// What elements out of bounds read as: 0 zero, 1 NaN.
    pub fill: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the 128 bytes are not a tensor map of this simulator; encode it with the simulated device's encode call")]
    Foreign,
    #[error("tensor map field {field}: {value} is beyond the limit ({limit})")]
    Limit { field: &'static str, value: u64, limit: &'static str },
    #[error("tensor maps with interleave {0} have no simulated addresses; use interleave none")]
    Interleaved(u32),
    #[error("{0} coordinates for a tensor map of rank {1}")]
    Coordinates(usize, u32),
}

impl TensorMap {
    /// Bytes of an element, or `None` for a type that sm_90 lacks.
    pub fn element_bytes(&self) -> Option<u32> {
        Some(match self.data_type {
            0 => 1,
            1 | 6 | 9 => 2,
            2 | 3 | 7 | 10..=12 => 4,
            4 | 5 | 8 => 8,
            _ => return None,
        })
    }

    /// The limits of the driver; the error names the first field that breaks one.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |field, value: u64, limit| Err(Error::Limit { field, value, limit });
        let Some(bytes) = self.element_bytes() else {
            return refuse("data type", self.data_type.into(), "0 to 12");
        };
        let interleaved = self.interleave != 0;
        if self.interleave > 2 {
            return refuse("interleave", self.interleave.into(), "0 to 2");
        }
        let lowest = if interleaved { 3 } else { 1 };
        if self.rank < lowest || self.rank > 5 {
            return refuse("rank", self.rank.into(), "1 to 5, at least 3 if interleaved");
        }
        let alignment = if self.interleave == 2 { 32 } else { 16 };
        if !self.address.is_multiple_of(alignment) {
            return refuse("address", self.address, "a multiple of 16, of 32 with 32-byte interleave");
        }
        let rank = self.rank as usize;
        for &dim in &self.dims[..rank] {
            if dim == 0 || dim > 1 << 32 {
                return refuse("dimension", dim, "1 to 2^32");
            }
        }
        for &stride in &self.strides[..rank - 1] {
            if stride % alignment != 0 || stride >= 1 << 40 {
                return refuse("stride", stride, "a multiple of 16 (32 with 32-byte interleave) below 2^40");
            }
        }
        for &extent in &self.boxes[..rank] {
            if extent == 0 || extent > 256 {
                return refuse("box", extent.into(), "1 to 256");
            }
        }
        for &step in &self.steps[..rank] {
            if step == 0 || step > 8 {
                return refuse("element stride", step.into(), "1 to 8");
            }
        }
        if self.swizzle > 3 {
            return refuse("swizzle", self.swizzle.into(), "0 to 3");
        }
        let inner = self.boxes[0] * bytes;
        if !interleaved && !inner.is_multiple_of(16) {
            return refuse("box", inner.into(), "an inner extent of a multiple of 16 bytes");
        }
        if !interleaved && self.swizzle != 0 && inner > 16 << self.swizzle {
            return refuse("box", inner.into(), "an inner extent within the swizzle");
        }
        if self.interleave == 2 && self.swizzle != 1 {
            return refuse("swizzle", self.swizzle.into(), "32 bytes with 32-byte interleave");
        }
        if self.l2 > 3 {
            return refuse("L2 promotion", self.l2.into(), "0 to 3");
        }
        if self.fill > 1 || self.fill == 1 && self.data_type < 6 {
            return refuse("fill", self.fill.into(), "0, or 1 for floating-point types");
        }
        Ok(())
    }

    /// The driver's return code for these arguments.
    pub fn code(&self) -> u32 {
        if self.check().is_ok() { SUCCESS } else { INVALID_VALUE }
    }

    /// The 128 bytes of the map; fields lie at fixed offsets so that `tensormap.replace` can change one.
    ///
    /// ```text
    /// 0 magic | 4 type | 5 rank | 6 interleave | 7 swizzle | 8 address | 16 fill | 17 L2 | 24 dims - 1 (5 x u32)
    /// 48 strides (4 x u64) | 80 boxes - 1 (5 x u8) | 88 steps - 1 (5 x u8)
    /// ```
    pub fn encode(&self) -> [u8; 128] {
        let mut out = [0; 128];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC.to_le_bytes());
        put(4, &[self.data_type, self.rank, self.interleave, self.swizzle].map(|v| v as u8));
        put(8, &self.address.to_le_bytes());
        put(16, &[self.fill as u8, self.l2 as u8]);
        for i in 0..5 {
            put(24 + 4 * i, &(self.dims[i].wrapping_sub(1) as u32).to_le_bytes());
            put(80 + i, &[self.boxes[i].wrapping_sub(1) as u8]);
            put(88 + i, &[self.steps[i].wrapping_sub(1) as u8]);
        }
        for i in 0..4 {
            put(48 + 8 * i, &self.strides[i].to_le_bytes());
        }
        out
    }

    /// The map that 128 bytes spell.
    pub fn decode(bytes: &[u8; 128]) -> Result<TensorMap, Error> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let double = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if word(0) != MAGIC {
            return Err(Error::Foreign);
        }
        let map = TensorMap {
            data_type: bytes[4].into(),
            rank: bytes[5].into(),
            interleave: bytes[6].into(),
            swizzle: bytes[7].into(),
            address: double(8),
            fill: bytes[16].into(),
            l2: bytes[17].into(),
            dims: std::array::from_fn(|i| u64::from(word(24 + 4 * i)) + 1),
            strides: std::array::from_fn(|i| double(48 + 8 * i)),
            boxes: std::array::from_fn(|i| u32::from(bytes[80 + i]) + 1),
            steps: std::array::from_fn(|i| u32::from(bytes[88 + i]) + 1),
        };
        map.check()?;
        Ok(map)
    }
}
