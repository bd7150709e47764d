//! `mma.sync` and `mma.sp.sync` (PTX ISA 9.7.14.5 and 9.7.14.6): fragments in, the product, fragments out.

use super::op::*;
use super::product::*;
use super::run::{At, Machine, Stop};
use super::state::Warp;
use crate::report::Class;
use tricot_ptx_numerics::arith;
use tricot_ptx_numerics::format::{F64, Round};
use tricot_ptx_numerics::matrix::exact::Unit;
use tricot_ptx_numerics::matrix::fragment;

impl Machine<'_> {
    pub(super) fn mma(&mut self, at: At, warp: &mut Warp, m: &Mma) -> Result<(), Stop> {
        self.report.tensor_operations += u64::from(m.m * m.n * m.k);
        if m.acc == Acc::F64 {
            doubles(warp, m);
            return Ok(());
        }
        let get = |regs: &[u32]| -> Vec<[u32; 32]> { regs.iter().map(|r| warp.r[*r as usize]).collect() };
        let (rows, n, k) = (m.m as usize, m.n as usize, m.k as usize);
        let (stored, positions) = match m.sparse {
            Some(s) => (k / 2, Some(self.sparse_positions(at, warp, m.a, k, s)?)),
            None => (k, None),
        };
        let product = Product {
            unit: self.unit(Unit::mma, (m.a, m.b), m.acc),
            acc: m.acc,
            types: (m.a, m.b),
            k: stored,
            n,
            a: &fragment_a(m.a, rows, stored, &get(&m.ar)),
            b: &fragment_b(m.b, k, &get(&m.br)),
            positions: positions.as_deref(),
            xor: m.xor,
            saturate: m.saturate,
        };
        let d = product.sum(accumulators(m.acc, rows, n, &get(&m.cr)));
        let sources = [&m.ar, &m.br, &m.cr].into_iter().flatten().chain(m.sparse.as_ref().map(|s| &s.meta));
        let known = sources.into_iter().all(|r| warp.def_r[*r as usize] == u32::MAX);
        for (r, v) in m.dr.iter().zip(spread(m.acc, rows, n, &d)) {
            warp.set_r(*r, u32::MAX, &v, if known { u32::MAX } else { 0 });
        }
        Ok(())
    }

    /// The positions that a warp's metadata register names, with findings where it must not be so.
    fn sparse_positions(&mut self, at: At, warp: &Warp, elem: Elem, k: usize, s: Sparse) -> Result<Vec<u32>, Stop> {
        let found = positions(elem, k, &warp.r[s.meta as usize], s.selector);
        self.check_positions(at, warp.index * 32, found, s.ordered)
    }

    pub(super) fn check_positions(
        &mut self,
        at: At,
        thread: u32,
        found: Result<(Vec<u32>, bool), String>,
        ordered: bool,
    ) -> Result<Vec<u32>, Stop> {
        let (positions, disordered) = found.map_err(|what| {
            self.finding(at, Class::PtxContract, Some(thread), what);
            Stop
        })?;
        if ordered && disordered {
            let what = "the two positions of a group in the sparsity metadata do not ascend".to_string();
            self.finding(at, Class::PtxContract, Some(thread), what);
        }
        Ok(positions)
    }
}

/// f64: an element a register of 64 bits, one fused multiply-add after the other along K.
fn doubles(warp: &mut Warp, m: &Mma) {
    let (rows, n, k) = (m.m as usize, m.n as usize, m.k as usize);
    let (mut a, mut b, mut d) = (vec![0u64; rows * k], vec![0u64; n * k], vec![0u64; rows * n]);
    for lane in 0..32usize {
        for (i, r) in m.ar.iter().enumerate() {
            let (row, at) = fragment::a(lane as u32, i as u32, 1, m.m);
            a[row as usize * k + at as usize] = warp.d[*r as usize][lane];
        }
        for (i, r) in m.br.iter().enumerate() {
            let (at, column) = fragment::b(lane as u32, i as u32, 1);
            b[column as usize * k + at as usize] = warp.d[*r as usize][lane];
        }
    }
    each_accumulator(rows, n, |at, i, lane| {
        let c = warp.d[m.cr[i] as usize][lane];
        let (row, column) = (at / n, at % n);
        let pairs = a[row * k..(row + 1) * k].iter().zip(&b[column * k..(column + 1) * k]);
        d[at] = pairs.fold(c, |sum, (x, y)| arith::fma(&F64, *x, *y, sum, Round::Near));
    });
    let known = [&m.ar, &m.br, &m.cr].into_iter().flatten().all(|r| warp.def_d[*r as usize] == u32::MAX);
    let mut regs = vec![[0u64; 32]; m.dr.len()];
    each_accumulator(rows, n, |at, i, lane| regs[i][lane] = d[at]);
    for (r, v) in m.dr.iter().zip(regs) {
        warp.set_d(*r, u32::MAX, &v, if known { u32::MAX } else { 0 });
    }
}
