//! The one byte layout of a `.tricot` archive: zip64, stored entries, each entry's data 64-byte aligned.
//!
//! Every structural byte is a function of the entries' names, sizes and CRC-32s ([`Member`]), so writer and
//! reader share this module: the writer emits these bytes, the reader compares. Nothing here knows what an
//! entry holds. Field layout: PKWARE APPNOTE 6.3.10, sections 4.3.7 to 4.3.16 and 4.5.3 (zip64 extra field);
//! alignment padding sits in a local extra field with the identifier Apache Commons Compress uses for it.

use std::io;

/// Alignment of every entry's data from the start of the archive.
pub const ALIGN: u64 = 64;
/// Name of the first entry.
pub const MANIFEST: &str = "manifest.json";
/// Bytes of the end of a bundle: zip64 end record, its locator and the end record.
pub const END_BYTES: u64 = 56 + 20 + 22;
/// Longest entry name.
pub const MAX_NAME: usize = 1024;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
const END: u32 = 0x0605_4b50;
/// "Version needed": 4.5, the first with zip64.
const VERSION: u16 = 45;
/// "Made by": Unix, 4.5.
const MADE_BY: u16 = 3 << 8 | VERSION;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
/// 1980-01-01, the first day a zip can name.
const DATE: u16 = 1 << 5 | 1;
const ZIP64_EXTRA: u16 = 0x0001;
const ALIGN_EXTRA: u16 = 0xa11e;

/// What the structure records about one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub name: String,
    pub bytes: u64,
    pub crc32: u32,
}

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&mut self, v: u16) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn u32(&mut self, v: u32) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn u64(&mut self, v: u64) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    /// Version, flags, method "stored", time and date, CRC-32 and the two sizes that zip64 replaces.
    fn common(&mut self, m: &Member) -> &mut Self {
        self.u16(VERSION).u16(FLAGS).u16(0).u16(0).u16(DATE).u32(m.crc32).u32(u32::MAX).u32(u32::MAX)
    }
}

/// Local header of an entry that starts at byte `at`; the entry's data follows it, aligned.
/// The name must be at most [`MAX_NAME`] bytes.
pub fn local_header(m: &Member, at: u64) -> Vec<u8> {
    let fixed = 30 + m.name.len() as u64 + 20 + 6;
    let pad = (at + fixed).next_multiple_of(ALIGN) - (at + fixed);
    let mut b = Bytes::default();
    b.u32(LOCAL).common(m).u16(m.name.len() as u16).u16((20 + 6 + pad) as u16);
    b.0.extend(m.name.as_bytes());
    b.u16(ZIP64_EXTRA).u16(16).u64(m.bytes).u64(m.bytes);
    b.u16(ALIGN_EXTRA).u16(2 + pad as u16).u16(ALIGN as u16);
    b.0.resize(b.0.len() + pad as usize, 0);
    b.0
}

/// Everything behind the last entry's data, which ends at byte `at`: the central directory over
/// (entry, byte of its local header) and the end records.
pub fn directory(members: &[(Member, u64)], at: u64) -> Vec<u8> {
    let mut b = Bytes::default();
    for (m, header) in members {
        b.u32(CENTRAL).u16(MADE_BY).common(m).u16(m.name.len() as u16).u16(28);
        // No comment, disk 0, no internal attributes, a regular file rw-r--r--, offset in zip64.
        b.u16(0).u16(0).u16(0).u32(0o100644 << 16).u32(u32::MAX);
        b.0.extend(m.name.as_bytes());
        b.u16(ZIP64_EXTRA).u16(24).u64(m.bytes).u64(m.bytes).u64(*header);
    }
    let (size, count) = (b.0.len() as u64, members.len() as u64);
    b.u32(END64).u64(44).u16(MADE_BY).u16(VERSION).u32(0).u32(0).u64(count).u64(count).u64(size).u64(at);
    b.u32(LOCATOR64).u32(0).u64(at + size).u32(1);
    b.u32(END).u16(0).u16(0).u16(u16::MAX).u16(u16::MAX).u32(u32::MAX).u32(u32::MAX).u16(0);
    b.0
}

/// Where the central directory starts and how many bytes and entries it has, from the archive's last
/// [`END_BYTES`] bytes. `None` when they are no zip64 end; the values are unchecked.
pub fn read_end(end: &[u8]) -> Option<(u64, u64, u64)> {
    let u32_at = |at: usize| Some(u32::from_le_bytes(end.get(at..at + 4)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_le_bytes(end.get(at..at + 8)?.try_into().ok()?));
    let magic = u32_at(0)? == END64 && u32_at(56)? == LOCATOR64 && u32_at(76)? == END;
    magic.then_some((u64_at(48)?, u64_at(40)?, u64_at(24)?))
}

/// Reads one central directory record at the start of `bytes`: the member, the byte of its local header and
/// the record's length. `None` when it is no record of ours; the caller compares all bytes afterwards.
pub fn read_record(bytes: &[u8]) -> Option<(Member, u64, usize)> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let name = usize::from(u16_at(28)?);
    if u32_at(0)? != CENTRAL || name > MAX_NAME {
        return None;
    }
    let text = std::str::from_utf8(bytes.get(46..46 + name)?).ok()?;
    let extra = 46 + name;
    let member = Member { name: text.into(), bytes: u64_at(extra + 4)?, crc32: u32_at(16)? };
    Some((member, u64_at(extra + 20)?, extra + 28))
}

/// Whether an entry may be called `name`: relative, `/`-separated, of `[A-Za-z0-9._+@-]` and no `.`/`..` parts,
/// so that unpacking a bundle anywhere stays inside its folder.
pub fn name_is_legal(name: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty() && p != "." && p != ".." && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+@-".contains(&b))
    };
    name.len() <= MAX_NAME && name.split('/').all(part)
}

/// CRC-32 as in zip.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// CRC-32 (as in zip) and blake3 of everything written to it.
#[derive(Default)]
pub struct Hasher {
    crc: crc32fast::Hasher,
    blake: blake3::Hasher,
    bytes: u64,
}

impl Hasher {
    /// Bytes written, CRC-32 and blake3.
    pub fn finish(self) -> (u64, u32, blake3::Hash) {
        (self.bytes, self.crc.finalize(), self.blake.finalize())
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.crc.update(bytes);
        self.blake.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
