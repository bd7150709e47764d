//! Scalar functions of the graph as kernel expressions.

use tricot_dialects::{Constant, ScalarFn};
use tricot_kernel::{Binary, CastMode, Const, Expr, ExprId, Exprs, Unary};
use tricot_types::DType;

/// A number of any dtype.
pub fn constant(e: &mut Exprs, dtype: DType, value: f64) -> ExprId {
    match dtype.is_float() {
        true => e.float(dtype, value),
        false => e.int(dtype, value as i64),
    }
}

/// The one value of a rank-0 constant.
pub fn splat(e: &mut Exprs, c: &Constant) -> ExprId {
    match c.dtype.is_float() {
        true => e.float(c.dtype, c.to_f64()[0]),
        false => e.int(c.dtype, c.to_i64()[0]),
    }
}

/// `f(args…)`, in the operands' dtype.
pub fn map(e: &mut Exprs, f: ScalarFn, args: &[ExprId]) -> ExprId {
    use ScalarFn::*;
    let x = args[0];
    let dtype = e[x].dtype;
    let unary = match f {
        Neg => Unary::Neg,
        Abs => Unary::Abs,
        Sign => Unary::Sign,
        Floor => Unary::Floor,
        Ceil => Unary::Ceil,
        Round => Unary::Round,
        Trunc => Unary::Trunc,
        Sqrt => Unary::Sqrt,
        Rsqrt => Unary::Rsqrt,
        Recip => Unary::Recip,
        Exp => Unary::Exp,
        Exp2 => Unary::Exp2,
        Expm1 => Unary::Expm1,
        Log => Unary::Log,
        Log2 => Unary::Log2,
        Log1p => Unary::Log1p,
        Sin => Unary::Sin,
        Cos => Unary::Cos,
        Tan => Unary::Tan,
        Asin => Unary::Asin,
        Acos => Unary::Acos,
        Atan => Unary::Atan,
        Sinh => Unary::Sinh,
        Cosh => Unary::Cosh,
        Tanh => Unary::Tanh,
        Asinh => Unary::Asinh,
        Acosh => Unary::Acosh,
        Atanh => Unary::Atanh,
        Erf => Unary::Erf,
        Not => Unary::Not,
        BitNot => Unary::BitNot,
        IsNan => Unary::IsNan,
        IsInf => Unary::IsInf,
        Relu => {
            let zero = constant(e, dtype, 0.0);
            return e.binary(Binary::Max, x, zero);
        }
        Square => return e.binary(Binary::Mul, x, x),
        Sigmoid => {
            // One rounding at the end, as the graph's op has.
            let wide = e.cast(x, dtype.compute(), CastMode::Round);
            let negative = e.unary(Unary::Neg, wide);
            let exp = e.unary(Unary::Exp, negative);
            let one = e.float(dtype.compute(), 1.0);
            let sum = e.binary(Binary::Add, one, exp);
            let value = e.unary(Unary::Recip, sum);
            return e.cast(value, dtype, CastMode::Round);
        }
        Add | Sub | Mul | Div | FloorDiv | Mod | Rem | Pow | Atan2 | Min | Max | And | Or | Xor | Shl | Shr | Eq
        | Ne | Lt | Le | Gt | Ge => return binary(e, f, x, args[1]),
    };
    match (unary, dtype.is_float()) {
        // Integers have no fraction, no NaN and no infinity.
        (Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc, false) => x,
        (Unary::IsNan | Unary::IsInf, false) => e.int(DType::Bool, 0),
        _ => e.unary(unary, x),
    }
}

