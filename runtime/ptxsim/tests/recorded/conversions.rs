//! `cvt` by search: the values of a small format are listed in order, and the result is the neighbour that the mode says.

/// Exponent bits, fraction bits, unused bits below, and whether the largest exponent is for infinity and NaN.
struct Small {
    exp: u32,
    man: u32,
    low: u32,
    infinite: bool,
}

fn small(name: &str) -> Option<Small> {
    let (exp, man, low, infinite) = match name {
        "f16" => (5, 10, 0, true),
        "bf16" => (8, 7, 0, true),
        "tf32" => (8, 10, 13, true),
        "e4m3" => (4, 3, 0, false),
        "e5m2" => (5, 2, 0, true),
        _ => return None,
    };
    Some(Small { exp, man, low, infinite })
}

impl Small {
    /// The value of bits without a sign; infinite where it is none.
    fn value(&self, bits: u64) -> f64 {
        let (e, m) = (bits >> self.man, bits & ((1 << self.man) - 1));
        let bias = (1 << (self.exp - 1)) - 1;
        let scale = 2f64.powi(e.max(1) as i32 - bias - self.man as i32);
        (if e == 0 { m } else { m | 1 << self.man }) as f64 * scale
    }

    /// The number of finite values from zero up.
    fn count(&self) -> u64 {
        if self.infinite { ((1 << self.exp) - 1) << self.man } else { (1 << (self.exp + self.man)) - 1 }
    }

    fn decode(&self, bits: u64) -> f64 {
        let field = bits >> self.low & ((1 << (self.exp + self.man)) - 1);
        let magnitude = match field.checked_sub(self.count()) {
            None => self.value(field),
            Some(0) if self.infinite => f64::INFINITY,
            Some(_) => f64::NAN,
        };
        if bits >> (self.exp + self.man + self.low) & 1 == 1 { -magnitude } else { magnitude }
    }
}

/// An exact source value: a double, and what it lacks of a long integer.
#[derive(Clone, Copy)]
struct Exact {
    near: f64,
    rest: i64,
}

impl Exact {
    /// Whether the value is below, at or above a number.
    fn against(self, t: f64) -> i32 {
        if self.near == t {
            self.rest.signum() as i32
        } else if self.near < t {
            -1
        } else {
            1
        }
    }
}

fn source(ty: &str, bits: u64, ftz: bool) -> Option<Exact> {
    let float = |near| Some(Exact { near, rest: 0 });
    match ty {
        "f64" => float(f64::from_bits(bits)),
        "f32" => {
            let v = f32::from_bits(bits as u32);
            float(f64::from(if ftz && v.is_subnormal() { 0f32.copysign(v) } else { v }))
        }
        _ if small(ty).is_some() => float(small(ty)?.decode(bits)),
        _ => {
            let width: u32 = ty[1..].parse().ok()?;
            let up = 64 - width;
            let v =
                if ty.starts_with('s') { i128::from((bits << up) as i64 >> up) } else { i128::from(bits << up >> up) };
            Some(Exact { near: v as f64, rest: (v - v as f64 as i128) as i64 })
        }
    }
}

struct Rules<'a> {
    mode: &'a str,
    sat: bool,
    finite: bool,
    relu: bool,
}

/// To a small format.
fn to_small(f: &Small, x: Exact, rules: &Rules) -> u64 {
    let sign = 1 << (f.exp + f.man + f.low);
    let negative = x.near.is_sign_negative();
    let magnitude = if negative { Exact { near: -x.near, rest: -x.rest } } else { x };
    let (mut below, mut above) = (0, f.count());
    // The last value that is not larger.
    while above - below > 1 {
        let middle = (below + above) / 2;
        if magnitude.against(f.value(middle)) >= 0 { below = middle } else { above = middle }
    }
    let (low, high) = (f.value(below), f.value(below + 1));
    let exact = magnitude.against(low) == 0;
    let next = match rules.mode {
        _ if exact => false,
        _ if magnitude.near.is_infinite() => true,
        "rz" => false,
        "rm" => negative,
        "rp" => !negative,
        mode => {
            // Twice the way past the middle.
            let over = ((magnitude.near - low) - (high - magnitude.near), 2.0 * magnitude.rest as f64);
            match over.0 + over.1 {
                past if past != 0.0 => past > 0.0,
                _ => mode == "rna" || below & 1 == 1,
            }
        }
    };
    let field = below + u64::from(next);
    let field = if field == f.count() && rules.finite { field - 1 } else { field };
    let one = ((1 << (f.exp - 1)) - 1) << f.man;
    match () {
        () if negative && (rules.sat || rules.relu) => 0,
        () if rules.sat => field.min(one) << f.low,
        () => field << f.low | if negative { sign } else { 0 },
    }
}

