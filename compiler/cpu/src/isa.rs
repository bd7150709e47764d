//! The machine that code is made for: x86-64-v3, or this very machine on request.
//!
//! Knows Cranelift's flag names and the manifest's feature names, nothing of kernels.

use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use tricot_types::Diagnostic;

/// Features of x86-64-v3 (System V x86-64 ABI supplement, "Micro-architecture levels") that Cranelift distinguishes,
/// by manifest name and Cranelift flag.
const BASE: [(&str, &str); 10] = [
    ("sse3", "has_sse3"),
    ("ssse3", "has_ssse3"),
    ("sse4.1", "has_sse41"),
    ("sse4.2", "has_sse42"),
    ("popcnt", "has_popcnt"),
    ("avx", "has_avx"),
    ("avx2", "has_avx2"),
    ("fma", "has_fma"),
    ("bmi1", "has_bmi1"),
    ("bmi2", "has_bmi2"),
];

/// What `cpu=native` adds where the building machine has it.
const NATIVE: [(&str, &str); 4] =
    [("lzcnt", "has_lzcnt"), ("avx512f", "has_avx512f"), ("avx512vl", "has_avx512vl"), ("avx512dq", "has_avx512dq")];

/// A configured code generator and the features its code needs.
pub struct Machine {
    pub isa: OwnedTargetIsa,
    pub features: Vec<String>,
}

impl Machine {
    /// Sets Cranelift up.
    ///
    /// # Errors
    /// TC0690 when Cranelift refuses its own settings (an internal error).
    pub fn new(native: bool) -> Result<Machine, Diagnostic> {
        let internal = |e: &dyn std::fmt::Display| Diagnostic::error("TC0690", format!("cannot set up Cranelift: {e}"));
        let mut flags = settings::builder();
        let verifier = if cfg!(debug_assertions) { "true" } else { "false" };
        // Not `is_pic`: that goes through a GOT. References inside a unit are pc-relative anyway, and `blob` refuses others.
        for (name, value) in [
            ("opt_level", "speed"),
            ("is_pic", "false"),
            ("enable_probestack", "false"),
            ("enable_verifier", verifier),
            ("unwind_info", "false"),
        ] {
            flags.set(name, value).map_err(|e| internal(&e))?;
        }
        let mut builder = isa::lookup_by_name("x86_64-unknown-linux-gnu").map_err(|e| internal(&e))?;
        let mut features = vec!["x86_64".to_string()];
        let native = NATIVE.iter().filter(|(name, _)| native && host_has(name));
        for (name, flag) in BASE.iter().chain(native) {
            builder.enable(flag).map_err(|e| internal(&e))?;
            features.push(name.to_string());
        }
        let isa = builder.finish(settings::Flags::new(flags)).map_err(|e| internal(&e))?;
        Ok(Machine { isa, features })
    }
}

#[cfg(target_arch = "x86_64")]
fn host_has(name: &str) -> bool {
    match name {
        "lzcnt" => std::arch::is_x86_feature_detected!("lzcnt"),
        "avx512f" => std::arch::is_x86_feature_detected!("avx512f"),
        "avx512vl" => std::arch::is_x86_feature_detected!("avx512vl"),
        "avx512dq" => std::arch::is_x86_feature_detected!("avx512dq"),
        _ => false,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn host_has(_: &str) -> bool {
    false
}
