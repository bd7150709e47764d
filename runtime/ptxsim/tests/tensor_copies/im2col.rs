//! im2col copies: nested loops over images, depth, rows and columns.

use super::{BYTES, list, numbers, run, text};
use tricot_ptxsim::{Class, Device, Im2colMap, Report, TensorMap};

/// A tensor of 16-bit elements, each of which is its own number.
struct Images {
    /// C, W, H, D, N as far as there are.
    dims: Vec<u32>,
    lower: Vec<i32>,
    upper: Vec<i32>,
    steps: Vec<u32>,
    channels: u32,
    pixels: u32,
    swizzle: u8,
}

impl Images {
    fn map(&self, address: u64, elemtype: u8, fill_nan: bool) -> Im2colMap {
        let rank = self.dims.len();
        let strides = (1..rank).map(|n| 2 * self.dims[..n].iter().map(|d| u64::from(*d)).product::<u64>()).collect();
        let mut tile = vec![1; rank];
        tile[0] = self.channels;
        let tensor = TensorMap {
            address,
            elemtype,
            element: 2,
            dims: self.dims.iter().map(|d| u64::from(*d)).collect(),
            strides,
            tile,
            element_strides: [&[1], self.steps.as_slice(), &[1]].concat(),
            swizzle: self.swizzle,
            interleave: 0,
            fill_nan,
        };
        Im2colMap { tensor, lower: self.lower.clone(), upper: self.upper.clone(), pixels: self.pixels }
    }

    fn count(&self) -> usize {
        self.dims.iter().product::<u32>() as usize
    }

    fn bytes(&self) -> usize {
        (2 * self.channels * self.pixels) as usize
    }

    /// Nested loops over images, depth, rows and columns of bases; the element behind each element of the copy.
    fn elements(&self, at: &[i32], offsets: &[i32]) -> Vec<Option<usize>> {
        let space = self.dims.len() - 2;
        // Missing dimensions are one pixel wide.
        let get = |v: &[i32], n: usize| if n < space { v[n] } else { 0 };
        let start: Vec<i32> = (0..3).map(|n| if n < space { at[n + 1] } else { 0 }).collect();
        let ends: Vec<i32> =
            (0..3).map(|n| if n < space { self.dims[n + 1] as i32 - 1 + self.upper[n] } else { 0 }).collect();
        let step = |n: usize| if n < space { self.steps[n] as usize } else { 1 };
        let (mut bases, mut first) = (vec![], [true; 3]);
        for n in at[space + 1].. {
            let from = |f: bool, n: usize| if f { start[n] } else { get(&self.lower, n) };
            for d in (from(first[2], 2)..=ends[2]).step_by(step(2)) {
                first[2] = false;
                for h in (from(first[1], 1)..=ends[1]).step_by(step(1)) {
                    first[1] = false;
                    for w in (from(first[0], 0)..=ends[0]).step_by(step(0)) {
                        first[0] = false;
                        bases.push([w, h, d, n]);
                    }
                }
            }
            if bases.len() >= self.pixels as usize {
                break;
            }
        }
        let mut out = vec![];
        for base in &bases[..self.pixels as usize] {
            for c in at[0]..at[0] + self.channels as i32 {
                let mut place = vec![c];
                place.extend((0..space).map(|n| base[n] + offsets.get(n).copied().unwrap_or(0)));
                place.push(base[3]);
                let inside = place.iter().zip(&self.dims).all(|(p, d)| (0..*d as i32).contains(p));
                let linear = |_| place.iter().zip(&self.dims).rev().fold(0, |x, (p, d)| x * *d as usize + *p as usize);
                out.push(inside.then_some(()).map(linear));
            }
        }
        out
    }

    /// The byte of shared memory where element `e` of a copy lies.
    fn place(&self, e: usize) -> usize {
        let at = 2 * e;
        let lines = [1, 2, 4, 8][self.swizzle as usize];
        at ^ (at / 128 % lines) << 4
    }
}

