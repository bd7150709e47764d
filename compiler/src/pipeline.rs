//! Running the corridor: one model, any number of targets.

use crate::bundle::{self, NewEntry, WriteOptions};
use crate::choose::Choice;
use crate::dump::{self, Files};
use crate::error::guard;
use crate::options::Options;
use crate::report::{LaunchReport, Report, TargetReport};
use crate::stage::Stage;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tricot_dialects::{Constant, Module, text};
use tricot_kernel::{Backend, CompileOptions, CompiledTarget, KernelDesc};
use tricot_plan::{Manifest, Plan, Port, Step, TargetPlan};
use tricot_proof::Proof;
use tricot_rewrite::{Candidate, Rewritten};
use tricot_schedule::{Schedule, ScheduleOptions};
use tricot_types::{Diagnostic, Poly, SymbolTable};

/// Compiles models with a fixed set of options and backends.
pub struct Compiler {
    options: Options,
    backends: Vec<Box<dyn Backend>>,
}

/// One target's way through the stages; what lies behind `stop_after` is absent.
pub struct TargetResult {
    pub name: String,
    /// The rewritten graph: the chosen candidate's.
    pub module: Module,
    pub rewritten: Option<Rewritten>,
    pub choice: Choice,
    /// Buckets first, the general sizes last: a reader takes the first variant that admits its sizes.
    pub variants: Vec<Variant>,
    /// The code of all variants.
    pub compiled: Option<CompiledTarget>,
}

/// A schedule for the general sizes or for a bucket.
pub struct Variant {
    pub symbols: SymbolTable,
    pub schedule: Schedule,
    pub plan: Option<Plan>,
}

/// Everything a compilation made.
pub struct Compiled {
    options: Options,
    pub graph: Module,
    pub targets: Vec<TargetResult>,
}

impl Compiler {
    /// A compiler for `options.targets`; TC0930 lists targets without a backend.
    pub fn new(options: Options, backends: Vec<Box<dyn Backend>>) -> Result<Compiler, Vec<Diagnostic>> {
        let known: Vec<_> = backends.iter().map(|b| b.name()).collect();
        let problems: Vec<_> = options
            .targets
            .iter()
            .filter(|t| !known.contains(&t.as_str()))
            .map(|t| {
                let problem = Diagnostic::error("TC0930", format!("there is no target `{t}`"));
                match t.as_str() {
                    "sm_90a" => {
                        problem.with_help("this build has no sm_90a code generator; build with the feature `sm90`")
                    }
                    _ => problem.with_help(format!("targets: {}", known.join(", "))),
                }
            })
            .collect();
        if problems.is_empty() { Ok(Compiler { options, backends }) } else { Err(problems) }
    }

    /// Takes a verified graph as far as the options say. `progress` hears what is being done.
    pub fn compile(
        &self,
        graph: Module,
        report: &mut Report,
        progress: &dyn Fn(&str),
    ) -> Result<Compiled, Vec<Diagnostic>> {
        let mut targets = vec![];
        if self.options.reaches(Stage::Rewrite) {
            for name in &self.options.targets {
                targets.push(self.target(&graph, name, report, progress)?);
            }
        }
        Ok(Compiled { options: self.options.clone(), graph, targets })
    }

    fn target(
        &self,
        graph: &Module,
        name: &str,
        report: &mut Report,
        progress: &dyn Fn(&str),
    ) -> Result<TargetResult, Vec<Diagnostic>> {
        let reproducer = || text::print(graph);
        progress(&format!("rewriting for {name}"));
        let rewritten = match self.options.skip_rewrite {
            true => None,
            false => Some(report.time("rewrite", || {
                guard("rewrite", reproducer, || tricot_rewrite::rewrite(graph, &self.options.rewrite_options(name)))
            })?),
        };
        // Also where rewriting is the last stage: what it shows is what would be built.
        let choose = |r: &Rewritten| Choice::new(r, name, self.options.winograd);
        let choice = report.time("schedule", || rewritten.as_ref().map(choose).unwrap_or_default());
        let module = rewritten.as_ref().map_or(graph, |r| &r.candidates[choice.chosen].module).clone();
        let mut result =
            TargetResult { name: name.into(), module, rewritten, choice, variants: vec![], compiled: None };
        if self.options.reaches(Stage::Schedule) {
            progress(&format!("scheduling for {name}"));
            result.variants = report.time("schedule", || self.schedules(graph, &result))?;
        }
        if self.options.reaches(Stage::Mlir) {
            let compiled = report.time("codegen", || self.code(graph, &result, progress))?;
            if self.options.reaches(Stage::Plan) {
                for variant in &mut result.variants {
                    let plan = variant.schedule.finish(&compiled)?;
                    variant.plan = Some(Plan { symbols: variant.symbols.clone(), ..plan });
                }
            }
            result.compiled = Some(compiled);
        }
        report.targets.insert(name.into(), summarise(&result, &graph.symbols));
        Ok(result)
    }

