//! The runtime's C interface: the committed header, arguments of every kind, threads, and C programs.

mod arguments;
mod header;
mod programs;
mod running;
mod threads;

#[allow(dead_code, reason = "shared with the runtime's own tests")]
#[path = "../../tests/model.rs"]
mod model;
#[allow(dead_code, reason = "shared with the runtime's own tests")]
#[path = "../../tests/support.rs"]
mod support;

use std::ffi::CStr;
use std::ptr::{null, null_mut};
use tricot_capi::bundle::{TricotBundle, tricot_bundle_from_bytes};
use tricot_capi::error::{TricotError, tricot_error_code, tricot_error_free, tricot_error_message};
use tricot_capi::instance::{TricotInstance, TricotTensor, tricot_instance_create};
use tricot_capi::module::{TricotModule, tricot_module_load_trusted};

/// Code and message of an error, which is freed; `None` for none.
pub fn taken(error: *mut TricotError) -> Option<(String, String)> {
    if error.is_null() {
        return None;
    }
    // SAFETY: just returned, freed once.
    unsafe {
        let read = |text| CStr::from_ptr(text).to_str().unwrap().to_string();
        let out = (read(tricot_error_code(error)), read(tricot_error_message(error)));
        tricot_error_free(error);
        Some(out)
    }
}

pub fn ok(error: *mut TricotError) {
    if let Some((_, message)) = taken(error) {
        panic!("{message}");
    }
}

/// The error must have this code, and its message these words.
pub fn refused(error: *mut TricotError, code: &str, words: &str) {
    let (found, message) = taken(error).unwrap_or_else(|| panic!("{code} was expected"));
    assert_eq!(found, code, "{message}");
    assert!(message.contains(words), "{message}\nshould say {words}");
}

/// The hand-made model as a file's bytes.
pub fn model_bytes() -> Vec<u8> {
    support::archive(&mut model::model(), &model::entries())
}

pub fn bundle() -> *mut TricotBundle {
    let (bytes, mut bundle) = (model_bytes(), null_mut());
    // SAFETY: everything is valid.
    ok(unsafe { tricot_bundle_from_bytes(c"hand-made".as_ptr(), bytes.as_ptr(), bytes.len(), &mut bundle) });
    bundle
}

pub fn module(bundle: *const TricotBundle) -> *mut TricotModule {
    let mut module = null_mut();
    // SAFETY: everything is valid, and the bundle is the test's own.
    ok(unsafe { tricot_module_load_trusted(bundle, c"cpu".as_ptr(), &mut module) });
    module
}

pub fn instance(module: *const TricotModule) -> *mut TricotInstance {
    let mut instance = null_mut();
    // SAFETY: everything is valid.
    ok(unsafe { tricot_instance_create(module, null(), &mut instance) });
    instance
}

/// An f32 tensor over the caller's memory.
pub fn tensor(data: &[f32], shape: &[u64]) -> TricotTensor {
    TricotTensor {
        data: data.as_ptr() as *mut _,
        dtype: tricot_capi::dtype::TRICOT_DTYPE_F32,
        rank: shape.len(),
        shape: shape.as_ptr(),
    }
}
