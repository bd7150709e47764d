//! The checker: every step against its rule's statement, then congruence closure over the accepted equations.
//!
//! [`verify`] trusts nothing it reads: types are inferred again, constants are checked by hash, facts that conditions name are
//! recomputed, and the source, if given, is encoded again. It shares the op definitions, the index semantics and the mask facts
//! with the rewriter's search, but no code that chooses or builds results.

pub mod attention;
pub mod contract;
pub mod conv;
pub mod fold;
pub mod layout;
pub mod sparse;

use crate::closure::Closure;
use crate::pattern::{Pattern, Substitution};
use crate::proof::{FunctionProof, Proof, Step, read_terms};
use crate::rules::{self, Domain, Ground, Statement};
use crate::term::{Bank, TermId};
use tricot_dialects::{Function, Module, TensorType};
use tricot_types::Diagnostic;

fn error(code: &'static str, function: &str, message: String) -> Diagnostic {
    Diagnostic::error(code, message).at_name(format!("@{function}"), "")
}

/// Accepts a proof if every step holds and the steps lead from each output's first term to its last. With a source module, also that
/// the first terms are that module's; constants are then taken from there. Every objection otherwise.
pub fn verify(proof: &Proof, source: Option<&Module>) -> Result<(), Vec<Diagnostic>> {
    verify_both(proof, source, None)
}

/// As [`verify`], and that the last terms are those of `result`.
pub fn verify_against(proof: &Proof, source: &Module, result: &Module) -> Result<(), Vec<Diagnostic>> {
    verify_both(proof, Some(source), Some(result))
}

