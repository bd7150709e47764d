//! Decoders of asynchronous stores and bulk copies (PTX ISA 9.7.9.12, 9.7.9.25): `st.async`, `red.async`, `cp.async.bulk`,
//! `cp.reduce.async.bulk` and their tensor forms.
//!
//! They belong to [`Decoder`], as those of [`super::family`] do.

use super::decode::{Decoder, Result};
use super::family::*;
use super::op::*;
use crate::syntax::{Instruction, Operand, Space};

const COMPLETES: &[(&str, ())] = &[("mbarrier::complete_tx::bytes", ())];

/// Where a reduction takes place.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Target {
    Shared,
    Global,
}

/// Whether an asynchronous reduction exists (PTX ISA 9.7.9.25.4.2, 9.7.13.7): by its operation and the type's spelling.
///
/// ```text
///                 shared memory    global memory, besides
/// add             u32 s32 u64      f32 f64, f16 and bf16 with .noftz
/// min max         u32 s32          u64 s64 f16 bf16
/// inc dec         u32
/// and or xor      b32              b64
/// ```
pub(super) fn reduces(op: AtomOp, ty: &str, to: Target) -> bool {
    let global = to == Target::Global;
    match op {
        AtomOp::Add => matches!(ty, "u32" | "s32" | "u64") || global && matches!(ty, "f32" | "f64" | "f16" | "bf16"),
        AtomOp::Min | AtomOp::Max => {
            matches!(ty, "u32" | "s32") || global && matches!(ty, "u64" | "s64" | "f16" | "bf16")
        }
        AtomOp::Inc | AtomOp::Dec => ty == "u32",
        AtomOp::And | AtomOp::Or | AtomOp::Xor => ty == "b32" || global && ty == "b64",
        AtomOp::Exch | AtomOp::Cas => false,
    }
}

/// The operation and the type at the end of a reduction.
fn reduction(m: &mut Mods, to: Target) -> Result<(AtomOp, Scalar)> {
    let op = m.need(ATOM_OPS)?;
    let noftz = m.eat("noftz");
    let spelled = m.0.first().copied().unwrap_or("");
    let ty = m.need(SCALARS)?;
    // Sums of halves exist in this form only; the modifier promises that subnormals stay.
    let wants_noftz = op == AtomOp::Add && matches!(spelled, "f16" | "bf16");
    if !reduces(op, spelled, to) || noftz != wants_noftz {
        return Err(format!("this reduction does not exist for `.{spelled}`"));
    }
    Ok((op, ty))
}

