//! Scalar functions of `core.map`, their exact meaning, and the encoding of element types.
//!
//! The exact meaning is float64 (integers: i64, wrapped to the dtype); see [`ScalarFn::eval`] and [`ScalarFn::eval_int`].

use half::{bf16, f16};
use tricot_types::DType;

macro_rules! scalar_fns {
    ($($variant:ident $name:literal $arity:literal $doc:literal,)*) => {
        /// A scalar function, by its name in `core.map {fn = …}`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum ScalarFn { $(#[doc = $doc] $variant,)* }

        impl ScalarFn {
            /// Every function.
            pub const ALL: &'static [ScalarFn] = &[$(ScalarFn::$variant,)*];
            /// Every name, as the `fn` attribute lists them.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];
            /// The name in text.
            pub const fn name(self) -> &'static str { match self { $(ScalarFn::$variant => $name,)* } }
            /// Number of operands.
            pub const fn arity(self) -> usize { match self { $(ScalarFn::$variant => $arity,)* } }
            /// One line for the op reference.
            pub const fn doc(self) -> &'static str { match self { $(ScalarFn::$variant => $doc,)* } }
        }

        impl std::str::FromStr for ScalarFn {
            type Err = String;
            fn from_str(s: &str) -> Result<ScalarFn, String> {
                match s { $($name => Ok(ScalarFn::$variant),)* _ => Err(format!("there is no scalar function `{s}`")) }
            }
        }
    };
}

scalar_fns! {
    Neg "neg" 1 "-x; integers wrap",
    Abs "abs" 1 "|x|",
    Sign "sign" 1 "-1, 0 or 1; NaN stays",
    Floor "floor" 1 "largest integer not above x",
    Ceil "ceil" 1 "smallest integer not below x",
    Round "round" 1 "nearest integer, ties to even",
    Trunc "trunc" 1 "integer part",
    Sqrt "sqrt" 1 "square root",
    Rsqrt "rsqrt" 1 "1 / sqrt(x)",
    Recip "recip" 1 "1 / x",
    Exp "exp" 1 "e^x",
    Exp2 "exp2" 1 "2^x",
    Expm1 "expm1" 1 "e^x - 1",
    Log "log" 1 "natural logarithm",
    Log2 "log2" 1 "logarithm to base 2",
    Log1p "log1p" 1 "log(1 + x)",
    Sin "sin" 1 "sine",
    Cos "cos" 1 "cosine",
    Tan "tan" 1 "tangent",
    Asin "asin" 1 "inverse sine",
    Acos "acos" 1 "inverse cosine",
    Atan "atan" 1 "inverse tangent",
    Sinh "sinh" 1 "hyperbolic sine",
    Cosh "cosh" 1 "hyperbolic cosine",
    Tanh "tanh" 1 "hyperbolic tangent",
    Asinh "asinh" 1 "inverse hyperbolic sine",
    Acosh "acosh" 1 "inverse hyperbolic cosine",
    Atanh "atanh" 1 "inverse hyperbolic tangent",
    Erf "erf" 1 "error function",
    Relu "relu" 1 "max(x, 0); NaN stays",
    Square "square" 1 "x * x",
    Sigmoid "sigmoid" 1 "1 / (1 + e^-x)",
    Not "not" 1 "logical not (bool)",
    BitNot "bit_not" 1 "bitwise complement (integers)",
    IsNan "is_nan" 1 "bool: x is NaN",
    IsInf "is_inf" 1 "bool: x is an infinity",
    Add "add" 2 "a + b; integers wrap",
    Sub "sub" 2 "a - b; integers wrap",
    Mul "mul" 2 "a * b; integers wrap",
    Div "div" 2 "a / b; integers truncate toward zero, by zero give 0",
    FloorDiv "floor_div" 2 "floor(a / b); integers by zero give 0",
    Mod "mod" 2 "remainder with the sign of b; integers by zero give 0",
    Rem "rem" 2 "remainder with the sign of a; integers by zero give 0",
    Pow "pow" 2 "a^b",
    Atan2 "atan2" 2 "angle of the point (b, a)",
    Min "min" 2 "smaller; NaN if either is NaN",
    Max "max" 2 "larger; NaN if either is NaN",
    And "and" 2 "logical or bitwise and",
    Or "or" 2 "logical or bitwise or",
    Xor "xor" 2 "logical or bitwise exclusive or",
    Shl "shl" 2 "a << b (integers); shifts of at least the width give 0",
    Shr "shr" 2 "a >> b (integers, arithmetic if signed); shifts of at least the width give 0 or the sign",
    Eq "eq" 2 "bool: a = b",
    Ne "ne" 2 "bool: a != b; true with NaN",
    Lt "lt" 2 "bool: a < b",
    Le "le" 2 "bool: a <= b",
    Gt "gt" 2 "bool: a > b",
    Ge "ge" 2 "bool: a >= b",
}

