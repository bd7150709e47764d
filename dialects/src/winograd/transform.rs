//! The filter, input and output transforms: a pair of constant matrices around the image axes.

use super::matrices::{Matrices, Matrix, dyadic};
use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::Builder;
use crate::check::{Values, add, ceil_div, float, ints, rank, subtract};
use crate::constant::Constant;
use crate::graph::ValueId;
use crate::op::{AttrDef, Meaning, OpDef, OpView, Work, defaulted, one, required, result};
use crate::ty::{Encoding, TensorType};
use tricot_types::{Diagnostic, Poly};

const M: AttrDef = required("m", AttrKind::Int, "outputs of a tile per axis");
const R: AttrDef = required("r", AttrKind::Int, "filter taps per axis");

/// Checks F(m, r) and gives m, r and the tile m + r - 1.
fn sizes(attrs: &Attrs) -> Result<(i64, i64, i64), String> {
    let (m, r) = (attrs.int("m"), attrs.int("r"));
    Matrices::new(m, r)?;
    Ok((m, r, m + r - 1))
}

fn encoded(view: &OpView<'_>, shape: Vec<Poly>) -> TensorType {
    let (m, r) = (view.attrs.int("m") as u32, view.attrs.int("r") as u32);
    TensorType { encoding: Some(Encoding::Winograd { m, r }), ..TensorType::new(view.operands[0].dtype, shape) }
}

/// `matrix x matrix^T` on two axes of `x`: an einsum whose first and last operand is the matrix, result in the type of `x`
/// (f32 or f64). `at` are the result axes the rows of the matrix become.
fn both_sides(
    b: &mut Builder<'_>,
    x: ValueId,
    matrix: &Matrix,
    spec: &str,
    at: [i64; 2],
) -> Result<ValueId, Diagnostic> {
    let dtype = b.ty(x).dtype;
    let (values, factors) = dyadic(matrix);
    let shape = vec![matrix.len() as u64, matrix[0].len() as u64];
    let constant = b.constant(Constant::from_f64(dtype, shape, &values))?;
    let y = b.contract(spec, &[constant, x, constant], dtype)?;
    if factors.iter().all(|f| *f == 1.0) {
        return Ok(y);
    }
    let n = factors.len() as u64;
    let products: Vec<f64> = factors.iter().flat_map(|a| factors.iter().map(move |c| a * c)).collect();
    let divisor = b.constant(Constant::from_f64(dtype, vec![n, n], &products))?;
    let shape = b.ty(y).shape.clone();
    let divisor = b.broadcast(divisor, &shape, &at)?;
    b.map("div", &[y, divisor])
}

fn matrices(attrs: &Attrs) -> Matrices {
    Matrices::new(attrs.int("m"), attrs.int("r")).expect("verified")
}

fn infer_filter(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let w = &view.operands[0];
    float(w, "w")?;
    rank(w, "w", 4)?;
    let (_, r, tile) = sizes(view.attrs)?;
    if w.shape[2..] != [Poly::constant(r), Poly::constant(r)] {
        return Err(format!("w is {w}, expected {r} by {r} taps"));
    }
    let [tile, f, c] = [Poly::constant(tile), w.shape[0].clone(), w.shape[1].clone()];
    Ok(vec![encoded(&view, vec![tile.clone(), tile, f, c])])
}

/// Two matrix products, one after the other, per filter.
fn work_filter(view: OpView<'_>) -> Work {
    let w = &view.operands[0];
    let (r, tile) = (view.attrs.int("r"), view.attrs.int("m") + view.attrs.int("r") - 1);
    let each = 2 * (tile * r * r + tile * tile * r);
    Work { flops: w.shape[0].clone() * w.shape[1].clone() * Poly::constant(each) }
}

