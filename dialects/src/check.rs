//! Small checks and graph fragments that the op families share.

use crate::attr::Attr;
use crate::builder::Builder;
use crate::graph::ValueId;
use crate::ty::TensorType;
use tricot_types::{DType, Diagnostic, Poly};

/// What decompositions and VJPs return.
pub(crate) type Values = Result<Vec<ValueId>, Diagnostic>;

/// `a + b` of sizes as a user wrote them: beyond 64 bits is an error, where the operators of [`Poly`] panic.
pub(crate) fn add(a: &Poly, b: &Poly) -> Result<Poly, String> {
    a.checked_add(b).ok_or_else(|| format!("{a} + {b} does not fit in 64 bits"))
}

/// `a - b`; see [`add`].
pub(crate) fn subtract(a: &Poly, b: &Poly) -> Result<Poly, String> {
    let negative = b.checked_neg();
    negative.and_then(|n| a.checked_add(&n)).ok_or_else(|| format!("{a} - {b} does not fit in 64 bits"))
}

/// `a b`; see [`add`].
pub(crate) fn multiply(a: &Poly, b: &Poly) -> Result<Poly, String> {
    a.checked_mul(b).ok_or_else(|| format!("{a} times {b} does not fit in 64 bits"))
}

/// `ceil(a / divisor)`; see [`add`].
pub(crate) fn ceil_div(a: &Poly, divisor: i64) -> Result<Poly, String> {
    Ok(add(a, &Poly::constant(divisor - 1))?.floor_div(divisor))
}

/// The operand must be a float tensor.
pub(crate) fn float(t: &TensorType, name: &str) -> Result<(), String> {
    match t.dtype.is_float() {
        true => Ok(()),
        false => Err(format!("{name} must be a float tensor, not {t}")),
    }
}

/// The operand must have this rank.
pub(crate) fn rank(t: &TensorType, name: &str, rank: usize) -> Result<(), String> {
    match t.rank() == rank {
        true => Ok(()),
        false => Err(format!("{name} must have rank {rank}, not {t}")),
    }
}

/// The operand must have this shape.
pub(crate) fn shape(t: &TensorType, name: &str, shape: &[Poly]) -> Result<(), String> {
    match t.shape == shape {
        true => Ok(()),
        false => Err(format!("{name} is {t}, expected {}", t.with_shape(shape.to_vec()))),
    }
}

/// The operand must have the first operand's dtype.
pub(crate) fn dtype(t: &TensorType, name: &str, dtype: DType) -> Result<(), String> {
    match t.dtype == dtype {
        true => Ok(()),
        false => Err(format!("{name} is {t}, expected elements of {dtype}")),
    }
}

/// The operand must hold positions.
pub(crate) fn positions(t: &TensorType, name: &str) -> Result<(), String> {
    match t.dtype {
        DType::I64 | DType::I32 => Ok(()),
        _ => Err(format!("{name} must be i64 or i32, not {t}")),
    }
}

/// A list attribute with a fixed number of entries, each at least `min`.
pub(crate) fn ints(list: &[i64], name: &str, count: usize, min: i64) -> Result<(), String> {
    if list.len() != count {
        return Err(format!("{name} needs {count} entries, not {}", list.len()));
    }
    match list.iter().find(|v| **v < min) {
        Some(v) => Err(format!("{name} holds {v}, the least is {min}")),
        None => Ok(()),
    }
}

/// A default of zero for a size attribute.
pub(crate) fn zero_dim() -> Attr {
    Attr::Dim(Poly::constant(0))
}

/// `value`, whose axes are those of `shape` without `axes`, repeated along `axes`: undoes the shape change of a reduction.
pub(crate) fn spread(b: &mut Builder<'_>, value: ValueId, shape: &[Poly], axes: &[i64]) -> Result<ValueId, Diagnostic> {
    let kept: Vec<i64> = (0..shape.len() as i64).filter(|a| !axes.contains(a)).collect();
    b.broadcast(value, shape, &kept)
}

/// A size as a value of a float type, broadcast to `shape`.
pub(crate) fn count(b: &mut Builder<'_>, size: &Poly, dtype: DType, shape: &[Poly]) -> Result<ValueId, Diagnostic> {
    match size.as_constant() {
        Some(n) => b.full(dtype, n as f64, shape),
        None => {
            let n = b.size(size)?;
            let n = b.cast(n, dtype)?;
            b.broadcast(n, shape, &[])
        }
    }
}

/// Runs `body` in the compute type of `x` and rounds its result once to the type of `x`.
pub(crate) fn wide(
    b: &mut Builder<'_>,
    x: ValueId,
    body: impl FnOnce(&mut Builder<'_>, ValueId) -> Result<ValueId, Diagnostic>,
) -> Values {
    let dtype = b.ty(x).dtype;
    let wide = b.cast(x, dtype.compute())?;
    let y = body(b, wide)?;
    Ok(vec![b.cast(y, dtype)?])
}

/// `f(x)` maps in a row.
pub(crate) fn chain(b: &mut Builder<'_>, x: ValueId, functions: &[&str]) -> Result<ValueId, Diagnostic> {
    functions.iter().try_fold(x, |v, f| b.map(f, &[v]))
}
