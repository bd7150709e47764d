//! The same model and options give the same bytes, wherever and whenever.

use crate::{root, stdout, text};

const MODELS: [&str; 2] = ["examples/simplex/block.onnx", "examples/ffn24/ffn24.tri"];

#[test]
fn building_twice_gives_equal_bytes() {
    for model in MODELS {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.tricot"), folder.path().join("b.tricot"));
        stdout(&["build", model, "-o", text(&a)]);
        stdout(&["build", model, "-o", text(&b)]);
        assert!(std::fs::read(&a).unwrap() == std::fs::read(&b).unwrap(), "{model}: two builds differ");
    }
}

#[test]
fn the_folder_leaves_no_trace() {
    for model in MODELS {
        let here = tempfile::tempdir().unwrap();
        let there = tempfile::tempdir().unwrap();
        let moved = there.path().join("deep/er");
        std::fs::create_dir_all(&moved).unwrap();
        let source = root().join(model);
        for file in std::fs::read_dir(source.parent().unwrap()).unwrap().flatten() {
            std::fs::copy(file.path(), moved.join(file.file_name())).unwrap();
        }
        let (a, b) = (here.path().join("a.tricot"), there.path().join("b.tricot"));
        stdout(&["build", text(&source), "-o", text(&a)]);
        stdout(&["build", text(&moved.join(source.file_name().unwrap())), "-o", text(&b)]);
        let (a, b) = (std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        assert!(a == b, "{model}: builds in two folders differ");
        let needle = text(there.path()).as_bytes();
        assert!(
            !b.windows(needle.len()).any(|w| w == needle),
            "{model}: the bundle names the folder it was built from"
        );
    }
}
