//! The n-ary contraction: pairs in the cheapest order, each brought to a matrix product.

use super::fold::{function, reduce_axes};
use crate::array::{Array, map2};
use crate::boxes::Range;
use crate::lower::Call;
use crate::tensor::Data;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tricot_dialects::core::Einsum;
use tricot_dialects::scalar::wrap;
use tricot_types::DType;

/// Elements of an operand that are packed at once at most.
pub const PACK: usize = 1 << 23;

/// Size of each letter for parts of the result and of the folded axes.
pub fn sizes(einsum: &Einsum, range: &[Range], folds: &[Range]) -> BTreeMap<char, usize> {
    let result = einsum.result.iter().copied().zip(range.iter().map(|r| r.1));
    result.chain(einsum.summed().into_iter().zip(folds.iter().map(|r| r.1))).collect()
}

/// An order of pairwise contraction.
pub struct Order {
    /// Positions in the list of what is left: the second joins the first, at whose place the product stays.
    pub steps: Vec<(usize, usize)>,
    /// Elements of the largest intermediate product.
    pub largest: u64,
}

/// The cheapest order by dynamic programming over subsets (left to right for more than eight operands).
pub fn order(einsum: &Einsum, sizes: &BTreeMap<char, usize>) -> Order {
    let n = einsum.operands.len();
    let sets: Vec<BTreeSet<char>> = einsum.operands.iter().map(|l| l.iter().copied().collect()).collect();
    let product = |letters: &BTreeSet<char>| letters.iter().map(|c| sizes[c] as f64).product::<f64>();
    // Letters of the product of the operands in `mask`: those still needed outside.
    let letters = |mask: usize| -> BTreeSet<char> {
        let inside: BTreeSet<char> = (0..n).filter(|i| mask >> i & 1 == 1).flat_map(|i| sets[i].clone()).collect();
        let outside: BTreeSet<char> =
            (0..n).filter(|i| mask >> i & 1 == 0).flat_map(|i| sets[i].clone()).chain(einsum.result.clone()).collect();
        match mask.count_ones() {
            1 => inside,
            _ => inside.intersection(&outside).copied().collect(),
        }
    };
    if n > 8 {
        return Order { steps: (1..n).map(|_| (0, 1)).collect(), largest: 0 };
    }
    let full = (1usize << n) - 1;
    let mut best: Vec<Option<(f64, usize)>> = vec![None; full + 1];
    for mask in 1..=full {
        if mask.count_ones() == 1 {
            best[mask] = Some((0.0, 0));
            continue;
        }
        let mut sub = (mask - 1) & mask;
        while sub > 0 {
            let other = mask ^ sub;
            if sub < other
                && let (Some(a), Some(b)) = (best[sub], best[other])
            {
                let joint: BTreeSet<char> = letters(sub).union(&letters(other)).copied().collect();
                // Storing an element costs about as much as eight multiply-adds.
                let cost = a.0 + b.0 + product(&joint) + 8.0 * product(&letters(mask));
                if best[mask].is_none_or(|(c, _)| cost < c) {
                    best[mask] = Some((cost, sub));
                }
            }
            sub = (sub - 1) & mask;
        }
    }
    let mut tree = vec![full];
    let mut joins = vec![];
    while let Some(mask) = tree.pop() {
        if mask.count_ones() > 1 {
            let sub = best[mask].expect("every subset has an order").1;
            joins.push((sub, mask ^ sub));
            tree.extend([sub, mask ^ sub]);
        }
    }
    joins.reverse();
    let mut left: Vec<usize> = (0..n).map(|i| 1 << i).collect();
    let (mut steps, mut largest) = (vec![], 0f64);
    for (a, b) in joins {
        let at = |mask| left.iter().position(|m| *m == mask).expect("joined before");
        let (p, q) = (at(a).min(at(b)), at(a).max(at(b)));
        steps.push((p, q));
        left[p] |= left.remove(q);
        if left.len() > 1 {
            largest = largest.max(product(&letters(left[p])));
        }
    }
    Order { steps, largest: largest as u64 }
}

/// An operand with a letter for each axis.
struct Lettered {
    array: Array,
    letters: Vec<char>,
}

