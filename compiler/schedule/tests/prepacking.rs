//! Weights stored in the layout a target likes: which, that the kernels read them so, and that nothing changes.

use crate::support::{check, module, random, scheduled_for, sym};
use tricot_dialects::{Builder, Constant, Module, TensorType, ValueId};
use tricot_kernel::{Body, Expr, LoopVar};
use tricot_schedule::Schedule;
use tricot_types::DType::{self, *};
use tricot_types::{Diagnostic, Poly};

fn weights(b: &mut Builder<'_>, dtype: DType, shape: &[u64]) -> Result<ValueId, Diagnostic> {
    let count = shape.iter().product::<u64>() as usize;
    b.constant(Constant::from_f64(dtype, shape.to_vec(), &random(dtype, count, (-3, 3))))
}

/// `x[b, s, …]` times constant weights.
fn product(dtype: DType, spec: &str, x: &[i64], w: &[u64]) -> Module {
    module(|b| {
        let mut shape = vec![sym("b"), sym("s")];
        shape.extend(x.iter().map(|d| Poly::constant(*d)));
        let x = b.input("x", TensorType::new(dtype, shape));
        let w = weights(b, dtype, w)?;
        let out = match dtype {
            I8 => I32,
            _ if dtype.bits() == 8 => BF16,
            same => same,
        };
        let y = b.contract(spec, &[x, w], out)?;
        b.output("y", y);
        Ok(())
    })
}

/// The permutation of the only weight's recipe.
fn recipe(s: &Schedule) -> Option<Vec<usize>> {
    assert_eq!(s.weights.len(), 1);
    s.prepack.values().next().map(|r| r.perm.clone())
}

/// Strides of the loops of k in the weights.
fn strides_along_k(s: &Schedule) -> Vec<i64> {
    let [k] = s.kernels.as_slice() else { panic!("one kernel is expected\n{s}") };
    let Body::Contraction(c) = &k.body else { panic!("a contraction is expected\n{s}") };
    let vars: Vec<LoopVar> = c.k.iter().map(|l| l.var).collect();
    // The weights are the operand that no row moves.
    let still = |e| match &k.exprs[e].expr {
        Expr::Load { index, .. } if c.m.iter().all(|l| !index.affine.contains_key(&l.var)) => Some(index.clone()),
        _ => None,
    };
    let load = still(c.b).or(still(c.a)).unwrap_or_else(|| panic!("weights are read as they lie\n{s}"));
    vars.iter().map(|v| load.stride(*v).as_constant().unwrap()).collect()
}

#[test]
fn tensor_cores_fetch_ragged_columns_along_k() {
    for (dtype, n, packed) in [(BF16, 50, true), (F16, 7, true), (BF16, 48, false), (F32, 50, false), (I8, 50, false)] {
        let m = product(dtype, "bsk,kn->bsn", &[64], &[64, n]);
        check(&m);
        let s = scheduled_for(&m, "sm_90a", true);
        assert_eq!(recipe(&s), packed.then(|| vec![1, 0]), "{dtype} {n}\n{s}");
        assert_eq!(strides_along_k(&s), [if packed { 1 } else { n as i64 }], "{dtype} {n}\n{s}");
        assert_eq!(recipe(&scheduled_for(&m, "cpu", true)), None, "{dtype} {n}");
    }
    // As it lies already, or with rows that would be no better.
    for (spec, w) in [("bsk,nk->bsn", [50, 64]), ("bsk,kn->bsn", [60, 50])] {
        let s = scheduled_for(&product(BF16, spec, &[w[usize::from(spec.contains("nk"))] as i64], &w), "sm_90a", true);
        assert_eq!(recipe(&s), None, "{s}");
    }
}

#[test]
fn products_of_8_bit_floats_want_k_innermost() {
    for (spec, w, perm) in [
        ("bsk,kn->bsn", vec![64, 48], Some(vec![1, 0])),
        ("bsk,nk->bsn", vec![48, 64], None),
        ("bshk,hkn->bshn", vec![2, 64, 48], Some(vec![0, 2, 1])),
    ] {
        for dtype in [F8E4M3, F8E5M2] {
            let x = if w.len() == 3 { vec![2, 64] } else { vec![64] };
            let m = product(dtype, spec, &x, &w);
            check(&m);
            let s = scheduled_for(&m, "sm_90a", true);
            assert_eq!(recipe(&s), perm, "{spec}\n{s}");
            assert_eq!(strides_along_k(&s), [1], "{spec}\n{s}");
        }
    }
}

