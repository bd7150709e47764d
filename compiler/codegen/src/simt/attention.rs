//! Attention without tensor cores: a warp for each query, online softmax over the keys it may see.
//!
//! Lane `l` holds features `l, l + 32, …` of the query and of the output. Dot products are summed across the warp by shuffles. For each
//! logit s with value v: `m' = max(m, s)`, `sum = sum e^(m - m') + e^(s - m')`, and the output likewise (Milakov and
//! Gimelshein, arXiv 1805.02867). Nothing of the size of the logits is stored.

use crate::emit::{Builder, Cmp, FCmp, Ty, Val};
use crate::kernel::Kernel;
use crate::math;
use crate::nest::{delinearise, plain_launch};
use crate::scalar::{from_memory, memory_type, round_float, to_memory};
use crate::select::Family;
use tricot_kernel::{Attention, AttentionKind, Body, KernelDesc, View};
use tricot_plan::GpuLaunch;
use tricot_types::{DType, Diagnostic, Poly, SymbolTable};

const WARPS: u32 = 4;

/// A fused attention.
struct Simple {
    desc: KernelDesc,
    points: Poly,
}

/// Takes every [`Body::Attention`] whose features a warp can hold (1024 of each kind).
pub fn family(desc: &KernelDesc, _: &SymbolTable) -> Option<Box<dyn Family>> {
    let Body::Attention(a) = &desc.body else { return None };
    if a.dim > 1024 || a.dim_v > 1024 || !a.dtype.is_float() {
        return None;
    }
    let points = a.batch.checked_mul(&a.seq_q)?.checked_mul(&a.heads_q)?;
    Some(Box::new(Simple { desc: desc.clone(), points }))
}

impl Family for Simple {
    fn choice(&self) -> String {
        "simt attention, warp per query".into()
    }

    fn launch(&self) -> GpuLaunch {
        plain_launch(&self.desc, self.points.ceil_div(i64::from(WARPS)), WARPS * 32, 0)
    }

    fn emit(&self, kernel: &Kernel) -> Result<(), Diagnostic> {
        let Body::Attention(a) = &self.desc.body else { unreachable!("constructed from attention") };
        emit(kernel, a);
        Ok(())
    }
}

/// The kernel, the attention and what identifies this warp's query.
struct Query<'a> {
    k: &'a Kernel<'a>,
    a: &'a Attention,
    lane: Val,
    batch: Val,
    /// Position in the query sequence.
    i: Val,
    head: Val,
    kv_head: Val,
}

fn emit(k: &Kernel, a: &Attention) {
    let b = &k.b;
    let (batch, seq_q, heads) = (k.poly(&a.batch), k.poly(&a.seq_q), k.poly(&a.heads_q));
    let thread = b.thread(0);
    let warp = b.shr_u(thread, b.i32(5));
    let point = b.add(b.mul(b.resize_u(b.block(0), Ty::I64), b.i64(i64::from(WARPS))), b.resize_u(warp, Ty::I64));
    let total = b.mul(b.mul(batch, seq_q), heads);
    // The whole warp takes the same side, so shuffles inside are safe.
    b.when(b.cmp(Cmp::Slt, point, total), || {
        let position = delinearise(b, point, &[batch, seq_q, heads]);
        let group = b.div_s(heads, k.poly(&a.heads_kv));
        let query = Query {
            k,
            a,
            lane: b.lane_id(),
            batch: position[0],
            i: position[1],
            head: position[2],
            kv_head: b.div_s(position[2], group),
        };
        query.emit();
    });
}

/// The online softmax: largest logit, sum, and this lane's output features.
struct Running {
    most: Val,
    sum: Val,
    out: Vec<Val>,
}

impl Running {
    fn start(b: &Builder, features: usize) -> Vec<Val> {
        [vec![b.f32(f32::NEG_INFINITY), b.f32(0.0)], vec![b.f32(0.0); features]].concat()
    }

