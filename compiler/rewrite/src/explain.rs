//! Rewriting in words: the steps of a proof, and why an op was not found.

use crate::rules::attention;
use crate::{Candidate, RewriteOptions, Rewritten, Winograd, internal, saturate};
use std::collections::BTreeMap;
use std::fmt::Write;
use tricot_dialects::Module;
use tricot_proof::{Bank, Mode, TermId};
use tricot_rates::Rates;
use tricot_types::Diagnostic;

/// The steps of a candidate's proof, by name, with both sides.
pub fn explain(rewritten: &Rewritten, candidate: &Candidate) -> String {
    let mut out = String::new();
    for (report, seconds) in rewritten.functions.iter().zip(&candidate.seconds) {
        let steps: Vec<_> = candidate.steps.iter().filter(|s| s.function == report.name).collect();
        let _ = writeln!(
            out,
            "@{}: {} steps ({} e-nodes in {} classes, {} rounds; modelled time {:.3e} s before, {:.3e} s after)",
            report.name,
            steps.len(),
            report.nodes,
            report.classes,
            report.rounds,
            report.source_seconds,
            seconds
        );
        if let Some(stopped) = &report.stopped {
            let _ = writeln!(out, "  note: {stopped}");
        }
        for (n, s) in steps.iter().enumerate() {
            let rule = tricot_proof::rules::find(s.rule);
            let mode = match rule.map(|r| r.mode) {
                Some(Mode::Bitwise) => "bitwise",
                _ => "real",
            };
            let _ = writeln!(out, "{:3}. {} ({mode}): {}", n + 1, s.rule, rule.map_or("", |r| r.doc));
            if !s.conditions.is_empty() {
                let text: Vec<String> = s.conditions.iter().map(|(k, v)| format!("{k} = {v}")).collect();
                let _ = writeln!(out, "     where {}", text.join(", "));
            }
            let _ = writeln!(out, "       {}\n     = {}", s.from, s.to);
        }
    }
    for line in candidate.lossy_lines() {
        let _ = writeln!(out, "lossy: {line}");
    }
    if !candidate.lossy.is_empty() {
        let _ = writeln!(out, "estimate of the sum beyond the graph's own rounding: {:.1e}", candidate.estimate());
    }
    out
}

/// Why `op` does not occur in the rewritten module: the first condition each candidate fails, or what it lost to.
pub fn why_not(module: &Module, op: &str, options: &RewriteOptions) -> Result<String, Vec<Diagnostic>> {
    if module.ops.lookup(op).is_none() {
        let mut d = Diagnostic::error("TC0302", format!("there is no op `{op}`"));
        if let Some(near) = module.ops.suggest(op) {
            d = d.with_help(format!("did you mean `{near}`?"));
        }
        return Err(vec![d]);
    }
    let mut out = String::new();
    let shares = crate::budget::Budget::shares(module, options.max_rel_err);
    for function in module.functions.values() {
        let (mut graph, encoded) = saturate(module, function, options).map_err(|m| internal(&function.name, m))?;
        let target = Rates::named(&options.target);
        let plan = crate::extract::candidates(&mut graph, &encoded.outputs, &target, shares[&function.name].0, options);
        let chosen = plan.found.first().map(|p| p.outputs.clone()).unwrap_or_default();
        let uses =
            |bank: &Bank, roots: &[TermId]| bank.reachable(roots).into_iter().filter(|t| bank.is(*t, op)).count();
        let have = uses(graph.bank(), &chosen);
        let mut ids: Vec<egg::Id> = graph.egraph.classes().map(|c| c.id).collect();
        ids.sort_unstable();
        let mut terms = vec![];
        for id in ids {
            for node in graph.egraph[id].nodes.clone() {
                terms.push(graph.ground(&node));
            }
        }
        let bank = graph.bank();
        let _ = writeln!(out, "@{}:", function.name);
        if have > 0 {
            let _ = writeln!(out, "  `{op}` is there, {have} times");
            continue;
        }
        if let Some(term) =
            terms.iter().find(|t| bank.is(**t, op) && bank.def(**t).is_some_and(|d| d.declaration().is_some()))
        {
            let _ = writeln!(out, "  {}\n    {}", bank.text(*term, 2), own_kernel(bank, *term, &options.target));
            continue;
        }
        if terms.iter().any(|t| bank.is(*t, op)) {
            let with = plan.found.iter().find(|p| uses(bank, &p.outputs) > 0);
            let best = plan.found.first().map_or(0.0, |p| p.cost);
            let _ = match with {
                Some(p) => writeln!(
                    out,
                    "  `{op}` was found, but the graph with it takes {:.3e} s by the model, without it {best:.3e} s",
                    p.cost
                ),
                None => {
                    writeln!(out, "  `{op}` was found, but needs more than the error budget of {}", options.max_rel_err)
                }
            };
            continue;
        }
        let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for t in terms {
            if let Some(reason) = lacks(bank, t, op, options) {
                reasons.entry(reason).or_default().push(bank.text(t, 2));
            }
        }
        if reasons.is_empty() {
            let _ = writeln!(out, "  nothing looks like `{op}`, not even with all conditions left out");
        }
        for (reason, places) in reasons {
            let more = if places.len() > 1 { format!(" (and {} more)", places.len() - 1) } else { String::new() };
            let _ = writeln!(out, "  {}{more}\n    fails: {reason}", places[0]);
        }
    }
    Ok(out)
}

