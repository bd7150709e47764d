//! What the hardware answered.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::matrix::Form;
use super::scalar::{Row, SETS};

/// The folder of the recording: the repository's, whose path from the crate is given, or that of `PTX_RECORDING`.
pub fn folder(usual: &str) -> PathBuf {
    env::var_os("PTX_RECORDING").map_or_else(|| usual.into(), PathBuf::from)
}

/// Panics unless a part of recording.json names these programs in this order: what is added or moved must be recorded anew.
pub fn is_recorded(folder: &Path, part: &str, names: &[&str]) {
    let text = fs::read_to_string(folder.join("recording.json")).expect("recording.json");
    let json: serde_json::Value = serde_json::from_str(&text).expect("recording.json is JSON");
    let recorded = json[part].as_array().unwrap_or_else(|| panic!("recording.json has no {part}"));
    assert_eq!(recorded.len(), names.len(), "programs of {part} recorded, and programs");
    for (number, (recorded, name)) in recorded.iter().zip(names).enumerate() {
        assert_eq!(recorded.as_str(), Some(*name), "{part} {number}");
    }
}

/// The recorded results of each row's sets.
pub fn scalar(folder: &Path, rows: &[Row]) -> Vec<Vec<u64>> {
    let words = fs::read(folder.join("scalar.out")).expect("scalar.out: see record.py for the command that makes it");
    let bytes = |row: &Row| row.bits as usize / 8;
    let length: usize = rows.iter().map(|row| SETS * bytes(row)).sum();
    assert_eq!(words.len(), length, "the recording and the rows differ in length: record the rows anew");
    let mut rest = &words[..];
    let word = |part: &[u8]| part.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    rows.iter()
        .map(|row| {
            let (mine, others) = rest.split_at(SETS * bytes(row));
            rest = others;
            mine.chunks(bytes(row)).map(word).collect()
        })
        .collect()
}

/// The recorded words of each form: trial by trial, thread by thread.
pub fn matrix(folder: &Path, forms: &[Form]) -> Vec<Vec<u32>> {
    let bytes = fs::read(folder.join("matrix.out")).expect("matrix.out: see record.py for the command that makes it");
    let count = |form: &Form| (form.trials * form.threads() * form.d_words()) as usize;
    let length: usize = forms.iter().map(|form| 4 * count(form)).sum();
    assert_eq!(bytes.len(), length, "the recording and the forms differ in length: record the forms anew");
    let mut words = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    forms.iter().map(|form| words.by_ref().take(count(form)).collect()).collect()
}
