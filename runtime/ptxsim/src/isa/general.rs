//! Float arithmetic in every legal combination of rounding mode and modifier (PTX ISA 9.7.3, 9.7.4).
//!
//! Central type: [`Float`]. A spelling that is listed here is legal for sm_90; what it computes is read off its parts. The
//! combinations that kernels spend their time in have rows with host arithmetic in [`super::float`].

use std::collections::HashMap;
use std::sync::OnceLock;
use tricot_ptx_numerics::arith;
use tricot_ptx_numerics::convert::saturate;
use tricot_ptx_numerics::format::{BF16, F16, F32, F64, Format, Overflow, Round};
use tricot_ptx_numerics::minmax::{Pick, select};

/// Legal spellings, and how many sources they take.
pub const PATTERNS: &[(&str, usize)] = &[
    ("{add,sub,mul}{,.rn,.rz,.rm,.rp}{,.ftz}{,.sat}.f32", 2),
    ("{add,sub,mul}{,.rn,.rz,.rm,.rp}.f64", 2),
    ("{fma,mad}{.rn,.rz,.rm,.rp}{,.ftz}{,.sat}.f32", 3),
    ("{fma,mad}{.rn,.rz,.rm,.rp}.f64", 3),
    ("div{.rn,.rz,.rm,.rp}{,.ftz}.f32", 2),
    ("div{.rn,.rz,.rm,.rp}.f64", 2),
    ("{rcp,sqrt}{.rn,.rz,.rm,.rp}{,.ftz}.f32", 1),
    ("{rcp,sqrt}{.rn,.rz,.rm,.rp}.f64", 1),
    ("{rcp,rsqrt}.approx.ftz.f64", 1),
    ("{min,max}{,.ftz}{,.NaN}{,.xorsign.abs}.f32", 2),
    ("{add,sub,mul}{,.rn}{,.ftz}{,.sat}.{f16,f16x2}", 2),
    ("fma.rn{,.ftz}{,.sat,.relu}.{f16,f16x2}", 3),
    ("{min,max}{,.ftz}{,.NaN}{,.xorsign.abs}.{f16,f16x2}", 2),
    ("{abs,neg}{,.ftz}.{f16,f16x2}", 1),
    ("{abs,neg}.{bf16,bf16x2}", 1),
    ("{add,sub,mul}{,.rn}.{bf16,bf16x2}", 2),
    ("fma.rn{,.relu}.{bf16,bf16x2}", 3),
    ("{min,max}{,.NaN}{,.xorsign.abs}.{bf16,bf16x2}", 2),
    ("fma.rn.oob{,.relu}.{f16,f16x2,bf16,bf16x2}", 3),
    ("tanh.approx.{f16,f16x2,bf16,bf16x2}", 1),
    ("ex2.approx.{f16,f16x2}", 1),
    ("ex2.approx.ftz.{bf16,bf16x2}", 1),
];

/// The upper half of an f64: all that `rcp.approx.ftz.f64` and `rsqrt.approx.ftz.f64` read and write.
const F64_UPPER: Format = Format { man_bits: 20, low: 32, nan: 0x7fff_ffff_0000_0000, ..F64 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Sub,
    Mul,
    Fma,
    Div,
    Rcp,
    Sqrt,
    RcpApprox,
    RsqrtApprox,
    Min,
    Max,
    Abs,
    Neg,
    Tanh,
    Ex2,
}

/// One instruction, for one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Float {
    kind: Kind,
    format: &'static Format,
    /// Two halves of 16 bits.
    packed: bool,
    mode: Round,
    ftz: bool,
    sat: bool,
    /// Negative results become +0.
    relu: bool,
    /// `fma`: a factor that is the NaN of all ones gives +0.
    oob: bool,
    nan: bool,
    xorsign: bool,
    pub sources: usize,
    /// Bits of a register.
    pub bits: u32,
}

