//! Tensors of other libraries, as DLPack describes them: <https://dmlc.github.io/dlpack/latest/c_api.html>.
//!
//! The central type is [`View`]: pointer, dtype, shape and device, read out of a capsule that stays the owner. Nothing is
//! copied and no capsule is consumed; what the capsule keeps alive, lives as long as the view. Knows no module.

use crate::error::Outcome;
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
struct DlDevice {
    kind: i32,
    id: i32,
}

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device: DlDevice,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

/// `DLManagedTensorVersioned` up to its tensor; the unversioned form begins with the tensor.
#[repr(C)]
struct DlVersioned {
    major: u32,
    minor: u32,
    context: *mut c_void,
    deleter: *mut c_void,
    flags: u64,
    tensor: DlTensor,
}

const READ_ONLY: u64 = 1;
const OLD: &CStr = c"dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";

/// A tensor in a capsule. See the module page.
pub struct View<'py> {
    tensor: *const DlTensor,
    pub read_only: bool,
    /// Keeps `tensor` and its memory alive.
    _capsule: Bound<'py, PyAny>,
}

impl<'py> View<'py> {
    /// The tensor of an object with `__dlpack__`, or of a capsule. `name` is for messages. On `cuda`, `stream` is the stream (as
    /// DLPack numbers them) on which the data will be used, -1 if the producer need not wait for anything.
    ///
    /// TC0840: no DLPack tensor, or a capsule that was used up already.
    pub fn of(object: &Bound<'py, PyAny>, name: &str, stream: Option<i64>) -> Outcome<View<'py>> {
        let py = object.py();
        let capsule = if object.is_instance_of::<PyCapsule>() { object.clone() } else { export(object, name, stream)? };
        let raw = capsule.as_ptr();
        // SAFETY: the GIL is held and `raw` is an object; a valid capsule of this name holds a pointer of this type.
        let (tensor, read_only) = unsafe {
            if ffi::PyCapsule_IsValid(raw, VERSIONED.as_ptr()) != 0 {
                let managed = ffi::PyCapsule_GetPointer(raw, VERSIONED.as_ptr()).cast::<DlVersioned>();
                if (*managed).major != 1 {
                    let (major, minor) = ((*managed).major, (*managed).minor);
                    let message = format!("`{name}` speaks DLPack {major}.{minor}; Tricot knows version 1");
                    return Err(Diagnostic::error("TC0840", message).into());
                }
                (&raw const (*managed).tensor, (*managed).flags & READ_ONLY != 0)
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
        let view = View { tensor, read_only, _capsule: capsule };
        if view.shape().iter().any(|size| *size < 0) {
            let message = format!("`{name}` has shape {:?}", view.shape());
            return Err(Diagnostic::error("TC0840", message).with_note("sizes are not negative").into());
        }
        Ok(view)
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
        Some(match (t.code, t.bits, t.lanes) {
            (2, 64, 1) => DType::F64,
            (2, 32, 1) => DType::F32,
            (2, 16, 1) => DType::F16,
            (4, 16, 1) => DType::BF16,
            (10, 8, 1) => DType::F8E4M3,
            (12, 8, 1) => DType::F8E5M2,
            (0, 64, 1) => DType::I64,
            (0, 32, 1) => DType::I32,
            (0, 16, 1) => DType::I16,
            (0, 8, 1) => DType::I8,
            (1, 64, 1) => DType::U64,
            (1, 32, 1) => DType::U32,
            (1, 16, 1) => DType::U16,
            (1, 8, 1) => DType::U8,
            (6, 8, 1) => DType::Bool,
            _ => return None,
        })
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

/// The device of an object with `__dlpack_device__`; `None` for others and for unknown kinds.
pub fn device(object: &Bound<'_, PyAny>) -> Option<Device> {
    let pair = object.call_method0(intern!(object.py(), "__dlpack_device__")).ok()?;
    // The kind may be an enum of Python's.
    let kind = pair.get_item(0).ok()?.extract::<i32>().ok()?;
    device_of(kind, pair.get_item(1).ok()?.extract().ok()?)
}

fn device_of(kind: i32, id: i32) -> Option<Device> {
    match kind {
        // Host memory, and host memory pinned by CUDA.
        1 | 3 => Some(Device::Cpu),
        // Device memory, and managed memory.
        2 | 13 => Some(Device::Cuda(u32::try_from(id).ok()?)),
        _ => None,
    }
}

/// Calls `__dlpack__`, asking for the versioned form first: only that one can hand out read-only tensors.
fn export<'py>(object: &Bound<'py, PyAny>, name: &str, stream: Option<i64>) -> Outcome<Bound<'py, PyAny>> {
    static HOST: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let py = object.py();
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
    result.map_err(|error| {
        if !error.is_instance_of::<PyException>(py) {
            return error.into(); // An interrupt, say.
        }
        Diagnostic::error("TC0840", format!("`{name}` cannot be shared through DLPack: {}", error.value(py)))
            .with_help("detach tensors that require a gradient, and convert element types the library cannot export")
            .into()
    })
}
