//! Values known at import: a small evaluator over the core graph whose integers are polynomials.
//!
//! Shape tensors are ordinary integer tensors in ONNX. They are lowered to core ops like everything else, and where an
//! op needs such a value as an attribute (a reshape's shape, a slice's start) [`Evaluator::known`] works out what it is.
//! It knows nothing of ONNX. Results are bounded in size, and anything it cannot tell is simply not known.

use std::collections::HashMap;
use std::rc::Rc;
use tricot_dialects::scalar::{float_to_int, round_float, wrap};
use tricot_dialects::{Attr, ConstantStore, Function, Node, ScalarFn, ValueId};
use tricot_types::{DType, Poly, SymbolTable};

/// Elements of a known tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Integers and bool (0 or 1).
    Ints(Vec<Poly>),
    Floats(Vec<f64>),
}

/// A tensor whose value is known at import.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub shape: Vec<usize>,
    pub data: Data,
}

/// Larger tensors are never evaluated at import.
const LIMIT: usize = 1 << 16;
/// Longest chain of core ops followed; chains are cut short by remembering the result of every ONNX node.
const DEPTH: usize = 400;

/// What has been worked out so far, unknowns included.
pub type Memo = HashMap<ValueId, Option<Rc<Known>>>;

/// The evaluator's view of a function under construction.
pub struct Evaluator<'a> {
    pub function: &'a Function,
    pub constants: &'a ConstantStore,
    pub symbols: &'a SymbolTable,
    pub memo: &'a mut Memo,
}

impl Data {
    fn take(&self, positions: impl Iterator<Item = usize>) -> Data {
        match self {
            Data::Ints(v) => Data::Ints(positions.map(|i| v[i].clone()).collect()),
            Data::Floats(v) => Data::Floats(positions.map(|i| v[i]).collect()),
        }
    }

    fn ints(&self) -> Option<&[Poly]> {
        match self {
            Data::Ints(v) => Some(v),
            Data::Floats(_) => None,
        }
    }
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut out = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        out[i - 1] = out[i] * shape[i];
    }
    out
}

/// Coordinates of every element, row-major.
fn coordinates(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let (steps, shape) = (strides(shape), shape.to_vec());
    (0..shape.iter().product::<usize>()).map(move |i| steps.iter().zip(&shape).map(|(s, n)| i / s % n).collect())
}

/// The shape as numbers, if it has at most [`LIMIT`] elements.
fn small(shape: &[Poly]) -> Option<Vec<usize>> {
    let dims: Vec<usize> = shape.iter().map(|d| usize::try_from(d.as_constant()?).ok()).collect::<Option<_>>()?;
    let count = dims.iter().try_fold(1usize, |a, d| a.checked_mul(*d))?;
    (count <= LIMIT && dims.iter().all(|d| *d <= LIMIT)).then_some(dims)
}

