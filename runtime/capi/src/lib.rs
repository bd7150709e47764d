//! The runtime's C interface: what `include/tricot.h` declares, which cbindgen derives from this crate.
//!
//! The way through is the runtime's own: [`bundle::TricotBundle`] checks a file, [`module::TricotModule`] takes its code
//! onto a device, [`instance::TricotInstance`] owns memory and runs. Each is a handle: made by one function, freed by one
//! function. It knows no graph and no compiler.
//!
//! **Nothing unwinds into C.** Every function's body runs in [`error::guard`] or cannot panic. Null and misaligned
//! pointers, strings that are not UTF-8, counts that cannot be are errors of their own ([`arguments`]); values that C can
//! get wrong (element types, flags) are plain integers here, never Rust enums or `bool`s.

pub mod allocator;
pub mod arguments;
pub mod bundle;
pub mod dtype;
pub mod error;
pub mod instance;
pub mod log;
pub mod module;
pub mod options;

use std::ffi::c_char;

/// Version of this interface. A library serves programs that were compiled with its own version only.
pub const TRICOT_ABI_VERSION: u32 = 1;

/// Version of the interface the library has; compare it with `TRICOT_ABI_VERSION` before any other call. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn tricot_abi_version() -> u32 {
    TRICOT_ABI_VERSION
}

/// Version of Tricot, such as `0.1.0`. The string is static; do not free it. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn tricot_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Version of the bundle format this library reads; bundles of any other are refused (`TC0705`). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn tricot_bundle_format() -> u32 {
    tricot_plan::FORMAT_VERSION
}
