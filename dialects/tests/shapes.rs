//! Properties of shape inference over random sizes.

use proptest::prelude::*;
use tricot_dialects::builder::build_main;
use tricot_dialects::{Attrs, Module, TensorType, ValueId};
use tricot_types::{DType, Diagnostic, Poly, Symbol};

/// Shapes of the results of one call.
fn infer(op: &str, operands: &[TensorType], attrs: &Attrs) -> Result<Vec<Vec<Poly>>, Diagnostic> {
    let mut out = vec![];
    build_main(&mut Module::new("m"), |b| {
        let inputs: Vec<ValueId> =
            operands.iter().enumerate().map(|(i, t)| b.input(&format!("i{i}"), t.clone())).collect();
        out = b.op(op, &inputs, attrs.clone())?.into_iter().map(|v| b.ty(v).shape.clone()).collect();
        Ok(())
    })?;
    Ok(out)
}

fn f32s(shape: &[i64]) -> TensorType {
    TensorType::new(DType::F32, shape.iter().copied())
}

/// The type with every size `n` written as the symbol `sn`, and the symbols' values.
fn symbolic(t: &TensorType, axes: &[usize]) -> (TensorType, std::collections::BTreeMap<Symbol, i64>) {
    let mut out = t.clone();
    let mut values = std::collections::BTreeMap::new();
    for a in axes {
        let n = t.shape[*a].as_constant().unwrap();
        let s = Symbol::new(&format!("s{n}")).unwrap();
        out.shape[*a] = Poly::symbol(s.clone());
        values.insert(s, n);
    }
    (out, values)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Symbols bound after inference give what inference on numbers gives.
    #[test]
    fn convolution_agrees_on_symbols_and_numbers(
        n in 1i64..4, c in 1i64..4, f in 1i64..4, h in 1i64..40, w in 1i64..40, k in 1i64..4, l in 1i64..4,
        stride in 1i64..4, dilation in 1i64..3, pad in 0i64..3, groups in 1i64..4,
    ) {
        let x = f32s(&[n, c * groups, h, w]);
        let filters = f32s(&[f * groups, c, k, l]);
        let attrs = Attrs::new()
            .with("stride", vec![stride, 1])
            .with("dilation", vec![dilation, 1])
            .with("pad", vec![pad, 0, pad, 1])
            .with("groups", groups);
        // By counting the positions that fit.
        let count = |size: i64, kernel: i64, dilation: i64, stride: i64| {
            (0..size).filter(|p| p % stride == 0 && p + (kernel - 1) * dilation < size).count() as i64
        };
        let want = [n, f * groups, count(h + 2 * pad, k, dilation, stride), count(w + 1, l, 1, 1)];
        match infer("nn.conv2d", &[x.clone(), filters.clone()], &attrs) {
            Ok(shapes) => {
                let have: Vec<i64> = shapes[0].iter().map(|p| p.as_constant().unwrap()).collect();
                prop_assert_eq!(have, want.to_vec());
                let (sx, values) = symbolic(&x, &[0, 2, 3]);
                let shapes = infer("nn.conv2d", &[sx, filters], &attrs).unwrap();
                let bound: Vec<i64> = shapes[0].iter().map(|p| p.eval(&values).unwrap()).collect();
                prop_assert_eq!(bound, want.to_vec());
            }
            Err(_) => prop_assert!(want[2] == 0 || want[3] == 0),
        }
    }

    #[test]
    fn attention_is_refused_exactly_when_sizes_differ(
        b in 1i64..3, i in 1i64..5, j in 1i64..5, g in 1i64..4, r in 1i64..4, d in 1i64..5, e in 1i64..5,
        slip in 0usize..12,
    ) {
        let mut shapes = [[b, i, g * r, d], [b, j, g, d], [b, j, g, e]];
        let attrs = Attrs::new().with("scale", 1.0);
        let types = |s: &[[i64; 4]; 3]| s.iter().map(|s| f32s(s)).collect::<Vec<_>>();
        let good = infer("nn.attention", &types(&shapes), &attrs).unwrap();
        prop_assert_eq!(&good[0], &f32s(&[b, i, g * r, e]).shape);
        prop_assert_eq!(&good[1], &f32s(&[b, g * r, i]).shape);
        shapes[slip / 4][slip % 4] += 100;
        // The query's length and the value's features are free; query heads must stay a multiple.
        let free = slip == 1 || slip == 11 || slip == 2 && (g * r + 100) % g == 0;
        prop_assert_eq!(infer("nn.attention", &types(&shapes), &attrs).is_ok(), free);
    }

    #[test]
    fn sparse_round_trips_keep_the_shape(m in 1i64..9, groups in 1i64..9, batch in 0usize..3) {
        let mut shape = vec![2; batch];
        shape.extend([m, 8 * groups]);
        let axis = shape.len() as i64 - 1;
        let attrs = Attrs::new().with("axis", axis);
        let packed = infer("sparse24.compress", &[f32s(&shape)], &attrs).unwrap();
        let values = TensorType { shape: packed[0].clone(), ..f32s(&[]) };
        let meta = TensorType { shape: packed[1].clone(), dtype: DType::U8, encoding: None };
        let back = infer("sparse24.decompress", &[values, meta], &attrs).unwrap();
        prop_assert_eq!(&back[0], &f32s(&shape).shape);
    }

    #[test]
    fn winograd_transforms_meet(m in 1i64..7, r in 1i64..6, h in 1i64..30, w in 1i64..30, pad in 0i64..3) {
        prop_assume!(m + r > 2 && h + 2 * pad >= r && w >= r);
        let base = || Attrs::new().with("m", m).with("r", r);
        let v = infer("winograd.input", &[f32s(&[2, 3, h, w])], &base().with("pad", vec![pad, 0, pad, 0])).unwrap();
        let (oh, ow) = (h + 2 * pad - r + 1, w - r + 1);
        let mut y = v[0].clone();
        y[5] = Poly::constant(4);
        let y = TensorType { shape: y, ..f32s(&[]) };
        let size = base().with("size", vec![Poly::constant(oh), Poly::constant(ow)]);
        let z = infer("winograd.output", &[y], &size).unwrap();
        prop_assert_eq!(&z[0], &f32s(&[2, 4, oh, ow]).shape);
    }
}

