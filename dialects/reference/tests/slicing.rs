//! Slices against the whole, direct forms against decompositions.

use crate::samples::{SAMPLES, module};
use crate::support::{decomposed, inputs, options, run};
use tricot_dialects::text::parse;
use tricot_dialects::{ConstantStore, Module};
use tricot_reference::{Mode, Options, evaluate, random_inputs, relative_l2};

#[test]
fn every_sample_gives_the_same_in_slices() {
    let mut sliced = 0;
    for sample in SAMPLES {
        let m = module(sample);
        for seed in 0..3 {
            let inputs = inputs(&m, seed);
            let whole = run(&m, &inputs, &options());
            for cap in [3_000, 20_000] {
                let part = match evaluate(&m, &inputs, &Options { memory_cap: cap, ..options() }) {
                    Ok(part) => part,
                    // Some ops cannot be cut; they say so.
                    Err(e) => {
                        assert_eq!(e.code, "TC0804", "{e}");
                        continue;
                    }
                };
                sliced += 1;
                for (a, b) in part.iter().zip(&whole) {
                    let error = relative_l2(a, b);
                    assert!(error < 1e-13 || a == b, "{sample}: {error}");
                }
            }
        }
    }
    assert!(sliced > 5 * SAMPLES.len(), "{sliced} of {} were cut", 6 * SAMPLES.len());
}

#[test]
fn direct_forms_mean_their_decompositions() {
    let names = ["nn.attention", "trilinear.attention", "trilinear.attention_backward"];
    let mut compared = 0;
    for sample in SAMPLES.iter().filter(|s| names.iter().any(|n| s.contains(n))) {
        let m = module(sample);
        let d = decomposed(&m, &names);
        for mode in [Mode::Exact, Mode::Typed] {
            let inputs = inputs(&m, 5);
            let options = Options { mode, ..options() };
            for (a, b) in run(&m, &inputs, &options).iter().zip(run(&d, &inputs, &options)) {
                let bound = match (mode, a.dtype) {
                    (Mode::Exact, _) => 1e-12,
                    (_, tricot_types::DType::F32) => 1e-5,
                    _ => 6e-3,
                };
                let error = relative_l2(a, &b);
                assert!(error < bound, "{sample}: {error}");
                compared += 1;
            }
        }
    }
    assert!(compared > 20);
}

/// Trilinear attention as people write it: einsum, masked softmax, einsum.
fn plain(n: usize, h: usize, d: usize, w1: usize, w2: usize) -> (Module, Module) {
    let x = format!("f32[1, {n}, {h}, {d}]");
    let (cube, logits) = (format!("[{n}, {n}, {n}]"), format!("[1, {h}, {n}, {n}, {n}]"));
    let flat = format!("[1, {h}, {n}, {}]", n * n);
    let params = ["q", "k1", "k2", "v1", "v2"].map(|p| format!("%{p}: {x}")).join(", ");
    let source = format!(
        r#"module @plain

func @main({params}) {{
  %l = core.contract %q, %k1, %k2 {{dtype = f32, spec = "bihd,bjhd,bkhd->bhijk"}} : f32{logits}
  %c = core.constant {{value = dense<[0.5]>}} : f32[]
  %cb = core.broadcast %c {{axes = [], shape = {logits}}} : f32{logits}
  %s = core.map %l, %cb {{fn = "mul"}} : f32{logits}
  %i = core.iota {{axis = 0, dtype = i64, shape = {cube}}} : i64{cube}
  %j = core.iota {{axis = 1, dtype = i64, shape = {cube}}} : i64{cube}
  %k = core.iota {{axis = 2, dtype = i64, shape = {cube}}} : i64{cube}
  %ij = core.map %i, %j {{fn = "sub"}} : i64{cube}
  %ik = core.map %i, %k {{fn = "sub"}} : i64{cube}
  %z = core.constant {{value = dense<[0]>}} : i64[]
  %zb = core.broadcast %z {{axes = [], shape = {cube}}} : i64{cube}
  %w = core.constant {{value = dense<[{w1}]>}} : i64[]
  %wb = core.broadcast %w {{axes = [], shape = {cube}}} : i64{cube}
  %u = core.constant {{value = dense<[{w2}]>}} : i64[]
  %ub = core.broadcast %u {{axes = [], shape = {cube}}} : i64{cube}
  %a = core.map %ij, %zb {{fn = "ge"}} : bool{cube}
  %b = core.map %ij, %wb {{fn = "lt"}} : bool{cube}
  %e = core.map %ik, %zb {{fn = "ge"}} : bool{cube}
  %f = core.map %ik, %ub {{fn = "lt"}} : bool{cube}
  %ab = core.map %a, %b {{fn = "and"}} : bool{cube}
  %ef = core.map %e, %f {{fn = "and"}} : bool{cube}
  %m = core.map %ab, %ef {{fn = "and"}} : bool{cube}
  %mb = core.broadcast %m {{axes = [2, 3, 4], shape = {logits}}} : bool{logits}
  %neg = core.constant {{value = dense<[-inf]>}} : f32[]
  %nb = core.broadcast %neg {{axes = [], shape = {logits}}} : f32{logits}
  %x = core.select %mb, %s, %nb : f32{logits}
  %r = core.reshape %x {{shape = {flat}}} : f32{flat}
  %p = nn.softmax %r {{axis = 3}} : f32{flat}
  %t = core.reshape %p {{shape = {logits}}} : f32{logits}
  %o = core.contract %t, %v1, %v2 {{dtype = f32, spec = "bhijk,bjhd,bkhd->bihd"}} : {x}
  return "o" = %o
}}
"#
    );
    let raised = format!(
        r#"module @raised

func @main({params}) {{
  %o, %l = trilinear.attention %q, %k1, %k2, %v1, %v2 {{scale = 0.5, w1 = {w1}, w2 = {w2}}} : {x}, f32[1, {h}, {n}]
  return "o" = %o
}}
"#
    );
    let read = |t: &str| parse("plain", t, &ConstantStore::default()).unwrap_or_else(|e| panic!("{}", e[0]));
    (read(&source), read(&raised))
}

#[test]
fn a_plain_simplex_block_is_sliced_to_fit() {
    let (source, raised) = plain(96, 2, 8, 24, 8);
    let inputs = random_inputs(&source, 3, &Default::default(), &Default::default()).unwrap();
    // One tensor of logits takes 14 MB.
    let part = run(&source, &inputs, &Options { memory_cap: 4 << 20, ..Options::default() });
    let want = run(&raised, &inputs, &Options::default());
    let error = relative_l2(&part[0], &want[0]);
    assert!(error < 1e-12, "{error}");
}
