//! Writes `.tricot` bundles.
//!
//! The central function is [`write_bundle`]. Bytes depend on nothing but the manifest and the entries: fixed
//! times, sorted order, the manifest first. Entries are streamed twice (once to hash, once to write), so weights
//! need no memory. Knows no graph and no target; the layout is [`tricot_runtime::bundle::layout`].

mod atomic;

pub use atomic::AtomicFile;
pub(crate) use atomic::cannot_write;

use rayon::prelude::*;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tricot_plan::{Entry, FORMAT_VERSION, Manifest};
use tricot_runtime::bundle::layout::{self, Hasher, MANIFEST, Member};
use tricot_types::{DType, Diagnostic};

/// Folder beside the bundle for weights held outside it; file names are digests, so bundles may share it.
pub const EXTERNAL_FOLDER: &str = "weights";

/// Bytes that can be read again and again.
pub trait Payload: Send + Sync {
    /// Writes all bytes, the same at every call.
    fn write_to(&self, sink: &mut dyn Write) -> io::Result<()>;
}

impl Payload for Vec<u8> {
    fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        sink.write_all(self)
    }
}

impl Payload for std::sync::Arc<[u8]> {
    fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        sink.write_all(self)
    }
}

/// A range of a file, such as a weight in a safetensors file.
pub struct FileRange {
    pub path: PathBuf,
    pub offset: u64,
    pub bytes: u64,
}

impl Payload for FileRange {
    fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        use std::io::Seek;
        let mut file = std::fs::File::open(&self.path)?;
        file.seek(io::SeekFrom::Start(self.offset))?;
        let copied = io::copy(&mut file.take(self.bytes), sink)?;
        if copied == self.bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// Bytes made by a function, such as a prepack recipe.
impl<F: Fn(&mut dyn Write) -> io::Result<()> + Send + Sync> Payload for F {
    fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        self(sink)
    }
}

/// One entry to write.
pub struct NewEntry<'a> {
    /// Name in the archive: `sm_90a/<kernel>.cubin`, `weights/<name>`; see [`layout::name_is_legal`].
    pub name: String,
    pub payload: Box<dyn Payload + 'a>,
    /// For weights: element type and shape.
    pub tensor: Option<(DType, Vec<u64>)>,
}

impl<'a> NewEntry<'a> {
    /// Code, text, anything that is no weight.
    pub fn new(name: impl Into<String>, payload: impl Payload + 'a) -> NewEntry<'a> {
        NewEntry { name: name.into(), payload: Box::new(payload), tensor: None }
    }

    /// A weight; its bytes are dense and row-major.
    pub fn weight(name: impl Into<String>, payload: impl Payload + 'a, dtype: DType, shape: &[u64]) -> NewEntry<'a> {
        NewEntry { name: name.into(), payload: Box::new(payload), tensor: Some((dtype, shape.into())) }
    }
}

/// How a bundle is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteOptions {
    /// Weights become files in [`EXTERNAL_FOLDER`] beside the bundle.
    pub external_weights: bool,
}

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Digest that stands for the bundle, 64 hex digits; `Module::load` takes its bytes.
    pub digest: String,
    /// Bytes of the archive.
    pub bytes: u64,
}

/// Writes a bundle at `path`, whole or not at all: also when the process is interrupted, no partial file stays.
/// `manifest.format` and `manifest.entries` are filled in here.
///
/// # Errors
/// TC0720 the place cannot be written, TC0721 the disk is full, TC0722 an entry could not be read or changed while it
/// was written, TC0723 an illegal or repeated entry name. Problems with entries are reported all at once.
pub fn write_bundle(
    path: &Path,
    manifest: &Manifest,
    entries: Vec<NewEntry>,
    options: &WriteOptions,
) -> Result<Written, Vec<Diagnostic>> {
    let bundle = Prepared::new(manifest, entries, options)?;
    let mut file = AtomicFile::create(path)?;
    let mut created = Created(vec![]);
    let folder = path.parent().unwrap_or(Path::new(""));
    for item in bundle.items.iter().filter(|i| i.external) {
        created.write(&folder.join(external_name(&item.hash)), item)?;
    }
    let bytes = bundle.stream(&mut file).map_err(|e| e.at(path))?;
    file.commit()?;
    created.0.clear();
    tracing::info!(path = %path.display(), bytes, digest = %bundle.digest, "wrote bundle");
    Ok(Written { digest: bundle.digest.to_hex().to_string(), bytes })
}

/// The bundle's bytes in memory, weights inside.
pub fn bundle_bytes(manifest: &Manifest, entries: Vec<NewEntry>) -> Result<Vec<u8>, Vec<Diagnostic>> {
    let bundle = Prepared::new(manifest, entries, &WriteOptions::default())?;
    let mut out = vec![];
    bundle.stream(&mut out).map_err(|e| e.at(Path::new("memory")))?;
    Ok(out)
}

fn external_name(hash: &blake3::Hash) -> String {
    format!("{EXTERNAL_FOLDER}/{}.bin", hash.to_hex())
}

/// External weight files made so far; removed again when the bundle does not come about.
struct Created(Vec<PathBuf>);

impl Created {
    fn write(&mut self, path: &Path, item: &Item) -> Result<(), Diagnostic> {
        if path.metadata().is_ok_and(|m| m.is_file() && m.len() == item.bytes) {
            return Ok(()); // The name is the digest: the weight is there already.
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| atomic::cannot_write(folder, &e))?;
        }
        let mut file = AtomicFile::create(path)?;
        item.copy(&mut file).map_err(|e| e.at(path))?;
        file.commit()?;
        self.0.push(path.into());
        Ok(())
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| {
            let _ = std::fs::remove_file(path);
        });
    }
}

