//! A straightforward interpreter of kernel descriptions, the oracle of both backends' tests.
//!
//! The central function is [`run`]. Floats are f64, rounded to each node's dtype; accumulators of float reductions and contractions
//! are not rounded until the end, so that the result is closer to the truth than any kernel. Integers are exact. Used only
//! by tests: it is slow, and it panics on a description that addresses memory it should not.

use std::collections::BTreeMap;
use tricot_kernel::*;
use tricot_types::{Bindings, DType, Poly};

/// A scalar value: floats as f64, integers and bools as i64 (u64 by two's complement).
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Num {
    F(f64),
    I(i64),
}

impl Num {
    /// The value as f64, whatever it is.
    pub fn float(self) -> f64 {
        match self {
            Num::F(v) => v,
            Num::I(v) => v as f64,
        }
    }

    /// The integer; floats are truncated.
    pub fn int(self) -> i64 {
        match self {
            Num::F(v) => v as i64,
            Num::I(v) => v,
        }
    }

    fn truth(self) -> bool {
        match self {
            Num::F(v) => v != 0.0,
            Num::I(v) => v != 0,
        }
    }
}

/// Number of elements of a buffer.
pub fn elements(shape: &[Poly], bindings: &Bindings) -> usize {
    shape.iter().map(|p| p.eval(bindings).expect("bound") as usize).product()
}

/// Mantissa bits, smallest normal exponent and largest value of the floats narrower than f32.
fn format(dtype: DType) -> (i32, i32, f64) {
    match dtype {
        DType::F16 => (10, -14, 65504.0),
        DType::BF16 => (7, -126, 3.389_531_389_251_535_5e38),
        DType::F8E4M3 => (3, -6, 448.0),
        DType::F8E5M2 => (2, -14, 57344.0),
        _ => unreachable!("wider floats convert by `as`"),
    }
}

/// Rounds to nearest even; overflow to infinity, or NaN for e4m3.
pub fn round(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F64 => x,
        DType::F32 => f64::from(x as f32),
        _ if x == 0.0 || x.is_nan() => x,
        DType::F8E4M3 if x.is_infinite() => f64::NAN,
        _ if x.is_infinite() => x,
        _ => {
            let (mantissa, least, most) = format(dtype);
            let exponent = (((x.to_bits() >> 52) & 0x7ff) as i32 - 1023).max(least);
            let ulp = 2f64.powi(exponent - mantissa);
            let r = (x / ulp).round_ties_even() * ulp;
            match (r.abs() > most, dtype) {
                (true, DType::F8E4M3) => f64::NAN.copysign(x),
                (true, _) => f64::INFINITY.copysign(x),
                _ => r,
            }
        }
    }
}

fn wrap(dtype: DType, v: i128) -> i64 {
    let bits = dtype.bits();
    let low = (v as u128) & (u128::MAX >> (128 - bits));
    if dtype.is_signed_int() {
        let unused = 128 - bits;
        ((low << unused) as i128 >> unused) as i64
    } else {
        low as u64 as i64
    }
}

/// The mathematical integer: u64 values above `i64::MAX` are stored by two's complement.
fn wide(dtype: DType, v: i64) -> i128 {
    if dtype == DType::U64 { i128::from(v as u64) } else { i128::from(v) }
}

/// Reads elements from their bytes in memory.
pub fn decode(dtype: DType, bytes: &[u8], count: usize) -> Vec<Num> {
    let size = dtype.bits() as usize / 8;
    let bits = |i: usize| -> u64 {
        if size == 0 {
            return u64::from(bytes[i / 2] >> (4 * (i % 2)) & 15);
        }
        bytes[i * size..(i + 1) * size].iter().rev().fold(0, |acc, b| acc << 8 | u64::from(*b))
    };
    (0..count).map(|i| from_bits(dtype, bits(i))).collect()
}

