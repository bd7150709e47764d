//! Blocks, statements and operands.

use super::Printer;
use crate::ast::*;

impl<'a, 't> Printer<'a, 't> {
    /// From `{` on.
    pub(super) fn block(&mut self, block: &Block) {
        self.push("{");
        self.indent += 1;
        for statement in &block.statements {
            self.at(statement.line());
            self.statement(statement);
        }
        self.indent -= 1;
        self.at(block.end);
        self.push("}");
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Instruction(instruction) => self.instruction(instruction),
            Statement::Label { name, .. } => self.put(format_args!("{name}:")),
            Statement::Registers(registers) => self.registers(registers),
            Statement::Variable(variable) => {
                self.variable(variable);
                self.push(";");
            }
            Statement::Block(block) => self.block(block),
            Statement::Location { id, .. } => {
                if let Some(location) = self.function.and_then(|function| function.location(*id)) {
                    self.location(location);
                }
            }
            Statement::BranchTargets { name, labels, .. } => self.targets(name, "branchtargets", labels),
            Statement::CallTargets { name, functions, .. } => self.targets(name, "calltargets", functions),
            Statement::Prototype(prototype) => self.prototype(prototype),
            Statement::Pragma { texts, .. } => self.texts(texts),
        }
    }

    fn targets(&mut self, name: &str, directive: &str, targets: &[&str]) {
        self.put(format_args!("{name}: .{directive} "));
        self.list(targets, |printer, target| printer.push(target));
        self.push(";");
    }

    fn registers(&mut self, registers: &Registers) {
        self.push(".reg ");
        if let Some(vector) = registers.vector {
            self.put(format_args!(".v{vector} "));
        }
        self.put(format_args!(".{} ", registers.ty.name()));
        self.list(&registers.names, |printer, (name, count)| {
            printer.push(name);
            if let Some(count) = count {
                printer.put(format_args!("<{count}>"));
            }
        });
        self.push(";");
    }

    fn location(&mut self, location: &Location) {
        let Position { file, line, column } = location.position;
        self.put(format_args!(".loc {file} {line} {column}"));
        if let Some(name) = location.function_name {
            self.put(format_args!(", function_name {}", name.label));
            if name.offset != 0 {
                self.put(format_args!("+{}", name.offset));
            }
        }
        if let Some(Position { file, line, column }) = location.inlined_at {
            self.put(format_args!(", inlined_at {file} {line} {column}"));
        }
    }

    fn instruction(&mut self, instruction: &Instruction) {
        if let Some(guard) = instruction.guard {
            self.put(format_args!("@{}{} ", if guard.negated { "!" } else { "" }, guard.register));
        }
        self.push(instruction.opcode);
        for modifier in &instruction.modifiers {
            self.push(".");
            self.push(modifier);
        }
        if !instruction.operands.is_empty() {
            self.push(" ");
            self.list(&instruction.operands, |printer, operand| printer.operand(operand));
        }
        self.push(";");
    }

    fn operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Name(name) => self.push(name),
            Operand::Not(name) => self.put(format_args!("!{name}")),
            Operand::Int(int) => self.int(*int),
            Operand::F32(bits) => self.put(format_args!("0f{bits:08X}")),
            Operand::F64(bits) => self.put(format_args!("0d{bits:016X}")),
            Operand::Sink => self.push("_"),
            Operand::Sum(name, 0) => self.put(format_args!("{name}+0")),
            Operand::Sum(name, offset) => {
                self.push(name);
                self.offset(*offset);
            }
            Operand::Pair(pair) => self.put(format_args!("{}|{}", pair.0, pair.1)),
            Operand::Vector(values) => {
                self.push("{");
                self.list(values, |printer, value| printer.operand(value));
                self.push("}");
            }
            Operand::Address(address) => {
                self.push("[");
                match address.base {
                    Some(base) => {
                        self.push(base);
                        self.offset(address.offset);
                    }
                    None => self.put(format_args!("{}", address.offset)),
                }
                for operand in &address.rest {
                    self.push(", ");
                    self.operand(operand);
                }
                self.push("]");
            }
            Operand::List(values) => {
                self.push("(");
                self.list(values, |printer, value| printer.operand(value));
                self.push(")");
            }
        }
    }

    pub(super) fn int(&mut self, int: Int) {
        self.put(format_args!("{}{}", int.value(), if int.unsigned { "U" } else { "" }));
    }

    /// What is added to a name; nothing for 0.
    pub(super) fn offset(&mut self, offset: i64) {
        if offset != 0 {
            self.put(format_args!("{offset:+}"));
        }
    }
}
