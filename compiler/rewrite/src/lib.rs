//! Rewriting: equality saturation over a module's functions, extraction per target, and the proof.
//!
//! [`rewrite`] is the way in; [`Rewritten`] holds the candidate modules, best first, and the proof for the first. Rules are declared
//! in `tricot-proof`; what is here finds their instances, weighs the results and writes the steps down. Knows no kernel.

mod cost;
mod decode;
mod explain;
mod extract;
mod lang;
mod prove;
mod rules;
mod views;

pub use explain::{explain, why_not};
pub use lang::Limits;

use cost::Target;
use lang::Graph;
use std::collections::BTreeMap;
use tricot_dialects::{Function, Module};
use tricot_proof::proof::{FunctionProof, Proof, VERSION};
use tricot_proof::{Bank, TermId};
use tricot_types::Diagnostic;

/// Which Winograd transforms extraction may choose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Winograd {
    Off,
    /// F(2,3) and F(4,3) where they pay and the error budget allows.
    #[default]
    Auto,
    F23,
    F43,
}

/// What a user may choose.
#[derive(Clone, Debug)]
pub struct RewriteOptions {
    /// `cpu` or `sm_90a`: whose costs count.
    pub target: String,
    /// Relative error allowed beyond the model's own rounding.
    pub max_rel_err: f64,
    pub winograd: Winograd,
    pub limits: Limits,
    /// Most candidates returned.
    pub candidates: usize,
}

impl Default for RewriteOptions {
    fn default() -> RewriteOptions {
        RewriteOptions {
            target: "cpu".into(),
            max_rel_err: 0.0,
            winograd: Winograd::Auto,
            limits: Limits::default(),
            candidates: 8,
        }
    }
}

/// An algorithm that rounds more than the graph's own ops.
#[derive(Clone, PartialEq, Debug)]
pub struct Lossy {
    pub function: String,
    /// The choice in words.
    pub choice: String,
    /// Its relative error.
    pub eps: f64,
    /// Whether it is within what every implementation rounds anyway.
    pub free: bool,
}

/// One step of the first candidate's proof, ready to print.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedStep {
    pub function: String,
    pub rule: &'static str,
    pub from: String,
    pub to: String,
    pub conditions: BTreeMap<String, String>,
}

/// What happened to one function.
#[derive(Clone, PartialEq, Debug)]
pub struct FunctionReport {
    pub name: String,
    pub nodes: usize,
    pub classes: usize,
    pub rounds: usize,
    /// Why saturation ended early.
    pub stopped: Option<String>,
    /// Modelled seconds of the source and of the first candidate.
    pub cost: (f64, f64),
}

/// The result of rewriting.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// Modules that compute the same, by modelled cost.
    pub candidates: Vec<Module>,
    /// That the first candidate computes what the source does.
    pub proof: Proof,
    /// The proof for each candidate, in their order.
    pub proofs: Vec<Proof>,
    pub functions: Vec<FunctionReport>,
    pub steps: Vec<NamedStep>,
    /// Algorithms of the first candidate that round more than its ops.
    pub lossy: Vec<Lossy>,
}

impl Rewritten {
    /// Lossy choices, a line each, with the estimate of their sum.
    pub fn lossy(&self) -> Vec<String> {
        self.lossy
            .iter()
            .map(|l| {
                let kind = if l.free { "free" } else { "from the budget" };
                format!("@{}: {} (eps {:.1e}, {kind})", l.function, l.choice, l.eps)
            })
            .collect()
    }

    /// Estimated relative error beyond the source graph's own rounding.
    pub fn estimate(&self) -> f64 {
        self.lossy.iter().filter(|l| !l.free).map(|l| l.eps).sum()
    }
}

/// One way to write a function.
struct Choice {
    function: Function,
    proof: FunctionProof,
    steps: Vec<NamedStep>,
    lossy: Vec<Lossy>,
    cost: f64,
}

struct Outcome {
    choices: Vec<Choice>,
    report: FunctionReport,
    constants: tricot_dialects::ConstantStore,
}

fn internal(function: &str, message: String) -> Vec<Diagnostic> {
    vec![
        Diagnostic::error("TC0301", format!("rewriting @{function} failed: {message}"))
            .at_name(format!("@{function}"), ""),
    ]
}

/// The e-graph of a function, saturated.
fn saturate(
    module: &Module,
    function: &Function,
    options: &RewriteOptions,
) -> Result<(Graph, tricot_proof::term::Encoded), String> {
    let mut graph = Graph::new(Bank::new(module));
    let encoded = graph.bank().encode(function)?;
    for term in encoded.values.values() {
        graph.add(*term);
    }
    for found in rules::arguments(graph.bank(), module, function) {
        rules::state(&mut graph, found);
    }
    graph.egraph.rebuild();
    graph.saturate(options.limits, |bank, term| rules::find(bank, term, options));
    Ok((graph, encoded))
}

