//! Loops of a contraction, fused where both operands allow it.
//!
//! The central type is [`Axis`]: adjacent loops walked as one index. It knows strides, not tiles.

use tricot_kernel::{Extent, Index, Loop, LoopVar};
use tricot_types::{Poly, SymbolTable};

/// Adjacent loops walked by one index, with the element stride in the row operand and in the column operand.
#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    /// Variables and extents, outermost first; none for an axis of extent 1.
    pub loops: Vec<(LoopVar, Poly)>,
    pub extent: Poly,
    pub row: Poly,
    pub col: Poly,
}

impl Axis {
    /// The axis without loops: extent 1.
    pub fn unit() -> Axis {
        Axis { loops: vec![], extent: Poly::constant(1), row: Poly::default(), col: Poly::default() }
    }

    /// The same axis with the operands exchanged.
    pub fn swapped(self) -> Axis {
        Axis { row: self.col, col: self.row, ..self }
    }

    /// The innermost variable and its extent.
    pub fn inner(&self) -> Option<&(LoopVar, Poly)> {
        self.loops.last()
    }

    /// The extent that cost models assume.
    pub fn hint(&self, symbols: &SymbolTable) -> f64 {
        self.extent.hint(symbols).max(1.0)
    }
}

/// Fuses a group of loops (outermost first); loops of extent 1 go to `units`. `None` for extents that are not polynomials.
pub fn fuse(loops: &[Loop], row: &Index, col: &Index, units: &mut Vec<LoopVar>) -> Option<Vec<Axis>> {
    let mut axes: Vec<Axis> = vec![];
    for l in loops {
        let Extent::Size(extent) = &l.extent else { return None };
        if extent.is_one() {
            units.push(l.var);
            continue;
        }
        let (r, c) = (row.stride(l.var), col.stride(l.var));
        if let Some(outer) = axes.last_mut()
            && r.checked_mul(extent).as_ref() == Some(&outer.row)
            && c.checked_mul(extent).as_ref() == Some(&outer.col)
        {
            outer.loops.push((l.var, extent.clone()));
            outer.extent = outer.extent.checked_mul(extent)?;
            (outer.row, outer.col) = (r, c);
            continue;
        }
        axes.push(Axis { loops: vec![(l.var, extent.clone())], extent: extent.clone(), row: r, col: c });
    }
    Some(axes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contiguous_loops_fuse_and_others_do_not() {
        let (i, j, k) = (LoopVar(0), LoopVar(1), LoopVar(2));
        let row = Index::zero().plus(i, 640).plus(j, 64).plus(k, 1);
        let loops = [Loop::new(i, 3), Loop::new(j, 10), Loop::new(k, 64)];
        let axes = fuse(&loops, &row, &Index::zero(), &mut vec![]).unwrap();
        assert_eq!(axes.len(), 1);
        assert_eq!((axes[0].extent.as_constant(), axes[0].row.as_constant()), (Some(1920), Some(1)));
        let axes =
            fuse(&loops[..1].iter().chain(&loops[2..]).cloned().collect::<Vec<_>>(), &row, &Index::zero(), &mut vec![]);
        assert_eq!(axes.unwrap().len(), 2);
    }
}
