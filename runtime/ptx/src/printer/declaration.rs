//! Variables, functions and sections.

use super::Printer;
use crate::ast::*;

impl<'a, 't> Printer<'a, 't> {
    pub(super) fn variable(&mut self, variable: &Variable) {
        if let Some(linkage) = variable.linkage {
            self.put(format_args!(".{} ", linkage.name()));
        }
        self.put(format_args!(".{} ", variable.space.name()));
        self.attributes(&variable.attributes);
        if let Some(align) = variable.align {
            self.put(format_args!(".align {align} "));
        }
        if let Some(vector) = variable.vector {
            self.put(format_args!(".v{vector} "));
        }
        self.put(format_args!(".{} ", variable.ty.name()));
        if let Some(pointer) = variable.pointer {
            self.push(".ptr ");
            if let Some(space) = pointer.space {
                self.put(format_args!(".{} ", space.name()));
            }
            if let Some(align) = pointer.align {
                self.put(format_args!(".align {align} "));
            }
        }
        self.push(variable.name);
        for dimension in &variable.dimensions {
            match dimension {
                Some(count) => self.put(format_args!("[{count}]")),
                None => self.push("[]"),
            }
        }
        if let Some(initial) = &variable.initial {
            self.push(" = ");
            self.initial(initial);
        }
    }

    fn attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes {
            match attribute {
                Attribute::Managed => self.push(".attribute(.managed) "),
                Attribute::Unified(high, low) => self.put(format_args!(".attribute(.unified({high}, {low})) ")),
            }
        }
    }

    fn initial(&mut self, initial: &Initial) {
        match initial {
            Initial::Int(int) => self.int(*int),
            Initial::F32(bits) => self.put(format_args!("0f{bits:08X}")),
            Initial::F64(bits) => self.put(format_args!("0d{bits:016X}")),
            Initial::List(list) => {
                self.push("{");
                self.list(list, |printer, item| printer.initial(item));
                self.push("}");
            }
            Initial::Symbol { name, generic, offset, mask } => {
                if let Some(mask) = mask {
                    self.put(format_args!("{mask:#X}("));
                }
                match generic {
                    true => self.put(format_args!("generic({name})")),
                    false => self.push(name),
                }
                self.offset(*offset);
                if mask.is_some() {
                    self.push(")");
                }
            }
        }
    }

    pub(super) fn function(&mut self, function: &'a Function<'t>) {
        if let Some(linkage) = function.linkage {
            self.put(format_args!(".{} ", linkage.name()));
        }
        self.push(match function.kind {
            FunctionKind::Entry => ".entry ",
            FunctionKind::Func => ".func ",
        });
        self.attributes(&function.attributes);
        if !function.returns.is_empty() {
            self.parameters(&function.returns);
            self.push(" ");
        }
        self.push(function.name);
        self.parameters(&function.params);
        self.tuning(&function.tuning);
        match &function.body {
            None => self.push(";"),
            Some(body) => {
                self.function = Some(function);
                self.at(body.line);
                self.block(body);
                self.function = None;
            }
        }
    }

    fn parameters(&mut self, params: &[Variable]) {
        self.push("(");
        self.indent += 1;
        self.list(params, |printer, param| {
            printer.at(param.line);
            printer.variable(param);
        });
        self.indent -= 1;
        self.push(")");
    }

    fn tuning(&mut self, tuning: &[Tuning]) {
        for directive in tuning {
            self.push(" ");
            match directive {
                Tuning::MaxNReg(n) => self.put(format_args!(".maxnreg {n}")),
                Tuning::MaxNTid([x, y, z]) => self.put(format_args!(".maxntid {x}, {y}, {z}")),
                Tuning::ReqNTid([x, y, z]) => self.put(format_args!(".reqntid {x}, {y}, {z}")),
                Tuning::MinNCtaPerSm(n) => self.put(format_args!(".minnctapersm {n}")),
                Tuning::MaxNCtaPerSm(n) => self.put(format_args!(".maxnctapersm {n}")),
                Tuning::ReqNCtaPerCluster([x, y, z]) => self.put(format_args!(".reqnctapercluster {x}, {y}, {z}")),
                Tuning::MaxClusterRank(n) => self.put(format_args!(".maxclusterrank {n}")),
                Tuning::ExplicitCluster => self.push(".explicitcluster"),
                Tuning::BlocksAreClusters => self.push(".blocksareclusters"),
                Tuning::NoReturn => self.push(".noreturn"),
                Tuning::AbiPreserve(n) => self.put(format_args!(".abi_preserve {n}")),
                Tuning::AbiPreserveControl(n) => self.put(format_args!(".abi_preserve_control {n}")),
                Tuning::Pragma(texts) => self.texts(texts),
            }
        }
    }

    pub(super) fn prototype(&mut self, prototype: &Prototype) {
        self.put(format_args!("{}: .callprototype ", prototype.name));
        if !prototype.returns.is_empty() {
            self.parameters(&prototype.returns);
            self.push(" ");
        }
        self.push("_ ");
        self.parameters(&prototype.params);
        self.tuning(&prototype.tuning);
        self.push(";");
    }

    pub(super) fn section(&mut self, section: &Section) {
        self.put(format_args!(".section .{} {{", section.name));
        for item in &section.items {
            match item {
                SectionItem::Label { name, line } => {
                    self.at(*line);
                    self.put(format_args!("{name}:"));
                }
                SectionItem::Data { ty, values, line } => {
                    self.at(*line);
                    self.put(format_args!(".{} ", ty.name()));
                    self.list(values, |printer, value| match value {
                        SectionValue::Int(int) => printer.int(*int),
                        SectionValue::Label { plus, minus, offset } => {
                            printer.push(plus);
                            if let Some(minus) = minus {
                                printer.put(format_args!("-{minus}"));
                            }
                            printer.offset(*offset);
                        }
                    });
                }
            }
        }
        self.at(section.end);
        self.push("}");
    }
}
