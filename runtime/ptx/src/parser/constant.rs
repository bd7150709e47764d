//! Constant expressions (PTX ISA 4.5.3 to 4.5.5), computed as they are read.

use super::{Parser, Result};
use crate::ast::Int;
use crate::error::Code;
use crate::token::{Kind, Sign, Token};

/// How strongly an operator binds, weakest first; `?` is below all of them.
fn strength(sign: Sign) -> Option<u8> {
    Some(match sign {
        Sign::OrOr => 1,
        Sign::AndAnd => 2,
        Sign::Or => 3,
        Sign::Xor => 4,
        Sign::And => 5,
        Sign::Equal | Sign::NotEqual => 6,
        Sign::Less | Sign::Greater | Sign::LessEqual | Sign::GreaterEqual => 7,
        Sign::ShiftLeft | Sign::ShiftRight => 8,
        Sign::Plus | Sign::Minus => 9,
        Sign::Times | Sign::Divide | Sign::Percent => 10,
        _ => return None,
    })
}

impl<'t> Parser<'t, '_> {
    /// A constant of any type.
    pub(super) fn constant(&mut self) -> Result<Kind<'t>> {
        let value = self.binary(1)?;
        if !self.accept(Sign::Question)? {
            return Ok(value);
        }
        let condition = self.as_int(value)?;
        self.deeper(|parser| {
            let yes = parser.constant()?;
            parser.expect(Sign::Colon)?;
            let no = parser.constant()?;
            Ok(if condition.bits != 0 { yes } else { no })
        })
    }

    /// A constant that is an integer.
    pub(super) fn integer(&mut self) -> Result<Int> {
        let value = self.constant()?;
        self.as_int(value)
    }

    /// An integer without sums.
    pub(super) fn term(&mut self) -> Result<Int> {
        let value = self.binary(10)?;
        self.as_int(value)
    }

    /// `+4` or `-4` behind a name, several of them added up; `None` if there is none.
    pub(super) fn offset(&mut self) -> Result<Option<i64>> {
        let mut offset = None;
        while self.is(Sign::Plus) || self.is(Sign::Minus) {
            let negative = self.is(Sign::Minus);
            self.advance()?;
            let bits = self.term()?.bits as i64;
            let step = if negative { bits.wrapping_neg() } else { bits };
            offset = Some(offset.unwrap_or(0i64).wrapping_add(step));
        }
        Ok(offset)
    }

    fn as_int(&self, value: Kind<'t>) -> Result<Int> {
        match value {
            Kind::Int(int) => Ok(int),
            _ => self.unexpected("an integer constant before this"),
        }
    }

    /// Operators that bind at least as strongly as `least`.
    fn binary(&mut self, least: u8) -> Result<Kind<'t>> {
        let mut left = self.unary()?;
        loop {
            let operator = self.token;
            let Kind::Sign(sign) = operator.kind else { return Ok(left) };
            let Some(strength) = strength(sign).filter(|&found| found >= least) else { return Ok(left) };
            let first = self.as_int(left)?;
            self.advance()?;
            let right = self.deeper(|parser| parser.binary(strength + 1))?;
            let second = self.as_int(right)?;
            left = Kind::Int(self.apply(operator, sign, first, second)?);
        }
    }

    fn apply(&self, operator: Token<'t>, sign: Sign, a: Int, b: Int) -> Result<Int> {
        let unsigned = a.unsigned || b.unsigned;
        let int = |bits| Int { bits, unsigned };
        let truth = |holds: bool| Int { bits: u64::from(holds), unsigned: false };
        let order = if unsigned { a.bits.cmp(&b.bits) } else { (a.bits as i64).cmp(&(b.bits as i64)) };
        let amount = b.bits.min(64) as u32;
        Ok(match sign {
            Sign::Plus => int(a.bits.wrapping_add(b.bits)),
            Sign::Minus => int(a.bits.wrapping_sub(b.bits)),
            Sign::Times => int(a.bits.wrapping_mul(b.bits)),
            Sign::Divide | Sign::Percent if b.bits == 0 => {
                return self.error_at(operator, Code::Range, "a divisor other than zero");
            }
            Sign::Divide if unsigned => int(a.bits / b.bits),
            Sign::Percent if unsigned => int(a.bits % b.bits),
            Sign::Divide => int((a.bits as i64).wrapping_div(b.bits as i64) as u64),
            Sign::Percent => int((a.bits as i64).wrapping_rem(b.bits as i64) as u64),
            // The type of a shift is that of its first operand.
            Sign::ShiftLeft => Int { bits: a.bits.checked_shl(amount).unwrap_or(0), unsigned: a.unsigned },
            Sign::ShiftRight if a.unsigned => Int { bits: a.bits.checked_shr(amount).unwrap_or(0), unsigned: true },
            Sign::ShiftRight => Int { bits: ((a.bits as i64) >> amount.min(63)) as u64, unsigned: false },
            Sign::And => int(a.bits & b.bits),
            Sign::Or => int(a.bits | b.bits),
            Sign::Xor => int(a.bits ^ b.bits),
            Sign::AndAnd => truth(a.bits != 0 && b.bits != 0),
            Sign::OrOr => truth(a.bits != 0 || b.bits != 0),
            Sign::Equal => truth(a.bits == b.bits),
            Sign::NotEqual => truth(a.bits != b.bits),
            Sign::Less => truth(order.is_lt()),
            Sign::LessEqual => truth(order.is_le()),
            Sign::Greater => truth(order.is_gt()),
            Sign::GreaterEqual => truth(order.is_ge()),
            _ => return self.error_at(operator, Code::Unexpected, "an operator"),
        })
    }

    fn unary(&mut self) -> Result<Kind<'t>> {
        let token = self.token;
        match token.kind {
            value @ (Kind::Int(_) | Kind::F32(_) | Kind::F64(_)) => {
                self.advance()?;
                Ok(value)
            }
            Kind::Sign(sign @ (Sign::Plus | Sign::Minus | Sign::Not | Sign::Invert)) => {
                self.advance()?;
                let value = self.deeper(Self::unary)?;
                Ok(match (sign, value) {
                    (Sign::Plus, value) => value,
                    // The literal 9223372036854775808 is unsigned, but its negation is the least signed number.
                    (Sign::Minus, Kind::Int(int)) => {
                        Kind::Int(Int { bits: int.bits.wrapping_neg(), unsigned: int.unsigned && int.bits != 1 << 63 })
                    }
                    (Sign::Minus, Kind::F32(bits)) => Kind::F32(bits ^ 1 << 31),
                    (Sign::Minus, Kind::F64(bits)) => Kind::F64(bits ^ 1 << 63),
                    (Sign::Invert, Kind::Int(int)) => Kind::Int(Int { bits: !int.bits, ..int }),
                    (_, value) => Kind::Int(Int { bits: u64::from(self.as_int(value)?.bits == 0), unsigned: false }),
                })
            }
            Kind::Sign(Sign::OpenParenthesis) => {
                self.advance()?;
                self.deeper(|parser| {
                    let unsigned = match parser.token.kind {
                        Kind::Dotted("s64") => Some(false),
                        Kind::Dotted("u64") => Some(true),
                        _ => None,
                    };
                    if let Some(unsigned) = unsigned {
                        parser.advance()?;
                        parser.expect(Sign::CloseParenthesis)?;
                        let value = parser.unary()?;
                        return Ok(Kind::Int(Int { unsigned, ..parser.as_int(value)? }));
                    }
                    let value = parser.constant()?;
                    parser.expect(Sign::CloseParenthesis)?;
                    Ok(value)
                })
            }
            _ => self.unexpected("a constant"),
        }
    }
}
