//! PTX from hands that mean no good: any bytes give a tree or a coded error, never a panic, and a tree prints to a text
//! that reads the same.

use crate::samples::{ALL, texts};
use arbitrary::{Arbitrary, Unstructured};
use std::time::{Duration, Instant};
use tricot_ptx::{Limits, parse, parse_all, print, print_all};

/// Time spent on random inputs; `TRICOT_FUZZ_SECONDS` overrides it.
fn budget() -> Duration {
    let seconds = std::env::var("TRICOT_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5.0);
    Duration::from_secs_f64(seconds)
}

/// One edit of a text.
#[derive(Arbitrary, Debug)]
enum Edit {
    Delete {
        at: u32,
        length: u8,
    },
    Duplicate {
        at: u32,
        length: u8,
        to: u32,
    },
    Flip {
        at: u32,
        bit: u8,
    },
    Insert {
        at: u32,
        word: u8,
    },
    /// Another number in place of the next one.
    Number {
        at: u32,
        value: u8,
    },
    Cut {
        at: u32,
    },
}

const NUMBERS: [&str; 16] = [
    "0",
    "-1",
    "1",
    "3",
    "07",
    "09",
    "0x",
    "0xFFFFFFFFFFFFFFFFU",
    "4000000000",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "99999999999999999999",
    "0f7FC00000",
    "0d7FF8000000000000",
    "1.0e-308",
];

const WORDS: [&str; 48] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    ",",
    ";",
    ":",
    "|",
    "!",
    "@",
    "+",
    "-",
    "*",
    "/",
    "%",
    "?",
    "=",
    "<<",
    "~",
    "\"",
    "/*",
    "*/",
    "//",
    "\n",
    "\0",
    "é",
    "%r1",
    "%r<10>",
    "_",
    "$L__1:",
    ".x",
    ".b32",
    ".reg",
    ".param",
    ".loc 1 2 3",
    ".version 8.0",
    ".target sm_90a",
    ".entry k()",
    ".func",
    ".section .s {",
    "call (",
    "generic(",
    ".callprototype",
    ".align 3",
];

fn apply(text: &mut Vec<u8>, edit: &Edit) {
    let place = |at: u32| at as usize % (text.len() + 1);
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
        Edit::Cut { at } => text.truncate(place(at)),
    }
}

#[test]
fn edited_texts_never_panic() {
    // The short text stands for half of the runs: there an edit is most likely to meet every piece of grammar.
    let corpus: Vec<String> =
        texts().into_iter().map(|(_, text)| text).flat_map(|text| [ALL.to_string(), text]).collect();
    let mut seed = 0x243f_6a88_85a3_08d3u64;
    let (start, mut runs, mut accepted) = (Instant::now(), 0u32, 0u32);
    while start.elapsed() < budget() {
        let mut noise = [0u8; 96];
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
        match parse_all(&damaged, &Limits::default()) {
            Ok(modules) => {
                accepted += 1;
                let printed = print_all(&modules);
                let again = parse_all(&printed, &Limits::default()).unwrap_or_else(|e| panic!("{e}\n{printed}"));
                assert!(again == modules, "{damaged}\nbecame\n{printed}");
            }
            Err(error) => {
                assert!(error.code.name().starts_with("TC11") && error.column > 0, "{error}");
                assert!(error.line as usize <= damaged.matches('\n').count() + 1, "{error}");
            }
        }
        runs += 1;
    }
    println!("{runs} texts, {accepted} of them legal");
    assert!(runs > 100 && accepted > 0);
}

/// The short text, cut at every place.
#[test]
fn truncated_texts_are_refused_or_whole() {
    let module = parse(ALL).unwrap();
    assert_eq!(parse(&print(&module)).unwrap(), module);
    let mut whole = 0;
    for cut in 0..ALL.len() {
        if let Ok(module) = parse(&ALL[..cut]) {
            whole += 1;
            assert_eq!(parse(&print(&module)).unwrap(), module);
        }
    }
    // Only ends of items outside functions are ends of a text.
    assert!(whole > 10 && whole < ALL.len() / 5, "{whole} of {}", ALL.len());
}
