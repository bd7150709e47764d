//! Matrix products: plain, packed, batched, split, with epilogues, integer and 2:4.

use crate::harness::*;
use rand::RngExt;
use tricot_kernel::*;
use tricot_kernel_tests::oracle::Num;
use tricot_types::{DType, Poly};

fn v(n: u32) -> LoopVar {
    LoopVar(n)
}

const B: LoopVar = LoopVar(0);
const M: LoopVar = LoopVar(1);
const N: LoopVar = LoopVar(2);
const K: LoopVar = LoopVar(3);

/// What varies between cases.
#[derive(Clone, Copy, Debug)]
struct Shape {
    dtype: DType,
    out: DType,
    acc: DType,
    size: [i64; 4],
    transposed: [bool; 3],
    prologue: bool,
    epilogue: bool,
    symbolic: bool,
}

fn matmul(s: Shape) -> Case {
    let names = ["b", "m", "n", "k"];
    let ext = |i: usize| if s.symbolic { sym(names[i]) } else { Poly::constant(s.size[i]) };
    let two = |t: bool, x: (LoopVar, Poly), y: (LoopVar, Poly)| {
        if t { rows(&[(B, ext(0)), y, x]) } else { rows(&[(B, ext(0)), x, y]) }
    };
    let mut e = Exprs::default();
    let mut a = e.load(s.dtype, 0, two(s.transposed[0], (M, ext(1)), (K, ext(3))));
    let b = e.load(s.dtype, 1, two(s.transposed[1], (K, ext(3)), (N, ext(2))));
    if s.prologue {
        a = if s.dtype.is_float() { e.unary(Unary::Abs, a) } else { e.unary(Unary::Neg, a) };
    }
    let sum = e.push(s.acc, Expr::Acc { stage: 0, acc: 0 });
    let mut value = sum;
    if s.epilogue {
        let bias = e.load(s.acc, 3, Index::zero().plus(N, 1));
        value = e.binary(Binary::Add, value, bias);
        let zero = if s.acc.is_float() { e.float(s.acc, 0.0) } else { e.int(s.acc, 0) };
        value = e.binary(Binary::Max, value, zero);
    }
    let value = e.cast(value, s.out, CastMode::Round);
    let body = Contraction {
        batch: vec![Loop::new(B, ext(0))],
        m: vec![Loop::new(M, ext(1))],
        n: vec![Loop::new(N, ext(2))],
        k: vec![Loop::new(K, ext(3))],
        a,
        b,
        acc: s.acc,
        precision: Precision::Native,
        stores: vec![Store { buffer: 2, index: two(s.transposed[2], (M, ext(1)), (N, ext(2))), value, guard: None }],
    };
    let mut buffers = vec![
        buffer("a", s.dtype, &[ext(0), ext(1), ext(3)], Access::Read),
        buffer("b", s.dtype, &[ext(0), ext(3), ext(2)], Access::Read),
        buffer("c", s.out, &[ext(0), ext(1), ext(2)], Access::Write),
    ];
    if s.epilogue {
        buffers.push(buffer("bias", s.acc, &[ext(2)], Access::Read));
    }
    let symbols = if s.symbolic { names.iter().map(|n| symbol(n)).collect() } else { vec![] };
    let mut case =
        Case::new(KernelDesc { name: format!("{s:?}"), symbols, buffers, exprs: e, body: Body::Contraction(body) });
    for (name, size) in names.iter().zip(s.size) {
        case = case.with(name, size);
    }
    case
}

#[test]
fn products_of_all_shapes() {
    let types = [
        (DType::F32, DType::F32, DType::F32),
        (DType::F64, DType::F64, DType::F64),
        (DType::BF16, DType::BF16, DType::F32),
        (DType::F16, DType::F32, DType::F32),
        (DType::F8E4M3, DType::F32, DType::F32),
        (DType::I8, DType::I32, DType::I32),
        (DType::U8, DType::I32, DType::I32),
        (DType::I64, DType::I64, DType::I64),
    ];
    let mut rng = seeded(11);
    for (dtype, out, acc) in types {
        for size in [
            [1, 1, 1, 1],
            [2, 3, 5, 7],
            [1, 17, 33, 65],
            [3, 64, 1, 40],
            [1, 1, 70, 30],
            [2, 20, 20, 0],
            [0, 4, 4, 4],
            [1, 70, 130, 420],
        ] {
            for _ in 0..2 {
                let s = Shape {
                    dtype,
                    out,
                    acc,
                    size,
                    transposed: [rng.random(), rng.random(), rng.random()],
                    prologue: rng.random(),
                    epilogue: rng.random(),
                    symbolic: rng.random(),
                };
                matmul(s).check(tolerance(out));
            }
        }
    }
}

