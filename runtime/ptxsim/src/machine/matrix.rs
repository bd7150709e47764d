//! Matrix instructions of a warp: `ldmatrix`, `stmatrix`, `mma.sync` and `wgmma` (PTX ISA 9.7.14, 9.7.15).
//!
//! A `wgmma` is queued when it is issued and computed when its group is waited for; until then its accumulators are tokens
//! that `mov` carries along and that nothing else may read.

use super::arith::*;
use super::op::*;
use super::order::{Spot, WHOLE};
use super::run::{At, Flow, Machine, Stop};
use super::state::*;
use crate::memory::{DEFINED, Region};
use crate::report::Class;

/// 16-byte pieces exchanged within a line of 32 (1), 64 (2) or 128 (3) bytes: address bits from 4 up ^= bits from 7 up.
#[inline]
pub fn swizzle(address: u64, mode: u8) -> u64 {
    let bits = match mode {
        1 => 0x10,
        2 => 0x30,
        3 => 0x70,
        _ => 0,
    };
    address ^ address >> 3 & bits
}

/// Fields of a shared-memory descriptor (PTX ISA 9.7.15.5.1.2): byte addresses and offsets.
struct Descriptor {
    start: u64,
    leading: u64,
    stride: u64,
    /// As [`swizzle`] takes it.
    mode: u8,
}

impl Descriptor {
    fn new(bits: u64) -> Descriptor {
        let field = |at: u32| (bits >> at & 0x3fff) << 4;
        Descriptor { start: field(0), leading: field(16), stride: field(32), mode: [0, 3, 2, 1][(bits >> 62) as usize] }
    }

    /// Address of byte `byte` of K in row `row` where K is contiguous.
    ///
    /// Without swizzle: 8 rows x 16 bytes are 128 bytes in one piece, `leading` apart along K, `stride` apart along rows.
    /// With: 8 rows of 32, 64 or 128 bytes, `stride` apart.
    fn k_major(&self, row: u64, byte: u64) -> u64 {
        if self.mode == 0 {
            return self.start + row / 8 * self.stride + row % 8 * 16 + byte / 16 * self.leading + byte % 16;
        }
        let line = 16 << self.mode;
        swizzle(self.start + row / 8 * self.stride + row % 8 * line + byte, self.mode)
    }

    /// Address of a 16-bit element where rows (M or N) are contiguous: lines of 16 to 128 bytes along rows for each of 8 k.
    fn row_major(&self, row: u64, k: u64) -> u64 {
        let line = if self.mode == 0 { 16 } else { 16 << self.mode };
        let (piece, inner) = (row * 2 / line, row * 2 % line);
        let linear = if self.mode == 0 {
            self.start + piece * self.stride + k / 8 * self.leading + k % 8 * 16 + inner
        } else {
            self.start + piece * self.leading + k / 8 * self.stride + k % 8 * line + inner
        };
        swizzle(linear, self.mode)
    }
}

/// The value of an element's bits. Integers are exact in f32.
fn value(elem: Elem, bits: u32) -> f32 {
    match elem {
        Elem::F16 => f16(bits),
        Elem::Bf16 => bf16(bits),
        Elem::Tf32 => f32::from_bits(bits & !0x1fff),
        Elem::E4m3 => e4m3(bits & 0xff),
        Elem::E5m2 => e5m2(bits & 0xff),
        Elem::S8 => f32::from(bits as u8 as i8),
        Elem::U8 => f32::from(bits as u8),
    }
}

/// Bits of an element in packed words.
fn element(elem: Elem, words: &[u32], n: usize) -> u32 {
    let per = 4 / elem.bytes() as usize;
    let bits = 8 * elem.bytes();
    words[n / per] >> (bits as usize * (n % per)) & (u32::MAX >> (32 - bits))
}

