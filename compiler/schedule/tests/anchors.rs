//! Ops that stay whole, against their decompositions.

use crate::support::{check, check_range, module, scheduled_for, sym};
use tricot_dialects::{Attrs, Constant, TensorType};
use tricot_types::DType::{self, *};
use tricot_types::Poly;

fn p(v: i64) -> Poly {
    v.into()
}

#[test]
fn dot_attention_with_mask_window_bias_and_strided_views() {
    for (causal, window, offset, dtype) in
        [(false, 0, 0, F32), (true, 0, 0, F32), (true, 3, 0, BF16), (true, 0, 2, F32), (true, 2, -1, F16)]
    {
        for bias in [None, Some([sym("b"), p(4), sym("s"), sym("s")]), Some([p(1), p(4), p(1), sym("s")])] {
            let m = module(|b| {
                let q = b.input("q", TensorType::new(dtype, [sym("b"), sym("s"), p(12)]));
                let q = b.reshape(q, &[sym("b"), sym("s"), p(4), p(3)])?;
                let k = b.input("k", TensorType::new(dtype, [sym("b"), p(2), sym("s"), p(3)]));
                let k = b.transpose(k, &[0, 2, 1, 3])?;
                let v = b.input("v", TensorType::new(dtype, [sym("b"), sym("s"), p(2), p(5)]));
                let mut operands = vec![q, k, v];
                if let Some(shape) = &bias {
                    operands.push(b.input("bias", TensorType::new(F32, shape.clone())));
                }
                let attrs = Attrs::new().with("scale", 1.7).with("causal", causal).with("window", window);
                let y = b.op("nn.attention", &operands, attrs.with("offset", p(offset)))?;
                let out = b.reshape(y[0], &[sym("b"), sym("s"), p(20)])?;
                b.output("y", out);
                b.output("lse", y[1]);
                Ok(())
            });
            assert_eq!(check(&m), 1);
        }
    }
}

#[test]
fn trilinear_attention() {
    for (w1, w2, bias, dtype) in [(4, 2, 0.0, F32), (1, 1, 0.5, F32), (3, 20, 0.25, BF16)] {
        let m = module(|b| {
            let ty = |h| TensorType::new(dtype, [sym("b"), sym("s"), p(h), p(3)]);
            let v: Vec<_> = [("q", 4), ("k1", 2), ("k2", 2), ("v1", 2), ("v2", 2)]
                .iter()
                .map(|(n, h)| b.input(n, ty(*h)))
                .collect();
            let attrs = Attrs::new().with("w1", w1).with("w2", w2).with("scale", 1.3);
            let y = b.op("trilinear.attention", &v, attrs.with("k2_bias", bias).with("v2_bias", -bias))?;
            b.output("y", y[0]);
            Ok(())
        });
        assert_eq!(check(&m), 1);
    }
}

#[test]
fn sparse_selection_and_product() {
    for dtype in [F32, BF16, I8] {
        for by in ["magnitude", "value"] {
            let m = module(|b| {
                let x = b.input("x", TensorType::new(dtype, [sym("s"), p(16)]));
                let attrs = Attrs::new().with("axis", 1).with("by", by);
                let mask = b.one("sparse24.mask", &[x], attrs.clone())?;
                b.output("mask", mask);
                let y = b.one("sparse24.select", &[x], attrs.clone())?;
                b.output("y", y);
                let c = b.op("sparse24.compress", &[x], attrs)?;
                b.output("values", c[0]);
                b.output("meta", c[1]);
                let w = b.input("w", TensorType::new(dtype, [16, 6]));
                let out = if dtype == I8 { I32 } else { dtype };
                let z = b.one("sparse24.matmul", &[c[0], c[1], w], Attrs::new().with("dtype", out))?;
                let z = b.map("relu", &[z])?;
                let z = b.transpose(z, &[1, 0])?;
                b.output("z", z);
                Ok(())
            });
            assert_eq!(check(&m), 4);
        }
    }
    // Selection along an inner axis, with its producer fused.
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("s"), p(8), p(3)]));
        let y = b.map("square", &[x])?;
        let y = b.one("sparse24.select", &[y], Attrs::new().with("axis", 1))?;
        b.output("y", y);
        Ok(())
    });
    assert_eq!(check(&m), 1);
}

