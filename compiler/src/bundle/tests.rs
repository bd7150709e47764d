//! Writer against reader, and against other people's zip readers.

use super::*;
use std::collections::BTreeMap;
use std::process::Command;
use tricot_plan::{CpuLaunch, How, Launch, Plan, PlanBuffer, Port, Step, Storage, TargetPlan};
use tricot_runtime::Bundle;
use tricot_types::{Poly, Symbol, SymbolInfo};

fn poly(text: &str) -> Poly {
    text.parse().unwrap()
}

/// `y = kernel(x, w)` for x: f32[n, 4], on `cpu`.
fn manifest() -> Manifest {
    let port =
        |name: &str| Port { name: name.into(), dtype: DType::F32, shape: vec![poly("n"), poly("4")], alias: None };
    let buffer = |name: &str, shape: &[&str], storage| PlanBuffer {
        name: name.into(),
        dtype: DType::F32,
        shape: shape.iter().map(|d| poly(d)).collect(),
        storage,
    };
    let launch = Launch {
        kernel: "scale".into(),
        buffers: vec![tricot_plan::BufferId(0), tricot_plan::BufferId(1), tricot_plan::BufferId(2)],
        symbols: vec![poly("n")],
        symbol_names: vec![],
        nodes: vec![],
        work: None,
        how: How::Cpu(CpuLaunch { offset: 0, scratch: poly("0") }),
    };
    let plan = Plan {
        symbols: Default::default(),
        buffers: vec![
            buffer("x", &["n", "4"], Storage::Input(0)),
            buffer("w", &["2", "3"], Storage::Weight("weights/w".into())),
            buffer("t", &["n", "4"], Storage::Arena { offset: poly("256") }),
            buffer("y", &["n", "4"], Storage::Output(0)),
        ],
        arena_bytes: poly("16*n + 256"),
        steps: vec![
            Step::Launch(launch),
            Step::Copy { from: tricot_plan::BufferId(2), to: tricot_plan::BufferId(3), bytes: poly("16*n") },
        ],
    };
    let cpu = TargetPlan { features: vec!["x86_64".into()], variants: vec![plan], proof: None };
    Manifest {
        format: 0,
        tricot: "test".into(),
        name: "model".into(),
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        symbols: [(Symbol::new("n").unwrap(), SymbolInfo::default())].into(),
        targets: [("cpu".to_string(), cpu)].into(),
        entries: BTreeMap::new(),
    }
}

fn entries<'a>() -> Vec<NewEntry<'a>> {
    let weight: Vec<u8> = (0..6u32).flat_map(|i| (i as f32).to_le_bytes()).collect();
    vec![
        NewEntry::weight("weights/w", weight, DType::F32, &[2, 3]),
        NewEntry::new("cpu/code.bin", vec![0xc3u8; 100]),
        NewEntry::new("empty.txt", vec![]),
    ]
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.tricot");
    let written = write_bundle(&path, &manifest(), entries(), &WriteOptions::default()).unwrap();
    let bundle = Bundle::open(&path).unwrap();
    assert_eq!(bundle.digest_hex(), written.digest);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), written.bytes);
    assert_eq!(bundle.entry("cpu/code.bin").unwrap(), [0xc3u8; 100]);
    assert!(bundle.entry("empty.txt").unwrap().is_empty());
    assert_eq!(bundle.entry("weights/w").unwrap().len(), 24);
    assert_eq!(bundle.entry("no").unwrap_err().code, "TC0707");
    for name in bundle.manifest().entries.keys() {
        assert_eq!(bundle.entry_offset(name).unwrap() % 64, 0, "{name}");
    }
    bundle.verify().unwrap();
    let mut expected = manifest();
    expected.format = tricot_plan::FORMAT_VERSION;
    expected.entries = bundle.manifest().entries.clone();
    assert_eq!(*bundle.manifest(), expected);
    let seen = serde_json::to_value(bundle.inspect()).unwrap();
    assert_eq!(seen["targets"]["cpu"]["variants"][0]["kernels"][0][0], "scale");
    assert_eq!(seen["weight_bytes"], 24);
    // Nothing but the bundle stays in the folder.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn bytes_are_reproducible_whatever_the_order_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.tricot"), folder.path().join("b.tricot"));
    write_bundle(&a, &manifest(), entries(), &WriteOptions::default()).unwrap();
    let mut reversed = entries();
    reversed.reverse();
    std::fs::write(&b, "an older file").unwrap();
    write_bundle(&b, &manifest(), reversed, &WriteOptions::default()).unwrap();
    let bytes = std::fs::read(&a).unwrap();
    assert_eq!(bytes, std::fs::read(&b).unwrap());
    assert_eq!(bytes, bundle_bytes(&manifest(), entries()).unwrap());
}