/// Why a declared op is computed by its body.
fn own_kernel(bank: &Bank, term: TermId, target: &str) -> String {
    let operands: Vec<_> = bank.operands(term).iter().map(|o| bank.ty(*o).clone()).collect();
    let op = bank.def(term).and_then(|d| d.declaration());
    match op.map(|op| op.kernel(target, &operands, &bank.attrs(term), &bank.symbols)) {
        Some(Ok(call)) => {
            let said = match call.kernel.microseconds {
                Some(us) => format!("{us} us by its author's word"),
                None => "what its memory traffic takes".into(),
            };
            format!(
                "kernel `{}` could compute it, in {said}; the body costs less here, fused with its neighbours \
                 (`always = true` in the kernel's declaration settles it)",
                call.kernel.entry
            )
        }
        Some(Err(refusals)) if !refusals.is_empty() => format!("its body is taken: {}", refusals.join("; ")),
        _ => format!("its body is taken: it has no kernel for {target}"),
    }
}

/// The first condition a term fails for an op, if the term has its outline.
fn lacks(bank: &mut Bank, term: TermId, op: &str, options: &RewriteOptions) -> Option<String> {
    match op {
        "trilinear.attention" | "nn.attention" => match attention::raise(bank, term) {
            Err(reason) if reason.starts_with("no s") => None,
            Err(reason) => Some(reason),
            Ok(found) => Some(format!("it is another kind of attention: {}", bank.text(found.to, 3))),
        },
        "winograd.output" | "winograd.input" | "winograd.filter" => {
            if !bank.is(term, "nn.conv2d") {
                return None;
            }
            let attrs = bank.attrs(term);
            let kernel = &bank.ty(bank.operands(term)[1]).shape[2..];
            Some(match options.winograd {
                Winograd::Off => "Winograd is off".into(),
                _ => format!(
                    "stride {:?}, dilation {:?}, groups {} must all be 1 and the filter [{}, {}] be [3, 3]",
                    attrs.ints("stride"),
                    attrs.ints("dilation"),
                    attrs.int("groups"),
                    kernel[0],
                    kernel[1]
                ),
            })
        }
        "sparse24.matmul" | "sparse24.compress" => {
            if !bank.is(term, "core.contract") || bank.operands(term).len() != 2 {
                return None;
            }
            Some("no operand is a `sparse24.select` along the summed axis, or a constant of at least 256 elements with two non-zeros in each four".into())
        }
        "nn.softmax" => {
            let quotient = bank.is_map(term, "div") || bank.is_map(term, "mul");
            quotient.then(|| "it is no exp(x) over the sum of the same exp(x) along whole axes".into())
        }
        _ => None,
    }
}
