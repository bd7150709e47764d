//! A plain reference: small whole numbers, whose sums no format rounds, and fragments as the figures of PTX ISA 9.7.14.5,
//! 9.7.14.6 and 9.7.15.5 show them.
//!
//! ```text
//! lane = 4 g + t      p elements share a word
//!         A, 16 rows                            B, p x 8                C, D
//!         k = p t …        k = 4p + p t …       column g                columns 2t, 2t + 1
//! row g      word 0            word 2           k = p t …      word 0   row g      elements 0, 1
//! row g + 8  word 1            word 3           k = 4p + p t … word 1   row g + 8  elements 2, 3
//! ```

use super::recording::inputs::hash;
use super::recording::matrix::{A_BYTES, Acc, Elem, Form};
use tricot_ptx_numerics::matrix::shared::Descriptor;

/// The bits of a whole number of an element type.
fn bits(elem: Elem, v: i64) -> u64 {
    let sign = u64::from(v < 0);
    let size = v.unsigned_abs() as usize;
    match elem {
        Elem::F64 => (v as f64).to_bits(),
        Elem::Tf32 => u64::from((v as f32).to_bits()),
        Elem::Bf16 => u64::from((v as f32).to_bits() >> 16),
        Elem::F16 => sign << 15 | [0, 0x3c00, 0x4000, 0x4200][size],
        Elem::E4m3 => sign << 7 | [0, 0x38, 0x40, 0x44][size],
        Elem::E5m2 => sign << 7 | [0, 0x3c, 0x40, 0x42][size],
        Elem::S8 => v as u8 as u64,
        Elem::S4 => v as u64 & 15,
        Elem::U8 | Elem::U4 => size as u64,
        Elem::B1 => size as u64 & 1,
    }
}

/// The number that bits of [`bits`] spell, the sign of zero aside.
fn number(elem: Elem, b: u64) -> i64 {
    let Some(v) = (-3..=3).find(|v| bits(elem, *v) == b && (*v >= 0 || bits(elem, 0) != b)) else {
        panic!("{b:#x} is no small number of {elem:?}")
    };
    match elem {
        Elem::B1 => v & 1,
        Elem::U8 | Elem::U4 => v.abs(),
        _ => v,
    }
}

fn small(seed: u64, counter: u64) -> i64 {
    (hash(seed, counter) >> 20) as i64 % 7 - 3
}

/// Words full of small numbers.
fn fill(elem: Elem, words: usize, seed: u64) -> Vec<u32> {
    let width = elem.bits().min(32);
    let one = |w: usize| {
        if elem == Elem::F64 {
            return (bits(elem, small(seed, w as u64 / 2)) >> (32 * (w % 2))) as u32;
        }
        let each = |e: u32| (bits(elem, small(seed, (w * 32) as u64 + u64::from(e))) as u32) << (e * width);
        (0..32 / width).fold(0, |word, e| word | each(e))
    };
    (0..words).map(one).collect()
}

/// Element `e` of a thread's words.
fn pick(elem: Elem, words: &[u32], e: usize) -> i64 {
    if elem == Elem::F64 {
        return number(elem, u64::from(words[2 * e]) | u64::from(words[2 * e + 1]) << 32);
    }
    let (per, width) = (32 / elem.bits() as usize, elem.bits());
    number(elem, u64::from(words[e / per] >> (e % per * width as usize) & (u32::MAX >> (32 - width))))
}

type Table = Vec<Vec<i64>>;