#[test]
fn other_zip_readers_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.tricot");
    write_bundle(&path, &manifest(), entries(), &WriteOptions::default()).unwrap();
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                  for i in z.infolist(): print(i.filename, i.file_size, i.compress_type, i.date_time[0], z.read(i)[:4].hex())";
    match Command::new("python3").arg("-c").arg(script).arg(&path).output() {
        Err(_) => println!("skipped: no python3"),
        Ok(out) => {
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            let text = String::from_utf8(out.stdout).unwrap();
            let lines: Vec<_> = text.lines().collect();
            assert!(lines[0].starts_with("manifest.json "), "{text}");
            assert_eq!(
                lines[1..],
                ["cpu/code.bin 100 0 1980 c3c3c3c3", "empty.txt 0 0 1980 ", "weights/w 24 0 1980 00000000"]
            );
        }
    }
    match Command::new("unzip").arg("-t").arg(&path).output() {
        Err(_) => println!("skipped: no unzip"),
        Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout)),
    }
}

/// Opening and hashing everything fails with a coded error.
fn rejected(bytes: &[u8]) -> Option<Vec<tricot_types::Diagnostic>> {
    Bundle::from_bytes("test.tricot", bytes).and_then(|b| b.verify()).err()
}

#[test]
fn every_truncation_is_rejected() {
    let bytes = bundle_bytes(&manifest(), entries()).unwrap();
    assert!(rejected(&bytes).is_none());
    for length in 0..bytes.len() {
        let problems =
            rejected(&bytes[..length]).unwrap_or_else(|| panic!("{length} of {} bytes accepted", bytes.len()));
        assert!(problems[0].code.starts_with("TC07"), "{}", problems[0]);
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(rejected(&longer).unwrap()[0].code, "TC0702");
}

#[test]
fn every_flipped_bit_is_rejected() {
    let bytes = bundle_bytes(&manifest(), entries()).unwrap();
    let mut codes = BTreeMap::new();
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let problems = rejected(&damaged).unwrap_or_else(|| panic!("bit {bit} of byte {at} accepted"));
            *codes.entry(problems[0].code).or_insert(0) += 1;
        }
    }
    let kinds: Vec<_> = codes.keys().copied().collect();
    assert_eq!(kinds, ["TC0702", "TC0703", "TC0708"], "{codes:?}");
}

#[test]
fn external_weights_live_beside_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.tricot");
    write_bundle(&path, &manifest(), entries(), &WriteOptions { external_weights: true }).unwrap();
    let bundle = Bundle::open(&path).unwrap();
    assert_eq!(bundle.entry("weights/w").unwrap()[4..8], 1f32.to_le_bytes());
    let entry = &bundle.manifest().entries["weights/w"];
    let file = folder.path().join(entry.external.as_ref().unwrap());
    drop(bundle);

    std::fs::write(&file, [9u8; 24]).unwrap();
    assert_eq!(Bundle::open(&path).unwrap().entry("weights/w").unwrap_err().code, "TC0708");
    std::fs::write(&file, [9u8; 23]).unwrap();
    assert_eq!(Bundle::open(&path).unwrap().entry("weights/w").unwrap_err().code, "TC0710");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(Bundle::open(&path).unwrap().entry("weights/w").unwrap_err().code, "TC0710");
    // The code inside is still readable.
    assert!(Bundle::open(&path).unwrap().entry("cpu/code.bin").is_ok());
}

