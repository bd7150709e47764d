//! The worker process. Without the test harness, since the program must be able to start itself as a worker.

use tricot_codegen::Sm90Backend;
use tricot_kernel::{Backend, CompileOptions, KernelDesc};
use tricot_kernel_tests::cases::{self, Case};

fn case(name: &str) -> Case {
    cases::small().into_iter().find(|c| c.desc.name == name).expect("a case of that name")
}

fn options() -> CompileOptions {
    CompileOptions { want: vec!["mlir", "llvm", "ptx"], stop_after: Some("ptx"), ..CompileOptions::default() }
}

fn main() {
    tricot_codegen::worker_main();
    let kernels: Vec<KernelDesc> = ["exp_f32_203", "softmax_f32_5_7", "pool"].map(|n| case(n).desc).to_vec();
    workers_give_the_same_text_every_time(&kernels);
    a_dying_worker_costs_one_kernel_and_leaves_a_reproducer(&kernels);
    a_malformed_description_is_a_diagnostic(&kernels);
    println!("worker: 3 tests passed");
}

fn workers_give_the_same_text_every_time(kernels: &[KernelDesc]) {
    let compile = || Sm90Backend.compile(kernels, &options()).unwrap_or_else(|d| panic!("{d:?}"));
    let (one, two) = (compile(), compile());
    assert_eq!(one.kernels.len(), kernels.len());
    for (name, kernel) in &one.kernels {
        assert_eq!(kernel.texts, two.kernels[name].texts);
        assert_eq!(kernel.texts.keys().copied().collect::<Vec<_>>(), ["llvm", "mlir", "ptx"]);
    }
}

fn a_dying_worker_costs_one_kernel_and_leaves_a_reproducer(kernels: &[KernelDesc]) {
    let folder = tempfile::tempdir().expect("a folder");
    // SAFETY: nothing else runs in this process.
    unsafe {
        std::env::set_var("TRICOT_CODEGEN_ABORT_AT", "softmax_f32_5_7");
        std::env::set_var("TRICOT_REPRODUCER_DIR", folder.path());
    }
    let problems = Sm90Backend.compile(kernels, &options()).expect_err("one kernel kills its worker");
    // SAFETY: as above.
    unsafe { std::env::remove_var("TRICOT_CODEGEN_ABORT_AT") };
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].code, "TC0590");
    assert!(problems[0].message.contains("softmax_f32_5_7"), "{}", problems[0]);
    let file = folder.path().join("tricot-softmax_f32_5_7.kernel.json");
    let text = std::fs::read_to_string(file).expect("a reproducer");
    let read: KernelDesc = serde_json::from_str(&text).expect("a description");
    assert_eq!(read, kernels[1]);
}

fn a_malformed_description_is_a_diagnostic(kernels: &[KernelDesc]) {
    let mut bad = kernels[0].clone();
    bad.buffers.truncate(1);
    bad.name = "bad".into();
    let problems =
        Sm90Backend.compile(&[bad, kernels[2].clone()], &options()).expect_err("a store names a missing buffer");
    assert!(problems.iter().all(|p| p.code == "TC0410"), "{problems:?}");
}
