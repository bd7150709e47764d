//! Direct forms of the attention ops: a query (or a block of them) at a time, nothing of the size of all pairs is stored.
//!
//! Everything inside is float64, weights rounded as the caller says; results are rounded by the caller where rounding is asked for.

use super::contract::{Mat, multiply};
use crate::array::Array;
use crate::lower::{Call, size};
use rayon::prelude::*;
use tricot_dialects::scalar::round_float;

/// A float attribute as the decomposition holds it: a constant of the compute type.
fn constant(call: &Call, name: &str) -> f64 {
    round_float(call.types[0].0.compute(), call.attrs.float(name), false)
}

/// `[b, s, h, d]` as dense matrices `[b][h][s, d]`.
fn by_head(x: &Array, add: f64) -> Vec<Vec<f64>> {
    let [b, s, h, d] = x.shape[..] else { unreachable!("rank 4 is verified") };
    let dense = x.dense();
    let v = &dense.f()[dense.offset as usize..];
    let head = |i: usize| {
        let (b, h0) = (i / h, i % h);
        (0..s).flat_map(|t| &v[((b * s + t) * h + h0) * d..][..d]).map(|x| x + add).collect()
    };
    (0..b * h).map(head).collect()
}

/// The reverse of [`by_head`].
fn from_heads(heads: &[Vec<f64>], [b, s, h, d]: [usize; 4]) -> Array {
    let mut out = vec![0.0; b * s * h * d];
    for (i, head) in heads.iter().enumerate() {
        let (b, h0) = (i / h, i % h);
        for t in 0..s {
            out[((b * s + t) * h + h0) * d..][..d].copy_from_slice(&head[t * d..][..d]);
        }
    }
    Array::floats(vec![b, s, h, d], out)
}

/// Turns logits into `e^(x - max)`; returns their sum and the lse. A row of -inf gives zeros, 0 and -inf; a NaN spreads.
fn exponentials(row: &mut [f64]) -> (f64, f64) {
    let top = row.iter().fold(f64::NEG_INFINITY, |m, x| if m.is_nan() || m > *x { m } else { *x });
    let base = if top == f64::NEG_INFINITY { 0.0 } else { top };
    let mut sum = 0.0;
    for x in row.iter_mut() {
        *x = (*x - base).exp();
        sum += *x;
    }
    (sum, if top == f64::NEG_INFINITY { top } else { base + sum.ln() })
}

/// `nn.attention`.
pub fn dot(call: &Call, v: &[Array], round: impl Fn(f64) -> f64 + Sync) -> Vec<Array> {
    let a = &call.attrs;
    let (q, k, value) = (by_head(&v[0], 0.0), by_head(&v[1], 0.0), by_head(&v[2], 0.0));
    let [nb, ni, nh, d] = v[0].shape[..] else { unreachable!("rank 4 is verified") };
    let (nj, ng, e) = (v[1].shape[1], v[1].shape[2], v[2].shape[3]);
    let (scale, causal) = (constant(call, "scale"), a.bool("causal"));
    let (offset, window) = (size(a.dim("offset")), a.int("window"));
    let bias = v.get(3).map(|b| {
        let axes: Vec<usize> = (0..4).collect();
        b.broadcast(vec![nb, nh, ni, nj], &axes)
    });
    const BLOCK: usize = 64;
    let head = |bh: usize| {
        let (b, h) = (bh / nh, bh % nh);
        let g = b * ng + h / (nh / ng);
        let (mut out, mut lse) = (vec![0.0; ni * e], vec![0.0; ni]);
        for start in (0..ni).step_by(BLOCK) {
            let rows = BLOCK.min(ni - start);
            let mut x = vec![0.0; rows * nj];
            multiply(&mut x, Mat::rows(&q[bh][start * d..], d), Mat::columns(&k[g], d), [rows, nj, d], false);
            for (r, row) in x.chunks_mut(nj.max(1)).enumerate().take(rows) {
                let i = start + r;
                let newest = i as i64 + offset;
                for (j, x) in row.iter_mut().enumerate() {
                    *x *= scale;
                    if let Some(bias) = &bias {
                        let s = &bias.strides;
                        let at = [b, h, i, j].iter().zip(s).map(|(i, s)| *i as isize * s).sum::<isize>();
                        *x += bias.f()[(bias.offset + at) as usize];
                    }
                    let j = j as i64;
                    if causal && (j > newest || window > 0 && j <= newest - window) {
                        *x = f64::NEG_INFINITY;
                    }
                }
                let (sum, log) = exponentials(row);
                let divisor = if log == f64::NEG_INFINITY { 1.0 } else { sum };
                row.iter_mut().for_each(|x| *x = round(*x / divisor));
                lse[i] = log;
            }
            if nj == 0 {
                lse[start..start + rows].fill(f64::NEG_INFINITY);
            }
            multiply(
                &mut out[start * e..][..rows * e],
                Mat::rows(&x, nj),
                Mat::rows(&value[g], e),
                [rows, e, nj],
                false,
            );
        }
        (out, lse)
    };
    let (out, lse): (Vec<_>, Vec<_>) = (0..nb * nh).into_par_iter().map(head).unzip();
    vec![from_heads(&out, [nb, ni, nh, e]), Array::floats(vec![nb, nh, ni], lse.concat())]
}

