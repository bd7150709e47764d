//! Literals (PTX ISA 4.5).

use crate::ast::Int;
use crate::token::Kind;

/// Bytes at the front of `text`, which starts with a digit, that belong to a number.
pub(crate) fn length(text: &[u8]) -> usize {
    let words = |mut at: usize| {
        while at < text.len() && (text[at].is_ascii_alphanumeric() || text[at] == b'_' || text[at] == b'$') {
            at += 1;
        }
        at
    };
    let whole = words(0);
    // A decimal has its point after digits only, and digits on both sides; `1e-5` has a sign inside.
    if !text[..whole].iter().all(u8::is_ascii_digit) {
        return exponent(text, whole, words);
    }
    match (text.get(whole), text.get(whole + 1)) {
        (Some(b'.'), Some(digit)) if digit.is_ascii_digit() => exponent(text, words(whole + 1), words),
        _ => whole,
    }
}

fn exponent(text: &[u8], end: usize, words: impl Fn(usize) -> usize) -> usize {
    let decimal = text[..end - 1].iter().all(|c| c.is_ascii_digit() || *c == b'.');
    let signed = matches!(text.get(end), Some(b'+' | b'-')) && text.get(end + 1).is_some_and(u8::is_ascii_digit);
    if decimal && signed && matches!(text[end - 1], b'e' | b'E') { words(end + 1) } else { end }
}

/// What the literal `text` means; `None` for a malformed one or one that does not fit 64 bits.
pub(crate) fn value(text: &str) -> Option<Kind<'static>> {
    let bytes = text.as_bytes();
    if let [b'0', letter, digits @ ..] = bytes {
        let hex = |count: usize| {
            (digits.len() == count && digits.iter().all(u8::is_ascii_hexdigit))
                .then(|| u64::from_str_radix(&text[2..], 16).ok())
                .flatten()
        };
        match letter {
            b'f' | b'F' => return hex(8).map(|bits| Kind::F32(bits as u32)),
            b'd' | b'D' => return hex(16).map(Kind::F64),
            _ => {}
        }
    }
    if text.contains('.') || (!text.starts_with("0x") && !text.starts_with("0X") && text.contains(['e', 'E'])) {
        let good = bytes.iter().all(|c| c.is_ascii_digit() || b".eE+-".contains(c));
        return good.then(|| text.parse::<f64>().ok()).flatten().map(|x| Kind::F64(x.to_bits()));
    }
    let (digits, suffix) = match text.strip_suffix(['u', 'U']) {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with('+') {
        return None;
    }
    let bits = u64::from_str_radix(digits, radix).ok()?;
    Some(Kind::Int(Int { bits, unsigned: suffix || bits > i64::MAX as u64 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Kind<'static>> {
        let end = length(text.as_bytes());
        (end == text.len()).then(|| value(text)).flatten()
    }

    #[test]
    fn integers() {
        let int = |bits, unsigned| Some(Kind::Int(Int { bits, unsigned }));
        for (text, bits, unsigned) in [
            ("0", 0, false),
            ("42", 42, false),
            ("0x10", 16, false),
            ("017", 15, false),
            ("0b101", 5, false),
            ("7U", 7, true),
            ("0xFFFFFFFFFFFFFFFF", u64::MAX, true),
            ("9223372036854775807", i64::MAX as u64, false),
            ("9223372036854775808", 1 << 63, true),
            ("0xdeadbeef", 0xdead_beef, false),
        ] {
            assert_eq!(read(text), int(bits, unsigned), "{text}");
        }
        for text in ["08", "0x", "0b2", "12q", "18446744073709551616", "0x1g", "1_0", "0f1234", "0d12", "U"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn floats() {
        assert_eq!(read("0f3F800000"), Some(Kind::F32(1f32.to_bits())));
        assert_eq!(read("0dBFF0000000000000"), Some(Kind::F64((-1f64).to_bits())));
        for x in ["1.5", "1e3", "1.25e-3", "2E+4", "0.0"] {
            assert_eq!(read(x), Some(Kind::F64(x.parse::<f64>().unwrap().to_bits())), "{x}");
        }
        assert_eq!(length(b"1-2"), 1);
        assert_eq!(length(b"0x1e-2"), 4);
    }
}
