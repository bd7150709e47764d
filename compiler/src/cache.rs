//! A folder of compiled bundles, so that the same model is not compiled twice.
//!
//! The central type is [`Cache`]. An entry's name is the digest of all that decides about it ([`Compiler::cache_key`]); its
//! content is the bundle. Any number of processes may use a folder at once: entries appear by a rename, whole or not at
//! all; whoever compiles holds the entry's lock, which the system takes from a process that dies; others wait for it. What
//! was not used longest goes when the folder outgrows its limit. Knows nothing of how bundles are made.
//!
//! [`Compiler::cache_key`]: crate::Compiler::cache_key

use crate::dump;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tricot_runtime::Bundle;
use tricot_types::Diagnostic;

/// Bytes of entries kept when nothing else is said: 4 GiB.
pub const DEFAULT_LIMIT: u64 = 4 << 30;

/// How long one process waits for another that compiles the same; then it compiles for itself.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often it looks whether the other is ready.
const POLL: Duration = Duration::from_millis(20);

/// See the module page. Cheap to make; holds nothing open.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
}

/// A bundle and whether it was there already.
pub struct Cached {
    pub bundle: Bundle,
    pub hit: bool,
}

impl Cache {
    /// A cache in `folder`, which is made if need be. Cached code is run, so the folder must be the user's own.
    ///
    /// # Errors
    /// TC0940 the folder cannot be made or read, TC0941 others may write to it.
    pub fn open(folder: impl Into<PathBuf>, limit: u64) -> Result<Cache, Diagnostic> {
        let folder = folder.into();
        make_private(&folder).map_err(|e| {
            Diagnostic::error("TC0940", format!("the cache folder {} cannot be used: {e}", folder.display()))
                .with_help("choose another with `--cache DIR` or TRICOT_CACHE; `off` does without")
        })?;
        check_owner(&folder)?;
        Ok(Cache { folder, limit })
    }

    /// The cache that `TRICOT_CACHE` names, with TRICOT_CACHE_MB megabytes; `None` where it is unset, empty or `off`.
    pub fn from_env() -> Result<Option<Cache>, Diagnostic> {
        match std::env::var_os("TRICOT_CACHE") {
            Some(folder) if !folder.is_empty() && folder != "off" => Ok(Some(Cache::open(folder, limit_from_env()?)?)),
            _ => Ok(None),
        }
    }

    /// Where a user's caches lie: `$XDG_CACHE_HOME/tricot`, else `~/.cache/tricot`.
    pub fn default_folder() -> Option<PathBuf> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        Some(absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?.join("tricot"))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The entry of `key`, made by `compile` where there is none. A damaged entry counts as none and is removed. Trouble
    /// with the folder costs the saving, not the result.
    pub fn get_or_make(
        &self,
        key: &str,
        compile: impl FnOnce() -> Result<Vec<u8>, Vec<Diagnostic>>,
    ) -> Result<Cached, Vec<Diagnostic>> {
        if let Some(bundle) = self.lookup(key) {
            return Ok(Cached { bundle, hit: true });
        }
        let lock = self.lock(key);
        // Whoever held the lock has most likely made the entry.
        if let Some(bundle) = self.lookup(key) {
            return Ok(Cached { bundle, hit: true });
        }
        let bytes = compile()?;
        let path = self.path(key);
        if bytes.len() as u64 <= self.limit {
            match dump::write_whole(&path, &bytes) {
                Ok(()) => self.evict(key),
                Err(problem) => tracing::warn!("not cached: {problem}"),
            }
        }
        drop(lock);
        Ok(Cached { bundle: Bundle::from_bytes(key, &bytes)?, hit: false })
    }

