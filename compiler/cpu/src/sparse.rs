//! `SparseContraction` as a dense one: operand A becomes an expression that reads values and metadata.
//!
//! The panel that the packing loop then writes is the decompressed block, one slice of k at a time.

use tricot_kernel::{
    Binary, CastMode, Contraction, Expr, ExprId, Exprs, Extent, Index, KernelDesc, Loop, Precision, SparseContraction,
};
use tricot_types::{DType, Diagnostic, Poly};

/// The description's expressions with A's added, and the dense contraction over them.
///
/// # Errors
/// TC0602 when a loop bound depends on data.
pub fn densify(desc: &KernelDesc, c: &SparseContraction) -> Result<(Exprs, Contraction), Diagnostic> {
    let size = |l: &Loop| match &l.extent {
        Extent::Size(p) => Ok(p.clone()),
        Extent::Dynamic(_) => {
            Err(Diagnostic::error("TC0602", "a sparse contraction with a loop bound that depends on data"))
        }
    };
    let (m, k) = (size(&c.m)?, size(&c.k)?);
    let mut e = desc.exprs.clone();
    // Row-major rows of `per_row` elements over (batch, m).
    let rows = |per_row: Poly| -> Result<Index, Diagnostic> {
        let mut index = Index::zero().plus(c.m.var, per_row.clone());
        let mut below = per_row * m.clone();
        for l in c.batch.iter().rev() {
            index = index.plus(l.var, below.clone());
            below = below * size(l)?;
        }
        Ok(index)
    };
    let at = e.var(c.k.var);
    let shift = |e: &mut Exprs, x: ExprId, by: i64| {
        let by = e.int(DType::I64, by);
        e.binary(Binary::Shr, x, by)
    };
    let mask = |e: &mut Exprs, x: ExprId, with: i64| {
        let with = e.int(e[x].dtype, with);
        e.binary(Binary::And, x, with)
    };
    let group = shift(&mut e, at, 2);
    let lane = mask(&mut e, at, 3);
    let lane = e.cast(lane, DType::I32, CastMode::Round);

    let values = desc.buffers[c.values as usize].dtype;
    let row = rows(k.floor_div(2))?;
    let first = e.load(values, c.values, row.clone().plus_dynamic(group, 2));
    let second = e.load(values, c.values, row.plus_dynamic(group, 2).shifted(1));

    let byte_at = shift(&mut e, at, 3);
    let byte = e.load(DType::U8, c.meta, rows(k.floor_div(8))?.plus_dynamic(byte_at, 1));
    let byte = e.cast(byte, DType::I32, CastMode::Round);
    let odd = mask(&mut e, group, 1);
    let odd = e.cast(odd, DType::Bool, CastMode::Round);
    let four = e.int(DType::I32, 4);
    let high = e.binary(Binary::Shr, byte, four);
    let nibble = e.select(odd, high, byte);
    let one = mask(&mut e, nibble, 3);
    let two = e.int(DType::I32, 2);
    let other = e.binary(Binary::Shr, nibble, two);
    let other = mask(&mut e, other, 3);

    let zero = e.push(values, Expr::Const(tricot_kernel::Const::Float(0)));
    let zero = if values.is_float() { zero } else { e.int(values, 0) };
    let is_second = e.binary(Binary::Eq, other, lane);
    let rest = e.select(is_second, second, zero);
    let is_first = e.binary(Binary::Eq, one, lane);
    let a = e.select(is_first, first, rest);
    let dense = Contraction {
        batch: c.batch.clone(),
        m: vec![c.m.clone()],
        n: c.n.clone(),
        k: vec![c.k.clone()],
        a,
        b: c.b,
        acc: c.acc,
        precision: Precision::Native,
        stores: c.stores.clone(),
    };
    Ok((e, dense))
}
