//! Structured control flow: loops and branches whose bodies are closures. There is no early exit: guard with `when`.

use super::{Builder, Ty, Val};
use mlir_sys::*;

/// What a body hands on: the next values of the loop, or the results of the branch.
pub type Yield = Vec<Val>;

impl Builder {
    /// `for (i = lo; i < hi; i += step)` over signed integers, carrying `init`. Returns the final values.
    pub fn for_loop(
        &self,
        lo: Val,
        hi: Val,
        step: Val,
        init: &[Val],
        body: impl FnOnce(Val, &[Val]) -> Yield,
    ) -> Vec<Val> {
        let types: Vec<Ty> = std::iter::once(lo.ty).chain(init.iter().map(|v| v.ty)).collect();
        let (block, args) = self.new_block(&types);
        self.inside(block, || {
            let next = body(args[0], &args[1..]);
            self.op0("scf.yield", &next, &[]);
        });
        let operands: Vec<Val> = [lo, hi, step].into_iter().chain(init.iter().copied()).collect();
        self.region_op("scf.for", &operands, &types[1..], vec![vec![block]])
    }

    /// `for i in lo..hi` without carried values.
    pub fn for_each(&self, lo: Val, hi: Val, step: Val, body: impl FnOnce(Val)) {
        self.for_loop(lo, hi, step, &[], |i, _| {
            body(i);
            vec![]
        });
    }

    /// Runs `body` only where `cond` holds.
    pub fn when(&self, cond: Val, body: impl FnOnce()) {
        let (block, _) = self.new_block(&[]);
        self.inside(block, || {
            body();
            self.op0("scf.yield", &[], &[]);
        });
        self.region_op("scf.if", &[cond], &[], vec![vec![block], vec![]]);
    }

    /// Runs one of two bodies and returns its values; both must yield the same types.
    pub fn if_else(&self, cond: Val, then: impl FnOnce() -> Yield, other: impl FnOnce() -> Yield) -> Vec<Val> {
        let (yes, _) = self.new_block(&[]);
        let (no, _) = self.new_block(&[]);
        let types: Vec<Ty> = self.inside(yes, || {
            let values = then();
            self.op0("scf.yield", &values, &[]);
            values.iter().map(|v| v.ty).collect()
        });
        self.inside(no, || {
            let values = other();
            self.op0("scf.yield", &values, &[]);
        });
        self.region_op("scf.if", &[cond], &types, vec![vec![yes], vec![no]])
    }

    /// `while cond(values) { values = body(values) }`; returns the values for which `cond` was false.
    pub fn while_loop(
        &self,
        init: &[Val],
        cond: impl FnOnce(&[Val]) -> Val,
        body: impl FnOnce(&[Val]) -> Yield,
    ) -> Vec<Val> {
        let types: Vec<Ty> = init.iter().map(|v| v.ty).collect();
        let (before, args) = self.new_block(&types);
        self.inside(before, || {
            let go = cond(&args);
            let operands: Vec<Val> = std::iter::once(go).chain(args.iter().copied()).collect();
            self.op0("scf.condition", &operands, &[]);
        });
        let (after, args) = self.new_block(&types);
        self.inside(after, || {
            let next = body(&args);
            self.op0("scf.yield", &next, &[]);
        });
        self.region_op("scf.while", init, &types, vec![vec![before], vec![after]])
    }

    /// Appends an operation whose regions hold the given blocks.
    pub(crate) fn region_op(
        &self,
        name: &str,
        operands: &[Val],
        results: &[Ty],
        regions: Vec<Vec<MlirBlock>>,
    ) -> Vec<Val> {
        // SAFETY: the blocks were made by this builder and belong to no region yet.
        let make = |blocks: Vec<MlirBlock>| unsafe {
            let region = mlirRegionCreate();
            blocks.into_iter().for_each(|b| mlirRegionAppendOwnedBlock(region, b));
            region
        };
        let types: Vec<_> = results.iter().map(|t| self.ty(*t)).collect();
        let op = self.raw_op(name, operands, &types, &[], regions.into_iter().map(make).collect());
        let value = |(i, ty): (usize, &Ty)| Val { raw: unsafe { mlirOperationGetResult(op, i as isize) }, ty: *ty };
        results.iter().enumerate().map(value).collect()
    }
}
