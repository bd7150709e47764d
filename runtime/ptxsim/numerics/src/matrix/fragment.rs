//! Which thread of a warp holds which element of `mma.sync`, and of a warpgroup for `wgmma` (PTX ISA 9.7.14.5, 9.7.15.5).
//!
//! ```text
//! lane = 4 * group + c       one 32-bit word holds p = 32 / bits neighbours along K
//!   A  word i: row group + 8 (i % 2), k = p (c + 4 (i / 2))     B  word i: column group, k = p (c + 4 i)
//!   D  element i: row group + 8 (i / 2 % 2), column 2 c + i % 2 + 8 (i / 4)
//! warp w of a warpgroup holds rows 16 w to 16 w + 15
//! ```
//! No central type: functions from a thread and a word to a position.

/// Row and first k of word `i` of A (of the stored half of K where A is sparse). `per` elements lie in a word, 1 for f64;
/// `rows` is the M of one warp, 8 or 16.
pub fn a(thread: u32, i: u32, per: u32, rows: u32) -> (u32, u32) {
    let (warp, group, c) = (thread / 32, thread % 32 / 4, thread % 4);
    if rows == 8 { (group, per * (c + 4 * i)) } else { (16 * warp + group + 8 * (i % 2), per * (c + 4 * (i / 2))) }
}

/// First k and column of word `i` of B of `mma.sync`.
pub fn b(lane: u32, i: u32, per: u32) -> (u32, u32) {
    (per * (lane % 4 + 4 * i), lane / 4)
}

/// Row and column of element `i` of D and C; f16 elements 2 j and 2 j + 1 share word j.
pub fn d(thread: u32, i: u32, rows: u32) -> (u32, u32) {
    let (warp, group, c) = (thread / 32, thread % 32 / 4, thread % 4);
    if rows == 8 {
        (group, 2 * c + i % 2 + 8 * (i / 2))
    } else {
        (16 * warp + group + 8 * (i / 2 % 2), 2 * c + i % 2 + 8 * (i / 4))
    }
}
