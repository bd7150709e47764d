//! [`Unary`] and [`Binary`] on register values, with the meaning `tricot_kernel::scalar` gives them.

use super::{cast, constant, register, round_float, signed, wrap};
use crate::emit::{Builder, Cmp, FCmp, Ty, Val};
use crate::math;
use tricot_kernel::{Binary, CastMode, Const, Unary};
use tricot_types::DType;

/// Applies a one-operand operation to a value of `dtype`.
pub fn unary(b: &Builder, op: Unary, dtype: DType, x: Val) -> Val {
    if dtype == DType::Bool {
        return match op {
            Unary::Not | Unary::BitNot => b.not(x),
            Unary::IsNan | Unary::IsInf => b.bool(false),
            _ => via(b, op, dtype, DType::I32, x),
        };
    }
    if dtype.is_float() { float_unary(b, op, dtype, x) } else { int_unary(b, op, dtype, x) }
}

/// Computes in another dtype and casts back.
fn via(b: &Builder, op: Unary, dtype: DType, through: DType, x: Val) -> Val {
    let value = unary(b, op, through, cast(b, dtype, through, CastMode::Round, x));
    cast(b, through, dtype, CastMode::Round, value)
}

fn int_unary(b: &Builder, op: Unary, dtype: DType, x: Val) -> Val {
    let zero = b.zero(x.ty);
    let one = b.int(x.ty, 1);
    match op {
        Unary::Neg => wrap(b, dtype, b.sub(zero, x)),
        Unary::Abs if signed(dtype) => wrap(b, dtype, b.select(b.cmp(Cmp::Slt, x, zero), b.sub(zero, x), x)),
        Unary::Abs | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc => x,
        Unary::Sign if signed(dtype) => b.max_s(b.min_s(x, one), b.int(x.ty, -1)),
        Unary::Sign => b.min_u(x, one),
        Unary::BitNot => wrap(b, dtype, b.xor(x, b.int(x.ty, -1))),
        Unary::Not => b.cmp(Cmp::Eq, x, zero),
        Unary::IsNan | Unary::IsInf => b.bool(false),
        // The other functions are those of the float value, rounded back toward zero.
        _ => via(b, op, dtype, DType::F64, x),
    }
}

fn float_unary(b: &Builder, op: Unary, dtype: DType, x: Val) -> Val {
    let one = || b.float(x.ty, 1.0);
    // These results are in the type already.
    match op {
        Unary::Neg => return b.neg(x),
        Unary::Abs => return b.abs_f(x),
        Unary::Floor => return b.floor(x),
        Unary::Ceil => return b.ceil(x),
        Unary::Round => return b.round_even(x),
        Unary::Trunc => return b.trunc_to_int(x),
        Unary::Sign => {
            let zero = b.zero(x.ty);
            let sign = b.copysign(one(), x);
            // Zero and NaN stay.
            return b.select(b.cmp_f(FCmp::One, x, zero), sign, x);
        }
        Unary::Not => return b.cmp_f(FCmp::Oeq, x, b.zero(x.ty)),
        Unary::IsNan => return b.cmp_f(FCmp::Uno, x, x),
        Unary::IsInf => return b.cmp_f(FCmp::Oeq, b.abs_f(x), b.float(x.ty, f64::INFINITY)),
        Unary::BitNot => return cast_bits_not(b, dtype, x),
        _ => {}
    }
    let value = match op {
        Unary::Sqrt => b.sqrt(x),
        Unary::Rsqrt => b.div_f(one(), b.sqrt(x)),
        Unary::Recip => b.div_f(one(), x),
        Unary::Exp => math::exp(b, x),
        Unary::Exp2 => math::exp2(b, x),
        Unary::Expm1 => math::expm1(b, x),
        Unary::Log => math::log(b, x),
        Unary::Log2 => math::log2(b, x),
        Unary::Log1p => math::log1p(b, x),
        Unary::Sin => math::sin(b, x),
        Unary::Cos => math::cos(b, x),
        Unary::Tan => math::tan(b, x),
        Unary::Asin => math::asin(b, x),
        Unary::Acos => math::acos(b, x),
        Unary::Atan => math::atan(b, x),
        Unary::Sinh => math::sinh(b, x),
        Unary::Cosh => math::cosh(b, x),
        Unary::Tanh => math::tanh(b, x),
        Unary::Asinh => math::asinh(b, x),
        Unary::Acosh => math::acosh(b, x),
        Unary::Atanh => math::atanh(b, x),
        Unary::Erf => math::erf(b, x),
        _ => unreachable!("returned above"),
    };
    round_float(b, dtype, value)
}

