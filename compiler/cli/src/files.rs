//! npy arrays in and out.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use tricot_types::{DType, Diagnostic};

/// An array read from a .npy file: C order, little endian.
#[derive(Debug, PartialEq)]
pub struct Array {
    pub dtype: DType,
    pub shape: Vec<u64>,
    pub bytes: Vec<u8>,
}

/// Reads a .npy file.
pub fn read_npy(path: &Path) -> Result<Array, Diagnostic> {
    let file = File::open(path).map_err(|e| tricot_compiler::source::unreadable(path, &e))?;
    parse_npy(BufReader::new(file), &path.display().to_string())
}

/// Reads one array; `name` is for messages.
pub fn parse_npy(mut reader: impl Read, name: &str) -> Result<Array, Diagnostic> {
    let bad = |why: String| Diagnostic::error("TC0903", format!("{name} is no array that can be read: {why}"));
    let header = npyz::NpyHeader::from_reader(&mut reader).map_err(|e| bad(e.to_string()))?;
    let npyz::DType::Plain(kind) = header.dtype() else { return Err(bad("it holds records".into())) };
    let kind = kind.to_string();
    let dtype = match kind.trim_matches('\'') {
        "<f8" => DType::F64,
        "<f4" => DType::F32,
        "<f2" => DType::F16,
        "|V2" | "<V2" => DType::BF16,
        "<i8" => DType::I64,
        "<i4" => DType::I32,
        "<i2" => DType::I16,
        "|i1" => DType::I8,
        "<u8" => DType::U64,
        "<u4" => DType::U32,
        "<u2" => DType::U16,
        "|u1" => DType::U8,
        "|b1" => DType::Bool,
        other => return Err(bad(format!("its element type is {other}"))),
    };
    if header.order() != npyz::Order::C && header.shape().len() > 1 {
        return Err(bad("it is in Fortran order; save it with numpy.ascontiguousarray".into()));
    }
    let shape = header.shape().to_vec();
    let elements = shape.iter().try_fold(1u64, |a, d| a.checked_mul(*d));
    let wanted = elements.and_then(|n| dtype.bytes(n)).ok_or_else(|| bad("its size overflows".into()))?;
    let mut bytes = vec![];
    reader.take(wanted).read_to_end(&mut bytes).map_err(|e| bad(e.to_string()))?;
    if bytes.len() as u64 != wanted {
        return Err(bad(format!("its header promises {wanted} bytes, the file holds {}", bytes.len())));
    }
    Ok(Array { dtype, shape, bytes })
}

/// Reads every array of a .npz archive, by name.
pub fn read_npz(path: &Path) -> Result<Vec<(String, Array)>, Diagnostic> {
    let mut archive = npyz::npz::NpzArchive::open(path)
        .map_err(|e| Diagnostic::error("TC0903", format!("{} is no archive of arrays: {e}", path.display())))?;
    let names: Vec<String> = archive.array_names().map(str::to_string).collect();
    let mut out = vec![];
    for name in names {
        let shown = format!("{}:{name}", path.display());
        let fail = |e: String| Diagnostic::error("TC0903", format!("{shown} cannot be read: {e}"));
        let file = npyz::npz::file_name_from_array_name(&name);
        let entry = archive.zip_archive().by_name(&file).map_err(|e| fail(e.to_string()))?;
        out.push((name, parse_npy(entry, &shown)?));
    }
    Ok(out)
}

/// The .npy form of an array. numpy has no bf16 and no 8-bit floats: those become float32, exactly.
pub fn npy_bytes(dtype: DType, shape: &[u64], bytes: &[u8]) -> Vec<u8> {
    let plain = |d: DType| match d {
        DType::F64 => Some("<f8"),
        DType::F32 => Some("<f4"),
        DType::F16 => Some("<f2"),
        DType::I64 => Some("<i8"),
        DType::I32 => Some("<i4"),
        DType::I16 => Some("<i2"),
        DType::I8 => Some("|i1"),
        DType::U64 => Some("<u8"),
        DType::U32 => Some("<u4"),
        DType::U16 => Some("<u2"),
        DType::U8 => Some("|u1"),
        DType::Bool => Some("|b1"),
        _ => None,
    };
    let count = shape.iter().product::<u64>() as usize;
    let (kind, data) = match plain(dtype) {
        Some(kind) => (kind, bytes.to_vec()),
        None if dtype.is_float() => {
            let values = tricot_dialects::scalar::decode(dtype, bytes, count);
            ("<f4", tricot_dialects::scalar::encode(DType::F32, &values))
        }
        None => {
            let values = tricot_dialects::scalar::decode_int(dtype, bytes, count);
            let (kind, wide) = if dtype == DType::U4 { ("|u1", DType::U8) } else { ("|i1", DType::I8) };
            (kind, tricot_dialects::scalar::encode_int(wide, &values))
        }
    };
    let comma = if shape.len() == 1 { "," } else { "" };
    let dims = shape.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({dims}{comma}), }}");
    // Magic, version, length and header together end at a multiple of 64, with a newline last (NPY format 1.0).
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_survive_npy() {
        for (dtype, shape) in
            [(DType::F32, vec![2, 3]), (DType::I64, vec![5]), (DType::Bool, vec![]), (DType::U8, vec![4, 1])]
        {
            let count = shape.iter().product::<u64>();
            let bytes: Vec<u8> = (0..dtype.bytes(count).unwrap()).map(|i| (i % 2) as u8).collect();
            let text = npy_bytes(dtype, &shape, &bytes);
            assert_eq!((text.len() - bytes.len()) % 64, 0);
            assert_eq!(parse_npy(text.as_slice(), "test").unwrap(), Array { dtype, shape, bytes });
        }
    }

    #[test]
    fn a_short_file_says_how_short() {
        let mut text = npy_bytes(DType::F32, &[4], &[0; 16]);
        text.truncate(text.len() - 3);
        let problem = parse_npy(text.as_slice(), "short.npy").unwrap_err();
        assert!(problem.message.contains("promises 16 bytes, the file holds 13"), "{problem}");
    }
}
