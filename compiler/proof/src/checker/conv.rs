//! Steps on convolutions and batch norms.

use crate::rules::Ground;
use crate::term::{Bank, TermId};
use tricot_dialects::Attrs;
use tricot_types::Poly;

/// `nn.conv2d` of stride, dilation and groups 1 by F(m, r) x F(m, r).
pub fn winograd(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    let fail = |what: &str| Err(format!("the right side has another {what}"));
    if !bank.is(g.from, "nn.conv2d") || !bank.is(g.to, "winograd.output") {
        return Err("the sides are no convolution and no Winograd output".into());
    }
    let [x, w] = bank.operands(g.from)[..] else { return fail("number of operands") };
    let conv = bank.attrs(g.from);
    if conv.ints("stride") != [1, 1] || conv.ints("dilation") != [1, 1] || conv.int("groups") != 1 {
        return Err("stride, dilation and groups must be 1".into());
    }
    let out = bank.attrs(g.to);
    let (m, r) = (out.int("m"), out.int("r"));
    g.conditions(&[("m", m.to_string()), ("r", r.to_string())])?;
    if bank.ty(w).shape[2..] != [Poly::constant(r), Poly::constant(r)] {
        return fail("filter size");
    }
    let product = bank.operands(g.to)[0];
    if !bank.is(product, "core.contract") {
        return fail("product");
    }
    let attrs = bank.attrs(product);
    let [u, v] = bank.operands(product)[..] else { return fail("product") };
    if attrs.str("spec") != "abnhwc,abfc->abnhwf" || attrs.dtype("dtype") != bank.ty(x).dtype {
        return fail("product");
    }
    let (ua, va) = (bank.attrs(u), bank.attrs(v));
    let input = bank.is(u, "winograd.input")
        && bank.operands(u) == [x]
        && (ua.int("m"), ua.int("r")) == (m, r)
        && ua.ints("pad") == conv.ints("pad");
    let filter = bank.is(v, "winograd.filter") && bank.operands(v) == [w] && (va.int("m"), va.int("r")) == (m, r);
    // The output's size is part of its type, which the caller compares.
    match input && filter {
        true => Ok(()),
        false => fail("transform"),
    }
}

/// `x f + t` with `f = scale / sqrt(var + epsilon)` and `t = bias - mean f`.
pub fn affine(bank: &mut Bank, norm: TermId) -> Result<TermId, String> {
    let [x, scale, bias, mean, var] = bank.operands(norm)[..] else {
        return Err("a batch norm has five operands".into());
    };
    let ty = bank.ty(x).clone();
    if [scale, bias, mean, var].iter().any(|t| bank.ty(*t).dtype != ty.dtype) {
        return Err("the statistics have another element type".into());
    }
    let vector = bank.ty(scale).shape.clone();
    let epsilon = bank.full(ty.dtype, bank.attrs(norm).float("epsilon"), &vector)?;
    let sum = bank.map("add", &[var, epsilon])?;
    let root = bank.map("rsqrt", &[sum])?;
    let f = bank.map("mul", &[scale, root])?;
    let shift = bank.map("mul", &[mean, f])?;
    let t = bank.map("sub", &[bias, shift])?;
    let f = bank.broadcast(f, &ty.shape, &[1])?;
    let t = bank.broadcast(t, &ty.shape, &[1])?;
    let y = bank.map("mul", &[x, f])?;
    bank.map("add", &[y, t])
}

/// `nn.batch_norm` as its affine form.
pub fn batch_norm(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    if !bank.is(g.from, "nn.batch_norm") {
        return Err("the left side is no batch norm".into());
    }
    match affine(bank, g.from)? == g.to {
        true => Ok(()),
        false => Err("the right side is not its affine form".into()),
    }
}