#[test]
fn convolution_as_a_product_over_split_loops() {
    // out[b, o, y, x] = relu(bias[o] + sum_{c, p, q} w[o, c, p, q] * in[b, c, 2y+p-1, 2x+q-1])
    for dtype in [DType::F32, DType::BF16] {
        for stride in [1i64, 2] {
            let (nb, nc, no, h, w) = (2i64, 3i64, 10i64, 9i64, 21i64);
            let (oh, ow) = ((h - 1) / stride + 1, (w - 1) / stride + 1);
            let [b, c, o, y, x, p, q] = [0, 1, 2, 3, 4, 5, 6].map(v);
            let mut e = Exprs::default();
            let weight = e.load(dtype, 0, rows(&[(o, no.into()), (c, nc.into()), (p, 3.into()), (q, 3.into())]));
            let mut inside = None;
            for (out, tap, extent) in [(y, p, h), (x, q, w)] {
                let (out, tap, step, one) = (e.var(out), e.var(tap), e.int(DType::I64, stride), e.int(DType::I64, 1));
                let place = e.binary(Binary::Mul, out, step);
                let place = e.binary(Binary::Add, place, tap);
                let place = e.binary(Binary::Sub, place, one);
                let (lo, hi) = (e.int(DType::I64, 0), e.int(DType::I64, extent));
                let (above, below) = (e.binary(Binary::Ge, place, lo), e.binary(Binary::Lt, place, hi));
                let both = e.binary(Binary::And, above, below);
                inside = Some(match inside {
                    None => both,
                    Some(i) => e.binary(Binary::And, i, both),
                });
            }
            let zero = e.float(dtype, 0.0);
            let index = Index::zero()
                .plus(b, nc * h * w)
                .plus(c, h * w)
                .plus(y, stride * w)
                .plus(p, w)
                .plus(x, stride)
                .plus(q, 1)
                .shifted(-w - 1);
            let image = e.push(dtype, Expr::Load { buffer: 1, index, guard: Some((inside.unwrap(), zero)) });
            let bias = e.load(DType::F32, 2, Index::zero().plus(o, 1));
            let sum = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
            let sum = e.binary(Binary::Add, sum, bias);
            let floor = e.float(DType::F32, 0.0);
            let value = e.binary(Binary::Max, sum, floor);
            let value = e.cast(value, dtype, CastMode::Round);
            let out = rows(&[(b, nb.into()), (o, no.into()), (y, oh.into()), (x, ow.into())]);
            for swapped in [false, true] {
                let (mut m, mut n) =
                    (vec![Loop::new(o, no)], vec![Loop::new(b, nb), Loop::new(y, oh), Loop::new(x, ow)]);
                let (mut a, mut bb) = (weight, image);
                if swapped {
                    std::mem::swap(&mut m, &mut n);
                    std::mem::swap(&mut a, &mut bb);
                }
                let desc = KernelDesc {
                    name: format!("conv {dtype} {stride} {swapped}"),
                    symbols: vec![],
                    buffers: vec![
                        buffer("w", dtype, &[Poly::constant(no * nc * 9)], Access::Read),
                        buffer("x", dtype, &[Poly::constant(nb * nc * h * w)], Access::Read),
                        buffer("bias", DType::F32, &[no.into()], Access::Read),
                        buffer("y", dtype, &[Poly::constant(nb * no * oh * ow)], Access::Write),
                    ],
                    exprs: e.clone(),
                    body: Body::Contraction(Contraction {
                        batch: vec![],
                        m,
                        n,
                        k: vec![Loop::new(c, nc), Loop::new(p, 3), Loop::new(q, 3)],
                        a,
                        b: bb,
                        acc: DType::F32,
                        precision: Precision::Native,
                        stores: vec![Store { buffer: 3, index: out.clone(), value, guard: None }],
                    }),
                };
                Case::new(desc).check(tolerance(dtype));
            }
        }
    }
}

