//! Maps, reductions, scans, gathers, scatters, every dtype and operation.

use crate::harness::*;
use rand::RngExt;
use tricot_kernel::*;
use tricot_kernel_tests::oracle::Num;
use tricot_types::{DType, Poly};

fn v(n: u32) -> LoopVar {
    LoopVar(n)
}

fn nest(
    name: &str,
    symbols: &[&str],
    buffers: Vec<Buffer>,
    exprs: Exprs,
    parallel: Vec<Loop>,
    stages: Vec<Stage>,
) -> KernelDesc {
    KernelDesc {
        name: name.into(),
        symbols: symbols.iter().map(|s| symbol(s)).collect(),
        buffers,
        exprs,
        body: Body::Nest(Nest { parallel, stages }),
    }
}

fn store(buffer: u32, index: Index, value: ExprId) -> Store {
    Store { buffer, index, value, guard: None }
}

/// `out[i] = f(a[i], b[i])` over `n` elements.
fn map2(name: &str, dtype: DType, n: i64, f: impl FnOnce(&mut Exprs, ExprId, ExprId) -> ExprId) -> Case {
    let mut e = Exprs::default();
    let at = Index::zero().plus(v(0), 1);
    let (a, b) = (e.load(dtype, 0, at.clone()), e.load(dtype, 1, at.clone()));
    let value = f(&mut e, a, b);
    let shape = [Poly::constant(n)];
    let out = e[value].dtype;
    Case::new(nest(
        name,
        &[],
        vec![
            buffer("a", dtype, &shape, Access::Read),
            buffer("b", dtype, &shape, Access::Read),
            buffer("out", out, &shape, Access::Write),
        ],
        e,
        vec![Loop::new(v(0), n)],
        vec![Stage::Store { loops: vec![], stores: vec![store(2, at, value)] }],
    ))
}

#[test]
fn arithmetic_of_every_dtype() {
    use Binary::*;
    for dtype in DType::ALL {
        for op in
            [Add, Sub, Mul, Div, FloorDiv, Mod, Rem, Min, Max, And, Or, Xor, Shl, Shr, Eq, Ne, Lt, Le, Gt, Ge, Pow]
        {
            let bits = matches!(op, And | Or | Xor | Shl | Shr);
            let skip = match dtype {
                DType::Bool => matches!(op, Add | Sub | Mul | Div | FloorDiv | Mod | Rem | Shl | Shr | Pow),
                d if d.is_float() => bits,
                _ => false,
            };
            if skip {
                continue;
            }
            let case = map2(&format!("{op:?} {dtype}"), dtype, 103, |e, a, b| e.binary(op, a, b));
            case.check(tolerance(dtype));
        }
    }
}

#[test]
fn division_by_zero_and_extremes() {
    for dtype in
        [DType::I64, DType::I32, DType::I16, DType::I8, DType::I4, DType::U64, DType::U32, DType::U8, DType::U4]
    {
        let (lo, hi) = dtype.int_range().unwrap();
        let edge = [lo, lo + 1, -1, 0, 1, 2, hi - 1, hi].map(|x| x.clamp(lo, hi));
        let (mut a, mut b) = (vec![], vec![]);
        for x in edge {
            for y in edge {
                a.push(Num::I(x as i64));
                b.push(Num::I(y as i64));
            }
        }
        use Binary::*;
        for op in [Add, Sub, Mul, Div, Rem, Min, Max, Shl, Shr, Lt, Ge] {
            let case = map2(&format!("edge {op:?} {dtype}"), dtype, 64, |e, a, b| e.binary(op, a, b));
            case.input(0, a.clone()).input(1, b.clone()).check(0.0);
        }
    }
}

#[test]
fn elementary_functions() {
    use Unary::*;
    for dtype in [DType::F64, DType::F32, DType::BF16, DType::F16, DType::F8E4M3, DType::F8E5M2] {
        for op in [
            Neg, Abs, Sign, Floor, Ceil, Round, Trunc, Sqrt, Rsqrt, Recip, Exp, Exp2, Expm1, Log, Log2, Log1p, Sin,
            Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh, Asinh, Acosh, Atanh, IsNan, IsInf,
        ] {
            map2(&format!("{op:?} {dtype}"), dtype, 77, |e, a, _| e.unary(op, a)).check(tolerance(dtype));
        }
    }
}