#[test]
fn a_cpu_wants_one_stride_along_k_and_columns_side_by_side() {
    for (dtype, spec, x, w, perm) in [
        // The output projection of an attention, whose weights lie head by head or column by column.
        (F32, "bshe,hde->bsd", vec![3, 5], vec![3, 8, 5], Some(vec![0, 2, 1])),
        (BF16, "bshe,hde->bsd", vec![3, 5], vec![3, 8, 5], Some(vec![0, 2, 1])),
        (F64, "bshe,dhe->bsd", vec![3, 5], vec![8, 3, 5], Some(vec![1, 2, 0])),
        (F32, "bshe,hed->bsd", vec![3, 5], vec![3, 5, 8], None),
        // A linear layer as trained, and one turned.
        (F16, "bsk,nk->bsn", vec![12], vec![7, 12], Some(vec![1, 0])),
        (F32, "bsk,kn->bsn", vec![12], vec![12, 7], None),
        // Rows of the result are fine as they lie, unless they have no one stride along the sum.
        (F32, "bsk,nk->nbs", vec![12], vec![7, 12], None),
        (F32, "bshe,hde->dbs", vec![3, 5], vec![3, 8, 5], Some(vec![1, 0, 2])),
        // No product of the library's.
        (I8, "bsk,nk->bsn", vec![12], vec![7, 12], None),
    ] {
        let m = product(dtype, spec, &x, &w);
        check(&m);
        let s = scheduled_for(&m, "cpu", true);
        assert_eq!(recipe(&s), perm, "{dtype} {spec}\n{s}");
    }
    // A row or two go faster with weights contiguous along the sum.
    let mut m = product(F32, "bsk,nk->bsn", &[12], &[7, 12]);
    m.symbols.values_mut().for_each(|i| i.hint = 1);
    assert_eq!(recipe(&scheduled_for(&m, "cpu", true)), None);
}

#[test]
fn a_weight_of_two_products_is_packed_once_and_an_input_never() {
    let build = |constant: bool| {
        module(|b| {
            let ty = TensorType::new(BF16, [sym("b"), sym("s"), Poly::constant(64)]);
            let (x, y) = (b.input("x", ty.clone()), b.input("y", ty));
            let w = match constant {
                true => weights(b, BF16, &[64, 50])?,
                false => b.input("w", TensorType::new(BF16, [64, 50])),
            };
            // Through a transpose as well as through letters.
            let turned = b.transpose(w, &[1, 0])?;
            let p = b.contract("bsk,kn->bsn", &[x, w], BF16)?;
            let q = b.contract("bsk,nk->bsn", &[y, turned], BF16)?;
            b.output("p", p);
            b.output("q", q);
            Ok(())
        })
    };
    check(&build(true));
    let s = scheduled_for(&build(true), "sm_90a", true);
    assert_eq!((s.weights.len(), s.prepack.len()), (1, 1), "{s}");
    assert!(s.to_string().contains(" prepack \"weights/"), "{s}");
    assert!(scheduled_for(&build(false), "sm_90a", true).prepack.is_empty());
}

#[test]
fn a_recipe_makes_the_weight_when_a_schedule_is_read() {
    let m = product(BF16, "bsk,kn->bsn", &[64], &[64, 50]);
    let s = scheduled_for(&m, "sm_90a", true);
    let text = s.to_string();
    // Only the model's own weight is at hand, and it is too large to be written out.
    assert!(!text.contains(" = \""), "{text}");
    assert_eq!(tricot_schedule::text::parse("printed", &text, &m.constants).unwrap(), s);
    let none = tricot_dialects::ConstantStore::default();
    assert_eq!(tricot_schedule::text::parse("printed", &text, &none).unwrap_err()[0].code, "TC0421");
}
