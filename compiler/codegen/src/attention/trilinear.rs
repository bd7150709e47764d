//! Trilinear (2-simplicial) attention, arXiv 2507.02754: one query per block, K2 and V2 streamed past products of q and K1.
//!
//! ```text
//! rows     r = (j, h): outer key j of the short window and a head h of one key head      128 a tile, 64 per consumer
//! A        q_h * k1_j                      built in shared memory once per row tile
//! S        A K2^T, softmax over the long window                                          flash.rs
//! O_r      sum_k P_rk v2_k
//! total_r += v1_j * O_r                    once per row tile: v1 leaves the inner loop
//! out_h    = sum over rows of h of total_r, weighted by their maxima                     once per query
//! ```
//! The identity `sum_jk P (v1_j * v2_k) = sum_j v1_j * (sum_k P v2_k)` makes the inner loop that of dot-product attention. The operator
//! is symmetric in its two key sides, so the shorter window is always the outer one. The central type is [`Trilinear`].

use super::dot::{log_sum, store_lse};
use super::flash::{Flash, Running};
use super::rows::{self, Limits};
use super::views::{Tensor, copy_rows, element};
use super::{LOG2_E, feature_size, group};
use crate::emit::{Builder, Cmp, FCmp, Ty, Val};
use crate::kernel::Kernel;
use crate::select::Family;
use crate::tile::barrier::{self, Cursor, Ring};
use crate::tile::fragment::{self, Fragment};
use crate::tile::roles::{Block, CONSUMERS, THREADS, WARPGROUP};
use crate::tile::smem::{self, ATOM, Layout, SHARED_LIMIT, plus};
use crate::tile::wgmma;
use tricot_kernel::{Attention, AttentionKind, KernelDesc, View};
use tricot_plan::{GpuLaunch, Param};
use tricot_types::{DType, Diagnostic, Poly, SymbolTable};

/// Rows of a tile.
const ROWS: u32 = CONSUMERS * wgmma::M;

/// Elements a thread moves at once: 16 bytes.
const VECTOR: u32 = 8;

/// Trilinear attention of one description.
pub struct Trilinear {
    flash: Flash,
    stages: u32,
    /// Query heads of one key head, those handled by one block, and blocks per key head.
    group: u32,
    heads: u32,
    head_tiles: u32,
    scale: f64,
    seq: Poly,
    heads_kv: Poly,
    q: Tensor,
    /// The side with the short window, `outer` keys long, and the long one.
    k1: Tensor,
    v1: Tensor,
    outer: u64,
    inner: u64,
    out: Tensor,
    lse: Option<View>,
    places: Places,
    launch: GpuLaunch,
}

#[derive(Clone, Copy)]
struct Places {
    a: u32,
    ring: u32,
    /// Final rows, over the ring: `ROWS` rows of `pitch` floats, then maximum and sum of each.
    merge: u32,
    pitch: u32,
    barriers: u32,
    total: u32,
}

impl Places {
    fn new(flash: &Flash, stages: u32) -> Places {
        let mut layout = Layout::default();
        let a = layout.take(CONSUMERS * flash.a_tile().size(), ATOM);
        let pitch = flash.dim_v + 8;
        let merge_bytes = ROWS * (pitch + 2) * 4;
        let ring = layout.take((stages * flash.stage()).max(merge_bytes), ATOM);
        let barriers = layout.take(Ring::bytes(stages), 8);
        Places { a, ring, merge: ring, pitch, barriers, total: layout.used() }
    }
}

