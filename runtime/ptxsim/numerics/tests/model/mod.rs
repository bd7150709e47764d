//! What a matrix program of the recorder must store, computed with the matrix unit of this crate.

use super::recording::matrix::{A_BYTES, Acc, Form};
use tricot_ptx_numerics::arith;
use tricot_ptx_numerics::format::{self, F64, Overflow, Round};
use tricot_ptx_numerics::matrix::{Elem, assembled, exact, fragment, shared::Descriptor, sparse};

/// An operand as rows (of M or N) of elements along K.
type Matrix = Vec<Vec<u64>>;

fn elem(e: super::recording::matrix::Elem) -> Elem {
    Elem::parse(e.name()).expect("the same names")
}

fn from_image(image: &[u8], desc: Descriptor, rows: u32, ks: u32, bits: u32, mn_major: bool) -> Matrix {
    let byte = |at: u32| u64::from(image[at as usize]);
    let at = |row: u32, k: u32| {
        if bits == 1 {
            return byte(desc.k_major(row, k / 8)) >> (k % 8) & 1;
        }
        let bytes = bits / 8;
        let first = if mn_major { desc.mn_major(row, k) } else { desc.k_major(row, k * bytes) };
        (0..bytes).fold(0, |v, i| v | byte(first + i) << (8 * i))
    };
    (0..rows).map(|row| (0..ks).map(|k| at(row, k)).collect()).collect()
}

/// Elements of a fragment's words, placed by `position(thread, word) -> (row, first k)`.
fn from_words(rows: u32, ks: u32, bits: u32, words: &[&[u32]], position: impl Fn(u32, u32) -> (u32, u32)) -> Matrix {
    let mut out = vec![vec![0; ks as usize]; rows as usize];
    for (thread, words) in words.iter().enumerate() {
        if bits == 64 {
            for (i, pair) in words.chunks(2).enumerate() {
                let (row, k) = position(thread as u32, i as u32);
                out[row as usize][k as usize] = u64::from(pair[0]) | u64::from(pair[1]) << 32;
            }
            continue;
        }
        for (i, &word) in words.iter().enumerate() {
            let (row, k) = position(thread as u32, i as u32);
            for e in 0..32 / bits {
                out[row as usize][(k + e) as usize] = u64::from(word) >> (e * bits) & ((1 << bits) - 1);
            }
        }
    }
    out
}

/// A matrix of the image that lies row after row, or column after column.
fn from_lines(image: &[u8], rows: u32, ks: u32, bits: u32, turned: bool) -> Matrix {
    let at = |row: u32, k: u32| {
        let bit = if turned { k * rows + row } else { row * ks + k } * bits;
        let word = (0..bits.div_ceil(8)).fold(0, |w, i| w | u64::from(image[(bit / 8 + i) as usize]) << (8 * i));
        word >> (bit % 8) & (u64::MAX >> (64 - bits))
    };
    (0..rows).map(|row| (0..ks).map(|k| at(row, k)).collect()).collect()
}

/// B's elements that meet the stored elements of a row of A.
fn partners(form: &Form, row: u32, meta: &[u32], b: &[u64]) -> Vec<u64> {
    if !form.sparse {
        return b.to_vec();
    }
    let tf32 = form.a == super::recording::matrix::Elem::Tf32;
    // Elements of 4 bits move in pairs.
    let pair = if form.a.bits() == 4 { 2 } else { 1 };
    let (span, kept) = if tf32 { (2, 1) } else { (4 * pair, 2 * pair) };
    let groups = form.k / span;
    let mut out = vec![];
    for group in 0..groups {
        let (lane, bit) = sparse::nibble(form.a.bits() <= 8, groups, form.selector, row % 16, group);
        let nibble = meta[(row / 16 * 32 + lane) as usize] >> bit & 15;
        let at = |i: u32| group * span + pair * sparse::position(tf32, nibble, i / pair) + i % pair;
        out.extend((0..kept).map(|i| b[at(i) as usize]));
    }
    out
}

