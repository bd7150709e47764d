//! Hostile arguments: null, misaligned, out of range, not UTF-8. Every one is a coded error, none a crash.

use crate::*;
use std::ffi::{c_char, c_void};
use tricot_capi::arguments::TricotBinding;
use tricot_capi::bundle::*;
use tricot_capi::error::*;
use tricot_capi::instance::*;
use tricot_capi::log::*;
use tricot_capi::module::*;
use tricot_capi::options::*;

/// An address that is in bounds of nothing, off by one from any alignment.
fn askew<T>() -> *mut T {
    std::ptr::without_provenance_mut(0x1001)
}

#[test]
fn null_and_misaligned_pointers_are_errors() {
    let (b, mut p) = (bundle(), null_mut::<TricotBundle>());
    let (m, mut q) = (module(b), null_mut::<TricotModule>());
    let (i, mut r) = (instance(m), null_mut::<TricotInstance>());
    let (mut bytes, mut count) = (0u64, 0usize);
    let digest = [0u8; 32];
    // SAFETY: what is neither null nor misaligned is valid.
    unsafe {
        let errors = [
            tricot_bundle_open(null(), &mut p),
            tricot_bundle_open(c"x".as_ptr(), null_mut()),
            tricot_bundle_open(c"x".as_ptr(), askew()),
            tricot_bundle_from_bytes(c"x".as_ptr(), null(), 1, &mut p),
            tricot_bundle_from_bytes(null(), digest.as_ptr(), 1, &mut p),
            tricot_bundle_verify(null()),
            tricot_bundle_verify(askew()),
            tricot_bundle_digest(b, null_mut()),
            tricot_bundle_input(b, 0, null_mut()),
            tricot_bundle_input(askew(), 0, null_mut()),
            tricot_bundle_output(null(), 0, null_mut()),
            tricot_bundle_symbol(b, 0, askew()),
            tricot_module_load(b, null(), null(), &mut q),
            tricot_module_load(null(), null(), digest.as_ptr(), &mut q),
            tricot_module_load(b, null(), digest.as_ptr(), askew()),
            tricot_module_load_trusted(askew(), c"cpu".as_ptr(), &mut q),
            tricot_module_load_trusted(b, c"cpu".as_ptr(), null_mut()),
            tricot_module_workspace_bytes(m, null(), 2, &mut bytes),
            tricot_module_workspace_bytes(m, askew(), 2, &mut bytes),
            tricot_module_workspace_bytes(m, null(), 0, null_mut()),
            tricot_module_workspace_bytes(m, &TricotBinding { name: null(), value: 1 }, 1, &mut bytes),
            tricot_instance_create(null(), null(), &mut r),
            tricot_instance_create(m, askew(), &mut r),
            tricot_instance_create(m, null(), null_mut()),
            tricot_instance_set_workspace(null_mut(), null_mut(), 0),
            tricot_instance_set_workspace(i, null_mut(), 256),
            tricot_instance_bind(null_mut(), null(), 0),
            tricot_instance_bind(i, null(), 1),
            tricot_instance_bind_shapes(i, null(), 2),
            tricot_instance_bind_shapes(askew(), null(), 2),
            tricot_instance_input_shape(null(), 0, null_mut(), 0, &mut count),
            tricot_instance_run(null_mut(), null(), 0, null(), 0, null()),
            tricot_instance_run(i, null(), 2, null(), 3, null()),
            tricot_instance_run(i, askew(), 2, null(), 3, null()),
            tricot_instance_run(i, null(), 0, null(), 0, askew()),
            tricot_instance_run_host(i, null(), 2, null(), 3, null()),
            tricot_cancel_create(null_mut()),
            tricot_cuda_device_count(null_mut()),
        ];
        for (at, error) in errors.into_iter().enumerate() {
            let (code, message) = taken(error).unwrap_or_else(|| panic!("call {at} was not refused"));
            assert!(code == "TC0890" && (message.contains("null") || message.contains("alignment")), "{at}: {message}");
        }
        // What has no error to give back gives nothing.
        assert!(tricot_error_code(null()).is_null() && tricot_error_message(null()).is_null());
        assert_eq!(tricot_error_count(null()), 0);
        assert!(tricot_bundle_name(null()).is_null() && tricot_bundle_target(null(), 0).is_null());
        assert_eq!(tricot_bundle_input_count(null()) + tricot_bundle_output_count(null()), 0);
        assert!(tricot_module_target(null()).is_null());
        for free in [tricot_bundle_free as unsafe extern "C" fn(_)] {
            free(null_mut());
        }
        tricot_module_free(null_mut());
        tricot_instance_free(null_mut());
        tricot_cancel_free(null_mut());
        tricot_cancel_set(null());
        tricot_error_free(null_mut());
        tricot_instance_free(i);
        tricot_module_free(m);
        tricot_bundle_free(b);
    }
}

#[test]
fn a_handle_is_null_after_an_error() {
    let mut bundle: *mut TricotBundle = askew();
    // SAFETY: valid pointers.
    refused(unsafe { tricot_bundle_open(c"/nonexistent".as_ptr(), &mut bundle) }, "TC0701", "/nonexistent");
    assert!(bundle.is_null());
}

