//! What schedules cost: the roofline of single kernels by hand, and orders that must come out right.

use crate::support::{module, random, scheduled, scheduled_for, sym};
use tricot_dialects::{Attrs, Constant, Module, TensorType};
use tricot_rates::Rates;
use tricot_schedule::{ScheduleOptions, cost, estimate};
use tricot_types::DType::*;
use tricot_types::Poly;

fn close(have: f64, want: f64) {
    assert!((have - want).abs() <= 1e-9 * want, "{have} s, {want} s by hand");
}

fn seconds(m: &Module, target: &str) -> f64 {
    let options = ScheduleOptions { target: target.into(), ..ScheduleOptions::default() };
    estimate(m, &options).unwrap_or_else(|e| panic!("{}", e[0]))
}

#[test]
fn a_map_moves_its_bytes() {
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [1 << 20]));
        let y = b.map("relu", &[x])?;
        b.output("y", y);
        Ok(())
    });
    let rates = Rates::named("sm_90a");
    close(seconds(&m, "sm_90a"), rates.launch + 8.0 * f64::from(1 << 20) / rates.bandwidth);
}

#[test]
fn a_large_product_takes_its_multiplications() {
    let n = 4096;
    for dtype in [BF16, F32] {
        let m = module(|b| {
            let x = b.input("x", TensorType::new(dtype, [n, n]));
            let w = b.input("w", TensorType::new(dtype, [n, n]));
            let y = b.contract("mk,kn->mn", &[x, w], dtype)?;
            b.output("y", y);
            Ok(())
        });
        let rates = Rates::named("sm_90a");
        let n = n as f64;
        // The rounding of a 16-bit result is one operation an element.
        let rounding = if dtype == BF16 { n * n / rates.scalar } else { 0.0 };
        close(seconds(&m, "sm_90a"), rates.launch + 2.0 * n * n * n / rates.product(dtype) + rounding);
    }
}

#[test]
fn only_what_a_slice_reads_counts() {
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [1024, 1024]));
        let y = b.slice(x, &[Poly::constant(0), Poly::constant(256)], &[1024.into(), 256.into()], &[1, 1])?;
        let y = b.map("neg", &[y])?;
        b.output("y", y);
        Ok(())
    });
    let rates = Rates::named("sm_90a");
    close(seconds(&m, "sm_90a"), rates.launch + 2.0 * 4.0 * 1024.0 * 256.0 / rates.bandwidth);
}

#[test]
fn windowed_attention_is_cheaper_than_full_attention() {
    let attention = |window: i64| {
        module(|b| {
            let ty = TensorType::new(BF16, [1, 8192, 8, 64]);
            let v: Vec<_> = ["q", "k", "v"].iter().map(|n| b.input(n, ty.clone())).collect();
            let attrs = Attrs::new().with("scale", 0.125).with("causal", true).with("window", window);
            let y = b.op("nn.attention", &v, attrs.with("offset", Poly::constant(0)))?;
            b.output("y", y[0]);
            Ok(())
        })
    };
    for target in ["cpu", "sm_90a"] {
        let (narrow, wide) = (seconds(&attention(128), target), seconds(&attention(0), target));
        assert!(narrow < wide / 2.0, "{target}: {narrow} s with a window, {wide} s without");
    }
}

#[test]
fn fusing_pays_on_every_target() {
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("b"), sym("s"), 64.into()]));
        let w = b.input("w", TensorType::new(F32, [64, 64]));
        let y = b.contract("bsk,kn->bsn", &[x, w], F32)?;
        let y = b.map("sigmoid", &[y])?;
        let y = b.map("add", &[y, x])?;
        b.output("y", y);
        Ok(())
    });
    for target in ["cpu", "sm_90a"] {
        let rates = Rates::named(target);
        let (fused, plain) = (scheduled(&m, true), scheduled(&m, false));
        let (fused, plain) = (cost::seconds(&fused, &rates), cost::seconds(&plain, &rates));
        assert!(fused < plain, "{target}: {fused} s fused, {plain} s op by op");
    }
}

#[test]
fn an_outline_costs_what_the_schedule_does() {
    // The weights are a sum, too large to be folded for an outline.
    let m = module(|b| {
        let x = b.input("x", TensorType::new(F32, [sym("b"), sym("s"), 160.into()]));
        let mut parts = vec![];
        for n in [160, 320] {
            let values = [(); 2].map(|()| random(F32, 160 * n, (0, 0)));
            let [u, v] = values.map(|v| b.constant(Constant::from_f64(F32, vec![160, n as u64], &v)));
            let w = b.map("add", &[u?, v?])?;
            let y = b.contract("bsk,kn->bsn", &[x, w], F32)?;
            let y = b.map("square", &[y])?;
            parts.push(b.reduce("sum", y, &[2])?);
        }
        let y = b.map("mul", &parts)?;
        b.output("y", y);
        Ok(())
    });
    for target in ["cpu", "sm_90a"] {
        close(seconds(&m, target), cost::seconds(&scheduled_for(&m, target, true), &Rates::named(target)));
    }
}