unsafe extern "C" {
    safe fn erf(x: f64) -> f64;
}

/// Element by element, so that large results do not hide small ones.
#[test]
fn exp_log_tanh_erf_over_their_range() {
    let mut special: Vec<f64> = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e-40, 1e-44, 1e-30, 3e38];
    special.extend((-1200..1200).map(|i| f64::from(i) * 0.0873));
    special.extend((-800..800).map(|i| f64::from(i) * 0.00913));
    special.extend((1..200).map(|i| 10f64.powf(f64::from(i) * 0.19) * 1e-19));
    let special: Vec<f64> = special.into_iter().map(|x| f64::from(x as f32)).collect();
    for (op, exact) in [
        (Unary::Exp, f64::exp as fn(f64) -> f64),
        (Unary::Tanh, f64::tanh),
        (Unary::Log, f64::ln),
        (Unary::Erf, |x| erf(x)),
    ] {
        let case = map2(&format!("range {op:?}"), DType::F32, special.len() as i64, |e, a, _| e.unary(op, a));
        let values: Vec<Num> = special.iter().map(|x| Num::F(*x)).collect();
        let poison = vec![Num::F(f64::NAN); special.len()];
        let got = case.run_code(&[values.clone(), values, poison], 1);
        for (x, got) in special.iter().zip(&got[2]) {
            let (got, want) = (got.float(), f64::from(exact(*x) as f32));
            let close = (got - want).abs() <= 3e-7 * want.abs() + 1.5e-45;
            let fine = got == want || (got.is_nan() && want.is_nan()) || close;
            assert!(fine, "{op:?}({x:e}) = {got:e}, not {want:e}");
        }
    }
}

#[test]
fn casts_between_all_dtypes() {
    for from in DType::ALL {
        for to in DType::ALL {
            for mode in [CastMode::Round, CastMode::Saturate, CastMode::Bits] {
                if mode == CastMode::Bits && (from.bits() != to.bits() || from == DType::Bool || to == DType::Bool) {
                    continue;
                }
                let mut case = map2(&format!("{from} to {to} {mode:?}"), from, 61, |e, a, _| e.cast(a, to, mode));
                if from.is_float() {
                    let mut rng = seeded(3);
                    let special = [
                        0.0,
                        -0.0,
                        0.5,
                        1.5,
                        2.5,
                        -0.5,
                        447.0,
                        460.0,
                        464.0,
                        470.0,
                        65519.0,
                        65520.0,
                        1e9,
                        -1e9,
                        3e38,
                        1e19,
                        f64::INFINITY,
                        f64::NEG_INFINITY,
                        f64::NAN,
                        1e-3,
                        1e-5,
                        6e-8,
                        2e-9,
                        61440.0,
                    ];
                    let values = (0..61).map(|i| {
                        let x = special
                            .get(i)
                            .copied()
                            .unwrap_or_else(|| normal(&mut rng) * 10f64.powi(rng.random_range(-6..6)));
                        // Which NaN it is may be lost.
                        let x = tricot_kernel_tests::oracle::round(from, x);
                        Num::F(if mode == CastMode::Bits && x.is_nan() { 1.0 } else { x })
                    });
                    case = case.input(0, values.collect());
                }
                case.check(if mode == CastMode::Bits { 0.0 } else { 1e-12 });
            }
        }
    }
}

