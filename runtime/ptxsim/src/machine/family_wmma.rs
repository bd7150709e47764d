//! Decoders of `wmma` (PTX ISA 9.7.14.4): loads and stores of whole matrices, and their product.

use super::decode::{Decoder, Result};
use super::family::*;
use super::op::*;
use super::shapes;
use crate::syntax::{Instruction, Space};
use tricot_ptx_numerics::format::Round;

/// By rows or by columns.
fn by_columns(m: &mut Mods) -> Result<bool> {
    m.need(&[("row", false), ("col", true)])
}

impl Decoder<'_> {
    pub(super) fn wmma(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        match m.need(&[("load", 0), ("store", 1), ("mma", 2)])? {
            2 => self.wmma_product(i, m),
            what => self.wmma_move(i, m, what == 0),
        }
    }

    /// `wmma.load.{a,b,c}.sync.aligned.layout.shape{.ss}.type r, [p]{, stride}` and `wmma.store.d… [p], r{, stride}`
    fn wmma_move(&mut self, i: &Instruction, mut m: Mods, load: bool) -> Result<Op> {
        let part = if load { m.need(&[("a", 'a'), ("b", 'b'), ("c", 'c')])? } else { m.need(&[("d", 'd')])? };
        m.need(&[("sync", ())])?;
        m.need(&[("aligned", ())])?;
        let columns = by_columns(&mut m)?;
        let name = m.next().unwrap_or("");
        let shape = numbers(name).ok_or("a shape is expected")?;
        let said = m.one_of(&[("global", Space::Global), ("shared", Space::Shared), ("shared::cta", Space::Shared)]);
        let ty = m.next().unwrap_or("");
        m.done()?;
        let unknown = || format!("`wmma` has no such matrix of shape {name} and type {ty}");
        let ([rows, n, k], operand) = (shape, matches!(part, 'a' | 'b'));
        let (bits, exists) = if operand {
            let elem = Elem::parse(ty).ok_or_else(unknown)?;
            // Below a byte, K is contiguous.
            let along = elem.bits() >= 8 || columns == (part == 'b');
            (elem.bits(), shapes::wmma_shapes(elem).contains(&shape) && along)
        } else {
            let acc = acc(ty).ok_or_else(unknown)?;
            (acc.bits(), shapes::wmma_accumulators(acc, shape))
        };
        if !exists {
            return Err(unknown());
        }
        let (rows, line) = match part {
            'a' => (rows, k),
            // B lies as its columns: what is contiguous of `col` is K.
            'b' => (n, k),
            _ => (rows, n),
        };
        let o = self.operands(i, 2, 3)?;
        let (list, address) = if load { (&o[0], &o[1]) } else { (&o[1], &o[0]) };
        let (addr, named) = self.addr(address)?;
        let stride = o.get(2).map(|s| self.r(s)).transpose()?;
        let mut count = if bits == 64 { rows * line / 32 } else { rows * line * bits / 1024 };
        if operand && ty == "f16" {
            // Eight registers whatever the shape: smaller matrices are there more than once.
            count = 8;
        }
        let wide = bits == 64;
        let regs = if load { self.results(list, wide, count)? } else { self.sources(list, wide, count)? };
        // Lines in memory run across the rows of the operand where its layout is not K's.
        let across = if part == 'b' { !columns } else { columns };
        let space = settle(said, named);
        Ok(Op::WmmaMove(Box::new(WmmaMove { load, rows, line, bits, across, regs, space, addr, stride })))
    }

    /// `wmma.mma{.xor.popc,.and.popc}.sync.aligned.alayout.blayout.shape{.rnd}.dtype{.atype.btype}.ctype{.satfinite}`
    fn wmma_product(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let bit = m.one_of(&[("xor", true), ("and", false)]);
        if bit.is_some() {
            m.need(&[("popc", ())])?;
        }
        m.need(&[("sync", ())])?;
        m.need(&[("aligned", ())])?;
        let layouts = (by_columns(&mut m)?, by_columns(&mut m)?);
        let name = m.next().unwrap_or("");
        let shape = numbers(name).ok_or("a shape is expected")?;
        let modes = [("rn", Round::Near), ("rz", Round::Zero), ("rm", Round::Down), ("rp", Round::Up)];
        let round = m.one_of(&modes);
        let mut types = vec![];
        while let Some(ty) = m.0.first().filter(|ty| **ty != "satfinite") {
            types.push(*ty);
            m.next();
        }
        let saturate = m.eat("satfinite");
        m.done()?;
        let unknown = || format!("`wmma.mma` of shape {name} and types {types:?} does not exist");
        // Halves do not say the types of A and B.
        let [d, a, b, c] = match types[..] {
            [d, c] => [d, "f16", "f16", c],
            [d, a, b, c] if a != "f16" => [d, a, b, c],
            _ => return Err(unknown()),
        };
        let (a, b) = (Elem::parse(a).ok_or_else(unknown)?, Elem::parse(b).ok_or_else(unknown)?);
        let (d_acc, c_acc) = (acc(d).ok_or_else(unknown)?, acc(c).ok_or_else(unknown)?);
        // Elements below a byte want A by rows and B by columns.
        let small = a.bits() < 8;
        let exists = a == b && shapes::wmma(a, d_acc, shape) && shapes::wmma(a, c_acc, shape);
        if !exists
            || small && layouts != (false, true)
            || bit.is_some() != (a == Elem::B1)
            || round.is_some() && a != Elem::F64
            || saturate && (d_acc != Acc::S32 || a == Elem::B1)
        {
            return Err(unknown());
        }
        let o = self.operands(i, 4, 4)?;
        let [rows, n, k] = shape;
        let wide = a == Elem::F64;
        let words = |elements: u32, bits: u32| if bits == 64 { elements / 32 } else { elements * bits / 1024 };
        let held = |elements: u32| if a == Elem::F16 { 8 } else { words(elements, a.bits()) };
        let mma = Mma {
            m: rows,
            n,
            k,
            acc: d_acc,
            a,
            b,
            sparse: None,
            xor: bit == Some(true),
            saturate,
            dr: self.results(&o[0], wide, words(rows * n, d_acc.bits()))?,
            ar: self.sources(&o[1], wide, held(rows * k))?,
            br: self.sources(&o[2], wide, held(n * k))?,
            cr: self.sources(&o[3], wide, words(rows * n, c_acc.bits()))?,
        };
        Ok(Op::Wmma(Box::new(Wmma { mma, c_acc, round: round.unwrap_or(Round::Near) })))
    }
}
