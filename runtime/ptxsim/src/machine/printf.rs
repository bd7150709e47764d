//! `vprintf`: arguments and texts out of a warp's local memory (CUDA's ABI for device printf).

use super::access::window;
use super::op::*;
use super::run::{At, Machine, Stop};
use super::state::*;
use crate::syntax::Space;

impl Machine<'_> {
    pub(super) fn local_u64(&self, warp: &Warp, addr: Addr, lane: u32) -> u64 {
        let Slot::D(base) = addr.base else { return 0 };
        let address = warp.d[base as usize][lane as usize].wrapping_add(addr.offset as u64)
            + u64::from(lane) * self.program.local;
        let region = warp.local.as_ref();
        region.and_then(|r| r.offset(address, 8).map(|o| r.load(o, 8).0)).unwrap_or(0)
    }

    /// The text that a pointer in a call frame points to.
    pub(super) fn local_pointer(&mut self, at: At, warp: &Warp, addr: Addr, lane: u32) -> String {
        let pointer = self.local_u64(warp, addr, lane);
        self.text(at, pointer)
    }

    pub(super) fn text(&mut self, at: At, pointer: u64) -> String {
        let (place, delta) = self.resolve(at, Space::Generic, pointer);
        let mut none = None;
        let Some(region) = self.region(at, &mut none, place) else { return "?".into() };
        let Some(start) = region.offset(pointer.wrapping_sub(delta), 1) else { return "?".into() };
        let bytes: Vec<u8> = region.data[start..].iter().copied().take_while(|b| *b != 0).take(4096).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(super) fn printf(
        &mut self,
        at: At,
        warp: &mut Warp,
        format: Addr,
        arguments: Addr,
        d: Option<Addr>,
        mask: u32,
    ) -> Result<(), Stop> {
        for lane in (0..32).filter(|l| mask >> l & 1 != 0) {
            let format = self.local_pointer(at, warp, format, lane);
            let pointer = self.local_u64(warp, arguments, lane);
            let (_, offset) = window(pointer);
            let mut next = offset;
            let mut take = |size: u64| {
                next = next.next_multiple_of(size);
                let address = next + u64::from(lane) * self.program.local;
                next += size;
                let region = warp.local.as_ref();
                region.and_then(|r| r.offset(address, size as usize).map(|o| r.load(o, size as usize).0)).unwrap_or(0)
            };
            let mut out = String::new();
            let mut texts = vec![];
            let mut chars = format.chars().peekable();
            while let Some(c) = chars.next() {
                if c != '%' {
                    out.push(c);
                    continue;
                }
                let mut long = false;
                let kind = loop {
                    match chars.next() {
                        Some('l' | 'z') => long = true,
                        Some(c) if c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | '#' | ' ' | 'h') => {}
                        other => break other,
                    }
                };
                match kind {
                    Some('d' | 'i') if long => out += &(take(8) as i64).to_string(),
                    Some('d' | 'i') => out += &(take(4) as i32).to_string(),
                    Some('u') => out += &take(if long { 8 } else { 4 }).to_string(),
                    Some('x' | 'X') => out += &format!("{:x}", take(if long { 8 } else { 4 })),
                    Some('p') => out += &format!("{:#x}", take(8)),
                    Some('c') => out.push(take(4) as u8 as char),
                    Some('f' | 'F' | 'e' | 'g') => out += &format!("{:.6}", f64::from_bits(take(8))),
                    Some('s') => {
                        texts.push((out.len(), take(8)));
                    }
                    Some('%') => out.push('%'),
                    Some(other) => out.push(other),
                    None => {}
                }
            }
            for (place, pointer) in texts.into_iter().rev() {
                let text = self.text(at, pointer);
                out.insert_str(place, &text);
            }
            if self.report.output.len() < 1 << 20 {
                self.report.output += &out;
            }
        }
        if let Some(d) = d {
            let zero = Slot::Sink;
            self.store(at, warp, Space::Local, d, 4, &[zero], mask)?;
        }
        Ok(())
    }
}
