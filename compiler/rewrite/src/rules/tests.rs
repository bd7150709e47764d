//! Every rule on random data: both sides of every equation that saturation logs are evaluated, bitwise rules with NaN and infinities.

use crate::{RewriteOptions, saturate};
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::builder::build_main;
use tricot_dialects::{Attrs, Builder, Constant, Function, Module, Output, TensorType, ValueId};
use tricot_proof::{Bank, Head, Mode, RULES, TermId};
use tricot_reference::{Data, Options, Tensor, evaluate, random_inputs, relative_l2, splitmix64};
use tricot_types::{Bindings, DType, Diagnostic, Poly};

type Value = Result<ValueId, Diagnostic>;
type Build = fn(&mut Builder<'_>) -> Value;

fn x(b: &mut Builder<'_>, name: &str, shape: &[i64]) -> ValueId {
    b.input(name, TensorType::new(DType::F32, shape.to_vec()))
}

fn p(dims: &[i64]) -> Vec<Poly> {
    dims.iter().map(|d| Poly::constant(*d)).collect()
}

/// A module `y = f(a)` over [3, 4].
fn unary(b: &mut Builder<'_>, fs: &[&str]) -> Value {
    let a = x(b, "a", &[3, 4]);
    fs.iter().try_fold(a, |v, f| b.map(f, &[v]))
}

fn with_number(b: &mut Builder<'_>, f: &str, c: f64, first: bool) -> Value {
    let a = x(b, "a", &[3, 4]);
    let c = b.full(DType::F32, c, &p(&[3, 4]))?;
    b.map(f, &if first { [c, a] } else { [a, c] })
}

fn weights(seed: u64, shape: &[u64]) -> Constant {
    let n: u64 = shape.iter().product();
    let values: Vec<f64> =
        (0..n).map(|i| splitmix64(seed.wrapping_mul(1 << 20).wrapping_add(i)) as f64 / 2f64.powi(63) - 1.0).collect();
    Constant::from_f64(DType::F32, shape.to_vec(), &values)
}

fn conv(b: &mut Builder<'_>) -> Value {
    let a = x(b, "a", &[2, 8, 7, 9]);
    let w = b.constant(weights(3, &[5, 8, 3, 3]))?;
    b.one("nn.conv2d", &[a, w], Attrs::new().with("pad", vec![1i64, 1, 0, 2]))
}

fn norm(b: &mut Builder<'_>, v: ValueId) -> Value {
    let channels = b.ty(v).shape[1].as_constant().expect("static") as u64;
    let scale = b.constant(weights(4, &[channels]))?;
    let bias = b.constant(weights(5, &[channels]))?;
    let mean = b.constant(weights(6, &[channels]))?;
    let var = Constant::from_f64(DType::F32, vec![channels], &(1..=channels).map(|v| v as f64).collect::<Vec<_>>());
    let var = b.constant(var)?;
    b.one("nn.batch_norm", &[v, scale, bias, mean, var], Attrs::new().with("epsilon", 1e-3))
}

fn two_four(rows: u64, columns: u64, along: usize) -> Constant {
    let dense = weights(7, &[rows, columns]).to_f64();
    let kept: Vec<f64> = dense
        .iter()
        .enumerate()
        .map(|(n, v)| {
            let at = if along == 0 { n as u64 / columns } else { n as u64 % columns };
            if (at + n as u64 / (columns * 4)) % 4 < 2 { *v } else { 0.0 }
        })
        .collect();
    Constant::from_f64(DType::F32, vec![rows, columns], &kept)
}

/// The rule that must fire, and a graph in which it does.
const CASES: &[(&str, Build)] = &[
    ("neg-neg", |b| unary(b, &["neg", "neg"])),
    ("not-not", |b| {
        let a = x(b, "a", &[3, 4]);
        let c = b.map("is_nan", &[a])?;
        let n = b.map("not", &[c])?;
        b.map("not", &[n])
    }),
    ("relu-relu", |b| unary(b, &["relu", "relu"])),
    ("abs-abs", |b| unary(b, &["abs", "abs"])),
    ("mul-one", |b| with_number(b, "mul", 1.0, false)),
    ("one-mul", |b| with_number(b, "mul", 1.0, true)),
    ("div-one", |b| with_number(b, "div", 1.0, false)),
    ("sub-zero", |b| with_number(b, "sub", 0.0, false)),
    ("pow-one", |b| with_number(b, "pow", 1.0, false)),
    ("add-zero", |b| with_number(b, "add", 0.0, false)),
    ("zero-add", |b| with_number(b, "add", 0.0, true)),
    ("mul-self", |b| {
        let a = x(b, "a", &[3, 4]);
        b.map("mul", &[a, a])
    }),
    ("pow-two", |b| with_number(b, "pow", 2.0, false)),
    ("square-neg", |b| unary(b, &["neg", "square"])),
    ("square-abs", |b| unary(b, &["abs", "square"])),
    ("max-zero", |b| with_number(b, "max", 0.0, false)),
    ("zero-max", |b| with_number(b, "max", 0.0, true)),
    ("relu-times-x", |b| {
        let a = x(b, "a", &[3, 4]);
        let r = b.map("relu", &[a])?;
        b.map("mul", &[r, a])
    }),
    ("x-times-relu", |b| {
        let a = x(b, "a", &[3, 4]);
        let r = b.map("relu", &[a])?;
        b.map("mul", &[a, r])
    }),
    ("one-over", |b| with_number(b, "div", 1.0, true)),
    ("pow-minus-one", |b| with_number(b, "pow", -1.0, false)),
    ("pow-half", |b| {
        let a = unary(b, &["abs"])?;
        let c = b.full(DType::F32, 0.5, &p(&[3, 4]))?;
        b.map("pow", &[a, c])
    }),
    ("recip-sqrt", |b| unary(b, &["abs", "sqrt", "recip"])),
    ("times-recip", |b| {
        let (a, c) = (x(b, "a", &[3, 4]), x(b, "c", &[3, 4]));
        let c = b.map("recip", &[c])?;
        b.map("div", &[a, c])
    }),
    ("sigmoid-times-x", |b| {
        let a = x(b, "a", &[3, 4]);
        let s = b.map("sigmoid", &[a])?;
        b.map("mul", &[a, s])
    }),
    ("x-times-sigmoid", |b| {
        let a = x(b, "a", &[3, 4]);
        let s = b.map("sigmoid", &[a])?;
        b.map("mul", &[s, a])
    }),
    ("select-same", |b| {
        let a = x(b, "a", &[3, 4]);
        let c = b.map("is_nan", &[a])?;
        b.select(c, a, a)
    }),
    ("select-not", |b| {
        let (a, d) = (x(b, "a", &[3, 4]), x(b, "d", &[3, 4]));
        let c = b.map("is_nan", &[a])?;
        let c = b.map("not", &[c])?;
        b.select(c, a, d)
    }),
    ("relu-select", |b| {
        let a = x(b, "a", &[3, 4]);
        let zero = b.full(DType::F32, 0.0, &p(&[3, 4]))?;
        let c = b.map("gt", &[a, zero])?;
        b.select(c, a, zero)
    }),
    ("move-data", |b| {
        let a = x(b, "a", &[2, 6, 5]);
        let a = b.transpose(a, &[1, 0, 2])?;
        let a = b.reshape(a, &p(&[3, 2, 2, 5]))?;
        let a = b.broadcast(a, &p(&[2, 3, 2, 4, 5]), &[1, 2, 0, 4])?;
        let a = b.transpose(a, &[4, 3, 2, 1, 0])?;
        b.reshape(a, &p(&[20, 2, 6]))
    }),
    ("move-data", |b| {
        let a = x(b, "a", &[2, 3, 5]);
        let at = b.constant(Constant::from_i64(DType::I64, vec![6], &[0, 0, 1, 1, 2, 2]))?;
        b.one("core.gather", &[a, at], Attrs::new().with("axis", 1i64))
    }),
    ("cast-exact", |b| {
        let a = b.input("a", TensorType::new(DType::BF16, [3, 4]));
        let a = b.cast(a, DType::F32)?;
        b.cast(a, DType::BF16)
    }),
    ("cast-exact", |b| {
        let a = b.input("a", TensorType::new(DType::F16, [3, 4]));
        let a = b.cast(a, DType::F32)?;
        b.cast(a, DType::BF16)
    }),
    ("slice-whole", |b| {
        let a = x(b, "a", &[3, 4]);
        b.slice(a, &p(&[0, 0]), &p(&[3, 4]), &[1, 1])
    }),
    ("slice-slice", |b| {
        let a = x(b, "a", &[9, 12]);
        let a = b.slice(a, &p(&[8, 1]), &p(&[8, 5]), &[-1, 2])?;
        b.slice(a, &p(&[1, 4]), &p(&[3, 3]), &[2, -2])
    }),
    ("slice-concat", |b| {
        let (a, c) = (x(b, "a", &[3, 4]), x(b, "c", &[3, 6]));
        let both = b.concat(&[a, c], 1)?;
        b.slice(both, &p(&[1, 5]), &p(&[2, 2]), &[1, 3])
    }),
    ("concat-one", |b| {
        let a = x(b, "a", &[3, 4]);
        b.concat(&[a], 1)
    }),
    ("contract", |b| {
        let (a, c) = (x(b, "a", &[4, 6]), x(b, "c", &[6, 5]));
        let a = b.transpose(a, &[1, 0])?;
        let a = b.map_scalar("mul", a, 0.5)?;
        let (a, c) = (b.broadcast(a, &p(&[6, 4, 5]), &[0, 1])?, b.broadcast(c, &p(&[6, 4, 5]), &[0, 2])?);
        let y = b.map("mul", &[a, c])?;
        b.reduce("sum", y, &[0])
    }),
    ("contract", |b| {
        let (a, c) = (x(b, "a", &[2, 4, 6]), x(b, "c", &[3, 2, 5]));
        let c = b.reshape(c, &p(&[6, 5]))?;
        b.contract("bmk,kn->nbm", &[a, c], DType::F32)
    }),
    ("softmax", |b| {
        let a = x(b, "a", &[2, 3, 4]);
        let m = b.reduce_keep("max", a, &[0, 2])?;
        let m = b.broadcast_to(m, &p(&[2, 3, 4]))?;
        let a = b.map("sub", &[a, m])?;
        let e = b.map("exp", &[a])?;
        let s = b.reduce_keep("sum", e, &[0, 2])?;
        let s = b.broadcast_to(s, &p(&[2, 3, 4]))?;
        b.map("div", &[e, s])
    }),
    ("attention", |b| {
        let (q, k, v) = (x(b, "q", &[2, 5, 4]), x(b, "k", &[2, 6, 4]), x(b, "v", &[2, 6, 3]));
        let l = b.contract("bid,bjd->bij", &[q, k], DType::F32)?;
        let bias = x(b, "bias", &[5, 6]);
        let bias = b.broadcast(bias, &p(&[2, 5, 6]), &[1, 2])?;
        let l = b.map("add", &[bias, l])?;
        let w = b.one("nn.softmax", &[l], Attrs::new().with("axis", 2i64))?;
        b.contract("bij,bje->bie", &[w, v], DType::F32)
    }),
    ("attention", |b| {
        let (q, k, v) = (x(b, "q", &[2, 5, 4]), x(b, "k", &[2, 7, 4]), x(b, "v", &[2, 7, 3]));
        let l = b.contract("bid,bjd->bij", &[q, k], DType::F32)?;
        // Two more keys than rows, as with a cache, seen through a window of 4.
        let keep: Vec<i64> = (0..35).map(|n| i64::from(n % 7 <= n / 7 + 2 && n % 7 > n / 7 - 2)).collect();
        let keep = b.constant(Constant::from_i64(DType::Bool, vec![5, 7], &keep))?;
        let keep = b.broadcast(keep, &p(&[2, 5, 7]), &[1, 2])?;
        let never = b.full(DType::F32, -1e9, &p(&[2, 5, 7]))?;
        let l = b.select(keep, l, never)?;
        let w = b.one("nn.softmax", &[l], Attrs::new().with("axis", 2i64))?;
        b.contract("bij,bje->bie", &[w, v], DType::F32)
    }),
    ("trilinear-attention", |b| {
        let names = ["q", "k1", "k2", "v1", "v2"];
        let t: Vec<ValueId> = names.iter().map(|n| x(b, n, &[2, 6, 3])).collect();
        let out = b.contract("bid,bjd,bkd->bijk", &t[..3], DType::F32)?;
        let keep: Vec<i64> = (0..216)
            .map(|n| {
                let (i, j, k) = (n / 36, n / 6 % 6, n % 6);
                i64::from(j <= i && j > i - 4 && k <= i && k > i - 2)
            })
            .collect();
        let keep = b.constant(Constant::from_i64(DType::Bool, vec![6, 6, 6], &keep))?;
        let keep = b.broadcast(keep, &p(&[2, 6, 6, 6]), &[1, 2, 3])?;
        let never = b.full(DType::F32, f64::NEG_INFINITY, &p(&[2, 6, 6, 6]))?;
        let out = b.select(keep, out, never)?;
        let out = b.reshape(out, &p(&[2, 6, 36]))?;
        let w = b.one("nn.softmax", &[out], Attrs::new().with("axis", 2i64))?;
        let w = b.reshape(w, &p(&[2, 6, 6, 6]))?;
        b.contract("bijk,bjd,bkd->bid", &[w, t[3], t[4]], DType::F32)
    }),
    ("sparse-product", |b| {
        let (a, w) = (x(b, "a", &[2, 3, 16]), x(b, "w", &[16, 5]));
        let a = b.map("relu", &[a])?;
        let a = b.map("square", &[a])?;
        let s = b.one("sparse24.select", &[a], Attrs::new().with("axis", 2i64).with("by", "magnitude"))?;
        b.contract("btk,kn->btn", &[s, w], DType::F32)
    }),
    ("two-four-constant", |b| {
        let a = x(b, "a", &[3, 32]);
        let w = b.constant(two_four(32, 16, 0))?;
        b.contract("mk,kn->mn", &[a, w], DType::F32)
    }),
    ("two-four-constant", |b| {
        let a = x(b, "a", &[3, 32]);
        let w = b.constant(two_four(16, 32, 1))?;
        b.contract("mk,nk->mn", &[a, w], DType::F32)
    }),
    ("mask-select", |b| {
        let a = x(b, "a", &[3, 16]);
        let m = b.one("sparse24.mask", &[a], Attrs::new().with("axis", 1i64).with("by", "value"))?;
        let zero = b.full(DType::F32, 0.0, &p(&[3, 16]))?;
        b.select(m, a, zero)
    }),
    ("definition", |b| {
        let a = x(b, "a", &[3, 16]);
        let def = tricot_dialects::registry::lookup("sparse24.select").expect("registered");
        let attrs = def.complete(Attrs::new().with("axis", 1i64).with("by", "magnitude")).expect("complete");
        let tricot_dialects::Meaning::Decompose(meaning) = def.meaning else { unreachable!("it decomposes") };
        Ok(meaning(b, &attrs, &[a])?[0])
    }),
    ("winograd", |b| conv(b)),
    ("batch-norm-scale", |b| {
        let y = conv(b)?;
        norm(b, y)
    }),
    ("scale-shift", |b| {
        let y = conv(b)?;
        let bias = b.constant(weights(9, &[5]))?;
        let shape = b.ty(y).shape.clone();
        let bias = b.broadcast(bias, &shape, &[1])?;
        let y = b.map("add", &[y, bias])?;
        norm(b, y)
    }),
    ("shift-shift", |b| {
        let mut y = x(b, "a", &[2, 5, 3]);
        for seed in [12, 13] {
            let shift = b.constant(weights(seed, &[5]))?;
            let shift = b.broadcast(shift, &p(&[2, 5, 3]), &[1])?;
            y = b.map("add", &[y, shift])?;
        }
        Ok(y)
    }),
    ("conv-scale", |b| {
        let y = conv(b)?;
        norm(b, y)
    }),
    ("fold", |b| {
        let a = x(b, "a", &[4]);
        let (c, d) = (b.constant(weights(10, &[4]))?, b.constant(weights(11, &[4]))?);
        let c = b.map("mul", &[c, d])?;
        b.map("add", &[a, c])
    }),
    ("map-broadcast", |b| {
        let a = x(b, "a", &[3, 4]);
        let c = b.full(DType::F32, 64.0, &p(&[3, 4]))?;
        let c = b.map("sqrt", &[c])?;
        b.map("div", &[a, c])
    }),
];

/// A module of the function's inputs that computes these terms.
fn module_of(bank: &Bank, source: &Function, terms: &[TermId]) -> Module {
    let mut module = Module::new("sides");
    module.constants = bank.constants.clone();
    let mut f = Function::new(Module::MAIN);
    let inputs: Vec<ValueId> =
        source.input_names().map(str::to_string).zip(source.input_types()).map(|(n, t)| f.add_input(n, t)).collect();
    let mut image: BTreeMap<TermId, Vec<ValueId>> = BTreeMap::new();
    for t in bank.reachable(terms) {
        let values = match &bank.term(t).head {
            Head::Attr(_) => continue,
            Head::Input(at, _) => vec![inputs[*at as usize]],
            Head::Get(at) => vec![image[&bank.term(t).children[0]][*at as usize]],
            Head::Op(op) => {
                let operands = bank.operands(t).iter().map(|o| image[o][0]).collect();
                let node = f.add_node(op.0, bank.attrs(t), operands, bank.types(t).to_vec(), None);
                (0..bank.types(t).len() as u32).map(|result| ValueId { node, result }).collect()
            }
        };
        image.insert(t, values);
    }
    for (n, t) in terms.iter().enumerate() {
        f.outputs.push(Output { name: n.to_string(), value: image[t][0], alias: None });
    }
    module.add_function(f);
    module
}

/// NaN, infinities and zeros of both signs among the numbers.
fn poison(inputs: &mut [Tensor]) {
    const ODD: [f64; 5] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0];
    for t in inputs {
        if let Data::Float(values) = &mut t.data {
            for (i, v) in values.iter_mut().enumerate().filter(|(i, _)| i % 3 == 1) {
                *v = ODD[i / 3 % ODD.len()];
            }
        }
    }
}