/// The dense A and B of a block: rows of M or N along K.
fn operands(form: &Form, image: &[u32], words: &[Vec<u32>]) -> (Table, Table) {
    let (nc, na, nb) = (form.c_words() as usize, form.a_words() as usize, form.b_words() as usize);
    let (rows, k) = (form.m as usize, form.k as usize);
    let stored = if form.sparse { k / 2 } else { k };
    let mut a = vec![vec![0; stored]; rows];
    let mut b = vec![vec![0; k]; form.n as usize];
    let per = (32 / form.a.bits() as usize).max(1);
    for (thread, words) in words.iter().enumerate() {
        let (warp, g, t) = (thread / 32, thread % 32 / 4, thread % 4);
        let count = |words: usize| if form.a == Elem::F64 { words / 2 } else { words * per };
        for e in 0..count(na) {
            let (word, inner) = (e / per, e % per);
            let (down, along) = if rows == 8 { (0, word) } else { (8 * (word % 2), word / 2) };
            a[16 * warp + g + down][4 * per * along + per * t + inner] = pick(form.a, &words[nc..], e);
        }
        for e in 0..count(nb) {
            b[g][4 * per * (e / per) + per * t + e % per] = pick(form.b, &words[nc + na..], e);
        }
    }
    if form.wmma {
        // Row after row or column after column, elements packed in words.
        let line = |words: &[u32], elem, turned: bool, rows: usize, r: usize, at: usize| {
            pick(elem, words, if turned { at * rows + r } else { r * k + at })
        };
        let second = &image[(A_BYTES / 4) as usize..];
        let columns = form.n as usize;
        a = (0..rows).map(|r| (0..k).map(|at| line(image, form.a, form.trans_a, rows, r, at)).collect()).collect();
        b = (0..columns)
            .map(|c| (0..k).map(|at| line(second, form.b, form.trans_b, columns, c, at)).collect())
            .collect();
    }
    if form.wgmma {
        let bytes: Vec<u8> = image.iter().flat_map(|w| w.to_le_bytes()).collect();
        let at = |elem: Elem, desc: Descriptor, turned: bool, row: usize, k: usize| {
            let width = elem.bits() as usize;
            let first = if turned {
                desc.mn_major(row as u32, k as u32)
            } else {
                desc.k_major(row as u32, (k * width / 8) as u32)
            } as usize;
            let word = (0..width.div_ceil(8)).fold(0, |w, i| w | u64::from(bytes[first + i]) << (8 * i));
            number(elem, if width == 1 { word >> (k % 8) & 1 } else { word })
        };
        if !form.a_regs {
            let desc = Descriptor::decode(form.desc_a);
            let each = |r: usize| (0..stored).map(|k| at(form.a, desc, form.trans_a, r, k)).collect();
            a = (0..rows).map(each).collect();
        }
        let desc = Descriptor::decode(form.desc_b + u64::from(A_BYTES >> 4));
        b = (0..form.n as usize).map(|c| (0..k).map(|k| at(form.b, desc, form.trans_b, c, k)).collect()).collect();
    }
    let a = if form.sparse { (0..rows).map(|row| dense(form, row, &a[row], words)).collect() } else { a };
    (a, b)
}

/// A row of a sparse A with its zeros: where the figures of metadata put each stored element.
fn dense(form: &Form, row: usize, stored: &[i64], words: &[Vec<u32>]) -> Vec<i64> {
    let meta = |lane: usize| words[row / 16 * 32 + lane][words[0].len() - 1];
    let (g, high, sel) = (row % 8, row / 8 % 2, form.selector as usize);
    let k = form.k as usize;
    let mut out = vec![0; k];
    match form.a {
        // A nibble for each two of K: the first or the second is stored. 16 bits a row and lane.
        Elem::Tf32 => {
            for pair in 0..k / 2 {
                let lane = 4 * g + if k == 8 { sel } else { 2 * sel + pair / 4 };
                let nibble = meta(lane) >> (16 * high + 4 * (pair % 4)) & 15;
                out[2 * pair + usize::from(nibble == 14)] = stored[pair];
            }
        }
        Elem::F16 | Elem::Bf16 => {
            for (i, v) in stored.iter().enumerate() {
                let lane = 4 * g + if k == 16 { sel } else { 2 * sel + i / 8 };
                let at = meta(lane) >> (16 * high + 2 * (i % 8)) & 3;
                out[i / 2 * 4 + at as usize] = *v;
            }
        }
        // 32 bits a row and lane: even lanes have row g, odd ones row g + 8.
        _ => {
            let together = if form.a.bits() == 4 { 2 } else { 1 };
            let units = stored.len() / together;
            for i in 0..units {
                let lane = 4 * g + high + 2 * if units == 16 { sel } else { i / 16 };
                let at = meta(lane) >> (2 * (i % 16)) & 3;
                for e in 0..together {
                    out[(i / 2 * 4 + at as usize) * together + e] = stored[i * together + e];
                }
            }
        }
    }
    out
}

/// The accumulator of a row and column: small, or close to the end of the range where sums are saturated.
fn start(form: &Form, row: usize, column: usize) -> i64 {
    let v = small(77, (row * 256 + column) as u64);
    match form.d {
        Acc::S32 if form.opcode.contains("satfinite") || column.is_multiple_of(3) => {
            if v < 0 {
                i64::from(i32::MIN) - v
            } else {
                i64::from(i32::MAX) - v
            }
        }
        _ => 10 * v,
    }
}

fn half(v: i64) -> u32 {
    let format = &tricot_ptx_numerics::format::F16;
    use tricot_ptx_numerics::format::{Overflow, Round};
    format.round(v < 0, u128::from(v.unsigned_abs()), 0, Round::Near, Overflow::Ieee) as u32
}

/// Words of accumulators of a thread, of type `acc`.
fn accumulators(form: &Form, acc: Acc, thread: usize, value: impl Fn(usize, usize) -> i64) -> Vec<u32> {
    let (warp, g, t) = (thread / 32, thread % 32 / 4, thread % 4);
    let elements = (form.m * form.n / form.threads()) as usize;
    let at = |e: usize| {
        if form.wmma {
            let linear = thread * elements + e;
            return value(linear / form.n as usize, linear % form.n as usize);
        }
        // Four elements cover two rows of 16 rows, two cover one of 8.
        let (down, block) = if form.m == 8 { (0, e / 2) } else { (8 * (e / 2 % 2), e / 4) };
        value(16 * warp + g + down, 8 * block + 2 * t + e % 2)
    };
    match acc {
        Acc::F64 => (0..elements).flat_map(|e| [0, 32].map(|s| ((at(e) as f64).to_bits() >> s) as u32)).collect(),
        Acc::F32 => (0..elements).map(|e| (at(e) as f32).to_bits()).collect(),
        Acc::F16 => (0..elements / 2).map(|w| half(at(2 * w)) | half(at(2 * w + 1)) << 16).collect(),
        Acc::S32 => (0..elements).map(|e| at(e) as u32).collect(),
    }
}

