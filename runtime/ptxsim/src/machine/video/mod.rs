//! Video instructions (PTX ISA 9.7.18): arithmetic on parts of registers, alone or in parallel.
//!
//! Hopper has none of them; ptxas 13.0 writes them out, those on one part in 64 bits and not always as the ISA's text says. The
//! result is the hardware's (`recordings/scalar.out`):
//!
//! ```text
//! .sat of a whole u32   negative numbers become 0; sums and differences beyond 2^32 wrap
//! .sat of a part        negative numbers become the largest one, in s16 and s8 too
//! .sat of vshl          to 32 bits whatever the part; of the shifted number 34 bits count
//! .min, .max            on 64 bits: a sum or difference that wrapped, or what was saturated, is sign-extended
//! d.h1                  takes the upper half of the result, not the lower one
//! ```
//! Central type: [`Video`].

mod decode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Sub,
    Avrg,
    Absdiff,
    Min,
    Max,
    /// Shifts clamp their count to 32, or wrap it.
    Shl {
        wrap: bool,
    },
    Shr {
        wrap: bool,
    },
    Set(Compare),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// What becomes of the third operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    None,
    /// It stays where the result has no part.
    Merge,
    Add,
    Min,
    Max,
}

/// Bits of a 64-bit pair of operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    shift: u32,
    width: u32,
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Video {
    kind: Kind,
    /// Whether the result and the sources are signed.
    signed: [bool; 3],
    sat: bool,
    second: Second,
    lanes: usize,
    a: [Part; 4],
    b: [Part; 4],
    /// `None` where an element of the result is left out.
    d: [Option<Part>; 4],
}

impl Part {
    fn of(self, pair: u64, signed: bool) -> i128 {
        let up = 64 - self.width;
        let bits = pair >> self.shift << up;
        if signed { i128::from(bits as i64 >> up) } else { i128::from(bits >> up) }
    }

    /// `c` with this part of it replaced.
    fn merge(self, value: u32, c: u32) -> u32 {
        let ones = (((1u64 << self.width) - 1) << self.shift) as u32;
        c & !ones | value << self.shift & ones
    }
}

impl Video {
    fn element(&self, a: i128, b: i128) -> i128 {
        match self.kind {
            Kind::Add => a + b,
            Kind::Sub => a - b,
            // Halves are rounded away from zero.
            Kind::Avrg => (a + b + i128::from(a + b >= 0)) >> 1,
            Kind::Absdiff => (a - b).abs(),
            Kind::Min => a.min(b),
            Kind::Max => a.max(b),
            Kind::Shl { wrap: true } => a << (b & 31),
            Kind::Shl { wrap: false } => a << b.min(32),
            Kind::Shr { wrap: true } => a >> (b & 31),
            Kind::Shr { wrap: false } => a >> b.min(32),
            Kind::Set(compare) => i128::from(match compare {
                Compare::Eq => a == b,
                Compare::Ne => a != b,
                Compare::Lt => a < b,
                Compare::Le => a <= b,
                Compare::Gt => a > b,
                Compare::Ge => a >= b,
            }),
        }
    }

    /// The result for one lane.
    pub fn apply(&self, [a, b, c]: [u32; 3]) -> u32 {
        let pair = u64::from(b) << 32 | u64::from(a);
        let exact = |k: usize| self.element(self.a[k].of(pair, self.signed[1]), self.b[k].of(pair, self.signed[2]));
        if self.lanes == 1 {
            return self.alone(exact(0), c);
        }
        let mut out = c;
        for k in 0..self.lanes {
            let Some(to) = self.d[k] else { continue };
            let mut t = exact(k);
            if self.sat {
                let (low, high) = self.range(to.width);
                t = t.clamp(low, high);
            }
            out = if self.second == Second::Add { out.wrapping_add(t as u32) } else { to.merge(t as u32, out) };
        }
        out
    }

    /// The range of results of so many bits.
    fn range(&self, width: u32) -> (i128, i128) {
        if self.signed[0] { (-(1 << (width - 1)), (1 << (width - 1)) - 1) } else { (0, (1 << width) - 1) }
    }

    /// The result of an operation on one part.
    fn alone(&self, exact: i128, c: u32) -> u32 {
        let to = self.d[0].unwrap_or(Part { shift: 0, width: 32 });
        let wrapped = |t: i128| i128::from(t as u32 as i32);
        // What needs no saturation has none.
        let fits = matches!(self.kind, Kind::Min | Kind::Max | Kind::Absdiff) && self.signed == [false; 3];
        let t = match self.kind {
            _ if self.sat && !(fits && to.width == 32) => wrapped(self.saturated(exact, to.width)),
            Kind::Add | Kind::Sub => wrapped(exact),
            _ => exact,
        };
        let word = t as u32;
        let signed = if matches!(self.kind, Kind::Set(_)) { self.signed[1] } else { self.signed[0] };
        let less = if signed { (t as i64) < i64::from(c as i32) } else { (t as u64) < u64::from(c) };
        match self.second {
            Second::None => word,
            Second::Merge if to == (Part { shift: 16, width: 16 }) => to.merge(word >> 16, c),
            Second::Merge => to.merge(word, c),
            Second::Add => c.wrapping_add(word),
            Second::Min => {
                if less {
                    word
                } else {
                    c
                }
            }
            Second::Max => {
                if less {
                    c
                } else {
                    word
                }
            }
        }
    }

    fn saturated(&self, exact: i128, width: u32) -> i128 {
        let shift = matches!(self.kind, Kind::Shl { .. });
        let (t, width) = if shift { (exact << 94 >> 94, 32) } else { (exact, width) };
        let (low, high) = self.range(width);
        match (width, self.signed[0]) {
            (32, true) => t.clamp(low, high),
            (32, false) if t < 0 => 0,
            (32, false) if shift => t.min(high),
            (32, false) => t,
            _ if t < 0 => high,
            _ => t.min(high),
        }
    }
}
