//! Loads, stores and atomics of a warp: addresses to buffers, bounds, alignment, definedness and counters.

use super::arith::*;
use super::op::*;
use super::run::{At, Machine, Stop};
use super::state::Warp;
use crate::memory::{self, Region};
use crate::report::Class;
use crate::syntax::Space;

/// Where an address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Global(usize),
    /// Block of the cluster.
    Shared(usize),
    Local,
    Param,
    Const,
}

/// Sizes of an access: bytes that must be inside a buffer, and bytes it is aligned to.
#[derive(Clone, Copy)]
pub struct Bytes {
    pub checked: usize,
    pub aligned: usize,
}

impl Bytes {
    /// Address bits that must be zero; tensor maps and other objects of no power of two want 64 bytes.
    fn alignment(self) -> u64 {
        match self.aligned {
            128 => 63,
            n => (n as u64).next_power_of_two() - 1,
        }
    }
}

impl From<usize> for Bytes {
    fn from(n: usize) -> Bytes {
        Bytes { checked: n, aligned: n }
    }
}

/// The window of a generic address, and the address in its space.
pub fn window(address: u64) -> (Space, u64) {
    match address >> 32 {
        1 => (Space::Shared, address & 0xffff_ffff),
        2 => (Space::Local, address & 0xffff_ffff),
        3 => (Space::Param, address & 0xffff_ffff),
        4 => (Space::Const, address & 0xffff_ffff),
        _ => (Space::Global, address),
    }
}

/// Block of the cluster and offset of a shared address; bits 24 and up hold the rank plus one, 0 for the own block.
pub fn shared_target(at: At, address: u64) -> (usize, u64) {
    let rank = (address >> 24 & 0xff) as usize;
    (if rank == 0 { at.block } else { rank - 1 }, address & 0xff_ffff)
}

