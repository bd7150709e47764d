//! `nn`: what neural networks are written in: activations, softmax, norms, convolution, pooling, rotary embedding, attention.
//!
//! Every op decomposes into `core`; a 16- or 8-bit op computes in f32 and rounds once.

mod activation;
mod attention;
mod conv;
mod norm;
mod pool;
mod rope;
mod softmax;

use crate::op::OpDef;

/// All ops of the dialect.
pub const OPS: &[&OpDef] = &[
    &activation::CELU,
    &activation::ELU,
    &activation::GELU,
    &activation::HARD_SIGMOID,
    &activation::HARD_SWISH,
    &activation::LEAKY_RELU,
    &activation::MISH,
    &activation::PRELU,
    &activation::SELU,
    &activation::SHRINK,
    &activation::SILU,
    &activation::SOFTPLUS,
    &activation::SOFTSIGN,
    &activation::THRESHOLDED_RELU,
    &attention::ATTENTION,
    &conv::CONV2D,
    &norm::BATCH_NORM,
    &norm::GROUP_NORM,
    &norm::INSTANCE_NORM,
    &norm::LAYER_NORM,
    &norm::RMS_NORM,
    &pool::AVG_POOL2D,
    &pool::MAX_POOL2D,
    &rope::ROPE,
    &softmax::LOG_SOFTMAX,
    &softmax::SOFTMAX,
];
