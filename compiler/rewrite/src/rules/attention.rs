//! Finding `nn.attention` and `trilinear.attention` in the index form of a sum of products.
//!
//! The form of the candidate says which atoms are rows, keys, heads and features whatever the spelling was; windows are found by
//! trying the constants of the mask and proving the sets equal.

use crate::lang::Found;
use crate::views::{axis_atoms, rearrange, term_atoms};
use std::collections::BTreeSet;
use tricot_dialects::Attrs;
use tricot_proof::lin::{Atom, Atoms, Lin};
use tricot_proof::region::{Formula, atoms_of};
use tricot_proof::same::rows_keep_an_entry;
use tricot_proof::sem::{Depth, Factor, Prod, Sem, Soft};
use tricot_proof::{Bank, TermId};
use tricot_types::Poly;

pub fn find(bank: &mut Bank, term: TermId, out: &mut Vec<Found>) {
    if let Ok(found) = raise(bank, term) {
        out.push(found);
    }
}

/// A tensor and the atoms of its axes.
struct Leaf {
    term: TermId,
    axes: Vec<Vec<Atom>>,
}

impl Leaf {
    fn atoms(&self) -> BTreeSet<Atom> {
        self.axes.iter().flatten().copied().collect()
    }

    fn ordered(&self, keep: impl Fn(&Atom) -> bool) -> Vec<Atom> {
        self.axes.iter().flatten().copied().filter(keep).collect()
    }
}

fn leaf(bank: &Bank, atoms: &Atoms, f: &Factor) -> Result<Leaf, String> {
    let Factor::Element { term, index } = f else { return Err("a weight occurs where a tensor should".into()) };
    match term_atoms(bank, atoms, *term, index) {
        Some(axes) => Ok(Leaf { term: *term, axes }),
        None => Err(format!("`{}` is read with an offset or a gap", bank.text(*term, 1))),
    }
}

