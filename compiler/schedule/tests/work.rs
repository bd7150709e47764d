//! What kernels are said to do: polynomials against counts by hand.

use crate::support::{module, scheduled, sym};
use tricot_dialects::{Attrs, Module, TensorType};
use tricot_plan::{Units, Work};
use tricot_schedule::work;
use tricot_types::DType::*;
use tricot_types::{Bindings, Symbol};

/// The work of the only kernel.
fn only(m: &Module) -> Work {
    let schedule = scheduled(m, true);
    assert_eq!(schedule.kernels.len(), 1, "{schedule}");
    work(&schedule.kernels[0], &schedule.symbols).expect("small numbers fit")
}

/// Flops and bytes at a length.
fn at(work: &Work, s: i64) -> (i64, i64) {
    let sizes: Bindings = [(Symbol::new("s").unwrap(), s)].into();
    (work.flops.eval(&sizes).unwrap(), work.bytes.eval(&sizes).unwrap())
}

#[test]
fn a_product_counts_its_multiply_adds_at_every_size() {
    let m = module(|b| {
        let x = b.input("x", TensorType::new(BF16, [sym("s"), 64.into()]));
        let w = b.input("w", TensorType::new(BF16, [64, 96]));
        let y = b.contract("mk,kn->mn", &[x, w], BF16)?;
        let y = b.map("relu", &[y])?;
        b.output("y", y);
        Ok(())
    });
    let found = only(&m);
    assert_eq!((found.units, found.estimate), (Units::Matrix(BF16), false));
    for s in [1, 7, 4096] {
        assert_eq!(at(&found, s), (2 * s * 64 * 96, 2 * (s * 64 + 64 * 96 + s * 96)));
    }
}

#[test]
fn a_map_counts_its_operations() {
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("s"), 8.into()]));
        let y = b.map("add", &[x, x])?;
        b.output("y", y);
        Ok(())
    });
    let found = only(&m);
    assert_eq!(found.units, Units::Scalar);
    assert_eq!(at(&found, 10), (80, 2 * 4 * 80));
}

#[test]
fn compressed_products_count_as_dense_ones() {
    let m = module(|b| {
        let values = b.input("values", TensorType::new(BF16, [128, 32]));
        let meta = b.input("meta", TensorType::new(U8, [128, 8]));
        let x = b.input("x", TensorType::new(BF16, [64.into(), sym("s")]));
        let y = b.op("sparse24.matmul", &[values, meta, x], Attrs::new().with("dtype", BF16))?;
        b.output("y", y[0]);
        Ok(())
    });
    let found = only(&m);
    assert_eq!(found.units, Units::Sparse24(BF16));
    assert_eq!(at(&found, 16), (2 * 128 * 64 * 16, 2 * 128 * 32 + 128 * 8 + 2 * 64 * 16 + 2 * 128 * 16));
}

#[test]
fn trilinear_pairs_are_exact_from_the_longer_window_on() {
    let (w1, w2) = (5i64, 12i64);
    let m = module(|b| {
        let q = TensorType::new(BF16, [1.into(), sym("s"), 4.into(), 16.into()]);
        let key = TensorType::new(BF16, [1.into(), sym("s"), 1.into(), 16.into()]);
        let mut inputs = vec![b.input("q", q)];
        inputs.extend(["k1", "k2", "v1", "v2"].map(|name| b.input(name, key.clone())));
        let attrs = Attrs::new().with("scale", 0.25).with("w1", w1).with("w2", w2);
        let out = b.op("trilinear.attention", &inputs, attrs)?;
        b.output("o", out[0]);
        Ok(())
    });
    let found = only(&m);
    for s in [12, 13, 40, 1000] {
        let pairs: i64 = (0..s).map(|i| (i + 1).min(w1) * (i + 1).min(w2)).sum();
        assert_eq!(at(&found, s).0, 4 * pairs * 2 * (16 + 16), "length {s}");
    }
}

#[test]
fn loops_that_data_decide_are_marked() {
    let m = module(|b| {
        let table = b.input("table", TensorType::new(F32, [100, 8]));
        let indices = b.input("indices", TensorType::new(I64, [sym("s")]));
        let offsets = b.input("offsets", TensorType::new(I64, [10]));
        let y = b.op("embedding.bag", &[table, indices, offsets], Attrs::new())?;
        b.output("y", y[0]);
        Ok(())
    });
    assert!(only(&m).estimate);
}

#[test]
fn numbers_that_do_not_fit_are_left_out() {
    let huge = 1i64 << 40;
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("s"), huge.into()]));
        let w = b.input("w", TensorType::new(F32, [huge, 1 << 20]));
        let y = b.contract("mk,kn->mn", &[x, w], F32)?;
        b.output("y", y);
        Ok(())
    });
    let schedule = scheduled(&m, true);
    assert_eq!(work(&schedule.kernels[0], &schedule.symbols), None);
}
