//! Memory of tensors on the host: aligned bytes, owned tensors and borrowed views.
//!
//! The central type is [`HostTensor`]: dense, row-major, 64-byte aligned. [`TensorRef`] is the same by
//! pointer, for memory the caller owns on either device. Knows no plan and no device.

use std::alloc::Layout;
use std::ptr::NonNull;
use tricot_types::{DType, Diagnostic};

/// Alignment of host tensors in bytes.
pub const TENSOR_ALIGN: usize = 64;

/// Zero-initialised bytes with a chosen alignment.
pub struct AlignedBytes {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its memory like a `Box<[u8]>`.
unsafe impl Send for AlignedBytes {}
// SAFETY: shared access is read-only.
unsafe impl Sync for AlignedBytes {}

impl AlignedBytes {
    /// Zeroed bytes; `align` is a power of two. TC0811 when the host has not enough memory.
    pub fn zeroed(bytes: u64, align: usize) -> Result<AlignedBytes, Diagnostic> {
        let fail = || {
            Diagnostic::error("TC0811", format!("out of host memory: {bytes} bytes wanted"))
                .with_help("bind smaller sizes or free memory")
        };
        let layout =
            usize::try_from(bytes).ok().and_then(|b| Layout::from_size_align(b, align).ok()).ok_or_else(fail)?;
        let start = match layout.size() {
            0 => NonNull::new(std::ptr::without_provenance_mut(align)),
            // SAFETY: the size is not zero.
            _ => NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }),
        };
        Ok(AlignedBytes { start: start.ok_or_else(fail)?, layout })
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8], align: usize) -> Result<AlignedBytes, Diagnostic> {
        let mut out = AlignedBytes::zeroed(bytes.len() as u64, align)?;
        out.copy_from_slice(bytes);
        Ok(out)
    }
}

impl std::ops::Deref for AlignedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is valid for `size` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) }
    }
}

impl std::ops::DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }
}

impl Drop for AlignedBytes {
    fn drop(&mut self) {
        if self.layout.size() != 0 {
            // SAFETY: allocated with this layout.
            unsafe { std::alloc::dealloc(self.start.as_ptr(), self.layout) }
        }
    }
}

/// Rust types that are the storage of a [`DType`].
pub trait Element: Copy + private::Plain {
    const DTYPE: DType;
}

mod private {
    /// Every bit pattern is a value and there is no padding.
    ///
    /// # Safety
    /// As said.
    pub unsafe trait Plain {}
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),*) => {$(
        // SAFETY: plain numbers.
        unsafe impl private::Plain for $rust {}
        impl Element for $rust { const DTYPE: DType = DType::$dtype; }
    )*};
}
elements!(f64 => F64, f32 => F32, half::f16 => F16, half::bf16 => BF16, i64 => I64, i32 => I32, i16 => I16, i8 => I8,
          u64 => U64, u32 => U32, u16 => U16, u8 => U8);

/// A dense row-major tensor in host memory.
pub struct HostTensor {
    dtype: DType,
    shape: Vec<u64>,
    bytes: AlignedBytes,
}

impl HostTensor {
    /// All bytes zero. TC0809 when the size overflows, TC0811 when memory runs out.
    pub fn zeros(dtype: DType, shape: &[u64]) -> Result<HostTensor, Diagnostic> {
        let bytes = tensor_bytes(dtype, shape)?;
        Ok(HostTensor { dtype, shape: shape.into(), bytes: AlignedBytes::zeroed(bytes, TENSOR_ALIGN)? })
    }

    /// A copy of raw bytes; TC0804 when their number does not fit the shape.
    pub fn from_bytes(dtype: DType, shape: &[u64], bytes: &[u8]) -> Result<HostTensor, Diagnostic> {
        let mut out = HostTensor::zeros(dtype, shape)?;
        if out.bytes.len() != bytes.len() {
            let (want, have) = (out.bytes.len(), bytes.len());
            return Err(Diagnostic::error("TC0804", format!("{dtype}{shape:?} is {want} bytes, {have} given")));
        }
        out.bytes.copy_from_slice(bytes);
        Ok(out)
    }

    /// A copy of typed values; TC0804 when their number does not fit the shape.
    pub fn from_slice<T: Element>(shape: &[u64], values: &[T]) -> Result<HostTensor, Diagnostic> {
        // SAFETY: `Plain` types have no padding.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
        HostTensor::from_bytes(T::DTYPE, shape, bytes)
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Row-major storage; sub-byte types pack the lower index in the low bits.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The values, if the tensor is of type `T`.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        let count = self.bytes.len() / size_of::<T>();
        // SAFETY: the type is the stored one, alignment is 64 and every bit pattern is a value.
        (T::DTYPE == self.dtype).then(|| unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().cast(), count) })
    }

    /// A view for reading.
    pub fn view(&self) -> TensorRef {
        TensorRef { pointer: self.bytes.as_ptr() as u64, dtype: self.dtype, shape: self.shape.clone() }
    }

    /// A view for writing.
    pub fn view_mut(&mut self) -> TensorRef {
        TensorRef { pointer: self.bytes.as_mut_ptr() as u64, dtype: self.dtype, shape: self.shape.clone() }
    }
}

impl std::fmt::Debug for HostTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostTensor({}{:?})", self.dtype, self.shape)
    }
}

/// A dense row-major tensor by address: host memory for the `cpu` device, device memory for `cuda`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorRef {
    /// Address; 64-byte aligned on `cpu`, 16-byte aligned on `cuda` (TMA).
    pub pointer: u64,
    pub dtype: DType,
    pub shape: Vec<u64>,
}

/// Bytes of a dense tensor; TC0809 on overflow.
pub fn tensor_bytes(dtype: DType, shape: &[u64]) -> Result<u64, Diagnostic> {
    let elements = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
    elements
        .and_then(|n| dtype.bytes(n))
        .filter(|b| *b <= i64::MAX as u64)
        .ok_or_else(|| Diagnostic::error("TC0809", format!("the size of {dtype}{shape:?} does not fit in 63 bits")))
}
