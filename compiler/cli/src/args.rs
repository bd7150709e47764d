//! The command line, defined once: parsing, help, completions and the man page come from here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use tricot_compiler::Stage;

/// Compiles sparse and trilinear tensor programs to GPU and CPU code.
#[derive(Parser, Debug)]
#[command(name = "tricot", version, about, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// When to colour diagnostics.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    pub color: Colour,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Compile a model into a bundle.
    Build(Build),
    /// Run a bundle (or a model, compiled on the way).
    Run(Run),
    /// Time a bundle and each of its kernels, and hold them against the device's roofline.
    Bench(Bench),
    /// Rewrite a model and print the result as graph text.
    Opt(Opt),
    /// Show how the rewritten graph came about, step by step.
    Explain(Explain),
    /// Show what a bundle holds.
    Inspect(Inspect),
    /// Check a bundle's proof of rewriting, independently of the rewriter, and its numbers.
    Verify(Verify),
    /// Show what this machine offers: devices, drivers, assembler, processor features.
    Doctor(Doctor),
    /// Print a shell completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// A model and how to read it.
#[derive(Args, Debug, Clone)]
pub struct ModelArgs {
    /// An ONNX file (*.onnx) or graph text (*.tri).
    pub model: PathBuf,
    /// safetensors files with the weights that graph text refers to. Without it, a file of the same stem or `weights.safetensors`
    /// beside the text is used.
    #[arg(long, value_name = "FILE")]
    pub weights: Vec<PathBuf>,
    /// Files of declared ops that the model may use; a node `Op` of an ONNX domain `dialect` calls `dialect.Op`.
    #[arg(long, value_name = "FILE")]
    pub ops: Vec<PathBuf>,
    /// Fix a symbol's value while compiling: `batch=4`.
    #[arg(long, value_name = "SYMBOL=N", value_delimiter = ',')]
    pub set: Vec<String>,
}

