//! Graph text: the form people write, read and snapshot. Printing and parsing are inverse, byte for byte.
//!
//! ```text
//! module @example
//! symbol b {min = 1, max = 64, multiple = 8, hint = 16}
//!
//! func @main(%x: f32[b, 4], %w: f32[4, 8]) {
//!   %0 = core.contract %x, %w {dtype = f32, spec = "ab,bc->ac"} : f32[b, 8]
//!   %y = core.map %0 {fn = "relu"} : f32[b, 8]
//!   return "y" = %y
//! }
//! ```

mod declare;
mod lexer;
mod mlir;
mod parse;
mod print;

pub use declare::{Template, parse_ops};
pub use mlir::print_mlir;
pub use parse::{MAX_TEXT_BYTES, parse, parse_with};
pub use print::print;