pub static FILTER: OpDef = OpDef {
    name: "winograd.filter",
    summary: "Transforms convolution filters to the tap domain.",
    doc: "`u[x, y, f, c] = sum_kl G[x, k] w[f, c, k, l] G[y, l]`. The matrices of F(m, r) come from exact rationals on the points 0, 1, \
          -1, 2, -2, 1/2, -1/2, 4, -4, 1/4, -1/4, 3, -3, 1/3, -1/3 and infinity, as many as the tile `a = m + r - 1` needs (2 to 16). \
          Computed in f32 for 16- and 8-bit floats. Source: arXiv 1509.09308.",
    operands: &[one("w", "float [f, c, r, r]")],
    attrs: &[M, R],
    results: &[result("u", "[a, a, f, c], the dtype of `w`, encoding winograd<m, r>")],
    infer: infer_filter,
    meaning: Meaning::Decompose(|b, attrs, v| {
        crate::check::wide(b, v[0], |b, w| both_sides(b, w, &matrices(attrs).g, "xk,fckl,yl->xyfc", [0, 1]))
    }),
    work: work_filter,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&FILTER, b, attrs, v, g)),
};

/// Per image axis: output size and number of tiles.
fn tiles(size: &Poly, pads: i64, m: i64, r: i64) -> Result<(Poly, Poly), String> {
    let out = subtract(&add(size, &Poly::constant(pads))?, &Poly::constant(r - 1))?;
    let count = ceil_div(&out, m)?;
    Ok((out, count))
}

fn infer_input(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let x = &view.operands[0];
    float(x, "x")?;
    rank(x, "x", 4)?;
    let (m, r, tile) = sizes(view.attrs)?;
    let pad = view.attrs.ints("pad");
    ints(pad, "pad", 4, 0)?;
    let mut shape = vec![Poly::constant(tile), Poly::constant(tile), x.shape[0].clone()];
    for i in 0..2 {
        let pads = pad[i].checked_add(pad[2 + i]).ok_or("the padding is too large")?;
        let (out, count) = tiles(&x.shape[2 + i], pads, m, r)?;
        if out.as_constant().is_some_and(|c| c < 1) {
            return Err(format!("{r} taps do not fit into {} with {pads} of padding", x.shape[2 + i]));
        }
        shape.push(count);
    }
    shape.push(x.shape[1].clone());
    Ok(vec![encoded(&view, shape)])
}

fn work_input(view: OpView<'_>) -> Work {
    let elements = infer_input(view).map(|t| t[0].elements()).unwrap_or_default();
    let tile = view.attrs.int("m") + view.attrs.int("r") - 1;
    Work { flops: elements * Poly::constant(4 * tile) }
}

fn decompose_input(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let (m, r) = (attrs.int("m"), attrs.int("r"));
    let (tile, pad) = (m + r - 1, attrs.ints("pad"));
    crate::check::wide(b, v[0], |b, x| {
        let shape = b.ty(x).shape.clone();
        let zero = Poly::constant(0);
        let (mut low, mut high) = (vec![zero.clone(); 4], vec![zero; 4]);
        for i in 0..2 {
            let (out, count) = tiles(&shape[2 + i], pad[i] + pad[2 + i], m, r).expect("verified");
            low[2 + i] = Poly::constant(pad[i]);
            // Zeros beyond the padding fill the last tile.
            high[2 + i] = Poly::constant(pad[2 + i]) + count * Poly::constant(m) - out;
        }
        let padded = if low.iter().chain(&high).all(Poly::is_zero) { x } else { b.pad(x, &low, &high, 0.0)? };
        let attrs_window = Attrs::new()
            .with("axes", vec![2, 3])
            .with("size", vec![tile; 2])
            .with("stride", vec![m; 2])
            .with("dilation", vec![1, 1]);
        let windows = b.one("core.window", &[padded], attrs_window)?;
        both_sides(b, windows, &matrices(attrs).bt, "xi,nchwij,yj->xynhwc", [0, 1])
    })
}

