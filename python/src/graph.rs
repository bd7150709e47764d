//! Graphs: read from a model, or built op by op; and the way from a graph to a compiled module.
//!
//! The central types are [`Graph`] and [`Value`], a result of an op in it. Every call infers its result types, so a graph in
//! Python is a verified one at any time.

use crate::attrs;
use crate::dlpack::{After, View};
use crate::error::{Outcome, entry};
use crate::module::{Module, Settings};
use crate::ops;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tricot_compiler::Source;
use tricot_dialects::builder::Builder;
use tricot_dialects::{Constant, ConstantStore, Function, OpDef, Output, TensorType, ValueId, text};
use tricot_types::{Bindings, Diagnostic, Poly, Symbol, SymbolInfo};

/// A graph of tensor ops, grown op by op.
///
/// Every call checks its operands and infers its results, so a mistake raises `tricot.Error` (TC01xx) where it is made and leaves
/// the graph as it was. Sizes are integers or text over symbols, such as "2*rows + 1".
#[pyclass(frozen, module = "tricot")]
pub struct Graph {
    state: Mutex<State>,
}

/// The entry function lies beside the module while it grows.
struct State {
    module: tricot_dialects::Module,
    main: Function,
}

/// A result of an op in a graph. `+ - * /` and negation work at every point, with numpy broadcasting; a number takes the
/// value's dtype.
#[pyclass(frozen, module = "tricot")]
pub struct Value {
    graph: Py<Graph>,
    id: ValueId,
}

impl Graph {
    fn of(mut module: tricot_dialects::Module) -> Graph {
        let main = module.functions.shift_remove(tricot_dialects::Module::MAIN);
        let main = main.unwrap_or_else(|| Function::new(tricot_dialects::Module::MAIN));
        Graph { state: Mutex::new(State { module, main }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The whole module, verified.
    fn finished(&self) -> Result<tricot_dialects::Module, Vec<Diagnostic>> {
        let state = self.state();
        if state.main.outputs.is_empty() {
            return Err(vec![
                Diagnostic::error("TC0110", format!("graph `{}` has no output", state.module.name))
                    .with_help("declare results with `graph.output(name, value)`"),
            ]);
        }
        let mut module = state.module.clone();
        module.add_function(state.main.clone());
        tricot_dialects::verify::verify(&module)?;
        Ok(module)
    }

    fn build<T>(&self, run: impl FnOnce(&mut Builder<'_>) -> Outcome<T>) -> Outcome<T> {
        let State { module, main } = &mut *self.state();
        let mut builder = Builder::new(main, &mut module.constants).with_callees(&module.functions);
        run(&mut builder)
    }

    /// The definition of an op: the registry's, one this graph has used, or one registered since.
    fn known_op(&self, name: &str) -> Outcome<&'static OpDef> {
        let module = &mut self.state().module;
        if let Some(def) = module.ops.lookup(name) {
            return Ok(def);
        }
        let def = ops::registered().lookup(name).ok_or_else(|| {
            Diagnostic::error("TC0103", format!("there is no op `{name}`"))
                .with_help("docs/reference/ops.md lists all ops; `tricot.register_op` adds your own")
        })?;
        let clash = |name: &str| {
            Diagnostic::error("TC0121", format!("this graph has used another `{name}`"))
                .with_help("it was registered again since; begin a new graph")
        };
        let scope = def.declaration().map(|op| op.scope.clone()).unwrap_or_default();
        module.ops.merge(&scope).map_err(clash)?;
        module.ops.insert(def);
        Ok(def)
    }

    fn ids(slf: &Bound<'_, Graph>, values: &[PyRef<'_, Value>]) -> Outcome<Vec<ValueId>> {
        let own = |v: &PyRef<'_, Value>| match v.graph.is(slf) {
            true => Ok(v.id),
            false => Err(Diagnostic::error("TC0110", "a value of another graph is no operand").into()),
        };
        values.iter().map(own).collect()
    }

    /// Symbols that were not declared may take any size.
    fn declare(&self, shape: &[Poly]) {
        let mut state = self.state();
        let mut add = |symbol: &Symbol| {
            state.module.symbols.entry(symbol.clone()).or_default();
        };
        shape.iter().for_each(|d| d.visit_symbols(&mut add));
    }
}

fn bindings(sizes: BTreeMap<String, i64>) -> Outcome<Bindings> {
    sizes.into_iter().map(|(name, value)| Ok((symbol(&name)?, value))).collect()
}

fn symbol(name: &str) -> Outcome<Symbol> {
    Ok(Symbol::new(name)
        .ok_or_else(|| Diagnostic::error("TC0912", format!("`{name}` is no symbol")).with_help("use an identifier"))?)
}

#[pymethods]
impl Graph {
    #[new]
    #[pyo3(signature = (name = "graph"))]
    fn new(name: &str) -> Graph {
        Graph::of(tricot_dialects::Module::new(name))
    }

