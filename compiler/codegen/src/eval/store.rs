//! Stores. Elements smaller than a byte are stored so that no two threads write the same byte: see [`Nibbles`].

use super::{Eval, Lanes};
use crate::emit::{Ty, Val};
use crate::scalar::{memory_type, to_memory};
use tricot_kernel::Store;
use tricot_types::DType;

/// How 4-bit elements reach memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nibbles {
    /// The lanes of a thread are adjacent and cover whole bytes.
    Whole,
    /// Lanes 0 and 1 are the two elements of a byte; lane 1 exists only where the condition holds.
    Pair,
    /// One thread stores everything, reading the byte first.
    Alone,
}

impl Eval<'_> {
    /// Emits a store at every lane. `second` is the condition of [`Nibbles::Pair`].
    pub fn store(&mut self, store: &Store, nibbles: Nibbles, second: Option<Val>) {
        let value = self.eval(store.value);
        let guard = store.guard.map(|g| self.eval(g));
        self.store_value(store, value, guard, nibbles, second);
    }

    /// As [`Eval::store`] with the value and guard evaluated already.
    pub fn store_value(
        &mut self,
        store: &Store,
        value: Lanes,
        guard: Option<Lanes>,
        nibbles: Nibbles,
        second: Option<Val>,
    ) {
        let b = self.b;
        let dtype = self.k.desc.buffers[store.buffer as usize].dtype;
        let stored: Lanes = value.iter().map(|v| to_memory(b, dtype, *v)).collect();
        let uniform_guard = guard.as_ref().is_none_or(|g| g.len() == 1);
        if dtype.bits() < 8 && nibbles == Nibbles::Pair {
            let at = self.address(&store.index)[0];
            return self.store_pair(store.buffer, at, &stored, second);
        }
        if let (true, Some(lanes)) = (uniform_guard, self.adjacent_lanes(&store.index, dtype)) {
            let at = self.address(&store.index)[0];
            let pick = |i: u32| stored[if stored.len() == 1 { 0 } else { i as usize }];
            let all: Lanes = (0..lanes).map(pick).collect();
            let write = || self.store_vector(store.buffer, dtype, at, &all);
            return match guard {
                None => write(),
                Some(g) => b.when(g[0], write),
            };
        }
        let at = self.address(&store.index);
        let width = at.len().max(stored.len()).max(guard.as_ref().map_or(1, Vec::len));
        for lane in 0..width {
            let pick = |v: &Lanes| v[if v.len() == 1 { 0 } else { lane }];
            let write = || self.store_element(store.buffer, dtype, pick(&at), pick(&stored));
            match &guard {
                None => write(),
                Some(g) => b.when(pick(g), write),
            }
        }
    }

    fn store_element(&self, buffer: u32, dtype: DType, at: Val, value: Val) {
        let b = self.b;
        let base = self.k.buffer(buffer);
        if dtype.bits() < 8 {
            let pointer = b.gep(base, Ty::I8, b.shr_s(at, b.i64(1)));
            let shift = b.resize_u(b.shl(b.and(at, b.i64(1)), b.i64(2)), Ty::I8);
            let keep = b.xor(b.shl(b.int(Ty::I8, 15), shift), b.int(Ty::I8, -1));
            let byte = b.or(b.and(b.load(pointer, Ty::I8, 1), keep), b.shl(value, shift));
            return b.store(byte, pointer, 1);
        }
        b.store(value, b.gep(base, memory_type(dtype), at), dtype.bits() / 8);
    }

    fn store_pair(&self, buffer: u32, at: Val, values: &Lanes, second: Option<Val>) {
        let b = self.b;
        let high = values[values.len() - 1];
        let high = second.map_or(high, |s| b.select(s, high, b.int(Ty::I8, 0)));
        let byte = b.or(values[0], b.shl(high, b.int(Ty::I8, 4)));
        b.store(byte, b.gep(self.k.buffer(buffer), Ty::I8, b.shr_s(at, b.i64(1))), 1);
    }

    fn store_vector(&self, buffer: u32, dtype: DType, at: Val, values: &Lanes) {
        let b = self.b;
        let base = self.k.buffer(buffer);
        let lanes = values.len() as u32;
        if dtype.bits() < 8 {
            let bytes: Lanes = values.chunks(2).map(|p| b.or(p[0], b.shl(p[1], b.int(Ty::I8, 4)))).collect();
            let pointer = b.gep(base, Ty::I8, b.shr_s(at, b.i64(1)));
            return b.store(b.pack(&bytes), pointer, lanes / 2);
        }
        b.store(b.pack(values), b.gep(base, memory_type(dtype), at), lanes * dtype.bits() / 8);
    }
}
