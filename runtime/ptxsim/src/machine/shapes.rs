//! Which shapes and types `mma` and `wgmma` have on sm_90a (PTX ISA 9.7.14.5, 9.7.14.6 and 9.7.15.5).
//!
//! No central type: a table, and the two questions that decoders ask it.

use super::op::{Acc, Elem};

/// Element types that A and B may combine, and what exists for them.
struct Family {
    types: &'static [Elem],
    acc: &'static [Acc],
    /// `mma`: M and K.
    dense: &'static [(u32, u32)],
    /// `mma.sp`, M = 16: K, and how many values the sparsity selector has.
    sparse: &'static [(u32, u32)],
    wgmma: bool,
}

const FAMILIES: &[Family] = &[
    Family {
        types: &[Elem::F16],
        acc: &[Acc::F32, Acc::F16],
        dense: &[(16, 8), (16, 16)],
        sparse: &[(16, 4), (32, 2)],
        wgmma: true,
    },
    Family {
        types: &[Elem::Bf16],
        acc: &[Acc::F32],
        dense: &[(16, 8), (16, 16)],
        sparse: &[(16, 4), (32, 2)],
        wgmma: true,
    },
    Family {
        types: &[Elem::Tf32],
        acc: &[Acc::F32],
        dense: &[(16, 4), (16, 8)],
        sparse: &[(8, 4), (16, 2)],
        wgmma: true,
    },
    Family {
        types: &[Elem::E4m3, Elem::E5m2],
        acc: &[Acc::F32, Acc::F16],
        dense: &[(16, 16), (16, 32)],
        sparse: &[(64, 1)],
        wgmma: true,
    },
    Family {
        types: &[Elem::S8, Elem::U8],
        acc: &[Acc::S32],
        dense: &[(8, 16), (16, 16), (16, 32)],
        sparse: &[(32, 2), (64, 1)],
        wgmma: true,
    },
    Family {
        types: &[Elem::S4, Elem::U4],
        acc: &[Acc::S32],
        dense: &[(8, 32), (16, 32), (16, 64)],
        sparse: &[(64, 2), (128, 1)],
        wgmma: false,
    },
    Family { types: &[Elem::B1], acc: &[Acc::S32], dense: &[(8, 128), (16, 128), (16, 256)], sparse: &[], wgmma: true },
    Family {
        types: &[Elem::F64],
        acc: &[Acc::F64],
        dense: &[(8, 4), (16, 4), (16, 8), (16, 16)],
        sparse: &[],
        wgmma: false,
    },
];

fn family(a: Elem, b: Elem, acc: Acc) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.types.contains(&a) && f.types.contains(&b) && f.acc.contains(&acc))
}

/// Whether `mma` has this form: how many values its sparsity selector has (1 for dense ones).
pub(super) fn mma(a: Elem, b: Elem, acc: Acc, [m, n, k]: [u32; 3], sparse: bool) -> Option<u32> {
    let family = family(a, b, acc)?;
    if n != 8 {
        return None;
    }
    if !sparse {
        return family.dense.contains(&(m, k)).then_some(1);
    }
    // Sparse 8-bit floats have no f16 sums outside wgmma.
    if m != 16 || a.bits() == 8 && acc == Acc::F16 {
        return None;
    }
    family.sparse.iter().find(|s| s.0 == k).map(|s| s.1)
}

/// Whether `wgmma` has this form, likewise.
pub(super) fn wgmma(a: Elem, b: Elem, acc: Acc, [m, n, k]: [u32; 3], sparse: bool) -> Option<u32> {
    family(a, b, acc).filter(|f| f.wgmma && !(sparse && f.sparse.is_empty()))?;
    // Integers have every width up to 32 and multiples of 16.
    let narrow = acc == Acc::S32 && n > 24 && n % 16 != 0;
    if m != 64 || n % 8 != 0 || !(8..=256).contains(&n) || narrow {
        return None;
    }
    let span = if sparse { 512 } else { 256 };
    (k * a.bits() == span).then_some(if sparse && a.bits() > 8 { 2 } else { 1 })
}

/// Whether `wmma` multiplies matrices of a type in this shape (PTX ISA 9.7.14.4).
pub(super) fn wmma(elem: Elem, acc: Acc, shape: [u32; 3]) -> bool {
    family(elem, elem, acc).is_some() && wmma_shapes(elem).contains(&shape)
}

/// The shapes whose A or B may have elements of a type.
pub(super) fn wmma_shapes(elem: Elem) -> &'static [[u32; 3]] {
    match elem {
        Elem::F16 | Elem::Bf16 | Elem::S8 | Elem::U8 => &[[16, 16, 16], [8, 32, 16], [32, 8, 16]],
        Elem::Tf32 => &[[16, 16, 8]],
        Elem::F64 => &[[8, 8, 4]],
        Elem::S4 | Elem::U4 => &[[8, 8, 32]],
        Elem::B1 => &[[8, 8, 128]],
        Elem::E4m3 | Elem::E5m2 => &[],
    }
}

/// Whether accumulators of a type exist in a shape.
pub(super) fn wmma_accumulators(acc: Acc, shape: [u32; 3]) -> bool {
    let holds = |f: &&Family| f.acc.contains(&acc) && wmma_shapes(f.types[0]).contains(&shape);
    FAMILIES.iter().any(|f| holds(&f))
}
