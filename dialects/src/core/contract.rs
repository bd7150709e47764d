//! `core.contract`: the n-ary Einstein sum.

use crate::attr::AttrKind;
use crate::op::{Meaning, OpDef, OpView, Work, required, result, variadic};
use crate::ty::TensorType;
use std::collections::BTreeMap;
use tricot_types::{DType, Poly};

/// A parsed einsum such as `bij,bjk->bik`: letters `a-z`, `A-Z`, no ellipsis, explicit result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Einsum {
    /// Letters of each operand's axes.
    pub operands: Vec<Vec<char>>,
    /// Letters of the result's axes, distinct, each occurring in some operand.
    pub result: Vec<char>,
}

impl Einsum {
    /// Reads the text form.
    pub fn parse(spec: &str) -> Result<Einsum, String> {
        let (left, right) = spec.split_once("->").ok_or_else(|| format!("einsum `{spec}` has no `->`"))?;
        let letters = |part: &str| -> Result<Vec<char>, String> {
            match part.chars().find(|c| !c.is_ascii_alphabetic()) {
                Some(c) => Err(format!("einsum `{spec}` holds {c:?}; only letters name axes")),
                None => Ok(part.chars().collect()),
            }
        };
        let operands = left.split(',').map(letters).collect::<Result<Vec<_>, _>>()?;
        let result = letters(right)?;
        for (i, c) in result.iter().enumerate() {
            if result[..i].contains(c) {
                return Err(format!("einsum `{spec}` names result axis `{c}` twice"));
            }
            if !operands.iter().any(|o| o.contains(c)) {
                return Err(format!("einsum `{spec}` has result axis `{c}` that no operand has"));
            }
        }
        Ok(Einsum { operands, result })
    }

    /// Size of every letter, or the first contradiction.
    pub fn sizes<'a>(&self, shapes: impl ExactSizeIterator<Item = &'a [Poly]>) -> Result<BTreeMap<char, Poly>, String> {
        if shapes.len() != self.operands.len() {
            return Err(format!("the einsum has {} operands, the call {}", self.operands.len(), shapes.len()));
        }
        let mut sizes: BTreeMap<char, Poly> = BTreeMap::new();
        for (i, (letters, shape)) in self.operands.iter().zip(shapes).enumerate() {
            if letters.len() != shape.len() {
                return Err(format!("operand {i} has rank {}, its einsum letters say {}", shape.len(), letters.len()));
            }
            for (c, d) in letters.iter().zip(shape) {
                match sizes.insert(*c, d.clone()) {
                    Some(old) if old != *d => return Err(format!("axis `{c}` has size {old} and size {d}")),
                    _ => {}
                }
            }
        }
        Ok(sizes)
    }

    /// Letters that are summed over, in order of first appearance.
    pub fn summed(&self) -> Vec<char> {
        let mut out = vec![];
        for c in self.operands.iter().flatten() {
            if !self.result.contains(c) && !out.contains(c) {
                out.push(*c);
            }
        }
        out
    }
}

impl std::fmt::Display for Einsum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operands: Vec<String> = self.operands.iter().map(|o| o.iter().collect()).collect();
        write!(f, "{}->{}", operands.join(","), self.result.iter().collect::<String>())
    }
}

fn infer(view: OpView<'_>) -> Result<Vec<TensorType>, String> {
    let spec = Einsum::parse(view.attrs.str("spec"))?;
    let sizes = spec.sizes(view.operands.iter().map(|t| t.shape.as_slice()))?;
    let out = view.attrs.dtype("dtype");
    let first = view.operands[0].dtype;
    for (i, t) in view.operands.iter().enumerate() {
        // int8 x uint8 products are common in quantised models; floats must agree.
        if t.dtype != first && !(t.dtype.is_int() && first.is_int()) {
            return Err(format!("operand {i} is {}, operand 0 is {first}", t.dtype));
        }
        if t.dtype == DType::Bool {
            return Err("bool has no products; cast first".into());
        }
    }
    if out.is_float() != first.is_float() {
        return Err(format!("a contraction of {first} cannot give {out}"));
    }
    Ok(vec![TensorType::new(out, spec.result.iter().map(|c| sizes[c].clone()))])
}

fn work(view: OpView<'_>) -> Work {
    let Ok(spec) = Einsum::parse(view.attrs.str("spec")) else { return Work::default() };
    let Ok(sizes) = spec.sizes(view.operands.iter().map(|t| t.shape.as_slice())) else { return Work::default() };
    // Operands multiplied in one nest: the definition's count. Contraction order may need less.
    let points: Poly = sizes.values().cloned().product();
    Work { flops: points * Poly::constant(view.operands.len().max(2) as i64) }
}

pub static CONTRACT: OpDef = OpDef {
    name: "core.contract",
    summary: "Einstein sum of any number of tensors.",
    doc: "`result[r] = sum over letters not in the result of the product of the operands`. `spec` is an explicit einsum such as \
          `bij,bjk->bik`: letters name axes, a letter repeated within an operand takes the diagonal, letters absent from the \
          result are summed. Products and sums are exact until the one rounding to `dtype`; implementations accumulate 16- and \
          8-bit floats in f32, f32 in f32, f64 in f64, 8-bit integers in i32 (wrapping).",
    operands: &[variadic("operands", "tensors of one float dtype, or integers of any")],
    attrs: &[
        required("spec", AttrKind::Str, "the einsum"),
        required("dtype", AttrKind::DType, "element type of the result"),
    ],
    results: &[result("result", "shape by the result letters")],
    infer,
    meaning: Meaning::Primitive,
    work,
    vjp: Some(vjp),
};

/// The gradient of operand i is the einsum of the result's gradient with the other operands; letters that occur only in operand i
/// are broadcast back. Diagonals are not supported.
fn vjp(
    b: &mut crate::Builder<'_>,
    attrs: &crate::Attrs,
    operands: &[crate::ValueId],
    _results: &[crate::ValueId],
    gradients: &[Option<crate::ValueId>],
) -> Result<Vec<Option<crate::ValueId>>, tricot_types::Diagnostic> {
    let spec = Einsum::parse(attrs.str("spec")).expect("verified");
    let Some(gradient) = gradients[0] else { return Ok(vec![None; operands.len()]) };
    let mut out = vec![];
    for (i, letters) in spec.operands.iter().enumerate() {
        if (1..letters.len()).any(|j| letters[..j].contains(&letters[j])) {
            out.push(None);
            continue;
        }
        let ty = b.ty(operands[i]).clone();
        let gradient = b.cast(gradient, ty.dtype)?;
        let mut inputs = vec![spec.result.clone()];
        let mut values = vec![gradient];
        for (j, other) in spec.operands.iter().enumerate().filter(|(j, _)| *j != i) {
            inputs.push(other.clone());
            values.push(operands[j]);
        }
        let known: Vec<char> = letters.iter().copied().filter(|c| inputs.iter().any(|o| o.contains(c))).collect();
        let inner = Einsum { operands: inputs, result: known.clone() };
        let reduced = b.contract(&inner.to_string(), &values, ty.dtype)?;
        let axes: Vec<i64> =
            known.iter().map(|c| letters.iter().position(|l| l == c).expect("a letter of i") as i64).collect();
        out.push(Some(if known.len() == letters.len() { reduced } else { b.broadcast(reduced, &ty.shape, &axes)? }));
    }
    Ok(out)
}
