//! Values in flight: a scalar, or one value a lane in 128-bit parts.
//!
//! The central type is [`Val`]. Narrow types live in wider registers: 16- and 8-bit floats as f32 already rounded to
//! their type, integers below 32 bits as normalised i32, bool as i8 (0, 1) or as i32 lanes of all zeros or ones. So all
//! lanes of a vector agree in number whatever the types. Knows registers, no memory and no loops.

use crate::emit::Emit;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use tricot_types::DType;

/// A typed value; see the module page.
#[derive(Clone, Debug)]
pub struct Val {
    pub dtype: DType,
    pub vector: bool,
    pub parts: Vec<Value>,
}

/// The register class of a dtype.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    F64,
    F32,
    I64,
    I32,
    Bool,
}

/// See [`Class`].
pub fn class(dtype: DType) -> Class {
    match dtype {
        DType::F64 => Class::F64,
        d if d.is_float() => Class::F32,
        DType::I64 | DType::U64 => Class::I64,
        DType::Bool => Class::Bool,
        _ => Class::I32,
    }
}

/// Register type of a scalar of this dtype.
pub fn scalar_type(dtype: DType) -> Type {
    match class(dtype) {
        Class::F64 => types::F64,
        Class::F32 => types::F32,
        Class::I64 => types::I64,
        Class::I32 => types::I32,
        Class::Bool => types::I8,
    }
}

/// Register type of a part of a vector of this dtype.
pub fn part_type(dtype: DType) -> Type {
    match class(dtype) {
        Class::F64 => types::F64X2,
        Class::F32 => types::F32X4,
        Class::I64 => types::I64X2,
        Class::I32 | Class::Bool => types::I32X4,
    }
}

impl Val {
    /// A scalar in its register form.
    pub fn scalar(dtype: DType, value: Value) -> Val {
        Val { dtype, vector: false, parts: vec![value] }
    }

    /// A vector from its parts.
    pub fn vector(dtype: DType, parts: Vec<Value>) -> Val {
        Val { dtype, vector: true, parts }
    }

    /// The one register of a scalar.
    pub fn one(&self) -> Value {
        debug_assert!(!self.vector);
        self.parts[0]
    }

    /// The same registers under another dtype of the same class.
    pub fn retyped(mut self, dtype: DType) -> Val {
        self.dtype = dtype;
        self
    }
}

