//! Decoder of the video instructions. `vmad` is refused.

use super::{Compare, Kind, Part, Second, Video};
use crate::machine::decode::{Decoder, Result};
use crate::machine::family::Mods;
use crate::machine::op::*;
use crate::syntax::{Instruction, Operand};

/// A register, and the digits of its selector, the highest element first.
fn selected(o: &Operand, letter: char) -> (Operand, Option<Vec<u32>>) {
    if let Operand::Name(name) = o
        && let Some((register, selector)) = name.rsplit_once('.')
        && let Some(digits) = selector.strip_prefix(letter)
        && let Some(digits) = digits.chars().map(|c| c.to_digit(8)).collect::<Option<Vec<_>>>()
    {
        return (Operand::Name(register.to_string()), Some(digits));
    }
    (o.clone(), None)
}

/// The part of a register that a scalar selector names, and the register.
fn scalar_part(o: &Operand) -> Result<(Operand, Option<Part>)> {
    for (letter, width) in [('b', 8), ('h', 16)] {
        if let (register, Some(digits)) = selected(o, letter) {
            return match digits[..] {
                [n] if n * width < 32 => Ok((register, Some(Part { shift: n * width, width }))),
                _ => Err("there is no such part of a register".into()),
            };
        }
    }
    Ok((o.clone(), None))
}

impl Decoder<'_> {
    /// `None` if it is no video instruction.
    pub(in crate::machine) fn video(&mut self, i: &Instruction, parts: &[&str]) -> Option<Result<Op>> {
        let name = parts[0].trim_end_matches(['2', '4']);
        let lanes = match parts[0].as_bytes().last() {
            Some(b'2') => 2,
            Some(b'4') => 4,
            _ => 1,
        };
        let kind = match (name, lanes) {
            ("vadd", _) => Kind::Add,
            ("vsub", _) => Kind::Sub,
            ("vavrg", 2 | 4) => Kind::Avrg,
            ("vabsdiff", _) => Kind::Absdiff,
            ("vmin", _) => Kind::Min,
            ("vmax", _) => Kind::Max,
            ("vshl", 1) => Kind::Shl { wrap: false },
            ("vshr", 1) => Kind::Shr { wrap: false },
            ("vset", _) => Kind::Set(Compare::Eq),
            _ => return None,
        };
        Some(self.video_of(i, kind, lanes, Mods(&parts[1..])))
    }

    fn video_of(&mut self, i: &Instruction, mut kind: Kind, lanes: usize, mut m: Mods) -> Result<Op> {
        let types = [("u32", false), ("s32", true)];
        let set = matches!(kind, Kind::Set(_));
        let d_signed = !set && m.need(&types)?;
        let signed = [d_signed, m.need(&types)?, m.need(&types)?];
        if set {
            use Compare::*;
            kind = Kind::Set(m.need(&[("eq", Eq), ("ne", Ne), ("lt", Lt), ("le", Le), ("gt", Gt), ("ge", Ge)])?);
        }
        let sat = !set && m.eat("sat");
        if let Kind::Shl { wrap } | Kind::Shr { wrap } = &mut kind {
            *wrap = m.need(&[("clamp", false), ("wrap", true)])?;
            if signed[2] {
                return Err("a shift count is unsigned".into());
            }
        }
        let second = match lanes {
            1 => m.one_of(&[("add", Second::Add), ("min", Second::Min), ("max", Second::Max)]),
            _ if sat => None,
            _ => m.one_of(&[("add", Second::Add)]),
        };
        m.done()?;
        let none = Part { shift: 0, width: 32 };
        let mut f = Video { kind, signed, sat, second: Second::None, lanes, a: [none; 4], b: [none; 4], d: [None; 4] };
        let o = &i.operands;
        let registers = if lanes == 1 { self.scalar_video(i, &mut f, second)? } else { parallel(i, &mut f, second)? };
        let [d, a, b] = &registers;
        let c = o.get(3).map_or(Ok(self.const32(0)), |c| self.r(c))?;
        Ok(Op::Video { s: [self.r(a)?, self.r(b)?, c], d: self.dst_r(d)?, f: Box::new(f) })
    }

    fn scalar_video(&mut self, i: &Instruction, f: &mut Video, second: Option<Second>) -> Result<[Operand; 3]> {
        let o = self.operands(i, 3, 4)?;
        let ((d, to), (a, from_a), (b, from_b)) = (scalar_part(&o[0])?, scalar_part(&o[1])?, scalar_part(&o[2])?);
        f.second = match (second, to, o.len()) {
            // A whole word leaves nothing of a third source.
            (None, None, _) => Second::None,
            (None, Some(_), 4) => Second::Merge,
            (Some(second), None, 4) => second,
            _ => return Err("a part of the result and a second operation take a third source, one at a time".into()),
        };
        let whole = Part { shift: 0, width: 32 };
        f.d[0] = Some(to.unwrap_or(whole));
        f.a[0] = from_a.unwrap_or(whole);
        let b_part = from_b.unwrap_or(whole);
        f.b[0] = Part { shift: b_part.shift + 32, ..b_part };
        Ok([d, a, b])
    }
}

/// Two halves or four bytes at a time.
fn parallel(i: &Instruction, f: &mut Video, second: Option<Second>) -> Result<[Operand; 3]> {
    if i.operands.len() != 4 {
        return Err(format!("4 operands are expected, not {}", i.operands.len()));
    }
    let (letter, width) = if f.lanes == 2 { ('h', 16) } else { ('b', 8) };
    f.second = second.unwrap_or(Second::Merge);
    let (d, mask) = selected(&i.operands[0], letter);
    let mask = mask.unwrap_or_else(|| (0..f.lanes as u32).rev().collect());
    if mask.is_empty() || mask.iter().any(|n| *n as usize >= f.lanes) || mask.windows(2).any(|w| w[0] <= w[1]) {
        return Err("there is no such mask of elements".into());
    }
    for n in mask {
        f.d[n as usize] = Some(Part { shift: n * width, width });
    }
    let side = |o: &Operand, first: u32| -> Result<(Operand, [Part; 4])> {
        let (register, digits) = selected(o, letter);
        let digits = digits.unwrap_or_else(|| (first..first + f.lanes as u32).rev().collect());
        if digits.len() != f.lanes || digits.iter().any(|n| *n as usize >= 2 * f.lanes) {
            return Err("there is no such selection of elements".into());
        }
        let mut parts = [Part { shift: 0, width }; 4];
        for (part, n) in parts.iter_mut().zip(digits.iter().rev()) {
            part.shift = n * width;
        }
        Ok((register, parts))
    };
    let (a, from_a) = side(&i.operands[1], 0)?;
    let (b, from_b) = side(&i.operands[2], f.lanes as u32)?;
    (f.a, f.b) = (from_a, from_b);
    Ok([d, a, b])
}
