//! Code generation in a child process, because LLVM ends the process on code it cannot select.
//!
//! The parent sends one [`Request`] on standard input; the worker answers with one JSON line per kernel, in order. When the
//! worker dies, the first kernel without an answer is the culprit: it gets TC0590 and a reproducer file, and a new worker
//! takes the rest. A host that calls [`worker_main`] first thing in `main` gets this isolation; without it everything runs in
//! the host's own process.

use crate::lower::{Lowered, Session};
use crate::select::select;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use tricot_kernel::KernelDesc;
use tricot_kernel::wire::WireDiagnostic;
use tricot_plan::GpuLaunch;
use tricot_types::{Diagnostic, SymbolTable};

/// Set in the environment of a worker.
const WORKER: &str = "TRICOT_CODEGEN_WORKER";
/// The worker aborts at the kernel of this name; the tests of this module use it.
const ABORT_AT: &str = "TRICOT_CODEGEN_ABORT_AT";

/// Whether this executable can be re-executed as a worker.
static ISOLATED: AtomicBool = AtomicBool::new(false);

/// What a worker is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub kernels: Vec<KernelDesc>,
    pub symbols: SymbolTable,
    pub want: Vec<String>,
    pub stop_after: Option<String>,
}

/// A kernel on its way to the assembler.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Emitted {
    pub launch: GpuLaunch,
    pub choice: String,
    pub ptx: String,
    pub texts: BTreeMap<String, String>,
}

/// One line of a worker's answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Box<Emitted>),
    Failed(WireDiagnostic),
}

/// Must be the first call in `main` of a host that compiles for `sm_90a`: in a worker process it does the work and never
/// returns; in the host it returns at once and lets later compilations use workers.
pub fn worker_main() {
    if std::env::var_os(WORKER).is_some() {
        std::process::exit(serve());
    }
    ISOLATED.store(true, Ordering::Relaxed);
}

/// Reads one request from standard input and answers on standard output.
fn serve() -> i32 {
    let request: Request = match serde_json::from_reader(std::io::stdin().lock()) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("the request to the code generator does not parse: {error}");
            return 1;
        }
    };
    let abort_at = std::env::var(ABORT_AT).ok();
    let mut out = std::io::stdout().lock();
    let mut failed = false;
    emit_each(
        &request,
        |desc| {
            if abort_at.as_deref() == Some(&desc.name) {
                std::process::abort()
            }
        },
        |answer| {
            let line = match answer {
                Ok(emitted) => Answer::Done(Box::new(emitted)),
                Err(diagnostic) => Answer::Failed(WireDiagnostic::new(diagnostic)),
            };
            let sent = serde_json::to_writer(&mut out, &line).map_err(std::io::Error::from);
            failed |= sent.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).is_err();
        },
    );
    i32::from(failed)
}

/// Emits every kernel of a request in this process.
fn emit_each(request: &Request, before: impl Fn(&KernelDesc), mut done: impl FnMut(Result<Emitted, Diagnostic>)) {
    let session = match Session::new() {
        Ok(session) => session,
        Err(d) => return request.kernels.iter().for_each(|_| done(Err(d.clone()))),
    };
    for desc in &request.kernels {
        tricot_types::stop::check();
        before(desc);
        done(emit_one(&session, desc, request));
    }
}

fn emit_one(session: &Session, desc: &KernelDesc, request: &Request) -> Result<Emitted, Diagnostic> {
    let family = select(desc, &request.symbols)?;
    let Lowered { ptx, texts } = session.lower(desc, family.as_ref(), &request.want, request.stop_after.as_deref())?;
    Ok(Emitted { launch: family.launch(), choice: family.choice(), ptx, texts })
}

