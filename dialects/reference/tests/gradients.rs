//! Every VJP against central differences in float64.

use crate::samples::module;
use crate::support::{at, hints, inputs, options, run, symbols};
use std::collections::BTreeMap;
use tricot_dialects::builder::build_main;
use tricot_dialects::gradient::gradient;
use tricot_dialects::{Module, TensorType, ValueId, registry};
use tricot_reference::{Data, Tensor, random_inputs};

/// The module with, after its outputs, the gradients of `sum(seed * output)` for one more input each: the seeds.
fn with_gradients(m: &Module, differentiable: &[usize]) -> Module {
    let mut out = Module { symbols: m.symbols.clone(), constants: m.constants.clone(), ..Module::new("gradient") };
    let f = m.main().unwrap();
    build_main(&mut out, |b| {
        let arguments: Vec<ValueId> =
            f.inputs().zip(f.input_names()).map(|(v, n)| b.input(n, f.ty(v).clone())).collect();
        let results = b.inline(f, &arguments);
        let mut seeds = vec![];
        for (i, v) in results.iter().enumerate() {
            b.output(&format!("o{i}"), *v);
            let ty = TensorType { encoding: None, ..b.ty(*v).clone() };
            if ty.dtype.is_float() {
                seeds.push((*v, b.input(&format!("seed{i}"), ty)));
            }
        }
        let wrt: Vec<ValueId> = differentiable.iter().map(|i| arguments[*i]).collect();
        for (i, g) in gradient(b, &seeds, &wrt)?.into_iter().enumerate() {
            let g = g.unwrap_or_else(|| panic!("no gradient flows to input {}", differentiable[i]));
            assert_eq!(b.ty(g), b.ty(wrt[i]));
            b.output(&format!("g{i}"), g);
        }
        Ok(())
    })
    .unwrap();
    out
}

/// Compares gradients with differences at some elements of each float input not in `skip`.
fn check(text: &str, skip: &[&str]) {
    let m = module(text);
    let f = m.main().unwrap();
    let inputs = inputs(&m, 11);
    let names: Vec<&str> = f.input_names().collect();
    let wrt: Vec<usize> =
        (0..inputs.len()).filter(|i| inputs[*i].dtype.is_float() && !skip.contains(&names[*i])).collect();
    let g = with_gradients(&m, &wrt);
    let seeds = random_inputs(&g, 23, &symbols(), &hints()).unwrap().split_off(inputs.len());
    let all: Vec<Tensor> = inputs.iter().chain(&seeds).cloned().collect();
    let results = run(&g, &all, &options());
    let count = f.outputs.len();
    let loss = |inputs: &[Tensor]| -> f64 {
        let results = run(&m, inputs, &options());
        let floats = results.iter().filter(|r| r.dtype.is_float());
        floats.zip(&seeds).map(|(r, s)| r.to_f64().iter().zip(s.to_f64()).map(|(a, b)| a * b).sum::<f64>()).sum()
    };
    let mut largest = 0f64;
    for (which, input) in wrt.iter().enumerate() {
        let analytic = results[count + which].to_f64();
        let n = analytic.len();
        for e in (0..n).step_by((n / 31).max(1)) {
            let moved = |by: f64| {
                let mut x = inputs.clone();
                if let Data::Float(v) = &mut x[*input].data {
                    v[e] += by;
                }
                loss(&x)
            };
            let h = 1e-5;
            let difference = (moved(h) - moved(-h)) / (2.0 * h);
            largest = largest.max(difference.abs());
            let bound = 1e-5 * (1.0 + difference.abs());
            assert!(
                (difference - analytic[e]).abs() < bound,
                "{text}\nd {} at {e}: {}, differences give {difference}",
                names[*input],
                analytic[e]
            );
        }
    }
    assert!(largest > 1e-3, "{text}: the loss does not move");
}

