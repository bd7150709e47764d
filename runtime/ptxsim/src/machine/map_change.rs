//! `tensormap.replace` and `tensormap.cp_fenceproxy` (PTX ISA 9.7.9.28, 9.7.13.16): tensor maps that kernels change.

use super::access::window;
use super::agents::lanes;
use super::op::*;
use super::run::{At, Machine, Stop};
use super::state::Warp;
use super::step::read;
use super::tensormap::TensorMap;
use crate::memory::DEFINED;
use crate::report::Class;
use crate::syntax::Space;

impl Machine<'_> {
    pub(super) fn change_map(&mut self, at: At, warp: &mut Warp, op: &Op, mask: u32) -> Result<(), Stop> {
        let thread = warp.index * 32;
        match op {
            Op::TensormapReplace { space, addr, field, index, value } => {
                let addresses = self.addresses(at, warp, *addr, mask);
                let (values, _) = read(warp, *value);
                let mut failure = None;
                let mut old = [[0u8; 128]; 32];
                // 128 bytes at once: read, change, write back.
                self.each_lane(at, warp, *space, &addresses, 128, mask, |region, offset, lane| {
                    old[lane].copy_from_slice(&region.data[offset..offset + 128]);
                    match TensorMap::replace(&old[lane], field, *index, values[lane]) {
                        Ok(bytes) => {
                            region.data[offset..offset + 128].copy_from_slice(&bytes);
                            region.state[offset..offset + 128].fill(DEFINED);
                        }
                        Err(e) => failure = Some((lane as u32, e)),
                    }
                })?;
                if let Some((lane, e)) = failure {
                    self.finding(at, Class::TensorMap, Some(thread + lane), e);
                    return Err(Stop);
                }
                for lane in lanes(mask) {
                    let address = addresses[lane as usize];
                    if *space == Space::Global || *space == Space::Generic && window(address).0 == Space::Global {
                        self.map_changed(at, warp, address, false);
                    }
                }
                self.activity += 1;
            }
            Op::TensormapCopy { dst, src } => {
                let to = self.addresses(at, warp, *dst, mask);
                let from = self.addresses(at, warp, *src, mask);
                let lane = mask.trailing_zeros();
                let mut bytes = [0u8; 128];
                self.each_lane(at, warp, Space::Shared, &from, 128, 1 << lane, |region, offset, _| {
                    bytes.copy_from_slice(&region.data[offset..offset + 128]);
                })?;
                self.each_lane(at, warp, Space::Global, &to, 128, 1 << lane, |region, offset, _| {
                    region.data[offset..offset + 128].copy_from_slice(&bytes);
                    region.state[offset..offset + 128].fill(DEFINED);
                })?;
                self.map_changed(at, warp, to[lane as usize], true);
                self.activity += 1;
            }
            _ => {}
        }
        Ok(())
    }
}
