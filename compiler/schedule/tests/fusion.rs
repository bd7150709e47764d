//! Chains that must share a kernel, and still be right.

use crate::support::{check, module, sym};
use tricot_dialects::{Attrs, TensorType};
use tricot_types::DType::{self, *};
use tricot_types::Poly;

fn p(v: i64) -> Poly {
    v.into()
}

#[test]
fn a_softmax_is_one_kernel() {
    for dtype in [F32, BF16] {
        for axis in 0..3 {
            let m = module(|b| {
                let x = b.input("x", TensorType::new(dtype, [sym("b"), sym("s"), p(5)]));
                let y = b.one("nn.softmax", &[x], Attrs::new().with("axis", axis))?;
                b.output("y", y);
                Ok(())
            });
            assert_eq!(check(&m), 1);
        }
    }
}

#[test]
fn norms_are_one_kernel() {
    for dtype in [F32, F16] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(dtype, [sym("b"), sym("s"), p(6)]));
            let (scale, bias) = (b.input("g", TensorType::new(dtype, [6])), b.input("h", TensorType::new(dtype, [6])));
            let y = b.one("nn.layer_norm", &[x, scale, bias], Attrs::new().with("axis", 2).with("epsilon", 1e-5))?;
            b.output("y", y);
            Ok(())
        });
        assert_eq!(check(&m), 1);
        let m = module(|b| {
            let x = b.input("x", TensorType::new(dtype, [sym("s"), p(6)]));
            let scale = b.input("g", TensorType::new(dtype, [6]));
            let y = b.one("nn.rms_norm", &[x, scale], Attrs::new().with("axis", 1).with("epsilon", 1e-5))?;
            let y = b.reshape(y, &[sym("s"), p(2), p(3)])?;
            let y = b.transpose(y, &[1, 0, 2])?;
            b.output("y", y);
            Ok(())
        });
        assert_eq!(check(&m), 1);
    }
}

#[test]
fn a_matrix_product_takes_its_epilogue() {
    for dtype in [F32, BF16, F64] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(dtype, [sym("b"), sym("s"), p(4)]));
            let w = b.input("w", TensorType::new(dtype, [4, 6]));
            let bias = b.input("bias", TensorType::new(dtype, [6]));
            let y = b.contract("bsk,kn->bsn", &[x, w], dtype)?;
            let shape = b.ty(y).shape.clone();
            let bias = b.broadcast(bias, &shape, &[2])?;
            let y = b.map("add", &[y, bias])?;
            let gate = b.map("sigmoid", &[y])?;
            let y = b.map("mul", &[y, gate])?;
            let y = b.reshape(y, &[sym("b"), sym("s"), p(2), p(3)])?;
            let y = b.transpose(y, &[0, 2, 1, 3])?;
            b.output("y", y);
            Ok(())
        });
        assert_eq!(check(&m), 1);
    }
}

#[test]
fn convolution_bias_and_relu_are_one_kernel() {
    for (groups, stride, dilation) in [(1, 1, 1), (1, 2, 1), (2, 1, 2), (4, 1, 1)] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(F32, [sym("b"), p(4), p(7), p(6)]));
            let w = b.input("w", TensorType::new(F32, [8, 4 / groups, 3, 3]));
            let bias = b.input("bias", TensorType::new(F32, [8]));
            let attrs = Attrs::new()
                .with("groups", groups)
                .with("stride", vec![stride; 2])
                .with("dilation", vec![dilation; 2])
                .with("pad", vec![1, 1, 1, 2]);
            let y = b.one("nn.conv2d", &[x, w], attrs)?;
            let shape = b.ty(y).shape.clone();
            let bias = b.broadcast(bias, &shape, &[1])?;
            let y = b.map("add", &[y, bias])?;
            let y = b.map("relu", &[y])?;
            b.output("y", y);
            Ok(())
        });
        assert_eq!(check(&m), 1);
    }
}

#[test]
fn einsum_chains() {
    let types = |shape: [Poly; 4]| TensorType::new(F32, shape);
    let m = module(|b| {
        let shape = [sym("b"), sym("s"), p(2), p(3)];
        let v: Vec<_> = ["q", "k1", "k2", "v1", "v2"].iter().map(|n| b.input(n, types(shape.clone()))).collect();
        let x = b.contract("bihd,bjhd,bkhd->bhijk", &v[..3], F32)?;
        let flat = [sym("b"), p(2), sym("s"), sym("s") * sym("s")];
        let x = b.reshape(x, &flat)?;
        let x = b.one("nn.softmax", &[x], Attrs::new().with("axis", 3))?;
        let x = b.reshape(x, &[sym("b"), p(2), sym("s"), sym("s"), sym("s")])?;
        let y = b.contract("bhijk,bjhe,bkhe->bihe", &[x, v[3], v[4]], F32)?;
        b.output("y", y);
        Ok(())
    });
    assert!(check(&m) <= 7);
    let m = module(|b| {
        let a = b.input("a", TensorType::new(F32, [sym("s"), p(3)]));
        let c = b.input("c", TensorType::new(F32, [3, 4]));
        let d = b.input("d", TensorType::new(F32, [4, 5]));
        let e = b.input("e", TensorType::new(F32, [5]));
        let y = b.contract("ab,bc,cd,d->a", &[a, c, d, e], F32)?;
        b.output("y", y);
        Ok(())
    });
    check(&m);
}

#[test]
fn a_gated_feed_forward_block() {
    let m = module(|b| {
        let dtype: DType = F32;
        let x = b.input("x", TensorType::new(dtype, [sym("b"), sym("s"), p(6)]));
        let g = b.input("g", TensorType::new(dtype, [6]));
        let w: Vec<_> = ["w1", "w2"].iter().map(|n| b.input(n, TensorType::new(dtype, [6, 8]))).collect();
        let down = b.input("w3", TensorType::new(dtype, [8, 6]));
        let h = b.one("nn.rms_norm", &[x, g], Attrs::new().with("axis", 2).with("epsilon", 1e-6))?;
        let a = b.contract("bsk,kn->bsn", &[h, w[0]], dtype)?;
        let c = b.contract("bsk,kn->bsn", &[h, w[1]], dtype)?;
        let a = b.one("nn.silu", &[a], Attrs::new())?;
        let m = b.map("mul", &[a, c])?;
        let y = b.contract("bsn,nk->bsk", &[m, down], dtype)?;
        let y = b.map("add", &[x, y])?;
        b.output("y", y);
        Ok(())
    });
    assert_eq!(check(&m), 4);
}

#[test]
fn a_product_over_spread_windows() {
    // A transposed convolution: zeros between the elements, then a convolution.
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("b"), p(2), p(4), p(3)]));
        let w = b.input("w", TensorType::new(F32, [3, 2, 3, 3]));
        let zero = b.scalar(F32, 0.0)?;
        let attrs = Attrs::new()
            .with("low", vec![p(0), p(0), p(2), p(2)])
            .with("high", vec![p(0), p(0), p(2), p(1)])
            .with("interior", vec![0, 0, 1, 2]);
        let spread = b.one("core.pad", &[x, zero], attrs)?;
        let y = b.one("nn.conv2d", &[spread, w], Attrs::new())?;
        b.output("y", y);
        Ok(())
    });
    assert_eq!(check(&m), 1);
}