    fn of(values: &[Val]) -> Running {
        Running { most: values[0], sum: values[1], out: values[2..].to_vec() }
    }

    fn values(self) -> Vec<Val> {
        [vec![self.most, self.sum], self.out].concat()
    }

    /// Takes in one logit with its value vector; a logit of -infinity changes nothing.
    fn step(self, b: &Builder, logit: Val, value: &[Val]) -> Running {
        let most = b.max_f(self.most, logit);
        // Before the first finite logit the difference would be NaN.
        let nothing = b.cmp_f(FCmp::Oeq, most, b.f32(f32::NEG_INFINITY));
        let base = b.select(nothing, b.f32(0.0), most);
        let (old, new) = (math::exp(b, b.sub(self.most, base)), math::exp(b, b.sub(logit, base)));
        let out = self.out.iter().zip(value).map(|(o, v)| b.fma(new, *v, b.mul(*o, old))).collect();
        Running { most, sum: b.fma(self.sum, old, new), out }
    }
}

impl Query<'_> {
    fn b(&self) -> &Builder {
        &self.k.b
    }

    /// This lane's features of a row of a view, as f32; absent ones are 0.
    fn row(&self, view: &View, dtype: DType, position: [Val; 3], features: u32) -> Vec<Val> {
        let b = self.b();
        let base = self.address(view, &position);
        let stride = self.k.poly(&view.strides[3]);
        (0..features.div_ceil(32))
            .map(|n| {
                let feature = b.add(self.lane, b.i32(32 * n as i32));
                let load = || {
                    let at = b.add(base, b.mul(b.resize_u(feature, Ty::I64), stride));
                    self.element(view, dtype, at)
                };
                if (n + 1) * 32 <= features {
                    return load();
                }
                let exists = b.cmp(Cmp::Slt, feature, b.i32(features as i32));
                b.if_else(exists, || vec![load()], || vec![b.f32(0.0)])[0]
            })
            .collect()
    }

    fn element(&self, view: &View, dtype: DType, at: Val) -> Val {
        let b = self.b();
        let ty = memory_type(dtype);
        let value = from_memory(b, dtype, b.load(b.gep(self.k.buffer(view.buffer), ty, at), ty, dtype.bits() / 8));
        b.resize_f(value, Ty::F32)
    }

    /// The element index of the leading axes.
    fn address(&self, view: &View, position: &[Val]) -> Val {
        let b = self.b();
        let start = self.k.poly(&view.offset);
        position.iter().zip(&view.strides).fold(start, |at, (p, s)| b.add(at, b.mul(*p, self.k.poly(s))))
    }

    /// The sum over the warp of the products of lanes' features.
    fn dot(&self, x: &[Val], y: &[Val]) -> Val {
        let b = self.b();
        let own = x.iter().zip(y).fold(b.f32(0.0), |s, (x, y)| b.fma(*x, *y, s));
        [16, 8, 4, 2, 1].into_iter().fold(own, |s, mask| b.add(s, b.shuffle_xor(s, mask)))
    }

    fn emit(&self) {
        let b = self.b();
        let a = self.a;
        let scale = b.f32(f64::from_bits(a.scale_bits) as f32);
        let q = self.row(&a.q, a.dtype, [self.batch, self.i, self.head], a.dim);
        let q: Vec<Val> = q.into_iter().map(|v| b.mul(v, scale)).collect();
        let seq_k = self.k.poly(&a.seq_k);
        let features = a.dim_v.div_ceil(32) as usize;
        let start = Running::start(b, features);
        let one = b.i64(1);
        let kv = |j: Val| [self.batch, j, self.kv_head];
        let finals = match &a.kind {
            AttentionKind::Dot { causal_offset, window, bias } => {
                let (mut low, mut high) = (b.i64(0), seq_k);
                if let Some(offset) = causal_offset {
                    let last = b.add(self.i, self.k.poly(offset));
                    high = b.min_s(high, b.add(last, one));
                    if let Some(w) = window {
                        low = b.max_s(low, b.sub(last, b.i64(i64::try_from(*w).unwrap_or(i64::MAX) - 1)));
                    }
                }
                b.for_loop(low, high, one, &start, |j, running| {
                    let key = self.row(&a.k, a.dtype, kv(j), a.dim);
                    let mut logit = self.dot(&q, &key);
                    if let Some((view, dtype)) = bias {
                        let at = self.address(view, &[self.batch, self.head, self.i, j]);
                        logit = b.add(logit, self.element(view, *dtype, at));
                    }
                    let value = self.row(&a.v, a.dtype, kv(j), a.dim_v);
                    Running::of(running).step(b, logit, &value).values()
                })
            }
            AttentionKind::Trilinear { w1, w2, k2, v2, k2_bias_bits, v2_bias_bits } => {
                let (k_bias, v_bias) = (f64::from_bits(*k2_bias_bits) as f32, f64::from_bits(*v2_bias_bits) as f32);
                let shifted =
                    |row: Vec<Val>, by: f32| -> Vec<Val> { row.into_iter().map(|v| b.add(v, b.f32(by))).collect() };
                let high = b.min_s(seq_k, b.add(self.i, one));
                let low = |w: u64| b.max_s(b.i64(0), b.sub(self.i, b.i64(i64::try_from(w).unwrap_or(i64::MAX) - 1)));
                b.for_loop(low(*w1), high, one, &start, |j, running| {
                    let key = self.row(&a.k, a.dtype, kv(j), a.dim);
                    let value = self.row(&a.v, a.dtype, kv(j), a.dim_v);
                    let pair: Vec<Val> = q.iter().zip(&key).map(|(x, y)| b.mul(*x, *y)).collect();
                    b.for_loop(low(*w2), high, one, running, |l, running| {
                        let second = shifted(self.row(k2, a.dtype, kv(l), a.dim), k_bias);
                        let logit = self.dot(&pair, &second);
                        let other = shifted(self.row(v2, a.dtype, kv(l), a.dim_v), v_bias);
                        let product: Vec<Val> = value.iter().zip(&other).map(|(x, y)| b.mul(*x, *y)).collect();
                        Running::of(running).step(b, logit, &product).values()
                    })
                })
            }
        };
        self.finish(Running::of(&finals));
    }

    fn finish(&self, running: Running) {
        let b = self.b();
        let a = self.a;
        // A query that saw no key has sum 0, output 0 and LSE -infinity.
        let empty = b.cmp_f(FCmp::Oeq, running.sum, b.f32(0.0));
        let inverse = b.div_f(b.f32(1.0), b.select(empty, b.f32(1.0), running.sum));
        let base = self.address(&a.out, &[self.batch, self.i, self.head]);
        let stride = self.k.poly(&a.out.strides[3]);
        let dtype = self.k.desc.buffers[a.out.buffer as usize].dtype;
        for (n, value) in running.out.iter().enumerate() {
            let feature = b.add(self.lane, b.i32(32 * n as i32));
            b.when(b.cmp(Cmp::Slt, feature, b.i32(a.dim_v as i32)), || {
                let at = b.add(base, b.mul(b.resize_u(feature, Ty::I64), stride));
                let stored = to_memory(b, dtype, round_float(b, dtype, b.mul(*value, inverse)));
                b.store(stored, b.gep(self.k.buffer(a.out.buffer), memory_type(dtype), at), dtype.bits() / 8);
            });
        }
        if let Some(lse) = &a.lse {
            b.when(b.cmp(Cmp::Eq, self.lane, b.i32(0)), || {
                let at = self.address(lse, &[self.batch, self.head, self.i]);
                let value = b.add(running.most, math::log(b, running.sum));
                let value = b.select(empty, b.f32(f32::NEG_INFINITY), value);
                b.store(value, b.gep(self.k.buffer(lse.buffer), Ty::F32, at), 4);
            });
        }
    }
}
