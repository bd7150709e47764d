//! The thread pool behind `parallel_for` and each thread's scratch memory.
//!
//! One pool serves the process; `TRICOT_THREADS` sets its size, else every core. A call made from inside a rayon pool
//! stays in that pool, so an embedder may choose the threads. Chunks depend on the grain only, never on the threads.

use rayon::prelude::*;
use std::alloc::{Layout, alloc, dealloc};
use std::cell::RefCell;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Stack of the pool's threads, as large as a main thread's: compilers that use the pool recurse. Only what is used takes memory.
const STACK_BYTES: usize = 16 << 20;

/// A loop body of compiled code.
pub(super) type Body = unsafe extern "C" fn(*const u8, i64, i64);

/// Number of threads kernels use.
pub fn threads() -> usize {
    match rayon::current_thread_index() {
        Some(_) => rayon::current_num_threads(),
        None => pool().map_or(1, |p| p.current_num_threads()),
    }
}

/// The process's pool; `None` when the system refuses threads, then everything runs on the caller's.
fn pool() -> Option<&'static rayon::ThreadPool> {
    // Never freed: there is one, and one more for every fork.
    static POOL: AtomicPtr<rayon::ThreadPool> = AtomicPtr::new(std::ptr::null_mut());
    static WATCH_FORKS: Once = Once::new();
    // SAFETY: once set, the pointer is to a leaked pool.
    if let Some(pool) = unsafe { POOL.load(Ordering::Acquire).as_ref() } {
        return Some(pool);
    }
    // A forked child has no threads but the one that forked: it needs a pool of its own (Python's multiprocessing forks).
    #[cfg(unix)]
    WATCH_FORKS.call_once(|| {
        extern "C" fn in_child() {
            POOL.store(std::ptr::null_mut(), Ordering::Release);
        }
        // SAFETY: the handler only stores a pointer, which is allowed between fork and exec.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    let asked = std::env::var("TRICOT_THREADS").ok().and_then(|t| t.trim().parse::<usize>().ok());
    let all = || std::thread::available_parallelism().map_or(1, |n| n.get());
    let count = asked.filter(|n| *n > 0).unwrap_or_else(all).min(1024);
    let builder = rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(|i| format!("tricot-cpu-{i}"));
    let new = Box::into_raw(Box::new(builder.stack_size(STACK_BYTES).build().ok()?));
    match POOL.compare_exchange(std::ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: as above; a pool that came second is still ours alone.
        Ok(_) => unsafe { new.as_ref() },
        Err(first) => unsafe {
            drop(Box::from_raw(new));
            first.as_ref()
        },
    }
}

/// Runs `work`, and what it does in parallel through rayon, in the process's pool: unlike rayon's own it survives a fork.
pub fn install<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match (rayon::current_thread_index(), pool()) {
        (None, Some(pool)) => pool.install(work),
        _ => work(),
    }
}

/// See [`tricot_plan::helpers::Slot::ParallelFor`].
pub(super) unsafe extern "C" fn parallel_for(body: Body, context: *const u8, total: i64, grain: i64) {
    let grain = grain.max(1);
    if total <= grain || threads() == 1 {
        // SAFETY: compiled code promises that the body accepts any sub-range of `0..total`.
        return if total > 0 {
            unsafe { body(context, 0, total) }
        };
    }
    /// The context is shared read-only; the code behind it writes disjoint memory only.
    struct Context(*const u8);
    unsafe impl Sync for Context {}
    let context = Context(context);
    let context = &context;
    let run = || {
        (0..(total as u64).div_ceil(grain as u64)).into_par_iter().for_each(|chunk| {
            let begin = chunk as i64 * grain;
            // SAFETY: as above; chunks are disjoint.
            unsafe { body(context.0, begin, total.min(begin.saturating_add(grain))) }
        })
    };
    match rayon::current_thread_index() {
        Some(_) => run(),
        None => match pool() {
            Some(pool) => pool.install(run),
            // SAFETY: as above.
            None => unsafe { body(context.0, 0, total) },
        },
    }
}

const ALIGN: usize = 64;

/// A thread's scratch block; grows, never shrinks while the thread lives.
struct Block {
    at: *mut u8,
    bytes: usize,
}

impl Block {
    fn release(&mut self) {
        if self.bytes > 0 {
            // SAFETY: `at` came from `alloc` with this very layout.
            unsafe { dealloc(self.at, Layout::from_size_align_unchecked(self.bytes, ALIGN)) };
            self.bytes = 0;
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.release();
    }
}

thread_local! {
    static SCRATCH: RefCell<Block> = const { RefCell::new(Block { at: std::ptr::null_mut(), bytes: 0 }) };
}

/// See [`tricot_plan::helpers::Slot::Scratch`].
pub(super) unsafe extern "C" fn scratch(bytes: i64) -> *mut u8 {
    let wanted = usize::try_from(bytes).ok().map(|b| b.max(ALIGN)).and_then(|b| b.checked_next_multiple_of(4096));
    let Some(layout) = wanted.and_then(|b| Layout::from_size_align(b, ALIGN).ok()) else {
        return std::ptr::null_mut();
    };
    SCRATCH.with_borrow_mut(|block| {
        if block.bytes < layout.size() {
            block.release();
            // SAFETY: the size is not zero.
            block.at = unsafe { alloc(layout) };
            block.bytes = if block.at.is_null() { 0 } else { layout.size() };
        }
        block.at
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    const TOTAL: usize = 1000;
    const GRAIN: i64 = 7;

    unsafe extern "C" fn visit(context: *const u8, begin: i64, end: i64) {
        assert_eq!(begin % GRAIN, 0);
        // SAFETY: the test passes an array of `TOTAL` counters.
        let counts = unsafe { std::slice::from_raw_parts(context.cast::<AtomicU32>(), TOTAL) };
        counts[begin as usize..end as usize].iter().for_each(|c| {
            c.fetch_add(1, Ordering::Relaxed);
        });
    }

    #[test]
    fn every_point_runs_once() {
        for threads in [1, 2, 5] {
            let counts: Vec<AtomicU32> = (0..TOTAL).map(|_| AtomicU32::new(0)).collect();
            let at = counts.as_ptr() as usize;
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            // SAFETY: see `visit`.
            pool.install(|| unsafe { parallel_for(visit, at as *const u8, TOTAL as i64, GRAIN) });
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "with {threads} threads");
        }
    }

    #[test]
    fn installed_work_runs_in_the_pool() {
        assert_eq!(install(|| rayon::current_thread_index().is_some()), pool().is_some());
        assert_eq!(install(|| install(threads)), threads());
    }

    #[test]
    fn scratch_is_aligned_and_grows() {
        for bytes in [0, 1, 100, 1 << 20, 10] {
            // SAFETY: the block is ours until the next call.
            unsafe {
                let at = scratch(bytes);
                assert_eq!(at as usize % ALIGN, 0);
                std::ptr::write_bytes(at, 1, bytes as usize);
            }
        }
        assert!(unsafe { scratch(i64::MAX) }.is_null() && unsafe { scratch(-1) }.is_null());
    }
}
