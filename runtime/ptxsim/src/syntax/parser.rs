//! Tokens to a [`Module`]: recursive descent without recursion, so that nesting cannot exhaust the stack.

use super::lexer::{Kind, Token, tokens};
use super::*;

type Result<T> = std::result::Result<T, SyntaxError>;

/// Reads a module.
pub fn parse(text: &str) -> Result<Module> {
    Parser { tokens: tokens(text)?, at: 0 }.module()
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

/// Bytes of an element of a fundamental type.
fn size_of(ty: &str) -> Option<u64> {
    Some(match ty {
        "b8" | "u8" | "s8" => 1,
        "b16" | "u16" | "s16" | "f16" | "bf16" => 2,
        "b32" | "u32" | "s32" | "f32" | "f16x2" | "bf16x2" => 4,
        "b64" | "u64" | "s64" | "f64" => 8,
        "b128" => 16,
        _ => return None,
    })
}

fn space_of(word: &str) -> Option<Space> {
    Some(match word {
        ".global" => Space::Global,
        ".shared" | ".shared::cta" => Space::Shared,
        ".local" => Space::Local,
        ".const" => Space::Const,
        ".param" => Space::Param,
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Kind<'a> {
        self.tokens[self.at].kind
    }

    fn ahead(&self, n: usize) -> Kind<'a> {
        self.tokens.get(self.at + n).map_or(Kind::End, |t| t.kind)
    }

    fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    fn next(&mut self) -> Kind<'a> {
        let kind = self.peek();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        kind
    }

    fn fail<T>(&self, wanted: &str) -> Result<T> {
        let found = match self.peek() {
            Kind::End => "the text ends".to_string(),
            Kind::Word(w) => format!("`{w}` stands"),
            Kind::Punct(c) => format!("`{}` stands", c as char),
            other => format!("{other:?} stands"),
        };
        Err(SyntaxError { line: self.line(), message: format!("{found} where {wanted} is expected") })
    }

    fn eat(&mut self, c: u8) -> bool {
        let found = self.peek() == Kind::Punct(c);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, c: u8) -> Result<()> {
        if self.eat(c) { Ok(()) } else { self.fail(&format!("`{}`", c as char)) }
    }

    fn word(&mut self) -> Result<&'a str> {
        match self.peek() {
            Kind::Word(w) => {
                self.next();
                Ok(w)
            }
            _ => self.fail("a name"),
        }
    }

    fn int(&mut self) -> Result<i128> {
        let negative = self.eat(b'-');
        match self.peek() {
            Kind::Int(v) => {
                self.next();
                Ok(if negative { -i128::from(v) } else { i128::from(v) })
            }
            _ => self.fail("a whole number"),
        }
    }

    fn u32(&mut self) -> Result<u32> {
        let line = self.line();
        u32::try_from(self.int()?).map_err(|_| SyntaxError { line, message: "a number outside 32 bits".into() })
    }

    /// Skips to behind the next `;`, or the end of the line for directives without one.
    fn skip_line(&mut self) {
        let line = self.line();
        while self.line() == line && self.peek() != Kind::End {
            self.next();
        }
    }

    fn module(mut self) -> Result<Module> {
        let mut module = Module::default();
        loop {
            match self.peek() {
                Kind::End => return Ok(module),
                Kind::Punct(b';') => {
                    self.next();
                }
                Kind::Word(".version") => {
                    self.next();
                    let text = match self.next() {
                        Kind::F64(bits) => format!("{:?}", f64::from_bits(bits)),
                        Kind::Int(v) => format!("{v}.0"),
                        _ => return self.fail("a version"),
                    };
                    let mut parts = text.split('.').map(|p| p.parse().unwrap_or(0));
                    module.version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
                }
                Kind::Word(".target") => {
                    self.next();
                    module.target = self.word()?.to_string();
                    while self.eat(b',') {
                        self.word()?;
                    }
                }
                Kind::Word(".address_size") => {
                    self.next();
                    if self.int()? != 64 {
                        return Err(SyntaxError { line: self.line(), message: "only 64-bit addresses".into() });
                    }
                }
                Kind::Word(".file") => {
                    self.next();
                    let number = self.u32()?;
                    if let Kind::Text(name) = self.peek() {
                        module.files.insert(number, name.to_string());
                    }
                    self.skip_line();
                }
                Kind::Word(".section") => {
                    while !matches!(self.peek(), Kind::Punct(b'{') | Kind::End) {
                        self.next();
                    }
                    while !self.eat(b'}') {
                        if self.peek() == Kind::End {
                            return self.fail("`}`");
                        }
                        self.next();
                    }
                }
                Kind::Word(".pragma") | Kind::Word(".alias") => {
                    while !self.eat(b';') {
                        if self.peek() == Kind::End {
                            return self.fail("`;`");
                        }
                        self.next();
                    }
                }
                Kind::Word(_) => self.item(&mut module)?,
                _ => return self.fail("a directive"),
            }
        }
    }

    /// A variable or a function, with its linkage.
    fn item(&mut self, module: &mut Module) -> Result<()> {
        while let Kind::Word(".visible" | ".extern" | ".weak" | ".common") = self.peek() {
            self.next();
        }
        let line = self.line();
        match self.peek() {
            Kind::Word(".entry" | ".func") => {
                let entry = self.word()? == ".entry";
                let mut function = Function { entry, line, ..Function::default() };
                if !entry && self.eat(b'(') {
                    function.returns = self.params(b')')?;
                }
                function.name = self.word()?.to_string();
                if self.eat(b'(') {
                    function.params = self.params(b')')?;
                }
                self.bounds(&mut function.bounds)?;
                if self.eat(b'{') {
                    function.body = Some(self.body()?);
                } else {
                    self.expect(b';')?;
                }
                // A definition takes the place of its declaration.
                if let Some(old) = module.functions.iter_mut().find(|f| f.name == function.name) {
                    if function.body.is_some() {
                        *old = function;
                    }
                } else {
                    module.functions.push(function);
                }
                Ok(())
            }
            Kind::Word(w) if space_of(w).is_some() => {
                let mut found = vec![];
                self.variables(&mut found)?;
                module.variables.append(&mut found);
                Ok(())
            }
            _ => self.fail("a directive of a module"),
        }
    }

    fn bounds(&mut self, bounds: &mut Bounds) -> Result<()> {
        while let Kind::Word(word) = self.peek() {
            self.next();
            match word {
                ".maxntid" => bounds.maxntid = Some(self.triple()?),
                ".reqntid" => bounds.reqntid = Some(self.triple()?),
                ".reqnctapercluster" => bounds.cluster = Some(self.triple()?),
                ".minnctapersm" => bounds.minnctapersm = Some(self.u32()?),
                ".maxnctapersm" | ".maxclusterrank" => {
                    self.u32()?;
                }
                ".maxnreg" => bounds.maxnreg = Some(self.u32()?),
                ".explicitcluster" | ".noreturn" | ".blocksareclusters" => {}
                ".pragma" => {
                    self.next();
                    self.expect(b';')?;
                }
                _ => {
                    self.at -= 1;
                    return self.fail("a directive of a function");
                }
            }
        }
        Ok(())
    }

    fn triple(&mut self) -> Result<[u32; 3]> {
        let mut out = [1; 3];
        for n in 0..3 {
            out[n] = self.u32()?;
            if !self.eat(b',') {
                break;
            }
        }
        Ok(out)
    }

    /// Parameters up to a closing bracket.
    fn params(&mut self, close: u8) -> Result<Vec<Variable>> {
        let mut out = vec![];
        if self.eat(close) {
            return Ok(out);
        }
        loop {
            if self.peek() == Kind::Word(".reg") {
                return self.fail("`.param` (register parameters are not supported)");
            }
            out.push(self.variable()?);
            if self.eat(close) {
                return Ok(out);
            }
            self.expect(b',')?;
        }
    }

    /// `.space … a, b;`
    fn variables(&mut self, out: &mut Vec<Variable>) -> Result<()> {
        let start = self.at;
        let first = self.variable()?;
        out.push(first);
        while self.eat(b',') {
            let line = self.line();
            let mut more = out[out.len() - 1].clone();
            more.name = self.word()?.to_string();
            more.count = Some(1);
            more.init.clear();
            more.line = line;
            out.push(more);
        }
        let _ = start;
        self.expect(b';')
    }

    fn variable(&mut self) -> Result<Variable> {
        let line = self.line();
        let word = self.word()?;
        let Some(space) = space_of(word) else {
            self.at -= 1;
            return self.fail("a state space");
        };
        let (mut align, mut element, mut vector) = (0, 0, 1);
        while let Kind::Word(word) = self.peek() {
            match word {
                ".align" => {
                    self.next();
                    align = u64::from(self.u32()?);
                    if !align.is_power_of_two() || align > 1 << 20 {
                        return self.fail("an alignment that is a power of two");
                    }
                }
                ".ptr" => {
                    // `.ptr .space .align n` describes the pointee.
                    self.next();
                    while let Kind::Word(w) = self.peek() {
                        if space_of(w).is_some() {
                            self.next();
                        } else if w == ".align" {
                            self.next();
                            self.u32()?;
                        } else {
                            break;
                        }
                    }
                }
                ".v2" => {
                    self.next();
                    vector = 2;
                }
                ".v4" => {
                    self.next();
                    vector = 4;
                }
                ".attribute" => {
                    self.next();
                    while !self.eat(b')') {
                        if self.peek() == Kind::End {
                            return self.fail("`)`");
                        }
                        self.next();
                    }
                }
                w if w.starts_with('.') && size_of(&w[1..]).is_some() => {
                    self.next();
                    element = size_of(&w[1..]).unwrap_or(0);
                }
                _ => break,
            }
        }
        if element == 0 {
            return self.fail("a type");
        }
        element *= vector;
        let name = match self.peek() {
            Kind::Word(w) => {
                self.next();
                w.to_string()
            }
            _ => return self.fail("a name"),
        };
        let (mut count, mut sized) = (1u64, true);
        while self.eat(b'[') {
            if self.eat(b']') {
                sized = false;
                continue;
            }
            let line = self.line();
            let n = self.int()?;
            count = u64::try_from(n)
                .ok()
                .and_then(|n| count.checked_mul(n))
                .filter(|n| *n <= 1 << 40)
                .ok_or_else(|| SyntaxError { line, message: format!("an array of {n} elements") })?;
            self.expect(b']')?;
        }
        let mut init = vec![];
        if self.eat(b'=') {
            self.init(&mut init)?;
        }
        if !sized && !init.is_empty() {
            (count, sized) = (init.len() as u64, true);
        }
        if align == 0 {
            align = element.next_power_of_two();
        }
        Ok(Variable { space, name, align, element, count: sized.then_some(count), init, line })
    }

    fn init(&mut self, out: &mut Vec<Init>) -> Result<()> {
        let mut depth = 0;
        loop {
            match self.peek() {
                Kind::Punct(b'{') => {
                    self.next();
                    depth += 1;
                    continue;
                }
                Kind::Punct(b'}') if depth > 0 => {
                    self.next();
                    depth -= 1;
                }
                Kind::Punct(b',') if depth > 0 => {
                    self.next();
                    continue;
                }
                Kind::Punct(b'-') | Kind::Int(_) => {
                    let value = self.int()?;
                    out.push(Init::Bits(value as u64));
                }
                Kind::F32(bits) => {
                    self.next();
                    out.push(Init::Bits(u64::from(bits)));
                }
                Kind::F64(bits) => {
                    self.next();
                    out.push(Init::Bits(bits));
                }
                Kind::Word(name) => {
                    self.next();
                    let generic = name == "generic" && self.eat(b'(');
                    let name = if generic { self.word()?.to_string() } else { name.to_string() };
                    if generic {
                        self.expect(b')')?;
                    }
                    let offset = if self.eat(b'+') { self.int()? as i64 } else { 0 };
                    out.push(Init::Address { name, offset, generic });
                }
                _ => return self.fail("an initial value"),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// A body behind its opening brace.
    fn body(&mut self) -> Result<Vec<Statement>> {
        let (mut out, mut depth) = (vec![], 0);
        loop {
            let line = self.line();
            match self.peek() {
                Kind::Punct(b'{') => {
                    self.next();
                    depth += 1;
                    out.push(Statement::Open);
                }
                Kind::Punct(b'}') => {
                    self.next();
                    if depth == 0 {
                        return Ok(out);
                    }
                    depth -= 1;
                    out.push(Statement::Close);
                }
                Kind::Punct(b';') => {
                    self.next();
                }
                Kind::Punct(b'@') => {
                    self.next();
                    let negated = self.eat(b'!');
                    let guard = (self.word()?.to_string(), negated);
                    out.push(self.instruction(Some(guard))?);
                }
                Kind::Word(".reg") => {
                    self.next();
                    let ty = self.word()?.trim_start_matches('.').to_string();
                    let ty = if ty == "v2" || ty == "v4" { return self.fail("a scalar register type") } else { ty };
                    let mut names = vec![];
                    loop {
                        let name = self.word()?.to_string();
                        let count = if self.eat(b'<') {
                            let count = self.u32()?;
                            self.expect(b'>')?;
                            Some(count)
                        } else {
                            None
                        };
                        names.push((name, count));
                        if !self.eat(b',') {
                            break;
                        }
                    }
                    self.expect(b';')?;
                    out.push(Statement::Registers { ty, names, line });
                }
                Kind::Word(".loc") => {
                    self.next();
                    let (file, at, column) = (self.u32()?, self.u32()?, self.u32()?);
                    // `, function_name …, inlined_at …`
                    while self.line() == line && self.peek() != Kind::End {
                        self.next();
                    }
                    out.push(Statement::Location(Location { file, line: at, column }));
                }
                Kind::Word(".pragma") => {
                    self.next();
                    if let Kind::Text(text) = self.next()
                        && let Some(mask) = text.strip_prefix("used_bytes_mask ")
                    {
                        let digits = mask.trim().trim_start_matches("0x");
                        let line = self.line();
                        let wrong = |_| SyntaxError { line, message: format!("`{mask}` is not a mask of bytes") };
                        out.push(Statement::UsedBytes(u32::from_str_radix(digits, 16).map_err(wrong)?));
                    }
                    self.expect(b';')?;
                }
                Kind::Word(w) if space_of(w).is_some() => {
                    let mut found = vec![];
                    self.variables(&mut found)?;
                    out.extend(found.into_iter().map(Statement::Variable));
                }
                Kind::Word(name) if self.ahead(1) == Kind::Punct(b':') => {
                    self.next();
                    self.next();
                    match self.peek() {
                        Kind::Word(".branchtargets") => {
                            self.next();
                            let mut labels = vec![self.word()?.to_string()];
                            while self.eat(b',') {
                                labels.push(self.word()?.to_string());
                            }
                            self.expect(b';')?;
                            out.push(Statement::Targets { name: name.to_string(), labels });
                        }
                        Kind::Word(".callprototype" | ".calltargets") => {
                            while !self.eat(b';') {
                                if self.peek() == Kind::End {
                                    return self.fail("`;`");
                                }
                                self.next();
                            }
                        }
                        _ => out.push(Statement::Label(name.to_string())),
                    }
                }
                Kind::Word(w) if w.starts_with('.') => return self.fail("an instruction"),
                Kind::Word(_) => out.push(self.instruction(None)?),
                _ => return self.fail("an instruction"),
            }
        }
    }

    fn instruction(&mut self, guard: Option<(String, bool)>) -> Result<Statement> {
        let line = self.line();
        let opcode = self.word()?.to_string();
        let mut operands = vec![];
        if !self.eat(b';') {
            loop {
                operands.push(self.operand(0)?);
                if self.eat(b';') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        Ok(Statement::Instruction(Instruction { guard, opcode, operands, line }))
    }

    fn operand(&mut self, depth: u32) -> Result<Operand> {
        if depth > 3 {
            return self.fail("an operand that nests less");
        }
        let first = match self.peek() {
            Kind::Punct(b'[') => {
                self.next();
                return self.address(depth);
            }
            Kind::Punct(open @ (b'{' | b'(')) => {
                self.next();
                let close = if open == b'{' { b'}' } else { b')' };
                let mut items = vec![];
                if !self.eat(close) {
                    loop {
                        items.push(self.operand(depth + 1)?);
                        if self.eat(close) {
                            break;
                        }
                        self.expect(b',')?;
                    }
                }
                return Ok(if open == b'{' { Operand::Vector(items) } else { Operand::List(items) });
            }
            Kind::Punct(b'!') => {
                self.next();
                Operand::Not(self.word()?.to_string())
            }
            Kind::Punct(b'-') => match self.ahead(1) {
                Kind::F32(bits) => {
                    self.at += 2;
                    Operand::F32(bits ^ 1 << 31)
                }
                Kind::F64(bits) => {
                    self.at += 2;
                    Operand::F64(bits ^ 1 << 63)
                }
                _ => Operand::Int(self.int()?),
            },
            Kind::Int(_) => Operand::Int(self.int()?),
            Kind::F32(bits) => {
                self.next();
                Operand::F32(bits)
            }
            Kind::F64(bits) => {
                self.next();
                Operand::F64(bits)
            }
            Kind::Word("_") => {
                self.next();
                Operand::Sink
            }
            Kind::Word(name) => {
                self.next();
                match self.peek() {
                    Kind::Punct(sign @ (b'+' | b'-')) => {
                        self.next();
                        let value = self.int()? as i64;
                        Operand::Sum(name.to_string(), if sign == b'-' { value.wrapping_neg() } else { value })
                    }
                    _ => Operand::Name(name.to_string()),
                }
            }
            _ => return self.fail("an operand"),
        };
        if self.eat(b'|') {
            let second = self.operand(depth + 1)?;
            return Ok(Operand::Pair(Box::new(first), Box::new(second)));
        }
        Ok(first)
    }

    fn address(&mut self, depth: u32) -> Result<Operand> {
        let (base, mut offset) = match self.operand(depth + 1)? {
            Operand::Sum(name, offset) => (Operand::Name(name), offset),
            other => (other, 0),
        };
        while self.eat(b'+') {
            offset = offset.wrapping_add(self.int()? as i64);
        }
        let mut coordinates = vec![];
        if self.eat(b',') {
            match self.operand(depth + 1)? {
                Operand::Vector(items) => coordinates = items,
                _ => return self.fail("coordinates in braces"),
            }
        }
        self.expect(b']')?;
        Ok(Operand::Address { base: Box::new(base), offset, coordinates })
    }
}
