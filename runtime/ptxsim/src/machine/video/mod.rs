//! Video instructions (PTX ISA 9.7.18): arithmetic on parts of registers, alone or in parallel.
//!
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
        let mut out = if matches!(self.second, Second::Merge | Second::Add) { c } else { 0 };
        for k in 0..self.lanes {
            let Some(to) = self.d[k] else { continue };
            let mut t = self.element(self.a[k].of(pair, self.signed[1]), self.b[k].of(pair, self.signed[2]));
            if self.sat {
                let (low, high) = if self.signed[0] {
                    (-(1i128 << (to.width - 1)), (1i128 << (to.width - 1)) - 1)
                } else {
                    (0, (1i128 << to.width) - 1)
                };
                t = t.clamp(low, high);
            }
            let ones = (((1u64 << to.width) - 1) << to.shift) as u32;
            let t = t as u32;
            out = match (self.second, self.signed[0]) {
                (Second::None | Second::Merge, _) => out & !ones | t << to.shift & ones,
                (Second::Add, _) => out.wrapping_add(t),
                (Second::Min, true) => (t as i32).min(c as i32) as u32,
                (Second::Max, true) => (t as i32).max(c as i32) as u32,
                (Second::Min, false) => t.min(c),
                (Second::Max, false) => t.max(c),
            };
        }
        out
    }
}
