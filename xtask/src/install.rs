//! `cargo xtask install-c`: the C libraries and headers, where C programs look for them.

use crate::run::{Outcome, cargo, check, root};
use crate::setup;
use std::fs;
use std::path::{Path, PathBuf};

/// A library: package, file stem as built and as installed, header.
const LIBRARIES: [(&str, &str, &str, &str); 2] = [
    ("tricot-capi", "libtricot_capi", "libtricot_runtime", "tricot.h"),
    ("tricot-compiler-capi", "libtricot", "libtricot", "tricot_compiler.h"),
];

/// Builds both libraries in release mode, the compiler with `sm_90a` where there is LLVM, and installs them under a prefix.
pub fn install_c(words: &[String]) -> Outcome {
    let prefix = words.first().map_or_else(|| PathBuf::from("/usr/local"), PathBuf::from);
    let llvm = setup::has_llvm();
    let (lib, include) = (prefix.join("lib"), prefix.join("include"));
    let packages = lib.join("pkgconfig");
    for folder in [&packages, &include] {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    for (package, built, installed, header) in LIBRARIES {
        let mut build = vec!["rustc", "--release", "--lib", "--package", package];
        if llvm && package == "tricot-compiler-capi" {
            build.extend(["--features", "sm90"]);
        }
        // Not by build scripts: what they give the linker reaches the libraries of dependents, too.
        let soname = format!("link-arg=-Wl,-soname,{installed}.so");
        build.extend(["--", "-C", &soname]);
        check(cargo(&build))?;
        for extension in ["so", "a"] {
            let from = root().join("target/release").join(format!("{built}.{extension}"));
            copy(&from, &lib.join(format!("{installed}.{extension}")))?;
        }
        copy(&root().join("include").join(header), &include.join(header))?;
        let name = installed.trim_start_matches("lib");
        let text = format!(
            "prefix={}\n\nName: {name}\nDescription: Tricot's {}\nVersion: {}\nCflags: -I${{prefix}}/include\n\
             Libs: -L${{prefix}}/lib -l{name}\nLibs.private: -lm -lpthread -ldl\n",
            fs::canonicalize(&prefix).unwrap_or(prefix.clone()).display(),
            if name == "tricot" { "compiler and runtime" } else { "runtime" },
            env!("CARGO_PKG_VERSION"),
        );
        let file = packages.join(format!("{name}.pc"));
        fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    let what = if llvm { "cpu and sm_90a" } else { "cpu only: LLVM 22 was not found" };
    println!("installed libtricot_runtime and libtricot ({what}) under {}", prefix.display());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::copy(from, to).map(|_| ()).map_err(|e| format!("{} to {}: {e}", from.display(), to.display()))
}
