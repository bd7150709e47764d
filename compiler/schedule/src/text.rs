//! Schedules as text that reads back: ports, symbols, weights, buffers, steps, kernels.
//!
//! Weights are named by content. Small ones carry their bytes; larger ones are looked up when the text is read, or made by their recipe
//! from one that is found.

use crate::check;
use crate::plan::weight_entry;
use crate::{Recipe, Schedule, ScheduledStep};
use std::fmt::{self, Display, Formatter, Write};
use std::sync::Arc;
use tricot_dialects::{Constant, ConstantStore, Hash};
use tricot_kernel::text::{ParseError, Reader};
use tricot_plan::{BufferId, PlanBuffer, Port, Storage};
use tricot_types::{Diagnostic, Poly, Source, Symbol, SymbolInfo};

/// Weights up to this many bytes are written out.
const INLINE_BYTES: usize = 4096;

fn quote(s: &str) -> String {
    format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Whether a weight's bytes are part of the text. Those of 4 bits always are: weight files have no such type.
pub fn is_written_out(c: &Constant) -> bool {
    c.bytes().len() <= INLINE_BYTES || c.dtype.bits() < 8
}

/// A list of sizes.
fn sizes(shape: &[Poly]) -> String {
    shape.iter().map(|p| format!("({p})")).collect::<Vec<_>>().join(" ")
}

impl Display for Schedule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "schedule {}", quote(&self.interface.name))?;
        for (which, ports) in [("input", &self.interface.inputs), ("output", &self.interface.outputs)] {
            for p in ports {
                write!(f, "{which} {} {} [{}]", quote(&p.name), p.dtype, sizes(&p.shape))?;
                p.alias.iter().try_for_each(|a| write!(f, " alias {}", quote(a)))?;
                writeln!(f)?;
            }
        }
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
            if is_written_out(c) {
                let hex = c.bytes().iter().fold(String::new(), |mut s, b| {
                    let _ = write!(s, "{b:02x}");
                    s
                });
                write!(f, " = {}", quote(&hex))?;
            }
            writeln!(f)?;
        }
        for (i, b) in self.buffers.iter().enumerate() {
            write!(f, "buffer {i} {} {} [{}] ", quote(&b.name), b.dtype, sizes(&b.shape))?;
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
                ScheduledStep::Launch { kernel, buffers, symbols, nodes } => {
                    write!(f, "launch {kernel} buffers")?;
                    buffers.iter().try_for_each(|b| write!(f, " {}", b.0))?;
                    write!(f, " symbols [{}]", sizes(symbols))?;
                    if !nodes.is_empty() {
                        write!(f, " of")?;
                        nodes.iter().try_for_each(|n| write!(f, " {}", quote(n)))?;
                    }
                    writeln!(f)?;
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
    let mut missing = vec![];
    let schedule = read(&mut reader, constants, &mut missing)
        .map_err(|e| vec![Diagnostic::error("TC0420", e.message).at_text(&source, e.offset..e.offset, "")])?;
    if !missing.is_empty() {
        let problem = |entry: String| {
            Diagnostic::error("TC0421", format!("`{entry}` is neither written out nor among the weights given"))
                .with_help("name the safetensors file that was written beside the schedule with --weights")
        };
        return Err(missing.into_iter().map(problem).collect());
    }
    let mut problems = check::check(&schedule);
    for k in &schedule.kernels {
        problems.extend(tricot_kernel::verify::verify(k).err().into_iter().flatten());
    }
    if problems.is_empty() { Ok(schedule) } else { Err(problems) }
}

fn read(r: &mut Reader<'_>, constants: &ConstantStore, missing: &mut Vec<String>) -> Result<Schedule, ParseError> {
    let mut s = Schedule::default();
    r.expect("schedule")?;
    s.interface.name = r.quoted()?;
    while r.take("input") {
        s.interface.inputs.push(port(r)?);
    }
    while r.take("output") {
        s.interface.outputs.push(port(r)?);
    }
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
        let written = r.take("=");
        let constant = match written {
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
        match (constant, written) {
            (Some(c), _) => drop(s.weights.insert(name, c)),
            (None, true) => return r.fail(format!("the bytes of weight `{name}` are not those of its type")),
            (None, false) => missing.push(name),
        }
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
            let (symbols, mut nodes) = (r.polys()?, vec![]);
            if r.take("of") {
                while r.next_is_quote() {
                    nodes.push(r.quoted()?);
                }
            }
            s.steps.push(ScheduledStep::Launch { kernel, buffers, symbols, nodes });
        } else {
            break;
        }
    }
    while !r.at_end() {
        s.kernels.push(r.kernel()?);
    }
    Ok(s)
}

fn port(r: &mut Reader<'_>) -> Result<Port, ParseError> {
    let (name, dtype, shape) = (r.quoted()?, r.dtype()?, r.polys()?);
    let alias = if r.take("alias") { Some(r.quoted()?) } else { None };
    Ok(Port { name, dtype, shape, alias })
}

/// The content a weight's entry is named by.
fn hash_of(entry: &str) -> Option<Hash> {
    entry.strip_prefix("weights/")?.parse().ok()
}
