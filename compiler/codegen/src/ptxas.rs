//! NVIDIA's assembler: finding it, running it, and reading what it says about a kernel.
//!
//! The central type is [`Assembler`]. Older versions than [`MINIMUM`] silently miscompile register-A wgmma, so they are refused.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tricot_types::Diagnostic;

/// The oldest ptxas allowed.
pub const MINIMUM: (u32, u32) = (13, 3);
/// [`MINIMUM`] as a manifest names it.
pub const MINIMUM_TEXT: &str = "13.3";
/// Spilled bytes (stores and loads together) above which a kernel is refused.
pub const MAX_SPILL: u32 = 64;

/// Remarks that say ptxas undid what the kernel's author arranged: `setmaxnreg` ignored, wgmma serialised or waits injected.
const ERROR_REMARKS: [&str; 9] = ["C7508", "C7510", "C7511", "C7512", "C7514", "C7515", "C7517", "C7519", "C7602"];

/// A usable ptxas.
#[derive(Clone, Debug)]
pub struct Assembler {
    path: PathBuf,
    version: (u32, u32),
}

/// What `ptxas -v` reports of one kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    pub registers: u32,
    pub spill_stores: u32,
    pub spill_loads: u32,
    /// Static shared memory.
    pub shared_bytes: u32,
    pub barriers: u32,
}

/// A cubin and what it uses.
#[derive(Clone, Debug)]
pub struct Assembled {
    pub cubin: Vec<u8>,
    pub usage: Usage,
}

/// Looks for `.tools/<tool>` upwards from the executable and from the current directory.
fn in_tools(tool: &str) -> Option<PathBuf> {
    let starts = [std::env::current_exe().ok(), std::env::current_dir().ok()];
    let found = |start: PathBuf| start.ancestors().map(|d| d.join(".tools").join(tool)).find(|p| p.is_file());
    starts.into_iter().flatten().find_map(found)
}

fn in_path(tool: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|d| d.join(tool)).find(|p| p.is_file())
}

impl Assembler {
    /// `TRICOT_PTXAS`, else `.tools/ptxas-13.3.33/bin/ptxas` above the executable or the current directory, else `ptxas` on the path.
    /// The result of the search is kept for the life of the process.
    pub fn find() -> Result<&'static Assembler, Diagnostic> {
        static FOUND: OnceLock<Result<Assembler, Diagnostic>> = OnceLock::new();
        FOUND.get_or_init(Assembler::search).as_ref().map_err(Clone::clone)
    }

    fn search() -> Result<Assembler, Diagnostic> {
        let help = "run `cargo xtask demo`, or `pip install tricot[cuda]` for Python, or unzip the wheel nvidia-cuda-nvcc==13.3.33 and \
                    set TRICOT_PTXAS";
        if let Some(path) = std::env::var_os("TRICOT_PTXAS") {
            return Assembler::open(PathBuf::from(&path))
                .map_err(|d| d.at_name("TRICOT_PTXAS", path.to_string_lossy()).with_help(help));
        }
        let places = [in_tools("ptxas-13.3.33/bin/ptxas"), in_path("ptxas")];
        let mut problem = None;
        for path in places.into_iter().flatten() {
            match Assembler::open(path) {
                Ok(found) => return Ok(found),
                Err(d) => problem = Some(d),
            }
        }
        let none = || Diagnostic::error("TC0506", format!("no ptxas {MINIMUM_TEXT} or newer was found"));
        Err(problem.unwrap_or_else(none).with_help(help))
    }

    fn open(path: PathBuf) -> Result<Assembler, Diagnostic> {
        let output = Command::new(&path).arg("--version").output();
        let output =
            output.map_err(|e| Diagnostic::error("TC0506", format!("{} does not run: {e}", path.display())))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = parse_version(&text)
            .ok_or_else(|| Diagnostic::error("TC0506", format!("{} does not say its version", path.display())))?;
        if version < MINIMUM {
            let (major, minor) = version;
            return Err(Diagnostic::error("TC0506", format!("ptxas {major}.{minor} is older than {MINIMUM_TEXT}"))
                .with_note("older versions silently miscompile tensor-core kernels"));
        }
        Ok(Assembler { path, version })
    }

    /// (major, minor).
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Assembles one kernel. Error-class remarks and spills above [`MAX_SPILL`] are errors that name the kernel.
    pub fn assemble(&self, kernel: &str, ptx: &str) -> Result<Assembled, Diagnostic> {
        let fail = |code, message: String| Diagnostic::error(code, message).at_name(format!("kernel `{kernel}`"), "");
        let (cubin, log) = self.run(kernel, ptx)?;
        let remarks: Vec<&str> = log.lines().filter(|l| ERROR_REMARKS.iter().any(|r| l.contains(r))).collect();
        if !remarks.is_empty() {
            let base = fail("TC0504", "ptxas could not keep the kernel's tensor-core schedule".into());
            return Err(remarks.into_iter().fold(base, |d, l| d.with_note(l)));
        }
        let usage = parse_usage(&log);
        let spilled = usage.spill_stores + usage.spill_loads;
        if spilled > MAX_SPILL {
            let message = format!("the kernel spills {spilled} bytes of registers; the limit is {MAX_SPILL}");
            return Err(fail("TC0505", message).with_note(format!("{} registers a thread", usage.registers)));
        }
        Ok(Assembled { cubin, usage })
    }

    /// Assembles PTX of somebody else's, whose registers are his own affair.
    pub fn assemble_given(&self, kernel: &str, ptx: &str) -> Result<Vec<u8>, Diagnostic> {
        Ok(self.run(kernel, ptx)?.0)
    }

    /// The cubin, and what ptxas says.
    fn run(&self, kernel: &str, ptx: &str) -> Result<(Vec<u8>, String), Diagnostic> {
        let fail = |message: String| Diagnostic::error("TC0503", message).at_name(format!("kernel `{kernel}`"), "");
        let io = |e: std::io::Error| fail(format!("ptxas could not be run: {e}"));
        let dir = tempfile::tempdir().map_err(io)?;
        std::fs::write(dir.path().join("kernel.ptx"), ptx).map_err(io)?;
        // Relative names and a fixed option order: a cubin records the command line that made it.
        let output = Command::new(&self.path)
            .current_dir(dir.path())
            .args(["-arch=sm_90a", "-O3", "-v", "kernel.ptx", "-o", "kernel.cubin"])
            .output()
            .map_err(io)?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let lines = log.lines().filter(|l| !l.trim().is_empty()).take(8);
            return Err(lines.fold(fail("ptxas rejects the kernel".into()), |d, l| d.with_note(l)));
        }
        Ok((std::fs::read(dir.path().join("kernel.cubin")).map_err(io)?, log))
    }
}

