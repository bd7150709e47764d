//! Contraction order: an n-ary einsum becomes binary ones by a dynamic program over subsets.

use tricot_dialects::core::Einsum;
use tricot_dialects::{Attrs, Builder, ValueId};
use tricot_types::{DType, Diagnostic, SymbolTable};

/// Largest operand count the dynamic program takes on; more fold from the left. 3^12 steps take milliseconds.
const MAX_OPERANDS: usize = 12;

/// Splits an n-ary `core.contract`. Intermediate results of floats are held in the accumulator's type, so that the one
/// rounding stays at the end.
pub fn split(
    b: &mut Builder<'_>,
    attrs: &Attrs,
    operands: &[ValueId],
    symbols: &SymbolTable,
) -> Result<Vec<ValueId>, Diagnostic> {
    let spec = Einsum::parse(attrs.str("spec")).map_err(|m| Diagnostic::error("TC0110", m))?;
    let dtype = attrs.dtype("dtype");
    let sizes =
        spec.sizes(operands.iter().map(|v| b.ty(*v).shape.as_slice())).map_err(|m| Diagnostic::error("TC0110", m))?;
    let hint = |c: char| sizes[&c].hint(symbols).max(1.0);
    let tree = best_tree(&spec, &hint);
    let held = match dtype.is_float() {
        true if operands.iter().any(|v| b.ty(*v).dtype == DType::F64) || dtype == DType::F64 => DType::F64,
        true => DType::F32,
        false => dtype,
    };
    let mut splitter = Splitter { b, spec: &spec, operands, held };
    let (value, letters) = splitter.emit(&tree, true, dtype)?;
    debug_assert_eq!(letters, spec.result);
    Ok(vec![value])
}

/// A binary tree over operand numbers.
enum Tree {
    Leaf(usize),
    Pair(Box<Tree>, Box<Tree>),
}

impl Tree {
    fn mask(&self) -> u64 {
        match self {
            Tree::Leaf(i) => 1 << i,
            Tree::Pair(a, b) => a.mask() | b.mask(),
        }
    }
}

/// Letters of a subset that something outside it, or the result, still needs.
fn open_letters(spec: &Einsum, mask: u64) -> Vec<char> {
    let mut out = vec![];
    for (_, letters) in spec.operands.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1) {
        for c in letters {
            let outside = spec.operands.iter().enumerate().any(|(i, o)| mask >> i & 1 == 0 && o.contains(c));
            if (outside || spec.result.contains(c)) && !out.contains(c) {
                out.push(*c);
            }
        }
    }
    out
}

fn best_tree(spec: &Einsum, hint: &dyn Fn(char) -> f64) -> Tree {
    let n = spec.operands.len();
    if n > MAX_OPERANDS {
        return (1..n).fold(Tree::Leaf(0), |t, i| Tree::Pair(Box::new(t), Box::new(Tree::Leaf(i))));
    }
    let full = (1usize << n) - 1;
    let open: Vec<Vec<char>> = (0..=full).map(|m| open_letters(spec, m as u64)).collect();
    let volume = |letters: &mut dyn Iterator<Item = char>| letters.map(hint).product::<f64>();
    // A single operand's letters are its own; letters only it has are summed in its first product.
    let letters_of = |m: usize| -> Vec<char> {
        if m.count_ones() == 1 { spec.operands[m.trailing_zeros() as usize].clone() } else { open[m].clone() }
    };
    let mut cost = vec![0.0f64; full + 1];
    let mut choice = vec![0usize; full + 1];
    for mask in 1..=full {
        if mask.count_ones() < 2 {
            continue;
        }
        cost[mask] = f64::INFINITY;
        let mut left = (mask - 1) & mask;
        while left > 0 {
            let right = mask ^ left;
            // Each split once, the part with the lowest operand on the left.
            if left & (mask & mask.wrapping_neg()) != 0 {
                let mut all = letters_of(left);
                all.extend(letters_of(right));
                all.sort_unstable();
                all.dedup();
                let flops = 2.0 * volume(&mut all.iter().copied());
                let bytes = 8.0 * volume(&mut open[mask].iter().copied());
                let total = cost[left] + cost[right] + flops + bytes;
                if total < cost[mask] {
                    (cost[mask], choice[mask]) = (total, left);
                }
            }
            left = (left - 1) & mask;
        }
    }
    fn build(mask: usize, choice: &[usize]) -> Tree {
        match mask.count_ones() {
            1 => Tree::Leaf(mask.trailing_zeros() as usize),
            _ => Tree::Pair(Box::new(build(choice[mask], choice)), Box::new(build(mask ^ choice[mask], choice))),
        }
    }
    build(full, &choice)
}

struct Splitter<'a, 'm> {
    b: &'a mut Builder<'m>,
    spec: &'a Einsum,
    operands: &'a [ValueId],
    held: DType,
}

impl Splitter<'_, '_> {
    fn emit(&mut self, tree: &Tree, last: bool, dtype: DType) -> Result<(ValueId, Vec<char>), Diagnostic> {
        let (left, right) = match tree {
            Tree::Leaf(i) => return Ok((self.operands[*i], self.spec.operands[*i].clone())),
            Tree::Pair(left, right) => (left, right),
        };
        let (mut x, xs) = self.emit(left, false, self.held)?;
        let (mut y, ys) = self.emit(right, false, self.held)?;
        let (tx, ty) = (self.b.ty(x).dtype, self.b.ty(y).dtype);
        if tx != ty && tx.is_float() {
            x = self.b.cast(x, self.held)?;
            y = self.b.cast(y, self.held)?;
        }
        let result = if last { self.spec.result.clone() } else { open_letters(self.spec, tree.mask()) };
        let spec = Einsum { operands: vec![xs, ys], result: result.clone() };
        Ok((self.b.contract(&spec.to_string(), &[x, y], dtype)?, result))
    }
}
