//! The kernel cases both backends must get right.

use crate::harness;
use tricot_kernel_tests::cases::Case;
use tricot_kernel_tests::random;

/// Runs a case on one thread and on three: both must agree with the oracle, and bit for bit with each other.
fn run(case: &Case) {
    let mut mine = harness::Case::new(case.desc.clone());
    mine.sizes = case.bindings.clone();
    let inputs = case.inputs();
    let expected = case.expected(&inputs);
    let got = mine.run_same(&inputs);
    case.check(&expected, &got).unwrap_or_else(|e| panic!("{}: {e}", case.desc.name));
}

#[test]
fn shared_cases() {
    for case in tricot_kernel_tests::cases::all() {
        run(&case);
    }
}

#[test]
fn random_nests_agree_exactly() {
    for seed in 0..120 {
        run(&random::case(seed));
    }
}
