//! Which part of each operand a part of a result needs.

use crate::lower::{Call, Program, size};
use std::collections::BTreeMap;

/// `(start, length)` along an axis.
pub type Range = (usize, usize);

/// All of a shape.
pub fn whole(shape: &[usize]) -> Vec<Range> {
    shape.iter().map(|n| (0, *n)).collect()
}

/// Whether part of the result can be computed without the rest.
pub fn sliceable(call: &Call) -> bool {
    matches!(
        call.op.name,
        "core.map"
            | "core.select"
            | "core.cast"
            | "core.broadcast"
            | "core.transpose"
            | "core.reshape"
            | "core.slice"
            | "core.pad"
            | "core.concat"
            | "core.window"
            | "core.reduce"
            | "core.contract"
            | "core.gather"
            | "core.arg_reduce"
            | "core.scan"
            | "core.iota"
    )
}

/// Whether the result is a view of its first operand (a reshape copies now and then).
pub fn is_view(call: &Call) -> bool {
    matches!(
        call.op.name,
        "core.broadcast" | "core.transpose" | "core.reshape" | "core.slice" | "core.window" | "core.iota"
    )
}

/// Sizes of the axes that a contraction or reduction folds away; empty for all other ops.
pub fn folded(program: &Program, call: &Call) -> Vec<usize> {
    match call.op.name {
        "core.contract" => {
            let einsum = call.einsum.as_ref().expect("a contraction has an einsum");
            let size = |c: &char| {
                let (o, at) = einsum
                    .operands
                    .iter()
                    .enumerate()
                    .find_map(|(o, l)| l.iter().position(|x| x == c).map(|at| (o, at)))
                    .expect("a letter of some operand");
                program.shape(call.operands[o])[at]
            };
            einsum.summed().iter().map(size).collect()
        }
        "core.reduce" => {
            let shape = program.shape(call.operands[0]);
            call.attrs.ints("axes").iter().map(|a| shape[*a as usize]).collect()
        }
        _ => vec![],
    }
}

