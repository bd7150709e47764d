//! Tensor maps that a kernel changes: the tensormap proxy (PTX ISA 9.7.13.4).
//!
//! Central type: [`Maps`]. Between a change of a map in global memory and a copy that uses it there must be a release by the warp that
//! changed it and an acquire of that map that is ordered before the copy. `tensormap.cp_fenceproxy` is its own release. That the acquire
//! comes after the release is not checked.

use super::{WHOLE, Who};
use crate::machine::run::{At, Machine};
use crate::machine::state::Warp;
use crate::report::Class;
use std::collections::BTreeMap;

/// What has been changed, by address.
#[derive(Default)]
pub struct Maps {
    changed: BTreeMap<u64, Changed>,
}

struct Changed {
    line: u32,
    by: Who,
    released: bool,
    /// Who has acquired it since, and when.
    acquired: Vec<(Who, u32)>,
}

impl Machine<'_> {
    /// A map in global memory changes.
    pub(in crate::machine) fn map_changed(&mut self, at: At, warp: &Warp, address: u64, released: bool) {
        if self.launch.order {
            let by = (self.cluster_number(at), warp.agent);
            self.maps.changed.insert(address, Changed { line: at.line, by, released, acquired: vec![] });
        }
    }

    /// `fence.proxy.tensormap::generic.release`.
    pub(in crate::machine) fn maps_released(&mut self, at: At, warp: &Warp) {
        let who = (self.cluster_number(at), warp.agent);
        self.maps.changed.values_mut().filter(|m| m.by == who).for_each(|m| m.released = true);
    }

    /// `fence.proxy.tensormap::generic.acquire` of a map.
    pub(in crate::machine) fn map_acquired(&mut self, at: At, warp: &mut Warp, address: u64) {
        let who = (self.cluster_number(at), warp.agent);
        let time = warp.clocks.time(warp.agent);
        if let Some(map) = self.maps.changed.get_mut(&address) {
            if !map.acquired.iter().any(|(w, _)| *w == who) {
                map.acquired.push((who, time));
                warp.tick();
            }
        }
    }

    /// A copy uses a map.
    pub(in crate::machine) fn map_used(&mut self, at: At, warp: &Warp, address: u64, thread: u32) {
        let home = self.cluster_number(at);
        let Some(map) = self.maps.changed.get(&address) else { return };
        let missing = if !map.released {
            "release"
        } else if map.acquired.iter().any(|((c, a), t)| warp.clocks.time_of(home, *c, *a, WHOLE) >= *t) {
            return;
        } else {
            "acquire"
        };
        let what = format!(
            "this copy uses the tensor map that PTX line {} changed, with no `fence.proxy.tensormap::generic.{missing}` between them",
            map.line
        );
        self.finding(at, Class::ProxyOrder, Some(thread), what);
    }
}
