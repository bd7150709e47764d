//! The programs of `examples/c`, compiled by `cc` against the committed header and the library, and run; under valgrind too.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The C programs' folder, with the library under the name that it is installed by.
pub struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    pub fn new() -> Workshop {
        let folder = tempfile::tempdir().unwrap();
        let built = std::env::current_exe().unwrap().parent().unwrap().join("libtricot_capi.so");
        std::fs::copy(&built, folder.path().join("libtricot_runtime.so"))
            .unwrap_or_else(|e| panic!("{}: {e}", built.display()));
        Workshop { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Compiles an example; warnings are errors.
    pub fn compile(&self, name: &str) -> PathBuf {
        self.compile_with(name, &[])
    }

    /// The same with more words for the compiler.
    fn compile_with(&self, name: &str, more: &[&str]) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let program = self.path(name);
        let out = Command::new("cc")
            .args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-I"])
            .arg(root.join("include"))
            .arg(root.join("examples/c").join(format!("{name}.c")))
            .arg("-o")
            .arg(&program)
            .arg("-L")
            .arg(self.folder.path())
            .args(["-ltricot_runtime", "-lm", "-lpthread"])
            .args(more)
            .arg(format!("-Wl,-rpath,{}", self.folder.path().display()))
            .output()
            .expect("cc is there");
        succeeded(&out);
        program
    }
}

fn succeeded(out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{}\n{text}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    text
}

/// Runs a program under valgrind, which must find neither a wrong access nor a lost block; `None` where there is no valgrind.
fn valgrind(program: &Path, words: &[&str]) -> Option<String> {
    let there = Command::new("valgrind").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there && std::env::var_os("TRICOT_REQUIRE_VALGRIND").is_none() {
        println!("skipped: valgrind is not installed");
        return None;
    }
    let out = Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
        .args(["--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect"])
        .arg(program)
        .args(words)
        .output()
        .expect("valgrind starts");
    Some(succeeded(&out))
}

#[test]
fn the_examples_run_and_are_clean() {
    let workshop = Workshop::new();
    let bundle = workshop.path("hand-made.tricot");
    std::fs::write(&bundle, crate::model_bytes()).unwrap();
    let words = [bundle.to_str().unwrap(), "n=3", "k=4"];
    let (run, threads) = (workshop.compile("run"), workshop.compile("threads"));
    let mut texts = vec![succeeded(&Command::new(&run).args(words).output().unwrap())];
    texts.extend(valgrind(&run, &words));
    for text in texts {
        agrees(&text);
    }
    let mut texts = vec![succeeded(&Command::new(&threads).arg(words[0]).output().unwrap())];
    texts.extend(valgrind(&threads, &words[..1]));
    for text in texts {
        assert!(text.starts_with("4 threads, 8 runs each, ") && text.ends_with(" bytes: equal\n"), "{text}");
    }
}

/// What `run` printed for n = 3, k = 4 against the model's own loops.
fn agrees(text: &str) {
    assert!(text.contains("model test\ninput a f32[n, 2*k]\ninput b f32[n, 2*k]\noutput y f32[n, 2*k]\n"), "{text}");
    let input = |i: usize| (0..24).map(|e| ((e * 7919 + i * 13) % 1000) as f32 / 1000.0 - 0.5).collect::<Vec<f32>>();
    for (name, want) in ["y", "z", "c"].into_iter().zip(crate::model::reference(&input(0), &input(1))) {
        let line = text.lines().find(|l| l.starts_with(&format!("{name} rms "))).unwrap_or_else(|| panic!("{text}"));
        let numbers: Vec<f64> = line.split(' ').filter_map(|w| w.parse().ok()).collect();
        let squares: f64 = want.iter().map(|v| f64::from(*v).powi(2)).sum();
        let expected = [(squares / want.len() as f64).sqrt(), f64::from(want[0])];
        assert_eq!(numbers.len(), 2, "{line}");
        for (have, want) in numbers.iter().zip(expected) {
            assert!((have - want).abs() <= 1e-6 * want.abs(), "{line}: {want} was expected");
        }
    }
}

#[test]
fn a_program_says_what_is_wrong_with_its_bundle() {
    let workshop = Workshop::new();
    let run = workshop.compile("run");
    let out = Command::new(&run).arg("/nonexistent.tricot").output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.code() == Some(1) && text.contains("error[TC0701]") && text.contains("/nonexistent.tricot"),
        "{text}"
    );
}

/// On a GPU, with a bundle for it: `TRICOT_CUDA_BUNDLE` names one with code for cpu and sm_90a.
#[test]
fn the_gpu_example_runs_on_many_streams() {
    let home = std::env::var("CUDA_HOME").unwrap_or_else(|_| "/usr/local/cuda".into());
    let Some(bundle) = std::env::var_os("TRICOT_CUDA_BUNDLE") else {
        println!("skipped: TRICOT_CUDA_BUNDLE names no bundle");
        return;
    };
    let words = [format!("-I{home}/include"), format!("-L{home}/lib64/stubs"), "-lcuda".into()];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let program = Workshop::new();
    let text = succeeded(&Command::new(program.compile_with("streams", &words)).arg(bundle).output().unwrap());
    assert!(text.starts_with("8 threads, 16 runs each, ") && text.contains(" bytes: equal; "), "{text}");
}
