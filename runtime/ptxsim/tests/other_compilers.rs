//! PTX of other compilers (`tests/other`) against formulas in double precision, and the findings it is known to give.

#[path = "other/data.rs"]
mod data;
#[path = "other/launch.rs"]
mod launch;
#[path = "other/reference.rs"]
mod reference;

use launch::{Document, Value};
use std::path::{Path, PathBuf};
use tricot_ptxsim::{Device, Launch, Report, TensorMap, pack};

/// What one case gives: findings by class, and whether the result is right.
struct Outcome {
    name: String,
    classes: Vec<&'static str>,
    findings: String,
    result: Result<(), String>,
    report: Report,
}

fn elemtype(name: &str) -> u8 {
    match name {
        "uint16" => 1,
        "uint32" => 2,
        "int32" => 3,
        "float16" => 6,
        "float32" => 7,
        "float64" => 9,
        "bfloat16" => 10,
        "tfloat32" => 11,
        _ => 0,
    }
}

fn run(folder: &Path, document: &Document, only: &str) -> Result<Vec<Outcome>, String> {
    let text = std::fs::read_to_string(folder.join(&document.ptx)).map_err(|e| e.to_string())?;
    run_text(&text, document, only)
}

fn run_text(text: &str, document: &Document, only: &str) -> Result<Vec<Outcome>, String> {
    let mut out = vec![];
    for kernel in &document.kernels {
        for case in &kernel.cases {
            let name = format!("{} {} {}", document.ptx, kernel.entry, case.name);
            if !name.contains(only) {
                continue;
            }
            let mut device = Device::new();
            let module = device.load(text).map_err(|e| e.to_string())?;
            let program = module.kernel(&kernel.entry).map_err(|e| e.to_string())?;
            let mut bases = std::collections::BTreeMap::new();
            for (name, buffer) in &case.buffers {
                let memory = buffer.memory()?;
                let base = device.memory.add(name, Some(memory.bytes), 0);
                if let Some(region) = device.memory.region_mut(base) {
                    region.state = memory.initialised.into_iter().map(u8::from).collect();
                }
                bases.insert(name.clone(), base);
            }
            let mut arguments = vec![];
            for argument in &case.arguments {
                arguments.push(match &argument.value {
                    Value::Pointer { buffer } => bases[buffer].to_le_bytes().to_vec(),
                    Value::Scalar { dtype, value } => Value::scalar_bytes(dtype, value)?,
                    Value::Null => vec![0; 8],
                    Value::Scratch { bytes, .. } => {
                        device.memory.add("scratch", None, *bytes as usize).to_le_bytes().to_vec()
                    }
                    Value::TensorMap(map) => {
                        let elemtype = elemtype(&map.dtype);
                        let tensor = TensorMap {
                            address: bases[&map.buffer],
                            elemtype,
                            element: tricot_ptxsim::machine::tensormap::element_bytes(elemtype).unwrap_or(1),
                            dims: map.dims.clone(),
                            strides: map.strides.clone(),
                            tile: map.box_dims.clone(),
                            element_strides: map.element_strides.clone(),
                            swizzle: match map.swizzle.as_str() {
                                "32b" => 1,
                                "64b" => 2,
                                "128b" => 3,
                                _ => 0,
                            },
                            interleave: 0,
                            fill_nan: false,
                        };
                        tensor.check().map_err(|e| e.to_string())?;
                        tensor.encode().to_vec()
                    }
                });
            }
            let launch = Launch {
                grid: case.grid,
                block: kernel.block,
                cluster: kernel.cluster,
                dynamic_shared: kernel.dynamic_shared,
                params: pack(&program, &arguments)?,
                step_limit: 200_000_000,
                ..Launch::default()
            };
            let report = device.run(&module, &program, &launch);
            let output = device.memory.region(bases[&case.result.output]).ok_or("the output")?;
            out.push(Outcome {
                name,
                classes: report.errors().map(|f| f.class.name()).collect(),
                findings: report.findings.iter().map(|f| f.to_string()).collect::<Vec<_>>().join("\n    "),
                result: case.check(&output.data),
                report,
            });
        }
    }
    Ok(out)
}

