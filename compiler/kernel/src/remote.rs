//! A backend in another executable, for hosts that do not link its code generator (a Python extension without LLVM).
//!
//! The central type is [`RemoteBackend`], a [`Backend`] that writes one job to the standard input of a program and reads one
//! answer from its standard output; that program's `main` calls [`serve`]. Both are JSON, and both sides are of one version.
//! Knows no target: whatever a backend takes and gives passes through.

use crate::backend::{Backend, CompileOptions, CompiledKernel, CompiledTarget};
use crate::desc::KernelDesc;
use crate::wire::WireDiagnostic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tricot_plan::How;
use tricot_types::{Diagnostic, SymbolTable};

/// The stages a backend may be asked for.
const STAGES: [&str; 4] = ["mlir", "llvm", "ptx", "sass"];

/// See the module page.
pub struct RemoteBackend {
    /// The target's name.
    pub name: &'static str,
    pub program: PathBuf,
    /// Environment variables the program gets beside this process's own.
    pub environment: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Job {
    kernels: Vec<KernelDesc>,
    symbols: SymbolTable,
    native_cpu: bool,
    want: Vec<String>,
    stop_after: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done { features: Vec<String>, files: BTreeMap<String, Vec<u8>>, kernels: BTreeMap<String, WireKernel> },
    Failed(Vec<WireDiagnostic>),
}

#[derive(Serialize, Deserialize)]
struct WireKernel {
    how: How,
    choice: String,
    texts: BTreeMap<String, String>,
}

impl Backend for RemoteBackend {
    fn name(&self) -> &'static str {
        self.name
    }

    /// TC0592 when the program does not start or does not answer; else what the program's backend says.
    fn compile(&self, kernels: &[KernelDesc], options: &CompileOptions) -> Result<CompiledTarget, Vec<Diagnostic>> {
        let job = Job {
            kernels: kernels.to_vec(),
            symbols: options.symbols.clone(),
            native_cpu: options.native_cpu,
            want: options.want.iter().map(|s| s.to_string()).collect(),
            stop_after: options.stop_after.map(str::to_string),
        };
        match self.ask(&job)? {
            Answer::Failed(problems) => Err(problems.into_iter().map(WireDiagnostic::into_diagnostic).collect()),
            Answer::Done { features, files, kernels } => {
                let kernel = |k: WireKernel| {
                    let texts = k.texts.into_iter().filter_map(|(s, text)| Some((stage(&s)?, text))).collect();
                    CompiledKernel { how: k.how, choice: k.choice, texts }
                };
                let kernels = kernels.into_iter().map(|(name, k)| (name, kernel(k))).collect();
                Ok(CompiledTarget { features, files, kernels })
            }
        }
    }
}

impl RemoteBackend {
    fn ask(&self, job: &Job) -> Result<Answer, Diagnostic> {
        let program = self.program.display();
        let failed = |message: String| {
            Diagnostic::error("TC0592", format!("the code generator for {} {message}", self.name))
                .at_name(program.to_string(), "")
                .with_help("the file belongs to this installation of Tricot; install it again")
        };
        let mut command = Command::new(&self.program);
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| failed(format!("does not start: {e}")))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // All pipes are served side by side: a child blocked on a full one would never end.
        let (answer, words) = std::thread::scope(|scope| {
            scope.spawn(move || {
                if let Some(stdin) = stdin {
                    // A child that died early closes the pipe; its silence is reported below.
                    let _ = serde_json::to_writer(std::io::BufWriter::new(stdin), job);
                }
            });
            let words = scope.spawn(move || {
                let mut bytes = vec![];
                stderr.map(|mut s| s.read_to_end(&mut bytes));
                String::from_utf8_lossy(&bytes).trim().to_string()
            });
            let mut bytes = vec![];
            stdout.map(|mut s| s.read_to_end(&mut bytes));
            (serde_json::from_slice(&bytes), words.join().unwrap_or_default())
        });
        let status = child.wait().map_err(|e| failed(format!("cannot be waited for: {e}")))?;
        answer.map_err(|e| failed(format!("gave no answer ({status}): {e}")).with_note(words))
    }
}

/// The other side: reads one job from standard input, compiles, answers on standard output. Returns the exit status.
pub fn serve(backend: &dyn Backend) -> i32 {
    let job: Job = match serde_json::from_reader(std::io::stdin().lock()) {
        Ok(job) => job,
        Err(error) => {
            eprintln!("the job does not parse: {error}; this program is started by Tricot's Python package");
            return 2;
        }
    };
    let options = CompileOptions {
        symbols: job.symbols,
        native_cpu: job.native_cpu,
        want: job.want.iter().filter_map(|s| stage(s)).collect(),
        stop_after: job.stop_after.as_deref().and_then(stage),
    };
    let answer = match backend.compile(&job.kernels, &options) {
        Err(problems) => Answer::Failed(problems.into_iter().map(WireDiagnostic::new).collect()),
        Ok(target) => {
            let kernel = |k: CompiledKernel| WireKernel {
                how: k.how,
                choice: k.choice,
                texts: k.texts.into_iter().map(|(stage, text)| (stage.to_string(), text)).collect(),
            };
            let kernels = target.kernels.into_iter().map(|(name, k)| (name, kernel(k))).collect();
            Answer::Done { features: target.features, files: target.files, kernels }
        }
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let sent = serde_json::to_writer(&mut out, &answer).map_err(std::io::Error::from).and_then(|()| out.flush());
    i32::from(sent.is_err())
}

fn stage(name: &str) -> Option<&'static str> {
    STAGES.into_iter().find(|s| *s == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(program: &str) -> RemoteBackend {
        RemoteBackend { name: "sm_90a", program: program.into(), environment: vec![] }
    }

    #[test]
    fn a_program_that_is_missing_or_silent_is_a_coded_error() {
        for program in ["/nonexistent/tricot-sm90", "/bin/true", "/bin/cat"] {
            let problems = remote(program).compile(&[], &CompileOptions::default()).unwrap_err();
            assert_eq!(problems[0].code, "TC0592", "{program}: {}", problems[0]);
            assert!(problems[0].to_string().contains(program));
        }
    }
}