impl ScalarFn {
    /// Whether the result is bool whatever the operands are.
    pub fn is_predicate(self) -> bool {
        use ScalarFn::*;
        matches!(self, IsNan | IsInf | Eq | Ne | Lt | Le | Gt | Ge)
    }

    /// Result dtype for operands of `dtype`, or why there is none.
    pub fn result_dtype(self, dtype: DType) -> Result<DType, String> {
        use ScalarFn::*;
        let ok = match self {
            Not => dtype == DType::Bool,
            BitNot | Shl | Shr => dtype.is_int(),
            And | Or | Xor => dtype.is_int() || dtype == DType::Bool,
            Eq | Ne => true,
            Add | Mul | Max | Min | Sub | Lt | Le | Gt | Ge | Abs | Sign | Neg | Relu | Square | Div | FloorDiv
            | Mod | Rem | Pow => dtype != DType::Bool,
            _ => dtype.is_float(),
        };
        match ok {
            true if self.is_predicate() => Ok(DType::Bool),
            true => Ok(dtype),
            false => Err(format!("`{}` is not defined for {dtype}", self.name())),
        }
    }

    /// Value on floats. `b` is ignored by one-operand functions. Predicates give 0 or 1.
    pub fn eval(self, a: f64, b: f64) -> f64 {
        use ScalarFn::*;
        let truth = |t: bool| f64::from(u8::from(t));
        match self {
            Neg => -a,
            Abs => a.abs(),
            Sign if a.is_nan() || a == 0.0 => a,
            Sign => a.signum(),
            Floor => a.floor(),
            Ceil => a.ceil(),
            Round => a.round_ties_even(),
            Trunc => a.trunc(),
            Sqrt => a.sqrt(),
            Rsqrt => 1.0 / a.sqrt(),
            Recip => 1.0 / a,
            Exp => a.exp(),
            Exp2 => a.exp2(),
            Expm1 => a.exp_m1(),
            Log => a.ln(),
            Log2 => a.log2(),
            Log1p => a.ln_1p(),
            Sin => a.sin(),
            Cos => a.cos(),
            Tan => a.tan(),
            Asin => a.asin(),
            Acos => a.acos(),
            Atan => a.atan(),
            Sinh => a.sinh(),
            Cosh => a.cosh(),
            Tanh => a.tanh(),
            Asinh => a.asinh(),
            Acosh => a.acosh(),
            Atanh => a.atanh(),
            Erf => libm::erf(a),
            Relu if a.is_nan() => a,
            Relu => a.max(0.0),
            Square => a * a,
            Sigmoid => 1.0 / (1.0 + (-a).exp()),
            Not => truth(a == 0.0),
            BitNot | Shl | Shr => f64::NAN,
            IsNan => truth(a.is_nan()),
            IsInf => truth(a.is_infinite()),
            Add => a + b,
            Sub => a - b,
            Mul => a * b,
            Div => a / b,
            FloorDiv => (a / b).floor(),
            Mod => {
                let r = a % b;
                if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
            }
            Rem => a % b,
            Pow => a.powf(b),
            Atan2 => a.atan2(b),
            Min if a.is_nan() || b.is_nan() => f64::NAN,
            Max if a.is_nan() || b.is_nan() => f64::NAN,
            Min => a.min(b),
            Max => a.max(b),
            And => truth(a != 0.0 && b != 0.0),
            Or => truth(a != 0.0 || b != 0.0),
            Xor => truth((a != 0.0) != (b != 0.0)),
            Eq => truth(a == b),
            Ne => truth(a != b),
            Lt => truth(a < b),
            Le => truth(a <= b),
            Gt => truth(a > b),
            Ge => truth(a >= b),
        }
    }

