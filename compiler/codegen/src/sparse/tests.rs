//! Sparse products lower and assemble within their budgets.

use super::*;
use crate::lower::Session;
use crate::samples::sparse;

#[test]
fn sparse_products_assemble() {
    for (size, b_k_major, transposed) in
        [((4096, 4096, 4096), true, false), ((300, 200, 176), false, true), ((1024, 64, 512), true, true)]
    {
        let desc = sparse(DType::BF16, size, b_k_major, transposed);
        let symbols = SymbolTable::new();
        let family = try_sparse(&desc, &symbols).expect("a plain sparse product");
        let lowered = Session::new().unwrap().lower(&desc, family.as_ref(), &[], None).unwrap();
        assert!(lowered.ptx.contains("wgmma.mma_async.sp"));
        if let Some(assembler) = crate::testing::assembler() {
            let made = assembler.assemble("sp", &lowered.ptx).unwrap();
            println!("{} {:?}", family.choice(), made.usage);
        }
    }
}

#[test]
fn odd_depths_are_declined() {
    assert!(try_sparse(&sparse(DType::BF16, (64, 64, 72), true, false), &SymbolTable::new()).is_none());
}