/// d[16][n] += a[16][k] b[k][n], in single precision per chunk of `chunk` k as tensor cores accumulate.
fn multiply(acc: Acc, chunk: usize, k: usize, n: usize, a: &[f32], b: &[f32], d: &mut [f32]) {
    let mut sums = vec![0f32; n];
    for row in 0..16 {
        for start in (0..k).step_by(chunk) {
            sums.fill(0.0);
            for kk in start..(start + chunk).min(k) {
                let x = a[row * k + kk];
                if x == 0.0 && b[kk * n..(kk + 1) * n].iter().all(|v| v.is_finite()) {
                    continue;
                }
                for (s, y) in sums.iter_mut().zip(&b[kk * n..(kk + 1) * n]) {
                    *s += x * y;
                }
            }
            for (o, s) in d[row * n..(row + 1) * n].iter_mut().zip(&sums) {
                *o += s;
                if acc == Acc::F16 {
                    *o = f16(to_f16(*o));
                }
            }
        }
    }
}

fn multiply_int(k: usize, n: usize, a: &[f32], b: &[f32], d: &mut [i32], saturate: bool) {
    for row in 0..16 {
        for col in 0..n {
            let sum: i64 = (0..k).map(|kk| a[row * k + kk] as i64 * b[kk * n + col] as i64).sum();
            let o = &mut d[row * n + col];
            let total = i64::from(*o) + sum;
            *o = if saturate { total.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32 } else { total as i32 };
        }
    }
}

/// Reads accumulator fragments: lane l holds rows l/4 and l/4+8, columns 8j + 2(l%4) and the next.
fn accumulators(acc: Acc, n: usize, regs: &[[u32; 32]]) -> Vec<u32> {
    let mut out = vec![0u32; 16 * n];
    for j in 0..n / 8 {
        for lane in 0..32 {
            for half in 0..2 {
                for e in 0..2 {
                    let at = (lane / 4 + 8 * half) * n + 8 * j + 2 * (lane % 4) + e;
                    out[at] = match acc {
                        Acc::F16 => f16(regs[2 * j + half][lane] >> (16 * e)).to_bits(),
                        _ => regs[4 * j + 2 * half + e][lane],
                    };
                }
            }
        }
    }
    out
}

fn spread(acc: Acc, n: usize, values: &[u32]) -> Vec<[u32; 32]> {
    let mut regs = vec![[0u32; 32]; if acc == Acc::F16 { n / 4 } else { n / 2 }];
    for j in 0..n / 8 {
        for lane in 0..32 {
            for half in 0..2 {
                for e in 0..2 {
                    let v = values[(lane / 4 + 8 * half) * n + 8 * j + 2 * (lane % 4) + e];
                    match acc {
                        Acc::F16 => regs[2 * j + half][lane] |= to_f16(f32::from_bits(v)) << (16 * e),
                        _ => regs[4 * j + 2 * half + e][lane] = v,
                    }
                }
            }
        }
    }
    regs
}

/// A fragment of four registers, 16 rows x 32 bytes: word l%4 (and + 4) of rows l/4 and l/4 + 8.
fn fragment_a(elem: Elem, k: usize, regs: &[[u32; 32]]) -> Vec<u32> {
    let words = k * elem.bytes() as usize / 4;
    let mut rows = vec![vec![0u32; words]; 16];
    for (r, reg) in regs.iter().enumerate() {
        for lane in 0..32 {
            rows[lane / 4 + 8 * (r % 2)][lane % 4 + 4 * (r / 2)] = reg[lane];
        }
    }
    (0..16 * k).map(|i| element(elem, &rows[i / k], i % k)).collect()
}

/// A product of a warp: what is multiplied and how.
struct Product<'a> {
    /// Bit for bit as the tensor core, or in host floats.
    exact: bool,
    /// `mma.sync` rather than wgmma.
    synchronous: bool,
    acc: Acc,
    types: (Elem, Elem),
    k: usize,
    n: usize,
    /// Bits, 16 x k and k x n, row-major.
    a: &'a [u32],
    b: &'a [u32],
    saturate: bool,
}

