//! The mutations: what is changed, and which snapshots must show it.
//!
//! Ordered from the leaves of the dependency graph to its root, so that each rebuild is as small as it can be.

/// A change of the sources.
pub struct Mutation {
    pub name: &'static str,
    /// What it breaks, in words.
    pub what: &'static str,
    pub file: &'static str,
    /// Occurs exactly once in the file.
    pub find: &'static str,
    pub replace: &'static str,
    /// Tests of `compiler/cli/tests/snapshots.rs` that must fail; all others must pass.
    pub fails: &'static [&'static str],
}

pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "emitter-mask",
        what: "the attention emitter masks with `or`: a key on either side of its window counts",
        file: "compiler/codegen/src/attention/rows.rs",
        find: "let counts = b.and(",
        replace: "let counts = b.or(",
        fails: &["trilinear_sm90_llvm", "trilinear_sm90_mlir", "trilinear_sm90_ptx"],
    },
    Mutation {
        name: "schedule-fusion",
        what: "grouping stores every value: nothing shares a kernel",
        file: "compiler/schedule/src/group.rs",
        find: "if !fuse {",
        replace: "if fuse {",
        fails: &[
            "sparse24_cpu_plan",
            "sparse24_cpu_schedule",
            "sparse24_sm90_llvm",
            "sparse24_sm90_mlir",
            "sparse24_sm90_plan",
            "sparse24_sm90_ptx",
            "sparse24_sm90_schedule",
            "trilinear_cpu_plan",
            "trilinear_cpu_schedule",
            "trilinear_sm90_llvm",
            "trilinear_sm90_mlir",
            "trilinear_sm90_plan",
            "trilinear_sm90_ptx",
            "trilinear_sm90_schedule",
        ],
    },
    Mutation {
        name: "rule-sparse-product",
        what: "the 2:4 rule asks for a selection along any axis but the summed one",
        file: "compiler/rewrite/src/rules/sparse.rs",
        find: "bank.attrs(*t).int(\"axis\") as usize + 1 == axes.len()",
        replace: "bank.attrs(*t).int(\"axis\") as usize + 1 != axes.len()",
        fails: &[
            "sparse24_sm90_llvm",
            "sparse24_sm90_mlir",
            "sparse24_sm90_plan",
            "sparse24_sm90_ptx",
            "sparse24_sm90_rewrite",
            "sparse24_sm90_schedule",
        ],
    },
    Mutation {
        name: "rule-trilinear-window",
        what: "the trilinear rule takes windows one key too short",
        file: "compiler/rewrite/src/rules/attention.rs",
        find: "Some(Formula::ge(&i, &j)?.and(Formula::gt(&shifted(&j, w)?, &i)?))",
        replace: "Some(Formula::ge(&i, &j)?.and(Formula::ge(&shifted(&j, w)?, &i)?))",
        fails: &[
            "trilinear_cpu_plan",
            "trilinear_cpu_rewrite",
            "trilinear_cpu_schedule",
            "trilinear_sm90_llvm",
            "trilinear_sm90_mlir",
            "trilinear_sm90_plan",
            "trilinear_sm90_ptx",
            "trilinear_sm90_rewrite",
            "trilinear_sm90_schedule",
        ],
    },
    Mutation {
        name: "op-winograd-points",
        what: "the transforms of F(4, 3) are made on the points 0, 1, -1, 1/2, -1/2 instead of 0, 1, -1, 2, -2",
        file: "dialects/src/winograd/matrices.rs",
        find: "[(1, 1), (2, 1), (1, 2),",
        replace: "[(1, 1), (1, 2), (2, 1),",
        fails: &[
            "winograd_cpu_plan",
            "winograd_cpu_schedule",
            "winograd_sm90_llvm",
            "winograd_sm90_mlir",
            "winograd_sm90_plan",
            "winograd_sm90_ptx",
            "winograd_sm90_schedule",
        ],
    },
];
