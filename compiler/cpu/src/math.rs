//! Elementary functions: exp, log, tanh and erf in f32 inline, everything else through the helper table.
//!
//! The inline forms work on scalars and lanes alike and within about 2 ulp. Range reductions and the tanh and log
//! polynomials follow W. J. Cody and W. Waite, "Software Manual for the Elementary Functions", and S. Moshier's Cephes.

use crate::emit::Emit;
use crate::value::{Class, Val, class};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{AbiParam, InstBuilder, Signature, Value, types};
use cranelift_codegen::isa::CallConv;
use tricot_kernel::Unary;
use tricot_plan::helpers::{BINARY, Slot, UNARY};
use tricot_types::DType;

/// Name of the helper behind an operation.
fn helper_name(op: Unary) -> Option<&'static str> {
    Some(match op {
        Unary::Exp => "exp",
        Unary::Exp2 => "exp2",
        Unary::Expm1 => "expm1",
        Unary::Log => "log",
        Unary::Log2 => "log2",
        Unary::Log1p => "log1p",
        Unary::Sin => "sin",
        Unary::Cos => "cos",
        Unary::Tan => "tan",
        Unary::Asin => "asin",
        Unary::Acos => "acos",
        Unary::Atan => "atan",
        Unary::Sinh => "sinh",
        Unary::Cosh => "cosh",
        Unary::Tanh => "tanh",
        Unary::Asinh => "asinh",
        Unary::Acosh => "acosh",
        Unary::Atanh => "atanh",
        Unary::Erf => "erf",
        _ => return None,
    })
}