impl Emit<'_> {
    /// Number of parts of a vector of this dtype.
    pub fn part_count(&self, dtype: DType) -> usize {
        self.lanes / part_type(dtype).lane_count() as usize
    }

    /// An i64 constant.
    pub fn i64(&mut self, value: i64) -> Value {
        self.b.ins().iconst(types::I64, value)
    }

    /// Shifts every lane left by a constant.
    pub fn ishl_by(&mut self, x: Value, bits: i64) -> Value {
        let amount = self.b.ins().iconst(types::I32, bits);
        self.b.ins().ishl(x, amount)
    }

    /// Shifts every lane right by a constant, zeros in.
    pub fn ushr_by(&mut self, x: Value, bits: i64) -> Value {
        let amount = self.b.ins().iconst(types::I32, bits);
        self.b.ins().ushr(x, amount)
    }

    /// Shifts every lane right by a constant, signs in.
    pub fn sshr_by(&mut self, x: Value, bits: i64) -> Value {
        let amount = self.b.ins().iconst(types::I32, bits);
        self.b.ins().sshr(x, amount)
    }

    /// The same bits in another register type of the same size.
    pub fn bits(&mut self, to: Type, x: Value) -> Value {
        if self.b.func.dfg.value_type(x) == to {
            return x;
        }
        let flags =
            cranelift_codegen::ir::MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
        self.b.ins().bitcast(to, flags, x)
    }

    /// An integer constant as wide and as long as `like`'s lanes.
    pub fn int_like(&mut self, ty: Type, value: i64) -> Value {
        let lane = ty.lane_type().as_int();
        let value = if lane == types::I32 { value as u32 as i64 } else { value };
        let scalar = self.b.ins().iconst(lane, value);
        if ty.is_vector() { self.b.ins().splat(ty.as_int(), scalar) } else { scalar }
    }

    /// A float constant of a register type (F32, F64 or a vector of them).
    pub fn float_like(&mut self, ty: Type, value: f64) -> Value {
        let scalar = match ty.lane_type() {
            types::F64 => self.b.ins().f64const(value),
            _ => self.b.ins().f32const(value as f32),
        };
        if ty.is_vector() { self.b.ins().splat(ty, scalar) } else { scalar }
    }

    /// The value in every lane.
    pub fn splat(&mut self, x: &Val) -> Val {
        if x.vector {
            return x.clone();
        }
        let scalar = match class(x.dtype) {
            Class::Bool => self.mask_of(x.one()),
            _ => x.one(),
        };
        let ty = part_type(x.dtype);
        let part = self.b.ins().splat(ty, scalar);
        Val::vector(x.dtype, vec![part; self.part_count(x.dtype)])
    }

    /// A scalar bool as a 32-bit mask.
    fn mask_of(&mut self, flag: Value) -> Value {
        let wide = self.b.ins().uextend(types::I32, flag);
        self.b.ins().ineg(wide)
    }

    /// One lane as a scalar; a scalar stays.
    pub fn lane(&mut self, x: &Val, lane: usize) -> Val {
        if !x.vector {
            return x.clone();
        }
        let per = part_type(x.dtype).lane_count() as usize;
        let value = self.b.ins().extractlane(x.parts[lane / per], (lane % per) as u8);
        match class(x.dtype) {
            Class::Bool => {
                let flag = self.b.ins().icmp_imm_s(IntCC::NotEqual, value, 0);
                Val::scalar(x.dtype, flag)
            }
            _ => Val::scalar(x.dtype, value),
        }
    }

    /// A vector from one scalar a lane.
    pub fn join(&mut self, dtype: DType, lanes: &[Val]) -> Val {
        let ty = part_type(dtype);
        let per = ty.lane_count() as usize;
        let parts = lanes
            .chunks(per)
            .map(|chunk| {
                let mut part = None;
                for (i, lane) in chunk.iter().enumerate() {
                    let value = if class(dtype) == Class::Bool { self.mask_of(lane.one()) } else { lane.one() };
                    part = Some(match part {
                        None => self.b.ins().splat(ty, value),
                        Some(part) => self.b.ins().insertlane(part, value, i as u8),
                    });
                }
                part.expect("a part has lanes")
            })
            .collect();
        Val::vector(dtype, parts)
    }

    /// Applies a scalar function lane by lane: the way out where there is no vector instruction.
    pub fn lanewise(&mut self, dtype: DType, args: &[&Val], mut f: impl FnMut(&mut Self, &[Val]) -> Val) -> Val {
        if args.iter().all(|a| !a.vector) {
            let args: Vec<Val> = args.iter().map(|a| (*a).clone()).collect();
            return f(self, &args);
        }
        let lanes: Vec<Val> = (0..self.lanes)
            .map(|l| {
                let args: Vec<Val> = args.iter().map(|a| self.lane(a, l)).collect();
                f(self, &args)
            })
            .collect();
        self.join(dtype, &lanes)
    }

    /// Makes both scalar or both vector.
    pub fn align(&mut self, a: &Val, b: &Val) -> (Val, Val) {
        if a.vector || b.vector { (self.splat(a), self.splat(b)) } else { (a.clone(), b.clone()) }
    }

    /// Applies an instruction to each register.
    pub fn map(&mut self, dtype: DType, x: &Val, mut f: impl FnMut(&mut Self, Value) -> Value) -> Val {
        Val { dtype, vector: x.vector, parts: x.parts.iter().map(|p| f(self, *p)).collect() }
    }

    /// Applies an instruction to each pair of registers.
    pub fn zip(&mut self, dtype: DType, a: &Val, b: &Val, mut f: impl FnMut(&mut Self, Value, Value) -> Value) -> Val {
        let (a, b) = self.align(a, b);
        let parts = a.parts.iter().zip(&b.parts).map(|(x, y)| f(self, *x, *y)).collect();
        Val { dtype, vector: a.vector, parts }
    }

    /// Bool lanes (i32 masks) as masks for parts of `ty`'s width.
    pub fn masks_for(&mut self, mask: &Val, ty: Type) -> Vec<Value> {
        if ty.lane_bits() == 32 {
            return mask.parts.clone();
        }
        let mut wide = vec![];
        for part in &mask.parts {
            wide.push(self.b.ins().swiden_low(*part));
            wide.push(self.b.ins().swiden_high(*part));
        }
        wide
    }

    /// 64-bit masks or integers, two parts each, as 32-bit lanes: keeps the low half of each lane.
    pub fn narrow_pairs(&mut self, wide: &[Value]) -> Vec<Value> {
        let low: Vec<u8> = [0u8, 8, 16, 24].iter().flat_map(|b| (0..4).map(move |i| b + i)).collect();
        wide.chunks(2)
            .map(|pair| {
                let imm = self.b.func.dfg.immediates.push(low.clone().into());
                let (a, b) = (self.bits(types::I8X16, pair[0]), self.bits(types::I8X16, pair[1]));
                let both = self.b.ins().shuffle(a, b, imm);
                self.bits(types::I32X4, both)
            })
            .collect()
    }

    /// A comparison of registers (same type) as a bool of the class form.
    pub fn compare(&mut self, a: &Val, b: &Val, mut f: impl FnMut(&mut Self, Value, Value) -> Value) -> Val {
        let raw = self.zip(DType::Bool, a, b, &mut f);
        if raw.vector && part_type(a.dtype).lane_bits() == 64 {
            let parts = self.narrow_pairs(&raw.parts);
            return Val::vector(DType::Bool, parts);
        }
        raw
    }

    /// `cond ? then : other` on registers.
    pub fn choose(&mut self, cond: &Val, then: &Val, other: &Val) -> Val {
        let dtype = then.dtype;
        if !cond.vector {
            if !then.vector && !other.vector {
                let value = self.b.ins().select(cond.one(), then.one(), other.one());
                return Val::scalar(dtype, value);
            }
            let (then, other) = self.align(then, other);
            let parts = then.parts.iter().zip(&other.parts);
            let parts = parts.map(|(x, y)| self.b.ins().select(cond.one(), *x, *y)).collect();
            return Val::vector(dtype, parts);
        }
        let (then, other) = (self.splat(then), self.splat(other));
        let ty = part_type(dtype);
        let masks = self.masks_for(cond, ty);
        let mut parts = vec![];
        for (i, mask) in masks.iter().enumerate() {
            let mask = self.bits(ty, *mask);
            parts.push(self.b.ins().bitselect(mask, then.parts[i], other.parts[i]));
        }
        Val::vector(dtype, parts)
    }

    /// Whether a float register is NaN, as an instruction result.
    pub fn unordered(&mut self, x: Value) -> Value {
        self.b.ins().fcmp(FloatCC::Unordered, x, x)
    }

    /// The magnitude of one float register with the sign of another.
    pub fn with_sign(&mut self, magnitude: Value, sign: Value) -> Value {
        let ty = self.b.func.dfg.value_type(sign);
        let int = ty.as_int();
        let top = self.int_like(int, if ty.lane_bits() == 64 { i64::MIN } else { 0x8000_0000 });
        let (m, s) = (self.bits(int, magnitude), self.bits(int, sign));
        let s = self.b.ins().band(s, top);
        let m = self.b.ins().band_not(m, top);
        let both = self.b.ins().bor(m, s);
        self.bits(ty, both)
    }

    /// Select on raw registers with a raw comparison result of the same shape.
    pub fn pick(&mut self, cond: Value, then: Value, other: Value) -> Value {
        let ty = self.b.func.dfg.value_type(then);
        if ty.is_vector() {
            let mask = self.bits(ty, cond);
            self.b.ins().bitselect(mask, then, other)
        } else {
            self.b.ins().select(cond, then, other)
        }
    }
}