/// Runs a contraction on parts of its operands; floats are not rounded to the result type.
pub fn contract(call: &Call, v: &[Array], range: &[Range], folds: &[Range], narrow: bool) -> Array {
    let einsum = call.einsum.as_ref().expect("a contraction has an einsum");
    let sizes = sizes(einsum, range, folds);
    let dtype = call.types[0].0;
    let order = order(einsum, &sizes);
    let mut left: Vec<Lettered> = v.iter().zip(&einsum.operands).map(|(a, l)| diagonal(a, l)).collect();
    for (p, q) in order.steps {
        let second = left.remove(q);
        let keep: BTreeSet<char> = einsum
            .result
            .iter()
            .copied()
            .chain(left.iter().enumerate().filter(|(i, _)| *i != p).flat_map(|(_, o)| o.letters.clone()))
            .collect();
        let first = std::mem::replace(&mut left[p], Lettered { array: second.array.clone(), letters: vec![] });
        left[p] = pair(first, second, &keep, &sizes, dtype, narrow);
    }
    let last = left.pop().expect("a contraction has operands");
    let last = sum_out(last, &einsum.result.iter().copied().collect(), dtype, narrow);
    let at = |c: &char| last.letters.iter().position(|l| l == c).expect("a result letter");
    let out = last.array.permute(einsum.result.iter().map(at));
    match &*out.data {
        // A lone operand passes through; integers still wrap to the result type.
        Data::Int(values) => {
            Array::ints(out.shape.clone(), crate::array::map1(values, &out, |x| wrap(dtype, i128::from(x))))
        }
        Data::Float(_) => out,
    }
}

/// Letters repeated within an operand become one axis.
fn diagonal(a: &Array, letters: &[char]) -> Lettered {
    let (mut shape, mut strides, mut kept): (Vec<usize>, Vec<isize>, Vec<char>) = (vec![], vec![], vec![]);
    for (i, c) in letters.iter().enumerate() {
        match kept.iter().position(|k| k == c) {
            Some(at) => strides[at] += a.strides[i],
            None => {
                kept.push(*c);
                shape.push(a.shape[i]);
                strides.push(a.strides[i]);
            }
        }
    }
    Lettered { array: Array { data: a.data.clone(), offset: a.offset, shape, strides }, letters: kept }
}

/// Sums over the letters that nobody needs.
fn sum_out(x: Lettered, keep: &BTreeSet<char>, dtype: DType, narrow: bool) -> Lettered {
    let axes: Vec<usize> = (0..x.letters.len()).filter(|i| !keep.contains(&x.letters[*i])).collect();
    if axes.is_empty() {
        return x;
    }
    let wide = if dtype.is_float() { dtype } else { DType::I64 };
    let array = reduce_axes(function("sum"), wide, &x.array, &axes, narrow);
    let letters = x.letters.into_iter().filter(|c| keep.contains(c)).collect();
    Lettered { array, letters }
}

fn pair(
    a: Lettered,
    b: Lettered,
    keep: &BTreeSet<char>,
    sizes: &BTreeMap<char, usize>,
    dtype: DType,
    narrow: bool,
) -> Lettered {
    let both: BTreeSet<char> = a.letters.iter().copied().filter(|c| b.letters.contains(c)).collect();
    let needed: BTreeSet<char> = keep.union(&both).copied().collect();
    let (a, b) = (sum_out(a, &needed, dtype, narrow), sum_out(b, &needed, dtype, narrow));
    let pick = |from: &[char], f: &dyn Fn(&char) -> bool| from.iter().copied().filter(|c| f(c)).collect::<Vec<_>>();
    let batch = pick(&a.letters, &|c| both.contains(c) && keep.contains(c));
    let summed = pick(&a.letters, &|c| both.contains(c) && !keep.contains(c));
    let mut rows = pick(&a.letters, &|c| !both.contains(c));
    let columns = pick(&b.letters, &|c| !both.contains(c));
    // The longest row letter first: operands are packed in blocks of it.
    if let Some(longest) = (0..rows.len()).max_by_key(|i| sizes[&rows[*i]]) {
        rows.swap(0, longest);
    }
    let size = |letters: &[char]| letters.iter().map(|c| sizes[c]).product::<usize>();
    if summed.is_empty() && dtype.is_float() {
        // An outer product: batch letters last, where the next contraction sums over them.
        let letters = [rows, columns, batch].concat();
        let shape: Vec<usize> = letters.iter().map(|c| sizes[c]).collect();
        let spread = |x: &Lettered| {
            let at = |c: &char| letters.iter().position(|l| l == c).expect("a letter of the product");
            x.array.broadcast(shape.clone(), &x.letters.iter().map(at).collect::<Vec<_>>())
        };
        let (x, y) = (spread(&a), spread(&b));
        let values = map2(x.f(), &x, y.f(), &y, |x, y| x * y);
        return Lettered { array: Array::floats(shape, values), letters };
    }
    let arrange = |x: &Lettered, order: &[&[char]]| {
        let letters = order.concat();
        x.array.permute(letters.iter().map(|c| x.letters.iter().position(|l| l == c).expect("a letter")))
    };
    let (left, right) = (arrange(&a, &[&batch, &rows, &summed]), arrange(&b, &[&batch, &columns, &summed]));
    let (nb, m, n, k) = (size(&batch), size(&rows), size(&columns), size(&summed));
    let letters = [batch.clone(), rows.clone(), columns].concat();
    let shape: Vec<usize> = letters.iter().map(|c| sizes[c]).collect();
    let array = match dtype.is_float() {
        true => {
            let block = rows.first().map_or(1, |c| sizes[c]);
            Array::floats(shape, float_products(&left, &right, batch.len(), block, [nb, m, n, k], narrow))
        }
        false => Array::ints(shape, int_products(&left, &right, [nb, m, n, k])),
    };
    Lettered { array, letters }
}