/// To f32 or f64, from the nearest one.
fn to_large(wide: bool, x: Exact, rules: &Rules, ftz: bool) -> u64 {
    let value = |bits: f64| if wide { bits } else { f64::from(bits as f32) };
    let near = value(x.near);
    let step = |up: bool| match (wide, up) {
        (true, true) => near.next_up(),
        (true, false) => near.next_down(),
        (false, true) => f64::from((near as f32).next_up()),
        (false, false) => f64::from((near as f32).next_down()),
    };
    let side = x.against(near);
    let (below, above) = match side {
        0 => (near, near),
        1 => (near, step(true)),
        _ => (step(false), near),
    };
    let out = match rules.mode {
        "rm" => below,
        "rp" => above,
        "rz" if x.near < 0.0 => above,
        "rz" => below,
        // A first rounding that ended in the middle is put right by the rest.
        _ if side != 0 && (x.near - below) == (above - x.near) && x.rest != 0 => {
            if x.rest > 0 {
                above
            } else {
                below
            }
        }
        _ => near,
    };
    let out = if rules.sat { if out > 0.0 { out.min(1.0) } else { 0.0 } } else { out };
    match wide {
        true => out.to_bits(),
        false if ftz && (out as f32).is_subnormal() => u64::from((out as f32).to_bits() & 0x8000_0000),
        false => u64::from((out as f32).to_bits()),
    }
}

fn whole(mode: &str, v: f64) -> f64 {
    match mode {
        "rni" => v.round_ties_even(),
        "rzi" => v.trunc(),
        "rmi" => v.floor(),
        _ => v.ceil(),
    }
}

/// The result of `opcode`; `None` for what is no conversion between two types, or is one of integers, and for NaN.
pub fn reference(opcode: &str, x: &[u64]) -> Option<u64> {
    let parts: Vec<&str> = opcode.split('.').collect();
    let has = |name: &str| parts.contains(&name);
    let [.., to, from] = parts[..] else { return None };
    if parts[0] != "cvt" || parts[1] == "pack" {
        return None;
    }
    let ftz = has("ftz");
    let integral = ["rni", "rzi", "rmi", "rpi"].into_iter().find(|m| has(m));
    let mode = ["rn", "rz", "rm", "rp", "rna"].into_iter().find(|m| has(m)).unwrap_or("rn");
    let rules = Rules { mode, sat: has("sat"), finite: has("satfinite"), relu: has("relu") };
    let one = |to: &str, from: &str, bits: u64| -> Option<u64> {
        // Subnormals that become f16 are not flushed.
        let mut v = source(from, bits, ftz && to != "f16")?;
        if v.near.is_nan() {
            return None;
        }
        let floats = |ty: &str| ty.contains('f') || ty.starts_with('e');
        if !floats(to) {
            if !floats(from) {
                return None;
            }
            let (width, signed): (u32, bool) = (to[1..].parse().ok()?, to.starts_with('s'));
            let (low, high) =
                if signed { (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1) } else { (0, (1i128 << width) - 1) };
            return Some((whole(integral?, v.near) as i128).clamp(low, high) as u64);
        }
        if let Some(mode) = integral {
            v.near = whole(mode, v.near);
        }
        Some(match small(to) {
            Some(f) => to_small(&f, v, &rules),
            None => to_large(to == "f64", v, &rules, ftz),
        })
    };
    let Some(half) = to.strip_suffix("x2") else { return one(to, from, x[0]) };
    let width = |ty: &str| if ty.starts_with('e') { 8 } else { 16 };
    let (high, low, from) = match from.strip_suffix("x2") {
        None => (x[0], x[1], from),
        Some(from) => (x[0] >> width(from), x[0] & ((1 << width(from)) - 1), from),
    };
    Some(one(half, from, high)? << width(half) | one(half, from, low)?)
}