impl Evaluator<'_> {
    /// The value, if it does not depend on run-time data.
    pub fn known(&mut self, value: ValueId) -> Option<Rc<Known>> {
        self.at_depth(value, 0)
    }

    fn at_depth(&mut self, value: ValueId, depth: usize) -> Option<Rc<Known>> {
        if let Some(found) = self.memo.get(&value) {
            return found.clone();
        }
        if depth > DEPTH {
            return None;
        }
        let function = self.function;
        let found = small(&function.ty(value).shape).and_then(|shape| {
            let node = function.node(value.node);
            let data = self.compute(node, &shape, function.ty(value).dtype, depth)?;
            Some(Rc::new(Known { shape, data }))
        });
        self.memo.insert(value, found.clone());
        found
    }

    fn compute(&mut self, node: &Node, shape: &[usize], dtype: DType, depth: usize) -> Option<Data> {
        let attrs = &node.attrs;
        match node.op.name {
            "core.constant" => {
                let Some(Attr::Constant(hash)) = attrs.get("value") else { return None };
                let constant = self.constants.get(*hash)?;
                return Some(if dtype.is_float() {
                    Data::Floats(constant.to_f64())
                } else {
                    Data::Ints(constant.to_i64().into_iter().map(Poly::constant).collect())
                });
            }
            "core.size" => return Some(Data::Ints(vec![attrs.dim("value").clone()])),
            "core.iota" => {
                let axis = attrs.int("axis") as usize;
                let count = coordinates(shape).map(|c| c[axis] as i64);
                return Some(match dtype.is_float() {
                    true => Data::Floats(count.map(|c| c as f64).collect()),
                    false => Data::Ints(count.map(Poly::constant).collect()),
                });
            }
            "core.map" | "core.select" | "core.cast" | "core.reshape" | "core.broadcast" | "core.transpose"
            | "core.slice" | "core.concat" | "core.pad" | "core.gather" | "core.reduce" | "core.scan" => {}
            _ => return None,
        }
        let mut operands = vec![];
        for v in node.operands() {
            operands.push(self.at_depth(*v, depth + 1)?);
        }
        let x = &operands[0];
        match node.op.name {
            "core.map" => {
                let f: ScalarFn = attrs.str("fn").parse().ok()?;
                let from = self.function.ty(node.operands()[0]).dtype;
                self.map(f, from, dtype, &x.data, operands.get(1).map(|o| &o.data))
            }
            "core.select" => {
                let cond: Vec<bool> =
                    x.data.ints()?.iter().map(|p| p.as_constant().map(|c| c != 0)).collect::<Option<_>>()?;
                match (&operands[1].data, &operands[2].data) {
                    (Data::Ints(a), Data::Ints(b)) => Some(Data::Ints(
                        (0..cond.len()).map(|i| (if cond[i] { &a[i] } else { &b[i] }).clone()).collect(),
                    )),
                    (Data::Floats(a), Data::Floats(b)) => {
                        Some(Data::Floats((0..cond.len()).map(|i| if cond[i] { a[i] } else { b[i] }).collect()))
                    }
                    _ => None,
                }
            }
            "core.cast" => self.cast(&x.data, dtype, attrs.str("mode")),
            "core.reshape" => Some(x.data.clone()),
            "core.broadcast" => {
                let (axes, steps) = (attrs.ints("axes").to_vec(), strides(&x.shape));
                Some(x.data.take(coordinates(shape).map(|c| {
                    let at = |i: usize| if x.shape[i] == 1 { 0 } else { c[axes[i] as usize] };
                    (0..axes.len()).map(|i| at(i) * steps[i]).sum()
                })))
            }
            "core.transpose" => {
                let (perm, steps) = (attrs.ints("perm").to_vec(), strides(&x.shape));
                let offset = |c: Vec<usize>| perm.iter().zip(&c).map(|(p, i)| steps[*p as usize] * i).sum();
                Some(x.data.take(coordinates(shape).map(offset)))
            }
            "core.slice" => {
                let start: Vec<i64> = attrs.dims("start").iter().map(Poly::as_constant).collect::<Option<_>>()?;
                let (step, steps) = (attrs.ints("step"), strides(&x.shape));
                let offset = |c: Vec<usize>| {
                    (0..c.len()).map(|i| (start[i] + c[i] as i64 * step[i]) as usize * steps[i]).sum::<usize>()
                };
                Some(x.data.take(coordinates(shape).map(offset)))
            }
            "core.concat" => self.concat(&operands, attrs.int("axis") as usize, shape),
            "core.pad" => {
                let low: Vec<i64> = attrs.dims("low").iter().map(Poly::as_constant).collect::<Option<_>>()?;
                let (interior, steps) = (attrs.ints("interior"), strides(&x.shape));
                let source = |c: Vec<usize>| -> Option<usize> {
                    (0..c.len()).try_fold(0, |sum, i| {
                        let at = c[i] as i64 - low[i];
                        let inside = at >= 0 && at % (interior[i] + 1) == 0;
                        let at = (at / (interior[i] + 1)) as usize;
                        (inside && at < x.shape[i]).then(|| sum + at * steps[i])
                    })
                };
                let sources: Vec<_> = coordinates(shape).map(source).collect();
                Some(match (&x.data, &operands[1].data) {
                    (Data::Ints(v), Data::Ints(f)) => {
                        Data::Ints(sources.iter().map(|s| s.map_or(&f[0], |s| &v[s]).clone()).collect())
                    }
                    (Data::Floats(v), Data::Floats(f)) => {
                        Data::Floats(sources.iter().map(|s| s.map_or(f[0], |s| v[s])).collect())
                    }
                    _ => return None,
                })
            }
            "core.gather" if attrs.int("batch_dims") == 0 => {
                let axis = attrs.int("axis") as usize;
                let last = x.shape[axis] as i64 - 1;
                let index: Vec<i64> = operands[1].data.ints()?.iter().map(Poly::as_constant).collect::<Option<_>>()?;
                let inner: usize = x.shape[axis + 1..].iter().product();
                let outer: usize = x.shape[..axis].iter().product();
                if last < 0 {
                    return None;
                }
                let positions = (0..outer).flat_map(|o| {
                    let n = x.shape[axis];
                    index
                        .iter()
                        .flat_map(move |i| (0..inner).map(move |k| (o * n + (*i).clamp(0, last) as usize) * inner + k))
                });
                Some(x.data.take(positions))
            }
            "core.reduce" => self.reduce(x, attrs.str("kind"), attrs.ints("axes"), dtype),
            "core.scan" if !attrs.bool("exclusive") && !attrs.bool("reverse") && attrs.str("kind") == "sum" => {
                let (steps, axis) = (strides(&x.shape), attrs.int("axis") as usize);
                let mut out = x.data.ints()?.to_vec();
                for (i, c) in coordinates(shape).enumerate() {
                    if c[axis] > 0 {
                        out[i] = out[i].checked_add(&out[i - steps[axis]])?;
                    }
                }
                Some(Data::Ints(out))
            }
            _ => None,
        }
    }

    fn concat(&self, operands: &[Rc<Known>], axis: usize, shape: &[usize]) -> Option<Data> {
        let pick = |c: &[usize]| {
            let (mut at, mut which) = (c[axis], 0);
            while at >= operands[which].shape[axis] {
                at -= operands[which].shape[axis];
                which += 1;
            }
            let steps = strides(&operands[which].shape);
            (which, (0..c.len()).map(|i| if i == axis { at } else { c[i] } * steps[i]).sum::<usize>())
        };
        match &operands[0].data {
            Data::Ints(_) => {
                let parts: Vec<&[Poly]> = operands.iter().map(|o| o.data.ints()).collect::<Option<_>>()?;
                Some(Data::Ints(coordinates(shape).map(|c| pick(&c)).map(|(w, i)| parts[w][i].clone()).collect()))
            }
            Data::Floats(_) => {
                let at = |(w, i): (usize, usize)| match &operands[w].data {
                    Data::Floats(v) => Some(v[i]),
                    Data::Ints(_) => None,
                };
                coordinates(shape).map(|c| at(pick(&c))).collect::<Option<_>>().map(Data::Floats)
            }
        }
    }

    fn reduce(&self, x: &Known, kind: &str, axes: &[i64], dtype: DType) -> Option<Data> {
        let kept: Vec<usize> = (0..x.shape.len()).filter(|i| !axes.contains(&(*i as i64))).collect();
        let shape: Vec<usize> = kept.iter().map(|i| x.shape[*i]).collect();
        let steps = strides(&shape);
        let place = |c: Vec<usize>| kept.iter().zip(&steps).map(|(i, s)| c[*i] * s).sum::<usize>();
        let f: ScalarFn = match kind {
            "sum" => ScalarFn::Add,
            "prod" => ScalarFn::Mul,
            other => other.parse().ok()?,
        };
        let mut out: Vec<Option<Poly>> = vec![None; shape.iter().product()];
        let values = x.data.ints()?;
        for (i, c) in coordinates(&x.shape).enumerate() {
            let slot = &mut out[place(c)];
            *slot = Some(match slot.take() {
                None => values[i].clone(),
                Some(old) => self.scalar(f, dtype, &old, Some(&values[i]))?,
            });
        }
        let empty = Poly::constant(i64::from(kind == "prod" || kind == "and"));
        Some(Data::Ints(out.into_iter().map(|v| v.unwrap_or_else(|| empty.clone())).collect()))
    }

    fn cast(&self, data: &Data, to: DType, mode: &str) -> Option<Data> {
        if mode == "bits" {
            return None;
        }
        let saturate = mode == "saturate";
        match data {
            Data::Floats(v) if to.is_float() => {
                Some(Data::Floats(v.iter().map(|v| round_float(to, *v, saturate)).collect()))
            }
            Data::Floats(v) => Some(Data::Ints(v.iter().map(|v| Poly::constant(float_to_int(to, *v))).collect())),
            Data::Ints(v) if to.is_float() => v
                .iter()
                .map(|p| p.as_constant().map(|c| round_float(to, c as f64, saturate)))
                .collect::<Option<_>>()
                .map(Data::Floats),
            Data::Ints(v) => {
                let one = |p: &Poly| match p.as_constant() {
                    Some(c) => Some(Poly::constant(wrap(to, i128::from(c)))),
                    None if to == DType::Bool => self.sign_of(p).map(|s| Poly::constant(i64::from(s != 0))),
                    // Sizes fit 32 bits wherever a model computes them in 32 bits.
                    None => matches!(to, DType::I64 | DType::I32 | DType::U64 | DType::U32).then(|| p.clone()),
                };
                v.iter().map(one).collect::<Option<_>>().map(Data::Ints)
            }
        }
    }

    fn map(&self, f: ScalarFn, from: DType, to: DType, a: &Data, b: Option<&Data>) -> Option<Data> {
        match a {
            Data::Ints(a) => {
                let b = match b {
                    Some(b) => Some(b.ints()?),
                    None => None,
                };
                let at = |i: usize| self.scalar(f, from, &a[i], b.map(|b| &b[i]));
                (0..a.len()).map(at).collect::<Option<_>>().map(Data::Ints)
            }
            Data::Floats(a) => {
                let at = |i: usize| match b {
                    Some(Data::Floats(b)) => Some(f.eval(a[i], b[i])),
                    Some(Data::Ints(_)) => None,
                    None => Some(f.eval(a[i], 0.0)),
                };
                let values: Vec<f64> = (0..a.len()).map(at).collect::<Option<_>>()?;
                Some(match to.is_float() {
                    true => Data::Floats(values.into_iter().map(|v| round_float(to, v, false)).collect()),
                    false => Data::Ints(values.into_iter().map(|v| Poly::constant(v as i64)).collect()),
                })
            }
        }
    }

    /// Sign of a polynomial if every legal binding gives the same: -1, 0 or 1.
    fn sign_of(&self, p: &Poly) -> Option<i64> {
        match p.bounds(self.symbols) {
            (0, 0) => Some(0),
            (lo, _) if lo > 0 => Some(1),
            (_, hi) if hi < 0 => Some(-1),
            _ => None,
        }
    }

    fn scalar(&self, f: ScalarFn, dtype: DType, a: &Poly, b: Option<&Poly>) -> Option<Poly> {
        if let (Some(x), Some(y)) = (a.as_constant(), b.map_or(Some(0), Poly::as_constant)) {
            return Some(Poly::constant(f.eval_int(dtype, x, y)));
        }
        let zero = Poly::default();
        let b = b.unwrap_or(&zero);
        let minus = |x: &Poly, y: &Poly| y.checked_neg().and_then(|n| x.checked_add(&n));
        let truth = |t: bool| Some(Poly::constant(i64::from(t)));
        let difference = || minus(a, b).map(|d| d.bounds(self.symbols));
        match f {
            ScalarFn::Add => a.checked_add(b),
            ScalarFn::Sub => minus(a, b),
            ScalarFn::Mul => a.checked_mul(b),
            ScalarFn::Neg => a.checked_neg(),
            ScalarFn::Square => a.checked_mul(a),
            ScalarFn::Floor | ScalarFn::Ceil | ScalarFn::Round | ScalarFn::Trunc => Some(a.clone()),
            ScalarFn::Abs | ScalarFn::Relu if a.bounds(self.symbols).0 >= 0 => Some(a.clone()),
            ScalarFn::Sign => self.sign_of(a).map(Poly::constant),
            ScalarFn::Div | ScalarFn::FloorDiv => {
                let exact = a.exact_div(b);
                exact.or_else(|| {
                    let d = b.as_constant().filter(|d| *d > 0)?;
                    (f == ScalarFn::FloorDiv || a.bounds(self.symbols).0 >= 0).then(|| a.floor_div(d))
                })
            }
            ScalarFn::Mod | ScalarFn::Rem => {
                let d = b.as_constant().filter(|d| *d > 0)?;
                if f == ScalarFn::Rem && a.bounds(self.symbols).0 < 0 {
                    return None;
                }
                if a.known_multiple(self.symbols) % d == 0 {
                    return Some(zero);
                }
                minus(a, &a.floor_div(d).checked_mul(b)?)
            }
            ScalarFn::Min | ScalarFn::Max => {
                let (lo, hi) = difference()?;
                let larger = match () {
                    _ if lo >= 0 => true,
                    _ if hi <= 0 => false,
                    _ => return None,
                };
                Some(if larger == (f == ScalarFn::Max) { a } else { b }.clone())
            }
            ScalarFn::Eq | ScalarFn::Ne => {
                let (lo, hi) = difference()?;
                match (lo, hi) {
                    (0, 0) => truth(f == ScalarFn::Eq),
                    _ if lo > 0 || hi < 0 => truth(f == ScalarFn::Ne),
                    _ => None,
                }
            }
            ScalarFn::Lt | ScalarFn::Le | ScalarFn::Gt | ScalarFn::Ge => {
                let (lo, hi) = difference()?;
                let (yes, no) = match f {
                    ScalarFn::Lt => (hi < 0, lo >= 0),
                    ScalarFn::Le => (hi <= 0, lo > 0),
                    ScalarFn::Gt => (lo > 0, hi <= 0),
                    _ => (lo >= 0, hi < 0),
                };
                if yes || no { truth(yes) } else { None }
            }
            _ => None,
        }
    }
}