/// Complement of a float's bits; no producer asks for it, but it has one obvious meaning.
fn cast_bits_not(b: &Builder, dtype: DType, x: Val) -> Val {
    let bits = super::memory::to_bits(b, dtype, x);
    super::memory::from_bits(b, dtype, b.xor(bits, b.int(bits.ty, -1)))
}

/// Applies a two-operand operation to values of `dtype`.
pub fn binary(b: &Builder, op: Binary, dtype: DType, x: Val, y: Val) -> Val {
    if let Some(order) = compare(op) {
        return match dtype {
            _ if dtype.is_float() => b.cmp_f(order.1, x, y),
            _ if signed(dtype) => b.cmp(order.0, x, y),
            _ => b.cmp(order.2, x, y),
        };
    }
    match dtype {
        DType::Bool => bool_binary(b, op, x, y),
        _ if dtype.is_float() => float_binary(b, op, dtype, x, y),
        _ => int_binary(b, op, dtype, x, y),
    }
}

/// Predicates for signed integers, floats and unsigned integers.
fn compare(op: Binary) -> Option<(Cmp, FCmp, Cmp)> {
    Some(match op {
        Binary::Eq => (Cmp::Eq, FCmp::Oeq, Cmp::Eq),
        Binary::Ne => (Cmp::Ne, FCmp::Une, Cmp::Ne),
        Binary::Lt => (Cmp::Slt, FCmp::Olt, Cmp::Ult),
        Binary::Le => (Cmp::Sle, FCmp::Ole, Cmp::Ule),
        Binary::Gt => (Cmp::Sgt, FCmp::Ogt, Cmp::Ugt),
        Binary::Ge => (Cmp::Sge, FCmp::Oge, Cmp::Uge),
        _ => return None,
    })
}

fn bool_binary(b: &Builder, op: Binary, x: Val, y: Val) -> Val {
    match op {
        Binary::And | Binary::Mul | Binary::Min => b.and(x, y),
        Binary::Or | Binary::Add | Binary::Max => b.or(x, y),
        Binary::Xor | Binary::Sub => b.xor(x, y),
        _ => {
            let wide = |v| b.resize_u(v, Ty::I32);
            b.cmp(Cmp::Ne, int_binary(b, op, DType::I32, wide(x), wide(y)), b.i32(0))
        }
    }
}

fn int_binary(b: &Builder, op: Binary, dtype: DType, x: Val, y: Val) -> Val {
    let ty = x.ty;
    let is_signed = signed(dtype);
    let zero = b.zero(ty);
    let value = match op {
        Binary::Add => b.add(x, y),
        Binary::Sub => b.sub(x, y),
        Binary::Mul => b.mul(x, y),
        Binary::And => b.and(x, y),
        Binary::Or => b.or(x, y),
        Binary::Xor => b.xor(x, y),
        Binary::Min => return if is_signed { b.min_s(x, y) } else { b.min_u(x, y) },
        Binary::Max => return if is_signed { b.max_s(x, y) } else { b.max_u(x, y) },
        Binary::Div | Binary::FloorDiv | Binary::Mod | Binary::Rem => return divide(b, op, dtype, x, y),
        Binary::Pow => math::int_pow(b, x, y, is_signed),
        Binary::Atan2 => {
            let wide = |v| cast(b, dtype, DType::F64, CastMode::Round, v);
            return cast(b, DType::F64, dtype, CastMode::Round, math::atan2(b, wide(x), wide(y)));
        }
        Binary::Shl | Binary::Shr => {
            // An amount of at least the width (as unsigned, so also a negative one) gives 0.
            let width = b.int(ty, i64::from(dtype.bits()));
            let in_range = b.cmp(Cmp::Ult, y, width);
            let amount = b.select(in_range, y, zero);
            let shifted = match op {
                Binary::Shl => b.shl(x, amount),
                _ if is_signed => b.shr_s(x, amount),
                _ => b.shr_u(x, amount),
            };
            b.select(in_range, shifted, zero)
        }
        Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => unreachable!("compared above"),
    };
    wrap(b, dtype, value)
}

