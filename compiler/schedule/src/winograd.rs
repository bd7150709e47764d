//! Winograd transforms as straight-line code per tile, the exact constant matrices unrolled.

use crate::coords::{constant, linear, scale};
use crate::eval::{At, Eval, Stop, internal};
use crate::flat::Flat;
use crate::nest::Lowered;
use std::collections::BTreeSet;
use tricot_dialects::winograd::{Matrices, dyadic};
use tricot_dialects::{Node, TensorType, ValueId};
use tricot_kernel::{Access, Binary, Body, CastMode, ExprId, Exprs, Index, Nest, Stage, Store};
use tricot_types::{DType, Poly};

/// Largest tile that is unrolled; larger ones decompose.
const MAX_TILE: i64 = 8;

/// Whether a transform is kept whole.
pub fn keeps(node: &Node, _: &[TensorType]) -> bool {
    is_transform(node.op.name) && node.attrs.int("m") + node.attrs.int("r") - 1 <= MAX_TILE
}

/// Whether this module lowers an op.
pub fn is_transform(name: &str) -> bool {
    matches!(name, "winograd.input" | "winograd.filter" | "winograd.output")
}

/// `sum_i coefficient_i * x_i` without products by 0 and 1.
fn combination(e: &mut Exprs, row: &[f64], xs: &[ExprId], wide: DType) -> ExprId {
    let mut sum: Option<ExprId> = None;
    for (c, x) in row.iter().zip(xs) {
        if *c == 0.0 {
            continue;
        }
        let term = match c.abs() {
            1.0 => *x,
            m => {
                let m = e.float(wide, m);
                e.binary(Binary::Mul, *x, m)
            }
        };
        sum = Some(match (sum, *c < 0.0) {
            (None, false) => term,
            (None, true) => e.unary(tricot_kernel::Unary::Neg, term),
            (Some(s), false) => e.binary(Binary::Add, s, term),
            (Some(s), true) => e.binary(Binary::Sub, s, term),
        });
    }
    sum.unwrap_or_else(|| e.float(wide, 0.0))
}

/// `matrix x matrix^T` of a square of values, by rows; common terms are computed once.
fn both_sides(e: &mut Exprs, matrix: &tricot_dialects::winograd::Matrix, xs: &[ExprId], wide: DType) -> Vec<ExprId> {
    let (values, factors) = dyadic(matrix);
    let n = matrix[0].len();
    let rows: Vec<&[f64]> = values.chunks(n).collect();
    // Columns first: t[x][j] = sum_i M[x][i] d[i][j].
    let t: Vec<Vec<ExprId>> = rows
        .iter()
        .map(|row| {
            let column = |e: &mut Exprs, j: usize| {
                let xs: Vec<ExprId> = (0..n).map(|i| xs[i * n + j]).collect();
                combination(e, row, &xs, wide)
            };
            (0..n).map(|j| column(e, j)).collect()
        })
        .collect();
    let mut out = vec![];
    for (x, column) in t.iter().enumerate() {
        for (y, row) in rows.iter().enumerate() {
            let value = combination(e, row, column, wide);
            let factor = factors[x] * factors[y];
            out.push(match factor == 1.0 {
                true => value,
                false => {
                    let f = e.float(wide, factor);
                    e.binary(Binary::Div, value, f)
                }
            });
        }
    }
    out
}

