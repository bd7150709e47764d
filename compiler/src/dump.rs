//! Emitted stages: a folder with one file per stage, target and kernel.

use crate::bundle::AtomicFile;
use crate::stage::Stage;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use tricot_types::Diagnostic;

/// The text of one stage: file name (without folder) to content.
pub type Files = BTreeMap<String, String>;

/// The name of a stage's file. Stages before `mlir` have one file a target, later ones one a kernel.
pub fn file_name(stage: Stage, target: Option<&str>, kernel: Option<&str>) -> String {
    let parts: Vec<&str> = [target, kernel].into_iter().flatten().collect();
    let stem =
        if parts.is_empty() { stage.name().to_string() } else { format!("{}.{}", parts.join("."), stage.name()) };
    format!("{stem}.{}", stage.extension())
}

/// Writes files into a folder, which is made if need be; each file is whole or not there.
pub fn write(folder: &Path, files: &Files) -> Result<(), Diagnostic> {
    std::fs::create_dir_all(folder).map_err(|e| {
        Diagnostic::error("TC0902", format!("{} cannot be made: {e}", folder.display()))
            .with_help("choose another place with --dump-dir")
    })?;
    files.iter().try_for_each(|(name, text)| write_whole(&folder.join(name), text.as_bytes()))
}

/// Writes a file whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    write_together(&[(path, bytes)])
}

/// Writes files that belong together: none shows before all are written.
pub fn write_together(files: &[(&Path, &[u8])]) -> Result<(), Diagnostic> {
    let mut written = vec![];
    for (path, bytes) in files {
        let mut file = AtomicFile::create(path)?;
        file.write_all(bytes).and_then(|()| file.flush()).map_err(|e| crate::bundle::cannot_write(path, &e))?;
        written.push(file);
    }
    written.into_iter().try_for_each(AtomicFile::commit)
}
