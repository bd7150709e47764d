//! Products that share their input, side by side: what must merge, what must not, and that nothing changes.

use crate::support::{check, launches, module, random, sym};
use tricot_dialects::{Attrs, Builder, Constant, Module, TensorType, ValueId};
use tricot_types::DType::{self, *};
use tricot_types::{Diagnostic, Poly};

fn p(v: i64) -> Poly {
    v.into()
}

fn weights(b: &mut Builder<'_>, dtype: DType, shape: &[u64]) -> Result<ValueId, Diagnostic> {
    let count = shape.iter().product::<u64>() as usize;
    b.constant(Constant::from_f64(dtype, shape.to_vec(), &random(dtype, count, (-3, 3))))
}

/// A value that every kernel reads from memory: the result of a norm.
fn normed(b: &mut Builder<'_>, name: &str, dtype: DType, width: i64) -> Result<ValueId, Diagnostic> {
    let x = b.input(name, TensorType::new(dtype, [sym("b"), sym("s"), p(width)]));
    let scale = b.input(&format!("{name}_scale"), TensorType::new(dtype, [width]));
    b.one("nn.rms_norm", &[x, scale], Attrs::new().with("axis", 2).with("epsilon", 1e-5))
}

/// Attention over three products of width `heads * dim`.
fn attend(b: &mut Builder<'_>, parts: [ValueId; 3], heads: [i64; 3]) -> Result<(), Diagnostic> {
    let mut views = vec![];
    for (v, h) in parts.into_iter().zip(heads) {
        let width = b.ty(v).shape[2].as_constant().unwrap();
        views.push(b.reshape(v, &[sym("b"), sym("s"), p(h), p(width / h)])?);
    }
    let attrs = Attrs::new().with("scale", 0.7).with("causal", true).with("window", 0).with("offset", p(0));
    let y = b.op("nn.attention", &views, attrs)?;
    b.output("y", y[0]);
    Ok(())
}

/// A way to make the three projections of a block different from the plain one.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Twist {
    None,
    Bias,
    /// The value's input is another tensor.
    OtherInput,
    /// The weights of keys and values are inputs.
    VariableWeights,
    /// Keys and values are products of a wider type.
    OtherType,
}

fn block(dtype: DType, widths: [u64; 3], heads: [i64; 3], twist: Twist) -> Module {
    module(|b| {
        let x = normed(b, "x", dtype, 12)?;
        let other = if twist == Twist::OtherInput { normed(b, "z", dtype, 12)? } else { x };
        let mut parts = vec![];
        for (i, n) in widths.into_iter().enumerate() {
            let w = match twist == Twist::VariableWeights && i > 0 {
                true => b.input(&format!("w{i}"), TensorType::new(dtype, [12, n as i64])),
                false => weights(b, dtype, &[12, n])?,
            };
            let input = if i == 2 { other } else { x };
            let wide = if twist == Twist::OtherType && i > 0 { F32 } else { dtype };
            let mut y = b.contract("bsk,kn->bsn", &[input, w], wide)?;
            if twist == Twist::Bias {
                let bias = weights(b, dtype, &[n])?;
                let shape = b.ty(y).shape.clone();
                let bias = b.broadcast(bias, &shape, &[2])?;
                y = b.map("add", &[y, bias])?;
            }
            parts.push(b.cast(y, dtype)?);
        }
        attend(b, [parts[0], parts[1], parts[2]], heads)
    })
}

#[test]
fn projections_of_one_input_are_one_product() {
    // Norm, product, attention; equal widths, fewer keys and values than queries, and ragged ones.
    for dtype in [F32, BF16] {
        for (widths, heads) in [([8, 8, 8], [2, 2, 2]), ([16, 8, 8], [4, 2, 2]), ([12, 6, 10], [4, 2, 2])] {
            for twist in [Twist::None, Twist::Bias] {
                let m = block(dtype, widths, heads, twist);
                assert_eq!(check(&m), 3, "{dtype} {widths:?} {twist:?}");
                assert_eq!(launches(&m, "sm_90a"), 3, "{dtype} {widths:?} {twist:?}");
            }
        }
    }
}

#[test]
fn what_differs_does_not_merge() {
    // Norm, three products, attention, where at most two of the products are alike.
    for (twist, dtype, want) in
        [(Twist::OtherInput, F32, 5), (Twist::VariableWeights, F32, 5), (Twist::OtherType, BF16, 4)]
    {
        let m = block(dtype, [8, 8, 8], [2, 2, 2], twist);
        assert_eq!(check(&m), want, "{twist:?}");
        assert_eq!(launches(&m, "sm_90a"), want, "{twist:?}");
    }
}

#[test]
fn letters_and_sides_do_not_matter_but_axes_do() {
    let build = |second: &'static str, shape: [u64; 3]| {
        module(|b| {
            let x = normed(b, "x", F32, 6)?;
            let (w, u) = (weights(b, F32, &[6, 2, 5])?, weights(b, F32, &shape)?);
            let y = b.contract("bsd,dhe->bhse", &[x, w], F32)?;
            let z = b.contract(second, &[x, u], F32)?;
            // Sums over the last axis: kernels that read either through a slice as well as whole.
            for (name, v) in [("y", y), ("z", z)] {
                let v = b.map("square", &[v])?;
                let v = b.reduce("sum", v, &[3])?;
                b.output(name, v);
            }
            Ok(())
        })
    };
    for (spec, shape, want) in [
        ("bsd,dhe->bhse", [6, 3, 5], 4),
        ("xyz,zuv->xuyv", [6, 3, 5], 4),
        ("bsd,dhe->bhse", [6, 2, 4], 4),
        // Two axes differ, or the result lies otherwise.
        ("bsd,dhe->bhse", [6, 3, 4], 5),
        ("bsd,dhe->bshe", [6, 3, 5], 5),
    ] {
        assert_eq!(check(&build(spec, shape)), want, "{spec} {shape:?}");
    }
}

#[test]
fn a_product_keeps_the_epilogue_a_slice_would_break() {
    // One of the two is an output, the other ends in a gate: apart they are two launches, and so must stay at most two.
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("b"), sym("s"), p(6)]));
        let (w, u) = (weights(b, F32, &[6, 8])?, weights(b, F32, &[6, 8])?);
        let y = b.contract("bsk,kn->bsn", &[x, w], F32)?;
        let z = b.contract("bsk,kn->bsn", &[x, u], F32)?;
        let gate = b.one("nn.silu", &[y], Attrs::new())?;
        let z = b.map("mul", &[gate, z])?;
        b.output("y", y);
        b.output("z", z);
        Ok(())
    });
    assert_eq!(check(&m), 2);
    assert_eq!(launches(&m, "sm_90a"), 2);
}

#[test]
fn products_that_are_outputs_stay_apart() {
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("b"), sym("s"), p(6)]));
        for name in ["y", "z"] {
            let w = weights(b, F32, &[6, 8])?;
            let y = b.contract("bsk,kn->bsn", &[x, w], F32)?;
            b.output(name, y);
        }
        Ok(())
    });
    assert_eq!(check(&m), 2);
}