/// The kernel of a transform with the pointwise ops in `region` after it, up to `root`.
pub fn lower(flat: &Flat, stored: &BTreeSet<ValueId>, pivot: ValueId, root: ValueId) -> Result<Lowered, Stop> {
    let mut ev = Eval::new(flat, stored);
    let node = flat.node(pivot);
    let x = node.operands()[0];
    let (m, r) = (node.attrs.int("m"), node.attrs.int("r"));
    let matrices = Matrices::new(m, r).map_err(|e| internal(node, &e))?;
    let (from, to) = (flat.ty(x).shape.clone(), flat.ty(pivot).shape.clone());
    let wide = flat.ty(x).dtype.compute();
    let number = |i: i64| constant(i);
    // Loops, positions of what is read with a guard, and positions of what is written with a guard.
    let (matrix, shape) = match node.op.name {
        "winograd.filter" => (&matrices.g, vec![from[0].clone(), from[1].clone()]),
        "winograd.input" => (&matrices.bt, to[2..].to_vec()),
        _ => (&matrices.at, vec![from[2].clone(), from[5].clone(), from[3].clone(), from[4].clone()]),
    };
    let (parallel, at) = ev.domain(&shape);
    let (n_in, n_out) = (matrix[0].len() as i64, matrix.len() as i64);
    let mut xs = vec![];
    for i in 0..n_in {
        for j in 0..n_in {
            let (position, guard): (At, Option<ExprId>) = match node.op.name {
                "winograd.filter" => (vec![at[0].clone(), at[1].clone(), number(i), number(j)], None),
                "winograd.output" => {
                    let [n, f, h, w] = [0, 1, 2, 3].map(|a| at[a].clone());
                    (vec![number(i), number(j), n, h, w, f], None)
                }
                _ => {
                    let pad = node.attrs.ints("pad");
                    let mut guard = None;
                    let mut image = vec![at[0].clone(), at[3].clone()];
                    for (axis, offset) in [(0, i), (1, j)] {
                        let c = scale(&at[1 + axis], &m.into()).shifted(offset - pad[axis]);
                        guard = within(&mut ev, &c, &from[2 + axis], &to[3 + axis], m, offset, pad[axis], guard);
                        image.push(c);
                    }
                    (image, guard)
                }
            };
            let mut e = ev.value(x, &position, guard)?;
            if let Some(guard) = guard
                && !stored.contains(&x)
            {
                let zero = ev.exprs.float(flat.ty(x).dtype, 0.0);
                e = ev.exprs.select(guard, e, zero);
            }
            xs.push(ev.exprs.cast(e, wide, CastMode::Round));
        }
    }
    if let Some((v, _)) = ev.reductions.first() {
        return Err(Stop::Store(*v));
    }
    let values = both_sides(&mut ev.exprs, matrix, &xs, wide);
    let dtype = flat.ty(pivot).dtype;
    let mut targets: Vec<(At, Option<ExprId>, ExprId)> = vec![];
    for p in 0..n_out {
        for q in 0..n_out {
            let value = ev.exprs.cast(values[(p * n_out + q) as usize], dtype, CastMode::Round);
            let mut guard = None;
            let position: At = match node.op.name {
                "winograd.output" => {
                    let mut out = vec![at[0].clone(), at[1].clone()];
                    for (axis, offset) in [(0, p), (1, q)] {
                        let c = scale(&at[2 + axis], &m.into()).shifted(offset);
                        let tiles = &from[3 + axis];
                        // The last tile may reach over the image's end.
                        let last = (tiles.clone() - 1.into()) * m.into() + offset.into();
                        if !flat.at_most(&(last + 1.into()), &to[2 + axis]) {
                            let (e, end) = (ev.coordinate(&c), ev.size(&to[2 + axis]));
                            let ok = ev.exprs.binary(Binary::Lt, e, end);
                            guard = Some(ev.both(guard, ok));
                        }
                        out.push(c);
                    }
                    out
                }
                _ => [number(p), number(q)].into_iter().chain(at.iter().cloned()).collect(),
            };
            targets.push((position, guard, value));
        }
    }
    ev.tiles = Some((pivot, targets.iter().map(|(at, _, value)| (at.clone(), *value)).collect()));
    let mut stores = vec![];
    for (position, guard, _) in targets {
        let value = ev.compute(root, &position, guard)?;
        let buffer = ev.buffer(root, Access::Write);
        stores.push(Store { buffer, index: linear(&position, &flat.ty(root).shape), value, guard });
    }
    if let Some((v, _)) = ev.reductions.first() {
        return Err(Stop::Store(*v));
    }
    Ok(Lowered::new(ev, Body::Nest(Nest { parallel, stages: vec![Stage::Store { loops: vec![], stores }] })))
}

/// `0 <= c < size` where that is not certain; `c = tile * m + offset - pad`.
#[allow(clippy::too_many_arguments)]
fn within(
    ev: &mut Eval<'_>,
    c: &Index,
    size: &Poly,
    tiles: &Poly,
    m: i64,
    offset: i64,
    pad: i64,
    mut guard: Option<ExprId>,
) -> Option<ExprId> {
    let e = ev.coordinate(c);
    if offset < pad {
        let zero = ev.exprs.int(DType::I64, 0);
        let ok = ev.exprs.binary(Binary::Ge, e, zero);
        guard = Some(ev.both(guard, ok));
    }
    let last = (tiles.clone() - 1.into()) * m.into() + (offset - pad).into();
    if !ev.flat.at_most(&(last + 1.into()), size) {
        let end = ev.size(size);
        let ok = ev.exprs.binary(Binary::Lt, e, end);
        guard = Some(ev.both(guard, ok));
    }
    guard
}
