//! The tile layer: a small vocabulary for Hopper's asynchronous machinery, over [`crate::emit::Builder`].
//!
//! - [`smem`]: swizzled operand tiles in shared memory and their matrix descriptors;
//! - [`barrier`]: mbarriers and the full/empty ring between producer and consumers;
//! - [`tma`]: bulk tensor copies and the recipes of their tensor maps;
//! - [`wgmma`]: groups of asynchronous matrix products, dense and 2:4 sparse, A in shared memory or registers;
//! - [`fragment`]: the register tile a warpgroup accumulates into;
//! - [`roles`]: warp specialisation, register budgets and the persistent tile loop.
//!
//! All shared-memory addresses are 32-bit window offsets (i32), as PTX takes them. The layer knows no kernel description;
//! it emits instructions and computes layouts.

pub mod barrier;
pub mod fragment;
pub mod roles;
pub mod smem;
pub mod tma;
pub mod wgmma;
