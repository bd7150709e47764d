//! `cvt` (PTX ISA 9.7.9.21) in every form of sm_90, and `cvt.pack` (9.7.9.22).
//!
//! Central type: [`Conversion`]. What is illegal is refused when it is read.

use super::family::Mods;
use tricot_ptx_numerics::convert::{Convert, Type};
use tricot_ptx_numerics::format::{BF16, E4M3, E5M2, F16, F32, Format, Round, TF32};

/// How values lie in the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Single,
    /// Two sources become the upper and the lower part of so many bits each.
    Join { bits: u32 },
    /// Both parts of one source become both parts of the result.
    Both { from: u32, to: u32 },
    /// `cvt.pack`: like `Join`, and the third source moves up above them.
    Push { bits: u32 },
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    convert: Convert,
    pub shape: Shape,
    /// Bits of a source and of the result.
    pub source: u32,
    pub result: u32,
}

fn bits(ty: Type) -> u32 {
    match ty {
        Type::Int { bits, .. } => bits,
        Type::Float(f) => 1 + f.exp_bits + f.man_bits + f.low,
    }
}

fn same(f: &Format, g: &Format) -> bool {
    (f.exp_bits, f.man_bits, f.low, f.infinite) == (g.exp_bits, g.man_bits, g.low, g.infinite)
}

/// The largest and smallest values of an integer type fit another.
fn holds((to, to_signed): (u32, bool), (from, from_signed): (u32, bool)) -> bool {
    match (to_signed, from_signed) {
        (true, true) | (false, false) => to >= from,
        (true, false) => to > from,
        (false, true) => false,
    }
}

const PLAIN: &[(&str, Round)] = &[("rn", Round::Near), ("rz", Round::Zero), ("rm", Round::Down), ("rp", Round::Up)];
const WHOLE: &[(&str, Round)] = &[("rni", Round::Near), ("rzi", Round::Zero), ("rmi", Round::Down), ("rpi", Round::Up)];

impl Conversion {
    /// Reads what follows `cvt.`.
    pub(super) fn parse(parts: &[&str]) -> Result<Conversion, String> {
        if let ["pack", rest @ ..] = parts {
            return Conversion::pack(rest);
        }
        let [modifiers @ .., to, from] = parts else { return Err("a conversion has two types".into()) };
        let (to_one, from_one) = (to.strip_suffix("x2"), from.strip_suffix("x2"));
        let ty = |name: &str| Type::parse(name).ok_or_else(|| format!("`.{name}` is not a type of `cvt` on sm_90a"));
        let (to, from) = (ty(to_one.unwrap_or(to))?, ty(from_one.unwrap_or(from))?);
        let mut m = Mods(modifiers);
        let plain = m.one_of(PLAIN);
        let whole = if plain.is_none() { m.one_of(WHOLE) } else { None };
        let away = plain.or(whole).is_none() && m.eat("rna");
        let early = m.eat("satfinite");
        let relu = m.eat("relu");
        let finite = early || m.eat("satfinite");
        let (ftz, sat) = (m.eat("ftz"), m.eat("sat"));
        m.done()?;
        let round = plain.or(whole).unwrap_or(if away { Round::NearAway } else { Round::Near });
        let convert = Convert { to, from, round, whole: whole.is_some(), sat, finite, relu, ftz };
        let (result, source) = (bits(to), bits(from));
        let shape = match (to_one, from_one) {
            (None, None) => Shape::Single,
            (Some(_), None) => Shape::Join { bits: result },
            (Some(_), Some(_)) => Shape::Both { from: source, to: result },
            (None, Some(_)) => return Err("two values do not become one".into()),
        };
        if shape == Shape::Single {
            convert.single(plain.is_some(), away)?;
        } else {
            convert.packed(plain, &shape)?;
        }
        let wide = |n: u32, pair: bool| if pair { 2 * n } else { n };
        Ok(Conversion {
            convert,
            shape,
            source: wide(source, from_one.is_some()),
            result: wide(result, to_one.is_some()),
        })
    }

    fn pack(parts: &[&str]) -> Result<Conversion, String> {
        let (ty, third) = match parts {
            ["sat", ty @ ("u16" | "s16"), "s32"] => (ty, false),
            ["sat", ty @ ("u8" | "s8" | "u4" | "s4" | "u2" | "s2"), "s32", "b32"] => (ty, true),
            _ => return Err("there is no such `cvt.pack`".into()),
        };
        let width = ty[1..].parse().map_err(|_| "there is no such `cvt.pack`")?;
        let to = Type::Int { bits: width, signed: ty.starts_with('s') };
        let from = Type::Int { bits: 32, signed: true };
        let (round, no) = (Round::Zero, false);
        let convert = Convert { to, from, round, whole: no, sat: true, finite: no, relu: no, ftz: no };
        let shape = if third { Shape::Push { bits: width } } else { Shape::Join { bits: width } };
        Ok(Conversion { convert, shape, source: 32, result: 32 })
    }

    /// Register operands.
    pub fn sources(&self) -> usize {
        match self.shape {
            Shape::Single | Shape::Both { .. } => 1,
            Shape::Join { .. } => 2,
            Shape::Push { .. } => 3,
        }
    }