#[test]
fn numbers_and_texts_that_cannot_be_are_errors() {
    let b = bundle();
    let (m, mut q) = (module(b), null_mut());
    let i = instance(m);
    let (shape, data) = ([2u64, 4], [1f32; 8]);
    let good = [tensor(&data, &shape), tensor(&data, &shape)];
    let options = |flags, stream: usize| TricotRunOptions {
        struct_size: size_of::<TricotRunOptions>(),
        flags,
        stream: stream as *mut c_void,
        cancel: null(),
    };
    // SAFETY: all pointers are valid.
    unsafe {
        let with = |change: &dyn Fn(&mut TricotTensor)| {
            let mut inputs = good;
            change(&mut inputs[1]);
            tricot_instance_bind_shapes(i, inputs.as_ptr(), 2)
        };
        refused(with(&|t| t.dtype = 0), "TC0892", "`inputs[1].dtype`: 0 is no element type");
        refused(with(&|t| t.dtype = 18), "TC0892", "18");
        refused(with(&|t| t.rank = 65), "TC0892", "`inputs[1].rank` is 65, at most 64");
        refused(with(&|t| t.rank = usize::MAX), "TC0892", "rank");
        refused(with(&|t| t.rank = 1), "TC0804", "input `b` has 1 dimensions, 2 expected");
        refused(with(&|t| t.shape = null()), "TC0890", "`inputs[1].shape` is null");
        refused(with(&|t| t.dtype = tricot_capi::dtype::TRICOT_DTYPE_F64), "TC0803", "input `b` is f64, f32 expected");
        refused(tricot_instance_bind_shapes(i, good.as_ptr(), 1), "TC0801", "1 inputs given, 2 expected");
        refused(tricot_instance_bind_shapes(i, good.as_ptr(), usize::MAX), "TC0892", "cannot have");
        let mut bytes = 0u64;
        let bind = |name: *const c_char| {
            let binding = TricotBinding { name, value: 4 };
            tricot_module_workspace_bytes(m, &binding, 1, &mut { bytes })
        };
        refused(bind(c"\xff\xfe".as_ptr()), "TC0891", "`symbols[0].name` is not UTF-8 from byte 0 on");
        refused(bind(c"n n".as_ptr()), "TC0805", "there is no symbol `n n`");
        refused(bind(c"zebra".as_ptr()), "TC0805", "zebra");
        let twice = [TricotBinding { name: c"n".as_ptr(), value: 1 }, TricotBinding { name: c"n".as_ptr(), value: 2 }];
        refused(tricot_module_workspace_bytes(m, twice.as_ptr(), 2, &mut bytes), "TC0892", "symbol `n` is given two");
        refused(tricot_module_load_trusted(b, c"tpu".as_ptr(), &mut q), "TC0829", "`tpu` is no device");
        refused(tricot_module_load(b, c"cpu".as_ptr(), [7u8; 32].as_ptr(), &mut q), "TC0709", "digest");
        let mut port = std::mem::zeroed();
        refused(tricot_bundle_input(b, 2, &mut port), "TC0893", "there is no input 2");
        refused(tricot_bundle_output(b, usize::MAX, &mut port), "TC0893", "there are 3");
        let run = |o: &TricotRunOptions| tricot_instance_run(i, good.as_ptr(), 2, null(), 0, o);
        refused(run(&options(16, 0)), "TC0892", "`options.flags` is 0x10");
        refused(run(&options(TRICOT_RUN_ASYNC, 0)), "TC0892", "TRICOT_RUN_STREAM");
        refused(run(&options(0, 8)), "TC0892", "stream");
        refused(run(&TricotRunOptions { struct_size: 8, ..options(0, 0) }), "TC0892", "struct_size` is 8");
        refused(tricot_log_set(None, null_mut(), 6), "TC0892", "`level` is 6");
        tricot_instance_free(i);
        tricot_module_free(m);
        tricot_bundle_free(b);
    }
}

#[test]
fn shapes_are_written_into_the_callers_array_or_not_at_all() {
    let b = bundle();
    let m = module(b);
    let i = instance(m);
    let (mut shape, mut count) = ([9u64; 2], 0usize);
    // SAFETY: all pointers are valid.
    unsafe {
        let mut ask =
            |capacity, index| tricot_instance_output_shape(i, index, shape.as_mut_ptr(), capacity, &mut count);
        refused(ask(2, 0), "TC0805", "not bound");
        let values = [TricotBinding { name: c"n".as_ptr(), value: 3 }, TricotBinding { name: c"k".as_ptr(), value: 2 }];
        ok(tricot_instance_bind(i, values.as_ptr(), 2));
        refused(ask(2, 3), "TC0893", "there is no output 3");
        refused(ask(1, 0), "TC0893", "2 values do not fit into the caller's 1");
        ok(ask(2, 0));
        assert_eq!((shape, count), ([3, 4], 2));
        tricot_instance_free(i);
        tricot_module_free(m);
        tricot_bundle_free(b);
    }
}

#[test]
fn bytes_of_any_kind_are_opened_safely() {
    let good = model_bytes();
    let mut state = 7u64;
    for round in 0..200 {
        let mut bytes = good.clone();
        for _ in 0..=round % 4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] ^= 1 << (state >> 29 & 7);
        }
        bytes.truncate(bytes.len() - (round % 3) * 5);
        let mut bundle = null_mut();
        // SAFETY: valid pointers; nothing is run.
        unsafe {
            match taken(tricot_bundle_from_bytes(c"hostile".as_ptr(), bytes.as_ptr(), bytes.len(), &mut bundle)) {
                Some((code, message)) => assert!(code.starts_with("TC07"), "{message}"),
                None => drop(taken(tricot_bundle_verify(bundle))),
            }
            tricot_bundle_free(bundle);
        }
    }
}
