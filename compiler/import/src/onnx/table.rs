//! The import table: every ONNX op that is supported, since which opset, for which element types, and by which function.
//!
//! The documentation and the conformance runner take their lists from [`supported_ops`].

use super::call::{Call, Res};
use super::ctx::Ctx;
use super::ops::{access, activation, attention, classical, control, conv, deform, elementwise, linear, loss};
use super::ops::{norm, pool, quant, rearrange, recurrent, reduce, resize, sampling, shape, signal, state, training};
use std::collections::HashMap;
use std::sync::LazyLock;
use tricot_dialects::ValueId;
use tricot_types::{DType, Diagnostic};

/// Lowers one node.
pub type Lower = fn(&mut Ctx, &Call) -> Res<Vec<ValueId>>;

/// One row.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Empty for the standard domain.
    pub domain: &'static str,
    pub op: &'static str,
    /// Oldest opset version of the domain whose definition of the op is read.
    pub since: i64,
    /// Element types that any of its inputs may have.
    pub dtypes: &'static [DType],
    /// What of the op is supported, where that is not all of it; empty otherwise.
    pub only: &'static str,
    pub(super) lower: Lower,
}

use DType::*;
const FLOAT: &[DType] = &[F64, F32, F16, BF16];
const NUMBER: &[DType] = &[F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8];
const INT: &[DType] = &[I64, I32, I16, I8, U64, U32, U16, U8];
const BOOL: &[DType] = &[Bool];
const PLAIN: &[DType] = &[F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, Bool];
const ANY: &[DType] = &DType::ALL;
/// A float type beside integer positions or lengths.
const FLOAT_AT: &[DType] = &[F64, F32, F16, BF16, I64, I32];
const FLOAT_MASK: &[DType] = &[F64, F32, F16, BF16, I64, Bool];

const fn row(op: &'static str, since: i64, dtypes: &'static [DType], lower: Lower) -> Entry {
    Entry { domain: "", op, since, dtypes, only: "", lower }
}

const fn part(op: &'static str, since: i64, dtypes: &'static [DType], only: &'static str, lower: Lower) -> Entry {
    Entry { domain: "", op, since, dtypes, only, lower }
}

