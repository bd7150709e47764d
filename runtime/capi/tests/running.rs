//! Running from C: pointers, workspace, allocator, cancellation, digests, descriptions, log messages.

use crate::*;
use std::ffi::{CString, c_char, c_void};
use std::sync::Mutex;
use tricot_capi::allocator::TricotAllocator;
use tricot_capi::arguments::TricotBinding;
use tricot_capi::bundle::*;
use tricot_capi::instance::*;
use tricot_capi::log::*;
use tricot_capi::module::*;
use tricot_capi::options::*;
use tricot_capi::*;

/// Runs n = 3, k = 2 with poisoned outputs and compares.
unsafe fn run_once(i: *mut TricotInstance, seed: u64, host: bool) {
    let (a, b) = (support::random(seed, 12), support::random(seed + 1, 12));
    let shape = [3u64, 4];
    let (y, z, c) = ([f32::NAN; 12], [f32::NAN; 12], [f32::NAN; 4]);
    let inputs = [tensor(&a, &shape), tensor(&b, &shape)];
    let outputs = [tensor(&y, &shape), tensor(&z, &shape), tensor(&c, &[4])];
    let run = if host { tricot_instance_run_host } else { tricot_instance_run };
    // SAFETY: all pointers are valid.
    ok(unsafe { run(i, inputs.as_ptr(), 2, outputs.as_ptr(), 3, null()) });
    // Written through a pointer, so read anew.
    let read = |t: &TricotTensor, n: usize| unsafe { std::slice::from_raw_parts(t.data as *const f32, n).to_vec() };
    let [want_y, want_z, want_c] = model::reference(&a, &b);
    assert_eq!((read(&outputs[0], 12), read(&outputs[1], 12), read(&outputs[2], 4)), (want_y, want_z, want_c));
}

#[test]
fn runs_on_the_callers_memory_with_any_workspace() {
    let b = bundle();
    let (m, mut digest) = (null_mut::<TricotModule>(), [0u8; 32]);
    let mut m = m;
    // SAFETY: all pointers are valid.
    unsafe {
        ok(tricot_bundle_digest(b, digest.as_mut_ptr()));
        ok(tricot_module_load(b, c"cpu".as_ptr(), digest.as_ptr(), &mut m));
        tricot_bundle_free(b); // The module has its own share.
        assert_eq!(CStr::from_ptr(tricot_module_target(m)), c"cpu");
        let i = instance(m);
        run_once(i, 1, false);
        run_once(i, 2, true);
        let values = [TricotBinding { name: c"n".as_ptr(), value: 3 }, TricotBinding { name: c"k".as_ptr(), value: 2 }];
        let mut bytes = 0;
        ok(tricot_module_workspace_bytes(m, values.as_ptr(), 2, &mut bytes));
        let mut memory = tricot_runtime::tensor::AlignedBytes::zeroed(bytes + 256, 256).unwrap();
        let start = memory.as_mut_ptr();
        refused(tricot_instance_set_workspace(i, start.add(8).cast(), bytes), "TC0810", "256-byte aligned");
        ok(tricot_instance_set_workspace(i, start.cast(), bytes - 1));
        let shape = [3u64, 4];
        let t = tensor(&[0.0; 12], &shape);
        refused(tricot_instance_bind_shapes(i, [t, t].as_ptr(), 2), "TC0810", "are needed");
        memory.fill(0);
        ok(tricot_instance_set_workspace(i, start.cast(), bytes));
        run_once(i, 3, false);
        assert!(memory.iter().any(|b| *b != 0), "the caller's workspace was not used");
        tricot_module_free(m); // The instance has its own share.
        run_once(i, 4, false);
        tricot_instance_free(i);
    }
}

/// What an allocator was asked for.
#[derive(Default)]
struct Book {
    live: Vec<(usize, u64)>,
    given: usize,
    refuse: bool,
}

