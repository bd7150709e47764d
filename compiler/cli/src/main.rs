//! `tricot`: the command line.
//!
//! Each command is a module; [`args`] defines the flags, [`render`] prints diagnostics, [`files`] reads and writes arrays. Exit
//! codes: 0 ok, 1 a problem with the input, 2 wrong usage, 70 an internal error (which leaves a reproducer file).

mod args;
mod bench;
mod build;
mod doctor;
mod explain;
mod files;
mod inspect;
mod models;
mod opt;
mod progress;
mod render;
mod run;
mod verify;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use std::process::ExitCode;
use tricot_types::Diagnostic;

/// What every command gives back.
type Outcome = Result<(), Vec<Diagnostic>>;

fn main() -> ExitCode {
    // The sm_90a code generator re-executes this program as its worker.
    #[cfg(feature = "sm90")]
    tricot_codegen::worker_main();
    // A write beyond the file size limit shall fail like a full disk, not kill the process.
    #[cfg(unix)]
    // SAFETY: setting a signal to "ignore" before any thread is started.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("TRICOT_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    // A panic is reported as a coded diagnostic by whoever guards the stage; the default message would only repeat it.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let colour = cli.color;
    let result =
        tricot_compiler::error::guard("command", || format!("{:#?}\n", cli.command), || dispatch(&cli.command));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            render::print(&problems, colour);
            ExitCode::from(if tricot_compiler::error::is_internal(&problems) { 70 } else { 1 })
        }
    }
}

fn dispatch(command: &Command) -> Outcome {
    match command {
        Command::Build(args) => build::build(args),
        Command::Run(args) => run::run(args),
        Command::Bench(args) => bench::bench(args),
        Command::Opt(args) => opt::opt(args),
        Command::Explain(args) => explain::explain(args),
        Command::Inspect(args) => inspect::inspect(args),
        Command::Verify(args) => verify::verify(args),
        Command::Doctor(args) => doctor::doctor(args),
        Command::Completions { shell } => {
            let mut script = vec![];
            clap_complete::generate(*shell, &mut Cli::command(), "tricot", &mut script);
            build::write_out(&mut std::io::stdout().lock(), &String::from_utf8_lossy(&script))
        }
        Command::Man => build::write_out(&mut std::io::stdout().lock(), &manual()),
    }
}

/// The manual: a page for the program, then one for each command.
fn manual() -> String {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut page = vec![];
    for command in std::iter::once(&program).chain(program.get_subcommands()) {
        let written = clap_mangen::Man::new(command.clone()).render(&mut page);
        written.expect("memory takes every byte");
    }
    String::from_utf8_lossy(&page).into_owned()
}