    /// Reads `*.onnx`, or graph text with the safetensors files `weights`; `symbols` fixes sizes.
    #[staticmethod]
    #[pyo3(signature = (path, weights = vec![], symbols = BTreeMap::new()))]
    fn from_path(
        py: Python<'_>,
        path: std::path::PathBuf,
        weights: Vec<std::path::PathBuf>,
        symbols: BTreeMap<String, i64>,
    ) -> PyResult<Graph> {
        entry(py, || {
            let symbols = bindings(symbols)?;
            let source = Source { path, weights, library: ops::registered() };
            Ok(Graph::of(py.detach(|| source.load_at(&symbols))?))
        })
    }

    /// Reads a serialised ONNX model; `symbols` fixes sizes.
    #[staticmethod]
    #[pyo3(signature = (model, name = "<memory>", symbols = BTreeMap::new()))]
    fn from_onnx(py: Python<'_>, model: &[u8], name: &str, symbols: BTreeMap<String, i64>) -> PyResult<Graph> {
        entry(py, || {
            let bytes = model.to_vec();
            let symbols = bindings(symbols)?;
            Ok(Graph::of(py.detach(|| Source::load_onnx_bytes(bytes, name, &symbols, &ops::registered()))?))
        })
    }

    /// Reads graph text; `symbols` fixes sizes.
    #[staticmethod]
    #[pyo3(signature = (text, name = "<text>", symbols = BTreeMap::new()))]
    fn from_text(py: Python<'_>, text: &str, name: &str, symbols: BTreeMap<String, i64>) -> PyResult<Graph> {
        entry(py, || {
            let symbols = bindings(symbols)?;
            let mut module = text::parse_with(name, text, &ConstantStore::default(), &ops::registered())?;
            tricot_compiler::specialise::specialise(&mut module, &symbols)?;
            Ok(Graph::of(module))
        })
    }

    /// Declares a symbolic size and what is promised of it; `hint` is the size to optimise for. Returns the name.
    #[pyo3(signature = (name, min = 1, max = None, multiple = 1, hint = None))]
    fn symbol(
        &self,
        py: Python<'_>,
        name: &str,
        min: i64,
        max: Option<i64>,
        multiple: i64,
        hint: Option<i64>,
    ) -> PyResult<String> {
        entry(py, || {
            let symbol = symbol(name)?;
            let max = max.unwrap_or(i64::MAX);
            if min < 0 || multiple < 1 || max < min {
                let message = format!("symbol `{name}`: min {min}, max {max}, multiple {multiple} admit nothing");
                return Err(Diagnostic::error("TC0911", message).with_help("0 <= min <= max and 1 <= multiple").into());
            }
            let default = SymbolInfo::default();
            let hint = hint.unwrap_or(default.hint.clamp(min, max));
            self.state().module.symbols.insert(symbol, SymbolInfo { min, max, multiple, hint });
            Ok(name.to_string())
        })
    }