fn rewrite_function(
    module: &Module,
    function: &Function,
    options: &RewriteOptions,
) -> Result<Outcome, Vec<Diagnostic>> {
    let fail = |m: String| internal(&function.name, m);
    let (mut graph, encoded) = saturate(module, function, options).map_err(fail)?;
    let target = Target::named(&options.target);
    let plan = extract::candidates(&mut graph, &encoded.outputs, &target, options);
    let mut choices: Vec<Choice> = vec![];
    for mut extracted in plan.found {
        extracted.outputs = rules::fold::large(&mut graph, &extracted.outputs).map_err(fail)?;
        let (function_proof, used) =
            prove::function(&mut graph, function, &encoded.outputs, &extracted.outputs).map_err(fail)?;
        let steps = used
            .into_iter()
            .map(|at| {
                let f = graph.log[at].clone();
                let text = |t: TermId| graph.egraph.analysis.bank.text(t, 3);
                NamedStep {
                    function: function.name.clone(),
                    rule: f.rule,
                    from: text(f.from),
                    to: text(f.to),
                    conditions: f.conditions,
                }
            })
            .collect();
        choices.push(Choice {
            function: decode::function(&mut graph, module, function, &encoded, &extracted.outputs).map_err(fail)?,
            proof: function_proof,
            steps,
            lossy: extracted.lossy.into_iter().map(|l| Lossy { function: function.name.clone(), ..l }).collect(),
            cost: extracted.cost,
        });
    }
    let report = FunctionReport {
        name: function.name.clone(),
        nodes: graph.egraph.total_number_of_nodes(),
        classes: graph.egraph.number_of_classes(),
        rounds: graph.rounds,
        stopped: graph.stopped.clone(),
        cost: (plan.source_cost, choices.first().map_or(0.0, |c| c.cost)),
    };
    Ok(Outcome { choices, report, constants: graph.bank().constants.clone() })
}

/// Rewrites every function of a module.
pub fn rewrite(module: &Module, options: &RewriteOptions) -> Result<Rewritten, Vec<Diagnostic>> {
    let mut outcomes: Vec<Outcome> = vec![];
    let mut problems = vec![];
    for function in module.functions.values() {
        match rewrite_function(module, function, options) {
            Ok(outcome) => outcomes.push(outcome),
            Err(mut p) => problems.append(&mut p),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // Candidate n takes each function's n-th choice, or its best where there are fewer.
    let many = outcomes.iter().map(|o| o.choices.len()).max().unwrap_or(1).min(options.candidates.max(1));
    let (mut candidates, mut proofs) = (vec![], vec![]);
    for n in 0..many {
        let mut out = Module { name: module.name.clone(), symbols: module.symbols.clone(), ..Module::default() };
        let mut functions = vec![];
        for o in &outcomes {
            let choice = o.choices.get(n).unwrap_or(&o.choices[0]);
            out.add_function(choice.function.clone());
            functions.push(choice.proof.clone());
        }
        keep_constants(module, &outcomes, &mut out);
        let known = outcomes.iter().map(|o| &o.constants);
        let constants = prove::constants(&functions, known);
        proofs.push(Proof { version: VERSION, symbols: module.symbols.clone(), constants, functions });
        candidates.push(out);
    }
    let first = |o: &Outcome| (o.choices[0].steps.clone(), o.choices[0].lossy.clone());
    let (steps, lossy): (Vec<_>, Vec<_>) = outcomes.iter().map(first).unzip();
    Ok(Rewritten {
        proof: proofs[0].clone(),
        candidates,
        proofs,
        functions: outcomes.into_iter().map(|o| o.report).collect(),
        steps: steps.concat(),
        lossy: lossy.concat(),
    })
}

/// Copies the constants that the module's nodes mention, with their names.
fn keep_constants(source: &Module, outcomes: &[Outcome], out: &mut Module) {
    let mut wanted = vec![];
    for f in out.functions.values() {
        for id in f.live_order() {
            if let Some(tricot_dialects::Attr::Constant(hash)) = f.node(id).attrs.get("value") {
                wanted.push(*hash);
            }
        }
    }
    for hash in wanted {
        let found = outcomes.iter().find_map(|o| o.constants.get(hash)).or_else(|| source.constants.get(hash));
        if let Some(constant) = found {
            match source.constants.name(hash) {
                Some(name) => out.constants.add_named(name, constant.clone()),
                None => out.constants.add(constant.clone()),
            };
        }
    }
}
