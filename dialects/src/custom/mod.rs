//! Ops that a user declares: a name, parameters, a body in graph text that says what the op means, and kernels if there are any.
//!
//! The central types are [`CustomOp`], one declaration, and [`OpSet`], those a module knows beside the registry's. A declaration is
//! text and travels with the module's text; [`crate::text`] reads it. Its body is generic: sizes, element types and attributes are
//! filled in for each call, and types are inferred by building the body. Knows no target.
//!
//! ```text
//! op @mylib.gate(%x: T[rows, cols], %gain: T[cols], $alpha: float = 1.0) {
//!   %g = core.broadcast %gain {axes = [1], shape = [rows, cols]} : T[rows, cols]
//!   %a = nn.elu %x {alpha = $alpha} : T[rows, cols]
//!   %y = core.map %a, %g {fn = "mul"} : T[rows, cols]
//!   return "y" = %y
//! }
//! ```

mod kernel;
mod set;

pub use kernel::{Argument, CallArgument, Code, CustomKernel, GridSize, KernelCall};
pub use set::OpSet;

use crate::attr::{Attr, Attrs};
use crate::builder::Builder;
use crate::constant::{ConstantStore, Hash};
use crate::graph::{Function, ValueId};
use crate::op::{AttrDef, DefaultAttr, Meaning, OpDef, OpView, OperandDef, ResultDef, Work, one};
use crate::text::Template;
use crate::ty::TensorType;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use tricot_types::{DType, Diagnostic, Poly, Symbol};

/// An operand of a declaration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    pub name: String,
    pub dtype: ParameterType,
    /// A symbol that no earlier parameter has stands for the operand's size; anything else must equal it.
    pub shape: Vec<Poly>,
}

/// The element type of an operand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParameterType {
    Is(DType),
    /// Any; the name stands for it.
    Any(String),
}

/// What the names of a declaration stand for in one call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Generics {
    pub dtypes: BTreeMap<String, DType>,
    /// Sizes, and attributes that are integers or sizes.
    pub sizes: BTreeMap<Symbol, Poly>,
    pub attrs: Attrs,
}

/// A body filled in for one call.
#[derive(Clone, Debug)]
pub struct Instance {
    pub function: Function,
    pub constants: ConstantStore,
}

/// One declaration. Two are the same if their [`key`](CustomOp::key) is.
pub struct CustomOp {
    pub name: String,
    /// As written, from `op` to the last brace.
    pub text: String,
    /// Digest of the text and of the declarations it uses.
    pub key: Hash,
    pub parameters: Vec<Parameter>,
    pub kernels: Vec<CustomKernel>,
    /// Declared ops that the body may use.
    pub scope: OpSet,
    /// The body, ready to be filled in.
    pub template: Template,
    /// Calls that one call comes to when all declarations are filled in.
    pub weight: u64,
    /// How many declarations deep the body is, itself included.
    pub depth: usize,
    instances: Mutex<BTreeMap<(Vec<TensorType>, Attrs), Result<Arc<Instance>, Box<Diagnostic>>>>,
}

/// Instances kept by declaration.
const MAX_INSTANCES: usize = 256;

/// Bodies deeper than this, each using the one before, are refused.
pub const MAX_DEPTH: usize = 16;

/// What the reader of text gathers about a declaration.
pub struct Declaration {
    pub name: String,
    pub text: String,
    pub parameters: Vec<Parameter>,
    /// Attributes: name, definition's kind, default.
    pub attrs: Vec<(String, crate::AttrKind, Option<Attr>)>,
    pub results: Vec<String>,
    pub kernels: Vec<CustomKernel>,
    pub scope: OpSet,
    pub template: Template,
    pub weight: u64,
    pub depth: usize,
}

/// `name` for as long as the process lives; equal names once.
pub fn lasting(name: &str) -> &'static str {
    static NAMES: LazyLock<Mutex<BTreeSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(|e| e.into_inner());
    match names.get(name) {
        Some(known) => known,
        None => {
            let new: &'static str = Box::leak(name.to_string().into_boxed_str());
            names.insert(new);
            new
        }
    }
}

impl Declaration {
    /// The op's definition. Equal declarations give the same one; a definition lives as long as the process.
    pub fn define(self) -> &'static OpDef {
        static DEFINED: LazyLock<Mutex<BTreeMap<Hash, &'static OpDef>>> = LazyLock::new(Mutex::default);
        let key = self.key();
        let mut defined = DEFINED.lock().unwrap_or_else(|e| e.into_inner());
        *defined.entry(key).or_insert_with(|| self.leak(key))
    }

    fn key(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        part(self.text.as_bytes());
        for used in self.scope.declared() {
            part(&used.key.0);
        }
        Hash(*hasher.finalize().as_bytes())
    }

    fn leak(self, key: Hash) -> &'static OpDef {
        let word = lasting;
        let name = word(&self.name);
        let operands: Vec<OperandDef> = self.parameters.iter().map(|p| one(word(&p.name), "")).collect();
        let attrs = self.attrs.into_iter().map(|(name, kind, default)| AttrDef {
            name: word(&name),
            kind,
            default: default.map(|value| DefaultAttr::Held(Box::leak(Box::new(value)))),
            doc: "",
        });
        let attrs: Vec<AttrDef> = attrs.collect();
        let results: Vec<ResultDef> = self.results.iter().map(|r| ResultDef { name: word(r), doc: "" }).collect();
        let op = CustomOp {
            name: self.name,
            text: self.text,
            key,
            parameters: self.parameters,
            kernels: self.kernels,
            scope: self.scope,
            template: self.template,
            weight: self.weight,
            depth: self.depth,
            instances: Mutex::default(),
        };
        Box::leak(Box::new(OpDef {
            name,
            summary: "Declared beside the model.",
            doc: "",
            operands: operands.leak(),
            attrs: attrs.leak(),
            results: results.leak(),
            infer,
            meaning: Meaning::Declared(Box::leak(Box::new(op))),
            work,
            vjp: None,
        }))
    }
}

