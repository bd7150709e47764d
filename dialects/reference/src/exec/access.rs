//! Data-dependent access and order: gather, scatter, update_slice, arg_reduce, top_k.

use super::movement::write;
use crate::Mode;
use crate::array::{Array, row_major};
use crate::lower::{Call, size};
use crate::tensor::Data;
use rayon::prelude::*;
use std::cmp::Ordering;
use tricot_dialects::ScalarFn;
use tricot_dialects::scalar::round_float;
use tricot_types::DType;

pub fn gather(call: &Call, v: &[Array]) -> Array {
    let (axis, batch) = (call.attrs.int("axis") as usize, call.attrs.int("batch_dims") as usize);
    let (data, indices) = (&v[0], v[1].dense());
    let n = data.shape[axis] as i64;
    let product = |s: &[usize]| s.iter().product::<usize>();
    let each = product(&indices.shape[batch..]);
    let middle = product(&data.shape[batch..axis]);
    let mut shape = data.shape[..axis].to_vec();
    shape.extend_from_slice(&indices.shape[batch..]);
    shape.extend_from_slice(&data.shape[axis + 1..]);
    let list = &indices.i()[indices.offset as usize..];
    let dense = data.dense();
    let rest = product(&data.shape[axis + 1..]);
    // Row r of the result, (b, p, i): which run of `rest` elements of data it copies; `None` where the axis is empty.
    let source = |row: usize| {
        let (i, p, b) = (row % each, row / each % middle, row / each / middle);
        let at = list[b * each + i].clamp(0, (n - 1).max(0)) as usize;
        dense.offset as usize + (((b * middle + p) * n as usize) + at) * rest
    };
    let total = product(&shape);
    fn rows<T: Copy + Send + Sync>(out: &mut [T], from: &[T], rest: usize, source: impl Fn(usize) -> usize + Sync) {
        out.par_chunks_mut(rest)
            .with_min_len((4096 / rest).max(1))
            .enumerate()
            .for_each(|(r, o)| o.copy_from_slice(&from[source(r)..][..rest]));
    }
    match &*dense.data {
        Data::Float(x) => {
            let mut out = vec![f64::NAN; total];
            if total > 0 && n > 0 {
                rows(&mut out, x, rest, source);
            }
            Array::floats(shape, out)
        }
        Data::Int(x) => {
            let mut out = vec![0; total];
            if total > 0 && n > 0 {
                rows(&mut out, x, rest, source);
            }
            Array::ints(shape, out)
        }
    }
}

pub fn scatter(call: &Call, dtype: DType, v: &[Array], mode: Mode) -> Array {
    let [data, indices, updates] = v else { unreachable!("operand count is verified") };
    let (indices, updates) = (indices.dense(), updates.dense());
    let shape = data.shape.clone();
    let rest: usize = shape[1..].iter().product();
    let list = &indices.i()[indices.offset as usize..][..indices.len()];
    let from = updates.offset as usize;
    let f = match call.attrs.str("combine") {
        "add" => Some(ScalarFn::Add),
        "mul" => Some(ScalarFn::Mul),
        "max" => Some(ScalarFn::Max),
        "min" => Some(ScalarFn::Min),
        _ => None,
    };
    let inside = |i: &i64| usize::try_from(*i).ok().filter(|i| *i < shape[0]);
    let mut out = data.clone().into_data();
    for (u, row) in list.iter().enumerate().filter_map(|(u, i)| inside(i).map(|row| (u, row))) {
        for j in 0..rest {
            match (&mut out, &*updates.data) {
                (Data::Float(o), Data::Float(x)) => {
                    let (o, x) = (&mut o[row * rest + j], x[from + u * rest + j]);
                    *o = f.map_or(x, |f| f.eval(*o, x));
                    if mode == Mode::Typed {
                        *o = round_float(dtype, *o, false);
                    }
                }
                (Data::Int(o), Data::Int(x)) => {
                    let (o, x) = (&mut o[row * rest + j], x[from + u * rest + j]);
                    *o = f.map_or(x, |f| f.eval_int(dtype, *o, x));
                }
                _ => unreachable!("types are verified"),
            }
        }
    }
    Array::new(shape, out)
}

