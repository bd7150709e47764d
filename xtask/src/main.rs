//! `cargo xtask`: everything a developer or CI does with this repository, by name.
//!
//! Depends on nothing, so that it builds in seconds on a machine that has only cargo.

mod demo;
mod docs;
mod install;
mod mutations;
mod python;
mod run;
mod setup;
mod suites;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  demo          install what is missing, build, compile and run the examples, check them
  test          all tests (installs what is missing first)
  setup         only install what is missing: LLVM/MLIR 22, ptxas
  conformance   the ONNX backend node cases on the cpu target
  models        the nine light models of the onnx package, built for both targets, run and checked
  no-llvm       prove that everything but the sm_90a target builds and runs without LLVM
  candle        the example that puts a module behind a custom op of candle, built with candle and tested
  install-c     build the C libraries in release mode and install them, the headers and pkg-config files [PREFIX]
  mutations     change the sources in a copy and check which snapshots notice ([NAME…] runs only those)
  wheel         build the Python wheel into target/wheels
  python        build the wheel and run python/tests in a fresh environment ([ARGUMENT…] go to pytest)
  tidy          the house rules a compiler does not check
  docs          write the generated pages of docs/
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("demo") => demo::demo(),
        Some("test") => suites::test(&arguments[1..]),
        Some("setup") => setup::setup().map(|_| ()),
        Some("conformance") => suites::conformance(),
        Some("models") => suites::models(),
        Some("no-llvm") => suites::without_llvm(),
        Some("candle") => suites::candle(),
        Some("install-c") => install::install_c(&arguments[1..]),
        Some("mutations") => mutations::mutations(&arguments[1..]),
        Some("wheel") => python::wheel().map(|_| ()),
        Some("python") => python::test(&arguments[1..]),
        Some("tidy") => tidy::tidy(),
        Some("docs") => docs::generate(),
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprint!("xtask: there is no command `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
