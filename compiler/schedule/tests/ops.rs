//! Every core primitive, alone and with neighbours.

use crate::support::{check, check_range, module, sym};
use tricot_dialects::{Attrs, Constant, ScalarFn, TensorType};
use tricot_types::DType::{self, *};
use tricot_types::Poly;

fn p(v: i64) -> Poly {
    v.into()
}

#[test]
fn every_scalar_function() {
    for f in ScalarFn::ALL {
        for dtype in DType::ALL {
            if f.result_dtype(dtype).is_err() {
                continue;
            }
            let m = module(|b| {
                let x = b.input("x", TensorType::new(dtype, [sym("s"), p(3)]));
                let y = b.input("y", TensorType::new(dtype, [sym("s"), p(3)]));
                let args = if f.arity() == 1 { vec![x] } else { vec![x, y] };
                let z = b.map(f.name(), &args)?;
                b.output("z", z);
                Ok(())
            });
            assert_eq!(check_range(&m, (0, 5)), 1);
        }
    }
}

#[test]
fn views_fuse_into_one_kernel() {
    for dtype in [F32, I64, Bool, U4, I4] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(dtype, [sym("b"), sym("s"), p(6)]));
            let y = b.transpose(x, &[2, 0, 1])?;
            let y = b.reshape(y, &[p(2), p(3), sym("b") * sym("s")])?;
            let y = b.slice(y, &[p(1), p(2), p(0)], &[p(1), p(3), sym("b") * sym("s")], &[1, -1, 1])?;
            let fill = b.scalar(dtype, 1.0)?;
            let attrs = Attrs::new()
                .with("low", vec![p(1), p(0), p(2)])
                .with("high", vec![p(0), p(1), p(1)])
                .with("interior", vec![0, 2, 0]);
            let y = b.one("core.pad", &[y, fill], attrs)?;
            let z = b.concat(&[y, y, y], 1)?;
            b.output("z", z);
            Ok(())
        });
        assert_eq!(check(&m), 1);
    }
}

#[test]
fn reshapes_of_symbolic_shapes() {
    let (s, t) = (sym("s"), sym("b"));
    for (from, to) in [
        (vec![s.clone(), t.clone(), p(4)], vec![t.clone(), s.clone() * p(4)]),
        (vec![s.clone() * p(8), t.clone()], vec![s.clone(), p(8), t.clone()]),
        (vec![s.clone(), p(8)], vec![s.clone() * p(2), p(1), p(4)]),
        (
            vec![p(6), s.clone()],
            vec![p(4), s.clone() * p(3), p(1)].into_iter().take(0).chain([p(3), p(2), s.clone()]).collect(),
        ),
        (vec![p(6), p(4)], vec![p(3), p(8)]),
    ] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(F32, from.clone()));
            let y = b.reshape(x, &to)?;
            let y = b.map("neg", &[y])?;
            b.output("y", y);
            Ok(())
        });
        assert_eq!(check(&m), 1);
    }
}

#[test]
fn reductions() {
    for (kind, dtype) in [
        ("sum", F32),
        ("sum", BF16),
        ("prod", I8),
        ("max", I32),
        ("min", F16),
        ("and", Bool),
        ("or", Bool),
        ("sum", I4),
    ] {
        for axes in [vec![0], vec![1], vec![0, 2], vec![0, 1, 2]] {
            let m = module(|b| {
                let x = b.input("x", TensorType::new(dtype, [sym("b"), sym("s"), p(4)]));
                let y = b.reduce(kind, x, &axes)?;
                b.output("y", y);
                Ok(())
            });
            assert_eq!(check(&m), 1);
        }
    }
    for last in [false, true] {
        for (kind, dtype) in [("max", F32), ("min", I64), ("max", Bool), ("min", BF16)] {
            let m = module(|b| {
                let x = b.input("x", TensorType::new(dtype, [sym("b"), p(5), sym("s")]));
                let y =
                    b.one("core.arg_reduce", &[x], Attrs::new().with("kind", kind).with("axis", 1).with("last", last))?;
                b.output("y", y);
                Ok(())
            });
            assert_eq!(check(&m), 1);
        }
    }
}

#[test]
fn scans() {
    for (kind, dtype) in [("sum", F32), ("sum", F16), ("prod", I64), ("max", I32), ("min", F32), ("and", Bool)] {
        for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
            let m = module(|b| {
                let x = b.input("x", TensorType::new(dtype, [sym("b"), p(5), sym("s")]));
                let attrs = Attrs::new().with("kind", kind).with("axis", 1);
                let y = b.one("core.scan", &[x], attrs.with("exclusive", exclusive).with("reverse", reverse))?;
                b.output("y", y);
                Ok(())
            });
            assert_eq!(check(&m), 1);
        }
    }
}