#[test]
fn writing_fails_whole_and_coded() {
    let folder = tempfile::tempdir().unwrap();
    let code = |path: &Path, entries| {
        write_bundle(path, &manifest(), entries, &WriteOptions { external_weights: true }).unwrap_err()[0].code
    };
    assert_eq!(code(&folder.path().join("no/m.tricot"), entries()), "TC0720");
    assert_eq!(code(folder.path(), entries()), "TC0720");
    assert_eq!(code(Path::new("/dev/full"), entries()), "TC0720");

    let path = folder.path().join("m.tricot");
    for name in ["/etc/passwd", "../up", "a//b", "manifest.json", "a b", ""] {
        assert_eq!(code(&path, vec![NewEntry::new(name, vec![])]), "TC0723", "{name:?}");
    }
    let twice = vec![NewEntry::new("a", vec![]), NewEntry::new("a", vec![])];
    assert_eq!(code(&path, twice), "TC0723");

    let missing = FileRange { path: folder.path().join("gone"), offset: 0, bytes: 1 };
    assert_eq!(code(&path, vec![NewEntry::new("a", missing)]), "TC0722");

    // A payload that changes between hashing and writing, after an external weight was written.
    let calls = std::sync::atomic::AtomicU8::new(0);
    let fickle = move |sink: &mut dyn Write| sink.write_all(&[calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst)]);
    let mut changing = entries();
    changing.push(NewEntry::new("zz", fickle));
    assert_eq!(code(&path, changing), "TC0722");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, [folder.path().join("weights")], "only the empty weight folder may stay");
    assert_eq!(std::fs::read_dir(&left[0]).unwrap().count(), 0);
}

#[test]
fn a_full_disk_is_its_own_error() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let bundle = Prepared::new(&manifest(), entries(), &WriteOptions::default()).unwrap();
    let total = bundle_bytes(&manifest(), entries()).unwrap().len();
    for room in (0..total).step_by(97) {
        let stopped = bundle.stream(&mut Full(room)).err().unwrap();
        assert_eq!(stopped.at(Path::new("m.tricot")).code, "TC0721");
    }
    assert_eq!(bundle.stream(&mut Full(total)).ok(), Some(total as u64));
}

/// A real file system that takes no more bytes: the process's own file size limit.
#[cfg(target_os = "linux")]
#[test]
fn a_file_system_that_takes_no_more_leaves_nothing() {
    const PLACE: &str = "TRICOT_TEST_FULL_WRITER";
    if let Some(folder) = std::env::var_os(PLACE) {
        let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
        // SAFETY: plain calls; without the handler the limit would end the process.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        }
        let all = vec![NewEntry::new("a", vec![1u8; 5 << 20])];
        let path = Path::new(&folder).join("m.tricot");
        let problem = write_bundle(&path, &manifest(), all, &WriteOptions::default()).unwrap_err().remove(0);
        assert_eq!(problem.code, "TC0721", "{problem}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut me = Command::new(std::env::current_exe().unwrap());
    me.args(["--exact", "bundle::tests::a_file_system_that_takes_no_more_leaves_nothing"]).env(PLACE, folder.path());
    let out = me.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    assert!(String::from_utf8_lossy(&out.stdout).contains("1 passed"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_bundle_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let code = |path: &Path| Bundle::open(path).unwrap_err()[0].code;
    assert_eq!(code(&folder.path().join("missing.tricot")), "TC0701");
    assert_eq!(code(folder.path()), "TC0701");
    let path = folder.path().join("m.tricot");
    for text in ["", "PK", &"not a bundle ".repeat(50)] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(code(&path), "TC0702");
    }
}

/// A writer that is killed half way leaves nothing: neither a partial bundle nor a temporary file.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_writer_leaves_nothing() {
    use std::io::{BufRead, BufReader};
    const PLACE: &str = "TRICOT_TEST_KILLED_WRITER";
    if let Some(folder) = std::env::var_os(PLACE) {
        // The child: gets stuck in the second pass, with megabytes on disk.
        let calls = std::sync::atomic::AtomicU8::new(0);
        let stuck = move |sink: &mut dyn Write| {
            sink.write_all(&[1; 5 << 20])?;
            if calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                println!("\nstuck");
                std::thread::sleep(std::time::Duration::from_secs(60));
            }
            Ok(())
        };
        let all = vec![NewEntry::new("a", stuck)];
        let _ = write_bundle(&Path::new(&folder).join("m.tricot"), &manifest(), all, &WriteOptions::default());
        return;
    }
    for signal in [libc::SIGINT, libc::SIGKILL] {
        let folder = tempfile::tempdir().unwrap();
        let mut me = Command::new(std::env::current_exe().unwrap());
        me.args(["--exact", "bundle::tests::a_killed_writer_leaves_nothing", "--nocapture"]).env(PLACE, folder.path());
        let mut child = me.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "stuck"), "the child ended early");
        // SAFETY: a signal to our own child, which is still there until it is waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
        assert!(!child.wait().unwrap().success());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "signal {signal}");
    }
}