/// Division and remainders: by zero gives 0, MIN / -1 gives MIN.
fn divide(b: &Builder, op: Binary, dtype: DType, x: Val, y: Val) -> Val {
    let ty = x.ty;
    let (zero, one) = (b.zero(ty), b.int(ty, 1));
    let by_zero = b.cmp(Cmp::Eq, y, zero);
    if !signed(dtype) {
        let divisor = b.select(by_zero, one, y);
        let value = match op {
            Binary::Div | Binary::FloorDiv => b.div_u(x, divisor),
            _ => b.rem_u(x, divisor),
        };
        return b.select(by_zero, zero, value);
    }
    // Dividing MIN by 1 in place of -1 gives the wanted MIN, remainder 0. Narrow types cannot overflow their register.
    let unsafe_divisor = if dtype.bits() >= 32 {
        let least = b.int(ty, if ty == Ty::I64 { i64::MIN } else { i64::from(i32::MIN) });
        let overflow = b.and(b.cmp(Cmp::Eq, x, least), b.cmp(Cmp::Eq, y, b.int(ty, -1)));
        b.or(by_zero, overflow)
    } else {
        by_zero
    };
    let divisor = b.select(unsafe_divisor, one, y);
    let remainder = || b.rem_s(x, divisor);
    // Whether quotient and remainder must step toward minus infinity.
    let step = || {
        let r = remainder();
        let differs = b.cmp(Cmp::Slt, b.xor(r, divisor), zero);
        b.and(b.cmp(Cmp::Ne, r, zero), differs)
    };
    let value = match op {
        Binary::Div => b.div_s(x, divisor),
        Binary::FloorDiv => b.sub(b.div_s(x, divisor), b.resize_u(step(), ty)),
        Binary::Rem => remainder(),
        _ => {
            let r = remainder();
            b.select(step(), b.add(r, divisor), r)
        }
    };
    b.select(by_zero, zero, wrap(b, dtype, value))
}

fn float_binary(b: &Builder, op: Binary, dtype: DType, x: Val, y: Val) -> Val {
    let value = match op {
        Binary::Min => return b.min_f(x, y),
        Binary::Max => return b.max_f(x, y),
        Binary::Add => b.add(x, y),
        Binary::Sub => b.sub(x, y),
        Binary::Mul => b.mul(x, y),
        Binary::Div => b.div_f(x, y),
        Binary::FloorDiv => b.floor(b.div_f(x, y)),
        Binary::Rem => math::fmod(b, x, y),
        Binary::Mod => {
            let r = math::fmod(b, x, y);
            let zero = b.zero(x.ty);
            let differs =
                b.cmp_f(FCmp::Olt, b.mul(b.copysign(b.float(x.ty, 1.0), r), b.copysign(b.float(x.ty, 1.0), y)), zero);
            let step = b.and(b.cmp_f(FCmp::One, r, zero), differs);
            b.select(step, b.add(r, y), r)
        }
        Binary::Pow => math::pow(b, x, y),
        Binary::Atan2 => math::atan2(b, x, y),
        Binary::And | Binary::Or | Binary::Xor | Binary::Shl | Binary::Shr => {
            // Only integers have these; a description that asks for them gets the operation on the truncated integers.
            let int = |v| cast(b, dtype, DType::I64, CastMode::Round, v);
            let bits = int_binary(b, op, DType::I64, int(x), int(y));
            return cast(b, DType::I64, dtype, CastMode::Round, bits);
        }
        Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => unreachable!("compared above"),
    };
    round_float(b, dtype, value)
}

/// Raises to a constant power where that is cheaper than [`math::pow`] and at least as exact.
pub(crate) fn constant_power(b: &Builder, dtype: DType, x: Val, exponent: Const) -> Option<Val> {
    let Const::Float(bits) = exponent else { return None };
    if !dtype.is_float() {
        return None;
    }
    let value = match f64::from_bits(bits) {
        0.0 => return Some(constant(b, dtype, Const::Float(1f64.to_bits()))),
        1.0 => x,
        2.0 => b.mul(x, x),
        3.0 => b.mul(b.mul(x, x), x),
        -1.0 => b.div_f(b.float(x.ty, 1.0), x),
        _ => return None,
    };
    debug_assert_eq!(value.ty, register(dtype));
    Some(round_float(b, dtype, value))
}
