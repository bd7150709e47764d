//! A translation unit.

use super::{FileName, Function, Section, Variable};

/// A translation unit (PTX ISA 4.2). The lists keep the order of the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module<'t> {
    pub version: Version,
    /// The words of `.target`: an architecture such as `sm_90a`, then options such as `debug`.
    pub target: Vec<&'t str>,
    /// Bits of an address, 32 or 64; `None` where the text does not say, which means 32.
    pub address_size: Option<u32>,
    pub directives: Vec<Directive<'t>>,
    /// Variables outside functions.
    pub globals: Vec<Variable<'t>>,
    /// Definitions and declarations; one name may have both.
    pub functions: Vec<Function<'t>>,
    /// The `.file` directives.
    pub files: Vec<FileName<'t>>,
    /// The `.section` directives.
    pub sections: Vec<Section<'t>>,
}

impl<'t> Module<'t> {
    /// Name of the source file with number `index`, as [`Location`](super::Location) gives it.
    pub fn file(&self, index: u32) -> Option<&'t str> {
        self.files.iter().find(|file| file.index == index).map(|file| file.name)
    }

    /// The definition of the function `name`, else its first declaration.
    pub fn function(&self, name: &str) -> Option<&Function<'t>> {
        let named = || self.functions.iter().filter(|function| function.name == name);
        named().find(|function| function.body.is_some()).or_else(|| named().next())
    }

    /// The text at the label `label`, plus `offset` bytes, of a debug section: what `function_name` of a `.loc` means.
    pub fn debug_text(&self, label: &str, offset: u64) -> Option<String> {
        self.sections.iter().find_map(|section| section.text(label, offset))
    }
}

/// `.version 8.7`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    /// Where it stands.
    pub line: u32,
}

/// What a module says besides its declarations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive<'t> {
    /// `.pragma "a", "b";`
    Pragma { texts: Vec<&'t str>, line: u32 },
    /// `.alias name, target;`
    Alias { name: &'t str, target: &'t str, line: u32 },
}

impl Directive<'_> {
    /// Line of the directive.
    pub fn line(&self) -> u32 {
        match self {
            Directive::Pragma { line, .. } | Directive::Alias { line, .. } => *line,
        }
    }
}
