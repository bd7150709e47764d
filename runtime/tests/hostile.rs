//! Hostile bundles: whatever the bytes, opening, inspecting and binding end in a coded error or in success,
//! never in a panic, an endless loop or a huge allocation (the test binary's allocator refuses those).

use crate::support::*;
use arbitrary::{Arbitrary, Unstructured};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tricot_runtime::*;

/// Time each of the two drivers below runs.
const TIME: Duration = Duration::from_secs(20);

/// Everything a reader does short of running the code.
fn exercise(bytes: &[u8]) -> Result<(), Vec<Diagnostic>> {
    let bundle = Bundle::from_bytes("hostile.tricot", bytes)?;
    for target in bundle.manifest().targets.keys() {
        for size in [0, 1, 2, 3, 64, 1 << 40] {
            let values = bundle.manifest().symbols.keys().map(|s| (s.clone(), size)).collect();
            let _ = bundle.workspace_bytes(target, &values);
        }
    }
    let _ = serde_json::to_string(&bundle.inspect()).unwrap();
    bundle.verify()?;
    let manifest = bundle.manifest().clone();
    // SAFETY: nothing is run.
    let module = unsafe { Module::load_trusted(bundle, Device::Cpu) }?;
    for size in [1, 4, 1 << 20, i64::MAX] {
        let values = manifest.symbols.keys().map(|s| (s.clone(), size)).collect();
        let _ = module.workspace_bytes(&values).map(|_| module.bind(&values).map(drop));
        let shapes: Vec<_> = manifest.inputs.iter().map(|p| vec![size as u64; p.shape.len()]).collect();
        let named: Vec<_> = manifest.inputs.iter().zip(&shapes).map(|(p, s)| (p.name.as_str(), s.as_slice())).collect();
        let _ = module.infer(&named, &Bindings::new());
    }
    Ok(())
}

/// Random bytes for `Unstructured`, from a fixed seed.
struct Source(u64);

impl Source {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 as u8
        };
        (0..count).map(|_| next()).collect()
    }
}

/// Edits of the raw archive.
#[derive(Arbitrary, Debug)]
enum Edit {
    Set {
        at: u32,
        value: u8,
    },
    /// A little-endian number over a likely field.
    Number {
        at: u32,
        value: u64,
    },
    Cut {
        at: u32,
        length: u16,
    },
    Repeat {
        at: u32,
        length: u16,
    },
    Truncate {
        at: u32,
    },
}

fn edit(bytes: &mut Vec<u8>, edit: &Edit) {
    let place = |at: u32, bytes: &Vec<u8>| at as usize % (bytes.len() + 1);
    match *edit {
        Edit::Set { at, value } => {
            let at = place(at, bytes);
            bytes.get_mut(at).into_iter().for_each(|b| *b = value);
        }
        Edit::Number { at, value } => {
            let at = place(at, bytes);
            bytes[at..].iter_mut().zip(value.to_le_bytes()).for_each(|(b, v)| *b = v);
        }
        Edit::Cut { at, length } => {
            let at = place(at, bytes);
            let end = (at + length as usize).min(bytes.len());
            bytes.drain(at..end);
        }
        Edit::Repeat { at, length } => {
            let at = place(at, bytes);
            let part = bytes[at..(at + length as usize).min(bytes.len())].to_vec();
            bytes.splice(at..at, part);
        }
        Edit::Truncate { at } => bytes.truncate(place(at, bytes)),
    }
}

#[test]
fn edited_archives_never_panic() {
    let good = archive(&mut crate::model::model(), &crate::model::entries());
    exercise(&good).unwrap_or_else(|e| panic!("{}", text(&e)));
    let (mut source, start, mut runs, mut refused) = (Source(0x5eed), Instant::now(), 0, 0);
    while start.elapsed() < TIME {
        let raw = source.bytes(64);
        let mut u = Unstructured::new(&raw);
        let mut bytes = good.clone();
        let edits: Vec<Edit> =
            (0..u.int_in_range(1..=4).unwrap()).filter_map(|_| Edit::arbitrary(&mut u).ok()).collect();
        edits.iter().for_each(|e| edit(&mut bytes, e));
        match exercise(&bytes) {
            Err(problems) => {
                refused += 1;
                assert!(problems.iter().all(|d| d.code.starts_with("TC07")), "{}", text(&problems));
            }
            Ok(()) => assert_eq!(bytes, good, "accepted a changed archive: {edits:?}"),
        }
        runs += 1;
    }
    println!("{runs} archives, {refused} refused");
    assert!(runs > 100 && refused > runs / 2);
}

