//! The state of one function being emitted: what is bound, what is known, and expression evaluation.
//!
//! The central type is [`Emit`]. An expression is evaluated once in the outermost scope where its variables are bound;
//! scopes open and close with loops and branches, so a remembered value always dominates its use. Knows how to evaluate
//! a node, not how loops are arranged.

use crate::value::Val;
use cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, ExtFuncData, ExternalName, FuncRef, Function, Inst, InstBuilder, MemFlagsData,
    Signature, StackSlot, StackSlotData, StackSlotKind, UserExternalName, UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tricot_kernel::{Buffer, Const, Expr, ExprId, Exprs, LoopVar};
use tricot_plan::helpers::Slot;
use tricot_types::{Atom, DType, Diagnostic, Poly, Symbol};

/// What a node depends on.
#[derive(Clone, Default, Debug)]
pub struct Deps {
    pub vars: BTreeSet<LoopVar>,
    /// Accumulators and carries, by (is carry, stage, number).
    pub values: BTreeSet<(bool, u32, u32)>,
    pub loads: bool,
}

/// The dependencies of every node, operands before users.
pub fn dependencies(exprs: &Exprs) -> Vec<Deps> {
    let mut all: Vec<Deps> = vec![];
    for (id, node) in exprs.iter() {
        let mut deps = Deps::default();
        match &node.expr {
            Expr::Var(v) => {
                deps.vars.insert(*v);
            }
            Expr::Acc { stage, acc } => {
                deps.values.insert((false, *stage, *acc));
            }
            Expr::Carry { stage, carry } => {
                deps.values.insert((true, *stage, *carry));
            }
            Expr::Load { index, .. } => {
                deps.loads = true;
                deps.vars.extend(index.affine.keys());
            }
            _ => {}
        }
        exprs.operands(id, |o| {
            let other = &all[o.0 as usize];
            deps.vars.extend(&other.vars);
            deps.values.extend(&other.values);
            deps.loads |= other.loads;
        });
        all.push(deps);
    }
    all
}

/// A buffer while code runs: where it starts and what it holds.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub at: Value,
    pub dtype: DType,
}

/// What all functions of a kernel share.
pub struct Shared<'a> {
    pub exprs: &'a Exprs,
    pub deps: &'a [Deps],
    pub buffers: &'a [Buffer],
    pub symbols: &'a [Symbol],
    pub isa: &'a dyn TargetIsa,
}

/// See the module page.
pub struct Emit<'a> {
    pub b: FunctionBuilder<'a>,
    pub exprs: &'a Exprs,
    pub deps: &'a [Deps],
    pub table: Value,
    pub buffers: Vec<Bound>,
    symbols: BTreeMap<Symbol, Value>,
    /// Lanes of a vector value in this function.
    pub lanes: usize,
    /// The variable that stands for `lanes` consecutive values at the moment.
    pub vec: Option<LoopVar>,
    /// Values of bound loop variables (of lane 0 for the vector variable), in binding order.
    pub vars: Vec<(LoopVar, Value)>,
    /// Values of finished accumulators and of carries, by (is carry, stage, number).
    pub values: HashMap<(bool, u32, u32), Val>,
    memo: Vec<HashMap<ExprId, Val>>,
    polys: Vec<HashMap<Poly, Value>>,
    /// The first thing that could not be compiled.
    pub error: Option<Diagnostic>,
    /// Block to jump to with a status when scratch memory cannot be had.
    pub fail: Option<Block>,
    /// Memory bits of registers that were just rounded to a small float: a store need not round again.
    pub encoded: HashMap<Value, Value>,
    /// Guards known to hold where code is being emitted.
    pub assumed: BTreeSet<ExprId>,
    /// Eight bytes that may always be read, for guarded loads.
    pub spare_slot: Option<StackSlot>,
}

/// Memory flags of element accesses: never traps (sizes were checked before), aligned to nothing.
pub fn element_flags() -> MemFlagsData {
    let mut flags = MemFlagsData::new();
    flags.set_notrap();
    flags
}