/// The vector over axis 1 that a term is the broadcast of.
pub fn channel_vector(bank: &Bank, t: TermId) -> Option<TermId> {
    if !bank.is(t, "core.broadcast") {
        return None;
    }
    let x = bank.operands(t)[0];
    let whole = bank.ty(x).rank() == 1 && bank.ty(t).rank() > 1 && bank.ty(x).shape[0] == bank.ty(t).shape[1];
    (bank.attrs(t).ints("axes") == [1] && whole).then_some(x)
}

/// `(a + shift) f = a f + shift f` with vectors over axis 1.
pub fn distribute(bank: &mut Bank, product: TermId) -> Result<TermId, String> {
    if !bank.is_map(product, "mul") {
        return Err("the left side is no product".into());
    }
    let [sum, factor] = bank.operands(product)[..] else { return Err("a product has two operands".into()) };
    let f = channel_vector(bank, factor).ok_or("the factor is no channel vector")?;
    if !bank.is_map(sum, "add") {
        return Err("the first factor is no sum".into());
    }
    let [a, shift] = bank.operands(sum)[..] else { return Err("a sum has two operands".into()) };
    let s = channel_vector(bank, shift).ok_or("the shift is no channel vector")?;
    let shape = bank.ty(product).shape.clone();
    let scaled = bank.map("mul", &[a, factor])?;
    let s = bank.map("mul", &[s, f])?;
    let s = bank.broadcast(s, &shape, &[1])?;
    bank.map("add", &[scaled, s])
}

/// See [`distribute`].
pub fn shift(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    match distribute(bank, g.from)? == g.to {
        true => Ok(()),
        false => Err("the right side is another sum".into()),
    }
}

/// `conv(x, w) f = conv(x, w f)` with `f` over the filters.
pub fn scale_into_filter(bank: &mut Bank, product: TermId) -> Result<TermId, String> {
    if !bank.is_map(product, "mul") {
        return Err("the left side is no product".into());
    }
    let [conv, factor] = bank.operands(product)[..] else { return Err("a product has two operands".into()) };
    if !bank.is(conv, "nn.conv2d") {
        return Err("the first factor is no convolution".into());
    }
    let f = channel_vector(bank, factor).ok_or("the factor is no channel vector")?;
    let [x, w] = bank.operands(conv)[..] else { return Err("a convolution has two operands".into()) };
    let shape = bank.ty(w).shape.clone();
    let f = bank.broadcast(f, &shape, &[0])?;
    let w = bank.map("mul", &[w, f])?;
    let attrs: Attrs = bank.attrs(conv);
    bank.op("nn.conv2d", attrs, &[x, w])
}

/// See [`scale_into_filter`].
pub fn scale(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    match scale_into_filter(bank, g.from)? == g.to {
        true => Ok(()),
        false => Err("the right side is another convolution".into()),
    }
}

/// `(a + s) + t = a + (s + t)` with vectors over axis 1.
pub fn merge_shifts(bank: &mut Bank, sum: TermId) -> Result<TermId, String> {
    if !bank.is_map(sum, "add") {
        return Err("the left side is no sum".into());
    }
    let [inner, second] = bank.operands(sum)[..] else { return Err("a sum has two operands".into()) };
    let t = channel_vector(bank, second).ok_or("the second shift is no channel vector")?;
    if !bank.is_map(inner, "add") {
        return Err("the first operand is no sum".into());
    }
    let [a, first] = bank.operands(inner)[..] else { return Err("a sum has two operands".into()) };
    let s = channel_vector(bank, first).ok_or("the first shift is no channel vector")?;
    let shape = bank.ty(sum).shape.clone();
    let both = bank.map("add", &[s, t])?;
    let both = bank.broadcast(both, &shape, &[1])?;
    bank.map("add", &[a, both])
}

/// See [`merge_shifts`].
pub fn shifts(bank: &mut Bank, g: &Ground<'_>) -> Result<(), String> {
    g.conditions(&[])?;
    match merge_shifts(bank, g.from)? == g.to {
        true => Ok(()),
        false => Err("the right side is another sum".into()),
    }
}