const TEXTS: [&str; 20] = [
    "n",
    "m",
    "q",
    "n*n*n",
    "n^8",
    "9223372036854775807*n",
    "(n + k)^8",
    "n floordiv 3",
    "-n",
    "2*k",
    "4*m",
    "n - 2",
    "../x",
    "weights/w",
    "cpu/code.bin",
    "y",
    "f32",
    "f64",
    "add",
    "b128",
];
const NUMBERS: [i64; 14] = [0, 1, -1, 2, 3, 7, 16, 255, 256, 1 << 31, 1 << 33, 1 << 62, i64::MAX, i64::MIN];

/// A value for any place of a manifest.
fn value(u: &mut Unstructured, depth: u32) -> arbitrary::Result<Value> {
    Ok(match u.int_in_range(0..=7)? {
        0 => json!(*u.choose(&NUMBERS)?),
        1 => json!(u.arbitrary::<u64>()?),
        2 | 3 => json!(*u.choose(&TEXTS)?),
        4 => json!(u.arbitrary::<String>()?),
        5 => Value::Null,
        6 if depth < 3 => json!([value(u, depth + 1)?, value(u, depth + 1)?]),
        7 if depth < 3 => json!({ *u.choose(&TEXTS)?: value(u, depth + 1)? }),
        _ => json!([]),
    })
}

/// Changes one random place below `node`.
fn mutate(node: &mut Value, u: &mut Unstructured) -> arbitrary::Result<()> {
    let descend = u.ratio(19, 20)?;
    match node {
        Value::Array(items) if !items.is_empty() && descend => {
            let i = u.choose_index(items.len())?;
            match u.int_in_range(0..=19)? {
                0 => drop(items.remove(i)),
                1 => items.insert(i, items[i].clone()),
                _ => mutate(&mut items[i], u)?,
            }
        }
        Value::Object(map) if !map.is_empty() && descend => {
            let key = map.keys().nth(u.choose_index(map.len())?).unwrap().clone();
            match u.int_in_range(0..=39)? {
                0 => drop(map.remove(&key)),
                1 => {
                    let moved = map.remove(&key).unwrap();
                    map.insert(u.arbitrary()?, moved);
                }
                _ => mutate(map.get_mut(&key).unwrap(), u)?,
            }
        }
        // Mostly keep the type, or nothing would get past the JSON reader.
        Value::Number(_) if u.ratio(9, 10)? => *node = json!(*u.choose(&NUMBERS)?),
        Value::String(_) if u.ratio(9, 10)? => *node = json!(*u.choose(&TEXTS)?),
        _ => *node = value(u, 0)?,
    }
    Ok(())
}

#[test]
fn mutated_manifests_never_panic() {
    let mut model = crate::model::model();
    archive(&mut model, &crate::model::entries());
    let cpu = serde_json::to_value(&model).unwrap();
    let mut model = crate::cuda::model();
    archive(&mut model, &crate::cuda::entries());
    let cuda = serde_json::to_value(&model).unwrap();
    let all: Vec<_> = crate::model::entries().into_iter().chain(crate::cuda::entries()).collect();
    let (mut source, start) = (Source(0xbad5eed), Instant::now());
    let (mut runs, mut opened) = (0, 0);
    let mut seen = std::collections::BTreeMap::new();
    while start.elapsed() < TIME {
        let raw = source.bytes(512);
        let mut u = Unstructured::new(&raw);
        let (base, entries) = match runs % 2 {
            0 => (&cpu, crate::model::entries()),
            _ => (&cuda, all.clone()),
        };
        let mut manifest = base.clone();
        for _ in 0..u.int_in_range(1..=3).unwrap() {
            let _ = mutate(&mut manifest, &mut u);
        }
        let names: Vec<String> = manifest["entries"].as_object().map_or(vec![], |e| e.keys().cloned().collect());
        let kept: Vec<_> = entries.into_iter().filter(|(n, _)| names.iter().any(|m| m == n)).collect();
        let bytes = raw_archive(&serde_json::to_vec(&manifest).unwrap(), &kept);
        match exercise(&bytes) {
            Ok(()) => opened += 1,
            Err(problems) => {
                let ok = |d: &Diagnostic| d.code.starts_with("TC07") || d.code.starts_with("TC08");
                assert!(problems.iter().all(ok), "{}", text(&problems));
                *seen.entry(problems[0].code).or_insert(0) += 1;
            }
        }
        runs += 1;
    }
    println!("{runs} manifests, {opened} accepted, first codes {seen:?}");
    assert!(runs > 100 && opened > 10 && seen.len() >= 3);
}

