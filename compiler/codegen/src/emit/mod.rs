//! A thin builder over MLIR operations: the only way kernels are written here.
//!
//! The central type is [`Builder`]. It appends operations of the `arith`, `scf`, `llvm` and `nvvm` dialects to a current
//! block; values are [`Val`]s that know their type ([`Ty`]). All methods take `&self`, so calls nest freely. An operation
//! with operands of the wrong type is reported by MLIR's verifier when the kernel is lowered, with the kernel's name.
//! The builder knows no kernel description and no launch.

mod arith;
mod asm;
mod control;
mod gpu;
mod memory;
mod ty;

pub use arith::{Cmp, FCmp};
pub use control::Yield;
pub use ty::{Elem, Ty};

use mlir_sys::*;
use std::cell::Cell;

/// An SSA value and its type.
#[derive(Clone, Copy, Debug)]
pub struct Val {
    pub(crate) raw: MlirValue,
    pub ty: Ty,
}

/// Attributes by name.
pub type Attrs<'a> = &'a [(&'a str, MlirAttribute)];

/// Appends operations to a current block.
pub struct Builder {
    ctx: MlirContext,
    loc: MlirLocation,
    block: Cell<MlirBlock>,
}

pub(crate) fn string_ref(s: &str) -> MlirStringRef {
    MlirStringRef { data: s.as_ptr() as *const _, length: s.len() }
}

impl Builder {
    /// A builder that appends to `block`.
    ///
    /// # Safety
    /// `ctx` and `block` must outlive the builder and every [`Val`] made by it, and `block` must belong to `ctx`.
    pub(crate) unsafe fn new(ctx: MlirContext, block: MlirBlock) -> Builder {
        let loc = unsafe { mlirLocationUnknownGet(ctx) };
        Builder { ctx, loc, block: Cell::new(block) }
    }

    /// A second builder at the same place; only one of the two may be used from then on.
    pub(crate) fn again(&self) -> Builder {
        Builder { ctx: self.ctx, loc: self.loc, block: Cell::new(self.block.get()) }
    }

    /// Appends an operation and returns its results.
    pub fn op(&self, name: &str, operands: &[Val], results: &[Ty], attrs: Attrs) -> Vec<Val> {
        let types: Vec<_> = results.iter().map(|t| self.ty(*t)).collect();
        let op = self.raw_op(name, operands, &types, attrs, vec![]);
        let value = |(i, ty): (usize, &Ty)| Val { raw: unsafe { mlirOperationGetResult(op, i as isize) }, ty: *ty };
        results.iter().enumerate().map(value).collect()
    }

    /// [`Builder::op`] with exactly one result.
    pub fn op1(&self, name: &str, operands: &[Val], result: Ty, attrs: Attrs) -> Val {
        self.op(name, operands, &[result], attrs)[0]
    }

    /// [`Builder::op`] without results.
    pub fn op0(&self, name: &str, operands: &[Val], attrs: Attrs) {
        self.op(name, operands, &[], attrs);
    }

    /// Creates an operation with regions, appends it to the current block and returns it.
    pub(crate) fn raw_op(
        &self,
        name: &str,
        operands: &[Val],
        results: &[MlirType],
        attrs: Attrs,
        regions: Vec<MlirRegion>,
    ) -> MlirOperation {
        let operands: Vec<MlirValue> = operands.iter().map(|v| v.raw).collect();
        // SAFETY: every handle comes from this builder's context; MLIR copies the arrays.
        unsafe {
            let mut state = mlirOperationStateGet(string_ref(name), self.loc);
            mlirOperationStateAddOperands(&mut state, operands.len() as isize, operands.as_ptr());
            mlirOperationStateAddResults(&mut state, results.len() as isize, results.as_ptr());
            mlirOperationStateAddOwnedRegions(&mut state, regions.len() as isize, regions.as_ptr());
            let named: Vec<_> = attrs
                .iter()
                .map(|(n, a)| mlirNamedAttributeGet(mlirIdentifierGet(self.ctx, string_ref(n)), *a))
                .collect();
            mlirOperationStateAddAttributes(&mut state, named.len() as isize, named.as_ptr());
            let op = mlirOperationCreate(&mut state);
            mlirBlockAppendOwnedOperation(self.block.get(), op);
            op
        }
    }

    /// A new block with arguments of the given types, and the arguments.
    pub(crate) fn new_block(&self, types: &[Ty]) -> (MlirBlock, Vec<Val>) {
        let raw: Vec<_> = types.iter().map(|t| self.ty(*t)).collect();
        let locs = vec![self.loc; raw.len()];
        // SAFETY: as above; the caller puts the block into a region.
        unsafe {
            let block = mlirBlockCreate(raw.len() as isize, raw.as_ptr(), locs.as_ptr());
            let arg = |(i, ty): (usize, &Ty)| Val { raw: mlirBlockGetArgument(block, i as isize), ty: *ty };
            (block, types.iter().enumerate().map(arg).collect())
        }
    }

    /// Runs `body` with `block` as the current block.
    pub(crate) fn inside<R>(&self, block: MlirBlock, body: impl FnOnce() -> R) -> R {
        let before = self.block.replace(block);
        let result = body();
        self.block.set(before);
        result
    }

    /// The MLIR type of `ty`.
    pub(crate) fn ty(&self, ty: Ty) -> MlirType {
        ty.raw(self.ctx)
    }

    /// An integer attribute.
    pub fn int_attr(&self, ty: Ty, value: i64) -> MlirAttribute {
        unsafe { mlirIntegerAttrGet(self.ty(ty), value) }
    }

    /// A string attribute.
    pub fn str_attr(&self, value: &str) -> MlirAttribute {
        unsafe { mlirStringAttrGet(self.ctx, string_ref(value)) }
    }

    /// A unit attribute.
    pub fn unit_attr(&self) -> MlirAttribute {
        unsafe { mlirUnitAttrGet(self.ctx) }
    }

    /// A type attribute.
    pub fn type_attr(&self, ty: Ty) -> MlirAttribute {
        unsafe { mlirTypeAttrGet(self.ty(ty)) }
    }

    /// An attribute in MLIR's own syntax, such as `#nvvm.shfl_kind<bfly>`.
    pub fn parse_attr(&self, text: &str) -> MlirAttribute {
        let attr = unsafe { mlirAttributeParseGet(self.ctx, string_ref(text)) };
        assert!(!attr.ptr.is_null(), "attribute `{text}` does not parse");
        attr
    }

    /// An `array<i32: …>` attribute.
    pub fn i32s_attr(&self, values: &[i32]) -> MlirAttribute {
        unsafe { mlirDenseI32ArrayGet(self.ctx, values.len() as isize, values.as_ptr()) }
    }

    /// An `array<i64: …>` attribute.
    pub fn i64s_attr(&self, values: &[i64]) -> MlirAttribute {
        unsafe { mlirDenseI64ArrayGet(self.ctx, values.len() as isize, values.as_ptr()) }
    }

    pub(crate) fn context(&self) -> MlirContext {
        self.ctx
    }
}
