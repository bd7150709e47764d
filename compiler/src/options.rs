//! What a user may choose about a compilation.

use crate::stage::Stage;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tricot_types::Bindings;

/// Choices with their defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// Target names in order; `cpu` and `sm_90a` exist.
    pub targets: Vec<String>,
    /// Stages whose text is wanted.
    pub emit: BTreeSet<Stage>,
    /// Nothing after this stage is computed.
    pub stop_after: Option<Stage>,
    /// Where emitted stages go.
    pub dump_dir: Option<PathBuf>,
    /// Symbols fixed at build time.
    pub set: Bindings,
    /// Sizes for which a variant of its own is built.
    pub buckets: Vec<Bindings>,
    /// Error budget beyond the model's own rounding, relative L2.
    pub max_rel_err: f64,
    /// Which Winograd transforms may be used.
    pub winograd: tricot_rewrite::Winograd,
    /// Use every feature of this machine's processor.
    pub native_cpu: bool,
    /// Weights go to a file beside the bundle.
    pub external_weights: bool,
    /// The input is a rewritten graph already (`--from rewrite`).
    pub skip_rewrite: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            targets: vec!["cpu".into()],
            emit: BTreeSet::new(),
            stop_after: None,
            dump_dir: None,
            set: Bindings::new(),
            buckets: vec![],
            max_rel_err: 0.0,
            winograd: Default::default(),
            native_cpu: false,
            external_weights: false,
            skip_rewrite: false,
        }
    }
}

impl Options {
    /// Whether a stage is computed at all.
    pub fn reaches(&self, stage: Stage) -> bool {
        self.stop_after.is_none_or(|last| stage <= last)
    }

    /// Whether a stage's text is wanted.
    pub fn emits(&self, stage: Stage) -> bool {
        self.emit.contains(&stage)
    }

    /// What the rewriter is told for a target.
    pub fn rewrite_options(&self, target: &str) -> tricot_rewrite::RewriteOptions {
        tricot_rewrite::RewriteOptions {
            target: target.into(),
            max_rel_err: self.max_rel_err,
            winograd: self.winograd,
            ..Default::default()
        }
    }
}
