//! `mma.m8n8k4` on f16 (PTX ISA 9.7.14.5.1): four products in a warp, each of eight lanes.
//!
//! ```text
//! product q: lanes 4q to 4q + 3 (low) and 16 + 4q to 19 + 4q (high), t = lane % 4, up = 4 in the high lanes
//!   A by rows     row t + up, k = i       by columns  row i + up, k = t
//!   B by rows     k = t, column i + up    by columns  k = i, column t + up          i = 0 … 3
//!   C, D  f16     row t + up, column i                                              i = 0 … 7
//!         f32     row (lane & 1) + (i & 2) + up, column (i & 4) + (lane & 2) + (i & 1)
//! ```
//! The arithmetic is that of [`assembled::fused`], also where matrix products need not be exact.

use super::arith::f16;
use super::decode::{Decoder, Result};
use super::family::*;
use super::op::*;
use super::run::Machine;
use super::state::Warp;
use crate::syntax::Instruction;
use tricot_ptx_numerics::matrix::assembled;
use tricot_ptx_numerics::matrix::exact::Acc as UnitAcc;

/// A decoded instruction.
#[derive(Clone, Debug)]
pub struct Quads {
    /// A by columns, B by rows.
    turned: (bool, bool),
    acc: Acc,
    c_acc: Acc,
    d: Vec<u32>,
    a: Vec<u32>,
    b: Vec<u32>,
    c: Vec<u32>,
}

impl Decoder<'_> {
    /// `mma.sync.aligned.m8n8k4.alayout.blayout.dtype.f16.f16.ctype`, from the layouts on.
    pub(super) fn quads(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let turned = (m.need(&[("row", false), ("col", true)])?, m.need(&[("row", true), ("col", false)])?);
        let types = [("f32", Acc::F32), ("f16", Acc::F16)];
        let acc = m.need(&types)?;
        m.need(&[("f16", ())])?;
        m.need(&[("f16", ())])?;
        let c_acc = m.need(&types)?;
        m.done()?;
        if acc == Acc::F16 && c_acc == Acc::F32 {
            return Err("`mma` of shape m8n8k4 has no D of f16 with a C of f32".into());
        }
        let o = self.operands(i, 4, 4)?;
        let count = |acc: Acc| acc.bits() / 4;
        let (d, c) = (self.results(&o[0], false, count(acc))?, self.sources(&o[3], false, count(c_acc))?);
        let (a, b) = (self.sources(&o[1], false, 2)?, self.sources(&o[2], false, 2)?);
        Ok(Op::Quads(Box::new(Quads { turned, acc, c_acc, d, a, b, c })))
    }
}

impl Quads {
    /// Every 32-bit register it touches.
    pub fn registers(&self) -> impl Iterator<Item = &u32> {
        self.a.iter().chain(&self.b).chain(&self.c).chain(&self.d)
    }
}

/// Row and column of accumulator `i` of a lane.
fn accumulator(acc: Acc, lane: usize, i: usize) -> (usize, usize) {
    let up = lane / 16 * 4;
    match acc {
        Acc::F16 => (lane % 4 + up, i),
        _ => ((lane & 1) + (i & 2) + up, (i & 4) + (lane & 2) + (i & 1)),
    }
}

impl Machine<'_> {
    pub(super) fn quads(&mut self, warp: &mut Warp, q: &Quads) {
        let half = |regs: &[u32], lane: usize, i: usize| warp.r[regs[i / 2] as usize][lane] >> (16 * (i % 2)) & 0xffff;
        let known = [&q.a, &q.b, &q.c].into_iter().flatten().all(|r| warp.def_r[*r as usize] == u32::MAX);
        let mut out = vec![[0u32; 32]; q.d.len()];
        for quad in 0..4 {
            let lanes = (4 * quad..4 * quad + 4).chain(16 + 4 * quad..20 + 4 * quad);
            let (mut a, mut b, mut c) = ([[0; 4]; 8], [[0; 4]; 8], [[0; 8]; 8]);
            for lane in lanes.clone() {
                let (t, up) = (lane % 4, lane / 16 * 4);
                for i in 0..4 {
                    let (row, k) = if q.turned.0 { (i + up, t) } else { (t + up, i) };
                    a[row][k] = half(&q.a, lane, i);
                    let (k, column) = if q.turned.1 { (t, i + up) } else { (i, t + up) };
                    b[column][k] = half(&q.b, lane, i);
                }
                for i in 0..8 {
                    let (row, column) = accumulator(q.c_acc, lane, i);
                    c[row][column] = match (q.c_acc, q.acc) {
                        (Acc::F16, Acc::F16) => half(&q.c, lane, i),
                        (Acc::F16, _) => f16(half(&q.c, lane, i)).to_bits(),
                        _ => warp.r[q.c[i] as usize][lane],
                    };
                }
            }
            for lane in lanes {
                for i in 0..8 {
                    let (row, column) = accumulator(q.acc, lane, i);
                    let d = |acc| assembled::fused(acc, a[row], b[column], c[row][column]);
                    match q.acc {
                        Acc::F16 => out[i / 2][lane] |= d(UnitAcc::F16) << (16 * (i % 2)),
                        _ => out[i][lane] = d(UnitAcc::F32),
                    }
                }
            }
        }
        self.report.tensor_operations += 4 * 8 * 8 * 4;
        for (r, v) in q.d.iter().zip(out) {
            warp.set_r(*r, u32::MAX, &v, if known { u32::MAX } else { 0 });
        }
    }
}