#[test]
fn each_kind_of_hostile_manifest_is_named() {
    let refused = |edit: &dyn Fn(&mut Value)| {
        let mut model = crate::model::model();
        archive(&mut model, &crate::model::entries());
        let mut manifest = serde_json::to_value(&model).unwrap();
        edit(&mut manifest);
        let bytes = raw_archive(&serde_json::to_vec(&manifest).unwrap(), &crate::model::entries());
        let problems = Bundle::from_bytes("hostile.tricot", &bytes).err().unwrap_or_default();
        codes(&problems).first().copied().unwrap_or("accepted")
    };
    let plan = "/targets/cpu/variants/0";
    let set = |pointer: &str, v: Value| {
        let pointer = pointer.replace("PLAN", plan);
        refused(&move |m: &mut Value| *m.pointer_mut(&pointer).unwrap_or_else(|| panic!("{pointer}")) = v.clone())
    };
    assert_eq!(refused(&|_| {}), "accepted");
    assert_eq!(set("/format", json!(2)), "TC0705");
    assert_eq!(set("/format", json!("1")), "TC0704");
    assert_eq!(set("/inputs", json!(7)), "TC0704");
    assert_eq!(set("/symbols/n/multiple", json!(0)), "TC0706");
    assert_eq!(set("/symbols/n/min", json!(-1)), "TC0706");
    assert_eq!(set("/symbols/n/max", json!(0)), "TC0706");
    assert_eq!(set("/inputs/0/shape/0", json!("q")), "TC0706");
    assert_eq!(set("/inputs/0/shape", json!(vec![1; 33])), "TC0706");
    assert_eq!(set("/inputs/0/name", json!("b")), "TC0706");
    assert_eq!(set("/outputs/1/alias", json!("q")), "TC0706");
    assert_eq!(set("/outputs/0/shape/0", json!("(n + k + 1)^8*(n + k)^8")), "TC0704");
    assert_eq!(set("/targets/cpu/variants", json!([])), "TC0706");
    assert_eq!(refused(&|m| m["targets"]["cpu"]["proof"] = json!("nowhere")), "TC0706");
    assert_eq!(set("PLAN/buffers/0/storage", json!({ "input": 9 })), "TC0706");
    assert_eq!(set("PLAN/buffers/3/storage", json!({ "output": 9 })), "TC0706");
    assert_eq!(set("PLAN/buffers/3/storage", json!({ "weight": "cpu/none" })), "TC0706");
    assert_eq!(set("PLAN/buffers/0/dtype", json!("f16")), "TC0706");
    assert_eq!(set("PLAN/arena_bytes", json!("q")), "TC0706");
    assert_eq!(set("PLAN/steps/0/launch/buffers/0", json!(99)), "TC0706");
    assert_eq!(set("PLAN/steps/0/launch/how/cpu/offset", json!(256)), "TC0706");
    assert_eq!(set("PLAN/steps/0/launch/symbol_names", json!(["a", "b"])), "TC0706");
    assert_eq!(set("PLAN/steps/2/copy/to", json!(5)), "TC0706", "a write to a weight");
    assert_eq!(set("/entries/weights~1w/bytes", json!(15)), "TC0707");
    assert_eq!(set("/entries/weights~1w/blake3", json!("xyz")), "TC0707");
    assert_eq!(refused(&|m| m["entries"]["weights/w"]["external"] = json!("../../etc/passwd")), "TC0707");
    assert_eq!(refused(&|m| drop(m["entries"].as_object_mut().unwrap().remove("weights/w"))), "TC0707");
    let ghost = json!({ "bytes": 1, "blake3": "0".repeat(64) });
    assert_eq!(refused(&move |m| m["entries"]["ghost"] = ghost.clone()), "TC0707");
    let many: Value =
        (0..1025).map(|i| (format!("s{i}"), json!({ "min": 1, "max": 2, "multiple": 1, "hint": 1 }))).collect();
    assert_eq!(set("/symbols", many), "TC0706");
    assert_eq!(refused(&|m| m["symbols"]["a b"] = json!({ "min": 1, "max": 2, "multiple": 1, "hint": 1 })), "TC0706");
}
