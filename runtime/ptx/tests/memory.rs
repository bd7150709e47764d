//! The memory of a parse stays within what its limits promise, whatever the text.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use tricot_ptx::{Code, Limits, parse_within};

/// Counts the bytes that are held, and the most that were.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all work is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Texts made of the cheapest statement, operand, value or item there is, over and over.
#[test]
fn memory_follows_the_limits() {
    let limits = Limits { nodes: 1 << 18, ..Limits::default() };
    let kernel = |body: String| format!(".version 8.7 .target a .entry k() {{ {body}");
    let item = |text: &str| format!(".version 8.7 .target a {}", text.repeat(1 << 19));
    let many = |text: &str| kernel(text.repeat(1 << 19));
    let inside = |start: &str, text: &str| kernel(format!("{start}{}", text.repeat(1 << 20)));
    let texts = [
        many("a;"),
        many("a.b c;"),
        many("a{b};"),
        many("a[b];"),
        many("a[b,c];"),
        many("a b|c;"),
        many("L:"),
        many("{}"),
        many("{a;}"),
        many(".loc 1 1 1 "),
        many(".reg .b8 a;"),
        many(".local .b8 a;"),
        many(".local .b8 a[1];"),
        many(".pragma \"\";"),
        many("a:.branchtargets b;"),
        many("a:.callprototype _;"),
        many("a:.callprototype _(.reg .b8 _);"),
        inside("a ", "1,"),
        inside("a {", "1,"),
        inside("a ", "[b],"),
        inside("a ", "[b,c],"),
        inside("a ", "{b},"),
        inside("a ", "b|c,"),
        inside("a", ".b"),
        inside(".reg .b8 ", "a,"),
        inside(".local .b8 ", "a,"),
        inside(".local .b8 a", "[]"),
        inside(".local .b8 a = {", "1,"),
        inside(".local .b8 a = {", "{1},"),
        inside(".local .b8 a = {", "{},"),
        item(".func f;"),
        item(".func f{}"),
        item(".func f(.reg .b8 a);"),
        item(".func f .noreturn;"),
        item(".func f{.loc 1 1 1}"),
        item(".local .b8 a;"),
        item(".file 1 \"\""),
        item(".alias a,b;"),
        item(".section .a{}"),
        item(".section .a{a:}"),
        item(".section .a{.b8 1}"),
        ".version 8.7 .target a ".to_string() + ".section .a{" + &"a:".repeat(1 << 20),
        ".version 8.7 .target a ".to_string() + ".section .a{" + &".b8 1 ".repeat(1 << 19),
        ".version 8.7 .target a ".to_string() + ".section .a{.b8 " + &"1,".repeat(1 << 20),
    ];
    let mut worst = (0.0, String::new());
    for text in texts {
        let held = HELD.load(Ordering::Relaxed);
        MOST.store(held, Ordering::Relaxed);
        let error = parse_within(&text, &limits).expect_err("too much");
        let most = MOST.load(Ordering::Relaxed) - held;
        let per_node = most as f64 / f64::from(limits.nodes);
        let shown = text[..text.len().min(70)].to_string();
        assert_eq!(error.code, Code::Limit, "{shown}: {error}");
        println!("{per_node:4.0} bytes a node of {shown}");
        if per_node > worst.0 {
            worst = (per_node, shown);
        }
    }
    assert!(worst.0 <= 96.0, "{worst:?}");
}
