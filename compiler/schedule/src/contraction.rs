//! Matrix products: contractions with their epilogue, and those too thin for one as reductions.

use crate::coords::{linear, var};
use crate::eval::{At, Eval, Stop, internal};
use crate::flat::Flat;
use crate::nest::{Lowered, forward, is_bijective_view};
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::ValueId;
use tricot_dialects::core::Einsum;
use tricot_kernel::{
    Access, Binary, Body, CastMode, Contraction, Expr, ExprId, Index, Loop, LoopVar, Precision, SparseContraction,
    Store,
};
use tricot_types::{DType, Poly};

/// An einsum with the sizes of its letters.
pub struct Shape {
    pub spec: Einsum,
    pub sizes: BTreeMap<char, Poly>,
}

impl Shape {
    pub fn of(flat: &Flat, v: ValueId) -> Result<Shape, Stop> {
        let node = flat.node(v);
        let spec = Einsum::parse(node.attrs.str("spec")).map_err(|m| internal(node, &m))?;
        let shapes: Vec<&[Poly]> = node.operands().iter().map(|o| flat.ty(*o).shape.as_slice()).collect();
        let sizes = spec.sizes(shapes.into_iter()).map_err(|m| internal(node, &m))?;
        Ok(Shape { spec, sizes })
    }

    fn has(&self, operand: usize, c: char) -> bool {
        self.spec.operands[operand].contains(&c)
    }

    /// Letters worth a loop.
    fn real(&self, letters: impl Iterator<Item = char>) -> Vec<char> {
        letters.filter(|c| !self.sizes[c].is_one()).collect()
    }

    /// Result letters only operand `i` of two has.
    pub fn own(&self, i: usize) -> Vec<char> {
        self.real(self.spec.result.iter().copied().filter(|c| self.has(i, *c) && !self.has(1 - i, *c)))
    }

    /// Result letters both operands have.
    fn batch(&self) -> Vec<char> {
        self.real(self.spec.result.iter().copied().filter(|c| self.has(0, *c) && self.has(1, *c)))
    }

    /// Whether it is a matrix product: rows, columns and a sum. Others are maps or reductions.
    pub fn is_matrix(&self) -> bool {
        self.spec.operands.len() == 2
            && !self.own(0).is_empty()
            && !self.own(1).is_empty()
            && !self.real(self.spec.summed().into_iter()).is_empty()
    }
}

/// Whether a value is a matrix product.
pub fn is_matrix(flat: &Flat, v: ValueId) -> bool {
    flat.node(v).op.name == "core.contract" && Shape::of(flat, v).is_ok_and(|s| s.is_matrix())
}

/// The accumulator of a contraction of `operand` elements that gives `result`.
pub fn accumulator(operands: &[DType], result: DType) -> DType {
    match () {
        _ if result == DType::F64 || operands.contains(&DType::F64) => DType::F64,
        _ if result.is_float() => DType::F32,
        _ if operands.iter().all(|d| d.bits() <= 8) => DType::I32,
        _ => DType::I64,
    }
}

/// The loops over the summed letters and the product, for a contraction that becomes a reduction.
pub fn as_reduction(ev: &mut Eval<'_>, v: ValueId, at: &[Index]) -> Result<(Vec<Loop>, ExprId), Stop> {
    let flat = ev.flat;
    let shape = Shape::of(flat, v)?;
    if shape.is_matrix() {
        return Err(Stop::Store(v));
    }
    let mut position: BTreeMap<char, Index> = shape.spec.result.iter().copied().zip(at.iter().cloned()).collect();
    let mut loops = vec![];
    for c in shape.spec.summed() {
        let size = &shape.sizes[&c];
        if size.is_one() {
            position.insert(c, Index::zero());
            continue;
        }
        let k = ev.new_var(size);
        ev.inner.insert(k);
        loops.push(Loop::new(k, size.clone()));
        position.insert(c, var(k));
    }
    let operands = flat.node(v).operands();
    let dtypes: Vec<DType> = operands.iter().map(|o| flat.ty(*o).dtype).collect();
    let acc = accumulator(&dtypes, flat.ty(v).dtype);
    let mut product = None;
    for (o, letters) in operands.iter().zip(&shape.spec.operands) {
        let at: At = letters.iter().map(|c| position[c].clone()).collect();
        let x = ev.value(*o, &at, None)?;
        let x = ev.exprs.cast(x, acc, CastMode::Round);
        product = Some(match product {
            None => x,
            Some(p) => ev.exprs.binary(Binary::Mul, p, x),
        });
    }
    Ok((loops, product.expect("a contraction has operands")))
}

