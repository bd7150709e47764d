//! DLPack's exchange between C programs: tensors in and out of a library that offers it, without a call of Python code.
//!
//! The central type is [`Exchange`], the function table that a tensor type carries as `__dlpack_c_exchange_api__`
//! (<https://dmlc.github.io/dlpack/latest/c_api.html>, since DLPack 1.2). A call through it costs a tenth of one through
//! `__dlpack__`. Nothing in it waits for a stream: who uses it must queue work where the library does, which
//! [`Exchange::current_stream`] tells. Knows no module.

use crate::dlpack::{DlDevice, DlTensor, DlVersioned, device_of, element_code};
use crate::error::{Failure, Outcome};
use pyo3::exceptions::{PyBufferError, PyRuntimeError};
use pyo3::ffi::{self, c_str};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyType};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{NonNull, null, null_mut};
use std::sync::Mutex;
use tricot_runtime::Device;
use tricot_types::DType;

type SetError = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char);

/// `DLPackExchangeAPI` of dlpack.h 1.2 and later.
#[repr(C)]
struct Table {
    major: u32,
    minor: u32,
    previous: *const Table,
    allocate: Option<unsafe extern "C" fn(*mut DlTensor, *mut *mut DlVersioned, *mut c_void, SetError) -> c_int>,
    export: Option<unsafe extern "C" fn(*mut ffi::PyObject, *mut *mut DlVersioned) -> c_int>,
    import: Option<unsafe extern "C" fn(*mut DlVersioned, *mut *mut ffi::PyObject) -> c_int>,
    /// A view without an owner. The library may leave it out.
    borrow: Option<unsafe extern "C" fn(*mut ffi::PyObject, *mut DlTensor) -> c_int>,
    current_stream: Option<unsafe extern "C" fn(c_int, i32, *mut *mut c_void) -> c_int>,
}

const ATTRIBUTE: &CStr = c_str!("dlpack_exchange_api");
/// `kDLCPU` and `kDLCUDA`.
const HOST: i32 = 1;
const CUDA: i32 = 2;

/// The functions of one tensor type.
#[derive(Clone, Copy)]
pub struct Exchange {
    allocate: unsafe extern "C" fn(*mut DlTensor, *mut *mut DlVersioned, *mut c_void, SetError) -> c_int,
    export: unsafe extern "C" fn(*mut ffi::PyObject, *mut *mut DlVersioned) -> c_int,
    import: unsafe extern "C" fn(*mut DlVersioned, *mut *mut ffi::PyObject) -> c_int,
    borrow: Option<unsafe extern "C" fn(*mut ffi::PyObject, *mut DlTensor) -> c_int>,
    current_stream: unsafe extern "C" fn(c_int, i32, *mut *mut c_void) -> c_int,
}

/// Types asked about so far. Each is kept alive, so an address cannot come to mean another type; the number is bounded.
static KNOWN: Mutex<Vec<(Py<PyType>, Option<Exchange>)>> = Mutex::new(vec![]);
const MAX_KNOWN: usize = 32;

