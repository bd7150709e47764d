//! From ONNX tensors to constants: element types, raw and typed data fields, external files.

use super::proto::{StringStringEntryProto, TensorProto, TypeProto, tensor_proto::DataType, type_proto};
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tricot_dialects::Constant;
use tricot_dialects::scalar::{encode, encode_int};
use tricot_types::{DType, Diagnostic};

/// The element type of an ONNX type number, or the ONNX name of one that Tricot does not have.
pub fn dtype(number: i32) -> Result<DType, String> {
    let kind = DataType::try_from(number).map_err(|_| format!("number {number}"))?;
    Ok(match kind {
        DataType::Float => DType::F32,
        DataType::Double => DType::F64,
        DataType::Float16 => DType::F16,
        DataType::Bfloat16 => DType::BF16,
        DataType::Float8e4m3fn => DType::F8E4M3,
        DataType::Float8e5m2 => DType::F8E5M2,
        DataType::Int64 => DType::I64,
        DataType::Int32 => DType::I32,
        DataType::Int16 => DType::I16,
        DataType::Int8 => DType::I8,
        DataType::Int4 => DType::I4,
        DataType::Uint64 => DType::U64,
        DataType::Uint32 => DType::U32,
        DataType::Uint16 => DType::U16,
        DataType::Uint8 => DType::U8,
        DataType::Uint4 => DType::U4,
        DataType::Bool => DType::Bool,
        other => return Err(other.as_str_name().to_lowercase()),
    })
}

/// The diagnostic for an element type outside Tricot's.
pub fn unsupported_dtype(name: &str) -> Diagnostic {
    let known: Vec<&str> = DType::ALL.iter().map(|d| d.name()).collect();
    Diagnostic::error("TC0204", format!("the element type {name} is not supported"))
        .with_help(format!("cast the model to one of {}", known.join(", ")))
}

/// The tensor type a value declares: element type number and dimensions (`None`: rank unknown).
pub fn declared(ty: &TypeProto) -> Result<&type_proto::Tensor, Diagnostic> {
    let other = match &ty.value {
        Some(type_proto::Value::TensorType(t)) => return Ok(t),
        Some(type_proto::Value::SequenceType(_)) => "a sequence",
        Some(type_proto::Value::MapType(_)) => "a map",
        Some(type_proto::Value::OptionalType(_)) => "an optional",
        Some(type_proto::Value::SparseTensorType(_)) => "a sparse tensor",
        Some(type_proto::Value::OpaqueType(_)) => "opaque",
        None => "untyped",
    };
    Err(Diagnostic::error("TC0204", format!("the value is {other}; only dense tensors are supported")))
}

/// Files beside the model that hold tensor data, mapped at most once each.
#[derive(Default)]
pub struct External {
    /// The folder of the model; `None` when the model came as bytes.
    pub folder: Option<PathBuf>,
    maps: BTreeMap<PathBuf, Arc<Mmap>>,
}

/// A window of a mapped file.
struct Window {
    map: Arc<Mmap>,
    start: usize,
    len: usize,
}

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        &self.map[self.start..self.start + self.len]
    }
}

fn external(message: String) -> Diagnostic {
    Diagnostic::error("TC0211", message)
}

impl External {
    fn window(&mut self, entries: &[StringStringEntryProto], needed: u64) -> Result<Window, Diagnostic> {
        let entry = |key: &str| entries.iter().find(|e| e.key() == key).map(|e| e.value());
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text
                .parse::<u64>()
                .map(Some)
                .map_err(|_| external(format!("`{key}` of external data is `{text}`, not a number of bytes"))),
        };
        let location = entry("location").ok_or_else(|| external("external data names no location".into()))?;
        let folder = self.folder.clone().ok_or_else(|| {
            external(format!("the data lies in `{location}`, but the model has no folder"))
                .with_help("import the model by its path")
        })?;
        let relative = Path::new(location);
        // Data may lie beside the model or below it, nowhere else.
        if location.contains('\\')
            || !relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
        {
            return Err(external(format!("external data at `{location}` would lie outside the model's folder"))
                .with_help("move the file beside the model and correct its location"));
        }
        let path = folder.join(relative);
        let map = match self.maps.get(&path) {
            Some(map) => map.clone(),
            None => {
                let map = Arc::new(open(&folder, &path, location)?);
                self.maps.insert(path, map.clone());
                map
            }
        };
        let offset = number("offset")?.unwrap_or(0);
        let len = number("length")?.unwrap_or(needed);
        let fits = offset.checked_add(len).is_some_and(|end| end <= map.len() as u64);
        if !fits || len != needed {
            return Err(external(format!(
                "the tensor needs {needed} bytes; the model says {len} at byte {offset} of `{location}`, which has {}",
                map.len()
            )));
        }
        Ok(Window { map, start: offset as usize, len: len as usize })
    }
}

