//! Every op: inference against hand-written types, text round trips, decompositions.

use crate::samples::{SAMPLES, module, text};
use std::collections::BTreeSet;
use tricot_dialects::builder::build_main;
use tricot_dialects::text::print;
use tricot_dialects::verify::verify;
use tricot_dialects::{Meaning, Module, OpView, TensorType, ValueId, registry};

#[test]
fn every_op_has_a_sample() {
    let mut seen = BTreeSet::from(["core.argument", "core.call"]);
    for sample in SAMPLES {
        let m = module(sample);
        let f = m.main().unwrap();
        seen.extend(f.order().into_iter().map(|id| f.node(id).op.name));
    }
    let missing: Vec<_> = registry::all().map(|d| d.name).filter(|n| !seen.contains(n)).collect();
    assert!(missing.is_empty(), "no sample calls {missing:?}");
}

#[test]
fn samples_print_as_they_were_written() {
    for sample in SAMPLES {
        assert_eq!(print(&module(sample)), text(sample));
    }
}

fn bare(t: &TensorType) -> TensorType {
    TensorType { encoding: None, ..t.clone() }
}

#[test]
fn decompositions_have_the_types_inference_promises() {
    for sample in SAMPLES {
        let m = module(sample);
        let f = m.main().unwrap();
        for id in f.order() {
            let node = f.node(id);
            let Meaning::Decompose(decompose) = node.op.meaning else { continue };
            let mut out = Module { symbols: m.symbols.clone(), ..Module::new("decomposed") };
            build_main(&mut out, |b| {
                let inputs: Vec<ValueId> = node
                    .operands()
                    .iter()
                    .enumerate()
                    .map(|(i, v)| b.input(&format!("i{i}"), f.ty(*v).clone()))
                    .collect();
                let results = decompose(b, &node.attrs, &inputs)?;
                assert_eq!(results.len(), node.results.len(), "{sample}");
                for (i, (have, want)) in results.iter().zip(&node.results).enumerate() {
                    assert_eq!(bare(b.ty(*have)), bare(want), "{sample}");
                    b.output(&format!("o{i}"), *have);
                }
                Ok(())
            })
            .unwrap_or_else(|e| panic!("{sample}\n{e}"));
            verify(&out).unwrap_or_else(|e| panic!("{sample}\n{}", e[0]));
        }
    }
}

#[test]
fn work_is_counted() {
    let count = |sample: &str| {
        let m = module(sample);
        let f = m.main().unwrap();
        let node = f.node(f.outputs[0].value.node);
        let operands: Vec<_> = node.operands().iter().map(|v| f.ty(*v).clone()).collect();
        let view = OpView { def: node.op, operands: &operands, attrs: &node.attrs, constant: None, callee: None };
        (node.op.work)(view).flops.to_string()
    };
    // 4 b h d sum_i min(i + 1, w1) min(i + 1, w2): lengths 1..=5 give 1 + 4 + 6 + 6 + 6 pairs for windows 3 and 2.
    let t = |s: &str| {
        count(&format!(
            "%q: f32[2, {s}, 4, 8], %k: f32[2, {s}, 1, 8] | %o, %l = trilinear.attention %q, %k, %k, %k, %k {{scale = 1.0, w1 = 3, \
             w2 = 2}} : f32[2, {s}, 4, 8], f32[2, 4, {s}]"
        ))
    };
    assert_eq!(t("5"), (4 * 2 * 4 * 8 * 23).to_string());
    assert_eq!(t("s"), "1536*s - 1792");
    let a = count(
        "%q: f32[1, 5, 1, 8], %k: f32[1, 7, 1, 8] | %o, %l = nn.attention %q, %k, %k {causal = true, offset = 2, scale = 1.0, window = \
         3} : f32[1, 5, 1, 8], f32[1, 1, 5]",
    );
    assert_eq!(a, (4 * 8 * 15).to_string());
}
