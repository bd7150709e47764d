//! Which cases there are: the small ones an emulator can run, the large ones for a GPU.

use super::*;

/// Every case.
pub fn all() -> Vec<Case> {
    [small(), large()].concat()
}

/// Cases small enough for an emulator with a system thread for each thread of a block.
pub fn small() -> Vec<Case> {
    use Unary::*;
    let mut cases = vec![];
    let everywhere = [
        Neg, Abs, Sign, Floor, Ceil, Round, Trunc, Exp, Exp2, Expm1, Sin, Cos, Tan, Atan, Sinh, Cosh, Tanh, Asinh, Erf,
        IsNan, IsInf,
    ];
    for dtype in [DType::F32, DType::F64] {
        cases.extend(everywhere.map(|op| unary_map(op, dtype, 203, (0.0, 2.0))));
        cases.extend([Sqrt, Rsqrt, Recip, Log, Log2, Log1p].map(|op| unary_map(op, dtype, 204, (9.0, 3.0))));
        cases.extend([Exp, Sin, Tanh, Erf, Expm1].map(|op| unary_map(op, dtype, 205, (0.0, 30.0))));
        cases.extend([Asin, Acos, Atanh, Log].map(|op| unary_map(op, dtype, 206, (0.5, 0.12))));
        cases.extend([Asin, Log, Sqrt, Acosh].map(|op| unary_map(op, dtype, 207, (1.0, 1.0))));
        cases.push(unary_map(Acosh, dtype, 208, (50.0, 9.0)));
    }
    for dtype in [DType::F16, DType::BF16, DType::F8E4M3, DType::F8E5M2] {
        cases.extend([Neg, Exp, Tanh, Round].map(|op| unary_map(op, dtype, 65, (0.0, 2.0))));
    }
    for dtype in
        [DType::I64, DType::I32, DType::I16, DType::I8, DType::I4, DType::U64, DType::U32, DType::U8, DType::U4]
    {
        cases.extend([Neg, Abs, Sign, BitNot].map(|op| unary_map(op, dtype, 66, (0.0, 1.0))));
    }
    cases.push(unary_map(Not, DType::Bool, 67, (0.0, 1.0)));
    let arithmetic = [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::FloorDiv,
        Binary::Mod,
        Binary::Rem,
        Binary::Min,
        Binary::Max,
        Binary::Lt,
        Binary::Eq,
        Binary::Ge,
        Binary::Ne,
    ];
    for dtype in [
        DType::F32,
        DType::F64,
        DType::F16,
        DType::I64,
        DType::I32,
        DType::I8,
        DType::I4,
        DType::U64,
        DType::U32,
        DType::U8,
        DType::U4,
    ] {
        cases.extend(arithmetic.map(|op| binary_map(op, dtype, (0.0, 3.0))));
    }
    for dtype in [DType::I64, DType::I32, DType::I8, DType::U16, DType::U4] {
        cases.extend(
            [Binary::And, Binary::Or, Binary::Xor, Binary::Shl, Binary::Shr, Binary::Pow]
                .map(|op| binary_map(op, dtype, (0.0, 1.0))),
        );
    }
    cases.extend([Binary::And, Binary::Or, Binary::Xor].map(|op| binary_map(op, DType::Bool, (0.0, 1.0))));
    for dtype in [DType::F32, DType::F64] {
        cases.push(binary_map(Binary::Pow, dtype, (2.5, 0.5)));
        cases.push(binary_map(Binary::Atan2, dtype, (0.0, 2.0)));
    }
    for from in DType::ALL {
        for to in DType::ALL {
            if from != to {
                cases.push(cast_map(from, to, CastMode::Round));
            }
            let narrows = to.bits() < from.bits() && to != DType::Bool && from != DType::Bool;
            if narrows {
                cases.push(cast_map(from, to, CastMode::Saturate));
            }
        }
    }
    for (from, to) in
        [(DType::F32, DType::U32), (DType::I16, DType::BF16), (DType::F8E4M3, DType::U8), (DType::F64, DType::I64)]
    {
        cases.push(cast_map(from, to, CastMode::Bits));
    }
    for (dtype, rows, columns) in [
        (DType::F32, 5, 7),
        (DType::F32, 37, 100),
        (DType::F16, 3, 640),
        (DType::BF16, 2, 1000),
        (DType::F32, 2, 4100),
        (DType::F32, 1, 40000),
    ] {
        cases.push(softmax(dtype, rows, columns));
    }
    let arg = |last| [Combine::ArgMin { last }, Combine::ArgMax { last }];
    for combine in
        [Combine::Sum, Combine::Prod, Combine::Min, Combine::Max].into_iter().chain(arg(false)).chain(arg(true))
    {
        cases.push(reduction(combine, DType::F32, 3, [4, 3], false));
        cases.push(reduction(combine, DType::F32, 9, [5, 60], false));
        cases.push(reduction(combine, DType::I8, 2, [3, 1024], false));
    }
    cases.push(reduction(Combine::Sum, DType::F64, 2, [4, 300], false));
    cases.push(reduction(Combine::Sum, DType::I64, 2, [4, 300], false));
    cases.push(reduction(Combine::And, DType::Bool, 3, [2, 700], false));
    cases.push(reduction(Combine::Or, DType::Bool, 3, [2, 30], false));
    cases.push(reduction(Combine::Sum, DType::F32, 5000, [2, 9], true));
    cases.push(reduction(Combine::Sum, DType::F32, 60, [2, 90], true));
    cases.push(reduction(Combine::Max, DType::F32, 1, [5, 8000], false));
    cases.push(layer_norm(3, 520, 8));
    cases.push(layer_norm(2, 77, 1));
    cases.push(pool());
    cases.extend([bag(DType::F16, 24), bag(DType::I4, 10), bag(DType::I8, 5)]);
    cases.push(ragged(5));
    cases.extend(sequential());
    cases.extend([nibbles(8, false), nibbles(7, false), nibbles(6, true)]);
    cases.push(map_symbolic());
    for transposed in [false, true] {
        cases.push(contraction(DType::F32, DType::F32, [2, 70, 65, 33], transposed));
        cases.push(contraction(DType::BF16, DType::F32, [1, 33, 17, 40], transposed));
    }
    cases.push(contraction(DType::F64, DType::F64, [1, 20, 30, 19], false));
    cases.push(contraction(DType::I8, DType::I32, [1, 65, 4, 50], true));
    cases.push(contraction(DType::I64, DType::I64, [1, 5, 7, 9], false));
    cases.push(contraction(DType::F16, DType::F32, [3, 1, 66, 130], true));
    cases.push(contraction(DType::F8E4M3, DType::F32, [1, 9, 8, 16], false));
    cases.push(convolution());
    cases.push(sparse(DType::BF16, [2, 9, 5, 32]));
    cases.push(sparse(DType::F32, [1, 4, 33, 8]));
    for dtype in [DType::F32, DType::BF16] {
        cases.push(attention("bias", dtype, "bias", [2, 9, 4, 2], [8, 12], (0, 0)));
        cases.push(attention("causal", dtype, "causal", [1, 11, 2, 2], [40, 40], (4, 0)));
        cases.push(attention("trilinear", dtype, "trilinear", [2, 9, 4, 1], [16, 24], (5, 3)));
    }
    cases
}

