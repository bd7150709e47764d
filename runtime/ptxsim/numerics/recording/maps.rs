//! Legal and illegal calls of `cuTensorMapEncodeTiled` and `cuTensorMapEncodeIm2col`.

use super::inputs::hash;

/// One call; the global address is this offset from an allocation aligned to 4 KiB.
#[derive(Clone, Debug)]
pub struct Case {
    pub data_type: u32,
    pub rank: u32,
    pub address: u64,
    pub dims: [u64; 5],
    /// Strides of dimensions 1.. in bytes.
    pub strides: [u64; 4],
    pub boxes: [u32; 5],
    pub steps: [u32; 5],
    pub interleave: u32,
    pub swizzle: u32,
    pub l2: u32,
    pub fill: u32,
}

/// What `cuTensorMapEncodeIm2col` takes instead of the extents of a box.
#[derive(Clone, Debug)]
pub struct Im2col {
    /// Corners of the box of pixels, W first.
    pub lower: Vec<i32>,
    pub upper: Vec<i32>,
    /// Channels-per-Pixel and Pixels-per-Column.
    pub channels: u32,
    pub pixels: u32,
}

/// Bytes of an element of `CUtensorMapDataType`.
pub fn element_bytes(data_type: u32) -> u64 {
    match data_type {
        0 => 1,
        1 | 6 | 9 => 2,
        4 | 5 | 8 => 8,
        _ => 4,
    }
}

/// A legal map of a type and rank.
fn legal(data_type: u32, rank: u32) -> Case {
    let bytes = element_bytes(data_type);
    let mut strides = [0; 4];
    let dims = [64, 20, 6, 5, 3];
    let mut stride = dims[0] * bytes;
    for (s, d) in strides.iter_mut().zip(&dims[1..]) {
        *s = stride;
        stride *= d;
    }
    Case {
        data_type,
        rank,
        address: 0,
        dims,
        strides,
        boxes: [(64 / bytes) as u32, 4, 2, 2, 1],
        steps: [1; 5],
        interleave: 0,
        swizzle: 0,
        l2: 0,
        fill: 0,
    }
}

/// All cases, in the order of the recording.
pub fn cases() -> Vec<Case> {
    let mut out = vec![];
    for data_type in 0..18 {
        out.push(legal(data_type, 2));
        out.push(Case { fill: 1, ..legal(data_type, 3) });
    }
    let base = legal(9, 3);
    for rank in 0..8 {
        out.push(legal(9, rank.min(5)).with(|c| c.rank = rank));
    }
    for address in [1, 2, 4, 8, 16, 24, 32, 48, 64, 1 << 40] {
        out.push(base.clone().with(|c| c.address = address));
        out.push(base.clone().with(|c| (c.address, c.interleave, c.boxes[0]) = (address, 2, 8)));
    }
    for dim in [0, 1, 7, (1 << 32) - 1, 1 << 32, (1 << 32) + 1] {
        for axis in 0..3 {
            out.push(base.clone().with(|c| c.dims[axis] = dim));
        }
    }
    for stride in [0, 1, 8, 16, 24, 32, 64, 112, 144, (1 << 40) - 16, 1 << 40] {
        out.push(base.clone().with(|c| c.strides[0] = stride));
        out.push(base.clone().with(|c| c.strides[1] = stride));
        out.push(base.clone().with(|c| (c.strides[0], c.interleave, c.boxes[0]) = (stride, 2, 8)));
    }
    for extent in [0, 1, 4, 8, 12, 24, 40, 64, 128, 255, 256, 257] {
        for axis in 0..2 {
            out.push(base.clone().with(|c| c.boxes[axis] = extent));
        }
    }
    for step in [0, 1, 2, 3, 7, 8, 9] {
        for axis in 0..2 {
            out.push(base.clone().with(|c| c.steps[axis] = step));
        }
    }
    for swizzle in 0..8 {
        for inner in [4, 8, 16, 32, 64, 128] {
            out.push(base.clone().with(|c| (c.swizzle, c.boxes[0]) = (swizzle, inner)));
        }
    }
    for interleave in 0..4 {
        for swizzle in 0..4 {
            for inner in [8, 16] {
                out.push(base.clone().with(|c| (c.interleave, c.swizzle, c.boxes[0]) = (interleave, swizzle, inner)));
            }
        }
        out.push(legal(9, 2).with(|c| (c.interleave, c.boxes[0]) = (interleave, 8)));
    }
    for l2 in 0..6 {
        out.push(base.clone().with(|c| c.l2 = l2));
    }
    for fill in 0..4 {
        for data_type in [0, 2, 6, 7, 9] {
            out.push(legal(data_type, 3).with(|c| c.fill = fill));
        }
    }
    // Two changes at once.
    for i in 0..40 {
        let pick = |counter: u64, from: &[u64]| from[hash(77 + i, counter) as usize % from.len()];
        out.push(legal(pick(0, &[0, 2, 6, 7, 8, 9]) as u32, pick(1, &[1, 2, 3, 4, 5]) as u32).with(|c| {
            c.boxes[0] = pick(2, &[4, 8, 16, 32]) as u32;
            c.boxes[1] = pick(3, &[1, 16, 64, 256]) as u32;
            c.swizzle = pick(4, &[0, 1, 2, 3]) as u32;
            c.interleave = pick(5, &[0, 0, 1, 2]) as u32;
            c.steps[0] = pick(6, &[1, 1, 2]) as u32;
            c.dims[0] = pick(7, &[16, 24, 40]);
        }));
    }
    out
}

