//! The scalar operations an expression may use, with their exact meaning in float64.

use serde::{Deserialize, Serialize};

/// One-operand operations. The result has the operand's dtype except where noted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unary {
    Neg,
    Abs,
    Sign,
    Floor,
    Ceil,
    /// To nearest, ties to even.
    Round,
    Trunc,
    Sqrt,
    Rsqrt,
    Recip,
    Exp,
    Exp2,
    Expm1,
    Log,
    Log2,
    Log1p,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Erf,
    /// Logical not of a bool.
    Not,
    /// Bitwise complement of an integer.
    BitNot,
    /// bool result.
    IsNan,
    /// bool result: positive or negative infinity.
    IsInf,
}

/// Two-operand operations on equal dtypes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binary {
    /// Integers wrap.
    Add,
    Sub,
    Mul,
    /// Floats: IEEE. Integers: truncated toward zero; division by zero gives 0, MIN / -1 gives MIN.
    Div,
    /// Integers: quotient rounded toward minus infinity. Floats: `floor(a / b)`.
    FloorDiv,
    /// Remainder with the sign of the divisor (Python `%`); by zero gives 0 for integers.
    Mod,
    /// Remainder with the sign of the dividend (C `fmod`, `%`); by zero gives 0 for integers.
    Rem,
    Pow,
    Atan2,
    /// NaN if either is NaN.
    Min,
    /// NaN if either is NaN.
    Max,
    And,
    Or,
    Xor,
    /// Integers; shifts of at least the width give 0.
    Shl,
    Shr,
    /// bool results; comparisons with NaN are false except `Ne`.
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Unary {
    /// Whether the result is `bool` whatever the operand.
    pub fn is_predicate(self) -> bool {
        matches!(self, Unary::Not | Unary::IsNan | Unary::IsInf)
    }
}

impl Binary {
    /// Whether the result is `bool`.
    pub fn is_comparison(self) -> bool {
        matches!(self, Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge)
    }
}