pub fn update_slice(call: &Call, v: &[Array]) -> Array {
    let (data, update) = (&v[0], &v[1]);
    let offsets = v.get(2).map(|o| o.dense());
    let mut place =
        Array { data: Default::default(), offset: 0, strides: row_major(&data.shape), shape: data.shape.clone() };
    for axis in 0..data.shape.len() {
        let moved = offsets.as_ref().map_or(0, |o| o.i()[o.offset as usize + axis]);
        let room = data.shape[axis].saturating_sub(update.shape[axis]) as i64;
        let start = size(&call.attrs.dims("start")[axis]).saturating_add(moved).clamp(0, room);
        place.offset += place.strides[axis] * start as isize;
        place.shape[axis] = update.shape[axis].min(data.shape[axis]);
    }
    let mut out = data.clone().into_data();
    write(&mut out, &place, update);
    Array::new(data.shape.clone(), out)
}

/// Order of two elements; NaN is larger than everything.
fn compare(dtype: DType, x: &Data, a: usize, b: usize) -> Ordering {
    match x {
        Data::Float(v) => match (v[a].is_nan(), v[b].is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => v[a].partial_cmp(&v[b]).expect("neither is NaN"),
        },
        Data::Int(v) if dtype == DType::U64 => (v[a] as u64).cmp(&(v[b] as u64)),
        Data::Int(v) => v[a].cmp(&v[b]),
    }
}

/// Calls `f(line, first position, distance)` for each line along `axis` of a dense array.
fn lines(x: &Array, axis: usize, mut f: impl FnMut(usize, usize, usize)) {
    let inner: usize = x.shape[axis + 1..].iter().product();
    let outer: usize = x.shape[..axis].iter().product();
    for o in 0..outer {
        for j in 0..inner {
            f(o * inner + j, x.offset as usize + o * x.shape[axis] * inner + j, inner);
        }
    }
}

pub fn arg_reduce(call: &Call, dtype: DType, x: &Array) -> Array {
    let axis = call.attrs.int("axis") as usize;
    let (largest, last) = (call.attrs.str("kind") == "max", call.attrs.bool("last"));
    let x = x.dense();
    let mut shape = x.shape.clone();
    shape.remove(axis);
    let mut out = vec![0; shape.iter().product()];
    let nan = |at: usize| matches!(&*x.data, Data::Float(v) if v[at].is_nan());
    lines(&x, axis, |line, first, distance| {
        let mut best = 0;
        for i in 1..x.shape[axis] {
            let (a, b) = (first + i * distance, first + best * distance);
            // NaN is the extreme either way.
            let order = match (largest, nan(a), nan(b)) {
                (true, _, _) | (false, false, false) => compare(dtype, &x.data, a, b),
                (false, true, false) => Ordering::Less,
                (false, false, true) => Ordering::Greater,
                (false, true, true) => Ordering::Equal,
            };
            let better = if largest { Ordering::Greater } else { Ordering::Less };
            if order == better || order == Ordering::Equal && last {
                best = i;
            }
        }
        out[line] = best as i64;
    });
    Array::ints(shape, out)
}

pub fn top_k(call: &Call, dtype: DType, x: &Array) -> Vec<Array> {
    let axis = call.attrs.int("axis") as usize;
    let largest = call.attrs.bool("largest");
    let x = x.dense();
    let n = x.shape[axis];
    let k = call.types[0].1[axis];
    let mut shape = x.shape.clone();
    shape[axis] = k;
    let total: usize = shape.iter().product();
    let mut positions = vec![0i64; total];
    let mut sources = vec![0usize; total];
    lines(&x, axis, |line, first, distance| {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| {
            let order = compare(dtype, &x.data, first + a * distance, first + b * distance);
            if largest { order.reverse() } else { order }
        });
        let (o, j) = (line / distance, line % distance);
        for (rank, i) in order.into_iter().take(k).enumerate() {
            let at = (o * k + rank) * distance + j;
            positions[at] = i as i64;
            sources[at] = first + i * distance;
        }
    });
    let values = match &*x.data {
        Data::Float(v) => Array::floats(shape.clone(), sources.iter().map(|s| v[*s]).collect()),
        Data::Int(v) => Array::ints(shape.clone(), sources.iter().map(|s| v[*s]).collect()),
    };
    vec![values, Array::ints(shape, positions)]
}
