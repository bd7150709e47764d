//! Core ops against loops written from their documentation.

use crate::samples::module;
use crate::support::{at, check, indices, options, run};
use tricot_reference::{Mode, Options, Tensor, relative_l2};
use tricot_types::DType;

#[test]
fn access() {
    let clamp = |i: f64, n: usize| (i.max(0.0) as usize).min(n - 1);
    check("%x: f64[3, 4], %i: i64[5] | %y = core.gather %x, %i {axis = 0} : f64[5, 4]", 0, |t, y| {
        at(&t[0], &[clamp(at(&t[1], &[y[0]]), 3), y[1]])
    });
    check(
        "%x: f64[2, 3, 5, 2], %i: i64[2, 4] | %y = core.gather %x, %i {axis = 2, batch_dims = 1} : f64[2, 3, 4, 2]",
        0,
        |t, y| at(&t[0], &[y[0], y[1], clamp(at(&t[1], &[y[0], y[2]]), 5), y[3]]),
    );
    for (combine, f) in [
        ("replace", (|_, b| b) as fn(f64, f64) -> f64),
        ("add", |a, b| a + b),
        ("mul", |a, b| a * b),
        ("max", f64::max),
        ("min", f64::min),
    ] {
        // Indices run to 4: those above 2 lie outside and are skipped.
        let text = format!(
            "%x: f64[3, 2], %i: i64[7], %u: f64[7, 2] | %y = core.scatter %x, %i, %u {{combine = \"{combine}\"}} : f64[3, 2]"
        );
        check(&text, 0, |t, y| {
            (0..7).filter(|m| at(&t[1], &[*m]) == y[0] as f64).fold(at(&t[0], y), |a, m| f(a, at(&t[2], &[m, y[1]])))
        });
    }
    check(
        "%x: f64[5, 4], %u: f64[2, 3], %i: i64[2] | %y = core.update_slice %x, %u, %i {start = [1, 0]} : f64[5, 4]",
        0,
        |t, y| {
            let first = [(1.0 + at(&t[2], &[0])).clamp(0.0, 3.0), at(&t[2], &[1]).clamp(0.0, 1.0)];
            let inside = |a: usize, n: usize| y[a] as f64 >= first[a] && (y[a] as f64) < first[a] + n as f64;
            match inside(0, 2) && inside(1, 3) {
                true => at(&t[1], &[y[0] - first[0] as usize, y[1] - first[1] as usize]),
                false => at(&t[0], y),
            }
        },
    );
}

#[test]
fn contractions() {
    check(
        "%a: f64[2, 3, 4], %c: f64[4, 2, 5] | %y = core.contract %a, %c {dtype = f64, spec = \"bij,jbk->kib\"} : f64[5, 3, 2]",
        0,
        |t, y| (0..4).map(|j| at(&t[0], &[y[2], y[1], j]) * at(&t[1], &[j, y[2], y[0]])).sum(),
    );
    // A diagonal, a letter summed in one operand alone, a scalar result.
    check("%a: f64[4, 4, 3] | %y = core.contract %a {dtype = f64, spec = \"iij->i\"} : f64[4]", 0, |t, y| {
        (0..3).map(|j| at(&t[0], &[y[0], y[0], j])).sum()
    });
    check(
        "%a: f64[3, 4], %c: f64[5, 3] | %y = core.contract %a, %c {dtype = f64, spec = \"ij,ki->\"} : f64[]",
        0,
        |t, _| indices(&[3, 4, 5]).iter().map(|i| at(&t[0], &i[..2]) * at(&t[1], &[i[2], i[0]])).sum(),
    );
    check(
        "%q: f64[2, 3, 4], %k: f64[2, 5, 4], %l: f64[2, 6, 4], %m: f64[4] | %y = core.contract %q, %k, %l, %m {dtype = f64, spec = \
         \"bid,bjd,bkd,d->bijk\"} : f64[2, 3, 5, 6]",
        0,
        |t, y| {
            let term = |d| {
                at(&t[0], &[y[0], y[1], d])
                    * at(&t[1], &[y[0], y[2], d])
                    * at(&t[2], &[y[0], y[3], d])
                    * at(&t[3], &[d])
            };
            (0..4).map(term).sum()
        },
    );
    check(
        "%i: i8[3, 4], %m: u8[4, 2] | %y = core.contract %i, %m {dtype = i32, spec = \"ij,jk->ik\"} : i32[3, 2]",
        0,
        |t, y| (0..4).map(|j| at(&t[0], &[y[0], j]) * at(&t[1], &[j, y[1]])).sum(),
    );
}

