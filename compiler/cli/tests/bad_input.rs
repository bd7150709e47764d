//! What bad input gets: one coded error, status 1, no panic, no partial file.

use crate::{refused, root, stdout, text, tricot};
use std::path::Path;

const BLOCK: &str = "examples/simplex/block.onnx";
const FFN: &str = "examples/ffn24/ffn24.tri";

/// Feeds damaged forms of a file to a command: each must end with status 0 or 1, never with a panic or a signal.
fn survives(bytes: &[u8], name: &str, command: impl Fn(&str) -> Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % n.max(1) as u64) as usize
    };
    for round in 0..24 {
        let mut damaged = bytes.to_vec();
        match round {
            0 => damaged.clear(),
            1..=8 => damaged.truncate(next(bytes.len())),
            _ => (0..1 + round % 4).for_each(|_| {
                let at = next(damaged.len());
                damaged[at] ^= 1 << next(8);
            }),
        }
        std::fs::write(&path, &damaged).unwrap();
        let arguments = command(text(&path));
        let out = tricot(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let message = String::from_utf8_lossy(&out.stderr);
        assert!(matches!(out.status.code(), Some(0 | 1)), "round {round}: {:?}\n{message}", out.status);
        if out.status.code() == Some(1) {
            assert!(message.contains("error[TC0"), "round {round}: no code in\n{message}");
        }
    }
}

#[test]
fn damaged_onnx() {
    let bytes = std::fs::read(root().join(BLOCK)).unwrap();
    survives(&bytes, "model.onnx", |path| {
        ["build", path, "--emit", "graph", "--stop-after", "graph"].iter().map(|s| s.to_string()).collect()
    });
}

#[test]
fn damaged_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ffn.tricot");
    stdout(&["build", FFN, "-o", text(&bundle)]);
    let bytes = std::fs::read(&bundle).unwrap();
    survives(&bytes, "model.tricot", |path| vec!["verify".into(), path.into()]);
    survives(&bytes, "model.tricot", |path| vec!["inspect".into(), path.into()]);
}

#[test]
fn damaged_text() {
    let bytes = std::fs::read(root().join(FFN)).unwrap();
    let weights = root().join("examples/ffn24/weights.safetensors");
    survives(&bytes, "model.tri", |path| {
        ["opt", path, "--weights", text(&weights)].iter().map(|s| s.to_string()).collect()
    });
}

/// What a message must say beyond its code: the place, the value, the way out.
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing from\n{message}");
    }
}

#[test]
fn damage_is_located() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        text(&path).to_string()
    };
    let onnx = std::fs::read(root().join(BLOCK)).unwrap();
    let cut = write("cut.onnx", &onnx[..onnx.len() / 2]);
    let offset = |message: &str| -> usize {
        let (_, after) = message.split_once("at byte ").unwrap_or_else(|| panic!("no byte in\n{message}"));
        after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let message = refused(&["build", &cut], "TC0202");
    assert!(offset(&message) <= onnx.len() / 2, "{message}");
    says(&message, &["cut.onnx", "help: the file may be truncated"]);
    says(&refused(&["build", &write("empty.onnx", b"")], "TC0202"), &["empty.onnx", "help:"]);
    says(&refused(&["build", &write("noise.onnx", &[0xff; 100])], "TC0202"), &["at byte", "noise.onnx", "help:"]);

    let bundle = folder.path().join("ffn.tricot");
    stdout(&["build", FFN, "-o", text(&bundle)]);
    let bytes = std::fs::read(&bundle).unwrap();
    let cut = write("cut.tricot", &bytes[..bytes.len() - 10]);
    for command in ["inspect", "verify", "run"] {
        says(&refused(&[command, &cut], "TC0702"), &["cut.tricot", "help:"]);
    }
    says(&refused(&["inspect", &write("noise.tricot", b"PK but no archive")], "TC0702"), &["noise.tricot", "help:"]);
    // A flipped bit in a weight: opening is lazy, using it is not.
    let mut flipped = bytes.clone();
    let at = flipped.len() / 2;
    flipped[at] ^= 0x10;
    let flipped = write("flipped.tricot", &flipped);
    for command in ["verify", "run"] {
        says(&refused(&[command, &flipped], "TC0708"), &["weights/", "flipped.tricot", "help:"]);
    }

    let source = std::fs::read_to_string(root().join(FFN)).unwrap();
    let weights = root().join("examples/ffn24/weights.safetensors");
    let with = ["--weights", text(&weights)];
    let broken = write("cut.tri", &source.as_bytes()[..source.len() - 30]);
    says(&refused(&[&["opt", &broken][..], &with].concat(), "TC0101"), &["cut.tri:", "-->"]);
    let binary = write("binary.tri", b"module @m\n\xff\xfe");
    says(&refused(&["opt", &binary], "TC0901"), &["at byte 10", "binary.tri", "help:"]);
    let other = write("other.safetensors", b"\x08\0\0\0\0\0\0\0{\"x\": 1}");
    let args = ["opt", FFN, "--weights", &other];
    let out = tricot(&args);
    let message = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{message}");
    says(&message, &["[TC025", "other.safetensors", "help:"]);
}