/// Samples whose ops all have gradients, in f64.
const DIFFERENTIABLE: &[&str] = &[
    "%x: f64[3, 4], %w: f64[4, 6], %v: f64[6] | %y = core.contract %x, %w, %v {dtype = f64, spec = \"bk,kn,n->b\"} : f64[3]",
    "%x: f64[3, 4, 5] | %y = core.reduce %x {axes = [0, 2], kind = \"sum\"} : f64[4]",
    "%x: f64[3, 4, 5] | %y = core.reduce %x {axes = [1], kind = \"max\"} : f64[3, 5]",
    "%x: f64[3, 5] | %y = core.scan %x {axis = 1, kind = \"sum\"} : f64[3, 5]",
    "%x: f64[3, 5] | %y = core.scan %x {axis = 1, exclusive = true, kind = \"sum\", reverse = true} : f64[3, 5]",
    "%x: f64[3, 1] | %y = core.broadcast %x {axes = [2, 0], shape = [4, 2, 3]} : f64[4, 2, 3]",
    "%x: f64[2, 2], %z: f64[2, 3] | %y = core.concat %x, %z {axis = 1} : f64[2, 5]",
    "%x: f64[4, 6] | %y = core.slice %x {size = [2, 3], start = [1, 2], step = [1, 1]} : f64[2, 3]",
    "%x: f64[9, 2, 8] | %y = core.window %x {axes = [0, 2], dilation = [2, 1], size = [3, 2], stride = [2, 3]} : f64[3, 2, 3, 3, 2]",
    "%x: f64[2, 3, 4] | %y = core.transpose %x {perm = [2, 0, 1]} : f64[4, 2, 3]; %r = core.reshape %y {shape = [8, 3]} : f64[8, 3]",
    "%x: f64[3, 5] | %y = nn.celu %x {alpha = 1.5} : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.elu %x {alpha = 0.5} : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.gelu %x : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.gelu %x {approximate = \"tanh\"} : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.hard_sigmoid %x : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.hard_swish %x : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.leaky_relu %x {alpha = 0.1} : f64[3, 5]",
    "%x: f64[3, 5], %a: f64[5] | %y = nn.prelu %x, %a : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.selu %x : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.shrink %x {bias = 0.25, lambd = 0.75} : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.silu %x : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.softsign %x : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.thresholded_relu %x {alpha = 0.5} : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.softplus %x : f64[3, 5]",
    "%x: f64[3, 5] | %y = nn.mish %x : f64[3, 5]",
    "%x: f64[3, 5, 2] | %y = nn.softmax %x {axis = 1} : f64[3, 5, 2]",
    "%x: f64[3, 5, 2] | %y = nn.log_softmax %x {axis = 1} : f64[3, 5, 2]",
    "%x: f64[2, 3, 4], %g: f64[3, 4], %c: f64[3, 4] | %y = nn.layer_norm %x, %g, %c {axis = 1, epsilon = 0.1} : f64[2, 3, 4]",
    "%x: f64[2, 3, 4], %g: f64[4] | %y = nn.rms_norm %x, %g {axis = 2, epsilon = 0.1} : f64[2, 3, 4]",
    "%x: f64[2, 3, 4], %g: f64[3], %c: f64[3], %u: f64[3], %var: f64[3] | %y = nn.batch_norm %x, %g, %c, %u, %var : f64[2, 3, 4]",
    "%x: f64[2, 3, 4], %g: f64[3], %c: f64[3] | %y = nn.instance_norm %x, %g, %c {epsilon = 0.1} : f64[2, 3, 4]",
    "%x: f64[2, 6, 4], %g: f64[6], %c: f64[6] | %y = nn.group_norm %x, %g, %c {epsilon = 0.1, groups = 2} : f64[2, 6, 4]",
    "%x: f64[2, 4, 9, 8], %w: f64[6, 2, 3, 2] | %y = nn.conv2d %x, %w {dilation = [1, 2], groups = 2, pad = [1, 0, 1, 2], stride = [2, 1]} : f64[2, 6, 5, 8]",
    "%x: f64[2, 2, 9, 7] | %y = nn.avg_pool2d %x {pad = [1, 0, 0, 1], size = [3, 2], stride = [2, 2]} : f64[2, 2, 4, 4]",
    "%x: f64[2, 2, 9, 7] | %y = nn.max_pool2d %x {pad = [1, 0, 0, 1], size = [3, 2], stride = [2, 2]} : f64[2, 2, 4, 4]",
    "%x: f64[2, 3, 2, 8], %c: f64[3, 4], %d: f64[3, 4] | %y = nn.rope %x, %c, %d : f64[2, 3, 2, 8]",
    "%q: f64[2, 5, 4, 3], %k: f64[2, 7, 2, 3], %v: f64[2, 7, 2, 6], %z: f64[1, 4, 1, 7] | %o, %l = nn.attention %q, %k, %v, %z {causal = true, offset = 2, scale = 0.5, window = 3} : f64[2, 5, 4, 6], f32[2, 4, 5]",
    "%q: f64[1, 5, 2, 6], %k1: f64[1, 5, 1, 6], %k2: f64[1, 5, 1, 6], %v1: f64[1, 5, 1, 5], %v2: f64[1, 5, 1, 5] | %o, %l = trilinear.attention %q, %k1, %k2, %v1, %v2 {k2_bias = 0.25, scale = 0.4, v2_bias = 1.0, w1 = 4, w2 = 2} : f64[1, 5, 2, 5], f32[1, 2, 5]",
    "%q: f64[1, 5, 2, 6], %k1: f64[1, 5, 1, 6], %k2: f64[1, 5, 1, 6], %v1: f64[1, 5, 1, 5], %v2: f64[1, 5, 1, 5] | %o, %l = trilinear.determinant %q, %k1, %k2, %v1, %v2 {scale = 0.4, w1 = 4, w2 = 2} : f64[1, 5, 2, 5], f32[1, 2, 5]",
    "%x: f64[5, 3], %i: i64[2, 4] | %y = core.gather %x, %i {axis = 0} : f64[2, 4, 3]",
    "%x: f64[4, 3], %i: i64[6], %u: f64[6, 3] | %y = core.scatter %x, %i, %u {combine = \"add\"} : f64[4, 3]",
    "%t: f64[5, 3], %i: i64[9], %o: i64[4], %w: f64[9] | %y = embedding.bag %t, %i, %o, %w : f64[4, 3]",
    "%t: f64[5, 3], %i: i64[9], %o: i64[4] | %y = embedding.bag %t, %i, %o {mode = \"mean\"} : f64[4, 3]",
    "%x: f64[3, 8] | %y = sparse24.select %x {axis = 1} : f64[3, 8]",
    "%w: f64[4, 3, 3, 3] | %u = winograd.filter %w {m = 4, r = 3} : f64[6, 6, 4, 3, winograd<4, 3>]",
    "%x: f64[2, 3, 9, 7] | %u = winograd.input %x {m = 2, pad = [1, 1, 1, 1], r = 3} : f64[4, 4, 2, 5, 4, 3, winograd<2, 3>]",
    "%y: f64[4, 4, 2, 3, 2, 3] | %z = winograd.output %y {m = 2, r = 3, size = [5, 4]} : f64[2, 3, 5, 4]",
];