/// Builder, scheduler, cpu backend, bundle and runtime agree with each other: softmax(x w) for x: f32[b, s, 8].
#[cfg(target_arch = "x86_64")]
#[test]
fn a_scheduled_graph_runs_from_its_bundle() {
    use tricot_dialects::{Attrs, Module as Graph, TensorType, builder::build_main};
    use tricot_kernel::{Backend, CompileOptions};
    use tricot_runtime::{Device, HostTensor, RunOptions};
    let mut graph = Graph::new("softmax");
    for name in ["b", "s"] {
        graph.symbols.insert(Symbol::new(name).unwrap(), SymbolInfo::default());
    }
    build_main(&mut graph, |f| {
        let x = f.input("x", TensorType::new(DType::F32, [poly("b"), poly("s"), poly("8")]));
        let w = f.input("w", TensorType::new(DType::F32, [8, 5]));
        let y = f.contract("bsk,kn->bsn", &[x, w], DType::F32)?;
        let p = f.one("nn.softmax", &[y], Attrs::new().with("axis", 2))?;
        f.output("y", y);
        f.output("p", p);
        Ok(())
    })
    .unwrap();
    let schedule = tricot_schedule::schedule(&graph, &Default::default()).unwrap();
    let compiled = tricot_cpu::CpuBackend.compile(&schedule.kernels, &CompileOptions::default()).unwrap();
    let files: Vec<_> = compiled.files.iter().map(|(f, b)| NewEntry::new(format!("cpu/{f}"), b.clone())).collect();
    let variants = vec![schedule.finish(&compiled).unwrap()];
    let port = |name: &str, dims: &[&str]| Port {
        name: name.into(),
        dtype: DType::F32,
        shape: dims.iter().map(|d| poly(d)).collect(),
        alias: None,
    };
    let manifest = Manifest {
        inputs: vec![port("x", &["b", "s", "8"]), port("w", &["8", "5"])],
        outputs: vec![port("y", &["b", "s", "5"]), port("p", &["b", "s", "5"])],
        symbols: graph.symbols.clone(),
        targets: [("cpu".to_string(), TargetPlan { features: compiled.features.clone(), variants, proof: None })]
            .into(),
        ..manifest()
    };
    let bundle = Bundle::from_bytes("softmax", &bundle_bytes(&manifest, files).unwrap()).unwrap();
    let digest = bundle.digest();
    let module = tricot_runtime::Module::load(bundle, Device::Cpu, &digest).unwrap();
    let mut instance = module.instance();
    for (b, s) in [(1usize, 1usize), (2, 3), (5, 64)] {
        let value = |i: usize| ((i * 7919 + b * 31 + s) % 1000) as f32 / 250.0 - 2.0;
        let x: Vec<f32> = (0..b * s * 8).map(value).collect();
        let w: Vec<f32> = (0..40).map(|i| value(i + 17)).collect();
        let tx = HostTensor::from_slice(&[b as u64, s as u64, 8], &x).unwrap();
        let tw = HostTensor::from_slice(&[8, 5], &w).unwrap();
        let (outputs, _) = instance.run(&[("x", &tx), ("w", &tw)], &RunOptions::default()).unwrap();
        let (mut off, mut norm) = ([0f64; 2], [0f64; 2]);
        let (ours_y, ours_p) = (outputs[0].as_slice::<f32>().unwrap(), outputs[1].as_slice::<f32>().unwrap());
        for row in 0..b * s {
            let dot = |n: usize| (0..8).map(|k| f64::from(x[row * 8 + k]) * f64::from(w[k * 5 + n])).sum::<f64>();
            let y: Vec<f64> = (0..5).map(dot).collect();
            let top = y.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = y.iter().map(|v| (v - top).exp()).sum();
            for n in 0..5 {
                for (i, (ours, want)) in [(ours_y[row * 5 + n], y[n]), (ours_p[row * 5 + n], (y[n] - top).exp() / sum)]
                    .into_iter()
                    .enumerate()
                {
                    off[i] += (f64::from(ours) - want).powi(2);
                    norm[i] += want * want;
                }
            }
        }
        for i in 0..2 {
            let error = (off[i] / norm[i]).sqrt();
            assert!(error <= 1e-5, "output {i}, b = {b}, s = {s}: {error}");
        }
    }
}
