//! Polynomials as text: `4*b*s^2 + 3`, `(s + 7) floordiv 8`. Printing then parsing is the identity.

use crate::poly::{Atom, Poly};
use crate::symbol::Symbol;
use std::fmt;
use std::str::FromStr;

impl fmt::Display for Poly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        // Highest monomial first, the constant last, as people write them.
        let terms: Vec<_> = self.terms().collect();
        for (i, (monomial, coefficient)) in terms.iter().rev().enumerate() {
            let magnitude = coefficient.unsigned_abs();
            match (i, *coefficient < 0) {
                (0, true) => f.write_str("-")?,
                (0, false) => {}
                (_, true) => f.write_str(" - ")?,
                (_, false) => f.write_str(" + ")?,
            }
            let mut first = true;
            if magnitude != 1 || monomial.is_empty() {
                write!(f, "{magnitude}")?;
                first = false;
            }
            for (atom, exponent) in monomial.iter() {
                if !first {
                    f.write_str("*")?;
                }
                first = false;
                match atom {
                    Atom::Symbol(s) => write!(f, "{s}")?,
                    Atom::FloorDiv(p, d) => write!(f, "(({p}) floordiv {d})")?,
                }
                if *exponent != 1 {
                    write!(f, "^{exponent}")?;
                }
            }
        }
        Ok(())
    }
}

/// A polynomial that could not be read: what was wrong and at which byte.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct ParsePolyError {
    pub message: String,
    pub offset: usize,
}

impl FromStr for Poly {
    type Err = ParsePolyError;
    /// Refuses texts above 4096 bytes and products above 2048 terms and atoms, so that hostile text
    /// such as `(a + b + c)^8 * …` costs bounded time and memory.
    fn from_str(text: &str) -> Result<Poly, ParsePolyError> {
        if text.len() > MAX_TEXT {
            return Err(ParsePolyError { message: format!("longer than {MAX_TEXT} bytes"), offset: MAX_TEXT });
        }
        let mut parser = Parser { text: text.as_bytes(), at: 0, depth: 0 };
        let poly = parser.sum()?;
        parser.space();
        match parser.at == text.len() {
            true => Ok(poly),
            false => Err(parser.error("unexpected character")),
        }
    }
}

/// Longest polynomial read, in bytes.
const MAX_TEXT: usize = 4096;
/// Heaviest product formed while reading ([`Poly::weight`]).
const MAX_WEIGHT: usize = 2048;

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn error(&self, message: &str) -> ParsePolyError {
        ParsePolyError { message: message.into(), offset: self.at }
    }

    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let hit = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(hit);
        hit
    }

    fn word(&mut self) -> &str {
        self.space();
        let start = self.at;
        while self.text.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            self.at += 1;
        }
        std::str::from_utf8(&self.text[start..self.at]).unwrap_or("")
    }

    fn integer(&mut self) -> Result<i64, ParsePolyError> {
        let start = self.at;
        match self.word().parse() {
            Ok(value) => Ok(value),
            Err(_) => Err(ParsePolyError { message: "expected an integer below 2^63".into(), offset: start }),
        }
    }

    fn multiply(&self, a: &Poly, b: &Poly) -> Result<Poly, ParsePolyError> {
        let terms = |p: &Poly| p.terms().count();
        if a.weight() * terms(b) + b.weight() * terms(a) > MAX_WEIGHT {
            return Err(self.error("product with too many terms"));
        }
        a.checked_mul(b).ok_or_else(|| self.error("coefficient overflow"))
    }

    fn sum(&mut self) -> Result<Poly, ParsePolyError> {
        self.depth += 1;
        if self.depth > 32 {
            return Err(self.error("nested more than 32 deep"));
        }
        let negative = self.eat(b'-');
        let mut total = self.product()?;
        if negative {
            total = total.checked_neg().ok_or_else(|| self.error("coefficient overflow"))?;
        }
        loop {
            let negative = if self.eat(b'+') {
                false
            } else if self.eat(b'-') {
                true
            } else {
                break;
            };
            let mut term = self.product()?;
            if negative {
                term = term.checked_neg().ok_or_else(|| self.error("coefficient overflow"))?;
            }
            total = total.checked_add(&term).ok_or_else(|| self.error("coefficient overflow"))?;
        }
        self.depth -= 1;
        Ok(total)
    }

    fn product(&mut self) -> Result<Poly, ParsePolyError> {
        let mut product = self.power()?;
        loop {
            if self.eat(b'*') {
                let factor = self.power()?;
                product = self.multiply(&product, &factor)?;
                continue;
            }
            let mark = self.at;
            let ceil = match self.word() {
                "floordiv" => false,
                "ceildiv" => true,
                _ => {
                    self.at = mark;
                    return Ok(product);
                }
            };
            let divisor = self.integer()?;
            if divisor < 1 {
                return Err(self.error("a divisor must be at least 1"));
            }
            let numerator = match ceil {
                true => product
                    .checked_add(&Poly::constant(divisor - 1))
                    .ok_or_else(|| self.error("coefficient overflow"))?,
                false => product,
            };
            product = numerator.floor_div(divisor);
        }
    }

    fn power(&mut self) -> Result<Poly, ParsePolyError> {
        let base = self.atom()?;
        if !self.eat(b'^') {
            return Ok(base);
        }
        let exponent = self.integer()?;
        if !(1..=8).contains(&exponent) {
            return Err(self.error("an exponent must lie in 1..=8"));
        }
        let mut out = base.clone();
        for _ in 1..exponent {
            out = self.multiply(&out, &base)?;
        }
        Ok(out)
    }

    fn atom(&mut self) -> Result<Poly, ParsePolyError> {
        if self.eat(b'(') {
            let inner = self.sum()?;
            return match self.eat(b')') {
                true => Ok(inner),
                false => Err(self.error("expected `)`")),
            };
        }
        self.space();
        if self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Ok(Poly::constant(self.integer()?));
        }
        let start = self.at;
        match Symbol::new(self.word()) {
            Some(symbol) => Ok(Poly::symbol(symbol)),
            None => Err(ParsePolyError { message: "expected a number, a symbol or `(`".into(), offset: start }),
        }
    }
}

impl serde::Serialize for Poly {
    /// Constants become JSON numbers, everything else its text.
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.as_constant() {
            Some(value) => s.serialize_i64(value),
            None => s.collect_str(self),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Poly {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(i64),
            Text(String),
        }
        match Form::deserialize(d)? {
            Form::Number(value) => Ok(Poly::constant(value)),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explosive_text_is_refused() {
        for text in [
            "(a + b + c + d + e + f + g + h + i + j)^8",
            "((a + b + c + d)^3 floordiv 2 * (a + b + c)^4) floordiv 3 * (a + b + c + d + e)^4",
        ] {
            let error = text.parse::<Poly>().unwrap_err();
            assert_eq!(error.message, "product with too many terms", "{text}");
        }
        assert!("a+".repeat(3000).parse::<Poly>().unwrap_err().message.starts_with("longer than"));
        assert_eq!("(a + b + 1)^4".parse::<Poly>().unwrap().terms().count(), 15);
    }
}
