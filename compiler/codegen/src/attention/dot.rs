//! Dot-product attention: 128 queries of one head per block, keys and values streamed past them.
//!
//! The central type is [`Dot`]. Causal masks and windows cut the range of key blocks; only blocks that a limit crosses are masked.
//! Source: FlashAttention-3 (arXiv 2407.08608), without its ping-pong.

use super::flash::{Flash, Running};
use super::rows::{self, Limits};
use super::views::{Tensor, copy_rows, element};
use super::{LOG2_E, feature_size, group};
use crate::emit::{Builder, Cmp, FCmp, Ty, Val};
use crate::kernel::Kernel;
use crate::select::Family;
use crate::tile::barrier::{self, Cursor, MBARRIER, Ring};
use crate::tile::fragment::{self, Fragment};
use crate::tile::roles::{Block, CONSUMERS, THREADS};
use crate::tile::smem::{ATOM, Layout, SHARED_LIMIT, plus};
use crate::tile::wgmma;
use tricot_kernel::{Attention, AttentionKind, KernelDesc, View};
use tricot_plan::{GpuLaunch, Param};
use tricot_types::{DType, Diagnostic, Poly, SymbolTable};

/// Queries of a block.
const QUERIES: u32 = CONSUMERS * wgmma::M;

/// Dot-product attention of one description.
pub struct Dot {
    flash: Flash,
    stages: u32,
    heads_per_key: u32,
    scale: f64,
    out: Tensor,
    seq_q: Poly,
    seq_k: Poly,
    heads: Poly,
    lse: Option<View>,
    offset: Option<Poly>,
    window: Option<u64>,
    bias: Option<(View, DType)>,
    places: Places,
    launch: GpuLaunch,
}

#[derive(Clone, Copy)]
struct Places {
    queries: u32,
    ring: u32,
    barriers: u32,
    total: u32,
}

impl Places {
    fn new(flash: &Flash, stages: u32) -> Places {
        let mut layout = Layout::default();
        let queries = layout.take(CONSUMERS * flash.a_tile().size(), ATOM);
        let ring = layout.take(stages * flash.stage(), ATOM);
        let barriers = layout.take(Ring::bytes(stages) + MBARRIER, 8);
        Places { queries, ring, barriers, total: layout.used() }
    }
}

impl Dot {
    /// Decides on sizes and tensor maps.
    pub fn new(desc: &KernelDesc, a: &Attention, symbols: &SymbolTable) -> Option<Dot> {
        let AttentionKind::Dot { causal_offset, window, bias } = &a.kind else { return None };
        if !feature_size(a.dim, 256) || !feature_size(a.dim_v, 256) || a.out.strides[3] != Poly::constant(1) {
            return None;
        }
        if bias.as_ref().is_some_and(|(_, d)| !matches!(d, DType::F16 | DType::BF16 | DType::F32)) {
            return None;
        }
        let sizes = |keys: u32| Flash { dtype: a.dtype, dim: a.dim, dim_v: a.dim_v, keys };
        let few = a.seq_k.bounds(symbols).1 <= 64;
        let keys = if a.dim.max(a.dim_v) > 128 || few || bias.is_some() { 64 } else { 128 };
        let flash = sizes(keys);
        let fits = |stages: &u32| Places::new(&flash, *stages).total <= SHARED_LIMIT;
        let stages = (2..=4).rev().find(fits)?;
        let places = Places::new(&flash, stages);

        let tensor = |view: &View, heads: &Poly, seq: &Poly, dim: u32| Tensor {
            view: view.clone(),
            dtype: a.dtype,
            extents: [a.batch.clone(), seq.clone(), heads.clone(), Poly::constant(i64::from(dim))],
        };
        let queries = tensor(&a.q, &a.heads_q, &a.seq_q, a.dim);
        let k = tensor(&a.k, &a.heads_kv, &a.seq_k, a.dim);
        let v = tensor(&a.v, &a.heads_kv, &a.seq_k, a.dim_v);
        let out = tensor(&a.out, &a.heads_q, &a.seq_q, a.dim_v);
        if !out.rows_aligned(2, symbols) {
            return None;
        }
        let maps = [
            queries.map(&flash.a_tile(), wgmma::M, symbols)?,
            k.map(&flash.k_tile(), keys, symbols)?,
            v.map(&flash.v_tile(), keys, symbols)?,
        ];
        let mut params: Vec<Param> = maps.into_iter().map(Param::TensorMap).collect();
        params.extend((0..desc.buffers.len() as u32).map(Param::Buffer));
        params.extend((0..desc.symbols.len() as u32).map(Param::Symbol));
        let blocks = a.seq_q.ceil_div(i64::from(QUERIES)) * a.heads_q.clone() * a.batch.clone();
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
        Some(Dot {
            flash,
            stages,
            heads_per_key: group(a)?,
            scale: f64::from_bits(a.scale_bits),

            out,
            seq_q: a.seq_q.clone(),
            seq_k: a.seq_k.clone(),
            heads: a.heads_q.clone(),
            lse: a.lse.clone(),
            offset: causal_offset.clone(),
            window: *window,
            bias: bias.clone(),
            places,
            launch,
        })
    }
}

