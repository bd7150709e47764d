//! Every shape class lowers and assembles within its budgets.

use super::*;
use crate::lower::Session;
use crate::samples::Sizes;

fn assembles(desc: &KernelDesc) {
    let symbols = SymbolTable::new();
    let family = try_fused(desc, &symbols).unwrap_or_else(|| panic!("`{}` was declined", desc.name));
    let lowered = Session::new().unwrap().lower(desc, family.as_ref(), &[], None).unwrap();
    assert!(lowered.ptx.contains("wgmma.mma_async"));
    if let Some(assembler) = crate::testing::assembler() {
        let made = assembler.assemble(&desc.name, &lowered.ptx).unwrap();
        println!("{} {} {:?}", desc.name, family.choice(), made.usage);
    }
}

fn sizes(dtype: DType, seq: i64, heads: i64, heads_kv: i64, dim: u32) -> Sizes {
    Sizes { dtype, batch: 2.into(), seq: seq.into(), seq_k: seq.into(), heads, heads_kv, dim }
}

#[test]
fn trilinear_assembles() {
    for (heads, kv, dim, windows) in [
        (128, 1, 128, (32, 512)),
        (64, 1, 128, (512, 32)),
        (4, 2, 64, (24, 8)),
        (6, 2, 48, (7, 300)),
        (8, 8, 32, (1, 1)),
    ] {
        let name = format!("tri_{heads}_{kv}_{dim}");
        assembles(&sizes(DType::BF16, 640, heads, kv, dim).desc(&name, Some(windows), true));
    }
    assembles(&sizes(DType::F16, 96, 256, 1, 112).desc("tri_f16", Some((100, 100)), true));
}

#[test]
fn dot_assembles() {
    for (heads, kv, dim, causal) in [(8, 2, 128, true), (4, 4, 64, false), (4, 1, 96, true), (2, 2, 256, true)] {
        let name = format!("dot_{heads}_{kv}_{dim}");
        assembles(&sizes(DType::BF16, 1000, heads, kv, dim).desc(&name, None, causal));
    }
}
