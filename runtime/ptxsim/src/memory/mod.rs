//! Memory as kernels see it: named buffers with bounds, and for every byte whether it has been written.
//!
//! Central types: [`Region`], one buffer, and [`Global`], the device's buffers by address. Knows no instruction.
//!
//! Generic addresses (PTX ISA 5.2): windows of 4 GiB below the global buffers:
//! `1 << 32` shared (of the block, or of a cluster's block in bits 24 and up), `2 << 32` local, `3 << 32` parameters,
//! `4 << 32` constants.

pub const SHARED_WINDOW: u64 = 1 << 32;
pub const LOCAL_WINDOW: u64 = 2 << 32;
pub const PARAM_WINDOW: u64 = 3 << 32;
pub const CONST_WINDOW: u64 = 4 << 32;
/// Where functions have their addresses; no memory lies there.
pub const FUNCTION_WINDOW: u64 = 5 << 32;
const GLOBAL_START: u64 = 0x7f00_0000_0000;
/// Unmapped bytes between buffers.
const GAP: u64 = 4096;

/// Byte states.
pub const UNDEFINED: u8 = 0;
pub const DEFINED: u8 = 1;

/// One buffer.
#[derive(Clone, Debug)]
pub struct Region {
    pub name: String,
    pub base: u64,
    pub data: Vec<u8>,
    /// One of the byte states for every byte.
    pub state: Vec<u8>,
}

impl Region {
    pub fn new(name: impl Into<String>, base: u64, bytes: usize) -> Region {
        Region { name: name.into(), base, data: vec![0; bytes], state: vec![UNDEFINED; bytes] }
    }

    pub fn filled(name: impl Into<String>, base: u64, data: Vec<u8>) -> Region {
        let state = vec![DEFINED; data.len()];
        Region { name: name.into(), base, data, state }
    }

    /// Offset of an access that lies wholly inside.
    #[inline]
    pub fn offset(&self, address: u64, bytes: usize) -> Option<usize> {
        let at = address.wrapping_sub(self.base);
        let len = self.data.len() as u64;
        (at <= len && len - at >= bytes as u64).then_some(at as usize)
    }

    /// Little-endian value of up to 8 bytes, and whether all of them are defined.
    #[inline]
    pub fn load(&self, at: usize, size: usize) -> (u64, bool) {
        let (d, s) = (&self.data[at..at + size], &self.state[at..at + size]);
        match size {
            4 => (
                u64::from(u32::from_le_bytes([d[0], d[1], d[2], d[3]])),
                u32::from_le_bytes([s[0], s[1], s[2], s[3]]) & 0x0101_0101 == 0x0101_0101,
            ),
            2 => (u64::from(u16::from_le_bytes([d[0], d[1]])), s[0] & s[1] & 1 != 0),
            1 => (u64::from(d[0]), s[0] & 1 != 0),
            _ => {
                let mut bytes = [0; 8];
                bytes[..size].copy_from_slice(d);
                (u64::from_le_bytes(bytes), s.iter().all(|x| x & 1 != 0))
            }
        }
    }

    #[inline]
    pub fn store(&mut self, at: usize, size: usize, value: u64, defined: bool) {
        let bytes = value.to_le_bytes();
        let state = u64::from(defined) * 0x0101_0101_0101_0101;
        self.data[at..at + size].copy_from_slice(&bytes[..size]);
        self.state[at..at + size].copy_from_slice(&state.to_le_bytes()[..size]);
    }
}

/// The device's buffers.
#[derive(Clone, Debug, Default)]
pub struct Global {
    regions: Vec<Region>,
}

impl Global {
    /// Adds a buffer behind the others; returns its address, a multiple of 256.
    pub fn add(&mut self, name: &str, data: Option<Vec<u8>>, bytes: usize) -> u64 {
        let base = match self.regions.last() {
            None => GLOBAL_START,
            Some(r) => (r.base + r.data.len() as u64 + GAP).next_multiple_of(256),
        };
        self.regions.push(match data {
            Some(data) => Region::filled(name, base, data),
            None => Region::new(name, base, bytes),
        });
        base
    }

    pub fn region(&self, base: u64) -> Option<&Region> {
        self.regions.iter().find(|r| r.base == base)
    }

    pub fn region_mut(&mut self, base: u64) -> Option<&mut Region> {
        self.regions.iter_mut().find(|r| r.base == base)
    }

    /// The region at or below an address.
    #[inline]
    pub fn index(&self, address: u64) -> usize {
        self.regions.partition_point(|r| r.base <= address).wrapping_sub(1)
    }

    #[inline]
    pub fn at(&mut self, index: usize) -> Option<&mut Region> {
        self.regions.get_mut(index)
    }

    /// The region that holds an access wholly, and the offset in it.
    pub fn find(&mut self, address: u64, bytes: usize) -> Option<(&mut Region, usize)> {
        let index = self.index(address);
        let region = self.regions.get_mut(index)?;
        let at = region.offset(address, bytes)?;
        Some((region, at))
    }

    /// Number of the buffer at an address, and the offset in it.
    pub fn offset(&self, address: u64) -> Option<(usize, u64)> {
        let index = self.index(address);
        let region = self.regions.get(index)?;
        region.offset(address, 1).map(|offset| (index, offset as u64))
    }

    pub fn name(&self, index: usize) -> &str {
        self.regions.get(index).map_or("?", |r| &r.name)
    }

    /// What is near an address, for messages.
    pub fn describe(&self, address: u64) -> String {
        match self.regions.get(self.index(address)) {
            None => "below every buffer".into(),
            Some(r) => {
                let at = address - r.base;
                let len = r.data.len() as u64;
                if at >= len {
                    format!("{} bytes behind the end of `{}` ({len} bytes)", at - len, r.name)
                } else {
                    format!("byte {at} of `{}` ({len} bytes)", r.name)
                }
            }
        }
    }
}
