//! Addresses, loads, stores and vector lanes.

use super::{Builder, Ty, Val};

impl Builder {
    /// `ptr + index * size_of(elem)`; `index` is i32 (sign-extended) or i64.
    pub fn gep(&self, ptr: Val, elem: Ty, index: Val) -> Val {
        let attrs = [
            ("elem_type", self.type_attr(elem)),
            ("rawConstantIndices", self.i32s_attr(&[i32::MIN])),
            ("noWrapFlags", self.int_attr(Ty::I32, 0)),
        ];
        self.op1("llvm.getelementptr", &[ptr, index], ptr.ty, &attrs)
    }

    /// `ptr + bytes` for a constant number of bytes.
    pub fn offset(&self, ptr: Val, bytes: i64) -> Val {
        if bytes == 0 { ptr } else { self.gep(ptr, Ty::I8, self.i64(bytes)) }
    }

    /// Loads a scalar or vector; `align` in bytes must hold, 0 means the type's own alignment.
    pub fn load(&self, ptr: Val, ty: Ty, align: u32) -> Val {
        match align {
            0 => self.op1("llvm.load", &[ptr], ty, &[]),
            _ => self.op1("llvm.load", &[ptr], ty, &[("alignment", self.int_attr(Ty::I64, i64::from(align)))]),
        }
    }

    /// Stores a scalar or vector; `align` as for [`Builder::load`].
    pub fn store(&self, value: Val, ptr: Val, align: u32) {
        match align {
            0 => self.op0("llvm.store", &[value, ptr], &[]),
            _ => self.op0("llvm.store", &[value, ptr], &[("alignment", self.int_attr(Ty::I64, i64::from(align)))]),
        }
    }

    /// Element `index` of a vector.
    pub fn lane(&self, vector: Val, index: u32) -> Val {
        if vector.ty.lanes == 1 {
            return vector;
        }
        self.op1("llvm.extractelement", &[vector, self.i32(index as i32)], vector.ty.lane(), &[])
    }

    /// A vector of the given scalars; the scalar itself for one.
    pub fn pack(&self, lanes: &[Val]) -> Val {
        if lanes.len() == 1 {
            return lanes[0];
        }
        let ty = lanes[0].ty.vec(lanes.len() as u32);
        let empty = self.op1("llvm.mlir.undef", &[], ty, &[]);
        lanes.iter().enumerate().fold(empty, |vector, (i, lane)| {
            self.op1("llvm.insertelement", &[vector, *lane, self.i32(i as i32)], ty, &[])
        })
    }

    /// The address as an integer; shared pointers become the 32-bit window offset that PTX instructions take.
    pub fn ptr_to_int(&self, ptr: Val, ty: Ty) -> Val {
        self.op1("llvm.ptrtoint", &[ptr], ty, &[])
    }

    /// A pointer of another address space to the same place.
    pub fn ptr_cast(&self, ptr: Val, ty: Ty) -> Val {
        self.op1("llvm.addrspacecast", &[ptr], ty, &[])
    }

    /// The address of a global symbol of the kernel's module.
    pub fn address_of(&self, symbol: &str, ty: Ty) -> Val {
        self.op1("llvm.mlir.addressof", &[], ty, &[("global_name", self.parse_attr(&format!("@{symbol}")))])
    }
}
