//! Declared ops from the command line: built, chosen, proved, checked against their meaning; and what is refused.

use crate::{refused, root, stdout, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const GATE: &str = "examples/custom_op/gate.tri";

fn gate(edit: impl Fn(String) -> String, folder: &Path) -> PathBuf {
    let whole = fs::read_to_string(root().join(GATE)).unwrap();
    let edited = edit(whole.clone());
    assert_ne!(edited, whole, "the edit changes nothing");
    let path = folder.join("gate.tri");
    fs::write(&path, edited).unwrap();
    path
}

#[test]
fn a_declared_op_is_what_its_body_says() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("gate.tricot");
    stdout(&["build", GATE, "--target", "cpu", "-o", text(&bundle)]);
    let said = stdout(&["verify", text(&bundle), "--source", GATE, "--numerics", "--set", "n=37"]);
    assert!(said.contains("output `y`: relative error"), "{said}");
    // Nothing else is needed to check the proof: it carries the declaration.
    stdout(&["verify", text(&bundle)]);
    assert!(stdout(&["explain", GATE]).contains("definition"));
    // It fuses like any other op: one kernel does it all.
    assert!(stdout(&["inspect", text(&bundle)]).contains("variant 0: 1 launches"));
}

#[test]
fn another_declaration_is_refused_by_the_checker() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    let rewrite = ["--emit", "rewrite", "--stop-after", "rewrite", "-o", "unused", "--dump-dir", text(&dump)];
    stdout(&[&["build", GATE], &rewrite[..]].concat());
    let proof = dump.join("cpu.proof");
    stdout(&["verify", text(&proof), "--source", GATE]);
    let other = gate(|t| t.replacen("fn = \"sigmoid\"", "fn = \"tanh\"", 1), folder.path());
    let said = refused(&["verify", text(&proof), "--source", text(&other)], "TC0311");
    assert!(said.contains("declared otherwise"), "{said}");
    let mut altered: Value = serde_json::from_str(&fs::read_to_string(&proof).unwrap()).unwrap();
    let declaration = altered["ops"][0].as_str().unwrap().replacen("sigmoid", "tanh", 1);
    altered["ops"][0] = declaration.into();
    let path = folder.path().join("altered.proof");
    fs::write(&path, altered.to_string()).unwrap();
    // The step no longer holds, with or without the source beside it.
    refused(&["verify", text(&path)], "TC0312");
    refused(&["verify", text(&path), "--source", GATE], "TC0311");
    altered["ops"] = Value::Array(vec![]);
    fs::write(&path, altered.to_string()).unwrap();
    refused(&["verify", text(&path)], "TC0311");
}

#[test]
fn idioms_are_found_through_declared_ops() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("attend.tri");
    let body = r#"module @attend
symbol n {min = 1, max = 4096, hint = 512}

op @mylib.weights(%s: f32[b, h, n, m]) {
  %max = core.reduce %s {axes = [3], kind = "max"} : f32[b, h, n]
  %mb = core.broadcast %max {axes = [0, 1, 2], shape = [b, h, n, m]} : f32[b, h, n, m]
  %d = core.map %s, %mb {fn = "sub"} : f32[b, h, n, m]
  %e = core.map %d {fn = "exp"} : f32[b, h, n, m]
  %sum = core.reduce %e {axes = [3], kind = "sum"} : f32[b, h, n]
  %sb = core.broadcast %sum {axes = [0, 1, 2], shape = [b, h, n, m]} : f32[b, h, n, m]
  %w = core.map %e, %sb {fn = "div"} : f32[b, h, n, m]
  return "w" = %w
}

op @mylib.attend(%q: f32[b, n, h, d], %k: f32[b, m, h, d], %v: f32[b, m, h, d], $scale: float = 0.125) {
  %s = core.contract %q, %k {dtype = f32, spec = "bihd,bjhd->bhij"} : f32[b, h, n, m]
  %c = core.constant {value = splat<$scale>} : f32[]
  %cb = core.broadcast %c {axes = [], shape = [b, h, n, m]} : f32[b, h, n, m]
  %x = core.map %s, %cb {fn = "mul"} : f32[b, h, n, m]
  %w = mylib.weights %x : f32[b, h, n, m]
  %o = core.contract %w, %v {dtype = f32, spec = "bhij,bjhd->bihd"} : f32[b, n, h, d]
  return "o" = %o
}

func @main(%q: f32[2, n, 4, 64], %k: f32[2, n, 4, 64], %v: f32[2, n, 4, 64]) {
  %o = mylib.attend %q, %k, %v : f32[2, n, 4, 64]
  return "o" = %o
}
"#;
    fs::write(&model, body).unwrap();
    let rewritten = stdout(&["opt", text(&model), "--target", "sm_90a"]);
    let main = rewritten.split("func @main").nth(1).unwrap();
    assert!(main.contains("nn.attention") && !main.contains("mylib"), "{rewritten}");
    let bundle = folder.path().join("attend.tricot");
    stdout(&["build", text(&model), "--target", "cpu", "-o", text(&bundle)]);
    stdout(&["verify", text(&bundle), "--source", text(&model), "--numerics", "--set", "n=33"]);
    // The same from a library of ops beside the model.
    let at = body.find("func").unwrap();
    let (library, plain) = (folder.path().join("lib.tri"), folder.path().join("plain.tri"));
    fs::write(&library, &body[body.find("op ").unwrap()..at]).unwrap();
    fs::write(&plain, format!("module @attend\nsymbol n {{min = 1, max = 4096, hint = 512}}\n{}", &body[at..]))
        .unwrap();
    refused(&["opt", text(&plain)], "TC0103");
    assert_eq!(stdout(&["opt", text(&plain), "--ops", text(&library), "--target", "sm_90a"]), rewritten);
}

