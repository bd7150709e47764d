//! Text to tokens.

use crate::error::{Code, SyntaxError};
use crate::number;
use crate::token::{Kind, Sign, Token};

/// Reads a text token by token.
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: u32,
}

/// What a byte may be part of.
const WORD: u8 = 1;
const START: u8 = 2;
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut c = 0;
    while c < 256 {
        let byte = c as u8;
        if byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$' {
            class[c] = WORD | START;
        } else if byte.is_ascii_digit() {
            class[c] = WORD;
        }
        c += 1;
    }
    class
};

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Self {
        Lexer { text, at: 0, line: 1 }
    }

    pub fn text(&self) -> &'t str {
        self.text
    }

    /// An error at byte `at` of line `line`.
    pub fn error(&self, code: Code, at: usize, line: u32, expected: String, found: String) -> SyntaxError {
        let start = self.text.as_bytes()[..at].iter().rposition(|&c| c == b'\n').map_or(0, |newline| newline + 1);
        let column = self.text.get(start..at).map_or(at - start, |before| before.chars().count());
        SyntaxError { code, line, column: u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1), expected, found }
    }

    /// The next token.
    pub fn next(&mut self) -> Result<Token<'t>, SyntaxError> {
        self.blanks()?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        let Some(&first) = bytes.get(start) else {
            return Ok(Token { kind: Kind::End, start, end: start, line: self.line });
        };
        let kind = if CLASS[first as usize] & START != 0 {
            let end = self.word(start + 1);
            Kind::Word(self.take(end))
        } else if first == b'%' && bytes.get(start + 1).is_some_and(|&c| CLASS[c as usize] & WORD != 0) {
            let end = self.word(start + 2);
            Kind::Word(self.take(end))
        } else if first == b'.' {
            let mut end = self.word(start + 1);
            while bytes.get(end) == Some(&b':')
                && bytes.get(end + 1) == Some(&b':')
                && bytes.get(end + 2).is_some_and(|&c| CLASS[c as usize] & WORD != 0)
            {
                end = self.word(end + 2);
            }
            if end == start + 1 {
                return Err(self.illegal("a name after `.`"));
            }
            Kind::Dotted(&self.take(end)[1..])
        } else if first.is_ascii_digit() {
            let length = number::length(&bytes[start..]);
            let literal = &self.text[start..start + length];
            self.at = start + length;
            number::value(literal).ok_or_else(|| {
                let expected = "a number of at most 64 bits, `0f` and 8 or `0d` and 16 hexadecimal digits".to_string();
                self.error(Code::Number, start, self.line, expected, quoted(literal))
            })?
        } else if first == b'"' {
            return self.string(start);
        } else {
            Kind::Sign(self.sign(first)?)
        };
        Ok(Token { kind, start, end: self.at, line: self.line })
    }

    fn take(&mut self, end: usize) -> &'t str {
        let word = &self.text[self.at..end];
        self.at = end;
        word
    }

    /// Byte after the word that goes on at `at`.
    fn word(&self, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        while at < bytes.len() && CLASS[bytes[at] as usize] & WORD != 0 {
            at += 1;
        }
        at
    }

    fn blanks(&mut self) -> Result<(), SyntaxError> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'\n') => {
                    self.line = self.line.saturating_add(1);
                    self.at += 1;
                }
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'/') if bytes.get(self.at + 1) == Some(&b'/') => {
                    let rest = &bytes[self.at..];
                    self.at += rest.iter().position(|&c| c == b'\n').unwrap_or(rest.len());
                }
                Some(b'/') if bytes.get(self.at + 1) == Some(&b'*') => {
                    let Some(length) = self.text[self.at + 2..].find("*/") else {
                        let expected = "`*/` at the end of the comment".to_string();
                        return Err(self.error(
                            Code::Character,
                            self.at,
                            self.line,
                            expected,
                            "the end of the text".into(),
                        ));
                    };
                    let end = self.at + 2 + length + 2;
                    self.line += bytes[self.at..end].iter().filter(|&&c| c == b'\n').count() as u32;
                    self.at = end;
                }
                // Texts handed to the driver end with a zero byte.
                Some(0) if bytes[self.at..].iter().all(|&c| c == 0) => self.at = bytes.len(),
                _ => return Ok(()),
            }
        }
    }

    fn string(&mut self, start: usize) -> Result<Token<'t>, SyntaxError> {
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') if bytes.get(end + 1).is_some_and(|&c| c != b'\n') => end += 2,
                None | Some(b'\n') => {
                    let expected = "`\"` at the end of the string".to_string();
                    return Err(self.error(Code::Character, start, self.line, expected, "the end of the line".into()));
                }
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        Ok(Token { kind: Kind::Text(&self.text[start + 1..end]), start, end: self.at, line: self.line })
    }

    fn sign(&mut self, first: u8) -> Result<Sign, SyntaxError> {
        let second = self.text.as_bytes().get(self.at + 1).copied();
        let (sign, length) = match (first, second) {
            (b'<', Some(b'<')) => (Sign::ShiftLeft, 2),
            (b'>', Some(b'>')) => (Sign::ShiftRight, 2),
            (b'<', Some(b'=')) => (Sign::LessEqual, 2),
            (b'>', Some(b'=')) => (Sign::GreaterEqual, 2),
            (b'=', Some(b'=')) => (Sign::Equal, 2),
            (b'!', Some(b'=')) => (Sign::NotEqual, 2),
            (b'&', Some(b'&')) => (Sign::AndAnd, 2),
            (b'|', Some(b'|')) => (Sign::OrOr, 2),
            (b'{', _) => (Sign::OpenBrace, 1),
            (b'}', _) => (Sign::CloseBrace, 1),
            (b'[', _) => (Sign::OpenBracket, 1),
            (b']', _) => (Sign::CloseBracket, 1),
            (b'(', _) => (Sign::OpenParenthesis, 1),
            (b')', _) => (Sign::CloseParenthesis, 1),
            (b',', _) => (Sign::Comma, 1),
            (b';', _) => (Sign::Semicolon, 1),
            (b':', _) => (Sign::Colon, 1),
            (b'@', _) => (Sign::At, 1),
            (b'=', _) => (Sign::Assign, 1),
            (b'?', _) => (Sign::Question, 1),
            (b'+', _) => (Sign::Plus, 1),
            (b'-', _) => (Sign::Minus, 1),
            (b'*', _) => (Sign::Times, 1),
            (b'/', _) => (Sign::Divide, 1),
            (b'%', _) => (Sign::Percent, 1),
            (b'!', _) => (Sign::Not, 1),
            (b'~', _) => (Sign::Invert, 1),
            (b'&', _) => (Sign::And, 1),
            (b'|', _) => (Sign::Or, 1),
            (b'^', _) => (Sign::Xor, 1),
            (b'<', _) => (Sign::Less, 1),
            (b'>', _) => (Sign::Greater, 1),
            (b'#', _) => {
                let expected = "PTX that has been through the preprocessor".to_string();
                return Err(self.error(Code::Unsupported, self.at, self.line, expected, "`#`".into()));
            }
            _ => return Err(self.illegal("a PTX token")),
        };
        self.at += length;
        Ok(sign)
    }

    fn illegal(&self, expected: &str) -> SyntaxError {
        let found = self.text[self.at..].chars().next().map_or("the end of the text".into(), |c| format!("{c:?}"));
        self.error(Code::Character, self.at, self.line, expected.to_string(), found)
    }
}

/// A piece of the text for a message, cut to a readable length.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((cut, _)) => format!("`{}…`", &text[..cut]),
        None => format!("`{text}`"),
    }
}