/// The signature of an entry point: `(table, buffers, symbols) -> i32`.
pub fn entry_signature() -> Signature {
    let mut s = Signature::new(CallConv::SystemV);
    s.params.extend([types::I64; 3].map(AbiParam::new));
    s.returns.push(AbiParam::new(types::I32));
    s
}

/// The signature of a parallel body: `(context, begin, end)`.
pub fn body_signature() -> Signature {
    let mut s = Signature::new(CallConv::SystemV);
    s.params.extend([types::I64; 3].map(AbiParam::new));
    s
}

/// Emits the entry of a kernel: a context on the stack and one call of `parallel_for` over function 1 of the unit.
/// `space` computes the number of points and the grain.
pub fn entry_function(
    shared: &Shared,
    space: impl FnOnce(&mut Emit) -> (Value, Value),
) -> Result<Function, Diagnostic> {
    let mut func = Function::with_name_signature(UserFuncName::user(0, 0), entry_signature());
    let mut context = FunctionBuilderContext::new();
    let mut e = Emit::new(FunctionBuilder::new(&mut func, &mut context), shared);
    let params = e.start();
    // Context: table, buffers, symbols, status.
    let slot = e.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 32, 3));
    let at = e.b.ins().stack_addr(types::I64, slot, 0);
    for (i, p) in params.iter().enumerate() {
        e.b.ins().store(element_flags(), *p, at, i as i32 * 8);
    }
    let zero = e.i64(0);
    e.b.ins().store(element_flags(), zero, at, 24);
    e.load_arguments(params[0], params[1], params[2], shared);
    let (total, grain) = space(&mut e);
    let body = e.function_address(1);
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([types::I64; 4].map(AbiParam::new));
    e.call_helper(Slot::ParallelFor, signature, &[body, at, total, grain]);
    let status = e.b.ins().load(types::I32, element_flags(), at, 24);
    e.b.ins().return_(&[status]);
    e.finish(shared.isa)?;
    Ok(func)
}

/// Emits the parallel body of a kernel; `run` gets the range of points. `virtuals` scratch buffers follow the real ones.
pub fn body_function(
    shared: &Shared,
    lanes: usize,
    virtuals: &[DType],
    run: impl FnOnce(&mut Emit, Value, Value),
) -> Result<Function, Diagnostic> {
    let mut func = Function::with_name_signature(UserFuncName::user(0, 1), body_signature());
    let mut context = FunctionBuilderContext::new();
    let mut e = Emit::new(FunctionBuilder::new(&mut func, &mut context), shared);
    e.lanes = lanes;
    let params = e.start();
    let fields: Vec<Value> = (0..3).map(|i| e.b.ins().load(types::I64, element_flags(), params[0], i * 8)).collect();
    e.load_arguments(fields[0], fields[1], fields[2], shared);
    for dtype in virtuals {
        let at = e.i64(0);
        e.buffers.push(Bound { at, dtype: *dtype });
    }
    let fail = e.b.create_block();
    e.fail = Some(fail);
    run(&mut e, params[1], params[2]);
    e.b.ins().return_(&[]);
    e.b.switch_to_block(fail);
    let one = e.b.ins().iconst(types::I32, 1);
    e.b.ins().store(element_flags(), one, params[0], 24);
    e.b.ins().return_(&[]);
    e.finish(shared.isa)?;
    Ok(func)
}

