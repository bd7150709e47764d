//! Ops outside core against loops written from their documentation.

use crate::support::{at, check, indices, sample};
use tricot_reference::{Tensor, relative_l2};

#[test]
fn activations() {
    type Scalar = fn(f64) -> f64;
    let cases: [(&str, &str, Scalar); 14] = [
        ("celu", " {alpha = 1.5}", |x| x.max(0.0) + (1.5 * ((x / 1.5).exp() - 1.0)).min(0.0)),
        ("elu", " {alpha = 0.5}", |x| if x > 0.0 { x } else { 0.5 * (x.exp() - 1.0) }),
        ("gelu", "", |x| x * 0.5 * (1.0 + erf(x / 2f64.sqrt()))),
        ("gelu", " {approximate = \"tanh\"}", |x| {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
        }),
        ("hard_sigmoid", " {alpha = 0.3}", |x| (0.3 * x + 0.5).clamp(0.0, 1.0)),
        ("hard_swish", "", |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        ("leaky_relu", " {alpha = 0.1}", |x| if x > 0.0 { x } else { 0.1 * x }),
        ("selu", " {alpha = 1.5, gamma = 2.0}", |x| 2.0 * if x > 0.0 { x } else { 1.5 * (x.exp() - 1.0) }),
        ("shrink", " {bias = 0.25, lambd = 0.75}", |x| match x {
            x if x < -0.75 => x + 0.25,
            x if x > 0.75 => x - 0.25,
            _ => 0.0,
        }),
        ("silu", "", |x| x / (1.0 + (-x).exp())),
        ("softplus", "", |x| (1.0 + x.exp()).ln()),
        ("softsign", "", |x| x / (1.0 + x.abs())),
        ("thresholded_relu", " {alpha = 0.5}", |x| if x > 0.5 { x } else { 0.0 }),
        ("mish", "", |x| x * (1.0 + x.exp()).ln().tanh()),
    ];
    for (name, attrs, f) in cases {
        check(&format!("%x: f64[5, 40] | %y = nn.{name} %x{attrs} : f64[5, 40]"), 0, |t, y| f(at(&t[0], y)));
    }
    check("%x: f64[2, 3, 5], %a: f64[3, 1] | %y = nn.prelu %x, %a : f64[2, 3, 5]", 0, |t, y| {
        let x = at(&t[0], y);
        if x > 0.0 { x } else { x * at(&t[1], &[y[1], 0]) }
    });
}

/// The error function by its series, independent of libm.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        term *= -x * x / n as f64;
        sum += term / (2 * n + 1) as f64;
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn extreme_arguments_stay_finite() {
    let big = Tensor::floats(tricot_types::DType::F64, &[4], vec![-1e4, -40.0, 40.0, 1e4]);
    for name in ["softplus", "silu", "gelu", "mish", "elu", "selu", "celu", "softsign", "hard_swish"] {
        let m = crate::samples::module(&format!("%x: f64[4] | %y = nn.{name} %x : f64[4]"));
        let y = crate::support::run(&m, &[big.clone()], &crate::support::options());
        assert!(y[0].to_f64().iter().all(|v| v.is_finite()), "{name}: {:?}", y[0]);
    }
    let m = crate::samples::module(
        "%x: f64[4] | %y = nn.softmax %x {axis = 0} : f64[4]; %z = nn.log_softmax %x {axis = 0} : f64[4]",
    );
    let y = crate::support::run(&m, &[big], &crate::support::options());
    assert_eq!(y[0].to_f64(), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(y[1].to_f64(), [-2e4, -10040.0, -9960.0, 0.0]);
}

#[test]
fn softmax_and_norms() {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let variance = |v: &[f64]| v.iter().map(|x| (x - mean(v)).powi(2)).sum::<f64>() / v.len() as f64;
    check("%x: f64[3, 5, 2] | %y = nn.softmax %x {axis = 1} : f64[3, 5, 2]", 0, |t, y| {
        at(&t[0], y).exp() / (0..5).map(|j| at(&t[0], &[y[0], j, y[2]]).exp()).sum::<f64>()
    });
    check("%x: f64[3, 5, 2] | %y = nn.log_softmax %x {axis = 1} : f64[3, 5, 2]", 0, |t, y| {
        at(&t[0], y) - (0..5).map(|j| at(&t[0], &[y[0], j, y[2]]).exp()).sum::<f64>().ln()
    });
    for bias in [true, false] {
        let (decl, arg) = if bias { (", %c: f64[3, 4]", ", %c") } else { ("", "") };
        let text = format!(
            "%x: f64[2, 3, 4], %g: f64[3, 4]{decl} | %y = nn.layer_norm %x, %g{arg} {{axis = 1, epsilon = 0.1}} : f64[2, 3, 4]"
        );
        check(&text, 0, |t, y| {
            let v: Vec<f64> = indices(&[3, 4]).iter().map(|i| at(&t[0], &[y[0], i[0], i[1]])).collect();
            let n = (at(&t[0], y) - mean(&v)) / (variance(&v) + 0.1).sqrt() * at(&t[1], &y[1..]);
            if bias { n + at(&t[2], &y[1..]) } else { n }
        });
    }
    check(
        "%x: f64[2, 3, 4], %g: f64[4] | %y = nn.rms_norm %x, %g {axis = 2, epsilon = 0.1} : f64[2, 3, 4]",
        0,
        |t, y| {
            let square = (0..4).map(|j| at(&t[0], &[y[0], y[1], j]).powi(2)).sum::<f64>() / 4.0;
            at(&t[0], y) / (square + 0.1).sqrt() * at(&t[1], &[y[2]])
        },
    );
    check(
        "%x: f64[2, 3, 4], %g: f64[3], %c: f64[3], %u: f64[3], %var: f64[3] | %y = nn.batch_norm %x, %g, %c, %u, %var {epsilon = 0.1} : \
         f64[2, 3, 4]",
        0,
        |t, y| {
            let p = |i: usize| at(&t[i], &[y[1]]);
            (at(&t[0], y) - p(3)) / (p(4) + 0.1).sqrt() * p(1) + p(2)
        },
    );
    check(
        "%x: f64[2, 3, 4, 2], %g: f64[3], %c: f64[3] | %y = nn.instance_norm %x, %g, %c {epsilon = 0.1} : f64[2, 3, 4, 2]",
        0,
        |t, y| {
            let v: Vec<f64> = indices(&[4, 2]).iter().map(|i| at(&t[0], &[y[0], y[1], i[0], i[1]])).collect();
            (at(&t[0], y) - mean(&v)) / (variance(&v) + 0.1).sqrt() * at(&t[1], &[y[1]]) + at(&t[2], &[y[1]])
        },
    );
    check(
        "%x: f64[2, 6, 4], %g: f64[6], %c: f64[6] | %y = nn.group_norm %x, %g, %c {epsilon = 0.1, groups = 2} : f64[2, 6, 4]",
        0,
        |t, y| {
            let first = y[1] / 3 * 3;
            let v: Vec<f64> = indices(&[3, 4]).iter().map(|i| at(&t[0], &[y[0], first + i[0], i[1]])).collect();
            (at(&t[0], y) - mean(&v)) / (variance(&v) + 0.1).sqrt() * at(&t[1], &[y[1]]) + at(&t[2], &[y[1]])
        },
    );
}

/// Element of a padded image, zero outside.
fn padded(x: &Tensor, n: usize, c: usize, h: i64, w: i64) -> f64 {
    let inside = h >= 0 && w >= 0 && (h as usize) < x.shape[2] && (w as usize) < x.shape[3];
    if inside { at(x, &[n, c, h as usize, w as usize]) } else { 0.0 }
}

#[test]
fn convolution_and_pools() {
    check(
        "%x: f64[2, 4, 9, 8], %w: f64[6, 2, 3, 2] | %y = nn.conv2d %x, %w {dilation = [1, 2], groups = 2, pad = [1, 0, 1, 2], stride = [2, \
         1]} : f64[2, 6, 5, 8]",
        0,
        |t, y| {
            let term = |i: &Vec<usize>| {
                let (h, w) = ((2 * y[2] + i[1]) as i64 - 1, (y[3] + 2 * i[2]) as i64);
                padded(&t[0], y[0], y[1] / 3 * 2 + i[0], h, w) * at(&t[1], &[y[1], i[0], i[1], i[2]])
            };
            indices(&[2, 3, 2]).iter().map(term).sum()
        },
    );
    let window = |y: &[usize]| {
        indices(&[3, 2])
            .into_iter()
            .map(|k| ((2 * y[2] + k[0]) as i64 - 1, (2 * y[3] + k[1]) as i64))
            .collect::<Vec<_>>()
    };
    let inside = |p: &(i64, i64)| (0..9).contains(&p.0) && (0..7).contains(&p.1);
    let pool = |kind: &str, more: &str| {
        format!(
            "%x: f64[2, 2, 9, 7] | %y = nn.{kind}_pool2d %x {{{more}pad = [1, 0, 0, 1], size = [3, 2], stride = [2, 2]}} : f64[2, 2, 4, 4]"
        )
    };
    check(&pool("max", ""), 0, |t, y| {
        window(y)
            .iter()
            .filter(|p| inside(p))
            .map(|p| padded(&t[0], y[0], y[1], p.0, p.1))
            .fold(f64::NEG_INFINITY, f64::max)
    });
    check(&pool("avg", ""), 0, |t, y| {
        let count = window(y).iter().filter(|p| inside(p)).count() as f64;
        window(y).iter().map(|p| padded(&t[0], y[0], y[1], p.0, p.1)).sum::<f64>() / count
    });
    check(&pool("avg", "count_pad = true, "), 0, |t, y| {
        window(y).iter().map(|p| padded(&t[0], y[0], y[1], p.0, p.1)).sum::<f64>() / 6.0
    });
}

#[test]
fn rotary_embedding() {
    for (interleaved, batched) in [(false, false), (true, false), (false, true), (true, true)] {
        let table = if batched { "f64[2, 3, 4]" } else { "f64[3, 4]" };
        let attrs = if interleaved { " {interleaved = true}" } else { "" };
        let text =
            format!("%x: f64[2, 3, 2, 8], %c: {table}, %d: {table} | %y = nn.rope %x, %c, %d{attrs} : f64[2, 3, 2, 8]");
        check(&text, 0, |t, y| {
            let (pair, second) = if interleaved { (y[3] / 2, y[3] % 2) } else { (y[3] % 4, y[3] / 4) };
            let places = if interleaved { [2 * pair, 2 * pair + 1] } else { [pair, pair + 4] };
            let [a, b] = places.map(|p| at(&t[0], &[y[0], y[1], y[2], p]));
            let [cos, sin] =
                [1, 2].map(|i| if batched { at(&t[i], &[y[0], y[1], pair]) } else { at(&t[i], &[y[1], pair]) });
            if second == 0 { a * cos - b * sin } else { a * sin + b * cos }
        });
    }
}

#[test]
fn dot_attention() {
    let text = "%q: f64[2, 5, 4, 3], %k: f64[2, 7, 2, 3], %v: f64[2, 7, 2, 6], %z: f64[1, 4, 1, 7] | %o, %l = nn.attention %q, %k, %v, %z \
                {causal = true, offset = -1, scale = 0.5, window = 3} : f64[2, 5, 4, 6], f32[2, 4, 5]";
    let terms = |t: &[Tensor], b: usize, h: usize, i: usize| -> Vec<(usize, f64)> {
        // Query i sees i - 4 < j <= i - 1: the first query sees nothing.
        (0..7)
            .filter(|j| *j as i64 <= i as i64 - 1 && *j as i64 > i as i64 - 4)
            .map(|j| {
                let dot: f64 = (0..3).map(|d| at(&t[0], &[b, i, h, d]) * at(&t[1], &[b, j, h / 2, d])).sum();
                (j, (0.5 * dot + at(&t[3], &[0, h, 0, j])).exp())
            })
            .collect()
    };
    check(text, 0, |t, y| {
        let terms = terms(t, y[0], y[2], y[1]);
        let sum: f64 = terms.iter().map(|x| x.1).sum();
        if terms.is_empty() {
            0.0
        } else {
            terms.iter().map(|(j, p)| p / sum * at(&t[2], &[y[0], *j, y[2] / 2, y[3]])).sum()
        }
    });
    check(text, 1, |t, y| terms(t, y[0], y[1], y[2]).iter().map(|x| x.1).sum::<f64>().ln());
}

#[test]
fn trilinear_attention_and_determinant() {
    let args =
        "%q: f64[2, 6, 4, 6], %k1: f64[2, 6, 2, 6], %k2: f64[2, 6, 2, 6], %v1: f64[2, 6, 2, 5], %v2: f64[2, 6, 2, 5]";
    let results = "f64[2, 6, 4, 5], f32[2, 4, 6]";
    let product = |t: &[Tensor], b: usize, h: usize, [i, j, k]: [usize; 3]| -> f64 {
        let one = |d| at(&t[0], &[b, i, h, d]) * at(&t[1], &[b, j, h / 2, d]) * (at(&t[2], &[b, k, h / 2, d]) + 0.25);
        (0..6).map(one).sum::<f64>()
    };
    let determinant = |t: &[Tensor], b: usize, h: usize, [i, j, k]: [usize; 3]| -> f64 {
        let one = |p: usize| {
            let a = [0, 1, 2].map(|d| at(&t[0], &[b, i, h, 3 * p + d]));
            let c = [0, 1, 2].map(|d| at(&t[1], &[b, j, h / 2, 3 * p + d]));
            let e = [0, 1, 2].map(|d| at(&t[2], &[b, k, h / 2, 3 * p + d]));
            // Expansion along the first row.
            a[0] * (c[1] * e[2] - c[2] * e[1]) - a[1] * (c[0] * e[2] - c[2] * e[0]) + a[2] * (c[0] * e[1] - c[1] * e[0])
        };
        one(0) + one(1)
    };
    type Logit<'a> = &'a dyn Fn(&[Tensor], usize, usize, [usize; 3]) -> f64;
    let cases: [(&str, &str, f64, Logit); 2] = [
        ("attention", "k2_bias = 0.25, scale = 0.4, v2_bias = 1.0, w1 = 4, w2 = 2", 1.0, &product),
        ("determinant", "scale = 0.4, w1 = 4, w2 = 2", 0.0, &determinant),
    ];
    for (op, attrs, v2_bias, logit) in cases {
        let text = format!("{args} | %o, %l = trilinear.{op} %q, %k1, %k2, %v1, %v2 {{{attrs}}} : {results}");
        let terms = |t: &[Tensor], b: usize, h: usize, i: usize| -> Vec<(usize, usize, f64)> {
            let pairs = indices(&[6, 6]).into_iter().filter(|p| p[0] <= i && p[1] <= i && p[0] + 4 > i && p[1] + 2 > i);
            pairs.map(|p| (p[0], p[1], (0.4 * logit(t, b, h, [i, p[0], p[1]])).exp())).collect()
        };
        check(&text, 0, |t, y| {
            let terms = terms(t, y[0], y[2], y[1]);
            let sum: f64 = terms.iter().map(|x| x.2).sum();
            let value = |j: usize, k: usize| {
                at(&t[3], &[y[0], j, y[2] / 2, y[3]]) * (at(&t[4], &[y[0], k, y[2] / 2, y[3]]) + v2_bias)
            };
            terms.iter().map(|(j, k, p)| p / sum * value(*j, *k)).sum()
        });
        check(&text, 1, |t, y| terms(t, y[0], y[1], y[2]).iter().map(|x| x.2).sum::<f64>().ln());
    }
}

/// Whether element `y` of a group is among the best two.
fn kept(key: impl Fn(usize) -> f64, lane: usize) -> bool {
    let mut order = [0, 1, 2, 3];
    order.sort_by(|a, b| key(*b).total_cmp(&key(*a)));
    order[..2].contains(&lane)
}

#[test]
fn two_of_four() {
    for by in ["magnitude", "value"] {
        // Integers in -4..=4 tie often.
        let key = |x: f64| if by == "value" { x } else { x.abs() };
        let of = |t: &[Tensor], y: &[usize], lane: usize| key(at(&t[0], &[y[0], y[1] / 4 * 4 + lane, y[2]]));
        for dtype in ["f64", "i64"] {
            let text =
                format!("%i: {dtype}[3, 16, 2] | %m = sparse24.mask %i {{axis = 1, by = \"{by}\"}} : bool[3, 16, 2]")
                    .replace(", by = \"magnitude\"", "");
            check(&text, 0, |t, y| f64::from(kept(|l| of(t, y, l), y[1] % 4)));
            let text = format!(
                "%i: {dtype}[3, 16, 2] | %y = sparse24.select %i {{axis = 1, by = \"{by}\"}} : {dtype}[3, 16, 2]"
            )
            .replace(", by = \"magnitude\"", "");
            check(&text, 0, |t, y| if kept(|l| of(t, y, l), y[1] % 4) { at(&t[0], y) } else { 0.0 });
        }
        let both = format!(
            "%x: f64[3, 16] | %v, %m = sparse24.compress %x {{axis = 1, by = \"{by}\"}} : f64[3, 8, sparse24<1>], u8[3, 2]; %y = \
             sparse24.decompress %v, %m {{axis = 1}} : f64[3, 16]"
        )
        .replace(", by = \"magnitude\"", "");
        let lanes = |t: &[Tensor], row: usize, group: usize| -> Vec<usize> {
            (0..4).filter(|l| kept(|l| key(at(&t[0], &[row, 4 * group + l])), *l)).collect()
        };
        check(&both, 0, |t, y| at(&t[0], &[y[0], y[1] / 2 * 4 + lanes(t, y[0], y[1] / 2)[y[1] % 2]]));
        check(&both, 1, |t, y| {
            let nibble = |g: usize| lanes(t, y[0], g)[0] + 4 * lanes(t, y[0], g)[1];
            (nibble(2 * y[1]) + 16 * nibble(2 * y[1] + 1)) as f64
        });
        check(&both, 2, |t, y| if lanes(t, y[0], y[1] / 4).contains(&(y[1] % 4)) { at(&t[0], y) } else { 0.0 });
    }
    check(
        "%a: f64[2, 5, 16], %c: f64[2, 16, 3] | %v, %m = sparse24.compress %a {axis = 2} : f64[2, 5, 8, sparse24<2>], u8[2, 5, 2]; %y = \
         sparse24.matmul %v, %m, %c {dtype = f64} : f64[2, 5, 3]",
        2,
        |t, y| {
            let keep = |k: usize| kept(|l| at(&t[0], &[y[0], y[1], k / 4 * 4 + l]).abs(), k % 4);
            (0..16).filter(|k| keep(*k)).map(|k| at(&t[0], &[y[0], y[1], k]) * at(&t[1], &[y[0], k, y[2]])).sum()
        },
    );
}

#[test]
fn a_nan_never_makes_three_of_four() {
    let m = crate::samples::module("%x: f32[1, 8] | %m = sparse24.mask %x {axis = 1} : bool[1, 8]");
    let nan = f64::NAN;
    let x = Tensor::floats(tricot_types::DType::F32, &[1, 8], vec![1.0, nan, 3.0, nan, nan, nan, nan, f64::INFINITY]);
    let y = crate::support::run(&m, &[x], &crate::support::options());
    assert_eq!(y[0].to_f64(), [0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn winograd_is_convolution() {
    for (m, r, h, w, pad) in [
        (2, 3, 9, 7, [1, 1, 1, 1]),
        (4, 3, 9, 7, [1, 0, 1, 1]),
        (6, 3, 13, 8, [0; 4]),
        (4, 5, 11, 12, [2; 4]),
        (3, 2, 5, 6, [0, 1, 0, 0]),
    ] {
        let a = m + r - 1;
        let (oh, ow) = (h + pad[0] + pad[2] - r + 1, w + pad[1] + pad[3] - r + 1);
        let (th, tw) = ((oh as usize).div_ceil(m as usize), (ow as usize).div_ceil(m as usize));
        let text = format!(
            "%x: f64[2, 3, {h}, {w}], %w: f64[4, 3, {r}, {r}] | %v = winograd.input %x {{m = {m}, pad = {pad:?}, r = {r}}} : f64[{a}, {a}, 2, {th}, \
             {tw}, 3, winograd<{m}, {r}>]; %u = winograd.filter %w {{m = {m}, r = {r}}} : f64[{a}, {a}, 4, 3, winograd<{m}, {r}>]; %t = \
             core.contract %v, %u {{dtype = f64, spec = \"abnhwc,abfc->abnhwf\"}} : f64[{a}, {a}, 2, {th}, {tw}, 4]; %z = winograd.output %t \
             {{m = {m}, r = {r}, size = [{oh}, {ow}]}} : f64[2, 4, {oh}, {ow}]; %y = nn.conv2d %x, %w {{pad = {pad:?}}} : f64[2, 4, {oh}, {ow}]"
        );
        let (_, results) = sample(&text, 4);
        let error = relative_l2(&results[3], &results[4]);
        assert!(error < 1e-12, "F({m}, {r}): {error}");
    }
}

#[test]
fn quantised_rows() {
    for (op, to, top) in [("rowwise_fp8", "f8e4m3", 448.0), ("rowwise_int8", "i8", 127.0)] {
        let text = format!(
            "%x: f64[3, 8] | %q, %c = quant.{op} %x : {to}[3, 8], f32[3]; %y = quant.dequantize %q, %c {{dtype = f64}} : f64[3, 8]"
        );
        let scale =
            move |t: &[Tensor], row: usize| (0..8).map(|k| at(&t[0], &[row, k]).abs()).fold(0.0, f64::max) / top;
        check(&text, 1, |t, y| scale(t, y[0]));
        // Exact evaluation does not round to 8-bit floats; to integers it does.
        check(&text, 0, |t, y| {
            let q = at(&t[0], y) / scale(t, y[0]);
            if to == "i8" { q.round_ties_even() } else { q }
        });
        let typed = {
            let m = crate::samples::module(&text);
            let inputs = crate::support::inputs(&m, 1);
            let options =
                tricot_reference::Options { mode: tricot_reference::Mode::Typed, ..crate::support::options() };
            (inputs.clone(), crate::support::run(&m, &inputs, &options))
        };
        let error = relative_l2(&typed.1[2], &typed.0[0]);
        assert!(error > 1e-4 && error < 0.04, "{op}: {error}");
    }
    let m = crate::samples::module("%x: f32[1, 4] | %q, %c = quant.rowwise_int8 %x : i8[1, 4], f32[1]");
    let zeros = Tensor::floats(tricot_types::DType::F32, &[1, 4], vec![0.0; 4]);
    let y = crate::support::run(&m, &[zeros], &crate::support::options());
    assert_eq!((y[0].to_f64(), y[1].to_f64()), (vec![0.0; 4], vec![1.0]));
}

#[test]
fn bags() {
    for (mode, last, weighted) in
        [("sum", false, false), ("mean", false, false), ("sum", true, true), ("mean", true, false)]
    {
        let (bags, entries) = (6, if last { 7 } else { 6 });
        let (decl, arg) = if weighted { (", %w: f64[9]", ", %w") } else { ("", "") };
        let mut attrs = vec![];
        if last {
            attrs.push("include_last = true".to_string());
        }
        if mode != "sum" {
            attrs.push(format!("mode = \"{mode}\""));
        }
        let attrs = if attrs.is_empty() { String::new() } else { format!(" {{{}}}", attrs.join(", ")) };
        let float = format!(
            "%t: f64[5, 3], %i: i64[9], %o: i64[{entries}]{decl} | %y = embedding.bag %t, %i, %o{arg}{attrs} : f64[{bags}, 3]"
        );
        let attrs = attrs.replacen('{', "{dtype = f64, ", 1);
        let attrs = if attrs.is_empty() { " {dtype = f64}".to_string() } else { attrs };
        let ints = format!(
            "%t: i8[5, 3], %a: f64[5], %c: f64[5], %i: i64[9], %o: i64[{entries}]{decl} | %y = embedding.bag_quantized %t, %a, %c, %i, \
             %o{arg}{attrs} : f64[{bags}, 3]"
        );
        let bag = |t: &[Tensor], first: usize, y: &[usize], value: &dyn Fn(usize, usize) -> f64| {
            let (indices, offsets) = (&t[first], &t[first + 1]);
            let begin = at(offsets, &[y[0]]) as usize;
            let end = if y[0] + 1 < entries { at(offsets, &[y[0] + 1]) as usize } else { 9 };
            let row = |p: usize| at(indices, &[p]) as usize;
            let weight = |p: usize| if weighted { at(&t[first + 2], &[p]) } else { 1.0 };
            let sum: f64 = (begin..end).map(|p| weight(p) * value(row(p), y[1])).sum();
            if mode == "mean" { sum / (end.max(begin) - begin).max(1) as f64 } else { sum }
        };
        check(&float, 0, |t, y| bag(t, 1, y, &|row, d| at(&t[0], &[row, d])));
        check(&ints, 0, |t, y| bag(t, 3, y, &|row, d| at(&t[1], &[row]) * at(&t[0], &[row, d]) + at(&t[2], &[row])));
    }
}
