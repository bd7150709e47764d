//! Layouts of constant operands, chosen for a target: what it would fetch slowly as it lies is stored transposed.
//!
//! The central type is [`Recipe`], how a stored weight comes from the model's; [`prepack`] finds them. In the graph a packed weight is
//! the transpose of a transposed constant, so nothing after this pass knows of it. Knows layouts, no instruction.

use crate::contraction::Shape;
use crate::flat::Flat;
use std::collections::BTreeMap;
use std::sync::Arc;
use tricot_dialects::{Builder, Constant, Hash, ValueId};
use tricot_types::{DType, Diagnostic};

/// A stored weight as the transpose of another: axis `i` is axis `perm[i]` of `of`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipe {
    pub of: Hash,
    pub perm: Vec<usize>,
}

impl Recipe {
    /// The packed weight; `None` where the permutation is none of the constant's axes, or its elements are no whole bytes.
    pub fn run(&self, c: &Constant) -> Option<Constant> {
        let mut axes = self.perm.clone();
        axes.sort_unstable();
        if axes.iter().copied().ne(0..c.shape.len()) || c.dtype.bits() % 8 != 0 {
            return None;
        }
        let width = c.dtype.bits() as usize / 8;
        let shape: Vec<u64> = self.perm.iter().map(|p| c.shape[*p]).collect();
        let strides = strides(&c.shape);
        let steps: Vec<usize> = self.perm.iter().map(|p| strides[*p] as usize * width).collect();
        let (from, mut out) = (c.bytes(), Vec::with_capacity(c.bytes().len()));
        let mut at = vec![0u64; shape.len()];
        let mut offset = 0;
        for _ in 0..c.elements() {
            out.extend_from_slice(&from[offset..offset + width]);
            for axis in (0..shape.len()).rev() {
                at[axis] += 1;
                offset += steps[axis];
                if at[axis] < shape[axis] {
                    break;
                }
                offset -= steps[axis] * at[axis] as usize;
                at[axis] = 0;
            }
        }
        Constant::new(c.dtype, shape, Arc::new(out))
    }
}

/// Row-major strides in elements.
fn strides(shape: &[u64]) -> Vec<u64> {
    let mut out = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        out[i - 1] = out[i] * shape[i];
    }
    out
}

/// Transposes the constant operands of matrix products that `target` likes better so; recipes by the hash of the packed weight.
pub fn prepack(flat: &mut Flat, target: &str) -> Result<BTreeMap<Hash, Recipe>, Diagnostic> {
    let mut out: BTreeMap<Hash, Recipe> = BTreeMap::new();
    let mut done: BTreeMap<(Hash, Vec<usize>), Hash> = BTreeMap::new();
    for id in flat.function.live_order() {
        let v = ValueId { node: id, result: 0 };
        let Some(shape) = (flat.node(v).op.name == "core.contract").then(|| Shape::of(flat, v).ok()).flatten() else {
            continue;
        };
        for side in 0..2 {
            let Some(weight) = shape.is_matrix().then(|| Weight::of(flat, &shape, v, side)).flatten() else { continue };
            let Some(order) = weight.liked(target) else { continue };
            // Axis i of the packed constant is axis perm[i] of the stored one; the operand views it back.
            let perm: Vec<usize> = order.iter().map(|axis| weight.axes[*axis]).collect();
            let recipe = Recipe { of: weight.hash, perm: perm.clone() };
            let packed = match done.get(&(weight.hash, perm.clone())) {
                Some(hash) => *hash,
                None => match flat.constants.get(weight.hash).and_then(|c| recipe.run(c)) {
                    Some(c) => match flat.constants.name(weight.hash).map(str::to_string) {
                        Some(name) => flat.constants.add_named(&name, c),
                        None => flat.constants.add(c),
                    },
                    None => continue,
                },
            };
            done.insert((weight.hash, perm), packed);
            out.insert(packed, recipe);
            let back: Vec<i64> =
                (0..order.len()).map(|axis| order.iter().position(|o| *o == axis).map_or(0, |p| p as i64)).collect();
            let origin = flat.node(v).origin.clone();
            let c = flat.constants.get(packed).cloned();
            let mut b = Builder::new(&mut flat.function, &mut flat.constants);
            b.origin = origin;
            let Some(c) = c else { continue };
            let stored = b.constant(c)?;
            let view = b.transpose(stored, &back)?;
            flat.function.set_operand(id, side, view);
        }
    }
    flat.function.prune();
    Ok(out)
}

/// A constant operand of a matrix product.
struct Weight {
    hash: Hash,
    dtype: DType,
    /// The stored constant's axis behind each axis of the operand.
    axes: Vec<usize>,
    /// Size and stride in elements of each axis of the operand.
    sizes: Vec<u64>,
    strides: Vec<u64>,
    /// Axes in the order of the kernel's loops: those of both operands, the weight's own, the summed ones.
    batch: Vec<usize>,
    own: Vec<usize>,
    summed: Vec<usize>,
    /// Whether the result is contiguous along the weight's own axes, and how many rows are multiplied with it.
    is_columns: bool,
    rows: f64,
}

/// Rows from which a product on a CPU is faster with weights contiguous along the columns; below, along the sum.
const SEVERAL_ROWS: f64 = 4.0;

