//! The words of a PTX text.

use crate::ast::Int;

/// A token and where it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'t> {
    pub kind: Kind<'t>,
    /// Byte of the text.
    pub start: usize,
    /// Byte after its last one.
    pub end: usize,
    /// From 1.
    pub line: u32,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind<'t> {
    /// `add`, `%r1`, `$L__BB0_1`, `_`.
    Word(&'t str),
    /// `.global`, `.shared::cluster`, without the dot.
    Dotted(&'t str),
    Int(Int),
    /// `0f3F800000`.
    F32(u32),
    /// `0d3FF0000000000000`, `1.5`.
    F64(u64),
    /// `"text"`, without the quotes.
    Text(&'t str),
    /// Punctuation of one character, or the operators `<<`, `>>`, `<=`, `>=`, `==`, `!=`, `&&` and `||`.
    Sign(Sign),
    End,
}

macro_rules! signs {
    ($($name:ident $text:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Sign { $($name),* }
        impl Sign {
            /// As it is written.
            pub fn text(self) -> &'static str {
                match self { $(Sign::$name => $text),* }
            }
        }
    };
}

signs! {
    OpenBrace "{" CloseBrace "}" OpenBracket "[" CloseBracket "]" OpenParenthesis "(" CloseParenthesis ")"
    Comma "," Semicolon ";" Colon ":" At "@" Assign "=" Question "?"
    Plus "+" Minus "-" Times "*" Divide "/" Percent "%" Not "!" Invert "~"
    And "&" Or "|" Xor "^" Less "<" Greater ">"
    ShiftLeft "<<" ShiftRight ">>" LessEqual "<=" GreaterEqual ">=" Equal "==" NotEqual "!=" AndAnd "&&" OrOr "||"
}