    /// The general sizes and every bucket.
    fn schedules(&self, graph: &Module, result: &TargetResult) -> Result<Vec<Variant>, Vec<Diagnostic>> {
        let options = ScheduleOptions { target: result.name.clone(), ..ScheduleOptions::default() };
        let schedule =
            |module: &Module| guard("schedule", || text::print(module), || tricot_schedule::schedule(module, &options));
        let mut variants = vec![];
        for bucket in &self.options.buckets {
            let mut module = result.module.clone();
            crate::specialise::specialise(&mut module, bucket)?;
            let mut symbols = graph.symbols.clone();
            for (symbol, value) in bucket {
                if let Some(info) = symbols.get_mut(symbol) {
                    (info.min, info.max, info.hint) = (*value, *value, *value);
                }
            }
            variants.push(Variant { symbols, schedule: schedule(&module)?, plan: None });
        }
        variants.push(Variant { symbols: graph.symbols.clone(), schedule: schedule(&result.module)?, plan: None });
        Ok(variants)
    }

    /// Code for the kernels of all variants, equal kernels once: they are named by content.
    fn code(
        &self,
        graph: &Module,
        result: &TargetResult,
        progress: &dyn Fn(&str),
    ) -> Result<CompiledTarget, Vec<Diagnostic>> {
        let backend = self
            .backends
            .iter()
            .find(|b| b.name() == result.name)
            .expect("targets are checked when the compiler is made");
        let mut seen = BTreeSet::new();
        let all = result.variants.iter().flat_map(|v| &v.schedule.kernels);
        let kernels: Vec<KernelDesc> = all.filter(|k| seen.insert(k.name.clone())).cloned().collect();
        progress(&format!("generating code for {}: {} kernels", result.name, kernels.len()));
        let wanted = [Stage::Mlir, Stage::Llvm, Stage::Ptx, Stage::Sass].into_iter().filter(|s| self.options.emits(*s));
        let options = CompileOptions {
            symbols: graph.symbols.clone(),
            native_cpu: self.options.native_cpu,
            want: wanted.map(Stage::name).collect(),
            stop_after: self.options.stop_after.filter(|s| *s < Stage::Plan).map(Stage::name),
        };
        let reproducer = || result.variants.iter().map(|v| v.schedule.to_string()).collect();
        guard("codegen", reproducer, || backend.compile(&kernels, &options))
    }
}

fn summarise(result: &TargetResult, symbols: &SymbolTable) -> TargetReport {
    let lossy = result.candidate().map(Candidate::lossy_lines).unwrap_or_default();
    let Some(main) = result.variants.last() else { return TargetReport { lossy, ..TargetReport::default() } };
    let launches = main.plan.iter().flat_map(|p| &p.steps).filter_map(|step| match step {
        Step::Launch(launch) => {
            let kernels = result.compiled.as_ref().map(|c| &c.kernels);
            let choice = kernels.and_then(|k| k.get(&launch.kernel)).map(|k| k.choice.clone()).unwrap_or_default();
            Some(LaunchReport { kernel: launch.kernel.clone(), choice })
        }
        _ => None,
    });
    TargetReport {
        launches: launches.collect(),
        kernels: main.schedule.kernels.len(),
        arena_bytes: main.plan.as_ref().map_or(0.0, |p| p.arena_bytes.hint(symbols)),
        lossy,
    }
}

impl TargetResult {
    /// The candidate that was chosen, if the graph was rewritten.
    pub fn candidate(&self) -> Option<&Candidate> {
        Some(&self.rewritten.as_ref()?.candidates[self.choice.chosen])
    }

    /// The steps from the source graph to this one, in words, and what the other candidates would have cost.
    pub fn explain(&self) -> String {
        match (&self.rewritten, self.candidate()) {
            (Some(r), Some(candidate)) => tricot_rewrite::explain(r, candidate) + &self.choice.lines(r),
            _ => "the graph was not rewritten\n".into(),
        }
    }

    /// Why `op` is not in the chosen candidate, as far as schedules decided it.
    pub fn why_not(&self, op: &str) -> Option<String> {
        self.choice.why_not(self.rewritten.as_ref()?, op)
    }

    /// The same as JSON.
    pub fn explain_json(&self) -> String {
        let steps: Vec<String> = self.explain().lines().map(str::to_string).collect();
        format!("{:#}\n", serde_json::json!({ "target": self.name, "steps": steps }))
    }
}

