//! Conversions between dtypes, the small float formats included.
//!
//! Everything here is branch-free integer and float arithmetic that works the same on scalars and on lanes, so a vector
//! loop and its scalar tail give the same bits. Sources: IEEE 754-2019 section 3.4; OCP 8-bit floating point rev. 1.0.

use crate::emit::Emit;
use crate::value::{Class, Val, class, part_type, scalar_type};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use tricot_kernel::CastMode;
use tricot_types::DType;

/// A float format below 32 bits.
#[derive(Clone, Copy)]
pub struct Small {
    /// Mantissa bits.
    pub mantissa: u32,
    /// Exponent bias.
    pub bias: i32,
    /// Magnitude bits of the largest finite value.
    pub largest: u32,
    /// Magnitude bits an overflow becomes when not saturating, and NaN.
    pub overflow: u32,
    pub nan: u32,
    pub bits: u32,
}

/// The format of a small float dtype.
pub fn small(dtype: DType) -> Option<Small> {
    Some(match dtype {
        DType::F16 => Small { mantissa: 10, bias: 15, largest: 0x7bff, overflow: 0x7c00, nan: 0x7e00, bits: 16 },
        DType::BF16 => Small { mantissa: 7, bias: 127, largest: 0x7f7f, overflow: 0x7f80, nan: 0x7fc0, bits: 16 },
        DType::F8E5M2 => Small { mantissa: 2, bias: 15, largest: 0x7b, overflow: 0x7c, nan: 0x7e, bits: 8 },
        DType::F8E4M3 => Small { mantissa: 3, bias: 7, largest: 0x7e, overflow: 0x7f, nan: 0x7f, bits: 8 },
        _ => return None,
    })
}

impl Small {
    /// The value of the largest finite number.
    pub fn max(self) -> f64 {
        let exponent = (self.largest >> self.mantissa) as i32 - self.bias;
        let fraction = self.largest & ((1 << self.mantissa) - 1);
        (1.0 + f64::from(fraction) / f64::from(1 << self.mantissa)) * 2f64.powi(exponent)
    }

    /// Rounds to nearest even at compile time; overflow as the format says.
    pub fn round(self, x: f64) -> f64 {
        if !x.is_finite() {
            return if self.overflow == self.nan && x.is_infinite() { f64::NAN } else { x };
        }
        if x == 0.0 {
            return x;
        }
        let exponent = (((x.abs().to_bits() >> 52) as i32) - 1023).max(1 - self.bias);
        let ulp = 2f64.powi(exponent - self.mantissa as i32);
        let rounded = (x / ulp).round_ties_even() * ulp;
        match rounded.abs() > self.max() {
            true if self.overflow == self.nan => f64::NAN,
            true => f64::INFINITY.copysign(x),
            false => rounded,
        }
    }
}

