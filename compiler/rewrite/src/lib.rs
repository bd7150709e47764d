//! Rewriting: equality saturation over a module's functions, extraction per target, and the proof.
//!
//! [`rewrite`] is the way in; [`Rewritten`] holds the candidates, best first, each with its proof. Rules are declared
//! in `tricot-proof`; what is here finds their instances, weighs the results and writes the steps down. Knows no kernel.

mod budget;
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

use budget::Budget;
use lang::Graph;
use std::collections::BTreeMap;
use tricot_dialects::{Function, Module};
use tricot_proof::proof::{FunctionProof, Proof, VERSION};
use tricot_proof::{Bank, TermId};
use tricot_rates::Rates;
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
    /// Whether it is small enough not to count against the user's budget.
    pub free: bool,
    /// How often a run calls its function.
    pub calls: f64,
}

/// One step of a candidate's proof, ready to print.
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
    /// Modelled seconds of the source.
    pub source_seconds: f64,
}

/// A module that computes what the source does.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub module: Module,
    /// That it does.
    pub proof: Proof,
    /// The proof's steps, function by function.
    pub steps: Vec<NamedStep>,
    /// Algorithms that round more than the graph's ops.
    pub lossy: Vec<Lossy>,
    /// Modelled seconds of one run of each function, in the module's order.
    pub seconds: Vec<f64>,
}

impl Candidate {
    /// Lossy choices, a line each.
    pub fn lossy_lines(&self) -> Vec<String> {
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
        self.lossy.iter().filter(|l| !l.free).map(|l| l.calls * l.eps).sum()
    }

    /// Modelled seconds of all functions together, each counted once.
    pub fn total_seconds(&self) -> f64 {
        self.seconds.iter().sum()
    }
}

/// The result of rewriting.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// At least one, by modelled cost; those with a transform the user asked for by name come first.
    pub candidates: Vec<Candidate>,
    pub functions: Vec<FunctionReport>,
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
    (budget, calls): (Budget, f64),
    options: &RewriteOptions,
) -> Result<Outcome, Vec<Diagnostic>> {
    let fail = |m: String| internal(&function.name, m);
    let (mut graph, encoded) = saturate(module, function, options).map_err(fail)?;
    let target = Rates::named(&options.target);
    let plan = extract::candidates(&mut graph, &encoded.outputs, &target, budget, options);
    let mut choices: Vec<Choice> = vec![];
    for mut extracted in plan.found {
        tricot_types::stop::check();
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
            lossy: extracted.lossy.into_iter().map(|l| Lossy { function: function.name.clone(), calls, ..l }).collect(),
            cost: extracted.cost,
        });
    }
    let report = FunctionReport {
        name: function.name.clone(),
        nodes: graph.egraph.total_number_of_nodes(),
        classes: graph.egraph.number_of_classes(),
        rounds: graph.rounds,
        stopped: graph.stopped.clone(),
        source_seconds: plan.source_cost,
    };
    Ok(Outcome { choices, report, constants: graph.bank().constants.clone() })
}

/// Rewrites every function of a module.
pub fn rewrite(module: &Module, options: &RewriteOptions) -> Result<Rewritten, Vec<Diagnostic>> {
    let mut outcomes: Vec<Outcome> = vec![];
    let mut problems = vec![];
    let shares = Budget::shares(module, options.max_rel_err);
    for function in module.functions.values() {
        match rewrite_function(module, function, shares[&function.name], options) {
            Ok(outcome) => outcomes.push(outcome),
            Err(mut p) => problems.append(&mut p),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // Candidate n takes each function's n-th choice, or its best where there are fewer.
    let many = outcomes.iter().map(|o| o.choices.len()).max().unwrap_or(1).min(options.candidates.max(1));
    let (mut candidates, mut written) = (vec![], BTreeMap::new());
    let ops: Vec<String> = module.ops.used_by(module.functions.values()).declared().map(|op| op.text.clone()).collect();
    for n in 0..many {
        let mut out = Module { name: module.name.clone(), symbols: module.symbols.clone(), ..Module::default() };
        let chosen: Vec<&Choice> = outcomes.iter().map(|o| o.choices.get(n).unwrap_or(&o.choices[0])).collect();
        for choice in &chosen {
            out.add_function(choice.function.clone());
        }
        keep_constants(module, &outcomes, &mut out);
        out.ops = module.ops.used_by(out.functions.values());
        let functions: Vec<FunctionProof> = chosen.iter().map(|c| c.proof.clone()).collect();
        let constants = prove::constants(&functions, outcomes.iter().map(|o| &o.constants), &mut written);
        candidates.push(Candidate {
            module: out,
            proof: Proof { version: VERSION, symbols: module.symbols.clone(), ops: ops.clone(), constants, functions },
            steps: chosen.iter().flat_map(|c| c.steps.clone()).collect(),
            lossy: chosen.iter().flat_map(|c| c.lossy.clone()).collect(),
            seconds: chosen.iter().map(|c| c.cost).collect(),
        });
    }
    Ok(Rewritten { candidates, functions: outcomes.into_iter().map(|o| o.report).collect() })
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
