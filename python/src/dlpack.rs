//! Tensors of other libraries, as DLPack describes them: <https://dmlc.github.io/dlpack/latest/c_api.html>.
//!
//! The central type is [`View`]: pointer, dtype, shape and device, read out of a capsule (or of what the library's
//! [`Exchange`] hands out) that stays the owner. Nothing is copied and no capsule is consumed; what the owner keeps alive, lives
//! as long as the view. Knows no module.

use crate::error::{Outcome, entry};
use crate::exchange::{Exchange, Managed};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCapsule, PyDict};
use pyo3::{ffi, intern};
use std::ffi::{CStr, c_void};
use tricot_runtime::Device;
use tricot_types::{DType, Diagnostic};

// The layouts of dlpack.h, version 1.

#[repr(C)]
pub struct DlDevice {
    pub kind: i32,
    pub id: i32,
}

#[repr(C)]
pub struct DlTensor {
    pub data: *mut c_void,
    pub device: DlDevice,
    pub ndim: i32,
    pub code: u8,
    pub bits: u8,
    pub lanes: u16,
    pub shape: *const i64,
    pub strides: *const i64,
    pub byte_offset: u64,
}

/// `DLManagedTensorVersioned` up to its tensor; the unversioned form begins with the tensor.
#[repr(C)]
pub struct DlVersioned {
    major: u32,
    minor: u32,
    context: *mut c_void,
    pub deleter: Option<unsafe extern "C" fn(*mut DlVersioned)>,
    flags: u64,
    tensor: DlTensor,
}

/// `DLDataTypeCode` and bits of the element types Tricot has in memory.
const CODES: &[(DType, u8, u8)] = &[
    (DType::F32, 2, 32),
    (DType::BF16, 4, 16),
    (DType::F16, 2, 16),
    (DType::F64, 2, 64),
    (DType::F8E4M3, 10, 8),
    (DType::F8E5M2, 12, 8),
    (DType::I64, 0, 64),
    (DType::I32, 0, 32),
    (DType::I16, 0, 16),
    (DType::I8, 0, 8),
    (DType::U64, 1, 64),
    (DType::U32, 1, 32),
    (DType::U16, 1, 16),
    (DType::U8, 1, 8),
    (DType::Bool, 6, 8),
];

/// Type code and bits of an element type; `None` for those without.
pub fn element_code(dtype: DType) -> Option<(u8, u8)> {
    CODES.iter().find(|(known, ..)| *known == dtype).map(|(_, code, bits)| (*code, *bits))
}

const READ_ONLY: u64 = 1;
const OLD: &CStr = c"dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";

/// Which work on a tensor comes before ours.
#[derive(Clone, Copy)]
pub enum After {
    /// Host memory: all of it is done.
    Host,
    /// All that was queued, for work on this `CUstream` of this device.
    Queued { stream: u64, ordinal: u32 },
    /// None: what the tensor holds does not matter.
    Nothing,
}

/// A tensor and its owner. See the module page.
pub struct View<'py> {
    tensor: *const DlTensor,
    pub read_only: bool,
    /// Keeps `tensor` and its memory alive.
    owner: Owner<'py>,
}

enum Owner<'py> {
    Capsule(#[allow(dead_code, reason = "held, not read")] Bound<'py, PyAny>),
    Managed(Managed),
}

