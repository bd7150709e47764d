//! The decoder of `mma` (PTX ISA 9.7.14.5 and 9.7.14.6), dense and sparse.

use super::decode::{Decoder, Result};
use super::family::*;
use super::op::*;
use super::shapes;
use crate::syntax::{Instruction, Operand};

impl Decoder<'_> {
    /// `mma{.sp{::ordered_metadata}}.sync.aligned.m16n8k16.row.col{.satfinite}.dtype.atype.btype.ctype{.xor.popc,.and.popc}`
    pub(super) fn mma(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let ordered = m.eat("sp::ordered_metadata");
        let sparse = ordered || m.eat("sp");
        m.need(&[("sync", ())])?;
        m.need(&[("aligned", ())])?;
        let shape = m.next().unwrap_or("");
        let size = numbers(shape).ok_or("a shape is expected")?;
        if size == [8, 8, 4] && !sparse && m.0.contains(&"f16") {
            return self.quads(i, m);
        }
        m.need(&[("row", ())])?;
        m.need(&[("col", ())])?;
        let saturate = m.eat("satfinite");
        let mut types = [""; 4];
        for t in &mut types {
            *t = m.next().unwrap_or("");
        }
        let unknown = || format!("`mma` of shape {shape} and types {types:?} does not exist");
        let acc = acc(types[0]).ok_or_else(unknown)?;
        let (a, b) = (Elem::parse(types[1]).ok_or_else(unknown)?, Elem::parse(types[2]).ok_or_else(unknown)?);
        let selectors = shapes::mma(a, b, acc, size, sparse).filter(|_| types[3] == types[0]).ok_or_else(unknown)?;
        if saturate && (acc != Acc::S32 || a == Elem::B1) {
            return Err("`.satfinite` exists for integers of 4 and 8 bits only".into());
        }
        let mut xor = false;
        if a == Elem::B1 {
            xor = m.need(&[("xor", true), ("and", false)])?;
            m.need(&[("popc", ())])?;
        }
        m.done()?;
        let count = if sparse { 6 } else { 4 };
        let o = self.operands(i, count, count)?;
        let sparse = if sparse {
            let selector = int(&o[5])?;
            if selector >= selectors {
                return Err(format!("a sparsity selector of {selector}; 0 to {} are possible", selectors - 1));
            }
            Some(Sparse { meta: self.r(&o[4])?, selector, ordered })
        } else {
            None
        };
        let [rows, n, k] = size;
        let stored = if sparse.is_some() { k / 2 } else { k };
        // Registers of a thread: 64 bits for f64, else words.
        let words = |elements: u32, bits: u32| if bits == 64 { elements / 32 } else { elements * bits / 1024 };
        let wide = acc == Acc::F64;
        let nd = words(rows * n, acc.bits());
        let mma = Mma {
            m: rows,
            n,
            k,
            acc,
            a,
            b,
            sparse,
            xor,
            saturate,
            dr: self.results(&o[0], wide, nd)?,
            ar: self.sources(&o[1], wide, words(rows * stored, a.bits()))?,
            br: self.sources(&o[2], wide, words(n * k, b.bits()))?,
            cr: self.sources(&o[3], wide, nd)?,
        };
        Ok(Op::Mma(Box::new(mma)))
    }

    /// `count` source registers of one file.
    pub(super) fn sources(&mut self, o: &Operand, wide: bool, count: u32) -> Result<Vec<u32>> {
        let list = vector(o).iter().map(|x| if wide { self.d(x) } else { self.r(x) }).collect::<Result<Vec<_>>>()?;
        expect(list, count)
    }

    pub(super) fn results(&mut self, o: &Operand, wide: bool, count: u32) -> Result<Vec<u32>> {
        let each = |x| if wide { self.dst_d(x) } else { self.dst_r(x) };
        expect(vector(o).iter().map(each).collect::<Result<Vec<_>>>()?, count)
    }
}

fn expect(list: Vec<u32>, count: u32) -> Result<Vec<u32>> {
    if list.len() as u32 == count {
        Ok(list)
    } else {
        Err(format!("{count} registers are expected, not {}", list.len()))
    }
}
