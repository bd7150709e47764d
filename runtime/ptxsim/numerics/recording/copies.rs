//! Tensor copies (PTX ISA 9.7.9.25.5): what they put into shared memory, and what stores and reductions leave in a tensor.
//!
//! Central type: [`Copy`], a map, an instruction and a tensor of hashed elements. One thread copies once; the result is the
//! box in shared memory, or for stores the tensor.

use super::inputs::{Kind, hash, operand, seed};
use super::maps::{Case, Im2col, element_bytes};

/// Bytes of the tensor, and of shared memory.
pub const TENSOR_BYTES: usize = 16384;
const SHARED_BYTES: usize = 16384;

pub struct Copy {
    /// The instruction's spelling and what is special about the map.
    pub name: String,
    pub map: Case,
    pub im2col: Option<Im2col>,
    /// `$m`: the map, `$s`: shared memory, `$b`: the barrier.
    pub text: String,
    pub store: bool,
    /// Bytes that the copy moves.
    pub bytes: u32,
    /// Bytes of shared memory that it may touch: a swizzle wider than a row leaves gaps.
    pub window: u32,
}

impl Copy {
    /// Bytes of `count` elements of the map's type; `which` tells the tensor from the source of stores.
    fn elements(&self, which: u64, bytes: usize) -> Vec<u8> {
        let size = element_bytes(self.map.data_type) as usize;
        let kind = match self.map.data_type {
            6 => Kind::F16,
            7 | 10..=12 => Kind::F32,
            8 => Kind::F64,
            9 => Kind::Bf16,
            _ => Kind::Int(8 * size as u32),
        };
        let seed = seed(&self.name) ^ which;
        let element = |i: usize| operand(kind, hash(seed, i as u64)).to_le_bytes();
        (0..bytes / size).flat_map(|i| element(i)[..size].to_vec()).collect()
    }

    pub fn tensor(&self) -> Vec<u8> {
        self.elements(0, TENSOR_BYTES)
    }

    /// What shared memory holds before the copy.
    pub fn source(&self) -> Vec<u8> {
        self.elements(1, SHARED_BYTES)
    }

    /// Bytes of the result: the box with its gaps, or the tensor as far as its extents go.
    pub fn result_bytes(&self) -> usize {
        let extent =
            self.map.dims[..self.map.rank as usize].iter().product::<u64>() * element_bytes(self.map.data_type);
        if self.store { extent as usize } else { self.window as usize }
    }

    /// Kernel `name(map, source, out)`.
    pub fn ptx(&self, name: &str) -> String {
        let copy = self.text.replace("$m", "%m").replace("$s", "%s").replace("$b", "%b");
        let (bytes, window) = (self.bytes, self.window);
        let loop_over = |label: &str, body: &str| {
            format!(
                "  mov.u32 %i, 0;\n{label}:\n  cvt.u64.u32 %d, %i;\n  add.u32 %a, %s, %i;\n{body}  add.u32 %i, %i, 4;\n  \
                 setp.lt.u32 %p, %i, {window};\n  @%p bra {label};\n"
            )
        };
        let fill = "  add.s64 %d, %in, %d;\n  ld.global.b32 %v, [%d];\n  st.shared.b32 [%a], %v;\n";
        let start = format!("{}  fence.proxy.async.shared::cta;\n", loop_over("FILL", fill));
        let body = if self.store {
            format!("  {copy}\n  cp.async.bulk.commit_group;\n  cp.async.bulk.wait_group 0;\n")
        } else {
            let empty = "  add.s64 %d, %out, %d;\n  ld.shared.b32 %v, [%a];\n  st.global.b32 [%d], %v;\n";
            format!(
                "  mov.u32 %b, bar;\n  mbarrier.init.shared.b64 [%b], 1;\n  fence.mbarrier_init.release.cluster;\n  \
                 mbarrier.arrive.expect_tx.shared.b64 _, [%b], {bytes};\n  {copy}\nWAIT:\n  \
                 mbarrier.try_wait.parity.shared.b64 %p, [%b], 0;\n  @!%p bra WAIT;\n{}",
                loop_over("EMPTY", empty)
            )
        };
        format!(
            ".visible .entry {name}(.param .u64 map, .param .u64 in, .param .u64 out)\n{{\n  .reg .pred %p;\n  .reg .b32 %s, %b, %i, %a, %v;\n  \
             .reg .b64 %m, %in, %out, %d;\n  .shared .align 1024 .b8 sm[{SHARED_BYTES}];\n  .shared .align 8 .b64 bar;\n  \
             ld.param.u64 %m, [map];\n  ld.param.u64 %in, [in];\n  ld.param.u64 %out, [out];\n  mov.u32 %s, sm;\n  \
             fence.proxy.tensormap::generic.acquire.gpu [%m], 128;\n{start}{body}  ret;\n}}\n\n"
        )
    }
}

fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// A map of a tensor without gaps.
fn packed(data_type: u32, dims: &[u64], boxes: &[u32]) -> Case {
    let rank = dims.len();
    let mut case = Case {
        data_type,
        rank: rank as u32,
        address: 0,
        dims: [1; 5],
        strides: [0; 4],
        boxes: [1; 5],
        steps: [1; 5],
        interleave: 0,
        swizzle: 0,
        l2: 0,
        fill: 0,
    };
    case.dims[..rank].copy_from_slice(dims);
    case.boxes[..boxes.len()].copy_from_slice(boxes);
    let mut stride = element_bytes(data_type);
    for n in 0..rank - 1 {
        stride *= dims[n];
        case.strides[n] = stride;
    }
    case
}

/// Bytes of a tiled box: steps leave elements out, except along the innermost dimension.
fn box_bytes(map: &Case) -> u32 {
    let taken = |n: usize| if n == 0 { map.boxes[0] } else { map.boxes[n].div_ceil(map.steps[n]) };
    (0..map.rank as usize).map(taken).product::<u32>() * element_bytes(map.data_type) as u32
}

/// Bytes of shared memory with rows of `inner` bytes as far apart as the swizzle is wide.
fn window(map: &Case, inner: u32, bytes: u32) -> u32 {
    bytes / inner * if map.swizzle == 0 { inner } else { 16 << map.swizzle }
}

fn tiled(name: String, map: Case, text: String, store: bool) -> Copy {
    let bytes = box_bytes(&map);
    let window = window(&map, map.boxes[0] * element_bytes(map.data_type) as u32, bytes);
    Copy { name, map, im2col: None, text, store, bytes, window }
}

fn load(what: &str, map: Case, at: &[i32]) -> Copy {
    let op = format!("cp.async.bulk.tensor.{}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes", at.len());
    let text = format!("{op} [$s], [$m, {{{}}}], [$b];", list(at));
    tiled(format!("{op} {what} at {}", list(at)), map, text, false)
}

/// A store, or with `.add` and its kin a reduction.
fn store(what: &str, op: &str, map: Case, at: &[i32]) -> Copy {
    let name = if op.is_empty() { "cp" } else { "cp.reduce" };
    let op = format!("{name}.async.bulk.tensor.{}d.global.shared::cta{op}.tile.bulk_group", at.len());
    let text = format!("{op} [$m, {{{}}}], [$s];", list(at));
    let name = format!("{op} type {} {what} at {}", map.data_type, list(at));
    tiled(name, map, text, true)
}