/// The ranges of each operand needed for `out` of the result, of folded axes only `folds`.
pub fn demand(program: &Program, call: &Call, out: &[Range], folds: &[Range]) -> Vec<Vec<Range>> {
    let shapes: Vec<&[usize]> = call.operands.iter().map(|v| program.shape(*v)).collect();
    let a = &call.attrs;
    if !sliceable(call) {
        return shapes.iter().map(|s| whole(s)).collect();
    }
    match call.op.name {
        "core.map" | "core.select" | "core.cast" => vec![out.to_vec(); shapes.len()],
        "core.broadcast" => {
            let axes = a.ints("axes").iter().map(|x| *x as usize);
            vec![axes.enumerate().map(|(i, x)| if shapes[0][i] == 1 { (0, 1) } else { out[x] }).collect()]
        }
        "core.transpose" => {
            let mut range = vec![(0, 0); out.len()];
            a.ints("perm").iter().zip(out).for_each(|(p, r)| range[*p as usize] = *r);
            vec![range]
        }
        "core.reshape" => {
            let result = &call.types[0].1;
            let mut range = vec![(0, 0); shapes[0].len()];
            for g in groups(shapes[0], result) {
                let part = g.cover(shapes[0], result, out);
                range[g.from.0..g.from.1].copy_from_slice(&part.range);
            }
            vec![range]
        }
        "core.slice" => {
            let (start, step) = (a.dims("start"), a.ints("step"));
            let axis = |(i, (lo, len)): (usize, &Range)| {
                let at = |x: usize| (size(&start[i]) + x as i64 * step[i]) as usize;
                match len {
                    0 => (0, 0),
                    _ => {
                        let (first, last) = (at(*lo), at(lo + len - 1));
                        (first.min(last), first.abs_diff(last) + 1)
                    }
                }
            };
            vec![out.iter().enumerate().map(axis).collect()]
        }
        "core.pad" => {
            let (low, interior) = (a.dims("low"), a.ints("interior"));
            let range = (0..out.len()).map(|i| pad_source(out[i], size(&low[i]), interior[i], shapes[0][i]));
            vec![range.collect(), vec![]]
        }
        "core.concat" => {
            let axis = a.int("axis") as usize;
            let mut begin = 0;
            let each = shapes.iter().map(|s| {
                let mut range = out.to_vec();
                let (lo, hi) = (out[axis].0.max(begin), (out[axis].0 + out[axis].1).min(begin + s[axis]));
                range[axis] = if lo < hi { (lo - begin, hi - lo) } else { (0, 0) };
                begin += s[axis];
                range
            });
            each.collect()
        }
        "core.window" => {
            let rank = shapes[0].len();
            let mut range = out[..rank].to_vec();
            for (i, axis) in a.ints("axes").iter().enumerate() {
                let axis = *axis as usize;
                let (stride, dilation) = (a.ints("stride")[i] as usize, a.ints("dilation")[i] as usize);
                let (o, k) = (out[axis], out[rank + i]);
                range[axis] = match o.1 * k.1 {
                    0 => (0, 0),
                    _ => (o.0 * stride + k.0 * dilation, (o.1 - 1) * stride + (k.1 - 1) * dilation + 1),
                };
            }
            vec![range]
        }
        "core.reduce" => {
            let axes: Vec<usize> = a.ints("axes").iter().map(|x| *x as usize).collect();
            let mut kept = out.iter();
            let axis = |i: usize| match axes.iter().position(|x| *x == i) {
                Some(p) => folds[p],
                None => *kept.next().expect("one range for each kept axis"),
            };
            vec![(0..shapes[0].len()).map(axis).collect()]
        }
        "core.contract" => {
            let einsum = call.einsum.as_ref().expect("a contraction has an einsum");
            let mut ranges: BTreeMap<char, Range> = einsum.result.iter().copied().zip(out.iter().copied()).collect();
            ranges.extend(einsum.summed().into_iter().zip(folds.iter().copied()));
            einsum.operands.iter().map(|l| l.iter().map(|c| ranges[c]).collect()).collect()
        }
        "core.gather" => {
            let (axis, batch) = (a.int("axis") as usize, a.int("batch_dims") as usize);
            let inner = shapes[1].len() - batch;
            let mut data = out[..axis].to_vec();
            data.push((0, shapes[0][axis]));
            data.extend_from_slice(&out[axis + inner..]);
            let mut indices = out[..batch].to_vec();
            indices.extend_from_slice(&out[axis..axis + inner]);
            vec![data, indices]
        }
        "core.arg_reduce" => {
            let axis = a.int("axis") as usize;
            let mut range = out.to_vec();
            range.insert(axis, (0, shapes[0][axis]));
            vec![range]
        }
        "core.scan" => {
            let axis = a.int("axis") as usize;
            let mut range = out.to_vec();
            range[axis] = (0, shapes[0][axis]);
            vec![range]
        }
        _ => vec![],
    }
}

/// Elements of the operand of a pad that lie in a range of its result.
pub fn pad_source(out: Range, low: i64, interior: i64, n: usize) -> Range {
    let (lo, hi, step) = (out.0 as i64 - low, (out.0 + out.1) as i64 - low, interior + 1);
    let first = lo.div_euclid(step) + i64::from(lo.rem_euclid(step) != 0);
    let end = hi.div_euclid(step) + i64::from(hi.rem_euclid(step) != 0);
    let (first, end) = (first.clamp(0, n as i64), end.clamp(0, n as i64));
    if first < end { (first as usize, (end - first) as usize) } else { (0, 0) }
}

/// Axes of a reshape's operand and result that hold the same elements.
pub struct Group {
    pub from: (usize, usize),
    pub to: (usize, usize),
}

