//! Files that appear whole or not at all.
//!
//! The central type is [`AtomicFile`]. On Linux the bytes go to a file without a name (`O_TMPFILE`) in the target's
//! folder, so even a killed process leaves nothing behind; elsewhere to a temporary file that is removed on any
//! error. Knows nothing of what is written.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tricot_types::Diagnostic;

/// A file being written. Nothing shows at its path before [`AtomicFile::commit`]; dropping it leaves no trace.
pub struct AtomicFile {
    target: PathBuf,
    writer: BufWriter<File>,
    /// The name the bytes have until the commit; `None` for a file without a name.
    temporary: Option<tempfile::TempPath>,
}

impl AtomicFile {
    /// Starts a file that will replace whatever is at `path`; a symbolic link keeps pointing to it.
    /// TC0720 when the place cannot be written.
    pub fn create(path: &Path) -> Result<AtomicFile, Diagnostic> {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if fs::metadata(&target).is_ok_and(|m| !m.is_file()) {
            return Err(cannot_write(path, &io::Error::other("it is no regular file")));
        }
        let folder = folder_of(&target);
        let (file, temporary) = match unnamed(&folder) {
            Some(file) => (file, None),
            None => {
                let named = new_temporary(&folder, &target).map_err(|e| cannot_write(path, &e))?;
                let (file, name) = named.into_parts();
                (file, Some(name))
            }
        };
        Ok(AtomicFile { target, writer: BufWriter::with_capacity(1 << 20, file), temporary })
    }

    /// Makes the file durable and visible at its path, replacing an older one in one step.
    pub fn commit(self) -> Result<(), Diagnostic> {
        let AtomicFile { target, writer, temporary } = self;
        let finish = || {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            match temporary {
                Some(name) => name.persist(&target).map_err(|e| e.error)?,
                None => give_name(&file, &target)?,
            }
            // The new name must survive a power cut too; not every file system can promise that.
            let _ = File::open(folder_of(&target)).and_then(|folder| folder.sync_all());
            Ok(())
        };
        finish().map_err(|e| cannot_write(&target, &e))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn new_temporary(folder: &Path, target: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(target.file_name().unwrap_or_default());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// A file without a name, where the system has such and can name it later.
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    if !Path::new("/proc/self/fd").exists() {
        return None;
    }
    File::options().read(true).write(true).mode(0o666).custom_flags(libc::O_TMPFILE).open(folder).ok()
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<File> {
    None
}

/// Links a file without a name at `target` (open(2), "O_TMPFILE").
#[cfg(target_os = "linux")]
fn give_name(file: &File, target: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    let link = |to: &Path| {
        let from = std::ffi::CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let to = std::ffi::CString::new(to.as_os_str().as_bytes())?;
        // SAFETY: both are valid C strings.
        let result = unsafe {
            libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    match link(target) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            // A link cannot replace a file, a rename can: take a free name for a moment.
            let temporary = new_temporary(&folder_of(target), target)?.into_temp_path();
            fs::remove_file(&temporary)?;
            link(&temporary)?;
            temporary.persist(target).map_err(|e| e.error)
        }
        other => other,
    }
}

#[cfg(not(target_os = "linux"))]
fn give_name(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// TC0721 for a full disk or quota, TC0720 for everything else.
pub(crate) fn cannot_write(path: &Path, e: &io::Error) -> Diagnostic {
    let full = matches!(
        e.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::WriteZero
    );
    let path = path.display();
    match full {
        true => Diagnostic::error("TC0721", format!("no space left for `{path}`: {e}"))
            .with_help("free some space or write elsewhere; no part of it was left behind"),
        false => Diagnostic::error("TC0720", format!("cannot write `{path}`: {e}"))
            .with_help("check that the folder exists and may be written; no part of it was left behind"),
    }
}