fn unit_elem(elem: Elem) -> tricot_ptx_numerics::matrix::Elem {
    use tricot_ptx_numerics::matrix::Elem as E;
    match elem {
        Elem::F16 => E::F16,
        Elem::Bf16 => E::Bf16,
        Elem::Tf32 => E::Tf32,
        Elem::E4m3 => E::E4m3,
        Elem::E5m2 => E::E5m2,
        Elem::S8 => E::S8,
        Elem::U8 => E::U8,
    }
}

impl Product<'_> {
    /// `c + a b`; accumulators are f32 bits (also of f16 ones) or integers.
    fn sum(&self, c: Vec<u32>) -> Vec<u32> {
        use tricot_ptx_numerics::matrix::exact::{Acc as UnitAcc, Number, Unit};
        let (k, n) = (self.k, self.n);
        let values = |elem: Elem, bits: &[u32]| -> Vec<f32> { bits.iter().map(|b| value(elem, *b)).collect() };
        if self.acc == Acc::S32 {
            let mut d: Vec<i32> = c.into_iter().map(|v| v as i32).collect();
            multiply_int(k, n, &values(self.types.0, self.a), &values(self.types.1, self.b), &mut d, self.saturate);
            return d.into_iter().map(|v| v as u32).collect();
        }
        let half = self.acc == Acc::F16;
        let (ta, tb) = (unit_elem(self.types.0), unit_elem(self.types.1));
        let acc = if half { UnitAcc::F16 } else { UnitAcc::F32 };
        let unit = if self.synchronous { Unit::mma(ta, tb, acc) } else { Unit::wgmma(ta, tb, acc) };
        if self.exact
            && let (Some(unit), Some(fa), Some(fb)) = (unit, ta.format(), tb.format())
        {
            let a: Vec<Number> = self.a.iter().map(|x| Number::new(fa, *x)).collect();
            let b: Vec<Number> = (0..n * k).map(|i| Number::new(fb, self.b[i % k * n + i / k])).collect();
            let mut d: Vec<u32> = if half { c.iter().map(|v| to_f16(f32::from_bits(*v))).collect() } else { c };
            unit.multiply(k, &a, &b, &mut d);
            return if half { d.into_iter().map(|v| f16(v).to_bits()).collect() } else { d };
        }
        let mut d: Vec<f32> = c.into_iter().map(f32::from_bits).collect();
        let chunk = 32 / self.types.0.bytes() as usize;
        multiply(self.acc, chunk, k, n, &values(self.types.0, self.a), &values(self.types.1, self.b), &mut d);
        d.into_iter().map(f32::to_bits).collect()
    }
}