#[test]
fn top_k_and_sort() {
    for (dtype, largest) in [(F32, true), (F32, false), (I32, true), (BF16, false)] {
        for k in [1, 3, 5] {
            let m = module(|b| {
                let x = b.input("x", TensorType::new(dtype, [sym("b"), p(5), sym("s")]));
                let y =
                    b.op("core.top_k", &[x], Attrs::new().with("k", p(k)).with("axis", 1).with("largest", largest))?;
                b.output("v", y[0]);
                b.output("i", y[1]);
                Ok(())
            });
            assert_eq!(check(&m), 1);
        }
    }
}

#[test]
fn gathers_and_scatters() {
    for batch in [0, 1] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(F32, [sym("b"), p(5), sym("s")]));
            let i = b.input("i", TensorType::new(I64, [sym("b"), p(2)]));
            let y = b.one("core.gather", &[x, i], Attrs::new().with("axis", 1).with("batch_dims", batch))?;
            let y = b.map("relu", &[y])?;
            b.output("y", y);
            Ok(())
        });
        assert_eq!(check(&m), 1);
    }
    for how in ["replace", "add", "mul", "max", "min"] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(F32, [p(4), sym("s")]));
            let i = b.input("i", TensorType::new(I32, [7]));
            let u = b.input("u", TensorType::new(F32, [p(7), sym("s")]));
            let x = if how == "max" { b.map("neg", &[x])? } else { x };
            let y = b.one("core.scatter", &[x, i, u], Attrs::new().with("combine", how))?;
            b.output("y", y);
            Ok(())
        });
        check(&m);
    }
}

#[test]
fn update_slices() {
    for dynamic in [false, true] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(F32, [sym("b"), p(9), p(3)]));
            let u = b.input("u", TensorType::new(F32, [sym("b"), p(4), p(2)]));
            let mut ops = vec![x, u];
            if dynamic {
                ops.push(b.input("o", TensorType::new(I64, [3])));
            }
            let y = b.one("core.update_slice", &ops, Attrs::new().with("start", vec![p(0), p(2), p(1)]))?;
            b.output("y", y);
            b.function.outputs[0].alias = Some("x".into());
            Ok(())
        });
        check(&m);
    }
}

#[test]
fn windows_iota_random_and_casts() {
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [p(2), p(9)]));
        let attrs =
            Attrs::new().with("axes", vec![1]).with("size", vec![3]).with("stride", vec![2]).with("dilation", vec![2]);
        let w = b.one("core.window", &[x], attrs)?;
        let y = b.reduce("max", w, &[2])?;
        b.output("y", y);
        Ok(())
    });
    assert_eq!(check(&m), 1);
    for kind in ["uniform", "normal"] {
        for dtype in [F32, F64, BF16] {
            let m = module(|b| {
                let attrs = Attrs::new().with("dtype", dtype).with("shape", vec![sym("s"), p(5)]);
                let r = b.one("core.random", &[], attrs.with("kind", kind).with("seed", 7))?;
                let i = b.iota(dtype, &[sym("s"), p(5)], 1)?;
                let y = b.map("add", &[r, i])?;
                b.output("y", y);
                Ok(())
            });
            assert_eq!(check(&m), 1);
        }
    }
    for from in DType::ALL {
        for to in DType::ALL {
            for mode in ["round", "saturate", "bits"] {
                if mode == "bits" && (from.bits() != to.bits() || to == Bool) {
                    continue;
                }
                let m = module(|b| {
                    let x = b.input("x", TensorType::new(from, [sym("s"), p(3)]));
                    let y = b.one("core.cast", &[x], Attrs::new().with("to", to).with("mode", mode))?;
                    b.output("y", y);
                    Ok(())
                });
                check(&m);
            }
        }
    }
}