    /// Value on integers of `dtype` (64-bit unsigned ones by two's complement), wrapped to it. Predicates give 0 or 1.
    /// Functions of floats only give 0.
    pub fn eval_int(self, dtype: DType, a: i64, b: i64) -> i64 {
        use ScalarFn::*;
        // Every integer type fits i128, where nothing below overflows except the power.
        let wide = |v: i64| if dtype == DType::U64 { i128::from(v as u64) } else { i128::from(v) };
        let (x, y) = (wide(a), wide(b));
        let truth = |t: bool| i128::from(t);
        let width = i128::from(dtype.bits());
        let value = match self {
            Neg => -x,
            Abs => x.abs(),
            Sign => x.signum(),
            Floor | Ceil | Round | Trunc => x,
            Relu => x.max(0),
            Square => x * x,
            Not => truth(x == 0),
            BitNot => !x,
            Add => x + y,
            Sub => x - y,
            Mul => x.wrapping_mul(y),
            Div | FloorDiv | Mod | Rem if y == 0 => 0,
            Div => x / y,
            FloorDiv => x / y - truth(x % y != 0 && (x < 0) != (y < 0)),
            Mod => {
                let r = x % y;
                if r != 0 && (r < 0) != (y < 0) { r + y } else { r }
            }
            Rem => x % y,
            Pow if y < 0 => match x {
                1 => 1,
                -1 => 1 - 2 * (y & 1),
                _ => 0,
            },
            Pow => (0..128)
                .rev()
                .fold(1i64, |p, bit| p.wrapping_mul(p).wrapping_mul(if y >> bit & 1 == 1 { a } else { 1 }))
                .into(),
            Min => x.min(y),
            Max => x.max(y),
            And => x & y,
            Or => x | y,
            Xor => x ^ y,
            Shl if !(0..width).contains(&y) => 0,
            Shl => x << y,
            Shr if !(0..width).contains(&y) => {
                if x < 0 {
                    -1
                } else {
                    0
                }
            }
            Shr => x >> y,
            Eq => truth(x == y),
            Ne => truth(x != y),
            Lt => truth(x < y),
            Le => truth(x <= y),
            Gt => truth(x > y),
            Ge => truth(x >= y),
            _ => 0,
        };
        if self.is_predicate() { value as i64 } else { wrap(dtype, value) }
    }
}

/// Wraps to the integer type by two's complement; `bool` becomes `!= 0`.
pub fn wrap(dtype: DType, v: i128) -> i64 {
    match dtype {
        DType::I32 => i64::from(v as i32),
        DType::I16 => i64::from(v as i16),
        DType::I8 => i64::from(v as i8),
        DType::I4 => i64::from(((v as i8) << 4) >> 4),
        DType::U32 => i64::from(v as u32),
        DType::U16 => i64::from(v as u16),
        DType::U8 => i64::from(v as u8),
        DType::U4 => i64::from(v as u8 & 15),
        DType::Bool => i64::from(v != 0),
        _ => v as i64,
    }
}

/// Rounds to a float dtype as `core.cast` in round mode does; `saturate` turns finite overflow into the largest finite value.
pub fn round_float(dtype: DType, v: f64, saturate: bool) -> f64 {
    let largest = match dtype {
        DType::F32 => f64::from(f32::MAX),
        DType::F16 => 65504.0,
        DType::BF16 => bf16::MAX.to_f64(),
        DType::F8E4M3 => 448.0,
        DType::F8E5M2 => 57344.0,
        _ => return v,
    };
    let rounded = match dtype {
        DType::F32 => f64::from(v as f32),
        DType::F16 => round_to_grid(v, 10, -14),
        DType::BF16 => round_to_grid(v, 7, -126),
        DType::F8E4M3 => round_to_grid(v, 3, -6),
        _ => round_to_grid(v, 2, -14),
    };
    match (rounded.abs() > largest, saturate && v.is_finite()) {
        (false, _) => rounded,
        (true, true) => largest.copysign(v),
        (true, false) if dtype == DType::F8E4M3 => f64::NAN,
        (true, false) => f64::INFINITY.copysign(v),
    }
}

