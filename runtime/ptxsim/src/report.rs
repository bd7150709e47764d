//! Findings and counters of a run.
//!
//! Central type: [`Report`]. Knows nothing of how they come about.

use std::collections::BTreeMap;

/// What kind of mistake a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    OutOfBounds,
    Misaligned,
    Uninitialised,
    Race,
    ProxyOrder,
    /// A write of the async proxy after a generic read, without a fence.
    ProxyRead,
    /// A copy completes on an mbarrier whose initialisation no fence has made visible to the async proxy.
    MbarrierInit,
    Barrier,
    Mbarrier,
    Wgmma,
    /// What ptxas repairs although the contract forbids it.
    PtxContract,
    /// A `mov` of an accumulator between `wgmma.fence` and the product, which compilers leave and ptxas repairs.
    AccumulatorMove,
    Deadlock,
    RegisterPool,
    SharedMemory,
    TensorMap,
    Divergence,
    Assertion,
    Trap,
    StepLimit,
}

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Class::OutOfBounds => "out-of-bounds",
            Class::Misaligned => "misaligned",
            Class::Uninitialised => "uninitialised",
            Class::Race => "race",
            Class::ProxyOrder => "proxy-order",
            Class::ProxyRead => "proxy-read",
            Class::MbarrierInit => "mbarrier-init",
            Class::Barrier => "barrier",
            Class::Mbarrier => "mbarrier",
            Class::Wgmma => "wgmma",
            Class::PtxContract => "ptx-contract",
            Class::AccumulatorMove => "accumulator-move",
            Class::Deadlock => "deadlock",
            Class::RegisterPool => "register-pool",
            Class::SharedMemory => "shared-memory",
            Class::TensorMap => "tensor-map",
            Class::Divergence => "divergence",
            Class::Assertion => "assertion",
            Class::Trap => "trap",
            Class::StepLimit => "step-limit",
        }
    }

    pub fn severity(self) -> Severity {
        match self {
            Class::ProxyRead => Severity::Warning,
            Class::MbarrierInit | Class::AccumulatorMove => Severity::Note,
            _ => Severity::Error,
        }
    }

    /// Whether it may be what another mistake leads to: a value that has not arrived, what is computed from it, a wait for what
    /// never comes.
    fn may_follow(self) -> bool {
        use Class::*;
        matches!(
            self,
            Uninitialised | OutOfBounds | Misaligned | Deadlock | Divergence | Assertion | Trap | StepLimit | TensorMap
        )
    }

    /// Whether it breaks the order of a program.
    fn breaks_order(self) -> bool {
        use Class::*;
        matches!(self, Race | ProxyOrder | Barrier | Mbarrier | Wgmma | PtxContract | RegisterPool)
    }

    /// Whether a run cannot go on after it.
    pub fn is_fatal(self) -> bool {
        use Class::*;
        matches!(self, OutOfBounds | Misaligned | Deadlock | Assertion | Trap | StepLimit | SharedMemory | TensorMap)
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The memory model asks for an order that no hardware is known to need.
    Note,
    /// An order that is missing and rarely matters.
    Warning,
    /// A mistake.
    Error,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One mistake; later ones of the same class at the same line are counted, not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub class: Class,
    pub kernel: String,
    pub block: [u32; 3],
    /// Linear thread in the block, where one is to blame.
    pub thread: Option<u32>,
    /// Line of the PTX text.
    pub line: u32,
    /// `file:line` from the line table.
    pub source: Option<String>,
    pub message: String,
    pub count: u64,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.class.severity() != Severity::Error {
            write!(f, "{}, ", self.class.severity().name())?;
        }
        write!(f, "{}: kernel `{}`, PTX line {}", self.class.name(), self.kernel, self.line)?;
        if let Some(source) = &self.source {
            write!(f, " ({source})")?;
        }
        write!(f, ", block ({}, {}, {})", self.block[0], self.block[1], self.block[2])?;
        if let Some(thread) = self.thread {
            write!(f, ", thread {thread}")?;
        }
        write!(f, ": {}", self.message)?;
        if self.count > 1 {
            write!(f, " ({} times)", self.count)?;
        }
        Ok(())
    }
}

