//! Loading PTX onto a simulated device.
//!
//! Central types: [`Device`], the memory kernels see, and [`Module`], a loaded text whose variables have addresses.

use crate::machine::op::Program;
use crate::machine::{Launch, Symbols, decode, run};
use crate::memory::{CONST_WINDOW, FUNCTION_WINDOW, Global, Region, SHARED_WINDOW};
use crate::report::Report;
use crate::syntax::{self, Init, Space, SyntaxError, Variable};

/// Largest module variables together.
const MAX_VARIABLES: u64 = 1 << 30;

/// Why a text cannot be loaded: every problem with its line.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub struct LoadError(pub Vec<SyntaxError>);

fn list(errors: &[SyntaxError]) -> String {
    errors.iter().map(|e| e.to_string()).collect::<Vec<_>>().join("\n")
}

/// The device's memory.
#[derive(Default)]
pub struct Device {
    pub memory: Global,
}

/// A loaded text.
pub struct Module {
    syntax: syntax::Module,
    symbols: Symbols,
    constants: Region,
    /// Static shared memory of the module, and the dynamic variables.
    shared: u64,
    dynamic: Vec<(String, u64)>,
}

impl Device {
    pub fn new() -> Device {
        Device::default()
    }

    /// Reads a text and places its variables.
    pub fn load(&mut self, text: &str) -> Result<Module, LoadError> {
        let parsed = syntax::read(text).map_err(|e| LoadError(vec![e]))?;
        let fail = |line: u32, message: String| LoadError(vec![SyntaxError { line, message }]);
        if !parsed.target.starts_with("sm_") {
            return Err(fail(1, format!("`.target {}`; sm_90a is expected", parsed.target)));
        }
        let total = parsed.variables.iter().fold(0u64, |sum, v| sum.saturating_add(v.bytes()));
        if total > MAX_VARIABLES {
            return Err(fail(1, format!("{total} bytes of module variables; {MAX_VARIABLES} are possible")));
        }
        let mut module = Module {
            symbols: Symbols::new(),
            constants: Region::filled("constants", 0, vec![]),
            shared: 0,
            dynamic: vec![],
            syntax: parsed,
        };
        let up = |at: u64, align: u64| at.next_multiple_of(align.max(1));
        for v in &module.syntax.variables {
            let at = match v.space {
                Space::Global => self.memory.add(&v.name, Some(vec![0; v.bytes() as usize]), 0),
                Space::Const => {
                    let at = up(module.constants.data.len() as u64, v.align);
                    module.constants.data.resize((at + v.bytes()) as usize, 0);
                    at
                }
                Space::Shared if v.count.is_none() => {
                    module.dynamic.push((v.name.clone(), v.align));
                    0
                }
                Space::Shared => {
                    let at = up(module.shared, v.align);
                    module.shared = at + v.bytes();
                    at
                }
                _ => return Err(fail(v.line, format!("`{}`: a module variable of this state space", v.name))),
            };
            module.symbols.insert(v.name.clone(), (v.space, at));
        }
        // Functions have addresses too, for indirect calls.
        for (n, f) in module.syntax.functions.iter().filter(|f| !f.entry).enumerate() {
            module.symbols.entry(f.name.clone()).or_insert((Space::Global, FUNCTION_WINDOW + 16 * (n as u64 + 1)));
        }
        module.constants = Region::filled("constants", 0, std::mem::take(&mut module.constants.data));
        for v in &module.syntax.variables {
            let bytes = initial(v, &module.symbols).map_err(|m| fail(v.line, m))?;
            let Some((_, at)) = module.symbols.get(&v.name) else { continue };
            let region = match v.space {
                Space::Global => self.memory.region_mut(*at),
                Space::Const => Some(&mut module.constants),
                _ => None,
            };
            if let Some(region) = region
                && let Some(offset) = region.offset(*at, bytes.len())
            {
                region.data[offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
        }
        Ok(module)
    }

    /// Runs a kernel to its end, or to a finding that ends it.
    pub fn run(&mut self, module: &Module, program: &Program, launch: &Launch) -> Report {
        run(program, launch, &mut self.memory, module.constants.clone())
    }
}

fn initial(v: &Variable, symbols: &Symbols) -> Result<Vec<u8>, String> {
    let mut out = vec![0; v.bytes() as usize];
    for (n, init) in v.init.iter().enumerate() {
        let value = match init {
            Init::Bits(bits) => *bits,
            Init::Address { name, offset, generic } => {
                let (space, at) = symbols.get(name).ok_or_else(|| format!("`{name}` is not declared"))?;
                let window = match space {
                    Space::Shared if *generic => SHARED_WINDOW,
                    Space::Const if *generic => CONST_WINDOW,
                    _ => 0,
                };
                (at + window).wrapping_add(*offset as u64)
            }
        };
        let size = v.element as usize;
        if size > 8 || (n + 1) * size > out.len() {
            return Err(format!("`{}` has more initial values than elements", v.name));
        }
        out[n * size..(n + 1) * size].copy_from_slice(&value.to_le_bytes()[..size]);
    }
    Ok(out)
}

impl Module {
    /// Names of the kernels.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.syntax.functions.iter().filter(|f| f.entry && f.body.is_some()).map(|f| f.name.as_str())
    }

    /// Decodes a kernel; everything that is not supported is listed.
    pub fn kernel(&self, name: &str) -> Result<Program, LoadError> {
        let first = decode(&self.syntax, name, &self.symbols, self.shared).map_err(LoadError)?;
        if self.dynamic.is_empty() {
            return Ok(first);
        }
        // Dynamic shared memory starts behind the kernel's static variables.
        let align = self.dynamic.iter().map(|d| d.1).max().unwrap_or(1).max(16);
        let start = first.static_shared.next_multiple_of(align);
        let mut symbols = self.symbols.clone();
        for (name, _) in &self.dynamic {
            symbols.insert(name.clone(), (Space::Shared, start));
        }
        let mut program = decode(&self.syntax, name, &symbols, self.shared).map_err(LoadError)?;
        program.static_shared = start;
        Ok(program)
    }
}

/// Lays arguments out as the kernel's parameters want them; each must have its parameter's size.
pub fn pack(program: &Program, arguments: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    if arguments.len() != program.params.len() {
        return Err(format!(
            "kernel `{}` takes {} arguments, not {}",
            program.name,
            program.params.len(),
            arguments.len()
        ));
    }
    let mut out = vec![0; program.param_bytes as usize];
    for ((name, at, bytes), argument) in program.params.iter().zip(arguments) {
        if *bytes != argument.len() as u64 {
            return Err(format!("parameter `{name}` has {bytes} bytes, not {}", argument.len()));
        }
        out[*at as usize..(*at + *bytes) as usize].copy_from_slice(argument);
    }
    Ok(out)
}