fn text_model(folder: &Path, body: &str) -> String {
    let path = folder.join("model.tri");
    std::fs::write(&path, body).unwrap();
    text(&path).to_string()
}

#[test]
fn unknown_ops_and_contradicting_shapes_are_located() {
    let folder = tempfile::tempdir().unwrap();
    let model = text_model(
        folder.path(),
        "module @m\nfunc @main(%x: f32[4, 5], %w: f32[6, 7]) {\n  %a = core.mop %x {fn = \"relu\"} : f32[4, 5]\n  \
         %b = core.contract %x, %w {dtype = f32, spec = \"ab,bc->ac\"} : f32[4, 7]\n  return \"y\" = %b\n}\n",
    );
    let message = refused(&["opt", &model], "TC0103");
    assert!(message.contains("core.map") && message.contains("model.tri:3"), "{message}");
    assert!(message.contains("size 5 and size 6") && message.contains("model.tri:4"), "{message}");
}

#[test]
fn an_onnx_model_is_refused_at_its_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let onnx = std::fs::read(root().join(BLOCK)).unwrap();
    let at = |needle: &[u8]| onnx.windows(needle.len()).position(|w| w == needle).expect("it is in the model");
    let altered = |needle: &[u8], by: &[u8]| {
        let mut bytes = onnx.clone();
        let at = at(needle);
        bytes[at..at + by.len()].copy_from_slice(by);
        std::fs::write(&path, bytes).unwrap();
        text(&path).to_string()
    };
    // Field 4 of a node, six bytes long: the op's name.
    let message = refused(&["build", &altered(b"\x22\x06Einsum", b"\x22\x06Einsun")], "TC0203");
    says(&message, &["Einsun", "model.onnx", "node `", "(Einsun)", "help:"]);
    // The letters of an equation that the shapes contradict.
    let equation = onnx.windows(2).position(|w| w == b"->").expect("an equation");
    let mut bytes = onnx.clone();
    bytes[equation + 2] = b'?';
    std::fs::write(&path, bytes).unwrap();
    let out = tricot(&["build", text(&path)]);
    let message = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{message}");
    says(&message, &["error[TC02", "node `", "(Einsum)", "?"]);
}

#[test]
fn symbols_keep_their_promises() {
    for command in ["run", "build", "opt", "explain"] {
        let message = refused(&[command, FFN, "--set", "t=12"], "TC0911");
        says(&message, &["t=12", "not a multiple of 8", "help: the model wants `t` to be a multiple of 8"]);
        says(&refused(&[command, FFN, "--set", "nothing=1"], "TC0910"), &["`nothing`", "help: symbols: t"]);
        says(&refused(&[command, FFN, "--set", "t"], "TC0912"), &["`t` is no binding", "help: write SYMBOL=N"]);
    }
}

#[test]
fn inputs_are_checked_at_run_time() {
    let folder = tempfile::tempdir().unwrap();
    let model = text_model(
        folder.path(),
        "module @m\nsymbol n\nfunc @main(%x: f32[n, 4]) {\n  %y = core.map %x {fn = \"relu\"} : f32[n, 4]\n  return \"y\" = %y\n}\n",
    );
    let bundle = folder.path().join("m.tricot");
    stdout(&["build", &model, "-o", text(&bundle)]);
    let npy = |name: &str, kind: &str, shape: &str, bytes: usize| {
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
        header.push_str(&" ".repeat((64 - (11 + header.len()) % 64) % 64));
        header.push('\n');
        let mut data = b"\x93NUMPY\x01\x00".to_vec();
        data.extend((header.len() as u16).to_le_bytes());
        data.extend(header.as_bytes());
        data.extend(vec![0u8; bytes]);
        let path = folder.path().join(name);
        std::fs::write(&path, data).unwrap();
        format!("x={}", text(&path))
    };
    let right = npy("right.npy", "<f4", "(3, 4)", 48);
    stdout(&["run", text(&bundle), "--input", &right]);
    let message = refused(&["run", text(&bundle), "--input", &npy("double.npy", "<f8", "(3, 4)", 96)], "TC0803");
    assert!(message.contains("f64") && message.contains("f32"), "{message}");
    refused(&["run", text(&bundle), "--input", &npy("wide.npy", "<f4", "(3, 5)", 60)], "TC0804");
    refused(&["run", text(&bundle), "--input", "z=random:1"], "TC0915");
    refused(&["run", text(&bundle), "--input", "x=missing.npy"], "TC0900");
    // No sm_90a code in it, and mostly no driver either: either way one coded error.
    let out = tricot(&["run", text(&bundle), "--device", "cuda"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("error[TC0"));
    refused(&["run", text(&bundle), "--device", "abacus"], "TC0829");
}

#[test]
fn wrong_usage_ends_with_two() {
    for arguments in [&["build"][..], &["frobnicate"], &["build", "m.onnx", "--emit", "nonsense"]] {
        assert_eq!(tricot(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