impl Emit<'_> {
    /// Register type with i32 lanes shaped as `x`.
    fn i32_of(&self, x: Value) -> Type {
        self.b.func.dfg.value_type(x).as_int()
    }

    /// f32 registers to the bits of a small float, in the low bits of i32 lanes.
    pub fn encode_small(&mut self, x: Value, f: Small) -> Value {
        let ty = self.i32_of(x);
        let float = self.b.func.dfg.value_type(x);
        let bits = self.bits(ty, x);
        let sign_bit = self.int_like(ty, 0x8000_0000);
        let sign = self.b.ins().band(bits, sign_bit);
        let magnitude = self.b.ins().bxor(bits, sign);
        let drop = 23 - f.mantissa;
        // Normal: add just under half an ulp plus the last kept bit, then rebias.
        let dropped = self.ushr_by(magnitude, i64::from(drop));
        let one = self.int_like(ty, 1);
        let odd = self.b.ins().band(dropped, one);
        let half = self.int_like(ty, (1i64 << (drop - 1)) - 1);
        let sum = self.b.ins().iadd(magnitude, half);
        let sum = self.b.ins().iadd(sum, odd);
        let sum = self.ushr_by(sum, i64::from(drop));
        let rebias = self.int_like(ty, i64::from((127 - f.bias) << f.mantissa));
        let mut out = self.b.ins().isub(sum, rebias);
        // Subnormal: adding a power of two whose ulp is the format's smallest step rounds to nearest even.
        if f.bias != 127 {
            let magic = ((127 - f.bias + 1 + 23 - f.mantissa as i32) as i64) << 23;
            let magic_bits = self.int_like(ty, magic);
            let magic_float = self.bits(float, magic_bits);
            let shown = self.bits(float, magnitude);
            let shifted = self.b.ins().fadd(shown, magic_float);
            let shifted = self.bits(ty, shifted);
            let subnormal = self.b.ins().isub(shifted, magic_bits);
            let smallest_normal = self.int_like(ty, i64::from(128 - f.bias) << 23);
            let is_sub = self.b.ins().icmp(IntCC::SignedLessThan, magnitude, smallest_normal);
            out = self.pick(is_sub, subnormal, out);
        }
        let largest = self.int_like(ty, i64::from(f.largest));
        let over = self.b.ins().icmp(IntCC::SignedGreaterThan, out, largest);
        let overflow = self.int_like(ty, i64::from(f.overflow));
        out = self.pick(over, overflow, out);
        let infinity = self.int_like(ty, 0x7f80_0000);
        let is_nan = self.b.ins().icmp(IntCC::SignedGreaterThan, magnitude, infinity);
        let nan = self.int_like(ty, i64::from(f.nan));
        out = self.pick(is_nan, nan, out);
        let sign = self.ushr_by(sign, i64::from(32 - f.bits));
        self.b.ins().bor(out, sign)
    }

    /// Bits of a small float in the low bits of i32 lanes (higher bits zero) to f32 registers.
    pub fn decode_small(&mut self, x: Value, f: Small) -> Value {
        let ty = self.b.func.dfg.value_type(x);
        let float = if ty.is_vector() { types::F32X4 } else { types::F32 };
        if f.bias == 127 {
            let wide = self.ishl_by(x, 16);
            return self.bits(float, wide);
        }
        let sign_bit = self.int_like(ty, 1i64 << (f.bits - 1));
        let sign = self.b.ins().band(x, sign_bit);
        let magnitude = self.b.ins().bxor(x, sign);
        let shifted = self.ishl_by(magnitude, i64::from(23 - f.mantissa));
        let shown = self.bits(float, shifted);
        // Multiplying by a power of two moves the exponent and normalises subnormals exactly.
        let scale = self.float_like(float, 2f64.powi(127 - f.bias));
        let value = self.b.ins().fmul(shown, scale);
        let mut value = self.bits(ty, value);
        let first_special = if f.overflow == f.nan { f.nan } else { f.overflow };
        let threshold = self.int_like(ty, i64::from(first_special) - 1);
        let special = self.b.ins().icmp(IntCC::SignedGreaterThan, magnitude, threshold);
        let special_bits = if f.overflow == f.nan {
            self.int_like(ty, 0x7fc0_0000)
        } else {
            let exponent = self.int_like(ty, 0x7f80_0000);
            self.b.ins().bor(shifted, exponent)
        };
        value = self.pick(special, special_bits, value);
        let sign = self.ishl_by(sign, i64::from(32 - f.bits));
        let value = self.b.ins().bor(value, sign);
        self.bits(float, value)
    }

    /// Rounds f32 registers to the value's small float dtype; other dtypes pass.
    pub fn rounded(&mut self, x: Val) -> Val {
        let Some(format) = small(x.dtype) else { return x };
        let dtype = x.dtype;
        self.map(dtype, &x, |e, v| {
            let bits = e.encode_small(v, format);
            let rounded = e.decode_small(bits, format);
            e.encoded.insert(rounded, bits);
            rounded
        })
    }

    /// Brings i32 registers back into the range of a narrow integer dtype by wrapping.
    pub fn normalised(&mut self, x: Val) -> Val {
        let bits = x.dtype.bits();
        if class(x.dtype) != Class::I32 || bits >= 32 {
            return x;
        }
        let (dtype, shift) = (x.dtype, i64::from(32 - bits));
        self.map(dtype, &x, |e, v| {
            if dtype.is_signed_int() {
                let up = e.ishl_by(v, shift);
                e.sshr_by(up, shift)
            } else {
                let mask = e.int_like(e.b.func.dfg.value_type(v), (1i64 << bits) - 1);
                e.b.ins().band(v, mask)
            }
        })
    }

    /// Converts to another dtype.
    pub fn cast(&mut self, x: &Val, to: DType, mode: CastMode) -> Val {
        let from = x.dtype;
        if from == to {
            return x.clone();
        }
        match mode {
            CastMode::Bits => self.reinterpret(x, to),
            _ => match (from.is_float(), to.is_float()) {
                _ if to == DType::Bool => self.is_nonzero(x),
                (true, true) => self.float_to_float(x, to, mode),
                (true, false) => self.float_to_int(x, to),
                (false, true) => self.int_to_float(x, to, mode),
                (false, false) => self.int_to_int(x, to, mode == CastMode::Saturate),
            },
        }
    }

    /// `x != 0`, true for NaN.
    pub fn is_nonzero(&mut self, x: &Val) -> Val {
        match class(x.dtype) {
            Class::Bool => x.clone(),
            Class::F64 | Class::F32 => {
                let zero = self.constant_float(x.dtype, 0.0);
                self.compare(x, &zero, |e, a, b| e.b.ins().fcmp(FloatCC::NotEqual, a, b))
            }
            Class::I64 | Class::I32 => {
                let zero = self.constant_int(x.dtype, 0);
                self.compare(x, &zero, |e, a, b| e.b.ins().icmp(IntCC::NotEqual, a, b))
            }
        }
    }

    /// Bits as they lie in memory: registers of one class of equal width.
    fn reinterpret(&mut self, x: &Val, to: DType) -> Val {
        let raw = self.raw_bits(x);
        match class(to) {
            Class::F64 => self.map(to, &raw, |e, v| {
                let ty = if e.b.func.dfg.value_type(v).is_vector() { types::F64X2 } else { types::F64 };
                e.bits(ty, v)
            }),
            Class::F32 => match small(to) {
                Some(format) => {
                    let unsigned = if format.bits == 16 { DType::U16 } else { DType::U8 };
                    let raw = self.normalised(raw.retyped(unsigned));
                    self.map(to, &raw, |e, v| e.decode_small(v, format))
                }
                None => self.map(to, &raw, |e, v| {
                    let ty = if e.b.func.dfg.value_type(v).is_vector() { types::F32X4 } else { types::F32 };
                    e.bits(ty, v)
                }),
            },
            Class::I64 => raw.retyped(to),
            Class::I32 => self.normalised(raw.retyped(to)),
            Class::Bool => self.is_nonzero(&raw),
        }
    }

    /// The memory bits in integer registers.
    pub fn raw_bits(&mut self, x: &Val) -> Val {
        match class(x.dtype) {
            Class::F64 => self.map(DType::I64, x, |e, v| {
                let ty = e.b.func.dfg.value_type(v).as_int();
                e.bits(ty, v)
            }),
            Class::F32 => match small(x.dtype) {
                Some(format) => self.map(DType::I32, x, |e, v| match e.encoded.get(&v) {
                    Some(bits) => *bits,
                    None => e.encode_small(v, format),
                }),
                None => self.map(DType::I32, x, |e, v| {
                    let ty = e.b.func.dfg.value_type(v).as_int();
                    e.bits(ty, v)
                }),
            },
            Class::I64 => x.clone().retyped(DType::I64),
            Class::I32 => x.clone().retyped(DType::I32),
            Class::Bool => self.bool_to_int(x, DType::I32),
        }
    }

    fn bool_to_int(&mut self, x: &Val, to: DType) -> Val {
        let narrow = if x.vector {
            self.map(DType::I32, x, |e, v| {
                let one = e.int_like(types::I32X4, 1);
                e.b.ins().band(v, one)
            })
        } else {
            let wide = self.b.ins().uextend(types::I32, x.one());
            Val::scalar(DType::I32, wide)
        };
        if class(to) == Class::I64 { self.widen_int(&narrow, to) } else { narrow.retyped(to) }
    }

    /// i32 registers to i64 registers, by the sign of the source dtype.
    fn widen_int(&mut self, x: &Val, to: DType) -> Val {
        let signed = x.dtype.is_signed_int();
        if !x.vector {
            let wide = match signed {
                true => self.b.ins().sextend(types::I64, x.one()),
                false => self.b.ins().uextend(types::I64, x.one()),
            };
            return Val::scalar(to, wide);
        }
        let mut parts = vec![];
        for part in &x.parts {
            if signed {
                parts.push(self.b.ins().swiden_low(*part));
                parts.push(self.b.ins().swiden_high(*part));
            } else {
                parts.push(self.b.ins().uwiden_low(*part));
                parts.push(self.b.ins().uwiden_high(*part));
            }
        }
        Val::vector(to, parts)
    }

    /// i64 registers to i32 registers, low half.
    fn narrow_int(&mut self, x: &Val, to: DType) -> Val {
        if !x.vector {
            let low = self.b.ins().ireduce(types::I32, x.one());
            return Val::scalar(to, low);
        }
        let parts = self.narrow_pairs(&x.parts);
        Val::vector(to, parts)
    }

    fn int_to_int(&mut self, x: &Val, to: DType, saturate: bool) -> Val {
        if x.dtype == DType::Bool {
            return self.bool_to_int(x, to);
        }
        let x = if saturate { self.clamped(x, to) } else { x.clone() };
        let moved = match (class(x.dtype), class(to)) {
            (Class::I32, Class::I64) => self.widen_int(&x, to),
            (Class::I64, Class::I32) => self.narrow_int(&x, to),
            _ => x.retyped(to),
        };
        self.normalised(moved)
    }

    /// Clamps to what both dtypes can hold, in the source dtype.
    fn clamped(&mut self, x: &Val, to: DType) -> Val {
        let (lo, hi) = x.dtype.int_range().expect("an integer");
        let (tlo, thi) = to.int_range().expect("an integer");
        let mut x = x.clone();
        if tlo > lo {
            let bound = self.constant_int(x.dtype, tlo as i64);
            x = self.binary(tricot_kernel::Binary::Max, &x, &bound);
        }
        if thi < hi {
            let bound = self.constant_int(x.dtype, thi as i64);
            x = self.binary(tricot_kernel::Binary::Min, &x, &bound);
        }
        x
    }

    fn float_to_float(&mut self, x: &Val, to: DType, mode: CastMode) -> Val {
        let mut x = x.clone();
        if mode == CastMode::Saturate {
            let max = match to {
                DType::F32 => f64::from(f32::MAX),
                DType::F64 => f64::MAX,
                _ => small(to).map_or(f64::MAX, Small::max),
            };
            if x.dtype == DType::F64 || small(to).is_some() {
                x = self.clamp_finite(&x, max);
            }
        }
        let moved = match (class(x.dtype), class(to)) {
            (Class::F64, Class::F32) => self.demote(&x, to),
            (Class::F32, Class::F64) => self.promote(&x),
            _ => x.retyped(to),
        };
        self.rounded(moved.retyped(to))
    }

    /// Limits finite values to `±max`; infinities and NaN pass.
    fn clamp_finite(&mut self, x: &Val, max: f64) -> Val {
        let dtype = x.dtype;
        self.map(dtype, x, |e, v| {
            let ty = e.b.func.dfg.value_type(v);
            let (hi, lo) = (e.float_like(ty, max), e.float_like(ty, -max));
            let infinity = e.float_like(ty, f64::INFINITY);
            let magnitude = e.b.ins().fabs(v);
            let small = e.b.ins().fmin(v, hi);
            let small = e.b.ins().fmax(small, lo);
            let finite = e.b.ins().fcmp(FloatCC::LessThan, magnitude, infinity);
            e.pick(finite, small, v)
        })
    }

    fn promote(&mut self, x: &Val) -> Val {
        if !x.vector {
            let wide = self.b.ins().fpromote(types::F64, x.one());
            return Val::scalar(DType::F64, wide);
        }
        let mut parts = vec![];
        for part in &x.parts {
            parts.push(self.b.ins().fvpromote_low(*part));
            let imm: Vec<u8> = (8..16).chain(8..16).collect();
            let imm = self.b.func.dfg.immediates.push(imm.into());
            let bytes = self.bits(types::I8X16, *part);
            let high = self.b.ins().shuffle(bytes, bytes, imm);
            let high = self.bits(types::F32X4, high);
            parts.push(self.b.ins().fvpromote_low(high));
        }
        Val::vector(DType::F64, parts)
    }

    /// f64 to f32 registers. For a narrower target the result is rounded to odd, so that the second rounding is right.
    fn demote(&mut self, x: &Val, to: DType) -> Val {
        if small(to).is_some() {
            return self.lanewise(DType::F32, &[x], |e, a| {
                let near = e.b.ins().fdemote(types::F32, a[0].one());
                let back = e.b.ins().fpromote(types::F64, near);
                let bits = e.bits(types::I32, near);
                // Inexact and even: step one ulp toward the exact value, which makes the last bit odd.
                let (exact, shown) = (e.b.ins().fabs(a[0].one()), e.b.ins().fabs(back));
                let up = e.b.ins().fcmp(FloatCC::GreaterThan, exact, shown);
                let down = e.b.ins().fcmp(FloatCC::LessThan, exact, shown);
                let up = e.b.ins().uextend(types::I32, up);
                let down = e.b.ins().uextend(types::I32, down);
                let step = e.b.ins().isub(up, down);
                let odd = e.b.ins().band_imm_s(bits, 1);
                let even = e.b.ins().bxor_imm_s(odd, 1);
                let step = e.b.ins().imul(step, even);
                let bits = e.b.ins().iadd(bits, step);
                Val::scalar(DType::F32, e.bits(types::F32, bits))
            });
        }
        if !x.vector {
            let low = self.b.ins().fdemote(types::F32, x.one());
            return Val::scalar(DType::F32, low);
        }
        let parts = x
            .parts
            .chunks(2)
            .map(|pair| {
                let (lo, hi) = (self.b.ins().fvdemote(pair[0]), self.b.ins().fvdemote(pair[1]));
                let imm: Vec<u8> = (0..8).chain(16..24).collect();
                let imm = self.b.func.dfg.immediates.push(imm.into());
                let (lo, hi) = (self.bits(types::I8X16, lo), self.bits(types::I8X16, hi));
                let both = self.b.ins().shuffle(lo, hi, imm);
                self.bits(types::F32X4, both)
            })
            .collect();
        Val::vector(DType::F32, parts)
    }

    /// Toward zero, saturating, NaN to 0.
    fn float_to_int(&mut self, x: &Val, to: DType) -> Val {
        let wide = match to {
            DType::I64 | DType::U64 | DType::U32 => to,
            _ => DType::I32,
        };
        let direct = class(x.dtype) == Class::F32 && matches!(wide, DType::I32 | DType::U32);
        let unsigned = matches!(wide, DType::U64 | DType::U32);
        let converted = if direct || !x.vector {
            self.map(wide, x, |e, v| {
                let ty = if x.vector { part_type(wide) } else { scalar_type(wide) };
                match unsigned {
                    true => e.b.ins().fcvt_to_uint_sat(ty, v),
                    false => e.b.ins().fcvt_to_sint_sat(ty, v),
                }
            })
        } else {
            self.lanewise(wide, &[x], |e, a| {
                let ty = scalar_type(wide);
                let value = match unsigned {
                    true => e.b.ins().fcvt_to_uint_sat(ty, a[0].one()),
                    false => e.b.ins().fcvt_to_sint_sat(ty, a[0].one()),
                };
                Val::scalar(wide, value)
            })
        };
        if wide == to { converted } else { self.int_to_int(&converted, to, true) }
    }

    fn int_to_float(&mut self, x: &Val, to: DType, mode: CastMode) -> Val {
        let x = if x.dtype == DType::Bool { self.bool_to_int(x, DType::I32) } else { x.clone() };
        let unsigned = matches!(x.dtype, DType::U64 | DType::U32);
        let wide = if class(to) == Class::F64 { DType::F64 } else { DType::F32 };
        // 64-bit and f64 lanes have no packed conversion below AVX-512.
        let packed = class(x.dtype) == Class::I32 && wide == DType::F32;
        let convert = |e: &mut Self, v: Value, ty: Type| match unsigned {
            true => e.b.ins().fcvt_from_uint(ty, v),
            false => e.b.ins().fcvt_from_sint(ty, v),
        };
        let moved = match x.vector {
            true if packed => self.map(wide, &x, |e, v| convert(e, v, types::F32X4)),
            _ => self.lanewise(wide, &[&x], |e, a| {
                let value = convert(e, a[0].one(), scalar_type(wide));
                Val::scalar(wide, value)
            }),
        };
        self.float_to_float(&moved, to, mode)
    }
}
