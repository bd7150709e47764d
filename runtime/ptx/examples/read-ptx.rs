//! Reads the PTX files it is given, and all below the folders it is given, checks that each prints to a text that reads
//! the same, and says how fast reading is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tricot_ptx::{Limits, parse_all, print_all};

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            collect(&entry.path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "ptx") {
        files.push(path.to_path_buf());
    }
}

fn main() {
    let mut files = Vec::new();
    for path in std::env::args().skip(1) {
        collect(Path::new(&path), &mut files);
    }
    files.sort();
    let limits = Limits::default();
    let (mut bytes, mut wrong, mut time) = (0, 0, Duration::ZERO);
    for file in &files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                println!("{}: {error}", file.display());
                continue;
            }
        };
        bytes += text.len();
        let start = Instant::now();
        let modules = parse_all(&text, &limits);
        time += start.elapsed();
        let fault = match &modules {
            Err(error) => Some(error.to_string()),
            Ok(modules) => match parse_all(&print_all(modules), &limits) {
                Err(error) => Some(format!("printed: {error}")),
                Ok(again) => (again != *modules).then(|| "reads differently once printed".to_string()),
            },
        };
        if let Some(fault) = fault {
            wrong += 1;
            println!("{}: {fault}", file.display());
        }
    }
    let speed = bytes as f64 / 1e6 / time.as_secs_f64();
    println!("{} files, {:.1} MB, {wrong} wrong, {speed:.0} MB/s", files.len(), bytes as f64 / 1e6);
}
