//! PTX that compilers wrote: all of it is read, and what is printed reads the same.

use crate::samples::texts;
use std::collections::HashSet;
use tricot_ptx::{Block, FunctionKind, Module, Statement, parse, print};

fn instructions(block: &Block) -> usize {
    let count = |statement: &Statement| match statement {
        Statement::Instruction(_) => 1,
        Statement::Block(block) => instructions(block),
        _ => 0,
    };
    block.statements.iter().map(count).sum()
}

/// `text` without comments.
fn bare(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

#[test]
fn all_of_it_reads_and_prints_to_the_same() {
    for (path, text) in texts() {
        let module = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let printed = print(&module);
        let again = parse(&printed).unwrap_or_else(|error| panic!("{} printed: {error}", path.display()));
        assert!(module == again, "{} reads differently once printed", path.display());
    }
}

/// `text` word for word, without blanks, in the notation of the printer: decimal integers, three sizes, no offset of zero.
fn plain(text: &str) -> String {
    let mut words = String::new();
    let text = bare(text);
    let mut rest = &text[..];
    while let Some(first) = rest.chars().next() {
        let whole = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_$%".contains(c)).unwrap_or(rest.len());
        let (word, next) = rest.split_at(whole.max(first.len_utf8()));
        match word.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16)) {
            Some(Ok(number)) => words += &number.to_string(),
            _ => words.extend(word.chars().filter(|c| !c.is_whitespace())),
        }
        rest = next;
    }
    for sizes in [".maxntid", ".reqntid", ".reqnctapercluster"] {
        let mut pieces = words.split(sizes);
        let mut written = pieces.next().unwrap_or("").to_string();
        for piece in pieces {
            let end = piece.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(piece.len());
            let missing = 2 - piece[..end].matches(',').count();
            written += &format!("{sizes}{}{}{}", &piece[..end], ",1".repeat(missing), &piece[end..]);
        }
        words = written;
    }
    let mut words = words.replace("+-", "-").replace("+0]", "]");
    while words.contains(";;") || words.contains("{;") || words.contains("};") {
        words = words.replace(";;", ";").replace("{;", "{").replace("};", "}");
    }
    words
}

/// Nothing is added, lost or moved: the printed text has the words of the text.
#[test]
fn word_for_word() {
    for (path, text) in texts() {
        let printed = print(&parse(&text).expect("read above"));
        let (want, got) = (plain(&text), plain(&printed));
        let at = want.bytes().zip(got.bytes()).take_while(|(a, b)| a == b).count();
        let near = |text: &str| text.get(at.saturating_sub(40)..(at + 40).min(text.len())).unwrap_or("").to_string();
        assert!(want == got, "{}:\n{}\nbecame\n{}", path.display(), near(&want), near(&got));
    }
}

/// Twenty megabytes a second are asked for; a debug build says nothing of it.
#[test]
#[cfg(not(debug_assertions))]
fn speed() {
    let texts = texts();
    let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
    let once = || {
        let start = std::time::Instant::now();
        texts.iter().for_each(|(_, text)| assert!(parse(text).is_ok()));
        start.elapsed()
    };
    let best = (0..10).map(|_| once()).min().expect("ten");
    let speed = bytes as f64 / 1e6 / best.as_secs_f64();
    println!("{speed:.0} MB/s");
    assert!(speed >= 20.0, "{speed:.1} MB/s");
}

/// Counts that plain text search gives: semicolons, entries and `.loc` lines.
#[test]
fn nothing_is_lost() {
    for (path, text) in texts() {
        let module = parse(&text).expect("read above");
        let bare = bare(&text);
        let entries = module.functions.iter().filter(|f| f.kind == FunctionKind::Entry).count();
        assert_eq!(entries, bare.matches(".entry ").count(), "{}", path.display());
        let locations: usize = module.functions.iter().map(|f| f.locations.len()).sum();
        assert_eq!(locations, bare.matches(".loc\t").count(), "{}", path.display());
        let semicolons = bare.matches(';').count();
        let read: usize = module.functions.iter().filter_map(|f| f.body.as_ref()).map(instructions).sum();
        let others = count_others(&module);
        // Inline assembly of Triton and CUDA may end in an empty statement.
        let empty = bare.split(';').skip(1).filter(|rest| rest.trim().is_empty()).count();
        assert!(
            read + others <= semicolons && read + others + empty >= semicolons,
            "{}: {read} instructions, {others} declarations, {semicolons} semicolons",
            path.display()
        );
    }
}

fn count_others(module: &Module) -> usize {
    fn inside(block: &Block) -> usize {
        let count = |statement: &Statement| match statement {
            Statement::Instruction(_) | Statement::Label { .. } | Statement::Location { .. } => 0,
            Statement::Block(block) => inside(block),
            _ => 1,
        };
        block.statements.iter().map(count).sum()
    }
    let declarations = module.functions.iter().filter(|f| f.body.is_none()).count();
    let bodies: usize = module.functions.iter().filter_map(|f| f.body.as_ref()).map(inside).sum();
    module.globals.len() + module.directives.len() + declarations + bodies
}

/// An instruction stands on the line that it says it does, under the `.loc` above it.
#[test]
fn lines_are_those_of_the_text() {
    fn check(block: &Block, lines: &[&str], seen: &mut HashSet<u32>) {
        for statement in &block.statements {
            match statement {
                Statement::Instruction(instruction) => {
                    let line = lines[instruction.line as usize - 1];
                    assert!(line.contains(instruction.opcode), "line {}: {line}", instruction.line);
                    seen.extend(instruction.location.map(|id| id.0));
                }
                Statement::Block(block) => check(block, lines, seen),
                Statement::Location { id, line } => {
                    assert!(lines[*line as usize - 1].contains(".loc"), "line {line} is no location {}", id.0);
                }
                _ => {}
            }
        }
    }
    for (_, text) in texts() {
        let module = parse(&text).expect("read above");
        let lines: Vec<&str> = text.lines().collect();
        for function in &module.functions {
            let mut seen = HashSet::new();
            check(function.body.as_ref().unwrap_or(&Block::default()), &lines, &mut seen);
            assert!(seen.iter().all(|&id| (id as usize) < function.locations.len()));
            assert!(function.locations.is_empty() || !seen.is_empty(), "{}", function.name);
        }
    }
}
