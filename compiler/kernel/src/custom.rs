//! Kernels of the user's own: code and launch as they came, for one target.
//!
//! The central type is [`Custom`]. Its text form is part of [`crate::text`]'s; it knows no op and no assembler.

use crate::text::{ParseError, Reader};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use tricot_types::Poly;

/// Code that is launched as it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Custom {
    /// The target it is for.
    pub target: String,
    /// The op it computes, for people.
    pub op: String,
    /// The function's name in the code.
    pub entry: String,
    pub grid: [Poly; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    /// Dynamic shared memory of a block, bytes.
    pub shared_bytes: u32,
    /// In the order of the function's parameters.
    pub arguments: Vec<CustomArgument>,
    /// Operations of what it computes.
    pub flops: Poly,
    /// What a launch takes, in nanoseconds, as its author says; 0 where nothing is said.
    pub nanoseconds: u64,
    pub code: CustomCode,
}

/// One parameter.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomArgument {
    /// A pointer to the start of a buffer.
    Buffer(u32),
    /// So many low bytes (4 or 8) of a value.
    Value { value: Poly, bytes: u32 },
}

/// PTX to be assembled, or a cubin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomCode {
    Ptx(String),
    Cubin(Vec<u8>),
}

const FENCE: &str = "\"\"\"";

impl Display for Custom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [x, y, z] = &self.grid;
        let three = |n: [u32; 3]| n.map(|v| v.to_string()).join(" ");
        writeln!(f, "  custom {} {} entry {}", self.target, self.op.replace('.', " "), self.entry)?;
        write!(f, "  grid ({x}) ({y}) ({z}) block {} cluster {}", three(self.block), three(self.cluster))?;
        writeln!(f, " shared {}", self.shared_bytes)?;
        f.write_str("  arguments")?;
        for a in &self.arguments {
            match a {
                CustomArgument::Buffer(at) => write!(f, " buffer {at}")?,
                CustomArgument::Value { value, bytes } => write!(f, " value {bytes} ({value})")?,
            }
        }
        writeln!(f, " end\n  work ({}) nanoseconds {}", self.flops, self.nanoseconds)?;
        match &self.code {
            CustomCode::Ptx(text) => writeln!(f, "  ptx {FENCE}{text}{FENCE}"),
            CustomCode::Cubin(bytes) => {
                let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                writeln!(f, "  cubin {FENCE}{hex}{FENCE}")
            }
        }
    }
}

impl Reader<'_> {
    /// What follows the word `custom`.
    pub(crate) fn custom(&mut self) -> Result<Custom, ParseError> {
        let target = self.word()?.to_string();
        let op = format!("{}.{}", self.word()?, self.word()?);
        self.expect("entry")?;
        let entry = self.word()?.to_string();
        self.expect("grid")?;
        let grid = [self.poly()?, self.poly()?, self.poly()?];
        self.expect("block")?;
        let block = [self.number()?, self.number()?, self.number()?];
        self.expect("cluster")?;
        let cluster = [self.number()?, self.number()?, self.number()?];
        self.expect("shared")?;
        let shared_bytes = self.number()?;
        self.expect("arguments")?;
        let mut arguments = vec![];
        while !self.take("end") {
            arguments.push(if self.take("buffer") {
                CustomArgument::Buffer(self.number()?)
            } else {
                self.expect("value")?;
                let bytes = self.number()?;
                CustomArgument::Value { value: self.poly()?, bytes }
            });
        }
        self.expect("work")?;
        let flops = self.poly()?;
        self.expect("nanoseconds")?;
        let nanoseconds = self.number()?;
        let code = if self.take("ptx") {
            CustomCode::Ptx(self.fenced()?.to_string())
        } else {
            self.expect("cubin")?;
            let hex = self.fenced()?.as_bytes();
            let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
            let bytes: Option<Vec<u8>> = hex.chunks(2).map(|p| Some(digit(p[0])? << 4 | digit(*p.get(1)?)?)).collect();
            match bytes {
                Some(bytes) => CustomCode::Cubin(bytes),
                None => return self.fail("a cubin is written in hexadecimal digits"),
            }
        };
        Ok(Custom { target, op, entry, grid, block, cluster, shared_bytes, arguments, flops, nanoseconds, code })
    }
}

#[cfg(test)]
mod tests {
    use crate::KernelDesc;

    #[test]
    fn custom_kernels_read_back() {
        for code in ["ptx \"\"\".version 8.6\n// }\n\"\"\"", "cubin \"\"\"7f454c46\"\"\""] {
            let text = format!(
                "kernel custom_1(n) {{\n  buffer 0 x read f32 [(n)]\n  buffer 1 y write f32 [(n)]\n  custom sm_90a my gate entry gate\n  \
                 grid ((n + 255) floordiv 256) (1) (1) block 256 1 1 cluster 1 1 1 shared 0\n  \
                 arguments buffer 0 buffer 1 value 4 (n) end\n  work (2*n) nanoseconds 2500\n  {code}\n}}\n"
            );
            let desc: KernelDesc = text.parse().unwrap_or_else(|e| panic!("{e:?}"));
            crate::verify::verify(&desc).unwrap();
            let printed = desc.to_string();
            assert_eq!(printed.parse::<KernelDesc>().unwrap(), desc);
            assert!(printed.contains("custom sm_90a my gate entry gate"), "{printed}");
        }
    }
}
