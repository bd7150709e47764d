//! A look at the bytes before prost: where a file breaks off or goes wrong, and whether it is of sane size.
//!
//! prost reads safely but says neither at which byte it gave up nor how much memory a file will ask for. This walk checks
//! the framing of every nested message the import reads and counts them.

use tricot_types::Diagnostic;

/// Messages a file may hold. A million-node model has about ten million.
const MAX_MESSAGES: u64 = 20_000_000;
/// Nesting, well below prost's own limit of 100.
const MAX_DEPTH: usize = 90;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    Function,
    /// Anything not looked into.
    Leaf,
}

/// Which message a field holds.
fn child(kind: Kind, field: u64) -> Option<Kind> {
    Some(match (kind, field) {
        (Kind::Model, 7) => Kind::Graph,
        (Kind::Model, 25) => Kind::Function,
        (Kind::Model, 8 | 14 | 20 | 26) => Kind::Leaf,
        (Kind::Graph, 1) => Kind::Node,
        (Kind::Graph, 5) => Kind::Tensor,
        (Kind::Graph, 11..=13) => Kind::ValueInfo,
        (Kind::Graph, 14..=16) => Kind::Leaf,
        (Kind::Node, 5) => Kind::Attribute,
        (Kind::Node, 9 | 10) => Kind::Leaf,
        (Kind::Attribute, 5 | 10) => Kind::Tensor,
        (Kind::Attribute, 6 | 11) => Kind::Graph,
        (Kind::Attribute, 14 | 15) => Kind::Type,
        (Kind::Tensor, 3 | 13 | 16) => Kind::Leaf,
        (Kind::ValueInfo, 2) => Kind::Type,
        (Kind::Function, 7) => Kind::Node,
        (Kind::Function, 11) => Kind::Attribute,
        (Kind::Function, 12) => Kind::ValueInfo,
        (Kind::Function, 9 | 14) => Kind::Leaf,
        (Kind::Type, 1 | 4 | 5 | 7 | 8 | 9) => Kind::Leaf,
        _ => return None,
    })
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    messages: u64,
}

/// Why the walk stopped; the position is the walk's.
type Stop = &'static str;

impl Walk<'_> {
    fn varint(&mut self, end: usize) -> Result<u64, Stop> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            if self.at >= end {
                return Err("the file breaks off inside a number");
            }
            let byte = self.bytes[self.at];
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number is longer than ten bytes")
    }

    fn skip(&mut self, count: u64, end: usize) -> Result<(), Stop> {
        match usize::try_from(count).ok().and_then(|c| self.at.checked_add(c)).filter(|to| *to <= end) {
            Some(to) => {
                self.at = to;
                Ok(())
            }
            None => Err("a field reaches beyond the end of what holds it"),
        }
    }

    fn message(&mut self, kind: Kind, end: usize, depth: usize) -> Result<(), Stop> {
        self.messages += 1;
        if self.messages > MAX_MESSAGES {
            return Err("the file holds more than 20 million messages");
        }
        if depth > MAX_DEPTH {
            return Err("graphs are nested too deeply");
        }
        while self.at < end {
            let start = self.at;
            let tag = self.varint(end)?;
            if tag >> 3 == 0 {
                self.at = start;
                return Err("a field has number 0");
            }
            match tag & 7 {
                0 => drop(self.varint(end)?),
                1 => self.skip(8, end)?,
                5 => self.skip(4, end)?,
                2 => {
                    let length = self.varint(end)?;
                    let from = self.at;
                    self.skip(length, end)?;
                    match child(kind, tag >> 3) {
                        Some(Kind::Leaf) => self.messages += 1,
                        Some(inner) => {
                            let to = self.at;
                            self.at = from;
                            self.message(inner, to, depth + 1)?;
                        }
                        None => {}
                    }
                }
                _ => {
                    self.at = start;
                    return Err("a field has an unknown wire type");
                }
            }
        }
        Ok(())
    }
}

/// Checks the framing of a model file.
pub fn check(bytes: &[u8], file: &str) -> Result<(), Diagnostic> {
    let mut walk = Walk { bytes, at: 0, messages: 0 };
    walk.message(Kind::Model, bytes.len(), 0).map_err(|why| {
        Diagnostic::error("TC0202", format!("the file is not a valid ONNX model: {why}"))
            .at_byte(file, walk.at as u64, "")
            .with_help("the file may be truncated; fetch or export it again")
    })
}
