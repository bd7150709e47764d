//! Bundles: opening, checking and reading a `.tricot` file.
//!
//! The central type is [`Bundle`]: a manifest and entries over mapped or owned bytes. Opening any bytes is
//! safe: structure, manifest and every size, index and polynomial are checked at once, each entry's blake3
//! before its first use. Knows no device; *running* a bundle is [`crate::Module`]'s affair.

mod archive;
mod check;
mod check_launch;
pub mod inspect;
pub mod layout;

use crate::tensor::AlignedBytes;
use archive::Archive;
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tricot_plan::{FORMAT_VERSION, Manifest};
use tricot_types::Diagnostic;

/// Largest manifest read, in bytes.
const MAX_MANIFEST: usize = 64 << 20;

/// The entry that holds `file` of a target: `cpu/code.bin`, `sm_90a/<kernel>.cubin`.
pub fn target_entry(target: &str, file: &str) -> String {
    format!("{target}/{file}")
}

/// Name of the cpu target's one code file within its folder.
pub const CPU_CODE: &str = "code.bin";

enum Source {
    Map(Mmap),
    Owned(AlignedBytes),
}

impl Source {
    fn bytes(&self) -> &[u8] {
        match self {
            Source::Map(map) => map,
            Source::Owned(bytes) => bytes,
        }
    }
}

/// An entry's place and what is known about it so far.
struct Slot {
    /// Range in the archive; `None` for weights held outside.
    range: Option<Range<usize>>,
    external: OnceLock<Mmap>,
    verified: OnceLock<()>,
}

/// An opened bundle. `Send + Sync`; share it in an `Arc`.
pub struct Bundle {
    name: String,
    folder: Option<PathBuf>,
    source: Source,
    manifest: Manifest,
    digest: [u8; 32],
    slots: BTreeMap<String, Slot>,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundle({}, {})", self.name, self.digest_hex())
    }
}

impl Bundle {
    /// Maps a file and checks everything but the entries' contents, which are checked before use.
    /// The file must not be changed or truncated while the bundle is open (the operating system would
    /// end the process); replacing it by renaming another over it is fine, and is what the writer does.
    pub fn open(path: impl AsRef<Path>) -> Result<Bundle, Vec<Diagnostic>> {
        let path = path.as_ref();
        let map = map_file(path, "TC0701")?;
        Bundle::new(path.display().to_string(), path.parent().map(Path::to_path_buf), Source::Map(map))
    }