fn open(folder: &Path, path: &Path, location: &str) -> Result<Mmap, Diagnostic> {
    let failed = |e: std::io::Error| {
        external(format!("cannot read external data `{location}`: {e}")).with_help("put the file beside the model")
    };
    // A link inside the folder must not lead out of it either.
    let (real, root) = (path.canonicalize().map_err(failed)?, folder.canonicalize().map_err(failed)?);
    if !real.starts_with(&root) {
        return Err(external(format!("external data `{location}` is a link out of the model's folder")));
    }
    let file = std::fs::File::open(&real).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(external(format!("external data `{location}` is no file")));
    }
    // SAFETY: the map is read only; a file that another process truncates meanwhile faults, as with every mapped file.
    unsafe { Mmap::map(&file) }.map_err(failed)
}

/// Reads a tensor. All lengths are checked against the shape.
pub fn constant(tensor: &TensorProto, files: &mut External) -> Result<Constant, Diagnostic> {
    let dtype = dtype(tensor.data_type.unwrap_or(0)).map_err(|name| unsupported_dtype(&name))?;
    let bad = |message: String| Diagnostic::error("TC0212", format!("tensor `{}`: {message}", tensor.name()));
    let mut shape = vec![];
    let mut count = 1u64;
    for d in &tensor.dims {
        let size = u64::try_from(*d).map_err(|_| bad(format!("the size {d} is negative")))?;
        count = count.checked_mul(size).filter(|c| *c < 1 << 42).ok_or_else(|| bad("the shape is too large".into()))?;
        shape.push(size);
    }
    let needed = dtype.bytes(count).expect("below 2^46");
    if tensor.segment.is_some() {
        return Err(bad("segmented tensors are not supported".into()));
    }
    let finish = |bytes: tricot_dialects::constant::Bytes, shape: Vec<u64>| {
        let have = (*bytes).as_ref().len();
        Constant::new(dtype, shape, bytes).ok_or_else(|| bad(format!("{have} bytes of data, the shape needs {needed}")))
    };
    if tensor.data_location == Some(1) {
        let window = files.window(&tensor.external_data, needed)?;
        return finish(Arc::new(window), shape);
    }
    if let Some(raw) = &tensor.raw_data {
        return finish(Arc::new(raw.clone()), shape);
    }
    let check = |have: usize, per: u64| match have as u64 == count.div_ceil(per) {
        true => Ok(()),
        false => Err(bad(format!("{have} data entries, the shape has {count} elements"))),
    };
    let bytes = match dtype {
        DType::F32 => {
            check(tensor.float_data.len(), 1)?;
            tensor.float_data.iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        DType::F64 => {
            check(tensor.double_data.len(), 1)?;
            encode(dtype, &tensor.double_data)
        }
        DType::I64 => {
            check(tensor.int64_data.len(), 1)?;
            encode_int(dtype, &tensor.int64_data)
        }
        DType::U64 | DType::U32 => {
            check(tensor.uint64_data.len(), 1)?;
            encode_int(dtype, &tensor.uint64_data.iter().map(|v| *v as i64).collect::<Vec<_>>())
        }
        DType::I4 | DType::U4 => {
            // Two elements an entry, already packed.
            check(tensor.int32_data.len(), 2)?;
            tensor.int32_data.iter().map(|v| *v as u8).collect()
        }
        DType::F16 | DType::BF16 => {
            check(tensor.int32_data.len(), 1)?;
            tensor.int32_data.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect()
        }
        DType::F8E4M3 | DType::F8E5M2 => {
            check(tensor.int32_data.len(), 1)?;
            tensor.int32_data.iter().map(|v| *v as u8).collect()
        }
        _ => {
            check(tensor.int32_data.len(), 1)?;
            encode_int(dtype, &tensor.int32_data.iter().map(|v| i64::from(*v)).collect::<Vec<_>>())
        }
    };
    finish(Arc::new(bytes), shape)
}