fn verify_both(proof: &Proof, source: Option<&Module>, result: Option<&Module>) -> Result<(), Vec<Diagnostic>> {
    let mut problems = vec![];
    let mut bank = Bank::default();
    bank.symbols = proof.symbols.clone();
    bank.ops = proof.op_set()?;
    for c in &proof.constants {
        match c.read() {
            Ok((_, _, Some(constant))) => {
                bank.constants.add(constant);
            }
            Ok((hash, ty, None)) => {
                bank.declared.insert(hash, ty);
            }
            Err(m) => problems.push(Diagnostic::error("TC0311", format!("constant {}: {m}", c.hash))),
        }
    }
    for module in source.iter().chain(&result) {
        for (hash, constant) in module.constants.iter() {
            let ty = TensorType::new(constant.dtype, constant.shape.iter().map(|d| *d as i64));
            if bank.declared.remove(&hash).is_some_and(|t| t != ty) {
                problems.push(Diagnostic::error("TC0311", format!("constant {hash} has another type in the proof")));
            }
            bank.constants.add(constant.clone());
        }
        for op in bank.ops.declared() {
            let own = module.ops.declared().find(|o| o.name == op.name);
            if own.is_some_and(|o| o.key != op.key) {
                let message = format!("`{}` is declared otherwise in the proof than in the module", op.name);
                problems.push(Diagnostic::error("TC0311", message));
            }
        }
        if module.symbols != proof.symbols {
            problems.push(Diagnostic::error("TC0311", "the proof promises other sizes than the module"));
        }
    }
    for f in &proof.functions {
        match signature(f) {
            Ok(s) => {
                bank.signatures.insert(f.function.clone(), s);
            }
            Err(m) => problems.push(error("TC0311", &f.function, m)),
        }
    }
    for (module, which) in source.iter().map(|m| (m, "source")).chain(result.iter().map(|m| (m, "result"))) {
        for name in module.functions.keys() {
            if !proof.functions.iter().any(|f| f.function == *name) {
                problems.push(error("TC0311", name, format!("the proof does not speak of @{name} of the {which}")));
            }
        }
    }
    if problems.is_empty() {
        problems = arguments(&mut bank, proof);
    }
    if problems.is_empty() {
        for f in &proof.functions {
            let before = source.map(|m| m.functions.get(&f.function));
            let after = result.map(|m| m.functions.get(&f.function));
            if let Err(d) = verify_function(&mut bank, f, before, after) {
                problems.push(d);
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Steps that take an input for a constant, against every call in the proof's terms. `main` is called from outside.
fn arguments(bank: &mut Bank, proof: &Proof) -> Vec<Diagnostic> {
    let mut claims: Vec<(&str, u32, TermId)> = vec![];
    let mut calls: Vec<(String, Vec<TermId>)> = vec![];
    for f in &proof.functions {
        let Ok(terms) = read_terms(bank, &f.terms) else { continue };
        for t in &terms {
            if let Some(tricot_dialects::Attr::Str(callee)) = bank.attr(*t, "callee") {
                calls.push((callee.clone(), bank.operands(*t).to_vec()));
            }
        }
        for s in f.steps.iter().filter(|s| s.rule == "argument-constant") {
            if let (Some(from), Some(to)) = (terms.get(s.from as usize), terms.get(s.to as usize))
                && let crate::term::Head::Input(at, _) = bank.term(*from).head
            {
                claims.push((&f.function, at, *to));
            }
        }
    }
    let holds = |(name, at, value): &(&str, u32, TermId)| {
        *name != Module::MAIN
            && calls.iter().filter(|(callee, _)| callee == name).all(|(_, args)| args.get(*at as usize) == Some(value))
    };
    claims
        .iter()
        .filter(|c| !holds(c))
        .map(|(name, at, _)| {
            error("TC0312", name, format!("a call gives input {at} something other than the proof says"))
        })
        .collect()
}

/// Types of inputs and outputs as the proof states them; the outputs' are checked against their terms later.
fn signature(f: &FunctionProof) -> Result<crate::term::Signature, String> {
    let inputs = f.inputs.iter().map(|(_, t)| t.read()).collect::<Result<Vec<_>, _>>()?;
    let outputs = f.outputs.iter().map(|o| o.ty.read()).collect::<Result<Vec<_>, _>>()?;
    Ok((inputs, outputs))
}

fn verify_function(
    bank: &mut Bank,
    proof: &FunctionProof,
    source: Option<Option<&Function>>,
    result: Option<Option<&Function>>,
) -> Result<(), Diagnostic> {
    let name = &proof.function;
    let fail = |message: String| error("TC0311", name, message);
    let terms = read_terms(bank, &proof.terms).map_err(fail)?;
    let look = |n: u32| terms.get(n as usize).copied().ok_or_else(|| fail(format!("there is no term {n}")));
    let mut pairs = vec![];
    for o in &proof.outputs {
        let (from, to) = (look(o.from)?, look(o.to)?);
        let ty = o.ty.read().map_err(fail)?;
        if bank.types(from) != [ty.clone()] || bank.types(to) != [ty] {
            return Err(fail(format!("output `{}` has another type than its terms", o.name)));
        }
        pairs.push((from, to));
    }
    for (function, which, side) in [(source, "source", 0), (result, "result", 1)] {
        let Some(function) = function else { continue };
        let Some(function) = function else {
            // A function nobody calls any more may be gone from the result.
            if which == "source" {
                return Err(fail(format!("the source has no function @{name}")));
            }
            continue;
        };
        let ports: Vec<_> = function.outputs.iter().map(|o| (&o.name, &o.alias)).collect();
        let stated: Vec<_> = proof.outputs.iter().map(|o| (&o.name, &o.alias)).collect();
        let inputs: Vec<_> = function.input_names().zip(function.input_types()).collect();
        let same_inputs = inputs.len() == proof.inputs.len()
            && inputs.iter().zip(&proof.inputs).all(|((n, t), (m, u))| n == m && u.read().as_ref() == Ok(t));
        if ports != stated || !same_inputs {
            return Err(fail(format!("inputs or outputs differ from those of the {which}")));
        }
        let encoded = bank.encode(function).map_err(fail)?.outputs;
        for ((have, pair), output) in encoded.iter().zip(&pairs).zip(&proof.outputs) {
            if *have != if side == 0 { pair.0 } else { pair.1 } {
                return Err(fail(format!("output `{}` of the {which} is not the proof's", output.name)));
            }
        }
    }
    let mut equations = vec![];
    for (number, step) in proof.steps.iter().enumerate() {
        let refuse = |m: String| {
            error("TC0312", name, format!("step {number} (`{}`) does not hold: {m}", step.rule))
                .with_help("the proof was altered, belongs to another graph, or needs the model's constants beside it")
        };
        equations.push(check_step(bank, &terms, step).map_err(refuse)?);
    }
    let roots: Vec<TermId> = pairs.iter().chain(&equations).flat_map(|(a, b)| [*a, *b]).collect();
    let all = bank.reachable(&roots);
    let mut closure = Closure::new(bank, &all);
    for (number, (a, b)) in equations.iter().enumerate() {
        closure.merge(*a, *b, number as u32);
    }
    for ((a, b), output) in pairs.iter().zip(&proof.outputs) {
        if !closure.equal(*a, *b) {
            return Err(error(
                "TC0313",
                name,
                format!("the steps do not show that output `{}` of the two graphs is equal", output.name),
            ));
        }
    }
    Ok(())
}

/// The equation a step states, if its rule allows it.
pub fn check_step(bank: &mut Bank, terms: &[TermId], step: &Step) -> Result<(TermId, TermId), String> {
    let look = |n: u32| terms.get(n as usize).copied().ok_or_else(|| format!("there is no term {n}"));
    let (from, to) = (look(step.from)?, look(step.to)?);
    if bank.types(from) != bank.types(to) {
        return Err("the two sides have different types".into());
    }
    let rule = rules::find(&step.rule).ok_or("there is no such rule")?;
    match rule.statement {
        Statement::Checked(check) => {
            if !step.substitution.is_empty() {
                return Err("the rule has no variables".into());
            }
            check(bank, &Ground { from, to, step })?;
        }
        Statement::Pattern { left, right, domain } => {
            let parse = |text: &str| Pattern::parse(text).ok_or_else(|| format!("`{text}` is no pattern"));
            let (left, right) = (parse(left)?, parse(right)?);
            let mut found = Substitution::new();
            if !left.matches(bank, from, &mut found) {
                return Err("the left side is no instance of the pattern".into());
            }
            let mut stated = Substitution::new();
            for (name, number) in &step.substitution {
                stated.insert(name.clone(), look(*number)?);
            }
            if found != stated || !step.conditions.is_empty() {
                return Err("the substitution is another".into());
            }
            if domain == Domain::Float && !bank.ty(from).dtype.is_float() {
                return Err("the rule holds for floats only".into());
            }
            if right.instantiate(bank, &found)? != to {
                return Err("the right side is another".into());
            }
        }
    }
    Ok((from, to))
}

/// The term under transposes, reshapes and full broadcasts.
pub fn under_views(bank: &Bank, term: TermId) -> TermId {
    let mut at = term;
    while matches!(bank.name(at), "core.transpose" | "core.reshape" | "core.broadcast") {
        at = bank.operands(at)[0];
    }
    at
}
