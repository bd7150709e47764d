//! Sparse products lower and assemble within their budgets.

use super::*;
use crate::lower::Session;
use crate::samples::sparse;

#[test]
fn sparse_products_assemble() {
    for (dtype, size, b_k_major, transposed) in [
        (DType::BF16, (4096, 4096, 4096), true, false),
        (DType::BF16, (300, 200, 176), false, true),
        (DType::BF16, (1024, 64, 512), true, true),
        (DType::F8E4M3, (4096, 4096, 4096), true, true),
        (DType::F8E5M2, (300, 200, 160), true, false),
    ] {
        let desc = sparse(dtype, size, b_k_major, transposed);
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
    let declined =
        |dtype, k, b_k_major| try_sparse(&sparse(dtype, (64, 64, k), b_k_major, false), &SymbolTable::new()).is_none();
    assert!(declined(DType::BF16, 72, true) && !declined(DType::BF16, 80, true));
    assert!(declined(DType::F8E4M3, 80, true) && !declined(DType::F8E4M3, 96, true));
    // 8-bit operands are read along the reduction only (PTX ISA 9.7.15.5).
    assert!(declined(DType::F8E4M3, 96, false));
}
