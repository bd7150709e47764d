//! Real files: the examples' models.

use std::path::Path;
use tricot_dialects::{Module, text};
use tricot_import::{ImportOptions, import_onnx};
use tricot_rewrite::{RewriteOptions, explain, rewrite, why_not};

fn example(name: &str) -> Module {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    import_onnx(&path, &ImportOptions::default()).unwrap_or_else(|d| panic!("{}", d[0]))
}

fn count(module: &Module, op: &str) -> usize {
    module.functions.values().map(|f| f.live_order().into_iter().filter(|id| f.node(*id).op.name == op).count()).sum()
}

#[test]
fn the_simplex_block_holds_trilinear_attention() {
    let module = example("simplex/block.onnx");
    for target in ["cpu", "sm_90a"] {
        let options = RewriteOptions { target: target.into(), ..RewriteOptions::default() };
        let start = std::time::Instant::now();
        let r = rewrite(&module, &options).unwrap_or_else(|d| panic!("{}", d[0]));
        println!("{target}: {:?}, {} candidates", start.elapsed(), r.candidates.len());
        println!("{}", explain(&r));
        println!("{}", text::print(&r.candidates[0]));
        println!("{}", why_not(&module, "trilinear.attention", &options).unwrap());
        assert_eq!(count(&r.candidates[0], "trilinear.attention"), 1, "{target}");
        for (candidate, proof) in r.candidates.iter().zip(&r.proofs) {
            tricot_dialects::verify::verify(candidate).unwrap_or_else(|d| panic!("{}", d[0]));
            tricot_proof::check_against(proof, &module, candidate).unwrap_or_else(|d| panic!("{}", d[0]));
        }
    }
}