#[test]
fn gradients_match_differences() {
    for text in DIFFERENTIABLE {
        check(text, &[]);
    }
}

/// Smooth scalar functions of one and two operands.
#[test]
fn scalar_functions() {
    for f in [
        "neg", "abs", "exp", "exp2", "expm1", "square", "relu", "tanh", "sigmoid", "sin", "cos", "tan", "sinh", "cosh",
        "atan", "asinh", "erf",
    ] {
        check(&format!("%x: f64[3, 5] | %y = core.map %x {{fn = \"{f}\"}} : f64[3, 5]"), &[]);
    }
    for f in ["log", "log2", "log1p", "sqrt", "recip", "rsqrt"] {
        check(&format!("%var: f64[3, 5] | %y = core.map %var {{fn = \"{f}\"}} : f64[3, 5]"), &[]);
    }
    // Arguments in (0, 1), and above 1.
    for f in ["asin", "acos", "atanh"] {
        check(
            &format!(
                "%x: f64[3, 5] | %s = core.map %x {{fn = \"sigmoid\"}} : f64[3, 5]; %y = core.map %s {{fn = \"{f}\"}} : f64[3, 5]"
            ),
            &[],
        );
    }
    check("%x: f64[3] | %s = core.map %x {fn = \"cosh\"} : f64[3]; %y = core.map %s {fn = \"acosh\"} : f64[3]", &[]);
    check("%var: f64[3, 5], %x: f64[3, 5] | %y = core.map %var, %x {fn = \"pow\"} : f64[3, 5]", &[]);
    for f in ["add", "sub", "mul", "div", "max", "min", "atan2", "mod", "rem"] {
        check(&format!("%x: f64[3, 5], %var: f64[3, 5] | %y = core.map %x, %var {{fn = \"{f}\"}} : f64[3, 5]"), &[]);
    }
}