#[test]
fn embedding_bags() {
    for (mode, weighted, last) in
        [("sum", false, false), ("mean", false, true), ("sum", true, true), ("mean", false, false)]
    {
        for (dtype, table) in [(F32, F32), (BF16, BF16), (F32, I8), (F16, U4)] {
            let m = module(|b| {
                let table_in = b.input("table", TensorType::new(table, [7, 4]));
                let mut ops = vec![table_in];
                if !table.is_float() {
                    ops.push(b.input("scale", TensorType::new(F32, [7])));
                    ops.push(b.input("bias", TensorType::new(F32, [7])));
                }
                ops.push(b.input("indices", TensorType::new(I64, [9])));
                let offsets = if last { vec![0, 2, 2, 5, 8] } else { vec![0, 2, 2, 5] };
                ops.push(b.constant(Constant::from_i64(I32, vec![offsets.len() as u64], &offsets))?);
                if weighted {
                    ops.push(b.input("weights", TensorType::new(F32, [9])));
                }
                let attrs = Attrs::new().with("mode", mode).with("include_last", last);
                let y = match table.is_float() {
                    true => b.one("embedding.bag", &ops, attrs)?,
                    false => b.one("embedding.bag_quantized", &ops, attrs.with("dtype", dtype))?,
                };
                b.output("y", y);
                Ok(())
            });
            assert_eq!(check_range(&m, (-2, 8)), 1);
        }
    }
}

#[test]
fn winograd_convolution() {
    for (m_size, pad, dtype) in [(2, vec![1, 1, 1, 1], F32), (4, vec![1, 0, 2, 1], F32), (2, vec![0; 4], BF16)] {
        let m = module(|b| {
            let dtype: DType = dtype;
            let x = b.input("x", TensorType::new(dtype, [sym("b"), p(3), p(7), p(6)]));
            let w = b.input("w", TensorType::new(dtype, [4, 3, 3, 3]));
            let bias = b.input("bias", TensorType::new(dtype, [4]));
            let attrs = Attrs::new().with("m", m_size).with("r", 3);
            let u = b.one("winograd.filter", &[w], attrs.clone())?;
            let v = b.one("winograd.input", &[x], attrs.clone().with("pad", pad.clone()))?;
            let y = b.contract("abnhwc,abfc->abnhwf", &[v, u], dtype)?;
            let size = vec![p(7 + pad[0] + pad[2] - 2), p(6 + pad[1] + pad[3] - 2)];
            let z = b.one("winograd.output", &[y], attrs.with("size", size))?;
            let shape = b.ty(z).shape.clone();
            let bias = b.broadcast(bias, &shape, &[1])?;
            let z = b.map("add", &[z, bias])?;
            let z = b.map("relu", &[z])?;
            b.output("z", z);
            Ok(())
        });
        assert_eq!(check(&m), 4);
    }
}

#[test]
fn eight_bit_products_keep_f32_precision_where_it_is_asked_for() {
    // The result as it is, rounded by the next op, and both.
    for (wide, narrow) in [(true, false), (false, true), (true, true)] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(F8E4M3, [p(48), p(40)]));
            let w = b.input("w", TensorType::new(F8E4M3, [p(40), p(33)]));
            let y = b.contract("mk,kn->mn", &[x, w], F32)?;
            let y = b.map("relu", &[y])?;
            if wide {
                b.output("wide", y);
            }
            if narrow {
                let rounded = b.cast(y, BF16)?;
                b.output("narrow", rounded);
            }
            Ok(())
        });
        check(&m);
        let factors = |target: &str| -> Vec<DType> {
            let s = scheduled_for(&m, target, true);
            let product = s.kernels.iter().find_map(|k| match &k.body {
                tricot_kernel::Body::Contraction(c) => Some([c.a, c.b].map(|e| k.exprs[e].dtype).to_vec()),
                _ => None,
            });
            product.expect("a matrix product")
        };
        assert_eq!(factors("sm_90a") == [F16, F16], wide, "{:?}", factors("sm_90a"));
        assert!(!factors("cpu").contains(&F16), "{:?}", factors("cpu"));
    }
}
