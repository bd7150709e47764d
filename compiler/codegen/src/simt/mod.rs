//! The generic kernels of products and attention: any dtype, any strides, any expressions, no tensor cores.
//!
//! [`contraction`] is a register-tiled product in shared memory; [`rewrite`] makes loop nests of what that does not fit; [`attention`] is an
//! online softmax with a warp for each query. They take every description of their anchor, after the tensor-core families
//! have declined.

pub mod attention;
pub mod contraction;
pub mod rewrite;