    /// Adds an input. Symbols in `shape` that were not declared may take any size.
    fn input(slf: &Bound<'_, Self>, name: &str, dtype: &Bound<'_, PyAny>, shape: &Bound<'_, PyAny>) -> PyResult<Value> {
        entry(slf.py(), || {
            let this = slf.get();
            let ty = TensorType::new(attrs::dtype(dtype)?, attrs::sizes(shape)?);
            if let Some(size) = ty.shape.iter().find(|d| d.as_constant().is_some_and(|c| c < 0)) {
                return Err(Diagnostic::error("TC0102", format!("input `{name}` has a size of {size}")).into());
            }
            this.declare(&ty.shape);
            if this.state().main.input_names().any(|n| n == name) {
                return Err(Diagnostic::error("TC0110", format!("there is an input `{name}` already")).into());
            }
            let id = this.build(|b| Ok(b.input(name, ty)))?;
            Ok(Value { graph: slf.clone().unbind(), id })
        })
    }

    /// A constant: a copy of a contiguous host tensor (anything with `__dlpack__`).
    #[pyo3(signature = (tensor, name = None))]
    fn constant(slf: &Bound<'_, Self>, tensor: &Bound<'_, PyAny>, name: Option<&str>) -> PyResult<Value> {
        entry(slf.py(), || {
            let constant = constant_of(tensor)?;
            let id = slf.get().build(|b| {
                if let Some(name) = name {
                    b.constants.add_named(name, constant.clone());
                }
                Ok(b.constant(constant)?)
            })?;
            Ok(Value { graph: slf.clone().unbind(), id })
        })
    }

    /// A constant of rank 0, rounded to `dtype`.
    fn scalar(slf: &Bound<'_, Self>, value: f64, dtype: &Bound<'_, PyAny>) -> PyResult<Value> {
        entry(slf.py(), || {
            let dtype = attrs::dtype(dtype)?;
            let id = slf.get().build(|b| Ok(b.scalar(dtype, value)?))?;
            Ok(Value { graph: slf.clone().unbind(), id })
        })
    }

    /// Any op by name, such as `op("nn.softmax", x, axis=1)`: a value, or a tuple of values for several results.
    /// docs/reference/ops.md lists all ops with their attributes.
    #[pyo3(signature = (op, *operands, **attributes))]
    fn op<'py>(
        slf: &Bound<'py, Self>,
        op: &str,
        operands: &Bound<'py, PyTuple>,
        attributes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        entry(py, || {
            let this = slf.get();
            let def = this.known_op(op)?;
            let operands = Graph::ids(slf, &values(operands)?)?;
            let attrs = attrs::attributes(def, attributes)?;
            let ids = this.build(|b| Ok(b.call(def, &operands, attrs)?))?;
            let wrap = |id| Bound::new(py, Value { graph: slf.clone().unbind(), id }).map(Bound::into_any);
            match ids[..] {
                [one] => Ok(wrap(one)?),
                _ => Ok(PyTuple::new(py, ids.into_iter().map(wrap).collect::<PyResult<Vec<_>>>()?)?.into_any()),
            }
        })
    }

    /// A scalar function ("exp", "relu", "max", ...) at every point, after numpy broadcasting.
    #[pyo3(signature = (function, *operands))]
    fn map(slf: &Bound<'_, Self>, function: &str, operands: &Bound<'_, PyTuple>) -> PyResult<Value> {
        entry(slf.py(), || {
            let operands = Graph::ids(slf, &values(operands)?)?;
            let id = slf.get().build(|b| Ok(b.map_broadcast(function, &operands)?))?;
            Ok(Value { graph: slf.clone().unbind(), id })
        })
    }

    /// numpy's `broadcast_to`.
    fn broadcast_to(slf: &Bound<'_, Self>, value: PyRef<'_, Value>, shape: &Bound<'_, PyAny>) -> PyResult<Value> {
        entry(slf.py(), || {
            let ids = Graph::ids(slf, &[value])?;
            let shape = attrs::sizes(shape)?;
            let id = slf.get().build(|b| Ok(b.broadcast_to(ids[0], &shape)?))?;
            Ok(Value { graph: slf.clone().unbind(), id })
        })
    }

