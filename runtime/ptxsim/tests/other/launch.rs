//! The launch descriptions beside the PTX files (README.md, section The launch descriptions).
//!
//! Central type: [`Case`], one launch with its buffers, arguments and expected result. Knows no simulator: addresses and
//! encoded tensor maps are given by the caller.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::data::{Data, Dtype};
use crate::reference::{Array, Options, compute};

/// One `.json` file. `source` and `compiler` are for readers.
#[derive(Debug, Deserialize)]
pub struct Document {
    /// Path of the PTX file, relative to this folder.
    pub ptx: String,
    pub kernels: Vec<Kernel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    pub entry: String,
    /// Threads of a block.
    pub block: [u32; 3],
    /// Blocks of a cluster.
    pub cluster: [u32; 3],
    /// Bytes.
    pub dynamic_shared: u32,
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// Blocks.
    pub grid: [u32; 3],
    pub buffers: BTreeMap<String, Buffer>,
    /// The kernel's parameters in order.
    pub arguments: Vec<Argument>,
    pub result: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    pub dtype: String,
    pub shape: Vec<usize>,
    /// In elements; row-major where absent.
    pub strides: Option<Vec<usize>>,
    pub data: Generator,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "generator", rename_all = "lowercase", deny_unknown_fields)]
pub enum Generator {
    Uniform { seed: u64, scale: f64 },
    Integers { seed: u64, low: i64, count: u64 },
    Zeros,
    Uninitialised,
}

#[derive(Debug, Deserialize)]
pub struct Argument {
    #[serde(flatten)]
    pub value: Value,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Value {
    Pointer { buffer: String },
    Scalar { dtype: String, value: serde_json::Number },
    TensorMap(TensorMap),
    Scratch { bytes: u64 },
    Null,
}

/// The operands of `cuTensorMapEncodeTiled`; dimensions innermost first.
#[derive(Debug, Deserialize)]
pub struct TensorMap {
    pub buffer: String,
    pub dtype: String,
    pub dims: Vec<u64>,
    /// In bytes, without the innermost dimension.
    pub strides: Vec<u64>,
    #[serde(rename = "box")]
    pub box_dims: Vec<u32>,
    pub element_strides: Vec<u32>,
    pub swizzle: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub formula: String,
    /// Role to buffer.
    pub inputs: BTreeMap<String, String>,
    pub output: String,
    pub options: FormulaOptions,
    pub abs: f64,
    pub rel: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FormulaOptions {
    eps: f64,
    scale: f64,
    causal: bool,
    b_is_nk: bool,
    c_is_nm: bool,
}

/// The bytes of a buffer before the launch, and which of them are initialised.
pub struct Memory {
    pub bytes: Vec<u8>,
    pub initialised: Vec<bool>,
}

impl Document {
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Buffer {
    pub fn dtype(&self) -> Result<Dtype, String> {
        Dtype::parse(&self.dtype)
    }

    fn data(&self) -> Data {
        match self.data {
            Generator::Uniform { seed, scale } => Data::Uniform { seed, scale },
            Generator::Integers { seed, low, count } => Data::Integers { seed, low, count },
            Generator::Zeros => Data::Zeros,
            Generator::Uninitialised => Data::Uninitialised,
        }
    }

    /// How many elements the array has.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Where element `index` (row-major) lies, in elements from the start.
    fn offset(&self, mut index: usize) -> usize {
        let Some(strides) = &self.strides else { return index };
        let mut offset = 0;
        for (extent, stride) in self.shape.iter().zip(strides).rev() {
            offset += index % extent * stride;
            index /= extent;
        }
        offset
    }

    /// The memory before the launch; it ends with the last element.
    pub fn memory(&self) -> Result<Memory, String> {
        let (dtype, data) = (self.dtype()?, self.data());
        let size = dtype.size();
        let length = if self.count() == 0 { 0 } else { (self.offset(self.count() - 1) + 1) * size };
        let mut memory = Memory { bytes: vec![0; length], initialised: vec![false; length] };
        for index in 0..self.count() {
            if let Some(value) = data.element(index as u64) {
                let at = self.offset(index) * size;
                memory.bytes[at..at + size].copy_from_slice(&dtype.encode(value).to_le_bytes()[..size]);
                memory.initialised[at..at + size].fill(true);
            }
        }
        Ok(memory)
    }

    /// The elements that `bytes`, the memory of this buffer, hold.
    pub fn read(&self, bytes: &[u8]) -> Result<Array, String> {
        let dtype = self.dtype()?;
        let values = (0..self.count()).map(|index| dtype.load(&bytes[self.offset(index) * dtype.size()..])).collect();
        Ok(Array { shape: self.shape.clone(), values })
    }
}

impl Value {
    /// The bytes of a scalar parameter.
    pub fn scalar_bytes(dtype: &str, value: &serde_json::Number) -> Result<Vec<u8>, String> {
        let whole = || value.as_i64().ok_or_else(|| format!("{value} is not a whole number"));
        let fits = |result: Option<Vec<u8>>| result.ok_or_else(|| format!("{value} does not fit {dtype}"));
        match dtype {
            "i32" => fits(i32::try_from(whole()?).ok().map(|v| v.to_le_bytes().to_vec())),
            "u32" => fits(u32::try_from(whole()?).ok().map(|v| v.to_le_bytes().to_vec())),
            "i64" => Ok(whole()?.to_le_bytes().to_vec()),
            "f32" => fits(value.as_f64().map(|v| (v as f32).to_le_bytes().to_vec())),
            _ => Err(format!("unknown scalar type `{dtype}`")),
        }
    }
}

impl Case {
    /// The buffer called `name`.
    pub fn buffer(&self, name: &str) -> Result<&Buffer, String> {
        self.buffers.get(name).ok_or_else(|| format!("case `{}` has no buffer `{name}`", self.name))
    }

    /// What the output must hold.
    pub fn expected(&self) -> Result<Vec<f64>, String> {
        let mut inputs = BTreeMap::new();
        for (role, name) in &self.result.inputs {
            let buffer = self.buffer(name)?;
            inputs.insert(role.clone(), buffer.read(&buffer.memory()?.bytes)?);
        }
        let FormulaOptions { eps, scale, causal, b_is_nk, c_is_nm } = self.result.options;
        let options = Options { eps, scale, causal, b_is_nk, c_is_nm };
        compute(&self.result.formula, &inputs, options, self.buffer(&self.result.output)?.count())
    }

    /// Compares the memory of the output buffer after the launch with what it must hold.
    pub fn check(&self, output: &[u8]) -> Result<(), String> {
        let got = self.buffer(&self.result.output)?.read(output)?.values;
        for (index, (got, want)) in got.iter().zip(self.expected()?).enumerate() {
            let limit = self.result.abs + self.result.rel * want.abs();
            let within = (got - want).abs() <= limit; // false for a NaN too
            if !within {
                return Err(format!("case `{}`: element {index} is {got}, not {want} (within {limit})", self.name));
            }
        }
        Ok(())
    }
}