/// Trilinear attention's own backward op is what its VJP calls when only `out` has a gradient.
#[test]
fn the_trilinear_backward_op_is_used() {
    let m = module(
        "%q: f64[1, 5, 2, 6], %k1: f64[1, 5, 1, 6], %k2: f64[1, 5, 1, 6], %v1: f64[1, 5, 1, 5], %v2: f64[1, 5, 1, 5] | %o, %l = \
         trilinear.attention %q, %k1, %k2, %v1, %v2 {k2_bias = 0.25, scale = 0.4, v2_bias = 1.0, w1 = 4, w2 = 2} : f64[1, 5, 2, 5], \
         f32[1, 2, 5]",
    );
    let mut only_out = m.clone();
    only_out.functions.get_mut("main").unwrap().outputs.truncate(1);
    let all: Vec<usize> = (0..5).collect();
    let (one, both) = (with_gradients(&only_out, &all), with_gradients(&m, &all));
    let names = |m: &Module| {
        let f = m.main().unwrap();
        f.live_order().into_iter().map(|id| f.node(id).op.name).collect::<Vec<_>>()
    };
    assert!(names(&one).contains(&"trilinear.attention_backward"));
    let mut inputs = inputs(&m, 2);
    let seed = random_inputs(&one, 9, &Default::default(), &BTreeMap::new()).unwrap().pop().unwrap();
    inputs.push(seed);
    let direct = run(&one, &inputs, &options());
    // A zero gradient of the lse takes the other road to the same numbers.
    inputs.push(Tensor::floats(tricot_types::DType::F32, &[1, 2, 5], vec![0.0; 10]));
    let long = run(&both, &inputs, &options());
    for i in 0..5 {
        let error = tricot_reference::relative_l2(&direct[1 + i], &long[2 + i]);
        assert!(error < 1e-12, "{i}: {error}");
        assert!(at(&direct[1 + i], &vec![0; 4]).is_finite());
    }
}

#[test]
fn what_has_no_gradient_says_so() {
    let m = module("%x: f64[3, 5] | %v, %i = core.top_k %x {axis = 1, k = 2} : f64[3, 2], i64[3, 2]");
    let mut out = Module::new("m");
    let f = m.main().unwrap();
    let error = build_main(&mut out, |b| {
        let x = b.input("x", f.ty(f.inputs().next().unwrap()).clone());
        let v = b.inline(f, &[x])[0];
        gradient(b, &[(v, v)], &[x]).map(|_| ())
    });
    assert_eq!(error.unwrap_err().code, "TC0117");
}

#[test]
fn every_op_with_a_gradient_is_checked() {
    let covered = |name: &str| {
        DIFFERENTIABLE.iter().any(|s| s.contains(&format!("{name} ")))
            || ["core.map", "core.select", "core.cast", "core.pad", "core.reshape"].contains(&name)
    };
    let missing: Vec<_> = registry::all().filter(|d| d.vjp.is_some() && !covered(d.name)).map(|d| d.name).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
