//! Maps, selections and casts.

use crate::Mode;
use crate::array::{Array, each, map1, map2};
use crate::lower::Call;
use crate::tensor::Data;
use tricot_dialects::ScalarFn;
use tricot_dialects::scalar::{decode, decode_int, encode, encode_int, float_to_int, round_float, wrap};
use tricot_types::DType;

pub fn map(call: &Call, dtype: DType, v: &[Array]) -> Array {
    let f: ScalarFn = call.attrs.str("fn").parse().expect("verified");
    let shape = v[0].shape.clone();
    let a = &v[0];
    let b = v.get(1);
    match (&*a.data, f.is_predicate()) {
        (Data::Float(x), true) => Array::ints(
            shape,
            match b {
                None => map1(x, a, |x| f.eval(x, 0.0) as i64),
                Some(b) => {
                    let y = b.f();
                    match f {
                        ScalarFn::Lt => map2(x, a, y, b, |x, y| i64::from(x < y)),
                        ScalarFn::Le => map2(x, a, y, b, |x, y| i64::from(x <= y)),
                        ScalarFn::Gt => map2(x, a, y, b, |x, y| i64::from(x > y)),
                        ScalarFn::Ge => map2(x, a, y, b, |x, y| i64::from(x >= y)),
                        _ => map2(x, a, y, b, |x, y| f.eval(x, y) as i64),
                    }
                }
            },
        ),
        (Data::Float(x), false) => Array::floats(
            shape,
            match b {
                None => match f {
                    ScalarFn::Exp => map1(x, a, f64::exp),
                    ScalarFn::Neg => map1(x, a, |x| -x),
                    ScalarFn::Square => map1(x, a, |x| x * x),
                    _ => map1(x, a, |x| f.eval(x, 0.0)),
                },
                Some(b) => {
                    let y = b.f();
                    match f {
                        ScalarFn::Add => map2(x, a, y, b, |x, y| x + y),
                        ScalarFn::Sub => map2(x, a, y, b, |x, y| x - y),
                        ScalarFn::Mul => map2(x, a, y, b, |x, y| x * y),
                        ScalarFn::Div => map2(x, a, y, b, |x, y| x / y),
                        _ => map2(x, a, y, b, |x, y| f.eval(x, y)),
                    }
                }
            },
        ),
        (Data::Int(x), _) => Array::ints(
            shape,
            match b {
                None => map1(x, a, |x| f.eval_int(dtype, x, 0)),
                Some(b) => {
                    let y = b.i();
                    let signed = dtype != DType::U64;
                    match f {
                        ScalarFn::And => map2(x, a, y, b, |x, y| x & y),
                        ScalarFn::Or => map2(x, a, y, b, |x, y| x | y),
                        ScalarFn::Eq => map2(x, a, y, b, |x, y| i64::from(x == y)),
                        ScalarFn::Lt if signed => map2(x, a, y, b, |x, y| i64::from(x < y)),
                        ScalarFn::Le if signed => map2(x, a, y, b, |x, y| i64::from(x <= y)),
                        ScalarFn::Gt if signed => map2(x, a, y, b, |x, y| i64::from(x > y)),
                        ScalarFn::Ge if signed => map2(x, a, y, b, |x, y| i64::from(x >= y)),
                        ScalarFn::Add if dtype == DType::I64 => map2(x, a, y, b, i64::wrapping_add),
                        ScalarFn::Sub if dtype == DType::I64 => map2(x, a, y, b, i64::wrapping_sub),
                        _ => map2(x, a, y, b, |x, y| f.eval_int(dtype, x, y)),
                    }
                }
            },
        ),
    }
}

pub fn select(v: &[Array]) -> Array {
    let [cond, then, other] = v else { unreachable!("operand count is verified") };
    let c = cond.i();
    let shape = cond.shape.clone();
    match &*then.data {
        Data::Float(x) => Array::floats(shape, pick(c, x, other.f(), [cond, then, other])),
        Data::Int(x) => Array::ints(shape, pick(c, x, other.i(), [cond, then, other])),
    }
}

fn pick<T: Copy + Send + Sync + Default>(c: &[i64], x: &[T], y: &[T], arrays: [&Array; 3]) -> Vec<T> {
    each(&arrays, &|out, at, step| {
        for (i, o) in out.iter_mut().enumerate() {
            let p = |k: usize| (at[k] + i as isize * step[k]) as usize;
            *o = if c[p(0)] != 0 { x[p(1)] } else { y[p(2)] };
        }
    })
}

pub fn cast(call: &Call, from: DType, v: &[Array], mode: Mode) -> Array {
    let (to, how) = (call.attrs.dtype("to"), call.attrs.str("mode"));
    let (x, shape) = (&v[0], v[0].shape.clone());
    if how == "bits" {
        let bytes = match x.dense().into_data() {
            Data::Float(v) => encode(from, &v),
            Data::Int(v) => encode_int(from, &v),
        };
        let count = x.len();
        return match to.is_float() {
            true => Array::floats(shape, decode(to, &bytes, count)),
            false => Array::ints(shape, decode_int(to, &bytes, count)),
        };
    }
    let saturate = how == "saturate";
    match (&*x.data, to.is_float()) {
        // Exact floats have no precision to lose; only an explicit saturation bounds them.
        (Data::Float(v), true) if mode == Mode::Exact => match saturate {
            true => {
                let top = largest(to);
                Array::floats(shape, map1(v, x, |x| if x.is_finite() { x.clamp(-top, top) } else { x }))
            }
            false => x.clone(),
        },
        (Data::Float(v), true) => Array::floats(shape, map1(v, x, |x| round_float(to, x, saturate))),
        (Data::Float(v), false) => Array::ints(shape, map1(v, x, |x| float_to_int(to, x))),
        (Data::Int(v), true) if from == DType::U64 => Array::floats(shape, map1(v, x, |x| x as u64 as f64)),
        (Data::Int(v), true) => Array::floats(shape, map1(v, x, |x| x as f64)),
        (Data::Int(v), false) => {
            let wide = move |x: i64| if from == DType::U64 { i128::from(x as u64) } else { i128::from(x) };
            let (lo, hi) = to.int_range().expect("an integer type or bool");
            Array::ints(
                shape,
                match saturate && to != DType::Bool {
                    true => map1(v, x, |x| wide(x).clamp(lo, hi) as i64),
                    false => map1(v, x, |x| wrap(to, wide(x))),
                },
            )
        }
    }
}

/// Largest finite value of a float type.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::MAX,
        // Any larger finite value saturates to it.
        _ => round_float(dtype, f64::MAX, true),
    }
}