impl Exchange {
    /// What the type of `object` offers. A subclass that does not define the table itself gets `None`: it may have changed what
    /// `__dlpack__` does.
    pub fn of(object: &Bound<'_, PyAny>) -> Option<Exchange> {
        let raw = object.get_type_ptr();
        let mut known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, found)) = known.iter().find(|(kind, _)| kind.as_ptr().cast() == raw) {
            return *found;
        }
        drop(known);
        let kind = object.get_type();
        let found = Exchange::look_up(&kind);
        known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
        if known.len() < MAX_KNOWN {
            known.push((kind.unbind(), found));
        }
        found
    }

    fn look_up(kind: &Bound<'_, PyType>) -> Option<Exchange> {
        let own = kind.getattr(intern!(kind.py(), "__dict__")).ok()?;
        let capsule = own.get_item(intern!(kind.py(), "__dlpack_c_exchange_api__")).ok()?;
        let capsule = capsule.cast_into::<PyCapsule>().ok()?;
        // SAFETY: the name says what the capsule holds, and the table lives as long as the process.
        unsafe {
            if ffi::PyCapsule_IsValid(capsule.as_ptr(), ATTRIBUTE.as_ptr()) == 0 {
                return None;
            }
            let mut table =
                ffi::PyCapsule_GetPointer(capsule.as_ptr(), ATTRIBUTE.as_ptr()).cast::<Table>().cast_const();
            while !table.is_null() && (*table).major != 1 {
                table = (*table).previous;
            }
            let table = table.as_ref()?;
            Some(Exchange {
                allocate: table.allocate?,
                export: table.export?,
                import: table.import?,
                borrow: table.borrow,
                current_stream: table.current_stream?,
            })
        }
    }

    /// The tensor of `object`, kept alive by what is returned.
    pub fn export(&self, object: &Bound<'_, PyAny>) -> PyResult<Managed> {
        // `__dlpack__` of such a tensor refuses; here the gradient would be lost without a word.
        if object.getattr(intern!(object.py(), "requires_grad")).is_ok_and(|g| g.is_truthy().unwrap_or(false)) {
            return Err(PyBufferError::new_err("it requires a gradient"));
        }
        let mut managed = null_mut();
        // SAFETY: the object is of the type the table belongs to and the GIL is held.
        let status = unsafe { (self.export)(object.as_ptr(), &raw mut managed) };
        Managed::checked(object.py(), status, managed)
    }

    /// The device of a tensor, where the table tells without an owner.
    pub fn device(&self, object: &Bound<'_, PyAny>) -> Option<Device> {
        let mut tensor = DlTensor::empty();
        // SAFETY: as for `export`; the view is not used beyond this function.
        let status = unsafe { (self.borrow?)(object.as_ptr(), &raw mut tensor) };
        if status != 0 {
            drop(PyErr::take(object.py()));
            return None;
        }
        device_of(tensor.device.kind, tensor.device.id)
    }

    /// The `CUstream` on which the library queues work of a device now.
    pub fn current_stream(&self, py: Python<'_>, ordinal: u32) -> PyResult<u64> {
        let mut stream = null_mut();
        // SAFETY: the GIL is held; the function writes one pointer.
        match unsafe { (self.current_stream)(CUDA, ordinal as i32, &raw mut stream) } {
            0 => Ok(stream as u64),
            _ => Err(raised(py)),
        }
    }

    /// A fresh, uninitialised tensor; `None` for element types DLPack has no code for.
    pub fn allocate(&self, py: Python<'_>, dtype: DType, shape: &[u64], device: Device) -> Option<PyResult<Managed>> {
        let (code, bits) = element_code(dtype)?;
        let mut sizes: Vec<i64> = shape.iter().map(|d| i64::try_from(*d).unwrap_or(i64::MAX)).collect();
        let device = match device {
            Device::Cpu | Device::Sim => DlDevice { kind: HOST, id: 0 },
            Device::Cuda(ordinal) => DlDevice { kind: CUDA, id: ordinal as i32 },
        };
        let mut prototype =
            DlTensor { device, ndim: sizes.len() as i32, code, bits, shape: sizes.as_mut_ptr(), ..DlTensor::empty() };
        let mut managed = null_mut();
        // SAFETY: the prototype and what it points to outlive the call; `set_error` raises a Python error.
        let status = unsafe { (self.allocate)(&raw mut prototype, &raw mut managed, null_mut(), set_error) };
        Some(Managed::checked(py, status, managed))
    }

    /// The library's own object for a tensor.
    pub fn import<'py>(&self, py: Python<'py>, tensor: Managed) -> Outcome<Bound<'py, PyAny>> {
        let mut object = null_mut();
        // SAFETY: ownership passes to the library, which returns a new reference.
        unsafe {
            match (self.import)(tensor.into_raw().as_ptr(), &raw mut object) {
                0 => Ok(Bound::from_owned_ptr(py, object.cast())),
                _ => Err(Failure::from(raised(py))),
            }
        }
    }
}

/// The error the library has raised.
fn raised(py: Python<'_>) -> PyErr {
    PyErr::take(py).unwrap_or_else(|| PyRuntimeError::new_err("the library failed without saying why"))
}

unsafe extern "C" fn set_error(_context: *mut c_void, _kind: *const c_char, message: *const c_char) {
    // SAFETY: called within `allocate`, so the GIL is held; the message is a C string or null.
    unsafe {
        if ffi::PyErr_Occurred().is_null() {
            let message = if message.is_null() { c"no memory".as_ptr() } else { message };
            ffi::PyErr_SetString(ffi::PyExc_RuntimeError, message);
        }
    }
}

/// A tensor with an owner, which is told when it is no longer needed. Dropped only while the GIL is held.
pub struct Managed(NonNull<DlVersioned>);

impl Managed {
    fn checked(py: Python<'_>, status: c_int, managed: *mut DlVersioned) -> PyResult<Managed> {
        match NonNull::new(managed) {
            Some(managed) if status == 0 => Ok(Managed(managed)),
            _ => Err(raised(py)),
        }
    }

    /// The structure, valid as long as `self`.
    pub fn as_ptr(&self) -> *const DlVersioned {
        self.0.as_ptr()
    }

    fn into_raw(self) -> NonNull<DlVersioned> {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        // SAFETY: the structure is ours until its deleter runs, and that only here.
        unsafe {
            let deleter = (*self.0.as_ptr()).deleter;
            if let Some(deleter) = deleter {
                deleter(self.0.as_ptr());
            }
        }
    }
}

impl DlTensor {
    /// A tensor of no axes at no address.
    fn empty() -> DlTensor {
        let device = DlDevice { kind: HOST, id: 0 };
        DlTensor {
            data: null_mut(),
            device,
            ndim: 0,
            code: 0,
            bits: 0,
            lanes: 1,
            shape: null(),
            strides: null(),
            byte_offset: 0,
        }
    }
}