#[test]
fn heads_split_without_a_copy() {
    // out[b, h, s, d] = sum_e x[b, s, e] * w[e, h*D + d]
    let (nb, nh, ns, nd, ne) = (2i64, 3i64, 11i64, 5i64, 16i64);
    let [b, h, s, d, k] = [0, 1, 2, 3, 4].map(v);
    let mut e = Exprs::default();
    let x = e.load(DType::F32, 0, rows(&[(b, nb.into()), (s, ns.into()), (k, ne.into())]));
    let w = e.load(DType::F32, 1, rows(&[(k, ne.into()), (h, nh.into()), (d, nd.into())]));
    let sum = e.push(DType::F32, Expr::Acc { stage: 0, acc: 0 });
    let out = rows(&[(b, nb.into()), (h, nh.into()), (s, ns.into()), (d, nd.into())]);
    let desc = KernelDesc {
        name: "heads".into(),
        symbols: vec![],
        buffers: vec![
            buffer("x", DType::F32, &[Poly::constant(nb * ns * ne)], Access::Read),
            buffer("w", DType::F32, &[Poly::constant(ne * nh * nd)], Access::Read),
            buffer("y", DType::F32, &[Poly::constant(nb * nh * ns * nd)], Access::Write),
        ],
        exprs: e,
        body: Body::Contraction(Contraction {
            batch: vec![],
            m: vec![Loop::new(b, nb), Loop::new(s, ns)],
            n: vec![Loop::new(h, nh), Loop::new(d, nd)],
            k: vec![Loop::new(k, ne)],
            a: x,
            b: w,
            acc: DType::F32,
            precision: Precision::Native,
            stores: vec![Store { buffer: 2, index: out, value: sum, guard: None }],
        }),
    };
    Case::new(desc).check(1e-5);
}

#[test]
fn two_four_products() {
    for dtype in [DType::F32, DType::F16, DType::I8] {
        for (nb, nm, nn, nk) in [(1i64, 5i64, 7i64, 8i64), (2, 33, 40, 64), (1, 16, 9, 520)] {
            let acc = if dtype.is_float() { DType::F32 } else { DType::I32 };
            let mut e = Exprs::default();
            let x = e.load(dtype, 2, rows(&[(B, nb.into()), (K, nk.into()), (N, nn.into())]));
            let sum = e.push(acc, Expr::Acc { stage: 0, acc: 0 });
            let desc = KernelDesc {
                name: format!("sparse {dtype} {nk}"),
                symbols: vec![],
                buffers: vec![
                    buffer("values", dtype, &[Poly::constant(nb * nm * nk / 2)], Access::Read),
                    buffer("meta", DType::U8, &[Poly::constant(nb * nm * nk / 8)], Access::Read),
                    buffer("x", dtype, &[Poly::constant(nb * nk * nn)], Access::Read),
                    buffer("y", acc, &[Poly::constant(nb * nm * nn)], Access::Write),
                ],
                exprs: e,
                body: Body::SparseContraction(SparseContraction {
                    batch: vec![Loop::new(B, nb)],
                    m: Loop::new(M, nm),
                    n: vec![Loop::new(N, nn)],
                    k: Loop::new(K, nk),
                    values: 0,
                    meta: 1,
                    b: x,
                    acc,
                    stores: vec![Store {
                        buffer: 3,
                        index: rows(&[(B, nb.into()), (M, nm.into()), (N, nn.into())]),
                        value: sum,
                        guard: None,
                    }],
                }),
            };
            let mut rng = seeded(2);
            let pairs = [4u8, 8, 12, 9, 13, 14];
            let meta = (0..nb * nm * nk / 8)
                .map(|_| Num::I(i64::from(pairs[rng.random_range(0..6)] | pairs[rng.random_range(0..6)] << 4)))
                .collect();
            Case::new(desc).input(1, meta).check(if dtype == DType::F16 { 1e-5 } else { tolerance(acc) });
        }
    }
}