impl Machine<'_> {
    pub(super) fn matrix(&mut self, at: At, warp: &mut Warp, op: &Op, mask: u32) -> Result<Flow, Stop> {
        match op {
            Op::Ldmatrix { dst, trans, space, addr } => {
                let addresses = self.addresses(at, warp, *addr, mask & first_lanes(dst.len()));
                let (mut rows, mut known) = ([[0u16; 8]; 32], [false; 32]);
                let active = first_lanes(dst.len());
                self.each_lane(at, warp, *space, &addresses, 16, active, |region, offset, lane| {
                    for e in 0..8 {
                        rows[lane][e] =
                            u16::from_le_bytes([region.data[offset + 2 * e], region.data[offset + 2 * e + 1]]);
                    }
                    known[lane] = !region.state[offset..offset + 16].contains(&0);
                })?;
                self.touch_lanes(at, warp, *space, &addresses, 16, active, false, false);
                for (m, d) in dst.iter().enumerate() {
                    let mut defined = 0;
                    let out = std::array::from_fn(|l| {
                        let pick = |e: usize| {
                            if *trans {
                                rows[8 * m + 2 * (l % 4) + e][l / 4]
                            } else {
                                rows[8 * m + l / 4][2 * (l % 4) + e]
                            }
                        };
                        let sources =
                            if *trans { [8 * m + 2 * (l % 4), 8 * m + 2 * (l % 4) + 1] } else { [8 * m + l / 4; 2] };
                        defined |= u32::from(known[sources[0]] && known[sources[1]]) << l;
                        u32::from(pick(0)) | u32::from(pick(1)) << 16
                    });
                    warp.set_r(*d, u32::MAX, &out, defined);
                }
            }
            Op::Stmatrix { src, trans, space, addr } => {
                let active = first_lanes(src.len());
                let addresses = self.addresses(at, warp, *addr, active);
                self.touch_lanes(at, warp, *space, &addresses, 16, active, true, false);
                let mut rows = [[0u16; 8]; 32];
                let mut known = [[true; 8]; 32];
                for (m, s) in src.iter().enumerate() {
                    self.check_tokens(at, warp, *s);
                    for l in 0..32 {
                        for e in 0..2 {
                            let v = (warp.r[*s as usize][l] >> (16 * e)) as u16;
                            let k = warp.def_r[*s as usize] >> l & 1 != 0;
                            let (row, col) = if *trans { (2 * (l % 4) + e, l / 4) } else { (l / 4, 2 * (l % 4) + e) };
                            rows[8 * m + row][col] = v;
                            known[8 * m + row][col] = k;
                        }
                    }
                }
                self.activity += 1;
                self.each_lane(at, warp, *space, &addresses, 16, active, |region, offset, lane| {
                    for e in 0..8 {
                        region.store(offset + 2 * e, 2, u64::from(rows[lane][e]), known[lane][e]);
                    }
                })?;
            }
            Op::Mma(m) => {
                let get = |regs: &[u32]| -> Vec<[u32; 32]> { regs.iter().map(|r| warp.r[*r as usize]).collect() };
                let (k, n) = (m.k as usize, m.n as usize);
                let a = fragment_a(m.a, k, &get(&m.ar));
                let br = get(&m.br);
                let mut b = vec![0u32; k * n];
                for kk in 0..k {
                    let per = 4 / m.b.bytes() as usize;
                    let word = kk / per;
                    for col in 0..8 {
                        let bits = br[word / 4][4 * col + word % 4] >> (8 * m.b.bytes() as usize * (kk % per));
                        b[kk * n + col] = bits & (u32::MAX >> (32 - 8 * m.b.bytes()));
                    }
                }
                let c = accumulators(m.acc, n, &get(&m.cr));
                let exact = self.launch.exact;
                let product = Product {
                    exact,
                    synchronous: true,
                    acc: m.acc,
                    types: (m.a, m.b),
                    k,
                    n,
                    a: &a,
                    b: &b,
                    saturate: false,
                };
                let d = product.sum(c);
                let known = [&m.ar, &m.br, &m.cr].into_iter().flatten().all(|r| warp.def_r[*r as usize] == u32::MAX);
                self.report.tensor_operations += (16 * n * k) as u64;
                for (r, v) in m.dr.iter().zip(spread(m.d_acc, n, &d)) {
                    warp.set_r(*r, u32::MAX, &v, if known { u32::MAX } else { 0 });
                }
            }
            Op::Wgmma(w) => self.issue(at, warp, w)?,
            Op::WgmmaFence => warp.wgmma_fences += 1,
            Op::WgmmaCommit => {
                let open = std::mem::take(&mut warp.wgmma_open);
                warp.wgmma_groups.push_back(open);
            }
            Op::WgmmaWait { pending } => {
                while warp.wgmma_groups.len() > *pending as usize {
                    let count = warp.wgmma_groups.pop_front().unwrap_or(0);
                    for _ in 0..count {
                        if let Some(p) = warp.wgmmas.pop_front() {
                            self.finish(at, warp, p)?;
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(Flow::Next)
    }

    /// Before an operation other than `mov` and wgmma touches an accumulator in flight: ptxas waits for the products there,
    /// which the contract leaves to the program.
    pub(super) fn settle_tokens(&mut self, at: At, warp: &mut Warp, op: &Op) -> Result<(), Stop> {
        let mut touched = false;
        super::uses::registers(op, |r| touched |= warp.tokens.contains_key(&r));
        if touched {
            let what = "an accumulator is used before its wgmma is waited for; ptxas inserts the wait".to_string();
            self.finding(at, Class::PtxContract, Some(warp.index * 32), what);
            while let Some(p) = warp.wgmmas.pop_front() {
                self.finish(at, warp, p)?;
            }
            warp.wgmma_groups.iter_mut().for_each(|g| *g = 0);
            warp.wgmma_open = 0;
        }
        Ok(())
    }

    /// A register that a wgmma has yet to write must not be read.
    pub(super) fn check_tokens(&mut self, at: At, warp: &Warp, register: u32) {
        if warp.tokens.contains_key(&register) {
            let what = "an accumulator is read before its wgmma is waited for".to_string();
            self.finding(at, Class::Wgmma, Some(warp.index * 32), what);
        }
    }

    fn issue(&mut self, at: At, warp: &mut Warp, w: &Wgmma) -> Result<(), Stop> {
        let thread = warp.index * 32;
        let uniform = |v: &[u64; 32]| v.iter().all(|x| *x == v[0]);
        for d in w.a_desc.iter().chain([&w.b_desc]) {
            if warp.def_d[*d as usize] != u32::MAX {
                self.finding(
                    at,
                    Class::Uninitialised,
                    Some(thread),
                    "a matrix descriptor depends on a value that was never written".into(),
                );
            }
            if !uniform(&warp.d[*d as usize]) {
                self.finding(
                    at,
                    Class::Wgmma,
                    Some(thread),
                    "a matrix descriptor differs between the lanes of a warp".into(),
                );
            }
        }
        let scale_d = warp.p[w.scale_d as usize] & 1 != 0;
        self.check_fence(at, warp, w);
        for r in &w.a_regs {
            self.check_tokens(at, warp, *r);
            if warp.def_r[*r as usize] != u32::MAX {
                self.finding(at, Class::Uninitialised, Some(thread), "a register of A was never written".into());
            }
        }
        let operation = warp.next_operation;
        warp.next_operation += 1;
        let mut sources = Vec::with_capacity(w.d.len());
        for (element, d) in w.d.iter().enumerate() {
            sources.push(match warp.tokens.get(d) {
                Some(token) => Source::Token(*token),
                None => {
                    if scale_d && warp.def_r[*d as usize] != u32::MAX {
                        self.finding(at, Class::Uninitialised, Some(thread), "an accumulator was never written".into());
                    }
                    Source::Value(Box::new(warp.r[*d as usize]))
                }
            });
            warp.tokens.insert(*d, Token { operation, element: element as u32 });
            warp.def_r[*d as usize] = 0;
        }
        let pending = PendingWgmma {
            operation,
            pc: at.pc,
            scale_d,
            sources,
            a: w.a_regs.iter().map(|r| warp.r[*r as usize]).collect(),
            a_desc: w.a_desc.map_or(0, |d| warp.d[d as usize][0]),
            b_desc: warp.d[w.b_desc as usize][0],
            clocks: warp.clocks.clone(),
            meta: w.meta.map_or([0; 32], |(m, _)| warp.r[m as usize]),
        };
        warp.wgmmas.push_back(pending);
        warp.wgmma_open += 1;
        Ok(())
    }

    /// Registers written since the last `wgmma.fence` (PTX ISA 9.7.15.7.1): accumulators of earlier products need none.
    fn check_fence(&mut self, at: At, warp: &mut Warp, w: &Wgmma) {
        let thread = Some(warp.index * 32);
        if warp.wgmma_fences == 0 {
            let what = "no `wgmma.fence` comes before this wgmma".to_string();
            self.finding(at, Class::PtxContract, thread, what);
            warp.wgmma_fences = 1;
        }
        let since = |r: u32| warp.written[r as usize] & !MOVED == warp.wgmma_fences;
        if w.a_regs.iter().chain(w.meta.as_ref().map(|(m, _)| m)).any(|r| since(*r)) {
            let what = "a register of the first operand is written between `wgmma.fence` and this wgmma".to_string();
            self.finding(at, Class::Wgmma, thread, what);
        }
        let late = |moved: bool| w.d.iter().any(|r| since(*r) && (warp.written[*r as usize] & MOVED != 0) == moved);
        if late(false) {
            let what = "an accumulator is written between `wgmma.fence` and this wgmma; ptxas repairs it".to_string();
            self.finding(at, Class::PtxContract, thread, what);
        } else if late(true) {
            let what = "an accumulator is moved between `wgmma.fence` and this wgmma; ptxas repairs it".to_string();
            self.finding(at, Class::AccumulatorMove, thread, what);
        }
        for r in &w.d {
            warp.written[*r as usize] = 0;
        }
    }

    fn finish(&mut self, at: At, warp: &mut Warp, p: PendingWgmma) -> Result<(), Stop> {
        let program = self.program;
        let Op::Wgmma(w) = &program.code[p.pc as usize].op else { return Ok(()) };
        let at = At { line: program.code[p.pc as usize].line, pc: p.pc, ..at };
        let (k, n) = (w.k as usize, w.n as usize);
        let size = w.a.bytes() as usize;
        let stored = if w.sparse { k / 2 } else { k };
        let mut touched = std::collections::BTreeSet::new();
        let Some(cluster) = &self.clusters[at.cluster] else { return Err(Stop) };
        let shared = &cluster.blocks[at.block].shared;
        let mut problem = None;
        let order = self.launch.order;
        let mut last = u64::MAX;
        let mut fetch = |elem: Elem, address: u64| -> u32 {
            if order && address / 16 != last {
                last = address / 16;
                touched.insert(last);
            }
            fetch(shared, elem, address, &mut problem)
        };
        let base_row = u64::from(warp.index % 4) * 16;
        let a_stored = if w.a_desc.is_some() {
            let desc = Descriptor::new(p.a_desc);
            let mut out = vec![0u32; 16 * stored];
            for row in 0..16 {
                for kk in 0..stored {
                    let (r, c) = (base_row + row as u64, kk as u64);
                    let address = if w.trans_a { desc.row_major(r, c) } else { desc.k_major(r, c * size as u64) };
                    out[row * stored + kk] = fetch(w.a, address);
                }
            }
            out
        } else {
            fragment_a(w.a, stored, &p.a)
        };
        let mut a = match w.meta {
            Some((_, selector)) => match expand(w.a, k, &a_stored, &p.meta, selector) {
                Ok(a) => a,
                Err(what) => {
                    self.finding(at, Class::Wgmma, Some(warp.index * 32), what);
                    return Err(Stop);
                }
            },
            None => a_stored,
        };
        let desc = Descriptor::new(p.b_desc);
        let mut b = vec![0u32; k * n];
        for col in 0..n {
            for kk in 0..k {
                let address = if w.trans_b {
                    desc.row_major(col as u64, kk as u64)
                } else {
                    desc.k_major(col as u64, (kk * size) as u64)
                };
                b[kk * n + col] = fetch(w.b, address);
            }
        }
        if let Some((class, what)) = problem {
            self.finding(at, class, Some(warp.index * 32), what);
            if class.is_fatal() {
                return Err(Stop);
            }
        }
        for piece in touched {
            let spot = Spot::Shared(at.block, 16 * piece);
            self.read_async(at, warp, &p.clocks, warp.issuer(WHOLE), spot, 16);
        }
        if w.neg_a {
            a.iter_mut().for_each(|v| *v ^= 1 << (8 * w.a.bytes() - 1));
        }
        if w.neg_b {
            b.iter_mut().for_each(|v| *v ^= 1 << (8 * w.b.bytes() - 1));
        }
        let mut regs = vec![[0u32; 32]; w.d.len()];
        if p.scale_d {
            for (r, source) in regs.iter_mut().zip(&p.sources) {
                match source {
                    Source::Value(v) => *r = **v,
                    Source::Token(_) => {
                        self.finding(
                            at,
                            Class::Wgmma,
                            Some(warp.index * 32),
                            "an accumulator comes from a wgmma that never completes".into(),
                        );
                    }
                }
            }
        }
        let c = accumulators(w.acc, n, &regs);
        let exact = self.launch.exact;
        let types = (w.a, w.b);
        let product =
            Product { exact, synchronous: false, acc: w.acc, types, k, n, a: &a, b: &b, saturate: w.saturate };
        let d = product.sum(c);
        self.report.tensor_operations += (16 * n * k) as u64;
        let out = spread(w.acc, n, &d);
        // Registers that carry this operation's tokens, and accumulators of later operations.
        let ready: Vec<(u32, u32)> =
            warp.tokens.iter().filter(|(_, t)| t.operation == p.operation).map(|(r, t)| (*r, t.element)).collect();
        for (r, element) in ready {
            warp.tokens.remove(&r);
            warp.r[r as usize] = out[element as usize];
            warp.def_r[r as usize] = u32::MAX;
        }
        for later in &mut warp.wgmmas {
            for source in &mut later.sources {
                if let Source::Token(t) = source
                    && t.operation == p.operation
                {
                    *source = Source::Value(Box::new(out[t.element as usize]));
                }
            }
        }
        Ok(())
    }
}

fn first_lanes(matrices: usize) -> u32 {
    match matrices {
        1 => 0xff,
        2 => 0xffff,
        _ => u32::MAX,
    }
}

fn fetch(shared: &Region, elem: Elem, address: u64, problem: &mut Option<(Class, String)>) -> u32 {
    let size = elem.bytes() as usize;
    let Some(offset) = shared.offset(address, size) else {
        *problem = Some((
            Class::OutOfBounds,
            format!("a matrix descriptor leads to byte {address} of shared memory ({} bytes)", shared.data.len()),
        ));
        return 0;
    };
    if shared.state[offset] & DEFINED == 0 && problem.is_none() {
        let what = format!(
            "a matrix product reads byte {address} of shared memory, which was never written or is still being copied"
        );
        *problem = Some((Class::Uninitialised, what));
    }
    let bits = match size {
        1 => u32::from(shared.data[offset]),
        2 => u32::from(u16::from_le_bytes([shared.data[offset], shared.data[offset + 1]])),
        _ => u32::from_le_bytes([
            shared.data[offset],
            shared.data[offset + 1],
            shared.data[offset + 2],
            shared.data[offset + 3],
        ]),
    };
    bits
}

/// Sparse A to dense: of every four (tf32: two) columns the metadata says which two (one) are stored.
fn expand(elem: Elem, k: usize, stored: &[u32], meta: &[u32; 32], selector: u32) -> Result<Vec<u32>, String> {
    let half = k / 2;
    let mut out = vec![0u32; 16 * k];
    for row in 0..16 {
        let (g, high) = (row % 8, row / 8);
        for s in 0..half {
            let position = match elem {
                Elem::F16 | Elem::Bf16 => {
                    // Lanes 2F and 2F+1 of each four: lower half for row g, upper for row g + 8; 8 stored elements a lane.
                    let lane = 4 * g + 2 * selector as usize + s / 8;
                    let bits = meta[lane] >> (16 * high) >> (2 * (s % 8)) & 3;
                    s / 2 * 4 + bits as usize
                }
                Elem::Tf32 => {
                    let lane = 4 * g + 2 * selector as usize + s / 4;
                    let bits = meta[lane] >> (16 * high) >> (4 * (s % 4)) & 15;
                    match bits {
                        0b1110 => s * 2 + 1,
                        0b0100 => s * 2,
                        _ => return Err(format!("sparsity metadata {bits:#06b} of a tf32 pair")),
                    }
                }
                _ => {
                    // 8-bit types: all four lanes; even ones hold row g, odd ones row g + 8, 16 stored elements each.
                    let lane = 4 * g + high + 2 * (s / 16);
                    let bits = meta[lane] >> (2 * (s % 16)) & 3;
                    s / 2 * 4 + bits as usize
                }
            };
            out[row * k + position] = stored[row * half + s];
        }
    }
    Ok(out)
}