#[test]
fn narrow_integer_products_wrap() {
    let m = module("%i: i8[2], %m: u8[2] | %y = core.contract %i, %m {dtype = i8, spec = \"i,i->\"} : i8[]");
    let inputs = [Tensor::ints(DType::I8, &[2], vec![100, -128]), Tensor::ints(DType::U8, &[2], vec![255, 3])];
    let y = run(&m, &inputs, &options());
    assert_eq!(at(&y[0], &[]), f64::from((100 * 255 - 128 * 3) as i8));
}

#[test]
fn folds() {
    for (kind, unit, f) in [
        ("sum", 0.0, (|a, b| a + b) as fn(f64, f64) -> f64),
        ("prod", 1.0, |a, b| a * b),
        ("max", f64::NEG_INFINITY, f64::max),
        ("min", f64::INFINITY, f64::min),
    ] {
        let text = format!("%x: f64[3, 4, 5] | %y = core.reduce %x {{axes = [2, 0], kind = \"{kind}\"}} : f64[4]");
        check(&text, 0, |t, y| indices(&[3, 5]).iter().map(|i| at(&t[0], &[i[0], y[0], i[1]])).fold(unit, f));
        for (options, keep) in [
            ("", (|i, at| i <= at) as fn(usize, usize) -> bool),
            ("exclusive = true, ", |i, at| i < at),
            ("reverse = true, ", |i, at| i >= at),
            ("exclusive = true, reverse = true, ", |i, at| i > at),
        ] {
            // Attributes print in name order.
            let mut attrs = vec!["axis = 1".to_string(), format!("kind = \"{kind}\"")];
            attrs.extend(options.split(", ").filter(|o| !o.is_empty()).map(String::from));
            attrs.sort();
            let text = format!("%x: f64[3, 4, 2] | %y = core.scan %x {{{}}} : f64[3, 4, 2]", attrs.join(", "));
            check(&text, 0, |t, y| {
                (0..4).filter(|i| keep(*i, y[1])).map(|i| at(&t[0], &[y[0], i, y[2]])).fold(unit, f)
            });
        }
    }
    check("%x: bool[3, 4] | %y = core.reduce %x {axes = [1], kind = \"and\"} : bool[3]", 0, |t, y| {
        f64::from((0..4).all(|j| at(&t[0], &[y[0], j]) != 0.0))
    });
    check("%x: bool[3, 2] | %y = core.reduce %x {axes = [1], kind = \"or\"} : bool[3]", 0, |t, y| {
        f64::from((0..2).any(|j| at(&t[0], &[y[0], j]) != 0.0))
    });
}

#[test]
fn order() {
    // Integers below 5 in seven places: ties in every line.
    for (largest, sign) in [("", 1.0), (", largest = false", -1.0)] {
        let text = format!(
            "%i: i64[3, 7, 2] | %v, %p = core.top_k %i {{axis = 1, k = 4{largest}}} : i64[3, 4, 2], i64[3, 4, 2]"
        );
        let position = |t: &[Tensor], y: &[usize]| {
            let mut line: Vec<usize> = (0..7).collect();
            // A stable bubble sort.
            for _ in 0..7 {
                for j in 0..6 {
                    let value = |p: usize| sign * at(&t[0], &[y[0], p, y[2]]);
                    if value(line[j + 1]) > value(line[j]) {
                        line.swap(j, j + 1);
                    }
                }
            }
            line[y[1]]
        };
        check(&text, 1, |t, y| position(t, y) as f64);
        check(&text, 0, |t, y| at(&t[0], &[y[0], position(t, y), y[2]]));
    }
    for (kind, sign) in [("max", 1.0), ("min", -1.0)] {
        for last in [false, true] {
            let tail = if last { ", last = true" } else { "" };
            let text =
                format!("%i: i64[3, 7] | %y = core.arg_reduce %i {{axis = 1, kind = \"{kind}\"{tail}}} : i64[3]");
            check(&text, 0, |t, y| {
                let value = |p: usize| sign * at(&t[0], &[y[0], p]);
                let best = (0..7).map(value).fold(f64::NEG_INFINITY, f64::max);
                let mut hits = (0..7).filter(|p| value(*p) == best);
                (if last { hits.next_back() } else { hits.next() }).unwrap() as f64
            });
        }
    }
}