/// Disassembles a cubin; `None` where there is no `nvdisasm` (`TRICOT_NVDISASM`, `.tools`, the path) or it fails.
pub fn disassemble(cubin: &[u8]) -> Option<String> {
    let named = std::env::var_os("TRICOT_NVDISASM").map(PathBuf::from);
    let tool = named.or_else(|| in_tools("nvdisasm/bin/nvdisasm")).or_else(|| in_path("nvdisasm"))?;
    let dir = tempfile::tempdir().ok()?;
    std::fs::write(dir.path().join("kernel.cubin"), cubin).ok()?;
    let output = Command::new(tool).current_dir(dir.path()).arg("kernel.cubin").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads `release 13.3`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let rest = text.split("release ").nth(1)?;
    let mut parts = rest.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Reads the numbers of `ptxas -v`; functions of one file are added up.
fn parse_usage(log: &str) -> Usage {
    let before = |line: &str, what: &str| -> u32 {
        let Some(at) = line.find(what) else { return 0 };
        line[..at]
            .split(|c: char| !c.is_ascii_digit())
            .rfind(|w| !w.is_empty())
            .and_then(|w| w.parse().ok())
            .unwrap_or(0)
    };
    log.lines().fold(Usage::default(), |u, line| Usage {
        registers: u.registers.max(before(line, " registers")),
        spill_stores: u.spill_stores + before(line, " bytes spill stores"),
        spill_loads: u.spill_loads + before(line, " bytes spill loads"),
        shared_bytes: u.shared_bytes + before(line, " bytes smem"),
        barriers: u.barriers.max(before(line, " barriers")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_and_usage() {
        assert_eq!(parse_version("Cuda compilation tools, release 13.3, V13.3.33"), Some((13, 3)));
        assert_eq!(parse_version("nothing"), None);
        let log = "ptxas info    : 0 bytes gmem\n\
                   ptxas info    : Function properties for k\n    \
                   8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads\n\
                   ptxas info    : Used 168 registers, used 3 barriers, 1024 bytes smem\n";
        let want = Usage { registers: 168, spill_stores: 12, spill_loads: 16, shared_bytes: 1024, barriers: 3 };
        assert_eq!(parse_usage(log), want);
    }
}
