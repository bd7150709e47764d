//! Loads: addresses, guards and vectors.

use super::{Eval, Lanes, zip_lanes};
use crate::emit::{Ty, Val};
use crate::scalar::{from_memory, memory_type};
use tricot_kernel::{ExprId, Index};
use tricot_types::DType;

impl Eval<'_> {
    /// The element index (i64) of every lane.
    pub(super) fn address(&mut self, index: &Index) -> Lanes {
        let b = self.b;
        let mut sum: Option<Lanes> = None;
        let mut add = |term: Lanes| {
            sum = Some(match sum.take() {
                None => term,
                Some(s) => zip_lanes(&[&s, &term], |v| b.add(v[0], v[1])),
            });
        };
        let mut terms: Vec<(Lanes, &tricot_types::Poly)> = Vec::new();
        for (var, stride) in &index.affine {
            terms.push((self.var(*var), stride));
        }
        for (expr, stride) in &index.dynamic {
            terms.push((self.eval(*expr), stride));
        }
        // Uniform terms first, so that lanes share their sum.
        terms.sort_by_key(|(value, _)| value.len());
        if !index.offset.is_zero() {
            add(vec![self.k.poly(&index.offset)]);
        }
        for (value, stride) in terms {
            if stride.is_one() {
                add(value);
            } else {
                let stride = self.k.poly(stride);
                add(zip_lanes(&[&value], |v| b.mul(v[0], stride)));
            }
        }
        sum.unwrap_or_else(|| vec![b.i64(0)])
    }

    /// How many lanes one access covers: the lanes of the consecutive variable if the elements are adjacent and aligned.
    pub(super) fn adjacent_lanes(&mut self, index: &Index, dtype: DType) -> Option<u32> {
        // The last consecutive loop may be closed already.
        let var = self.consecutive.filter(|v| self.bound(*v))?;
        let lanes = self.var(var).len() as u32;
        let others = index.affine.keys().all(|v| *v == var || self.var(*v).len() == 1);
        let whole_bytes = dtype.bits() >= 8 || lanes % 2 == 0;
        let ok = lanes > 1
            && others
            && whole_bytes
            && dtype.bits() * lanes <= 128
            && self.facts.contiguous(index, var, lanes);
        (ok && index.dynamic.iter().all(|(e, _)| self.eval(*e).len() == 1)).then_some(lanes)
    }

    pub(super) fn load(&mut self, buffer: u32, index: &Index, guard: Option<(ExprId, ExprId)>) -> Lanes {
        let b = self.b;
        let dtype = self.k.desc.buffers[buffer as usize].dtype;
        let Some((cond, other)) = guard else {
            return match self.adjacent_lanes(index, dtype) {
                Some(lanes) => {
                    let at = self.address(index)[0];
                    self.load_vector(buffer, dtype, at, lanes)
                }
                None => {
                    let at = self.address(index);
                    at.iter().map(|at| self.load_element(buffer, dtype, *at)).collect()
                }
            };
        };
        let (cond, other) = (self.eval(cond), self.eval(other));
        if let (1, Some(lanes)) = (cond.len(), self.guarded_adjacent(index, dtype)) {
            return b.if_else(
                cond[0],
                || {
                    self.scoped(|e| {
                        let at = e.address(index)[0];
                        e.load_vector(buffer, dtype, at, lanes)
                    })
                },
                || (0..lanes as usize).map(|i| other[if other.len() == 1 { 0 } else { i }]).collect(),
            );
        }
        // Everything the address needs is computed inside the branch, since it may load under the same guard.
        let width = self.lane_count(index, &[&cond, &other]);
        (0..width)
            .map(|lane| {
                let pick = |v: &Lanes| v[if v.len() == 1 { 0 } else { lane }];
                b.if_else(
                    pick(&cond),
                    || {
                        self.scoped(|e| {
                            let at = e.address(index);
                            let at = at[if at.len() == 1 { 0 } else { lane }];
                            vec![e.load_element(buffer, dtype, at)]
                        })
                    },
                    || vec![pick(&other)],
                )[0]
            })
            .collect()
    }

    /// As `adjacent_lanes` without evaluating anything.
    fn guarded_adjacent(&mut self, index: &Index, dtype: DType) -> Option<u32> {
        if index.dynamic.is_empty() { self.adjacent_lanes(index, dtype) } else { None }
    }

    /// Lanes of an access whose parts may differ by lane, before its index is evaluated.
    fn lane_count(&self, index: &Index, known: &[&Lanes]) -> usize {
        let vars = index.affine.keys().map(|v| self.var(*v).len());
        let of_known = known.iter().map(|v| v.len());
        let mut width = vars.chain(of_known).max().unwrap_or(1);
        for (expr, _) in &index.dynamic {
            let mut memo = std::collections::BTreeMap::new();
            width = width.max(self.width(*expr, &mut memo));
        }
        width
    }

    /// Lanes a node's value will have.
    fn width(&self, id: ExprId, memo: &mut std::collections::BTreeMap<ExprId, usize>) -> usize {
        use tricot_kernel::Expr;
        if let Some(v) = self.cached(id) {
            return v.len();
        }
        if let Some(known) = memo.get(&id) {
            return *known;
        }
        let exprs = &self.k.desc.exprs;
        let mut width = match &exprs[id].expr {
            Expr::Var(v) => self.var(*v).len(),
            Expr::Acc { stage, acc } => self.find(|s| s.accs.get(&(*stage, *acc))).map_or(1, Vec::len),
            Expr::Carry { stage, carry } => self.find(|s| s.carries.get(&(*stage, *carry))).map_or(1, Vec::len),
            Expr::Load { index, .. } => index.affine.keys().map(|v| self.var(*v).len()).max().unwrap_or(1),
            _ => 1,
        };
        exprs.operands(id, |o| width = width.max(self.width(o, memo)));
        memo.insert(id, width);
        width
    }

    /// Loads element `at` (i64).
    fn load_element(&self, buffer: u32, dtype: DType, at: Val) -> Val {
        let b = self.b;
        let base = self.k.buffer(buffer);
        if dtype.bits() < 8 {
            let byte = b.load(b.gep(base, Ty::I8, b.shr_s(at, b.i64(1))), Ty::I8, 1);
            let shift = b.resize_u(b.shl(b.and(at, b.i64(1)), b.i64(2)), Ty::I32);
            return from_memory(b, dtype, b.shr_u(b.resize_u(byte, Ty::I32), shift));
        }
        let ty = memory_type(dtype);
        from_memory(b, dtype, b.load(b.gep(base, ty, at), ty, dtype.bits() / 8))
    }

    /// Loads `lanes` adjacent elements from `at` (i64, a multiple of `lanes`) on.
    fn load_vector(&self, buffer: u32, dtype: DType, at: Val, lanes: u32) -> Lanes {
        let b = self.b;
        let base = self.k.buffer(buffer);
        if dtype.bits() < 8 {
            let bytes = b.load(b.gep(base, Ty::I8, b.shr_s(at, b.i64(1))), Ty::I8.vec(lanes / 2), lanes / 2);
            return (0..lanes)
                .map(|i| {
                    let byte = b.resize_u(b.lane(bytes, i / 2), Ty::I32);
                    from_memory(b, dtype, b.shr_u(byte, b.i32(4 * (i as i32 % 2))))
                })
                .collect();
        }
        let ty = memory_type(dtype);
        let vector = b.load(b.gep(base, ty, at), ty.vec(lanes), lanes * dtype.bits() / 8);
        (0..lanes).map(|i| from_memory(b, dtype, b.lane(vector, i))).collect()
    }
}
