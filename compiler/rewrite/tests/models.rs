//! Real files: the examples' models.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tricot_dialects::builder::build_main;
use tricot_dialects::{Attrs, Builder, Constant, Function, Module, TensorType, ValueId, text};
use tricot_import::{ImportOptions, import_onnx};
use tricot_reference::{Options, evaluate, random_inputs, relative_l2};
use tricot_rewrite::{Candidate, RewriteOptions, Rewritten, Winograd, explain, rewrite, why_not};
use tricot_types::{Bindings, DType, Diagnostic, Poly};

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
        let start = Instant::now();
        let r = rewrite(&module, &options).unwrap_or_else(|d| panic!("{}", d[0]));
        println!("{target}: {:?}, {} candidates", start.elapsed(), r.candidates.len());
        println!("{}", explain(&r, &r.candidates[0]));
        println!("{}", text::print(&r.candidates[0].module));
        println!("{}", why_not(&module, "trilinear.attention", &options).unwrap());
        assert_eq!(count(&r.candidates[0].module, "trilinear.attention"), 1, "{target}");
        for Candidate { module: candidate, proof, .. } in &r.candidates {
            tricot_dialects::verify::verify(candidate).unwrap_or_else(|d| panic!("{}", d[0]));
            tricot_proof::check_against(proof, &module, candidate).unwrap_or_else(|d| panic!("{}", d[0]));
        }
    }
}

fn run(module: &Module, options: &RewriteOptions) -> Rewritten {
    let r = rewrite(module, options).unwrap_or_else(|d| panic!("{}\n{}", d[0], text::print(module)));
    for Candidate { module: candidate, proof, .. } in &r.candidates {
        tricot_dialects::verify::verify(candidate).unwrap_or_else(|d| panic!("{}", d[0]));
        tricot_proof::check_against(proof, module, candidate).unwrap_or_else(|d| panic!("{}", d[0]));
    }
    r
}

fn distance(a: &Module, b: &Module) -> f64 {
    let inputs = random_inputs(a, 5, &Bindings::new(), &BTreeMap::new()).unwrap_or_else(|d| panic!("{d}"));
    let out = |m: &Module| evaluate(m, &inputs, &Options::default()).unwrap_or_else(|d| panic!("{d}"));
    relative_l2(&out(b)[0], &out(a)[0])
}