fn im2col(map: Case, im2col: Im2col, at: &[i32], offsets: &[i32], direction: &str) -> Copy {
    let rank = map.rank;
    let op = match direction {
        "load" => format!("cp.async.bulk.tensor.{rank}d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes"),
        "store" => format!("cp.async.bulk.tensor.{rank}d.global.shared::cta.im2col_no_offs.bulk_group"),
        _ => format!("cp.reduce.async.bulk.tensor.{rank}d.global.shared::cta.add.im2col_no_offs.bulk_group"),
    };
    let text = if direction == "load" {
        format!("{op} [$s], [$m, {{{}}}], [$b], {{{}}};", list(at), list(offsets))
    } else {
        format!("{op} [$m, {{{}}}], [$s];", list(at))
    };
    let inner = im2col.channels * element_bytes(map.data_type) as u32;
    let bytes = inner * im2col.pixels;
    let window = window(&map, inner, bytes);
    let name =
        format!("{op} {:?} {:?} at {} offsets {}", &map.dims[..rank as usize], map.swizzle, list(at), list(offsets));
    Copy { name, map, im2col: Some(im2col), text, store: direction != "load", bytes, window }
}

/// Every copy, in the order of the recording.
pub fn copies() -> Vec<Copy> {
    let mut out = vec![];
    // Ranks, from inside, across each edge and from outside. The innermost coordinate is one of 16 bytes.
    for (dims, boxes, places) in [
        (&[200][..], &[64][..], &[[0, 0, 0, 0, 0], [-8, 0, 0, 0, 0], [168, 0, 0, 0, 0], [304, 0, 0, 0, 0]][..]),
        (
            &[40, 9],
            &[16, 5],
            &[
                [8, 2, 0, 0, 0],
                [-8, 2, 0, 0, 0],
                [8, -2, 0, 0, 0],
                [-8, -2, 0, 0, 0],
                [32, 7, 0, 0, 0],
                [0, 20, 0, 0, 0],
            ],
        ),
        (&[24, 6, 5], &[16, 3, 2], &[[0, 1, 2, 0, 0], [-8, 4, -1, 0, 0], [16, -2, 4, 0, 0]]),
        (&[16, 5, 4, 3], &[8, 3, 2, 2], &[[8, 1, 0, 1, 0], [-8, 3, 3, 2, 0], [8, -1, -1, -1, 0]]),
        (&[16, 4, 3, 2, 2], &[8, 2, 2, 2, 2], &[[8, 1, 1, 0, 0], [0, 3, 2, 1, 1], [8, -1, -1, -1, -1]]),
    ] {
        for place in places {
            out.push(load("bf16", packed(9, dims, boxes), &place[..dims.len()]));
            out.push(load("bf16 or NaN", Case { fill: 1, ..packed(9, dims, boxes) }, &place[..dims.len()]));
            if place.iter().all(|x| *x >= 0) {
                out.push(store("", "", packed(9, dims, boxes), &place[..dims.len()]));
            }
        }
    }
    // Types, with either fill, across a corner.
    for data_type in 0..13 {
        let size = element_bytes(data_type);
        let map = packed(data_type, &[64 / size * 2, 9], &[(64 / size) as u32, 4]);
        let across = -16 / size as i32;
        out.push(load(&format!("type {data_type}"), map.clone(), &[across, 7]));
        if data_type > 5 {
            out.push(load(&format!("type {data_type} or NaN"), Case { fill: 1, ..map.clone() }, &[across, 7]));
        }
    }
    // tf32, which is rounded, on many numbers.
    for data_type in [11, 12] {
        out.push(load(&format!("many of type {data_type}"), packed(data_type, &[64, 60], &[64, 56]), &[0, 0]));
    }
    for (swizzle, inner) in [(1, 16), (2, 32), (3, 64), (3, 16), (3, 40), (2, 8), (1, 8)] {
        let map = Case { swizzle, ..packed(9, &[64, 40], &[inner, 24]) };
        out.push(load(&format!("swizzle {swizzle} of {inner}"), map.clone(), &[0, 3]));
        out.push(load(&format!("swizzle {swizzle} of {inner}"), map.clone(), &[-8, -3]));
        out.push(store(&format!("swizzle {swizzle} of {inner}"), "", map, &[8, 30]));
    }
    for steps in [[1, 2, 1], [3, 3, 1], [1, 8, 2], [2, 5, 3]] {
        let mut map = packed(9, &[24, 11, 7], &[16, 8, 6]);
        map.steps[..3].copy_from_slice(&steps);
        out.push(load(&format!("steps {steps:?}"), map.clone(), &[8, 1, 2]));
        out.push(store(&format!("steps {steps:?}"), "", map, &[8, 1, 2]));
    }
    let integers = ["add", "min", "max", "inc", "dec", "and", "or", "xor"];
    let reductions: [(u32, &[&str]); 11] = [
        (2, &integers),
        (3, &["add", "min", "max", "and", "or", "xor"]),
        (4, &["add", "min", "max", "and", "or", "xor"]),
        (5, &["min", "max"]),
        (6, &["add", "min", "max"]),
        (7, &["add"]),
        (8, &["add"]),
        (9, &["add", "min", "max"]),
        (10, &["add"]),
        (11, &["add"]),
        (12, &["add"]),
    ];
    for (data_type, ops) in reductions {
        let size = element_bytes(data_type);
        for op in ops {
            let map = packed(data_type, &[128 / size, 32], &[(128 / size) as u32, 24]);
            out.push(store("", &format!(".{op}"), map, &[32 / size as i32, 12]));
        }
    }
    im2col_copies(&mut out);
    illegal(&mut out);
    out
}

