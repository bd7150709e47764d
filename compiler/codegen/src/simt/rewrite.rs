//! Contractions as loop nests: a product is a reduction for each point of its output.
//!
//! Taken for 2:4 contractions the tensor cores decline, whose operand is decompressed on the fly, and for products with outputs of
//! 4-bit elements or an accumulator [`super::contraction`] has no arithmetic for.

use crate::kernel::Kernel;
use crate::nest;
use crate::select::Family;
use std::collections::BTreeMap;
use tricot_kernel::*;
use tricot_plan::GpuLaunch;
use tricot_types::{DType, Diagnostic, SymbolTable};

/// A nest under another name, emitted with the original description's parameters.
struct Rewritten {
    inner: Box<dyn Family>,
    prefix: &'static str,
    desc: KernelDesc,
}

impl Family for Rewritten {
    fn choice(&self) -> String {
        format!("{} {}", self.prefix, self.inner.choice())
    }

    fn launch(&self) -> GpuLaunch {
        self.inner.launch()
    }

    fn emit(&self, kernel: &Kernel) -> Result<(), Diagnostic> {
        self.inner.emit(&kernel.with_desc(&self.desc))
    }
}

fn as_nest(desc: KernelDesc, symbols: &SymbolTable, prefix: &'static str) -> Option<Box<dyn Family>> {
    let inner = nest::family(&desc, symbols)?;
    Some(Box::new(Rewritten { inner, prefix, desc }))
}

/// Takes every [`Body::Contraction`].
pub fn contraction_family(desc: &KernelDesc, symbols: &SymbolTable) -> Option<Box<dyn Family>> {
    let Body::Contraction(c) = &desc.body else { return None };
    let mut desc = desc.clone();
    let cast = |e: &mut Exprs, v| e.cast(v, c.acc, CastMode::Round);
    let (a, b) = (cast(&mut desc.exprs, c.a), cast(&mut desc.exprs, c.b));
    let value = desc.exprs.binary(Binary::Mul, a, b);
    let parallel = c.batch.iter().chain(&c.m).chain(&c.n).cloned().collect();
    desc.body = product(parallel, c.k.clone(), c.acc, value, c.stores.clone());
    as_nest(desc, symbols, "contraction")
}

fn product(parallel: Vec<Loop>, k: Vec<Loop>, dtype: DType, value: ExprId, stores: Vec<Store>) -> Body {
    let accs = vec![Acc { combine: Combine::Sum, dtype, value }];
    let stages = vec![Stage::Reduce { loops: k, accs }, Stage::Store { loops: vec![], stores }];
    Body::Nest(Nest { parallel, stages })
}

/// Takes every [`Body::SparseContraction`]: the reduction runs over the kept values, and `b` is read where the metadata says.
pub fn sparse_family(desc: &KernelDesc, symbols: &SymbolTable) -> Option<Box<dyn Family>> {
    let Body::SparseContraction(c) = &desc.body else { return None };
    let Extent::Size(k) = &c.k.extent else { return None };
    let mut desc = desc.clone();
    let half = k.floor_div(2);
    // The position among the kept values, in place of the logical k.
    let kept = c.k.var;
    let row = |columns: tricot_types::Poly| {
        let mut stride = columns;
        let mut index = Index::zero();
        for l in std::iter::once(&c.m).chain(c.batch.iter().rev()) {
            index = index.plus(l.var, stride.clone());
            let Extent::Size(extent) = &l.extent else { return None };
            stride = stride.checked_mul(extent)?;
        }
        Some(index)
    };
    let (value_row, meta_row) = (row(half.clone())?, row(k.floor_div(8))?);

    let e = &mut desc.exprs;
    let position = e.var(kept);
    let number = |e: &mut Exprs, v: i64| e.int(DType::I64, v);
    let (two, three, four) = (number(e, 2), number(e, 3), number(e, 4));
    let group = e.binary(Binary::FloorDiv, position, two);
    let which = e.binary(Binary::Mod, position, two);
    let byte_at = e.binary(Binary::FloorDiv, position, four);
    let byte = e.load(DType::U8, c.meta, meta_row.plus_dynamic(byte_at, 1));
    let byte = e.cast(byte, DType::I64, CastMode::Round);
    // Bits of this value's index: the group's nibble, then the value's half of it.
    let in_byte = e.binary(Binary::Mod, group, two);
    let nibble_shift = e.binary(Binary::Mul, in_byte, four);
    let half_shift = e.binary(Binary::Mul, which, two);
    let shift = e.binary(Binary::Add, nibble_shift, half_shift);
    let shifted = e.binary(Binary::Shr, byte, shift);
    let kept_index = e.binary(Binary::And, shifted, three);
    let base = e.binary(Binary::Mul, group, four);
    let logical = e.binary(Binary::Add, base, kept_index);

    let a_dtype = desc.buffers[c.values as usize].dtype;
    let a = e.load(a_dtype, c.values, value_row.plus(kept, 1));
    let b = substitute(e, c.b, kept, logical);
    let (a, b) = (e.cast(a, c.acc, CastMode::Round), e.cast(b, c.acc, CastMode::Round));
    let value = e.binary(Binary::Mul, a, b);
    let parallel = c.batch.iter().chain([&c.m]).chain(&c.n).cloned().collect();
    desc.body = product(parallel, vec![Loop::new(kept, half)], c.acc, value, c.stores.clone());
    as_nest(desc, symbols, "2:4 contraction")
}

/// `root` with every use of `var` replaced by `with`.
fn substitute(e: &mut Exprs, root: ExprId, var: LoopVar, with: ExprId) -> ExprId {
    let mut done: BTreeMap<ExprId, ExprId> = BTreeMap::new();
    // Operands precede their users, so one pass in order suffices.
    for id in (0..=root.0).map(ExprId) {
        let node = e[id].clone();
        let to = |x: &ExprId| done[x];
        let expr = match &node.expr {
            Expr::Var(v) if *v == var => {
                done.insert(id, with);
                continue;
            }
            Expr::Load { buffer, index, guard } => {
                let mut moved = Index { dynamic: vec![], ..index.clone() };
                if let Some(stride) = moved.affine.remove(&var) {
                    moved = moved.plus_dynamic(with, stride);
                }
                moved.dynamic.extend(index.dynamic.iter().map(|(x, s)| (to(x), s.clone())));
                Expr::Load { buffer: *buffer, index: moved, guard: guard.as_ref().map(|(c, o)| (to(c), to(o))) }
            }
            Expr::Unary(op, x) => Expr::Unary(*op, to(x)),
            Expr::Binary(op, x, y) => Expr::Binary(*op, to(x), to(y)),
            Expr::Select { cond, then, other } => Expr::Select { cond: to(cond), then: to(then), other: to(other) },
            Expr::Cast { from, mode } => Expr::Cast { from: to(from), mode: *mode },
            leaf => leaf.clone(),
        };
        // An unchanged node keeps its number, so that nothing is computed twice.
        let same = expr == node.expr;
        done.insert(id, if same { id } else { e.push(node.dtype, expr) });
    }
    done[&root]
}