    /// Declares an output. `alias` names the input whose memory it may take over.
    #[pyo3(signature = (name, value, alias = None))]
    fn output(slf: &Bound<'_, Self>, name: &str, value: PyRef<'_, Value>, alias: Option<&str>) -> PyResult<()> {
        entry(slf.py(), || {
            let ids = Graph::ids(slf, &[value])?;
            let mut state = slf.get().state();
            if state.main.outputs.iter().any(|o| o.name == name) {
                return Err(Diagnostic::error("TC0110", format!("there is an output `{name}` already")).into());
            }
            if let Some(alias) = alias.filter(|a| !state.main.input_names().any(|n| n == *a)) {
                return Err(Diagnostic::error("TC0110", format!("there is no input `{alias}`")).into());
            }
            state.main.outputs.push(Output { name: name.into(), value: ids[0], alias: alias.map(str::to_string) });
            Ok(())
        })
    }

    /// The gradient of `sum(seed * value)` over the pairs `(value, seed)` with respect to the values `wrt`; None where nothing
    /// flows. TC0117 for an op without a gradient.
    fn gradient(
        slf: &Bound<'_, Self>,
        seeds: Vec<(PyRef<'_, Value>, PyRef<'_, Value>)>,
        wrt: Vec<PyRef<'_, Value>>,
    ) -> PyResult<Vec<Option<Value>>> {
        entry(slf.py(), || {
            let (of, seed): (Vec<_>, Vec<_>) = seeds.into_iter().unzip();
            let (of, seed, wrt) = (Graph::ids(slf, &of)?, Graph::ids(slf, &seed)?, Graph::ids(slf, &wrt)?);
            let pairs: Vec<_> = of.into_iter().zip(seed).collect();
            let found = slf.get().build(|b| Ok(tricot_dialects::gradient::gradient(b, &pairs, &wrt)?))?;
            let wrap = |id| Value { graph: slf.clone().unbind(), id };
            Ok(found.into_iter().map(|v| v.map(wrap)).collect())
        })
    }

    /// The graph text, which `tricot.compile` reads back.
    fn text(&self, py: Python<'_>) -> PyResult<String> {
        entry(py, || Ok(text::print(&self.finished()?)))
    }

    /// Behind `tricot.compile`, which has the defaults.
    #[pyo3(signature = (targets, max_rel_err, winograd, buckets, native_cpu, sm90_program, ptxas))]
    #[allow(clippy::too_many_arguments, reason = "one caller, by keyword")]
    fn compile(
        &self,
        py: Python<'_>,
        targets: Vec<String>,
        max_rel_err: f64,
        winograd: &str,
        buckets: Vec<BTreeMap<String, i64>>,
        native_cpu: bool,
        sm90_program: Option<std::path::PathBuf>,
        ptxas: Option<String>,
    ) -> PyResult<Module> {
        entry(py, || {
            let buckets = buckets.into_iter().map(bindings).collect::<Outcome<Vec<_>>>()?;
            let settings = Settings::new(targets, max_rel_err, winograd, buckets, native_cpu, sm90_program, ptxas)?;
            let graph = Arc::new(self.finished()?);
            py.detach(|| Module::compile(graph, settings)).map_err(Into::into)
        })
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        self.text(py)
    }
}

/// Operands must be values: a number has no dtype of its own.
fn values<'py>(operands: &Bound<'py, PyTuple>) -> PyResult<Vec<PyRef<'py, Value>>> {
    let value = |o: Bound<'py, PyAny>| {
        let kind = o.get_type().name().map(|n| n.to_string()).unwrap_or_default();
        o.extract::<PyRef<'py, Value>>().map_err(|_| {
            PyTypeError::new_err(format!("operands are values of the graph, not `{kind}`; see `constant`"))
        })
    };
    operands.iter().map(value).collect()
}

