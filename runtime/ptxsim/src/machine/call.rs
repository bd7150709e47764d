//! Calls (PTX ISA 9.7.12.5). A callee is inlined; an indirect call is a choice among the functions it may name.

use super::decode::{Callees, Decoder, Result, Scope};
use super::op::*;
use crate::isa;
use crate::syntax::{Function, Init, Instruction, Module, Operand, Space, Statement};
use std::collections::HashSet;

/// Functions whose address some instruction or some initial value takes.
fn taken(module: &Module) -> HashSet<&str> {
    let mut names = HashSet::new();
    let initial = module.variables.iter().flat_map(|v| &v.init);
    names.extend(initial.filter_map(|i| if let Init::Address { name, .. } = i { Some(name.as_str()) } else { None }));
    for statement in module.functions.iter().filter_map(|f| f.body.as_ref()).flatten() {
        match statement {
            Statement::Instruction(i) if i.opcode != "call" && i.opcode != "call.uni" => {
                names.extend(i.operands.iter().filter_map(|o| match o {
                    Operand::Name(name) | Operand::Sum(name, _) => Some(name.as_str()),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    names
}

/// The functions that an initialised variable lists.
fn table(module: &Module, name: &str) -> Option<Vec<String>> {
    let variable = module.variables.iter().find(|v| v.name == name)?;
    let mut names: Vec<String> = vec![];
    for init in &variable.init {
        match init {
            Init::Address { name, .. } if !names.contains(name) => names.push(name.clone()),
            _ => {}
        }
    }
    Some(names)
}

impl<'a> Decoder<'a> {
    pub(super) fn call(&mut self, i: &'a Instruction, guard: Option<(u32, bool)>) -> Result<()> {
        let mut operands = i.operands.iter().peekable();
        let mut list = || match operands.next_if(|o| matches!(o, Operand::List(_))) {
            Some(Operand::List(list)) => list.clone(),
            _ => vec![],
        };
        let returns = list();
        let Some(Operand::Name(name)) = operands.next() else { return Err("a function's name is expected".into()) };
        let arguments = match operands.next_if(|o| matches!(o, Operand::List(_))) {
            Some(Operand::List(list)) => list.clone(),
            _ => vec![],
        };
        let callees = match operands.next() {
            None => None,
            Some(Operand::Name(list)) => Some(list),
            Some(_) => return Err("a prototype or a list of functions is expected".into()),
        };
        if self.runtime(name, &returns, &arguments, guard)? {
            return Ok(());
        }
        let (skip, done) = (self.label(), self.label());
        if let Some((p, negated)) = guard {
            self.push(Op::Bra { target: skip }, Some((p, !negated)));
        }
        if self.find_register(name).is_some() {
            let callees = callees.ok_or("an indirect call wants a prototype or a list of functions")?;
            self.indirect(name, callees, &returns, &arguments, done)?;
        } else {
            let function = self.function(name)?;
            self.inline(function, &returns, &arguments)?;
        }
        for label in [skip, done] {
            self.labels[label as usize] = Some(self.code.len() as u32);
        }
        self.push(Op::Nop, None);
        Ok(())
    }

    /// The functions of the CUDA runtime that a kernel may call.
    fn runtime(
        &mut self,
        name: &str,
        returns: &[Operand],
        arguments: &[Operand],
        guard: Option<(u32, bool)>,
    ) -> Result<bool> {
        let at = |d: &mut Self, o: &Operand| -> Result<Addr> {
            let (_, offset) = d.place(o)?;
            Ok(Addr { base: Slot::D(d.const64(offset)), offset: 0 })
        };
        match (name, arguments) {
            ("vprintf", [format, values]) => {
                let (format, arguments) = (at(self, format)?, at(self, values)?);
                let d = returns.first().map(|r| at(self, r)).transpose()?;
                self.push(Op::Printf { format, arguments, d }, guard);
            }
            ("__assertfail", [message, file, line, _, _]) => {
                let (message, file, line) = (at(self, message)?, at(self, file)?, at(self, line)?);
                self.push(Op::AssertFail { message, file, line }, guard);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn place(&self, o: &Operand) -> Result<(Space, u64)> {
        match o {
            Operand::Name(n) => self.find_variable(n).ok_or_else(|| format!("`{n}` is not a parameter variable")),
            _ => Err("a parameter variable is expected".to_string()),
        }
    }

    /// A function with a body that does not run already.
    fn function(&self, name: &str) -> Result<&'a Function> {
        let function = self.module.functions.iter().find(|f| !f.entry && f.name == *name);
        let function = function.ok_or_else(|| format!("there is no function `{name}`"))?;
        if function.body.is_none() {
            return Err(format!("the function `{name}` has no body"));
        }
        if self.calls.iter().any(|c| c == name) {
            return Err(format!("`{name}` calls itself; recursion is not supported"));
        }
        Ok(function)
    }

    /// The body in place of the call; something must follow it.
    fn inline(&mut self, function: &'a Function, returns: &[Operand], arguments: &[Operand]) -> Result<()> {
        let name = &function.name;
        if function.params.len() != arguments.len() || function.returns.len() != returns.len() {
            let (takes, gives) = (function.params.len(), function.returns.len());
            return Err(format!("`{name}` takes {takes} arguments and returns {gives}"));
        }
        let mut scope = Scope::default();
        for (formal, actual) in function.params.iter().zip(arguments).chain(function.returns.iter().zip(returns)) {
            scope.variables.insert(formal.name.clone(), self.place(actual)?);
        }
        let end = self.label();
        // The callee sees its own names only.
        let outer = std::mem::replace(&mut self.scopes, vec![scope]);
        self.calls.push(name.clone());
        self.body(function.body.as_deref().unwrap_or_default(), end);
        self.calls.pop();
        self.scopes = outer;
        self.labels[end as usize] = Some(self.code.len() as u32);
        Ok(())
    }

    /// Compares the pointer with the address of each function that it may hold; each that it holds goes to `done` behind it.
    fn indirect(
        &mut self,
        pointer: &str,
        callees: &str,
        returns: &[Operand],
        arguments: &[Operand],
        done: u32,
    ) -> Result<()> {
        let address = self.d(&Operand::Name(pointer.to_string()))?;
        let found = self.scopes.iter().rev().find_map(|s| s.callees.get(callees).cloned());
        let module = self.module;
        let found = found.or_else(|| table(module, callees).map(Callees::Functions));
        let functions = match found.ok_or_else(|| format!("there is no prototype or list of functions `{callees}`"))? {
            Callees::Functions(names) => names.iter().map(|n| self.function(n)).collect::<Result<Vec<_>>>()?,
            Callees::Prototype(shape) => {
                let taken = taken(module);
                let known = |f: &&Function| f.body.is_some() && !f.entry && taken.contains(f.name.as_str());
                module.functions.iter().filter(known).filter(|f| f.shape() == shape).collect()
            }
        };
        let equal = isa::lookup("setp.eq.u64").ok_or("there is no comparison")?.exec;
        let mut running = vec![];
        let line = self.line;
        for function in functions {
            let at = self.find_variable(&function.name).map_or(0, |(_, at)| at);
            if self.calls.contains(&function.name) {
                running.push((at, function.name.clone()));
                continue;
            }
            let (p, next, b) = (self.new_p(), self.label(), self.const64(at));
            self.push(Op::Setp { f: equal, d: p, q: None, a: address, b, high: None, combine: None }, None);
            self.push(Op::Bra { target: next }, Some((p, true)));
            self.inline(function, returns, arguments)?;
            self.line = line;
            self.push(Op::Bra { target: done }, None);
            self.labels[next as usize] = Some(self.code.len() as u32);
        }
        self.push(Op::NoFunction { address, running: running.into() }, None);
        Ok(())
    }
}
