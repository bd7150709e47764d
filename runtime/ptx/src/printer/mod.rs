//! The tree to PTX text, each item on its line, so that reading the text gives the same tree.

mod body;
mod declaration;

use crate::ast::{Directive, Function, Module};
use std::fmt::Write;

/// PTX text of `module`, each item on the line that the tree says, or later where that line has passed. Reading the text
/// of a tree that came from [`parse`](crate::parse) gives that tree again.
pub fn print(module: &Module) -> String {
    print_all(std::slice::from_ref(module))
}

/// PTX text of several modules, one after the other.
pub fn print_all(modules: &[Module]) -> String {
    let mut printer = Printer { text: String::new(), line: 1, indent: 0, function: None };
    for module in modules {
        printer.module(module);
    }
    printer.text.push('\n');
    printer.text
}

struct Printer<'a, 't> {
    text: String,
    /// Line of the end of `text`.
    line: u32,
    /// Tabs at the start of a line.
    indent: usize,
    /// Whose body is being printed.
    function: Option<&'a Function<'t>>,
}

impl<'a, 't> Printer<'a, 't> {
    /// Goes on to `line`, or on to a new word where that line has passed.
    fn at(&mut self, line: u32) {
        if line > self.line {
            for _ in self.line..line {
                self.text.push('\n');
            }
            self.line = line;
            self.text.extend(std::iter::repeat_n('\t', self.indent));
        } else if !self.text.is_empty() && !self.text.ends_with(['\t', '(']) {
            self.text.push(' ');
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn put(&mut self, arguments: std::fmt::Arguments) {
        // A string takes all that is written to it.
        let _ = self.text.write_fmt(arguments);
    }

    /// `items` with commas between them.
    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            each(self, item);
        }
    }

    fn texts(&mut self, texts: &[&str]) {
        self.push(".pragma ");
        self.list(texts, |printer, text| printer.put(format_args!("\"{text}\"")));
        self.push(";");
    }

    fn module(&mut self, module: &'a Module<'t>) {
        self.at(module.version.line);
        self.put(format_args!(".version {}.{} .target ", module.version.major, module.version.minor));
        self.list(&module.target, |printer, word| printer.push(word));
        if let Some(bits) = module.address_size {
            self.put(format_args!(" .address_size {bits}"));
        }
        for (line, item) in in_order(module) {
            self.at(line);
            match item {
                Item::Directive(Directive::Pragma { texts, .. }) => self.texts(texts),
                Item::Directive(Directive::Alias { name, target, .. }) => {
                    self.put(format_args!(".alias {name}, {target};"));
                }
                Item::Global(variable) => {
                    self.variable(variable);
                    self.push(";");
                }
                Item::Function(function) => self.function(function),
                Item::File(file) => {
                    self.put(format_args!(".file {} \"{}\"", file.index, file.name));
                    if let Some((time, size)) = file.stamp {
                        self.put(format_args!(", {time}, {size}"));
                    }
                }
                Item::Section(section) => self.section(section),
            }
        }
    }
}

enum Item<'a, 't> {
    Directive(&'a Directive<'t>),
    Global(&'a crate::ast::Variable<'t>),
    Function(&'a Function<'t>),
    File(&'a crate::ast::FileName<'t>),
    Section(&'a crate::ast::Section<'t>),
}

/// The items of a module by their lines.
fn in_order<'a, 't>(module: &'a Module<'t>) -> Vec<(u32, Item<'a, 't>)> {
    let mut items: Vec<(u32, Item)> = Vec::new();
    items.extend(module.directives.iter().map(|d| (d.line(), Item::Directive(d))));
    items.extend(module.globals.iter().map(|v| (v.line, Item::Global(v))));
    items.extend(module.functions.iter().map(|f| (f.line, Item::Function(f))));
    items.extend(module.files.iter().map(|f| (f.line, Item::File(f))));
    items.extend(module.sections.iter().map(|s| (s.line, Item::Section(s))));
    items.sort_by_key(|(line, _)| *line);
    items
}
