//! The stages of compilation, named once for the command line, the dump folder, the docs and the tests.

use std::fmt;
use std::str::FromStr;

/// A stage, in the order data passes through them. The first three parse back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// The imported model as graph text.
    Graph,
    /// The rewritten graph, one per target.
    Rewrite,
    /// Kernel descriptions and the launch plan in outline.
    Schedule,
    /// MLIR of each kernel (`sm_90a`), Cranelift IR (`cpu`).
    Mlir,
    /// LLVM IR of each kernel (`sm_90a`).
    Llvm,
    /// PTX of each kernel (`sm_90a`).
    Ptx,
    /// Machine code, disassembled (both targets).
    Sass,
    /// The launch plan as the runtime reads it.
    Plan,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Stage; 8] =
        [Stage::Graph, Stage::Rewrite, Stage::Schedule, Stage::Mlir, Stage::Llvm, Stage::Ptx, Stage::Sass, Stage::Plan];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Graph => "graph",
            Stage::Rewrite => "rewrite",
            Stage::Schedule => "schedule",
            Stage::Mlir => "mlir",
            Stage::Llvm => "llvm",
            Stage::Ptx => "ptx",
            Stage::Sass => "sass",
            Stage::Plan => "plan",
        }
    }

    /// Extension of the stage's files in the dump folder.
    pub const fn extension(self) -> &'static str {
        match self {
            Stage::Graph | Stage::Rewrite => "tri",
            Stage::Schedule => "sched",
            Stage::Mlir => "mlir",
            Stage::Llvm => "ll",
            Stage::Ptx => "ptx",
            Stage::Sass => "sass",
            Stage::Plan => "json",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;
    fn from_str(s: &str) -> Result<Stage, String> {
        Stage::ALL.into_iter().find(|stage| stage.name() == s).ok_or_else(|| {
            let all: Vec<_> = Stage::ALL.iter().map(|s| s.name()).collect();
            format!("there is no stage `{s}`; the stages are {}", all.join(", "))
        })
    }
}