impl Compiled {
    /// The text of every emitted stage.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        let wants = |stage| self.options.emits(stage);
        if wants(Stage::Graph) {
            files.insert(dump::file_name(Stage::Graph, None, None), text::print(&self.graph));
        }
        for target in &self.targets {
            let name = Some(target.name.as_str());
            if wants(Stage::Rewrite) {
                files.insert(dump::file_name(Stage::Rewrite, name, None), text::print(&target.module));
                if let Some(candidate) = target.candidate() {
                    files.insert(format!("{}.proof", target.name), candidate.proof.to_text());
                }
            }
            let Some(main) = target.variants.last() else { continue };
            if wants(Stage::Schedule) {
                files.insert(dump::file_name(Stage::Schedule, name, None), main.schedule.to_string());
            }
            for (kernel, compiled) in target.compiled.iter().flat_map(|c| &c.kernels) {
                for stage in [Stage::Mlir, Stage::Llvm, Stage::Ptx, Stage::Sass] {
                    if let (true, Some(text)) = (wants(stage), compiled.texts.get(stage.name())) {
                        files.insert(dump::file_name(stage, name, Some(kernel)), text.clone());
                    }
                }
            }
            if let (true, Some(plan)) = (wants(Stage::Plan), &main.plan) {
                let text = serde_json::to_string_pretty(plan).expect("a plan has string keys") + "\n";
                files.insert(dump::file_name(Stage::Plan, name, None), text);
            }
        }
        files
    }

    /// Writes the bundle and returns its size in bytes.
    pub fn write_bundle(&self, path: &Path) -> Result<u64, Vec<Diagnostic>> {
        let (manifest, entries) = self.contents();
        let options = WriteOptions { external_weights: self.options.external_weights };
        Ok(bundle::write_bundle(path, &manifest, entries, &options)?.bytes)
    }

    /// The bundle in memory, weights inside.
    pub fn bundle_bytes(&self) -> Result<Vec<u8>, Vec<Diagnostic>> {
        let (manifest, entries) = self.contents();
        bundle::bundle_bytes(&manifest, entries)
    }

    fn contents(&self) -> (Manifest, Vec<NewEntry<'_>>) {
        let mut targets = BTreeMap::new();
        let mut entries: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut weights: BTreeMap<String, &Constant> = BTreeMap::new();
        for target in &self.targets {
            let mut plan = TargetPlan { features: vec![], variants: vec![], proof: None };
            for (file, bytes) in target.compiled.iter().flat_map(|c| &c.files) {
                entries.insert(tricot_runtime::bundle::target_entry(&target.name, file), bytes.clone());
            }
            plan.features.extend(target.compiled.iter().flat_map(|c| c.features.iter().cloned()));
            for variant in &target.variants {
                plan.variants.extend(variant.plan.clone());
                weights.extend(variant.schedule.weights.iter().map(|(name, c)| (name.clone(), c)));
            }
            plan.features.sort();
            plan.features.dedup();
            if let Some(candidate) = target.candidate() {
                let entry = format!("{}/rewrite.proof", target.name);
                entries.insert(entry.clone(), candidate.proof.to_text().into_bytes());
                plan.proof = Some(entry);
            }
            targets.insert(target.name.clone(), plan);
        }
        let manifest = Manifest {
            format: tricot_plan::FORMAT_VERSION,
            tricot: env!("CARGO_PKG_VERSION").into(),
            name: self.graph.name.clone(),
            inputs: self.ports(true),
            outputs: self.ports(false),
            symbols: self.graph.symbols.clone(),
            targets,
            entries: BTreeMap::new(),
        };
        let mut new: Vec<NewEntry<'_>> = entries.into_iter().map(|(name, bytes)| NewEntry::new(name, bytes)).collect();
        for (name, constant) in weights {
            let data = constant.data().clone();
            let write = move |sink: &mut dyn std::io::Write| sink.write_all((*data).as_ref());
            new.push(NewEntry::weight(name, write, constant.dtype, &constant.shape));
        }
        (manifest, new)
    }

    fn ports(&self, inputs: bool) -> Vec<Port> {
        let Some(main) = self.graph.main() else { return vec![] };
        let port = |name: &str, ty: &tricot_dialects::TensorType, alias: Option<String>| Port {
            name: name.into(),
            dtype: ty.dtype,
            shape: ty.shape.iter().map(Poly::clone).collect(),
            alias,
        };
        match inputs {
            true => main.inputs().zip(main.input_names()).map(|(v, n)| port(n, main.ty(v), None)).collect(),
            false => main.outputs.iter().map(|o| port(&o.name, main.ty(o.value), o.alias.clone())).collect(),
        }
    }
}

/// Checks a proof as stored in a bundle or a dump folder; with a source, also that it begins at that graph. Returns a line of summary.
pub fn check_proof(bytes: &[u8], name: &str, source: Option<&Module>) -> Result<String, Vec<Diagnostic>> {
    let proof = Proof::parse(name, bytes)?;
    tricot_proof::check(&proof, source)?;
    Ok(format!("{name}: {} steps hold", proof.steps()))
}
