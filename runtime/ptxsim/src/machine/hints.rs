//! Decoders of instructions that steer caches, or wait for nothing in particular (PTX ISA 9.7.9.15 to 9.7.9.18, 9.7.13.13, 9.7.19).
//!
//! They do nothing to what a kernel computes, except `discard`, whose bytes are lost, and `createpolicy`, whose result only
//! other hints take.

use super::decode::{Decoder, Result};
use super::family::Mods;
use super::op::*;
use crate::syntax::{Instruction, Operand, Space};

const LEVELS: &[(&str, ())] = &[("L1", ()), ("L2", ())];
const PRIMARY: &[(&str, ())] =
    &[("L2::evict_last", ()), ("L2::evict_normal", ()), ("L2::evict_first", ()), ("L2::evict_unchanged", ())];
const SECONDARY: &[(&str, ())] = &[("L2::evict_first", ()), ("L2::evict_unchanged", ())];

impl Decoder<'_> {
    /// `None` if it is no such instruction.
    pub(super) fn hint(&mut self, i: &Instruction, parts: &[&str]) -> Option<Result<Op>> {
        let m = Mods(&parts[1..]);
        Some(match parts[0] {
            "nanosleep" | "pmevent" | "griddepcontrol" => self.pause(i, parts[0], m),
            "prefetch" | "prefetchu" => self.prefetch(i, parts[0] == "prefetchu", m),
            "discard" | "applypriority" => self.line(i, parts[0] == "discard", m),
            "createpolicy" => self.createpolicy(i, m),
            _ => return None,
        })
    }

    fn pause(&mut self, i: &Instruction, name: &str, mut m: Mods) -> Result<Op> {
        match name {
            "nanosleep" => {
                m.need(&[("u32", ())])?;
                self.exactly(i, 1)?;
                self.r(&i.operands[0])?;
            }
            "pmevent" => {
                let mask = m.eat("mask");
                self.exactly(i, 1)?;
                let event = super::family::int(&i.operands[0])?;
                if event > if mask { 0xffff } else { 15 } {
                    return Err(format!("performance event {event}; 16 exist"));
                }
            }
            _ => {
                m.need(&[("launch_dependents", ()), ("wait", ())])?;
                self.exactly(i, 0)?;
            }
        }
        m.done()?;
        Ok(Op::Nop)
    }

    fn prefetch(&mut self, i: &Instruction, uniform: bool, mut m: Mods) -> Result<Op> {
        if uniform {
            m.need(&[("L1", ())])?;
        } else if m.0.last() == Some(&"tensormap") {
            let _ = m.one_of(&[("const", ()), ("param", ())]);
            m.eat("tensormap");
        } else if m.0.last().is_some_and(|l| l.starts_with("L2::evict")) {
            m.eat("global");
            m.need(&[("L2::evict_last", ()), ("L2::evict_normal", ())])?;
        } else {
            let _ = m.one_of(&[("global", ()), ("local", ())]);
            m.need(LEVELS)?;
        }
        m.done()?;
        self.exactly(i, 1)?;
        self.addr(&i.operands[0])?;
        Ok(Op::Prefetch)
    }

    /// `discard` and `applypriority` take a line of 128 bytes.
    fn line(&mut self, i: &Instruction, discard: bool, mut m: Mods) -> Result<Op> {
        let said = m.one_of(&[("global", Space::Global)]);
        m.need(&[(if discard { "L2" } else { "L2::evict_normal" }, ())])?;
        m.done()?;
        self.exactly(i, 2)?;
        let (addr, _) = self.addr(&i.operands[0])?;
        if super::family::int(&i.operands[1])? != 128 {
            return Err("the size is 128".into());
        }
        Ok(if discard { Op::Discard { space: said.unwrap_or(Space::Generic), addr } } else { Op::Prefetch })
    }

    fn createpolicy(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let o = &i.operands;
        let d = self.dst_d(o.first().ok_or("a destination is expected")?)?;
        match m.need(&[("fractional", 0), ("range", 1), ("cvt", 2)])? {
            0 => {
                m.need(PRIMARY)?;
                let _ = m.one_of(SECONDARY);
                match o.get(1) {
                    None | Some(Operand::F32(_) | Operand::F64(_)) => {}
                    Some(fraction) => drop(self.r(fraction)?),
                }
                self.operands(i, 1, 2)?;
            }
            1 => {
                m.eat("global");
                m.need(PRIMARY)?;
                let _ = m.one_of(SECONDARY);
                self.exactly(i, 4)?;
                self.addr(&o[1])?;
                self.r(&o[2])?;
                self.r(&o[3])?;
            }
            _ => {
                m.need(&[("L2", ())])?;
                self.exactly(i, 2)?;
                self.d(&o[1])?;
            }
        }
        m.need(&[("b64", ())])?;
        m.done()?;
        Ok(Op::Mov64 { d, a: self.const64(0) })
    }
}
