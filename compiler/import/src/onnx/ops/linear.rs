//! Matrix products and einsums.

use crate::onnx::call::{Call, Res, bad_attribute, misfit};
use crate::onnx::ctx::Ctx;
use std::collections::BTreeMap;
use tricot_dialects::ValueId;
use tricot_types::{DType, Poly};

/// A contraction whose operands may have size 1 where others are larger: such axes are dropped, not stretched.
pub fn contract(c: &mut Ctx, operands: &[(ValueId, Vec<char>)], result: &[char], dtype: DType) -> Res<ValueId> {
    let mut sizes: BTreeMap<char, Poly> = BTreeMap::new();
    for (v, letters) in operands {
        let shape = c.shape(*v);
        if shape.len() != letters.len() {
            return Err(misfit(format!("an operand of rank {} where {} axes are named", shape.len(), letters.len())));
        }
        for (l, d) in letters.iter().zip(shape) {
            let slot = sizes.entry(*l).or_insert_with(|| d.clone());
            if slot.is_one() {
                *slot = d;
            }
        }
    }
    let (mut values, mut specs) = (vec![], vec![]);
    for (v, letters) in operands {
        let shape = c.shape(*v);
        let keep: Vec<usize> =
            (0..shape.len()).filter(|i| !shape[*i].is_one() || sizes[&letters[*i]].is_one()).collect();
        let kept: Vec<Poly> = keep.iter().map(|i| shape[*i].clone()).collect();
        values.push(c.b.reshape(*v, &kept)?);
        specs.push(keep.iter().map(|i| letters[*i]).collect::<String>());
    }
    let spec = format!("{}->{}", specs.join(","), result.iter().collect::<String>());
    c.b.contract(&spec, &values, dtype)
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// numpy `matmul` with the result in `dtype`.
pub fn matmul_of(c: &mut Ctx, a: ValueId, b: ValueId, dtype: DType) -> Res<ValueId> {
    let (ra, rb) = (c.rank(a), c.rank(b));
    if ra == 0 || rb == 0 {
        return Err(misfit("a scalar has no matrix product"));
    }
    let batch = ra.max(rb).saturating_sub(2);
    if batch > 40 {
        return Err(misfit(format!("rank {} is too large", batch + 2)));
    }
    let letters: Vec<char> = LETTERS.chars().collect();
    let (m, k, n) = (letters[50], letters[51], letters[49]);
    let side = |rank: usize, inner: [char; 2], vector: char| match rank {
        1 => vec![vector],
        r => letters[batch - (r - 2)..batch].iter().copied().chain(inner).collect(),
    };
    let (la, lb) = (side(ra, [m, k], k), side(rb, [k, n], k));
    let mut result: Vec<char> = letters[..batch].to_vec();
    if ra > 1 {
        result.push(m);
    }
    if rb > 1 {
        result.push(n);
    }
    // The shared axis must be equal: size 1 does not stretch here.
    let (sa, sb) = (c.shape(a), c.shape(b));
    let (ka, kb) = (&sa[ra - 1], &sb[rb.max(2) - 2]);
    if ka != kb {
        return Err(misfit(format!("{} times {}: the inner sizes {ka} and {kb} differ", c.ty(a), c.ty(b))));
    }
    contract(c, &[(a, la), (b, lb)], &result, dtype)
}

/// MatMul.
pub fn matmul(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let dtype = c.dtype(a);
    Ok(vec![matmul_of(c, a, b, dtype)?])
}

/// Gemm: `alpha A' B' + beta C`.
pub fn gemm(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    if c.rank(a) != 2 || c.rank(b) != 2 {
        return Err(misfit(format!("{} and {} must both be matrices", c.ty(a), c.ty(b))));
    }
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let dtype = c.dtype(a);
    let bias = call.maybe(2).filter(|_| beta != 0.0);
    let left = if call.flag("transA", false)? { "km" } else { "mk" };
    let right = if call.flag("transB", false)? { "nk" } else { "kn" };
    let plain = alpha == 1.0 && beta == 1.0;
    let wide = if plain || !dtype.is_float() { dtype } else { dtype.compute() };
    let mut y = c.b.contract(&format!("{left},{right}->mn"), &[a, b], wide)?;
    if alpha != 1.0 {
        y = scaled(c, y, alpha)?;
    }
    if let Some(v) = bias {
        let mut v = c.b.cast(v, wide)?;
        if beta != 1.0 {
            v = scaled(c, v, beta)?;
        }
        let shape = c.shape(y);
        let v = c.b.broadcast_to(v, &shape)?;
        y = c.b.map("add", &[y, v])?;
    }
    Ok(vec![c.b.cast(y, dtype)?])
}

fn scaled(c: &mut Ctx, v: ValueId, factor: f64) -> Res<ValueId> {
    match c.dtype(v).is_float() || factor.fract() == 0.0 {
        true => c.with("mul", v, factor),
        false => Err(misfit(format!("the factor {factor} with integers"))),
    }
}

/// Einsum: any operands, ellipsis, implicit results.
pub fn einsum(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let all = call.all()?;
    let text: String = call.text("equation", "")?.chars().filter(|x| !x.is_whitespace()).collect();
    let bad = |m: &str| bad_attribute(format!("einsum `{text}`: {m}"));
    let (left, right) = match text.split_once("->") {
        Some((l, r)) => (l, Some(r)),
        None => (text.as_str(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != all.len() {
        return Err(bad(&format!("{} terms for {} inputs", terms.len(), all.len())));
    }
    let used: Vec<char> = text.chars().filter(char::is_ascii_alphabetic).collect();
    let free: Vec<char> = LETTERS.chars().filter(|l| !used.contains(l)).collect();
    // Letters for the axes an ellipsis stands for, right-aligned as in broadcasting.
    let mut widest = 0;
    let mut parsed = vec![];
    for (term, v) in terms.iter().zip(&all) {
        let named = term.chars().filter(char::is_ascii_alphabetic).count();
        let rest = term.replacen("...", "", 1);
        if rest.chars().any(|x| !x.is_ascii_alphabetic()) {
            return Err(bad(&format!("`{term}` is no term")));
        }
        let rank = c.rank(*v);
        let hidden = rank.checked_sub(named).ok_or_else(|| bad(&format!("`{term}` for rank {rank}")))?;
        if (hidden > 0 && !term.contains("...")) || hidden > free.len() {
            return Err(bad(&format!("`{term}` for rank {rank}")));
        }
        widest = widest.max(hidden);
        parsed.push((*term, hidden));
    }
    let expand = |term: &str, hidden: usize| -> Vec<char> {
        match term.split_once("...") {
            Some((a, b)) => a.chars().chain(free[widest - hidden..widest].iter().copied()).chain(b.chars()).collect(),
            None => term.chars().collect(),
        }
    };
    let operands: Vec<(ValueId, Vec<char>)> =
        all.iter().zip(&parsed).map(|(v, (term, hidden))| (*v, expand(term, *hidden))).collect();
    let result = match right {
        Some(r) => {
            if r.replacen("...", "", 1).chars().any(|x| !x.is_ascii_alphabetic()) {
                return Err(bad(&format!("`{r}` is no result")));
            }
            expand(r, widest)
        }
        None => {
            // Implicit: ellipsis axes, then every letter that occurs once, in order.
            let mut once: Vec<char> =
                used.iter().copied().filter(|l| used.iter().filter(|u| *u == l).count() == 1).collect();
            once.sort_unstable();
            free[..widest].iter().copied().chain(once).collect()
        }
    };
    let dtype = c.dtype(all[0]);
    Ok(vec![contract(c, &operands, &result, dtype)?])
}
