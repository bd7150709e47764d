//! 2:4 metadata of `mma.sp` and `wgmma.sp` (PTX ISA 9.7.14.6, 9.7.15.6).
//!
//! A nibble names the two kept elements of four, `first | second << 2`; for tf32, 0100 keeps the first of two and 1110 the second.
//! No central type: functions from a row and a group to a thread and its bits.

/// Thread within its warp and bit position of the nibble for `row` (0..16) and group `group` of K (4 elements; 2 for tf32).
///
/// ```text
///               words per row  threads of the quad
/// 16 bits, k32      1/2        c = 2 sel + (k half): low half row r, high half row r + 8     (tf32 k16 alike)
/// 16 bits, k16      1/2        c = sel                                                       (tf32 k8 alike)
/// 8 bits, k64        2         c = (row half) + 2 (k half)
/// 8 bits, k32        1         c = (row half) + 2 sel
/// ```
pub fn nibble(eight_bit: bool, groups: u32, selector: u32, row: u32, group: u32) -> (u32, u32) {
    let (r, half) = (row % 8, row / 8);
    if eight_bit {
        let part = if groups == 16 { group / 8 } else { selector };
        (4 * r + half + 2 * part, 4 * (group % 8))
    } else {
        let c = if groups == 8 { 2 * selector + group / 4 } else { selector };
        (4 * r + c, 16 * half + 4 * (group % 4))
    }
}

/// Where in its group stored element `i` (0 or 1; 0 for tf32) belongs.
pub fn position(tf32: bool, nibble: u32, i: u32) -> u32 {
    if tf32 { u32::from(nibble & 3 == 2) } else { nibble >> (2 * i) & 3 }
}
