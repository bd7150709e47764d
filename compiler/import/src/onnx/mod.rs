//! ONNX: reading model files and lowering their graphs to core and nn ops.
//!
//! [`import_bytes`] is the way in. The op table is [`table`]; the lowering of each op lives in `ops`, by theme. What the
//! rest of the compiler does with a graph is not known here.

mod call;
mod ctx;
mod custom;
mod eval;
mod graph;
mod ops;
pub mod proto;
pub mod table;
mod tensor;
mod wire;

use crate::ImportOptions;
use ctx::{Ctx, Slot};
use prost::Message;
use proto::{GraphProto, ModelProto, NodeProto};
use std::collections::BTreeSet;
use std::path::Path;
use tricot_dialects::{Attr, Builder, Constant, Function, Module};
use tricot_types::Diagnostic;

/// Largest model file, external data not counted; protobuf allows no more.
const MAX_FILE: u64 = 1 << 31;

/// Reads a model file.
pub fn import_path(path: &Path, options: &ImportOptions) -> Result<Module, Vec<Diagnostic>> {
    let shown = path.display().to_string();
    let failed = |e: std::io::Error| {
        vec![Diagnostic::error("TC0201", format!("cannot read `{shown}`: {e}")).with_help("check the path")]
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(vec![Diagnostic::error("TC0201", format!("`{shown}` is no file"))]);
    }
    let bytes = match meta.len() {
        0 => prost::bytes::Bytes::new(),
        n if n > MAX_FILE => return Err(vec![too_large(&shown, n)]),
        // SAFETY: the map is read only; a file truncated meanwhile faults, as with every mapped file.
        _ => prost::bytes::Bytes::from_owner(unsafe { memmap2::Mmap::map(&file) }.map_err(failed)?),
    };
    let folder = path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    import(bytes, &shown, folder, options)
}

/// Reads a model from memory; `name` stands for its file in messages. External data is refused.
pub fn import_bytes(bytes: Vec<u8>, name: &str, options: &ImportOptions) -> Result<Module, Vec<Diagnostic>> {
    import(bytes.into(), name, None, options)
}

fn too_large(file: &str, size: u64) -> Diagnostic {
    Diagnostic::error("TC0213", format!("`{file}` has {size} bytes, the limit is {MAX_FILE}"))
        .with_help("save the weights as external data")
}

fn import(
    bytes: prost::bytes::Bytes,
    file: &str,
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Result<Module, Vec<Diagnostic>> {
    if bytes.len() as u64 > MAX_FILE {
        return Err(vec![too_large(file, bytes.len() as u64)]);
    }
    wire::check(&bytes, file).map_err(|d| vec![d])?;
    let model = ModelProto::decode(bytes).map_err(|e| {
        vec![
            Diagnostic::error("TC0202", format!("the file is not a valid ONNX model: {e}"))
                .at_name(file, "")
                .with_help("fetch or export it again"),
        ]
    })?;
    let Some(graph) = &model.graph else {
        return Err(vec![
            Diagnostic::error("TC0202", "the file holds no graph")
                .at_byte(file, 0, "")
                .with_help("is it an ONNX model?"),
        ]);
    };
    // The checks above and in lowering are meant to be complete; an overflow they miss must still not take the host down.
    let lowered =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lower(&model, graph, file, folder, options)));
    lowered.unwrap_or_else(|payload| {
        if payload.is::<tricot_types::stop::Stopped>() {
            std::panic::resume_unwind(payload); // The user ended the work.
        }
        Err(vec![
            Diagnostic::error("TC1002", format!("importing `{file}` failed in a way that was not foreseen"))
                .with_help("please report the model"),
        ])
    })
}