/// What a launch did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// Warp instructions.
    pub instructions: u64,
    /// Instructions times active lanes.
    pub lane_instructions: u64,
    pub blocks: u64,
    /// Bytes moved, by `space kind`.
    pub bytes: BTreeMap<&'static str, u64>,
    /// 32-byte sectors touched in global memory by loads and by stores.
    pub sectors: [u64; 2],
    /// 128-byte lines touched in global memory, likewise.
    pub lines: [u64; 2],
    /// Passes through the banks of shared memory by loads and by stores.
    pub passes: [u64; 2],
    /// Passes that bank conflicts add, by line.
    pub bank_conflicts: BTreeMap<u32, u64>,
    /// Multiply-adds of tensor cores.
    pub tensor_operations: u64,
    pub barrier_waits: u64,
    /// What orders the two accesses that the launch asks about, from the first to the second.
    pub order: Vec<String>,
    /// Text of `printf`.
    pub output: String,
}

impl Report {
    pub fn add(&mut self, finding: Finding) {
        let same = |f: &Finding| f.class == finding.class && f.line == finding.line && f.kernel == finding.kernel;
        match self.findings.iter().position(same) {
            Some(old) => self.findings[old].count += 1,
            None if self.findings.len() < 1000 => self.findings.push(finding),
            None => {}
        }
    }

    /// Findings that are mistakes, not warnings or notes.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.class.severity() == Severity::Error)
    }

    /// The finding of broken order that another may follow from: a value that is missing in the same block, or a wait without
    /// end in any. Which of the two was noticed first does not matter: a copy that comes too late is found when it comes.
    fn cause(&self, finding: &Finding) -> Option<usize> {
        let everywhere = matches!(finding.class, Class::Deadlock | Class::StepLimit);
        let cause = |f: &Finding| f.class.breaks_order() && (everywhere || f.block == finding.block);
        if finding.class.may_follow() { self.findings.iter().position(cause) } else { None }
    }

    /// The findings in the order in which to read them, each with those behind it that may follow from it; `true` for these.
    pub fn by_cause(&self) -> Vec<(bool, &Finding)> {
        let causes: Vec<Option<usize>> = self.findings.iter().map(|f| self.cause(f)).collect();
        let mut out = vec![];
        for (i, finding) in self.findings.iter().enumerate().filter(|(i, _)| causes[*i].is_none()) {
            out.push((false, finding));
            out.extend(self.findings.iter().zip(&causes).filter(|(_, c)| **c == Some(i)).map(|(f, _)| (true, f)));
        }
        out
    }

    pub fn is_fatal(&self) -> bool {
        self.findings.iter().any(|f| f.class.is_fatal())
    }

    pub fn json(&self) -> serde_json::Value {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|f| {
                serde_json::json!({
                    "class": f.class.name(), "severity": f.class.severity().name(), "kernel": f.kernel, "block": f.block, "thread": f.thread, "line": f.line,
                    "source": f.source, "message": f.message, "count": f.count, "may_follow_from": self.cause(f),
                })
            })
            .collect();
        serde_json::json!({
            "findings": findings,
            "counters": {
                "warp_instructions": self.instructions,
                "lane_instructions": self.lane_instructions,
                "blocks": self.blocks,
                "bytes": self.bytes,
                "global_sectors": {"load": self.sectors[0], "store": self.sectors[1]},
                "global_lines": {"load": self.lines[0], "store": self.lines[1]},
                "shared_passes": {"load": self.passes[0], "store": self.passes[1]},
                "bank_conflicts": self.bank_conflicts,
                "tensor_multiply_adds": self.tensor_operations,
                "barrier_waits": self.barrier_waits,
            },
            "order": self.order,
            "output": self.output,
        })
    }
}
