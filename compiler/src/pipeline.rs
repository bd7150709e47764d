//! Running the corridor: one model, any number of targets.

use crate::bundle::{self, NewEntry, WriteOptions};
use crate::cache::{Cache, Cached};
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
use tricot_plan::{Manifest, Plan, Step, TargetPlan};
use tricot_proof::Proof;
use tricot_rewrite::{Candidate, Rewritten};
use tricot_schedule::{Interface, Schedule, ScheduleOptions};
use tricot_types::{Diagnostic, SymbolTable};

/// Compiles models with a fixed set of options and backends.
pub struct Compiler {
    options: Options,
    backends: Vec<Box<dyn Backend>>,
}

/// One target's way through the stages; what lies behind `stop_after` is absent.
#[derive(Default)]
pub struct TargetResult {
    pub name: String,
    /// The rewritten graph: the chosen candidate's. Absent where a schedule was the input.
    pub module: Option<Module>,
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
    /// Absent where a schedule was the input.
    pub graph: Option<Module>,
    pub interface: Interface,
    symbols: SymbolTable,
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
        let (options, interface, symbols) = (self.options.clone(), Interface::of(&graph), graph.symbols.clone());
        Ok(Compiled { options, interface, symbols, graph: Some(graph), targets })
    }

    /// Takes a schedule on from there, for every target of the options.
    pub fn compile_schedule(
        &self,
        schedule: Schedule,
        report: &mut Report,
        progress: &dyn Fn(&str),
    ) -> Result<Compiled, Vec<Diagnostic>> {
        let (interface, symbols) = (schedule.interface.clone(), schedule.symbols.clone());
        let mut targets = vec![];
        for name in &self.options.targets {
            let variant = Variant { symbols: symbols.clone(), schedule: schedule.clone(), plan: None };
            let result = TargetResult { name: name.clone(), variants: vec![variant], ..TargetResult::default() };
            targets.push(self.finish(result, &symbols, report, progress)?);
        }
        Ok(Compiled { options: self.options.clone(), interface, symbols, graph: None, targets })
    }

    /// The name of this graph's bundle in a [`Cache`]: a digest of the graph with its constants, of the options that decide
    /// about a bundle, of what the backends depend on, and of the compiler's sources.
    pub fn cache_key(&self, graph: &Module) -> String {
        // Named one by one, so that a new option must be thought about here.
        let Options {
            targets,
            emit: _,
            stop_after: _,
            dump_dir: _,
            set,
            buckets,
            max_rel_err,
            winograd,
            native_cpu,
            external_weights: _, // Cached bundles hold their weights.
            skip_rewrite,
        } = &self.options;
        let code = CompileOptions { native_cpu: *native_cpu, ..CompileOptions::default() };
        let backends: Vec<_> = self
            .backends
            .iter()
            .filter(|b| targets.iter().any(|t| t == b.name()))
            .map(|b| (b.name(), b.fingerprint(&code)))
            .collect();
        let options =
            (targets, set, buckets, max_rel_err.to_bits(), format!("{winograd:?}"), native_cpu, skip_rewrite, backends);
        let mut constants: Vec<String> = graph.constants.iter().map(|(hash, _)| hash.to_string()).collect();
        constants.sort();
        let mut hasher = blake3::Hasher::new();
        let parts = [
            concat!("tricot ", env!("CARGO_PKG_VERSION"), " ", env!("TRICOT_SOURCES")).to_string(),
            format!("format {} {options:?}", tricot_plan::FORMAT_VERSION),
            constants.join(" "),
            text::print(graph),
        ];
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The graph's bundle from the cache, compiled where it is not there. `stop_after` must not be set.
    pub fn compile_cached(
        &self,
        graph: Module,
        cache: &Cache,
        report: &mut Report,
        progress: &dyn Fn(&str),
    ) -> Result<Cached, Vec<Diagnostic>> {
        let key = self.cache_key(&graph);
        cache.get_or_make(&key, || self.compile(graph, report, progress)?.bundle_bytes())
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
        let mut result = TargetResult { name: name.into(), rewritten, choice, ..TargetResult::default() };
        if self.options.reaches(Stage::Schedule) {
            progress(&format!("scheduling for {name}"));
            result.variants = report.time("schedule", || self.schedules(graph, &module, name))?;
        }
        result.module = Some(module);
        self.finish(result, &graph.symbols, report, progress)
    }

    /// From schedules to code and plans.
    fn finish(
        &self,
        mut result: TargetResult,
        symbols: &SymbolTable,
        report: &mut Report,
        progress: &dyn Fn(&str),
    ) -> Result<TargetResult, Vec<Diagnostic>> {
        if self.options.reaches(Stage::Mlir) {
            let compiled = report.time("codegen", || self.code(symbols, &result, progress))?;
            if self.options.reaches(Stage::Plan) {
                for variant in &mut result.variants {
                    let plan = variant.schedule.finish(&compiled)?;
                    variant.plan = Some(Plan { symbols: variant.symbols.clone(), ..plan });
                }
            }
            result.compiled = Some(compiled);
        }
        report.targets.insert(result.name.clone(), summarise(&result, symbols));
        Ok(result)
    }

    /// The general sizes and every bucket.
    fn schedules(&self, graph: &Module, rewritten: &Module, target: &str) -> Result<Vec<Variant>, Vec<Diagnostic>> {
        let options = ScheduleOptions { target: target.into(), ..ScheduleOptions::default() };
        let schedule =
            |module: &Module| guard("schedule", || text::print(module), || tricot_schedule::schedule(module, &options));
        let mut variants = vec![];
        for bucket in &self.options.buckets {
            let mut module = rewritten.clone();
            crate::specialise::specialise(&mut module, bucket)?;
            let mut symbols = graph.symbols.clone();
            for (symbol, value) in bucket {
                if let Some(info) = symbols.get_mut(symbol) {
                    (info.min, info.max, info.hint) = (*value, *value, *value);
                }
            }
            variants.push(Variant { symbols, schedule: schedule(&module)?, plan: None });
        }
        variants.push(Variant { symbols: graph.symbols.clone(), schedule: schedule(rewritten)?, plan: None });
        Ok(variants)
    }

    /// Code for the kernels of all variants, equal kernels once: they are named by content.
    fn code(
        &self,
        symbols: &SymbolTable,
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
            symbols: symbols.clone(),
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
        if let (true, Some(graph)) = (wants(Stage::Graph), &self.graph) {
            files.insert(dump::file_name(Stage::Graph, None, None), text::print(graph));
        }
        for target in &self.targets {
            let name = Some(target.name.as_str());
            if let (true, Some(module)) = (wants(Stage::Rewrite), &target.module) {
                files.insert(dump::file_name(Stage::Rewrite, name, None), text::print(module));
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

    /// The weights that emitted schedules name without writing them out, as safetensors files to lie beside them.
    pub fn weight_files(&self) -> Result<BTreeMap<String, Vec<u8>>, Vec<Diagnostic>> {
        let mut files = BTreeMap::new();
        for target in self.targets.iter().filter(|_| self.options.emits(Stage::Schedule)) {
            let Some(main) = target.variants.last() else { continue };
            let mut module = Module::new(&self.interface.name);
            for constant in main.schedule.weights.values().filter(|c| !tricot_schedule::text::is_written_out(c)) {
                module.constants.add(constant.clone());
            }
            if module.constants.iter().next().is_some() {
                let schedule = dump::file_name(Stage::Schedule, Some(&target.name), None);
                let file = Path::new(&schedule).with_extension("safetensors");
                files.insert(file.display().to_string(), tricot_import::constants_bytes(&module)?);
            }
        }
        Ok(files)
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
            name: self.interface.name.clone(),
            inputs: self.interface.inputs.clone(),
            outputs: self.interface.outputs.clone(),
            symbols: self.symbols.clone(),
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
}

/// Checks a proof as stored in a bundle or a dump folder; with a source, also that it begins at that graph. Returns a line of summary.
pub fn check_proof(bytes: &[u8], name: &str, source: Option<&Module>) -> Result<String, Vec<Diagnostic>> {
    let proof = Proof::parse(name, bytes)?;
    tricot_proof::check(&proof, source)?;
    Ok(format!("{name}: {} steps hold", proof.steps()))
}