impl Trilinear {
    /// Decides on sizes and tensor maps.
    pub fn new(desc: &KernelDesc, a: &Attention, symbols: &SymbolTable) -> Option<Trilinear> {
        let AttentionKind::Trilinear { w1, w2, k2, v2, k2_bias_bits, v2_bias_bits } = &a.kind else { return None };
        let plain = [k2_bias_bits, v2_bias_bits].into_iter().all(|bits| f64::from_bits(*bits) == 0.0);
        if !plain || !feature_size(a.dim, 128) || !feature_size(a.dim_v, 128) || *w1 == 0 || *w2 == 0 {
            return None;
        }
        let (seq, longest) = (a.seq_q.clone(), a.seq_q.bounds(symbols).1.max(1) as u64);
        if a.seq_k != seq {
            return None;
        }
        let tensor = |view: &View, heads: &Poly, dim: u32| Tensor {
            view: view.clone(),
            dtype: a.dtype,
            extents: [a.batch.clone(), seq.clone(), heads.clone(), Poly::constant(i64::from(dim))],
        };
        let sides = [(&a.k, &a.v, *w1), (k2, v2, *w2)];
        let [short, long] = if w1 <= w2 { sides } else { [sides[1], sides[0]] };
        let (k1, v1) = (tensor(short.0, &a.heads_kv, a.dim), tensor(short.1, &a.heads_kv, a.dim_v));
        let (k2, v2) = (tensor(long.0, &a.heads_kv, a.dim), tensor(long.1, &a.heads_kv, a.dim_v));
        let q = tensor(&a.q, &a.heads_q, a.dim);
        let out = tensor(&a.out, &a.heads_q, a.dim_v);
        let aligned = |t: &Tensor, n: u32| t.rows_aligned(i64::from(n), symbols);
        if !(aligned(&q, VECTOR) && aligned(&k1, VECTOR) && aligned(&v1, 2) && aligned(&out, 2)) {
            return None;
        }

        let (outer, inner) = (short.2.min(longest), long.2.min(longest));
        let keys = if inner <= 64 { 64 } else { 128 };
        let flash = Flash { dtype: a.dtype, dim: a.dim, dim_v: a.dim_v, keys };
        let stages = (2..=4).rev().find(|s| Places::new(&flash, *s).total <= SHARED_LIMIT)?;
        let places = Places::new(&flash, stages);
        let group = group(a)?;
        let head_tiles = group.div_ceil(ROWS);
        let heads = group.div_ceil(head_tiles);

        let maps = [k2.map(&flash.k_tile(), keys, symbols)?, v2.map(&flash.v_tile(), keys, symbols)?];
        let mut params: Vec<Param> = maps.into_iter().map(Param::TensorMap).collect();
        params.extend((0..desc.buffers.len() as u32).map(Param::Buffer));
        params.extend((0..desc.symbols.len() as u32).map(Param::Symbol));
        let blocks = seq.clone() * Poly::constant(i64::from(head_tiles)) * a.heads_kv.clone() * a.batch.clone();
        let launch = GpuLaunch {
            entry: String::new(),
            grid: [blocks, Poly::constant(1), Poly::constant(1)],
            block: [THREADS, 1, 1],
            cluster: [1, 1, 1],
            shared_bytes: places.total,
            params,
            scratch: Poly::default(),
            zero_scratch: false,
            min_assembler: crate::ptxas::MINIMUM_TEXT.into(),
        };
        Some(Trilinear {
            flash,
            stages,
            group,
            heads,
            head_tiles,
            scale: f64::from_bits(a.scale_bits),
            seq,
            heads_kv: a.heads_kv.clone(),
            q,
            k1,
            v1,
            outer,
            inner,
            out,
            lse: a.lse.clone(),
            places,
            launch,
        })
    }

    /// Outer keys of one row tile.
    fn outer_per_tile(&self) -> u32 {
        ROWS / self.heads
    }
}

impl Family for Trilinear {
    fn choice(&self) -> String {
        let Flash { dim, dim_v, keys, .. } = self.flash;
        format!("trilinear wgmma {}x{}h{keys} d{dim}.{dim_v} s{}", self.outer_per_tile(), self.heads, self.stages)
    }

    fn launch(&self) -> GpuLaunch {
        self.launch.clone()
    }

    fn emit(&self, k: &Kernel) -> Result<(), Diagnostic> {
        Emission::new(k, self).emit();
        Ok(())
    }
}

