//! Loops: over one variable, over a slice of a group of variables, and with a vectorised innermost level.
//!
//! The central type is [`Level`]. Loops test once before and at the end of each round, so what is hoisted before a loop
//! runs only if the loop does. Knows how to iterate, not what for.

use crate::emit::Emit;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use tricot_kernel::{ExprId, Extent, Loop, LoopVar};
use tricot_types::Poly;

/// One level of a loop nest.
#[derive(Clone, Debug)]
pub enum Level {
    /// `var` from 0 to its extent.
    Loop(Loop),
    /// The points `lo..hi` of the row-major product of the loops: a run over the outer ones, then the last one.
    Slice { loops: Vec<Loop>, lo: Value, hi: Value },
}

impl Emit<'_> {
    /// `for i in (lo..hi).step_by(step)` with the body's rounds in scopes of their own. Returns the first value of `i`
    /// that was not run.
    pub fn count(&mut self, lo: Value, hi: Value, step: i64, body: impl FnOnce(&mut Self, Value)) -> Value {
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        let i = self.b.append_block_param(head, types::I64);
        let end = self.b.append_block_param(exit, types::I64);
        // The last start of a whole step.
        let limit = if step == 1 { hi } else { self.b.ins().iadd_imm_s(hi, 1 - step) };
        let any = self.b.ins().icmp(IntCC::SignedLessThan, lo, limit);
        let first = [BlockArg::Value(lo)];
        self.b.ins().brif(any, head, &first, exit, &first);
        self.b.switch_to_block(head);
        self.open();
        body(self, i);
        self.close();
        let next = self.b.ins().iadd_imm_s(i, step);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, limit);
        let again = [BlockArg::Value(next)];
        self.b.ins().brif(more, head, &again, exit, &again);
        self.b.switch_to_block(exit);
        end
    }

    /// Consecutive pieces of at most `block` of `lo..hi`, none if it is empty.
    pub fn pieces(&mut self, lo: Value, hi: Value, block: i64, body: impl FnOnce(&mut Self, Value, Value)) {
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        let at = self.b.append_block_param(head, types::I64);
        let any = self.b.ins().icmp(IntCC::SignedLessThan, lo, hi);
        self.b.ins().brif(any, head, &[BlockArg::Value(lo)], exit, &[]);
        self.b.switch_to_block(head);
        self.open();
        let end = self.b.ins().iadd_imm_s(at, block);
        let end = self.least(end, hi);
        body(self, at, end);
        self.close();
        let more = self.b.ins().icmp(IntCC::SignedLessThan, end, hi);
        self.b.ins().brif(more, head, &[BlockArg::Value(end)], exit, &[]);
        self.b.switch_to_block(exit);
    }

    /// The smaller of two i64.
    pub fn least(&mut self, a: Value, b: Value) -> Value {
        let less = self.b.ins().icmp(IntCC::SignedLessThan, a, b);
        self.b.ins().select(less, a, b)
    }

    /// The larger of two i64.
    pub fn most(&mut self, a: Value, b: Value) -> Value {
        let less = self.b.ins().icmp(IntCC::SignedLessThan, a, b);
        self.b.ins().select(less, b, a)
    }

    /// One variable over a range. With `vector`, whole groups of lanes first, the rest one by one; `body` is emitted
    /// once for each. Where guards below the roots hold only inside a part of the range, the lanes run there.
    pub fn range(
        &mut self,
        var: LoopVar,
        lo: Value,
        hi: Value,
        vector: bool,
        roots: &[ExprId],
        body: &mut dyn FnMut(&mut Self),
    ) {
        let mut lo = lo;
        if vector {
            let mut end = hi;
            let before = self.assumed.clone();
            if let Some((assumed, from, to)) = self.guarded_part(roots, var, lo, hi) {
                self.scalar_range(var, lo, from, body);
                (lo, end) = (from, to);
                self.assumed.extend(assumed);
            }
            let lanes = self.lanes as i64;
            lo = self.count(lo, end, lanes, |e, i| {
                e.bind(var, i);
                let before = e.vec.replace(var);
                body(e);
                e.vec = before;
                e.unbind();
            });
            self.assumed = before;
        }
        self.scalar_range(var, lo, hi, body);
    }

    fn scalar_range(&mut self, var: LoopVar, lo: Value, hi: Value, body: &mut dyn FnMut(&mut Self)) {
        self.count(lo, hi, 1, |e, i| {
            e.bind(var, i);
            body(e);
            e.unbind();
        });
    }

    /// The extent of a loop as a value.
    pub fn extent(&mut self, extent: &Extent) -> Value {
        match extent {
            Extent::Size(poly) => self.poly(poly),
            Extent::Dynamic(id) => self.eval_i64(*id),
        }
    }

    /// Runs `body` at every point of the levels. Parts of `roots` move out as far as they can; with `vector` the last
    /// level's last variable advances by lanes. `loads` says whether memory may be read ahead of the loops.
    pub fn nest(
        &mut self,
        levels: &[Level],
        vector: bool,
        loads: bool,
        roots: &[ExprId],
        body: &mut dyn FnMut(&mut Self),
    ) {
        // No point at all: nothing may be hoisted either.
        let extents = levels.iter().flat_map(|l| match l {
            Level::Loop(Loop { extent: Extent::Size(p), .. }) => vec![p.clone()],
            Level::Loop(_) => vec![],
            Level::Slice { loops, .. } => loops.iter().map(|l| size_of(l)).collect(),
        });
        let symbolic: Vec<Poly> = extents.filter(|p| p.as_constant().is_none_or(|c| c <= 0)).collect();
        let mut flag: Option<Value> = None;
        for extent in symbolic {
            let extent = self.poly(&extent);
            let some = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, extent, 0);
            flag = Some(flag.map_or(some, |f| self.b.ins().band(f, some)));
        }
        match flag {
            Some(flag) => self.when(flag, |e| e.enter(levels, vector, loads, roots, body)),
            None => {
                self.open();
                self.enter(levels, vector, loads, roots, body);
                self.close();
            }
        }
    }

    fn enter(
        &mut self,
        levels: &[Level],
        vector: bool,
        loads: bool,
        roots: &[ExprId],
        body: &mut dyn FnMut(&mut Self),
    ) {
        let Some((level, rest)) = levels.split_first() else { return body(self) };
        let certain = |l: &Level| !matches!(l, Level::Loop(Loop { extent: Extent::Dynamic(_), .. }));
        self.hoist(roots, loads && levels.iter().all(certain));
        match level {
            Level::Loop(l) => {
                let (lo, hi) = (self.i64(0), self.extent(&l.extent));
                self.range(l.var, lo, hi, vector && rest.is_empty(), roots, &mut |e| {
                    e.enter(rest, vector, loads, roots, body)
                });
            }
            Level::Slice { loops, lo, hi } => {
                self.slice(loops, *lo, *hi, vector && rest.is_empty(), roots, loads, &mut |e| {
                    e.enter(rest, vector, loads, roots, body)
                })
            }
        }
    }

    /// The points `lo..hi` of a group.
    #[allow(clippy::too_many_arguments)]
    fn slice(
        &mut self,
        loops: &[Loop],
        lo: Value,
        hi: Value,
        vector: bool,
        roots: &[ExprId],
        loads: bool,
        body: &mut dyn FnMut(&mut Self),
    ) {
        match loops {
            // The group of no loops has one point.
            [] => {
                let mut ignore = |e: &mut Self, _: Value| body(e);
                self.count(lo, hi, 1, &mut ignore);
            }
            [only] => self.range(only.var, lo, hi, vector, roots, body),
            [outer @ .., last] => {
                let (head, exit) = (self.b.create_block(), self.b.create_block());
                let at = self.b.append_block_param(head, types::I64);
                let any = self.b.ins().icmp(IntCC::SignedLessThan, lo, hi);
                self.b.ins().brif(any, head, &[BlockArg::Value(lo)], exit, &[]);
                self.b.switch_to_block(head);
                self.open();
                let extent = self.extent(&last.extent);
                let run = self.b.ins().udiv(at, extent);
                let whole = self.b.ins().imul(run, extent);
                let first = self.b.ins().isub(at, whole);
                let left = self.b.ins().isub(hi, at);
                let end = self.b.ins().iadd(first, left);
                let shorter = self.b.ins().icmp(IntCC::SignedLessThan, end, extent);
                let end = self.b.ins().select(shorter, end, extent);
                self.unravel(outer, run);
                self.hoist(roots, loads);
                self.range(last.var, first, end, vector, roots, body);
                outer.iter().for_each(|_| self.unbind());
                self.close();
                let done = self.b.ins().isub(end, first);
                let next = self.b.ins().iadd(at, done);
                let more = self.b.ins().icmp(IntCC::SignedLessThan, next, hi);
                self.b.ins().brif(more, head, &[BlockArg::Value(next)], exit, &[]);
                self.b.switch_to_block(exit);
            }
        }
    }

    /// Binds the variables of a group from a row-major point number.
    pub fn unravel(&mut self, loops: &[Loop], point: Value) {
        let mut rest = point;
        let mut values = vec![];
        for (i, l) in loops.iter().enumerate().rev() {
            if i == 0 {
                values.push(rest);
                break;
            }
            let extent = self.extent(&l.extent);
            let above = self.b.ins().udiv(rest, extent);
            let product = self.b.ins().imul(above, extent);
            values.push(self.b.ins().isub(rest, product));
            rest = above;
        }
        for (l, value) in loops.iter().zip(values.into_iter().rev()) {
            self.bind(l.var, value);
        }
    }

    /// Runs `body` for the points `begin..end` of the row-major product of the loops, counting the variables up without
    /// divisions.
    pub fn points(&mut self, loops: &[Loop], begin: Value, end: Value, body: impl FnOnce(&mut Self)) {
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        let any = self.b.ins().icmp(IntCC::SignedLessThan, begin, end);
        let start = self.b.create_block();
        self.b.ins().brif(any, start, &[], exit, &[]);
        self.b.switch_to_block(start);
        self.open();
        let bound = self.vars.len();
        self.unravel(loops, begin);
        let first: Vec<Value> = self.vars.drain(bound..).map(|(_, v)| v).collect();
        let extents: Vec<Value> = loops.iter().map(|l| self.extent(&l.extent)).collect();
        let point = self.b.append_block_param(head, types::I64);
        let at: Vec<Value> = loops.iter().map(|_| self.b.append_block_param(head, types::I64)).collect();
        let args: Vec<BlockArg> = std::iter::once(begin).chain(first).map(BlockArg::Value).collect();
        self.b.ins().jump(head, &args);
        self.b.switch_to_block(head);
        self.open();
        for (l, value) in loops.iter().zip(&at) {
            self.bind(l.var, *value);
        }
        body(self);
        loops.iter().for_each(|_| self.unbind());
        self.close();
        let mut carry = self.i64(1);
        let zero = self.i64(0);
        let mut next = vec![];
        for (value, extent) in at.iter().zip(&extents).rev() {
            let sum = self.b.ins().iadd(*value, carry);
            let wraps = self.b.ins().icmp(IntCC::Equal, sum, *extent);
            next.push(self.b.ins().select(wraps, zero, sum));
            carry = self.b.ins().uextend(types::I64, wraps);
        }
        self.close();
        let point = self.b.ins().iadd_imm_s(point, 1);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, point, end);
        let args: Vec<BlockArg> = std::iter::once(point).chain(next.into_iter().rev()).map(BlockArg::Value).collect();
        self.b.ins().brif(more, head, &args, exit, &[]);
        self.b.switch_to_block(exit);
    }
}

/// The polynomial extent of a loop that must have one; a dynamic one counts as 1 here and is refused elsewhere.
pub fn size_of(l: &Loop) -> Poly {
    match &l.extent {
        Extent::Size(poly) => poly.clone(),
        Extent::Dynamic(_) => Poly::constant(1),
    }
}

/// The number of points of a group.
pub fn points_of(loops: &[Loop]) -> Poly {
    loops.iter().map(size_of).product()
}
