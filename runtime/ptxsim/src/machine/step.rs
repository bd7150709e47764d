//! What each operation does to its warp.

use super::access::{shared_target, window, window_base};
use super::op::*;
use super::run::{At, Flow, Machine, Stop};
use super::state::*;
use crate::isa::Exec;
use crate::memory::UNDEFINED;
use crate::report::Class;
use crate::syntax::Space;

const ALL: u32 = u32::MAX;

impl Machine<'_> {
    /// Runs one operation for the lanes of `mask`; `group` are the lanes at this place, `alone` says that no other lanes of
    /// the warp can come here any more.
    #[allow(clippy::too_many_lines)]
    pub(super) fn step(
        &mut self,
        at: At,
        warp: &mut Warp,
        op: &Op,
        mask: u32,
        group: u32,
        alone: bool,
    ) -> Result<Flow, Stop> {
        if !warp.tokens.is_empty() {
            self.settle_tokens(at, warp, op)?;
        }
        match op {
            Op::Exec { f, d, s } => exec(warp, *f, *d, *s, mask),
            Op::Float { f, d, s } => {
                let (x, known) = read_all(warp, s);
                let out = x.map(|x| f.apply(x));
                write(warp, *d, mask, &out, known);
            }
            Op::Video { f, d, s } => {
                let s = s.map(|n| n as usize);
                let out = std::array::from_fn(|lane| f.apply(s.map(|n| warp.r[n][lane])));
                let known = s.iter().fold(ALL, |k, n| k & warp.def_r[*n]);
                warp.set_r(*d, mask, &out, known);
            }
            Op::Setp { f, d, q, a, b, high, combine } => {
                let (value, known) = match f {
                    Exec::PRR(f) => (
                        f(&warp.r[*a as usize], &warp.r[*b as usize]),
                        warp.def_r[*a as usize] & warp.def_r[*b as usize],
                    ),
                    Exec::PDD(f) => (
                        f(&warp.d[*a as usize], &warp.d[*b as usize]),
                        warp.def_d[*a as usize] & warp.def_d[*b as usize],
                    ),
                    _ => (0, 0),
                };
                let (mut value, mut inverse, mut known) = (value, !value, known);
                if let (Some((a, b)), Exec::PRR(f)) = (high, f) {
                    inverse = f(&warp.r[*a as usize], &warp.r[*b as usize]);
                }
                if let Some((how, p, negated)) = combine {
                    let c = if *negated { !warp.p[*p as usize] } else { warp.p[*p as usize] };
                    let with = |v: u32| match how {
                        Combine::And => v & c,
                        Combine::Or => v | c,
                        Combine::Xor => v ^ c,
                    };
                    (value, inverse) = (with(value), with(inverse));
                    known &= warp.def_p[*p as usize];
                }
                warp.set_p(*d, mask, value, known);
                if let Some(q) = q {
                    warp.set_p(*q, mask, inverse, known);
                }
            }
            Op::Select { wide, d, a, b, p } => {
                let (p, known) = (warp.p[*p as usize], warp.def_p[*p as usize]);
                let (a, b) = (*a as usize, *b as usize);
                if *wide {
                    let out = std::array::from_fn(|i| if p >> i & 1 != 0 { warp.d[a][i] } else { warp.d[b][i] });
                    let defined = (p & warp.def_d[a] | !p & warp.def_d[b]) & known;
                    warp.set_d(*d, mask, &out, defined);
                } else {
                    let mut out = [0; 32];
                    for (i, o) in out.iter_mut().enumerate() {
                        let m = 0u32.wrapping_sub(p >> i & 1);
                        *o = warp.r[a][i] & m | warp.r[b][i] & !m;
                    }
                    let defined = (p & warp.def_r[a] | !p & warp.def_r[b]) & known;
                    warp.set_r(*d, mask, &out, defined);
                }
            }
            Op::Mov32 { d, a } => {
                let (value, known) = (warp.r[*a as usize], warp.def_r[*a as usize]);
                warp.set_r(*d, mask, &value, known);
                warp.written[*d as usize] |= MOVED;
                if !warp.tokens.is_empty() {
                    match warp.tokens.get(a).copied() {
                        Some(token) => warp.tokens.insert(*d, token),
                        None => warp.tokens.remove(d),
                    };
                }
            }
            Op::Mov64 { d, a } => {
                let (value, known) = (warp.d[*a as usize], warp.def_d[*a as usize]);
                warp.set_d(*d, mask, &value, known);
            }
            Op::Pack { d, parts, bits } => {
                let (mut out, mut known) = ([0u64; 32], ALL);
                for (n, part) in parts.iter().enumerate() {
                    let shift = bits * n as u32;
                    let low = if *bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                    match *part {
                        Slot::R(r) => {
                            for (i, o) in out.iter_mut().enumerate() {
                                *o |= (u64::from(warp.r[r as usize][i]) & low) << shift;
                            }
                            known &= warp.def_r[r as usize];
                        }
                        Slot::D(r) => {
                            for (i, o) in out.iter_mut().enumerate() {
                                *o |= (warp.d[r as usize][i] & low) << shift;
                            }
                            known &= warp.def_d[r as usize];
                        }
                        _ => {}
                    }
                }
                write(warp, *d, mask, &out, known);
            }
            Op::Unpack { parts, a, bits } => {
                let (value, known) = read(warp, *a);
                let low = if *bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                for (n, part) in parts.iter().enumerate() {
                    let out = value.map(|v| v >> (bits * n as u32) & low);
                    write(warp, *part, mask, &out, known);
                }
            }
            Op::Carry { wide, sub, input, output, d, a, b } => {
                let carry = warp.carry;
                let mut out_carry = 0u32;
                let (a, b) = (*a as usize, *b as usize);
                let one = |x: u64, y: u64, c: bool, bits: u32| -> (u64, bool) {
                    // Subtraction adds the complement: a carry that is clear is a borrow.
                    let (y, c) = if *sub { (!y & (u64::MAX >> (64 - bits)), c || !*input) } else { (y, c) };
                    let sum = u128::from(x) + u128::from(y) + u128::from(c);
                    (sum as u64, sum >> bits & 1 != 0)
                };
                if *wide {
                    let mut out = [0; 32];
                    for i in 0..32 {
                        let (v, c) = one(warp.d[a][i], warp.d[b][i], *input && carry >> i & 1 != 0, 64);
                        out[i] = v;
                        out_carry |= u32::from(c) << i;
                    }
                    let known = warp.def_d[a] & warp.def_d[b];
                    warp.set_d(*d, mask, &out, known);
                } else {
                    let mut out = [0; 32];
                    for i in 0..32 {
                        let (v, c) =
                            one(u64::from(warp.r[a][i]), u64::from(warp.r[b][i]), *input && carry >> i & 1 != 0, 32);
                        out[i] = v as u32;
                        out_carry |= u32::from(c) << i;
                    }
                    let known = warp.def_r[a] & warp.def_r[b];
                    warp.set_r(*d, mask, &out, known);
                }
                if *output {
                    warp.carry = warp.carry & !mask | out_carry & mask;
                }
            }
            Op::Convert { f, register, d, s } => {
                let (x, known) = read_all(warp, s);
                let out = x.map(|x| f.apply(x, *register));
                write(warp, *d, mask, &out, known);
            }
            Op::Clock { shift, d } => {
                let now = self.steps >> shift;
                write(warp, *d, mask, &[now; 32], ALL);
                self.polled = true;
            }
            Op::Cvta { d, a, space, to } => {
                let base = window_base(*space);
                let (value, known) = (warp.d[*a as usize], warp.def_d[*a as usize]);
                let out = value.map(|v| if *to { v.wrapping_sub(base) } else { v.wrapping_add(base) });
                warp.set_d(*d, mask, &out, known);
            }
            Op::Isspacep { p, a, space } => {
                let (value, known) = read(warp, *a);
                let out = (0..32).fold(0, |m, i| m | u32::from(window(value[i]).0 == *space) << i);
                warp.set_p(*p, mask, out, known);
            }
            Op::Mapa { d, a, rank, generic } => {
                let (value, known) = read(warp, *a);
                let ranks = warp.r[*rank as usize];
                let base = if *generic { window_base(Space::Shared) } else { 0 };
                let out = std::array::from_fn(|i| base + (u64::from(ranks[i]) + 1 << 24) + (value[i] & 0xff_ffff));
                let known = known & warp.def_r[*rank as usize];
                write(warp, *d, mask, &out, known);
            }
            Op::Getctarank { d, a, generic } => {
                let (value, known) = read(warp, *a);
                let out = value.map(|v| shared_target(at, if *generic { window(v).1 } else { v }).0 as u32);
                warp.set_r(*d, mask, &out, known);
            }
            Op::Nop | Op::Prefetch => {}
            Op::Discard { space, addr } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                self.each_lane(at, warp, *space, &addresses, 128, mask, |region, offset, _| {
                    region.state[offset..offset + 128].fill(UNDEFINED);
                })?;
            }
            Op::Ld { space, addr, size, signed, dst, order, used } => {
                self.polled |= order.strong;
                self.strong = order.strong;
                self.load(at, warp, *space, *addr, *size, *signed, dst, *used as usize, mask)?;
                if order.strong {
                    let addresses = self.addresses(at, warp, *addr, mask);
                    self.observe(at, warp, *space, &addresses, mask, *order);
                }
            }
            Op::St { space, addr, size, src, order } => {
                self.strong = order.strong;
                self.store(at, warp, *space, *addr, *size, src, mask)?;
                if order.strong {
                    let addresses = self.addresses(at, warp, *addr, mask);
                    self.release(at, warp, *space, &addresses, mask, *order);
                }
            }
            Op::Atom { op, ty, space, addr, dst, b, c, order } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                self.observe(at, warp, *space, &addresses, mask, *order);
                self.atomic(at, warp, *op, *ty, *space, *addr, dst, b, *c, mask)?;
                self.release(at, warp, *space, &addresses, mask, *order);
            }
            Op::Atom128(atom) => self.atomic128(at, warp, *atom, mask)?,
            Op::Activemask { d } => warp.set_r(*d, mask, &[mask; 32], ALL),
            Op::Shuffle { .. }
            | Op::Vote { .. }
            | Op::Match { .. }
            | Op::Redux { .. }
            | Op::Elect { .. }
            | Op::BarWarp { .. } => {
                return self.warp_wide(at, warp, op, mask, group, alone);
            }
            Op::Trap => {
                self.finding(
                    at,
                    Class::Trap,
                    Some(warp.index * 32 + mask.trailing_zeros()),
                    "`trap` is executed".into(),
                );
                return Err(Stop);
            }
            Op::NoFunction { address, running } => {
                let lane = mask.trailing_zeros();
                let address = warp.d[*address as usize][lane as usize];
                let what = match running.iter().find(|(at, _)| *at == address) {
                    Some((_, name)) => {
                        format!("an indirect call of `{name}`, which runs already; recursion is not supported")
                    }
                    None => format!("an indirect call to {address:#x}, where no function of the call's kind is"),
                };
                self.finding(at, Class::Trap, Some(warp.index * 32 + lane), what);
                return Err(Stop);
            }
            Op::Bar { .. } | Op::ClusterArrive { .. } | Op::ClusterWait => {
                return self.barrier(at, warp, op, mask, group, alone);
            }
            Op::MapAcquire { addr } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                for lane in super::agents::lanes(mask) {
                    self.map_acquired(at, warp, addresses[lane as usize]);
                }
            }
            Op::Fence(kind) => {
                self.fence(at, warp, *kind, mask);
            }
            Op::Printf { format, arguments, d } => self.printf(at, warp, *format, *arguments, *d, mask)?,
            Op::AssertFail { message, file, line } => {
                let lane = mask.trailing_zeros();
                let text = self.local_pointer(at, warp, *message, lane);
                let file = self.local_pointer(at, warp, *file, lane);
                let line = self.local_u64(warp, *line, lane) as u32;
                self.finding(
                    at,
                    Class::Assertion,
                    Some(warp.index * 32 + lane),
                    format!("assertion `{text}` fails at {file}:{line}"),
                );
                return Err(Stop);
            }
            Op::SetMaxNreg { count, increase } => return Ok(self.set_registers(at, warp, *count, *increase)),
            Op::Ldmatrix { .. }
            | Op::Stmatrix { .. }
            | Op::Mma(_)
            | Op::Quads(_)
            | Op::Wmma(_)
            | Op::WmmaMove(_)
            | Op::Wgmma(_)
            | Op::WgmmaFence
            | Op::WgmmaCommit
            | Op::WgmmaWait { .. } => {
                if let Some(wait) = self.gather(warp, ALL, group, alone) {
                    return Ok(Flow::Again(wait));
                }
                return self.matrix(at, warp, op, mask);
            }
            _ => return self.asynchronous(at, warp, op, mask),
        }
        Ok(Flow::Next)
    }

    fn fence(&mut self, at: At, warp: &mut Warp, kind: FenceKind, mask: u32) {
        match kind {
            FenceKind::Memory { wide } => self.memory_fence(at, warp, mask, wide),
            FenceKind::Async => {
                warp.clocks.fence();
                warp.tick();
            }
            FenceKind::MbarrierInit => {
                let Some(cluster) = &mut self.clusters[at.cluster] else { return };
                let all = cluster.blocks.iter_mut().flat_map(|b| b.mbarriers.values_mut());
                all.filter(|bar| bar.born.0 == warp.agent).for_each(|bar| bar.published = true);
            }
            FenceKind::MapRelease => self.maps_released(at, warp),
            FenceKind::OtherProxy => {}
        }
    }
}