impl Decoder<'_> {
    /// `st.async{.weak}{.shared::cluster}.mbarrier::complete_tx::bytes{.v2,.v4}.type [a], b, [mbar]`
    pub(super) fn async_store(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        m.eat("weak");
        let said = m.one_of(SHARED);
        m.need(COMPLETES)?;
        let n = m.one_of(&[("v2", 2), ("v4", 4)]).unwrap_or(1);
        let types = [("b32", 4), ("u32", 4), ("s32", 4), ("f32", 4), ("b64", 8), ("u64", 8), ("s64", 8), ("f64", 8)];
        let size: u32 = m.need(&types)?;
        m.done()?;
        if size * n > 16 {
            return Err(format!("a store of {} bytes; 16 are possible", size * n));
        }
        self.async_write(i, said, size, n as usize, None)
    }

    /// `red.async.relaxed.cluster{.shared::cluster}.mbarrier::complete_tx::bytes.op.type [a], b, [mbar]`
    pub(super) fn async_reduce(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        m.need(&[("relaxed", ())])?;
        m.need(&[("cluster", ())])?;
        let said = m.one_of(SHARED);
        m.need(COMPLETES)?;
        // The only 64-bit sum; two's complement makes it that of u64.
        let signed = m.0 == ["add", "s64"];
        let (op, ty) = if signed { (AtomOp::Add, Scalar::U64) } else { reduction(&mut m, Target::Shared)? };
        if !signed {
            m.done()?;
        }
        self.async_write(i, said, ty.bytes(), 1, Some((op, ty)))
    }

    fn async_write(
        &mut self,
        i: &Instruction,
        said: Option<Space>,
        size: u32,
        n: usize,
        reduce: Option<(AtomOp, Scalar)>,
    ) -> Result<Op> {
        let o = self.operands(i, 3, 3)?;
        let src = vector(&o[1]).iter().map(|x| self.source(x, size * 8)).collect::<Result<Vec<_>>>()?;
        if src.len() != n {
            return Err(format!("{n} sources are expected, not {}", src.len()));
        }
        let ((addr, named), (barrier, _)) = (self.addr(&o[0])?, self.addr(&o[2])?);
        let space = settle(said, named);
        Ok(Op::AsyncStore(Box::new(AsyncStore { space, addr, barrier, src, size, reduce })))
    }

    pub(super) fn bulk(&mut self, i: &Instruction, mut m: Mods, reduce: bool) -> Result<Op> {
        if !reduce && m.eat("commit_group") {
            m.done()?;
            return Ok(Op::BulkCommit);
        }
        if !reduce && m.eat("wait_group") {
            let read = m.eat("read");
            m.done()?;
            return Ok(Op::BulkWait { pending: int(&self.operands(i, 1, 1)?[0])?, read });
        }
        if !reduce && m.eat("prefetch") {
            return self.bulk_prefetch(i, m);
        }
        if m.eat("tensor") {
            return self.tensor(i, m, reduce);
        }
        let to = m.0.first().copied().unwrap_or("");
        m.need(&[("shared::cluster", ()), ("shared::cta", ()), ("global", ())])?;
        let from = m.need(&[("global", Space::Global), ("shared::cta", Space::Shared)])?;
        match (to, from) {
            // From shared memory to that of another block, or from global memory.
            ("shared::cluster", _) | ("shared::cta", Space::Global) if !reduce || from == Space::Shared => {
                m.need(COMPLETES)?;
                let from_shared = from == Space::Shared;
                let multicast = !from_shared && to == "shared::cluster" && m.eat("multicast::cluster");
                let hint = !from_shared && m.eat("L2::cache_hint");
                let reduce = if reduce { Some(reduction(&mut m, Target::Shared)?) } else { None };
                m.done()?;
                let count = 4 + usize::from(multicast) + usize::from(hint);
                let o = self.operands(i, count, count)?;
                Ok(Op::BulkLoad {
                    dst: self.addr(&o[0])?.0,
                    src: self.addr(&o[1])?.0,
                    size: self.r(&o[2])?,
                    barrier: self.addr(&o[3])?.0,
                    multicast: if multicast { Some(self.r(&o[4])?) } else { None },
                    from_shared,
                    reduce,
                })
            }
            ("global", Space::Shared) => {
                m.need(&[("bulk_group", ())])?;
                let hint = m.eat("L2::cache_hint");
                let reduce = if reduce { Some(reduction(&mut m, Target::Global)?) } else { None };
                m.done()?;
                let count = 3 + usize::from(hint);
                let o = self.operands(i, count, count)?;
                Ok(Op::BulkStore { dst: self.addr(&o[0])?.0, src: self.addr(&o[1])?.0, size: self.r(&o[2])?, reduce })
            }
            _ => Err("a bulk copy between these spaces does not exist".into()),
        }
    }

    /// `cp.async.bulk.prefetch.L2.global [a], size` and `cp.async.bulk.prefetch.tensor.3d.L2.global.tile [map, {…}]`
    fn bulk_prefetch(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        if m.eat("tensor") {
            let rank = m.need(RANKS)?;
            m.need(&[("L2", ())])?;
            m.need(&[("global", ())])?;
            let mode = self.mode(&mut m, rank, "im2col", Mode::Im2col)?;
            let hint = m.eat("L2::cache_hint");
            m.done()?;
            let count = 1 + usize::from(mode == Mode::Im2col) + usize::from(hint);
            let o = self.operands(i, count, count)?;
            let (map, coordinates) = self.map_of(&o[0], rank)?;
            let offsets = if mode == Mode::Im2col { self.offsets(&o[1], rank)? } else { vec![] };
            let shared = Addr { base: Slot::Sink, offset: 0 };
            let kind = TensorKind::Prefetch;
            let tensor = Tensor { kind, mode, map, coordinates, offsets, shared, barrier: None, multicast: None };
            return Ok(Op::Tensor(Box::new(tensor)));
        }
        m.need(&[("L2", ())])?;
        m.need(&[("global", ())])?;
        let hint = m.eat("L2::cache_hint");
        m.done()?;
        let count = 2 + usize::from(hint);
        let o = self.operands(i, count, count)?;
        Ok(Op::BulkPrefetch { src: self.addr(&o[0])?.0, size: self.r(&o[1])? })
    }

    fn tensor(&mut self, i: &Instruction, mut m: Mods, reduce: bool) -> Result<Op> {
        let rank = m.need(RANKS)?;
        let to =
            m.need(&[("shared::cluster", Space::Shared), ("shared::cta", Space::Shared), ("global", Space::Global)])?;
        let from = m.need(&[("global", Space::Global), ("shared::cta", Space::Shared)])?;
        match (to, from) {
            (Space::Shared, Space::Global) if !reduce => {
                let mode = self.mode(&mut m, rank, "im2col", Mode::Im2col)?;
                m.need(COMPLETES)?;
                let multicast = m.eat("multicast::cluster");
                let hint = m.eat("L2::cache_hint");
                m.done()?;
                let first = 3 + usize::from(mode == Mode::Im2col);
                let count = first + usize::from(multicast) + usize::from(hint);
                let o = self.operands(i, count, count)?;
                let (map, coordinates) = self.map_of(&o[1], rank)?;
                let offsets = if mode == Mode::Im2col { self.offsets(&o[3], rank)? } else { vec![] };
                let multicast = if multicast { Some(self.r(&o[first])?) } else { None };
                let (shared, barrier) = (self.addr(&o[0])?.0, Some(self.addr(&o[2])?.0));
                let kind = TensorKind::Load;
                let tensor = Tensor { kind, mode, map, coordinates, offsets, shared, barrier, multicast };
                Ok(Op::Tensor(Box::new(tensor)))
            }
            (Space::Global, Space::Shared) => {
                let kind = if reduce {
                    let op = m.need(ATOM_OPS)?;
                    if matches!(op, AtomOp::Exch | AtomOp::Cas) {
                        return Err("this is no reduction".into());
                    }
                    TensorKind::Reduce(op)
                } else {
                    TensorKind::Store
                };
                let mode = self.mode(&mut m, rank, "im2col_no_offs", Mode::Im2colNoOffsets)?;
                m.need(&[("bulk_group", ())])?;
                let hint = m.eat("L2::cache_hint");
                m.done()?;
                let count = 2 + usize::from(hint);
                let o = self.operands(i, count, count)?;
                let (map, coordinates) = self.map_of(&o[0], rank)?;
                let (shared, offsets) = (self.addr(&o[1])?.0, vec![]);
                let tensor = Tensor { kind, mode, map, coordinates, offsets, shared, barrier: None, multicast: None };
                Ok(Op::Tensor(Box::new(tensor)))
            }
            _ => Err("a tensor copy between these spaces does not exist".into()),
        }
    }

    /// `.tile`, which may be left out, or the im2col mode that the direction of the copy has.
    fn mode(&self, m: &mut Mods, rank: usize, name: &str, im2col: Mode) -> Result<Mode> {
        let mode = m.one_of(&[("tile", Mode::Tile), (name, im2col)]).unwrap_or(Mode::Tile);
        if mode != Mode::Tile && rank < 3 {
            return Err(format!("`.{name}` of a tensor of rank {rank}; 3 to 5 are possible"));
        }
        Ok(mode)
    }

    /// `[map, {c0, c1, …}]`, innermost coordinate first.
    fn map_of(&mut self, o: &Operand, rank: usize) -> Result<(Addr, Vec<u32>)> {
        let Operand::Address { base, offset, coordinates } = o else {
            return Err("a tensor map and coordinates are expected".into());
        };
        if coordinates.len() != rank {
            return Err(format!("{rank} coordinates are expected, not {}", coordinates.len()));
        }
        let (map, _) = self.addr_of(base, *offset)?;
        Ok((map, coordinates.iter().map(|c| self.r(c)).collect::<Result<Vec<_>>>()?))
    }

    /// im2col offsets of W, H and D: 16 bits each, two fewer than the tensor has dimensions.
    fn offsets(&mut self, o: &Operand, rank: usize) -> Result<Vec<u32>> {
        let offsets = vector(o).iter().map(|x| self.r16(x, 16)).collect::<Result<Vec<_>>>()?;
        if offsets.len() != rank - 2 {
            return Err(format!("{} im2col offsets are expected, not {}", rank - 2, offsets.len()));
        }
        Ok(offsets)
    }
}

const RANKS: &[(&str, usize)] = &[("1d", 1), ("2d", 2), ("3d", 3), ("4d", 4), ("5d", 5)];