/// `mma.m8n8k4` on f16, by the formulas of PTX ISA 9.7.14.5.1.
fn quads(form: &Form, words: &[Vec<u32>]) -> Vec<u32> {
    let nc = form.c_words() as usize;
    let half = |lane: usize, first: usize, i: usize| words[lane][first + i / 2] >> (16 * (i % 2)) & 0xffff;
    // The lane that holds row or column `own`, or k `own % 4` of the low or the high half.
    let lane = |quad: usize, own: usize| 4 * quad + own % 4 + own / 4 * 16;
    let a = |quad, row: usize, k: usize| match form.trans_a {
        true => half(lane(quad, k + row / 4 * 4), nc, row % 4),
        false => half(lane(quad, row), nc, k),
    };
    let b = |quad, k: usize, column: usize| match form.trans_b {
        true => half(lane(quad, k + column / 4 * 4), nc + 2, column % 4),
        false => half(lane(quad, column), nc + 2, k),
    };
    // Row and column of element `i` of a lane's accumulators.
    let place = |acc: Acc, lane: usize, i: usize| match acc {
        Acc::F16 => (lane % 4 + lane / 16 * 4, i),
        _ => ((lane & 1) + (i & 2) + lane / 16 * 4, (i & 4) + (lane & 2) + i % 2),
    };
    let c = |quad: usize, at: (usize, usize)| {
        let holders = (4 * quad..4 * quad + 4).chain(16 + 4 * quad..20 + 4 * quad);
        let (lane, i) = holders
            .flat_map(|lane| (0..8).map(move |i| (lane, i)))
            .find(|(lane, i)| place(form.c, *lane, *i) == at)
            .expect("a place for each element");
        match (form.c, form.d) {
            (Acc::F16, Acc::F16) => half(lane, 0, i),
            (Acc::F16, _) => (format::F16.to_f64(u64::from(half(lane, 0, i))) as f32).to_bits(),
            _ => words[lane][i],
        }
    };
    let acc = if form.d == Acc::F16 { exact::Acc::F16 } else { exact::Acc::F32 };
    let one = |lane: usize, i: usize| {
        let (quad, at) = (lane % 16 / 4, place(form.d, lane, i));
        let along = |f: &dyn Fn(usize) -> u32| std::array::from_fn(f);
        assembled::fused(acc, along(&|k| a(quad, at.0, k)), along(&|k| b(quad, k, at.1)), c(quad, at))
    };
    let word = |lane: usize, w: usize| match form.d {
        Acc::F16 => one(lane, 2 * w) | one(lane, 2 * w + 1) << 16,
        _ => one(lane, w),
    };
    (0..32)
        .flat_map(|lane| (0..form.d_words() as usize).map(move |w| (lane, w)))
        .map(|(lane, w)| word(lane, w))
        .collect()
}

