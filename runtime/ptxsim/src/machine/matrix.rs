//! Matrix instructions of a warp: `ldmatrix`, `stmatrix`, `mma.sync` and `wgmma` (PTX ISA 9.7.14, 9.7.15).
//!
//! A `wgmma` is queued when it is issued and computed when its group is waited for; until then its accumulators are tokens
//! that `mov` carries along and that nothing else may read.

use super::op::*;
use super::order::{Spot, WHOLE};
use super::product::*;
use super::run::{At, Flow, Machine, Stop};
use super::state::*;
use crate::memory::{DEFINED, Region};
use crate::report::Class;
use tricot_ptx_numerics::matrix::exact::Unit;

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

impl Machine<'_> {
    pub(super) fn matrix(&mut self, at: At, warp: &mut Warp, op: &Op, mask: u32) -> Result<Flow, Stop> {
        match op {
            Op::Ldmatrix { dst, trans, space, addr } => {
                let addresses = self.addresses(at, warp, *addr, mask & first_lanes(dst.len()));
                let (mut rows, mut known) = ([[0u16; 8]; 32], [false; 32]);
                let active = first_lanes(dst.len());
                self.each_lane(at, warp, *space, &addresses, 16, active, |region, offset, lane| {
                    for (e, half) in rows[lane].iter_mut().enumerate() {
                        *half = u16::from_le_bytes([region.data[offset + 2 * e], region.data[offset + 2 * e + 1]]);
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
            Op::Mma(m) => self.mma(at, warp, m)?,
            Op::Quads(q) => self.quads(warp, q),
            Op::Wmma(w) => self.wmma(warp, w),
            Op::WmmaMove(w) => self.wmma_move(at, warp, w)?,
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
        for r in w.operand_registers() {
            warp.written[r as usize] = IN_FLIGHT;
        }
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
        if w.operand_registers().any(since) {
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

    /// Registers of the first operand belong to the product until it is waited for (PTX ISA 9.7.15.7.1).
    fn check_operand(&mut self, at: At, warp: &mut Warp, w: &Wgmma) {
        let program = self.program;
        if w.operand_registers().any(|r| warp.written[r as usize] != IN_FLIGHT) {
            let what = "a register of this wgmma's first operand is written before the wgmma is waited for".to_string();
            self.finding(at, Class::Wgmma, Some(warp.index * 32), what);
        }
        let later = warp.wgmmas.iter().filter_map(|p| match &program.code[p.pc as usize].op {
            Op::Wgmma(w) => Some(w),
            _ => None,
        });
        let still: std::collections::BTreeSet<u32> = later.flat_map(|w| w.operand_registers()).collect();
        for r in w.operand_registers().filter(|r| !still.contains(r)) {
            if warp.written[r as usize] == IN_FLIGHT {
                warp.written[r as usize] = 0;
            }
        }
    }

    fn finish(&mut self, at: At, warp: &mut Warp, p: PendingWgmma) -> Result<(), Stop> {
        let program = self.program;
        let Op::Wgmma(w) = &program.code[p.pc as usize].op else { return Ok(()) };
        let at = At { line: program.code[p.pc as usize].line, pc: p.pc, ..at };
        self.check_operand(at, warp, w);
        let (k, n) = (w.k as usize, w.n as usize);
        // Single bits lie eight in a byte.
        let bits = w.a.bits() as usize;
        let byte = |k: usize| (k * bits / 8) as u64;
        let stored = if w.sparse { k / 2 } else { k };
        let mut touched = std::collections::BTreeSet::new();
        let Some(cluster) = &self.clusters[at.cluster] else { return Err(Stop) };
        let shared = &cluster.blocks[at.block].shared;
        let mut problem = None;
        let order = self.launch.order;
        let mut last = u64::MAX;
        let mut fetch = |elem: Elem, address: u64, k: usize| -> u32 {
            if order && address / 16 != last {
                last = address / 16;
                touched.insert(last);
            }
            let word = fetch(shared, elem, address, &mut problem);
            if elem == Elem::B1 { word >> (k % 8) & 1 } else { word }
        };
        let base_row = u64::from(warp.index % 4) * 16;
        let mut a = if w.a_desc.is_some() {
            let desc = Descriptor::new(p.a_desc);
            let mut out = vec![0u32; 16 * stored];
            for row in 0..16 {
                for kk in 0..stored {
                    let (r, c) = (base_row + row as u64, kk as u64);
                    let address = if w.trans_a { desc.row_major(r, c) } else { desc.k_major(r, byte(kk)) };
                    out[row * stored + kk] = fetch(w.a, address, kk);
                }
            }
            out
        } else {
            fragment_a(w.a, 16, stored, &p.a)
        };
        let desc = Descriptor::new(p.b_desc);
        let mut b = vec![0u32; n * k];
        for col in 0..n {
            for kk in 0..k {
                let address =
                    if w.trans_b { desc.row_major(col as u64, kk as u64) } else { desc.k_major(col as u64, byte(kk)) };
                b[col * k + kk] = fetch(w.b, address, kk);
            }
        }
        if let Some((class, what)) = problem {
            self.finding(at, class, Some(warp.index * 32), what);
            if class.is_fatal() {
                return Err(Stop);
            }
        }
        let mut runs = super::tensor::Runs::default();
        touched.iter().for_each(|piece| runs.add(16 * piece, 16));
        for (start, len) in runs.0 {
            self.read_async(at, warp, &p.clocks, warp.issuer(WHOLE), Spot::Shared(at.block, start), len);
        }
        let positions = match w.meta {
            Some((_, selector)) => {
                let found = positions(w.a, k, &p.meta, selector);
                // The ISA wants no order of wgmma's positions.
                Some(self.check_positions(at, warp.index * 32, found, false)?)
            }
            None => None,
        };
        if w.neg_a {
            a.iter_mut().for_each(|v| *v ^= 1 << (bits - 1));
        }
        if w.neg_b {
            b.iter_mut().for_each(|v| *v ^= 1 << (bits - 1));
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
        let product = Product {
            unit: self.unit(Unit::wgmma, (w.a, w.b), w.acc),
            acc: w.acc,
            types: (w.a, w.b),
            k: stored,
            n,
            a: &a,
            b: &b,
            positions: positions.as_deref(),
            xor: false,
            saturate: w.saturate,
        };
        let d = product.sum(accumulators(w.acc, 16, n, &regs));
        self.report.tensor_operations += (16 * n * k) as u64;
        let out = spread(w.acc, 16, n, &d);
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
    let size = (elem.bits() as usize).div_ceil(8);
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
    match size {
        1 => u32::from(shared.data[offset]),
        2 => u32::from(u16::from_le_bytes([shared.data[offset], shared.data[offset + 1]])),
        _ => u32::from_le_bytes([
            shared.data[offset],
            shared.data[offset + 1],
            shared.data[offset + 2],
            shared.data[offset + 3],
        ]),
    }
}