impl<'py> View<'py> {
    /// The tensor of an object with `__dlpack__`, or of a capsule. `name` is for messages.
    ///
    /// TC0840: no DLPack tensor, or a capsule that was used up already.
    pub fn of(object: &Bound<'py, PyAny>, name: &str, after: After) -> Outcome<View<'py>> {
        let py = object.py();
        if let Some(exchange) = Exchange::of(object) {
            // Its tensors come without waiting, which is right where work is queued anyway.
            let in_order = match after {
                After::Queued { stream, ordinal } => exchange.current_stream(py, ordinal)? == stream,
                After::Host | After::Nothing => true,
            };
            if in_order {
                return View::managed(exchange.export(object).or_else(|e| refused(py, e, name))?, name);
            }
        }
        let capsule = if object.is_instance_of::<PyCapsule>() { object.clone() } else { export(object, name, after)? };
        let raw = capsule.as_ptr();
        // SAFETY: the GIL is held and `raw` is an object; a valid capsule of this name holds a pointer of this type.
        let (tensor, read_only) = unsafe {
            if ffi::PyCapsule_IsValid(raw, VERSIONED.as_ptr()) != 0 {
                let managed = ffi::PyCapsule_GetPointer(raw, VERSIONED.as_ptr()).cast::<DlVersioned>();
                versioned(managed, name)?
            } else if ffi::PyCapsule_IsValid(raw, OLD.as_ptr()) != 0 {
                (ffi::PyCapsule_GetPointer(raw, OLD.as_ptr()).cast::<DlTensor>().cast_const(), false)
            } else {
                let message = format!("`{name}` is a capsule that was used up or holds no tensor");
                return Err(Diagnostic::error("TC0840", message)
                    .with_help("a DLPack capsule can be taken once; pass the tensor itself")
                    .into());
            }
        };
        if let Some(error) = PyErr::take(py) {
            return Err(error.into());
        }
        View { tensor, read_only, owner: Owner::Capsule(capsule) }.checked(name)
    }

    /// The tensor a library's [`Exchange`] handed out.
    pub fn managed(managed: Managed, name: &str) -> Outcome<View<'py>> {
        // SAFETY: the structure lives as long as `managed`, which the view keeps.
        let (tensor, read_only) = unsafe { versioned(managed.as_ptr(), name)? };
        View { tensor, read_only, owner: Owner::Managed(managed) }.checked(name)
    }

    /// Gives up the view of a tensor that came through [`View::managed`].
    pub fn into_managed(self) -> Option<Managed> {
        match self.owner {
            Owner::Managed(managed) => Some(managed),
            Owner::Capsule(_) => None,
        }
    }

    fn checked(self, name: &str) -> Outcome<View<'py>> {
        if self.shape().iter().any(|size| *size < 0) {
            let message = format!("`{name}` has shape {:?}", self.shape());
            return Err(Diagnostic::error("TC0840", message).with_note("sizes are not negative").into());
        }
        Ok(self)
    }

    fn raw(&self) -> &DlTensor {
        // SAFETY: the capsule is alive and its producer keeps the structure valid.
        unsafe { &*self.tensor }
    }

    /// Address of the first element.
    pub fn pointer(&self) -> u64 {
        (self.raw().data as u64).wrapping_add(self.raw().byte_offset)
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[i64] {
        self.list(self.raw().shape)
    }

    fn list(&self, start: *const i64) -> &[i64] {
        let len = usize::try_from(self.raw().ndim).unwrap_or(0);
        // SAFETY: DLPack's arrays have `ndim` elements; a rank of 0 may come with a null pointer.
        if len == 0 || start.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(start, len) } }
    }

    /// The device; `None` for kinds Tricot has no code for.
    pub fn device(&self) -> Option<Device> {
        device_of(self.raw().device.kind, self.raw().device.id)
    }

    /// The element type; `None` for those Tricot does not have.
    pub fn dtype(&self) -> Option<DType> {
        let t = self.raw();
        let found = CODES.iter().find(|(_, code, bits)| (*code, *bits, 1) == (t.code, t.bits, t.lanes));
        found.map(|(dtype, ..)| *dtype)
    }

    /// The element type in words, also where Tricot does not have it.
    pub fn dtype_text(&self) -> String {
        let t = self.raw();
        match (self.dtype(), t.code) {
            (Some(dtype), _) => dtype.to_string(),
            (None, 5) => format!("complex{}", t.bits),
            (None, code) => format!("DLPack type (code {code}, {} bits, {} lanes)", t.bits, t.lanes),
        }
    }

    /// Whether the elements lie in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let (shape, strides) = (self.shape(), self.strides());
        if strides.is_empty() || shape.contains(&0) {
            return true;
        }
        let mut expected = 1i64;
        shape.iter().zip(strides).rev().all(|(size, stride)| {
            let fits = *size == 1 || *stride == expected;
            expected = expected.saturating_mul(*size);
            fits
        })
    }

    /// Distance of neighbours along each axis, in elements; empty when the producer leaves it out.
    pub fn strides(&self) -> &[i64] {
        self.list(self.raw().strides)
    }
}

