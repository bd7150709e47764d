//! PTX to cubin where a bundle has no cubin, and which assemblers there are.
//!
//! Order: the program named by `TRICOT_PTXAS`; a `ptxas` on the path that is new enough; libnvJitLink in this
//! process; the driver's own assembler, if it is new enough. "Enough" is the kernel's `min_assembler`: ptxas up
//! to 13.0 miscompiles loop-invariant register operands of wgmma, so an older one must never be used silently.

use libloading::Library;
use serde::Serialize;
use std::ffi::{CString, c_char, c_void};
use std::path::PathBuf;
use std::process::Command;
use tricot_types::Diagnostic;

/// A CUDA version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// An assembler found on this machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Assembler {
    /// `TRICOT_PTXAS`, `ptxas` or `libnvJitLink`.
    pub kind: &'static str,
    pub path: String,
    pub version: Version,
}

/// All assemblers, in the order they are tried; the driver's own is not among them.
pub fn assemblers() -> Vec<Assembler> {
    let mut found = vec![];
    let named = std::env::var_os("TRICOT_PTXAS").map(|p| ("TRICOT_PTXAS", PathBuf::from(p)));
    for (kind, path) in named.into_iter().chain([("ptxas", PathBuf::from("ptxas"))]) {
        if let Some(version) = ptxas_version(&path) {
            found.push(Assembler { kind, path: path.display().to_string(), version });
        }
    }
    found.extend(NvJitLink::open().map(|l| Assembler { kind: "libnvJitLink", path: l.path, version: l.version }));
    found
}

/// A loadable image of `ptx`: a cubin, or the PTX itself where the driver may assemble it.
/// TC0828 when nothing here is new enough, TC0825 with the assembler's words when it refuses.
pub(super) fn image(ptx: &[u8], target: &str, min: &str, driver: u32) -> Result<Vec<u8>, Diagnostic> {
    let need = parse_version(min).unwrap_or(Version { major: 0, minor: 0 });
    let found = assemblers();
    if let Some(assembler) = found.iter().find(|a| a.version >= need) {
        tracing::info!(kind = assembler.kind, path = %assembler.path, "assembling PTX");
        return match assembler.kind {
            "libnvJitLink" => NvJitLink::open().map_or_else(|| Err(refused("it vanished")), |l| l.link(ptx, target)),
            _ => run_ptxas(&assembler.path, ptx, target),
        };
    }
    if (Version { major: driver / 1000, minor: driver % 1000 / 10 }) >= need {
        return Ok(ptx.to_vec());
    }
    let have: Vec<_> = found.iter().map(|a| format!("{} {}", a.path, a.version)).collect();
    Err(Diagnostic::error("TC0828", format!("no assembler of CUDA {min} or later for this kernel's PTX"))
        .with_note(if have.is_empty() { "found none".into() } else { format!("found {}", have.join(", ")) })
        .with_help(
            "build the bundle with cubins, set TRICOT_PTXAS to a ptxas of that version, or install libnvJitLink",
        ))
}

fn refused(log: &str) -> Diagnostic {
    Diagnostic::error("TC0825", "the assembler refuses the kernel's PTX").with_note(log.trim().to_string())
}

fn parse_version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    Some(Version { major: major.trim().parse().ok()?, minor: minor.trim().parse().ok()? })
}

/// Version of a ptxas from its `release 13.3, V13.3.33` line.
fn ptxas_version(path: &std::path::Path) -> Option<Version> {
    let out = Command::new(path).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    parse_version(text.split_once("release ")?.1.split(',').next()?)
}

fn run_ptxas(path: &str, ptx: &[u8], target: &str) -> Result<Vec<u8>, Diagnostic> {
    let failed = |e: std::io::Error| Diagnostic::error("TC0828", format!("cannot run `{path}`: {e}"));
    let folder = tempfile::tempdir().map_err(failed)?;
    let (source, cubin) = (folder.path().join("kernel.ptx"), folder.path().join("kernel.cubin"));
    std::fs::write(&source, ptx).map_err(failed)?;
    let mut command = Command::new(path);
    command.arg(format!("-arch={target}")).arg("-O3").arg(&source).arg("-o").arg(&cubin);
    let out = command.output().map_err(failed)?;
    match out.status.success() {
        true => std::fs::read(&cubin).map_err(failed),
        false => Err(refused(&String::from_utf8_lossy(&out.stderr))),
    }
}

/// libnvJitLink: names carry the version, `__nvJitLinkCreate_13_3`. It needs neither GPU nor driver.
struct NvJitLink {
    library: Library,
    path: String,
    version: Version,
}

/// `NVJITLINK_INPUT_PTX` of nvJitLink.h.
const INPUT_PTX: u32 = 2;

impl NvJitLink {
    fn open() -> Option<NvJitLink> {
        for path in ["libnvJitLink.so.13", "libnvJitLink.so"] {
            // SAFETY: loading runs the library's initialisers; signatures are those of nvJitLink.h.
            unsafe {
                let Ok(library) = Library::new(path) else { continue };
                let (mut major, mut minor) = (0u32, 0u32);
                type F = unsafe extern "C" fn(*mut u32, *mut u32) -> i32;
                let ok = library.get::<F>(b"nvJitLinkVersion").is_ok_and(|f| f(&mut major, &mut minor) == 0);
                if ok {
                    return Some(NvJitLink { library, path: path.into(), version: Version { major, minor } });
                }
            }
        }
        None
    }

