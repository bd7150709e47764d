//! What the emitters make of a few cases: a tiny kernel in full, larger ones as counts of instructions.

use crate::lower::Session;
use crate::select::select_generic;
use std::collections::BTreeMap;
use tricot_kernel_tests::cases;

fn ptx(name: &str) -> (String, String) {
    let case = cases::small().into_iter().find(|c| c.desc.name == name).expect("a case of that name");
    let family = select_generic(&case.desc, &case.symbols).expect("a generic family");
    let lowered =
        Session::new().unwrap().lower(&case.desc, family.as_ref(), &[], None).unwrap_or_else(|d| panic!("{d}"));
    (family.choice(), lowered.ptx)
}

/// Instructions by opcode, without operands and predicates.
fn summary(name: &str) -> String {
    let (choice, ptx) = ptx(name);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for line in ptx.lines().filter(|l| l.starts_with('\t') && l.trim_end().ends_with(';')) {
        let line = line.trim();
        let line = if line.starts_with('@') { line.split_once([' ', '\t']).map_or("", |p| p.1.trim()) } else { line };
        let opcode = line.split(|c: char| c.is_whitespace() || c == ';').next().unwrap_or("");
        if !opcode.starts_with(['.', '/']) && !opcode.is_empty() {
            *counts.entry(opcode.to_string()).or_default() += 1;
        }
    }
    let lines: Vec<String> = counts.iter().map(|(opcode, n)| format!("{n:4} {opcode}")).collect();
    format!("{choice}\n{}\n", lines.join("\n"))
}

#[test]
fn a_map_in_full() {
    insta::assert_snapshot!("map", ptx("neg_f32_203").1);
}

#[test]
fn instruction_counts() {
    for name in [
        "softmax_f32_37_100",
        "softmax_bf16_2_1000",
        "layernorm_3_520_8",
        "contract_f32_2_70_65_33_true",
        "attention_trilinear_f32",
    ] {
        insta::assert_snapshot!(name, summary(name));
    }
}
