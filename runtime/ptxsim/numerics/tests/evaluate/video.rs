//! Video instructions: elements by string, as the recordings spell them.

/// The value of element `n` of the operands, of which each has `lanes`.
fn element(x: &[u64], n: u32, lanes: u32, signed: bool) -> i64 {
    let bits = 32 / lanes;
    let word = x[(n / lanes) as usize] as u32 >> (n % lanes * bits);
    let value = i64::from(word & (u64::MAX >> (64 - bits)) as u32);
    if signed && value >> (bits - 1) == 1 { value - (1 << bits) } else { value }
}

/// `selectors`: mask, then the elements of each side, highest first; a letter before each.
pub fn evaluate(parts: &[&str], selectors: &str, x: &[u64]) -> Option<u64> {
    let lanes: u32 = match parts[0].as_bytes().last()? {
        b'2' => 2,
        b'4' => 4,
        _ => return scalar(parts, selectors, x),
    };
    let digits = |text: &str| text[1..].bytes().rev().map(|b| u32::from(b - b'0')).collect::<Vec<_>>();
    let default = if lanes == 2 { "h10 h10 h32" } else { "b3210 b3210 b7654" };
    let selectors: Vec<&str> = if selectors.is_empty() { default } else { selectors }.split(' ').collect();
    let (mask, a, b) = (digits(selectors[0]), digits(selectors[1]), digits(selectors[2]));
    let set = parts[0].starts_with("vset");
    let types: Vec<bool> = parts[1..].iter().filter(|p| p.ends_with("32")).map(|p| *p == "s32").collect();
    let (d_signed, sides) = if set { (false, &types[..]) } else { (types[0], &types[1..]) };
    let bits = 32 / lanes;
    let mut out = x[2] as u32;
    for k in mask {
        let (p, q) = (element(x, a[k as usize], lanes, sides[0]), element(x, b[k as usize], lanes, sides[1]));
        let mut t = operate(parts, p, q)?;
        if parts.contains(&"sat") {
            t = if d_signed { t.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { t.clamp(0, (1 << bits) - 1) };
        }
        if parts.last() == Some(&"add") {
            out = out.wrapping_add(t as u32);
        } else {
            let field = ((1u64 << bits) - 1) as u32;
            out = out & !(field << (k * bits)) | (t as u32 & field) << (k * bits);
        }
    }
    Some(u64::from(out))
}

fn operate(parts: &[&str], p: i64, q: i64) -> Option<i64> {
    Some(match parts[0].trim_end_matches(['2', '4']) {
        "vadd" => p + q,
        "vsub" => p - q,
        "vavrg" => (p + q + i64::from(p + q >= 0)).div_euclid(2),
        "vabsdiff" => (p - q).abs(),
        "vmin" => p.min(q),
        "vmax" => p.max(q),
        "vset" => i64::from(match parts[3] {
            "eq" => p == q,
            "ne" => p != q,
            "lt" => p < q,
            "le" => p <= q,
            "gt" => p > q,
            _ => p >= q,
        }),
        _ => return None,
    })
}

/// `selectors` names the parts of d, a and b; `w` is a whole word.
fn scalar(parts: &[&str], selectors: &str, x: &[u64]) -> Option<u64> {
    let selectors: Vec<&str> = if selectors.is_empty() { "w0 w0 w0" } else { selectors }.split(' ').collect();
    let place = |text: &str| {
        let bits = match &text[..1] {
            "b" => 8,
            "h" => 16,
            _ => 32,
        };
        (bits, u32::from(text.as_bytes()[1] - b'0') * bits)
    };
    // `vset` has no type of its result, which is unsigned.
    let first = if parts[0] == "vset" { 1 } else { 2 };
    let part = |k: usize| {
        let (bits, shift) = place(selectors[k + 1]);
        element(&[x[k] >> shift], 0, 32 / bits, parts[k + first] == "s32")
    };
    let (p, q) = (part(0), part(1));
    let shift_left = parts[0] == "vshl";
    let exact = match parts[0] {
        "vshl" | "vshr" => {
            let n = if parts.contains(&"wrap") { q & 31 } else { q.min(32) };
            if shift_left { i128::from(p) << n } else { i128::from(p >> n) }
        }
        _ => i128::from(operate(parts, p, q)?),
    };
    let (bits, shift) = place(selectors[0]);
    let signed = first == 2 && parts[1] == "s32";
    // What ptxas makes of these, which is not always the ISA's text: see the simulator's `video`.
    let wrapped = |t: i128| i128::from(t as u32 as i32);
    let fits = matches!(parts[0], "vmin" | "vmax" | "vabsdiff") && parts[1..4] == ["u32"; 3] && bits == 32;
    let t = if parts.contains(&"sat") && !fits {
        let (t, width) = if shift_left { (exact << 94 >> 94, 32) } else { (exact, bits) };
        let most = if signed { (1i128 << (width - 1)) - 1 } else { (1i128 << width) - 1 };
        wrapped(match (width, signed) {
            (32, true) => t.clamp(-(1 << 31), most),
            (32, false) if t < 0 => 0,
            (32, false) if shift_left => t.min(most),
            (32, false) => t,
            _ if t < 0 => most,
            _ => t.min(most),
        })
    } else if matches!(parts[0], "vadd" | "vsub") {
        wrapped(exact)
    } else {
        exact
    };
    let c = x.get(2).map_or(0, |c| *c as u32);
    // The second operation is one on 64 bits, for `vset` with the sign of its first source.
    let second_signed = parts[1] == "s32";
    let (wide, c64) = (t as i64, if second_signed { i64::from(c as i32) } else { i64::from(c) });
    let less = if second_signed { wide < c64 } else { (wide as u64) < c64 as u64 };
    Some(u64::from(match *parts.last()? {
        "add" => c.wrapping_add(t as u32),
        "min" => {
            if less {
                t as u32
            } else {
                c
            }
        }
        "max" => {
            if less {
                c
            } else {
                t as u32
            }
        }
        _ if bits == 32 => t as u32,
        _ => {
            let field = ((1u64 << bits) - 1) as u32;
            let from = if (bits, shift) == (16, 16) { 16 } else { 0 };
            c & !(field << shift) | (t as u32 >> from & field) << shift
        }
    }))
}
