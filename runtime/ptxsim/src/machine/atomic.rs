//! Decoder of `atom` and `red` (PTX ISA 9.7.13.5, 9.7.13.6).

use super::decode::{Decoder, Result};
use super::family::{ATOM_OPS, Mods, SCALARS, SPACES, cache, order, settle, vector};
use super::op::*;
use crate::syntax::{Instruction, Space};

/// Whether sm_90 has an operation on `n` elements of a type; `noftz` is what the half formats must say. What moves or combines
/// bits wants a type of bits.
fn exists(op: AtomOp, (name, ty): (&str, Scalar), n: usize, noftz: bool) -> bool {
    use AtomOp::*;
    use Scalar::*;
    let half = matches!(ty, F16 | Bf16 | F16x2 | Bf16x2);
    let bits = name.starts_with('b') && !half;
    if noftz != half || bits != matches!(op, And | Or | Xor | Exch | Cas) {
        return false;
    }
    match (op, n) {
        (Add, 1) => ty != S64,
        (Min | Max, 1) => matches!(ty, U32 | S32 | U64 | S64),
        (Inc | Dec, 1) => ty == U32,
        (And | Or | Xor | Exch, 1) => matches!(ty, U32 | U64),
        (Cas, 1) => matches!(ty, B16 | U32 | U64),
        (Add, 2 | 4) => ty == F32 || half,
        (Min | Max, 2 | 4) => half,
        (Add | Min | Max, 8) => matches!(ty, F16 | Bf16),
        _ => false,
    }
}

const VECTORS: &[(&str, usize)] = &[("v2", 2), ("v4", 4), ("v8", 8)];

impl Decoder<'_> {
    pub(super) fn atomic(&mut self, i: &Instruction, mut m: Mods, red: bool) -> Result<Op> {
        let order = Order { strong: true, ..order(&mut m) };
        let said = m.one_of(SPACES);
        // The ISA's examples have the vector and its type ahead of the operation; its grammar has them last.
        let early = m.one_of(VECTORS);
        let words: Vec<&str> = match (early, m.0) {
            (Some(_), [ty, rest @ ..]) => rest.iter().chain([ty]).copied().collect(),
            _ => m.0.to_vec(),
        };
        let mut m = Mods(&words);
        let op = m.need(ATOM_OPS)?;
        if !red && matches!(op, AtomOp::Cas | AtomOp::Exch) && m.0.last() == Some(&"b128") {
            return self.atom128(i, op == AtomOp::Cas, said, order, m);
        }
        let noftz = m.eat("noftz");
        cache(&mut m);
        let n = if early.is_some() { early } else { m.one_of(VECTORS) }.unwrap_or(1);
        let name = m.0.first().copied().unwrap_or("");
        let ty = m.need(SCALARS)?;
        m.done()?;
        if !exists(op, (name, ty), n, noftz) || red && matches!(op, AtomOp::Exch | AtomOp::Cas) {
            return Err("there is no such atomic operation for sm_90a".into());
        }
        let first = usize::from(!red);
        let o = self.operands(i, first + 2, first + 4)?;
        let (addr, named) = self.addr(&o[first])?;
        let space = settle(said, named);
        if !matches!(space, Space::Global | Space::Generic) && (n > 1 || space != Space::Shared) {
            return Err("atomics are for global and shared memory, those on vectors for global memory".into());
        }
        let bits = ty.bytes() * 8;
        let b = vector(&o[first + 1]).iter().map(|x| self.source(x, bits)).collect::<Result<Vec<_>>>()?;
        let dst = match red {
            true => vec![Slot::Sink; n],
            false => vector(&o[0]).iter().map(|x| Ok(self.any(x)?.0)).collect::<Result<Vec<_>>>()?,
        };
        if b.len() != n || dst.len() != n {
            return Err(format!("{n} elements are expected"));
        }
        let c = if op == AtomOp::Cas {
            self.source(o.get(first + 2).ok_or("a third operand is expected")?, bits)?
        } else {
            Slot::Sink
        };
        Ok(Op::Atom { op, ty, space, addr, dst, b, c, order })
    }
}
