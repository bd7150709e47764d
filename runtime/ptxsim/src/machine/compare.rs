//! Decoders of comparisons: `setp`, `set`, `slct` (PTX ISA 9.7.6, 9.7.7) and `testp` (9.7.3.1).

use super::decode::{Decoder, Result};
use super::family::Mods;
use super::op::*;
use crate::isa::{self, Exec, L32};
use crate::syntax::{Instruction, Operand};

/// What `.CmpOp{.BoolOp}{.ftz}.type` says.
struct Comparison {
    f: Exec,
    combine: Option<Combine>,
    /// Makes zeros of the sources' subnormals.
    flush: Option<Exec>,
    packed: bool,
    narrow: bool,
}

/// The sources of a comparison, and of its upper half.
struct Sources {
    a: u32,
    b: u32,
    high: Option<(u32, u32)>,
}

fn flush32(x: &L32, out: &mut L32) {
    *out = x.map(crate::machine::arith::ftz);
}

/// Both halves; one alone has zeros above it.
fn flush16(x: &L32, out: &mut L32) {
    let half = |v: u32| if v & 0x7c00 == 0 { v & 0x8000 } else { v & 0xffff };
    *out = x.map(|v| half(v) | half(v >> 16) << 16);
}

fn comparison(parts: &[&str]) -> Result<Comparison> {
    let mut m = Mods(parts);
    let op = m.next().unwrap_or("");
    let combine = m.one_of(&[("and", Combine::And), ("or", Combine::Or), ("xor", Combine::Xor)]);
    let ftz = m.eat("ftz");
    let ty = m.next().unwrap_or("");
    m.done()?;
    let (one, packed) = match ty {
        "f16x2" => ("f16", true),
        "bf16x2" => ("bf16", true),
        _ => (ty, false),
    };
    let row = isa::lookup(&format!("setp.{op}.{one}")).ok_or("there is no such comparison for sm_90a")?;
    let flush = match (ftz, one) {
        (false, _) => None,
        (true, "f32") => Some(Exec::R1(flush32)),
        (true, "f16") => Some(Exec::R1(flush16)),
        _ => return Err("`.ftz` is not for this type".into()),
    };
    Ok(Comparison { f: row.exec, combine, flush, packed, narrow: matches!(ty, "s16" | "u16" | "b16") })
}

/// What a true comparison of `source` writes as `dtype`, for each half where there are two.
fn truth(dtype: &str, source: &str) -> Option<u32> {
    let half = matches!(source, "f16" | "bf16");
    Some(match (dtype, source) {
        ("u32" | "s32", "f16x2" | "bf16x2") => 0xffff,
        ("f16x2", "f16x2") => 0x3c00,
        ("bf16x2", "bf16x2") => 0x3f80,
        (_, "f16x2" | "bf16x2") => return None,
        ("u32" | "s32", _) => u32::MAX,
        ("u16" | "s16", _) if half => 0xffff,
        ("f32", _) if !half => 0x3f80_0000,
        ("f16", _) if source != "bf16" => 0x3c00,
        ("bf16", _) => 0x3f80,
        _ => return None,
    })
}