impl Float {
    /// Reads a spelling of the list.
    fn parse(spelling: &str, sources: usize) -> Option<Float> {
        let parts: Vec<&str> = spelling.split('.').collect();
        let has = |name: &str| parts.contains(&name);
        let kind = match parts[0] {
            "add" => Kind::Add,
            "sub" => Kind::Sub,
            "mul" => Kind::Mul,
            "fma" | "mad" => Kind::Fma,
            "div" => Kind::Div,
            "rcp" if has("approx") => Kind::RcpApprox,
            "rcp" => Kind::Rcp,
            "sqrt" => Kind::Sqrt,
            "rsqrt" => Kind::RsqrtApprox,
            "min" => Kind::Min,
            "max" => Kind::Max,
            "abs" => Kind::Abs,
            "neg" => Kind::Neg,
            "tanh" => Kind::Tanh,
            "ex2" => Kind::Ex2,
            _ => return None,
        };
        let (format, bits) = match *parts.last()? {
            "f64" => (&F64, 64),
            "f32" => (&F32, 32),
            "f16" => (&F16, 16),
            "f16x2" => (&F16, 32),
            "bf16" => (&BF16, 16),
            "bf16x2" => (&BF16, 32),
            _ => return None,
        };
        let mode = match () {
            () if has("rz") => Round::Zero,
            () if has("rm") => Round::Down,
            () if has("rp") => Round::Up,
            () => Round::Near,
        };
        Some(Float {
            kind,
            format,
            packed: spelling.ends_with("x2"),
            mode,
            ftz: has("ftz"),
            sat: has("sat"),
            relu: has("relu"),
            oob: has("oob"),
            nan: has("NaN"),
            xorsign: has("xorsign"),
            sources,
            bits,
        })
    }

    /// The result for the sources' bits.
    pub fn apply(&self, x: [u64; 3]) -> u64 {
        if !self.packed {
            return self.one(x);
        }
        let half = |shift: u32| self.one(x.map(|v| v >> shift & 0xffff));
        half(0) | half(16) << 16
    }

    fn one(&self, x: [u64; 3]) -> u64 {
        let (f, mode) = (self.format, self.mode);
        let flush = |bits: u64| if self.ftz { f.flush(bits) } else { bits };
        let [a, b, c] = x.map(flush);
        let sign = f.zero(true);
        // The NaN that tensor copies fill in for an element out of bounds, of either sign.
        let missing = |bits: u64| self.oob && bits & 0x7fff == 0x7ff7;
        let host = |f: &Format, of: fn(f64) -> f64| {
            f.from(&F64.unpack(of(f.to_f64(a)).to_bits()), Round::Near, Overflow::Ieee)
        };
        let out = match self.kind {
            Kind::Add => arith::add(f, a, b, mode),
            Kind::Sub => arith::sub(f, a, b, mode),
            Kind::Mul => arith::mul(f, a, b, mode),
            Kind::Fma if missing(a) || missing(b) => 0,
            Kind::Fma => arith::fma(f, a, b, c, mode),
            Kind::Div => arith::div(f, a, b, mode),
            Kind::Rcp => arith::rcp(f, a, mode),
            Kind::Sqrt => arith::sqrt(f, a, mode),
            Kind::Min | Kind::Max => {
                let pick = if self.kind == Kind::Min { Pick::Min } else { Pick::Max };
                select(f, pick, self.nan, self.xorsign, a, b)
            }
            Kind::Abs => arith::abs(f, a),
            Kind::Neg => arith::neg(f, a),
            Kind::RcpApprox => host(&F64_UPPER, |v| 1.0 / v),
            Kind::RsqrtApprox => host(&F64_UPPER, |v| 1.0 / v.sqrt()),
            Kind::Tanh => host(f, f64::tanh),
            Kind::Ex2 => host(f, f64::exp2),
        };
        let out = flush(out);
        match () {
            () if self.sat => saturate(f, out),
            () if self.relu && !f.is_nan(out) && out & sign != 0 => 0,
            () => out,
        }
    }
}

/// The instruction of a spelled opcode.
pub fn lookup(opcode: &str) -> Option<&'static Float> {
    static TABLE: OnceLock<HashMap<String, Float>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let spelled = PATTERNS.iter().flat_map(|(p, n)| super::spellings(p).into_iter().map(move |s| (s, *n)));
        spelled.filter_map(|(s, n)| Some((Float::parse(&s, n)?, s))).map(|(f, s)| (s, f)).collect()
    });
    table.get(opcode)
}
