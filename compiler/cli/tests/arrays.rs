//! Small numpy files, written and read back.

use crate::text;
use npyz::WriterBuilder;
use std::path::Path;

/// Writes float32 values as `NAME.npy` and gives its path.
pub fn npy(folder: &Path, name: &str, shape: &[u64], values: &[f32]) -> String {
    let path = folder.join(name).with_extension("npy");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    text(&path).to_string()
}

/// Writes one array into an archive.
pub fn npz(folder: &Path, name: &str, array: &str, shape: &[u64], values: &[f32]) -> String {
    let path = folder.join(name).with_extension("npz");
    let mut archive = npyz::npz::NpzWriter::create(&path).unwrap();
    let entry = archive.array(array, Default::default()).unwrap();
    let mut writer = entry.default_dtype().shape(shape).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    drop(archive);
    text(&path).to_string()
}

/// Shape and values of a float32 file.
pub fn read(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let file = npyz::NpyFile::new(&bytes[..]).unwrap();
    let shape = file.shape().to_vec();
    (shape, file.into_vec().unwrap())
}