/// A register of any file as 64 bits.
pub(super) fn read(warp: &Warp, slot: Slot) -> ([u64; 32], u32) {
    match slot {
        Slot::R(n) => (warp.r[n as usize].map(u64::from), warp.def_r[n as usize]),
        Slot::D(n) => (warp.d[n as usize], warp.def_d[n as usize]),
        Slot::P(n) => (std::array::from_fn(|i| u64::from(warp.p[n as usize] >> i & 1)), warp.def_p[n as usize]),
        Slot::Q(_) | Slot::Sink => ([0; 32], ALL),
    }
}

/// Three registers, lane by lane, and the lanes where all are defined.
fn read_all(warp: &Warp, slots: &[Slot; 3]) -> ([[u64; 3]; 32], u32) {
    let values = slots.map(|s| read(warp, s));
    let known = values[0].1 & values[1].1 & values[2].1;
    (std::array::from_fn(|lane| [values[0].0[lane], values[1].0[lane], values[2].0[lane]]), known)
}

pub(super) fn write(warp: &mut Warp, slot: Slot, mask: u32, value: &[u64; 32], defined: u32) {
    match slot {
        Slot::R(n) => warp.set_r(n, mask, &value.map(|v| v as u32), defined),
        Slot::D(n) => warp.set_d(n, mask, value, defined),
        _ => {}
    }
}

