//! Inline PTX. `nvvm.inline_ptx` of MLIR 22 swaps operands when it has both read-only and read-write ones, so
//! everything goes through `llvm.inline_asm`.

use super::{Builder, Ty, Val};
use mlir_sys::*;

impl Builder {
    /// Inline PTX with results.
    ///
    /// `constraints` in LLVM's form: outputs (`=r`, `=l`, `=f`, `=d`, `=h`), then inputs. A tied input is written as the number
    /// of its output and still takes an operand number of its own: with n outputs, all tied, the first further input is `$2n`.
    /// `effects` keeps the statement where it is and in order with others; add `~{memory}` when it touches memory.
    pub fn asm(&self, text: &str, constraints: &str, operands: &[Val], results: &[Ty], effects: bool) -> Vec<Val> {
        let mut attrs = vec![
            ("asm_string", self.str_attr(text)),
            ("constraints", self.str_attr(constraints)),
            ("asm_dialect", self.int_attr(Ty::I64, 0)),
        ];
        if effects {
            attrs.push(("has_side_effects", self.unit_attr()));
        }
        let types: Vec<_> = results.iter().map(|t| self.ty(*t)).collect();
        match results {
            [] => {
                self.raw_op("llvm.inline_asm", operands, &[], &attrs, vec![]);
                vec![]
            }
            [ty] => {
                let op = self.raw_op("llvm.inline_asm", operands, &types, &attrs, vec![]);
                vec![Val { raw: unsafe { mlirOperationGetResult(op, 0) }, ty: *ty }]
            }
            _ => {
                // SAFETY: a literal struct of the result types of this builder's context.
                let (ty, op) = unsafe {
                    let ty = mlirLLVMStructTypeLiteralGet(self.context(), types.len() as isize, types.as_ptr(), false);
                    (ty, self.raw_op("llvm.inline_asm", operands, &[ty], &attrs, vec![]))
                };
                let _ = ty;
                let whole = Val { raw: unsafe { mlirOperationGetResult(op, 0) }, ty: Ty::I1 };
                let part = |(i, ty): (usize, &Ty)| {
                    self.op1("llvm.extractvalue", &[whole], *ty, &[("position", self.i64s_attr(&[i as i64]))])
                };
                results.iter().enumerate().map(part).collect()
            }
        }
    }

    /// Inline PTX with one result and no side effect.
    pub fn asm_pure(&self, text: &str, constraints: &str, operands: &[Val], result: Ty) -> Val {
        self.asm(text, constraints, operands, &[result], false)[0]
    }

    /// Inline PTX without results, with side effects. `constraints` are the inputs'; `~{memory}` is added.
    pub fn asm_effect(&self, text: &str, constraints: &str, operands: &[Val]) {
        let all = if constraints.is_empty() { "~{memory}".to_string() } else { format!("{constraints},~{{memory}}") };
        self.asm(text, &all, operands, &[], true);
    }

    /// Ties values through an empty statement, so that neither LLVM nor ptxas moves their definitions past it.
    /// Values must be f32, f64, i32 or i64.
    pub fn pin(&self, values: &[Val]) -> Vec<Val> {
        if values.is_empty() {
            return vec![];
        }
        let letter = |v: &Val| match (v.ty.is_float(), v.ty.lane_bits()) {
            (true, 64) => "d",
            (true, _) => "f",
            (false, 64) => "l",
            (false, 16) => "h",
            _ => "r",
        };
        let outputs = values.iter().map(|v| format!("={}", letter(v)));
        let ties = (0..values.len()).map(|i| i.to_string());
        let constraints = outputs.chain(ties).collect::<Vec<_>>().join(",");
        let types: Vec<Ty> = values.iter().map(|v| v.ty).collect();
        self.asm("", &constraints, values, &types, true)
    }
}