#[test]
fn movement() {
    check("%x: f64[3, 1] | %y = core.broadcast %x {axes = [2, 0], shape = [4, 2, 3]} : f64[4, 2, 3]", 0, |t, y| {
        at(&t[0], &[y[2], 0])
    });
    check("%x: f64[2, 2], %z: f64[2, 3] | %y = core.concat %x, %z, %x {axis = 1} : f64[2, 7]", 0, |t, y| match y[1] {
        j @ 0..2 => at(&t[0], &[y[0], j]),
        j @ 2..5 => at(&t[1], &[y[0], j - 2]),
        j => at(&t[0], &[y[0], j - 5]),
    });
    check(
        "%x: f64[2, 3], %v: f64[] | %y = core.pad %x, %v {high = [1, 0], interior = [1, 2], low = [0, 2]} : f64[4, 9]",
        0,
        |t, y| {
            let j = y[1] as i64 - 2;
            match y[0] % 2 == 0 && y[0] < 4 && j >= 0 && j % 3 == 0 && y[0] / 2 < 2 {
                true => at(&t[0], &[y[0] / 2, (j / 3) as usize]),
                false => at(&t[1], &[]),
            }
        },
    );
    check(
        "%x: f64[2, 9] | %y = core.slice %x {size = [1, 3], start = [1, 7], step = [1, -3]} : f64[1, 3]",
        0,
        |t, y| at(&t[0], &[1, 7 - 3 * y[1]]),
    );
    check("%x: f64[2, 3, 4] | %y = core.transpose %x {perm = [2, 0, 1]} : f64[4, 2, 3]", 0, |t, y| {
        at(&t[0], &[y[1], y[2], y[0]])
    });
    check("%x: f64[2, 3, 4] | %y = core.reshape %x {shape = [4, 6]} : f64[4, 6]", 0, |t, y| {
        let flat = y[0] * 6 + y[1];
        at(&t[0], &[flat / 12, flat / 4 % 3, flat % 4])
    });
    check(
        "%x: f64[9, 2, 8] | %y = core.window %x {axes = [0, 2], dilation = [2, 1], size = [3, 2], stride = [2, 3]} : f64[3, 2, 3, 3, 2]",
        0,
        |t, y| at(&t[0], &[2 * y[0] + 2 * y[3], y[1], 3 * y[2] + y[4]]),
    );
    check("| %y = core.iota {axis = 1, dtype = i32, shape = [2, 5]} : i32[2, 5]", 0, |_, y| y[1] as f64);
    check("| %y = core.size {value = b*s + 1} : i64[]", 0, |_, _| 19.0);
    check(
        "%x: f64[3, 2], %z: f64[3, 2] | %m = core.map %x, %z {fn = \"lt\"} : bool[3, 2]; %y = core.select %m, %x, %z : f64[3, 2]",
        1,
        |t, y| at(&t[0], y).min(at(&t[1], y)),
    );
}

