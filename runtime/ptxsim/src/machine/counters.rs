//! What accesses of memory cost, as the clock of an H100 tells it (`recordings/timings.out`).
//!
//! ```text
//! shared memory   32 banks of 4 bytes; lanes that want the same word share it
//!   up to 4 bytes a lane   one part of 32 lanes
//!   8 bytes                two parts of 16; loads: one, if each two neighbours (l, l ^ 1) want the same, or each (l, l ^ 2)
//!   16 bytes               four parts of 8; loads: two, if so
//!   a part takes as many passes as words are wanted of its busiest bank, and one even where no lane takes part
//! global memory   loads take a cycle a 128-byte line, stores one a 32-byte sector
//! ```

use super::access::window;
use super::run::{At, Machine};
use crate::syntax::Space;

impl Machine<'_> {
    /// Counts an access of a warp: bytes, sectors and lines, passes and bank conflicts. `kind` is 0 for loads, 1 for stores.
    pub(super) fn count_access(
        &mut self,
        at: At,
        space: Space,
        addresses: &[u64; 32],
        bytes: usize,
        mask: u32,
        kind: usize,
    ) {
        if !self.launch.counters || mask == 0 {
            return;
        }
        let first = mask.trailing_zeros() as usize;
        let space = if space == Space::Generic { window(addresses[first]).0 } else { space };
        let name = match (space, kind) {
            (Space::Global, 0) => "global load",
            (Space::Global, _) => "global store",
            (Space::Shared, 0) => "shared load",
            (Space::Shared, _) => "shared store",
            (Space::Local, _) => "local",
            _ => return,
        };
        *self.report.bytes.entry(name).or_insert(0) += u64::from(mask.count_ones()) * bytes as u64;
        if space == Space::Global {
            self.report.sectors[kind] += units(addresses, bytes, mask, 32);
            self.report.lines[kind] += units(addresses, bytes, mask, 128);
        } else if space == Space::Shared {
            let (passes, more) = passes(addresses, bytes, mask, kind == 0);
            self.report.passes[kind] += passes;
            if more > 0 {
                *self.report.bank_conflicts.entry(at.line).or_insert(0) += more;
            }
        }
    }
}

/// Pieces of memory of `size` bytes that the lanes touch.
fn units(addresses: &[u64; 32], bytes: usize, mask: u32, size: u64) -> u64 {
    let of = |l: usize| [addresses[l] / size, addresses[l].saturating_add(bytes as u64 - 1) / size];
    let mut units: Vec<u64> = (0..32).filter(|l| mask >> l & 1 != 0).flat_map(of).collect();
    units.sort_unstable();
    units.dedup();
    units.len() as u64
}

/// Passes of an access of shared memory, and those beyond one a part.
fn passes(addresses: &[u64; 32], bytes: usize, mask: u32, load: bool) -> (u64, u64) {
    let same = |apart: usize| (0..32).all(|l| addresses[l] == addresses[l ^ apart]);
    let joined = load && bytes > 4 && mask == u32::MAX && (same(1) || same(2));
    let lanes = 32 / (bytes / 4).max(1) * if joined { 2 } else { 1 };
    let (mut passes, mut more) = (0, 0);
    for part in (0..32).step_by(lanes) {
        let mut words = [(0u8, [0u64; 32]); 32];
        let mut worst = 1;
        for l in (part..part + lanes).filter(|l| mask >> l & 1 != 0) {
            for word in (addresses[l] >> 2)..=(addresses[l].saturating_add(bytes as u64 - 1) >> 2) {
                let (n, seen) = &mut words[(word & 31) as usize];
                if !seen[..*n as usize].contains(&word) && *n < 32 {
                    seen[*n as usize] = word;
                    *n += 1;
                    worst = worst.max(*n);
                }
            }
        }
        passes += u64::from(worst);
        more += u64::from(worst) - 1;
    }
    (passes, more)
}