/// The block of the cluster and the offset that a lane's mbarrier address names.
pub(super) fn barrier_address(at: At, space: Space, address: u64) -> Option<(usize, u64)> {
    let (space, inner) = if space == Space::Generic { window(address) } else { (space, address) };
    (space == Space::Shared).then(|| shared_target(at, inner))
}

#[inline]
fn exec(w: &mut Warp, f: Exec, d: u32, s: [u32; 4], mask: u32) {
    let [a, b, c, e] = s.map(|n| n as usize);
    match f {
        Exec::R1(f) => {
            let mut out = [0; 32];
            f(&w.r[a], &mut out);
            let known = w.def_r[a];
            w.set_r(d, mask, &out, known);
        }
        Exec::R2(f) => {
            let mut out = [0; 32];
            f(&w.r[a], &w.r[b], &mut out);
            let known = w.def_r[a] & w.def_r[b];
            w.set_r(d, mask, &out, known);
        }
        Exec::R3(f) => {
            let mut out = [0; 32];
            f(&w.r[a], &w.r[b], &w.r[c], &mut out);
            let known = w.def_r[a] & w.def_r[b] & w.def_r[c];
            w.set_r(d, mask, &out, known);
        }
        Exec::R4(f) => {
            let mut out = [0; 32];
            f(&w.r[a], &w.r[b], &w.r[c], &w.r[e], &mut out);
            let known = w.def_r[a] & w.def_r[b] & w.def_r[c] & w.def_r[e];
            w.set_r(d, mask, &out, known);
        }
        Exec::D1(f) => {
            let mut out = [0; 32];
            f(&w.d[a], &mut out);
            let known = w.def_d[a];
            w.set_d(d, mask, &out, known);
        }
        Exec::D2(f) => {
            let mut out = [0; 32];
            f(&w.d[a], &w.d[b], &mut out);
            let known = w.def_d[a] & w.def_d[b];
            w.set_d(d, mask, &out, known);
        }
        Exec::D3(f) => {
            let mut out = [0; 32];
            f(&w.d[a], &w.d[b], &w.d[c], &mut out);
            let known = w.def_d[a] & w.def_d[b] & w.def_d[c];
            w.set_d(d, mask, &out, known);
        }
        Exec::DR(f) => {
            let mut out = [0; 32];
            f(&w.r[a], &mut out);
            let known = w.def_r[a];
            w.set_d(d, mask, &out, known);
        }
        Exec::RD(f) => {
            let mut out = [0; 32];
            f(&w.d[a], &mut out);
            let known = w.def_d[a];
            w.set_r(d, mask, &out, known);
        }
        Exec::DRR(f) => {
            let mut out = [0; 32];
            f(&w.r[a], &w.r[b], &mut out);
            let known = w.def_r[a] & w.def_r[b];
            w.set_d(d, mask, &out, known);
        }
        Exec::DDR(f) => {
            let mut out = [0; 32];
            f(&w.d[a], &w.r[b], &mut out);
            let known = w.def_d[a] & w.def_r[b];
            w.set_d(d, mask, &out, known);
        }
        Exec::DDDRR(f) => {
            let mut out = [0; 32];
            f(&w.d[a], &w.d[b], &w.r[c], &w.r[e], &mut out);
            let known = w.def_d[a] & w.def_d[b] & w.def_r[c] & w.def_r[e];
            w.set_d(d, mask, &out, known);
        }
        Exec::DRRD(f) => {
            let mut out = [0; 32];
            f(&w.r[a], &w.r[b], &w.d[c], &mut out);
            let known = w.def_r[a] & w.def_r[b] & w.def_d[c];
            w.set_d(d, mask, &out, known);
        }
        Exec::DDRR(f) => {
            let mut out = [0; 32];
            f(&w.d[a], &w.r[b], &w.r[c], &mut out);
            let known = w.def_d[a] & w.def_r[b] & w.def_r[c];
            w.set_d(d, mask, &out, known);
        }
        Exec::PP(f) => {
            let value = f(w.p[a], w.p[b]);
            let known = w.def_p[a] & w.def_p[b];
            w.set_p(d, mask, value, known);
        }
        Exec::P1(f) => {
            let (value, known) = (f(w.p[a]), w.def_p[a]);
            w.set_p(d, mask, value, known);
        }
        Exec::PRR(_) | Exec::PDD(_) | Exec::Sel32 | Exec::Sel64 => {}
    }
}