#[test]
fn casts() {
    let cast = |from: DType, to: &str, mode: &str, v: &[f64], how: Mode| {
        let mode = if mode.is_empty() { String::new() } else { format!("mode = \"{mode}\", ") };
        let n = v.len();
        let m = module(&format!("%x: {from}[{n}] | %y = core.cast %x {{{mode}to = {to}}} : {to}[{n}]"));
        let x = match from.is_float() {
            true => Tensor::floats(from, &[n], v.to_vec()),
            false => Tensor::ints(from, &[n], v.iter().map(|x| *x as i64).collect()),
        };
        run(&m, &[x], &Options { mode: how, ..options() })[0].to_f64()
    };
    let (exact, typed) = (Mode::Exact, Mode::Typed);
    let v = [1.0 + 1.0 / 512.0, -2.7, 300.5, 1e6, f64::INFINITY];
    assert_eq!(cast(DType::F32, "bf16", "", &v, exact), v);
    assert_eq!(cast(DType::F32, "bf16", "", &v, typed), [1.0, -2.703125, 300.0, 999424.0, f64::INFINITY]);
    assert_eq!(cast(DType::F32, "f8e4m3", "saturate", &v[..4], typed), [1.0, -2.75, 288.0, 448.0]);
    assert_eq!(cast(DType::F32, "f8e4m3", "saturate", &v[..4], exact), [v[0], -2.7, 300.5, 448.0]);
    assert_eq!(cast(DType::F32, "i8", "", &[-2.7, 300.5, f64::NAN, -1e9], exact), [-2.0, 127.0, 0.0, -128.0]);
    assert_eq!(cast(DType::I32, "u8", "", &[-1.0, 256.0], exact), [255.0, 0.0]);
    assert_eq!(cast(DType::I32, "u8", "saturate", &[-1.0, 256.0], exact), [0.0, 255.0]);
    assert_eq!(cast(DType::F32, "bool", "", &[0.0, -0.5], exact), [0.0, 1.0]);
    assert_eq!(cast(DType::F32, "i32", "bits", &[1.0], exact), [f64::from(0x3f80_0000)]);
}

#[test]
fn random_numbers_follow_their_distribution() {
    for (kind, mean, deviation) in [("uniform", 0.5, (1.0f64 / 12.0).sqrt()), ("normal", 0.0, 1.0)] {
        let m = module(&format!(
            "| %y = core.random {{dtype = f32, kind = \"{kind}\", seed = 5, shape = [200, 100]}} : f32[200, 100]"
        ));
        let y = run(&m, &[], &options())[0].to_f64();
        let n = y.len() as f64;
        let m1 = y.iter().sum::<f64>() / n;
        let m2 = (y.iter().map(|x| (x - m1) * (x - m1)).sum::<f64>() / n).sqrt();
        assert!((m1 - mean).abs() < 0.03 && (m2 - deviation).abs() < 0.02, "{kind}: {m1} {m2}");
        assert!(y.windows(2).any(|w| w[0] != w[1]));
    }
}

#[test]
fn typed_mode_rounds_every_result_and_accumulates_in_f32() {
    let m = module(
        "%x: bf16[1, 4096], %z: bf16[4096] | %y = core.contract %x, %z {dtype = bf16, spec = \"ij,j->i\"} : bf16[1]; %r = core.map %y \
         {fn = \"exp\"} : bf16[1]",
    );
    let inputs = crate::support::inputs(&m, 3);
    let typed = run(&m, &inputs, &Options { mode: Mode::Typed, ..options() });
    let exact = run(&m, &inputs, &options());
    for (t, e) in typed.iter().zip(&exact) {
        let error = relative_l2(t, e);
        assert!(error > 0.0 && error < 0.5, "{error}");
        assert_eq!(t.to_bytes().len(), 2);
        assert_eq!(Tensor::from_bytes(DType::BF16, &[1], &t.to_bytes()).unwrap(), *t, "not a bf16 value");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let m = module("%x: f32[b, 2*s], %z: f32[b] | %y = core.map %z {fn = \"exp\"} : f32[b]");
    let t = |shape: &[usize]| Tensor::floats(DType::F32, shape, vec![0.0; shape.iter().product()]);
    let run = |inputs: &[Tensor]| {
        tricot_reference::evaluate(&m, inputs, &Options::default()).map_err(|e| (e.code, e.message))
    };
    assert!(run(&[t(&[3, 4]), t(&[3])]).is_ok());
    assert_eq!(run(&[t(&[3, 4])]).unwrap_err().0, "TC0800");
    assert_eq!(run(&[t(&[3, 4]), t(&[4])]).unwrap_err().0, "TC0801");
    assert_eq!(run(&[t(&[3, 5]), t(&[3])]).unwrap_err().0, "TC0803");
    assert_eq!(run(&[t(&[3, 4, 1]), t(&[3])]).unwrap_err().0, "TC0801");
    assert_eq!(run(&[t(&[0, 4]), t(&[0])]).unwrap_err().0, "TC0802");
    let wrong = Tensor::ints(DType::I64, &[3], vec![0; 3]);
    assert_eq!(run(&[t(&[3, 4]), wrong]).unwrap_err().0, "TC0801");
}