fn documents() -> (PathBuf, Vec<Document>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/other");
    let mut files = vec![];
    for compiler in ["triton", "nvcc", "clang", "clang_plain"] {
        let entries = std::fs::read_dir(folder.join(compiler)).expect("a folder of PTX");
        files.extend(
            entries.map(|e| e.expect("an entry").path()).filter(|p| p.extension().is_some_and(|e| e == "json")),
        );
    }
    files.sort();
    let documents = files.iter().map(|f| Document::read(f).expect("a launch description")).collect();
    (folder, documents)
}

/// Findings that are right, by file; every other kernel has none.
fn known(ptx: &str) -> &'static [&'static str] {
    match ptx {
        // `cp.async` writes through the generic proxy what wgmma reads through the async proxy, with no fence between them.
        "triton/attention_cp_async_f16.ptx" | "triton/matmul_cp_async_bf16.ptx" => &["proxy-order"],
        // The same, and registers of a first operand are written while products in flight read them.
        "triton/matmul_dequantised_i8.ptx" | "triton/matmul_scaled_f16.ptx" => &["proxy-order", "wgmma"],
        // Accumulators are unpacked before the wait.
        "triton/matmul_f16_sums.ptx" => &["ptx-contract"],
        // Barriers are initialised again without `mbarrier.inval`; rows that go too far down meet those of the next block.
        "triton/matmul_specialized.ptx" => &["mbarrier", "race"],
        _ => &[],
    }
}

/// The first element of a result that the compiler got wrong.
fn miscompiled(ptx: &str) -> Option<&'static str> {
    // The second half of a tile goes 64 rows too far down, so nothing is written to row 64 of 392 columns.
    (ptx == "triton/matmul_specialized.ptx").then_some("element 25088 is 0,")
}

/// `TRICOT_CASE=PART` runs the cases whose names contain it.
#[test]
fn other_compilers_give_right_results_and_known_findings() {
    let (folder, documents) = documents();
    let only = std::env::var("TRICOT_CASE").unwrap_or_default();
    let mut wrong = vec![];
    for document in documents {
        let outcomes = match run(&folder, &document, &only) {
            Ok(outcomes) => outcomes,
            Err(e) => {
                wrong.push(format!("{}: {e}", document.ptx));
                continue;
            }
        };
        for o in outcomes {
            println!("{}: {} lane instructions {:?}", o.name, o.report.lane_instructions, o.classes);
            let known = known(&document.ptx);
            if o.classes.iter().any(|c| !known.contains(c)) || known.iter().any(|k| !o.classes.contains(k)) {
                wrong.push(format!("{}: findings are not {known:?}\n    {}", o.name, o.findings));
            }
            match (o.result, miscompiled(&document.ptx)) {
                (Ok(()), None) => {}
                (Err(e), Some(known)) if e.contains(known) => {}
                (Ok(()), Some(known)) => wrong.push(format!("{}: the result is right, against `{known}`", o.name)),
                (Err(e), _) => wrong.push(format!("{}: {e}\n    {}", o.name, o.findings)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A tensor map is changed by the kernel and used without the fence of its proxy (triton#7293).
#[test]
fn a_changed_tensor_map_needs_its_fence() {
    let (folder, documents) = documents();
    let document = documents.iter().find(|d| d.ptx == "triton/matmul_device_maps.ptx").expect("the kernel");
    let text = std::fs::read_to_string(folder.join(&document.ptx)).expect("the text");
    let fence = |l: &&str| !l.contains("fence.proxy.tensormap");
    let without: String = text.lines().filter(fence).map(|l| format!("{l}\n")).collect();
    assert!(without.len() < text.len());
    for outcome in run_text(&without, document, "").expect("a run") {
        assert_eq!(outcome.classes.iter().filter(|c| **c == "proxy-order").count(), outcome.classes.len());
        assert!(outcome.findings.contains("`fence.proxy.tensormap::generic.acquire`"), "{}", outcome.findings);
    }
}
