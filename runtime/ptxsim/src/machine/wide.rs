//! 128-bit registers (PTX ISA 5.2.1): pairs of 64-bit ones, the low half first. Moves and accesses go by halves; atomics do not.

use super::decode::{Decoder, Result};
use super::family::{Mods, cache, settle};
use super::op::*;
use super::run::{At, Machine, Stop};
use super::state::Warp;
use crate::report::Class;
use crate::syntax::{Instruction, Operand, Space};

/// `atom.cas.b128` and `atom.exch.b128` (PTX ISA 9.7.13.5): registers by their low halves.
#[derive(Clone, Copy, Debug)]
pub struct Atom128 {
    pub space: Space,
    pub addr: Addr,
    pub d: u32,
    pub b: u32,
    /// What `cas` stores where memory holds `b`.
    pub c: Option<u32>,
    pub order: Order,
}

impl Decoder<'_> {
    /// The low half of a 128-bit register.
    pub(super) fn wide(&mut self, o: &Operand) -> Result<u32> {
        match o {
            Operand::Name(name) => match self.find_register(name) {
                Some(found) => match found?.0 {
                    Slot::Q(n) => Ok(n),
                    _ => Err(format!("`{name}` is not a 128-bit register")),
                },
                None => Err(format!("`{name}` is not a register")),
            },
            _ => Err("a 128-bit register is expected".into()),
        }
    }

    /// Both halves, for an access of two words.
    pub(super) fn halves(&mut self, o: &Operand) -> Result<Vec<Slot>> {
        let n = self.wide(o)?;
        Ok(vec![Slot::D(n), Slot::D(n + 1)])
    }

    pub(super) fn mov128(&mut self, i: &Instruction) -> Result<Op> {
        let pair =
            |items: &[Operand]| if items.len() == 2 { Ok(()) } else { Err("two halves are expected".to_string()) };
        let ((low, high), (a, b)) = match (&i.operands[0], &i.operands[1]) {
            (Operand::Vector(to), from) => {
                pair(to)?;
                let n = self.wide(from)?;
                ((self.dst_d(&to[0])?, self.dst_d(&to[1])?), (n, n + 1))
            }
            (to, Operand::Vector(from)) => {
                pair(from)?;
                let n = self.wide(to)?;
                ((n, n + 1), (self.d(&from[0])?, self.d(&from[1])?))
            }
            (to, from) => {
                let (n, m) = (self.wide(to)?, self.wide(from)?);
                ((n, n + 1), (m, m + 1))
            }
        };
        self.also(Op::Mov64 { d: low, a });
        Ok(Op::Mov64 { d: high, a: b })
    }

    /// What follows the operation's name, if that is `cas` or `exch` of `.b128`.
    pub(super) fn atom128(
        &mut self,
        i: &Instruction,
        cas: bool,
        said: Option<Space>,
        order: Order,
        mut m: Mods,
    ) -> Result<Op> {
        if !cas {
            cache(&mut m);
        }
        m.need(&[("b128", ())])?;
        m.done()?;
        let o = self.operands(i, if cas { 4 } else { 3 }, 4)?;
        let (addr, named) = self.addr(&o[1])?;
        let space = settle(said, named);
        if !matches!(space, Space::Global | Space::Shared | Space::Generic) {
            return Err("atomics are for global and shared memory".into());
        }
        let c = if cas { Some(self.wide(&o[3])?) } else { None };
        Ok(Op::Atom128(Atom128 { space, addr, d: self.wide(&o[0])?, b: self.wide(&o[2])?, c, order }))
    }
}

impl Machine<'_> {
    pub(super) fn atomic128(
        &mut self,
        at: At,
        warp: &mut Warp,
        atom: Atom128,
        mask: u32,
    ) -> std::result::Result<(), Stop> {
        let addresses = self.addresses(at, warp, atom.addr, mask);
        let read = |warp: &Warp, n: u32| (warp.d[n as usize], warp.d[n as usize + 1]);
        let (b, c) = (read(warp, atom.b), atom.c.map(|c| read(warp, c)));
        let sources = [Some(atom.b), atom.c].into_iter().flatten();
        let known = sources.fold(u32::MAX, |k, n| k & warp.def_d[n as usize] & warp.def_d[n as usize + 1]);
        if mask & !known != 0 {
            let lane = (mask & !known).trailing_zeros();
            let what = "an atomic operation takes a value that was never written".to_string();
            self.finding(at, Class::Uninitialised, Some(warp.index * 32 + lane), what);
        }
        self.observe(at, warp, atom.space, &addresses, mask, atom.order);
        let mut old = [[0u64; 32]; 2];
        let (mut changed, mut unknown) = (false, None);
        self.each_lane(at, warp, atom.space, &addresses, 16, mask, |region, offset, lane| {
            let (low, high) = (region.load(offset, 8), region.load(offset + 8, 8));
            (old[0][lane], old[1][lane]) = (low.0, high.0);
            let new = match c {
                Some(c) => {
                    if !(low.1 && high.1) {
                        unknown = Some(lane as u32);
                    }
                    let equal = (low.0, high.0) == (b.0[lane], b.1[lane]);
                    if equal { (c.0[lane], c.1[lane]) } else { (low.0, high.0) }
                }
                None => (b.0[lane], b.1[lane]),
            };
            changed |= new != (low.0, high.0);
            region.store(offset, 8, new.0, true);
            region.store(offset + 8, 8, new.1, true);
        })?;
        if let Some(lane) = unknown {
            let what = "an atomic operation reads memory that was never written".to_string();
            self.finding(at, Class::Uninitialised, Some(warp.index * 32 + lane), what);
        }
        self.touch_lanes(at, warp, atom.space, &addresses, 16, mask, true, true);
        self.release(at, warp, atom.space, &addresses, mask, atom.order);
        self.activity += u64::from(changed);
        self.polled |= atom.c.is_some() || !changed;
        warp.set_d(atom.d, mask, &old[0], u32::MAX);
        warp.set_d(atom.d + 1, mask, &old[1], u32::MAX);
        Ok(())
    }
}