pub static INPUT: OpDef = OpDef {
    name: "winograd.input",
    summary: "Transforms image tiles to the tap domain.",
    doc: "The padded image splits into tiles of `a = m + r - 1` by `a` elements, `m` apart, `th = ceil(oh / m)` by `tw = ceil(ow / m)` of \
          them, zeros beyond the end; `v[x, y, n, h, w, c] = sum_ij BT[x, i] d[n, c, h, w, i, j] BT[y, j]`. Stride and dilation are 1. \
          Computed in f32 for 16- and 8-bit floats. Source: arXiv 1509.09308.",
    operands: &[one("x", "float [n, c, h, w]")],
    attrs: &[M, R, defaulted("pad", AttrKind::Ints, || Attr::Ints(vec![0; 4]), "[top, left, bottom, right]")],
    results: &[result("v", "[a, a, n, th, tw, c], the dtype of `x`, encoding winograd<m, r>")],
    infer: infer_input,
    meaning: Meaning::Decompose(decompose_input),
    work: work_input,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&INPUT, b, attrs, v, g)),
};

fn infer_output(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let y = &view.operands[0];
    float(y, "y")?;
    rank(y, "y", 6)?;
    let (m, r, tile) = sizes(view.attrs)?;
    let mine = Encoding::Winograd { m: m as u32, r: r as u32 };
    if y.encoding.is_some_and(|e| e != mine) {
        return Err(format!("y is {y}, expected the encoding {mine}"));
    }
    let size = view.attrs.dims("size");
    if size.len() != 2 {
        return Err(format!("size needs 2 entries, not {}", size.len()));
    }
    if y.shape[..2] != [Poly::constant(tile), Poly::constant(tile)] {
        return Err(format!("y is {y}, expected {tile} by {tile} taps"));
    }
    for i in 0..2 {
        let tiles = ceil_div(&size[i], m)?;
        if tiles != y.shape[3 + i] {
            return Err(format!("{} outputs need {tiles} tiles of {m}, y has {}", size[i], y.shape[3 + i]));
        }
    }
    Ok(vec![TensorType::new(y.dtype, [&y.shape[2], &y.shape[5], &size[0], &size[1]].map(Clone::clone))])
}

fn work_output(view: OpView<'_>) -> Work {
    let y = &view.operands[0];
    let (m, tile) = (view.attrs.int("m"), view.attrs.int("m") + view.attrs.int("r") - 1);
    let each = 2 * (m * tile * tile + m * m * tile);
    let tiles: Poly = y.shape.iter().skip(2).cloned().product();
    Work { flops: tiles * Poly::constant(each) }
}

fn decompose_output(b: &mut Builder<'_>, attrs: &Attrs, v: &[ValueId]) -> Values {
    let (m, size) = (Poly::constant(attrs.int("m")), attrs.dims("size"));
    crate::check::wide(b, v[0], |b, y| {
        let tiled = both_sides(b, y, &matrices(attrs).at, "pi,ijnhwf,qj->nfhpwq", [3, 5])?;
        let t = b.ty(tiled).shape.clone();
        let (height, width) = (t[2].clone() * m.clone(), t[4].clone() * m);
        let image = b.reshape(tiled, &[t[0].clone(), t[1].clone(), height, width])?;
        let out = [t[0].clone(), t[1].clone(), size[0].clone(), size[1].clone()];
        match b.ty(image).shape == out {
            true => Ok(image),
            false => b.slice(image, &vec![Poly::constant(0); 4], &out, &[1; 4]),
        }
    })
}

pub static OUTPUT: OpDef = OpDef {
    name: "winograd.output",
    summary: "Transforms tap products back to an image.",
    doc: "`z[n, f, h * m + p, w * m + q] = sum_ij AT[p, i] y[i, j, n, h, w, f] AT[q, j]`, cut to `size`. Computed in f32 for 16- and 8-bit \
          floats. Source: arXiv 1509.09308.",
    operands: &[one("y", "float [a, a, n, th, tw, f], encoding winograd<m, r> or none")],
    attrs: &[M, R, required("size", AttrKind::Dims, "[oh, ow], of which `th` and `tw` tiles are needed")],
    results: &[result("z", "[n, f, oh, ow], the dtype of `y`")],
    infer: infer_output,
    meaning: Meaning::Decompose(decompose_output),
    work: work_output,
    vjp: Some(|b, attrs, v, _, g| crate::gradient::through_decomposition(&OUTPUT, b, attrs, v, g)),
};