/// `mma.m8n8k4` on f16: the place of element `i` of a lane in A, in B (k, column), and in an accumulator.
fn quad_places(form: &Form, acc: Acc, lane: usize, i: usize) -> [(usize, usize); 3] {
    let (t, high) = (lane % 4, if lane < 16 { 0 } else { 4 });
    let x = (lane & 0b1) + (i & 0b10);
    [
        if form.trans_a { (i % 4 + high, t) } else { (t + high, i) },
        if form.trans_b { (t, i + high) } else { (i, t + high) },
        match acc {
            Acc::F16 => (t + high, i),
            _ => (x + high, (i & 0b100) + (lane & 0b10) + (i & 0b1)),
        },
    ]
}

/// What a lane of [`quad_places`] must store, or its C where A and B are zero.
fn quads(form: &Form, acc: Acc, words: &[Vec<u32>], lane: usize) -> Vec<u32> {
    let nc = form.c_words() as usize;
    let quad = lane % 16 / 4;
    let (mut a, mut b) = ([[0; 4]; 8], [[0; 8]; 4]);
    for other in (0..32).filter(|l| l % 16 / 4 == quad) {
        for i in 0..4 {
            let [(row, k), (depth, column), _] = quad_places(form, acc, other, i);
            a[row][k] = pick(form.a, &words[other][nc..], i);
            b[depth][column] = pick(form.b, &words[other][nc + 2..], i);
        }
    }
    let at = |i: usize| {
        let [.., (row, column)] = quad_places(form, acc, lane, i);
        (0..4).map(|k| a[row][k] * b[k][column]).sum::<i64>() + start(form, 8 * quad + row, column)
    };
    match acc {
        Acc::F16 => (0..4).map(|w| half(at(2 * w)) | half(at(2 * w + 1)) << 16).collect(),
        _ => (0..8).map(|i| (at(i) as f32).to_bits()).collect(),
    }
}

/// Runs a form on small numbers and compares what its threads store.
pub fn check(form: &Form, exact: bool, run: impl Fn(&[u32], &[Vec<u32>]) -> Vec<u32>) {
    let a_words = (A_BYTES / 4) as usize;
    let image_words = (form.image_bytes() / 4) as usize;
    let mut image = if image_words > 0 { fill(form.a, a_words, 1) } else { vec![] };
    image.extend(fill(form.b, image_words.saturating_sub(a_words), 2));
    let words: Vec<Vec<u32>> = (0..form.threads())
        .map(|thread| {
            let mut out = if form.quads() {
                quads(form, form.c, &vec![vec![0; form.thread_words() as usize]; 32], thread as usize)
            } else {
                accumulators(form, form.c, thread as usize, |r, c| start(form, r, c))
            };
            out.extend(fill(form.a, form.a_words() as usize, u64::from(thread) * 2 + 100));
            out.extend(fill(form.b, form.b_words() as usize, u64::from(thread) * 2 + 101));
            if form.sparse {
                out.push(*form.words(1, thread).last().expect("metadata"));
            }
            out
        })
        .collect();
    let (a, b) = if form.quads() { (vec![], vec![]) } else { operands(form, &image, &words) };
    let xor = form.opcode.contains(".xor.");
    let sign = if form.negate_a != form.negate_b { -1 } else { 1 };
    let value = |row: usize, column: usize| {
        let pairs = a[row].iter().zip(&b[column]);
        let sum: i64 = if xor { pairs.map(|(x, y)| x ^ y).sum() } else { pairs.map(|(x, y)| x * y).sum() };
        let c = if form.scale_d { start(form, row, column) } else { 0 };
        let total = c + sign * sum;
        if form.opcode.contains("satfinite") { total.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) } else { total }
    };
    let expected: Vec<u32> = (0..form.threads() as usize)
        .flat_map(|t| if form.quads() { quads(form, form.d, &words, t) } else { accumulators(form, form.d, t, value) })
        .collect();
    let ours = run(&image, &words);
    let wrong = ours.iter().zip(&expected).position(|(x, y)| {
        // A sum of zero may have either sign.
        let zero = |v: &u32| matches!(form.d, Acc::F32 | Acc::F64) && v << 1 == 0;
        x != y && !(zero(x) && zero(y))
    });
    assert!(
        wrong.is_none() && ours.len() == expected.len(),
        "{} selector {} exact {exact}: word {wrong:?}: {:x?}, expected {:x?}",
        form.opcode,
        form.selector,
        wrong.map(|i| ours[i]),
        wrong.map(|i| expected[i])
    );
}
