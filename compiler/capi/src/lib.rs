//! The compiler's C interface: what `include/tricot_compiler.h` declares, which cbindgen derives from this crate.
//!
//! The way in is [`compile::tricot_compile_path`] or `tricot_compile_bytes`; out comes the same bundle handle that the
//! runtime's interface ([`tricot_capi`], part of this library) loads. It knows no kernel.

pub mod compile;
mod memory;

pub use tricot_capi;

/// Counts what the library allocates, for `TricotCompileOptions.memory_limit`.
#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
