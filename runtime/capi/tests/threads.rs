//! The thread rules of the header: a module is shared, an instance belongs to one thread at a time.

use crate::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tricot_capi::bundle::tricot_bundle_free;
use tricot_capi::instance::*;
use tricot_capi::module::*;

/// A handle on its way to other threads.
struct Shared<T>(*mut T);
// SAFETY: that is what is tested.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn get(&self) -> *mut T {
        self.0
    }
}

/// What the header promises, as the compiler sees it.
#[test]
fn handles_may_go_where_the_header_says() {
    fn shared<T: Send + Sync>() {}
    shared::<TricotModule>();
    shared::<tricot_capi::bundle::TricotBundle>();
    shared::<tricot_capi::error::TricotError>();
    shared::<tricot_capi::options::TricotCancel>();
    shared::<TricotInstance>(); // Used by two threads it refuses, and moves between them.
}

#[test]
fn many_threads_run_one_module() {
    let b = bundle();
    let m = Shared(module(b));
    let shared = &m;
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            scope.spawn(move || {
                let i = instance(shared.get());
                for run in 0..50 {
                    let n = 1 + (thread + run) % 7;
                    let count = (n * 8) as usize;
                    let (a, b) = (support::random(thread * 100 + run, count), support::random(run + 1, count));
                    let (y, z, c) = (vec![f32::NAN; count], vec![f32::NAN; count], [f32::NAN; 4]);
                    let shape = [n, 8];
                    let inputs = [tensor(&a, &shape), tensor(&b, &shape)];
                    let outputs = [tensor(&y, &shape), tensor(&z, &shape), tensor(&c, &[4])];
                    // SAFETY: all pointers are valid.
                    ok(unsafe { tricot_instance_run(i, inputs.as_ptr(), 2, outputs.as_ptr(), 3, null()) });
                    let want = model::reference(&a, &b);
                    for (t, want) in outputs.iter().zip(want) {
                        // SAFETY: the tensor has as many elements.
                        let have = unsafe { std::slice::from_raw_parts(t.data as *const f32, want.len()) };
                        assert_eq!(have, want);
                    }
                }
                // SAFETY: this thread's own.
                unsafe { tricot_instance_free(i) };
            });
        }
    });
    // SAFETY: no thread uses them any more.
    unsafe {
        tricot_module_free(m.get());
        tricot_bundle_free(b);
    }
}

#[test]
fn an_instance_used_by_two_threads_refuses_and_lives_on() {
    let b = bundle();
    let m = module(b);
    let i = Shared(instance(m));
    let (refusals, successes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let started = std::time::Instant::now();
    // Until it has happened once; two threads at work for a second cannot miss each other for ever.
    while refusals.load(Ordering::Relaxed) == 0 && started.elapsed().as_secs() < 20 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (data, shape) = (vec![1f32; 8000], [1000u64, 8]);
                    let (y, z, c) = (vec![0f32; 8000], vec![0f32; 8000], [0f32; 4]);
                    let inputs = [tensor(&data, &shape), tensor(&data, &shape)];
                    let outputs = [tensor(&y, &shape), tensor(&z, &shape), tensor(&c, &[4])];
                    for _ in 0..200 {
                        // SAFETY: all pointers are valid, and nobody frees the instance.
                        let error =
                            unsafe { tricot_instance_run(i.get(), inputs.as_ptr(), 2, outputs.as_ptr(), 3, null()) };
                        match taken(error) {
                            None => successes.fetch_add(1, Ordering::Relaxed),
                            Some((code, message)) => {
                                assert_eq!(code, "TC0894", "{message}");
                                refusals.fetch_add(1, Ordering::Relaxed)
                            }
                        };
                    }
                });
            }
        });
    }
    assert!(refusals.load(Ordering::Relaxed) > 0 && successes.load(Ordering::Relaxed) > 0);
    // SAFETY: no thread uses them any more.
    unsafe {
        tricot_instance_free(i.get());
        tricot_module_free(m);
        tricot_bundle_free(b);
    }
}