#[test]
fn softmax_rows_columns_and_symbols() {
    for dtype in [DType::F32, DType::BF16, DType::F64] {
        for (n, k) in [(1, 1), (5, 7), (37, 300), (3, 0), (0, 4), (64, 33)] {
            for along_columns in [false, true] {
                let acc = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
                let (i, j) = (v(0), v(1));
                let index = if along_columns {
                    rows(&[(j, sym("k")), (i, sym("n"))])
                } else {
                    rows(&[(i, sym("n")), (j, sym("k"))])
                };
                let mut e = Exprs::default();
                let x = e.load(dtype, 0, index.clone());
                let x = e.cast(x, acc, CastMode::Round);
                let top = e.push(acc, Expr::Acc { stage: 0, acc: 0 });
                let sum = e.push(acc, Expr::Acc { stage: 1, acc: 0 });
                let shifted = e.binary(Binary::Sub, x, top);
                let exp = e.unary(Unary::Exp, shifted);
                let out = e.binary(Binary::Div, exp, sum);
                let out = e.cast(out, dtype, CastMode::Round);
                let shape = if along_columns { [sym("k"), sym("n")] } else { [sym("n"), sym("k")] };
                let inner = vec![Loop::new(j, sym("k"))];
                let desc = nest(
                    &format!("softmax {dtype} {n}x{k} {along_columns}"),
                    &["n", "k"],
                    vec![buffer("x", dtype, &shape, Access::Read), buffer("y", dtype, &shape, Access::Write)],
                    e,
                    vec![Loop::new(i, sym("n"))],
                    vec![
                        Stage::Reduce {
                            loops: inner.clone(),
                            accs: vec![Acc { combine: Combine::Max, dtype: acc, value: x }],
                        },
                        Stage::Reduce {
                            loops: inner.clone(),
                            accs: vec![Acc { combine: Combine::Sum, dtype: acc, value: exp }],
                        },
                        Stage::Store { loops: inner, stores: vec![store(1, index, out)] },
                    ],
                );
                let mut case = Case::new(desc).with("n", n).with("k", k);
                case.scale = 3.0;
                case.check(tolerance(dtype));
            }
        }
    }
}

#[test]
fn reductions_of_every_kind() {
    use Combine::*;
    let all = [
        Sum,
        Prod,
        Min,
        Max,
        ArgMin { last: false },
        ArgMin { last: true },
        ArgMax { last: false },
        ArgMax { last: true },
    ];
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::I8, DType::F16] {
        for (rows_, cols) in [(4, 9), (9, 40), (1, 1000)] {
            for strided in [false, true] {
                let (i, j) = (v(0), v(1));
                let index = if strided {
                    rows(&[(j, cols.into()), (i, rows_.into())])
                } else {
                    rows(&[(i, rows_.into()), (j, cols.into())])
                };
                let mut e = Exprs::default();
                let x = e.load(dtype, 0, index);
                let half = if dtype.is_float() { e.float(dtype, 0.9) } else { e.int(dtype, 1) };
                let scaled = e.binary(Binary::Mul, x, half);
                let mut buffers = vec![buffer("x", dtype, &[Poly::constant(rows_ * cols)], Access::Read)];
                let (mut accs, mut stores) = (vec![], vec![]);
                for (n, combine) in all.iter().filter(|c| dtype != DType::F16 || **c != Prod).enumerate() {
                    accs.push(Acc { combine: *combine, dtype, value: scaled });
                    let out = if matches!(combine, ArgMin { .. } | ArgMax { .. }) { DType::I64 } else { dtype };
                    buffers.push(buffer("y", out, &[Poly::constant(rows_)], Access::Write));
                    let value = e.push(out, Expr::Acc { stage: 0, acc: n as u32 });
                    stores.push(store(n as u32 + 1, Index::zero().plus(i, 1), value));
                }
                let desc = nest(
                    &format!("reduce {dtype} {rows_}x{cols} {strided}"),
                    &[],
                    buffers,
                    e,
                    vec![Loop::new(i, rows_)],
                    vec![
                        Stage::Reduce { loops: vec![Loop::new(j, cols)], accs },
                        Stage::Store { loops: vec![], stores },
                    ],
                );
                // A sum or product in f16 itself rounds every step.
                Case::new(desc).check(if dtype == DType::F16 { 2e-1 } else { tolerance(dtype).max(0.0) });
            }
        }
    }
}