fn binary(e: &mut Exprs, f: ScalarFn, a: ExprId, b: ExprId) -> ExprId {
    use ScalarFn::*;
    let op = match f {
        Add => Binary::Add,
        Sub => Binary::Sub,
        Mul => Binary::Mul,
        Div => Binary::Div,
        FloorDiv => Binary::FloorDiv,
        Mod => Binary::Mod,
        Rem => Binary::Rem,
        Pow => Binary::Pow,
        Atan2 => Binary::Atan2,
        Min => Binary::Min,
        Max => Binary::Max,
        And => Binary::And,
        Or => Binary::Or,
        Xor => Binary::Xor,
        Shl => Binary::Shl,
        Shr => Binary::Shr,
        Eq => Binary::Eq,
        Ne => Binary::Ne,
        Lt => Binary::Lt,
        Le => Binary::Le,
        Gt => Binary::Gt,
        _ => Binary::Ge,
    };
    let dtype = e[a].dtype;
    if op == Binary::Shr && dtype.is_signed_int() {
        // The graph's shift by at least the width leaves the sign, which is what a shift by width - 1 gives. A negative
        // count is at least the width too.
        let last = e.int(dtype, i64::from(dtype.bits()) - 1);
        let zero = e.int(dtype, 0);
        let capped = e.binary(Binary::Min, b, last);
        let negative = e.binary(Binary::Lt, b, zero);
        let count = e.select(negative, last, capped);
        return e.binary(op, a, count);
    }
    e.binary(op, a, b)
}

/// Element number `i` of `core.random`.
pub fn random(e: &mut Exprs, dtype: DType, normal: bool, seed: i64, i: ExprId) -> ExprId {
    const STEP: i64 = 0x9E37_79B9_7F4A_7C15u64 as i64;
    let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let i = e.cast(i, DType::U64, CastMode::Round);
    let fraction = |e: &mut Exprs, which: i64| {
        let two = e.int(DType::U64, 2);
        let at = e.binary(Binary::Mul, i, two);
        let which = e.int(DType::U64, which);
        let at = e.binary(Binary::Add, at, which);
        let step = e.int(DType::U64, STEP);
        let at = e.binary(Binary::Mul, at, step);
        let seed = e.int(DType::U64, seed);
        let at = e.binary(Binary::Add, at, seed);
        let word = splitmix64(e, at);
        let (drop, scale) = if wide == DType::F64 { (12, 2f64.powi(-52)) } else { (40, 2f64.powi(-24)) };
        let drop = e.int(DType::U64, drop);
        let bits = e.binary(Binary::Shr, word, drop);
        let value = e.cast(bits, wide, CastMode::Round);
        let scale = e.float(wide, scale);
        e.binary(Binary::Mul, value, scale)
    };
    let u1 = fraction(e, 0);
    let value = match normal {
        false => u1,
        true => {
            let u2 = fraction(e, 1);
            let one = e.float(wide, 1.0);
            let rest = e.binary(Binary::Sub, one, u1);
            let log = e.unary(Unary::Log, rest);
            let minus_two = e.float(wide, -2.0);
            let square = e.binary(Binary::Mul, minus_two, log);
            let radius = e.unary(Unary::Sqrt, square);
            let turn = e.float(wide, std::f64::consts::TAU);
            let angle = e.binary(Binary::Mul, turn, u2);
            let cos = e.unary(Unary::Cos, angle);
            e.binary(Binary::Mul, radius, cos)
        }
    };
    e.cast(value, dtype, CastMode::Round)
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): state to word.
fn splitmix64(e: &mut Exprs, state: ExprId) -> ExprId {
    let step = e.int(DType::U64, 0x9E37_79B9_7F4A_7C15u64 as i64);
    let mut z = e.binary(Binary::Add, state, step);
    let mut mix = |z: ExprId, shift: i64| {
        let by = e.push(DType::U64, Expr::Const(Const::Int(shift)));
        let high = e.binary(Binary::Shr, z, by);
        e.binary(Binary::Xor, z, high)
    };
    z = mix(z, 30);
    let c = e.int(DType::U64, 0xBF58_476D_1CE4_E5B9u64 as i64);
    z = e.binary(Binary::Mul, z, c);
    z = {
        let by = e.int(DType::U64, 27);
        let high = e.binary(Binary::Shr, z, by);
        e.binary(Binary::Xor, z, high)
    };
    let c = e.int(DType::U64, 0x94D0_49BB_1331_11EBu64 as i64);
    z = e.binary(Binary::Mul, z, c);
    let by = e.int(DType::U64, 31);
    let high = e.binary(Binary::Shr, z, by);
    e.binary(Binary::Xor, z, high)
}