/// Operands of the trilinear ops by head, and their sizes.
struct Trilinear {
    q: Vec<Vec<f64>>,
    k1: Vec<Vec<f64>>,
    k2: Vec<Vec<f64>>,
    v1: Vec<Vec<f64>>,
    v2: Vec<Vec<f64>>,
    /// batch, length, query heads, key heads, features, value features
    sizes: [usize; 6],
    w1: usize,
    w2: usize,
    scale: f64,
}

impl Trilinear {
    fn new(call: &Call, v: &[Array]) -> Trilinear {
        let a = &call.attrs;
        let [nb, s, nh, d] = v[0].shape[..] else { unreachable!("rank 4 is verified") };
        Trilinear {
            q: by_head(&v[0], 0.0),
            k1: by_head(&v[1], 0.0),
            k2: by_head(&v[2], constant(call, "k2_bias")),
            v1: by_head(&v[3], 0.0),
            v2: by_head(&v[4], constant(call, "v2_bias")),
            sizes: [nb, s, nh, v[1].shape[2], d, v[3].shape[3]],
            w1: a.int("w1") as usize,
            w2: a.int("w2") as usize,
            scale: constant(call, "scale"),
        }
    }

    /// First `j` and `k` that query `i` sees, and how many of each.
    fn window(&self, i: usize) -> (usize, usize, usize, usize) {
        let (j, k) = ((i + 1).saturating_sub(self.w1), (i + 1).saturating_sub(self.w2));
        (j, k, i + 1 - j, i + 1 - k)
    }

    /// `x[j, k]` of one query, `rows` being `q * k1` of its window.
    fn logits(&self, group: usize, rows: &[f64], (_, k0, nj, nk): (usize, usize, usize, usize)) -> Vec<f64> {
        let d = self.sizes[4];
        let mut x = vec![0.0; nj * nk];
        multiply(&mut x, Mat::rows(rows, d), Mat::columns(&self.k2[group][k0 * d..], d), [nj, nk, d], false);
        x.iter_mut().for_each(|x| *x *= self.scale);
        x
    }
}

/// Each row of `m[start..]` times the vector `x`, `count` rows.
fn scaled_rows(x: &[f64], m: &[f64], start: usize, count: usize) -> Vec<f64> {
    let d = x.len();
    m[start * d..][..count * d].iter().enumerate().map(|(i, v)| v * x[i % d]).collect()
}

/// `trilinear.attention`.
pub fn trilinear(call: &Call, v: &[Array], round: impl Fn(f64) -> f64 + Sync) -> Vec<Array> {
    let t = Trilinear::new(call, v);
    let [nb, s, nh, ng, d, e] = t.sizes;
    let query = |task: usize| {
        let (bh, i) = (task / s, task % s);
        let g = bh / nh * ng + bh % nh / (nh / ng);
        let window = t.window(i);
        let (j0, k0, nj, nk) = window;
        let rows = scaled_rows(&t.q[bh][i * d..][..d], &t.k1[g], j0, nj);
        let mut p = t.logits(g, &rows, window);
        let (sum, lse) = exponentials(&mut p);
        p.iter_mut().for_each(|x| *x = round(*x / sum));
        let mut inner = vec![0.0; nj * e];
        multiply(&mut inner, Mat::rows(&p, nk), Mat::rows(&t.v2[g][k0 * e..], e), [nj, e, nk], false);
        let mut out = vec![0.0; e];
        for (row, v1) in inner.chunks(e.max(1)).zip(t.v1[g][j0 * e..].chunks(e.max(1))) {
            out.iter_mut().zip(row.iter().zip(v1)).for_each(|(o, (x, v))| *o += x * v);
        }
        (out, lse)
    };
    let (out, lse): (Vec<_>, Vec<_>) = (0..nb * nh * s).into_par_iter().map(query).unzip();
    let heads: Vec<Vec<f64>> = match s {
        0 => vec![vec![]; nb * nh],
        _ => out.chunks(s).map(<[_]>::concat).collect(),
    };
    vec![from_heads(&heads, [nb, s, nh, e]), Array::floats(vec![nb, nh, s], lse)]
}