/// What the hardware ends with an illegal instruction, though neither the ISA nor the driver's manual forbids it: innermost
/// coordinates that are none of 16 bytes, stores that start below zero, reductions of s64 other than min and max; and what
/// comes close to it.
fn illegal(out: &mut Vec<Copy>) {
    let flat = || packed(9, &[200], &[64]);
    let map = || packed(9, &[40, 9], &[16, 5]);
    out.push(load("", flat(), &[4]));
    out.push(load("", map(), &[-3, 2]));
    out.push(load("", packed(7, &[40, 9], &[16, 5]), &[2, 1]));
    out.push(store("", "", map(), &[4, 2]));
    for place in [[-8, 2], [8, -2], [-24, 2], [8, -7]] {
        out.push(store("", "", map(), &place));
    }
    out.push(store("", ".add", map(), &[8, -2]));
    for op in [".add", ".and", ".or", ".xor"] {
        out.push(store("", op, packed(5, &[16, 32], &[16, 24]), &[4, 12]));
    }
    let columns = |lower: i32| Im2col { lower: vec![lower, lower], upper: vec![-2, -2], channels: 8, pixels: 64 };
    let map = || packed(9, &[24, 9, 9, 4], &[]);
    out.push(im2col(map(), columns(0), &[4, 4, 5, 2], &[0, 0], "load"));
    out.push(im2col(map(), columns(-1), &[0, 4, 5, 2], &[], "store"));
    out.push(im2col(map(), Im2col { pixels: 2, ..columns(-1) }, &[0, 4, 5, 2], &[], "store"));
    out.push(im2col(map(), Im2col { pixels: 2, ..columns(-1) }, &[0, -1, 5, 2], &[], "store"));
    out.push(im2col(map(), Im2col { pixels: 2, ..columns(-1) }, &[0, 4, -1, 2], &[], "store"));
    out.push(im2col(map(), Im2col { pixels: 2, upper: vec![1, 0], ..columns(0) }, &[0, 4, 5, 2], &[], "store"));
    out.push(im2col(map(), Im2col { pixels: 2, upper: vec![-1, 0], ..columns(0) }, &[0, 4, 5, 2], &[], "store"));
    out.push(im2col(map(), columns(0), &[0, 4, 5, -1], &[], "store"));
    out.push(im2col(map(), columns(0), &[0, 4, 5, 3], &[], "store"));
    out.push(im2col(map(), columns(0), &[-8, 4, 5, 1], &[], "store"));
    out.push(im2col(map(), columns(0), &[-8, 4, 5, 1], &[0, 0], "load"));
    // W from -1 to 6: a base behind the box, and one before it.
    out.push(im2col(map(), columns(-1), &[0, 7, 5, 1], &[0, 0], "load"));
    out.push(im2col(map(), columns(-1), &[0, -2, 5, 1], &[0, 0], "load"));
    out.push(im2col(map(), columns(0), &[0, 7, 5, 1], &[], "store"));
}

