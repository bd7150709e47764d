//! Symbols from shapes, promises, and plans that do not fit.

use crate::support::*;
use tricot_runtime::plan::{Plan, Storage};
use tricot_runtime::*;

fn infer(shapes: &[(&str, &[u64])], given: &[(&str, i64)]) -> Result<Bindings, Vec<Diagnostic>> {
    let m = manifest(
        "cpu",
        &[("b", info(1, 64, 1)), ("s", info(4, i64::MAX, 4)), ("h", info(0, 8, 1))],
        vec![port("x", &["b", "3*s + 2"]), port("y", &["s", "b*s", "7"]), port("z", &["(s + 3) floordiv 4"])],
        vec![],
        vec![],
    );
    symbols::infer(&m, shapes, &bindings(given))
}

#[test]
fn shapes_determine_symbols() {
    let good = infer(&[("x", &[2, 26]), ("y", &[8, 16, 7]), ("z", &[2])], &[("h", 3)]).unwrap();
    assert_eq!(good, bindings(&[("b", 2), ("s", 8), ("h", 3)]));
    // s from the linear form alone, b from b*s then.
    let good = infer(&[("y", &[8, 16, 7])], &[("h", 0)]).unwrap();
    assert_eq!(good, bindings(&[("b", 2), ("s", 8), ("h", 0)]));
    let good = infer(&[("x", &[2, 26])], &[("h", 0)]).unwrap();
    assert_eq!(good[&symbol("s")], 8);
}

#[test]
fn contradictions_are_all_reported() {
    let bad = |shapes: &[(&str, &[u64])], given: &[(&str, i64)]| codes(&infer(shapes, given).unwrap_err());
    assert_eq!(bad(&[("x", &[2, 26]), ("y", &[8, 16, 7])], &[]), ["TC0805"]);
    assert_eq!(bad(&[("x", &[2, 26]), ("y", &[8, 17, 6])], &[("h", 1)]), ["TC0804", "TC0804"]);
    assert_eq!(bad(&[("x", &[2, 27])], &[("h", 1), ("s", 8)]), ["TC0804"]);
    assert_eq!(bad(&[("x", &[2]), ("w", &[1])], &[("h", 1), ("s", 8), ("b", 1)]), ["TC0804", "TC0802"]);
    assert_eq!(bad(&[], &[("h", 9), ("s", 6), ("b", 0)]), ["TC0806", "TC0806", "TC0806"]);
    assert_eq!(bad(&[], &[("h", 1), ("s", 8), ("b", 1), ("q", 1)]), ["TC0805"]);
    assert_eq!(bad(&[("y", &[u64::MAX, 1, 7])], &[("h", 1), ("b", 1)])[0], "TC0804");
    // Linear without a solution against not solvable at all.
    assert_eq!(bad(&[("x", &[2, 27])], &[("h", 1)]), ["TC0804"]);
    assert_eq!(bad(&[("z", &[2])], &[("h", 1), ("b", 1)]), ["TC0805"]);
    let message = text(&infer(&[("x", &[2, 26]), ("y", &[8, 20, 7])], &[("h", 1)]).unwrap_err());
    assert!(message.contains("axis 1 of input `y` is 20, it should be 16 (`b*s`)"), "{message}");
    let message = text(&infer(&[], &[("h", 1), ("s", 6), ("b", 1)]).unwrap_err());
    assert!(message.contains("6 is not a multiple of 4"), "{message}");
}

#[test]
fn inputs_are_checked_all_at_once() {
    let mut instance = crate::model::load().instance();
    let good = tensor(&[1, 4], &[0.0; 4]);
    let half = HostTensor::zeros(DType::F16, &[1, 4]).unwrap();
    let run = |instance: &mut Instance, inputs: &[(&str, &HostTensor)]| {
        codes(&instance.run(inputs, &RunOptions::default()).unwrap_err())
    };
    assert_eq!(run(&mut instance, &[("a", &good)]), ["TC0801"]);
    let missing = text(&instance.run(&[("a", &good)], &RunOptions::default()).unwrap_err());
    assert!(missing.contains("input `b` is missing") && missing.contains("f32["), "{missing}");
    let dtype = text(&instance.run(&[("a", &good), ("b", &half)], &RunOptions::default()).unwrap_err());
    assert!(dtype.contains("`b`") && dtype.contains("f16") && dtype.contains("f32"), "{dtype}");
    assert_eq!(run(&mut instance, &[("a", &good), ("c", &good)]), ["TC0802", "TC0801"]);
    assert_eq!(run(&mut instance, &[("a", &good), ("a", &good), ("b", &good)]), ["TC0802"]);
    assert_eq!(run(&mut instance, &[("a", &half), ("b", &half)]), ["TC0803", "TC0803"]);
    assert_eq!(run(&mut instance, &[("a", &good), ("b", &tensor(&[4], &[0.0; 4]))]), ["TC0804"]);
    // k must be a multiple of 2.
    let odd = tensor(&[1, 6], &[0.0; 6]);
    assert_eq!(run(&mut instance, &[("a", &odd), ("b", &odd)]), ["TC0806"]);
    let uneven = tensor(&[1, 5], &[0.0; 5]);
    assert_eq!(run(&mut instance, &[("a", &uneven), ("b", &uneven)])[0], "TC0804");
    assert!(instance.run(&[("a", &good), ("b", &good)], &RunOptions::default()).is_ok());
}

