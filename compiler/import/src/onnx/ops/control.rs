//! If, Loop and Scan: conditions and trip counts known at import unroll, others are refused.

use crate::onnx::call::{Call, Res, misfit, normal_axis, variant};
use crate::onnx::ctx::{Ctx, REPORTED};
use tricot_dialects::ValueId;
use tricot_types::{DType, Diagnostic, Poly};

/// Something inside was refused and has been reported; the node is passed over.
fn refused() -> Diagnostic {
    Diagnostic::error(REPORTED, "a node inside this one was refused")
}

fn dynamic(mut d: Diagnostic, what: &str) -> Diagnostic {
    if d.code == "TC0209" {
        d.code = "TC0210";
        d.message = format!("{what}: only control flow that is decided at import is supported");
    }
    d
}

/// If: the branch the condition names.
pub fn if_(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let condition = call.input(0)?;
    let taken = c.int(condition, "the condition").map_err(|d| dynamic(d, "the condition depends on run-time data"))?;
    let branch = call.graph(if taken != 0 { "then_branch" } else { "else_branch" })?;
    c.nested(branch, &[])?.ok_or_else(refused)
}

/// Loop: unrolled as often as trip count and condition say.
pub fn loop_(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let body = call.graph("body")?;
    let why = "the trip count or the condition depends on run-time data";
    let trips = match call.maybe(0) {
        Some(v) => Some(c.int(v, "the trip count").map_err(|d| dynamic(d, why))?),
        None => None,
    };
    let mut condition = match call.maybe(1) {
        Some(v) => v,
        None => c.b.constant(tricot_dialects::Constant::from_i64(DType::Bool, vec![], &[1]))?,
    };
    let mut state: Vec<ValueId> = (2..call.inputs.len()).map(|i| call.input(i)).collect::<Res<_>>()?;
    let scans = body.output.len().checked_sub(1 + state.len());
    let scans = scans.ok_or_else(|| misfit("the body has fewer outputs than the loop carries values"))?;
    let mut collected: Vec<Vec<ValueId>> = vec![vec![]; scans];
    let mut i = 0i64;
    while trips.is_none_or(|t| i < t) {
        if c.int(condition, "the condition").map_err(|d| dynamic(d, why))? == 0 {
            break;
        }
        let index = c.b.scalar_int(DType::I64, i)?;
        let inputs: Vec<ValueId> = [index, condition].into_iter().chain(state.iter().copied()).collect();
        let results = c.nested(body, &inputs)?.ok_or_else(refused)?;
        condition = results[0];
        let n = state.len();
        state.copy_from_slice(&results[1..1 + n]);
        for (list, v) in collected.iter_mut().zip(&results[1 + n..]) {
            list.push(*v);
        }
        i += 1;
        // An empty body would otherwise never use up the budget.
        c.budget = c.budget.saturating_sub(1);
        if c.budget == 0 {
            return Err(Diagnostic::error("TC0213", "the loop unrolls to too many nodes"));
        }
    }
    for list in collected {
        if list.is_empty() {
            return Err(variant("a loop that never runs has no type for its collected outputs"));
        }
        state.push(stack(c, &list, 0)?);
    }
    Ok(state)
}

/// Joins values along a new axis.
fn stack(c: &mut Ctx, list: &[ValueId], axis: usize) -> Res<ValueId> {
    let mut parts = vec![];
    for v in list {
        let mut shape = c.shape(*v);
        if axis > shape.len() {
            return Err(misfit(format!("axis {axis} is outside the collected output")));
        }
        shape.insert(axis, Poly::constant(1));
        parts.push(c.b.reshape(*v, &shape)?);
    }
    if parts.len() == 1 { Ok(parts[0]) } else { c.b.concat(&parts, axis as i64) }
}

/// Scan since opset 9.
pub fn scan(c: &mut Ctx, call: &Call) -> Res<Vec<ValueId>> {
    let body = call.graph("body")?;
    let count = call.int("num_scan_inputs", 0)?;
    let all = call.all()?;
    let states = usize::try_from(count).ok().and_then(|n| all.len().checked_sub(n)).filter(|_| count > 0);
    let states = states.ok_or_else(|| misfit(format!("`num_scan_inputs` is {count} of {} inputs", all.len())))?;
    let (mut state, scanned) = (all[..states].to_vec(), &all[states..]);
    let outputs = body.output.len().checked_sub(states).ok_or_else(|| misfit("the body has too few outputs"))?;
    let list = |name: &str, n: usize| -> Res<Vec<i64>> {
        let l = call.ints(name)?.unwrap_or_else(|| vec![0; n]);
        if l.len() == n { Ok(l) } else { Err(misfit(format!("`{name}` has {} entries, not {n}", l.len()))) }
    };
    let (input_axes, input_directions) =
        (list("scan_input_axes", scanned.len())?, list("scan_input_directions", scanned.len())?);
    let (output_axes, output_directions) =
        (list("scan_output_axes", outputs)?, list("scan_output_directions", outputs)?);
    let mut axes = vec![];
    let mut length = None;
    for (v, a) in scanned.iter().zip(&input_axes) {
        let a = normal_axis(*a, c.rank(*v))? as usize;
        let n = c.shape(*v)[a].as_constant();
        let n = n.ok_or_else(|| {
            Diagnostic::error("TC0210", "the scanned axis has a symbolic size").with_help("give it a value with --set")
        })?;
        if length.is_some_and(|l| l != n) {
            return Err(misfit("the scanned inputs differ in length"));
        }
        length = Some(n);
        axes.push(a);
    }
    let length = length.unwrap_or(0);
    let mut collected: Vec<Vec<ValueId>> = vec![vec![]; outputs];
    for i in 0..length {
        let mut inputs = state.clone();
        for (j, v) in scanned.iter().enumerate() {
            let at = if input_directions[j] == 0 { i } else { length - 1 - i };
            inputs.push(c.pick(*v, axes[j], at)?);
        }
        let results = c.nested(body, &inputs)?.ok_or_else(refused)?;
        state.copy_from_slice(&results[..states]);
        for (list, v) in collected.iter_mut().zip(&results[states..]) {
            list.push(*v);
        }
        c.budget = c.budget.saturating_sub(1);
        if c.budget == 0 {
            return Err(Diagnostic::error("TC0213", "the scan unrolls to too many nodes"));
        }
    }
    for (j, mut list) in collected.into_iter().enumerate() {
        let Some(first) = list.first() else { return Err(variant("a scan of length 0")) };
        let axis = normal_axis(output_axes[j], c.rank(*first) + 1)? as usize;
        if output_directions[j] != 0 {
            list.reverse();
        }
        state.push(stack(c, &list, axis)?);
    }
    Ok(state)
}