fn cases() -> Vec<(Images, Vec<i32>, Vec<i32>)> {
    let plain = |dims: &[u32], lower: &[i32], upper: &[i32], channels, pixels| Images {
        dims: dims.to_vec(),
        lower: lower.to_vec(),
        upper: upper.to_vec(),
        steps: vec![1; dims.len() - 2],
        channels,
        pixels,
        swizzle: 0,
    };
    let mut out = vec![
        // The examples of PTX ISA 5.5.4 with fewer channels and images.
        (plain(&[8, 9, 14, 4], &[-1, -1], &[-1, -1], 8, 64), vec![0, 4, 7, 2], vec![0, 0]),
        (plain(&[8, 9, 14, 4], &[0, 0], &[-2, -2], 8, 64), vec![0, 4, 7, 2], vec![2, 2]),
        (
            Images { steps: vec![2, 2], ..plain(&[16, 8, 14, 3], &[-1, -1], &[-1, -1], 16, 32) },
            vec![0, 5, 7, 1],
            vec![1, 1],
        ),
        // Beyond the last image, before the first, and beyond the channels.
        (plain(&[8, 5, 4, 2], &[-1, -1], &[1, 1], 16, 100), vec![0, -1, -1, 0], vec![0, 1]),
        (plain(&[16, 5, 4, 2], &[0, 0], &[0, 0], 16, 30), vec![8, 3, 2, -1], vec![0, 0]),
        (plain(&[8, 40, 5], &[-3], &[2], 8, 90), vec![0, 7, 1], vec![5]),
        (Images { steps: vec![3], ..plain(&[8, 40, 5], &[-3], &[2], 8, 40) }, vec![0, 40, 0], vec![0]),
        (plain(&[8, 5, 4, 3, 2], &[-1, -2, -1], &[1, 0, -1], 8, 120), vec![0, 2, 1, 0, 0], vec![0, 3, 1]),
        (
            Images { steps: vec![1, 2, 2], ..plain(&[8, 5, 6, 4, 2], &[-1, -1, 0], &[0, 0, 0], 8, 64) },
            vec![0, 0, 2, 1, 0],
            vec![2, 0, 0],
        ),
    ];
    for (swizzle, channels) in [(1, 16), (2, 32), (3, 64)] {
        let images = plain(&[64, 6, 5, 2], &[-1, -1], &[-1, -1], channels, 40);
        out.push((Images { swizzle, ..images }, vec![0, -1, 2, 0], vec![1, 2]));
    }
    out
}

#[test]
fn im2col_loads_are_nested_loops() {
    for (images, at, offsets) in cases() {
        let (rank, bytes) = (images.dims.len(), images.bytes());
        let load = format!(
            "cp.async.bulk.tensor.{rank}d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%r0], [%d1, {{{}}}], [%r5], {{{}}};",
            list(&at),
            list(&offsets)
        );
        // 6 is f16: the fill of floats may be NaN.
        for (elemtype, nan) in [(1, false), (6, false), (6, true)] {
            let map = |base| {
                let map = images.map(base, elemtype, nan);
                map.check().expect("a legal map");
                map.encode()
            };
            let (report, out, _) = run(&text(&load, bytes, ""), map, numbers(images.count()), vec![0; BYTES]);
            assert_eq!(report.findings, [], "{load}");
            for (e, element) in images.elements(&at, &offsets).into_iter().enumerate() {
                let place = images.place(e);
                let ours = u16::from_le_bytes([out[place], out[place + 1]]);
                let expected = element.map_or(if nan { 0x7ff7 } else { 0 }, |n| n as u16 + 1);
                assert_eq!(ours, expected, "{load} {:?} element {e}", images.dims);
            }
        }
    }
}