#[test]
fn nan_wins_and_ties_go_first() {
    let values = [1.0, 5.0, f64::NAN, 5.0, f64::NAN, 2.0, 5.0, -1.0, -1.0];
    for (count, strided) in [(9usize, false), (2, false), (9, true)] {
        let mut e = Exprs::default();
        let copies = 9i64;
        let (i, j) = (v(0), v(1));
        let index = if strided {
            rows(&[(j, (count as i64).into()), (i, copies.into())])
        } else {
            rows(&[(i, copies.into()), (j, (count as i64).into())])
        };
        let x = e.load(DType::F32, 0, index);
        let kinds = [
            Combine::Max,
            Combine::Min,
            Combine::ArgMax { last: false },
            Combine::ArgMax { last: true },
            Combine::ArgMin { last: false },
            Combine::ArgMin { last: true },
        ];
        let accs: Vec<Acc> = kinds.iter().map(|c| Acc { combine: *c, dtype: DType::F32, value: x }).collect();
        let mut buffers = vec![buffer("x", DType::F32, &[Poly::constant(copies * count as i64)], Access::Read)];
        let mut stores = vec![];
        for n in 0..kinds.len() {
            let out = if n < 2 { DType::F32 } else { DType::I64 };
            buffers.push(buffer("y", out, &[Poly::constant(copies)], Access::Write));
            let value = e.push(out, Expr::Acc { stage: 0, acc: n as u32 });
            stores.push(store(n as u32 + 1, Index::zero().plus(i, 1), value));
        }
        let desc = nest(
            &format!("ties {count} {strided}"),
            &[],
            buffers,
            e,
            vec![Loop::new(i, copies)],
            vec![
                Stage::Reduce { loops: vec![Loop::new(j, count as i64)], accs },
                Stage::Store { loops: vec![], stores },
            ],
        );
        let input = (0..copies as usize * count).map(|at| {
            let column = if strided { at / copies as usize } else { at % count };
            Num::F(values[column])
        });
        Case::new(desc).input(0, input.collect()).check(0.0);
    }
}

#[test]
fn guarded_windows_touch_no_memory_outside() {
    // A padded 3-point average; the guard is all that keeps the outer taps in bounds.
    for dtype in [DType::F32, DType::I8, DType::U4, DType::F16, DType::I64] {
        for n in [1, 5, 40] {
            let i = v(0);
            let mut e = Exprs::default();
            let at = e.var(i);
            let zero = if dtype.is_float() { e.float(dtype, 0.0) } else { e.int(dtype, 0) };
            let mut sum = None;
            for tap in -1..=1 {
                let by = e.int(DType::I64, tap);
                let place = e.binary(Binary::Add, at, by);
                let (lo, hi) = (e.int(DType::I64, 0), e.push(DType::I64, Expr::Size(sym("n"))));
                let (above, below) = (e.binary(Binary::Ge, place, lo), e.binary(Binary::Lt, place, hi));
                let inside = e.binary(Binary::And, above, below);
                let x = e.push(
                    dtype,
                    Expr::Load { buffer: 0, index: Index::zero().plus(i, 1).shifted(tap), guard: Some((inside, zero)) },
                );
                sum = Some(match sum {
                    None => x,
                    Some(s) => e.binary(Binary::Add, s, x),
                });
            }
            let desc = nest(
                &format!("window {dtype} {n}"),
                &["n"],
                vec![buffer("x", dtype, &[sym("n")], Access::Read), buffer("y", dtype, &[sym("n")], Access::Write)],
                e,
                vec![Loop::new(i, sym("n"))],
                vec![Stage::Store { loops: vec![], stores: vec![store(1, Index::zero().plus(i, 1), sum.unwrap())] }],
            );
            Case::new(desc).with("n", n).check(tolerance(dtype));
        }
    }
}

#[test]
fn transposes_reverses_and_broadcasts() {
    for dtype in [DType::F32, DType::U8, DType::I4, DType::BF16, DType::F64, DType::Bool] {
        let (i, j, k) = (v(0), v(1), v(2));
        let (a, b, c) = (5i64, 19i64, 6i64);
        let mut e = Exprs::default();
        // out[i, j, k] = x[k, b-1-j, i]
        let x = e.load(dtype, 0, Index::zero().plus(k, a * b).plus(j, -a).plus(i, 1).shifted((b - 1) * a));
        let shape = [Poly::constant(a * b * c)];
        let out = rows(&[(i, a.into()), (j, b.into()), (k, c.into())]);
        let desc = nest(
            &format!("transpose {dtype}"),
            &[],
            vec![buffer("x", dtype, &shape, Access::Read), buffer("y", dtype, &shape, Access::Write)],
            e,
            vec![Loop::new(i, a), Loop::new(j, b), Loop::new(k, c)],
            vec![Stage::Store { loops: vec![], stores: vec![store(1, out, x)] }],
        );
        Case::new(desc).check(0.0);
    }
}