impl Book {
    /// Pieces ever given, and those not yet back.
    fn state(&self) -> (usize, usize) {
        (self.given, self.live.len())
    }
}

unsafe extern "C" fn allocate(user: *mut c_void, bytes: u64, align: u64) -> *mut c_void {
    let book = unsafe { &*user.cast::<Mutex<Book>>() };
    let mut book = book.lock().unwrap();
    if book.refuse {
        return null_mut();
    }
    let layout = std::alloc::Layout::from_size_align(bytes as usize, align as usize).unwrap();
    let pointer = unsafe { std::alloc::alloc(layout) };
    book.live.push((pointer.addr(), bytes));
    book.given += 1;
    pointer.cast()
}

unsafe extern "C" fn free(user: *mut c_void, pointer: *mut c_void, bytes: u64) {
    let book = unsafe { &*user.cast::<Mutex<Book>>() };
    let mut book = book.lock().unwrap();
    let at = book.live.iter().position(|b| *b == (pointer.addr(), bytes)).expect("freed as it was allocated");
    book.live.remove(at);
    unsafe { std::alloc::dealloc(pointer.cast(), std::alloc::Layout::from_size_align(bytes as usize, 256).unwrap()) };
}

#[test]
fn workspaces_come_from_the_callers_allocator_and_go_back() {
    let book = Mutex::new(Book::default());
    let allocator =
        TricotAllocator { user: (&raw const book).cast_mut().cast(), allocate: Some(allocate), free: Some(free) };
    let b = bundle();
    let m = module(b);
    let mut i = null_mut();
    // SAFETY: all pointers are valid.
    unsafe {
        refused(
            tricot_instance_create(m, &TricotAllocator { free: None, ..allocator }, &mut i),
            "TC0890",
            "lacks a function",
        );
        ok(tricot_instance_create(m, &allocator, &mut i));
        run_once(i, 5, false);
        run_once(i, 6, false);
        assert_eq!(book.lock().unwrap().state(), (1, 1));
        // A larger binding takes a larger piece and gives the smaller one back.
        let values =
            [TricotBinding { name: c"n".as_ptr(), value: 500 }, TricotBinding { name: c"k".as_ptr(), value: 64 }];
        ok(tricot_instance_bind(i, values.as_ptr(), 2));
        assert_eq!(book.lock().unwrap().state(), (2, 1));
        book.lock().unwrap().refuse = true;
        let larger = [TricotBinding { value: 1000, ..values[0] }, values[1]];
        refused(tricot_instance_bind(i, larger.as_ptr(), 2), "TC0811", "allocator has no");
        book.lock().unwrap().refuse = false;
        run_once(i, 7, false);
        tricot_instance_free(i);
        assert!(book.lock().unwrap().live.is_empty(), "memory was not given back");
        tricot_module_free(m);
        tricot_bundle_free(b);
    }
}

#[test]
fn a_run_ends_when_it_is_cancelled() {
    let b = bundle();
    let m = module(b);
    let i = instance(m);
    let (data, shape) = ([1f32; 12], [3u64, 4]);
    let (y, z, c) = ([0f32; 12], [0f32; 12], [0f32; 4]);
    let inputs = [tensor(&data, &shape), tensor(&data, &shape)];
    let outputs = [tensor(&y, &shape), tensor(&z, &shape), tensor(&c, &[4])];
    let mut cancel = null_mut();
    // SAFETY: all pointers are valid.
    unsafe {
        ok(tricot_cancel_create(&mut cancel));
        let options =
            TricotRunOptions { struct_size: size_of::<TricotRunOptions>(), flags: 0, stream: null_mut(), cancel };
        ok(tricot_instance_run(i, inputs.as_ptr(), 2, outputs.as_ptr(), 3, &options));
        tricot_cancel_set(cancel);
        let error = tricot_instance_run(i, inputs.as_ptr(), 2, outputs.as_ptr(), 3, &options);
        refused(error, "TC0812", "cancelled");
        let error = tricot_instance_run(i, inputs.as_ptr(), 2, inputs.as_ptr(), 2, null());
        refused(error, "TC0801", "2 outputs given, 3 expected");
        let overlapping = [outputs[0], outputs[0], outputs[2]];
        let error = tricot_instance_run(i, inputs.as_ptr(), 2, overlapping.as_ptr(), 3, null());
        refused(error, "TC0810", "output `z` overlaps `y`");
        tricot_cancel_free(cancel);
        tricot_instance_free(i);
        tricot_module_free(m);
        tricot_bundle_free(b);
    }
}