fn lower(
    model: &ModelProto,
    graph: &GraphProto,
    file: &str,
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Result<Module, Vec<Diagnostic>> {
    let mut module = Module::new(if graph.name().is_empty() { "model" } else { graph.name() });
    let mut main = Function::new(Module::MAIN);
    let mut ctx = Ctx::new(Builder::new(&mut main, &mut module.constants), &mut module.symbols, options, file);
    ctx.external.folder = folder.map(Path::to_path_buf);
    for set in &model.opset_import {
        ctx.opsets.insert(graph::domain(set.domain()).into(), set.version());
    }
    for f in &model.functions {
        ctx.functions.insert((graph::domain(f.domain()).into(), f.name().into(), f.overload().into()), f);
    }
    let mut problems = survey(model, graph, &ctx);
    declare_inputs(&mut ctx, graph);
    ctx.lower_graph(graph);
    declare_outputs(&mut ctx, graph);
    // The survey has already listed what the table lacks.
    let surveyed: BTreeSet<String> = problems.iter().map(place).collect();
    let rest = std::mem::take(&mut ctx.problems);
    problems
        .extend(rest.into_iter().filter(|d| !matches!(d.code, "TC0203" | "TC0205") || !surveyed.contains(&place(d))));
    if !problems.is_empty() {
        return Err(problems.into_iter().map(|d| complete(d, file)).collect());
    }
    main.prune();
    let live: BTreeSet<_> = main
        .order()
        .into_iter()
        .filter_map(|id| match main.node(id).attrs.get("value") {
            Some(Attr::Constant(h)) => Some(*h),
            _ => None,
        })
        .collect();
    module.constants.retain(|h| live.contains(&h));
    module.ops = options.library.used_by(std::iter::once(&main));
    retain_symbols(&mut module, &main);
    module.add_function(main);
    Ok(module)
}

/// Reads a file that holds a single tensor, as ONNX test data does.
pub fn read_tensor(bytes: &[u8]) -> Result<Constant, Diagnostic> {
    let tensor = proto::TensorProto::decode(bytes)
        .map_err(|e| Diagnostic::error("TC0202", format!("the file is not a valid ONNX tensor: {e}")))?;
    tensor::constant(&tensor, &mut tensor::External::default())
}

/// Names of a model's inputs, weights left out, in order.
pub fn input_names(model: &[u8]) -> Result<Vec<String>, Diagnostic> {
    wire::check(model, "the model")?;
    let model = ModelProto::decode(model)
        .map_err(|e| Diagnostic::error("TC0202", format!("the file is not a valid ONNX model: {e}")))?;
    let graph = model.graph.unwrap_or_default();
    let weight = |name: &str| graph.initializer.iter().any(|t| t.name() == name);
    Ok(graph.input.iter().map(|i| i.name().to_string()).filter(|n| !weight(n)).collect())
}

/// Sees to it that a problem points somewhere and names a way out.
fn complete(mut d: Diagnostic, file: &str) -> Diagnostic {
    if d.labels.is_empty() {
        d = d.at_name(file, "");
    }
    let help = match d.code {
        _ if d.help.is_some() => return d,
        "TC0203" | "TC0204" | "TC0205" | "TC0210" => {
            "express this part of the model by ops and types that are supported"
        }
        "TC0212" => "the file is damaged or its exporter is at fault; export the model again",
        _ => "the model contradicts itself here; `onnx.checker.check_model(model, full_check=True)` may say more",
    };
    d.with_help(help)
}

fn place(d: &Diagnostic) -> String {
    format!("{} {:?}", d.code, d.labels.first().map(|l| &l.place))
}

/// Every node whose op or opset the table does not have, nested graphs and functions included.
fn survey(model: &ModelProto, graph: &GraphProto, ctx: &Ctx) -> Vec<Diagnostic> {
    let mut out = vec![];
    let mut stack: Vec<(&[NodeProto], Option<&proto::FunctionProto>)> = vec![(&graph.node, None)];
    stack.extend(model.functions.iter().map(|f| (f.node.as_slice(), Some(f))));
    while let Some((nodes, owner)) = stack.pop() {
        for (i, node) in nodes.iter().enumerate() {
            let home = graph::domain(node.domain());
            let key = (home.to_string(), node.op_type().to_string(), node.overload().to_string());
            let own = owner.and_then(|f| f.opset_import.iter().find(|s| graph::domain(s.domain()) == home));
            let version = own.map(|s| s.version()).or(ctx.opsets.get(home).copied()).unwrap_or(0);
            if !ctx.functions.contains_key(&key)
                && custom::find(&ctx.options.library, home, node.op_type()).is_none()
                && let Err(d) = table::find(home, node.op_type(), version)
            {
                out.push(d.at_node(&ctx.file, &graph::node_name(node, i), node.op_type(), ""));
            }
            for a in &node.attribute {
                stack.extend(a.g.iter().chain(&a.graphs).map(|g| (g.node.as_slice(), owner)));
            }
        }
    }
    out
}

fn declare_inputs(ctx: &mut Ctx, graph: &GraphProto) {
    let weights: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name()).collect();
    for info in &graph.input {
        let name = info.name();
        // Before IR version 4 every initializer was listed as an input too.
        if weights.contains(name) {
            continue;
        }
        let slot = match ctx.input_type(info) {
            Ok(ty) => match ctx.options.bind.get(name) {
                Some(value) if !fits(value, &ty) => {
                    let have = format!("{}{:?}", value.dtype, value.shape);
                    let d =
                        Diagnostic::error("TC0208", format!("input `{name}` is {ty}, the value given for it {have}"));
                    ctx.problems.push(d);
                    Slot::Poison
                }
                Some(_) => ctx.bound(name).unwrap_or(Slot::Poison),
                None => Slot::Value(ctx.b.input(name, ty)),
            },
            Err(d) => {
                ctx.problems.push(d.at_name(name, "this input"));
                Slot::Poison
            }
        };
        ctx.define(name, slot);
    }
}

