//! Schedules as text that reads back: symbols, weights, buffers, steps, kernels.
//!
//! Weights are named by content. Small ones carry their bytes; larger ones are looked up when the text is read.

use crate::plan::weight_entry;
use crate::{Recipe, Schedule, ScheduledStep};
use std::fmt::{self, Display, Formatter, Write};
use std::sync::Arc;
use tricot_dialects::{Constant, ConstantStore, Hash};
use tricot_kernel::text::{ParseError, Reader};
use tricot_plan::{BufferId, PlanBuffer, Storage};
use tricot_types::{Diagnostic, Source, Symbol, SymbolInfo};

/// Weights up to this many bytes are written out.
const INLINE_BYTES: usize = 4096;

fn quote(s: &str) -> String {
    format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

impl Display for Schedule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "schedule")?;
        for (s, i) in &self.symbols {
            writeln!(f, "symbol {s} min {} max {} multiple {} hint {}", i.min, i.max, i.multiple, i.hint)?;
        }
        for (name, c) in &self.weights {
            write!(f, "weight {} {}", quote(name), c.dtype)?;
            c.shape.iter().try_for_each(|d| write!(f, " {d}"))?;
            if let Some(recipe) = self.prepack.get(name) {
                write!(f, " prepack {} transposed", quote(&weight_entry(recipe.of)))?;
                recipe.perm.iter().try_for_each(|p| write!(f, " {p}"))?;
            }
            if c.bytes().len() <= INLINE_BYTES {
                let hex = c.bytes().iter().fold(String::new(), |mut s, b| {
                    let _ = write!(s, "{b:02x}");
                    s
                });
                write!(f, " = {}", quote(&hex))?;
            }
            writeln!(f)?;
        }
        for (i, b) in self.buffers.iter().enumerate() {
            let shape: Vec<String> = b.shape.iter().map(|p| format!("({p})")).collect();
            write!(f, "buffer {i} {} {} [{}] ", quote(&b.name), b.dtype, shape.join(" "))?;
            match &b.storage {
                Storage::Input(n) => writeln!(f, "input {n}")?,
                Storage::Output(n) => writeln!(f, "output {n}")?,
                Storage::Weight(w) => writeln!(f, "weight {}", quote(w))?,
                Storage::Arena { offset } => writeln!(f, "arena ({offset})")?,
            }
        }
        writeln!(f, "arena ({})", self.arena_bytes)?;
        for step in &self.steps {
            match step {
                ScheduledStep::Copy { from, to, bytes } => writeln!(f, "copy {} to {} bytes ({bytes})", from.0, to.0)?,
                ScheduledStep::Launch { kernel, buffers, symbols } => {
                    write!(f, "launch {kernel} buffers")?;
                    buffers.iter().try_for_each(|b| write!(f, " {}", b.0))?;
                    let symbols: Vec<String> = symbols.iter().map(|p| format!("({p})")).collect();
                    writeln!(f, " symbols [{}]", symbols.join(" "))?;
                }
            }
        }
        self.kernels.iter().try_for_each(|k| write!(f, "\n{k}"))
    }
}

/// Reads a printed schedule; `name` is the text's name in messages. Weights that are not written out come from `constants`.
///
/// # Errors
/// TC0420 the text is no schedule, TC0421 a weight is missing, TC0422 a step or buffer names what is not there, and what the
/// verifier of kernels finds.
pub fn parse(name: &str, text: &str, constants: &ConstantStore) -> Result<Schedule, Vec<Diagnostic>> {
    let source = Arc::new(Source { name: name.into(), text: text.into() });
    let mut reader = Reader::new(text);
    let schedule = read(&mut reader, constants)
        .map_err(|e| vec![Diagnostic::error("TC0420", e.message).at_text(&source, e.offset..e.offset, "")])?;
    let mut problems = check(&schedule);
    for k in &schedule.kernels {
        problems.extend(tricot_kernel::verify::verify(k).err().into_iter().flatten());
    }
    if problems.is_empty() { Ok(schedule) } else { Err(problems) }
}

