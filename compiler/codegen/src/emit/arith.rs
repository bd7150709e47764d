//! Scalar arithmetic, conversions and LLVM's floating-point intrinsics. `add`, `sub`, `mul` and `neg` work on integers
//! and floats alike; every other name says which.

use super::{Builder, Elem, Ty, Val};

/// Integer comparison; the discriminant is `arith.cmpi`'s predicate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cmp {
    Eq = 0,
    Ne = 1,
    Slt = 2,
    Sle = 3,
    Sgt = 4,
    Sge = 5,
    Ult = 6,
    Ule = 7,
    Ugt = 8,
    Uge = 9,
}

/// Float comparison; the discriminant is `arith.cmpf`'s predicate. `O…` is false and `U…` true on NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FCmp {
    Oeq = 1,
    Ogt = 2,
    Oge = 3,
    Olt = 4,
    Ole = 5,
    One = 6,
    Ord = 7,
    Ueq = 8,
    Ugt = 9,
    Uge = 10,
    Ult = 11,
    Ule = 12,
    Une = 13,
    Uno = 14,
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident = $op:literal;)*) => {
        $($(#[$doc])* pub fn $name(&self, a: Val, b: Val) -> Val {
            self.op1($op, &[a, b], a.ty, &[])
        })*
    };
}

impl Builder {
    binary! {
        and = "arith.andi"; or = "arith.ori"; xor = "arith.xori";
        /// Undefined for shifts of at least the width.
        shl = "arith.shli";
        /// Arithmetic shift; undefined for shifts of at least the width.
        shr_s = "arith.shrsi";
        /// Logical shift; undefined for shifts of at least the width.
        shr_u = "arith.shrui";
        /// Undefined for zero divisors and MIN / -1.
        div_s = "arith.divsi";
        /// Undefined for zero divisors.
        div_u = "arith.divui";
        /// Undefined for zero divisors and MIN % -1.
        rem_s = "arith.remsi";
        /// Undefined for zero divisors.
        rem_u = "arith.remui";
        min_s = "arith.minsi"; max_s = "arith.maxsi"; min_u = "arith.minui"; max_u = "arith.maxui";
        /// IEEE division, correctly rounded.
        div_f = "arith.divf";
        /// NaN if either is NaN.
        min_f = "arith.minimumf";
        /// NaN if either is NaN.
        max_f = "arith.maximumf";
    }

    // `convert-gpu-to-nvvm` declares the operations of these intrinsics illegal or makes calls of libdevice of them, hence the
    // calls by name.

    fn float_intrinsic(&self, name: &str, operands: &[Val]) -> Val {
        let ty = operands[0].ty;
        self.intrinsic(&format!("llvm.{name}.{}", ty.suffix()), operands, ty)
    }

    /// Square root, correctly rounded.
    pub fn sqrt(&self, a: Val) -> Val {
        self.float_intrinsic("sqrt", &[a])
    }

    /// Magnitude.
    pub fn abs_f(&self, a: Val) -> Val {
        self.float_intrinsic("fabs", &[a])
    }

    /// Toward minus infinity.
    pub fn floor(&self, a: Val) -> Val {
        self.float_intrinsic("floor", &[a])
    }

    /// Toward plus infinity.
    pub fn ceil(&self, a: Val) -> Val {
        self.float_intrinsic("ceil", &[a])
    }

    /// Toward zero.
    pub fn trunc_to_int(&self, a: Val) -> Val {
        self.float_intrinsic("trunc", &[a])
    }

    /// To nearest, ties to even.
    pub fn round_even(&self, a: Val) -> Val {
        self.float_intrinsic("roundeven", &[a])
    }

    /// The smaller; the other operand if one is NaN.
    pub fn min_num(&self, a: Val, b: Val) -> Val {
        self.float_intrinsic("minnum", &[a, b])
    }

    /// The larger; the other operand if one is NaN.
    pub fn max_num(&self, a: Val, b: Val) -> Val {
        self.float_intrinsic("maxnum", &[a, b])
    }

