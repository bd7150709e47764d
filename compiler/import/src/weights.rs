//! safetensors in and out: the weights that belong to graph text.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::path::Path;
use std::sync::Arc;
use tricot_dialects::{Constant, ConstantStore, Module};
use tricot_types::{DType, Diagnostic};

/// Our name for a safetensors element type.
fn dtype(theirs: Dtype) -> Option<DType> {
    Some(match theirs {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::U8,
        Dtype::I8 => DType::I8,
        Dtype::F8_E5M2 => DType::F8E5M2,
        Dtype::F8_E4M3 => DType::F8E4M3,
        Dtype::I16 => DType::I16,
        Dtype::U16 => DType::U16,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I32 => DType::I32,
        Dtype::U32 => DType::U32,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::I64 => DType::I64,
        Dtype::U64 => DType::U64,
        _ => return None,
    })
}

/// A window of a mapped file.
struct Window {
    map: Arc<memmap2::Mmap>,
    start: usize,
    end: usize,
}

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        &self.map[self.start..self.end]
    }
}

const AGAIN: &str = "the file may be truncated; fetch or save it again";

/// Maps a safetensors file; its tensors by name, none of them copied.
///
/// # Errors
/// TC0250 the file cannot be read, TC0251 it is damaged, TC0252 element types Tricot does not have, all listed.
pub fn load_constants(path: &Path) -> Result<ConstantStore, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| vec![Diagnostic::error("TC0250", format!("{name} cannot be read: {e}"))];
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // SAFETY: as with every mapped model file, whoever changes it while we read gets what they wrote; bounds come from the map.
    let map = Arc::new(unsafe { memmap2::Mmap::map(&file) }.map_err(unreadable)?);
    let tensors = SafeTensors::deserialize(&map)
        .map_err(|e| Diagnostic::error("TC0251", format!("{name} is no safetensors file: {e}")).with_help(AGAIN))?;
    let (mut store, mut problems) = (ConstantStore::default(), vec![]);
    let mut all = tensors.tensors();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    for (tensor, view) in all {
        let Some(dtype) = dtype(view.dtype()) else {
            let message =
                format!("tensor `{tensor}` of {name} has element type {:?}, which Tricot does not have", view.dtype());
            problems.push(Diagnostic::error("TC0252", message));
            continue;
        };
        let shape = view.shape().iter().map(|d| *d as u64).collect();
        let start = view.data().as_ptr() as usize - map.as_ptr() as usize;
        let window = Window { map: map.clone(), start, end: start + view.data().len() };
        match Constant::new(dtype, shape, Arc::new(window)) {
            Some(constant) => drop(store.add_named(&tensor, constant)),
            None => problems.push(
                Diagnostic::error(
                    "TC0251",
                    format!("tensor `{tensor}` of {name} has a size that contradicts its shape"),
                )
                .with_help(AGAIN),
            ),
        }
    }
    if problems.is_empty() { Ok(store) } else { Err(problems) }
}

/// All constants of a module as the bytes of a safetensors file, named as in the model where they have a unique name, else by hash.
/// Reading it back finds each by its content.
///
/// # Errors
/// TC0253 a 4-bit constant: safetensors has no such element type.
pub fn constants_bytes(module: &Module) -> Result<Vec<u8>, Vec<Diagnostic>> {
    let (mut tensors, mut problems) = (std::collections::BTreeMap::new(), vec![]);
    for (hash, constant) in module.constants.iter() {
        let shown = module.constants.name(hash).map_or_else(|| hash.to_string(), str::to_string);
        let Some(theirs) = ALL.into_iter().find(|t| dtype(*t) == Some(constant.dtype)) else {
            let message = format!("constant `{shown}` is {}, which safetensors cannot hold", constant.dtype);
            problems.push(Diagnostic::error("TC0253", message));
            continue;
        };
        let shape = constant.shape.iter().map(|d| *d as usize).collect();
        let view = TensorView::new(theirs, shape, constant.bytes()).expect("a constant's bytes fit its shape");
        let name = if tensors.contains_key(&shown) { hash.to_string() } else { shown };
        tensors.insert(name, view);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    safetensors::serialize(tensors, None)
        .map_err(|e| vec![Diagnostic::error("TC0251", format!("weights cannot be written: {e}"))])
}

const ALL: [Dtype; 15] = [
    Dtype::BOOL,
    Dtype::U8,
    Dtype::I8,
    Dtype::F8_E5M2,
    Dtype::F8_E4M3,
    Dtype::I16,
    Dtype::U16,
    Dtype::F16,
    Dtype::BF16,
    Dtype::I32,
    Dtype::U32,
    Dtype::F32,
    Dtype::F64,
    Dtype::I64,
    Dtype::U64,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_survive_safetensors() {
        let mut module = Module::new("m");
        let a = module
            .constants
            .add_named("layer.weight", Constant::from_f64(DType::BF16, vec![2, 3], &[1.0, -2.5, 0.0, 3.0, 1e9, -0.0]));
        let b = module.constants.add(Constant::from_i64(DType::U8, vec![3], &[0, 7, 255]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        std::fs::write(&path, constants_bytes(&module).unwrap()).unwrap();
        let back = load_constants(&path).unwrap();
        assert_eq!(back.by_name("layer.weight"), Some(a));
        assert_eq!(back.get(b).unwrap().bytes(), [0, 7, 255]);
    }

    #[test]
    fn damage_is_coded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        for bytes in [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", b"\x02\0\0\0\0\0\0\0{]"] {
            std::fs::write(&path, bytes).unwrap();
            let problems = load_constants(&path).map(|_| ()).unwrap_err();
            assert!(matches!(problems[0].code, "TC0250" | "TC0251"), "{}", problems[0]);
        }
    }
}
