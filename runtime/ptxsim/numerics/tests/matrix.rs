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

/// Time of a 128 x 256 x 512 block; run with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn time_of_a_block() {
    let make = |count: usize| -> Vec<u32> {
        (0..count as u32).map(|i| 0x3e80 + i.wrapping_mul(0x9e37_79b9) % 0x180 + (i % 2) * 0x8000).collect()
    };
    let (a, b) = (make(128 * 512), make(256 * 512));
    let format = Elem::Bf16.format().unwrap();
    let start = std::time::Instant::now();
    let numbers = |v: &[u32]| v.iter().map(|&x| exact::Number::new(format, x)).collect::<Vec<_>>();
    let mut d = vec![0; 128 * 256];
    exact::Unit::wgmma(Elem::Bf16, Elem::Bf16, exact::Acc::F32).unwrap().multiply(
        512,
        &numbers(&a),
        &numbers(&b),
        &mut d,
    );
    let exact_time = start.elapsed();
    let start = std::time::Instant::now();
    let floats = |v: &[u32]| v.iter().map(|&x| f32::from_bits(x << 16)).collect::<Vec<_>>();
    let mut e = vec![0.0; 128 * 256];
    fast::multiply(512, &floats(&a), &floats(&b), &mut e);
    let products = (128 * 256 * 512) as f64;
    println!(
        "exact {exact_time:?} {:.2} ns a product, fast {:?}",
        exact_time.as_nanos() as f64 / products,
        start.elapsed()
    );
    assert!(d.iter().zip(&e).all(|(&x, y)| (f32::from_bits(x) - y).abs() < 0.01));
}