fn built(build: impl FnOnce(&mut Builder<'_>) -> Result<ValueId, Diagnostic>) -> Module {
    let mut module = Module::new("built");
    build_main(&mut module, |b| {
        let y = build(b)?;
        b.output("y", y);
        Ok(())
    })
    .unwrap_or_else(|d| panic!("{d}"));
    module
}

fn ramp(shape: &[u64], low: f64) -> Constant {
    let n: u64 = shape.iter().product();
    let values: Vec<f64> = (0..n).map(|i| low + (i * 37 % 101) as f64 / 101.0).collect();
    Constant::from_f64(DType::F32, shape.to_vec(), &values)
}

/// A 3x3 convolution with 16 channels in and out, a bias and a batch norm.
fn conv_and_norm() -> Module {
    built(|b| {
        let x = b.input("x", TensorType::new(DType::F32, [2, 16, 12, 12]));
        let w = b.constant(ramp(&[16, 16, 3, 3], -0.5))?;
        let y = b.one("nn.conv2d", &[x, w], Attrs::new().with("pad", vec![1i64; 4]))?;
        let shape = b.ty(y).shape.clone();
        let bias = b.constant(ramp(&[16], -0.25))?;
        let bias = b.broadcast(bias, &shape, &[1])?;
        let y = b.map("add", &[y, bias])?;
        let mut vectors = vec![y];
        for low in [0.5, -0.5, -0.125, 0.75] {
            vectors.push(b.constant(ramp(&[16], low))?);
        }
        let y = b.one("nn.batch_norm", &vectors, Attrs::new().with("epsilon", 1e-5))?;
        b.map("relu", &[y])
    })
}

#[test]
fn batch_norm_folds_into_the_filter() {
    let module = conv_and_norm();
    let r = run(&module, &RewriteOptions { winograd: Winograd::Off, ..RewriteOptions::default() });
    let best = &r.candidates[0].module;
    assert_eq!((count(best, "nn.batch_norm"), count(best, "nn.conv2d")), (0, 1), "{}", text::print(best));
    // One filter, one shift: nothing else is left but their broadcast, the sum and the relu.
    assert_eq!(count(best, "core.constant"), 2, "{}", text::print(best));
    assert_eq!(count(best, "core.map"), 2, "{}", text::print(best));
    let error = distance(&module, best);
    assert!(error < 1e-6, "off by {error}");
}

#[test]
fn winograd_needs_its_option_and_its_budget() {
    let module = conv_and_norm();
    let with = |winograd, max_rel_err| {
        let options = RewriteOptions { winograd, max_rel_err, target: "sm_90a".into(), ..RewriteOptions::default() };
        let r = run(&module, &options);
        let found = r.candidates.iter().map(|c| &c.module).find(|m| count(m, "winograd.output") > 0).cloned();
        (found, r)
    };
    assert!(with(Winograd::Off, 1.0).0.is_none());
    // F(4, 3) in f32 with 16 channels rounds more than a direct convolution may.
    assert!(with(Winograd::F43, 0.0).0.is_none());
    for (winograd, budget) in [(Winograd::F23, 0.0), (Winograd::F43, 1e-4)] {
        let (found, _) = with(winograd, budget);
        let found = found.expect("a candidate with Winograd");
        assert_eq!(count(&found, "winograd.filter"), 0, "the filter transform is folded: {}", text::print(&found));
        let error = distance(&module, &found);
        assert!(error < 1e-5, "off by {error}");
    }
}

/// `blocks` calls of the simplex block.
fn stacked(blocks: usize) -> Module {
    let mut module = example("simplex/block.onnx");
    let mut block = module.functions.shift_remove(Module::MAIN).expect("a main");
    block.name = "block".into();
    let (inputs, outputs) = (block.input_types(), block.output_types());
    assert_eq!(inputs, outputs, "blocks stack");
    module.add_function(block);
    let mut main = Function::new(Module::MAIN);
    let mut builder = Builder::new(&mut main, &mut module.constants).with_callees(&module.functions);
    let mut x = builder.input("x", inputs[0].clone());
    for _ in 0..blocks {
        x = builder.one("core.call", &[x], Attrs::new().with("callee", "block")).unwrap_or_else(|d| panic!("{d}"));
    }
    builder.output("y", x);
    module.add_function(main);
    module
}

#[test]
fn depth_costs_little_where_blocks_are_functions() {
    let time = |blocks: usize| -> Duration {
        let module = stacked(blocks);
        let runs = (0..3).map(|_| {
            let start = Instant::now();
            let r = rewrite(&module, &RewriteOptions::default()).unwrap_or_else(|d| panic!("{}", d[0]));
            tricot_proof::check(&r.candidates[0].proof, Some(&module)).unwrap_or_else(|d| panic!("{}", d[0]));
            assert_eq!(count(&r.candidates[0].module, "trilinear.attention"), 1);
            start.elapsed()
        });
        runs.min().expect("three runs")
    };
    let (one, many) = (time(1), time(48));
    println!("one block {one:?}, 48 blocks {many:?}");
    assert!(many < one * 3, "one block {one:?}, 48 blocks {many:?}");
}

/// `main` calls `block` twice, with these windows as mask constants.
fn masked_by_argument(windows: [i64; 2]) -> Module {
    let mut module = Module::new("arguments");
    let s = |d: &[i64]| d.iter().map(|d| Poly::constant(*d)).collect::<Vec<_>>();
    let x = TensorType::new(DType::F32, [2, 6, 3]);
    let mut block = Function::new("block");
    let mut b = Builder::new(&mut block, &mut module.constants);
    let input = b.input("x", x.clone());
    let mask = b.input("mask", TensorType::new(DType::Bool, [6, 6]));
    let mut body = || -> Result<ValueId, Diagnostic> {
        let l = b.contract("bid,bjd->bij", &[input, input], DType::F32)?;
        let keep = b.broadcast(mask, &s(&[2, 6, 6]), &[1, 2])?;
        let never = b.full(DType::F32, f64::NEG_INFINITY, &s(&[2, 6, 6]))?;
        let l = b.select(keep, l, never)?;
        let w = b.one("nn.softmax", &[l], Attrs::new().with("axis", 2i64))?;
        b.contract("bij,bje->bie", &[w, input], DType::F32)
    };
    let y = body().unwrap_or_else(|d| panic!("{d}"));
    b.output("y", y);
    module.add_function(block);
    let mut main = Function::new(Module::MAIN);
    let mut b = Builder::new(&mut main, &mut module.constants).with_callees(&module.functions);
    let mut v = b.input("x", x);
    for w in windows {
        let keep: Vec<i64> = (0..36).map(|n| i64::from(n % 6 <= n / 6 && n % 6 > n / 6 - w)).collect();
        let keep = b.constant(Constant::from_i64(DType::Bool, vec![6, 6], &keep)).unwrap_or_else(|d| panic!("{d}"));
        v = b.one("core.call", &[v, keep], Attrs::new().with("callee", "block")).unwrap_or_else(|d| panic!("{d}"));
    }
    b.output("y", v);
    module.add_function(main);
    module
}

#[test]
fn constant_arguments_are_facts_where_all_calls_agree() {
    let module = masked_by_argument([3, 3]);
    let r = run(&module, &RewriteOptions::default());
    assert_eq!(count(&r.candidates[0].module, "nn.attention"), 1, "{}", explain(&r, &r.candidates[0]));
    assert!(r.candidates[0].steps.iter().any(|s| s.rule == "argument-constant"));
    assert!(distance(&module, &r.candidates[0].module) < 1e-9);
    let other = masked_by_argument([3, 2]);
    let r2 = run(&other, &RewriteOptions::default());
    assert_eq!(count(&r2.candidates[0].module, "nn.attention"), 0);
    // The claim about the calls belongs to these calls.
    assert!(tricot_proof::check(&r.candidates[0].proof, Some(&other)).is_err());
    let mut forged = r.candidates[0].proof.clone();
    let main = r2.candidates[0].proof.functions.iter().find(|f| f.function == "main").expect("main").clone();
    *forged.functions.iter_mut().find(|f| f.function == "main").expect("main") = main;
    forged.constants =
        r.candidates[0].proof.constants.iter().chain(&r2.candidates[0].proof.constants).cloned().collect();
    assert!(tricot_proof::check(&forged, None).is_err());
}