/// `out[b, m, n] = sum_k left[b, m, k] right[b, n, k]`; `lead` axes of both are the batch, `block` is the length of the next axis
/// of `left`.
fn float_products(
    left: &Array,
    right: &Array,
    lead: usize,
    block: usize,
    [nb, m, n, k]: [usize; 4],
    narrow: bool,
) -> Vec<f64> {
    let mut out = vec![0.0; nb * m * n];
    if out.is_empty() || k == 0 {
        return out;
    }
    let batch = |a: &Array, i: usize| {
        let mut range: Vec<Range> = a.shape.iter().map(|s| (0, *s)).collect();
        let mut rest = i;
        for axis in (0..lead).rev() {
            range[axis] = (rest % a.shape[axis], 1);
            rest /= a.shape[axis];
        }
        a.part(&range)
    };
    let one = |i: usize, out: &mut [f64], threads: bool| {
        let b = batch(right, i).dense();
        let a = batch(left, i);
        let per = m / block.max(1) * k;
        let step = if a.is_dense() { block.max(1) } else { (PACK / per.max(1)).clamp(1, block.max(1)) };
        for start in (0..block.max(1)).step_by(step) {
            let len = step.min(block.max(1) - start);
            let mut range: Vec<Range> = a.shape.iter().map(|s| (0, *s)).collect();
            if m > 1 && lead < range.len() {
                range[lead] = (start, len);
            }
            let part = a.part(&range).dense();
            let rows = m / block.max(1) * len;
            let target = &mut out[start * (m / block.max(1)) * n..][..rows * n];
            let (x, y) = (&part.f()[part.offset as usize..][..rows * k], &b.f()[b.offset as usize..][..n * k]);
            match narrow {
                true => {
                    let narrowed = |v: &[f64]| v.iter().map(|x| *x as f32).collect::<Vec<f32>>();
                    let (x, y) = (narrowed(x), narrowed(y));
                    let mut sums = vec![0f32; rows * n];
                    multiply(&mut sums, Mat::rows(&x, k), Mat::columns(&y, k), [rows, n, k], threads);
                    target.iter_mut().zip(sums).for_each(|(t, s)| *t = f64::from(s));
                }
                false => multiply(target, Mat::rows(x, k), Mat::columns(y, k), [rows, n, k], threads),
            }
        }
    };
    match nb > 1 && m * n * k < 1 << 20 {
        true => out.par_chunks_mut(m * n).enumerate().for_each(|(i, o)| one(i, o, false)),
        false => out.chunks_mut(m * n).enumerate().for_each(|(i, o)| one(i, o, true)),
    }
    out
}

/// A matrix in a slice, by the distances of its rows and of its columns.
#[derive(Clone, Copy)]
pub(super) struct Mat<'a, T> {
    pub v: &'a [T],
    pub row: usize,
    pub column: usize,
}

impl<'a, T> Mat<'a, T> {
    /// Dense rows of `width` elements.
    pub fn rows(v: &'a [T], width: usize) -> Mat<'a, T> {
        Mat { v, row: width, column: 1 }
    }

    /// The transpose of dense rows of `width` elements.
    pub fn columns(v: &'a [T], width: usize) -> Mat<'a, T> {
        Mat { v, row: 1, column: width }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows * columns == 0 || (rows - 1) * self.row + (columns - 1) * self.column < self.v.len()
    }
}

/// `out[m, n] = sum_k x[m, k] y[k, n]`, `out` dense.
pub(super) fn multiply<T: 'static + Copy + From<u8>>(
    out: &mut [T],
    x: Mat<'_, T>,
    y: Mat<'_, T>,
    [m, n, k]: [usize; 3],
    threads: bool,
) {
    assert!(out.len() >= m * n && x.holds(m, k) && y.holds(k, n));
    let parallelism = if threads { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    // SAFETY: the assertion above bounds every element that the strides reach, and `out` is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            x.v.as_ptr(),
            x.column as isize,
            x.row as isize,
            y.v.as_ptr(),
            y.column as isize,
            y.row as isize,
            T::from(0),
            T::from(1),
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn int_products(left: &Array, right: &Array, [nb, m, n, k]: [usize; 4]) -> Vec<i64> {
    let (x, y) = (left.dense(), right.dense());
    let (x, y) = (&x.i()[x.offset as usize..], &y.i()[y.offset as usize..]);
    let mut out = vec![0i64; nb * m * n];
    if n > 0 {
        out.par_chunks_mut(n).enumerate().for_each(|(row, o)| {
            let a = &x[row * k..][..k];
            for (j, o) in o.iter_mut().enumerate() {
                let b = &y[(row / m * n + j) * k..][..k];
                *o = a.iter().zip(b).fold(0i64, |s, (x, y)| s.wrapping_add(x.wrapping_mul(*y)));
            }
        });
    }
    out
}