fn im2col_copies(out: &mut Vec<Copy>) {
    type Row =
        (&'static [u64], &'static [i32], &'static [i32], &'static [u32], [u32; 2], &'static [i32], &'static [i32]);
    // Extents, corners, steps, [channels, pixels], coordinates, offsets. First the examples of PTX ISA 5.5.4 with fewer images.
    let rows: [Row; 10] = [
        (&[8, 9, 14, 4], &[-1, -1], &[-1, -1], &[1, 1], [8, 64], &[0, 4, 7, 2], &[0, 0]),
        (&[8, 9, 14, 4], &[0, 0], &[-2, -2], &[1, 1], [8, 64], &[0, 4, 7, 2], &[2, 2]),
        (&[16, 8, 14, 3], &[-1, -1], &[-1, -1], &[2, 2], [16, 32], &[0, 5, 7, 1], &[1, 1]),
        // Beyond the last image, before the first, and beyond the channels.
        (&[8, 5, 4, 2], &[-1, -1], &[1, 1], &[1, 1], [16, 100], &[0, -1, -1, 0], &[0, 1]),
        (&[16, 5, 4, 2], &[0, 0], &[0, 0], &[1, 1], [16, 30], &[8, 3, 2, -1], &[0, 0]),
        (&[8, 40, 5], &[-3], &[2], &[1], [8, 90], &[0, 7, 1], &[5]),
        (&[8, 40, 5], &[-3], &[2], &[3], [8, 40], &[0, 40, 0], &[0]),
        (&[8, 5, 4, 3, 2], &[-1, -2, -1], &[1, 0, -1], &[1, 1, 1], [8, 120], &[0, 2, 1, 0, 0], &[0, 3, 1]),
        (&[8, 5, 6, 4, 2], &[-1, -1, 0], &[0, 0, 0], &[1, 2, 2], [8, 64], &[0, 0, 2, 1, 0], &[2, 0, 0]),
        (&[8, 5, 6, 4, 2], &[-1, -1, 0], &[0, 0, 0], &[2, 3, 2], [8, 24], &[0, 1, 2, 1, 0], &[1, 2, 1]),
    ];
    for (dims, lower, upper, steps, [channels, pixels], at, offsets) in rows {
        let mut map = packed(9, dims, &[]);
        map.steps[1..=steps.len()].copy_from_slice(steps);
        let shape = Im2col { lower: lower.to_vec(), upper: upper.to_vec(), channels, pixels };
        out.push(im2col(map.clone(), shape.clone(), at, offsets, "load"));
        out.push(im2col(Case { fill: 1, ..map.clone() }, shape.clone(), at, offsets, "load"));
        // The pixels of stores are those of the tensor.
        let (lower, upper) = (lower.iter().map(|c| *c.max(&0)).collect(), upper.iter().map(|c| *c.min(&0)).collect());
        let shape = Im2col { lower, upper, ..shape };
        let at: Vec<i32> = at.iter().zip(dims).map(|(c, d)| (*c).clamp(0, *d as i32 - 1)).collect();
        out.push(im2col(map.clone(), shape.clone(), &at, &[], "store"));
        out.push(im2col(map, shape, &at, &[], "add"));
    }
    for (swizzle, channels) in [(1, 16), (2, 32), (3, 64), (3, 16), (2, 8)] {
        let map = Case { swizzle, ..packed(9, &[64, 6, 5, 2], &[]) };
        let shape = Im2col { lower: vec![-1, -1], upper: vec![-1, -1], channels, pixels: 40 };
        out.push(im2col(map.clone(), shape.clone(), &[0, -1, 2, 0], &[1, 2], "load"));
        out.push(im2col(map, Im2col { lower: vec![0, 0], ..shape }, &[0, 1, 2, 0], &[], "store"));
    }
}
