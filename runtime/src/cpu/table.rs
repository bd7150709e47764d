//! The table of functions that compiled code calls, laid out as [`tricot_plan::helpers`] says.

use super::{gemm, math, threads};
use std::mem::{offset_of, size_of};
use tricot_plan::helpers::{BINARY, HELPERS_VERSION, Slot, UNARY};

/// The table. Field order is the slot order; the assertions below keep it so.
#[repr(C)]
pub struct Helpers {
    version: u64,
    parallel_for: unsafe extern "C" fn(threads::Body, *const u8, i64, i64),
    scratch: unsafe extern "C" fn(i64) -> *mut u8,
    gemm_f32: gemm::Gemm<f32>,
    gemm_f64: gemm::Gemm<f64>,
    gemm_i32: gemm::Gemm<i32>,
    gemm_i64: gemm::Gemm<i64>,
    unary_f32: [unsafe extern "C" fn(f32) -> f32; UNARY.len()],
    unary_f64: [unsafe extern "C" fn(f64) -> f64; UNARY.len()],
    binary_f32: [unsafe extern "C" fn(f32, f32) -> f32; BINARY.len()],
    binary_f64: [unsafe extern "C" fn(f64, f64) -> f64; BINARY.len()],
}

const _: () = {
    assert!(offset_of!(Helpers, version) == Slot::Version.offset());
    assert!(offset_of!(Helpers, parallel_for) == Slot::ParallelFor.offset());
    assert!(offset_of!(Helpers, scratch) == Slot::Scratch.offset());
    assert!(offset_of!(Helpers, gemm_f32) == Slot::GemmF32.offset());
    assert!(offset_of!(Helpers, gemm_f64) == Slot::GemmF64.offset());
    assert!(offset_of!(Helpers, gemm_i32) == Slot::GemmI32.offset());
    assert!(offset_of!(Helpers, gemm_i64) == Slot::GemmI64.offset());
    assert!(offset_of!(Helpers, unary_f32) == Slot::UnaryF32(0).offset());
    assert!(offset_of!(Helpers, unary_f64) == Slot::UnaryF64(0).offset());
    assert!(offset_of!(Helpers, binary_f32) == Slot::BinaryF32(0).offset());
    assert!(offset_of!(Helpers, binary_f64) == Slot::BinaryF64(0).offset());
    assert!(size_of::<Helpers>() == Slot::table_bytes());
};

/// The one table of this process.
pub(super) static HELPERS: Helpers = Helpers {
    version: HELPERS_VERSION,
    parallel_for: threads::parallel_for,
    scratch: threads::scratch,
    gemm_f32: gemm::gemm_f32,
    gemm_f64: gemm::gemm_f64,
    gemm_i32: gemm::gemm_i32,
    gemm_i64: gemm::gemm_i64,
    unary_f32: math::UNARY_F32,
    unary_f64: math::UNARY_F64,
    binary_f32: math::BINARY_F32,
    binary_f64: math::BINARY_F64,
};