    /// The same from memory; the bytes are copied to aligned memory. `name` is for messages. Weights
    /// outside the archive cannot be found from here.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Bundle, Vec<Diagnostic>> {
        let owned = AlignedBytes::copy_of(bytes, layout::ALIGN as usize)?;
        Bundle::new(name.into(), None, Source::Owned(owned))
    }

    fn new(name: String, folder: Option<PathBuf>, source: Source) -> Result<Bundle, Vec<Diagnostic>> {
        let archive = Archive::read(source.bytes(), &name)?;
        let text = &source.bytes()[archive.entries[layout::MANIFEST].clone()];
        let manifest = read_manifest(text, &name)?;
        let problems = check::check(&manifest, &archive, &name);
        if !problems.is_empty() {
            return Err(problems);
        }
        let digest = *blake3::hash(text).as_bytes();
        let slot = |name: &String| Slot {
            range: archive.entries.get(name).cloned(),
            external: OnceLock::new(),
            verified: OnceLock::new(),
        };
        let slots = manifest.entries.keys().map(|name| (name.clone(), slot(name))).collect();
        tracing::debug!(bundle = %name, entries = manifest.entries.len(), "opened");
        Ok(Bundle { name, folder, source, manifest, digest, slots })
    }

    /// Path or name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The whole archive, as a file holds it.
    pub fn bytes(&self) -> &[u8] {
        self.source.bytes()
    }

    /// blake3 of the manifest. The manifest holds the blake3 of every other entry, so this digest stands for
    /// the whole bundle.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// [`Bundle::digest`] as 64 hex digits.
    pub fn digest_hex(&self) -> String {
        blake3::Hash::from_bytes(self.digest).to_hex().to_string()
    }

    /// Byte offset of an entry's data in the archive; `None` when it is held outside.
    pub fn entry_offset(&self, name: &str) -> Option<u64> {
        Some(self.slots.get(name)?.range.as_ref()?.start as u64)
    }

    /// The bytes of an entry, 64-byte aligned; hashed at first use. TC0707 when there is no such entry,
    /// TC0708 when the bytes are not those the manifest promises, TC0710 for an external file.
    pub fn entry(&self, name: &str) -> Result<&[u8], Diagnostic> {
        let (Some(slot), Some(entry)) = (self.slots.get(name), self.manifest.entries.get(name)) else {
            return Err(Diagnostic::error("TC0707", format!("`{}` has no entry `{name}`", self.name))
                .with_help("list the entries with `tricot inspect`"));
        };
        let bytes = match &slot.range {
            Some(range) => &self.source.bytes()[range.clone()],
            None => self.external(name, slot, entry)?,
        };
        if slot.verified.get().is_none() {
            let have = blake3::hash(bytes).to_hex();
            if have.as_str() != entry.blake3 {
                let at = slot.range.as_ref().map_or(0, |r| r.start as u64);
                let file = entry.external.as_deref().unwrap_or(&self.name);
                return Err(Diagnostic::error("TC0708", format!("entry `{name}` is damaged: its blake3 is {have}"))
                    .at_byte(file, at, format!("the manifest promises {}", entry.blake3))
                    .with_help("copy or build the bundle again"));
            }
            let _ = slot.verified.set(());
        }
        Ok(bytes)
    }

    fn external<'a>(&self, name: &str, slot: &'a Slot, entry: &tricot_plan::Entry) -> Result<&'a [u8], Diagnostic> {
        if let Some(map) = slot.external.get() {
            return Ok(map);
        }
        let file = entry.external.as_deref().unwrap_or_default();
        let Some(folder) = &self.folder else {
            return Err(Diagnostic::error("TC0710", format!("weight `{name}` is in `{file}` beside the bundle"))
                .with_help("open the bundle by its path, or build it with the weights inside"));
        };
        let path = folder.join(file);
        let map = map_file(&path, "TC0710").map_err(|d| d.at_name(name, "this weight is held outside the bundle"))?;
        if map.len() as u64 != entry.bytes {
            return Err(Diagnostic::error(
                "TC0710",
                format!("`{}` has {} bytes, weight `{name}` needs {}", path.display(), map.len(), entry.bytes),
            )
            .with_help("put the weight files of this very build beside the bundle"));
        }
        Ok(slot.external.get_or_init(|| map))
    }

    /// Bytes of workspace a run of `target` with these symbol values needs; asks no device.
    /// TC0711 when there is no such target; TC0805 to TC0813 as [`crate::Instance::bind`].
    pub fn workspace_bytes(&self, target: &str, symbols: &tricot_types::Bindings) -> Result<u64, Vec<Diagnostic>> {
        let plans = self
            .manifest
            .targets
            .get(target)
            .ok_or_else(|| Diagnostic::error("TC0711", format!("`{}` holds no target `{target}`", self.name)))?;
        let problems = crate::symbols::check(&self.manifest.symbols, symbols);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(crate::bound::bind(&self.manifest, &plans.variants, symbols)?.1.workspace_bytes)
    }

    /// Hashes every entry; all damaged ones are reported at once.
    pub fn verify(&self) -> Result<(), Vec<Diagnostic>> {
        self.verify_entries(&self.slots.keys().map(String::as_str).collect::<Vec<_>>())
    }

    /// Hashes these entries on all cores; a second call costs nothing.
    pub(crate) fn verify_entries(&self, names: &[&str]) -> Result<(), Vec<Diagnostic>> {
        use rayon::prelude::*;
        let check = || names.par_iter().filter_map(|name| self.entry(name).err()).collect::<Vec<_>>();
        #[cfg(target_arch = "x86_64")]
        let problems = crate::cpu::threads::install(check);
        #[cfg(not(target_arch = "x86_64"))]
        let problems = check();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn map_file(path: &Path, code: &'static str) -> Result<Mmap, Diagnostic> {
    let fail = |e: std::io::Error| {
        Diagnostic::error(code, format!("cannot read `{}`: {e}", path.display()))
            .with_help("check the path and its permissions")
    };
    let file = std::fs::File::open(path).map_err(fail)?;
    let meta = file.metadata().map_err(fail)?;
    if !meta.is_file() {
        return Err(fail(std::io::Error::other("not a regular file")));
    }
    // SAFETY: the documentation of `Bundle::open` asks that the file stays as it is.
    unsafe { Mmap::map(&file) }.map_err(fail)
}

fn read_manifest(text: &[u8], file: &str) -> Result<Manifest, Vec<Diagnostic>> {
    #[derive(serde::Deserialize)]
    struct Version {
        format: u32,
        #[serde(default)]
        tricot: String,
    }
    if text.len() > MAX_MANIFEST {
        return Err(vec![Diagnostic::error(
            "TC0704",
            format!("the manifest of `{file}` has {} bytes, at most {MAX_MANIFEST} are read", text.len()),
        )]);
    }
    let unreadable = |e: serde_json::Error| {
        Diagnostic::error("TC0704", format!("the manifest of `{file}` is unreadable: {e}"))
            .with_help("this is no bundle of this version of Tricot; build it again")
    };
    let version: Version = serde_json::from_slice(text).map_err(unreadable)?;
    if version.format != FORMAT_VERSION {
        return Err(vec![
            Diagnostic::error(
                "TC0705",
                format!("`{file}` has bundle format {}, this runtime reads {FORMAT_VERSION}", version.format),
            )
            .with_note(format!("it was written by Tricot {}", version.tricot))
            .with_help("build the bundle again, or use the runtime of that version"),
        ]);
    }
    Ok(serde_json::from_slice(text).map_err(unreadable)?)
}
