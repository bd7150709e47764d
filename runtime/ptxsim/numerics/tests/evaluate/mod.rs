//! What a spelled opcode computes, by way of the crate: the reading of opcodes that the recordings need.

mod atomics;
mod float;
mod video;
mod whole;

use tricot_ptx_numerics::format::Format;

/// What a result may be.
#[derive(Debug)]
pub enum Expect {
    Exact(u64),
    /// In halves of 16 bits.
    Halves(Box<Expect>, Box<Expect>),
    /// A float of the format within an absolute or a relative error of a value.
    Near {
        format: &'static Format,
        value: f64,
        absolute: f64,
        relative: f64,
    },
    Unknown,
}

impl Expect {
    /// One value, not a neighbourhood.
    #[allow(dead_code, reason = "only the simulator's test asks")]
    pub fn exact(&self) -> bool {
        match self {
            Expect::Halves(low, high) => low.exact() && high.exact(),
            Expect::Near { .. } => false,
            Expect::Exact(_) | Expect::Unknown => true,
        }
    }

    pub fn admits(&self, bits: u64, width: u32) -> bool {
        match self {
            Expect::Exact(ours) => ours & (u64::MAX >> (64 - width)) == bits,
            Expect::Halves(low, high) => low.admits(bits & 0xffff, 16) && high.admits(bits >> 16, 16),
            Expect::Near { format, value, absolute, relative } => {
                let theirs = format.to_f64(bits);
                if value.is_nan() || value.is_infinite() || theirs.is_nan() || theirs.is_infinite() {
                    let largest = format.to_f64(format.largest(false));
                    return theirs.is_nan() == value.is_nan()
                        && (theirs == *value
                            || value.is_nan()
                            || value.abs() > largest * (1.0 - relative) && theirs == f64::INFINITY.copysign(*value));
                }
                (theirs - value).abs() <= absolute.max(relative * value.abs())
            }
            Expect::Unknown => false,
        }
    }
}

/// The result of `opcode` on operand bits; `None` if it is not known.
pub fn evaluate(opcode: &str, x: &[u64]) -> Option<Expect> {
    let (opcode, immediate) = opcode.split_once(';').unwrap_or((opcode, ""));
    let parts: Vec<&str> = opcode.split('.').collect();
    if let ("atom" | "red", _) | ("cp", Some(&"reduce")) = (parts[0], parts.get(1)) {
        return atomics::evaluate(&parts, immediate, x).map(Expect::Exact);
    }
    if opcode.starts_with('v') {
        return video::evaluate(&parts, immediate, x).map(Expect::Exact);
    }
    whole::evaluate(&parts, immediate, x).map(Expect::Exact).or_else(|| float::evaluate(&parts, x))
}
