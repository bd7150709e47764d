//! Reading a model: ONNX or graph text, told apart by its name; and the text of a schedule.

use std::path::{Path, PathBuf};
use tricot_dialects::{ConstantStore, Module, OpSet};
use tricot_import::ImportOptions;
use tricot_schedule::Schedule;
use tricot_types::{Bindings, Diagnostic};

/// Where a model comes from.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    /// safetensors files that graph text may refer to; a file of the same stem beside the text is found without being named.
    pub weights: Vec<PathBuf>,
    /// Declared ops that the model may use beside its own.
    pub library: OpSet,
}

impl Source {
    /// A model file.
    pub fn new(path: impl Into<PathBuf>) -> Source {
        Source { path: path.into(), weights: vec![], library: OpSet::default() }
    }

    /// Reads and verifies the model.
    pub fn load(&self) -> Result<Module, Vec<Diagnostic>> {
        match self.is_onnx() {
            true => self.import(ImportOptions { library: self.library.clone(), ..ImportOptions::default() }),
            false => self.load_text(),
        }
    }

    /// A model in memory, ONNX if `path` is named `*.onnx`; the path is otherwise for messages, and where weights are looked for.
    pub fn load_bytes(&self, bytes: &[u8], sizes: &Bindings) -> Result<Module, Vec<Diagnostic>> {
        let name = self.path.display().to_string();
        if self.is_onnx() {
            return Source::load_onnx_bytes(bytes.to_vec(), &name, sizes, &self.library);
        }
        let text = std::str::from_utf8(bytes).map_err(|e| vec![not_text(&name, e)])?;
        let mut module = tricot_dialects::text::parse_with(&name, text, &self.constants()?, &self.library)?;
        crate::specialise::specialise(&mut module, sizes)?;
        Ok(module)
    }

    /// The same for given sizes, which are written into every type. TC0910 and TC0911 for symbols that are not there and values
    /// that break a promise.
    pub fn load_at(&self, sizes: &Bindings) -> Result<Module, Vec<Diagnostic>> {
        match self.is_onnx() {
            true => onnx_at(sizes, &self.library, |options| self.import(options)),
            false => {
                let mut module = self.load_text()?;
                crate::specialise::specialise(&mut module, sizes)?;
                Ok(module)
            }
        }
    }

    /// The same for an ONNX model in memory; `name` stands for its file in messages.
    pub fn load_onnx_bytes(
        bytes: Vec<u8>,
        name: &str,
        sizes: &Bindings,
        library: &OpSet,
    ) -> Result<Module, Vec<Diagnostic>> {
        onnx_at(sizes, library, |options| {
            Ok(outlined(tricot_import::import_onnx_bytes(bytes.clone(), name, &options)?))
        })
    }

    /// Reads and checks a schedule's text.
    pub fn load_schedule(&self) -> Result<Schedule, Vec<Diagnostic>> {
        let text = self.text("schedules are text (*.sched)")?;
        tricot_schedule::text::parse(&self.path.display().to_string(), &text, &self.constants()?)
    }

    fn is_onnx(&self) -> bool {
        self.path.extension().is_some_and(|e| e == "onnx")
    }

    fn import(&self, options: ImportOptions) -> Result<Module, Vec<Diagnostic>> {
        Ok(outlined(tricot_import::import_onnx(&self.path, &options)?))
    }

    fn load_text(&self) -> Result<Module, Vec<Diagnostic>> {
        let text = self.text("models are *.onnx or graph text (*.tri)")?;
        tricot_dialects::text::parse_with(&self.path.display().to_string(), &text, &self.constants()?, &self.library)
    }

    fn text(&self, help: &str) -> Result<String, Vec<Diagnostic>> {
        let name = self.path.display().to_string();
        let bytes = std::fs::read(&self.path).map_err(|e| vec![unreadable(&self.path, &e)])?;
        String::from_utf8(bytes).map_err(|e| vec![not_text(&name, e.utf8_error()).with_help(help)])
    }

    /// The weights that text may refer to.
    fn constants(&self) -> Result<ConstantStore, Vec<Diagnostic>> {
        let mut constants = ConstantStore::default();
        for file in self.weight_files() {
            let more = tricot_import::load_constants(&file)?;
            for (hash, constant) in more.iter() {
                match more.name(hash) {
                    Some(name) => constants.add_named(name, constant.clone()),
                    None => constants.add(constant.clone()),
                };
            }
        }
        Ok(constants)
    }

    fn weight_files(&self) -> Vec<PathBuf> {
        if !self.weights.is_empty() {
            return self.weights.clone();
        }
        let beside = [self.path.with_extension("safetensors"), self.path.with_file_name("weights.safetensors")];
        beside.into_iter().filter(|p| p.exists()).collect()
    }
}

/// An ONNX model at given sizes.
fn onnx_at(
    sizes: &Bindings,
    library: &OpSet,
    import: impl Fn(ImportOptions) -> Result<Module, Vec<Diagnostic>>,
) -> Result<Module, Vec<Diagnostic>> {
    let plain = ImportOptions { library: library.clone(), ..ImportOptions::default() };
    match import(plain.clone()) {
        Ok(mut module) => {
            crate::specialise::specialise(&mut module, sizes)?;
            Ok(module)
        }
        // Some ONNX ops can be imported at known sizes only.
        Err(problems) if problems.iter().any(|p| matches!(p.code, "TC0209" | "TC0210")) => {
            let set = sizes.iter().map(|(symbol, value)| (symbol.name().to_string(), *value)).collect();
            import(ImportOptions { set, ..plain })
        }
        Err(problems) => Err(problems),
    }
}

/// Files of declared ops, each of which may use those before it.
pub fn read_library(files: &[PathBuf]) -> Result<OpSet, Vec<Diagnostic>> {
    let mut library = OpSet::default();
    for file in files {
        let bytes = std::fs::read(file).map_err(|e| vec![unreadable(file, &e)])?;
        let name = file.display().to_string();
        let text = std::str::from_utf8(&bytes).map_err(|e| vec![not_text(&name, e)])?;
        library = tricot_dialects::text::parse_ops(&name, text, &library)?;
    }
    Ok(library)
}

/// Repeated blocks become functions, so that each is rewritten once.
fn outlined(mut module: Module) -> Module {
    tricot_import::outline(&mut module);
    module
}

fn not_text(name: &str, error: std::str::Utf8Error) -> Diagnostic {
    Diagnostic::error("TC0901", format!("{name} is neither ONNX (by its name) nor text"))
        .at_byte(name, error.valid_up_to() as u64, "not UTF-8")
        .with_help("models are *.onnx or graph text (*.tri)")
}

/// A file that cannot be read.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error("TC0900", format!("{} cannot be read: {error}", path.display()))
}