impl Weight {
    fn of(flat: &Flat, shape: &Shape, product: ValueId, side: usize) -> Option<Weight> {
        let mut v = flat.node(product).operands()[side];
        let mut axes: Vec<usize> = (0..flat.ty(v).rank()).collect();
        while flat.node(v).op.name == "core.transpose" {
            let perm = flat.node(v).attrs.ints("perm");
            axes.iter_mut().for_each(|a| *a = perm[*a] as usize);
            v = flat.node(v).operands()[0];
        }
        if flat.node(v).op.name != "core.constant" {
            return None;
        }
        let hash = flat.node(v).attrs.constant("value");
        let constant = flat.constants.get(hash)?;
        // A diagonal has no layout of its own; one value repeated is no array at all.
        let letters = &shape.spec.operands[side];
        if (1..letters.len()).any(|i| letters[..i].contains(&letters[i])) || constant.splat().is_some() {
            return None;
        }
        let stored = strides(&constant.shape);
        let at = |c: &char| letters.iter().position(|l| l == c);
        let other = &shape.spec.operands[1 - side];
        let kept =
            |shared: bool| shape.spec.result.iter().filter(|c| other.contains(c) == shared).filter_map(at).collect();
        let rows = shape.own(1 - side).iter().map(|c| shape.sizes[c].hint(&flat.symbols).max(1.0)).product();
        let inner = shape.spec.result.iter().rfind(|c| !shape.sizes[*c].is_one());
        Some(Weight {
            is_columns: inner.is_some_and(|c| shape.own(side).contains(c)),
            rows,
            hash,
            dtype: constant.dtype,
            sizes: axes.iter().map(|a| constant.shape[*a]).collect(),
            strides: axes.iter().map(|a| stored[*a]).collect(),
            axes,
            batch: kept(true),
            own: kept(false),
            summed: shape.spec.summed().iter().filter_map(at).collect(),
        })
    }

    /// The order of axes the target likes better than the one there is.
    fn liked(&self, target: &str) -> Option<Vec<usize>> {
        let order = match target {
            "sm_90a" => self.for_tensor_cores()?,
            _ => self.for_panels()?,
        };
        let same = order.windows(2).all(|w| self.strides[w[0]] >= self.strides[w[1]]);
        (!same).then_some(order)
    }

    fn bytes(&self, elements: u64) -> u64 {
        elements * u64::from(self.dtype.bits()) / 8
    }

    fn elements(&self, axes: &[usize]) -> u64 {
        axes.iter().map(|a| self.sizes[*a]).product()
    }

    /// Bulk copies want unit stride on one axis and the others at multiples of 16 bytes; products of 8-bit floats want that axis to be
    /// summed. Other types run on general kernels, which take any layout.
    fn for_tensor_cores(&self) -> Option<Vec<usize>> {
        let narrow = matches!(self.dtype, DType::F8E4M3 | DType::F8E5M2);
        if !narrow && !matches!(self.dtype, DType::F16 | DType::BF16) {
            return None;
        }
        let long: Vec<usize> = (0..self.sizes.len()).filter(|a| self.sizes[*a] > 1).collect();
        let inner = long.iter().find(|a| self.strides[**a] == 1)?;
        let even = long.iter().all(|a| a == inner || self.bytes(self.strides[*a]) % 16 == 0);
        let fits = even && (self.summed.contains(inner) || !narrow && self.own.contains(inner));
        let deep = self.bytes(self.elements(&self.summed)) % 16 == 0;
        (!fits && deep).then(|| [&self.batch[..], &self.own, &self.summed].concat())
    }

    /// The matrix library walks rows and columns with one stride each, and columns of several rows at once; what has no such stride is
    /// copied to a panel in every run.
    fn for_panels(&self) -> Option<Vec<usize>> {
        let long = |axes: &[usize]| axes.iter().copied().filter(|a| self.sizes[*a] > 1).collect::<Vec<_>>();
        let one_stride =
            |axes: &[usize]| long(axes).windows(2).all(|w| self.strides[w[0]] == self.strides[w[1]] * self.sizes[w[1]]);
        let walks = self.dtype.bits() < 32 || one_stride(&self.own) && one_stride(&self.summed);
        let along_sum = long(&self.summed).iter().any(|a| self.strides[*a] == 1);
        let across = self.is_columns && self.rows >= SEVERAL_ROWS && along_sum;
        let order = match self.is_columns {
            true => [&self.batch[..], &self.summed, &self.own].concat(),
            false => [&self.batch[..], &self.own, &self.summed].concat(),
        };
        let taken = self.dtype.is_float() && self.dtype.bits() >= 16;
        (taken && (!walks || across)).then_some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_transposes_elements() {
        let c = Constant::from_i64(DType::I16, vec![2, 3, 2], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        let recipe = Recipe { of: c.hash(), perm: vec![2, 0, 1] };
        let packed = recipe.run(&c).unwrap();
        assert_eq!(packed.shape, [2, 2, 3]);
        assert_eq!(packed.to_i64(), [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]);
        for perm in [vec![0, 1], vec![0, 1, 1], vec![0, 1, 3]] {
            assert!(Recipe { perm, ..recipe.clone() }.run(&c).is_none());
        }
        assert!(recipe.run(&Constant::from_i64(DType::I4, vec![2, 3, 2], &[0; 12])).is_none());
    }
}
