//! Constant tensors, content-addressed: a graph holds hashes, the module's store holds bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tricot_types::DType;

/// blake3 of a constant's dtype, shape and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for Hash {
    type Err = String;
    fn from_str(s: &str) -> Result<Hash, String> {
        let bad = || format!("`{s}` is not 64 hex digits");
        if s.len() != 64 || !s.is_ascii() {
            return Err(bad());
        }
        let mut out = [0; 32];
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&s[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Hash(out))
    }
}

/// The bytes of a constant: owned, or a window of a mapped file.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A dense row-major tensor, little endian, sub-byte types packed low nibble first.
#[derive(Clone)]
pub struct Constant {
    pub dtype: DType,
    pub shape: Vec<u64>,
    data: Bytes,
}

impl Constant {
    /// Wraps bytes. `None` unless their length is exactly what dtype and shape need.
    pub fn new(dtype: DType, shape: Vec<u64>, data: Bytes) -> Option<Constant> {
        let elements = shape.iter().try_fold(1u64, |a, d| a.checked_mul(*d))?;
        (dtype.bytes(elements)? == (*data).as_ref().len() as u64).then_some(Constant { dtype, shape, data })
    }

    /// From values, rounded to the dtype as `core.cast` does.
    pub fn from_f64(dtype: DType, shape: Vec<u64>, values: &[f64]) -> Constant {
        let bytes = crate::scalar::encode(dtype, values);
        Constant::new(dtype, shape, Arc::new(bytes)).expect("as many values as the shape has elements")
    }

    /// From integers.
    pub fn from_i64(dtype: DType, shape: Vec<u64>, values: &[i64]) -> Constant {
        let bytes = crate::scalar::encode_int(dtype, values);
        Constant::new(dtype, shape, Arc::new(bytes)).expect("as many values as the shape has elements")
    }

    /// The raw bytes.
    pub fn bytes(&self) -> &[u8] {
        (*self.data).as_ref()
    }

    /// The shared bytes.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// All elements as f64 (exact for every type but 64-bit integers above 2^53).
    pub fn to_f64(&self) -> Vec<f64> {
        crate::scalar::decode(self.dtype, self.bytes(), self.elements() as usize)
    }

    /// All elements as integers, floats truncated.
    pub fn to_i64(&self) -> Vec<i64> {
        crate::scalar::decode_int(self.dtype, self.bytes(), self.elements() as usize)
    }

    /// The one value all elements share bit for bit, if there is one (as a rank-0 constant).
    pub fn splat(&self) -> Option<Constant> {
        let width = self.dtype.bits() as usize / 8;
        let bytes = self.bytes();
        if width == 0 || bytes.is_empty() || bytes.chunks(width).any(|c| c != &bytes[..width]) {
            return None;
        }
        Constant::new(self.dtype, vec![], Arc::new(bytes[..width].to_vec()))
    }

    /// Content hash.
    pub fn hash(&self) -> Hash {
        let mut h = blake3::Hasher::new();
        h.update(self.dtype.name().as_bytes());
        h.update(&(self.shape.len() as u64).to_le_bytes());
        for d in &self.shape {
            h.update(&d.to_le_bytes());
        }
        h.update(self.bytes());
        Hash(*h.finalize().as_bytes())
    }
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Constant({}{:?}, {})", self.dtype, self.shape, self.hash())
    }
}

/// All constants of a module, in hash order.
#[derive(Clone, Debug, Default)]
pub struct ConstantStore {
    by_hash: BTreeMap<Hash, Constant>,
    /// The name a weight had in the model it came from.
    names: BTreeMap<Hash, String>,
}

impl ConstantStore {
    /// Adds a constant; equal ones are held once.
    pub fn add(&mut self, constant: Constant) -> Hash {
        let hash = constant.hash();
        self.by_hash.entry(hash).or_insert(constant);
        hash
    }

    /// Adds a constant under the model's name for it; the first name stays.
    pub fn add_named(&mut self, name: &str, constant: Constant) -> Hash {
        let hash = self.add(constant);
        self.names.entry(hash).or_insert_with(|| name.into());
        hash
    }

    /// Looks one up.
    pub fn get(&self, hash: Hash) -> Option<&Constant> {
        self.by_hash.get(&hash)
    }

    /// The model's name for it.
    pub fn name(&self, hash: Hash) -> Option<&str> {
        self.names.get(&hash).map(String::as_str)
    }

    /// The constant that carries a name; the lowest hash where several do.
    pub fn by_name(&self, name: &str) -> Option<Hash> {
        self.names.iter().find(|(_, n)| *n == name).map(|(h, _)| *h)
    }

    /// All, in hash order.
    pub fn iter(&self) -> impl Iterator<Item = (Hash, &Constant)> {
        self.by_hash.iter().map(|(h, c)| (*h, c))
    }

    /// Keeps only the constants for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(Hash) -> bool) {
        self.by_hash.retain(|h, _| keep(*h));
        self.names.retain(|h, _| self.by_hash.contains_key(h));
    }
}