/// All im2col cases, in the order of the recording.
pub fn im2col_cases() -> Vec<(Case, Im2col)> {
    let mut out = vec![];
    let shape = |rank: u32| {
        let space = (rank.clamp(3, 5) - 2) as usize;
        Im2col { lower: vec![-1; space], upper: vec![-1; space], channels: 8, pixels: 32 }
    };
    let base = || (legal(9, 4), shape(4));
    let mut add = |(mut case, mut shape): (Case, Im2col), change: &dyn Fn(&mut Case, &mut Im2col)| {
        change(&mut case, &mut shape);
        out.push((case, shape));
    };
    for rank in 0..7u32 {
        add((legal(9, rank.min(5)), shape(rank)), &|c, _| c.rank = rank);
    }
    for data_type in 0..15 {
        add(base(), &|c, _| c.data_type = data_type);
    }
    for rank in 3..6 {
        let limit = 1 << (32 / (rank - 2) / 2 - 1).min(15);
        for corner in [-limit - 1, -limit, -limit / 2 - 1, -limit / 2, 0, limit / 2 - 1, limit / 2, limit - 1, limit] {
            for axis in 0..rank as usize - 2 {
                // Extents that leave the box some pixels.
                let large = |c: &mut Case| c.dims[1..rank as usize - 1].fill(1 << 17);
                add((legal(9, rank), shape(rank)), &|c, s| (large(c), s.lower[axis] = corner).1);
                add((legal(9, rank), shape(rank)), &|c, s| (large(c), s.upper[axis] = corner).1);
            }
        }
    }
    // Boxes of few pixels, one or none: W has 20.
    for (lower, upper) in [(5, -14), (5, -15), (5, -16), (0, -19), (0, -20), (0, -25), (20, 5), (-3, -30)] {
        add(base(), &|_, s| (s.lower[0], s.upper[0]) = (lower, upper));
    }
    for channels in [0, 1, 4, 8, 12, 24, 64, 128, 255, 256, 257, 512] {
        add(base(), &|_, s| s.channels = channels);
    }
    for pixels in [0, 1, 2, 255, 256, 257, 1023, 1024, 1025, 2048] {
        add(base(), &|_, s| s.pixels = pixels);
    }
    for step in [0, 1, 2, 8, 9] {
        for axis in 0..4 {
            add(base(), &|c, _| c.steps[axis] = step);
        }
    }
    for swizzle in 0..5 {
        for channels in [8, 16, 32, 64, 128] {
            add(base(), &|c, s| (c.swizzle, s.channels) = (swizzle, channels));
        }
    }
    for interleave in 0..4 {
        for channels in [4, 8, 16] {
            add(base(), &|c, s| (c.interleave, s.channels) = (interleave, channels));
        }
    }
    for fill in 0..3 {
        add(base(), &|c, _| c.fill = fill);
        add(base(), &|c, _| (c.data_type, c.fill) = (1, fill));
    }
    for dim in [0, 1, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, (1 << 31) + 2, (1 << 32) - 1, 1 << 32, (1 << 32) + 1] {
        for axis in 0..4 {
            add(base(), &|c, _| c.dims[axis] = dim);
        }
    }
    for stride in [0, 8, 16, 24, 1 << 40] {
        add(base(), &|c, _| c.strides[1] = stride);
    }
    for address in [1, 8, 16] {
        add(base(), &|c, _| c.address = address);
    }
    out
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut Case)) -> Case {
        change(&mut self);
        self
    }
}
