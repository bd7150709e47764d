//! Kernels of maps and reductions: the loops around an evaluated expression.
//!
//! The central type is [`Lowered`], a kernel description with the graph values behind its buffers.

use crate::coords::{constant, linear, scale, var};
use crate::eval::{At, Eval, Stop, internal};
use crate::flat::Flat;
use std::collections::BTreeSet;
use tricot_dialects::{Node, ValueId};
use tricot_kernel::{Access, Binary, Body, Buffer, CastMode, Exprs, Index, Loop, Nest, Stage, Store};
use tricot_types::DType;

/// A kernel before it has a name.
#[derive(Clone)]
pub struct Lowered {
    pub buffers: Vec<Buffer>,
    pub exprs: Exprs,
    pub body: Body,
    /// The value behind each buffer.
    pub values: Vec<ValueId>,
    /// Values computed inside, the written ones included.
    pub inlined: BTreeSet<ValueId>,
    /// What must be in a written buffer before the launch.
    pub before: Option<Before>,
}

/// A preparation of a kernel's output.
#[derive(Clone)]
pub enum Before {
    /// Copy this value there.
    Copy(ValueId),
    /// Let this kernel write it.
    Launch(Box<Lowered>),
}

impl Lowered {
    /// Takes over what an evaluation has gathered.
    pub fn new(ev: Eval<'_>, body: Body) -> Lowered {
        Lowered { buffers: ev.buffers, exprs: ev.exprs, body, values: ev.values, inlined: ev.inlined, before: None }
    }
}

/// Whether an op only renames the positions of its operand's elements, one to one.
pub fn is_bijective_view(flat: &Flat, v: ValueId) -> bool {
    match flat.node(v).op.name {
        "core.transpose" | "core.reshape" => true,
        "core.broadcast" => flat.ty(v).elements() == flat.ty(flat.node(v).operands()[0]).elements(),
        _ => false,
    }
}

/// Result position of a bijective view from its operand's.
pub fn forward(ev: &mut Eval<'_>, v: ValueId, at: &[Index]) -> At {
    let node: &Node = ev.flat.node(v);
    match node.op.name {
        "core.transpose" => node.attrs.ints("perm").iter().map(|p| at[*p as usize].clone()).collect(),
        "core.reshape" => {
            let from = ev.flat.ty(node.operands()[0]).shape.clone();
            ev.reshape(at, &from, &ev.flat.ty(v).shape)
        }
        _ => {
            let mut out = vec![Index::zero(); ev.flat.ty(v).rank()];
            node.attrs.ints("axes").iter().enumerate().for_each(|(i, a)| out[*a as usize] = at[i].clone());
            out
        }
    }
}

/// Computes `root` with everything below it that is not stored, and writes it to the buffer of `target`.
pub fn lower(flat: &Flat, stored: &BTreeSet<ValueId>, root: ValueId, target: ValueId) -> Result<Lowered, Stop> {
    let mut ev = Eval::new(flat, stored);
    if flat.ty(root).dtype.bits() == 4 {
        return lower_packed(ev, root, target);
    }
    // Loops run over the shape below the views at the top: they become the store's index.
    let mut chain = vec![root];
    while let top = chain[chain.len() - 1]
        && is_bijective_view(flat, top)
        && !stored.contains(&flat.node(top).operands()[0])
    {
        chain.push(flat.node(top).operands()[0]);
    }
    let base = chain.pop().expect("holds the root");
    let (loops, at) = ev.domain(&flat.ty(base).shape);
    ev.path.insert(base, at.clone());
    let mut at = at;
    for v in chain.into_iter().rev() {
        at = forward(&mut ev, v, &at);
        ev.path.insert(v, at.clone());
    }
    let value = ev.compute(root, &at, None)?;
    let index = linear(&at, &flat.ty(root).shape);
    let buffer = ev.buffer(target, Access::Write);
    finish(ev, root, loops, vec![Store { buffer, index, value, guard: None }])
}

