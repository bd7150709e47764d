//! `cuTensorMapEncodeTiled` (CUDA driver API, "Tensor Map Object Management"): its arguments and the driver's limits.
//!
//! Central type: [`Tiled`]. The limits were recorded on hardware (`recordings/maps.out`).

/// `CUDA_SUCCESS` and `CUDA_ERROR_INVALID_VALUE`.
pub const SUCCESS: u32 = 0;
pub const INVALID_VALUE: u32 = 1;

/// The arguments of `cuTensorMapEncodeTiled` (CUDA driver API, "Tensor Map Object Management"). Enumerations are the
/// driver's numbers; entries from `rank` on are unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tiled {
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

/// A field beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value} of a tensor map: possible is {limit}")]
pub struct Limit {
    pub field: &'static str,
    pub value: u64,
    pub limit: &'static str,
}

impl Tiled {
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
    pub fn check(&self) -> Result<(), Limit> {
        let refuse = |field, value: u64, limit| Err(Limit { field, value, limit });
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
        // With 32-byte interleave the driver's manual asks for the 32-byte swizzle; the driver takes any.
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
}