impl Emit<'_> {
    /// An elementary function of a float value; the caller rounds to a small dtype.
    pub fn function(&mut self, op: Unary, x: &Val) -> Val {
        let dtype = x.dtype;
        if class(dtype) == Class::F32 {
            match op {
                Unary::Exp => return self.map(dtype, x, Self::exp_f32),
                Unary::Tanh => return self.map(dtype, x, Self::tanh_f32),
                Unary::Log => return self.map(dtype, x, Self::log_f32),
                Unary::Erf => return self.map(dtype, x, Self::erf_f32),
                _ => {}
            }
        }
        let Some(at) = helper_name(op).and_then(|name| UNARY.iter().position(|u| *u == name)) else {
            return self.unsupported(format!("`{op:?}` on {dtype}"), dtype);
        };
        let slot = if class(dtype) == Class::F64 { Slot::UnaryF64(at) } else { Slot::UnaryF32(at) };
        self.lanewise(dtype, &[x], |e, a| Val::scalar(dtype, e.call_math(slot, dtype, &[a[0].one()])))
    }

    /// A two-operand function of the table by name.
    pub fn function2(&mut self, name: &str, a: &Val, b: &Val) -> Val {
        let dtype = a.dtype;
        let at = BINARY.iter().position(|u| *u == name).expect("a helper of the table");
        let slot = if class(dtype) == Class::F64 { Slot::BinaryF64(at) } else { Slot::BinaryF32(at) };
        self.lanewise(dtype, &[a, b], |e, v| Val::scalar(dtype, e.call_math(slot, dtype, &[v[0].one(), v[1].one()])))
    }

    fn call_math(&mut self, slot: Slot, dtype: DType, args: &[Value]) -> Value {
        let ty = crate::value::scalar_type(dtype);
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.extend(args.iter().map(|_| AbiParam::new(ty)));
        signature.returns.push(AbiParam::new(ty));
        let call = self.call_helper(slot, signature, args);
        self.b.inst_results(call)[0]
    }

    /// `c[0] + x * (c[1] + x * …)` with fused steps.
    fn polynomial(&mut self, x: Value, c: &[f64]) -> Value {
        let ty = self.b.func.dfg.value_type(x);
        let mut sum = self.float_like(ty, c[c.len() - 1]);
        for c in c.iter().rev().skip(1) {
            let c = self.float_like(ty, *c);
            sum = self.b.ins().fma(sum, x, c);
        }
        sum
    }

    /// `2^n` for integral float lanes given as integers, |n| at most 126.
    fn power_of_two(&mut self, n: Value) -> Value {
        let ty = self.b.func.dfg.value_type(n);
        let bias = self.int_like(ty, 127);
        let biased = self.b.ins().iadd(n, bias);
        let bits = self.ishl_by(biased, 23);
        let float = if ty.is_vector() { types::F32X4 } else { types::F32 };
        self.bits(float, bits)
    }

    /// exp in f32: n = round(x / ln 2), a Taylor polynomial of the rest, and two exact scalings by powers of two.
    pub fn exp_f32(&mut self, x: Value) -> Value {
        let ty = self.b.func.dfg.value_type(x);
        let int = ty.as_int();
        let (lo, hi) = (self.float_like(ty, -105.0), self.float_like(ty, 89.5));
        // Comparisons are false for NaN, so NaN stays.
        let below = self.b.ins().fcmp(FloatCC::LessThan, x, lo);
        let x = self.pick(below, lo, x);
        let above = self.b.ins().fcmp(FloatCC::GreaterThan, x, hi);
        let x = self.pick(above, hi, x);
        // Adding 1.5 * 2^23 leaves the rounded integer in the low mantissa bits.
        let magic = self.float_like(ty, 12_582_912.0);
        let per_ln2 = self.float_like(ty, std::f64::consts::LOG2_E);
        let shifted = self.b.ins().fma(x, per_ln2, magic);
        let n_float = self.b.ins().fsub(shifted, magic);
        let shifted = self.bits(int, shifted);
        let magic = self.bits(int, magic);
        let n = self.b.ins().isub(shifted, magic);
        let (high, low) = (self.float_like(ty, -0.693_359_375), self.float_like(ty, 2.121_944_400_546_905_8e-4));
        let rest = self.b.ins().fma(n_float, high, x);
        let rest = self.b.ins().fma(n_float, low, rest);
        let taylor = [1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
        let value = self.polynomial(rest, &taylor);
        let half = self.sshr_by(n, 1);
        let other = self.b.ins().isub(n, half);
        let (half, other) = (self.power_of_two(half), self.power_of_two(other));
        let value = self.b.ins().fmul(value, half);
        self.b.ins().fmul(value, other)
    }

    /// tanh in f32: an odd polynomial near 0, `1 - 2 / (exp(2|x|) + 1)` elsewhere.
    fn tanh_f32(&mut self, x: Value) -> Value {
        let ty = self.b.func.dfg.value_type(x);
        let magnitude = self.b.ins().fabs(x);
        let double = self.b.ins().fadd(magnitude, magnitude);
        let exp = self.exp_f32(double);
        let (one, two) = (self.float_like(ty, 1.0), self.float_like(ty, 2.0));
        let denominator = self.b.ins().fadd(exp, one);
        let quotient = self.b.ins().fdiv(two, denominator);
        let large = self.b.ins().fsub(one, quotient);
        let large = self.with_sign(large, x);
        let square = self.b.ins().fmul(x, x);
        let odd = [
            -3.333_328_194_22e-1,
            1.333_144_220_36e-1,
            -5.373_971_555_31e-2,
            2.063_908_879_54e-2,
            -5.704_988_727_45e-3,
        ];
        let tail = self.polynomial(square, &odd);
        let tail = self.b.ins().fmul(tail, square);
        let small = self.b.ins().fma(tail, x, x);
        let limit = self.float_like(ty, 0.625);
        let near = self.b.ins().fcmp(FloatCC::LessThan, magnitude, limit);
        self.pick(near, small, large)
    }

    /// log in f32: exponent times ln 2 plus a polynomial of the mantissa in [sqrt(1/2), sqrt(2)).
    fn log_f32(&mut self, x: Value) -> Value {
        let ty = self.b.func.dfg.value_type(x);
        let int = ty.as_int();
        // Subnormals move up by 2^25 first.
        let smallest = self.float_like(ty, f64::from(f32::MIN_POSITIVE));
        let subnormal = self.b.ins().fcmp(FloatCC::LessThan, x, smallest);
        let up = self.float_like(ty, f64::from(1 << 25));
        let scaled = self.b.ins().fmul(x, up);
        let normal = self.pick(subnormal, scaled, x);
        let bits = self.bits(int, normal);
        // Exponent of x / sqrt(1/2), so that the mantissa falls in [sqrt(1/2), sqrt(2)).
        let root = self.int_like(int, 0x3f35_04f3);
        let moved = self.b.ins().isub(bits, root);
        let exponent = self.sshr_by(moved, 23);
        let back = self.ishl_by(exponent, 23);
        let mantissa = self.b.ins().isub(bits, back);
        let mantissa = self.bits(ty, mantissa);
        let (zero, correction) = (self.int_like(int, 0), self.int_like(int, 25));
        let subnormal_shape = if ty.is_vector() { self.bits(int, subnormal) } else { subnormal };
        let correction = self.pick(subnormal_shape, correction, zero);
        let exponent = self.b.ins().isub(exponent, correction);
        let exponent = self.b.ins().fcvt_from_sint(ty, exponent);
        let one = self.float_like(ty, 1.0);
        let f = self.b.ins().fsub(mantissa, one);
        let square = self.b.ins().fmul(f, f);
        let coefficients = [
            3.333_333_117_4e-1,
            -2.499_999_399_3e-1,
            2.000_071_476_5e-1,
            -1.666_805_766_5e-1,
            1.424_932_278_7e-1,
            -1.242_014_084_6e-1,
            1.167_699_874_0e-1,
            -1.151_461_031_0e-1,
            7.037_683_629_2e-2,
        ];
        let cubic = self.polynomial(f, &coefficients);
        let cubic = self.b.ins().fmul(cubic, f);
        let y = self.b.ins().fmul(cubic, square);
        let low = self.float_like(ty, -2.121_944_400_546_905_8e-4);
        let y = self.b.ins().fma(exponent, low, y);
        let half = self.float_like(ty, -0.5);
        let y = self.b.ins().fma(square, half, y);
        let y = self.b.ins().fadd(f, y);
        let high = self.float_like(ty, 0.693_359_375);
        let y = self.b.ins().fma(exponent, high, y);
        // Zero, negative, infinite and NaN arguments.
        let infinity = self.float_like(ty, f64::INFINITY);
        let is_large = self.b.ins().fcmp(FloatCC::Equal, x, infinity);
        let y = self.pick(is_large, infinity, y);
        let nothing = self.float_like(ty, 0.0);
        let minus = self.float_like(ty, f64::NEG_INFINITY);
        let is_zero = self.b.ins().fcmp(FloatCC::Equal, x, nothing);
        let y = self.pick(is_zero, minus, y);
        let nan = self.float_like(ty, f64::NAN);
        let invalid = self.b.ins().fcmp(FloatCC::UnorderedOrLessThan, x, nothing);
        self.pick(invalid, nan, y)
    }

    /// erf in f32: an odd polynomial below 1, `1 - exp(q(|x|))` above, with q fitted to the logarithm of erfc on [1, 4].
    fn erf_f32(&mut self, x: Value) -> Value {
        let ty = self.b.func.dfg.value_type(x);
        let magnitude = self.b.ins().fabs(x);
        let (four, one) = (self.float_like(ty, 4.0), self.float_like(ty, 1.0));
        let beyond = self.b.ins().fcmp(FloatCC::GreaterThan, magnitude, four);
        let limited = self.pick(beyond, four, magnitude);
        let centre = self.float_like(ty, 2.5);
        let y = self.b.ins().fsub(limited, centre);
        let log_erfc = [
            -7.806_815_277_05,
            -5.352_680_681_07,
            -9.438_936_402_73e-1,
            -1.085_851_701_26e-2,
            2.165_160_309_78e-3,
            -4.201_445_675_44e-4,
            7.739_442_549_19e-5,
            -1.330_939_038_46e-5,
            1.614_061_620_10e-6,
        ];
        let exponent = self.polynomial(y, &log_erfc);
        let rest = self.exp_f32(exponent);
        let large = self.b.ins().fsub(one, rest);
        let large = self.with_sign(large, x);
        let odd = [
            1.128_379_165_88,
            -3.761_262_690_36e-1,
            1.128_359_746_35e-1,
            -2.685_432_879_50e-2,
            5.189_311_940_92e-3,
            -8.018_854_979_05e-4,
            7.882_497_069_20e-5,
        ];
        let square = self.b.ins().fmul(x, x);
        let small = self.polynomial(square, &odd);
        let small = self.b.ins().fmul(small, x);
        let near = self.b.ins().fcmp(FloatCC::LessThan, magnitude, one);
        self.pick(near, small, large)
    }

    /// Rounds toward minus infinity when dividing an i64 register by a positive constant.
    pub fn floor_div_const(&mut self, x: Value, c: i64) -> Value {
        if c & (c - 1) == 0 {
            return self.sshr_by(x, i64::from(c.trailing_zeros()));
        }
        let divisor = self.i64(c);
        let quotient = self.b.ins().sdiv(x, divisor);
        let product = self.b.ins().imul(quotient, divisor);
        let below = self.b.ins().icmp(IntCC::SignedGreaterThan, product, x);
        let lower = self.b.ins().iadd_imm_s(quotient, -1);
        self.b.ins().select(below, lower, quotient)
    }
}
