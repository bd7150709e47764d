//! The examples compiled and run on the best device present, checked against the float64 reference, in one table.

use std::path::PathBuf;
use std::process::ExitCode;
use tricot_tests::table;

const EXAMPLES: [(&str, &str); 3] = [
    ("simplex", "examples/simplex/block.onnx"),
    ("ffn24", "examples/ffn24/ffn24.tri"),
    ("vgg19", "target/examples/vgg19.onnx"),
];

fn main() -> ExitCode {
    #[cfg(feature = "sm90")]
    tricot_codegen::worker_main();
    let device = table::best_device();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut rows, mut failed) = (vec![], false);
    for (name, path) in EXAMPLES {
        eprintln!("{name} …");
        match table::check(name, &root.join(path), &[table::target_of(device)], &[device]) {
            Ok(more) => rows.extend(more),
            Err(problems) => {
                failed = true;
                problems.iter().for_each(|p| eprintln!("{p}\n"));
            }
        }
    }
    table::print(&rows);
    if failed || rows.iter().any(|r| !r.within) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