    /// Magnitude of `a`, sign of `b`.
    pub fn copysign(&self, a: Val, b: Val) -> Val {
        self.float_intrinsic("copysign", &[a, b])
    }

    /// Sum of integers (wrapping) or floats.
    pub fn add(&self, a: Val, b: Val) -> Val {
        self.op1(if a.ty.is_float() { "arith.addf" } else { "arith.addi" }, &[a, b], a.ty, &[])
    }

    /// Difference of integers (wrapping) or floats.
    pub fn sub(&self, a: Val, b: Val) -> Val {
        self.op1(if a.ty.is_float() { "arith.subf" } else { "arith.subi" }, &[a, b], a.ty, &[])
    }

    /// Product of integers (wrapping) or floats.
    pub fn mul(&self, a: Val, b: Val) -> Val {
        self.op1(if a.ty.is_float() { "arith.mulf" } else { "arith.muli" }, &[a, b], a.ty, &[])
    }

    /// Negation; -0.0 for 0.0.
    pub fn neg(&self, a: Val) -> Val {
        if a.ty.is_float() { self.op1("arith.negf", &[a], a.ty, &[]) } else { self.sub(self.int(a.ty, 0), a) }
    }

    /// `a * b + c` with one rounding.
    pub fn fma(&self, a: Val, b: Val, c: Val) -> Val {
        self.op1("llvm.intr.fma", &[a, b, c], a.ty, &[])
    }

    /// Integer comparison.
    pub fn cmp(&self, how: Cmp, a: Val, b: Val) -> Val {
        let predicate = self.int_attr(Ty::I64, how as i64);
        self.op1("arith.cmpi", &[a, b], Ty::I1.vec(a.ty.lanes), &[("predicate", predicate)])
    }

    /// Float comparison.
    pub fn cmp_f(&self, how: FCmp, a: Val, b: Val) -> Val {
        let predicate = self.int_attr(Ty::I64, how as i64);
        self.op1("arith.cmpf", &[a, b], Ty::I1.vec(a.ty.lanes), &[("predicate", predicate)])
    }

    /// `cond ? a : b`.
    pub fn select(&self, cond: Val, a: Val, b: Val) -> Val {
        self.op1("arith.select", &[cond, a, b], a.ty, &[])
    }

    /// Complement of an i1.
    pub fn not(&self, a: Val) -> Val {
        self.xor(a, self.int(a.ty, -1))
    }

    /// An integer constant (splat for vectors).
    pub fn int(&self, ty: Ty, value: i64) -> Val {
        let scalar = self.int_attr(ty.lane(), value);
        self.constant(ty, scalar)
    }

    /// An i32 constant.
    pub fn i32(&self, value: i32) -> Val {
        self.int(Ty::I32, i64::from(value))
    }

    /// An i64 constant.
    pub fn i64(&self, value: i64) -> Val {
        self.int(Ty::I64, value)
    }

    /// An i1 constant.
    pub fn bool(&self, value: bool) -> Val {
        self.int(Ty::I1, i64::from(value))
    }

    /// A float constant, rounded to `ty` (splat for vectors).
    pub fn float(&self, ty: Ty, value: f64) -> Val {
        let scalar = unsafe { mlir_sys::mlirFloatAttrDoubleGet(self.context(), self.ty(ty.lane()), value) };
        self.constant(ty, scalar)
    }

    /// An f32 constant.
    pub fn f32(&self, value: f32) -> Val {
        self.float(Ty::F32, f64::from(value))
    }

    /// Zero of any integer or float type.
    pub fn zero(&self, ty: Ty) -> Val {
        if ty.is_float() { self.float(ty, 0.0) } else { self.int(ty, 0) }
    }

    fn constant(&self, ty: Ty, scalar: mlir_sys::MlirAttribute) -> Val {
        let value = match ty.lanes {
            1 => scalar,
            _ => unsafe { mlir_sys::mlirDenseElementsAttrSplatGet(self.ty(ty), scalar) },
        };
        self.op1("arith.constant", &[], ty, &[("value", value)])
    }

