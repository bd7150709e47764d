//! The registry: every op of every dialect, by name.

use crate::op::OpDef;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static OpDef>> = LazyLock::new(|| {
    let all = [
        crate::core::OPS,
        crate::embedding::OPS,
        crate::nn::OPS,
        crate::quant::OPS,
        crate::sparse24::OPS,
        crate::trilinear::OPS,
        crate::winograd::OPS,
    ];
    all.into_iter().flatten().map(|def| (def.name, *def)).collect()
});

/// The definition of `dialect.op`.
pub fn lookup(name: &str) -> Option<&'static OpDef> {
    BY_NAME.get(name).copied()
}

/// All ops, in name order.
pub fn all() -> impl Iterator<Item = &'static OpDef> {
    BY_NAME.values().copied()
}

/// The registered name closest to a misspelt one.
pub fn suggest(name: &str) -> Option<&'static str> {
    closest(name, all().map(|d| d.name))
}

/// The name closest to a misspelt one, if it is close.
pub fn closest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let distance = |other: &str| {
        let (a, b): (Vec<_>, Vec<_>) = (name.chars().take(64).collect(), other.chars().collect());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut corner = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let next = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
                corner = std::mem::replace(&mut row[j + 1], next);
            }
        }
        row[b.len()]
    };
    known.map(|n| (distance(n), n)).min().filter(|(d, _)| *d <= 3).map(|(_, n)| n)
}
