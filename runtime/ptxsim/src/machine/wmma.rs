//! `wmma` (PTX ISA 9.7.14.4): matrices of a warp whose places in registers programs do not know.
//!
//! ```text
//! word w of a matrix, row after row (of B: column after column), K or N contiguous:
//!   register w / 32 of lane w % 32     registers beyond the matrix hold it again
//! ```
//! The ISA leaves the places open, and the device's are others: a program that relies on them gets other numbers here.

use super::access::{Bytes, Place};
use super::arith::{f16, to_f16};
use super::op::*;
use super::product::Product;
use super::run::{At, Machine, Stop};
use super::state::Warp;
use crate::report::Class;
use tricot_ptx_numerics::arith;
use tricot_ptx_numerics::format::{F64, Round};
use tricot_ptx_numerics::matrix::exact::Unit;

/// Elements of words, in the order of the matrix.
fn elements(warp: &Warp, regs: &[u32], bits: u32, count: usize) -> Vec<u64> {
    let per = 32 / bits.min(32) as usize;
    let mask = u64::MAX >> (64 - bits);
    let word = |w: usize| match bits {
        64 => warp.d[regs[w / 32] as usize][w % 32],
        _ => u64::from(warp.r[regs[w / 32] as usize][w % 32]),
    };
    (0..count).map(|e| word(e / per) >> (e % per * bits as usize % 64) & mask).collect()
}

/// Writes elements into a warp's registers, and which of them are defined.
fn place(warp: &mut Warp, regs: &[u32], bits: u32, values: &[u64], known: &[bool]) {
    let per = 32 / bits.min(32) as usize;
    for (i, r) in regs.iter().enumerate() {
        let (mut out, mut defined) = ([0u64; 32], 0);
        for (lane, o) in out.iter_mut().enumerate() {
            let first = (32 * i + lane) * per % values.len();
            for e in 0..per {
                *o |= values[first + e] << (e as u32 * bits % 64);
            }
            defined |= u32::from(known[first..first + per].iter().all(|k| *k)) << lane;
        }
        if bits == 64 {
            warp.set_d(*r, u32::MAX, &out, defined);
        } else {
            warp.set_r(*r, u32::MAX, &out.map(|v| v as u32), defined);
        }
    }
}

/// Which elements lie in registers that are defined.
fn defined(warp: &Warp, regs: &[u32], bits: u32, count: usize) -> Vec<bool> {
    let per = 32 / bits.min(32) as usize;
    let known = |r: u32| if bits == 64 { warp.def_d[r as usize] } else { warp.def_r[r as usize] };
    (0..count).map(|e| known(regs[e / per / 32]) >> (e / per % 32) & 1 != 0).collect()
}