impl CustomOp {
    /// What the declaration's names stand for in a call; says which operand does not fit.
    pub fn bind(&self, operands: &[TensorType], attrs: &Attrs) -> Result<Generics, String> {
        let mut out = Generics { attrs: attrs.clone(), ..Generics::default() };
        for (name, value) in attrs.iter() {
            let size = match value {
                Attr::Int(v) => Poly::constant(*v),
                Attr::Dim(p) => p.clone(),
                _ => continue,
            };
            out.sizes.extend(Symbol::new(name).map(|s| (s, size)));
        }
        for (p, ty) in self.parameters.iter().zip(operands) {
            if ty.encoding.is_some() {
                return Err(format!("operand `{}` is {ty}; declared ops take plain tensors", p.name));
            }
            let wanted = match &p.dtype {
                ParameterType::Is(dtype) => *dtype,
                ParameterType::Any(name) => *out.dtypes.entry(name.clone()).or_insert(ty.dtype),
            };
            if ty.dtype != wanted {
                return Err(format!("operand `{}` is {}, {wanted} expected", p.name, ty.dtype));
            }
            if ty.rank() != p.shape.len() {
                return Err(format!("operand `{}` has rank {}, {} expected", p.name, ty.rank(), p.shape.len()));
            }
            for (axis, (wanted, have)) in p.shape.iter().zip(&ty.shape).enumerate() {
                if let Some(symbol) = wanted.as_symbol().filter(|s| !out.sizes.contains_key(*s)) {
                    out.sizes.insert(symbol.clone(), have.clone());
                    continue;
                }
                let known = wanted.substitute(&out.sizes);
                if known != *have {
                    return Err(format!("axis {axis} of operand `{}` is {have}, {wanted} is {known}", p.name));
                }
            }
        }
        Ok(out)
    }

    /// The body for a call with these operands and (complete) attributes.
    pub fn instance(&self, operands: &[TensorType], attrs: &Attrs) -> Result<Arc<Instance>, Box<Diagnostic>> {
        let key = (operands.to_vec(), attrs.clone());
        let lock = || self.instances.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(known) = lock().get(&key) {
            return known.clone();
        }
        let problem = |message: String| Box::new(Diagnostic::error("TC0110", format!("`{}`: {message}", self.name)));
        let made = self
            .bind(operands, attrs)
            .map_err(problem)
            .and_then(|generics| self.template.fill(self, operands, generics).map(Arc::new));
        let mut instances = lock();
        if instances.len() >= MAX_INSTANCES {
            instances.clear();
        }
        instances.insert(key, made.clone());
        made
    }

    /// Appends the body of one call; see [`OpDef::decompose`].
    pub fn expand(&self, b: &mut Builder<'_>, attrs: &Attrs, operands: &[ValueId]) -> Result<Vec<ValueId>, Diagnostic> {
        let types: Vec<TensorType> = operands.iter().map(|v| b.ty(*v).clone()).collect();
        let instance = self.instance(&types, attrs).map_err(|d| *d)?;
        for (_, constant) in instance.constants.iter() {
            b.constants.add(constant.clone());
        }
        Ok(b.inline(&instance.function, operands))
    }
}

fn declared(view: &OpView<'_>) -> &'static CustomOp {
    view.def.declaration().expect("these functions belong to declared ops alone")
}

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let op = declared(&view);
    match op.instance(view.operands, view.attrs) {
        Ok(instance) => Ok(instance.function.output_types()),
        // The place is the caller's to name.
        Err(d) => Err(d.message.strip_prefix(&format!("`{}`: ", op.name)).unwrap_or(&d.message).to_string()),
    }
}

fn work(view: OpView<'_>) -> Work {
    let Ok(instance) = declared(&view).instance(view.operands, view.attrs) else { return Work::default() };
    let function = &instance.function;
    let mut flops = Poly::default();
    for id in function.live_order() {
        let node = function.node(id);
        let operands: Vec<TensorType> = node.operands().iter().map(|v| function.ty(*v).clone()).collect();
        let inner = OpView { def: node.op, operands: &operands, attrs: &node.attrs, constant: None, callee: None };
        flops = flops.checked_add(&(node.op.work)(inner).flops).unwrap_or(flops);
    }
    Work { flops }
}
