//! Graph text from hands that mean no good: any bytes give a module or coded diagnostics, never a panic.

use crate::samples::{SAMPLES, text};
use arbitrary::{Arbitrary, Unstructured};
use std::time::{Duration, Instant};
use tricot_dialects::ConstantStore;
use tricot_dialects::text::{parse, print};

/// Time spent on random inputs; `TRICOT_FUZZ_SECONDS` overrides it.
fn budget() -> Duration {
    let seconds = std::env::var("TRICOT_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(20.0);
    Duration::from_secs_f64(seconds)
}

/// One edit of a text.
#[derive(Arbitrary, Debug)]
enum Edit {
    Delete {
        at: u16,
        length: u8,
    },
    Duplicate {
        at: u16,
        length: u8,
        to: u16,
    },
    Flip {
        at: u16,
        bit: u8,
    },
    Insert {
        at: u16,
        word: u8,
    },
    /// Another number in place of the next one.
    Number {
        at: u16,
        value: u8,
    },
}

const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "4294967296",
    "4611686018427387904",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
];

const WORDS: [&str; 28] = [
    "%x",
    "%0",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "=",
    ":",
    ",",
    "\"",
    "@main",
    "func",
    "return",
    "symbol",
    "9223372036854775807",
    "-1",
    "f32[b, 99999999999]",
    "dense<[1]>",
    "core.window",
    "^8",
    "op @a.b(%x: T[n]) {",
    "$alpha",
    "\"\"\"",
    "kernel sm_90a {",
];

fn apply(text: &mut Vec<u8>, edit: &Edit) {
    let place = |at: u16| usize::from(at) % (text.len() + 1);
    match *edit {
        Edit::Delete { at, length } => {
            let start = place(at);
            let end = (start + usize::from(length)).min(text.len());
            text.drain(start..end);
        }
        Edit::Duplicate { at, length, to } => {
            let start = place(at);
            let end = (start + usize::from(length)).min(text.len());
            let (piece, to) = (text[start..end].to_vec(), place(to));
            text.splice(to..to, piece);
        }
        Edit::Flip { at, bit } => {
            let at = place(at);
            text.get_mut(at).into_iter().for_each(|b| *b ^= 1 << (bit % 8));
        }
        Edit::Number { at, value } => {
            let from = place(at);
            let digit = |b: &u8| b.is_ascii_digit();
            let Some(start) = text[from..].iter().position(digit).map(|i| from + i) else { return };
            let end = text[start..].iter().position(|b| !digit(b)).map_or(text.len(), |i| start + i);
            text.splice(start..end, NUMBERS[usize::from(value) % NUMBERS.len()].bytes());
        }
        Edit::Insert { at, word } => {
            let at = place(at);
            text.splice(at..at, WORDS[usize::from(word) % WORDS.len()].bytes());
        }
    }
}

#[test]
fn edited_texts_never_panic() {
    let small = ["", "module @m\nfunc @main(%x: f32[4]) {\n  return \"y\" = %x\n}\n"];
    // Every op is a seed, so that damage reaches each op's own checks.
    let corpus: Vec<String> = [super::text::EXAMPLE, small[0], small[1]]
        .map(String::from)
        .into_iter()
        .chain(SAMPLES.iter().map(|s| text(s)))
        .chain([include_str!("../../examples/custom_op/gate.tri").to_string()])
        .collect();
    let mut seed = 0x243f_6a88_85a3_08d3u64;
    let (start, mut runs, mut accepted) = (Instant::now(), 0u32, 0u32);
    while start.elapsed() < budget() {
        let mut noise = [0u8; 64];
        for chunk in noise.chunks_mut(8) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            chunk.copy_from_slice(&(seed ^ seed >> 29).to_le_bytes());
        }
        let mut u = Unstructured::new(&noise);
        let count = u.int_in_range(1..=6).unwrap();
        let edits: Vec<Edit> = (0..count).filter_map(|_| Edit::arbitrary(&mut u).ok()).collect();
        let mut damaged = corpus[runs as usize % corpus.len()].as_bytes().to_vec();
        edits.iter().for_each(|e| apply(&mut damaged, e));
        let damaged = String::from_utf8_lossy(&damaged);
        match parse("fuzz.tri", &damaged, &ConstantStore::default()) {
            Ok(module) => {
                accepted += 1;
                let printed = print(&module);
                let again =
                    parse("again.tri", &printed, &module.constants).unwrap_or_else(|e| panic!("{}\n{printed}", e[0]));
                assert_eq!(print(&again), printed);
            }
            Err(problems) => assert!(problems.iter().all(|p| p.code.starts_with("TC01")), "{problems:?}"),
        }
        runs += 1;
    }
    println!("{runs} texts, {accepted} of them legal");
    assert!(runs > 100 && accepted > 0);
}

#[test]
fn depth_and_size_are_bounded() {
    let deep =
        format!("func @main(%x: f32[{}1{}]) {{\n  return \"y\" = %x\n}}\n", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(parse("deep.tri", &deep, &ConstantStore::default()).unwrap_err()[0].code, "TC0101");
    let large =
        "func @main() {\n  %c = core.constant {value = splat<0.0>} : f32[99999999999]\n  return \"y\" = %c\n}\n";
    assert_eq!(parse("large.tri", large, &ConstantStore::default()).unwrap_err()[0].code, "TC0107");
}

#[test]
fn sizes_beyond_64_bits_are_refused() {
    let huge = 4_611_686_018_427_387_904i64;
    let cases = [
        format!("%x: f32[{huge}, 4] |"),
        format!(
            "%x: f32[4], %v: f32[] | %y = core.pad %x, %v {{high = [{huge}], interior = [0], low = [{huge}]}} : f32[4]"
        ),
        format!("%x: f32[4], %v: f32[] | %y = core.pad %x, %v {{high = [0], interior = [{huge}], low = [0]}} : f32[4]"),
        format!("%x: f32[4] | %y = core.slice %x {{size = [{huge}], start = [0], step = [4]}} : f32[{huge}]"),
        "%x: f32[4] | %y = core.reshape %x {shape = [4294967296, 4294967296]} : f32[4294967296, 4294967296]"
            .to_string(),
        format!("%x: f32[4] | %y = core.broadcast %x {{axes = [1], shape = [{huge}, 4]}} : f32[{huge}, 4]"),
        format!(
            "%x: f32[1, 1, 4, 4] | %y = nn.max_pool2d %x {{dilation = [1, 1], pad = [{0}, 0, {0}, 0], size = [{huge}, 1], \
             stride = [1, 1]}} : f32[1, 1, 4, 4]",
            huge - 1
        ),
    ];
    for case in cases {
        let inputs = case.split_once('|').unwrap();
        let body = if inputs.1.is_empty() { String::new() } else { format!(" {}\n", inputs.1) };
        let whole = format!("module @m\n\nfunc @main({}) {{\n {body}  return \"x\" = %x\n}}\n", inputs.0.trim());
        let problems = parse("huge.tri", &whole, &ConstantStore::default()).err().unwrap_or_else(|| panic!("{whole}"));
        assert!(matches!(problems[0].code, "TC0107" | "TC0110"), "{}", problems[0]);
        assert!(problems[0].message.contains("64 bits"), "{}", problems[0]);
    }
}
