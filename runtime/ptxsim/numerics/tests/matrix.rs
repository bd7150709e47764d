//! The matrix unit against exact sums, and layouts against each other.

use proptest::prelude::*;
use tricot_ptx_numerics::matrix::{Elem, exact, fast, fragment, shared::Swizzle, sparse};

proptest! {
    /// Small integers lose nothing: the unit returns the exact sum.
    #[test]
    fn small_integers_are_exact(a in prop::collection::vec(-15i32..16, 64), b in prop::collection::vec(-15i32..16, 64), c in -100i32..100) {
        let number = |v: &i32| exact::Number::new(Elem::Bf16.format().unwrap(), (*v as f32).to_bits() >> 16);
        let (x, y): (Vec<_>, Vec<_>) = (a.iter().map(number).collect(), b.iter().map(number).collect());
        let unit = exact::Unit::wgmma(Elem::Bf16, Elem::Bf16, exact::Acc::F32).unwrap();
        let sum = a.iter().zip(&b).fold(c, |s, (x, y)| s + x * y);
        prop_assert_eq!(f32::from_bits(unit.dot(&x, &y, (c as f32).to_bits())), sum as f32);
    }

    /// Any finite bf16: one step is within the truncation of its 17 terms and of the result.
    #[test]
    fn a_step_is_within_its_truncation(a in prop::collection::vec(0x3000u32..0x4f00, 16), b in prop::collection::vec(0xb000u32..0xcf00, 16), c in 0x3000_0000u32..0x4f00_0000) {
        let format = Elem::Bf16.format().unwrap();
        let number = |v: &u32| exact::Number::new(format, *v);
        let (x, y): (Vec<_>, Vec<_>) = (a.iter().map(number).collect(), b.iter().map(number).collect());
        let unit = exact::Unit::wgmma(Elem::Bf16, Elem::Bf16, exact::Acc::F32).unwrap();
        let terms: Vec<f64> = a.iter().zip(&b).map(|(&x, &y)| format.to_f64(x.into()) * format.to_f64(y.into())).chain([f64::from(f32::from_bits(c))]).collect();
        let (sum, largest) = (terms.iter().sum::<f64>(), terms.iter().fold(0.0f64, |m, t| m.max(t.abs())));
        let ours = f64::from(f32::from_bits(unit.dot(&x, &y, c)));
        prop_assert!((ours - sum).abs() <= 17.0 * largest * 2f64.powi(-25) + sum.abs() * 2f64.powi(-23), "{ours} {sum}");
    }
}

/// Every element of a fragment belongs to exactly one thread.
#[test]
fn fragments_cover_their_tile_once() {
    for (rows, threads, warps) in [(16, 32, 1), (64, 128, 4)] {
        for (bits, k) in [(32, 8), (16, 16), (8, 32)] {
            let (per, words) = (32 / bits, rows * k * bits / 32 / threads);
            let mut seen = vec![0; (rows * k) as usize];
            for t in 0..threads {
                for i in 0..words {
                    let (row, first) = fragment::a(t, i, per, 16);
                    (0..per).for_each(|e| seen[(row * k + first + e) as usize] += 1);
                }
            }
            assert!(seen.iter().all(|&n| n == 1), "A {bits} bits, {warps} warps");
        }
        let mut seen = vec![0; (rows * 24) as usize];
        for t in 0..threads {
            for i in 0..rows * 24 / threads {
                let (row, column) = fragment::d(t, i, 16);
                seen[(row * 24 + column) as usize] += 1;
            }
        }
        assert!(seen.iter().all(|&n| n == 1), "D");
    }
}

/// A metadata nibble belongs to one (row, group), and all fit the selected words.
#[test]
fn metadata_nibbles_do_not_collide() {
    for (eight, groups, selectors) in [(false, 8, 2), (false, 4, 4), (true, 16, 1), (true, 8, 2)] {
        let mut seen = std::collections::HashSet::new();
        for selector in 0..selectors {
            for row in 0..16 {
                for group in 0..groups {
                    let at = sparse::nibble(eight, groups, selector, row, group);
                    assert!(at.0 < 32 && at.1 < 32 && seen.insert(at), "{eight} {groups} {selector} {row} {group}");
                }
            }
        }
        assert_eq!(seen.len(), 256);
    }
}

#[test]
fn swizzles_permute_a_block_of_1024_bytes() {
    for swizzle in [Swizzle::B32, Swizzle::B64, Swizzle::B128] {
        let mut seen: Vec<_> = (0..1024).map(|a| swizzle.apply(a)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..1024).collect::<Vec<_>>());
    }
    // Row 3 of the 128-byte pattern: piece 0 lies where piece 3 would.
    assert_eq!(Swizzle::B128.apply(3 * 128), 3 * 128 + 48);
}

#[test]
fn fast_products_are_sums() {
    let (a, b) = ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0, -1.0, 0.5, 0.0]);
    let mut d = [10.0; 6];
    fast::multiply(2, &a, &b, &mut d);
    assert_eq!(d, [13.0, 10.0, 10.5, 17.0, 12.0, 11.5]);
}

/// Every result within the tolerance that [`fast`] states, of the sum in f64.
#[test]
fn fast_products_keep_their_tolerance() {
    let mut state = 1u64;
    let mut random = |spread: i32| {
        state = state.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let exponent = (state >> 40) as i32 % (2 * spread + 1) - spread;
        // Ten bits of fraction: that of tf32 and f16.
        let value = (1.0 + (state >> 54) as f32 / 1024.0) * (exponent as f32).exp2();
        if state >> 32 & 1 == 0 { value } else { -value }
    };
    let (rows, columns) = (5, 7);
    for (k, spread) in [(1, 8), (2, 0), (16, 1), (17, 4), (64, 12), (256, 2), (512, 8), (4096, 3)] {
        let a: Vec<f32> = (0..rows * k).map(|_| random(spread)).collect();
        let b: Vec<f32> = (0..columns * k).map(|_| random(spread)).collect();
        let c: Vec<f32> = (0..rows * columns).map(|_| random(2 * spread)).collect();
        let mut d = c.clone();
        fast::multiply(k, &a, &b, &mut d);
        for (at, d) in d.iter().enumerate() {
            let (x, y) = (&a[at / columns * k..][..k], &b[at % columns * k..][..k]);
            let pairs = || x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y));
            let (sum, size) =
                (f64::from(c[at]) + pairs().sum::<f64>(), f64::from(c[at].abs()) + pairs().map(f64::abs).sum::<f64>());
            let tolerance = k as f64 * (-24f64).exp2() * 1.001 * size;
            let error = (f64::from(*d) - sum).abs();
            assert!(error <= tolerance, "k {k}, spread {spread}: {d} for {sum}, {error:e} > {tolerance:e}");
        }
    }
}
