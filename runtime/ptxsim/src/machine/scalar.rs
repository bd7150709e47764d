//! Decoders of the instructions that compute on registers: rows of the table, comparisons, moves, conversions, carries.
//!
//! They belong to [`Decoder`]; what touches memory or other threads is decoded in [`super::family`].

use super::convert::Conversion;
use super::decode::{Decoder, Result};
use super::op::*;
use crate::isa::{self, Exec, general::Float};
use crate::syntax::{Instruction, Operand};

impl Decoder<'_> {
    pub(super) fn exactly(&self, i: &Instruction, n: usize) -> Result<()> {
        if i.operands.len() == n { Ok(()) } else { Err(format!("{n} operands are expected, not {}", i.operands.len())) }
    }

    pub(super) fn decode(&mut self, i: &Instruction, parts: &[&str]) -> Result<Op> {
        if let Some(row) = isa::lookup(&i.opcode) {
            let narrow = parts.last().is_some_and(|t| matches!(*t, "s16" | "u16" | "b16"));
            return match parts[0] {
                "setp" => self.setp(i, &parts[1..]),
                "testp" => self.testp(i, row.exec),
                _ => self.row(i, row.exec, narrow),
            };
        }
        if let Some(f) = isa::general::lookup(&i.opcode) {
            return self.float(i, *f);
        }
        let rest = &parts[1..];
        match parts[0] {
            "setp" => self.setp(i, rest),
            "set" => self.set(i, rest),
            "slct" => self.slct(i, rest),
            "lop3" => self.lop3(i, rest),
            "mov" => self.mov(i, rest),
            "cvt" => self.cvt(i, rest),
            "add" | "sub" | "addc" | "subc" | "mad" | "madc" => self.carry(i, parts),
            "bra" if matches!(rest, [] | ["uni"]) => {
                let [Operand::Name(name)] = &i.operands[..] else { return Err("a label is expected".into()) };
                Ok(Op::Bra { target: self.find_label(name)? })
            }
            "brx" => self.brx(i),
            "trap" if rest.is_empty() => Ok(Op::Trap),
            _ => match self.hint(i, parts).or_else(|| self.video(i, parts)) {
                Some(op) => op,
                None => self.family(i, parts),
            },
        }
    }

    pub(super) fn row(&mut self, i: &Instruction, exec: Exec, narrow: bool) -> Result<Op> {
        let o = &i.operands;
        let want = match exec {
            Exec::R1(_) | Exec::D1(_) | Exec::DR(_) | Exec::RD(_) | Exec::P1(_) => 2,
            Exec::R4(_) | Exec::DDDRR(_) => 5,
            Exec::R3(_) | Exec::D3(_) | Exec::DRRD(_) | Exec::DDRR(_) | Exec::Sel32 | Exec::Sel64 => 4,
            _ => 3,
        };
        self.exactly(i, want)?;
        let bits = if narrow { 16 } else { 32 };
        let mut s = [0u32; 4];
        let d = match exec {
            Exec::R1(_) | Exec::R2(_) | Exec::R3(_) | Exec::R4(_) => {
                for n in 1..want {
                    s[n - 1] = self.r16(&o[n], bits)?;
                }
                // `mul.wide.s16` writes 32 bits from 16.
                self.dst_r(&o[0])?
            }
            Exec::D1(_) | Exec::D2(_) | Exec::D3(_) => {
                for n in 1..want {
                    s[n - 1] = self.d(&o[n])?;
                }
                self.dst_d(&o[0])?
            }
            Exec::DR(_) => {
                s[0] = self.r(&o[1])?;
                self.dst_d(&o[0])?
            }
            Exec::RD(_) => {
                s[0] = self.d(&o[1])?;
                self.dst_r(&o[0])?
            }
            Exec::DRR(_) => {
                s[0] = self.r(&o[1])?;
                s[1] = self.r(&o[2])?;
                self.dst_d(&o[0])?
            }
            Exec::DDR(_) => {
                s[0] = self.d(&o[1])?;
                s[1] = self.r(&o[2])?;
                self.dst_d(&o[0])?
            }
            Exec::DDDRR(_) => {
                s = [self.d(&o[1])?, self.d(&o[2])?, self.r(&o[3])?, self.r(&o[4])?];
                self.dst_d(&o[0])?
            }
            Exec::DRRD(_) => {
                s = [self.r(&o[1])?, self.r(&o[2])?, self.d(&o[3])?, 0];
                self.dst_d(&o[0])?
            }
            Exec::DDRR(_) => {
                s = [self.d(&o[1])?, self.r(&o[2])?, self.r(&o[3])?, 0];
                self.dst_d(&o[0])?
            }
            Exec::PP(_) | Exec::P1(_) => {
                for n in 1..want {
                    let (p, negated) = self.p(&o[n])?;
                    if negated {
                        return Err("a negated operand".into());
                    }
                    s[n - 1] = p;
                }
                self.dst_p(&o[0])?
            }
            Exec::Sel32 | Exec::Sel64 => {
                let wide = matches!(exec, Exec::Sel64);
                let (p, negated) = self.p(&o[3])?;
                let (mut a, mut b) = if wide {
                    (self.d(&o[1])?, self.d(&o[2])?)
                } else {
                    (self.r16(&o[1], bits)?, self.r16(&o[2], bits)?)
                };
                if negated {
                    std::mem::swap(&mut a, &mut b);
                }
                let d = if wide { self.dst_d(&o[0])? } else { self.dst_r(&o[0])? };
                return Ok(Op::Select { wide, d, a, b, p });
            }
            Exec::PRR(_) | Exec::PDD(_) => return Err("a comparison".into()),
        };
        Ok(Op::Exec { f: exec, d, s })
    }

    fn float(&mut self, i: &Instruction, f: Float) -> Result<Op> {
        self.exactly(i, 1 + f.sources)?;
        let mut s = [Slot::Sink; 3];
        for (slot, operand) in s.iter_mut().zip(&i.operands[1..]) {
            *slot = match (f.bits, operand) {
                (64, _) => Slot::D(self.d(operand)?),
                (16, Operand::F32(_) | Operand::F64(_)) => return Err("a float constant of 16 bits".into()),
                (bits, _) => Slot::R(self.r16(operand, bits)?),
            };
        }
        let d = if f.bits == 64 { Slot::D(self.dst_d(&i.operands[0])?) } else { Slot::R(self.dst_r(&i.operands[0])?) };
        Ok(Op::Float { f, d, s })
    }

    /// `lop3.BoolOp.b32 d|p, a, b, c, table, q`: `p` combines "d is not zero" with `q` (PTX ISA 9.7.8.6).
    fn lop3(&mut self, i: &Instruction, rest: &[&str]) -> Result<Op> {
        let combine = match rest {
            ["or", "b32"] => Combine::Or,
            ["and", "b32"] => Combine::And,
            _ => return Err("there is no such `lop3`".into()),
        };
        self.exactly(i, 6)?;
        let o = &i.operands;
        let Operand::Pair(to, p) = &o[0] else { return Err("`d|p` is expected".into()) };
        let (lop3, ne, copy) = (isa::lookup("lop3.b32"), isa::lookup("setp.ne.u32"), isa::lookup("mov.pred"));
        let (Some(lop3), Some(ne), Some(copy)) = (lop3, ne, copy) else { return Err("there is no `lop3`".into()) };
        let s = [self.r(&o[1])?, self.r(&o[2])?, self.r(&o[3])?, self.r(&o[4])?];
        let (value, flag, zero) = (self.new_r(), self.new_p(), self.const32(0));
        let (q, negated) = self.p(&o[5])?;
        self.push(Op::Exec { f: lop3.exec, d: value, s }, None);
        let combine = Some((combine, q, negated));
        self.push(Op::Setp { f: ne.exec, d: flag, q: None, a: value, b: zero, high: None, combine }, None);
        // The predicate comes last: it may be the guard.
        let (d, p) = (self.dst_r(to)?, self.dst_p(p)?);
        self.also(Op::Mov32 { d, a: value });
        Ok(Op::Exec { f: copy.exec, d: p, s: [flag, 0, 0, 0] })
    }

    pub(super) fn mov(&mut self, i: &Instruction, rest: &[&str]) -> Result<Op> {
        self.exactly(i, 2)?;
        let [ty] = rest else { return Err("there is no such `mov`".into()) };
        let (to, from) = (&i.operands[0], &i.operands[1]);
        if *ty == "b128" {
            return self.mov128(i);
        }
        let bits = match *ty {
            "b16" | "u16" | "s16" => 16,
            "b32" | "u32" | "s32" | "f32" => 32,
            "b64" | "u64" | "s64" | "f64" => 64,
            _ => return Err("a `mov` of this type is not supported".into()),
        };
        if let Operand::Name(name) = from {
            let dynamic = matches!(
                name.as_str(),
                "%clock" | "%clock64" | "%clock_hi" | "%globaltimer" | "%globaltimer_lo" | "%globaltimer_hi"
            );
            if dynamic {
                let shift = if name.ends_with("_hi") { 32 } else { 0 };
                return Ok(Op::Clock { shift, d: self.any(to)?.0 });
            }
        }
        if let Operand::Vector(items) = to {
            let a = self.source(from, bits)?;
            let parts = items.iter().map(|o| Ok(self.any(o)?.0)).collect::<Result<Vec<_>>>()?;
            let bits = bits / parts.len().max(1) as u32;
            return Ok(Op::Unpack { parts, a, bits });
        }
        if let Operand::Vector(items) = from {
            let bits = bits / items.len().max(1) as u32;
            let parts = items.iter().map(|o| self.source(o, bits)).collect::<Result<Vec<_>>>()?;
            return Ok(Op::Pack { d: self.any(to)?.0, parts, bits });
        }
        match self.any(to)?.0 {
            Slot::D(d) => Ok(Op::Mov64 { d, a: self.d(from)? }),
            Slot::R(d) => Ok(Op::Mov32 { d, a: self.r16(from, bits)? }),
            Slot::Sink => Ok(Op::Nop),
            Slot::P(_) | Slot::Q(_) => Err("a destination of another type".into()),
        }
    }

    pub(super) fn cvt(&mut self, i: &Instruction, rest: &[&str]) -> Result<Op> {
        let f = Conversion::parse(rest)?;
        self.exactly(i, 1 + f.sources())?;
        let (d, register) = self.any(&i.operands[0])?;
        if register < f.result {
            return Err(format!("a destination of {register} bits for a result of {}", f.result));
        }
        let mut s = [Slot::Sink; 3];
        for (slot, operand) in s.iter_mut().zip(&i.operands[1..]) {
            *slot = self.source(operand, f.source)?;
        }
        Ok(Op::Convert { f, register, d, s })
    }

    pub(super) fn brx(&mut self, i: &Instruction) -> Result<Op> {
        let [index, Operand::Name(list)] = &i.operands[..] else {
            return Err("an index and a label list are expected".into());
        };
        let names = self.scopes.iter().rev().find_map(|s| s.targets.get(list).cloned());
        let names = names.ok_or_else(|| format!("there is no `.branchtargets` `{list}`"))?;
        let targets = names.iter().map(|n| self.find_label(n)).collect::<Result<Vec<_>>>()?;
        Ok(Op::Brx { targets, index: self.r(index)? })
    }

    /// Bytes of a load from the first to the last that matters.
    pub(super) fn used_bytes(&mut self, all: u32) -> u32 {
        match self.used.take() {
            Some(mask) => all.min(32 - mask.leading_zeros()),
            None => all,
        }
    }

    /// Notes a `setmaxnreg` and what it asks for, if more: 255 registers without any that does.
    pub(super) fn note_setmaxnreg(&mut self, more: Option<u32>) {
        self.setmaxnreg = match (self.setmaxnreg, more) {
            (None | Some(255), Some(count)) => Some(count),
            (Some(most), Some(count)) => Some(most.max(count)),
            (most, None) => most.or(Some(255)),
        };
    }
}