#[test]
fn im2col_stores_write_what_loads_read() {
    for (mut images, mut at, _) in cases() {
        // The pixels of stores are those of the tensor.
        images.lower.iter_mut().for_each(|c| *c = (*c).max(0));
        images.upper.iter_mut().for_each(|c| *c = (*c).min(0));
        at.iter_mut().zip(&images.dims).for_each(|(c, d)| *c = (*c).clamp(0, *d as i32 - 1));
        let (rank, bytes) = (images.dims.len(), images.bytes());
        for reduce in [false, true] {
            let name = if reduce { "cp.reduce" } else { "cp" };
            let op = if reduce { ".add" } else { "" };
            let store = format!(
                "{name}.async.bulk.tensor.{rank}d.global.shared::cta{op}.im2col_no_offs.bulk_group [%d1, {{{}}}], [%r0];",
                list(&at)
            );
            // bf16 1.0 onto 2.0 where sums are taken.
            let value = |e: usize| if reduce { 0x3f80 } else { e as u16 + 1 };
            let mut out = vec![0; BYTES];
            for e in 0..bytes / 2 {
                out[images.place(e)..images.place(e) + 2].copy_from_slice(&value(e).to_le_bytes());
            }
            let before = [0, 0x40].repeat(images.count());
            let elemtype = if reduce { 10 } else { 1 };
            let map = |base| images.map(base, elemtype, false).encode();
            let (report, _, tensor) = run(&text("", bytes, &store), map, before, out);
            assert_eq!(report.findings, [], "{store}");
            let mut expected = vec![0x4000u16; images.count()];
            for (e, element) in images.elements(&at, &[]).into_iter().enumerate() {
                if let Some(n) = element {
                    // 2 + 1, and 1 more for each further time.
                    let sums = [0x4040, 0x4080, 0x40a0, 0x40c0];
                    let next = sums.iter().position(|s| *s == expected[n]).map_or(0, |i| i + 1);
                    expected[n] = if reduce { sums[next] } else { value(e) };
                }
            }
            let ours: Vec<u16> = tensor.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
            assert_eq!(ours, expected, "{store}");
        }
    }
}

#[test]
fn maps_and_instructions_that_do_not_fit_are_named() {
    let classes = |report: &Report| report.findings.iter().map(|f| f.class).collect::<Vec<_>>();
    let (images, at, offsets) = cases().remove(0);
    let load = |mode: &str, rank: usize, at: &[i32], offsets: &str| {
        format!(
            "cp.async.bulk.tensor.{rank}d.shared::cluster.global.{mode}.mbarrier::complete_tx::bytes [%r0], [%d1, {{{}}}], [%r5]{offsets};",
            list(at)
        )
    };
    let try_it = |load: &str| {
        let map = |base| images.map(base, 1, false).encode();
        let (report, ..) = run(&text(load, images.bytes(), ""), map, numbers(images.count()), vec![0; BYTES]);
        classes(&report)
    };
    let four = format!(", {{{}}}", list(&offsets));
    assert_eq!(try_it(&load("im2col", 4, &at, &four)), []);
    assert_eq!(try_it(&load("tile", 4, &at, "")), [Class::TensorMap]);
    assert_eq!(try_it(&load("im2col", 3, &at[..3], ", {0}")), [Class::TensorMap]);
    // W runs from -1 to 7, offsets to 255.
    assert_eq!(try_it(&load("im2col", 4, &[0, 7, 7, 2], &four)), []);
    assert_eq!(try_it(&load("im2col", 4, &[0, 8, 7, 2], &four)), [Class::TensorMap]);
    assert_eq!(try_it(&load("im2col", 4, &[0, -2, 7, 2], &four)), [Class::TensorMap]);
    assert_eq!(try_it(&load("im2col", 4, &at, ", {0, 255}")), []);
    assert_eq!(try_it(&load("im2col", 4, &at, ", {0, 256}")), [Class::TensorMap]);
    // A tiled map in im2col mode.
    let map = |base| images.map(base, 1, false).tensor.encode();
    let (report, ..) =
        run(&text(&load("im2col", 4, &at, &four), 1024, ""), map, numbers(images.count()), vec![0; BYTES]);
    assert_eq!(classes(&report), [Class::TensorMap]);
    // What the decoder refuses: ranks below 3, missing offsets, the other direction's mode.
    for refused in [
        load("im2col", 2, &at[..2], ", {0}"),
        load("im2col", 4, &at, ""),
        load("im2col", 4, &at, ", {0}"),
        load("im2col_no_offs", 4, &at, ""),
        load("im2col::w", 4, &at, &four),
        "cp.async.bulk.tensor.4d.global.shared::cta.im2col.bulk_group [%d1, {0, 0, 0, 0}], [%r0];".into(),
        "cp.reduce.async.bulk.tensor.4d.global.shared::cta.exch.tile.bulk_group [%d1, {0, 0, 0, 0}], [%r0];".into(),
    ] {
        assert!(Device::new().load(&text(&refused, 16, "")).expect("it parses").kernel("k").is_err(), "{refused}");
    }
    let prefetch = |mode: &str, rest: &str| {
        format!("cp.async.bulk.prefetch.tensor.4d.L2.global.{mode} [%d1, {{0, 0, 0, 0}}]{rest};")
    };
    let (report, ..) = run(
        &text("", 16, &prefetch("im2col", &four)),
        |base| images.map(base, 1, false).encode(),
        numbers(images.count()),
        vec![0; BYTES],
    );
    assert_eq!(classes(&report), []);
}