/// The kernel under emission.
struct Emission<'a> {
    k: &'a Kernel<'a>,
    b: &'a Builder,
    t: &'a Trilinear,
    block: Block,
    shared: Val,
    ring: Ring,
    query: Val,
    /// First query head of this block, relative to its key head's, and the key head.
    head: Val,
    key_head: Val,
    batch: Val,
    first_outer: Val,
    outers: Val,
    first_inner: Val,
    row_tiles: Val,
    key_blocks: Val,
}

impl<'a> Emission<'a> {
    fn new(k: &'a Kernel<'a>, t: &'a Trilinear) -> Emission<'a> {
        let b = &k.b;
        let size = |p: &Poly| b.resize_s(k.poly(p), Ty::I32);
        let count = |n: u32| b.i32(n as i32);
        let (seq, heads_kv) = (size(&t.seq), size(&t.heads_kv));
        let at = b.block(0);
        let (query, plane) = (b.rem_u(at, seq), b.div_u(at, seq));
        let (head_tile, plane) = (b.rem_u(plane, count(t.head_tiles)), b.div_u(plane, count(t.head_tiles)));
        let (key_head, batch) = (b.rem_u(plane, heads_kv), b.div_u(plane, heads_kv));
        let first = |window: u64| b.max_s(b.sub(query, b.i32(window.min(1 << 30) as i32 - 1)), b.i32(0));
        let (first_outer, first_inner) = (first(t.outer), first(t.inner));
        let keys = |first: Val| b.add(b.sub(query, first), b.i32(1));
        let tiles = |n: Val, per: u32| b.div_u(b.add(n, count(per - 1)), count(per));
        let outers = keys(first_outer);
        let shared = b.ptr_to_int(k.shared(), Ty::I32);
        Emission {
            k,
            b,
            t,
            block: Block::new(b),
            shared,
            ring: Ring { base: plus(b, shared, t.places.barriers), stages: t.stages },
            query,
            head: b.mul(head_tile, count(t.heads)),
            key_head,
            batch,
            first_outer,
            outers,
            first_inner,
            row_tiles: tiles(outers, t.outer_per_tile()),
            key_blocks: tiles(keys(first_inner), t.flash.keys),
        }
    }

    fn emit(&self) {
        let b = self.b;
        self.block.single(b, 0, || {
            self.ring.init(b, CONSUMERS * 4);
            barrier::publish_init(b);
        });
        b.barrier();
        self.block.specialise(b, || self.produce(), || self.consume());
    }

    fn stage(&self, stage: Val) -> Val {
        let b = self.b;
        b.add(plus(b, self.shared, self.t.places.ring), b.mul(stage, b.i32(self.t.flash.stage() as i32)))
    }

    /// Streams the inner window once for every row tile.
    fn produce(&self) {
        let (b, flash) = (self.b, self.t.flash);
        let start = self.ring.start(b);
        let all = b.mul(self.row_tiles, self.key_blocks);
        b.for_loop(b.i32(0), all, b.i32(1), &[start.stage, start.parity], |i, at| {
            let at = Cursor { stage: at[0], parity: at[1] };
            let within = b.rem_u(i, self.key_blocks);
            let key = b.add(self.first_inner, b.mul(within, b.i32(flash.keys as i32)));
            let full = self.ring.acquire(b, at, flash.stage());
            let to = self.stage(at.stage);
            copy_rows(self.k, 0, &flash.k_tile(), to, key, self.key_head, self.batch, full);
            let to = plus(b, to, flash.k_tile().size());
            copy_rows(self.k, 1, &flash.v_tile(), to, key, self.key_head, self.batch, full);
            let next = self.ring.next(b, at);
            vec![next.stage, next.parity]
        });
    }

    fn consume(&self) {
        let (b, flash) = (self.b, self.t.flash);
        let c = b.f32((self.t.scale * LOG2_E) as f32);
        let base = b.mul(self.block.warpgroup, b.i32(wgmma::M as i32));
        let own = rows::own(b, &self.block).map(|r| b.add(base, r));
        let a = b.add(
            plus(b, self.shared, self.t.places.a),
            b.mul(self.block.warpgroup, b.i32(flash.a_tile().size() as i32)),
        );
        let end_key = b.add(self.query, b.i32(1));

        let start = self.ring.start(b);
        let mut init = vec![start.stage, start.parity];
        init.extend(Running::start(b).pack());
        init.extend(Fragment::splat(b, flash.dim_v, 0.0).regs);
        let end = b.for_loop(b.i32(0), self.row_tiles, b.i32(1), &init, |tile, state| {
            let (running, total) = state[2..].split_at(Running::CARRIED);
            self.build_a(a, base, tile);
            let placed = own.map(|r| self.place(r, tile));
            // A row beyond the window sees no key at all.
            let high = placed.map(|p| b.select(p.counts, end_key, b.i32(0)));
            let limits = Limits { low: [b.i32(0); 2], high };
            let last_tile = b.cmp(Cmp::Eq, tile, b.sub(self.row_tiles, b.i32(1)));
            let idle = self.t.outer_per_tile() * self.t.heads != ROWS;
            let padded = b.or(last_tile, b.bool(idle));

            let mut init = vec![state[0], state[1]];
            init.extend(running);
            init.extend(Fragment::splat(b, flash.dim_v, 0.0).regs);
            let inner = b.for_loop(b.i32(0), self.key_blocks, b.i32(1), &init, |i, state| {
                let at = Cursor { stage: state[0], parity: state[1] };
                let (running, out) = state[2..].split_at(Running::CARRIED);
                let first = b.add(self.first_inner, b.mul(i, b.i32(flash.keys as i32)));
                let crossed = b.cmp(Cmp::Sgt, b.add(first, b.i32(flash.keys as i32)), end_key);
                self.ring.await_full(b, at);
                let keys = self.stage(at.stage);
                let scores = flash.scores(b, a, keys);
                let scores = limits.mask_if(b, &self.block, &scores, first, b.or(crossed, padded));
                let (weights, keep, running) = flash.softmax(b, &scores, c, Running::unpack(running));
                let out = flash.accumulate(b, &weights, keep, out, plus(b, keys, flash.k_tile().size()));
                self.block.each_warp(b, || barrier::arrive(b, self.ring.empty(b, at.stage)));
                let next = self.ring.next(b, at);
                let mut state = vec![next.stage, next.parity];
                state.extend(running.pack());
                state.extend(out);
                state
            });
            let (after, out) = inner[2..].split_at(Running::CARRIED);
            let total = self.add_tile(Running::unpack(running), Running::unpack(after), total, out, &placed, c);
            let mut state = inner[..2].to_vec();
            state.extend(after);
            state.extend(total);
            state
        });
        let (running, total) = end[2..].split_at(Running::CARRIED);
        self.leave(own, Running::unpack(running), total);
        self.merge(c);
    }

    /// Where row `row` (of 128) of a row tile lies.
    fn place(&self, row: Val, tile: Val) -> Place {
        let b = self.b;
        let heads = b.i32(self.t.heads as i32);
        let per = self.t.outer_per_tile();
        let (part, head) = (b.div_u(row, heads), b.rem_u(row, heads));
        let outer = b.add(b.mul(tile, b.i32(per as i32)), part);
        let head = b.add(self.head, head);
        let within = b.and(b.cmp(Cmp::Slt, part, b.i32(per as i32)), b.cmp(Cmp::Slt, outer, self.outers));
        let counts = b.and(within, b.cmp(Cmp::Slt, head, b.i32(self.t.group as i32)));
        let outer = b.add(self.first_outer, b.select(counts, outer, b.i32(0)));
        let head = b.select(counts, head, b.i32(0));
        let head = b.add(b.mul(self.key_head, b.i32(self.t.group as i32)), head);
        Place { outer, head, counts }
    }

    /// Writes this warpgroup's A tile: q times k1 of each row, zero rows where there is none.
    ///
    /// ```text
    /// thread t: 16-byte chunk t % 8 of every 128-byte row t / 8, t / 8 + 16, t / 8 + 32, t / 8 + 48
    /// ```
    fn build_a(&self, a: Val, base: Val, tile: Val) {
        let (b, k, t) = (self.b, self.k, self.t);
        let thread = b.and(self.block.thread, b.i32(WARPGROUP as i32 - 1));
        let (chunk, line) = (b.and(thread, b.i32(7)), b.shr_u(thread, b.i32(3)));
        let barrier_id = b.add(self.block.warpgroup, b.i32(1));
        // All warps have finished with the tile before.
        b.named_barrier(barrier_id, b.i32(WARPGROUP as i32));
        let layout = t.flash.a_tile();
        let half = element(t.flash.dtype).vec(VECTOR);
        for step in 0..wgmma::M / 16 {
            let row = b.add(line, b.i32((step * 16) as i32));
            let place = self.place(b.add(base, row), tile);
            let q = t.q.row(k, [self.batch, self.query, place.head]);
            let k1 = t.k1.row(k, [self.batch, place.outer, self.key_head]);
            let at = b.add(a, smem::swizzled(b, row, chunk));
            for part in 0..layout.chunks() {
                let feature = b.add(b.mul(chunk, b.i32(VECTOR as i32)), b.i32((part * layout.per_row()) as i32));
                b.when(b.cmp(Cmp::Slt, feature, b.i32(t.flash.dim as i32)), || {
                    let read = |row: Val| b.load(b.gep(row, element(t.flash.dtype), feature), half, 16);
                    let product = self.product(read(q), read(k1));
                    let words: Vec<Val> = product.iter().map(|w| b.select(place.counts, *w, b.i32(0))).collect();
                    smem::store(b, plus(b, at, part * layout.chunk_bytes()), &words);
                });
            }
        }
        smem::publish_to_async(b);
        b.named_barrier(barrier_id, b.i32(WARPGROUP as i32));
    }

    /// The products of two vectors of 8, rounded to their type, as four i32.
    fn product(&self, x: Val, y: Val) -> [Val; 4] {
        let b = self.b;
        let name = if self.t.flash.dtype == DType::BF16 { "bf16x2" } else { "f16x2" };
        let (x, y) = (b.bitcast(x, Ty::I32.vec(4)), b.bitcast(y, Ty::I32.vec(4)));
        let text = format!("mul.rn.{name} $0, $1, $2;");
        [0, 1, 2, 3].map(|i| b.asm_pure(&text, "=r,r,r", &[b.lane(x, i), b.lane(y, i)], Ty::I32))
    }

    /// `total * exp2(c (max before - max)) + v1 * out`.
    fn add_tile(
        &self,
        before: Running,
        after: Running,
        total: &[Val],
        out: &[Val],
        placed: &[Place; 2],
        c: Val,
    ) -> Vec<Val> {
        let (b, k, t) = (self.b, self.k, self.t);
        let keep = [0, 1].map(|i| {
            let shift = super::flash::reference(b, after.max[i], c);
            fragment::exp2(b, b.fma(before.max[i], c, shift))
        });
        let pair = b.mul(b.and(self.block.lane, b.i32(3)), b.i32(2));
        let rows = placed.map(|p| {
            let row = t.v1.row(k, [self.batch, p.outer, self.key_head]);
            b.gep(row, element(t.flash.dtype), pair)
        });
        let mut sum = vec![];
        for i in (0..out.len()).step_by(2) {
            let (half, group, _) = fragment::place(i);
            let v1 = b.load(b.offset(rows[half], group as i64 * 16), Ty::I32, 4);
            let v1 = fragment::unpack(b, t.flash.dtype, v1);
            for j in 0..2 {
                sum.push(b.fma(v1[j], out[i + j], b.mul(total[i + j], keep[half])));
            }
        }
        sum
    }

    /// Puts this thread's rows into shared memory, where the ring was, with their maximum and sum.
    fn leave(&self, own: [Val; 2], running: Running, total: &[Val]) {
        let (b, places) = (self.b, self.t.places);
        let consumers = b.i32((CONSUMERS * WARPGROUP) as i32);
        // Both consumers have finished with the last stage.
        b.named_barrier(b.i32(3), consumers);
        let sum = running.sum.map(|s| fragment::quad(b, s, |x, y| b.add(x, y)));
        let pair = b.mul(b.and(self.block.lane, b.i32(3)), b.i32(2));
        let area = plus(b, self.shared, places.merge);
        for half in 0..2 {
            let line = b.add(b.mul(own[half], b.i32(places.pitch as i32)), pair);
            let at = b.add(area, b.mul(line, b.i32(4)));
            for group in 0..total.len() / 4 {
                let i = 4 * group + 2 * half;
                smem::store(b, plus(b, at, group as u32 * 32), &total[i..i + 2]);
            }
            let stats = b.add(self.stats(), b.mul(own[half], b.i32(8)));
            b.when(b.cmp(Cmp::Eq, pair, b.i32(0)), || smem::store(b, stats, &[running.max[half], sum[half]]));
        }
        b.named_barrier(b.i32(3), consumers);
    }

    fn stats(&self) -> Val {
        plus(self.b, self.shared, self.t.places.merge + ROWS * self.t.places.pitch * 4)
    }

    /// Adds up the rows of each head and stores the query's output, two features a thread at a time.
    fn merge(&self, c: Val) {
        let (b, k, t) = (self.b, self.k, self.t);
        let pairs = t.flash.dim_v / 2;
        let (heads, parts) = (b.i32(t.heads as i32), b.i32(t.outer_per_tile() as i32));
        let area = plus(b, self.shared, t.places.merge);
        let work = b.i32((t.heads * pairs) as i32);
        b.for_each(self.block.thread, work, b.i32((CONSUMERS * WARPGROUP) as i32), |i| {
            let (head, pair) = (b.div_u(i, b.i32(pairs as i32)), b.rem_u(i, b.i32(pairs as i32)));
            let row = |part: Val| b.add(b.mul(part, heads), head);
            let stats = |part: Val| smem::load(b, b.add(self.stats(), b.mul(row(part), b.i32(8))), Ty::F32, 2);
            let zero = b.i32(0);
            let one = b.i32(1);
            let max = b.for_loop(zero, parts, one, &[b.f32(f32::NEG_INFINITY)], |p, m| {
                vec![fragment::max(b, m[0], stats(p)[0])]
            })[0];
            let shift = super::flash::reference(b, max, c);
            let sums = b.for_loop(zero, parts, one, &[b.f32(0.0); 3], |p, sums| {
                let own = stats(p);
                let weight = fragment::exp2(b, b.fma(own[0], c, shift));
                let at = b.add(b.mul(row(p), b.i32(t.places.pitch as i32)), b.mul(pair, b.i32(2)));
                let values = smem::load(b, b.add(area, b.mul(at, b.i32(4))), Ty::F32, 2);
                [own[1], values[0], values[1]].iter().zip(sums).map(|(v, s)| b.fma(*v, weight, *s)).collect()
            });
            let in_group = b.add(self.head, head);
            b.when(b.cmp(Cmp::Slt, in_group, b.i32(t.group as i32)), || {
                let none = b.cmp_f(FCmp::Oeq, sums[0], b.f32(0.0));
                let inverse = b.select(none, b.f32(0.0), b.div_f(b.f32(1.0), sums[0]));
                let head = b.add(b.mul(self.key_head, b.i32(t.group as i32)), in_group);
                let out = t.out.row(k, [self.batch, self.query, head]);
                let word = fragment::pack(b, t.flash.dtype, b.mul(sums[1], inverse), b.mul(sums[2], inverse));
                b.store(word, b.gep(out, Ty::I32, pair), 4);
                if let Some(lse) = &t.lse {
                    let value = log_sum(b, max, sums[0], c);
                    b.when(b.cmp(Cmp::Eq, pair, zero), || store_lse(k, lse, [self.batch, head, self.query], value));
                }
            });
        });
    }
}

/// What a row stands for: absolute outer key and query head, and whether it exists.
#[derive(Clone, Copy)]
struct Place {
    outer: Val,
    head: Val,
    counts: Val,
}