/// The tensor of a versioned structure, and whether it is read-only.
///
/// # Safety
/// `managed` points to such a structure, of whatever version.
unsafe fn versioned(managed: *const DlVersioned, name: &str) -> Outcome<(*const DlTensor, bool)> {
    // SAFETY: version and flags stand at the same place in every version.
    unsafe {
        if (*managed).major != 1 {
            let (major, minor) = ((*managed).major, (*managed).minor);
            let message = format!("`{name}` speaks DLPack {major}.{minor}; Tricot knows version 1");
            return Err(Diagnostic::error("TC0840", message).into());
        }
        Ok((&raw const (*managed).tensor, (*managed).flags & READ_ONLY != 0))
    }
}

/// Where a call would read or write a tensor: the address of its first element, whose memory is used in place.
///
/// Raises TC0840 for what is no DLPack tensor.
#[pyfunction]
pub fn address(tensor: &Bound<'_, PyAny>) -> PyResult<u64> {
    entry(tensor.py(), || {
        let after = if matches!(device(tensor), Some(Device::Cuda(_))) { After::Nothing } else { After::Host };
        Ok(View::of(tensor, "tensor", after)?.pointer())
    })
}

/// The device of an object with `__dlpack_device__`; `None` for others and for unknown kinds.
pub fn device(object: &Bound<'_, PyAny>) -> Option<Device> {
    if let Some(device) = Exchange::of(object).and_then(|e| e.device(object)) {
        return Some(device);
    }
    let pair = object.call_method0(intern!(object.py(), "__dlpack_device__")).ok()?;
    // The kind may be an enum of Python's.
    let kind = pair.get_item(0).ok()?.extract::<i32>().ok()?;
    device_of(kind, pair.get_item(1).ok()?.extract().ok()?)
}

/// The device of DLPack's numbers; `None` for kinds Tricot has no code for.
pub fn device_of(kind: i32, id: i32) -> Option<Device> {
    match kind {
        // Host memory, and host memory pinned by CUDA.
        1 | 3 => Some(Device::Cpu),
        // Device memory, and managed memory.
        2 | 13 => Some(Device::Cuda(u32::try_from(id).ok()?)),
        _ => None,
    }
}

/// Calls `__dlpack__`, asking for the versioned form first: only that one can hand out read-only tensors.
fn export<'py>(object: &Bound<'py, PyAny>, name: &str, after: After) -> Outcome<Bound<'py, PyAny>> {
    static HOST: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let py = object.py();
    let stream = match after {
        After::Host => None,
        // DLPack calls the legacy default stream 1.
        After::Queued { stream, .. } => Some(if stream == 0 { 1 } else { stream as i64 }),
        After::Nothing => Some(-1),
    };
    let arguments = |versioned: bool| -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        if versioned {
            dict.set_item(intern!(py, "max_version"), (1, 0))?;
        }
        if let Some(stream) = stream {
            dict.set_item(intern!(py, "stream"), stream)?;
        }
        Ok(dict)
    };
    let method = object.getattr(intern!(py, "__dlpack__")).map_err(|_| {
        let kind = object.get_type().name().map(|n| n.to_string()).unwrap_or_default();
        Diagnostic::error("TC0840", format!("`{name}` is a `{kind}`, which is no DLPack tensor"))
            .with_help("pass a tensor of NumPy, torch, CuPy, JAX or another library with `__dlpack__`")
    })?;
    let first = match stream {
        None => method.call((), Some(HOST.get_or_try_init(py, || arguments(true).map(Bound::unbind))?.bind(py))),
        Some(_) => method.call((), Some(&arguments(true)?)),
    };
    let result = match first {
        Err(error) if error.is_instance_of::<PyTypeError>(py) => method.call((), Some(&arguments(false)?)),
        other => other,
    };
    result.or_else(|error| refused(py, error, name))
}

/// Why a library does not share a tensor.
fn refused<T>(py: Python<'_>, error: PyErr, name: &str) -> Outcome<T> {
    if !error.is_instance_of::<PyException>(py) {
        return Err(error.into()); // An interrupt, say.
    }
    Err(Diagnostic::error("TC0840", format!("`{name}` cannot be shared through DLPack: {}", error.value(py)))
        .with_help("detach tensors that require a gradient, and convert element types the library cannot export")
        .into())
}
