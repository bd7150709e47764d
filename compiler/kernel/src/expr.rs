//! Expression DAGs: the scalar arithmetic of a kernel, one node per distinct value.

use crate::index::{Index, LoopVar};
use crate::scalar::{Binary, Unary};
use serde::{Deserialize, Serialize};
use std::ops::Index as At;
use tricot_types::{DType, Poly};

/// Index into an [`Exprs`] arena; operands always precede their users.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExprId(pub u32);

/// A constant; floats by their f64 bits so that equality and bytes are exact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Const {
    /// Float: bits of the f64 value, rounded to the node's dtype by the backend (exact when it fits).
    Float(u64),
    /// Integer or bool (0, 1); u64 values above `i64::MAX` by two's complement.
    Int(i64),
}

/// How a cast treats values outside the target's range or precision.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CastMode {
    /// Float to float: round to nearest even, overflow to infinity (NaN for e4m3). Float to int: toward
    /// zero, out of range saturates, NaN gives 0. Int to int: wrap. Anything to bool: `!= 0`.
    Round,
    /// As `Round`, but finite overflow of a float result saturates to the largest finite value, and int to int saturates.
    Saturate,
    /// Reinterpret the bits; equal widths.
    Bits,
}

/// The operation of a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expr {
    Const(Const),
    /// Value of a loop variable, i64.
    Var(LoopVar),
    /// A polynomial over the kernel's symbols, i64.
    Size(Poly),
    /// An element of buffer number `buffer`. With a guard `(condition, otherwise)` memory is touched only where the
    /// condition holds; elsewhere the value is `otherwise`.
    Load {
        buffer: u32,
        index: Index,
        guard: Option<(ExprId, ExprId)>,
    },
    Unary(Unary, ExprId),
    Binary(Binary, ExprId, ExprId),
    /// Both arms may be evaluated.
    Select {
        cond: ExprId,
        then: ExprId,
        other: ExprId,
    },
    Cast {
        from: ExprId,
        mode: CastMode,
    },
    /// The final value of accumulator `acc` of stage `stage` (a `Reduce`, or the contraction's own, stage 0 acc 0).
    Acc {
        stage: u32,
        acc: u32,
    },
    /// Inside a `Sequential` stage: the carried value at the start of this iteration; after the stage: the final one.
    Carry {
        stage: u32,
        carry: u32,
    },
}

/// A typed node. Arithmetic happens in `dtype` itself: a 16- or 8-bit float node is computed in f32 and rounded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Node {
    pub dtype: DType,
    pub expr: Expr,
}

/// The arena of one kernel. `push` returns an existing equal node where there is one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exprs {
    nodes: Vec<Node>,
}

impl Exprs {
    /// Adds a node, or finds an equal one.
    pub fn push(&mut self, dtype: DType, expr: Expr) -> ExprId {
        let node = Node { dtype, expr };
        // Linear from the back: kernels hold at most a few hundred nodes, repeats are usually recent.
        if let Some(at) = self.nodes.iter().rposition(|n| *n == node) {
            return ExprId(at as u32);
        }
        self.nodes.push(node);
        ExprId(self.nodes.len() as u32 - 1)
    }

    /// A float constant.
    pub fn float(&mut self, dtype: DType, value: f64) -> ExprId {
        self.push(dtype, Expr::Const(Const::Float(value.to_bits())))
    }

    /// An integer or bool constant.
    pub fn int(&mut self, dtype: DType, value: i64) -> ExprId {
        self.push(dtype, Expr::Const(Const::Int(value)))
    }

    /// Value of a loop variable.
    pub fn var(&mut self, var: LoopVar) -> ExprId {
        self.push(DType::I64, Expr::Var(var))
    }

    /// An unguarded load.
    pub fn load(&mut self, dtype: DType, buffer: u32, index: Index) -> ExprId {
        self.push(dtype, Expr::Load { buffer, index, guard: None })
    }

    /// A one-operand operation.
    pub fn unary(&mut self, op: Unary, x: ExprId) -> ExprId {
        let dtype = if op.is_predicate() { DType::Bool } else { self[x].dtype };
        self.push(dtype, Expr::Unary(op, x))
    }

    /// A two-operand operation.
    pub fn binary(&mut self, op: Binary, a: ExprId, b: ExprId) -> ExprId {
        let dtype = if op.is_comparison() { DType::Bool } else { self[a].dtype };
        self.push(dtype, Expr::Binary(op, a, b))
    }

    /// `cond ? then : other`.
    pub fn select(&mut self, cond: ExprId, then: ExprId, other: ExprId) -> ExprId {
        self.push(self[then].dtype, Expr::Select { cond, then, other })
    }

    /// A conversion; no node when the dtype is already right.
    pub fn cast(&mut self, from: ExprId, dtype: DType, mode: CastMode) -> ExprId {
        if self[from].dtype == dtype { from } else { self.push(dtype, Expr::Cast { from, mode }) }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Nodes in order, operands before users.
    pub fn iter(&self) -> impl Iterator<Item = (ExprId, &Node)> {
        self.nodes.iter().enumerate().map(|(i, n)| (ExprId(i as u32), n))
    }

    /// Calls `visit` with every operand of a node, those inside indices and guards included.
    pub fn operands(&self, id: ExprId, mut visit: impl FnMut(ExprId)) {
        match &self[id].expr {
            Expr::Const(_) | Expr::Var(_) | Expr::Size(_) | Expr::Acc { .. } | Expr::Carry { .. } => {}
            Expr::Load { index, guard, .. } => {
                index.dynamic.iter().for_each(|(e, _)| visit(*e));
                if let Some((cond, other)) = guard {
                    visit(*cond);
                    visit(*other);
                }
            }
            Expr::Unary(_, x) | Expr::Cast { from: x, .. } => visit(*x),
            Expr::Binary(_, a, b) => {
                visit(*a);
                visit(*b);
            }
            Expr::Select { cond, then, other } => {
                visit(*cond);
                visit(*then);
                visit(*other);
            }
        }
    }
}

impl At<ExprId> for Exprs {
    type Output = Node;
    fn index(&self, id: ExprId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}
