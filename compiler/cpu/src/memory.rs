//! Element addresses, loads and stores: affine and gathered, guarded, of every width down to a nibble.
//!
//! A vector access is one 128-bit access a part where the vector variable has stride 1, else one access a lane. Guards
//! cost no branch for scalars: an address that must not be touched is replaced by a spare stack slot. Knows no loops.

use crate::convert::small;
use crate::emit::{Emit, element_flags};
use crate::value::{Class, Val, class, part_type, scalar_type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, StackSlotData, StackSlotKind, Value, types};
use tricot_kernel::{ExprId, Index, Store};
use tricot_types::{DType, Poly};

/// Where the elements of an access lie.
enum Place {
    /// One element, or `lanes` consecutive ones: byte address (element number for 4-bit types) and constant bytes.
    Run(Value, i32),
    /// One address a lane.
    Lanes(Vec<(Value, i32)>),
}

impl Emit<'_> {
    /// Bytes an element step is multiplied by; 4-bit types count in elements.
    fn unit(dtype: DType) -> i64 {
        if dtype.bits() < 8 { 1 } else { i64::from(dtype.bits() / 8) }
    }

    /// `sum + value * stride * unit`.
    fn add_term(&mut self, sum: Value, value: Value, stride: &Poly, unit: i64) -> Value {
        let scaled = stride.clone() * Poly::constant(unit);
        let term = match scaled.as_constant() {
            Some(1) => value,
            Some(c) => self.b.ins().imul_imm_s(value, c),
            None => {
                let stride = self.poly(&scaled);
                self.b.ins().imul(value, stride)
            }
        };
        self.b.ins().iadd(sum, term)
    }

    /// Resolves an index to addresses in a buffer.
    fn place(&mut self, buffer: u32, index: &Index) -> Place {
        let bound = self.buffers[buffer as usize];
        let unit = Self::unit(bound.dtype);
        let packed = bound.dtype.bits() < 8;
        let mut sum = if packed { self.i64(0) } else { bound.at };
        let mut constant = 0i32;
        let offset = index.offset.clone() * Poly::constant(unit);
        match offset.as_constant().and_then(|c| i32::try_from(c).ok()).filter(|c| !packed && c.abs() < 1 << 30) {
            Some(c) => constant = c,
            None => {
                let offset = self.poly(&offset);
                sum = self.b.ins().iadd(sum, offset);
            }
        }
        // Outermost variables first, so that inner loops keep only the last additions.
        let bindings: Vec<_> = self.vars.clone();
        let mut vector_stride = None;
        for (var, value) in &bindings {
            let Some(stride) = index.affine.get(var) else { continue };
            if self.vec == Some(*var) {
                vector_stride = Some((*value, stride.clone()));
            } else {
                sum = self.add_term(sum, *value, stride, unit);
            }
        }
        if let Some(missing) = index.affine.keys().find(|v| self.var(**v).is_none()) {
            self.unsupported(format!("an index over loop variable {} outside its loop", missing.0), DType::I64);
        }
        let mut lanes: Vec<(Val, Poly)> = vec![];
        for (expr, stride) in &index.dynamic {
            let value = self.eval(*expr);
            let value = self.cast(&value, DType::I64, tricot_kernel::CastMode::Round);
            if value.vector {
                lanes.push((value, stride.clone()));
            } else {
                sum = self.add_term(sum, value.one(), stride, unit);
            }
        }
        if let Some((value, stride)) = &vector_stride {
            sum = self.add_term(sum, *value, stride, unit);
            if stride.is_one() && lanes.is_empty() {
                return Place::Run(sum, constant);
            }
        } else if lanes.is_empty() {
            return Place::Run(sum, constant);
        }
        let places = (0..self.lanes as i64)
            .map(|lane| {
                let mut at = sum;
                let mut constant = constant;
                if let Some((_, stride)) = &vector_stride {
                    let step = stride.clone() * Poly::constant(unit * lane);
                    match step.as_constant().and_then(|c| i32::try_from(c).ok()) {
                        Some(c) if !packed && c.abs() < 1 << 20 => constant += c,
                        _ => {
                            let step = self.poly(&step);
                            at = self.b.ins().iadd(at, step);
                        }
                    }
                }
                for (value, stride) in &lanes {
                    let value = self.lane(value, lane as usize).one();
                    at = self.add_term(at, value, stride, unit);
                }
                (at, constant)
            })
            .collect();
        Place::Lanes(places)
    }

    /// The byte address of an element of whole bytes.
    pub fn address(&mut self, buffer: u32, index: &Index) -> Value {
        match self.place(buffer, index) {
            Place::Run(at, constant) => self.b.ins().iadd_imm_s(at, i64::from(constant)),
            Place::Lanes(_) => self.unsupported("one address for many lanes".into(), DType::I64).one(),
        }
    }

    /// Whether an index has a value of its own in every lane.
    fn varies(&mut self, index: &Index) -> bool {
        let Some(vec) = self.vec else { return false };
        index.affine.contains_key(&vec) || index.dynamic.iter().any(|(e, _)| self.eval(*e).vector)
    }

    /// An element of a buffer in the buffer's dtype; see `Expr::Load` for the guard.
    pub fn load(&mut self, buffer: u32, index: &Index, guard: Option<(ExprId, ExprId)>) -> Val {
        let dtype = self.buffers[buffer as usize].dtype;
        let guard = guard.filter(|(cond, _)| !self.assumed.contains(cond));
        let Some((cond, other)) = guard else {
            return match self.place(buffer, index) {
                Place::Run(at, constant) if self.varies(index) => self.load_run(buffer, dtype, at, constant),
                Place::Run(at, constant) => self.load_scalar(buffer, dtype, at, constant),
                Place::Lanes(places) => {
                    let lanes: Vec<Val> =
                        places.iter().map(|(at, c)| self.load_scalar(buffer, dtype, *at, *c)).collect();
                    self.join(dtype, &lanes)
                }
            };
        };
        let (cond, other) = (self.eval(cond), self.eval(other));
        let other = self.cast(&other, dtype, tricot_kernel::CastMode::Round);
        let varies = self.varies(index);
        let place = self.place(buffer, index);
        let loaded = match place {
            Place::Run(at, constant) if !varies && !cond.vector => {
                self.load_guarded(buffer, dtype, at, constant, cond.one())
            }
            Place::Run(at, constant) if !varies => {
                // One address, lanes that differ in whether they want it.
                let any = self.any(&cond);
                self.load_guarded(buffer, dtype, at, constant, any)
            }
            Place::Run(at, constant) => {
                let all = if cond.vector { self.all(&cond) } else { cond.one() };
                let ty = part_type(dtype);
                let count = self.part_count(dtype);
                let parts = self.either(
                    all,
                    ty,
                    count,
                    |e| e.load_run(buffer, dtype, at, constant).parts,
                    |e| {
                        if !cond.vector {
                            return e.splat(&other).parts;
                        }
                        let step = Self::unit(dtype);
                        let lanes: Vec<Val> = (0..e.lanes)
                            .map(|l| {
                                let flag = e.lane(&cond, l).one();
                                let at = if dtype.bits() < 8 { e.b.ins().iadd_imm_s(at, l as i64) } else { at };
                                let c = if dtype.bits() < 8 { constant } else { constant + (step * l as i64) as i32 };
                                e.load_guarded(buffer, dtype, at, c, flag)
                            })
                            .collect();
                        e.join(dtype, &lanes).parts
                    },
                );
                Val::vector(dtype, parts)
            }
            Place::Lanes(places) => {
                let lanes: Vec<Val> = places
                    .iter()
                    .enumerate()
                    .map(|(l, (at, c))| {
                        let flag = self.lane(&cond, l).one();
                        self.load_guarded(buffer, dtype, *at, *c, flag)
                    })
                    .collect();
                self.join(dtype, &lanes)
            }
        };
        self.choose(&cond, &loaded, &other)
    }

    /// Whether all lanes hold.
    pub fn all(&mut self, mask: &Val) -> Value {
        let both = mask.parts.clone().into_iter().reduce(|a, b| self.b.ins().band(a, b)).expect("a part");
        self.b.ins().vall_true(both)
    }

    /// Whether any lane holds.
    fn any(&mut self, mask: &Val) -> Value {
        let both = mask.parts.clone().into_iter().reduce(|a, b| self.b.ins().bor(a, b)).expect("a part");
        self.b.ins().vany_true(both)
    }

    /// Loads where the flag holds, else some readable bytes of no meaning.
    fn load_guarded(&mut self, buffer: u32, dtype: DType, at: Value, constant: i32, flag: Value) -> Val {
        if dtype.bits() < 8 {
            let byte = self.nibble_address(buffer, at);
            let spare = self.spare(0);
            let address = self.b.ins().select(flag, byte, spare);
            return self.load_nibble(dtype, address, at);
        }
        let spare = self.spare(constant);
        let address = self.b.ins().select(flag, at, spare);
        self.load_scalar(buffer, dtype, address, constant)
    }

    /// Address of a spare slot such that adding `constant` hits it.
    fn spare(&mut self, constant: i32) -> Value {
        let slot = match self.spare_slot {
            Some(slot) => slot,
            None => {
                let slot = self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3));
                self.spare_slot = Some(slot);
                slot
            }
        };
        let at = self.b.ins().stack_addr(types::I64, slot, 0);
        self.b.ins().iadd_imm_s(at, -i64::from(constant))
    }

    fn nibble_address(&mut self, buffer: u32, element: Value) -> Value {
        let base = self.buffers[buffer as usize].at;
        let half = self.sshr_by(element, 1);
        self.b.ins().iadd(base, half)
    }

    /// The nibble of an element number in the byte at an address.
    fn load_nibble(&mut self, dtype: DType, address: Value, element: Value) -> Val {
        let byte = self.b.ins().uload8(types::I32, element_flags(), address, 0);
        let odd = self.b.ins().band_imm_s(element, 1);
        let shift = self.ishl_by(odd, 2);
        let value = self.b.ins().ushr(byte, shift);
        self.normalised(Val::scalar(dtype, value))
    }

    /// One element.
    fn load_scalar(&mut self, buffer: u32, dtype: DType, at: Value, constant: i32) -> Val {
        let flags = element_flags();
        let value = match dtype {
            DType::F64 | DType::F32 | DType::I64 | DType::U64 | DType::I32 | DType::U32 => {
                self.b.ins().load(scalar_type(dtype), flags, at, constant)
            }
            DType::F16 | DType::BF16 => {
                let raw = self.b.ins().uload16(types::I32, flags, at, constant);
                self.decode_small(raw, small(dtype).expect("a small float"))
            }
            DType::F8E4M3 | DType::F8E5M2 => {
                let raw = self.b.ins().uload8(types::I32, flags, at, constant);
                self.decode_small(raw, small(dtype).expect("a small float"))
            }
            DType::I16 => self.b.ins().sload16(types::I32, flags, at, constant),
            DType::U16 => self.b.ins().uload16(types::I32, flags, at, constant),
            DType::I8 => self.b.ins().sload8(types::I32, flags, at, constant),
            DType::U8 => self.b.ins().uload8(types::I32, flags, at, constant),
            DType::Bool => {
                let raw = self.b.ins().load(types::I8, flags, at, constant);
                self.b.ins().icmp_imm_s(IntCC::NotEqual, raw, 0)
            }
            DType::I4 | DType::U4 => {
                let address = self.nibble_address(buffer, at);
                return self.load_nibble(dtype, address, at);
            }
        };
        Val::scalar(dtype, value)
    }

    /// `lanes` consecutive elements.
    fn load_run(&mut self, buffer: u32, dtype: DType, at: Value, constant: i32) -> Val {
        let flags = element_flags();
        let parts: Vec<Value> = match dtype.bits() {
            64 | 32 => (0..self.part_count(dtype))
                .map(|i| self.b.ins().load(part_type(dtype), flags, at, constant + 16 * i as i32))
                .collect(),
            16 => (0..self.lanes / 4)
                .map(|i| {
                    let offset = constant + 8 * i as i32;
                    match dtype {
                        DType::I16 => self.b.ins().sload16x4(flags, at, offset),
                        _ => self.b.ins().uload16x4(flags, at, offset),
                    }
                })
                .collect(),
            8 if self.lanes % 8 == 0 => (0..self.lanes / 8)
                .flat_map(|i| {
                    let offset = constant + 8 * i as i32;
                    if dtype == DType::I8 {
                        let wide = self.b.ins().sload8x8(flags, at, offset);
                        [self.b.ins().swiden_low(wide), self.b.ins().swiden_high(wide)]
                    } else {
                        let wide = self.b.ins().uload8x8(flags, at, offset);
                        [self.b.ins().uwiden_low(wide), self.b.ins().uwiden_high(wide)]
                    }
                })
                .collect(),
            8 => (0..self.lanes / 4)
                .map(|i| {
                    let raw = self.b.ins().load(types::I32, flags, at, constant + 4 * i as i32);
                    let vector = self.b.ins().scalar_to_vector(types::I32X4, raw);
                    let bytes = self.bits(types::I8X16, vector);
                    if dtype == DType::I8 {
                        let half = self.b.ins().swiden_low(bytes);
                        self.b.ins().swiden_low(half)
                    } else {
                        let half = self.b.ins().uwiden_low(bytes);
                        self.b.ins().uwiden_low(half)
                    }
                })
                .collect(),
            _ => {
                let lanes: Vec<Val> = (0..self.lanes as i64)
                    .map(|l| {
                        let element = self.b.ins().iadd_imm_s(at, l);
                        self.load_scalar(buffer, dtype, element, 0)
                    })
                    .collect();
                return self.join(dtype, &lanes);
            }
        };
        let raw = Val::vector(dtype, parts);
        match (small(dtype), dtype) {
            (Some(format), _) => self.map(dtype, &raw, |e, v| e.decode_small(v, format)),
            (None, DType::Bool) => self.map(dtype, &raw, |e, v| {
                let zero = e.int_like(types::I32X4, 0);
                e.b.ins().icmp(IntCC::NotEqual, v, zero)
            }),
            _ => raw,
        }
    }

    /// Stores a value (already evaluated) as a [`Store`] says.
    pub fn store(&mut self, store: &Store, value: &Val, guard: Option<&Val>) {
        let dtype = self.buffers[store.buffer as usize].dtype;
        let value = self.cast(value, dtype, tricot_kernel::CastMode::Round);
        let buffer = store.buffer;
        let spread = self.varies(&store.index);
        let place = self.place(buffer, &store.index);
        if !spread && (value.vector || guard.is_some_and(|g| g.vector)) {
            self.unsupported("a store of many lanes to one element".into(), dtype);
            return;
        }
        match place {
            Place::Run(at, constant) if !spread => match guard {
                None => self.store_scalar(buffer, &value, at, constant),
                Some(flag) => {
                    let flag = flag.one();
                    self.when(flag, |e| e.store_scalar(buffer, &value, at, constant));
                }
            },
            Place::Run(at, constant) => {
                let value = self.splat(&value);
                let Some(guard) = guard else { return self.store_run(buffer, &value, at, constant) };
                let step = Self::unit(dtype);
                let all = if guard.vector { self.all(guard) } else { guard.one() };
                self.either(
                    all,
                    types::I64,
                    0,
                    |e| {
                        e.store_run(buffer, &value, at, constant);
                        vec![]
                    },
                    |e| {
                        for l in 0..if guard.vector { e.lanes } else { 0 } {
                            let (flag, lane) = (e.lane(guard, l).one(), e.lane(&value, l));
                            let at = e.b.ins().iadd_imm_s(at, step * l as i64);
                            e.when(flag, |e| e.store_scalar(buffer, &lane, at, constant));
                        }
                        vec![]
                    },
                );
            }
            Place::Lanes(places) => {
                for (l, (at, constant)) in places.into_iter().enumerate() {
                    let lane = self.lane(&value, l);
                    match guard {
                        None => self.store_scalar(buffer, &lane, at, constant),
                        Some(guard) => {
                            let flag = self.lane(guard, l).one();
                            self.when(flag, |e| e.store_scalar(buffer, &lane, at, constant));
                        }
                    }
                }
            }
        }
    }

    /// One element; a nibble is replaced atomically, since its neighbour may belong to another thread.
    fn store_scalar(&mut self, buffer: u32, value: &Val, at: Value, constant: i32) {
        let flags = element_flags();
        let dtype = value.dtype;
        match dtype.bits() {
            64 => {
                self.b.ins().store(flags, value.one(), at, constant);
            }
            32 => {
                self.b.ins().store(flags, value.one(), at, constant);
            }
            16 => {
                let raw = self.raw_bits(value).one();
                self.b.ins().istore16(flags, raw, at, constant);
            }
            8 if class(dtype) == Class::Bool => {
                self.b.ins().store(flags, value.one(), at, constant);
            }
            8 => {
                let raw = self.raw_bits(value).one();
                self.b.ins().istore8(flags, raw, at, constant);
            }
            _ => {
                let address = self.nibble_address(buffer, at);
                let odd = self.b.ins().band_imm_s(at, 1);
                let shift = self.ishl_by(odd, 2);
                let nibble = self.b.ins().band_imm_s(value.one(), 15);
                let nibble = self.b.ins().ishl(nibble, shift);
                let nibble = self.b.ins().ireduce(types::I8, nibble);
                let low = self.b.ins().iconst(types::I32, 15);
                let mask = self.b.ins().ishl(low, shift);
                let mask = self.b.ins().bnot(mask);
                let mask = self.b.ins().ireduce(types::I8, mask);
                let flags = cranelift_codegen::ir::MemFlagsData::trusted();
                self.b.ins().atomic_rmw(types::I8, flags, AtomicRmwOp::And, address, mask);
                self.b.ins().atomic_rmw(types::I8, flags, AtomicRmwOp::Or, address, nibble);
            }
        }
    }

    /// `lanes` consecutive elements.
    fn store_run(&mut self, buffer: u32, value: &Val, at: Value, constant: i32) {
        let flags = element_flags();
        let dtype = value.dtype;
        if dtype.bits() >= 32 {
            for (i, part) in value.parts.iter().enumerate() {
                self.b.ins().store(flags, *part, at, constant + 16 * i as i32);
            }
            return;
        }
        if dtype.bits() < 8 {
            for l in 0..self.lanes {
                let lane = self.lane(value, l);
                let element = self.b.ins().iadd_imm_s(at, l as i64);
                self.store_scalar(buffer, &lane, element, 0);
            }
            return;
        }
        let raw = self.raw_bits(value);
        let signed = matches!(dtype, DType::I16 | DType::I8);
        for (i, pair) in raw.parts.chunks(2).enumerate() {
            let (low, high) = (pair[0], *pair.last().expect("a part"));
            // Two parts of four lanes become eight 16-bit lanes; with one part only the low half counts.
            let words = match signed || dtype.bits() == 8 {
                true => self.b.ins().snarrow(low, high),
                false => self.b.ins().unarrow(low, high),
            };
            let packed = match (dtype.bits(), signed) {
                (16, _) => words,
                (_, true) => self.b.ins().snarrow(words, words),
                (_, false) => self.b.ins().unarrow(words, words),
            };
            let offset = constant + (i * dtype.bits() as usize) as i32;
            match pair.len() * dtype.bits() as usize {
                32 => {
                    self.b.ins().store(flags, packed, at, offset);
                }
                16 => {
                    let wide = self.bits(types::I64X2, packed);
                    let low = self.b.ins().extractlane(wide, 0);
                    self.b.ins().store(flags, low, at, offset);
                }
                _ => {
                    let wide = self.bits(types::I32X4, packed);
                    let low = self.b.ins().extractlane(wide, 0);
                    self.b.ins().store(flags, low, at, offset);
                }
            }
        }
    }
}