impl Machine<'_> {
    pub(super) fn wmma_move(&mut self, at: At, warp: &mut Warp, w: &WmmaMove) -> Result<(), Stop> {
        let starts = self.addresses(at, warp, w.addr, u32::MAX);
        // Lines in memory, and elements of one.
        let (lines, length) = if w.across { (w.line, w.rows) } else { (w.rows, w.line) };
        let strides = w.stride.map_or([length; 32], |s| warp.r[s as usize]);
        let thread = warp.index * 32;
        if starts.iter().any(|s| *s != starts[0]) || strides.iter().any(|s| *s != strides[0]) {
            let what = "the address or the stride of a `wmma` differs between the lanes of a warp".to_string();
            self.finding(at, Class::PtxContract, Some(thread), what);
        }
        let (size, bits) = ((length * w.bits / 8) as usize, w.bits as usize);
        let count = (w.rows * w.line) as usize;
        // Element `e` of line `l` in the order of the registers.
        let order = |l: usize, e: usize| if w.across { e * w.line as usize + l } else { l * w.line as usize + e };
        let addresses = std::array::from_fn(|l| starts[0] + l as u64 * u64::from(strides[0]) * u64::from(w.bits) / 8);
        let mask = if lines == 32 { u32::MAX } else { (1 << lines) - 1 };
        let sizes = Bytes { checked: size, aligned: bits.div_ceil(8) };
        if w.load {
            let (mut values, mut known) = (vec![0u64; count], vec![false; count]);
            self.each_lane_of(at, warp, w.space, &addresses, sizes, mask, |region, offset, l| {
                for e in 0..length as usize {
                    let from = offset + e * bits / 8;
                    let bytes = bits.div_ceil(8);
                    let (value, defined) = region.load(from, bytes);
                    values[order(l, e)] = value >> (e * bits % 8) & (u64::MAX >> (64 - bits));
                    known[order(l, e)] = defined;
                }
            })?;
            self.touch_lanes(at, warp, w.space, &addresses, size, mask, false, false);
            place(warp, &w.regs, w.bits, &values, &known);
            return Ok(());
        }
        if w.bits < 64 {
            w.regs.iter().for_each(|r| self.check_tokens(at, warp, *r));
        }
        let (values, known) = (elements(warp, &w.regs, w.bits, count), defined(warp, &w.regs, w.bits, count));
        let global = matches!(self.resolve(at, w.space, starts[0]).0, Place::Global(_));
        if global && known.contains(&false) {
            let what = "a value that was never written goes to global memory".to_string();
            self.finding(at, Class::Uninitialised, Some(thread), what);
        }
        self.activity += 1;
        self.touch_lanes(at, warp, w.space, &addresses, size, mask, true, false);
        self.each_lane_of(at, warp, w.space, &addresses, sizes, mask, |region, offset, l| {
            for e in 0..length as usize {
                let n = order(l, e);
                region.store(offset + e * bits / 8, bits / 8, values[n], known[n]);
            }
        })
    }

    pub(super) fn wmma(&mut self, warp: &mut Warp, w: &Wmma) {
        let m = &w.mma;
        let (rows, n, k) = (m.m as usize, m.n as usize, m.k as usize);
        self.report.tensor_operations += (rows * n * k) as u64;
        let a = elements(warp, &m.ar, m.a.bits(), rows * k);
        let b = elements(warp, &m.br, m.b.bits(), n * k);
        let c = elements(warp, &m.cr, w.c_acc.bits(), rows * n);
        let wide = m.acc == Acc::F64;
        let all = |regs: &[u32], def: &[u32]| regs.iter().all(|r| def[*r as usize] == u32::MAX);
        let known =
            [&m.ar, &m.br, &m.cr].into_iter().all(|regs| all(regs, if wide { &warp.def_d } else { &warp.def_r }));
        let d = if wide {
            doubles(k, &a, &b, &c, w.round)
        } else {
            // f16 sums only where both C and D are f16.
            let acc = if w.c_acc == Acc::F32 { Acc::F32 } else { m.acc };
            let narrow = |v: &[u64]| v.iter().map(|x| *x as u32).collect::<Vec<u32>>();
            let (a, b) = (narrow(&a), narrow(&b));
            let product = Product {
                unit: self.unit(Unit::wmma, (m.a, m.b), acc),
                acc,
                types: (m.a, m.b),
                k,
                n,
                a: &a,
                b: &b,
                positions: None,
                xor: m.xor,
                saturate: m.saturate,
            };
            let c = c.iter().map(|v| if w.c_acc == Acc::F16 { f16(*v as u32).to_bits() } else { *v as u32 }).collect();
            let half = |v: u32| if m.acc == Acc::F16 { to_f16(f32::from_bits(v)) } else { v };
            product.sum(c).into_iter().map(|v| u64::from(half(v))).collect()
        };
        place(warp, &m.dr, m.acc.bits(), &d, &vec![known; rows * n]);
    }
}

/// `c + a b` in f64: `a` by rows, `b` by columns, one fused multiply-add after the other along K.
fn doubles(k: usize, a: &[u64], b: &[u64], c: &[u64], round: Round) -> Vec<u64> {
    let n = b.len() / k;
    let one = |(i, c): (usize, &u64)| {
        let pairs = a[i / n * k..(i / n + 1) * k].iter().zip(&b[i % n * k..(i % n + 1) * k]);
        pairs.fold(*c, |sum, (x, y)| arith::fma(&F64, *x, *y, sum, round))
    };
    c.iter().enumerate().map(one).collect()
}