/// `trilinear.attention_backward`.
pub fn trilinear_backward(call: &Call, v: &[Array]) -> Vec<Array> {
    let t = Trilinear::new(call, v);
    let [nb, s, nh, ng, d, e] = t.sizes;
    let (out, dout) = (by_head(&v[5], 0.0), by_head(&v[7], 0.0));
    let lse = v[6].dense();
    let lse = &lse.f()[lse.offset as usize..];
    // A query head's share: dq, and its contribution to dk1, dk2, dv1, dv2.
    let head = |bh: usize| -> [Vec<f64>; 5] {
        let g = bh / nh * ng + bh % nh / (nh / ng);
        let mut grads = [d, d, d, e, e].map(|n| vec![0.0; s * n]);
        let [dq, dk1, dk2, dv1, dv2] = &mut grads;
        for i in 0..s {
            let window = t.window(i);
            let (j0, k0, nj, nk) = window;
            let (q, go) = (&t.q[bh][i * d..][..d], &dout[bh][i * e..][..e]);
            let delta: f64 = go.iter().zip(&out[bh][i * e..]).map(|(a, b)| a * b).sum();
            let qk = scaled_rows(q, &t.k1[g], j0, nj);
            let gv = scaled_rows(go, &t.v1[g], j0, nj);
            let mut p = t.logits(g, &qk, window);
            p.iter_mut().for_each(|x| *x = (*x - lse[bh * s + i]).exp());
            let mut ds = vec![0.0; nj * nk];
            multiply(&mut ds, Mat::rows(&gv, e), Mat::columns(&t.v2[g][k0 * e..], e), [nj, nk, e], false);
            ds.iter_mut().zip(&p).for_each(|(x, p)| *x = p * (*x - delta) * t.scale);
            // Sums over k, then what multiplies them over j.
            let mut over_k = vec![0.0; nj * e];
            multiply(&mut over_k, Mat::rows(&p, nk), Mat::rows(&t.v2[g][k0 * e..], e), [nj, e, nk], false);
            for (n, x) in over_k.iter().enumerate() {
                dv1[j0 * e + n] += x * go[n % e];
            }
            let mut over_k = vec![0.0; nj * d];
            multiply(&mut over_k, Mat::rows(&ds, nk), Mat::rows(&t.k2[g][k0 * d..], d), [nj, d, nk], false);
            for (n, x) in over_k.iter().enumerate() {
                dq[i * d + n % d] += x * t.k1[g][j0 * d + n];
                dk1[j0 * d + n] += x * q[n % d];
            }
            for (weights, rows, width, target) in [(&p, &gv, e, &mut *dv2), (&ds, &qk, d, &mut *dk2)] {
                let mut over_j = vec![0.0; nk * width];
                multiply(&mut over_j, Mat::columns(weights, nk), Mat::rows(rows, width), [nk, width, nj], false);
                target[k0 * width..].iter_mut().zip(over_j).for_each(|(t, x)| *t += x);
            }
        }
        grads
    };
    let shares: Vec<[Vec<f64>; 5]> = (0..nb * nh).into_par_iter().map(head).collect();
    let dq: Vec<Vec<f64>> = shares.iter().map(|x| x[0].clone()).collect();
    let mut results = vec![from_heads(&dq, [nb, s, nh, d])];
    for (at, width) in [(1, d), (2, d), (3, e), (4, e)] {
        let mut sums = vec![vec![0.0; s * width]; nb * ng];
        for (bh, share) in shares.iter().enumerate() {
            let g = bh / nh * ng + bh % nh / (nh / ng);
            sums[g].iter_mut().zip(&share[at]).for_each(|(t, x)| *t += x);
        }
        results.push(from_heads(&sums, [nb, s, ng, width]));
    }
    results
}
