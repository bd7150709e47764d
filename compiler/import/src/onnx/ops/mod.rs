//! How each ONNX op becomes core and nn ops, by theme. Every function here is named in [`super::table`].

pub mod access;
pub mod activation;
pub mod control;
pub mod conv;
pub mod elementwise;
pub mod linear;
pub mod norm;
pub mod pool;
pub mod reduce;
pub mod shape;