impl Family for Dot {
    fn choice(&self) -> String {
        format!(
            "attention wgmma {QUERIES}x{} d{}.{} s{}",
            self.flash.keys, self.flash.dim, self.flash.dim_v, self.stages
        )
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
    d: &'a Dot,
    block: Block,
    shared: Val,
    ring: Ring,
    /// The barrier of the query tiles.
    queries_full: Val,
    /// First query of the block, its head and batch.
    first: Val,
    head: Val,
    batch: Val,
    /// First key any query of this block sees, and the number of key blocks from there.
    first_key: Val,
    key_blocks: Val,
    seq_q: Val,
    seq_k: Val,
}

impl<'a> Emission<'a> {
    fn new(k: &'a Kernel<'a>, d: &'a Dot) -> Emission<'a> {
        let b = &k.b;
        let size = |p: &Poly| b.resize_s(k.poly(p), Ty::I32);
        let (seq_q, seq_k, heads) = (size(&d.seq_q), size(&d.seq_k), size(&d.heads));
        let tiles = size(&d.seq_q.ceil_div(i64::from(QUERIES)));
        // The last queries first: under a causal mask they have the most keys.
        let at = b.block(0);
        let tile = b.sub(b.sub(tiles, b.i32(1)), b.rem_u(at, tiles));
        let plane = b.div_u(at, tiles);
        let (head, batch) = (b.rem_u(plane, heads), b.div_u(plane, heads));
        let first = b.mul(tile, b.i32(QUERIES as i32));
        let last = b.sub(b.min_s(b.add(first, b.i32(QUERIES as i32)), seq_q), b.i32(1));
        let range = Range { k, d, seq_k };
        let (low, high) = (range.low(first), range.high(last));
        let keys = b.max_s(b.sub(high, low), b.i32(0));
        let per = d.flash.keys as i32;
        // Opaque, so that LLVM unrolls nothing into the producer's few registers.
        let key_blocks = b.pin(&[b.div_u(b.add(keys, b.i32(per - 1)), b.i32(per))])[0];
        let shared = b.ptr_to_int(k.shared(), Ty::I32);
        let ring = Ring { base: plus(b, shared, d.places.barriers), stages: d.stages };
        let queries_full = plus(b, ring.base, Ring::bytes(d.stages));
        let block = Block::new(b);
        Emission {
            k,
            b,
            d,
            block,
            shared,
            ring,
            queries_full,
            first,
            head,
            batch,
            first_key: low,
            key_blocks,
            seq_q,
            seq_k,
        }
    }

    fn emit(&self) {
        let b = self.b;
        self.block.single(b, 0, || {
            self.ring.init(b, CONSUMERS * 4);
            barrier::init(b, self.queries_full, 1);
            barrier::publish_init(b);
        });
        b.barrier();
        self.block.specialise(b, || self.produce(), || self.consume());
    }

    fn stage(&self, stage: Val) -> Val {
        let b = self.b;
        b.add(plus(b, self.shared, self.d.places.ring), b.mul(stage, b.i32(self.d.flash.stage() as i32)))
    }

    fn produce(&self) {
        let (b, flash) = (self.b, self.d.flash);
        let tile = flash.a_tile();
        barrier::expect(b, self.queries_full, CONSUMERS * tile.size());
        for consumer in 0..CONSUMERS {
            let to = plus(b, self.shared, self.d.places.queries + consumer * tile.size());
            let at = b.add(self.first, b.i32((consumer * wgmma::M) as i32));
            copy_rows(self.k, 0, &tile, to, at, self.head, self.batch, self.queries_full);
        }
        let key_head = b.div_u(self.head, b.i32(self.d.heads_per_key as i32));
        let start = self.ring.start(b);
        b.for_loop(b.i32(0), self.key_blocks, b.i32(1), &[start.stage, start.parity], |i, at| {
            let at = Cursor { stage: at[0], parity: at[1] };
            let key = b.add(self.first_key, b.mul(i, b.i32(flash.keys as i32)));
            let full = self.ring.acquire(b, at, flash.stage());
            let to = self.stage(at.stage);
            copy_rows(self.k, 1, &flash.k_tile(), to, key, key_head, self.batch, full);
            let to = plus(b, to, flash.k_tile().size());
            copy_rows(self.k, 2, &flash.v_tile(), to, key, key_head, self.batch, full);
            let next = self.ring.next(b, at);
            vec![next.stage, next.parity]
        });
    }

    fn consume(&self) {
        let (b, flash) = (self.b, self.d.flash);
        let consumer = b.mul(self.block.warpgroup, b.i32(wgmma::M as i32));
        let base = b.add(self.first, consumer);
        let own = rows::own(b, &self.block).map(|r| b.add(base, r));
        let range = Range { k: self.k, d: self.d, seq_k: self.seq_k };
        let limits = Limits { low: own.map(|r| range.low(r)), high: own.map(|r| range.high(r)) };
        // What all 64 rows of this warpgroup see for certain.
        let (sure_low, sure_high) = (range.low(b.add(base, b.i32(63))), range.high(base));
        let a = b.add(
            plus(b, self.shared, self.d.places.queries),
            b.mul(self.block.warpgroup, b.i32(flash.a_tile().size() as i32)),
        );
        let biased = self.d.bias.is_some();
        let c = b.f32(if biased { LOG2_E } else { self.d.scale * LOG2_E } as f32);

        barrier::wait(b, self.queries_full, b.i32(0));
        let start = self.ring.start(b);
        let mut init = vec![start.stage, start.parity];
        init.extend(Running::start(b).pack());
        init.extend(Fragment::splat(b, flash.dim_v, 0.0).regs);
        let end = b.for_loop(b.i32(0), self.key_blocks, b.i32(1), &init, |i, state| {
            let at = Cursor { stage: state[0], parity: state[1] };
            let (running, out) = state[2..].split_at(Running::CARRIED);
            let first = b.add(self.first_key, b.mul(i, b.i32(flash.keys as i32)));
            let after = b.add(first, b.i32(flash.keys as i32));
            self.ring.await_full(b, at);
            let keys = self.stage(at.stage);
            let scores = flash.scores(b, a, keys);
            let scores = if biased { self.add_bias(&scores, own, first) } else { scores };
            let crossed = b.or(b.cmp(Cmp::Sgt, after, sure_high), b.cmp(Cmp::Slt, first, sure_low));
            let scores = limits.mask_if(b, &self.block, &scores, first, crossed);
            let (weights, keep, running) = flash.softmax(b, &scores, c, Running::unpack(running));
            let out = flash.accumulate(b, &weights, keep, out, plus(b, keys, flash.k_tile().size()));
            self.block.each_warp(b, || barrier::arrive(b, self.ring.empty(b, at.stage)));
            let next = self.ring.next(b, at);
            let mut state = vec![next.stage, next.parity];
            state.extend(running.pack());
            state.extend(out);
            state
        });
        let (running, out) = end[2..].split_at(Running::CARRIED);
        self.finish(own, Running::unpack(running), out, c);
    }

    /// Natural logits: scaled scores plus the bias where the key and the query exist.
    fn add_bias(&self, scores: &Fragment, own: [Val; 2], first: Val) -> Fragment {
        let (b, k) = (self.b, self.k);
        let (view, dtype) = self.d.bias.as_ref().expect("only called with a bias");
        let wide = |v: Val| b.resize_s(v, Ty::I64);
        let base = [self.batch, self.head]
            .iter()
            .zip(&view.strides)
            .fold(k.poly(&view.offset), |at, (i, stride)| b.add(at, b.mul(wide(*i), k.poly(stride))));
        let row = own.map(|r| {
            let r = b.min_s(r, b.sub(self.seq_q, b.i32(1)));
            b.add(base, b.mul(wide(r), k.poly(&view.strides[2])))
        });
        let last = b.sub(self.seq_k, b.i32(1));
        let pair = b.add(first, b.mul(b.and(self.block.lane, b.i32(3)), b.i32(2)));
        let scale = b.f32(self.d.scale as f32);
        let regs = scores.regs.iter().enumerate().map(|(i, s)| {
            let (half, group, element_at) = fragment::place(i);
            let key = b.min_s(b.add(pair, b.i32((group * 8 + element_at) as i32)), last);
            let at = b.add(row[half], b.mul(wide(key), k.poly(&view.strides[3])));
            let bias = b.load(b.gep(k.buffer(view.buffer), element(*dtype), at), element(*dtype), 0);
            b.fma(*s, scale, b.resize_f(bias, Ty::F32))
        });
        Fragment { regs: regs.collect() }
    }

    /// Divides by the sums and stores rows that exist, and their log-sum-exp.
    fn finish(&self, own: [Val; 2], running: Running, out: &[Val], c: Val) {
        let (b, k, d) = (self.b, self.k, self.d);
        let sum = running.sum.map(|s| fragment::quad(b, s, |x, y| b.add(x, y)));
        let pair = b.mul(b.and(self.block.lane, b.i32(3)), b.i32(2));
        for half in 0..2 {
            let none = b.cmp_f(FCmp::Oeq, sum[half], b.f32(0.0));
            let inverse = b.select(none, b.f32(0.0), b.div_f(b.f32(1.0), sum[half]));
            b.when(b.cmp(Cmp::Slt, own[half], self.seq_q), || {
                let row = d.out.row(k, [self.batch, own[half], self.head]);
                let row = b.gep(row, element(d.out.dtype), pair);
                for group in 0..(d.flash.dim_v / 8) as usize {
                    let at = 4 * group + 2 * half;
                    let [low, high] = [out[at], out[at + 1]].map(|v| b.mul(v, inverse));
                    let word = fragment::pack(b, d.flash.dtype, low, high);
                    b.store(word, b.offset(row, group as i64 * 16), 4);
                }
                if let Some(lse) = &d.lse {
                    let value = log_sum(b, running.max[half], sum[half], c);
                    b.when(b.cmp(Cmp::Eq, pair, b.i32(0)), || {
                        store_lse(k, lse, [self.batch, self.head, own[half]], value)
                    });
                }
            });
        }
    }
}

/// Natural log-sum-exp of a row; -infinity where no key counted.
pub(super) fn log_sum(b: &Builder, max: Val, sum: Val, c: Val) -> Val {
    let log2 = b.asm_pure("lg2.approx.f32 $0, $1;", "=f,f", &[sum], Ty::F32);
    let natural = b.mul(b.fma(max, c, log2), b.f32(std::f32::consts::LN_2));
    b.select(b.cmp_f(FCmp::Oeq, sum, b.f32(0.0)), b.f32(f32::NEG_INFINITY), natural)
}

/// Stores one log-sum-exp at (batch, head, query).
pub(super) fn store_lse(k: &Kernel, lse: &View, at: [Val; 3], value: Val) {
    let b = &k.b;
    let index = at
        .iter()
        .zip(&lse.strides)
        .fold(k.poly(&lse.offset), |sum, (i, stride)| b.add(sum, b.mul(b.resize_s(*i, Ty::I64), k.poly(stride))));
    b.store(value, b.gep(k.buffer(lse.buffer), Ty::F32, index), 4);
}

/// The keys a query sees.
struct Range<'a> {
    k: &'a Kernel<'a>,
    d: &'a Dot,
    seq_k: Val,
}

impl Range<'_> {
    fn shifted(&self, query: Val) -> Option<Val> {
        let offset = self.d.offset.as_ref()?;
        Some(self.k.b.add(query, self.k.b.resize_s(self.k.poly(offset), Ty::I32)))
    }

    /// The first key, at least 0.
    fn low(&self, query: Val) -> Val {
        let b = &self.k.b;
        match (self.shifted(query), self.d.window) {
            (Some(at), Some(window)) => {
                let window = b.i32(window.min(1 << 30) as i32);
                b.max_s(b.sub(at, b.sub(window, b.i32(1))), b.i32(0))
            }
            _ => b.i32(0),
        }
    }

    /// One past the last key, at most the number of keys.
    fn high(&self, query: Val) -> Val {
        let b = &self.k.b;
        match self.shifted(query) {
            Some(at) => b.min_s(b.add(at, b.i32(1)), self.seq_k),
            None => self.seq_k,
        }
    }
}
