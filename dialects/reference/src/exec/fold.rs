//! Folding axes: reduce and scan.

use crate::array::Array;
use crate::lower::Call;
use crate::tensor::Data;
use rayon::prelude::*;
use tricot_dialects::ScalarFn;
use tricot_types::DType;

/// The scalar function that joins two elements.
pub fn function(kind: &str) -> ScalarFn {
    match kind {
        "sum" => ScalarFn::Add,
        "prod" => ScalarFn::Mul,
        "max" => ScalarFn::Max,
        "min" => ScalarFn::Min,
        "and" => ScalarFn::And,
        _ => ScalarFn::Or,
    }
}

/// Value of an empty fold of floats.
fn float_identity(f: ScalarFn) -> f64 {
    match f {
        ScalarFn::Mul => 1.0,
        ScalarFn::Max => f64::NEG_INFINITY,
        ScalarFn::Min => f64::INFINITY,
        _ => 0.0,
    }
}

/// Value of an empty fold of integers or bool.
fn int_identity(f: ScalarFn, dtype: DType) -> i64 {
    let (lo, hi) = dtype.int_range().unwrap_or((0, 1));
    match f {
        ScalarFn::Mul | ScalarFn::And => 1,
        ScalarFn::Max => lo as i64,
        // Two's complement for u64.
        ScalarFn::Min => hi as i64,
        _ => 0,
    }
}

pub fn reduce(call: &Call, dtype: DType, x: &Array, narrow: bool) -> Array {
    let axes: Vec<usize> = call.attrs.ints("axes").iter().map(|a| *a as usize).collect();
    reduce_axes(function(call.attrs.str("kind")), dtype, x, &axes, narrow)
}

/// Folds `axes` of `x` away; `narrow` holds sums and products in f32.
pub fn reduce_axes(f: ScalarFn, dtype: DType, x: &Array, axes: &[usize], narrow: bool) -> Array {
    let kept: Vec<usize> = (0..x.shape.len()).filter(|a| !axes.contains(a)).collect();
    let frame = x.permute(kept);
    let inner = x.permute(axes.iter().copied());
    // Positions relative to the first element, merged where axes follow one another.
    let mut dims: Vec<(usize, isize)> = vec![];
    for (n, s) in inner.shape.iter().zip(&inner.strides) {
        match dims.last_mut() {
            Some((m, outer)) if *outer == s * *n as isize => (*m, *outer) = (*m * n, *s),
            _ => dims.push((*n, *s)),
        }
    }
    let count = inner.len();
    let total = frame.len();
    let start = |i: usize| {
        let (mut rest, mut at) = (i, frame.offset);
        for (n, s) in frame.shape.iter().zip(&frame.strides).rev() {
            at += (rest % n) as isize * s;
            rest /= n;
        }
        at
    };
    let grain = ((1 << 15) / count.max(1)).max(1);
    match &*x.data {
        Data::Float(v) => {
            let mut out = vec![float_identity(f); total];
            out.par_iter_mut().with_min_len(grain).enumerate().for_each(|(i, o)| {
                let mut acc = *o;
                let at = start(i);
                match (f, narrow) {
                    (ScalarFn::Add, true) => runs(&dims, at, &mut |p, n, s| {
                        (0..n).for_each(|j| acc = f64::from((acc + v[(p + j as isize * s) as usize]) as f32))
                    }),
                    (ScalarFn::Add, false) => runs(&dims, at, &mut |p, n, s| match s {
                        1 => acc += v[p as usize..][..n].iter().sum::<f64>(),
                        _ => (0..n).for_each(|j| acc += v[(p + j as isize * s) as usize]),
                    }),
                    (ScalarFn::Max, _) => runs(&dims, at, &mut |p, n, s| {
                        for j in 0..n {
                            let x = v[(p + j as isize * s) as usize];
                            // A NaN stays: comparisons with it are false.
                            if !(acc >= x || acc.is_nan()) {
                                acc = x;
                            }
                        }
                    }),
                    _ => runs(&dims, at, &mut |p, n, s| {
                        for j in 0..n {
                            acc = f.eval(acc, v[(p + j as isize * s) as usize]);
                            if narrow && f == ScalarFn::Mul {
                                acc = f64::from(acc as f32);
                            }
                        }
                    }),
                }
                *o = acc;
            });
            Array::floats(frame.shape.clone(), out)
        }
        Data::Int(v) => {
            let mut out = vec![int_identity(f, dtype); total];
            out.par_iter_mut().with_min_len(grain).enumerate().for_each(|(i, o)| {
                runs(&dims, start(i), &mut |p, n, s| {
                    (0..n).for_each(|j| *o = f.eval_int(dtype, *o, v[(p + j as isize * s) as usize]))
                });
            });
            Array::ints(frame.shape.clone(), out)
        }
    }
}

/// Calls `f(position, count, stride)` for each innermost run.
fn runs(dims: &[(usize, isize)], at: isize, f: &mut impl FnMut(isize, usize, isize)) {
    match dims {
        [] => f(at, 1, 0),
        [(n, s)] => f(at, *n, *s),
        [(n, s), rest @ ..] => (0..*n).for_each(|i| runs(rest, at + i as isize * s, f)),
    }
}

pub fn scan(call: &Call, dtype: DType, x: &Array, narrow: bool) -> Array {
    let a = &call.attrs;
    let axis = a.int("axis") as usize;
    let f = function(a.str("kind"));
    let (exclusive, reverse) = (a.bool("exclusive"), a.bool("reverse"));
    let x = x.dense();
    let n = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    let outer: usize = x.shape[..axis].iter().product();
    let place = |o: usize, i: usize, j: usize| (o * n + if reverse { n - 1 - i } else { i }) * inner + j;
    let offset = x.offset as usize;
    match &*x.data {
        Data::Float(v) => {
            let narrow = narrow && matches!(f, ScalarFn::Add | ScalarFn::Mul);
            let mut out = vec![0.0; x.len()];
            for (o, j) in (0..outer).flat_map(|o| (0..inner).map(move |j| (o, j))) {
                let mut acc = float_identity(f);
                for i in 0..n {
                    let at = place(o, i, j);
                    let before = acc;
                    acc = f.eval(acc, v[offset + at]);
                    acc = if narrow { f64::from(acc as f32) } else { acc };
                    out[at] = if exclusive { before } else { acc };
                }
            }
            Array::floats(x.shape.clone(), out)
        }
        Data::Int(v) => {
            let mut out = vec![0; x.len()];
            for (o, j) in (0..outer).flat_map(|o| (0..inner).map(move |j| (o, j))) {
                let mut acc = int_identity(f, dtype);
                for i in 0..n {
                    let at = place(o, i, j);
                    let before = acc;
                    acc = f.eval_int(dtype, acc, v[offset + at]);
                    out[at] = if exclusive { before } else { acc };
                }
            }
            Array::ints(x.shape.clone(), out)
        }
    }
}
