//! Layout of the helper table that compiled cpu code calls through: slot numbers and nothing else.
//!
//! The central type is [`Slot`]. The table is an array of 64-bit words; word 0 is [`HELPERS_VERSION`], every other
//! word a C function pointer. The compiler emits loads from `slot * 8`, the runtime fills the words; neither needs to
//! know the other. Any change of order or of a signature raises the version.

/// Version of the table's order and signatures. Code made for another version is refused by the manifest's format.
pub const HELPERS_VERSION: u64 = 1;

/// Unary functions with an f32 and an f64 slot each, in slot order: `fn(T) -> T`.
pub const UNARY: [&str; 19] = [
    "exp", "exp2", "expm1", "log", "log2", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh", "erf",
];

/// Binary functions with an f32 and an f64 slot each, in slot order: `fn(T, T) -> T`.
pub const BINARY: [&str; 3] = ["pow", "atan2", "fmod"];

/// A word of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// The version number itself.
    Version,
    /// `fn(body: fn(ctx, begin: i64, end: i64), ctx: *const u8, total: i64, grain: i64)`: calls `body` on disjoint
    /// ranges that cover `0..total`, each starting at a multiple of `grain`, on any threads; returns when all are done.
    ParallelFor,
    /// `fn(bytes: i64) -> *mut u8`: 64-byte aligned memory of the calling thread, valid until its next call; null when
    /// there is none.
    Scratch,
    /// `fn(m, n, k, dst, dst_rs, dst_cs, accumulate, a, a_rs, a_cs, b, b_rs, b_cs)`, all 64-bit: row and column strides
    /// in elements; `accumulate` 0 overwrites. Single-threaded.
    GemmF32,
    /// As [`Slot::GemmF32`] in f64.
    GemmF64,
    /// As [`Slot::GemmF32`] in wrapping i32.
    GemmI32,
    /// As [`Slot::GemmF32`] in wrapping i64.
    GemmI64,
    /// Number `0` of [`UNARY`] in f32.
    UnaryF32(usize),
    /// Number `0` of [`UNARY`] in f64.
    UnaryF64(usize),
    /// Number `0` of [`BINARY`] in f32.
    BinaryF32(usize),
    /// Number `0` of [`BINARY`] in f64.
    BinaryF64(usize),
}

impl Slot {
    /// Byte offset of the word in the table.
    pub const fn offset(self) -> usize {
        let word = match self {
            Slot::Version => 0,
            Slot::ParallelFor => 1,
            Slot::Scratch => 2,
            Slot::GemmF32 => 3,
            Slot::GemmF64 => 4,
            Slot::GemmI32 => 5,
            Slot::GemmI64 => 6,
            Slot::UnaryF32(i) => 7 + i,
            Slot::UnaryF64(i) => 7 + UNARY.len() + i,
            Slot::BinaryF32(i) => 7 + 2 * UNARY.len() + i,
            Slot::BinaryF64(i) => 7 + 2 * UNARY.len() + BINARY.len() + i,
        };
        word * 8
    }

    /// Bytes of the whole table.
    pub const fn table_bytes() -> usize {
        Slot::BinaryF64(BINARY.len()).offset()
    }
}