#[test]
fn the_authors_kernel_is_taken_where_it_fits() {
    let folder = tempfile::tempdir().unwrap();
    let why = |path: &Path| stdout(&["explain", text(path), "--target", "sm_90a", "--why-not", "mylib.gate"]);
    // As it stands, the body costs nothing in the product's epilogue.
    assert!(why(&root().join(GATE)).contains("kernel `gate_f32` could compute it"));
    let always = gate(|t| t.replacen("microseconds = 2.5", "always = true", 1), folder.path());
    let rewritten = stdout(&["opt", text(&always), "--target", "sm_90a"]);
    assert!(rewritten.split("func @main").nth(1).unwrap().contains("mylib.gate"), "{rewritten}");
    assert!(!stdout(&["opt", text(&always)]).split("func @main").nth(1).unwrap().contains("mylib.gate"));
    let schedule =
        stdout(&["build", text(&always), "--target", "sm_90a", "--emit", "schedule", "--stop-after", "schedule"]);
    assert!(schedule.contains("custom sm_90a mylib gate entry gate_f32"), "{schedule}");
    assert!(schedule.contains("value 4 (64)") && schedule.contains("grid ("), "{schedule}");
    // Other types and targets take the body, and say why.
    let halves = gate(
        |t| {
            t.replace("f32[n", "bf16[n")
                .replace("f32[96", "bf16[96")
                .replace("f32[64]", "bf16[64]")
                .replace("dtype = f32", "dtype = bf16")
        },
        folder.path(),
    );
    assert!(why(&halves).contains("it is for T = f32, this is bf16"), "{}", why(&halves));
    assert!(stdout(&["explain", text(&always), "--why-not", "mylib.gate"]).contains("no kernel for cpu"));
}

/// Needs the code generator and ptxas.
#[cfg(feature = "sm90")]
#[test]
fn the_authors_kernel_is_assembled_and_launched() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("gate.tricot");
    let always = gate(|t| t.replacen("microseconds = 2.5", "always = true", 1), folder.path());
    let build = |model: &Path| {
        ["build".to_string(), text(model).into(), "--target".into(), "sm_90a".into(), "-o".into(), text(&bundle).into()]
    };
    let run = |model: &Path| crate::tricot(&build(model).iter().map(String::as_str).collect::<Vec<_>>());
    let out = run(&always);
    if String::from_utf8_lossy(&out.stderr).contains("TC0506") {
        println!("skipped: no ptxas");
        return;
    }
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let listed = stdout(&["inspect", text(&bundle)]);
    assert!(listed.contains("sm_90a/custom_") && listed.contains(".cubin"), "{listed}");
    let bad = gate(
        |t| t.replacen("microseconds = 2.5", "always = true", 1).replacen("ex2.approx", "ex3.approx", 1),
        folder.path(),
    );
    let said = String::from_utf8_lossy(&run(&bad).stderr).into_owned();
    assert!(said.contains("TC0503"), "{said}");
    let misnamed = gate(
        |t| {
            t.replacen("microseconds = 2.5", "always = true", 1).replacen(
                ".visible .entry gate_f32",
                ".visible .entry gate_f33",
                1,
            )
        },
        folder.path(),
    );
    let said = String::from_utf8_lossy(&run(&misnamed).stderr).into_owned();
    assert!(said.contains("TC0123") || said.contains("TC0510"), "{said}");
}

/// Without a GPU: the simulator executes the PTX, the author's and Tricot's own.
#[cfg(feature = "sm90")]
#[test]
fn gpu_code_runs_in_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("gate.tricot");
    let build = |model: &Path| {
        let out = crate::tricot(&["build", text(model), "--target", "sm_90a", "-o", text(&bundle)]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success() || said.contains("TC0506"), "{said}");
        out.status.success()
    };
    let always = gate(|t| t.replacen("microseconds = 2.5", "always = true", 1), folder.path());
    if !build(&always) {
        println!("skipped: no ptxas");
        return;
    }
    let numerics = ["--numerics", "--device", "sim", "--set", "n=37"];
    let said = stdout(&[&["verify", text(&bundle), "--source", text(&always)], &numerics[..]].concat());
    assert!(said.contains("output `y`: relative error"), "{said}");
    // A kernel that is wrong is found out, by its result or by what it touches.
    let wrong = gate(
        |t| {
            t.replacen("microseconds = 2.5", "always = true", 1).replacen(
                "mul.f32 %f8, %f8, %f2",
                "mul.f32 %f8, %f8, %f1",
                1,
            )
        },
        folder.path(),
    );
    assert!(build(&wrong));
    let out = crate::tricot(&[&["verify", text(&bundle), "--source", text(&wrong)], &numerics[..]].concat());
    assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stdout));
    let outside = gate(
        |t| t.replacen("microseconds = 2.5", "always = true", 1).replacen("@%outside bra done;", "", 1),
        folder.path(),
    );
    assert!(build(&outside));
    let said = refused(&[&["verify", text(&bundle), "--source", text(&outside)], &numerics[..]].concat(), "TC0870");
    assert!(
        said.contains("out-of-bounds")
            && said.contains("line")
            && said.contains("end of `workspace buffer")
            && said.contains("` of %"),
        "{said}"
    );
}
