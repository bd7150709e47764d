//! Decoder of extended-precision arithmetic (PTX ISA 9.7.2): `add.cc`, `addc`, `sub.cc`, `subc`, `mad.cc`, `madc`.

use super::decode::{Decoder, Result};
use super::family::Mods;
use super::op::*;
use crate::isa::{self, Exec};
use crate::syntax::Instruction;

impl Decoder<'_> {
    pub(super) fn carry(&mut self, i: &Instruction, parts: &[&str]) -> Result<Op> {
        let name = parts[0];
        let mut m = Mods(&parts[1..]);
        let product = name.starts_with("mad");
        let high = product && m.need(&[("lo", false), ("hi", true)])?;
        let output = m.eat("cc");
        let input = name.ends_with('c');
        if !(input || output) {
            return Err("there is no such instruction for sm_90a, or it is not supported".into());
        }
        let ty = m.next().unwrap_or("");
        m.done()?;
        let wide = match ty {
            "u32" | "s32" => false,
            "u64" | "s64" => true,
            _ => return Err("one of .u32 .s32 .u64 .s64 is expected".into()),
        };
        self.exactly(i, if product { 4 } else { 3 })?;
        let o = &i.operands;
        let mut s = vec![];
        for source in &o[1..] {
            s.push(if wide { self.d(source)? } else { self.r(source)? });
        }
        let a = if product { self.product(high, ty, wide, s[0], s[1])? } else { s[0] };
        let b = s[s.len() - 1];
        let d = if wide { self.dst_d(&o[0])? } else { self.dst_r(&o[0])? };
        Ok(Op::Carry { wide, sub: name.starts_with("sub"), input, output, d, a, b })
    }

    /// A register of its own for half of `a * b`.
    fn product(&mut self, high: bool, ty: &str, wide: bool, a: u32, b: u32) -> Result<u32> {
        let row = isa::lookup(&format!("mul.{}.{ty}", if high { "hi" } else { "lo" })).ok_or("there is no product")?;
        let f: Exec = row.exec;
        let d = if wide { self.new_d() } else { self.new_r() };
        self.push(Op::Exec { f, d, s: [a, b, 0, 0] }, None);
        Ok(d)
    }
}
