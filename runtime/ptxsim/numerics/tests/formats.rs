//! Formats and arithmetic against the host and against exhaustive neighbours.

use half::{bf16, f16};
use proptest::prelude::*;
use tricot_ptx_numerics::arith;
use tricot_ptx_numerics::format::{BF16, E4M3, E5M2, F16, F32, F64, Format, Overflow, Round};

const MODES: [Round; 4] = [Round::Near, Round::Zero, Round::Down, Round::Up];

fn same(ours: u64, host: u64, f: &Format) -> bool {
    ours == host || f.is_nan(ours) && f.is_nan(host)
}

#[test]
fn sixteen_bit_formats_unpack_as_the_half_crate_says() {
    for bits in 0..=u16::MAX {
        for (f, host) in [(&F16, f16::from_bits(bits).to_f64()), (&BF16, bf16::from_bits(bits).to_f64())] {
            let ours = f.to_f64(bits.into());
            assert!(ours.to_bits() == host.to_bits() || ours.is_nan() && host.is_nan(), "{bits:x}");
        }
    }
}

/// Every midpoint of neighbours of every small format rounds to the even one, and directed modes to their side.
#[test]
fn midpoints_round_as_each_mode_says() {
    for (f, bits) in [(&F16, 15), (&BF16, 15), (&E5M2, 7), (&E4M3, 7)] {
        for low in 0..f.largest(false) {
            let (a, b) = (f.to_f64(low), f.to_f64(low + 1));
            let middle = F64.unpack((a / 2.0 + b / 2.0).to_bits());
            for negative in [false, true] {
                let sign = if negative { 1 << bits } else { 0 };
                let round = |mode| f.round(negative, middle.man.into(), middle.exp, mode, Overflow::Ieee);
                assert_eq!(round(Round::Near), sign | if low % 2 == 0 { low } else { low + 1 });
                assert_eq!(round(Round::NearAway), sign | (low + 1));
                assert_eq!(round(Round::Zero), sign | low);
                assert_eq!(round(Round::Down), sign | if negative { low + 1 } else { low });
                assert_eq!(round(Round::Up), sign | if negative { low } else { low + 1 });
            }
        }
    }
}

/// f16 sums and products are exact in f64, so one rounding of the f64 is the answer.
#[test]
fn f16_arithmetic_is_the_rounded_exact_result() {
    for a in (0..=u16::MAX).step_by(37) {
        for b in (0..=u16::MAX).step_by(41) {
            let (x, y) = (f16::from_bits(a).to_f64(), f16::from_bits(b).to_f64());
            for mode in MODES {
                let rounded = |v: f64| F16.from(&F64.unpack(v.to_bits()), mode, Overflow::Ieee);
                assert!(
                    same(arith::mul(&F16, a.into(), b.into(), mode), rounded(x * y), &F16),
                    "{a:x} * {b:x} {mode:?}"
                );
                let sum = arith::add(&F16, a.into(), b.into(), mode);
                // The host's sign of an exact zero is that of rounding to nearest.
                assert!(x + y == 0.0 && sum & 0x7fff == 0 || same(sum, rounded(x + y), &F16), "{a:x} + {b:x} {mode:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn nearest_is_the_hosts(a: u32, b: u32, c: u32, d: u64, e: u64, g: u64) {
        let f = f32::from_bits;
        let n = Round::Near;
        let (x, y, z) = (u64::from(a), u64::from(b), u64::from(c));
        prop_assert!(same(arith::add(&F32, x, y, n), (f(a) + f(b)).to_bits().into(), &F32));
        prop_assert!(same(arith::sub(&F32, x, y, n), (f(a) - f(b)).to_bits().into(), &F32));
        prop_assert!(same(arith::mul(&F32, x, y, n), (f(a) * f(b)).to_bits().into(), &F32));
        prop_assert!(same(arith::div(&F32, x, y, n), (f(a) / f(b)).to_bits().into(), &F32));
        prop_assert!(same(arith::sqrt(&F32, x, n), f(a).sqrt().to_bits().into(), &F32));
        prop_assert!(same(arith::fma(&F32, x, y, z, n), f(a).mul_add(f(b), f(c)).to_bits().into(), &F32));
        let h = f64::from_bits;
        prop_assert!(same(arith::add(&F64, d, e, n), (h(d) + h(e)).to_bits(), &F64));
        prop_assert!(same(arith::mul(&F64, d, e, n), (h(d) * h(e)).to_bits(), &F64));
        prop_assert!(same(arith::div(&F64, d, e, n), (h(d) / h(e)).to_bits(), &F64));
        prop_assert!(same(arith::sqrt(&F64, d, n), h(d).sqrt().to_bits(), &F64));
        // Exponents close enough to cancel.
        let near = g & !(0x7ff << 52) | (d >> 52 & 0x7ff).wrapping_add(e >> 52 & 0x7ff).wrapping_sub(1023 + (g >> 60)) << 52 & 0x7ff << 52;
        prop_assert!(same(arith::fma(&F64, d, e, near, n), h(d).mul_add(h(e), h(near)).to_bits(), &F64));
    }

    /// Directed results enclose the exact one: down <= near <= up, one step apart, and zero is the smaller magnitude.
    #[test]
    fn directed_results_enclose(a: u32, b: u32, c: u32) {
        let run = |mode| arith::fma(&F32, a.into(), b.into(), c.into(), mode) as u32;
        let (near, zero, down, up) = (run(Round::Near), run(Round::Zero), run(Round::Down), run(Round::Up));
        let f = f32::from_bits;
        if !f(near).is_nan() {
            prop_assert!(f(down) <= f(near) && f(near) <= f(up));
            prop_assert!(down == up || f(down).next_up() == f(up));
            let smaller = if f(down) >= 0.0 { down } else { up };
            prop_assert!(zero == smaller || f(zero) == 0.0);
        }
    }
}
