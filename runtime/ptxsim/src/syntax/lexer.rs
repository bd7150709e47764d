//! Text to tokens (PTX ISA 4.1 to 4.5).
//!
//! Central type: [`Token`]. Words keep their dots, so `ld.global.v4.b32` is one token and so is `%tid.x`.

use super::SyntaxError;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind<'a> {
    /// Identifiers, opcodes with modifiers and directives.
    Word(&'a str),
    /// 64 bits as written.
    Int(u64),
    /// `0f3f800000`
    F32(u32),
    /// `0d…` and decimal floats.
    F64(u64),
    Text(&'a str),
    Punct(u8),
    End,
}

#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub kind: Kind<'a>,
    pub line: u32,
}

fn word_start(c: u8) -> bool {
    c.is_ascii_alphabetic() || matches!(c, b'_' | b'$' | b'%' | b'.')
}

fn word_part(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'$' | b'.' | b'%')
}

/// All tokens, the last one [`Kind::End`].
pub fn tokens(text: &str) -> Result<Vec<Token<'_>>, SyntaxError> {
    let bytes = text.as_bytes();
    let (mut at, mut line, mut out) = (0, 1u32, vec![]);
    let peek = |i: usize| bytes.get(i).copied().unwrap_or(0);
    while at < bytes.len() {
        let c = bytes[at];
        let start = at;
        let first_line = line;
        let fail = |message: String| SyntaxError { line: first_line, message };
        if c == b'\n' {
            line += 1;
            at += 1;
            continue;
        }
        if c.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if c == b'/' && peek(at + 1) == b'/' {
            while at < bytes.len() && bytes[at] != b'\n' {
                at += 1;
            }
            continue;
        }
        if c == b'/' && peek(at + 1) == b'*' {
            let end = text[at + 2..].find("*/").ok_or_else(|| fail("a comment without an end".into()))?;
            line += bytes[at..at + 2 + end].iter().filter(|b| **b == b'\n').count() as u32;
            at += end + 4;
            continue;
        }
        let kind = if c == b'"' {
            at += 1;
            while at < bytes.len() && bytes[at] != b'"' && bytes[at] != b'\n' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            if peek(at) != b'"' {
                return Err(fail("a string without an end".into()));
            }
            at += 1;
            Kind::Text(text.get(start + 1..at - 1).unwrap_or(""))
        } else if word_start(c) {
            // `::` belongs to a modifier (`.shared::cta`); a single colon ends a label.
            while word_part(peek(at)) || (peek(at) == b':' && peek(at + 1) == b':' && word_start(peek(at + 2))) {
                at += if bytes[at] == b':' { 2 } else { 1 };
            }
            Kind::Word(&text[start..at])
        } else if c.is_ascii_digit() {
            while peek(at).is_ascii_alphanumeric()
                || peek(at) == b'.'
                || (matches!(peek(at), b'+' | b'-')
                    && matches!(peek(at - 1), b'e' | b'E')
                    && !text[start..at].starts_with("0x"))
            {
                at += 1;
            }
            number(&text[start..at]).ok_or_else(|| fail(format!("`{}` is not a number", &text[start..at])))?
        } else if c.is_ascii() {
            at += 1;
            Kind::Punct(c)
        } else {
            return Err(fail("a character outside ASCII".into()));
        };
        out.push(Token { kind, line: first_line });
    }
    out.push(Token { kind: Kind::End, line });
    Ok(out)
}

fn number(text: &str) -> Option<Kind<'static>> {
    let lower = text.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0f").filter(|h| h.len() == 8) {
        return u32::from_str_radix(hex, 16).ok().map(Kind::F32);
    }
    if let Some(hex) = lower.strip_prefix("0d").filter(|h| h.len() == 16) {
        return u64::from_str_radix(hex, 16).ok().map(Kind::F64);
    }
    let digits = lower.strip_suffix('u').unwrap_or(&lower);
    let int = if let Some(hex) = digits.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        u64::from_str_radix(binary, 2)
    } else if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        u64::from_str_radix(&digits[1..], 8)
    } else {
        digits.parse()
    };
    match int {
        Ok(value) => Some(Kind::Int(value)),
        Err(_) if lower.contains('.') || lower.contains('e') => {
            lower.parse::<f64>().ok().map(|v| Kind::F64(v.to_bits()))
        }
        Err(_) => None,
    }
}
