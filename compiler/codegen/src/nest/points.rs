//! Between linear numbers and loop variables.

use crate::emit::{Builder, Ty, Val};
use crate::kernel::Kernel;
use tricot_kernel::{Extent, Loop};

/// The extents of loops of polynomial size, as integers of type `ty`.
pub(crate) fn extents<'l>(k: &Kernel, loops: impl IntoIterator<Item = &'l Loop>, ty: Ty) -> Vec<Val> {
    let one = |l: &Loop| match &l.extent {
        Extent::Size(p) => k.b.resize_u(k.poly(p), ty),
        Extent::Dynamic(_) => unreachable!("only loops of polynomial size are flattened"),
    };
    loops.into_iter().map(one).collect()
}

/// Splits a non-negative linear number into loop positions, outermost first, as i64. The outermost takes what is left.
pub(crate) fn delinearise(b: &Builder, linear: Val, extents: &[Val]) -> Vec<Val> {
    let mut rest = linear;
    let mut positions = vec![];
    for (i, extent) in extents.iter().enumerate().rev() {
        if i == 0 {
            positions.push(rest);
        } else {
            positions.push(b.rem_u(rest, *extent));
            rest = b.div_u(rest, *extent);
        }
    }
    positions.reverse();
    positions.into_iter().map(|p| b.resize_u(p, Ty::I64)).collect()
}
