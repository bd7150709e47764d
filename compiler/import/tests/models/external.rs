//! External data: read beside the model, refused outside its folder.

use crate::make::*;
use tricot_import::onnx::proto::{StringStringEntryProto, TensorProto};
use tricot_import::{ImportOptions, import_onnx, import_onnx_bytes};

fn outside(location: &str, offset: &str, length: &str) -> TensorProto {
    let entry = |k: &str, v: &str| StringStringEntryProto { key: Some(k.into()), value: Some(v.into()) };
    TensorProto {
        raw_data: None,
        data_location: Some(1),
        external_data: vec![entry("location", location), entry("offset", offset), entry("length", length)],
        ..floats("w", &[2, 3], &[])
    }
}

fn bytes(weight: TensorProto) -> Vec<u8> {
    model(body(vec![node("Add", &["x", "w"], &["y"])], vec![weight], vec![float("x", &["2", "3"])], &["y"]))
}

#[test]
fn data_beside_the_model_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..8).map(|i| i as f32).collect();
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/w.bin"), &raw).unwrap();
    let path = folder.path().join("m.onnx");
    std::fs::write(&path, bytes(outside("data/w.bin", "4", "24"))).unwrap();
    let module = import_onnx(&path, &ImportOptions::default()).unwrap();
    let (_, weight) = module.constants.iter().next().unwrap();
    assert_eq!(weight.to_f64(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn everything_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("model");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(folder.path().join("secret"), [0u8; 24]).unwrap();
    std::fs::write(inner.join("w.bin"), [0u8; 24]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret"), inner.join("link")).unwrap();
    let absolute = folder.path().join("secret").display().to_string();
    let path = inner.join("m.onnx");
    let cases = [
        ("../secret", "0", "24"),
        (absolute.as_str(), "0", "24"),
        ("link", "0", "24"),
        ("missing", "0", "24"),
        ("w.bin", "1", "24"),
        ("w.bin", "0", "23"),
        ("w.bin", "18446744073709551615", "24"),
        ("w.bin", "many", "24"),
        (".", "0", "24"),
    ];
    for (location, offset, length) in cases {
        let model = bytes(outside(location, offset, length));
        std::fs::write(&path, &model).unwrap();
        let found = import_onnx(&path, &ImportOptions::default()).unwrap_err();
        assert_eq!(found[0].code, "TC0211", "{location}: {}", found[0]);
        assert!(import_onnx_bytes(model, "m", &ImportOptions::default()).is_err());
    }
}