/// Nearest multiple (ties to even) of the spacing of floats with `mantissa` bits and smallest normal exponent `emin`.
fn round_to_grid(v: f64, mantissa: i32, emin: i32) -> f64 {
    if v == 0.0 || !v.is_finite() {
        return v;
    }
    let exponent = ((v.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(emin);
    let step = 2f64.powi(exponent - mantissa);
    (v / step).round_ties_even() * step
}

fn f8_bits(dtype: DType, v: f64) -> u8 {
    let (mantissa, emin, nan) = if dtype == DType::F8E4M3 { (3, -6, 0x7f) } else { (2, -14, 0x7e) };
    let v = round_float(dtype, v, false);
    let sign = if v.is_sign_negative() { 0x80 } else { 0 };
    if v.is_nan() {
        return nan;
    }
    if v.is_infinite() {
        return sign | 0x7c; // e5m2 only
    }
    if v == 0.0 {
        return sign;
    }
    let exponent = ((v.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(emin);
    let units = (v.abs() / 2f64.powi(exponent - mantissa)) as u8;
    let biased = (exponent - emin) as u8;
    // A normal number's units carry the hidden bit, which adds one to the biased exponent.
    sign | (biased << mantissa).wrapping_add(units)
}

fn f8_value(dtype: DType, bits: u8) -> f64 {
    let (mantissa, emin) = if dtype == DType::F8E4M3 { (3, -6) } else { (2, -14) };
    let magnitude = bits & 0x7f;
    let (exponent, fraction) = (i32::from(magnitude >> mantissa), f64::from(magnitude & ((1 << mantissa) - 1)));
    let value = match (dtype, magnitude) {
        (DType::F8E4M3, 0x7f) => f64::NAN,
        (DType::F8E5M2, 0x7c) => f64::INFINITY,
        (DType::F8E5M2, m) if m > 0x7c => f64::NAN,
        _ if exponent == 0 => fraction * 2f64.powi(emin - mantissa),
        _ => (fraction + 2f64.powi(mantissa)) * 2f64.powi(exponent - 1 + emin - mantissa),
    };
    if bits & 0x80 != 0 { -value } else { value }
}

/// Integer value of a float for a cast: toward zero, saturating, NaN to 0.
pub fn float_to_int(dtype: DType, v: f64) -> i64 {
    match dtype {
        DType::Bool => i64::from(v != 0.0),
        DType::U64 => (v as u64) as i64,
        _ => {
            let (lo, hi) = dtype.int_range().expect("an integer type");
            (v as i128).clamp(lo, hi) as i64
        }
    }
}

/// Encodes values as bytes of `dtype`, little endian, converting as a cast in round mode.
pub fn encode(dtype: DType, values: &[f64]) -> Vec<u8> {
    match dtype {
        DType::F64 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F32 => values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
        DType::F16 => values.iter().flat_map(|v| f16::from_f64(round_float(dtype, *v, false)).to_le_bytes()).collect(),
        DType::BF16 => {
            values.iter().flat_map(|v| bf16::from_f64(round_float(dtype, *v, false)).to_le_bytes()).collect()
        }
        DType::F8E4M3 | DType::F8E5M2 => values.iter().map(|v| f8_bits(dtype, *v)).collect(),
        _ => encode_int(dtype, &values.iter().map(|v| float_to_int(dtype, *v)).collect::<Vec<_>>()),
    }
}

/// Encodes integers as bytes of `dtype`, wrapping; floats by value.
pub fn encode_int(dtype: DType, values: &[i64]) -> Vec<u8> {
    match dtype {
        _ if dtype.is_float() => encode(dtype, &values.iter().map(|v| *v as f64).collect::<Vec<_>>()),
        DType::I4 | DType::U4 => {
            values.chunks(2).map(|p| (p[0] as u8 & 15) | (p.get(1).map_or(0, |v| *v as u8 & 15) << 4)).collect()
        }
        DType::Bool => values.iter().map(|v| u8::from(*v != 0)).collect(),
        _ => {
            let width = dtype.bits() as usize / 8;
            values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(width)).collect()
        }
    }
}

/// Decodes `count` elements as f64.
pub fn decode(dtype: DType, bytes: &[u8], count: usize) -> Vec<f64> {
    match dtype {
        DType::F64 => bytes.as_chunks().0.iter().map(|c| f64::from_le_bytes(*c)).collect(),
        DType::F32 => bytes.as_chunks().0.iter().map(|c| f64::from(f32::from_le_bytes(*c))).collect(),
        DType::F16 => bytes.as_chunks().0.iter().map(|c| f16::from_le_bytes(*c).to_f64()).collect(),
        DType::BF16 => bytes.as_chunks().0.iter().map(|c| bf16::from_le_bytes(*c).to_f64()).collect(),
        DType::F8E4M3 | DType::F8E5M2 => bytes.iter().map(|b| f8_value(dtype, *b)).collect(),
        DType::U64 => bytes.as_chunks().0.iter().map(|c| u64::from_le_bytes(*c) as f64).collect(),
        _ => decode_int(dtype, bytes, count).into_iter().map(|v| v as f64).collect(),
    }
}

/// Decodes `count` elements as integers; floats truncate.
pub fn decode_int(dtype: DType, bytes: &[u8], count: usize) -> Vec<i64> {
    match dtype {
        _ if dtype.is_float() => decode(dtype, bytes, count).into_iter().map(|v| v as i64).collect(),
        DType::I64 | DType::U64 => bytes.as_chunks().0.iter().map(|c| i64::from_le_bytes(*c)).collect(),
        DType::I32 => bytes.as_chunks().0.iter().map(|c| i64::from(i32::from_le_bytes(*c))).collect(),
        DType::U32 => bytes.as_chunks().0.iter().map(|c| i64::from(u32::from_le_bytes(*c))).collect(),
        DType::I16 => bytes.as_chunks().0.iter().map(|c| i64::from(i16::from_le_bytes(*c))).collect(),
        DType::U16 => bytes.as_chunks().0.iter().map(|c| i64::from(u16::from_le_bytes(*c))).collect(),
        DType::I8 => bytes.iter().map(|b| i64::from(*b as i8)).collect(),
        DType::I4 | DType::U4 => (0..count).map(|i| wrap(dtype, i128::from(bytes[i / 2] >> (4 * (i % 2))))).collect(),
        _ => bytes.iter().map(|b| i64::from(*b)).collect(),
    }
}
