//! The kernel cases both backends must get right.

use crate::harness::Case;

#[test]
fn shared_cases() {
    for case in tricot_kernel_tests::cases::all() {
        let mut mine = Case::new(case.desc.clone());
        mine.sizes = case.bindings.clone();
        let inputs = case.inputs();
        let expected = case.expected(&inputs);
        let got = mine.run_code(&inputs, 2);
        case.check(&expected, &got).unwrap_or_else(|e| panic!("{}: {e}", case.desc.name));
    }
}
