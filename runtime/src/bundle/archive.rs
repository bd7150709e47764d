//! Reads the structure of a `.tricot` archive from untrusted bytes.
//!
//! The central type is [`Archive`]: entry names and the byte ranges of their data. The structure is
//! canonical, so after reading the directory every header and padding byte is compared with what the writer
//! would have written; one flipped bit is reported with its offset. Allocation is bounded by the length of
//! the input. Does not look into entries, except for the CRC-32 of the manifest.

use super::layout::{self, END_BYTES, MANIFEST};
use std::collections::BTreeMap;
use std::ops::Range;
use tricot_types::Diagnostic;

/// The entries of an archive: name to byte range of the data.
#[derive(Debug)]
pub struct Archive {
    pub entries: BTreeMap<String, Range<usize>>,
}

impl Archive {
    /// Reads and checks all structure. `file` names the bytes in messages.
    pub fn read(bytes: &[u8], file: &str) -> Result<Archive, Diagnostic> {
        let damaged = |at: usize, what: &str| {
            Diagnostic::error("TC0703", format!("damaged bundle: {what}"))
                .at_byte(file, at as u64, "first bad byte")
                .with_help("copy or build the bundle again; bundles must not be re-packed by other zip tools")
        };
        let no_end = || {
            Diagnostic::error(
                "TC0702",
                format!("`{file}` is not a complete Tricot bundle: its zip64 end record is missing"),
            )
            .at_byte(file, (bytes.len() as u64).saturating_sub(END_BYTES), "expected the end record here")
            .with_help("the file is truncated or no bundle; copy or build it again")
        };
        let end_at = bytes.len().checked_sub(END_BYTES as usize).ok_or_else(no_end)?;
        let (start, size, count) = layout::read_end(&bytes[end_at..]).ok_or_else(no_end)?;
        if start.checked_add(size) != Some(end_at as u64) {
            return Err(damaged(end_at, "the end record's directory range does not end where the record starts"));
        }
        let start = start as usize;
        let mut members = vec![];
        let mut at = start;
        while at < end_at {
            let (member, header, length) =
                layout::read_record(&bytes[at..end_at]).ok_or_else(|| damaged(at, "unreadable directory record"))?;
            members.push((member, header));
            at += length;
        }
        if members.len() as u64 != count {
            return Err(damaged(end_at + 24, &format!("{count} entries announced, {} found", members.len())));
        }

        let mut entries = BTreeMap::new();
        let mut at = 0u64;
        let mut previous: Option<&str> = None;
        for (member, header) in &members {
            let name = member.name.as_str();
            if !layout::name_is_legal(name) {
                return Err(damaged(start, &format!("illegal entry name {name:?}")));
            }
            let ordered = match previous {
                None => name == MANIFEST,
                Some(MANIFEST) => name != MANIFEST,
                Some(before) => before < name,
            };
            if !ordered {
                return Err(damaged(start, &format!("entry `{name}` is out of order or repeated")));
            }
            if *header != at {
                return Err(damaged(
                    start,
                    &format!("entry `{name}` should start at byte {at}, the directory says {header}"),
                ));
            }
            let expected = layout::local_header(member, at);
            compare(bytes, at as usize, &expected).map_err(|b| damaged(b, &format!("header of entry `{name}`")))?;
            let data = at + expected.len() as u64;
            let end = data.checked_add(member.bytes).filter(|end| *end <= start as u64);
            at = end.ok_or_else(|| damaged(at as usize, &format!("entry `{name}` runs past the directory")))?;
            entries.insert(member.name.clone(), data as usize..at as usize);
            previous = Some(name);
        }
        if at != start as u64 {
            return Err(damaged(at as usize, "unused bytes between the last entry and the directory"));
        }
        compare(bytes, start, &layout::directory(&members, at)).map_err(|b| damaged(b, "central directory"))?;
        let manifest = members.first().ok_or_else(|| damaged(start, "no entries"))?;
        let range = entries[MANIFEST].clone();
        if layout::crc32(&bytes[range.clone()]) != manifest.0.crc32 {
            return Err(damaged(range.start, "the manifest does not match its CRC-32"));
        }
        Ok(Archive { entries })
    }
}

/// The first byte of `bytes[at..]` that differs from `expected`.
fn compare(bytes: &[u8], at: usize, expected: &[u8]) -> Result<(), usize> {
    let have = bytes.get(at..).unwrap_or(&[]);
    match expected.iter().enumerate().find(|(i, e)| have.get(*i) != Some(e)) {
        None => Ok(()),
        Some((i, _)) => Err(at + i),
    }
}