/// What the candidate at `term` is, or the first thing it lacks.
pub fn raise(bank: &mut Bank, term: TermId) -> Result<Found, String> {
    if !matches!(bank.name(term), "core.contract" | "core.reduce" | "core.cast") {
        return Err("no sum of products".into());
    }
    let no = |what: &str| -> String { what.into() };
    let ty = bank.ty(term).clone();
    if !ty.dtype.is_float() {
        return Err(no("no sum of products"));
    }
    let mut sem = Sem::new(bank, Depth::Full);
    let index = sem.free_index(term);
    let element = sem.element(term, &index);
    let atoms = std::mem::take(&mut sem.atoms);
    let softs: Vec<&Soft> =
        element.factors.iter().filter_map(|f| if let Factor::Soft(s) = f { Some(&**s) } else { None }).collect();
    let [soft] = softs.as_slice() else { return Err(no("no softmax among the factors")) };
    if element.coefficient != 1.0 {
        return Err(format!("the result is scaled by {}", element.coefficient));
    }
    let values: Vec<&Factor> = element.factors.iter().filter(|f| matches!(f, Factor::Element { .. })).collect();
    // The sum runs over exactly the index of the softmax.
    let mut pairs = vec![];
    for (b, a) in &soft.bound {
        match (b.single(), a.single()) {
            (Some(b), Some(a)) => pairs.push((b, a)),
            _ => return Err(no("the softmax is taken at an offset")),
        }
    }
    let sums: BTreeSet<Atom> = element.sums.iter().copied().collect();
    if sums != pairs.iter().map(|(_, a)| *a).collect() || sums.len() != pairs.len() {
        return Err(format!("the softmax is over {} axes, the sum over {}", pairs.len(), sums.len()));
    }
    let image = |b: Atom| pairs.iter().find(|p| p.0 == b).map_or(b, |p| p.1);
    let bound: BTreeSet<Atom> = pairs.iter().map(|p| p.0).collect();
    if !rows_keep_an_entry(soft, &atoms) {
        return Err(format!("a row may keep no entry: {}", mask_text(soft)));
    }
    let (main, biases): (Vec<&Prod>, Vec<&Prod>) =
        soft.body.terms.iter().partition(|p| p.factors.len() >= 2 && !p.sums.is_empty());
    let [main] = main.as_slice() else { return Err(no("the logits hold no product of queries and keys")) };
    let leaves = main.factors.iter().map(|f| leaf(bank, &atoms, f)).collect::<Result<Vec<_>, _>>()?;
    let features: BTreeSet<Atom> = main.sums.iter().copied().collect();
    let (queries, keys): (Vec<Leaf>, Vec<Leaf>) = leaves.into_iter().partition(|l| l.atoms().is_disjoint(&bound));
    let [q] = queries.as_slice() else { return Err(format!("{} factors of the logits are no keys", queries.len())) };
    if !(1..=2).contains(&keys.len()) || values.len() != keys.len() {
        return Err(format!("there are {} keys and {} values", keys.len(), values.len()));
    }
    if keys.iter().chain([q]).any(|l| !features.is_subset(&l.atoms())) {
        return Err(no("a feature axis is missing from a factor of the logits"));
    }
    // Every reduced atom belongs to one key.
    let own: Vec<BTreeSet<Atom>> = keys.iter().map(|k| k.atoms().intersection(&bound).copied().collect()).collect();
    if own.iter().map(BTreeSet::len).sum::<usize>() != bound.len() {
        return Err(no("the keys share or miss a reduced axis"));
    }
    let rows: BTreeSet<Atom> = q.atoms().difference(&features).copied().collect();
    let shared: BTreeSet<Atom> = &(&keys[0].atoms() - &own[0]) - &features;
    for (k, o) in keys.iter().zip(&own) {
        if &(&k.atoms() - o) - &features != shared || !shared.is_subset(&rows) {
            return Err(no("the keys do not share the same batch and head axes with the queries"));
        }
    }
    // Values in the order of their keys.
    let mut ordered = vec![];
    let value_leaves = values.iter().map(|f| leaf(bank, &atoms, f)).collect::<Result<Vec<_>, _>>()?;
    let mut tails = vec![];
    for o in &own {
        let at: BTreeSet<Atom> = o.iter().map(|b| image(*b)).collect();
        let mine: Vec<&Leaf> = value_leaves.iter().filter(|v| at.is_subset(&v.atoms())).collect();
        let [v] = mine.as_slice() else { return Err(no("a key has no value of its own")) };
        let tail = &(&v.atoms() - &at) - &shared;
        if !shared.is_subset(&v.atoms()) || tail.iter().any(|a| rows.contains(a) || sums.contains(a)) {
            return Err(no("keys and values have different head axes"));
        }
        tails.push(tail);
        ordered.push(*v);
    }
    if tails.windows(2).any(|t| t[0] != t[1]) {
        return Err(no("the values have different feature axes"));
    }
    let want: Option<Vec<Vec<Atom>>> = index.iter().zip(&ty.shape).map(|(l, d)| axis_atoms(&atoms, l, d)).collect();
    let want = want.ok_or("the result is strided")?;
    let tail: Vec<Atom> = want.iter().flatten().copied().filter(|a| tails[0].contains(a)).collect();
    if tail.len() != tails[0].len() {
        return Err(no("a value feature is missing from the result"));
    }
    let layout = Layout::new(&atoms, q, &rows, &shared, &soft.body.mask)?;
    let feature_order = q.ordered(|a| features.contains(a));
    let heads = [layout.groups.clone(), layout.repeats.clone()].concat();
    let query =
        arranged(bank, &atoms, q, &[layout.batch.clone(), layout.row.clone(), heads.clone(), feature_order.clone()])?;
    let (mut key_terms, mut value_terms) = (vec![], vec![]);
    let mut steps = vec![];
    for ((k, v), o) in keys.iter().zip(&ordered).zip(&own) {
        let at = k.ordered(|a| o.contains(a));
        let places: Vec<Atom> = at.iter().map(|b| image(*b)).collect();
        key_terms.push(arranged(
            bank,
            &atoms,
            k,
            &[layout.batch.clone(), at.clone(), layout.groups.clone(), feature_order.clone()],
        )?);
        value_terms.push(arranged(
            bank,
            &atoms,
            v,
            &[layout.batch.clone(), places, layout.groups.clone(), tail.clone()],
        )?);
        steps.push(at);
    }
    let mut attrs = Attrs::new().with("scale", main.coefficient);
    let row = layout.row.first().copied();
    let (op, found) = if keys.len() == 2 {
        if !biases.is_empty() {
            return Err(no("a bias is added to three-way logits"));
        }
        let mut windows = vec![];
        for at in &steps {
            let ([j], Some(i)) = (at.as_slice(), row) else { return Err(no("the rows have no axis of their own")) };
            windows.push(window(&soft.body.mask, i, *j, &atoms)?);
        }
        let exact = trilinear_mask(row.unwrap_or_default(), &steps, &windows)
            .is_some_and(|w| w.equals(&soft.body.mask, &atoms));
        if !exact {
            return Err(format!("the mask is no pair of windows ({} and {} at best)", windows[0], windows[1]));
        }
        attrs.set("w1", windows[0]);
        attrs.set("w2", windows[1]);
        let operands = [vec![query], key_terms, value_terms].concat();
        let op = bank.op("trilinear.attention", attrs, &operands)?;
        let found = Found::new("trilinear-attention", term, term)
            .when("rows keep an entry", true)
            .when("w1", windows[0])
            .when("w2", windows[1]);
        (op, found)
    } else {
        let (causal, offset, size) = match (&soft.body.mask, row, steps[0].as_slice()) {
            (Formula::True, _, _) => (false, Poly::default(), 0),
            (mask, Some(i), [j]) => causal(mask, i, *j, &atoms)
                .ok_or_else(|| format!("the mask is neither causal nor a window: {}", mask_text(soft)))?,
            _ => return Err(no("the mask does not relate one row axis to one key axis")),
        };
        attrs.set("causal", causal);
        attrs.set("offset", offset.clone());
        attrs.set("window", size);
        let mut operands = vec![query, key_terms[0], value_terms[0]];
        match biases.as_slice() {
            [] => {}
            [bias] => operands.push(bias_term(bank, &atoms, bias, &layout, &heads, &steps[0])?),
            _ => return Err(no("more than one bias")),
        }
        let op = bank.op("nn.attention", attrs, &operands)?;
        let found = Found::new("attention", term, term)
            .when("causal", causal)
            .when("offset", &offset)
            .when("rows keep an entry", true)
            .when("window", size);
        (op, found)
    };
    let result = bank.get(op, 0)?;
    let have = [layout.batch.clone(), layout.row.clone(), heads, tail];
    let to = rearrange(bank, &atoms, result, &have, &want).ok_or("the result cannot be arranged")?;
    Ok(Found { to, ..found })
}

