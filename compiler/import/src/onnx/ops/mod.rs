//! How each ONNX op becomes core and nn ops, by theme. Every function here is named in [`super::table`].

pub mod access;
pub mod activation;
pub mod attention;
pub mod classical;
pub mod control;
pub mod conv;
pub mod deform;
pub mod elementwise;
pub mod linear;
pub mod loss;
pub mod norm;
pub mod pool;
pub mod quant;
pub mod rearrange;
pub mod recurrent;
pub mod reduce;
pub mod resize;
pub mod sampling;
pub mod shape;
pub mod signal;
pub mod state;
pub mod training;