impl<'a> Emit<'a> {
    fn new(b: FunctionBuilder<'a>, shared: &Shared<'a>) -> Emit<'a> {
        Emit {
            b,
            exprs: shared.exprs,
            deps: shared.deps,
            table: Value::from_u32(0),
            buffers: vec![],
            symbols: BTreeMap::new(),
            lanes: 8,
            vec: None,
            vars: vec![],
            values: HashMap::new(),
            memo: vec![HashMap::new()],
            polys: vec![HashMap::new()],
            error: None,
            fail: None,
            encoded: HashMap::new(),
            assumed: BTreeSet::new(),
            spare_slot: None,
        }
    }

    fn start(&mut self) -> Vec<Value> {
        let block = self.b.create_block();
        self.b.append_block_params_for_function_params(block);
        self.b.switch_to_block(block);
        self.b.block_params(block).to_vec()
    }

    fn load_arguments(&mut self, table: Value, buffers: Value, symbols: Value, shared: &Shared) {
        self.table = table;
        for (i, buffer) in shared.buffers.iter().enumerate() {
            let at = self.b.ins().load(types::I64, element_flags(), buffers, i as i32 * 8);
            self.buffers.push(Bound { at, dtype: buffer.dtype });
        }
        for (i, symbol) in shared.symbols.iter().enumerate() {
            let value = self.b.ins().load(types::I64, element_flags(), symbols, i as i32 * 8);
            self.symbols.insert(symbol.clone(), value);
        }
    }

    fn finish(mut self, isa: &dyn TargetIsa) -> Result<(), Diagnostic> {
        self.b.seal_all_blocks();
        let error = self.error.take();
        self.b.finalize(isa.frontend_config());
        error.map_or(Ok(()), Err)
    }

    /// Records what cannot be compiled; the value only keeps the builder going.
    pub fn unsupported(&mut self, what: String, dtype: DType) -> Val {
        if self.error.is_none() {
            self.error = Some(
                Diagnostic::error("TC0601", format!("the cpu backend cannot compile {what}"))
                    .with_help("write the operation with supported ones, or report this kernel"),
            );
        }
        if dtype.is_float() { self.constant_float(dtype, 0.0) } else { self.constant_int(dtype, 0) }
    }

    /// Address of another function of the unit.
    fn function_address(&mut self, number: u32) -> Value {
        let signature = self.b.import_signature(body_signature());
        let name = self.b.func.declare_imported_user_function(UserExternalName::new(0, number));
        let function: FuncRef = self.b.import_function(ExtFuncData {
            name: ExternalName::user(name),
            signature,
            colocated: true,
            patchable: false,
        });
        self.b.ins().func_addr(types::I64, function)
    }

    /// Calls a function of the helper table.
    pub fn call_helper(&mut self, slot: Slot, signature: Signature, args: &[Value]) -> Inst {
        let signature = self.b.import_signature(signature);
        let callee = self.b.ins().load(types::I64, element_flags(), self.table, slot.offset() as i32);
        self.b.ins().call_indirect(signature, callee, args)
    }

    /// Thread-local scratch of a constant or computed size; leaves through the failure block when there is none.
    pub fn scratch(&mut self, bytes: Value) -> Value {
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.push(AbiParam::new(types::I64));
        signature.returns.push(AbiParam::new(types::I64));
        let call = self.call_helper(Slot::Scratch, signature, &[bytes]);
        let at = self.b.inst_results(call)[0];
        let (next, fail) = (self.b.create_block(), self.fail.expect("only in bodies"));
        self.b.ins().brif(at, next, &[], fail, &[]);
        self.b.switch_to_block(next);
        at
    }

    /// Opens a scope: what is computed now is forgotten at the matching [`Emit::close`].
    pub fn open(&mut self) {
        self.memo.push(HashMap::new());
        self.polys.push(HashMap::new());
    }

    /// Closes the innermost scope.
    pub fn close(&mut self) {
        self.memo.pop();
        self.polys.pop();
    }

    /// Binds a loop variable in the current scope.
    pub fn bind(&mut self, var: LoopVar, value: Value) {
        self.vars.push((var, value));
    }

    /// Unbinds the latest variable.
    pub fn unbind(&mut self) {
        self.vars.pop();
    }

    /// The bound value of a variable.
    pub fn var(&self, var: LoopVar) -> Option<Value> {
        self.vars.iter().rev().find(|(v, _)| *v == var).map(|(_, value)| *value)
    }

    /// Runs `f` only where a flag holds, in a scope of its own.
    pub fn when(&mut self, flag: Value, f: impl FnOnce(&mut Self)) {
        let (then, next) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(flag, then, &[], next, &[]);
        self.b.switch_to_block(then);
        self.open();
        f(self);
        self.close();
        self.b.ins().jump(next, &[]);
        self.b.switch_to_block(next);
    }

    /// Two-way branch that yields one register.
    pub fn either(
        &mut self,
        flag: Value,
        ty: cranelift_codegen::ir::Type,
        count: usize,
        then: impl FnOnce(&mut Self) -> Vec<Value>,
        other: impl FnOnce(&mut Self) -> Vec<Value>,
    ) -> Vec<Value> {
        let (yes, no, next) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let out = (0..count).map(|_| self.b.append_block_param(next, ty)).collect();
        self.b.ins().brif(flag, yes, &[], no, &[]);
        self.b.switch_to_block(yes);
        self.open();
        let values: Vec<BlockArg> = then(self).into_iter().map(BlockArg::Value).collect();
        self.close();
        self.b.ins().jump(next, &values);
        self.b.switch_to_block(no);
        self.open();
        let values: Vec<BlockArg> = other(self).into_iter().map(BlockArg::Value).collect();
        self.close();
        self.b.ins().jump(next, &values);
        self.b.switch_to_block(next);
        out
    }

    /// The constant an integer register holds, if it is one.
    pub fn constant_of(&self, value: Value) -> Option<i64> {
        let dfg = &self.b.func.dfg;
        let inst = dfg.value_def(value).inst()?;
        match dfg.insts[inst] {
            cranelift_codegen::ir::InstructionData::UnaryImm { imm, .. } => Some(imm.bits()),
            _ => None,
        }
    }

    /// The value of a polynomial over the kernel's symbols.
    pub fn poly(&mut self, poly: &Poly) -> Value {
        if let Some(constant) = poly.as_constant() {
            return self.i64(constant);
        }
        if let Some(found) = self.polys.iter().rev().find_map(|m| m.get(poly)) {
            return *found;
        }
        let mut sum = None;
        for (monomial, coefficient) in poly.terms() {
            let mut product = None;
            for (atom, exponent) in monomial {
                let base = match atom {
                    Atom::Symbol(s) => match self.symbols.get(s) {
                        Some(value) => *value,
                        None => self
                            .unsupported(format!("the symbol `{s}`, which the kernel does not list"), DType::I64)
                            .one(),
                    },
                    Atom::FloorDiv(numerator, divisor) => {
                        let numerator = self.poly(numerator);
                        self.floor_div_const(numerator, *divisor)
                    }
                };
                for _ in 0..*exponent {
                    product = Some(product.map_or(base, |p| self.b.ins().imul(p, base)));
                }
            }
            let term = match product {
                None => self.i64(coefficient),
                Some(p) if coefficient == 1 => p,
                Some(p) => self.b.ins().imul_imm_s(p, coefficient),
            };
            sum = Some(sum.map_or(term, |s| self.b.ins().iadd(s, term)));
        }
        let value = sum.unwrap_or_else(|| self.i64(0));
        self.polys.last_mut().expect("a scope").insert(poly.clone(), value);
        value
    }

    /// Whether a node may be evaluated now.
    pub fn ready(&self, id: ExprId, loads: bool) -> bool {
        let deps = &self.deps[id.0 as usize];
        (loads || !deps.loads)
            && deps.vars.iter().all(|v| self.var(*v).is_some())
            && deps.values.iter().all(|v| self.values.contains_key(v))
    }

    /// Evaluates now every part of the roots that depends on nothing still to come. With `loads` false, only parts
    /// that touch no memory: a loop that may run zero times must not cause an access.
    pub fn hoist(&mut self, roots: &[ExprId], loads: bool) {
        let mut seen = BTreeSet::new();
        let mut stack: Vec<ExprId> = roots.to_vec();
        let mut now = BTreeSet::new();
        while let Some(id) = stack.pop() {
            if !seen.insert(id) || self.known(id).is_some() {
                continue;
            }
            if self.ready(id, loads) {
                if !matches!(self.exprs[id].expr, Expr::Const(_) | Expr::Var(_) | Expr::Size(_)) {
                    now.insert(id);
                }
            } else {
                self.exprs.operands(id, |o| stack.push(o));
            }
        }
        for id in now {
            self.eval(id);
        }
    }

    fn known(&self, id: ExprId) -> Option<&Val> {
        self.memo.iter().rev().find_map(|m| m.get(&id))
    }

    /// The value of a node in the current scope.
    pub fn eval(&mut self, id: ExprId) -> Val {
        if let Some(value) = self.known(id) {
            return value.clone();
        }
        // Operands first, by number: an order without recursion.
        let mut needed = BTreeSet::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if self.known(id).is_none() && needed.insert(id) {
                self.exprs.operands(id, |o| stack.push(o));
            }
        }
        for id in needed {
            let value = self.compute(id);
            self.memo.last_mut().expect("a scope").insert(id, value);
        }
        self.known(id).expect("just computed").clone()
    }

    /// A scalar i64 of a node that does not depend on the vector variable.
    pub fn eval_i64(&mut self, id: ExprId) -> Value {
        let value = self.eval(id);
        if value.vector {
            return self.unsupported("a loop bound that differs from lane to lane".into(), DType::I64).one();
        }
        self.cast(&value, DType::I64, tricot_kernel::CastMode::Round).one()
    }

    /// Evaluates one node whose operands are known.
    fn compute(&mut self, id: ExprId) -> Val {
        let exprs = self.exprs;
        let node = &exprs[id];
        let dtype = node.dtype;
        match &node.expr {
            Expr::Const(Const::Float(bits)) if dtype.is_float() => self.constant_float(dtype, f64::from_bits(*bits)),
            Expr::Const(Const::Float(bits)) => self.constant_int(dtype, f64::from_bits(*bits) as i64),
            Expr::Const(Const::Int(value)) => self.constant_int(dtype, *value),
            Expr::Var(var) => {
                let Some(value) = self.var(*var) else {
                    return self.unsupported(format!("loop variable {} outside its loop", var.0), dtype);
                };
                let scalar = Val::scalar(DType::I64, value);
                if self.vec != Some(*var) {
                    return scalar;
                }
                let base = self.splat(&scalar);
                let parts = base.parts.iter().enumerate().map(|(i, part)| {
                    let at = i as i64 * 2;
                    let bytes: Vec<u8> = at.to_le_bytes().into_iter().chain((at + 1).to_le_bytes()).collect();
                    let constant = self.b.func.dfg.constants.insert(bytes.into());
                    let steps = self.b.ins().vconst(types::I64X2, constant);
                    self.b.ins().iadd(*part, steps)
                });
                let parts = parts.collect();
                Val::vector(DType::I64, parts)
            }
            Expr::Size(poly) => {
                let value = self.poly(poly);
                self.cast(&Val::scalar(DType::I64, value), dtype, tricot_kernel::CastMode::Round)
            }
            Expr::Load { buffer, index, guard } => {
                let loaded = self.load(*buffer, index, *guard);
                self.cast(&loaded, dtype, tricot_kernel::CastMode::Round)
            }
            Expr::Unary(op, x) => {
                let x = self.eval(*x);
                self.unary(*op, &x)
            }
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.eval(*a), self.eval(*b));
                self.binary(*op, &a, &b)
            }
            Expr::Select { cond, then, other } => {
                let (cond, then, other) = (self.eval(*cond), self.eval(*then), self.eval(*other));
                self.choose(&cond, &then, &other)
            }
            Expr::Cast { from, mode } => {
                let from = self.eval(*from);
                self.cast(&from, dtype, *mode)
            }
            Expr::Acc { stage, acc } => self.finished((false, *stage, *acc), dtype),
            Expr::Carry { stage, carry } => self.finished((true, *stage, *carry), dtype),
        }
    }

    fn finished(&mut self, key: (bool, u32, u32), dtype: DType) -> Val {
        match self.values.get(&key).cloned() {
            Some(value) => self.cast(&value, dtype, tricot_kernel::CastMode::Round),
            None => self.unsupported(format!("the value {key:?} before it exists"), dtype),
        }
    }
}
