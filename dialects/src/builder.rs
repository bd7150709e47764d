//! Building functions: every call infers its result types, so a built graph is a verified one.

use crate::attr::Attrs;
use crate::constant::{Constant, ConstantStore};
use crate::custom::OpSet;
use crate::graph::{Function, Module, Origin, Output, ValueId};
use crate::op::{OpDef, OpView};
use crate::registry;
use crate::scalar::ScalarFn;
use crate::ty::TensorType;
use indexmap::IndexMap;
use std::sync::Arc;
use tricot_types::{DType, Diagnostic, Poly};

/// Appends op calls to a function.
pub struct Builder<'m> {
    pub function: &'m mut Function,
    pub constants: &'m mut ConstantStore,
    callees: Option<&'m IndexMap<String, Function>>,
    ops: Option<&'m OpSet>,
    /// Attached to every node added.
    pub origin: Option<Arc<Origin>>,
}

/// Builds a whole `main` and puts it into a module.
///
/// ```
/// use tricot_dialects::{Module, TensorType, builder::build_main};
/// use tricot_types::DType;
/// let mut module = Module::new("example");
/// build_main(&mut module, |b| {
///     let x = b.input("x", TensorType::new(DType::F32, [4, 8]));
///     let y = b.map("relu", &[x])?;
///     b.output("y", y);
///     Ok(())
/// })
/// .unwrap();
/// assert_eq!(module.main().unwrap().output_types()[0].to_string(), "f32[4, 8]");
/// ```
pub fn build_main(
    module: &mut Module,
    build: impl FnOnce(&mut Builder<'_>) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
    let mut function = Function::new(Module::MAIN);
    let builder = Builder::new(&mut function, &mut module.constants);
    build(&mut builder.with_callees(&module.functions).with_ops(&module.ops))?;
    module.add_function(function);
    Ok(())
}

impl<'m> Builder<'m> {
    /// A builder that appends to `function`.
    pub fn new(function: &'m mut Function, constants: &'m mut ConstantStore) -> Builder<'m> {
        Builder { function, constants, callees: None, ops: None, origin: None }
    }

    /// Lets `core.call` see these functions.
    pub fn with_callees(mut self, callees: &'m IndexMap<String, Function>) -> Builder<'m> {
        self.callees = Some(callees);
        self
    }

    /// Lets [`Builder::op`] find declared ops.
    pub fn with_ops(mut self, ops: &'m OpSet) -> Builder<'m> {
        self.ops = Some(ops);
        self
    }

    /// Type of a value.
    pub fn ty(&self, value: ValueId) -> &TensorType {
        self.function.ty(value)
    }

    /// Adds a function input.
    pub fn input(&mut self, name: &str, ty: TensorType) -> ValueId {
        self.function.add_input(name, ty)
    }

    /// Declares a function output.
    pub fn output(&mut self, name: &str, value: ValueId) {
        self.function.outputs.push(Output { name: name.into(), value, alias: None });
    }

    /// Adds any op by name; all results.
    pub fn op(&mut self, name: &str, operands: &[ValueId], attrs: Attrs) -> Result<Vec<ValueId>, Diagnostic> {
        let def = self.ops.map_or_else(|| registry::lookup(name), |ops| ops.lookup(name));
        let def = def.ok_or_else(|| Diagnostic::error("TC0103", format!("there is no op `{name}`")))?;
        self.call(def, operands, attrs)
    }

    /// Adds any op by definition; all results.
    pub fn call(
        &mut self,
        def: &'static OpDef,
        operands: &[ValueId],
        attrs: Attrs,
    ) -> Result<Vec<ValueId>, Diagnostic> {
        let fail = |message: String| {
            let d = Diagnostic::error("TC0110", format!("`{}`: {message}", def.name));
            match &self.origin {
                Some(o) => d.at_node(&o.file, &o.node, &o.op, ""),
                None => d,
            }
        };
        let attrs = def.complete(attrs).map_err(fail)?;
        let types: Vec<_> = operands.iter().map(|v| self.ty(*v).clone()).collect();
        let constant = match attrs.get("value") {
            Some(crate::Attr::Constant(h)) => self.constants.get(*h),
            _ => None,
        };
        let callee = match (def.name, self.callees) {
            ("core.call", Some(map)) => map.get(attrs.str("callee")),
            _ => None,
        };
        let signature = callee.map(|f| (f.input_types(), f.output_types()));
        let view = OpView {
            def,
            operands: &types,
            attrs: &attrs,
            constant,
            callee: signature.as_ref().map(|(a, b)| (a.as_slice(), b.as_slice())),
        };
        let results = def.infer(view).map_err(fail)?;
        let count = results.len() as u32;
        let node = self.function.add_node(def, attrs, operands.to_vec(), results, self.origin.clone());
        Ok((0..count).map(|result| ValueId { node, result }).collect())
    }

    /// Adds an op and returns its first result.
    pub fn one(&mut self, name: &str, operands: &[ValueId], attrs: Attrs) -> Result<ValueId, Diagnostic> {
        Ok(self.op(name, operands, attrs)?[0])
    }

    // The ops most code needs, by name.

    /// `core.constant`.
    pub fn constant(&mut self, constant: Constant) -> Result<ValueId, Diagnostic> {
        let hash = self.constants.add(constant);
        self.one("core.constant", &[], Attrs::new().with("value", hash))
    }

    /// A rank-0 constant, rounded to `dtype`.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> Result<ValueId, Diagnostic> {
        self.constant(Constant::from_f64(dtype, vec![], &[value]))
    }

    /// A rank-0 integer constant.
    pub fn scalar_int(&mut self, dtype: DType, value: i64) -> Result<ValueId, Diagnostic> {
        self.constant(Constant::from_i64(dtype, vec![], &[value]))
    }

    /// A constant broadcast to `shape`.
    pub fn full(&mut self, dtype: DType, value: f64, shape: &[Poly]) -> Result<ValueId, Diagnostic> {
        let scalar = self.scalar(dtype, value)?;
        self.broadcast(scalar, shape, &[])
    }

    /// `core.map` with operands of equal shape.
    pub fn map(&mut self, function: &str, operands: &[ValueId]) -> Result<ValueId, Diagnostic> {
        self.one("core.map", operands, Attrs::new().with("fn", function))
    }

    /// `core.map` after numpy broadcasting of the operands.
    pub fn map_broadcast(&mut self, function: &str, operands: &[ValueId]) -> Result<ValueId, Diagnostic> {
        let operands = self.broadcast_together(operands)?;
        self.map(function, &operands)
    }

    /// `core.map` of `x` with a scalar constant of its dtype: `function(x, value)`.
    pub fn map_scalar(&mut self, function: &str, x: ValueId, value: f64) -> Result<ValueId, Diagnostic> {
        let ty = self.ty(x).clone();
        let c = self.full(ty.dtype, value, &ty.shape)?;
        self.map(function, &[x, c])
    }

    /// numpy broadcasting: right-aligned axes, size 1 stretches. Values that already fit are returned unchanged.
    pub fn broadcast_together(&mut self, values: &[ValueId]) -> Result<Vec<ValueId>, Diagnostic> {
        let mut shape: Vec<Poly> = vec![];
        for v in values {
            shape = broadcast_shapes(&shape, &self.ty(*v).shape).map_err(|m| Diagnostic::error("TC0111", m))?;
        }
        values.iter().map(|v| self.broadcast_to(*v, &shape)).collect()
    }

    /// numpy `broadcast_to`.
    pub fn broadcast_to(&mut self, value: ValueId, shape: &[Poly]) -> Result<ValueId, Diagnostic> {
        let rank = self.ty(value).rank();
        if self.ty(value).shape == shape {
            return Ok(value);
        }
        let skip = shape.len().saturating_sub(rank);
        let axes: Vec<i64> = (0..rank).map(|i| (i + skip) as i64).collect();
        self.broadcast(value, shape, &axes)
    }

    /// `core.broadcast`: operand axis `i` becomes result axis `axes[i]`.
    pub fn broadcast(&mut self, value: ValueId, shape: &[Poly], axes: &[i64]) -> Result<ValueId, Diagnostic> {
        self.one("core.broadcast", &[value], Attrs::new().with("shape", shape.to_vec()).with("axes", axes.to_vec()))
    }

    /// `core.reduce` over `axes`, which disappear.
    pub fn reduce(&mut self, kind: &str, value: ValueId, axes: &[i64]) -> Result<ValueId, Diagnostic> {
        if axes.is_empty() {
            return Ok(value);
        }
        self.one("core.reduce", &[value], Attrs::new().with("kind", kind).with("axes", axes.to_vec()))
    }

    /// `core.reduce` that keeps reduced axes with size 1.
    pub fn reduce_keep(&mut self, kind: &str, value: ValueId, axes: &[i64]) -> Result<ValueId, Diagnostic> {
        let mut shape = self.ty(value).shape.clone();
        axes.iter().for_each(|a| shape[*a as usize] = Poly::constant(1));
        let reduced = self.reduce(kind, value, axes)?;
        self.reshape(reduced, &shape)
    }

    /// `core.contract`: an einsum such as `bij,bjk->bik`, result in `dtype`.
    pub fn contract(&mut self, spec: &str, operands: &[ValueId], dtype: DType) -> Result<ValueId, Diagnostic> {
        self.one("core.contract", operands, Attrs::new().with("spec", spec).with("dtype", dtype))
    }

    /// `core.reshape`; nothing when the shape is already right.
    pub fn reshape(&mut self, value: ValueId, shape: &[Poly]) -> Result<ValueId, Diagnostic> {
        if self.ty(value).shape == shape {
            return Ok(value);
        }
        self.one("core.reshape", &[value], Attrs::new().with("shape", shape.to_vec()))
    }

    /// `core.transpose`: result axis `i` is operand axis `perm[i]`; nothing for the identity.
    pub fn transpose(&mut self, value: ValueId, perm: &[i64]) -> Result<ValueId, Diagnostic> {
        if perm.iter().enumerate().all(|(i, p)| i as i64 == *p) {
            return Ok(value);
        }
        self.one("core.transpose", &[value], Attrs::new().with("perm", perm.to_vec()))
    }

    /// `core.slice`: elements `start + i * step` for `i < size`, per axis.
    pub fn slice(&mut self, v: ValueId, start: &[Poly], size: &[Poly], step: &[i64]) -> Result<ValueId, Diagnostic> {
        let attrs = Attrs::new().with("start", start.to_vec()).with("size", size.to_vec()).with("step", step.to_vec());
        self.one("core.slice", &[v], attrs)
    }

    /// `core.pad` with a constant of the operand's dtype.
    pub fn pad(&mut self, v: ValueId, low: &[Poly], high: &[Poly], value: f64) -> Result<ValueId, Diagnostic> {
        let fill = self.scalar(self.ty(v).dtype, value)?;
        let interior = vec![0i64; low.len()];
        let attrs = Attrs::new().with("low", low.to_vec()).with("high", high.to_vec()).with("interior", interior);
        self.one("core.pad", &[v, fill], attrs)
    }

    /// `core.concat`.
    pub fn concat(&mut self, values: &[ValueId], axis: i64) -> Result<ValueId, Diagnostic> {
        self.one("core.concat", values, Attrs::new().with("axis", axis))
    }

    /// `core.cast`, round mode; nothing when the dtype is already right.
    pub fn cast(&mut self, value: ValueId, to: DType) -> Result<ValueId, Diagnostic> {
        if self.ty(value).dtype == to {
            return Ok(value);
        }
        self.one("core.cast", &[value], Attrs::new().with("to", to))
    }

    /// `core.select` with operands of equal shape.
    pub fn select(&mut self, cond: ValueId, then: ValueId, other: ValueId) -> Result<ValueId, Diagnostic> {
        self.one("core.select", &[cond, then, other], Attrs::new())
    }

    /// `core.iota`: positions along `axis`.
    pub fn iota(&mut self, dtype: DType, shape: &[Poly], axis: i64) -> Result<ValueId, Diagnostic> {
        let attrs = Attrs::new().with("dtype", dtype).with("shape", shape.to_vec()).with("axis", axis);
        self.one("core.iota", &[], attrs)
    }

    /// `core.size`: a polynomial as an i64 scalar.
    pub fn size(&mut self, value: &Poly) -> Result<ValueId, Diagnostic> {
        self.one("core.size", &[], Attrs::new().with("value", value.clone()))
    }

    /// Copies another function's live nodes into this one, inputs replaced by `arguments`; returns its outputs.
    pub fn inline(&mut self, callee: &Function, arguments: &[ValueId]) -> Vec<ValueId> {
        let mut image: std::collections::BTreeMap<ValueId, ValueId> =
            callee.inputs().zip(arguments.iter().copied()).collect();
        for id in callee.live_order() {
            let node = callee.node(id);
            if node.op.name == "core.argument" {
                continue;
            }
            let operands = node.operands().iter().map(|v| image[v]).collect();
            let new = self.function.add_node(
                node.op,
                node.attrs.clone(),
                operands,
                node.results.clone(),
                node.origin.clone().or_else(|| self.origin.clone()),
            );
            for result in 0..node.results.len() as u32 {
                image.insert(ValueId { node: id, result }, ValueId { node: new, result });
            }
        }
        callee.outputs.iter().map(|o| image[&o.value]).collect()
    }
}

/// numpy broadcasting of two shapes; the message names the sizes that differ.
pub fn broadcast_shapes(a: &[Poly], b: &[Poly]) -> Result<Vec<Poly>, String> {
    let rank = a.len().max(b.len());
    (0..rank)
        .map(|i| {
            let at = |s: &[Poly]| (i + s.len()).checked_sub(rank).map(|j| s[j].clone());
            match (at(a), at(b)) {
                (Some(x), Some(y)) if x == y || y.is_one() => Ok(x),
                (Some(x), Some(y)) if x.is_one() => Ok(y),
                (Some(x), Some(y)) => Err(format!("sizes {x} and {y} cannot be broadcast together")),
                (Some(x), None) | (None, Some(x)) => Ok(x),
                (None, None) => unreachable!("rank is the larger of the two"),
            }
        })
        .collect()
}

/// Whether a scalar function exists, for readers of names.
pub fn is_scalar_fn(name: &str) -> bool {
    name.parse::<ScalarFn>().is_ok()
}