#[test]
fn a_bundle_describes_itself() {
    let b = bundle();
    let read = |text: *const c_char| unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_string();
    // SAFETY: all pointers are valid.
    unsafe {
        ok(tricot_bundle_verify(b));
        assert_eq!((read(tricot_bundle_name(b)), read(tricot_bundle_version(b))), ("test".into(), "test".into()));
        assert_eq!((tricot_bundle_input_count(b), tricot_bundle_output_count(b)), (2, 3));
        assert_eq!(read(tricot_bundle_target(b, 0)), "cpu");
        assert!(tricot_bundle_target(b, 1).is_null() && tricot_bundle_target_count(b) == 1);
        let mut port = std::mem::zeroed();
        ok(tricot_bundle_output(b, 1, &mut port));
        assert_eq!((read(port.name), port.rank, port.alias), ("z".into(), 2, 1));
        assert_eq!((read(*port.dims), read(*port.dims.add(1))), ("n".into(), "2*k".into()));
        assert_eq!(std::slice::from_raw_parts(port.sizes, 2), [-1, -1]);
        ok(tricot_bundle_output(b, 2, &mut port));
        assert_eq!((port.rank, *port.sizes, port.alias), (1, 4, -1));
        assert_eq!(tricot_bundle_symbol_count(b), 2);
        let mut symbol = std::mem::zeroed();
        ok(tricot_bundle_symbol(b, 0, &mut symbol));
        assert_eq!((read(symbol.name), symbol.min, symbol.max, symbol.multiple), ("k".into(), 1, i64::MAX, 2));
        assert_eq!(read(tricot_version()), env!("CARGO_PKG_VERSION"));
        assert_eq!((tricot_abi_version(), tricot_bundle_format()), (TRICOT_ABI_VERSION, 1));
        tricot_bundle_free(b);
    }
}

static HEARD: Mutex<Vec<(u32, String)>> = Mutex::new(vec![]);

unsafe extern "C" fn hear(_: *mut c_void, level: u32, target: *const c_char, message: *const c_char) {
    let text = [target, message].map(|t| CString::from(unsafe { CStr::from_ptr(t) }).into_string().unwrap());
    HEARD.lock().unwrap().push((level, text.join(": ")));
}

#[test]
fn messages_reach_the_callback_until_it_is_taken_away() {
    let heard = |level| HEARD.lock().unwrap().iter().filter(|(l, _)| *l == level).count();
    // SAFETY: the callback is valid for ever.
    unsafe {
        ok(tricot_log_set(Some(hear), null_mut(), TRICOT_LOG_INFO));
        tricot_bundle_free({
            let b = bundle();
            tricot_module_free(module(b));
            b
        });
        assert!(heard(TRICOT_LOG_INFO) > 0 && heard(TRICOT_LOG_DEBUG) == 0);
        assert!(
            HEARD
                .lock()
                .unwrap()
                .iter()
                .any(|(_, t)| t.contains("tricot_runtime") && t.contains("loaded bundle=\"hand-made\""))
        );
        ok(tricot_log_set(Some(hear), null_mut(), TRICOT_LOG_DEBUG));
        tricot_bundle_free(bundle());
        assert!(heard(TRICOT_LOG_DEBUG) > 0);
        ok(tricot_log_set(None, null_mut(), TRICOT_LOG_OFF));
    }
}
