//! Decoders of matrix instructions, and of those that go with them: `ldmatrix`, `mma`, `wgmma`, `setmaxnreg`, `tensormap`.
//!
//! They belong to [`Decoder`], as those of [`super::family`] do.

use super::decode::{Decoder, Result};
use super::family::*;
use super::op::*;
use super::shapes;
use crate::syntax::{Instruction, Operand};

impl Decoder<'_> {
    pub(super) fn matrix_move(&mut self, i: &Instruction, name: &str, mut m: Mods) -> Result<Op> {
        m.need(&[("sync", ())])?;
        m.need(&[("aligned", ())])?;
        m.need(&[("m8n8", ())])?;
        let n = m.need(&[("x1", 1), ("x2", 2), ("x4", 4)])?;
        let trans = m.eat("trans");
        // Of the own block only.
        let said = m.one_of(&SHARED[..2]);
        m.need(&[("b16", ())])?;
        m.done()?;
        let o = self.operands(i, 2, 2)?;
        let load = name == "ldmatrix";
        let (registers, address) = if load { (&o[0], &o[1]) } else { (&o[1], &o[0]) };
        let (addr, named) = self.addr(address)?;
        let space = settle(said, named);
        let list = if load { self.dst_regs(registers)? } else { self.regs(registers)? };
        if list.len() != n {
            return Err(format!("{n} registers are expected, not {}", list.len()));
        }
        Ok(if load {
            Op::Ldmatrix { dst: list, trans, space, addr }
        } else {
            Op::Stmatrix { src: list, trans, space, addr }
        })
    }

    pub(super) fn wgmma(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let what = m.next().unwrap_or("");
        let sparse = what == "mma_async" && m.eat("sp");
        m.need(&[("sync", ())])?;
        m.need(&[("aligned", ())])?;
        match what {
            "fence" => {
                m.done()?;
                return Ok(Op::WgmmaFence);
            }
            "commit_group" => {
                m.done()?;
                return Ok(Op::WgmmaCommit);
            }
            "wait_group" => {
                m.done()?;
                return Ok(Op::WgmmaWait { pending: int(&self.operands(i, 1, 1)?[0])? });
            }
            "mma_async" => {}
            _ => return Err("there is no such instruction".into()),
        }
        let shape = m.next().unwrap_or("");
        let [rows, n, k] = numbers(shape).ok_or("a shape is expected")?;
        let mut types = [""; 3];
        for t in &mut types {
            *t = m.next().unwrap_or("");
        }
        let unknown = || format!("`wgmma` of shape {shape} and types {types:?} does not exist");
        let d_acc = acc(types[0]).ok_or_else(unknown)?;
        let (a, b) = (Elem::parse(types[1]).ok_or_else(unknown)?, Elem::parse(types[2]).ok_or_else(unknown)?);
        let selectors = shapes::wgmma(a, b, d_acc, [rows, n, k], sparse).ok_or_else(unknown)?;
        let integer = d_acc == Acc::S32;
        if a == Elem::B1 {
            m.need(&[("and", ())])?;
            m.need(&[("popc", ())])?;
        }
        let saturate = integer && a != Elem::B1 && m.eat("satfinite");
        m.done()?;
        let o = &i.operands;
        let least = if sparse { 6 } else { 4 };
        self.operands(i, least, 12)?;
        let d = self.dst_regs(&o[0])?;
        let want = if d_acc == Acc::F16 { n / 4 } else { n / 2 };
        if d.len() as u32 != want {
            return Err(format!("{want} accumulators are expected, not {}", d.len()));
        }
        let (a_regs, a_desc) = match &o[1] {
            Operand::Vector(_) => (self.regs(&o[1])?, None),
            other => (vec![], Some(self.d(other)?)),
        };
        if a_desc.is_none() && a_regs.len() != 4 {
            return Err("four registers of A are expected".into());
        }
        let b_desc = self.d(&o[2])?;
        let mut at = 3;
        let meta = if sparse {
            at = 5;
            let selector = int(&o[4])?;
            if selector >= selectors {
                return Err(format!("a sparsity selector of {selector}; 0 to {} are possible", selectors - 1));
            }
            Some((self.r(&o[3])?, selector))
        } else {
            None
        };
        let (scale_d, negated) = self.p(&o[at])?;
        if negated {
            return Err("a negated scale-d".into());
        }
        // imm-scale-a and imm-scale-b of floats, then imm-trans-a (A in memory) and imm-trans-b of 16-bit ones.
        let signs = if integer { 0 } else { 2 };
        let turns = if a.bits() == 16 { 1 + usize::from(a_desc.is_some()) } else { 0 };
        let rest: Vec<i128> = o[at + 1..]
            .iter()
            .map(|x| match x {
                Operand::Int(v) => Ok(*v),
                _ => Err("a constant is expected".to_string()),
            })
            .collect::<Result<_>>()?;
        if rest.len() != signs + turns {
            return Err(format!("{} immediates are expected at the end, not {}", signs + turns, rest.len()));
        }
        if rest[..signs].iter().any(|v| !matches!(v, 1 | -1)) || rest[signs..].iter().any(|v| !matches!(v, 0 | 1)) {
            return Err("a sign must be 1 or -1, and a transposition 0 or 1".into());
        }
        let negative = |n: usize| signs > 0 && rest[n] == -1;
        let trans_b = turns > 0 && rest[rest.len() - 1] == 1;
        let trans_a = turns > 1 && rest[2] == 1;
        Ok(Op::Wgmma(Box::new(Wgmma {
            n,
            k,
            acc: d_acc,
            a,
            b,
            sparse,
            saturate,
            d,
            a_regs,
            a_desc,
            b_desc,
            meta,
            scale_d,
            neg_a: negative(0),
            neg_b: negative(1),
            trans_a,
            trans_b,
        })))
    }

    pub(super) fn setmaxnreg(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let increase = m.need(&[("inc", true), ("dec", false)])?;
        m.need(&[("sync", ())])?;
        m.need(&[("aligned", ())])?;
        m.need(&[("u32", ())])?;
        m.done()?;
        let count = int(&self.operands(i, 1, 1)?[0])?;
        if !(24..=256).contains(&count) || count % 8 != 0 {
            return Err(format!("{count} registers; multiples of 8 from 24 to 256 are possible"));
        }
        self.note_setmaxnreg(increase.then_some(count));
        Ok(Op::SetMaxNreg { count, increase })
    }

    pub(super) fn tensormap(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        if m.eat("cp_fenceproxy") {
            let o = self.operands(i, 3, 3)?;
            return Ok(Op::TensormapCopy { dst: self.addr(&o[0])?.0, src: self.addr(&o[1])?.0 });
        }
        m.need(&[("replace", ())])?;
        m.need(&[("tile", ())])?;
        let field = m.need(
            &[
                "global_address",
                "rank",
                "box_dim",
                "global_dim",
                "global_stride",
                "element_stride",
                "elemtype",
                "interleave_layout",
                "swizzle_mode",
                "fill_mode",
            ]
            .map(|f| (f, f)),
        )?;
        let said = m.one_of(SPACES);
        m.need(&[("b1024", ())])?;
        let bits = m.need(&[("b32", 32), ("b64", 64)])?;
        m.done()?;
        let o = self.operands(i, 2, 3)?;
        let (addr, named) = self.addr(&o[0])?;
        let index = if o.len() == 3 { Some(i64::from(int(&o[1])?)) } else { None };
        Ok(Op::TensormapReplace {
            space: settle(said, named),
            addr,
            field,
            index,
            value: self.source(&o[o.len() - 1], bits)?,
        })
    }
}