fn from_bits(dtype: DType, bits: u64) -> Num {
    match dtype {
        DType::F64 => Num::F(f64::from_bits(bits)),
        DType::F32 => Num::F(f64::from(f32::from_bits(bits as u32))),
        DType::F16 | DType::BF16 | DType::F8E4M3 | DType::F8E5M2 => {
            let (mantissa, least, _) = format(dtype);
            let width = dtype.bits() as i32;
            let sign = if bits >> (width - 1) & 1 == 1 { -1.0 } else { 1.0 };
            let exponent_bits = width - 1 - mantissa;
            let exponent = (bits >> mantissa) as i32 & ((1 << exponent_bits) - 1);
            let fraction = (bits & ((1 << mantissa) - 1)) as f64;
            let top = (1 << exponent_bits) - 1;
            let special = exponent == top && (dtype != DType::F8E4M3 || fraction == 7.0);
            Num::F(match () {
                _ if special && dtype != DType::F8E4M3 && fraction == 0.0 => sign * f64::INFINITY,
                _ if special => f64::NAN,
                _ if exponent == 0 => sign * fraction * 2f64.powi(least - mantissa),
                _ => sign * (1.0 + fraction * 2f64.powi(-mantissa)) * 2f64.powi(exponent - 1 + least),
            })
        }
        DType::Bool => Num::I(i64::from(bits != 0)),
        _ => Num::I(wrap(dtype, i128::from(bits))),
    }
}

fn to_bits(dtype: DType, v: Num) -> u64 {
    match dtype {
        DType::F64 => v.float().to_bits(),
        DType::F32 => u64::from((v.float() as f32).to_bits()),
        DType::F16 | DType::BF16 | DType::F8E4M3 | DType::F8E5M2 => {
            let (mantissa, least, _) = format(dtype);
            let width = dtype.bits() as i32;
            let r = round(dtype, v.float());
            let sign = u64::from(r.is_sign_negative()) << (width - 1);
            let top = (1u64 << (width - 1 - mantissa)) - 1;
            let magnitude = match () {
                _ if r.is_nan() => (1u64 << (width - 1)) - 1,
                _ if r.is_infinite() => top << mantissa,
                _ if r.abs() < 2f64.powi(least) => (r.abs() / 2f64.powi(least - mantissa)) as u64,
                _ => {
                    let exponent = ((r.to_bits() >> 52) & 0x7ff) as i32 - 1023;
                    let fraction = (r.abs() / 2f64.powi(exponent) - 1.0) * 2f64.powi(mantissa);
                    ((exponent - least + 1) as u64) << mantissa | fraction as u64
                }
            };
            sign | magnitude
        }
        _ => v.int() as u64 & (u64::MAX >> (64 - dtype.bits().max(if dtype == DType::Bool { 8 } else { 1 }))),
    }
}

/// Writes elements as their bytes in memory.
pub fn encode(dtype: DType, values: &[Num]) -> Vec<u8> {
    let size = dtype.bits() as usize / 8;
    if size == 0 {
        let nibble = |v: &Num| (v.int() & 15) as u8;
        return values.chunks(2).map(|p| nibble(&p[0]) | p.get(1).map_or(0, |v| nibble(v) << 4)).collect();
    }
    values.iter().flat_map(|v| to_bits(dtype, *v).to_le_bytes()[..size].to_vec()).collect()
}

/// The error function in f64, to about 1e-12.
pub fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let a = x.abs();
    if a < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..80 {
            let n = f64::from(n);
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    // Continued fraction of erfc, evaluated from the inside.
    let fraction = (1..60).rev().fold(a, |f, n| a + f64::from(n) / 2.0 / f);
    (1.0 - (-a * a).exp() / (fraction * std::f64::consts::PI.sqrt())).copysign(x)
}

