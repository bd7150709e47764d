//! Tensor copies: the issue of loads, stores and prefetches by a tensor map (PTX ISA 9.7.9.27).
//!
//! Central function: [`Machine::tensor`]. What happens to them afterwards is in `copies` and `stores`.

use super::access::shared_target;
use super::agents::lanes;
use super::im2col::Map;
use super::op::*;
use super::order::Spot;
use super::run::{At, Machine, Stop};
use super::state::*;
use crate::report::Class;
use crate::syntax::Space;

impl Machine<'_> {
    pub(super) fn tensor(&mut self, at: At, warp: &mut Warp, t: &Tensor, mask: u32) -> Result<(), Stop> {
        let maps = self.addresses(at, warp, t.map, mask);
        let shared = self.addresses(at, warp, t.shared, mask);
        let bars = t.barrier.map(|b| self.addresses(at, warp, b, mask));
        for lane in lanes(mask) {
            let l = lane as usize;
            let thread = warp.index * 32 + lane;
            let mut bytes = [0u8; 128];
            let space = if maps[l] < 1 << 32 { Space::Param } else { Space::Generic };
            self.each_lane(at, warp, space, &maps, 128, 1 << lane, |region, offset, _| {
                bytes.copy_from_slice(&region.data[offset..offset + 128]);
            })?;
            self.map_used(at, warp, maps[l], thread);
            let mut coordinates: Vec<i32> = t.coordinates.iter().map(|c| warp.r[*c as usize][l] as i32).collect();
            // im2col offsets, 16 bits each, lie behind them.
            coordinates.extend(t.offsets.iter().map(|o| (warp.r[*o as usize][l] & 0xffff) as i32));
            let rank = t.coordinates.len();
            let usable = Map::decode(&bytes).and_then(|map| {
                map.check_use(t.mode, rank, &coordinates)?;
                map.check_kind(t.kind, &coordinates[..rank])?;
                Ok(map)
            });
            let map = match usable {
                Ok(map) => map,
                Err(e) => {
                    self.finding(at, Class::TensorMap, Some(thread), e);
                    return Err(Stop);
                }
            };
            let address = shared[l] & 0xffff_ffff;
            let align = map.tensor().shared_alignment();
            if (address & 0xff_ffff) % align != 0 {
                let what = format!("shared address {address} of a tensor copy; multiples of {align} are needed");
                self.finding(at, Class::Misaligned, Some(thread), what);
                return Err(Stop);
            }
            let (count, window) = (map.bytes(), map.window());
            match t.kind {
                TensorKind::Load => {
                    let Some(bars) = bars else { return Err(Stop) };
                    let b = bars[l] & 0xffff_ffff;
                    for rank in self.targets(at, t.multicast, warp, l) {
                        let (dst_block, dst) =
                            rank.map_or_else(|| shared_target(at, address), |r| (r, address & 0xff_ffff));
                        let barrier = rank.map_or_else(|| shared_target(at, b), |r| (r, b & 0xff_ffff));
                        self.live_barrier(at, thread, barrier)?;
                        self.visible_barrier(at, warp, barrier, thread);
                        if self.bytes_at(at.cluster, Ok((dst_block, dst)), window).is_none() {
                            return Err(self.bad_access(at, warp, Space::Shared, address, window, lane));
                        }
                        for (offset, len) in map.tensor().pieces(dst, u64::from(count)) {
                            self.poison(at.cluster, (dst_block, dst + offset), len as usize);
                        }
                        let what = Pending::Tensor {
                            map: bytes,
                            coordinates: coordinates.clone(),
                            dst_block,
                            dst,
                            barrier,
                            count,
                        };
                        self.queue(at, warp, lane as u8, what);
                    }
                    self.activity += 1;
                }
                TensorKind::Store | TensorKind::Reduce(_) => {
                    if self.bytes_at(at.cluster, Ok(shared_target(at, address)), window).is_none() {
                        return Err(self.bad_access(at, warp, Space::Shared, address, window, lane));
                    }
                    let reduce = if let TensorKind::Reduce(op) = t.kind { Some(op) } else { None };
                    let store = BulkStore::Tensor { map: bytes, coordinates, src: address, reduce };
                    warp.store(lane, at.line, store);
                }
                TensorKind::Prefetch => {}
            }
        }
        Ok(())
    }
}

/// Bytes of global memory that a tensor copy touches, as runs.
#[derive(Default)]
pub(super) struct Runs(pub Vec<(u64, u64)>);

impl Runs {
    pub fn add(&mut self, address: u64, len: u64) {
        match self.0.last_mut() {
            Some((start, n)) if *start + *n == address => *n += len,
            _ => self.0.push((address, len)),
        }
    }

    pub fn spots<'a>(&'a self, machine: &'a Machine, at: At) -> impl Iterator<Item = (Spot, u64)> + 'a {
        self.0.iter().filter_map(move |(address, len)| Some((machine.spot(at, Space::Global, *address)?, *len)))
    }
}