impl Machine<'_> {
    /// Addresses of active lanes; an undefined one is a finding.
    pub(super) fn addresses(&mut self, at: At, warp: &Warp, addr: Addr, mask: u32) -> [u64; 32] {
        let mut out = [0; 32];
        let defined = match addr.base {
            Slot::D(n) => {
                let base = &warp.d[n as usize];
                for i in 0..32 {
                    out[i] = base[i].wrapping_add(addr.offset as u64);
                }
                warp.def_d[n as usize]
            }
            Slot::R(n) => {
                let base = &warp.r[n as usize];
                for i in 0..32 {
                    out[i] = u64::from(base[i].wrapping_add(addr.offset as u32));
                }
                warp.def_r[n as usize]
            }
            _ => u32::MAX,
        };
        if mask & !defined != 0 {
            let lane = (mask & !defined).trailing_zeros();
            self.finding(
                at,
                Class::Uninitialised,
                Some(warp.index * 32 + lane),
                "an address depends on a value that was never written".into(),
            );
        }
        out
    }

    /// Place of an address in a space, and what to subtract to get an address in its region.
    pub(super) fn resolve(&self, at: At, space: Space, address: u64) -> (Place, u64) {
        let (space, delta) = if space == Space::Generic {
            let (space, inner) = window(address);
            (space, address - inner)
        } else {
            (space, 0)
        };
        match space {
            Space::Shared => {
                let (block, offset) = shared_target(at, address - delta);
                (Place::Shared(block), address - offset)
            }
            Space::Local => (Place::Local, delta),
            Space::Param => (Place::Param, delta),
            Space::Const => (Place::Const, delta),
            _ => (Place::Global(self.global.index(address)), 0),
        }
    }

    pub(super) fn region<'a>(
        &'a mut self,
        at: At,
        local: &'a mut Option<Region>,
        place: Place,
    ) -> Option<&'a mut Region> {
        match place {
            Place::Global(index) => self.global.at(index),
            Place::Shared(block) => self.clusters[at.cluster].as_mut()?.blocks.get_mut(block).map(|b| &mut b.shared),
            Place::Local => local.as_mut(),
            Place::Param => Some(&mut self.params),
            Place::Const => Some(&mut self.constants),
        }
    }

    /// Runs `each(region, offset, lane)` for every lane of an access of `bytes`.
    pub(super) fn each_lane(
        &mut self,
        at: At,
        warp: &mut Warp,
        space: Space,
        addresses: &[u64; 32],
        bytes: usize,
        mask: u32,
        each: impl FnMut(&mut Region, usize, usize),
    ) -> Result<(), Stop> {
        self.each_lane_of(at, warp, space, addresses, Bytes { checked: bytes, aligned: bytes }, mask, each)
    }

    pub(super) fn each_lane_of(
        &mut self,
        at: At,
        warp: &mut Warp,
        space: Space,
        addresses: &[u64; 32],
        sizes: Bytes,
        mask: u32,
        mut each: impl FnMut(&mut Region, usize, usize),
    ) -> Result<(), Stop> {
        let bytes = sizes.checked;
        let mut left = mask;
        let stack = self.program.local;
        let mut local = warp.local.take();
        while left != 0 {
            let first = left.trailing_zeros() as usize;
            let (place, delta) = self.resolve(at, space, addresses[first]);
            let mut done = 0u32;
            if let Some(region) = self.region(at, &mut local, place) {
                let mut lanes = left;
                while lanes != 0 {
                    let lane = lanes.trailing_zeros() as usize;
                    lanes &= lanes - 1;
                    let mut address = addresses[lane].wrapping_sub(delta);
                    if place == Place::Local {
                        if address.saturating_add(bytes as u64) > stack {
                            continue;
                        }
                        address += lane as u64 * stack;
                    }
                    if let Some(offset) = region.offset(address, bytes)
                        && address & sizes.alignment() == 0
                    {
                        each(region, offset, lane);
                        done |= 1 << lane;
                    }
                }
            }
            if done >> first & 1 == 0 {
                warp.local = local;
                return Err(self.bad_access(at, warp, space, addresses[first], sizes, first as u32));
            }
            left &= !done;
        }
        warp.local = local;
        Ok(())
    }

    pub(super) fn bad_access(
        &mut self,
        at: At,
        warp: &Warp,
        space: Space,
        address: u64,
        bytes: impl Into<Bytes>,
        lane: u32,
    ) -> Stop {
        let sizes = bytes.into();
        let bytes = sizes.checked;
        let (space, inner) = if space == Space::Generic { window(address) } else { (space, address) };
        let place = match space {
            Space::Shared => {
                let size = self.clusters[at.cluster].as_ref().map_or(0, |c| c.blocks[at.block].shared.data.len());
                format!("byte {} of shared memory ({size} bytes)", inner & 0xff_ffff)
            }
            Space::Local => format!("byte {inner} of local memory ({} bytes a thread)", self.program.local),
            Space::Param => format!("byte {inner} of the parameters ({} bytes)", self.params.data.len()),
            Space::Const => format!("byte {inner} of constant memory"),
            _ => self.global.describe(address),
        };
        let misaligned = inner & sizes.alignment() != 0;
        let (class, what) = if misaligned {
            (Class::Misaligned, format!("an access of {bytes} bytes at {place} is not aligned"))
        } else {
            (Class::OutOfBounds, format!("an access of {bytes} bytes at {place}"))
        };
        self.finding(at, class, Some(warp.index * 32 + lane), what);
        Stop
    }

    /// The region and offset of an access of all 32 lanes, one behind the other, if it is aligned and inside.
    fn run(&mut self, at: At, space: Space, addresses: &[u64; 32], bytes: usize) -> Option<(&mut Region, usize)> {
        let start = addresses[0];
        let step = bytes as u64;
        let consecutive = (1..32).all(|l| addresses[l] == start.wrapping_add(step * l as u64));
        if !consecutive || !bytes.is_power_of_two() || start & (step - 1) != 0 {
            return None;
        }
        let (place, delta) = self.resolve(at, space, start);
        let region = match place {
            Place::Global(index) => self.global.at(index),
            Place::Shared(block) => self.clusters[at.cluster].as_mut()?.blocks.get_mut(block).map(|b| &mut b.shared),
            _ => None,
        }?;
        let offset = region.offset(start.wrapping_sub(delta), 32 * bytes)?;
        Some((region, offset))
    }

    /// Bytes and their states of such an access.
    fn run_of(&mut self, at: At, space: Space, addresses: &[u64; 32], bytes: usize) -> Option<(&mut [u8], &mut [u8])> {
        let (region, offset) = self.run(at, space, addresses, bytes)?;
        let range = offset..offset + 32 * bytes;
        Some((&mut region.data[range.clone()], &mut region.state[range]))
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn load(
        &mut self,
        at: At,
        warp: &mut Warp,
        space: Space,
        addr: Addr,
        size: u8,
        signed: bool,
        dst: &[Slot],
        used: usize,
        mask: u32,
    ) -> Result<(), Stop> {
        let addresses = self.addresses(at, warp, addr, mask);
        let size = size as usize;
        let bytes = size * dst.len();
        let mut values = [[0u64; 32]; 4];
        let mut defined = [0u32; 4];
        let n = dst.len();
        self.count_access(at, space, &addresses, bytes, mask, 0);
        let places = Bytes { checked: used, aligned: bytes };
        if mask == u32::MAX
            && size == 4
            && used == bytes
            && dst.iter().all(|d| matches!(d, Slot::R(_) | Slot::Sink))
            && let Some((data, state)) = self.run_of(at, space, &addresses, bytes)
        {
            // The usual case: whole words, one lane behind the other.
            let known = state.iter().fold(1, |all, s| all & s) & 1 != 0;
            let mut values = [[0u32; 32]; 4];
            for (lane, bytes) in data.chunks_exact(bytes).enumerate() {
                for (e, word) in bytes.chunks_exact(4).enumerate() {
                    values[e][lane] = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                }
            }
            let defined: [u32; 4] = if known {
                [u32::MAX; 4]
            } else {
                let word = |lane: usize, e: usize| state[lane * bytes + 4 * e..][..4].iter().all(|s| s & 1 != 0);
                std::array::from_fn(|e| {
                    if e < n { (0..32).fold(0, |m, l| m | u32::from(word(l, e)) << l) } else { u32::MAX }
                })
            };
            self.touch_lanes(at, warp, space, &addresses, used, mask, false, self.strong);
            for e in 0..n {
                if let Slot::R(d) = dst[e] {
                    warp.set_r(d, mask, &values[e], defined[e]);
                }
            }
            return Ok(());
        }
        self.each_lane_of(at, warp, space, &addresses, places, mask, |region, offset, lane| {
            for e in 0..n {
                if used != bytes && offset + (e + 1) * size > region.data.len() {
                    let (mut value, mut known) = (0, true);
                    for b in (0..size).filter(|b| e * size + b < used) {
                        let (byte, k) = region.load(offset + e * size + b, 1);
                        value |= byte << (8 * b);
                        known &= k;
                    }
                    values[e][lane] = value;
                    defined[e] |= u32::from(known) << lane;
                    continue;
                }
                let (value, known) = region.load(offset + e * size, size);
                values[e][lane] = value;
                defined[e] |= u32::from(known) << lane;
            }
        })?;
        self.touch_lanes(at, warp, space, &addresses, used, mask, false, self.strong);
        for e in 0..n {
            if signed {
                let shift = 64 - 8 * size as u32;
                values[e].iter_mut().for_each(|v| *v = ((*v << shift) as i64 >> shift) as u64);
            }
            match dst[e] {
                Slot::R(d) => {
                    let keep = if size == 1 && signed { 0xffff_ffffu64 } else { u64::from(u32::MAX) };
                    let mut out = [0u32; 32];
                    for i in 0..32 {
                        out[i] = (values[e][i] & keep) as u32;
                    }
                    warp.set_r(d, mask, &out, defined[e]);
                }
                Slot::D(d) => warp.set_d(d, mask, &values[e], defined[e]),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        at: At,
        warp: &mut Warp,
        space: Space,
        addr: Addr,
        size: u8,
        src: &[Slot],
        mask: u32,
    ) -> Result<(), Stop> {
        let addresses = self.addresses(at, warp, addr, mask);
        let size = size as usize;
        let bytes = size * src.len();
        let mut values = [[0u64; 32]; 4];
        let mut defined = [u32::MAX; 4];
        for (e, s) in src.iter().enumerate() {
            match *s {
                Slot::R(n) => {
                    for i in 0..32 {
                        values[e][i] = u64::from(warp.r[n as usize][i]);
                    }
                    defined[e] = warp.def_r[n as usize];
                    self.check_tokens(at, warp, n);
                }
                Slot::D(n) => {
                    values[e] = warp.d[n as usize];
                    defined[e] = warp.def_d[n as usize];
                }
                _ => {}
            }
        }
        let first = mask.trailing_zeros() as usize;
        let global = space == Space::Global || space == Space::Generic && window(addresses[first]).0 == Space::Global;
        let unknown = mask & !(defined[0] & defined[1] & defined[2] & defined[3]);
        if global && unknown != 0 {
            let lane = unknown.trailing_zeros();
            let what = "a value that was never written goes to global memory".to_string();
            self.finding(at, Class::Uninitialised, Some(warp.index * 32 + lane), what);
        }
        self.activity += 1;
        self.count_access(at, space, &addresses, bytes, mask, 1);
        let n = src.len();
        if mask == u32::MAX
            && size == 4
            && let Some((data, state)) = self.run_of(at, space, &addresses, bytes)
        {
            let mut changed = false;
            let places = data.chunks_exact_mut(bytes).zip(state.chunks_exact_mut(bytes)).enumerate();
            for (lane, (data, state)) in places {
                let words = data.chunks_exact_mut(4).zip(state.chunks_exact_mut(4)).enumerate();
                for (e, (word, state)) in words {
                    let new = (values[e][lane] as u32).to_le_bytes();
                    let known = [(defined[e] >> lane & 1) as u8; 4];
                    changed |= word != new || *state != [1; 4];
                    word.copy_from_slice(&new);
                    state.copy_from_slice(&known);
                }
            }
            if changed {
                self.touch_lanes(at, warp, space, &addresses, bytes, mask, true, self.strong);
            }
            return Ok(());
        }
        // Writing what is there already is no race between writers.
        let mut changes = 0u32;
        self.each_lane(at, warp, space, &addresses, bytes, mask, |region, offset, lane| {
            for e in 0..n {
                let place = offset + e * size;
                let low = if size == 8 { u64::MAX } else { (1 << (8 * size)) - 1 };
                changes |= u32::from(region.load(place, size) != (values[e][lane] & low, true)) << lane;
                region.store(place, size, values[e][lane], defined[e] >> lane & 1 != 0);
            }
        })?;
        self.touch_lanes(at, warp, space, &addresses, bytes, changes, true, self.strong);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn atomic(
        &mut self,
        at: At,
        warp: &mut Warp,
        op: AtomOp,
        ty: Scalar,
        space: Space,
        addr: Addr,
        dst: &[Slot],
        b: &[Slot],
        c: Slot,
        mask: u32,
    ) -> Result<(), Stop> {
        let addresses = self.addresses(at, warp, addr, mask);
        let size = ty.bytes() as usize;
        let get = |warp: &Warp, s: Slot, lane: usize| match s {
            Slot::R(n) => u64::from(warp.r[n as usize][lane]),
            Slot::D(n) => warp.d[n as usize][lane],
            _ => 0,
        };
        let mut operands = vec![[0u64; 32]; b.len()];
        for (e, s) in b.iter().enumerate() {
            for lane in 0..32 {
                operands[e][lane] = get(warp, *s, lane);
            }
            let known = match *s {
                Slot::R(n) => warp.def_r[n as usize],
                Slot::D(n) => warp.def_d[n as usize],
                _ => u32::MAX,
            };
            if mask & !known != 0 {
                let lane = (mask & !known).trailing_zeros();
                let what = "an atomic operation takes a value that was never written".to_string();
                self.finding(at, Class::Uninitialised, Some(warp.index * 32 + lane), what);
            }
        }
        let mut third = [0u64; 32];
        for (lane, t) in third.iter_mut().enumerate() {
            *t = get(warp, c, lane);
        }
        let mut old = vec![[0u64; 32]; b.len()];
        let (mut changed, mut unknown) = (false, None);
        let first = addresses[mask.trailing_zeros() as usize % 32];
        let global = space == Space::Global || space == Space::Generic && window(first).0 == Space::Global;
        // Additions in global memory flush subnormals, those in shared memory do not (PTX ISA 9.7.13.5).
        let flushed = global && op == AtomOp::Add && ty == Scalar::F32;
        let flush = |bits: u64| if flushed { u64::from(ftz(bits as u32)) } else { bits };
        self.each_lane(at, warp, space, &addresses, size * b.len(), mask, |region, offset, lane| {
            for (e, values) in operands.iter().enumerate() {
                let (before, known) = region.load(offset + e * size, size);
                if !known && op != AtomOp::Exch {
                    unknown = Some(lane as u32);
                }
                let after = if !global && op == AtomOp::Add && ty == Scalar::F64 {
                    // A loop around an addition.
                    nan64(f64::from_bits(before) + f64::from_bits(values[lane]), &[before, values[lane]])
                } else {
                    flush(combine(op, ty, flush(before), flush(values[lane]), third[lane]))
                };
                changed |= after != before;
                region.store(offset + e * size, size, after, true);
                old[e][lane] = before;
            }
        })?;
        if let Some(lane) = unknown {
            let what = "an atomic operation reads memory that was never written".to_string();
            self.finding(at, Class::Uninitialised, Some(warp.index * 32 + lane), what);
        }
        self.touch_lanes(at, warp, space, &addresses, size * b.len(), mask, true, true);
        self.activity += u64::from(changed);
        self.polled |= op == AtomOp::Cas || !changed;
        for (slot, old) in dst.iter().zip(&old) {
            super::step::write(warp, *slot, mask, old, u32::MAX);
        }
        Ok(())
    }

    /// Bytes of shared or global memory, for copies; `None` out of bounds.
    pub(super) fn bytes_at(
        &mut self,
        cluster: usize,
        place: Result<(usize, u64), u64>,
        len: usize,
    ) -> Option<(&mut Region, usize)> {
        match place {
            Ok((block, address)) => {
                let region = &mut self.clusters[cluster].as_mut()?.blocks.get_mut(block)?.shared;
                let offset = region.offset(address, len)?;
                Some((region, offset))
            }
            Err(address) => self.global.find(address, len),
        }
    }
}

/// The new value of an atomic.
pub fn combine(op: AtomOp, ty: Scalar, a: u64, b: u64, c: u64) -> u64 {
    use AtomOp::*;
    let (x, y) = (a as u32, b as u32);
    match (op, ty) {
        (Exch, _) => b,
        (Cas, _) => {
            if a == b {
                c
            } else {
                a
            }
        }
        (And, _) => a & b,
        (Or, _) => a | b,
        (Xor, _) => a ^ b,
        (Inc, _) => {
            if a >= b {
                0
            } else {
                a + 1
            }
        }
        (Dec, _) => {
            if a == 0 || a > b {
                b
            } else {
                a - 1
            }
        }
        (Add, Scalar::F32) => u64::from(nan32(f32::from_bits(x) + f32::from_bits(y))),
        // The memory's own adder hands a NaN on as it is.
        (Add, Scalar::F64) if f64::from_bits(b).is_nan() => b,
        (Add, Scalar::F64) if f64::from_bits(a).is_nan() => a,
        (Add, Scalar::F64) => nan64(f64::from_bits(a) + f64::from_bits(b), &[]),
        (Add, Scalar::F16) => u64::from(to_f16(f16(x) + f16(y))),
        (Add, Scalar::Bf16) => u64::from(to_bf16(bf16(x) + bf16(y))),
        (Add, Scalar::F16x2) => u64::from(two(x, y, |p, q| to_f16(f16(p) + f16(q)))),
        (Add, Scalar::Bf16x2) => u64::from(two(x, y, |p, q| to_bf16(bf16(p) + bf16(q)))),
        (Add, Scalar::U64 | Scalar::S64) => a.wrapping_add(b),
        (Add, _) => u64::from(x.wrapping_add(y)),
        (Min, Scalar::S32) => u64::from((x as i32).min(y as i32) as u32),
        (Max, Scalar::S32) => u64::from((x as i32).max(y as i32) as u32),
        (Min, Scalar::S64) => (a as i64).min(b as i64) as u64,
        (Max, Scalar::S64) => (a as i64).max(b as i64) as u64,
        (Min, Scalar::F32) => u64::from(min32(x, y)),
        (Max, Scalar::F32) => u64::from(max32(x, y)),
        (Min, Scalar::F16) => u64::from(to_f16(f32::from_bits(min32(f16(x).to_bits(), f16(y).to_bits())))),
        (Max, Scalar::F16) => u64::from(to_f16(f32::from_bits(max32(f16(x).to_bits(), f16(y).to_bits())))),
        (Min, Scalar::Bf16) => u64::from(to_bf16(f32::from_bits(min32(bf16(x).to_bits(), bf16(y).to_bits())))),
        (Max, Scalar::Bf16) => u64::from(to_bf16(f32::from_bits(max32(bf16(x).to_bits(), bf16(y).to_bits())))),
        (Min, Scalar::F16x2 | Scalar::Bf16x2) | (Max, Scalar::F16x2 | Scalar::Bf16x2) => {
            let half = if ty == Scalar::F16x2 { Scalar::F16 } else { Scalar::Bf16 };
            u64::from(two(x, y, |p, q| combine(op, half, u64::from(p), u64::from(q), 0) as u32))
        }
        (Min, _) => a.min(b),
        (Max, _) => a.max(b),
    }
}

impl Warp {
    #[inline]
    pub fn set_r(&mut self, d: u32, mask: u32, value: &[u32; 32], defined: u32) {
        let d = d as usize;
        self.written[d] = self.wgmma_fences;
        if mask == u32::MAX {
            self.r[d] = *value;
            self.def_r[d] = defined;
            return;
        }
        let out = &mut self.r[d];
        for i in 0..32 {
            let m = 0u32.wrapping_sub(mask >> i & 1);
            out[i] = out[i] & !m | value[i] & m;
        }
        self.def_r[d] = self.def_r[d] & !mask | defined & mask;
    }

    #[inline]
    pub fn set_d(&mut self, d: u32, mask: u32, value: &[u64; 32], defined: u32) {
        let d = d as usize;
        if mask == u32::MAX {
            self.d[d] = *value;
            self.def_d[d] = defined;
            return;
        }
        let out = &mut self.d[d];
        for i in 0..32 {
            let m = 0u64.wrapping_sub(u64::from(mask >> i & 1));
            out[i] = out[i] & !m | value[i] & m;
        }
        self.def_d[d] = self.def_d[d] & !mask | defined & mask;
    }

    #[inline]
    pub fn set_p(&mut self, d: u32, mask: u32, value: u32, defined: u32) {
        let d = d as usize;
        self.p[d] = self.p[d] & !mask | value & mask;
        self.def_p[d] = self.def_p[d] & !mask | defined & mask;
    }
}

/// Base of a space's window in generic addresses.
pub fn window_base(space: Space) -> u64 {
    match space {
        Space::Shared => memory::SHARED_WINDOW,
        Space::Local => memory::LOCAL_WINDOW,
        Space::Param => memory::PARAM_WINDOW,
        Space::Const => memory::CONST_WINDOW,
        _ => 0,
    }
}