/// The table, in name order within each theme.
pub const TABLE: &[Entry] = &[
    // Elementwise.
    row("Abs", 6, NUMBER, elementwise::unary),
    row("Acos", 7, FLOAT, elementwise::unary),
    row("Acosh", 9, FLOAT, elementwise::unary),
    row("Add", 7, NUMBER, elementwise::binary),
    row("And", 7, BOOL, elementwise::binary),
    row("Asin", 7, FLOAT, elementwise::unary),
    row("Asinh", 9, FLOAT, elementwise::unary),
    row("Atan", 7, FLOAT, elementwise::unary),
    row("Atanh", 9, FLOAT, elementwise::unary),
    row("BitCast", 26, ANY, elementwise::bit_cast),
    row("BitShift", 11, INT, elementwise::bit_shift),
    row("BitwiseAnd", 18, INT, elementwise::binary),
    row("BitwiseNot", 18, INT, elementwise::unary),
    row("BitwiseOr", 18, INT, elementwise::binary),
    row("BitwiseXor", 18, INT, elementwise::binary),
    row("Cast", 6, ANY, elementwise::cast),
    row("CastLike", 15, ANY, elementwise::cast_like),
    row("Ceil", 6, FLOAT, elementwise::unary),
    row("Clip", 6, NUMBER, elementwise::clip),
    row("Cos", 7, FLOAT, elementwise::unary),
    row("Cosh", 9, FLOAT, elementwise::unary),
    row("Div", 7, NUMBER, elementwise::binary),
    part("Dropout", 7, PLAIN, "inference", elementwise::dropout),
    row("Equal", 7, PLAIN, elementwise::binary),
    row("Erf", 9, FLOAT, elementwise::unary),
    row("Exp", 6, FLOAT, elementwise::unary),
    row("Floor", 6, FLOAT, elementwise::unary),
    row("Greater", 7, NUMBER, elementwise::binary),
    row("GreaterOrEqual", 12, NUMBER, elementwise::binary),
    row("Identity", 1, ANY, elementwise::identity),
    row("IsInf", 10, FLOAT, elementwise::is_inf),
    row("IsNaN", 9, FLOAT, elementwise::unary),
    row("Less", 7, NUMBER, elementwise::binary),
    row("LessOrEqual", 12, NUMBER, elementwise::binary),
    row("Log", 6, FLOAT, elementwise::unary),
    row("Max", 6, NUMBER, elementwise::variadic),
    row("Mean", 6, FLOAT, elementwise::mean),
    row("Min", 6, NUMBER, elementwise::variadic),
    row("Mod", 10, NUMBER, elementwise::modulo),
    row("Mul", 7, NUMBER, elementwise::binary),
    row("Neg", 6, NUMBER, elementwise::unary),
    row("Not", 1, BOOL, elementwise::unary),
    row("Or", 7, BOOL, elementwise::binary),
    row("Pow", 7, NUMBER, elementwise::pow),
    row("Reciprocal", 6, FLOAT, elementwise::unary),
    row("Relu", 6, NUMBER, elementwise::unary),
    row("Round", 11, FLOAT, elementwise::unary),
    row("Sigmoid", 6, FLOAT, elementwise::unary),
    row("Sign", 9, NUMBER, elementwise::unary),
    row("Sin", 7, FLOAT, elementwise::unary),
    row("Sinh", 9, FLOAT, elementwise::unary),
    row("Sqrt", 6, FLOAT, elementwise::unary),
    row("Sub", 7, NUMBER, elementwise::binary),
    row("Sum", 6, FLOAT, elementwise::variadic),
    row("Tan", 7, FLOAT, elementwise::unary),
    row("Tanh", 6, FLOAT, elementwise::unary),
    row("Where", 9, ANY, elementwise::where_),
    row("Xor", 7, BOOL, elementwise::binary),
    // Activations.
    row("Celu", 12, FLOAT, activation::with_alpha),
    row("Elu", 6, FLOAT, activation::with_alpha),
    row("Gelu", 20, FLOAT, activation::gelu),
    row("HardSigmoid", 6, FLOAT, activation::hard_sigmoid),
    row("HardSwish", 14, FLOAT, activation::plain),
    row("LeakyRelu", 6, FLOAT, activation::with_alpha),
    row("Mish", 18, FLOAT, activation::plain),
    row("PRelu", 7, NUMBER, activation::prelu),
    row("Selu", 6, FLOAT, activation::selu),
    row("Shrink", 9, NUMBER, activation::shrink),
    row("Softplus", 1, FLOAT, activation::plain),
    row("Softsign", 1, FLOAT, activation::plain),
    row("Swish", 24, FLOAT, activation::swish),
    row("ThresholdedRelu", 10, FLOAT, activation::with_alpha),
    // Reductions.
    row("ArgMax", 1, NUMBER, reduce::arg_reduce),
    row("ArgMin", 1, NUMBER, reduce::arg_reduce),
    row("CumProd", 26, NUMBER, reduce::cumulative),
    row("CumSum", 11, NUMBER, reduce::cumulative),
    row("Hardmax", 1, FLOAT, reduce::softmax),
    row("LogSoftmax", 1, FLOAT, reduce::softmax),
    row("ReduceL1", 1, NUMBER, reduce::reduce),
    row("ReduceL2", 1, NUMBER, reduce::reduce),
    row("ReduceLogSum", 1, NUMBER, reduce::reduce),
    row("ReduceLogSumExp", 1, NUMBER, reduce::reduce),
    row("ReduceMax", 1, PLAIN, reduce::reduce),
    row("ReduceMean", 1, NUMBER, reduce::reduce),
    row("ReduceMin", 1, PLAIN, reduce::reduce),
    row("ReduceProd", 1, NUMBER, reduce::reduce),
    row("ReduceSum", 1, NUMBER, reduce::reduce),
    row("ReduceSumSquare", 1, NUMBER, reduce::reduce),
    row("Softmax", 1, FLOAT, reduce::softmax),
    // Shapes.
    row("Concat", 4, ANY, shape::concat),
    row("Constant", 1, ANY, shape::constant),
    row("ConstantOfShape", 9, ANY, shape::constant_of_shape),
    row("DepthToSpace", 1, PLAIN, shape::depth_to_space),
    row("Expand", 8, PLAIN, shape::expand),
    row("EyeLike", 9, PLAIN, shape::eye_like),
    row("Flatten", 1, ANY, shape::flatten),
    row("Range", 11, NUMBER, shape::range),
    row("Reshape", 5, ANY, shape::reshape),
    row("Shape", 1, ANY, shape::shape),
    row("Size", 1, ANY, shape::size),
    row("SpaceToDepth", 1, PLAIN, shape::space_to_depth),
    row("Split", 2, PLAIN, shape::split),
    row("Squeeze", 1, ANY, shape::squeeze),
    row("Tile", 6, PLAIN, shape::tile),
    row("Transpose", 1, ANY, shape::transpose),
    row("Trilu", 14, PLAIN, shape::trilu),
    row("Unsqueeze", 1, ANY, shape::unsqueeze),
    // Access.
    part("Compress", 9, PLAIN, "conditions known at import", access::compress),
    row("Gather", 1, ANY, access::gather),
    row("GatherElements", 11, PLAIN, access::gather_elements),
    row("GatherND", 11, PLAIN, access::gather_nd),
    row("OneHot", 9, PLAIN, access::one_hot),
    row("Pad", 2, PLAIN, access::pad),
    row("ReverseSequence", 10, PLAIN, access::reverse_sequence),
    row("Scatter", 9, PLAIN, access::scatter_elements),
    row("ScatterElements", 11, PLAIN, access::scatter_elements),
    row("ScatterND", 11, PLAIN, access::scatter_nd),
    row("Slice", 1, ANY, access::slice),
    row("TopK", 1, NUMBER, access::top_k),
    // Products and convolutions.
    row("Conv", 1, FLOAT, conv::conv),
    row("ConvTranspose", 1, FLOAT, conv::conv_transpose),
    row("Einsum", 12, NUMBER, linear::einsum),
    row("Gemm", 7, NUMBER, linear::gemm),
    row("MatMul", 1, NUMBER, linear::matmul),
    // Pools.
    row("AveragePool", 7, FLOAT, pool::average_pool),
    row("GlobalAveragePool", 1, FLOAT, pool::global_pool),
    row("GlobalLpPool", 2, FLOAT, pool::global_pool),
    row("GlobalMaxPool", 1, FLOAT, pool::global_pool),
    row("LpPool", 2, FLOAT, pool::lp_pool),
    row("MaxPool", 1, &[F64, F32, F16, BF16, I8, U8], pool::max_pool),
    row("MaxUnpool", 9, &[F64, F32, F16, I64], pool::max_unpool),
    // Normalisations.
    row("BatchNormalization", 7, FLOAT, norm::batch_norm),
    row("GroupNormalization", 18, FLOAT, norm::group_norm),
    row("InstanceNormalization", 6, FLOAT, norm::instance_norm),
    row("LRN", 1, FLOAT, norm::lrn),
    row("LayerNormalization", 17, FLOAT, norm::layer_norm),
    row("LpNormalization", 1, FLOAT, norm::lp_norm),
    row("MeanVarianceNormalization", 9, FLOAT, norm::mean_variance),
    row("RMSNormalization", 23, FLOAT, norm::rms_norm),
    // Attention and recurrence.
    row("Attention", 23, FLOAT_MASK, attention::attention),
    row("CausalConvWithState", 27, FLOAT, state::causal_conv),
    row("GRU", 7, FLOAT_AT, recurrent::recurrent),
    row("LSTM", 7, FLOAT_AT, recurrent::recurrent),
    row("LinearAttention", 27, FLOAT, state::linear_attention),
    row("RNN", 7, FLOAT_AT, recurrent::recurrent),
    row("RotaryEmbedding", 23, FLOAT_AT, attention::rotary),
    row("SwiGLU", 28, FLOAT, attention::swiglu),
    Entry { domain: "ai.onnx.preview", ..row("FlexAttention", 1, FLOAT, attention::flex_attention) },
    // Images and signals.
    row("AffineGrid", 20, FLOAT_AT, sampling::affine_grid),
    row("BlackmanWindow", 17, NUMBER, signal::window),
    row("CenterCropPad", 18, PLAIN, rearrange::center_crop_pad),
    row("Col2Im", 18, NUMBER, rearrange::col2im),
    row("DFT", 17, FLOAT_AT, signal::dft),
    part("DeformConv", 19, FLOAT, "two dimensions", deform::deform_conv),
    part("Det", 11, FLOAT, "matrices up to 6 by 6", rearrange::det),
    row("GridSample", 16, FLOAT, sampling::grid_sample),
    row("HammingWindow", 17, NUMBER, signal::window),
    row("HannWindow", 17, NUMBER, signal::window),
    row("MelWeightMatrix", 17, NUMBER, signal::mel_weights),
    row("Resize", 10, NUMBER, resize::resize),
    part("RoiAlign", 10, FLOAT_AT, "a fixed sampling ratio", sampling::roi_align),
    row("STFT", 17, FLOAT_AT, signal::stft),
    row("TensorScatter", 24, ANY, rearrange::tensor_scatter),
    row("Upsample", 7, NUMBER, resize::resize),
    // Losses and training.
    row("NegativeLogLikelihoodLoss", 12, FLOAT_AT, loss::negative_log_likelihood),
    row("SoftmaxCrossEntropyLoss", 12, FLOAT_AT, loss::softmax_cross_entropy),
    Entry { domain: "ai.onnx.preview.training", ..row("Adagrad", 1, FLOAT_AT, training::optimiser) },
    Entry { domain: "ai.onnx.preview.training", ..row("Adam", 1, FLOAT_AT, training::optimiser) },
    Entry { domain: "ai.onnx.preview.training", ..row("Momentum", 1, FLOAT_AT, training::optimiser) },
    // Quantised.
    row("ConvInteger", 10, INT, quant::conv_integer),
    row("DequantizeLinear", 10, ANY, quant::dequantize),
    row("DynamicQuantizeLinear", 11, FLOAT, quant::dynamic_quantize),
    row("MatMulInteger", 10, INT, quant::matmul_integer),
    row("QLinearConv", 10, NUMBER, quant::qlinear_conv),
    row("QLinearMatMul", 10, NUMBER, quant::qlinear_matmul),
    row("QuantizeLinear", 10, ANY, quant::quantize),
    // Classical models.
    Entry { domain: "ai.onnx.ml", ..row("ArrayFeatureExtractor", 1, NUMBER, classical::array_feature_extractor) },
    Entry { domain: "ai.onnx.ml", ..row("Binarizer", 1, NUMBER, classical::binarizer) },
    // Control flow that is decided at import.
    part("If", 1, BOOL, "conditions known at import", control::if_),
    part("Loop", 1, ANY, "trip counts and conditions known at import", control::loop_),
    row("Scan", 9, ANY, control::scan),
];