impl Decoder<'_> {
    /// Reads `a` and `b`, flushed and taken apart as the comparison wants; what this takes runs for all lanes.
    fn compared(&mut self, c: &Comparison, a: &Operand, b: &Operand) -> Result<Sources> {
        if let Exec::PDD(_) = c.f {
            return Ok(Sources { a: self.d(a)?, b: self.d(b)?, high: None });
        }
        let bits = if c.narrow { 16 } else { 32 };
        let mut side = [self.r16(a, bits)?, self.r16(b, bits)?];
        if let Some(flush) = c.flush {
            for s in &mut side {
                *s = self.derive(flush, [*s, 0]);
            }
        }
        let high = match isa::lookup("shr.u32") {
            Some(shift) if c.packed => {
                let sixteen = self.const32(16);
                Some((self.derive(shift.exec, [side[0], sixteen]), self.derive(shift.exec, [side[1], sixteen])))
            }
            _ => None,
        };
        Ok(Sources { a: side[0], b: side[1], high })
    }

    /// A new 32-bit register that holds what `f` makes of others.
    fn derive(&mut self, f: Exec, s: [u32; 2]) -> u32 {
        let d = self.new_r();
        self.push(Op::Exec { f, d, s: [s[0], s[1], 0, 0] }, None);
        d
    }

    fn combining(&mut self, i: &Instruction, c: &Comparison) -> Result<Option<(Combine, u32, bool)>> {
        self.exactly(i, if c.combine.is_some() { 4 } else { 3 })?;
        let Some(how) = c.combine else { return Ok(None) };
        let (p, negated) = self.p(&i.operands[3])?;
        Ok(Some((how, p, negated)))
    }

    pub(super) fn setp(&mut self, i: &Instruction, parts: &[&str]) -> Result<Op> {
        let c = comparison(parts)?;
        let combine = self.combining(i, &c)?;
        let (d, q) = match &i.operands[0] {
            Operand::Pair(d, q) => (self.dst_p(d)?, Some(self.dst_p(q)?)),
            _ if c.packed => return Err("`p|q` is expected".into()),
            single => (self.dst_p(single)?, None),
        };
        let Sources { a, b, high } = self.compared(&c, &i.operands[1], &i.operands[2])?;
        Ok(Op::Setp { f: c.f, d, q, a, b, high, combine })
    }

    pub(super) fn testp(&mut self, i: &Instruction, f: Exec) -> Result<Op> {
        self.exactly(i, 2)?;
        let d = self.dst_p(&i.operands[0])?;
        let a = if let Exec::PDD(_) = f { self.d(&i.operands[1])? } else { self.r(&i.operands[1])? };
        Ok(Op::Setp { f, d, q: None, a, b: a, high: None, combine: None })
    }

    /// `set` is a comparison into predicates of its own, and a choice of constants.
    pub(super) fn set(&mut self, i: &Instruction, parts: &[&str]) -> Result<Op> {
        let [compare @ .., dtype, stype] = parts else { return Err("`set` has two types".into()) };
        let on = truth(dtype, stype).ok_or_else(|| format!("`.{dtype}` is no result of `set` for `.{stype}`"))?;
        let c = comparison(&[compare, &[*stype]].concat())?;
        if c.flush.is_some() && *dtype == "bf16" {
            return Err("`.ftz` is not for `.bf16`".into());
        }
        let combine = self.combining(i, &c)?;
        let Sources { a, b, high } = self.compared(&c, &i.operands[1], &i.operands[2])?;
        let (p, q) = (self.new_p(), self.new_p());
        self.push(Op::Setp { f: c.f, d: p, q: Some(q), a, b, high, combine }, None);
        let d = self.dst_r(&i.operands[0])?;
        let (one, zero) = (self.const32(on), self.const32(0));
        if !c.packed {
            return Ok(Op::Select { wide: false, d, a: one, b: zero, p });
        }
        let (low, high, upper) = (self.new_r(), self.new_r(), self.const32(on << 16));
        self.push(Op::Select { wide: false, d: low, a: one, b: zero, p }, None);
        self.push(Op::Select { wide: false, d: high, a: upper, b: zero, p: q }, None);
        let or = isa::lookup("or.b32").ok_or("there is no `or`")?;
        Ok(Op::Exec { f: or.exec, d, s: [low, high, 0, 0] })
    }

    /// `slct`: the first where the third is not negative; a NaN is.
    pub(super) fn slct(&mut self, i: &Instruction, parts: &[&str]) -> Result<Op> {
        let (ftz, dtype, ctype) = match parts {
            [dtype, ctype @ ("s32" | "f32")] => (false, *dtype, *ctype),
            ["ftz", dtype, "f32"] => (true, *dtype, "f32"),
            _ => return Err("there is no such `slct`".into()),
        };
        self.exactly(i, 4)?;
        let o = &i.operands;
        let plain = ["ge", ctype];
        let c = comparison(if ftz { &["ge", "ftz", "f32"] } else { &plain })?;
        let Sources { a, b, .. } = self.compared(&c, &o[3], &Operand::Int(0))?;
        let p = self.new_p();
        self.push(Op::Setp { f: c.f, d: p, q: None, a, b, high: None, combine: None }, None);
        match dtype {
            "b64" | "u64" | "s64" | "f64" => {
                Ok(Op::Select { wide: true, d: self.dst_d(&o[0])?, a: self.d(&o[1])?, b: self.d(&o[2])?, p })
            }
            "b16" | "u16" | "s16" | "b32" | "u32" | "s32" | "f32" => {
                let bits = if dtype.ends_with("16") { 16 } else { 32 };
                let (a, b) = (self.r16(&o[1], bits)?, self.r16(&o[2], bits)?);
                Ok(Op::Select { wide: false, d: self.dst_r(&o[0])?, a, b, p })
            }
            _ => Err(format!("`.{dtype}` is not a type of `slct`")),
        }
    }
}