/// Which atoms are batch, row, key heads and query heads of a key head.
struct Layout {
    batch: Vec<Atom>,
    row: Vec<Atom>,
    groups: Vec<Atom>,
    repeats: Vec<Atom>,
}

impl Layout {
    fn new(
        atoms: &Atoms,
        q: &Leaf,
        rows: &BTreeSet<Atom>,
        shared: &BTreeSet<Atom>,
        mask: &Formula,
    ) -> Result<Layout, String> {
        let mut own = q.ordered(|a| rows.contains(a) && !shared.contains(a));
        let masked: Vec<Atom> = own.iter().copied().filter(|a| atoms_of(mask).contains(a)).collect();
        if atoms_of(mask).iter().any(|a| shared.contains(a)) {
            return Err("the mask depends on the batch or head".into());
        }
        let beside_shared = |a: &Atom| q.axes.iter().any(|x| x.contains(a) && x.iter().any(|s| shared.contains(s)));
        let row = match masked.as_slice() {
            [i] => Some(*i),
            [] => {
                // Without a mask any row axis will do; the longest that is no part of a head axis reads best.
                let size = |a: &Atom| atoms.size(*a).hint(atoms.symbols());
                let free: Vec<Atom> = own.iter().copied().filter(|a| !beside_shared(a)).collect();
                free.iter().copied().reduce(|best, a| if size(&a) >= size(&best) { a } else { best })
            }
            _ => return Err("the mask depends on more than one row axis".into()),
        };
        own.retain(|a| Some(*a) != row);
        let common = q.ordered(|a| shared.contains(a));
        let next_to_repeats = |a: &Atom| own.iter().any(|r| q.axes.iter().any(|x| x.contains(a) && x.contains(r)));
        // Heads are the last shared axis; a lone one is the batch unless queries repeat beside it.
        let heads = match common.len() {
            0 => 0,
            1 => usize::from(next_to_repeats(&common[0])),
            n => n - 1,
        };
        let (batch, groups) = common.split_at(common.len() - heads);
        Ok(Layout { batch: batch.to_vec(), row: row.into_iter().collect(), groups: groups.to_vec(), repeats: own })
    }
}

fn arranged(bank: &mut Bank, atoms: &Atoms, leaf: &Leaf, want: &[Vec<Atom>]) -> Result<TermId, String> {
    let all: BTreeSet<Atom> = want.iter().flatten().copied().collect();
    if all != leaf.atoms() {
        return Err(format!("`{}` lacks an axis", bank.text(leaf.term, 1)));
    }
    rearrange(bank, atoms, leaf.term, &leaf.axes, want)
        .ok_or_else(|| format!("`{}` cannot be arranged", bank.text(leaf.term, 1)))
}