    /// Looks up a function of this version.
    unsafe fn get<F: Copy>(&self, name: &str) -> Result<F, Diagnostic> {
        let name = format!("__nvJitLink{name}_{}_{}", self.version.major, self.version.minor);
        // SAFETY: the caller names the right type.
        let symbol = unsafe { self.library.get::<F>(name.as_bytes()) };
        symbol.map(|s| *s).map_err(|e| Diagnostic::error("TC0828", format!("`{}` lacks {name}: {e}", self.path)))
    }

    fn link(&self, ptx: &[u8], target: &str) -> Result<Vec<u8>, Diagnostic> {
        type Handle = *mut c_void;
        type Size = unsafe extern "C" fn(Handle, *mut usize) -> i32;
        type Fill = unsafe extern "C" fn(Handle, *mut c_char) -> i32;
        // SAFETY: signatures of nvJitLink.h; every buffer has the size the library asked for; the PTX ends with a
        // zero byte as the library wants.
        unsafe {
            let create: unsafe extern "C" fn(*mut Handle, u32, *const *const c_char) -> i32 = self.get("Create")?;
            let add: unsafe extern "C" fn(Handle, u32, *const c_void, usize, *const c_char) -> i32 =
                self.get("AddData")?;
            let complete: unsafe extern "C" fn(Handle) -> i32 = self.get("Complete")?;
            let destroy: unsafe extern "C" fn(*mut Handle) -> i32 = self.get("Destroy")?;
            let (log_size, log): (Size, Fill) = (self.get("GetErrorLogSize")?, self.get("GetErrorLog")?);
            let (size, cubin): (Size, Fill) = (self.get("GetLinkedCubinSize")?, self.get("GetLinkedCubin")?);
            let option = CString::new(format!("-arch={target}")).map_err(|_| refused("a zero byte in the target"))?;
            let options = [option.as_ptr(), c"-O3".as_ptr()];
            let mut handle = std::ptr::null_mut();
            if create(&mut handle, 2, options.as_ptr()) != 0 {
                return Err(refused("libnvJitLink takes no such target"));
            }
            let mut text = ptx.to_vec();
            text.push(0);
            let fill = |size: Size, fill: Fill| {
                let mut bytes = 0;
                if size(handle, &mut bytes) != 0 {
                    return None;
                }
                let mut out = vec![0u8; bytes];
                (bytes > 0 && fill(handle, out.as_mut_ptr().cast()) == 0).then_some(out)
            };
            let done = add(handle, INPUT_PTX, text.as_ptr().cast(), text.len(), c"kernel".as_ptr()) == 0
                && complete(handle) == 0;
            let result = match done.then(|| fill(size, cubin)).flatten() {
                Some(image) => Ok(image),
                None => Err(refused(&String::from_utf8_lossy(&fill(log_size, log).unwrap_or_default()))),
            };
            let _ = destroy(&mut handle);
            result
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTX: &[u8] = include_bytes!("../../tests/fixtures/axpy.ptx");

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("13.3"), Some(Version { major: 13, minor: 3 }));
        assert_eq!(parse_version("13"), Some(Version { major: 13, minor: 0 }));
        assert_eq!(parse_version("thirteen"), None);
        assert!(parse_version("13.10") > parse_version("13.9"));
    }

    #[test]
    fn nothing_new_enough_is_an_error_and_the_driver_may_assemble_what_it_knows() {
        let problem = image(PTX, "sm_90a", "99.0", 13_000).unwrap_err();
        assert_eq!(problem.code, "TC0828");
        if assemblers().is_empty() {
            assert_eq!(image(PTX, "sm_90a", "13.0", 13_000).unwrap(), PTX);
        }
    }

    #[test]
    fn libnvjitlink_assembles_in_process() {
        let Some(linker) = NvJitLink::open() else { return println!("skipped: no libnvJitLink") };
        println!("libnvJitLink {}", linker.version);
        assert_eq!(&linker.link(PTX, "sm_90a").unwrap()[..4], b"\x7fELF");
        let problem = linker.link(b".version 8.0\n.target sm_90a\nnonsense", "sm_90a").unwrap_err();
        assert_eq!(problem.code, "TC0825");
        println!("{problem}");
        assert_eq!(linker.link(PTX, "sm_0").unwrap_err().code, "TC0825");
    }

    #[test]
    fn ptxas_assembles_in_a_process_of_its_own() {
        let Some(ptxas) = assemblers().into_iter().find(|a| a.kind != "libnvJitLink") else {
            return println!("skipped: no ptxas");
        };
        println!("{} {}", ptxas.path, ptxas.version);
        assert_eq!(&run_ptxas(&ptxas.path, PTX, "sm_90a").unwrap()[..4], b"\x7fELF");
        let problem = run_ptxas(&ptxas.path, b"nonsense", "sm_90a").unwrap_err();
        assert_eq!(problem.code, "TC0825");
        println!("{problem}");
    }
}
