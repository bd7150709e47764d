//! Damaged texts: refused, or run to a finding or an end; never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};
use tricot_ptxsim::{Device, Launch, pack};

/// The texts of other compilers.
fn corpus(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            corpus(&path, out);
        } else if path.extension().is_some_and(|e| e == "ptx") {
            out.push(std::fs::read_to_string(&path).expect("text"));
        }
    }
}

/// Numbers that are all alike to the test but the seed (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// Text with one to three lines changed: dropped, doubled, exchanged, or with words of another line in place of their own.
fn damage(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    for _ in 0..=random.below(3) {
        let (a, b) = (random.below(lines.len()), random.below(lines.len()));
        match random.below(6) {
            0 => drop(lines.remove(a)),
            1 => lines.insert(b, lines[a].clone()),
            2 => lines.swap(a, b),
            3 => {
                // Another operand.
                let mut words: Vec<&str> = lines[a].split(' ').collect();
                let others: Vec<&str> = lines[b].split(' ').collect();
                let at = random.below(words.len());
                words[at] = others[random.below(others.len())];
                lines[a] = words.join(" ");
            }
            4 => {
                // Another modifier, type or number of the opcode.
                let mut words: Vec<&str> = lines[a].split('.').collect();
                let others: Vec<&str> = lines[b].split(['.', ' ', '\t']).collect();
                let at = random.below(words.len());
                words[at] = others[random.below(others.len())];
                lines[a] = words.join(".");
            }
            _ => {
                let digits: Vec<usize> =
                    lines[a].bytes().enumerate().filter(|(_, c)| c.is_ascii_digit()).map(|(n, _)| n).collect();
                if let Some(at) = digits.get(random.below(digits.len())) {
                    lines[a].replace_range(*at..=*at, &random.below(100_000).to_string());
                }
            }
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.join("\n")
}

/// Loads a text and runs each of its kernels for a short while. Returns how many ran.
fn try_all(text: &str, random: &mut Random) -> usize {
    let mut device = Device::new();
    let Ok(module) = device.load(text) else { return 0 };
    let names: Vec<String> = module.kernels().map(str::to_string).collect();
    let mut ran = 0;
    for name in names {
        let Ok(program) = module.kernel(&name) else { continue };
        let buffer = device.memory.add("buffer", Some(vec![1; 4096]), 0);
        let arguments: Vec<Vec<u8>> = (program.params.iter())
            .map(|(_, _, bytes)| match bytes {
                8 => buffer.to_le_bytes().to_vec(),
                4 => (random.below(64) as u32).to_le_bytes().to_vec(),
                n => vec![0; (*n).min(1 << 16) as usize],
            })
            .collect();
        let Ok(params) = pack(&program, &arguments) else { continue };
        let launch = Launch {
            grid: [2, 1, 1],
            block: program.bounds.reqntid.or(program.bounds.maxntid).unwrap_or([[32, 64, 128][random.below(3)], 1, 1]),
            cluster: program.bounds.cluster.unwrap_or([1; 3]),
            dynamic_shared: 1 << 14,
            params,
            registers: Some(128),
            seed: (random.below(2) == 1).then(|| random.below(1000) as u64),
            step_limit: 20_000,
            ..Launch::default()
        };
        device.run(&module, &program, &launch);
        ran += 1;
    }
    ran
}

/// `TRICOT_FUZZ_SECONDS` (5) says how long.
#[test]
fn damaged_kernels_never_panic() {
    let mut texts = vec![];
    corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/other"), &mut texts);
    texts.sort();
    let seconds = std::env::var("TRICOT_FUZZ_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let seed = std::env::var("TRICOT_FUZZ_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (start, mut random, mut ran, mut texts_tried) = (Instant::now(), Random(seed), 0, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let damaged = damage(&texts[random.below(texts.len())], &mut random);
        match catch_unwind(AssertUnwindSafe(|| try_all(&damaged, &mut random))) {
            Ok(n) => ran += n,
            Err(_) => panic!("text number {texts_tried} of seed {seed} panics:\n{damaged}"),
        }
        texts_tried += 1;
    }
    println!("{texts_tried} texts, {ran} runs");
    assert!(ran > 0, "no damaged text ran");
}