/// An entry with its size and digests.
struct Item<'a> {
    name: String,
    payload: Box<dyn Payload + 'a>,
    bytes: u64,
    crc32: u32,
    hash: blake3::Hash,
    external: bool,
}

/// Why streaming stopped: the source's fault or the sink's.
enum Stopped {
    Source(Diagnostic),
    Sink(io::Error),
}

impl Stopped {
    fn at(self, path: &Path) -> Diagnostic {
        match self {
            Stopped::Source(d) => d,
            Stopped::Sink(e) => atomic::cannot_write(path, &e),
        }
    }
}

impl Item<'_> {
    /// Copies the payload, checking that it is what was hashed.
    fn copy(&self, sink: &mut dyn Write) -> Result<(), Stopped> {
        struct Both<'s> {
            sink: &'s mut dyn Write,
            hasher: Hasher,
            failed: Option<io::Error>,
        }
        impl Write for Both<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if let Err(e) = self.sink.write_all(bytes) {
                    let kind = e.kind();
                    self.failed = Some(e);
                    return Err(kind.into());
                }
                self.hasher.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut both = Both { sink, hasher: Hasher::default(), failed: None };
        let result = self.payload.write_to(&mut both);
        if let Some(e) = both.failed {
            return Err(Stopped::Sink(e));
        }
        result.map_err(|e| Stopped::Source(unreadable(&self.name, &e.to_string())))?;
        match both.hasher.finish() == (self.bytes, self.crc32, self.hash) {
            true => Ok(()),
            false => Err(Stopped::Source(unreadable(&self.name, "its bytes changed meanwhile"))),
        }
    }
}

fn unreadable(name: &str, why: &str) -> Diagnostic {
    Diagnostic::error("TC0722", format!("cannot read the content of bundle entry `{name}`: {why}"))
        .with_help("leave the model's files alone while a bundle is built, and build again")
}

/// Everything known but the payloads' bytes.
struct Prepared<'a> {
    manifest: Vec<u8>,
    digest: blake3::Hash,
    /// By name.
    items: Vec<Item<'a>>,
}

impl<'a> Prepared<'a> {
    fn new(
        manifest: &Manifest,
        mut entries: Vec<NewEntry<'a>>,
        options: &WriteOptions,
    ) -> Result<Prepared<'a>, Vec<Diagnostic>> {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut problems = vec![];
        let mut names = BTreeSet::from([MANIFEST]);
        for entry in &entries {
            if !layout::name_is_legal(&entry.name) || !names.insert(&entry.name) {
                let message = format!("bundle entry name {:?} is illegal or repeated", entry.name);
                problems.push(
                    Diagnostic::error("TC0723", message)
                        .with_help("names are relative paths of letters, digits and `._+@-`, each used once"),
                );
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let hashed: Vec<_> = entries
            .par_iter()
            .map(|entry| {
                let mut hasher = Hasher::default();
                entry.payload.write_to(&mut hasher).map_err(|e| unreadable(&entry.name, &e.to_string()))?;
                Ok(hasher.finish())
            })
            .collect();
        let mut manifest = Manifest { format: FORMAT_VERSION, entries: Default::default(), ..manifest.clone() };
        let mut items = vec![];
        for (entry, hashed) in entries.into_iter().zip(hashed) {
            let (bytes, crc32, hash) = match hashed {
                Ok(known) => known,
                Err(d) => {
                    problems.push(d);
                    continue;
                }
            };
            let external = options.external_weights && entry.tensor.is_some();
            let record = Entry {
                bytes,
                blake3: hash.to_hex().to_string(),
                external: external.then(|| external_name(&hash)),
                tensor: entry.tensor,
            };
            manifest.entries.insert(entry.name.clone(), record);
            items.push(Item { name: entry.name, payload: entry.payload, bytes, crc32, hash, external });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut text = serde_json::to_vec_pretty(&manifest)
            .map_err(|e| Diagnostic::error("TC1001", format!("the manifest cannot be written as JSON: {e}")))?;
        text.push(b'\n');
        Ok(Prepared { digest: blake3::hash(&text), manifest: text, items })
    }

    /// Writes the archive and returns its length.
    fn stream(&self, sink: &mut dyn Write) -> Result<u64, Stopped> {
        let crc32 = layout::crc32(&self.manifest);
        let first = Member { name: MANIFEST.into(), bytes: self.manifest.len() as u64, crc32 };
        let (mut at, mut placed) = (0, vec![]);
        let mut begin = |member: Member, sink: &mut dyn Write| {
            let header = layout::local_header(&member, at);
            let bytes = header.len() as u64 + member.bytes;
            placed.push((member, at));
            at += bytes;
            sink.write_all(&header).map_err(Stopped::Sink)
        };
        begin(first, sink)?;
        sink.write_all(&self.manifest).map_err(Stopped::Sink)?;
        for item in self.items.iter().filter(|i| !i.external) {
            begin(Member { name: item.name.clone(), bytes: item.bytes, crc32: item.crc32 }, sink)?;
            item.copy(sink)?;
        }
        let directory = layout::directory(&placed, at);
        sink.write_all(&directory).map_err(Stopped::Sink)?;
        Ok(at + directory.len() as u64)
    }
}

#[cfg(test)]
mod tests;