/// Two 4-bit elements at a time, so that every store is a whole byte.
fn lower_packed(mut ev: Eval<'_>, root: ValueId, target: ValueId) -> Result<Lowered, Stop> {
    let ty = ev.flat.ty(root).clone();
    let n = ty.elements();
    let bytes = n.ceil_div(2);
    let (loops, at) = ev.domain(std::slice::from_ref(&bytes));
    let even = scale(&at[0], &2.into());
    let position = |ev: &mut Eval<'_>, at: Index| ev.reshape(&[at], std::slice::from_ref(&n), &ty.shape);
    let low_at = position(&mut ev, even.clone());
    let mut odd = even.shifted(1);
    // The last byte of an odd number of elements holds one: its other half is computed at the last element, then dropped.
    let guard = match n.known_multiple(&ev.flat.symbols) % 2 == 0 {
        true => None,
        false => {
            let (at, end) = (ev.coordinate(&odd), ev.size(&n));
            let inside = ev.exprs.binary(Binary::Lt, at, end);
            odd = Index::zero().plus_dynamic(ev.clamped(at, &n), 1);
            Some(inside)
        }
    };
    let high_at = position(&mut ev, odd);
    let low = ev.compute(root, &low_at, None)?;
    let high = ev.compute(root, &high_at, None)?;
    let e = &mut ev.exprs;
    let nibble = |e: &mut Exprs, x| {
        let byte = e.cast(x, DType::U8, CastMode::Round);
        let mask = e.int(DType::U8, 15);
        e.binary(Binary::And, byte, mask)
    };
    let low = nibble(e, low);
    let mut high = nibble(e, high);
    if let Some(guard) = guard {
        let zero = e.int(DType::U8, 0);
        high = e.select(guard, high, zero);
    }
    let four = e.int(DType::U8, 4);
    let high = e.binary(Binary::Shl, high, four);
    let value = e.binary(Binary::Or, low, high);
    let index = at[0].clone();
    let buffer = ev.buffer_as(target, DType::U8, vec![bytes], Access::Write);
    finish(ev, root, loops, vec![Store { buffer, index, value, guard: None }])
}

/// Puts loops around stores: those that fused reductions depend on are parallel, the others run inside each point.
pub fn finish(ev: Eval<'_>, root: ValueId, loops: Vec<Loop>, stores: Vec<Store>) -> Result<Lowered, Stop> {
    let rows: BTreeSet<_> = ev.reductions.iter().flat_map(|(_, vars)| vars.iter().copied()).collect();
    if let Some((v, _)) = ev.reductions.iter().find(|(_, vars)| *vars != rows) {
        return store_or_fail(&ev, *v, root);
    }
    let (parallel, inner): (Vec<Loop>, Vec<Loop>) = match ev.reductions.is_empty() {
        true => (loops, vec![]),
        false => loops.into_iter().partition(|l| rows.contains(&l.var)),
    };
    // A few long rows would leave most of a device idle.
    let points =
        |loops: &[Loop]| -> f64 { loops.iter().map(|l| ev.extents[&l.var].hint(&ev.flat.symbols).max(1.0)).product() };
    if !inner.is_empty() && points(&parallel) < 8.0 && points(&inner) > 65536.0 {
        return store_or_fail(&ev, ev.reductions[0].0, root);
    }
    let mut stages = ev.stages.clone();
    stages.push(Stage::Store { loops: inner, stores });
    Ok(Lowered::new(ev, Body::Nest(Nest { parallel, stages })))
}

fn store_or_fail(ev: &Eval<'_>, v: ValueId, root: ValueId) -> Result<Lowered, Stop> {
    match v == root {
        true => Err(internal(ev.flat.node(v), "a reduction is no row of its own kernel")),
        false => Err(Stop::Store(v)),
    }
}

/// A position with one axis replaced.
pub fn with_axis(at: &[Index], axis: usize, by: Index) -> At {
    let mut out = at.to_vec();
    out[axis] = by;
    out
}

/// `n - 1 - v`, for loops that run backwards.
pub fn backwards(v: tricot_kernel::LoopVar, n: &tricot_types::Poly) -> Index {
    crate::coords::add(&constant(n.clone() - 1.into()), &scale(&var(v), &(-1).into()))
}