#[test]
fn contractions_of_every_form() {
    for (spec, shapes) in [
        ("ij,jk->ik", vec![vec![3, 4], vec![4, 5]]),
        ("ij,jk->ki", vec![vec![3, 4], vec![4, 5]]),
        ("bij,bjk->bik", vec![vec![2, 3, 4], vec![2, 4, 5]]),
        ("ij,j->i", vec![vec![3, 4], vec![4]]),
        ("i,i->", vec![vec![3], vec![3]]),
        ("i,j->ij", vec![vec![3], vec![4]]),
        ("bi,bi->b", vec![vec![2, 3], vec![2, 3]]),
        ("iij,jk->ik", vec![vec![3, 3, 4], vec![4, 5]]),
        ("ijl,jk->ik", vec![vec![3, 4, 2], vec![4, 5]]),
        ("ii->i", vec![vec![3, 3]]),
        ("ij->", vec![vec![3, 4]]),
        ("ij->ji", vec![vec![3, 4]]),
        ("abc,dcb,be->aed", vec![vec![2, 3, 4], vec![2, 4, 3], vec![3, 5]]),
        ("ij,jk->ik", vec![vec![1, 4], vec![4, 5]]),
    ] {
        for dtype in [F32, BF16, I8, F64, I64] {
            let out = if dtype == I8 { I32 } else { dtype };
            let m = module(|b| {
                let v: Vec<_> = shapes
                    .iter()
                    .enumerate()
                    .map(|(i, s)| b.input(&format!("x{i}"), TensorType::new(dtype, s.iter().copied())))
                    .collect();
                let y = b.contract(spec, &v, out)?;
                b.output("y", y);
                Ok(())
            });
            check(&m);
        }
    }
}

#[test]
fn outputs_that_are_inputs_constants_or_twins() {
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("s"), p(3)]));
        let c = b.constant(Constant::from_f64(F32, vec![3], &[1.0, 2.0, 4.0]))?;
        let y = b.map("neg", &[x])?;
        let z = b.full(F32, 2.5, &[p(4)])?;
        let one = b.scalar(F32, 1.0)?;
        for (name, v) in [("x", x), ("c", c), ("y", y), ("twin", y), ("z", z), ("one", one)] {
            b.output(&format!("{name}_out"), v);
        }
        Ok(())
    });
    check(&m);
}

#[test]
fn constant_work_is_done_before() {
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("s"), p(4)]));
        let values: Vec<f64> = (0..24).map(|i| f64::from(i) * 0.37 - 3.0).collect();
        let w = b.constant(Constant::from_f64(F32, vec![6, 4], &values))?;
        let w = b.map("exp", &[w])?;
        let w = b.transpose(w, &[1, 0])?;
        let two = b.scalar(F32, 2.0)?;
        let root = b.map("sqrt", &[two])?;
        let y = b.contract("sk,kn->sn", &[x, w], F32)?;
        let shape = b.ty(y).shape.clone();
        let root = b.broadcast(root, &shape, &[])?;
        let y = b.map("mul", &[y, root])?;
        b.output("y", y);
        b.output("w", w);
        Ok(())
    });
    // The product with its epilogue, and the transposed copy that is an output.
    assert_eq!(check(&m), 2);
}

#[test]
fn a_cache_is_written_in_place() {
    let m = module(|b| {
        let cache = b.input("cache", TensorType::new(F32, [sym("b"), p(16), p(2), p(4)]));
        let q = b.input("q", TensorType::new(F32, [sym("b"), p(3), p(2), p(4)]));
        let k = b.input("k", TensorType::new(F32, [sym("b"), p(3), p(2), p(4)]));
        let at = b.input("at", TensorType::new(I64, [4]));
        let new = b.one("core.update_slice", &[cache, k, at], Attrs::new().with("start", vec![p(0); 4]))?;
        let y = b.op("nn.attention", &[q, new, new], Attrs::new().with("scale", 0.5))?;
        b.output("y", y[0]);
        b.output("cache_out", new);
        b.function.outputs[1].alias = Some("cache".into());
        Ok(())
    });
    assert_eq!(check(&m), 2);
    let s = crate::support::scheduled(&m, true);
    // One copy, from the caller's old cache to the new one: nothing where they are the same memory.
    let copies = s.steps.iter().filter(|s| matches!(s, tricot_schedule::ScheduledStep::Copy { .. })).count();
    assert_eq!(copies, 1);
    assert_eq!(s.arena_bytes.as_constant(), Some(0));
    // With a later reader of the old cache the new one is made apart and copied at the end.
    let m = module(|b| {
        let cache = b.input("cache", TensorType::new(F32, [sym("b"), p(16)]));
        let k = b.input("k", TensorType::new(F32, [sym("b"), p(3)]));
        let new = b.one("core.update_slice", &[cache, k], Attrs::new().with("start", vec![p(0), p(5)]))?;
        let sum = b.map("mul", &[new, cache])?;
        b.output("cache_out", new);
        b.output("y", sum);
        b.function.outputs[0].alias = Some("cache".into());
        Ok(())
    });
    check(&m);
    let s = crate::support::scheduled(&m, true);
    assert!(matches!(s.steps.last(), Some(tricot_schedule::ScheduledStep::Copy { .. })), "{s}");
}