fn read(r: &mut Reader<'_>, constants: &ConstantStore) -> Result<Schedule, ParseError> {
    let mut s = Schedule::default();
    r.expect("schedule")?;
    while r.take("symbol") {
        let word = r.word()?;
        let Some(symbol) = Symbol::new(word) else { return r.fail(format!("`{word}` is no symbol")) };
        r.expect("min")?;
        let min = r.number()?;
        r.expect("max")?;
        let max = r.number()?;
        r.expect("multiple")?;
        let multiple = r.number()?;
        r.expect("hint")?;
        if multiple < 1 {
            return r.fail("a multiple is at least 1");
        }
        s.symbols.insert(symbol, SymbolInfo { min, max, multiple, hint: r.number()? });
    }
    while r.take("weight") {
        let (name, dtype) = (r.quoted()?, r.dtype()?);
        let mut shape = vec![];
        while r.next_is_digit() {
            shape.push(r.number()?);
        }
        let mut recipe = None;
        if r.take("prepack") {
            let of = r.quoted()?;
            r.expect("transposed")?;
            let mut perm = vec![];
            while r.next_is_digit() {
                perm.push(r.number()?);
            }
            let Some(of) = hash_of(&of) else { return r.fail(format!("`{of}` is no weight")) };
            recipe = Some(Recipe { of, perm });
        }
        let constant = match r.take("=") {
            true => {
                let hex = r.quoted()?;
                let byte = |i: usize| hex.get(i..i + 2).and_then(|h| u8::from_str_radix(h, 16).ok());
                let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
                bytes.and_then(|b| Constant::new(dtype, shape, Arc::new(b)))
            }
            false => {
                let packed = recipe.as_ref().and_then(|r| r.run(constants.get(r.of)?));
                let found = hash_of(&name).and_then(|h| constants.get(h)).cloned().or(packed);
                found.filter(|c| c.dtype == dtype && c.shape == shape)
            }
        };
        if let Some(recipe) = recipe {
            s.prepack.insert(name.clone(), recipe);
        }
        match constant {
            Some(c) => s.weights.insert(name, c),
            None => return r.fail(format!("weight `{name}` is neither written out nor in the model's constants")),
        };
    }
    while r.take("buffer") {
        if r.number::<usize>()? != s.buffers.len() {
            return r.fail("buffers must be numbered in order");
        }
        let (name, dtype, shape) = (r.quoted()?, r.dtype()?, r.polys()?);
        let storage = if r.take("input") {
            Storage::Input(r.number()?)
        } else if r.take("output") {
            Storage::Output(r.number()?)
        } else if r.take("weight") {
            Storage::Weight(r.quoted()?)
        } else {
            r.expect("arena")?;
            Storage::Arena { offset: r.poly()? }
        };
        s.buffers.push(PlanBuffer { name, dtype, shape, storage });
    }
    r.expect("arena")?;
    s.arena_bytes = r.poly()?;
    loop {
        if r.take("copy") {
            let from = BufferId(r.number()?);
            r.expect("to")?;
            let to = BufferId(r.number()?);
            r.expect("bytes")?;
            s.steps.push(ScheduledStep::Copy { from, to, bytes: r.poly()? });
        } else if r.take("launch") {
            let kernel = r.word()?.to_string();
            r.expect("buffers")?;
            let mut buffers = vec![];
            while r.next_is_digit() {
                buffers.push(BufferId(r.number()?));
            }
            r.expect("symbols")?;
            s.steps.push(ScheduledStep::Launch { kernel, buffers, symbols: r.polys()? });
        } else {
            break;
        }
    }
    while !r.at_end() {
        s.kernels.push(r.kernel()?);
    }
    Ok(s)
}

/// The content a weight's entry is named by.
fn hash_of(entry: &str) -> Option<Hash> {
    entry.strip_prefix("weights/")?.parse().ok()
}

/// Numbers and names must mean something.
fn check(s: &Schedule) -> Vec<Diagnostic> {
    let mut problems = vec![];
    let mut add = |message: String| problems.push(Diagnostic::error("TC0422", message));
    let known = |b: &BufferId| (b.0 as usize) < s.buffers.len();
    for (i, step) in s.steps.iter().enumerate() {
        match step {
            ScheduledStep::Copy { from, to, .. } => {
                [from, to].into_iter().filter(|b| !known(b)).for_each(|b| add(format!("step {i}: no buffer {}", b.0)));
            }
            ScheduledStep::Launch { kernel, buffers, symbols } => {
                buffers.iter().filter(|b| !known(b)).for_each(|b| add(format!("step {i}: no buffer {}", b.0)));
                match s.kernels.iter().find(|k| k.name == *kernel) {
                    None => add(format!("step {i}: no kernel `{kernel}`")),
                    Some(k) if k.buffers.len() != buffers.len() || k.symbols.len() != symbols.len() => add(format!(
                        "step {i}: `{kernel}` takes {} buffers and {} symbols, not {} and {}",
                        k.buffers.len(),
                        k.symbols.len(),
                        buffers.len(),
                        symbols.len()
                    )),
                    Some(_) => {}
                }
            }
        }
    }
    for b in &s.buffers {
        if let Storage::Weight(w) = &b.storage
            && !s.weights.contains_key(w)
        {
            add(format!("buffer `{}` names the weight `{w}`, which is not there", b.name));
        }
    }
    problems
}