/// Calls that must be refused, and a word of the reason.
#[test]
fn wrong_calls_say_what_is_wrong() {
    let a = Attrs::new;
    let i64s = |shape: &[i64]| TensorType::new(DType::I64, shape.iter().copied());
    let x4 = || f32s(&[2, 4, 8, 8]);
    let cases: Vec<(&str, Vec<TensorType>, Attrs, &str)> = vec![
        ("nn.softmax", vec![f32s(&[2, 3])], a().with("axis", 2), "axis 2 is outside 0..2"),
        ("nn.gelu", vec![i64s(&[2])], a(), "float"),
        ("nn.layer_norm", vec![f32s(&[2, 3]), f32s(&[2])], a().with("axis", 1), "expected f32[3]"),
        ("nn.group_norm", vec![f32s(&[2, 6]), f32s(&[6]), f32s(&[6])], a().with("groups", 4), "4 groups"),
        ("nn.conv2d", vec![x4(), f32s(&[4, 3, 3, 3])], a(), "4 channels"),
        ("nn.max_pool2d", vec![x4()], a().with("size", vec![2, 2]).with("pad", vec![2, 0, 0, 0]), "padding of 2"),
        ("nn.rope", vec![f32s(&[1, 2, 3, 5]), f32s(&[2, 2]), f32s(&[2, 2])], a(), "not even"),
        ("trilinear.attention", vec![x4(); 5], a().with("w1", 0).with("w2", 1).with("scale", 1.0), "w1 is 0"),
        ("trilinear.determinant", vec![x4(); 5], a().with("w1", 1).with("w2", 1).with("scale", 1.0), "multiple of 3"),
        ("sparse24.mask", vec![f32s(&[2, 6])], a().with("axis", 1), "multiple of 4"),
        ("sparse24.compress", vec![f32s(&[8, 8])], a().with("axis", 0), "not the last"),
        ("winograd.filter", vec![f32s(&[2, 2, 5, 5])], a().with("m", 14).with("r", 5), "m + r - 1"),
        ("winograd.filter", vec![f32s(&[2, 2, 3, 3])], a().with("m", 2).with("r", 5), "5 by 5"),
        ("quant.rowwise_fp8", vec![f32s(&[2])], a().with("dtype", DType::I8), "f8e4m3 or f8e5m2"),
        (
            "embedding.bag",
            vec![f32s(&[5, 2]), i64s(&[4]), i64s(&[2]), f32s(&[4])],
            a().with("mode", "mean"),
            "takes no weights",
        ),
        ("embedding.bag", vec![f32s(&[5, 2]), f32s(&[4]), i64s(&[2])], a(), "indices must be i64"),
    ];
    for (op, operands, attrs, reason) in cases {
        let message = infer(op, &operands, &attrs).expect_err(op).message;
        assert!(message.contains(reason), "{op}: {message}");
    }
}
