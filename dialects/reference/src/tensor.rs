//! Tensors as callers see them, and how far apart two of them are.

use tricot_dialects::Constant;
use tricot_dialects::scalar::{decode, decode_int, encode, encode_int};
use tricot_types::DType;

/// Elements in row-major order: floats as f64, integers and bool (0 or 1) as i64 (u64 by two's complement).
#[derive(Clone, PartialEq, Debug)]
pub enum Data {
    Float(Vec<f64>),
    Int(Vec<i64>),
}

impl Default for Data {
    fn default() -> Data {
        Data::Float(vec![])
    }
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::Float(v) => v.len(),
            Data::Int(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A dense tensor. `dtype` says what the numbers are rounded to where they are rounded.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub data: Data,
}

impl Tensor {
    /// A float tensor. Panics unless there is a value for each element.
    pub fn floats(dtype: DType, shape: &[usize], values: Vec<f64>) -> Tensor {
        assert!(dtype.is_float(), "{dtype} is no float type");
        assert_eq!(values.len(), shape.iter().product::<usize>(), "one value an element");
        Tensor { dtype, shape: shape.to_vec(), data: Data::Float(values) }
    }

    /// An integer or bool tensor. Panics unless there is a value for each element.
    pub fn ints(dtype: DType, shape: &[usize], values: Vec<i64>) -> Tensor {
        assert!(!dtype.is_float(), "{dtype} is a float type");
        assert_eq!(values.len(), shape.iter().product::<usize>(), "one value an element");
        Tensor { dtype, shape: shape.to_vec(), data: Data::Int(values) }
    }

    /// From raw bytes: little endian, sub-byte types packed low nibble first. `None` when their number is wrong.
    pub fn from_bytes(dtype: DType, shape: &[usize], bytes: &[u8]) -> Option<Tensor> {
        let count = shape.iter().try_fold(1usize, |a, d| a.checked_mul(*d))?;
        if dtype.bytes(count as u64)? != bytes.len() as u64 {
            return None;
        }
        let data = match dtype.is_float() {
            true => Data::Float(decode(dtype, bytes, count)),
            false => Data::Int(decode_int(dtype, bytes, count)),
        };
        Some(Tensor { dtype, shape: shape.to_vec(), data })
    }

    /// The raw bytes, rounded to the dtype.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.data {
            Data::Float(v) => encode(self.dtype, v),
            Data::Int(v) => encode_int(self.dtype, v),
        }
    }

    /// From a constant of a module.
    pub fn from_constant(c: &Constant) -> Tensor {
        let shape: Vec<usize> = c.shape.iter().map(|d| *d as usize).collect();
        Tensor::from_bytes(c.dtype, &shape, c.bytes()).expect("a constant holds as many bytes as it needs")
    }

    /// As a constant for a module, rounded to the dtype.
    pub fn to_constant(&self) -> Constant {
        let shape = self.shape.iter().map(|d| *d as u64).collect();
        Constant::new(self.dtype, shape, std::sync::Arc::new(self.to_bytes()))
            .expect("as many bytes as the shape needs")
    }

    /// All elements as f64.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::Float(v) => v.clone(),
            Data::Int(v) if self.dtype == DType::U64 => v.iter().map(|x| *x as u64 as f64).collect(),
            Data::Int(v) => v.iter().map(|x| *x as f64).collect(),
        }
    }
}

/// `‖a - b‖ / ‖b‖` with `b` the reference. Infinite when shapes differ, when a NaN or an infinity stands in one and not likewise
/// in the other, or when `b` is zero and `a` is not. Equal infinities count as equal; a NaN never passes.
pub fn relative_l2(a: &Tensor, b: &Tensor) -> f64 {
    if a.shape != b.shape {
        return f64::INFINITY;
    }
    let (mut difference, mut norm) = (0.0f64, 0.0f64);
    for (x, y) in a.to_f64().into_iter().zip(b.to_f64()) {
        if x.is_nan() || y.is_nan() {
            return f64::INFINITY;
        }
        if x.is_infinite() || y.is_infinite() {
            if x != y {
                return f64::INFINITY;
            }
            continue;
        }
        difference += (x - y) * (x - y);
        norm += y * y;
    }
    match (difference == 0.0, norm == 0.0) {
        (true, _) => 0.0,
        (false, true) => f64::INFINITY,
        (false, false) => (difference / norm).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_wrong_passes_the_comparison() {
        let t = |v: &[f64]| Tensor::floats(DType::F32, &[v.len()], v.to_vec());
        assert_eq!(relative_l2(&t(&[1.0, f64::INFINITY]), &t(&[1.0, f64::INFINITY])), 0.0);
        assert!((relative_l2(&t(&[3.0, 4.5]), &t(&[3.0, 4.0])) - 0.1).abs() < 1e-12);
        for (a, b) in
            [(f64::NAN, f64::NAN), (f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, f64::NEG_INFINITY), (1.0, 0.0)]
        {
            assert_eq!(relative_l2(&t(&[a]), &t(&[b])), f64::INFINITY);
        }
        assert_eq!(relative_l2(&t(&[1.0]), &t(&[1.0, 1.0])), f64::INFINITY);
    }
}
