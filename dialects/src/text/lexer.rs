//! Tokens of graph text, with byte spans.

use std::ops::Range;

/// What a token is; its text is the span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `name`, also `dialect.op` and keywords.
    Word,
    /// `%name` or `%0`.
    Value,
    /// `$name`: an attribute of the op that is being declared.
    Attr,
    /// `"""…"""`, whatever is inside: the code of a kernel.
    Raw,
    /// Digits, with a fraction or exponent for floats; no sign.
    Number,
    /// `"…"` with Rust escapes.
    Str,
    /// One of `@ ( ) { } [ ] < > = : , + - * ^`.
    Punct,
    End,
    /// Nothing that graph text knows.
    Bad,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    pub kind: Kind,
    pub span: Range<usize>,
    /// First token of its line.
    pub line_start: bool,
}

/// Splits text into tokens, the last of kind `End`. `//` begins a comment.
pub fn lex(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let (mut out, mut at, mut line_start) = (vec![], 0, true);
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    while at < bytes.len() {
        let start = at;
        let b = bytes[at];
        if b.is_ascii_whitespace() {
            line_start |= b == b'\n';
            at += 1;
            continue;
        }
        if bytes[at..].starts_with(b"//") {
            while at < bytes.len() && bytes[at] != b'\n' {
                at += 1;
            }
            continue;
        }
        let kind = if b.is_ascii_alphabetic() || b == b'_' {
            // A dot continues a word when a letter follows: `core.map`.
            while at < bytes.len()
                && (word(bytes[at]) || bytes[at] == b'.' && bytes.get(at + 1).is_some_and(|b| word(*b)))
            {
                at += 1;
            }
            Kind::Word
        } else if b == b'%' || b == b'$' {
            at += 1;
            while at < bytes.len() && word(bytes[at]) {
                at += 1;
            }
            match b {
                _ if at == start + 1 => Kind::Bad,
                b'%' => Kind::Value,
                _ => Kind::Attr,
            }
        } else if bytes[at..].starts_with(b"\"\"\"") {
            match text[at + 3..].find("\"\"\"") {
                Some(length) => {
                    at += length + 6;
                    Kind::Raw
                }
                None => {
                    at = bytes.len();
                    Kind::Bad
                }
            }
        } else if b.is_ascii_digit() {
            while at < bytes.len() && (word(bytes[at]) || bytes[at] == b'.') {
                at += 1;
                let exponent = matches!(bytes[at - 1], b'e' | b'E');
                if exponent && at < bytes.len() && matches!(bytes[at], b'-' | b'+') {
                    at += 1;
                }
            }
            Kind::Number
        } else if b == b'"' {
            at += 1;
            while at < bytes.len() && bytes[at] != b'"' && bytes[at] != b'\n' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            let closed = at < bytes.len() && bytes[at] == b'"';
            at = (at + usize::from(closed)).min(bytes.len());
            if closed { Kind::Str } else { Kind::Bad }
        } else if b"@(){}[]<>=:,+-*^".contains(&b) {
            at += 1;
            Kind::Punct
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            Kind::Bad
        };
        // An escape may have stepped into the middle of a character.
        while !text.is_char_boundary(at) {
            at += 1;
        }
        out.push(Token { kind, span: start..at, line_start });
        line_start = false;
    }
    out.push(Token { kind: Kind::End, span: bytes.len()..bytes.len(), line_start: true });
    out
}

/// The content of a string token.
pub fn unquote(token: &str) -> Option<String> {
    let inner = token.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '0' => '\0',
            'u' => {
                let rest = chars.as_str().strip_prefix('{')?;
                let (hex, after) = rest.split_once('}')?;
                chars = after.chars();
                char::from_u32(u32::from_str_radix(hex, 16).ok()?)?
            }
            c @ ('"' | '\\' | '\'') => c,
            _ => return None,
        });
    }
    Some(out)
}