/// The meaning of [`Unary`].
pub fn unary(op: Unary, dtype: DType, x: Num) -> Num {
    use Unary::*;
    match op {
        Not => return Num::I(i64::from(!x.truth())),
        IsNan => return Num::I(i64::from(x.float().is_nan())),
        IsInf => return Num::I(i64::from(x.float().is_infinite())),
        _ => {}
    }
    if !dtype.is_float() {
        let v = wide(dtype, x.int());
        let exact = match op {
            Neg => Some(-v),
            Abs => Some(v.abs()),
            Sign => Some(v.signum()),
            BitNot => Some(!v),
            Floor | Ceil | Round | Trunc => Some(v),
            _ => None,
        };
        return match exact {
            Some(v) => Num::I(wrap(dtype, v)),
            None => cast(DType::F64, dtype, CastMode::Round, unary(op, DType::F64, Num::F(v as f64))),
        };
    }
    let v = x.float();
    Num::F(round(
        dtype,
        match op {
            Neg => -v,
            Abs => v.abs(),
            Sign => {
                if v.is_nan() || v == 0.0 {
                    v
                } else {
                    v.signum()
                }
            }
            Floor => v.floor(),
            Ceil => v.ceil(),
            Round => v.round_ties_even(),
            Trunc => v.trunc(),
            Sqrt => v.sqrt(),
            Rsqrt => 1.0 / v.sqrt(),
            Recip => 1.0 / v,
            Exp => v.exp(),
            Exp2 => v.exp2(),
            Expm1 => v.exp_m1(),
            Log => v.ln(),
            Log2 => v.log2(),
            Log1p => v.ln_1p(),
            Sin => v.sin(),
            Cos => v.cos(),
            Tan => v.tan(),
            Asin => v.asin(),
            Acos => v.acos(),
            Atan => v.atan(),
            Sinh => v.sinh(),
            Cosh => v.cosh(),
            Tanh => v.tanh(),
            Asinh => v.asinh(),
            Acosh => v.acosh(),
            Atanh => v.atanh(),
            Erf => erf(v),
            Not | IsNan | IsInf | BitNot => unreachable!("not a float function"),
        },
    ))
}

/// The meaning of [`Binary`].
pub fn binary(op: Binary, dtype: DType, x: Num, y: Num) -> Num {
    use Binary::*;
    let truth = |t: bool| Num::I(i64::from(t));
    if op.is_comparison() {
        let order = if dtype.is_float() {
            x.float().partial_cmp(&y.float())
        } else {
            Some(wide(dtype, x.int()).cmp(&wide(dtype, y.int())))
        };
        return truth(match op {
            Eq => order == Some(std::cmp::Ordering::Equal),
            Ne => order != Some(std::cmp::Ordering::Equal),
            Lt => order.is_some_and(|o| o.is_lt()),
            Le => order.is_some_and(|o| o.is_le()),
            Gt => order.is_some_and(|o| o.is_gt()),
            _ => order.is_some_and(|o| o.is_ge()),
        });
    }
    if dtype == DType::Bool {
        let (a, b) = (x.truth(), y.truth());
        return truth(match op {
            And | Mul | Min => a & b,
            Or | Add | Max => a | b,
            _ => a ^ b,
        });
    }
    if !dtype.is_float() {
        let (a, b) = (wide(dtype, x.int()), wide(dtype, y.int()));
        let bits = i128::from(dtype.bits());
        let in_range = (0..bits).contains(&b);
        let value = match op {
            Add => a + b,
            Sub => a - b,
            Mul => a.wrapping_mul(b),
            Div => {
                if b == 0 {
                    0
                } else {
                    a / b
                }
            }
            FloorDiv => {
                if b == 0 {
                    0
                } else {
                    a.div_euclid(b) - i128::from(b < 0 && a.rem_euclid(b) != 0)
                }
            }
            Rem => {
                if b == 0 {
                    0
                } else {
                    a % b
                }
            }
            Mod => {
                if b == 0 {
                    0
                } else {
                    ((a % b) + b) % b
                }
            }
            Min => a.min(b),
            Max => a.max(b),
            And => a & b,
            Or => a | b,
            Xor => a ^ b,
            Shl => {
                if in_range {
                    a << b
                } else {
                    0
                }
            }
            Shr => {
                if in_range {
                    a >> b
                } else {
                    0
                }
            }
            Pow if b < 0 => match a {
                1 => 1,
                -1 => {
                    if b % 2 == 0 {
                        1
                    } else {
                        -1
                    }
                }
                _ => 0,
            },
            Pow => (0..b).fold(1i128, |p, _| i128::from(wrap(dtype, p.wrapping_mul(a)))),
            Atan2 => (a as f64).atan2(b as f64) as i128,
            _ => unreachable!("compared above"),
        };
        return Num::I(wrap(dtype, value));
    }
    let (a, b) = (x.float(), y.float());
    Num::F(round(
        dtype,
        match op {
            Add => a + b,
            Sub => a - b,
            Mul => a * b,
            Div => a / b,
            FloorDiv => round(dtype.compute(), a / b).floor(),
            Rem => a % b,
            Mod => {
                let r = a % b;
                if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
            }
            Pow => a.powf(b),
            Atan2 => a.atan2(b),
            Min => {
                if a.is_nan() || b.is_nan() {
                    f64::NAN
                } else {
                    a.min(b)
                }
            }
            Max => {
                if a.is_nan() || b.is_nan() {
                    f64::NAN
                } else {
                    a.max(b)
                }
            }
            _ => unreachable!("integers only"),
        },
    ))
}