/// Emits all kernels, in workers where the host allows it. One result per kernel, in order.
pub(crate) fn emit_all(request: Request) -> Vec<Result<Emitted, Diagnostic>> {
    if !ISOLATED.load(Ordering::Relaxed) {
        let mut results = Vec::new();
        emit_each(&request, |_| {}, |r| results.push(r));
        return results;
    }
    let mut results: Vec<Result<Emitted, Diagnostic>> = Vec::new();
    let total = request.kernels.len();
    while results.len() < total {
        let rest = Request { kernels: request.kernels[results.len()..].to_vec(), ..request.clone() };
        let (answers, end) = run_worker(&rest);
        tricot_types::stop::check();
        results.extend(answers.into_iter().take(rest.kernels.len()));
        if results.len() < total {
            let desc = &request.kernels[results.len()];
            results.push(Err(died(desc, &end)));
        }
    }
    results
}

/// Runs one worker to its end: the answers it gave, and its last words if it gave too few.
fn run_worker(request: &Request) -> (Vec<Result<Emitted, Diagnostic>>, String) {
    let spawn = || -> std::io::Result<std::process::Child> {
        Command::new(std::env::current_exe()?)
            .env(WORKER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let mut child = match spawn() {
        Ok(child) => child,
        Err(e) => return (vec![], format!("the worker process does not start: {e}")),
    };
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut answers = Vec::new();
    let stop = tricot_types::stop::current();
    let words = std::thread::scope(|scope| {
        // The pipes are drained side by side: a worker that blocks on a full pipe would never end.
        scope.spawn(move || {
            if let Some(stdin) = stdin {
                // A worker that died early closes the pipe; its silence is reported below.
                let _ = serde_json::to_writer(std::io::BufWriter::new(stdin), request);
            }
        });
        let words = scope.spawn(move || {
            let mut text = String::new();
            if let Some(mut stderr) = stderr {
                let mut bytes = Vec::new();
                let _ = std::io::Read::read_to_end(&mut stderr, &mut bytes);
                text = String::from_utf8_lossy(&bytes).into_owned();
            }
            text
        });
        for line in stdout.into_iter().flat_map(|s| BufReader::new(s).lines()) {
            if stop.as_ref().is_some_and(|s| s.reason().is_some()) {
                let _ = child.kill(); // The work ends below, when this process asks.
                break;
            }
            match line.map_err(serde_json::Error::io).and_then(|l| serde_json::from_str::<Answer>(&l)) {
                Ok(Answer::Done(emitted)) => answers.push(Ok(*emitted)),
                Ok(Answer::Failed(wire)) => answers.push(Err(wire.into_diagnostic())),
                Err(_) => break,
            }
        }
        words.join().unwrap_or_default()
    });
    let end = match child.wait() {
        Ok(status) => format!("{status}; {}", last_lines(&words)),
        Err(e) => e.to_string(),
    };
    (answers, end)
}

/// The lines of a crash that say something: LLVM's own error, else the first ones.
fn last_lines(words: &str) -> String {
    let telling: Vec<&str> = words.lines().filter(|l| l.contains("LLVM ERROR") || l.contains("panicked")).collect();
    let lines = if telling.is_empty() { words.lines().take(4).collect() } else { telling };
    lines.join("; ")
}

/// The diagnostic for a kernel whose worker died, with a reproducer file beside it.
fn died(desc: &KernelDesc, end: &str) -> Diagnostic {
    let dir = std::env::var_os("TRICOT_REPRODUCER_DIR").map_or_else(std::env::temp_dir, Into::into);
    let path = dir.join(format!("tricot-{}.kernel.json", desc.name));
    let text = serde_json::to_string_pretty(desc).unwrap_or_default();
    let base = Diagnostic::error("TC0590", format!("the code generator died on kernel `{}`", desc.name))
        .at_name(format!("kernel `{}`", desc.name), "")
        .with_note(end.trim_end_matches("; ").to_string());
    match std::fs::write(&path, text) {
        Ok(()) => base.with_help(format!("this is a bug in Tricot; please report it with {}", path.display())),
        Err(e) => base.with_help(format!("this is a bug in Tricot; no reproducer: {} ({e})", path.display())),
    }
}
