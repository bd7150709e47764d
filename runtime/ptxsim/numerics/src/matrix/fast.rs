//! The matrix product in plain f32, for speed (`--mma fast`).
//!
//! Tolerance: the products are exact and their sum is rounded once an addition, so each result is within `k 2^-24 Σ |a b|`
//! plus `k 2^-24 |c|` of the exact sum (to first order), where no sum leaves the range of f32. The tensor core cuts instead of
//! rounding: exact results, too, differ from the sum by about as much. f16 accumulators are rounded to f16 once, at the end.

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