fn bits(t: &Tensor) -> Vec<u64> {
    let canonical = |v: &f64| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
    match &t.data {
        Data::Float(v) => v.iter().map(canonical).collect(),
        Data::Int(v) => v.iter().map(|v| *v as u64).collect(),
    }
}

#[test]
fn both_sides_of_every_equation_agree() {
    let mut fired = BTreeSet::new();
    for (case, (rule, build)) in CASES.iter().enumerate() {
        let mut module = Module::new("case");
        build_main(&mut module, |b| {
            let y = build(b)?;
            b.output("y", y);
            Ok(())
        })
        .unwrap_or_else(|d| panic!("case {case} {rule}: {d}"));
        let source = module.main().expect("a main").clone();
        let (mut graph, _) = saturate(&module, &source, &RewriteOptions::default()).expect("saturates");
        assert!(graph.stopped.is_none(), "{rule}: {:?}", graph.stopped);
        let log = graph.log.clone();
        assert!(
            log.iter().any(|f| f.rule == *rule),
            "case {case}: `{rule}` did not fire, only {:?}",
            log.iter().map(|f| f.rule).collect::<Vec<_>>()
        );
        for f in &log {
            fired.insert(f.rule);
            let mode = tricot_proof::rules::find(f.rule).expect("declared").mode;
            let sides = module_of(graph.bank(), &source, &[f.from, f.to]);
            for seed in 0..3 {
                let mut inputs =
                    random_inputs(&sides, seed, &Bindings::new(), &BTreeMap::new()).unwrap_or_else(|d| panic!("{d}"));
                // Folding rounds what the exact mode does not.
                let folded = f.rule == "fold";
                if mode == Mode::Bitwise && !folded && seed > 0 {
                    poison(&mut inputs);
                }
                let out = evaluate(&sides, &inputs, &Options::default()).unwrap_or_else(|d| panic!("{rule}: {d}"));
                let text = |t: TermId| graph.egraph.analysis.bank.text(t, 5);
                match mode {
                    Mode::Bitwise if !folded => {
                        assert_eq!(bits(&out[0]), bits(&out[1]), "`{}`: {} = {}", f.rule, text(f.from), text(f.to))
                    }
                    _ => {
                        let error = relative_l2(&out[1], &out[0]);
                        let bound = if folded { 1e-6 } else { 1e-9 };
                        assert!(error < bound, "`{}` is off by {error}: {} = {}", f.rule, text(f.from), text(f.to));
                    }
                }
            }
        }
    }
    let silent: Vec<_> =
        RULES.iter().map(|r| r.name).filter(|r| !fired.contains(r) && *r != "argument-constant").collect();
    assert!(silent.is_empty(), "never fired: {silent:?}");
}