fn bias_term(
    bank: &mut Bank,
    atoms: &Atoms,
    bias: &Prod,
    layout: &Layout,
    heads: &[Atom],
    keys: &[Atom],
) -> Result<TermId, String> {
    let ([f], true) = (bias.factors.as_slice(), bias.sums.is_empty() && bias.coefficient == 1.0) else {
        return Err("the bias is scaled or a product".into());
    };
    let l = leaf(bank, atoms, f)?;
    let have = l.atoms();
    let want: Vec<Vec<Atom>> = [&layout.batch[..], heads, &layout.row[..], keys]
        .iter()
        .map(|g| if g.iter().any(|a| have.contains(a)) { g.to_vec() } else { vec![] })
        .collect();
    rearrange(bank, atoms, l.term, &l.axes, &want).ok_or_else(|| "the bias varies along a feature".into())
}

fn mask_text(soft: &Soft) -> String {
    tricot_proof::region::text(&soft.body.mask, &|a| format!("x{a}"))
}

fn shifted(l: &Lin, by: i64) -> Option<Lin> {
    l.add(&Lin::constant(Poly::constant(by)))
}

/// `j <= i and j > i - w`.
fn window_set(i: Atom, j: Atom, w: i64) -> Option<Formula> {
    let (i, j) = (Lin::atom(i), Lin::atom(j));
    Some(Formula::ge(&i, &j)?.and(Formula::gt(&shifted(&j, w)?, &i)?))
}

fn trilinear_mask(i: Atom, steps: &[Vec<Atom>], windows: &[i64]) -> Option<Formula> {
    steps.iter().zip(windows).try_fold(Formula::True, |f, (at, w)| Some(f.and(window_set(i, at[0], *w)?)))
}

/// Constants of a formula's forms.
fn constants(mask: &Formula) -> BTreeSet<Poly> {
    let mut out = BTreeSet::new();
    mask.visit(&mut |l| {
        out.insert(l.constant.clone());
    });
    out
}

/// The smallest window of `j` behind `i` that contains the mask.
fn window(mask: &Formula, i: Atom, j: Atom, atoms: &Atoms) -> Result<i64, String> {
    let mut tries = BTreeSet::new();
    for c in constants(mask).iter().filter_map(Poly::as_constant) {
        tries.extend((-1..=1).flat_map(|d| [c.saturating_add(d), c.saturating_neg().saturating_add(d)]));
    }
    let longest = atoms.size(j).bounds(atoms.symbols()).1;
    tries.insert(longest);
    let holds = |w: &i64| *w >= 1 && window_set(i, j, *w).is_some_and(|f| mask.within(&f, atoms));
    tries
        .into_iter()
        .filter(|w| *w <= longest)
        .find(|w| holds(w))
        .ok_or_else(|| "a key may lie outside every window".into())
}

/// Causal offset and window that describe a mask exactly; a window of 0 is none.
fn causal(mask: &Formula, i: Atom, j: Atom, atoms: &Atoms) -> Option<(bool, Poly, i64)> {
    let all = constants(mask);
    let near = |p: &Poly| [-1, 0, 1].map(|d| p.clone() + Poly::constant(d));
    let minus = |p: &Poly| p.clone() * Poly::constant(-1);
    let offsets: BTreeSet<Poly> = all.iter().flat_map(|c| near(c).into_iter().chain(near(&minus(c)))).collect();
    let (row, key) = (Lin::atom(i), Lin::atom(j));
    for o in &offsets {
        let last = row.add(&Lin::constant(o.clone()))?;
        let below = Formula::ge(&last, &key)?;
        if !mask.within(&below, atoms) {
            continue;
        }
        if below.within(mask, atoms) {
            return Some((true, o.clone(), 0));
        }
        let sizes: BTreeSet<i64> = offsets.iter().filter_map(|c| (c.clone() + o.clone()).as_constant()).collect();
        for w in sizes.into_iter().flat_map(|w| [w, w.saturating_add(1)]).filter(|w| *w >= 1) {
            let set = below.clone().and(Formula::gt(&shifted(&key, w)?, &last)?);
            if set.equals(mask, atoms) {
                return Some((true, o.clone(), w));
            }
        }
    }
    None
}