/// What a group needs, and how to find the wanted elements in it.
pub struct Cover {
    /// Ranges of the operand's axes; together one run of the group's elements.
    pub range: Vec<Range>,
    /// First element of that run.
    pub start: usize,
    /// The wanted run of elements, or `None`: the operand's group is whole and the result's ranges pick from it.
    pub run: Option<Range>,
}

/// Splits a reshape into the finest groups.
pub fn groups(from: &[usize], to: &[usize]) -> Vec<Group> {
    if from.contains(&0) || to.contains(&0) {
        return vec![Group { from: (0, from.len()), to: (0, to.len()) }];
    }
    let (mut i, mut j, mut out) = (0, 0, vec![]);
    while i < from.len() || j < to.len() {
        let (i0, j0) = (i, j);
        let (mut a, mut b) = (1usize, 1usize);
        if i < from.len() {
            a *= from[i];
            i += 1;
        }
        if j < to.len() {
            b *= to[j];
            j += 1;
        }
        while a != b {
            if a < b && i < from.len() {
                a *= from[i];
                i += 1;
            } else {
                b *= to[j];
                j += 1;
            }
        }
        out.push(Group { from: (i0, i), to: (j0, j) });
    }
    out
}

impl Group {
    /// The part of the operand that covers ranges of the result.
    pub fn cover(&self, from: &[usize], to: &[usize], out: &[Range]) -> Cover {
        let (dims, sizes) = (&from[self.from.0..self.from.1], &to[self.to.0..self.to.1]);
        let wanted = &out[self.to.0..self.to.1];
        let whole_group = || Cover { range: whole(dims), start: 0, run: None };
        // One run: single elements, then one range, then whole axes.
        let first = wanted.iter().position(|r| r.1 != 1).unwrap_or(wanted.len());
        let tail = (first + 1).min(wanted.len());
        if wanted.iter().any(|r| r.1 == 0) || (tail..wanted.len()).any(|i| wanted[i] != (0, sizes[i])) {
            return whole_group();
        }
        let flat = wanted.iter().zip(sizes).fold(0, |at, (r, n)| at * n + r.0);
        let count: usize = wanted.iter().map(|r| r.1).product();
        let (mut lo, mut hi) = (flat, flat + count - 1);
        let mut range = vec![];
        let (mut start, mut open) = (0, false);
        for (i, n) in dims.iter().enumerate() {
            let below: usize = dims[i + 1..].iter().product();
            if open {
                range.push((0, *n));
                continue;
            }
            let (a, z) = (lo / below, hi / below);
            range.push((a, z - a + 1));
            start += a * below;
            open = a != z;
            lo -= a * below;
            hi -= a * below;
        }
        Cover { range, start, run: Some((flat, count)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_covers_hold_every_wanted_element() {
        let cases: [(&[usize], &[usize]); 5] = [
            (&[4, 6], &[24]),
            (&[24], &[2, 3, 4]),
            (&[2, 3, 5, 4], &[2, 15, 2, 2]),
            (&[6, 4], &[4, 6]),
            (&[1, 5, 1], &[5]),
        ];
        for (from, to) in cases {
            let total: usize = to.iter().product();
            let strides = |s: &[usize], i: usize| s[i + 1..].iter().product::<usize>();
            for lo in 0..to[0] {
                for len in 1..=to[0] - lo {
                    let mut out = whole(to);
                    out[0] = (lo, len);
                    let mut range = vec![(0, 0); from.len()];
                    for g in groups(from, to) {
                        range[g.from.0..g.from.1].copy_from_slice(&g.cover(from, to, &out).range);
                    }
                    for e in 0..total {
                        let inside = (e / strides(to, 0)) % to[0];
                        let wanted = (lo..lo + len).contains(&inside);
                        let covered = (0..from.len()).all(|i| {
                            let x = (e / strides(from, i)) % from[i];
                            (range[i].0..range[i].0 + range[i].1).contains(&x)
                        });
                        assert!(!wanted || covered, "{from:?} {to:?} {out:?} {e}");
                    }
                }
            }
        }
    }
}