/// What hardware ends with an illegal instruction.
#[test]
fn stores_and_innermost_coordinates_have_limits() {
    let store = |at: &[i32], lower: i32, upper: i32| {
        let (mut images, ..) = cases().remove(1);
        (images.lower, images.upper) = (vec![0, lower], vec![upper, 0]);
        let store = format!(
            "cp.async.bulk.tensor.4d.global.shared::cta.im2col_no_offs.bulk_group [%d1, {{{}}}], [%r0];",
            list(at)
        );
        let map = |base| images.map(base, 1, false).encode();
        let (report, ..) = run(&text("", images.bytes(), &store), map, numbers(images.count()), vec![1; BYTES]);
        report.findings.iter().map(|f| f.class).collect::<Vec<_>>()
    };
    assert_eq!(store(&[0, 4, 7, 1], 0, 0), []);
    assert_eq!(store(&[0, 4, 7, 1], 0, -2), []);
    for (at, lower, upper) in [
        ([4, 4, 7, 1], 0, 0),
        ([-8, 4, 7, 1], 0, 0),
        ([0, 4, 7, -1], 0, 0),
        ([0, 4, 7, 1], -1, 0),
        ([0, 4, 7, 1], 0, 1),
    ] {
        assert_eq!(store(&at, lower, upper), [Class::TensorMap], "{at:?} {lower} {upper}");
    }
}

#[test]
fn limits_of_im2col_maps() {
    let base = || cases().remove(0).0.map(4096, 1, false);
    assert_eq!(base().check(), Ok(()));
    let changes: [fn(&mut Im2colMap); 9] = [
        |m| m.lower[0] = -129,
        |m| m.upper[1] = 128,
        // The first base behind the last.
        |m| (m.lower[0], m.upper[0]) = (5, -4),
        |m| m.pixels = 0,
        |m| m.pixels = 1025,
        |m| m.tensor.tile[0] = 4,
        |m| m.tensor.swizzle = 1,
        |m| m.lower.truncate(1),
        |m| m.tensor.element_strides[1] = 9,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut map = base();
        change(&mut map);
        // Eight channels of two bytes fit a swizzle of 32 bytes.
        assert_eq!(map.check().is_ok(), n == 6, "change {n}: {:?}", map.check());
    }
}