/// The meaning of [`CastMode`].
pub fn cast(from: DType, to: DType, mode: CastMode, v: Num) -> Num {
    if mode == CastMode::Bits {
        return from_bits(to, to_bits(from, v));
    }
    if from == to {
        return v;
    }
    if to == DType::Bool {
        return Num::I(i64::from(match v {
            Num::F(f) => f != 0.0,
            Num::I(i) => i != 0,
        }));
    }
    let clamp = |x: i128| {
        let (low, high) = to.int_range().expect("an integer");
        x.clamp(low, high)
    };
    match (v, to.is_float()) {
        (Num::F(f), true) => {
            let r = round(to, f);
            let over = mode == CastMode::Saturate && f.is_finite() && !r.is_finite();
            let most = match to {
                DType::F64 => f64::MAX,
                DType::F32 => f64::from(f32::MAX),
                _ => format(to).2,
            };
            Num::F(if over { most.copysign(f) } else { r })
        }
        (Num::I(i), true) => cast(DType::F64, to, mode, Num::F(wide(from, i) as f64)),
        (Num::F(f), false) => Num::I(wrap(to, clamp(f as i128))),
        (Num::I(i), false) if mode == CastMode::Saturate => Num::I(wrap(to, clamp(wide(from, i)))),
        (Num::I(i), false) => Num::I(wrap(to, wide(from, i))),
    }
}

struct Machine<'a> {
    desc: &'a KernelDesc,
    bindings: &'a Bindings,
    buffers: &'a mut [Vec<Num>],
    vars: BTreeMap<LoopVar, i64>,
    accs: BTreeMap<(u32, u32), Num>,
    carries: BTreeMap<(u32, u32), Num>,
}

/// Runs a description on its buffers, which hold one element each entry.
pub fn run(desc: &KernelDesc, bindings: &Bindings, buffers: &mut [Vec<Num>]) {
    let mut m =
        Machine { desc, bindings, buffers, vars: BTreeMap::new(), accs: BTreeMap::new(), carries: BTreeMap::new() };
    match &desc.body {
        Body::Nest(nest) => m.each(&nest.parallel, &mut |m| m.stages(&nest.stages)),
        Body::Contraction(c) => {
            let outer: Vec<Loop> = c.batch.iter().chain(&c.m).chain(&c.n).cloned().collect();
            m.each(&outer, &mut |m| {
                let mut sum = Num::I(0);
                m.each(&c.k, &mut |m| {
                    let mut memo = m.memo();
                    let (a, b) = (m.eval(c.a, &mut memo), m.eval(c.b, &mut memo));
                    sum = multiply_add(c.acc, a, b, sum);
                });
                m.accs.insert((0, 0), settle(c.acc, sum));
                m.store_all(&c.stores);
            });
        }
        Body::SparseContraction(c) => {
            let outer: Vec<Loop> = c.batch.iter().chain([&c.m]).chain(&c.n).cloned().collect();
            let row: Vec<Loop> = c.batch.iter().chain([&c.m]).cloned().collect();
            m.each(&outer, &mut |m| {
                let k = m.extent(&c.k);
                let at = row.iter().fold(0, |at, l| at * m.extent(l) + m.vars[&l.var]);
                let mut sum = Num::I(0);
                for half in 0..k / 2 {
                    let (group, which) = (half / 2, half % 2);
                    let byte = m.buffers[c.meta as usize][(at * (k / 8) + group / 2) as usize].int();
                    let nibble = byte >> (4 * (group % 2)) & 15;
                    let a = m.buffers[c.values as usize][(at * (k / 2) + half) as usize];
                    m.vars.insert(c.k.var, group * 4 + (nibble >> (2 * which) & 3));
                    let mut memo = m.memo();
                    let b = m.eval(c.b, &mut memo);
                    sum = multiply_add(c.acc, a, b, sum);
                }
                m.vars.remove(&c.k.var);
                m.accs.insert((0, 0), settle(c.acc, sum));
                m.store_all(&c.stores);
            });
        }
        Body::Attention(a) => m.attention(a),
        Body::Custom(c) => panic!("what `{}` computes is written in no description", c.entry),
    }
}