/// What the documentation prints of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Supported {
    /// `Op`, or `domain.Op` outside the standard domain.
    pub name: String,
    pub since: i64,
    pub dtypes: Vec<DType>,
    /// What of the op is supported, where that is not all of it; empty otherwise.
    pub only: String,
}

/// The whole table, in name order.
pub fn supported_ops() -> Vec<Supported> {
    let mut rows: Vec<Supported> = TABLE
        .iter()
        .map(|e| Supported {
            name: if e.domain.is_empty() { e.op.into() } else { format!("{}.{}", e.domain, e.op) },
            since: e.since,
            dtypes: e.dtypes.to_vec(),
            only: e.only.into(),
        })
        .collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

/// The row of an op at an opset version.
pub fn find(domain: &str, op: &str, version: i64) -> Res<&'static Entry> {
    static ROWS: LazyLock<HashMap<(&str, &str), &Entry>> =
        LazyLock::new(|| TABLE.iter().map(|e| ((e.domain, e.op), e)).collect());
    let Some(entry) = ROWS.get(&(domain, op)).copied() else {
        let shown = if domain.is_empty() { op.to_string() } else { format!("{domain}.{op}") };
        return Err(Diagnostic::error("TC0203", format!("the op {shown} is not supported"))
            .with_help("express it by supported ops, or give the model a function of that name"));
    };
    if version < entry.since {
        let message = format!("{op} of opset {version} is not supported, only since opset {}", entry.since);
        return Err(Diagnostic::error("TC0205", message).with_help("convert the model with onnx.version_converter"));
    }
    Ok(entry)
}
