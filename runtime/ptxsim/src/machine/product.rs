//! Products of one warp: operands as matrices of bits, fragments, and the sum (PTX ISA 9.7.14.5, 9.7.15.5).
//!
//! Central type: [`Product`], what is multiplied and how. A is `rows x k`, B is `n x k`, both row-major; of a sparse A the `k`
//! stored elements, with [`positions`] that say which element of B's row each of them meets.

use super::arith::*;
use super::op::*;
use super::run::Machine;
use tricot_ptx_numerics::matrix::exact::{Acc as UnitAcc, Unit};
use tricot_ptx_numerics::matrix::{fast, fragment, sparse};

/// What is multiplied and how.
pub(super) struct Product<'a> {
    /// The data path that floats go, bit for bit; without one they are multiplied by [`fast`].
    pub unit: Option<Unit>,
    pub acc: Acc,
    pub types: (Elem, Elem),
    /// Elements of a row of A.
    pub k: usize,
    pub n: usize,
    pub a: &'a [u32],
    /// `n` rows of `k` elements; of more, those that `positions` name.
    pub b: &'a [u32],
    pub positions: Option<&'a [u32]>,
    /// Bits differ, rather than both are one.
    pub xor: bool,
    pub saturate: bool,
}

/// The value of an element's bits.
fn value(elem: Elem, bits: u32) -> f32 {
    match elem {
        Elem::F16 => f16(bits),
        Elem::Bf16 => bf16(bits),
        Elem::E4m3 => e4m3(bits & 0xff),
        Elem::E5m2 => e5m2(bits & 0xff),
        _ => f32::from_bits(bits & !0x1fff),
    }
}

impl Product<'_> {
    /// `c + a b`, `rows x n`; accumulators are f32 bits (also of f16 ones) or integers.
    pub fn sum(&self, mut c: Vec<u32>) -> Vec<u32> {
        let Some(positions) = self.positions else { return self.dense(self.a, self.b, c) };
        // Each row meets other elements of B.
        let span = self.b.len() / self.n;
        for (row, at) in positions.chunks(self.k).enumerate() {
            let met: Vec<u32> = self.b.chunks(span).flat_map(|b| at.iter().map(|p| b[*p as usize])).collect();
            let a = &self.a[row * self.k..(row + 1) * self.k];
            let d = self.dense(a, &met, c[row * self.n..(row + 1) * self.n].to_vec());
            c[row * self.n..(row + 1) * self.n].copy_from_slice(&d);
        }
        c
    }

    fn dense(&self, a: &[u32], b: &[u32], c: Vec<u32>) -> Vec<u32> {
        if self.acc == Acc::S32 {
            return self.integers(a, b, c);
        }
        // Accumulators come and go as f32 bits.
        let half = self.acc == Acc::F16;
        if let Some(unit) = self.unit {
            let mut d: Vec<u32> = if half { c.iter().map(|v| to_f16(f32::from_bits(*v))).collect() } else { c };
            unit.multiply(self.k, &unit.numbers(0, a), &unit.numbers(1, b), &mut d);
            return if half { d.into_iter().map(|v| f16(v).to_bits()).collect() } else { d };
        }
        let values = |elem: Elem, bits: &[u32]| -> Vec<f32> { bits.iter().map(|x| value(elem, *x)).collect() };
        let mut d: Vec<f32> = c.into_iter().map(f32::from_bits).collect();
        fast::multiply(self.k, &values(self.types.0, a), &values(self.types.1, b), &mut d);
        d.into_iter().map(|v| if half { f16(to_f16(v)) } else { v }.to_bits()).collect()
    }

    fn integers(&self, a: &[u32], b: &[u32], mut d: Vec<u32>) -> Vec<u32> {
        let a: Vec<i32> = a.iter().map(|x| self.types.0.integer(*x)).collect();
        let b: Vec<i32> = b.iter().map(|x| self.types.1.integer(*x)).collect();
        for (a, d) in a.chunks(self.k).zip(d.chunks_mut(self.n)) {
            for (b, d) in b.chunks(self.k).zip(d) {
                let pairs = a.iter().zip(b);
                let sum: i32 = if self.xor { pairs.map(|(x, y)| x ^ y).sum() } else { pairs.map(|(x, y)| x * y).sum() };
                let c = *d as i32;
                *d = if self.saturate { c.saturating_add(sum) } else { c.wrapping_add(sum) } as u32;
            }
        }
        d
    }
}

impl Machine<'_> {
    /// The data path of a product, where the launch wants it bit for bit; integers have none.
    pub(super) fn unit(
        &self,
        of: fn(Elem, Elem, UnitAcc) -> Option<Unit>,
        (a, b): (Elem, Elem),
        acc: Acc,
    ) -> Option<Unit> {
        let acc = if acc == Acc::F16 { UnitAcc::F16 } else { UnitAcc::F32 };
        if self.launch.exact { of(a, b, acc) } else { None }
    }
}

