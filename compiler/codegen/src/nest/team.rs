//! Accumulators, and combining those of all threads of a team.

use crate::emit::{Builder, Cmp, FCmp, Ty, Val};
use crate::kernel::Kernel;
use crate::scalar;
use tricot_kernel::{Acc, Binary, Combine};
use tricot_types::DType;

/// The running state of an accumulator: its value, and for `ArgMin`/`ArgMax` the position (i64).
#[derive(Clone, Copy, Debug)]
pub struct State {
    pub value: Val,
    pub position: Option<Val>,
}

/// Bytes one accumulator needs in shared memory: a value and a position for each of up to 32 warps.
const SLOT: u32 = 32 * 16;

/// Shared memory of a block that combines `accs` accumulators.
pub fn shared_bytes(accs: usize) -> u32 {
    accs as u32 * SLOT
}

fn is_arg(combine: Combine) -> bool {
    matches!(combine, Combine::ArgMin { .. } | Combine::ArgMax { .. })
}

/// The state before the first value. An arg reduction that sees no value gives position 0.
pub fn start(b: &Builder, acc: &Acc) -> State {
    let value = scalar::identity(b, acc.combine, acc.dtype);
    // A position that loses every tie.
    let position = is_arg(acc.combine).then(|| b.i64(if takes_last(acc.combine) { -1 } else { i64::MAX }));
    State { value, position }
}

fn takes_last(combine: Combine) -> bool {
    matches!(combine, Combine::ArgMin { last: true } | Combine::ArgMax { last: true })
}

/// What the accumulator's readers see.
pub fn finish(b: &Builder, state: State) -> Val {
    match state.position {
        None => state.value,
        Some(p) => {
            let none = b.or(b.cmp(Cmp::Slt, p, b.i64(0)), b.cmp(Cmp::Eq, p, b.i64(i64::MAX)));
            b.select(none, b.i64(0), p)
        }
    }
}

/// Combines two states; positions break ties, so any order gives the same result.
pub fn merge(b: &Builder, acc: &Acc, x: State, y: State) -> State {
    let (Some(px), Some(py)) = (x.position, y.position) else {
        return State { value: combine(b, acc.combine, acc.dtype, x.value, y.value), position: None };
    };
    let largest = matches!(acc.combine, Combine::ArgMax { .. });
    let (better, equal) = if acc.dtype.is_float() {
        // NaN beats every number and ties with NaN.
        let nan = |v| b.cmp_f(FCmp::Uno, v, v);
        let (nan_x, nan_y) = (nan(x.value), nan(y.value));
        let order = if largest { FCmp::Ogt } else { FCmp::Olt };
        let better = b.or(b.cmp_f(order, y.value, x.value), b.and(nan_y, b.not(nan_x)));
        (better, b.or(b.cmp_f(FCmp::Oeq, x.value, y.value), b.and(nan_x, nan_y)))
    } else {
        let order = if largest { Binary::Gt } else { Binary::Lt };
        let better = scalar::binary(b, order, acc.dtype, y.value, x.value);
        (better, b.cmp(Cmp::Eq, x.value, y.value))
    };
    // The sentinels of `start` lose ties: MAX is never smaller, -1 never larger.
    let nearer = b.cmp(if takes_last(acc.combine) { Cmp::Sgt } else { Cmp::Slt }, py, px);
    let take = b.or(better, b.and(equal, nearer));
    State { value: b.select(take, y.value, x.value), position: Some(b.select(take, py, px)) }
}

fn combine(b: &Builder, how: Combine, dtype: DType, x: Val, y: Val) -> Val {
    let op = match how {
        Combine::Sum => Binary::Add,
        Combine::Prod => Binary::Mul,
        Combine::Min => Binary::Min,
        Combine::Max => Binary::Max,
        Combine::And => Binary::And,
        Combine::Or => Binary::Or,
        Combine::ArgMin { .. } | Combine::ArgMax { .. } => unreachable!("has a position"),
    };
    scalar::binary(b, op, dtype, x, y)
}

/// Combines the states of a warp; every lane gets the result.
fn across_warp(b: &Builder, acc: &Acc, state: State) -> State {
    [16, 8, 4, 2, 1].into_iter().fold(state, |s, mask| {
        let other = State { value: b.shuffle_xor(s.value, mask), position: s.position.map(|p| b.shuffle_xor(p, mask)) };
        merge(b, acc, s, other)
    })
}

/// Combines the states of a team of `size` threads (1, 32 or the block); every thread gets the result. All threads of the
/// team must be here; blocks use shared memory of [`shared_bytes`] and leave it free for the next call.
pub fn across_team(k: &Kernel, size: u32, accs: &[Acc], states: Vec<State>) -> Vec<State> {
    let b = &k.b;
    if size == 1 {
        return states;
    }
    let in_warp: Vec<State> = accs.iter().zip(states).map(|(a, s)| across_warp(b, a, s)).collect();
    if size == 32 {
        return in_warp;
    }
    let (lane, thread) = (b.lane_id(), b.thread(0));
    let warp = b.shr_u(thread, b.i32(5));
    let slot = |at: usize, part: i64, index: Val, ty: Ty| {
        let base = b.offset(k.shared(), at as i64 * i64::from(SLOT) + part * 256);
        b.gep(base, if ty.lane_bits() == 64 { Ty::I64 } else { Ty::I32 }, index)
    };
    // i1 travels as i32.
    let memory = |v: Val| if v.ty == Ty::I1 { b.resize_u(v, Ty::I32) } else { v };
    b.when(b.cmp(Cmp::Eq, lane, b.i32(0)), || {
        for (at, state) in in_warp.iter().enumerate() {
            let value = memory(state.value);
            b.store(value, slot(at, 0, warp, value.ty), 0);
            if let Some(p) = state.position {
                b.store(p, slot(at, 1, warp, Ty::I64), 0);
            }
        }
    });
    b.barrier();
    let warps = size / 32;
    let combined = accs.iter().enumerate().map(|(at, acc)| {
        let begin = start(b, acc);
        let ty = in_warp[at].value.ty;
        let memory_ty = if ty == Ty::I1 { Ty::I32 } else { ty };
        // Lanes beyond the number of warps read slot 0 and drop it.
        let exists = b.cmp(Cmp::Slt, lane, b.i32(warps as i32));
        let from = b.select(exists, lane, b.i32(0));
        let read = b.load(slot(at, 0, from, memory_ty), memory_ty, 0);
        let read = if ty == Ty::I1 { b.cmp(Cmp::Ne, read, b.i32(0)) } else { read };
        let value = b.select(exists, read, begin.value);
        let position =
            begin.position.map(|none| b.select(exists, b.load(slot(at, 1, from, Ty::I64), Ty::I64, 0), none));
        across_warp(b, acc, State { value, position })
    });
    let combined: Vec<State> = combined.collect();
    b.barrier();
    combined
}
