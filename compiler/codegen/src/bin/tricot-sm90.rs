//! `tricot-sm90`: the `sm_90a` code generator as a program of its own, for hosts that do not link LLVM.
//!
//! Reads one job from standard input and answers on standard output; see `tricot_kernel::remote`.

fn main() {
    // In its own workers this call does the work and does not return.
    tricot_codegen::worker_main();
    std::process::exit(tricot_kernel::remote::serve(&tricot_codegen::Sm90Backend));
}
