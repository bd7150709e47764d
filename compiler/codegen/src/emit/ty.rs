//! Register types: [`Ty`], a scalar or a short vector of one.

use mlir_sys::*;

/// A scalar type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Elem {
    I1,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
    /// `!llvm.ptr<n>`: 0 generic, 1 global, 3 shared.
    Ptr(u32),
}

/// A scalar (`lanes == 1`) or a vector of `lanes` scalars.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ty {
    pub elem: Elem,
    pub lanes: u32,
}

impl Ty {
    pub const I1: Ty = Ty::scalar(Elem::I1);
    pub const I8: Ty = Ty::scalar(Elem::I8);
    pub const I16: Ty = Ty::scalar(Elem::I16);
    pub const I32: Ty = Ty::scalar(Elem::I32);
    pub const I64: Ty = Ty::scalar(Elem::I64);
    pub const F16: Ty = Ty::scalar(Elem::F16);
    pub const BF16: Ty = Ty::scalar(Elem::BF16);
    pub const F32: Ty = Ty::scalar(Elem::F32);
    pub const F64: Ty = Ty::scalar(Elem::F64);
    /// Generic address space.
    pub const PTR: Ty = Ty::scalar(Elem::Ptr(0));
    /// Global memory.
    pub const GLOBAL: Ty = Ty::scalar(Elem::Ptr(1));
    /// Shared memory of the block (or the cluster, when mapped).
    pub const SHARED: Ty = Ty::scalar(Elem::Ptr(3));

    const fn scalar(elem: Elem) -> Ty {
        Ty { elem, lanes: 1 }
    }

    /// A vector of `lanes` of this scalar; the scalar itself for one lane.
    pub const fn vec(self, lanes: u32) -> Ty {
        Ty { elem: self.elem, lanes }
    }

    /// The scalar type of the lanes.
    pub const fn lane(self) -> Ty {
        Ty::scalar(self.elem)
    }

    /// f16, bf16, f32 or f64, or a vector of one.
    pub const fn is_float(self) -> bool {
        matches!(self.elem, Elem::F16 | Elem::BF16 | Elem::F32 | Elem::F64)
    }

    /// Bits of one lane; 64 for pointers.
    pub const fn lane_bits(self) -> u32 {
        match self.elem {
            Elem::I1 => 1,
            Elem::I8 => 8,
            Elem::I16 | Elem::F16 | Elem::BF16 => 16,
            Elem::I32 | Elem::F32 => 32,
            Elem::I64 | Elem::F64 | Elem::Ptr(_) => 64,
        }
    }

    /// The integer type as wide as one lane, with as many lanes.
    pub const fn as_int(self) -> Ty {
        let elem = match self.lane_bits() {
            1 => Elem::I1,
            8 => Elem::I8,
            16 => Elem::I16,
            32 => Elem::I32,
            _ => Elem::I64,
        };
        Ty { elem, lanes: self.lanes }
    }

    /// The integer type of `bits` bits.
    pub const fn int(bits: u32) -> Ty {
        match bits {
            1 => Ty::I1,
            8 => Ty::I8,
            16 => Ty::I16,
            32 => Ty::I32,
            _ => Ty::I64,
        }
    }

    /// The lane type in names of LLVM intrinsics: `f32`, `i64`.
    pub const fn suffix(self) -> &'static str {
        match self.elem {
            Elem::I1 => "i1",
            Elem::I8 => "i8",
            Elem::I16 => "i16",
            Elem::I32 => "i32",
            Elem::I64 => "i64",
            Elem::F16 => "f16",
            Elem::BF16 => "bf16",
            Elem::F32 => "f32",
            Elem::F64 => "f64",
            Elem::Ptr(_) => "p0",
        }
    }

    pub(crate) fn raw(self, ctx: MlirContext) -> MlirType {
        // SAFETY: `ctx` is a live context with all dialects loaded.
        unsafe {
            let scalar = match self.elem {
                Elem::I1 => mlirIntegerTypeGet(ctx, 1),
                Elem::I8 => mlirIntegerTypeGet(ctx, 8),
                Elem::I16 => mlirIntegerTypeGet(ctx, 16),
                Elem::I32 => mlirIntegerTypeGet(ctx, 32),
                Elem::I64 => mlirIntegerTypeGet(ctx, 64),
                Elem::F16 => mlirF16TypeGet(ctx),
                Elem::BF16 => mlirBF16TypeGet(ctx),
                Elem::F32 => mlirF32TypeGet(ctx),
                Elem::F64 => mlirF64TypeGet(ctx),
                Elem::Ptr(space) => mlirLLVMPointerTypeGet(ctx, space),
            };
            if self.lanes == 1 { scalar } else { mlirVectorTypeGet(1, [i64::from(self.lanes)].as_ptr(), scalar) }
        }
    }
}