fn constant_of(tensor: &Bound<'_, PyAny>) -> Outcome<Constant> {
    let view = View::of(tensor, "constant", After::Host)?;
    let fail = |what: String| Diagnostic::error("TC0841", format!("the constant {what}"));
    let dtype = view.dtype().ok_or_else(|| fail(format!("has element type {}", view.dtype_text())))?;
    if view.device() != Some(tricot_runtime::Device::Cpu) || !view.is_contiguous() {
        return Err(fail("is not contiguous in host memory".into()).with_help("copy it there first").into());
    }
    let shape: Vec<u64> = view.shape().iter().map(|d| u64::try_from(*d).unwrap_or(0)).collect();
    let bytes = tricot_runtime::tensor::tensor_bytes(dtype, &shape)? as usize;
    let data = match bytes {
        0 => vec![],
        // SAFETY: a contiguous host tensor of this dtype and shape has so many bytes.
        _ => unsafe { std::slice::from_raw_parts(view.pointer() as *const u8, bytes) }.to_vec(),
    };
    Ok(Constant::new(dtype, shape, Arc::new(data)).ok_or_else(|| fail("has a size that does not fit".into()))?)
}

impl Value {
    fn ty(&self) -> TensorType {
        self.graph.get().state().main.ty(self.id).clone()
    }

    /// `function(self, other)`, or reversed; a number takes this value's dtype.
    fn binary(slf: &Bound<'_, Self>, function: &str, other: &Bound<'_, PyAny>, reversed: bool) -> PyResult<Value> {
        entry(slf.py(), || {
            let this = slf.get();
            let graph = this.graph.bind(slf.py());
            let other = match other.extract::<f64>() {
                Ok(number) => {
                    let dtype = this.ty().dtype;
                    this.graph.get().build(|b| {
                        Ok(match dtype.is_float() {
                            true => b.scalar(dtype, number)?,
                            false => b.scalar_int(dtype, number as i64)?,
                        })
                    })?
                }
                Err(_) => Graph::ids(graph, &[other.extract::<PyRef<'_, Value>>().map_err(PyErr::from)?])?[0],
            };
            let pair = if reversed { [other, this.id] } else { [this.id, other] };
            let id = graph.get().build(|b| Ok(b.map_broadcast(function, &pair)?))?;
            Ok(Value { graph: graph.clone().unbind(), id })
        })
    }
}

#[pymethods]
impl Value {
    /// The element type's name.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.ty().dtype.name()
    }

    /// Sizes: integers, or text over symbols.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let sizes = self.ty().shape.into_iter().map(|d| match d.as_constant() {
            Some(n) => Ok(n.into_pyobject(py)?.into_any()),
            None => Ok(d.to_string().into_pyobject(py)?.into_any()),
        });
        PyTuple::new(py, sizes.collect::<PyResult<Vec<_>>>()?)
    }

    fn __add__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Value> {
        Value::binary(slf, "add", other, false)
    }

    fn __radd__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Value> {
        Value::binary(slf, "add", other, true)
    }

    fn __sub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Value> {
        Value::binary(slf, "sub", other, false)
    }

    fn __rsub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Value> {
        Value::binary(slf, "sub", other, true)
    }

    fn __mul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Value> {
        Value::binary(slf, "mul", other, false)
    }

    fn __rmul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Value> {
        Value::binary(slf, "mul", other, true)
    }

    fn __truediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Value> {
        Value::binary(slf, "div", other, false)
    }

    fn __rtruediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Value> {
        Value::binary(slf, "div", other, true)
    }

    fn __neg__(slf: &Bound<'_, Self>) -> PyResult<Value> {
        entry(slf.py(), || {
            let this = slf.get();
            let id = this.graph.get().build(|b| Ok(b.map("neg", &[this.id])?))?;
            Ok(Value { graph: this.graph.clone_ref(slf.py()), id })
        })
    }

    fn __repr__(&self) -> String {
        format!("Value({})", self.ty())
    }
}
