//! What the tests share: running samples on seeded inputs.

use crate::samples::module;
use std::collections::BTreeMap;
use tricot_dialects::builder::build_main;
use tricot_dialects::{Meaning, Module, ValueId};
use tricot_reference::{Hint, Options, Tensor, evaluate, random_inputs};
use tricot_types::{Bindings, Symbol};

/// Values for the samples' symbols.
pub fn symbols() -> Bindings {
    [("b", 3), ("n", 9), ("s", 6)].into_iter().map(|(n, v)| (Symbol::new(n).unwrap(), v)).collect()
}

/// `%i` are row numbers, `%o` offsets, `%m` bytes of metadata, `%var` positive.
pub fn hints() -> BTreeMap<String, Hint> {
    let hints =
        [("i", Hint::Ints(0, 4)), ("o", Hint::Offsets(9)), ("m", Hint::Ints(0, 255)), ("var", Hint::Uniform(0.2, 2.0))];
    hints.into_iter().map(|(n, h)| (n.to_string(), h)).collect()
}

/// Inputs for a sample.
pub fn inputs(m: &Module, seed: u64) -> Vec<Tensor> {
    random_inputs(m, seed, &symbols(), &hints()).unwrap()
}

/// Options with the samples' symbols.
pub fn options() -> Options {
    Options { symbols: symbols(), ..Options::default() }
}

/// Evaluates, with the diagnostic as panic.
pub fn run(m: &Module, inputs: &[Tensor], options: &Options) -> Vec<Tensor> {
    evaluate(m, inputs, options).unwrap_or_else(|e| panic!("{e}"))
}

/// Inputs and results of a sample.
pub fn sample(text: &str, seed: u64) -> (Vec<Tensor>, Vec<Tensor>) {
    let m = module(text);
    let inputs = inputs(&m, seed);
    let results = run(&m, &inputs, &options());
    (inputs, results)
}

/// The module with every op of `names` replaced by its decomposition.
pub fn decomposed(m: &Module, names: &[&str]) -> Module {
    let mut out = Module { symbols: m.symbols.clone(), constants: m.constants.clone(), ..Module::new("decomposed") };
    let f = m.main().unwrap();
    build_main(&mut out, |b| {
        let mut image: BTreeMap<ValueId, ValueId> = BTreeMap::new();
        for (v, name) in f.inputs().zip(f.input_names()) {
            image.insert(v, b.input(name, f.ty(v).clone()));
        }
        for id in f.live_order() {
            let node = f.node(id);
            if node.op.name == "core.argument" {
                continue;
            }
            let operands: Vec<_> = node.operands().iter().map(|v| image[v]).collect();
            let results = match node.op.meaning {
                Meaning::Decompose(d) if names.contains(&node.op.name) => d(b, &node.attrs, &operands)?,
                _ => b.call(node.op, &operands, node.attrs.clone())?,
            };
            for (result, v) in results.into_iter().enumerate() {
                image.insert(ValueId { node: id, result: result as u32 }, v);
            }
        }
        for o in &f.outputs {
            b.output(&o.name, image[&o.value]);
        }
        Ok(())
    })
    .unwrap();
    out
}

/// Element of a tensor.
pub fn at(t: &Tensor, index: &[usize]) -> f64 {
    assert_eq!(index.len(), t.shape.len());
    let flat = index.iter().zip(&t.shape).fold(0, |f, (i, n)| {
        assert!(i < n, "{index:?} in {:?}", t.shape);
        f * n + i
    });
    match &t.data {
        tricot_reference::Data::Float(v) => v[flat],
        tricot_reference::Data::Int(v) => v[flat] as f64,
    }
}

/// Every index of a shape, row-major.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |all, n| {
        all.into_iter().flat_map(|head: Vec<usize>| (0..*n).map(move |i| [head.clone(), vec![i]].concat())).collect()
    })
}

/// Evaluates a sample on seeded inputs and compares each element of result `which` with `want(inputs, index)`, relative to the
/// largest element.
pub fn check(text: &str, which: usize, want: impl Fn(&[Tensor], &[usize]) -> f64) {
    for seed in 0..2 {
        let (inputs, results) = sample(text, seed);
        let result = &results[which];
        assert!(!result.data.is_empty(), "{text}: nothing to compare");
        let wanted: Vec<f64> = indices(&result.shape).iter().map(|i| want(&inputs, i)).collect();
        let scale = wanted.iter().filter(|w| w.is_finite()).fold(1e-3f64, |m, w| m.max(w.abs()));
        for (index, want) in indices(&result.shape).iter().zip(&wanted) {
            let have = at(result, index);
            let same = have == *want || (have - want).abs() <= 1e-11 * scale || have.is_nan() && want.is_nan();
            assert!(same, "{text}\nresult {which} at {index:?}: {have}, expected {want}");
        }
    }
}