    /// The result for one lane, extended or cut to a register of `register` bits.
    pub fn apply(&self, x: [u64; 3], register: u32) -> u64 {
        let low = |bits: u32| u64::MAX >> (64 - bits);
        let part = |v: u64, bits: u32| self.convert.apply(v) & low(bits);
        let out = match self.shape {
            Shape::Single => self.convert.apply(x[0]),
            Shape::Join { bits } => part(x[0], bits) << bits | part(x[1], bits),
            Shape::Both { from, to } => part(x[0] >> from & low(from), to) << to | part(x[0] & low(from), to),
            Shape::Push { bits } => x[2] << (2 * bits) | part(x[0], bits) << bits | part(x[1], bits),
        };
        out & low(register)
    }
}

/// What a conversion must and must not have.
trait Legal {
    fn single(&self, plain: bool, away: bool) -> Result<(), String>;
    fn packed(&self, plain: Option<Round>, shape: &Shape) -> Result<(), String>;
}

impl Legal for Convert {
    fn single(&self, plain: bool, away: bool) -> Result<(), String> {
        let rounded = plain || away || self.whole;
        let is = |ty: Type, f: &Format| matches!(ty, Type::Float(g) if same(f, g));
        let any = |f: &Format| is(self.to, f) || is(self.from, f);
        if any(&E4M3) || any(&E5M2) || is(self.from, &TF32) {
            return Err("this type is converted in pairs, or not at all".into());
        }
        let alternate = any(&BF16) || any(&TF32);
        let byte = |ty: Type| matches!(ty, Type::Int { bits: 8, .. });
        if any(&BF16) && (byte(self.to) || byte(self.from)) {
            return Err("bytes are not converted from or to `.bf16`".into());
        }
        if self.finite && is(self.to, &TF32) && !away {
            return Err("`.satfinite` of `.tf32` is for `.rna`".into());
        }
        if is(self.to, &TF32) && !is(self.from, &F32) {
            return Err("`.tf32` is made of `.f32`".into());
        }
        if self.ftz && (!any(&F32) || is(self.to, &TF32)) {
            return Err("`.ftz` is for `.f32`".into());
        }
        let near_or_zero = plain && matches!(self.round, Round::Near | Round::Zero);
        let from_f32 = is(self.from, &F32) && (is(self.to, &F16) || is(self.to, &BF16) || is(self.to, &TF32));
        if (self.relu || self.finite) && !(from_f32 && !self.ftz && !self.sat && (near_or_zero || away && !self.relu)) {
            return Err("`.relu` and `.satfinite` are for `.rn` and `.rz` from `.f32`".into());
        }
        if away && !is(self.to, &TF32) {
            return Err("`.rna` is for `.tf32`".into());
        }
        match (self.to, self.from) {
            (Type::Int { bits, signed }, Type::Int { bits: width, signed: sign }) => {
                if rounded {
                    return Err("integers are not rounded".into());
                }
                if self.sat && holds((bits, signed), (width, sign)) {
                    return Err("`.sat` where every value fits".into());
                }
                Ok(())
            }
            (Type::Int { .. }, Type::Float(_)) if self.sat && alternate => Err("`.sat` is not for this type".into()),
            (Type::Int { .. }, Type::Float(_)) if self.whole => Ok(()),
            (Type::Int { .. }, Type::Float(_)) => Err("one of .rni .rzi .rmi .rpi is expected".into()),
            (Type::Float(_), _) if self.sat && alternate => Err("`.sat` is not for this type".into()),
            (Type::Float(_), Type::Int { .. }) if plain => Ok(()),
            (Type::Float(_), Type::Int { .. }) => Err("one of .rn .rz .rm .rp is expected".into()),
            (Type::Float(f), Type::Float(g)) => {
                let halves = any(&F16) && any(&BF16);
                let exact = f.man_bits >= g.man_bits && f.exp_bits >= g.exp_bits;
                match () {
                    () if self.whole && !same(f, g) => Err("rounding to a whole number keeps the type".into()),
                    // The assembler takes a mode from `.bf16`, and none between the formats of 16 bits.
                    () if exact && (plain || away) && (!is(self.from, &BF16) || same(f, g)) => {
                        Err("nothing is to be rounded".into())
                    }
                    () if !(exact || rounded || halves) => Err("one of .rn .rz .rm .rp is expected".into()),
                    () if is(self.to, &TF32) && !near_or_zero && !away => {
                        Err("only `.rn`, `.rz` and `.rna` exist for this type".into())
                    }
                    () => Ok(()),
                }
            }
        }
    }

    fn packed(&self, plain: Option<Round>, shape: &Shape) -> Result<(), String> {
        let (Type::Float(to), Type::Float(from)) = (self.to, self.from) else {
            return Err("only floats are converted in pairs".into());
        };
        let eight = |f: &Format| same(f, &E4M3) || same(f, &E5M2);
        let joined = matches!(shape, Shape::Join { .. });
        let near = plain == Some(Round::Near);
        let legal = match () {
            () if self.whole || self.ftz || self.sat => false,
            () if joined && (same(to, &F16) || same(to, &BF16)) => {
                same(from, &F32) && (near || plain == Some(Round::Zero))
            }
            () if eight(to) => near && self.finite && same(from, if joined { &F32 } else { &F16 }),
            () => !joined && near && !self.finite && same(to, &F16) && eight(from),
        };
        if legal { Ok(()) } else { Err("there is no such conversion for sm_90a".into()) }
    }
}
