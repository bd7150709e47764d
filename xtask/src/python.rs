//! The Python package: building its wheel, and testing it in an environment of its own.
//!
//! The wheel holds two programs. The extension links no LLVM, so it loads anywhere; `tricot-sm90`, the code generator for Hopper,
//! links LLVM and everything else that a slim machine may lack, so that it needs only the C library.

use crate::run::{Outcome, cargo, check, command, output, root};
use crate::setup::{self, LLVM_PREFIX};
use std::fs;
use std::path::{Path, PathBuf};

/// Larger wheels are refused by this build.
const MAX_WHEEL_BYTES: u64 = 60 << 20;

/// Libraries of the code generator that are linked statically.
const STATIC: &[&str] = &["libffi.a", "libz.a", "libzstd.a", "libstdc++.a"];

/// Debian packages whose code is in the code generator; their licences travel with it.
const INSIDE: &[&str] = &["llvm-22-dev", "libmlir-22-dev", "libffi-dev", "zlib1g-dev", "libzstd-dev", "gcc-12-base"];

/// Builds the wheel into `target/wheels` and says where it is.
pub fn wheel() -> Outcome<PathBuf> {
    let tools = setup::setup()?;
    let program = root().join("python/tricot/bin/tricot-sm90");
    match tools.llvm {
        true => code_generator(&program)?,
        false => {
            eprintln!("without LLVM the wheel has no sm_90a target; its cpu target is whole.");
            let _ = fs::remove_file(&program);
        }
    }
    let wheels = root().join("target/wheels");
    let _ = fs::remove_dir_all(&wheels);
    let python = environment("build", &["maturin>=1.9,<2"])?;
    let out = wheels.to_string_lossy();
    let mut maturin = command(
        &python.to_string_lossy(),
        &["-m", "maturin", "build", "--release", "--quiet", "--manifest-path", "python/Cargo.toml", "--out", &out],
    );
    maturin.args(["--compatibility", "manylinux_2_36"]);
    check(maturin)?;
    let entries = fs::read_dir(&wheels).map_err(|e| format!("{}: {e}", wheels.display()))?;
    let wheel = entries.flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "whl"));
    let wheel = wheel.ok_or("maturin built no wheel")?;
    let bytes = fs::metadata(&wheel).map_err(|e| e.to_string())?.len();
    println!("{} ({:.1} MiB)", wheel.display(), bytes as f64 / f64::from(1 << 20));
    match bytes <= MAX_WHEEL_BYTES {
        true => Ok(wheel),
        false => Err(format!("the wheel has {bytes} bytes, more than {MAX_WHEEL_BYTES}")),
    }
}

/// Builds the wheel, installs it into a fresh environment with NumPy and pytest, and runs its tests and the benchmark's.
pub fn test(extra: &[String]) -> Outcome {
    let wheel = wheel()?;
    let _ = fs::remove_dir_all(root().join("target/python/test"));
    let python = environment("test", &[&wheel.to_string_lossy(), "numpy", "pytest"])?;
    let mut words = vec!["-m", "pytest", "-q", "-ra"];
    words.extend(extra.iter().map(String::as_str));
    // Not from `python/`, whose package has no extension beside it.
    let mut tests = command(&python.to_string_lossy(), &words);
    tests.args(["--rootdir", "python/tests", "python/tests"]);
    if let Some(ptxas) = setup::setup()?.ptxas {
        tests.env("TRICOT_PTXAS", ptxas);
    }
    check(tests)?;
    // Those of the benchmark that need no torch; all of them where it is installed.
    check(command(&python.to_string_lossy(), &["-m", "pytest", "-q", "-ra", "--rootdir", "bench/tests", "bench/tests"]))
}

/// Links the code generator: stripped, with lld, and with everything but the C library inside.
fn code_generator(program: &Path) -> Outcome {
    let libraries = root().join("target/python/static");
    let _ = fs::remove_dir_all(&libraries);
    fs::create_dir_all(&libraries).map_err(|e| format!("{}: {e}", libraries.display()))?;
    for name in STATIC {
        let found = output(command("gcc", &[&format!("-print-file-name={name}")]))?;
        // A folder that holds only archives wins over those that hold shared libraries too.
        fs::copy(found.trim(), libraries.join(name))
            .map_err(|e| format!("{name}: {e}; install the packages of `cargo xtask setup`"))?;
    }
    let mut build = cargo(&["rustc", "--release", "--package", "tricot-codegen", "--bin", "tricot-sm90", "--"]);
    build.args(["-C", "strip=symbols", "-L", &format!("native={}", libraries.display())]);
    build.args(["-C", &format!("link-arg=-B{LLVM_PREFIX}/bin"), "-C", "link-arg=-fuse-ld=lld"]);
    build.args(["-C", "link-arg=-static-libgcc"]);
    check(build)?;
    let copy = || {
        fs::create_dir_all(program.parent().unwrap_or(program))?;
        fs::copy(root().join("target/release/tricot-sm90"), program)?;
        let mut licences = String::from("Licences of what is linked into tricot-sm90.\n");
        for package in INSIDE {
            // Elsewhere than on Debian whoever distributes the wheel adds them.
            let text = fs::read_to_string(Path::new("/usr/share/doc").join(package).join("copyright"));
            text.into_iter().for_each(|text| licences += &format!("\n==== {package} ====\n\n{text}"));
        }
        fs::write(program.with_file_name("LICENCES.txt"), licences)
    };
    copy().map_err(|e| format!("{}: {e}", program.display()))
}

/// The interpreter of a virtual environment under `target/python` with these packages.
fn environment(name: &str, packages: &[&str]) -> Outcome<PathBuf> {
    let folder = root().join("target/python").join(name);
    let python = folder.join("bin/python");
    if !python.exists() {
        check(command("python3", &["-m", "venv", &folder.to_string_lossy()]))?;
    }
    let mut words = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    words.extend(packages);
    check(command(&python.to_string_lossy(), &words))?;
    Ok(python)
}
