//! The matrix product in plain f32, for speed (`--mma fast`).
//!
//! Tolerance: the sum of `k` products in another order and rounding than the tensor core's; each result is within
//! `(k + 2) 2^-23 Σ |a b|` plus `2^-23 |c|` of the exact sum, where no product or sum leaves the range of f32.

/// `d[i][j] += Σ a[i][k] * b[j][k]`: `a` is m x k, `b` is n x k and `d` is m x n, all row-major.
pub fn multiply(k: usize, a: &[f32], b: &[f32], d: &mut [f32]) {
    if k == 0 {
        return;
    }
    let n = b.len() / k;
    // B with the columns innermost, so that the inner loop adds vectors.
    let mut turned = vec![0.0; b.len()];
    for (j, row) in b.chunks_exact(k).enumerate() {
        row.iter().enumerate().for_each(|(p, &v)| turned[p * n + j] = v);
    }
    for (row, out) in a.chunks_exact(k).zip(d.chunks_exact_mut(n.max(1))) {
        for (&x, line) in row.iter().zip(turned.chunks_exact(n.max(1))) {
            out.iter_mut().zip(line).for_each(|(o, &y)| *o += x * y);
        }
    }
}