    /// Sign-extends, truncates or keeps an integer.
    pub fn resize_s(&self, a: Val, ty: Ty) -> Val {
        self.resize(a, ty, "arith.extsi")
    }

    /// Zero-extends, truncates or keeps an integer.
    pub fn resize_u(&self, a: Val, ty: Ty) -> Val {
        self.resize(a, ty, "arith.extui")
    }

    fn resize(&self, a: Val, ty: Ty, extend: &str) -> Val {
        let ty = ty.vec(a.ty.lanes);
        match ty.lane_bits().cmp(&a.ty.lane_bits()) {
            std::cmp::Ordering::Equal => a,
            std::cmp::Ordering::Less => self.op1("arith.trunci", &[a], ty, &[]),
            std::cmp::Ordering::Greater => self.op1(extend, &[a], ty, &[]),
        }
    }

    /// Converts between float types, rounding to nearest even.
    pub fn resize_f(&self, a: Val, ty: Ty) -> Val {
        let ty = ty.vec(a.ty.lanes);
        if a.ty.elem == ty.elem {
            return a;
        }
        let narrow = |e: Elem| matches!(e, Elem::F16 | Elem::BF16);
        if narrow(a.ty.elem) && narrow(ty.elem) {
            return self.resize_f(self.resize_f(a, Ty::F32), ty);
        }
        let name = if ty.lane_bits() > a.ty.lane_bits() { "arith.extf" } else { "arith.truncf" };
        self.op1(name, &[a], ty, &[])
    }

    /// Signed integer to float, rounded to nearest even.
    pub fn int_to_float_s(&self, a: Val, ty: Ty) -> Val {
        self.op1("arith.sitofp", &[a], ty.vec(a.ty.lanes), &[])
    }

    /// Unsigned integer to float, rounded to nearest even.
    pub fn int_to_float_u(&self, a: Val, ty: Ty) -> Val {
        self.op1("arith.uitofp", &[a], ty.vec(a.ty.lanes), &[])
    }

    /// Float to signed integer toward zero: saturating, NaN gives 0.
    pub fn float_to_int_s(&self, a: Val, ty: Ty) -> Val {
        self.intrinsic(&format!("llvm.fptosi.sat.i{}.{}", ty.lane_bits(), a.ty.suffix()), &[a], ty)
    }

    /// Float to unsigned integer toward zero: saturating, NaN gives 0.
    pub fn float_to_int_u(&self, a: Val, ty: Ty) -> Val {
        self.intrinsic(&format!("llvm.fptoui.sat.i{}.{}", ty.lane_bits(), a.ty.suffix()), &[a], ty)
    }

    /// Calls an LLVM intrinsic that has no operation of its own.
    pub fn intrinsic(&self, name: &str, operands: &[Val], result: Ty) -> Val {
        let attrs = [
            ("intrin", self.str_attr(name)),
            ("op_bundle_sizes", self.i32s_attr(&[])),
            ("operandSegmentSizes", self.i32s_attr(&[operands.len() as i32, 0])),
        ];
        self.op1("llvm.call_intrinsic", operands, result, &attrs)
    }

    /// Reinterprets the bits; the same total width.
    pub fn bitcast(&self, a: Val, ty: Ty) -> Val {
        if a.ty == ty { a } else { self.op1("llvm.bitcast", &[a], ty, &[]) }
    }
}

impl Builder {
    /// Quotient of signed integers rounded toward minus infinity, for a divisor known to be positive.
    pub fn floor_div_s(&self, a: Val, positive: Val) -> Val {
        let (q, r) = (self.div_s(a, positive), self.rem_s(a, positive));
        let negative = self.cmp(Cmp::Slt, r, self.zero(a.ty));
        self.sub(q, self.resize_u(negative, a.ty))
    }

    /// Quotient rounded up of a non-negative signed integer and a positive constant.
    pub fn ceil_div(&self, a: Val, by: i64) -> Val {
        self.div_u(self.add(a, self.int(a.ty, by - 1)), self.int(a.ty, by))
    }
}
