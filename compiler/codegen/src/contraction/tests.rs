//! Every shape class lowers, assembles within its budgets and picks the config it should.

use super::*;
use crate::lower::Session;
use crate::samples::Gemm;
use tricot_types::{DType, Symbol, SymbolInfo};

fn assembles(desc: &KernelDesc, symbols: &SymbolTable) -> String {
    let family = try_dense(desc, symbols).unwrap_or_else(|| panic!("`{}` was declined", desc.name));
    let lowered = Session::new().unwrap().lower(desc, family.as_ref(), &[], None).unwrap();
    if let Some(assembler) = crate::testing::assembler() {
        let made = assembler.assemble(&desc.name, &lowered.ptx).unwrap();
        assert_eq!(made.usage.spill_stores, 0, "{} spills", desc.name);
    }
    assert!(lowered.ptx.contains("wgmma.mma_async"));
    family.choice()
}

#[test]
fn big_products_use_the_big_tile() {
    let desc = Gemm::new(DType::BF16, 8192, 8192, 8192).desc("big");
    assert_eq!(assembles(&desc, &SymbolTable::new()), "wgmma 256x128x64 s4 v8");
}

#[test]
fn a_few_rows_become_columns() {
    let desc = Gemm::new(DType::F16, 8, 4096, 4096).desc("decode");
    assert_eq!(assembles(&desc, &SymbolTable::new()), "wgmma 128x32x64 s8 v8");
}

#[test]
fn all_majors_ragged_sizes_batches_and_bias_assemble() {
    for (a_k_major, b_k_major) in [(true, true), (true, false), (false, true), (false, false)] {
        let g = Gemm { a_k_major, b_k_major, bias: true, batch: 3.into(), ..Gemm::new(DType::BF16, 200, 328, 72) };
        assembles(&g.desc("ragged"), &SymbolTable::new());
    }
    let odd = Gemm { out: DType::F32, ..Gemm::new(DType::BF16, 77, 33, 64) };
    assembles(&odd.desc("odd"), &SymbolTable::new());
    assembles(&Gemm { out: DType::BF16, ..Gemm::new(DType::F8E4M3, 300, 200, 112) }.desc("fp8"), &SymbolTable::new());
}

#[test]
fn symbolic_rows_assemble() {
    let s = Symbol::new("s").unwrap();
    let symbols = SymbolTable::from([(s.clone(), SymbolInfo::default())]);
    let g = Gemm { m: s.into(), ..Gemm::new(DType::BF16, 1, 1024, 512) };
    assembles(&g.desc("symbolic"), &symbols);
}

#[test]
fn what_tma_cannot_fetch_is_declined() {
    let none = SymbolTable::new();
    let declined = |g: Gemm| try_dense(&g.desc("x"), &none).is_none();
    assert!(declined(Gemm::new(DType::BF16, 64, 64, 60)), "rows of 120 bytes");
    assert!(declined(Gemm { a_k_major: false, ..Gemm::new(DType::F8E4M3, 64, 64, 64) }), "fp8 is K-major only");
    let wide = Gemm { out: DType::F32, ..Gemm::new(DType::F8E4M3, 64, 64, 64) };
    assert!(declined(wide), "fp8 sums are too short for f32 results");
    assert!(declined(Gemm::new(DType::F32, 64, 64, 64)), "f32 needs a precision that allows tf32");
}