fn bind(variants: Vec<Plan>, values: &[(&str, i64)]) -> Result<u64, Vec<Diagnostic>> {
    let symbols = [("n", info(0, i64::MAX, 1))];
    let mut m = manifest("cpu", &symbols, vec![port("x", &["n"])], vec![port("y", &["n"])], variants);
    let bundle = open(&mut m, &[("w", vec![0; 8])]);
    let digest = bundle.digest();
    Module::load(bundle, Device::Cpu, &digest).unwrap().workspace_bytes(&bindings(values))
}

fn plan(extra: tricot_runtime::plan::PlanBuffer, arena_bytes: &str) -> Plan {
    let mut plan = Plan { arena_bytes: poly(arena_bytes), ..Plan::default() };
    plan.buffers = vec![buffer("x", &["n"], Storage::Input(0)), buffer("y", &["n"], Storage::Output(0)), extra];
    plan
}

#[test]
fn plans_that_leave_their_memory_are_refused() {
    let code = |extra, arena_bytes: &str, n| codes(&bind(vec![plan(extra, arena_bytes)], &[("n", n)]).unwrap_err());
    assert_eq!(bind(vec![plan(buffer("t", &["n"], arena("256")), "4*n + 256")], &[("n", 64)]).unwrap(), 512);
    assert_eq!(code(buffer("t", &["n"], arena("256")), "4*n + 255", 64), ["TC0813"]);
    assert_eq!(code(buffer("t", &["n"], arena("n")), "8*n + 256", 64), ["TC0813"], "misaligned");
    assert_eq!(code(buffer("t", &["n"], arena("-256")), "8*n", 64), ["TC0809"]);
    assert_eq!(code(buffer("t", &["n - 65"], arena("0")), "8*n", 64), ["TC0809"]);
    assert_eq!(code(buffer("t", &["n + 1"], Storage::Input(0)), "0", 64), ["TC0813"]);
    assert_eq!(code(buffer("t", &["n"], Storage::Weight("w".into())), "0", 3), ["TC0813"]);
    assert_eq!(code(buffer("t", &["n"], arena("0")), "4*n", i64::MAX), ["TC0809"]);
    let mut copies = plan(buffer("t", &["n"], arena("0")), "4*n");
    copies.steps = vec![copy(0, 2, "4*n + 1")];
    assert_eq!(codes(&bind(vec![copies], &[("n", 64)]).unwrap_err()), ["TC0813"]);
}

#[test]
fn the_first_variant_that_admits_the_sizes_is_taken() {
    let variant = |max: i64, arena_bytes: &str| {
        let mut p = plan(buffer("t", &["1"], arena("0")), arena_bytes);
        p.symbols = [(symbol("n"), info(1, max, 1))].into();
        p
    };
    let variants = || vec![variant(8, "256"), variant(64, "512")];
    assert_eq!(bind(variants(), &[("n", 8)]).unwrap(), 256);
    assert_eq!(bind(variants(), &[("n", 9)]).unwrap(), 512);
    assert_eq!(codes(&bind(variants(), &[("n", 65)]).unwrap_err()), ["TC0808"]);
}

#[test]
fn a_workspace_beyond_memory_is_an_error() {
    let bundle = open(
        &mut manifest("cpu", &[], vec![], vec![], vec![Plan { arena_bytes: poly("1099511627776"), ..Plan::default() }]),
        &[],
    );
    let digest = bundle.digest();
    let module = Module::load(bundle, Device::Cpu, &digest).unwrap();
    assert_eq!(codes(&module.bind(&bindings(&[])).err().unwrap()), ["TC0811"]);
}

#[test]
fn devices_are_parsed() {
    assert_eq!(Device::parse("cpu").unwrap(), Device::Cpu);
    assert_eq!(Device::parse("cuda").unwrap(), Device::Cuda(0));
    assert_eq!("cuda:3".parse::<Device>().unwrap(), Device::Cuda(3));
    assert_eq!(Device::Cuda(3).to_string(), "cuda:3");
    for bad in ["", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cpu:0", "cuda:99999999999"] {
        assert_eq!(Device::parse(bad).unwrap_err().code, "TC0829", "{bad}");
    }
}
