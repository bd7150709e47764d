//! Reading a model: ONNX or graph text, told apart by its name; and the text of a schedule.

use std::path::{Path, PathBuf};
use tricot_dialects::{ConstantStore, Module};
use tricot_schedule::Schedule;
use tricot_types::Diagnostic;

/// Where a model comes from.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    /// safetensors files that graph text may refer to; a file of the same stem beside the text is found without being named.
    pub weights: Vec<PathBuf>,
}

impl Source {
    /// A model file.
    pub fn new(path: impl Into<PathBuf>) -> Source {
        Source { path: path.into(), weights: vec![] }
    }

    /// Reads and verifies the model.
    pub fn load(&self) -> Result<Module, Vec<Diagnostic>> {
        match self.path.extension().and_then(|e| e.to_str()) {
            Some("onnx") => {
                let mut module = tricot_import::import_onnx(&self.path, &tricot_import::ImportOptions::default())?;
                // Repeated blocks become functions, so that each is rewritten once.
                tricot_import::outline(&mut module);
                Ok(module)
            }
            _ => self.load_text(),
        }
    }

    /// Reads and checks a schedule's text.
    pub fn load_schedule(&self) -> Result<Schedule, Vec<Diagnostic>> {
        let text = self.text("schedules are text (*.sched)")?;
        tricot_schedule::text::parse(&self.path.display().to_string(), &text, &self.constants()?)
    }

    fn load_text(&self) -> Result<Module, Vec<Diagnostic>> {
        let text = self.text("models are *.onnx or graph text (*.tri)")?;
        tricot_dialects::text::parse(&self.path.display().to_string(), &text, &self.constants()?)
    }

    fn text(&self, help: &str) -> Result<String, Vec<Diagnostic>> {
        let name = self.path.display().to_string();
        let bytes = std::fs::read(&self.path).map_err(|e| vec![unreadable(&self.path, &e)])?;
        String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to() as u64;
            let problem = Diagnostic::error("TC0901", format!("{name} is neither ONNX (by its name) nor text"));
            vec![problem.at_byte(&name, at, "not UTF-8").with_help(help)]
        })
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

/// A file that cannot be read.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error("TC0900", format!("{} cannot be read: {error}", path.display()))
}