fn multiply_add(acc: DType, a: Num, b: Num, sum: Num) -> Num {
    if acc.is_float() {
        Num::F(a.float().mul_add(b.float(), sum.float()))
    } else {
        Num::I(wrap(acc, i128::from(a.int()) * i128::from(b.int()) + i128::from(sum.int())))
    }
}

fn settle(acc: DType, sum: Num) -> Num {
    if acc.is_float() { Num::F(round(acc, sum.float())) } else { sum }
}

impl Machine<'_> {
    fn poly(&self, p: &Poly) -> i64 {
        p.eval(self.bindings).expect("symbols are bound")
    }

    fn memo(&self) -> Vec<Option<Num>> {
        vec![None; self.desc.exprs.len()]
    }

    fn extent(&mut self, l: &Loop) -> i64 {
        match &l.extent {
            Extent::Size(p) => self.poly(p),
            Extent::Dynamic(e) => {
                let mut memo = self.memo();
                self.eval(*e, &mut memo).int()
            }
        }
    }

    fn each(&mut self, loops: &[Loop], body: &mut dyn FnMut(&mut Self)) {
        let Some((outer, inner)) = loops.split_first() else { return body(self) };
        for i in 0..self.extent(outer) {
            self.vars.insert(outer.var, i);
            self.each(inner, body);
        }
        self.vars.remove(&outer.var);
    }

    fn index(&mut self, index: &Index, memo: &mut Vec<Option<Num>>) -> i64 {
        let mut at = self.poly(&index.offset);
        for (var, stride) in &index.affine {
            at += self.vars[var] * self.poly(stride);
        }
        for (e, stride) in &index.dynamic {
            at += self.eval(*e, memo).int() * self.poly(stride);
        }
        at
    }

    fn eval(&mut self, id: ExprId, memo: &mut Vec<Option<Num>>) -> Num {
        if let Some(v) = memo[id.0 as usize] {
            return v;
        }
        let desc = self.desc;
        let dtype = desc.exprs[id].dtype;
        let value = match &desc.exprs[id].expr {
            Expr::Const(Const::Float(bits)) if dtype.is_float() => Num::F(round(dtype, f64::from_bits(*bits))),
            Expr::Const(Const::Float(bits)) => Num::I(f64::from_bits(*bits) as i64),
            Expr::Const(Const::Int(i)) if dtype.is_float() => Num::F(*i as f64),
            Expr::Const(Const::Int(i)) => Num::I(*i),
            Expr::Var(v) => Num::I(self.vars[v]),
            Expr::Size(p) => Num::I(self.poly(p)),
            Expr::Load { buffer, index, guard } => {
                let go = guard.is_none_or(|(cond, _)| self.eval(cond, memo).truth());
                if go {
                    let at = self.index(index, memo);
                    let data = &self.buffers[*buffer as usize];
                    assert!(
                        at >= 0 && (at as usize) < data.len(),
                        "load of element {at} of `{}`",
                        desc.buffers[*buffer as usize].name
                    );
                    data[at as usize]
                } else {
                    self.eval(guard.expect("a guard refused").1, memo)
                }
            }
            Expr::Unary(op, x) => unary(*op, desc.exprs[*x].dtype, self.eval(*x, memo)),
            Expr::Binary(op, x, y) => binary(*op, desc.exprs[*x].dtype, self.eval(*x, memo), self.eval(*y, memo)),
            Expr::Select { cond, then, other } => {
                let chosen = if self.eval(*cond, memo).truth() { then } else { other };
                self.eval(*chosen, memo)
            }
            Expr::Cast { from, mode } => cast(desc.exprs[*from].dtype, dtype, *mode, self.eval(*from, memo)),
            Expr::Acc { stage, acc } => self.accs[&(*stage, *acc)],
            Expr::Carry { stage, carry } => self.carries[&(*stage, *carry)],
        };
        memo[id.0 as usize] = Some(value);
        value
    }

    /// Evaluates all stores, then makes them.
    fn store_all(&mut self, stores: &[Store]) {
        let mut memo = self.memo();
        self.store_with(stores, &mut memo);
    }

    fn store_with(&mut self, stores: &[Store], memo: &mut Vec<Option<Num>>) {
        let mut pending = vec![];
        for s in stores {
            if s.guard.is_none_or(|g| self.eval(g, memo).truth()) {
                let value = self.eval(s.value, memo);
                pending.push((s.buffer, self.index(&s.index, memo), value));
            }
        }
        for (buffer, at, value) in pending {
            let data = &mut self.buffers[buffer as usize];
            assert!(
                at >= 0 && (at as usize) < data.len(),
                "store to element {at} of `{}`",
                self.desc.buffers[buffer as usize].name
            );
            data[at as usize] = value;
        }
    }

    fn stages(&mut self, stages: &[Stage]) {
        for (number, stage) in stages.iter().enumerate() {
            let number = number as u32;
            match stage {
                Stage::Store { loops, stores } => self.each(loops, &mut |m| m.store_all(stores)),
                Stage::Reduce { loops, accs } => {
                    let mut states: Vec<(Num, i64)> = accs.iter().map(|a| (identity(a), -1)).collect();
                    let mut position = 0;
                    self.each(loops, &mut |m| {
                        let mut memo = m.memo();
                        for (acc, state) in accs.iter().zip(&mut states) {
                            let own = m.desc.exprs[acc.value].dtype;
                            let value = m.eval(acc.value, &mut memo);
                            let value = cast(own, acc.dtype, CastMode::Round, value);
                            accumulate(acc, state, value, position);
                        }
                        position += 1;
                    });
                    for (n, (acc, (value, at))) in accs.iter().zip(states).enumerate() {
                        let arg = matches!(acc.combine, Combine::ArgMin { .. } | Combine::ArgMax { .. });
                        let value = if arg { Num::I(at.max(0)) } else { settle(acc.dtype, value) };
                        self.accs.insert((number, n as u32), value);
                    }
                }
                Stage::Sequential { loops, carries, stores } => {
                    let mut memo = self.memo();
                    for (n, c) in carries.iter().enumerate() {
                        let init = self.eval(c.init, &mut memo);
                        self.carries.insert((number, n as u32), init);
                    }
                    self.each(loops, &mut |m| {
                        let mut memo = m.memo();
                        let next: Vec<Num> = carries.iter().map(|c| m.eval(c.next, &mut memo)).collect();
                        m.store_with(stores, &mut memo);
                        for (n, value) in next.into_iter().enumerate() {
                            m.carries.insert((number, n as u32), value);
                        }
                    });
                }
            }
        }
    }

    fn at(&self, view: &View, position: [i64; 4]) -> f64 {
        let at: i64 =
            self.poly(&view.offset) + view.strides.iter().zip(position).map(|(s, p)| self.poly(s) * p).sum::<i64>();
        self.buffers[view.buffer as usize][at as usize].float()
    }

    fn put(&mut self, view: &View, position: &[i64], value: f64) {
        let at: i64 =
            self.poly(&view.offset) + view.strides.iter().zip(position).map(|(s, p)| self.poly(s) * p).sum::<i64>();
        let dtype = self.desc.buffers[view.buffer as usize].dtype;
        self.buffers[view.buffer as usize][at as usize] = Num::F(round(dtype, value));
    }

    fn attention(&mut self, a: &Attention) {
        let scale = f64::from_bits(a.scale_bits);
        let (batch, seq_q, seq_k) = (self.poly(&a.batch), self.poly(&a.seq_q), self.poly(&a.seq_k));
        let (heads, kv) = (self.poly(&a.heads_q), self.poly(&a.heads_kv));
        let (dim, dim_v) = (i64::from(a.dim), i64::from(a.dim_v));
        for (b, h, i) in (0..batch).flat_map(|b| (0..heads).flat_map(move |h| (0..seq_q).map(move |i| (b, h, i)))) {
            let g = h / (heads / kv);
            // (logit, value vector) of every visible key or pair of keys.
            let mut seen: Vec<(f64, Vec<f64>)> = vec![];
            match &a.kind {
                AttentionKind::Dot { causal_offset, window, bias } => {
                    for j in 0..seq_k {
                        if let Some(offset) = causal_offset {
                            let last = i + self.poly(offset);
                            if j > last || window.is_some_and(|w| j < last - w as i64 + 1) {
                                continue;
                            }
                        }
                        let dot: f64 =
                            (0..dim).map(|d| self.at(&a.q, [b, i, h, d]) * self.at(&a.k, [b, j, g, d])).sum();
                        let extra = bias.as_ref().map_or(0.0, |(v, _)| self.at(v, [b, h, i, j]));
                        seen.push((dot * scale + extra, (0..dim_v).map(|d| self.at(&a.v, [b, j, g, d])).collect()));
                    }
                }
                AttentionKind::Trilinear { w1, w2, k2, v2, k2_bias_bits, v2_bias_bits } => {
                    let (kb, vb) = (f64::from_bits(*k2_bias_bits), f64::from_bits(*v2_bias_bits));
                    let from = |w: u64| (i - w as i64 + 1).max(0);
                    for j in from(*w1)..(i + 1).min(seq_k) {
                        for l in from(*w2)..(i + 1).min(seq_k) {
                            let one = |d| {
                                self.at(&a.q, [b, i, h, d])
                                    * self.at(&a.k, [b, j, g, d])
                                    * (self.at(k2, [b, l, g, d]) + kb)
                            };
                            let logit: f64 = (0..dim).map(one).sum();
                            let value = |d| self.at(&a.v, [b, j, g, d]) * (self.at(v2, [b, l, g, d]) + vb);
                            seen.push((logit * scale, (0..dim_v).map(value).collect()));
                        }
                    }
                }
            }
            let most = seen.iter().map(|s| s.0).fold(f64::NEG_INFINITY, f64::max);
            let visible = most > f64::NEG_INFINITY;
            let sum: f64 = seen.iter().map(|s| (s.0 - most).exp()).sum();
            for d in 0..dim_v {
                let weighted: f64 = seen.iter().map(|s| (s.0 - most).exp() * s.1[d as usize]).sum();
                self.put(&a.out, &[b, i, h, d], if visible { weighted / sum } else { 0.0 });
            }
            if let Some(lse) = &a.lse {
                self.put(lse, &[b, h, i], if visible { most + sum.ln() } else { f64::NEG_INFINITY });
            }
        }
    }
}

