//! Which 32-bit registers an operation touches, for the state of accumulators in flight.

use super::op::{Acc, Addr, Op, Slot};
use crate::isa::Exec;

/// Calls `f` for every 32-bit register that an operation reads or writes, except `mov`, which carries the state along, and
/// wgmma, whose accumulators follow rules of their own.
pub fn registers(op: &Op, mut f: impl FnMut(u32)) {
    let slot = |s: &Slot, f: &mut dyn FnMut(u32)| {
        if let Slot::R(n) = s {
            f(*n);
        }
    };
    let f: &mut dyn FnMut(u32) = &mut f;
    let addr = |a: &Addr, f: &mut dyn FnMut(u32)| {
        if let Slot::R(n) = a.base {
            f(n);
        }
    };
    match op {
        Op::Exec { f: kind, d, s } => {
            let (sources, result) = match kind {
                Exec::R1(_) => (1, true),
                Exec::R2(_) => (2, true),
                Exec::R3(_) => (3, true),
                Exec::R4(_) => (4, true),
                Exec::DR(_) => (1, false),
                Exec::DRR(_) | Exec::DRRD(_) => (2, false),
                Exec::RD(_) => (0, true),
                _ => (0, false),
            };
            s[..sources].iter().for_each(|r| f(*r));
            if result {
                f(*d);
            }
        }
        Op::Video { d, s, .. } => s.iter().chain([d]).for_each(|r| f(*r)),
        Op::Setp { f: Exec::PRR(_), a, b, .. } => {
            f(*a);
            f(*b);
        }
        Op::Select { wide: false, d, a, b, .. } => [d, a, b].into_iter().for_each(|r| f(*r)),
        Op::Pack { d, parts, .. } => parts.iter().chain([d]).for_each(|s| slot(s, f)),
        Op::Unpack { parts, a, .. } => parts.iter().chain([a]).for_each(|s| slot(s, f)),
        Op::Convert { d, s, .. } | Op::Float { d, s, .. } => s.iter().chain([d]).for_each(|s| slot(s, f)),
        Op::Carry { wide: false, d, a, b, .. } => [d, a, b].into_iter().for_each(|r| f(*r)),
        Op::Ld { addr: a, dst, .. } => {
            addr(a, f);
            dst.iter().for_each(|s| slot(s, f));
        }
        Op::St { addr: a, src, .. } => {
            addr(a, f);
            src.iter().for_each(|s| slot(s, f));
        }
        Op::Atom { addr: a, dst, b, c, .. } => {
            addr(a, f);
            b.iter().chain(dst).chain([c]).for_each(|s| slot(s, f));
        }
        Op::Shuffle { d, a, b, c, .. } => [d, a, b, c].into_iter().for_each(|r| f(*r)),
        Op::AsyncStore(s) => {
            addr(&s.addr, f);
            addr(&s.barrier, f);
            s.src.iter().for_each(|s| slot(s, f));
        }
        Op::Stmatrix { src, .. } => src.iter().for_each(|r| f(*r)),
        Op::Ldmatrix { dst, .. } => dst.iter().for_each(|r| f(*r)),
        // The registers of f64 are those of 64 bits.
        Op::Mma(m) if m.acc != Acc::F64 => {
            let meta = m.sparse.as_ref().map(|s| &s.meta);
            m.ar.iter().chain(&m.br).chain(&m.cr).chain(&m.dr).chain(meta).for_each(|r| f(*r));
        }
        Op::Quads(q) => q.registers().for_each(|r| f(*r)),
        Op::Wmma(w) if w.mma.acc != Acc::F64 => {
            let m = &w.mma;
            m.ar.iter().chain(&m.br).chain(&m.cr).chain(&m.dr).for_each(|r| f(*r));
        }
        Op::WmmaMove(w) => {
            addr(&w.addr, f);
            w.regs.iter().filter(|_| w.bits < 64).for_each(|r| f(*r));
        }
        Op::Wgmma(w) => w.a_regs.iter().for_each(|r| f(*r)),
        _ => {}
    }
}