#[test]
fn embedding_bags_with_dynamic_lengths() {
    for dim in [1i64, 6, 32, 100] {
        let (bags, vocabulary, total) = (7i64, 11i64, 23i64);
        let (bag, d, j) = (v(0), v(1), v(2));
        let mut e = Exprs::default();
        let start = e.load(DType::I64, 1, Index::zero().plus(bag, 1));
        let end = e.load(DType::I64, 1, Index::zero().plus(bag, 1).shifted(1));
        let length = e.binary(Binary::Sub, end, start);
        let row = e.load(DType::I32, 2, Index::zero().plus(j, 1).plus_dynamic(start, 1));
        let row = e.cast(row, DType::I64, CastMode::Round);
        let x = e.load(DType::F16, 0, Index::zero().plus_dynamic(row, dim).plus(d, 1));
        let x = e.cast(x, DType::F32, CastMode::Round);
        let sum = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
        let desc = nest(
            &format!("bag {dim}"),
            &[],
            vec![
                buffer("table", DType::F16, &[Poly::constant(vocabulary * dim)], Access::Read),
                buffer("offsets", DType::I64, &[Poly::constant(bags + 1)], Access::Read),
                buffer("ids", DType::I32, &[Poly::constant(total)], Access::Read),
                buffer("out", DType::F32, &[Poly::constant(bags * dim)], Access::Write),
            ],
            e,
            vec![Loop::new(bag, bags), Loop::new(d, dim)],
            vec![
                Stage::Reduce {
                    loops: vec![Loop { var: j, extent: Extent::Dynamic(length) }],
                    accs: vec![Acc { combine: Combine::Sum, dtype: DType::F32, value: x }],
                },
                Stage::Store {
                    loops: vec![],
                    stores: vec![store(3, rows(&[(bag, bags.into()), (d, dim.into())]), sum)],
                },
            ],
        );
        let offsets = [0, 3, 3, 10, 9, 20, 23, 23].map(|x| Num::I(x)).to_vec();
        let mut rng = seeded(5);
        let ids = (0..total).map(|_| Num::I(rng.random_range(0..vocabulary))).collect();
        Case::new(desc).input(1, offsets).input(2, ids).check(1e-5);
    }
}

#[test]
fn scans_and_scatters_run_in_order() {
    for strided in [false, true] {
        // Running sum (f64 carry) and running maximum along an axis.
        let (i, t) = (v(0), v(1));
        let (n, steps) = (13i64, 21i64);
        let index =
            if strided { rows(&[(t, steps.into()), (i, n.into())]) } else { rows(&[(i, n.into()), (t, steps.into())]) };
        let mut e = Exprs::default();
        let x = e.load(DType::F32, 0, index.clone());
        let wide = e.cast(x, DType::F64, CastMode::Round);
        let before = e.push(DType::F64, Expr::Carry { stage: 0, carry: 0 });
        let now = e.binary(Binary::Add, before, wide);
        let out = e.cast(now, DType::F32, CastMode::Round);
        let top = e.push(DType::F32, Expr::Carry { stage: 0, carry: 1 });
        let next_top = e.binary(Binary::Max, top, x);
        let (zero, low) = (e.float(DType::F64, 0.0), e.float(DType::F32, f64::NEG_INFINITY));
        let desc = nest(
            &format!("scan {strided}"),
            &[],
            vec![
                buffer("x", DType::F32, &[Poly::constant(n * steps)], Access::Read),
                buffer("sum", DType::F32, &[Poly::constant(n * steps)], Access::Write),
                buffer("top", DType::F32, &[Poly::constant(n * steps)], Access::Write),
                buffer("last", DType::F32, &[Poly::constant(n)], Access::Write),
            ],
            e,
            vec![Loop::new(i, n)],
            vec![
                Stage::Sequential {
                    loops: vec![Loop::new(t, steps)],
                    carries: vec![
                        Carry { dtype: DType::F64, init: zero, next: now },
                        Carry { dtype: DType::F32, init: low, next: next_top },
                    ],
                    stores: vec![store(1, index.clone(), out), store(2, index, top)],
                },
                Stage::Store { loops: vec![], stores: vec![store(3, Index::zero().plus(i, 1), top)] },
            ],
        );
        Case::new(desc).check(1e-6);
    }
    // y[ids[t]] += x[t], repeated ids included.
    let t = v(0);
    let mut e = Exprs::default();
    let id = e.load(DType::I64, 0, Index::zero().plus(t, 1));
    let place = Index::zero().plus_dynamic(id, 1);
    let old = e.load(DType::F32, 2, place.clone());
    let x = e.load(DType::F32, 1, Index::zero().plus(t, 1));
    let sum = e.binary(Binary::Add, old, x);
    let desc = nest(
        "scatter",
        &[],
        vec![
            buffer("ids", DType::I64, &[Poly::constant(50)], Access::Read),
            buffer("x", DType::F32, &[Poly::constant(50)], Access::Read),
            buffer("y", DType::F32, &[Poly::constant(6)], Access::ReadWrite),
        ],
        e,
        vec![],
        vec![Stage::Sequential { loops: vec![Loop::new(t, 50)], carries: vec![], stores: vec![store(2, place, sum)] }],
    );
    let ids = (0..50).map(|i| Num::I(i * i % 6)).collect();
    Case::new(desc).input(0, ids).check(1e-6);
}