/// The words that the threads of a trial store.
pub fn trial(form: &Form, trial: u32) -> Vec<u32> {
    let image: Vec<u8> = form.image(trial).iter().flat_map(|w| w.to_le_bytes()).collect();
    let words: Vec<Vec<u32>> = (0..form.threads()).map(|t| form.words(trial, t)).collect();
    if form.quads() {
        return quads(form, &words);
    }
    let (nc, na, nb) = (form.c_words() as usize, form.a_words() as usize, form.b_words() as usize);
    let part = |from: usize, count: usize| words.iter().map(|w| &w[from..from + count]).collect::<Vec<_>>();
    let stored = form.k / (1 + u32::from(form.sparse));
    let (bits, rows) = (form.a.bits(), if form.m == 8 { 8 } else { 16 });
    let per = (32 / bits).max(1);
    let a = if form.wmma {
        from_lines(&image, form.m, form.k, bits, form.trans_a)
    } else if form.wgmma && !form.a_regs {
        from_image(&image, Descriptor::decode(form.desc_a), form.m, stored, bits, form.trans_a)
    } else {
        from_words(form.m, stored, bits, &part(nc, na), |t, i| fragment::a(t, i, per, rows))
    };
    let b = if form.wmma {
        from_lines(&image[A_BYTES as usize..], form.n, form.k, bits, form.trans_b)
    } else if form.wgmma {
        let desc = Descriptor::decode(form.desc_b + u64::from(A_BYTES >> 4));
        from_image(&image, desc, form.n, form.k, bits, form.trans_b)
    } else {
        from_words(form.n, form.k, bits, &part(nc + na, nb), |t, i| {
            let (k, column) = fragment::b(t, i, per);
            (column, k)
        })
    };
    let meta: Vec<u32> = words.iter().map(|w| w[w.len() - 1]).collect();

    // Sums are f16 only where both C and D are.
    let half = form.d == Acc::F16 && form.c == Acc::F16;
    let acc = if half { exact::Acc::F16 } else { exact::Acc::F32 };
    let make = match (form.wgmma, form.wmma) {
        (true, _) => exact::Unit::wgmma,
        (_, true) => exact::Unit::wmma,
        _ => exact::Unit::mma,
    };
    let unit = make(elem(form.a), elem(form.b), acc);
    let result = |row: u32, column: u32, c: u64| -> u64 {
        let c = if form.scale_d { c } else { 0 };
        let x = &a[row as usize];
        let y = partners(form, row, &meta, &b[column as usize]);
        match form.d {
            Acc::F64 => {
                let modes = [(".rz.", Round::Zero), (".rm.", Round::Down), (".rp.", Round::Up)];
                let round = modes.iter().find(|m| form.opcode.contains(m.0)).map_or(Round::Near, |m| m.1);
                x.iter().zip(&y).fold(c, |c, (&x, &y)| arith::fma(&F64, x, y, c, round))
            }
            Acc::S32 => {
                let xor = form.opcode.contains(".xor.popc");
                let sum: i64 = x
                    .iter()
                    .zip(&y)
                    .map(|(&x, &y)| {
                        if xor {
                            (x ^ y) as i64
                        } else {
                            i64::from(elem(form.a).integer(x as u32)) * i64::from(elem(form.b).integer(y as u32))
                        }
                    })
                    .sum();
                let sum = sum + i64::from(c as u32 as i32);
                let sum = if form.opcode.contains(".satfinite") {
                    sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX))
                } else {
                    sum
                };
                u64::from(sum as u32)
            }
            Acc::F32 | Acc::F16 => {
                let unit = unit.as_ref().expect("a float path");
                let numbers = |operand: usize, v: &[u64], negate: bool| -> Vec<exact::Number> {
                    let bits: Vec<u32> = v.iter().map(|bits| *bits as u32).collect();
                    let sign = if negate { -1 } else { 1 };
                    let numbers = unit.numbers(operand, &bits).into_iter();
                    numbers.map(|n| exact::Number { man: sign * n.man, ..n }).collect()
                };
                let (x, y) = (numbers(0, x, form.negate_a), numbers(1, &y, form.negate_b));
                u64::from(unit.dot(&x, &y, c as u32))
            }
        }
    };
    let lane_of = |thread: u32, i: u32| {
        // C and D of wmma lie row after row.
        let linear = thread * (form.m * form.n / 32) + i;
        if form.wmma { (linear / form.n, linear % form.n) } else { fragment::d(thread, i, rows) }
    };
    // Element `i` of a thread's accumulators in its words.
    let element = |words: &[u32], acc: Acc, i: u32| -> u64 {
        let i = i as usize;
        match acc {
            Acc::F64 => u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32,
            Acc::F16 => u64::from(words[i / 2] >> (16 * (i % 2)) & 0xffff),
            Acc::F32 | Acc::S32 => u64::from(words[i]),
        }
    };
    let widen = |bits: u64| u64::from((format::F16.to_f64(bits) as f32).to_bits());
    let narrow = |bits: u64| format::F16.from(&format::F32.unpack(bits), Round::Near, Overflow::Ieee);
    let mut out = vec![];
    for (thread, words) in words.iter().enumerate() {
        let d = |i: u32| {
            let (row, column) = lane_of(thread as u32, i);
            let c = element(words, form.c, i);
            let sum = result(row, column, if form.c == Acc::F16 && !half { widen(c) } else { c });
            if form.d == Acc::F16 && !half { narrow(sum) } else { sum }
        };
        for i in 0..form.d_words() {
            out.push(match form.d {
                Acc::F32 | Acc::S32 => d(i) as u32,
                Acc::F16 => (d(2 * i) | d(2 * i + 1) << 16) as u32,
                Acc::F64 => (d(i / 2) >> (32 * (i % 2))) as u32,
            });
        }
    }
    out
}
