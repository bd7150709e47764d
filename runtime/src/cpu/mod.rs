//! The cpu device: maps a target's code blob and calls kernels in it.
//!
//! The central type is [`CpuCode`]. Memory is writable while the code is copied in and executable after, never both.
//! This module knows no plan, no bundle and no compiler; the code reaches back only through [`table::Helpers`].

mod gemm;
mod math;
mod table;
pub mod threads;

use memmap2::{Mmap, MmapMut};
use tricot_plan::CpuLaunch;
use tricot_types::Diagnostic;

/// `fn(table, buffers, symbols) -> status`, the form of every kernel.
type Entry = unsafe extern "C" fn(*const table::Helpers, *const *mut u8, *const i64) -> i32;

/// A code blob mapped read-only and executable.
#[derive(Debug)]
pub struct CpuCode {
    map: Option<Mmap>,
    len: usize,
}

impl CpuCode {
    /// Maps a blob after checking that this machine has every feature the code needs.
    ///
    /// # Errors
    /// TC0850: another architecture or a missing feature. TC0851: the system refuses executable memory.
    pub fn map(bytes: &[u8], features: &[String]) -> Result<CpuCode, Diagnostic> {
        check_features(features)?;
        if bytes.is_empty() {
            return Ok(CpuCode { map: None, len: 0 });
        }
        let refused = |e: std::io::Error| {
            Diagnostic::error("TC0851", format!("cannot map {} bytes of kernel code: {e}", bytes.len())).with_help(
                "the system must allow memory that is written once and then executed (mmap, mprotect); check the \
                 sandbox or SELinux policy",
            )
        };
        let mut writable = MmapMut::map_anon(bytes.len()).map_err(refused)?;
        writable.copy_from_slice(bytes);
        let map = writable.make_exec().map_err(refused)?;
        Ok(CpuCode { map: Some(map), len: bytes.len() })
    }

    /// Runs one kernel; it parallelises itself over [`threads`].
    ///
    /// # Errors
    /// TC0852: the launch's offset is outside the blob. TC0853: the kernel ran out of scratch memory.
    ///
    /// # Safety
    /// The blob is trusted code whose entry at `launch.offset` expects exactly these buffers (with the scratch buffer
    /// last if the launch wants one) of sufficient size and element alignment, and these symbols.
    pub unsafe fn call(&self, launch: &CpuLaunch, buffers: &[*mut u8], symbols: &[i64]) -> Result<(), Diagnostic> {
        let offset = usize::try_from(launch.offset).ok().filter(|o| *o < self.len);
        let (Some(offset), Some(map)) = (offset, &self.map) else {
            let (at, len) = (launch.offset, self.len);
            return Err(Diagnostic::error("TC0852", format!("kernel offset {at} is outside the {len} bytes of code"))
                .with_help("the bundle is damaged or was edited; build it again"));
        };
        // SAFETY: the offset is inside the executable map; the caller promises that an entry point lies there.
        let status = unsafe {
            let entry = std::mem::transmute::<*const u8, Entry>(map.as_ptr().add(offset));
            entry(&table::HELPERS, buffers.as_ptr(), symbols.as_ptr())
        };
        match status {
            0 => Ok(()),
            _ => Err(Diagnostic::error("TC0853", format!("a kernel failed with status {status}: out of memory"))
                .with_help("free memory, bind smaller sizes or lower TRICOT_THREADS")),
        }
    }
}

/// Refuses code for other machines, naming every missing feature at once.
fn check_features(features: &[String]) -> Result<(), Diagnostic> {
    let missing: Vec<&str> = features.iter().map(String::as_str).filter(|f| !has_feature(f)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Diagnostic::error("TC0850", format!("this machine lacks {} that the code needs", missing.join(", ")))
        .with_help("run on a machine that has it (x86-64-v3 by default), or build without `cpu=native`"))
}

/// Whether the running machine has a feature by its manifest name.
#[cfg(all(target_arch = "x86_64", unix))]
fn has_feature(name: &str) -> bool {
    use std::arch::is_x86_feature_detected as has;
    match name {
        "x86_64" => true,
        "sse3" => has!("sse3"),
        "ssse3" => has!("ssse3"),
        "sse4.1" => has!("sse4.1"),
        "sse4.2" => has!("sse4.2"),
        "popcnt" => has!("popcnt"),
        "avx" => has!("avx"),
        "avx2" => has!("avx2"),
        "fma" => has!("fma"),
        "bmi1" => has!("bmi1"),
        "bmi2" => has!("bmi2"),
        "lzcnt" => has!("lzcnt"),
        "avx512f" => has!("avx512f"),
        "avx512vl" => has!("avx512vl"),
        "avx512dq" => has!("avx512dq"),
        _ => false,
    }
}

#[cfg(not(all(target_arch = "x86_64", unix)))]
fn has_feature(_: &str) -> bool {
    false
}

#[cfg(all(test, target_arch = "x86_64", unix))]
mod tests {
    use super::*;
    use tricot_types::Poly;

    fn launch(offset: u64) -> CpuLaunch {
        CpuLaunch { offset, scratch: Poly::default() }
    }

    #[test]
    fn code_is_mapped_and_called() {
        // int3; mov eax, [rdx]; mov rcx, [rsi]; mov [rcx], eax; xor eax, eax; ret
        let bytes = [0xcc, 0x8b, 0x02, 0x48, 0x8b, 0x0e, 0x89, 0x01, 0x31, 0xc0, 0xc3];
        let code = CpuCode::map(&bytes, &["x86_64".into()]).unwrap();
        let mut out = [0u8; 4];
        // SAFETY: the code above stores the first symbol in the first buffer.
        unsafe { code.call(&launch(1), &[out.as_mut_ptr()], &[0x1234]) }.unwrap();
        assert_eq!(u32::from_le_bytes(out), 0x1234);
        let outside = unsafe { code.call(&launch(11), &[], &[]) };
        assert_eq!(outside.unwrap_err().code, "TC0852");
    }

    #[test]
    fn a_failing_kernel_is_an_error() {
        // mov eax, 1; ret
        let code = CpuCode::map(&[0xb8, 1, 0, 0, 0, 0xc3], &[]).unwrap();
        assert_eq!(unsafe { code.call(&launch(0), &[], &[]) }.unwrap_err().code, "TC0853");
    }

    #[test]
    fn every_missing_feature_is_named() {
        let wanted = ["sse3".to_string(), "mmx9".to_string(), "avx1024".to_string()];
        let error = CpuCode::map(&[0xc3], &wanted).unwrap_err();
        assert_eq!(error.code, "TC0850");
        assert!(error.message.contains("mmx9, avx1024") && !error.message.contains("sse3"), "{error}");
    }
}