/// Stages that share variables but not their arrangement: what one could merge, the other cannot.
#[test]
fn stages_may_share_variables() {
    let [i, j, k] = [0, 1, 2].map(v);
    let (a, b, c) = (3i64, 5i64, 12i64);
    for arrangement in 0..3 {
        let mut e = Exprs::default();
        let index = rows(&[(i, a.into()), (j, b.into()), (k, c.into())]);
        let x = e.load(DType::F32, 0, index.clone());
        let sum = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
        let centred = e.binary(Binary::Sub, x, sum);
        let (lj, lk) = (Loop::new(j, b), Loop::new(k, c));
        let (second, out) = match arrangement {
            0 => (vec![lk.clone(), lj.clone()], index),
            1 => (vec![lj.clone(), lk.clone()], index),
            _ => {
                (vec![lj.clone(), lk.clone(), Loop::new(v(3), 1)], rows(&[(i, a.into()), (k, c.into()), (j, b.into())]))
            }
        };
        let shape = [Poly::constant(a * b * c)];
        let desc = nest(
            &format!("shared {arrangement}"),
            &[],
            vec![buffer("x", DType::F32, &shape, Access::Read), buffer("y", DType::F32, &shape, Access::Write)],
            e,
            vec![Loop::new(i, a)],
            vec![
                Stage::Reduce {
                    loops: vec![lj, lk],
                    accs: vec![Acc { combine: Combine::Sum, dtype: DType::F32, value: x }],
                },
                Stage::Store { loops: second, stores: vec![store(1, out, centred)] },
            ],
        );
        Case::new(desc).check(1e-5);
    }
}

#[test]
fn nibbles_of_neighbouring_points_do_not_race() {
    for dtype in [DType::I4, DType::U4] {
        let n = 100_001;
        let case = map2(&format!("nibbles {dtype}"), dtype, n, |e, a, b| {
            let x = e.cast(a, DType::F32, CastMode::Round);
            let y = e.cast(b, DType::F32, CastMode::Round);
            let s = e.binary(Binary::Add, x, y);
            e.cast(s, dtype, CastMode::Round)
        });
        case.check(0.0);
    }
}

#[test]
fn guarded_stores_leave_the_rest() {
    for n in [3i64, 40] {
        let i = v(0);
        let mut e = Exprs::default();
        let x = e.load(DType::I16, 0, Index::zero().plus(i, 1));
        let zero = e.int(DType::I16, 0);
        let positive = e.binary(Binary::Gt, x, zero);
        let desc = nest(
            &format!("masked store {n}"),
            &[],
            vec![
                buffer("x", DType::I16, &[Poly::constant(n)], Access::Read),
                buffer("y", DType::I16, &[Poly::constant(n)], Access::ReadWrite),
            ],
            e,
            vec![Loop::new(i, n)],
            vec![Stage::Store {
                loops: vec![],
                stores: vec![Store { buffer: 1, index: Index::zero().plus(i, 1), value: x, guard: Some(positive) }],
            }],
        );
        Case::new(desc).check(0.0);
    }
}
