//! Strided views of shared buffers: broadcasts, transposes, slices and windows cost nothing.

use crate::tensor::Data;
use rayon::prelude::*;
use std::sync::Arc;

/// A view: element `i` lies at `offset + sum i * strides` of the buffer.
#[derive(Clone, Debug)]
pub struct Array {
    pub data: Arc<Data>,
    pub offset: isize,
    pub shape: Vec<usize>,
    pub strides: Vec<isize>,
}

/// Row-major strides.
pub fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i].max(1) as isize;
    }
    strides
}

impl Array {
    /// A dense array.
    pub fn new(shape: Vec<usize>, data: Data) -> Array {
        debug_assert_eq!(data.len(), shape.iter().product::<usize>());
        Array { data: Arc::new(data), offset: 0, strides: row_major(&shape), shape }
    }

    /// A dense float array.
    pub fn floats(shape: Vec<usize>, values: Vec<f64>) -> Array {
        Array::new(shape, Data::Float(values))
    }

    /// A dense integer array.
    pub fn ints(shape: Vec<usize>, values: Vec<i64>) -> Array {
        Array::new(shape, Data::Int(values))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it is a dense row-major run of its buffer.
    pub fn is_dense(&self) -> bool {
        let dense = row_major(&self.shape);
        self.shape.iter().zip(&self.strides).zip(&dense).all(|((n, s), d)| *n <= 1 || s == d) || self.len() == 0
    }

    /// The buffer as floats. Panics on integers: types are verified.
    pub fn f(&self) -> &[f64] {
        match &*self.data {
            Data::Float(v) => v,
            Data::Int(_) => panic!("an integer array where floats are expected"),
        }
    }

    /// The buffer as integers. Panics on floats: types are verified.
    pub fn i(&self) -> &[i64] {
        match &*self.data {
            Data::Int(v) => v,
            Data::Float(_) => panic!("a float array where integers are expected"),
        }
    }

    /// The same elements in a dense buffer; no copy when they are dense already.
    pub fn dense(&self) -> Array {
        if self.is_dense() {
            return Array { strides: row_major(&self.shape), ..self.clone() };
        }
        match &*self.data {
            Data::Float(v) => Array::floats(self.shape.clone(), gather(v, self)),
            Data::Int(v) => Array::ints(self.shape.clone(), gather(v, self)),
        }
    }

    /// The elements in row-major order.
    pub fn into_data(self) -> Data {
        let dense = self.dense();
        let (n, offset) = (dense.len(), dense.offset as usize);
        drop(self);
        match Arc::try_unwrap(dense.data) {
            Ok(data) if offset == 0 && data.len() == n => data,
            Ok(Data::Float(v)) => Data::Float(v[offset..offset + n].to_vec()),
            Ok(Data::Int(v)) => Data::Int(v[offset..offset + n].to_vec()),
            Err(shared) => match &*shared {
                Data::Float(v) => Data::Float(v[offset..offset + n].to_vec()),
                Data::Int(v) => Data::Int(v[offset..offset + n].to_vec()),
            },
        }
    }

    /// The box `(start, length)` of each axis.
    pub fn part(&self, range: &[(usize, usize)]) -> Array {
        let mut out = self.clone();
        for (axis, (start, len)) in range.iter().enumerate() {
            out.offset += self.strides[axis] * *start as isize;
            out.shape[axis] = *len;
        }
        out
    }

    /// Axes in another order.
    pub fn permute(&self, perm: impl IntoIterator<Item = usize>) -> Array {
        let (mut shape, mut strides) = (vec![], vec![]);
        for p in perm {
            shape.push(self.shape[p]);
            strides.push(self.strides[p]);
        }
        Array { data: self.data.clone(), offset: self.offset, shape, strides }
    }

    /// Operand axis `i` becomes axis `axes[i]` of `shape`; all others repeat.
    pub fn broadcast(&self, shape: Vec<usize>, axes: &[usize]) -> Array {
        let mut strides = vec![0; shape.len()];
        for (i, a) in axes.iter().enumerate() {
            strides[*a] = if self.shape[i] == shape[*a] && shape[*a] > 1 { self.strides[i] } else { 0 };
        }
        Array { data: self.data.clone(), offset: self.offset, shape, strides }
    }
}

fn gather<T: Copy + Send + Sync + Default>(v: &[T], a: &Array) -> Vec<T> {
    each(&[a], &|out, at, step| {
        let mut p = at[0];
        for o in out {
            *o = v[p as usize];
            p += step[0];
        }
    })
}

/// Elements a parallel task computes at once.
const TASK: usize = 1 << 15;

/// Fills a dense result of the shape all `arrays` share, in runs along which every array has one stride. `run` gets the piece to
/// fill, and for each array the position of its first element and the stride.
pub fn each<T, F>(arrays: &[&Array], run: &F) -> Vec<T>
where
    T: Copy + Send + Sync + Default,
    F: Fn(&mut [T], &[isize], &[isize]) + Sync,
{
    let shape = &arrays[0].shape;
    let total: usize = shape.iter().product();
    let mut out = vec![T::default(); total];
    if total == 0 {
        return out;
    }
    // Merge axes that every array walks through evenly.
    let mut dims: Vec<(usize, Vec<isize>)> = vec![];
    for axis in 0..shape.len() {
        if shape[axis] == 1 {
            continue;
        }
        let strides: Vec<isize> = arrays.iter().map(|a| a.strides[axis]).collect();
        match dims.last_mut() {
            Some((n, outer)) if outer.iter().zip(&strides).all(|(o, s)| *o == s * shape[axis] as isize) => {
                *n *= shape[axis];
                *outer = strides;
            }
            _ => dims.push((shape[axis], strides)),
        }
    }
    let (inner, steps) = dims.pop().unwrap_or((1, vec![0; arrays.len()]));
    let origin: Vec<isize> = arrays.iter().map(|a| a.offset).collect();
    let work = |(task, piece): (usize, &mut [T])| {
        let (mut done, mut at) = (0, origin.clone());
        while done < piece.len() {
            let position = task * TASK + done;
            let (mut row, column) = (position / inner, position % inner);
            at.copy_from_slice(&origin);
            for (n, strides) in dims.iter().rev() {
                let i = (row % n) as isize;
                row /= n;
                at.iter_mut().zip(strides).for_each(|(a, s)| *a += i * s);
            }
            at.iter_mut().zip(&steps).for_each(|(a, s)| *a += column as isize * s);
            let count = (inner - column).min(piece.len() - done);
            run(&mut piece[done..done + count], &at, &steps);
            done += count;
        }
    };
    match total <= TASK {
        true => work((0, &mut out)),
        false => out.par_chunks_mut(TASK).enumerate().for_each(work),
    }
    out
}

/// `f` of each element.
pub fn map1<A, O>(va: &[A], a: &Array, f: impl Fn(A) -> O + Sync) -> Vec<O>
where
    A: Copy + Send + Sync,
    O: Copy + Send + Sync + Default,
{
    each(&[a], &|out, at, step| match step[0] {
        1 => {
            let from = &va[at[0] as usize..][..out.len()];
            out.iter_mut().zip(from).for_each(|(o, x)| *o = f(*x));
        }
        0 => out.fill(f(va[at[0] as usize])),
        s => out.iter_mut().enumerate().for_each(|(i, o)| *o = f(va[(at[0] + i as isize * s) as usize])),
    })
}

/// `f` of each pair of elements.
pub fn map2<A, B, O>(va: &[A], a: &Array, vb: &[B], b: &Array, f: impl Fn(A, B) -> O + Sync) -> Vec<O>
where
    A: Copy + Send + Sync,
    B: Copy + Send + Sync,
    O: Copy + Send + Sync + Default,
{
    each(&[a, b], &|out, at, step| {
        let (p, q) = (at[0] as usize, at[1] as usize);
        match (step[0], step[1]) {
            (1, 1) => {
                let (x, y) = (&va[p..][..out.len()], &vb[q..][..out.len()]);
                out.iter_mut().zip(x.iter().zip(y)).for_each(|(o, (x, y))| *o = f(*x, *y));
            }
            (1, 0) => {
                let (x, y) = (&va[p..][..out.len()], vb[q]);
                out.iter_mut().zip(x).for_each(|(o, x)| *o = f(*x, y));
            }
            (0, 1) => {
                let (x, y) = (va[p], &vb[q..][..out.len()]);
                out.iter_mut().zip(y).for_each(|(o, y)| *o = f(x, *y));
            }
            (s, t) => {
                let at = |start: isize, step: isize, i: usize| (start + i as isize * step) as usize;
                let (p, q) = (p as isize, q as isize);
                out.iter_mut().enumerate().for_each(|(i, o)| *o = f(va[at(p, s, i)], vb[at(q, t, i)]));
            }
        }
    })
}

/// Calls `f(destination position, source position)` for each element of two arrays of equal shape, in row-major order.
pub fn pairs(to: &Array, from: &Array, mut f: impl FnMut(usize, usize)) {
    let rank = to.shape.len();
    if to.len() == 0 {
        return;
    }
    let (inner, ts, fs) = match rank {
        0 => (1, 0, 0),
        _ => (to.shape[rank - 1], to.strides[rank - 1], from.strides[rank - 1]),
    };
    let outer = rank.saturating_sub(1);
    let mut index = vec![0usize; outer];
    loop {
        let base = |a: &Array| a.offset + index.iter().zip(&a.strides).map(|(i, s)| *i as isize * s).sum::<isize>();
        let (mut t, mut s) = (base(to), base(from));
        for _ in 0..inner {
            f(t as usize, s as usize);
            t += ts;
            s += fs;
        }
        let mut axis = outer;
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < to.shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}