/// Computes the contraction `pivot` and the pointwise ops from it up to `root`, whose ways `region` lists in order.
pub fn lower(
    flat: &Flat,
    stored: &BTreeSet<ValueId>,
    pivot: ValueId,
    region: &[ValueId],
    root: ValueId,
) -> Result<Lowered, Stop> {
    let mut ev = Eval::new(flat, stored);
    let shape = Shape::of(flat, pivot)?;
    let mut vars: BTreeMap<char, LoopVar> = BTreeMap::new();
    for (c, size) in &shape.sizes {
        if !size.is_one() {
            vars.insert(*c, ev.new_var(size));
        }
    }
    let position = |letters: &[char]| -> At {
        letters.iter().map(|c| vars.get(c).map_or_else(Index::zero, |v| var(*v))).collect()
    };
    let operands = flat.node(pivot).operands();
    let dtypes: Vec<DType> = operands.iter().map(|o| flat.ty(*o).dtype).collect();
    let acc = accumulator(&dtypes, flat.ty(pivot).dtype);
    let group = |letters: Vec<char>| -> Vec<Loop> {
        letters.into_iter().map(|c| Loop::new(vars[&c], shape.sizes[&c].clone())).collect()
    };
    let (batch, mut m, mut n) = (group(shape.batch()), group(shape.own(0)), group(shape.own(1)));
    let k = group(shape.real(shape.spec.summed().into_iter()));
    let stores = epilogue(&mut ev, pivot, region, root, acc, position(&shape.spec.result))?;
    let mut sides = vec![];
    for (o, letters) in operands.iter().zip(&shape.spec.operands) {
        let x = ev.value(*o, &position(letters), None)?;
        if let Expr::Load { index, .. } = &ev.exprs[x].expr
            && !index.is_affine()
            && let plain = below_windows(flat, *o)
            && !stored.contains(&plain)
        {
            return Err(Stop::Store(plain));
        }
        // Operands of two integer types meet in the accumulator's; 4-bit ones are products of bytes.
        let dtype = match (dtypes[0] == dtypes[1], dtypes[0]) {
            (true, DType::I4) => DType::I8,
            (true, DType::U4) => DType::U8,
            (true, same) => same,
            (false, _) => acc,
        };
        sides.push(ev.exprs.cast(x, dtype, CastMode::Round));
    }
    // Columns hold the loop along which the result is contiguous.
    let contiguous = |l: &Loop| stores[0].index.affine.get(&l.var).is_some_and(Poly::is_one);
    if m.iter().any(contiguous) {
        std::mem::swap(&mut m, &mut n);
        sides.reverse();
    }
    let (a, b) = (sides[0], sides[1]);
    let body = Body::Contraction(Contraction { batch, m, n, k, a, b, acc, precision: Precision::Native, stores });
    Ok(Lowered::new(ev, body))
}

/// Computes the 2:4 product `pivot` and the pointwise ops from it up to `root`.
pub fn lower_sparse(
    flat: &Flat,
    stored: &BTreeSet<ValueId>,
    pivot: ValueId,
    region: &[ValueId],
    root: ValueId,
) -> Result<Lowered, Stop> {
    let mut ev = Eval::new(flat, stored);
    let [values, meta, b] = *flat.node(pivot).operands() else {
        return Err(internal(flat.node(pivot), "three operands are needed"));
    };
    for v in [values, meta] {
        if !stored.contains(&v) {
            return Err(Stop::Store(v));
        }
    }
    let out = flat.ty(pivot).shape.clone();
    let rank = out.len();
    let (batch, batch_at) = ev.domain(&out[..rank - 2]);
    let (m, n) = (ev.new_var(&out[rank - 2]), ev.new_var(&out[rank - 1]));
    let k_size = flat.ty(b).shape[rank - 2].clone();
    let k = ev.new_var(&k_size);
    let acc = accumulator(&[flat.ty(values).dtype], flat.ty(pivot).dtype);
    let mut at = batch_at.clone();
    at.extend([var(m), var(n)]);
    let stores = epilogue(&mut ev, pivot, region, root, acc, at)?;
    let mut at = batch_at;
    at.extend([var(k), var(n)]);
    let b_value = ev.value(b, &at, None)?;
    if let Expr::Load { index, .. } = &ev.exprs[b_value].expr
        && !index.is_affine()
        && !stored.contains(&b)
    {
        return Err(Stop::Store(b));
    }
    let body = Body::SparseContraction(SparseContraction {
        batch,
        m: Loop::new(m, out[rank - 2].clone()),
        n: vec![Loop::new(n, out[rank - 1].clone())],
        k: Loop::new(k, k_size),
        values: ev.buffer(values, Access::Read),
        meta: ev.buffer(meta, Access::Read),
        b: b_value,
        acc,
        stores,
    });
    Ok(Lowered::new(ev, body))
}

/// The stores of a kernel whose sum is the value `pivot`, at `at`.
pub fn epilogue(
    ev: &mut Eval<'_>,
    pivot: ValueId,
    region: &[ValueId],
    root: ValueId,
    acc: DType,
    at: At,
) -> Result<Vec<Store>, Stop> {
    let flat = ev.flat;
    ev.path.insert(pivot, at);
    for v in region {
        let node = flat.node(*v);
        let known = node.operands().iter().find_map(|o| ev.path.get(o).cloned());
        if let (Some(at), false) = (known, *v == pivot) {
            let at = if is_bijective_view(flat, *v) { forward(ev, *v, &at) } else { at };
            ev.path.insert(*v, at);
        }
    }
    let sum = ev.exprs.push(acc, Expr::Acc { stage: 0, acc: 0 });
    ev.pivot = Some((pivot, sum));
    let at = ev.path.get(&root).cloned().ok_or_else(|| internal(flat.node(root), "the epilogue does not reach it"))?;
    let value = ev.compute(root, &at, None)?;
    let index = linear(&at, &flat.ty(root).shape);
    let buffer = ev.buffer(root, Access::Write);
    Ok(vec![Store { buffer, index, value, guard: None }])
}

/// The value to store for an operand that should be a plain load: the operand, or what its windows slide over.
pub fn below_windows(flat: &Flat, operand: ValueId) -> ValueId {
    let (mut v, mut best) = (operand, operand);
    loop {
        let node = flat.node(v);
        match node.op.name {
            "core.window" | "core.pad" => {
                v = node.operands()[0];
                best = v;
            }
            "core.reshape" | "core.transpose" | "core.broadcast" | "core.slice" => v = node.operands()[0],
            _ => return best,
        }
    }
}
