//! One block of keys of fused attention: scores, online softmax, weighted values, all in registers.
//!
//! ```text
//! S = A K^T        wgmma, both in shared memory        64 x keys, f32
//! P = exp2(c S - c max)                                rounded to 16 bits, stays in registers as the next A
//! O = O exp2(c (old max - max)) + P V                  wgmma, A in registers, V MN-major
//! ```
//! The central types are [`Flash`] (sizes) and [`Running`] (a row's maximum and sum). They know no mask and no tensor.
//! Source: FlashAttention-2 (arXiv 2307.08691), FlashAttention-3 (arXiv 2407.08608).

use crate::emit::{Builder, FCmp, Val};
use crate::tile::fragment::{self, Fragment};
use crate::tile::smem::{Major, OperandTile};
use crate::tile::wgmma::{self, Group, Operand, Shape};
use tricot_types::DType;

/// Sizes of one block step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flash {
    pub dtype: DType,
    /// Features of A and K, and of V: multiples of 16.
    pub dim: u32,
    pub dim_v: u32,
    /// Keys of a block, a multiple of 16.
    pub keys: u32,
}

/// Maximum (of raw scores) and this thread's part of the sum of the two rows a thread holds.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub max: [Val; 2],
    pub sum: [Val; 2],
}

impl Running {
    /// Before the first key.
    pub fn start(b: &Builder) -> Running {
        Running { max: [b.f32(f32::NEG_INFINITY); 2], sum: [b.f32(0.0); 2] }
    }

    /// As loop-carried values.
    pub fn pack(&self) -> Vec<Val> {
        vec![self.max[0], self.max[1], self.sum[0], self.sum[1]]
    }

    /// From loop-carried values.
    pub fn unpack(v: &[Val]) -> Running {
        Running { max: [v[0], v[1]], sum: [v[2], v[3]] }
    }

    /// Number of carried values.
    pub const CARRIED: usize = 4;
}

impl Flash {
    /// The 64-row A tile.
    pub fn a_tile(&self) -> OperandTile {
        OperandTile { major: Major::K, mn: wgmma::M, k: self.dim, bytes: 2 }
    }

    /// The K tile: keys by features.
    pub fn k_tile(&self) -> OperandTile {
        OperandTile { major: Major::K, mn: self.keys, k: self.dim, bytes: 2 }
    }

    /// The V tile: the same rows, read as features (n) by keys (k).
    pub fn v_tile(&self) -> OperandTile {
        OperandTile { major: Major::Mn, mn: self.dim_v, k: self.keys, bytes: 2 }
    }

    /// Bytes of a stage: K, then V.
    pub fn stage(&self) -> u32 {
        self.k_tile().size() + self.v_tile().size()
    }

    /// Registers of an output accumulator.
    pub fn registers(&self) -> usize {
        (self.dim_v / 2) as usize
    }

    /// Raw scores of the A tile against the K tile at the given shared addresses.
    pub fn scores(&self, b: &Builder, a: Val, keys: Val) -> Fragment {
        let (a_tile, k_tile) = (self.a_tile(), self.k_tile());
        let (a, k) = (a_tile.descriptor(b, a), k_tile.descriptor(b, keys));
        let major = Major::K;
        let mut group =
            Group::new(Shape { n: self.keys, a: self.dtype, b: self.dtype, a_major: major, b_major: major });
        for at in (0..self.dim).step_by(16) {
            group.product(0, Operand::Shared { descriptor: a, step: a_tile.step(0, at) }, k, k_tile.step(0, at));
        }
        let acc = group.issue(b, &Fragment::splat(b, self.keys, 0.0).regs);
        Fragment { regs: wgmma::wait(b, &acc, 0) }
    }

    /// Folds masked scores (-infinity where a key does not count) into the running rows. `c` is the factor to base-2 logits,
    /// positive. Returns the weights, the factor for what was accumulated before, and the new state.
    pub fn softmax(&self, b: &Builder, scores: &Fragment, c: Val, state: Running) -> (Fragment, [Val; 2], Running) {
        let block = scores.rows(b, |x, y| fragment::max(b, x, y));
        let max = [0, 1].map(|i| fragment::max(b, state.max[i], block[i]));
        let shift = max.map(|m| reference(b, m, c));
        let weights = scores.map(|s, half| fragment::exp2(b, b.fma(s, c, shift[half])));
        let keep = [0, 1].map(|i| fragment::exp2(b, b.fma(state.max[i], c, shift[i])));
        let own = weights.own_rows(|x, y| b.add(x, y));
        let sum = [0, 1].map(|i| b.fma(state.sum[i], keep[i], own[i]));
        (weights, keep, Running { max, sum })
    }

    /// `out * keep + weights * V`, V at the given shared address.
    pub fn accumulate(&self, b: &Builder, weights: &Fragment, keep: [Val; 2], out: &[Val], values: Val) -> Vec<Val> {
        let tile = self.v_tile();
        let v = tile.descriptor(b, values);
        let out = Fragment { regs: out.to_vec() }.map(|o, half| b.mul(o, keep[half]));
        let shape = Shape { n: self.dim_v, a: self.dtype, b: self.dtype, a_major: Major::K, b_major: Major::Mn };
        let mut group = Group::new(shape);
        for step in 0..self.keys / 16 {
            let a = Operand::Registers(weights.operand(b, step as usize, self.dtype));
            group.product(0, a, v, tile.step(0, 16 * step));
        }
        wgmma::wait(b, &group.issue(b, &out.regs), 0)
    }
}

/// `-c * max`, with 0 for rows that have no key yet, so that no infinities meet.
pub fn reference(b: &Builder, max: Val, c: Val) -> Val {
    let none = b.cmp_f(FCmp::Oeq, max, b.f32(f32::NEG_INFINITY));
    b.neg(b.select(none, b.f32(0.0), b.mul(max, c)))
}
