//! The arena: where every intermediate value lives while it lives.
//!
//! [`place`] gives offsets that are sound for every legal binding of the symbols: values whose lives overlap never share
//! a byte.

use tricot_types::{Poly, SymbolTable};

/// Arena offsets are multiples of this many bytes.
pub const ALIGN: i64 = 256;

/// A value to place: bytes, and the steps of its first write and last read.
#[derive(Clone, Debug)]
pub struct Need {
    pub bytes: Poly,
    pub first: usize,
    pub last: usize,
}

fn aligned(bytes: &Poly) -> Poly {
    bytes.ceil_div(ALIGN) * ALIGN.into()
}

/// Offsets of all needs, and the arena's size.
pub fn place(needs: &[Need], symbols: &SymbolTable) -> (Vec<Poly>, Poly) {
    match needs.iter().map(|n| aligned(&n.bytes).as_constant()).collect::<Option<Vec<i64>>>() {
        Some(sizes) => place_constant(needs, &sizes),
        None => place_slots(needs, symbols),
    }
}

fn overlap(a: &Need, b: &Need) -> bool {
    a.first <= b.last && b.first <= a.last
}

/// Largest first, each at the lowest offset that is free during its life.
fn place_constant(needs: &[Need], sizes: &[i64]) -> (Vec<Poly>, Poly) {
    let mut by_size: Vec<usize> = (0..needs.len()).collect();
    by_size.sort_by_key(|i| (-sizes[*i], needs[*i].first, *i));
    let mut at = vec![0i64; needs.len()];
    let mut placed: Vec<usize> = vec![];
    let mut end = 0;
    for i in by_size {
        let mut taken: Vec<(i64, i64)> =
            placed.iter().filter(|j| overlap(&needs[i], &needs[**j])).map(|j| (at[*j], at[*j] + sizes[*j])).collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (low, high) in taken {
            if offset + sizes[i] <= low {
                break;
            }
            offset = offset.max(high);
        }
        at[i] = offset;
        end = end.max(offset + sizes[i]);
        placed.push(i);
    }
    (at.into_iter().map(Poly::constant).collect(), end.into())
}

/// Symbolic sizes: slots laid end to end. A value takes over a slot that is free and provably large enough, or that can
/// grow to the value's size because it is provably no larger.
fn place_slots(needs: &[Need], symbols: &SymbolTable) -> (Vec<Poly>, Poly) {
    struct Slot {
        size: Poly,
        held: Vec<usize>,
    }
    let at_most = |a: &Poly, b: &Poly| (b.clone() - a.clone()).bounds(symbols).0 >= 0;
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|i| (needs[*i].first, *i));
    let mut slots: Vec<Slot> = vec![];
    let mut slot_of = vec![0usize; needs.len()];
    for i in order {
        let size = aligned(&needs[i].bytes);
        let free = |s: &Slot| s.held.iter().all(|j| !overlap(&needs[i], &needs[*j]));
        let hint = size.hint(symbols);
        let best = slots
            .iter()
            .enumerate()
            .filter(|(_, s)| free(s) && (at_most(&size, &s.size) || at_most(&s.size, &size)))
            .map(|(at, s)| ((s.size.hint(symbols) - hint).abs(), at))
            .min_by(|a, b| a.partial_cmp(b).expect("hints are numbers"));
        let at = match best {
            Some((_, at)) => {
                if !at_most(&size, &slots[at].size) {
                    slots[at].size = size;
                }
                at
            }
            None => {
                slots.push(Slot { size, held: vec![] });
                slots.len() - 1
            }
        };
        slots[at].held.push(i);
        slot_of[i] = at;
    }
    let mut offsets = vec![];
    let mut end = Poly::default();
    for slot in &slots {
        offsets.push(end.clone());
        end = end + slot.size.clone();
    }
    (slot_of.iter().map(|s| offsets[*s].clone()).collect(), end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tricot_types::{Bindings, Symbol, SymbolInfo};

    /// A small deterministic generator; the tests need variety, not quality.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *state >> 33
    }

    #[test]
    fn living_values_never_share_bytes() {
        let (b, s) = (Symbol::new("b").unwrap(), Symbol::new("s").unwrap());
        let info = |min| SymbolInfo { min, max: 1 << 20, multiple: 1, hint: 16 };
        let symbols: SymbolTable = [(b.clone(), info(0)), (s.clone(), info(1))].into();
        let mut state = 7;
        for round in 0..300 {
            let needs: Vec<Need> = (0..12)
                .map(|_| {
                    let c = |n: u64| Poly::constant(n as i64);
                    let bytes = match (round % 3, next(&mut state) % 3) {
                        (0, _) | (_, 0) => c(next(&mut state) % 5000),
                        (_, 1) => Poly::symbol(b.clone()) * c(next(&mut state) % 700) + c(next(&mut state) % 9),
                        _ => Poly::symbol(s.clone()) * Poly::symbol(b.clone()) * c(1 + next(&mut state) % 9),
                    };
                    let first = (next(&mut state) % 20) as usize;
                    Need { bytes, first, last: first + (next(&mut state) % 8) as usize }
                })
                .collect();
            let (at, end) = place(&needs, &symbols);
            for (vb, vs) in [(0, 1), (1, 1), (3, 100), (200, 2), (1000, 1000)] {
                let bind: Bindings = [(b.clone(), vb), (s.clone(), vs)].into();
                let value = |p: &Poly| p.eval(&bind).unwrap();
                for (i, x) in needs.iter().enumerate() {
                    assert_eq!(value(&at[i]) % ALIGN, 0);
                    assert!(value(&at[i]) + value(&x.bytes) <= value(&end));
                    for (j, y) in needs.iter().enumerate().skip(i + 1).filter(|(_, y)| overlap(x, y)) {
                        let (x0, x1) = (value(&at[i]), value(&at[i]) + value(&x.bytes));
                        let (y0, y1) = (value(&at[j]), value(&at[j]) + value(&y.bytes));
                        assert!(x1 <= y0 || y1 <= x0 || x0 == x1 || y0 == y1, "{i} and {j} overlap at b={vb} s={vs}");
                    }
                }
            }
        }
    }

    #[test]
    fn values_that_never_meet_share_memory() {
        let needs: Vec<Need> = (0..10).map(|i| Need { bytes: 1000.into(), first: i, last: i + 1 }).collect();
        assert_eq!(place(&needs, &SymbolTable::new()).1.as_constant(), Some(2048));
    }
}