/// Choices of rewriting.
#[derive(Args, Debug, Clone)]
pub struct RewriteArgs {
    /// Error budget beyond the model's own rounding, relative L2; 0 allows no lossy choice.
    #[arg(long, value_name = "EPS", default_value_t = 0.0, value_parser = tolerance)]
    pub max_rel_err: f64,
    /// Winograd transforms that may replace 3x3 convolutions.
    #[arg(long, value_enum, default_value_t = Winograd::Auto)]
    pub winograd: Winograd,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub enum Winograd {
    Off,
    Auto,
    F23,
    F43,
}

#[derive(Args, Debug)]
pub struct Build {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub rewrite: RewriteArgs,
    /// The bundle to write; the model's name with `.tricot` by default.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Targets to build for.
    #[arg(long, value_name = "TARGET", value_delimiter = ',', default_values_t = default_targets())]
    pub target: Vec<String>,
    /// Stages to write into the dump folder, or to standard output where `--stop-after` names the stage and no `-o` is given.
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub emit: Vec<Stage>,
    /// Stop after this stage; no bundle is written.
    #[arg(long, value_name = "STAGE")]
    pub stop_after: Option<Stage>,
    /// The input is text of this stage (graph, rewrite or schedule).
    #[arg(long, value_name = "STAGE")]
    pub from: Option<Stage>,
    /// Folder for emitted stages; the output's name with `.dump` by default.
    #[arg(long, value_name = "DIR")]
    pub dump_dir: Option<PathBuf>,
    /// Build a variant of its own for these sizes, chosen when sizes are bound: `seq=4096`.
    #[arg(long, value_name = "SYMBOL=N,…")]
    pub bucket: Vec<String>,
    /// `native`: use every feature of this machine's processor instead of x86-64-v3.
    #[arg(long, value_name = "CPU", value_parser = ["v3", "native"], default_value = "v3")]
    pub cpu: String,
    /// Keep weights in a file beside the bundle.
    #[arg(long, value_name = "WHERE", value_parser = ["inside", "external"], default_value = "inside")]
    pub store_weights: String,
    /// Print a report as JSON: stage times, kernels, choices, sizes.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Run {
    /// A bundle (*.tricot), or a model to compile first.
    pub bundle: PathBuf,
    /// An input: `x=file.npy` or `x=random:SEED`. Inputs not given are random with seed 0.
    #[arg(long, value_name = "NAME=VALUE")]
    pub input: Vec<String>,
    /// Where to write an output: `y=file.npy`.
    #[arg(long, value_name = "NAME=FILE")]
    pub output: Vec<String>,
    /// Compare outputs with the arrays of this .npz, by name; relative L2 error above the bound fails.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Bound of `--compare`, relative L2.
    #[arg(long, value_name = "EPS", default_value_t = 1e-2, value_parser = tolerance)]
    pub bound: f64,
    /// `cpu`, `cuda`, `cuda:N`, or `sim`, which executes the GPU code on the CPU and reports what is wrong with it; by default the best
    /// device present that the bundle has code for.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Sizes to run at: `batch=4`. Random inputs get them, arrays must have them; a model is compiled for them.
    #[arg(long, value_name = "SYMBOL=N", value_delimiter = ',')]
    pub set: Vec<String>,
    /// safetensors files, where a model is given.
    #[arg(long, value_name = "FILE")]
    pub weights: Vec<PathBuf>,
    /// Files of declared ops, where a model is given.
    #[arg(long, value_name = "FILE")]
    pub ops: Vec<PathBuf>,
    /// How a model that is given is rewritten; a bundle was rewritten when it was built.
    #[command(flatten)]
    pub rewrite: RewriteArgs,
    /// Folder that keeps compiled models, or `off`; TRICOT_CACHE by default, else the user's cache folder. TRICOT_CACHE_MB limits its
    /// size (4096).
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Run this many times and report the median time.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub repeat: usize,
    /// Expected blake3 digest of the bundle; running a bundle runs its code.
    #[arg(long, value_name = "HEX")]
    pub digest: Option<String>,
    /// Print a report as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Bench {
    /// A bundle (*.tricot).
    pub bundle: PathBuf,
    /// `cpu`, `cuda` or `cuda:N`; by default the best device present that the bundle has code for.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Sizes to run at: `batch=4`; the symbols' hints otherwise.
    #[arg(long, value_name = "SYMBOL=N", value_delimiter = ',')]
    pub set: Vec<String>,
    /// Seconds to run before anything counts, so that clocks settle.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = tolerance)]
    pub warm_up: f64,
    /// Seconds to measure the whole plan, and as long again the kernels.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = tolerance)]
    pub seconds: f64,
    /// Megabytes of inputs and outputs to go through before a buffer is used again, so that caches do not help.
    #[arg(long, value_name = "MB", default_value_t = 256)]
    pub rotate: u64,
    /// Write a roofline plot (SVG).
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Expected blake3 digest of the bundle; running a bundle runs its code.
    #[arg(long, value_name = "HEX")]
    pub digest: Option<String>,
    /// Print a report as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Opt {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub rewrite: RewriteArgs,
    /// Write here instead of standard output; weights go beside it as .safetensors.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The target whose costs decide.
    #[arg(long, value_name = "TARGET", default_value = "cpu")]
    pub target: String,
    /// `tri`: graph text; `mlir`: generic MLIR in the IRDL dialects.
    #[arg(long, value_name = "FORMAT", value_parser = ["tri", "mlir"], default_value = "tri")]
    pub format: String,
}

#[derive(Args, Debug)]
pub struct Explain {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub rewrite: RewriteArgs,
    /// Say why this op was not found or not chosen: `trilinear.attention`.
    #[arg(long, value_name = "OP")]
    pub why_not: Option<String>,
    /// The target whose costs decide.
    #[arg(long, value_name = "TARGET", default_value = "cpu")]
    pub target: String,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Inspect {
    /// A bundle.
    pub bundle: PathBuf,
    /// Print the manifest as JSON.
    #[arg(long)]
    pub json: bool,
    /// Print one entry of the archive to standard output.
    #[arg(long, value_name = "NAME")]
    pub entry: Option<String>,
}

#[derive(Args, Debug)]
pub struct Verify {
    /// A bundle, or a proof file (*.proof).
    pub subject: PathBuf,
    /// The model it was built from: constants are folded again and the proof's first graph is checked against it.
    #[arg(long, value_name = "MODEL")]
    pub source: Option<PathBuf>,
    /// Files of declared ops that the source may use.
    #[arg(long, value_name = "FILE")]
    pub ops: Vec<PathBuf>,
    /// Also run the bundle on random data and compare with the float64 reference of the source.
    #[arg(long, requires = "source")]
    pub numerics: bool,
    /// Device for `--numerics`.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
    /// Sizes of symbols for `--numerics`.
    #[arg(long, value_name = "SYMBOL=N", value_delimiter = ',')]
    pub set: Vec<String>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Doctor {
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A relative error; NaN would compare with nothing.
fn tolerance(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|e: &f64| *e >= 0.0).ok_or_else(|| "it must be a number, 0 or more".into())
}

fn default_targets() -> Vec<String> {
    vec!["cpu".into()]
}
