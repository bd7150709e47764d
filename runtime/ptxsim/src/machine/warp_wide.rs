//! Operations that lanes of a warp execute together: shuffles, votes, matches, reductions, elections, `bar.warp.sync`.
//!
//! Central function: [`Machine::warp_wide`]. Lanes wait here for those they name (PTX ISA 9.7.9.6, 9.7.13).

use super::op::*;
use super::run::{At, Flow, Machine, Stop};
use super::state::*;
use super::step::{read, write};
use crate::report::Class;

const ALL: u32 = u32::MAX;

impl Machine<'_> {
    /// Waits until all lanes of `members` that have not ended are at this place.
    pub(super) fn gather(&self, warp: &Warp, members: u32, group: u32, alone: bool) -> Option<Wait> {
        let want = members & warp.lanes & !warp.exited;
        (want & !group != 0 && !alone).then_some(Wait::Lanes)
    }

    pub(super) fn warp_wide(
        &mut self,
        at: At,
        warp: &mut Warp,
        op: &Op,
        mask: u32,
        group: u32,
        alone: bool,
    ) -> Result<Flow, Stop> {
        let slot = match op {
            Op::Shuffle { members, .. }
            | Op::Vote { members, .. }
            | Op::Match { members, .. }
            | Op::Redux { members, .. }
            | Op::Elect { members, .. }
            | Op::BarWarp { members } => *members as usize,
            _ => return Ok(Flow::Next),
        };
        // Lanes may name different sets; each set meets on its own.
        let mut left = mask;
        let mut sets = vec![];
        while left != 0 {
            let lane = left.trailing_zeros() as usize;
            let members = warp.r[slot][lane];
            let same =
                (0..32).filter(|i| left >> i & 1 != 0 && warp.r[slot][*i] == members).fold(0u32, |m, i| m | 1 << i);
            sets.push((members, same));
            left &= !same;
        }
        for (members, _) in &sets {
            if let Some(wait) = self.gather(warp, *members, group, alone) {
                return Ok(Flow::Again(wait));
            }
        }
        for (members, lanes) in sets {
            let outside = lanes & !members;
            if outside != 0 {
                let thread = warp.index * 32 + outside.trailing_zeros();
                self.finding(
                    at,
                    Class::Divergence,
                    Some(thread),
                    format!("a lane is not in its own member mask {members:#010x}"),
                );
            }
            self.one_set(at, warp, op, lanes);
        }
        Ok(Flow::Next)
    }

    fn one_set(&mut self, at: At, warp: &mut Warp, op: &Op, lanes: u32) {
        match op {
            Op::Shuffle { mode, d, p, a, b, c, .. } => {
                let (value, known) = (warp.r[*a as usize], warp.def_r[*a as usize]);
                let (shift, clamp) = (warp.r[*b as usize], warp.r[*c as usize]);
                let (mut out, mut ok, mut defined) = ([0u32; 32], 0u32, 0u32);
                let mut inactive = None;
                for lane in 0..32u32 {
                    let segment = clamp[lane as usize] >> 8 & 31;
                    let limit = clamp[lane as usize] & 31;
                    let max = lane & segment | limit & !segment;
                    let min = lane & segment;
                    let b = shift[lane as usize] & 31;
                    let (source, inside) = match mode {
                        ShuffleMode::Up => (lane.wrapping_sub(b), lane as i32 - b as i32 >= max as i32),
                        ShuffleMode::Down => (lane + b, lane + b <= max),
                        ShuffleMode::Bfly => (lane ^ b, lane ^ b <= max),
                        ShuffleMode::Idx => {
                            let j = min | b & !segment;
                            (j, j <= max)
                        }
                    };
                    let source = if inside { source & 31 } else { lane };
                    ok |= u32::from(inside) << lane;
                    out[lane as usize] = value[source as usize];
                    let live = lanes >> source & 1 != 0;
                    if lanes >> lane & 1 != 0 && !live {
                        inactive = Some((lane, source));
                    }
                    defined |= u32::from(live && known >> source & 1 != 0) << lane;
                }
                if let Some((lane, source)) = inactive {
                    let what = format!("a shuffle reads lane {source}, which does not take part");
                    self.finding(at, Class::Divergence, Some(warp.index * 32 + lane), what);
                }
                warp.set_r(*d, lanes, &out, defined);
                if let Some(p) = p {
                    warp.set_p(*p, lanes, ok, ALL);
                }
            }
            Op::Vote { mode, d, p, negated, .. } => {
                let value = if *negated { !warp.p[*p as usize] } else { warp.p[*p as usize] } & lanes;
                let known = if lanes & !warp.def_p[*p as usize] == 0 { ALL } else { 0 };
                let result = match mode {
                    VoteMode::All => value == lanes,
                    VoteMode::Any => value != 0,
                    VoteMode::Uni => value == 0 || value == lanes,
                    VoteMode::Ballot => {
                        write(warp, *d, lanes, &[u64::from(value); 32], known);
                        return;
                    }
                };
                if let Slot::P(d) = d {
                    warp.set_p(*d, lanes, if result { ALL } else { 0 }, known);
                }
            }
            Op::Match { all, d, p, a, .. } => {
                let (value, known) = read(warp, *a);
                let known = if lanes & !known == 0 { ALL } else { 0 };
                let mut out = [0u32; 32];
                for i in (0..32).filter(|i| lanes >> i & 1 != 0) {
                    out[i] =
                        (0..32).filter(|j| lanes >> j & 1 != 0 && value[*j] == value[i]).fold(0, |m, j| m | 1 << j);
                }
                let same = (0..32).all(|i| lanes >> i & 1 == 0 || out[i] == lanes);
                if *all {
                    out = [if same { lanes } else { 0 }; 32];
                }
                warp.set_r(*d, lanes, &out, known);
                if let Some(p) = p {
                    warp.set_p(*p, lanes, if same { ALL } else { 0 }, known);
                }
            }
            Op::Redux { op, signed, d, a, .. } => {
                let ty = if *signed { Scalar::S32 } else { Scalar::U32 };
                let known = if lanes & !warp.def_r[*a as usize] == 0 { ALL } else { 0 };
                let values = warp.r[*a as usize];
                let mut members = (0..32).filter(|i| lanes >> i & 1 != 0).map(|i| u64::from(values[i]));
                let first = members.next().unwrap_or(0);
                let result = members.fold(first, |x, y| super::access::combine(*op, ty, x, y, 0)) as u32;
                warp.set_r(*d, lanes, &[result; 32], known);
            }
            Op::Elect { d, p, .. } => {
                let leader = lanes.trailing_zeros();
                warp.set_p(*p, lanes, 1 << leader, ALL);
                write(warp, *d, lanes, &[u64::from(leader); 32], ALL);
            }
            Op::BarWarp { .. } => warp.meet(lanes),
            _ => {}
        }
    }
}
