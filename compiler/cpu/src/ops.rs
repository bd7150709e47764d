//! The scalar operations of the kernel language on values: one place each for floats, integers and bools.
//!
//! Meanings follow `tricot_kernel::scalar`: integers wrap, division by zero gives 0, min and max carry NaN, a 16- or
//! 8-bit float result is rounded to its type. Knows no memory and no loops.

use crate::emit::Emit;
use crate::value::{Class, Val, class, part_type, scalar_type};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use tricot_kernel::{Binary, CastMode, Unary};
use tricot_types::DType;

/// Whether a condition orders its operands as unsigned numbers.
fn is_unsigned_order(cc: IntCC) -> bool {
    use IntCC::*;
    matches!(cc, UnsignedLessThan | UnsignedLessThanOrEqual | UnsignedGreaterThan | UnsignedGreaterThanOrEqual)
}

impl Emit<'_> {
    /// A float constant of a dtype, rounded to it.
    pub fn constant_float(&mut self, dtype: DType, value: f64) -> Val {
        let value = crate::convert::small(dtype).map_or(value, |f| f.round(value));
        let value = match class(dtype) {
            Class::F64 => self.b.ins().f64const(value),
            _ => self.b.ins().f32const(value as f32),
        };
        Val::scalar(dtype, value)
    }

    /// An integer or bool constant of a dtype.
    pub fn constant_int(&mut self, dtype: DType, value: i64) -> Val {
        match class(dtype) {
            Class::I64 => {
                let v = self.i64(value);
                Val::scalar(dtype, v)
            }
            Class::Bool => {
                let v = self.b.ins().iconst(types::I8, i64::from(value != 0));
                Val::scalar(dtype, v)
            }
            Class::I32 => {
                let v = self.int_like(types::I32, value);
                self.normalised(Val::scalar(dtype, v))
            }
            Class::F64 | Class::F32 => self.constant_float(dtype, value as f64),
        }
    }

    /// `op x`.
    pub fn unary(&mut self, op: Unary, x: &Val) -> Val {
        match class(x.dtype) {
            Class::F64 | Class::F32 => self.unary_float(op, x),
            Class::I64 | Class::I32 => self.unary_int(op, x),
            Class::Bool => match op {
                Unary::Not | Unary::BitNot => self.not(x),
                Unary::IsNan | Unary::IsInf => self.constant_int(DType::Bool, 0),
                _ => x.clone(),
            },
        }
    }

    /// Logical not.
    pub fn not(&mut self, x: &Val) -> Val {
        self.map(DType::Bool, x, |e, v| if x.vector { e.b.ins().bnot(v) } else { e.b.ins().bxor_imm_s(v, 1) })
    }

    fn unary_float(&mut self, op: Unary, x: &Val) -> Val {
        let dtype = x.dtype;
        let exact = |e: &mut Self, f: &mut dyn FnMut(&mut Self, Value) -> Value| e.map(dtype, x, |e, v| f(e, v));
        let out = match op {
            Unary::Neg => return exact(self, &mut |e, v| e.b.ins().fneg(v)),
            Unary::Abs => return exact(self, &mut |e, v| e.b.ins().fabs(v)),
            Unary::Floor => return exact(self, &mut |e, v| e.b.ins().floor(v)),
            Unary::Ceil => exact(self, &mut |e, v| e.b.ins().ceil(v)),
            Unary::Round => exact(self, &mut |e, v| e.b.ins().nearest(v)),
            Unary::Trunc => return exact(self, &mut |e, v| e.b.ins().trunc(v)),
            Unary::Sign => {
                return exact(self, &mut |e, v| {
                    let ty = e.b.func.dfg.value_type(v);
                    let (zero, one) = (e.float_like(ty, 0.0), e.float_like(ty, 1.0));
                    let signed = e.with_sign(one, v);
                    let magnitude = e.b.ins().fabs(v);
                    let has_sign = e.b.ins().fcmp(FloatCC::GreaterThan, magnitude, zero);
                    e.pick(has_sign, signed, v)
                });
            }
            Unary::IsNan => return self.compare(x, x, |e, v, _| e.unordered(v)),
            Unary::IsInf => {
                let magnitude = self.map(dtype, x, |e, v| e.b.ins().fabs(v));
                let infinity = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
                let infinity = self.constant_float(infinity, f64::INFINITY);
                return self.compare(&magnitude, &infinity, |e, a, b| e.b.ins().fcmp(FloatCC::Equal, a, b));
            }
            Unary::Not => {
                let nonzero = self.is_nonzero(x);
                return self.not(&nonzero);
            }
            Unary::BitNot => x.clone(),
            Unary::Sqrt => exact(self, &mut |e, v| e.b.ins().sqrt(v)),
            Unary::Recip | Unary::Rsqrt => exact(self, &mut |e, v| {
                let v = if op == Unary::Rsqrt { e.b.ins().sqrt(v) } else { v };
                let one = e.float_like(e.b.func.dfg.value_type(v), 1.0);
                e.b.ins().fdiv(one, v)
            }),
            _ => self.function(op, x),
        };
        self.rounded(out)
    }

    fn unary_int(&mut self, op: Unary, x: &Val) -> Val {
        let dtype = x.dtype;
        let out = match op {
            Unary::Neg => self.map(dtype, x, |e, v| e.b.ins().ineg(v)),
            Unary::Abs if dtype.is_signed_int() => self.map(dtype, x, |e, v| e.b.ins().iabs(v)),
            Unary::BitNot => self.map(dtype, x, |e, v| e.b.ins().bnot(v)),
            Unary::Sign => {
                let zero = self.constant_int(dtype, 0);
                let (one, minus) = (self.constant_int(dtype, 1), self.constant_int(dtype, -1));
                let positive = self.binary(Binary::Ne, x, &zero);
                let sign = self.choose(&positive, &one, &zero);
                if !dtype.is_signed_int() {
                    return sign;
                }
                let negative = self.binary(Binary::Lt, x, &zero);
                return self.choose(&negative, &minus, &sign);
            }
            Unary::Abs | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc => return x.clone(),
            Unary::IsNan | Unary::IsInf => return self.constant_int(DType::Bool, 0),
            Unary::Not => {
                let nonzero = self.is_nonzero(x);
                return self.not(&nonzero);
            }
            _ => {
                let wide = self.cast(x, DType::F64, CastMode::Round);
                let out = self.unary_float(op, &wide);
                return self.cast(&out, dtype, CastMode::Round);
            }
        };
        self.normalised(out)
    }

    /// `a op b`, equal dtypes.
    pub fn binary(&mut self, op: Binary, a: &Val, b: &Val) -> Val {
        match class(a.dtype) {
            Class::F64 | Class::F32 => self.binary_float(op, a, b),
            Class::I64 | Class::I32 => self.binary_int(op, a, b),
            Class::Bool => self.binary_bool(op, a, b),
        }
    }

    fn binary_bool(&mut self, op: Binary, a: &Val, b: &Val) -> Val {
        let and = |e: &mut Self, a: &Val, b: &Val| e.zip(DType::Bool, a, b, |e, x, y| e.b.ins().band(x, y));
        match op {
            Binary::And | Binary::Mul | Binary::Min => and(self, a, b),
            Binary::Or | Binary::Add | Binary::Max => self.zip(DType::Bool, a, b, |e, x, y| e.b.ins().bor(x, y)),
            Binary::Xor | Binary::Sub | Binary::Ne => self.zip(DType::Bool, a, b, |e, x, y| e.b.ins().bxor(x, y)),
            Binary::Eq => {
                let differ = self.zip(DType::Bool, a, b, |e, x, y| e.b.ins().bxor(x, y));
                self.not(&differ)
            }
            Binary::Lt | Binary::Gt | Binary::Le | Binary::Ge => {
                let (low, high) = if matches!(op, Binary::Lt | Binary::Ge) { (a, b) } else { (b, a) };
                let not_low = self.not(low);
                let less = and(self, &not_low, high);
                if matches!(op, Binary::Lt | Binary::Gt) { less } else { self.not(&less) }
            }
            _ => {
                let (x, y) = (self.cast(a, DType::I32, CastMode::Round), self.cast(b, DType::I32, CastMode::Round));
                let out = self.binary_int(op, &x, &y);
                self.is_nonzero(&out)
            }
        }
    }

    fn binary_float(&mut self, op: Binary, a: &Val, b: &Val) -> Val {
        let dtype = a.dtype;
        let condition = match op {
            Binary::Eq => Some(FloatCC::Equal),
            Binary::Ne => Some(FloatCC::NotEqual),
            Binary::Lt => Some(FloatCC::LessThan),
            Binary::Le => Some(FloatCC::LessThanOrEqual),
            Binary::Gt => Some(FloatCC::GreaterThan),
            Binary::Ge => Some(FloatCC::GreaterThanOrEqual),
            _ => None,
        };
        if let Some(cc) = condition {
            return self.compare(a, b, |e, x, y| e.b.ins().fcmp(cc, x, y));
        }
        let out = match op {
            Binary::Add => self.zip(dtype, a, b, |e, x, y| e.b.ins().fadd(x, y)),
            Binary::Sub => self.zip(dtype, a, b, |e, x, y| e.b.ins().fsub(x, y)),
            Binary::Mul => self.zip(dtype, a, b, |e, x, y| e.b.ins().fmul(x, y)),
            Binary::Div => self.zip(dtype, a, b, |e, x, y| e.b.ins().fdiv(x, y)),
            Binary::Min => return self.zip(dtype, a, b, |e, x, y| e.b.ins().fmin(x, y)),
            Binary::Max => return self.zip(dtype, a, b, |e, x, y| e.b.ins().fmax(x, y)),
            Binary::FloorDiv => {
                let quotient = self.zip(dtype, a, b, |e, x, y| e.b.ins().fdiv(x, y));
                self.map(dtype, &quotient, |e, v| e.b.ins().floor(v))
            }
            Binary::Rem => self.function2("fmod", a, b),
            Binary::Mod => {
                let rest = self.function2("fmod", a, b);
                // A remainder of the wrong sign moves up by one divisor.
                self.zip(dtype, &rest, b, |e, r, y| {
                    let zero = e.float_like(e.b.func.dfg.value_type(r), 0.0);
                    let ty = e.b.func.dfg.value_type(r);
                    let moved = e.b.ins().fadd(r, y);
                    let signs = {
                        let int = ty.as_int();
                        let (rb, yb) = (e.bits(int, r), e.bits(int, y));
                        let differ = e.b.ins().bxor(rb, yb);
                        let none = e.int_like(int, 0);
                        e.b.ins().icmp(IntCC::SignedLessThan, differ, none)
                    };
                    let nonzero = e.b.ins().fcmp(FloatCC::NotEqual, r, zero);
                    let both = e.b.ins().band(signs, nonzero);
                    e.pick(both, moved, r)
                })
            }
            Binary::Pow => self.function2("pow", a, b),
            Binary::Atan2 => self.function2("atan2", a, b),
            // Bit operations have no meaning on floats.
            _ => self.unsupported(format!("`{op:?}` on {dtype}"), dtype),
        };
        self.rounded(out)
    }

    fn binary_int(&mut self, op: Binary, a: &Val, b: &Val) -> Val {
        let (dtype, signed) = (a.dtype, a.dtype.is_signed_int());
        let condition = match (op, signed) {
            (Binary::Eq, _) => Some(IntCC::Equal),
            (Binary::Ne, _) => Some(IntCC::NotEqual),
            (Binary::Lt, true) => Some(IntCC::SignedLessThan),
            (Binary::Le, true) => Some(IntCC::SignedLessThanOrEqual),
            (Binary::Gt, true) => Some(IntCC::SignedGreaterThan),
            (Binary::Ge, true) => Some(IntCC::SignedGreaterThanOrEqual),
            (Binary::Lt, false) => Some(IntCC::UnsignedLessThan),
            (Binary::Le, false) => Some(IntCC::UnsignedLessThanOrEqual),
            (Binary::Gt, false) => Some(IntCC::UnsignedGreaterThan),
            (Binary::Ge, false) => Some(IntCC::UnsignedGreaterThanOrEqual),
            _ => None,
        };
        if let Some(cc) = condition {
            return self.compare_int(cc, a, b);
        }
        let out = match op {
            Binary::Add => self.zip(dtype, a, b, |e, x, y| e.b.ins().iadd(x, y)),
            Binary::Sub => self.zip(dtype, a, b, |e, x, y| e.b.ins().isub(x, y)),
            Binary::Mul => self.zip(dtype, a, b, |e, x, y| e.b.ins().imul(x, y)),
            Binary::And => self.zip(dtype, a, b, |e, x, y| e.b.ins().band(x, y)),
            Binary::Or => self.zip(dtype, a, b, |e, x, y| e.b.ins().bor(x, y)),
            Binary::Xor => self.zip(dtype, a, b, |e, x, y| e.b.ins().bxor(x, y)),
            Binary::Min | Binary::Max => {
                let cc = match (op, signed) {
                    (Binary::Min, true) => IntCC::SignedLessThan,
                    (Binary::Min, false) => IntCC::UnsignedLessThan,
                    (_, true) => IntCC::SignedGreaterThan,
                    (_, false) => IntCC::UnsignedGreaterThan,
                };
                let first = self.compare_int(cc, a, b);
                return self.choose(&first, a, b);
            }
            Binary::Shl | Binary::Shr => self.shift(op, a, b),
            Binary::Div | Binary::FloorDiv | Binary::Mod | Binary::Rem => {
                self.lanewise(dtype, &[a, b], |e, v| e.divide(op, &v[0], &v[1]))
            }
            Binary::Pow => self.lanewise(dtype, &[a, b], |e, v| e.int_power(&v[0], &v[1])),
            Binary::Atan2 => {
                let (x, y) = (self.cast(a, DType::F64, CastMode::Round), self.cast(b, DType::F64, CastMode::Round));
                let angle = self.function2("atan2", &x, &y);
                return self.cast(&angle, dtype, CastMode::Round);
            }
            _ => self.unsupported(format!("`{op:?}` on {dtype}"), dtype),
        };
        self.normalised(out)
    }

    /// Integer comparison; 64-bit unsigned lanes compare with flipped sign bits.
    fn compare_int(&mut self, cc: IntCC, a: &Val, b: &Val) -> Val {
        let flip = part_type(a.dtype) == types::I64X2 && is_unsigned_order(cc);
        self.compare(a, b, |e, x, y| {
            let ty = e.b.func.dfg.value_type(x);
            if flip && ty.is_vector() {
                let top = e.int_like(ty, i64::MIN);
                let (x, y) = (e.b.ins().bxor(x, top), e.b.ins().bxor(y, top));
                let signed = match cc {
                    IntCC::UnsignedLessThan => IntCC::SignedLessThan,
                    IntCC::UnsignedLessThanOrEqual => IntCC::SignedLessThanOrEqual,
                    IntCC::UnsignedGreaterThan => IntCC::SignedGreaterThan,
                    _ => IntCC::SignedGreaterThanOrEqual,
                };
                return e.b.ins().icmp(signed, x, y);
            }
            e.b.ins().icmp(cc, x, y)
        })
    }

    /// Shifts; at least the width gives 0.
    fn shift(&mut self, op: Binary, a: &Val, b: &Val) -> Val {
        let dtype = a.dtype;
        if b.vector {
            return self.lanewise(dtype, &[a, b], |e, v| e.shift(op, &v[0], &v[1]));
        }
        let amount = b.one();
        let width = i64::from(dtype.bits());
        let over = self.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThanOrEqual, amount, width);
        let moved = self.map(dtype, a, |e, v| match (op, dtype.is_signed_int()) {
            (Binary::Shl, _) => e.b.ins().ishl(v, amount),
            (_, true) => e.b.ins().sshr(v, amount),
            (_, false) => e.b.ins().ushr(v, amount),
        });
        let zero = self.constant_int(dtype, 0);
        self.choose(&Val::scalar(DType::Bool, over), &zero, &moved)
    }

    /// Scalar integer division in its four forms; never traps.
    fn divide(&mut self, op: Binary, a: &Val, b: &Val) -> Val {
        let (dtype, signed) = (a.dtype, a.dtype.is_signed_int());
        let (x, y) = (a.one(), b.one());
        let ty = scalar_type(dtype);
        if let Some(c) = self.constant_of(y).filter(|c| *c > 0) {
            return self.divide_by(op, a, c);
        }
        let one = self.int_like(ty, 1);
        let zero = self.int_like(ty, 0);
        let by_zero = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
        let mut safe = self.b.ins().select(by_zero, one, y);
        if !signed {
            let value = match op {
                Binary::Div | Binary::FloorDiv => self.b.ins().udiv(x, safe),
                _ => self.b.ins().urem(x, safe),
            };
            let value = self.b.ins().select(by_zero, zero, value);
            return Val::scalar(dtype, value);
        }
        // MIN / -1 traps on x86: divide by 1 and negate instead.
        let minus = self.int_like(ty, -1);
        let by_minus = self.b.ins().icmp(IntCC::Equal, y, minus);
        safe = self.b.ins().select(by_minus, one, safe);
        let quotient = self.b.ins().sdiv(x, safe);
        let negated = self.b.ins().ineg(x);
        let quotient = self.b.ins().select(by_minus, negated, quotient);
        let product = self.b.ins().imul(quotient, y);
        let rest = self.b.ins().isub(x, product);
        let differ = self.b.ins().bxor(rest, y);
        let differ = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, differ, 0);
        let inexact = self.b.ins().icmp_imm_s(IntCC::NotEqual, rest, 0);
        let wrong = self.b.ins().band(differ, inexact);
        let value = match op {
            Binary::Div => quotient,
            Binary::Rem => rest,
            Binary::FloorDiv => {
                let lower = self.b.ins().iadd_imm_s(quotient, -1);
                self.b.ins().select(wrong, lower, quotient)
            }
            _ => {
                let moved = self.b.ins().iadd(rest, y);
                self.b.ins().select(wrong, moved, rest)
            }
        };
        let value = self.b.ins().select(by_zero, zero, value);
        Val::scalar(dtype, value)
    }

    /// Division by a positive constant.
    fn divide_by(&mut self, op: Binary, a: &Val, c: i64) -> Val {
        let (dtype, signed, x) = (a.dtype, a.dtype.is_signed_int(), a.one());
        let ty = scalar_type(dtype);
        let divisor = self.int_like(ty, c);
        let value = match (op, signed) {
            (Binary::Div | Binary::FloorDiv, false) if c & (c - 1) == 0 => {
                self.ushr_by(x, i64::from(c.trailing_zeros()))
            }
            (Binary::Mod | Binary::Rem, false) | (Binary::Mod, true) if c & (c - 1) == 0 => {
                let mask = self.int_like(ty, c - 1);
                self.b.ins().band(x, mask)
            }
            (Binary::FloorDiv, true) if c & (c - 1) == 0 => self.sshr_by(x, i64::from(c.trailing_zeros())),
            (Binary::Div | Binary::FloorDiv, false) => self.b.ins().udiv(x, divisor),
            (_, false) => self.b.ins().urem(x, divisor),
            (_, true) => {
                let quotient = self.b.ins().sdiv(x, divisor);
                let product = self.b.ins().imul(quotient, divisor);
                let rest = self.b.ins().isub(x, product);
                let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, rest, 0);
                let zero = self.int_like(ty, 0);
                match op {
                    Binary::Div => quotient,
                    Binary::Rem => rest,
                    Binary::FloorDiv => {
                        let lower = self.b.ins().iadd_imm_s(quotient, -1);
                        self.b.ins().select(negative, lower, quotient)
                    }
                    _ => {
                        let up = self.b.ins().select(negative, divisor, zero);
                        self.b.ins().iadd(rest, up)
                    }
                }
            }
        };
        Val::scalar(dtype, value)
    }

    /// Wrapping integer power by squaring; a negative exponent gives the truncated reciprocal.
    fn int_power(&mut self, a: &Val, b: &Val) -> Val {
        let dtype = a.dtype;
        let ty = scalar_type(dtype);
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        for _ in 0..3 {
            self.b.append_block_param(head, ty);
        }
        let result = self.b.append_block_param(exit, ty);
        let one = self.int_like(ty, 1);
        let zero = self.int_like(ty, 0);
        let negative = match dtype.is_signed_int() {
            true => self.b.ins().icmp_imm_s(IntCC::SignedLessThan, b.one(), 0),
            false => self.b.ins().iconst(types::I8, 0),
        };
        // 1 and -1 are their own powers of the exponent's parity, whatever its sign; all others vanish.
        let square = self.b.ins().imul(a.one(), a.one());
        let unit = self.b.ins().icmp_imm_s(IntCC::Equal, square, 1);
        let base = self.b.ins().select(unit, a.one(), zero);
        let base = self.b.ins().select(negative, base, a.one());
        let parity = self.b.ins().band_imm_s(b.one(), 1);
        let two = self.b.ins().iadd_imm_s(parity, 2);
        let exponent = self.b.ins().select(negative, two, b.one());
        self.b.ins().jump(head, &[BlockArg::Value(one), BlockArg::Value(base), BlockArg::Value(exponent)]);
        self.b.switch_to_block(head);
        let [product, base, exponent] = self.b.block_params(head) else { unreachable!("three parameters") };
        let (product, base, exponent) = (*product, *base, *exponent);
        let low = self.b.ins().band_imm_s(exponent, 1);
        let more = self.b.ins().imul(product, base);
        let product = self.b.ins().select(low, more, product);
        let base = self.b.ins().imul(base, base);
        let rest = self.ushr_by(exponent, 1);
        let again = [BlockArg::Value(product), BlockArg::Value(base), BlockArg::Value(rest)];
        self.b.ins().brif(rest, head, &again, exit, &[BlockArg::Value(product)]);
        self.b.switch_to_block(exit);
        Val::scalar(dtype, result)
    }
}