fn identity(acc: &Acc) -> Num {
    if acc.dtype.is_float() {
        return Num::F(match acc.combine {
            Combine::Sum | Combine::Or => 0.0,
            Combine::Prod | Combine::And => 1.0,
            Combine::Min | Combine::ArgMin { .. } => f64::INFINITY,
            Combine::Max | Combine::ArgMax { .. } => f64::NEG_INFINITY,
        });
    }
    let (low, high) = acc.dtype.int_range().expect("an integer");
    Num::I(match acc.combine {
        Combine::Sum | Combine::Or => 0,
        Combine::Prod => 1,
        Combine::And if acc.dtype == DType::Bool => 1,
        Combine::And => wrap(acc.dtype, -1),
        Combine::Min | Combine::ArgMin { .. } => wrap(acc.dtype, high),
        Combine::Max | Combine::ArgMax { .. } => wrap(acc.dtype, low),
    })
}

fn accumulate(acc: &Acc, state: &mut (Num, i64), value: Num, position: i64) {
    let op = match acc.combine {
        Combine::Sum => Binary::Add,
        Combine::Prod => Binary::Mul,
        Combine::Min => Binary::Min,
        Combine::Max => Binary::Max,
        Combine::And => Binary::And,
        Combine::Or => Binary::Or,
        Combine::ArgMin { last } | Combine::ArgMax { last } => {
            let largest = matches!(acc.combine, Combine::ArgMax { .. });
            let nan = |v: Num| matches!(v, Num::F(f) if f.is_nan());
            let before = if largest { Binary::Gt } else { Binary::Lt };
            let better = binary(before, acc.dtype, value, state.0).truth() || nan(value) && !nan(state.0);
            let equal = binary(Binary::Eq, acc.dtype, value, state.0).truth() || nan(value) && nan(state.0);
            if state.1 < 0 || better || equal && last {
                *state = (value, position);
            }
            return;
        }
    };
    // Sums of floats stay in f64 until the end.
    let dtype = if acc.dtype.is_float() { DType::F64 } else { acc.dtype };
    state.0 = binary(op, dtype, state.0, value);
}
