//! Ops that move elements: views where that is possible.

use crate::array::{Array, pairs, row_major};
use crate::boxes::{Range, groups, pad_source};
use crate::lower::{Call, size};
use crate::tensor::Data;

pub fn broadcast(call: &Call, range: &[Range], v: &[Array]) -> Array {
    let axes: Vec<usize> = call.attrs.ints("axes").iter().map(|a| *a as usize).collect();
    v[0].broadcast(range.iter().map(|r| r.1).collect(), &axes)
}

/// `from` and `to` are the whole shapes; the operand is the part that [`crate::boxes::demand`] asks for.
pub fn reshape(from: &[usize], to: &[usize], range: &[Range], v: &[Array]) -> Array {
    let groups = groups(from, to);
    let dense = v[0].dense();
    // Each group's part of the operand is one run: an axis of its own.
    let runs: Vec<usize> = groups.iter().map(|g| dense.shape[g.from.0..g.from.1].iter().product::<usize>()).collect();
    let strides = row_major(&runs);
    let mut out = Array { data: dense.data.clone(), offset: dense.offset, shape: vec![], strides: vec![] };
    for (g, stride) in groups.iter().zip(strides) {
        let wanted = &range[g.to.0..g.to.1];
        let cover = g.cover(from, to, range);
        let (dims, picked): (Vec<usize>, Vec<Range>) = match cover.run {
            Some((first, _)) => {
                out.offset += (first - cover.start) as isize * stride;
                (wanted.iter().map(|r| r.1).collect(), wanted.iter().map(|r| (0, r.1)).collect())
            }
            None => (to[g.to.0..g.to.1].to_vec(), wanted.to_vec()),
        };
        for ((step, r), _) in row_major(&dims).into_iter().zip(&picked).zip(&dims) {
            out.offset += step * stride * r.0 as isize;
            out.shape.push(r.1);
            out.strides.push(step * stride);
        }
    }
    out
}

pub fn slice(call: &Call, range: &[Range], v: &[Array]) -> Array {
    let mut out = v[0].clone();
    for (axis, r) in range.iter().enumerate() {
        let step = call.attrs.ints("step")[axis];
        // The operand begins at the least element wanted; a negative step starts at its end.
        if step < 0 && r.1 > 0 {
            out.offset += out.strides[axis] * (out.shape[axis] - 1) as isize;
        }
        out.strides[axis] *= step as isize;
        out.shape[axis] = r.1;
    }
    out
}

pub fn window(call: &Call, range: &[Range], v: &[Array]) -> Array {
    let a = &call.attrs;
    let rank = v[0].shape.len();
    let mut out = v[0].clone();
    for (i, axis) in a.ints("axes").iter().enumerate() {
        let axis = *axis as usize;
        let stride = out.strides[axis];
        out.shape.push(range[rank + i].1);
        out.strides.push(stride * a.ints("dilation")[i] as isize);
        out.shape[axis] = range[axis].1;
        out.strides[axis] = stride * a.ints("stride")[i] as isize;
    }
    out
}

/// A dense array of `shape` filled with `value` (rank 0), before parts are written into it.
fn filled(shape: &[usize], value: &Array) -> (Data, Array) {
    let n = shape.iter().product();
    let at = value.offset as usize;
    let data = match &*value.data {
        Data::Float(v) => Data::Float(vec![v[at]; n]),
        Data::Int(v) => Data::Int(vec![v[at]; n]),
    };
    let frame = Array { data: Default::default(), offset: 0, strides: row_major(shape), shape: shape.to_vec() };
    (data, frame)
}

/// Writes `from` to the places `to` points at.
pub fn write(data: &mut Data, to: &Array, from: &Array) {
    match data {
        Data::Float(v) => pairs(to, from, |t, s| v[t] = from.f()[s]),
        Data::Int(v) => pairs(to, from, |t, s| v[t] = from.i()[s]),
    }
}

pub fn pad(call: &Call, range: &[Range], operand: &[usize], v: &[Array]) -> Array {
    let (low, interior) = (call.attrs.dims("low"), call.attrs.ints("interior"));
    let shape: Vec<usize> = range.iter().map(|r| r.1).collect();
    let (mut data, mut place) = filled(&shape, &v[1]);
    for (axis, r) in range.iter().enumerate() {
        let source = pad_source(*r, size(&low[axis]), interior[axis], operand[axis]);
        let step = interior[axis] + 1;
        if source.1 > 0 {
            let first = size(&low[axis]) + source.0 as i64 * step - r.0 as i64;
            place.offset += place.strides[axis] * first as isize;
        }
        place.shape[axis] = source.1;
        place.strides[axis] *= step as isize;
    }
    write(&mut data, &place, &v[0]);
    Array::new(shape, data)
}

pub fn concat(call: &Call, range: &[Range], v: &[Array]) -> Array {
    let axis = call.attrs.int("axis") as usize;
    let shape: Vec<usize> = range.iter().map(|r| r.1).collect();
    let n = shape.iter().product();
    let mut data = match &*v[0].data {
        Data::Float(_) => Data::Float(vec![0.0; n]),
        Data::Int(_) => Data::Int(vec![0; n]),
    };
    let frame = Array { data: Default::default(), offset: 0, strides: row_major(&shape), shape: shape.clone() };
    let mut begin = 0;
    for x in v {
        let mut place: Vec<Range> = shape.iter().map(|n| (0, *n)).collect();
        place[axis] = (begin, x.shape[axis]);
        begin += x.shape[axis];
        if x.len() > 0 {
            write(&mut data, &frame.part(&place), x);
        }
    }
    Array::new(shape, data)
}

pub fn iota(call: &Call, range: &[Range]) -> Array {
    let axis = call.attrs.int("axis") as usize;
    let (start, len) = range[axis];
    let line: Vec<i64> = (start..start + len).map(|i| i as i64).collect();
    let dtype = call.types[0].0;
    let line = match dtype.is_float() {
        true => Array::floats(vec![len], line.into_iter().map(|i| i as f64).collect()),
        false => {
            let wrapped = line.into_iter().map(|i| tricot_dialects::scalar::wrap(dtype, i128::from(i)));
            Array::ints(vec![len], wrapped.collect())
        }
    };
    line.broadcast(range.iter().map(|r| r.1).collect(), &[axis])
}