/// Cases that the tensor-core families take, ragged ones among them.
pub fn large() -> Vec<Case> {
    let mut cases = vec![];
    for transposed in [false, true] {
        cases.push(contraction(DType::BF16, DType::F32, [1, 128, 128, 64], transposed));
        cases.push(contraction(DType::F16, DType::F32, [2, 200, 136, 72], transposed));
        cases.push(contraction(DType::F32, DType::F32, [1, 256, 192, 64], transposed));
    }
    for to in [DType::F32, DType::BF16] {
        cases.push(rounded_contraction(DType::F8E4M3, DType::F32, to, [1, 144, 160, 128], true));
    }
    cases.push(contraction(DType::BF16, DType::F32, [1, 8, 256, 128], true));
    cases.push(sparse(DType::BF16, [1, 128, 136, 128]));
    cases.push(sparse(DType::F16, [2, 72, 64, 256]));
    cases.push(plain_sparse(DType::BF16, DType::BF16, [1, 200, 136, 176]));
    cases.push(plain_sparse(DType::F16, DType::F32, [2, 72, 64, 640]));
    cases.push(plain_sparse(DType::F8E4M3, DType::BF16, [1, 144, 160, 256]));
    for dtype in [DType::BF16, DType::F16] {
        cases.push(attention("causal_large", dtype, "causal", [1, 150, 4, 2], [64, 64], (70, 0)));
        cases.push(attention("bias_large", dtype, "bias", [1, 140, 2, 2], [128, 128], (0, 0)));
        cases.push(attention("trilinear_large", dtype, "trilinear", [1, 75, 4, 1], [64, 64], (24, 8)));
        cases.push(attention("trilinear_plain", dtype, "plain", [1, 75, 4, 1], [64, 64], (24, 8)));
        cases.push(attention("trilinear_plain_wide", dtype, "plain", [2, 40, 6, 2], [128, 128], (9, 40)));
        cases.push(attention("trilinear_wide", dtype, "trilinear", [1, 70, 2, 2], [128, 128], (40, 5)));
    }
    cases
}

/// What part of a launch runs: some blocks of a kernel that takes tile after tile, or some of the blocks of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    /// So many blocks along x in place of those of the launch.
    Blocks(u32),
    /// Clusters by number.
    Only(std::ops::Range<u64>),
}

/// Cases for [`crate::mutants`]: every ring of buffers wraps at least twice, and every block of a kernel that takes tile after tile takes
/// two.
pub fn broken() -> Vec<(Case, Part)> {
    vec![
        (contraction(DType::BF16, DType::F32, [1, 200, 40, 1048], true), Part::Blocks(2)),
        (rounded_contraction(DType::F8E4M3, DType::F32, DType::BF16, [1, 200, 64, 2064], true), Part::Blocks(2)),
        (plain_sparse(DType::BF16, DType::BF16, [1, 200, 40, 1040]), Part::Blocks(2)),
        (attention("causal_long", DType::BF16, "causal", [1, 1500, 1, 1], [64, 64], (1200, 0)), Part::Only(0..1)),
        (
            attention("trilinear_long", DType::BF16, "plain", [1, 1300, 4, 1], [64, 64], (1100, 96)),
            Part::Only(1299..1300),
        ),
        (softmax(DType::F32, 2, 4100), Part::All),
    ]
}
