//! Kernels of a declared op: code for one target, and how it is launched.
//!
//! The central type is [`CustomKernel`]; [`CustomKernel::call`] fills it in for one call. A kernel is a claim: that it computes
//! what the body means. Nothing here knows how code runs.

use super::{CustomOp, Generics};
use crate::attr::{Attr, Attrs};
use crate::ty::TensorType;
use tricot_types::{DType, Poly, Symbol, SymbolTable};

/// A kernel as declared.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomKernel {
    /// `sm_90a`.
    pub target: String,
    /// The function's name in the code.
    pub entry: String,
    /// Element types it is for, by the names of the declaration.
    pub types: Vec<(String, DType)>,
    /// Sizes that must be known multiples.
    pub multiples: Vec<(Symbol, i64)>,
    /// Blocks along x, y, z.
    pub grid: GridSize,
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    /// Dynamic shared memory of a block.
    pub shared_bytes: u32,
    pub arguments: Vec<Argument>,
    /// What a launch takes, for choosing between the kernel and the body.
    pub microseconds: Option<f64>,
    /// Taken wherever it is for a call, without weighing it against the body.
    pub always: bool,
    pub code: Code,
}

/// Polynomials over the declaration's sizes.
pub type GridSize = [Poly; 3];

/// One kernel parameter.
#[derive(Clone, PartialEq, Debug)]
pub enum Argument {
    /// A pointer to the operand of this number.
    Operand(u32),
    /// A pointer to the result of this number.
    Result(u32),
    /// A size, in so many bytes (4 or 8).
    Size(Poly, u32),
    /// An attribute as a number of this type.
    Attribute(String, DType),
}

/// What is launched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Code {
    Ptx(String),
    Cubin(Vec<u8>),
}

/// A kernel filled in for one call: sizes in the caller's symbols.
#[derive(Clone, PartialEq, Debug)]
pub struct KernelCall {
    pub kernel: CustomKernel,
    pub grid: GridSize,
    pub arguments: Vec<CallArgument>,
}

/// One kernel parameter of a call.
#[derive(Clone, PartialEq, Debug)]
pub enum CallArgument {
    Operand(u32),
    Result(u32),
    /// A value of so many bytes.
    Value {
        value: Poly,
        bytes: u32,
    },
}

impl CustomKernel {
    /// The launch for a call, or why the kernel is not for it.
    fn call(&self, generics: &Generics, symbols: &SymbolTable) -> Result<KernelCall, String> {
        for (name, wanted) in &self.types {
            if let Some(have) = generics.dtypes.get(name).filter(|have| *have != wanted) {
                return Err(format!("it is for {name} = {wanted}, this is {have}"));
            }
        }
        for (symbol, multiple) in &self.multiples {
            let size = generics.sizes.get(symbol).cloned().unwrap_or_default();
            if size.known_multiple(symbols) % multiple != 0 {
                return Err(format!("it needs {symbol} to be a multiple of {multiple}; {size} is not known to be one"));
            }
        }
        let fill = |p: &Poly| p.substitute(&generics.sizes);
        let arguments = self.arguments.iter().map(|a| {
            Ok(match a {
                Argument::Operand(at) => CallArgument::Operand(*at),
                Argument::Result(at) => CallArgument::Result(*at),
                Argument::Size(p, bytes) => CallArgument::Value { value: fill(p), bytes: *bytes },
                Argument::Attribute(name, dtype) => attribute(&generics.attrs, name, *dtype)?,
            })
        });
        let arguments = arguments.collect::<Result<Vec<_>, String>>()?;
        Ok(KernelCall { kernel: self.clone(), grid: self.grid.clone().map(|p| fill(&p)), arguments })
    }
}

/// The bits of an attribute as a number of `dtype`.
fn attribute(attrs: &Attrs, name: &str, dtype: DType) -> Result<CallArgument, String> {
    let real = match attrs.get(name) {
        Some(Attr::Float(bits)) => f64::from_bits(*bits),
        Some(Attr::Int(v)) => *v as f64,
        Some(Attr::Bool(v)) => f64::from(u8::from(*v)),
        Some(Attr::Dim(p)) if matches!(dtype, DType::I32 | DType::I64) => {
            return Ok(CallArgument::Value { value: p.clone(), bytes: dtype.bits() / 8 });
        }
        _ => return Err(format!("attribute `{name}` is no number")),
    };
    let bits = match dtype {
        DType::F32 => i64::from((real as f32).to_bits()),
        DType::F64 => real.to_bits() as i64,
        DType::I32 | DType::I64 => real as i64,
        other => return Err(format!("a kernel takes no {other} by value")),
    };
    Ok(CallArgument::Value { value: Poly::constant(bits), bytes: dtype.bits() / 8 })
}

impl CustomOp {
    /// The first kernel for `target` that takes a call; where there is none, why each refuses.
    pub fn kernel(
        &self,
        target: &str,
        operands: &[TensorType],
        attrs: &Attrs,
        symbols: &SymbolTable,
    ) -> Result<KernelCall, Vec<String>> {
        let generics = self.bind(operands, attrs).map_err(|m| vec![m])?;
        let mut refusals = vec![];
        for kernel in self.kernels.iter().filter(|k| k.target == target) {
            match kernel.call(&generics, symbols) {
                Ok(call) => return Ok(call),
                Err(why) => refusals.push(format!("kernel `{}`: {why}", kernel.entry)),
            }
        }
        Err(refusals)
    }
}
