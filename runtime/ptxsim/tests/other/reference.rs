//! What the kernels must compute, in float64: the formulas of README.md, section Results.
//!
//! Central function: [`compute`]. Knows neither element types nor launches; [`Array`] holds the operands as f64.

use std::collections::BTreeMap;

/// A dense row-major array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Array {
    /// The extent of dimension `from_last`, counted from the innermost; 1 where there is none.
    fn extent(&self, from_last: usize) -> usize {
        self.shape.len().checked_sub(from_last + 1).map_or(1, |at| self.shape[at])
    }
}

/// The numbers and switches that a formula takes beside its operands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub eps: f64,
    pub scale: f64,
    pub causal: bool,
    pub b_is_nk: bool,
    pub c_is_nm: bool,
}

/// The elements of the output of `formula`, `count` of them; `inputs` maps a role to its operand.
pub fn compute(
    formula: &str,
    inputs: &BTreeMap<String, Array>,
    options: Options,
    count: usize,
) -> Result<Vec<f64>, String> {
    let input = |role: &str| inputs.get(role).ok_or_else(|| format!("`{formula}` lacks its input `{role}`"));
    let output = match formula {
        "add" => input("a")?.values.iter().zip(&input("b")?.values).map(|(a, b)| a + b).collect(),
        "softmax_rows" => softmax_rows(input("x")?),
        "layer_norm" => layer_norm(input("x")?, &input("weight")?.values, &input("bias")?.values, options.eps),
        "matmul" => matmul(input("a")?, input("b")?, inputs.get("row_scale"), options),
        "attention" => attention(input("q")?, input("k")?, input("v")?, options),
        "sum" => vec![input("x")?.values.iter().sum()],
        "histogram" => histogram(&input("x")?.values, count),
        "transpose" => transpose(input("x")?),
        _ => return Err(format!("unknown formula `{formula}`")),
    };
    if output.len() == count {
        Ok(output)
    } else {
        Err(format!("`{formula}` gives {} elements, not {count}", output.len()))
    }
}

/// exp(x - m) over its sum, m the maximum of x.
fn softmax(x: &[f64]) -> Vec<f64> {
    let peak = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = x.iter().map(|x| (x - peak).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

fn softmax_rows(x: &Array) -> Vec<f64> {
    x.values.chunks(x.extent(0)).flat_map(softmax).collect()
}

fn layer_norm(x: &Array, weight: &[f64], bias: &[f64], eps: f64) -> Vec<f64> {
    let columns = x.extent(0);
    let row = |row: &[f64]| -> Vec<f64> {
        let mean = row.iter().sum::<f64>() / columns as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / columns as f64;
        let inverse = 1.0 / (variance + eps).sqrt();
        (0..columns).map(|j| (row[j] - mean) * inverse * weight[j] + bias[j]).collect()
    };
    x.values.chunks(columns).flat_map(row).collect()
}

/// a of shape [.., M, K] by b of shape [.., K, N], or [.., N, K] with `b_is_nk`.
fn matmul(a: &Array, b: &Array, row_scale: Option<&Array>, options: Options) -> Vec<f64> {
    let (m, depth) = (a.extent(1), a.extent(0));
    let n = if options.b_is_nk { b.extent(1) } else { b.extent(0) };
    let mut output = Vec::new();
    for (a, b) in a.values.chunks(m * depth).zip(b.values.chunks(n * depth)) {
        let element = |i: usize, j: usize| -> f64 {
            let b_at = |k: usize| if options.b_is_nk { b[j * depth + k] } else { b[k * n + j] };
            let sum: f64 = (0..depth).map(|k| a[i * depth + k] * b_at(k)).sum();
            sum * row_scale.map_or(1.0, |scale| scale.values[i])
        };
        if options.c_is_nm {
            output.extend((0..n).flat_map(|j| (0..m).map(move |i| (i, j))).map(|(i, j)| element(i, j)));
        } else {
            output.extend((0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| element(i, j)));
        }
    }
    output
}

/// q of shape [.., queries, D], k and v of shape [.., keys, D].
fn attention(q: &Array, k: &Array, v: &Array, options: Options) -> Vec<f64> {
    let (queries, keys, d) = (q.extent(1), k.extent(1), q.extent(0));
    let mut output = Vec::new();
    for head in 0..q.values.len() / (queries * d) {
        let q = &q.values[head * queries * d..][..queries * d];
        let k = &k.values[head * keys * d..][..keys * d];
        let v = &v.values[head * keys * d..][..keys * d];
        for (i, q) in q.chunks(d).enumerate() {
            let seen = if options.causal { keys.min(i + 1) } else { keys };
            let score = |k: &[f64]| q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>() * options.scale;
            let weights = softmax(&k.chunks(d).take(seen).map(score).collect::<Vec<_>>());
            output.extend(
                (0..d).map(|c| weights.iter().enumerate().map(|(key, weight)| weight * v[key * d + c]).sum::<f64>()),
            );
        }
    }
    output
}

fn histogram(x: &[f64], bins: usize) -> Vec<f64> {
    let mut counts = vec![0.0; bins];
    for &value in x {
        if value >= 0.0 && (value as usize) < bins {
            counts[value as usize] += 1.0;
        }
    }
    counts
}

fn transpose(x: &Array) -> Vec<f64> {
    let (rows, columns) = (x.extent(1), x.extent(0));
    (0..columns).flat_map(|j| (0..rows).map(move |i| (i, j))).map(|(i, j)| x.values[i * columns + j]).collect()
}