    /// The entry of `key` if it is there and every byte of it is right; it counts as used now.
    pub fn lookup(&self, key: &str) -> Option<Bundle> {
        let path = self.path(key);
        let file = File::open(&path).ok()?;
        match Bundle::open(&path).and_then(|b| b.verify().map(|()| b)) {
            Ok(bundle) => {
                if let Err(e) = file.set_modified(SystemTime::now()) {
                    tracing::warn!("{}: its time of use cannot be set: {e}", path.display());
                }
                Some(bundle)
            }
            Err(problems) => {
                tracing::warn!("removing a damaged cache entry: {}", problems[0]);
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.tricot"))
    }

    /// Removes entries used longest ago until the rest is within the limit; never `kept`.
    fn evict(&self, kept: &str) {
        let kept = self.path(kept);
        let mut entries = self.entries();
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, _, bytes)| bytes).sum();
        for (_, path, bytes) in entries {
            if total <= self.limit {
                return;
            }
            if path != kept {
                // Another process may have removed it; readers that have it open keep it.
                let _ = fs::remove_file(&path);
                total -= bytes;
            }
        }
    }

    /// Time of last use, path and size of every entry.
    fn entries(&self) -> Vec<(SystemTime, PathBuf, u64)> {
        let Ok(listing) = fs::read_dir(&self.folder) else { return vec![] };
        let entry = |e: fs::DirEntry| {
            let meta = e.metadata().ok().filter(|m| m.is_file())?;
            let is_entry = e.path().extension().is_some_and(|x| x == "tricot");
            is_entry.then(|| Some((meta.modified().ok()?, e.path(), meta.len()))).flatten()
        };
        listing.flatten().filter_map(entry).collect()
    }

    /// Waits until no other process compiles `key`. `None` where locks do not work or patience ended: two processes may
    /// then do the same work, which is harmless.
    fn lock(&self, key: &str) -> Option<Lock> {
        let path = self.folder.join(format!("{key}.lock"));
        let start = std::time::Instant::now();
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path).ok()?;
            match file.try_lock() {
                // The holder before may have removed the file while this process opened it; then the lock is on nothing.
                Ok(()) if same_file(&file, &path) => return Some(Lock { path, _file: file }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    tricot_types::stop::check();
                    std::thread::sleep(POLL);
                }
                Err(e) => {
                    tracing::warn!("{}: going on without the lock: {e}", path.display());
                    return None;
                }
            }
        }
    }
}

/// The right to compile one entry. The system drops it with the process.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked: whoever opens the file from now on makes a new one.
        let _ = fs::remove_file(&self.path);
    }
}

/// `TRICOT_CACHE_MB`, else [`DEFAULT_LIMIT`]. TC0942 when it is no number.
pub fn limit_from_env() -> Result<u64, Diagnostic> {
    let Some(text) = std::env::var_os("TRICOT_CACHE_MB") else { return Ok(DEFAULT_LIMIT) };
    let megabytes = text.to_str().and_then(|t| t.parse::<u64>().ok()).and_then(|m| m.checked_mul(1 << 20));
    megabytes.ok_or_else(|| {
        Diagnostic::error("TC0942", format!("TRICOT_CACHE_MB={} is no number of megabytes", text.to_string_lossy()))
            .with_help("write a whole number, such as TRICOT_CACHE_MB=4096")
    })
}

#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// TC0941 when others could put code there for this user to run.
#[cfg(unix)]
fn check_owner(folder: &Path) -> Result<(), Diagnostic> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(folder).map_err(|e| Diagnostic::error("TC0940", format!("{}: {e}", folder.display())))?;
    // SAFETY: it only reads.
    let user = unsafe { libc::geteuid() };
    if meta.uid() == user && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    let message = format!("others may write to the cache folder {}", folder.display());
    Err(Diagnostic::error("TC0941", message)
        .with_note(format!("its owner is user {}, its mode {:o}; this is user {user}", meta.uid(), meta.mode() & 0o777))
        .with_help("code from the cache is run; use a folder of your own with mode 700"))
}

#[cfg(not(unix))]
fn check_owner(_: &Path) -> Result<(), Diagnostic> {
    Ok(())
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |m: io::Result<fs::Metadata>| m.ok().map(|m| (m.dev(), m.ino()));
    identity(file.metadata()).is_some_and(|i| identity(fs::metadata(path)) == Some(i))
}

#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests;