/// Accumulators of a warp's registers, `rows x n`: f16 ones as f32 bits, two in a word.
pub(super) fn accumulators(acc: Acc, rows: usize, n: usize, regs: &[[u32; 32]]) -> Vec<u32> {
    let mut out = vec![0u32; rows * n];
    each_accumulator(rows, n, |at, i, lane| {
        out[at] = match acc {
            Acc::F16 => f16(regs[i / 2][lane] >> (16 * (i % 2))).to_bits(),
            _ => regs[i][lane],
        };
    });
    out
}

/// The registers that hold accumulators.
pub(super) fn spread(acc: Acc, rows: usize, n: usize, values: &[u32]) -> Vec<[u32; 32]> {
    let words = if acc == Acc::F16 { rows * n / 64 } else { rows * n / 32 };
    let mut regs = vec![[0u32; 32]; words];
    each_accumulator(rows, n, |at, i, lane| match acc {
        Acc::F16 => regs[i / 2][lane] |= to_f16(f32::from_bits(values[at])) << (16 * (i % 2)),
        _ => regs[i][lane] = values[at],
    });
    regs
}

/// `f(place in the matrix, element of the lane, lane)` for every accumulator.
pub(super) fn each_accumulator(rows: usize, n: usize, mut f: impl FnMut(usize, usize, usize)) {
    for i in 0..rows * n / 32 {
        for lane in 0..32 {
            let (row, column) = fragment::d(lane as u32, i as u32, rows as u32);
            f(row as usize * n + column as usize, i, lane);
        }
    }
}

/// A of a warp's registers, `rows x k` of stored elements.
pub(super) fn fragment_a(elem: Elem, rows: usize, k: usize, regs: &[[u32; 32]]) -> Vec<u32> {
    unpack(elem, rows, k, regs, |lane, i, per| fragment::a(lane, i, per, rows as u32))
}

/// B of a warp's registers, `8 x k`.
pub(super) fn fragment_b(elem: Elem, k: usize, regs: &[[u32; 32]]) -> Vec<u32> {
    unpack(elem, 8, k, regs, |lane, i, per| {
        let (k, column) = fragment::b(lane, i, per);
        (column, k)
    })
}

/// Elements of packed words; `place(lane, word, elements of a word)` gives the row and the first k.
fn unpack(
    elem: Elem,
    rows: usize,
    k: usize,
    regs: &[[u32; 32]],
    place: impl Fn(u32, u32, u32) -> (u32, u32),
) -> Vec<u32> {
    let bits = elem.bits();
    let mut out = vec![0u32; rows * k];
    for (i, words) in regs.iter().enumerate() {
        for (lane, word) in words.iter().enumerate() {
            let (row, first) = place(lane as u32, i as u32, 32 / bits);
            for e in 0..32 / bits {
                out[row as usize * k + (first + e) as usize] = word >> (e * bits) & (u32::MAX >> (32 - bits));
            }
        }
    }
    out
}

/// Where each stored element of 16 rows of a sparse A belongs along K, from the lanes' metadata.
///
/// ```text
/// nibble  16 and 8 bits: two of four elements; 4 bits: two pairs of four pairs; tf32: 0100 the first of two, 1110 the second
///   1001  of x0 x1 x2 x3 keeps x1 (low half) and x2 (high half)
/// ```
/// The second value says whether a nibble's halves do not ascend, which `::ordered_metadata` forbids.
pub(super) fn positions(elem: Elem, k: usize, meta: &[u32; 32], selector: u32) -> Result<(Vec<u32>, bool), String> {
    let tf32 = elem == Elem::Tf32;
    // Elements that move together, groups of K, and what is kept of one.
    let pair = if elem.bits() == 4 { 2 } else { 1 };
    let (span, kept) = if tf32 { (2, 1) } else { (4 * pair, 2 * pair) };
    let groups = k as u32 / span;
    let (mut out, mut disordered) = (Vec::with_capacity(8 * k), false);
    for row in 0..16 {
        for group in 0..groups {
            let (lane, bit) = sparse::nibble(elem.bits() <= 8, groups, selector, row, group);
            let nibble = meta[lane as usize] >> bit & 15;
            if tf32 && !matches!(nibble, 0b0100 | 0b1110) {
                return Err(format!("sparsity metadata {nibble:#06b} of a tf32 pair"));
            }
            disordered |= !tf32 && nibble & 3 >= nibble >> 2;
            for i in 0..kept {
                out.push(group * span + pair * sparse::position(tf32, nibble, i / pair) + i % pair);
            }
        }
    }
    Ok((out, disordered))
}
