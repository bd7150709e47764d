//! Tiled copies with steps and fills, and reductions of every type.

use super::{BYTES, numbers, run, text};
use tricot_ptxsim::{Class, TensorMap};

fn tiled(address: u64, elemtype: u8, element: u32, steps: [u32; 2], fill_nan: bool) -> TensorMap {
    TensorMap {
        address,
        elemtype,
        element,
        dims: vec![20, 9],
        strides: vec![32 * u64::from(element)],
        tile: vec![16, 7],
        element_strides: steps.to_vec(),
        swizzle: 0,
        interleave: 0,
        fill_nan,
    }
}

/// Steps along the rows skip rows, those of the innermost dimension are ignored; what is outside has the fill.
#[test]
fn tiles_with_steps_and_fills() {
    for (steps, rows) in [([1, 1], 7), ([1, 2], 4), ([3, 3], 3), ([1, 8], 1)] {
        for (nan, fill) in [(false, 0), (true, 0x7ff7)] {
            for [x, y] in [[0, 0], [8, 5], [-8, -2], [40, 0]] {
                let load = format!(
                    "cp.async.bulk.tensor.2d.shared::cta.global.tile.mbarrier::complete_tx::bytes [%r0], [%d1, {{{x}, {y}}}], [%r5];"
                );
                let map = |base| tiled(base, 10, 2, steps, nan).encode();
                let (report, out, _) = run(&text(&load, 32 * rows, ""), map, numbers(32 * 9), vec![0; BYTES]);
                assert_eq!(report.findings, []);
                for e in 0..16 * rows as i32 {
                    let (cx, cy) = (x + e % 16, y + e / 16 * steps[1] as i32);
                    let inside = (0..20).contains(&cx) && (0..9).contains(&cy);
                    let expected = if inside { (cx + 32 * cy + 1) as u16 } else { fill };
                    let ours = u16::from_le_bytes([out[2 * e as usize], out[2 * e as usize + 1]]);
                    assert_eq!(ours, expected, "steps {steps:?} at {x} {y}, element {e}");
                }
            }
        }
    }
}

#[test]
fn tensor_reductions_of_every_type() {
    // Element type, its bytes, operation, what two values of a pair become; `None`: refused.
    type Fold = fn(u64, u64) -> u64;
    type Row = (u8, u32, &'static str, u64, u64, Option<Fold>);
    let f32s: Fold = |x, y| u64::from((f32::from_bits(x as u32) + f32::from_bits(y as u32)).to_bits());
    let f64s: Fold = |x, y| (f64::from_bits(x) + f64::from_bits(y)).to_bits();
    let rows: Vec<Row> = vec![
        (2, 4, "add", 7, 0xffff_fffe, Some(|x, y| (x + y) & 0xffff_ffff)),
        (2, 4, "min", 7, 0xffff_fffe, Some(u64::min)),
        (3, 4, "min", 7, 0xffff_fffe, Some(u64::max)),
        (3, 4, "max", 7, 0xffff_fffe, Some(u64::min)),
        (2, 4, "inc", 7, 9, Some(|x, _| x + 1)),
        (2, 4, "inc", 9, 9, Some(|_, _| 0)),
        (2, 4, "dec", 0, 9, Some(|_, y| y)),
        (2, 4, "dec", 5, 9, Some(|x, _| x - 1)),
        (2, 4, "and", 0xff0f, 0x1234, Some(|x, y| x & y)),
        (3, 4, "or", 0xff0f, 0x1234, Some(|x, y| x | y)),
        (2, 4, "xor", 0xff0f, 0x1234, Some(|x, y| x ^ y)),
        (4, 8, "add", u64::MAX, 3, Some(u64::wrapping_add)),
        (5, 8, "add", u64::MAX, 3, None),
        (4, 8, "max", u64::MAX, 3, Some(u64::max)),
        (5, 8, "max", u64::MAX, 3, Some(u64::min)),
        (5, 8, "min", u64::MAX, 3, Some(u64::max)),
        (4, 8, "xor", u64::MAX, 3, Some(|x, y| x ^ y)),
        // 1.5 and 2.5 in halves: 4.0.
        (6, 2, "add", 0x3e00, 0x4100, Some(|_, _| 0x4400)),
        (6, 2, "min", 0x3e00, 0xc100, Some(|_, y| y)),
        (10, 2, "add", 0x3fc0, 0x4020, Some(|_, _| 0x4080)),
        (10, 2, "max", 0x3fc0, 0x4020, Some(|_, y| y)),
        (7, 4, "add", 0x3fc0_0000, 0x4020_0000, Some(f32s)),
        (9, 8, "add", 0x3ff8_0000_0000_0000, 0x4004_0000_0000_0000, Some(f64s)),
        (0, 1, "add", 1, 1, None),
        (1, 2, "add", 1, 1, None),
        (7, 4, "max", 1, 1, None),
        (9, 8, "min", 1, 1, None),
        (6, 2, "xor", 1, 1, None),
        (3, 4, "inc", 1, 1, None),
    ];
    for (elemtype, element, op, old, new, fold) in rows {
        let size = element as usize;
        let store =
            format!("cp.reduce.async.bulk.tensor.2d.global.shared::cta.{op}.tile.bulk_group [%d1, {{8, 4}}], [%r0];");
        let map = |base| tiled(base, elemtype, element, [1, 1], false).encode();
        let before = old.to_le_bytes()[..size].repeat(32 * 9);
        let mut out = new.to_le_bytes()[..size].repeat(BYTES / size);
        out.truncate(BYTES);
        let (report, _, tensor) = run(&text("", 16 * 7 * size, &store), map, before, out);
        let Some(fold) = fold else {
            assert_eq!(
                report.findings.iter().map(|f| f.class).collect::<Vec<_>>(),
                [Class::TensorMap],
                "{elemtype} {op}"
            );
            continue;
        };
        assert_eq!(report.findings, [], "{elemtype} {op}");
        for n in 0..32 * 9 {
            let mut bytes = [0; 8];
            bytes[..size].copy_from_slice(&tensor[n * size..(n + 1) * size]);
            let hit = (8..20).contains(&(n % 32)) && n / 32 >= 4;
            let expected = if hit { fold(old, new) } else { old };
            assert_eq!(u64::from_le_bytes(bytes), expected, "{elemtype} {op} element {n}");
        }
    }
}

/// A box of 2^40 elements is no box of shared memory.
#[test]
fn boxes_beyond_any_memory_are_out_of_bounds() {
    for swizzle in [0, 3] {
        let map = |address| {
            let inner = if swizzle == 0 { 256 } else { 8 };
            let map = TensorMap {
                address,
                elemtype: 10,
                element: 2,
                dims: vec![256; 5],
                strides: vec![512, 1 << 17, 1 << 25, 1 << 33],
                tile: vec![inner, 256, 256, 256, 256],
                element_strides: vec![1; 5],
                swizzle,
                interleave: 0,
                fill_nan: false,
            };
            assert_eq!(map.check(), Ok(()));
            map.encode()
        };
        let load = "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r0], [%d1, {0, 0, 0, 0, 0}], [%r5];";
        let store = "cp.async.bulk.tensor.5d.global.shared::cta.tile.bulk_group [%d1, {0, 0, 0, 0, 0}], [%r0];";
        for text in [text(load, 1024, ""), text("", 1024, store)] {
            let (report, ..) = run(&text, map, numbers(64), vec![0; BYTES]);
            assert_eq!(report.findings.iter().map(|f| f.class).collect::<Vec<_>>(), [Class::OutOfBounds]);
        }
    }
}