fn fits(value: &Constant, ty: &tricot_dialects::TensorType) -> bool {
    let same = |(a, b): (&u64, &tricot_types::Poly)| b.as_constant().is_none_or(|b| b == *a as i64);
    value.dtype == ty.dtype && value.shape.len() == ty.rank() && value.shape.iter().zip(&ty.shape).all(same)
}

fn declare_outputs(ctx: &mut Ctx, graph: &GraphProto) {
    for info in &graph.output {
        let name = info.name();
        match ctx.lookup(name) {
            Some(Slot::Value(v)) => {
                if let Some(d) = contradiction(ctx, info, v) {
                    ctx.problems.push(d);
                }
                ctx.b.output(name, v);
            }
            Some(Slot::Poison) => {
                // Where nothing else was refused, the type of the output is what is wrong.
                if ctx.problems.is_empty() {
                    ctx.problems.push(Diagnostic::error("TC0206", format!("output `{name}` has no value")));
                }
            }
            None => ctx.problems.push(Diagnostic::error("TC0206", format!("no node produces the output `{name}`"))),
        }
    }
    if graph.output.is_empty() {
        ctx.problems.push(Diagnostic::error("TC0206", "the graph has no outputs").at_name(ctx.file.clone(), ""));
    }
}

/// A declared output type that the graph does not give.
fn contradiction(ctx: &Ctx, info: &proto::ValueInfoProto, v: tricot_dialects::ValueId) -> Option<Diagnostic> {
    let declared = tensor::declared(info.r#type.as_ref()?).ok()?;
    let have = ctx.ty(v);
    let element = declared.elem_type.filter(|e| *e != 0).and_then(|e| tensor::dtype(e).ok());
    let shape = declared.shape.as_ref();
    let differs = |i: usize| match shape?.dim[i].value.as_ref()? {
        proto::tensor_shape_proto::dimension::Value::DimValue(d) => Some(have.shape[i].as_constant()? != *d),
        _ => None,
    };
    let wrong = element.is_some_and(|e| e != have.dtype)
        || shape.is_some_and(|s| s.dim.len() != have.rank())
        || (0..have.rank()).any(|i| differs(i) == Some(true));
    wrong.then(|| {
        let sizes: Vec<String> = shape.map_or(vec![], |s| {
            let text = |d: &proto::tensor_shape_proto::Dimension| match &d.value {
                Some(proto::tensor_shape_proto::dimension::Value::DimValue(v)) => v.to_string(),
                Some(proto::tensor_shape_proto::dimension::Value::DimParam(p)) => p.clone(),
                None => "?".into(),
            };
            s.dim.iter().map(text).collect()
        });
        let element = element.map_or("?".into(), |e| e.to_string());
        Diagnostic::error(
            "TC0208",
            format!("output `{}` is declared {element}[{}], the graph gives {have}", info.name(), sizes.join(", ")),
        )
        .at_name(info.name(), "this output")
    })
}

fn retain_symbols(module: &mut Module, main: &Function) {
    let mut used = BTreeSet::new();
    for id in main.order() {
        let node = main.node(id);
        let in_attrs = node.attrs.iter().flat_map(|(_, a)| match a {
            Attr::Dim(p) => vec![p.clone()],
            Attr::Dims(ps) => ps.clone(),
            _ => vec![],
        });
        let in_types = node.results.iter().flat_map(|t| t.shape.clone());
        in_attrs.chain(in_types).for_each(|p| {
            p.visit_symbols(&mut |s| {
                used.insert(s.clone());
            })
        });
    }
    module.symbols.retain(|s, _| used.contains(s));
}
