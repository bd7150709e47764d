//! Asynchronous warpgroup matrix products (PTX ISA 9.7.15).
//!
//! The central type is [`Group`]: a fence, some `wgmma.mma_async` and a commit, emitted as one inline statement with tied
//! accumulators, so that nothing can come between. MLIR has neither the register-A nor the sparse form.

use super::smem::Major;
use crate::emit::{Builder, Ty, Val};
use tricot_types::DType;

/// Rows of every wgmma.
pub const M: u32 = 64;

/// The A operand of one product.
#[derive(Clone, Copy, Debug)]
pub enum Operand {
    /// A descriptor and a constant to add to it (units of 16 bytes).
    Shared { descriptor: Val, step: i64 },
    /// A fragment in registers, four i32.
    Registers([Val; 4]),
}

/// 2:4 metadata of one product: a register and the selector (PTX ISA 9.7.15.6).
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    pub word: Val,
    pub selector: u32,
}

/// The kind of all products in a group.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Columns: a multiple of 8, 8 to 256.
    pub n: u32,
    /// Element type of A and B: f16, bf16, or an 8-bit float.
    pub a: DType,
    pub b: DType,
    pub a_major: Major,
    pub b_major: Major,
}

/// One `wgmma.mma_async`: `acc[first..first + n / 2] += A * B`.
#[derive(Clone, Copy, Debug)]
struct Product {
    first: usize,
    a: Operand,
    b: Val,
    step: i64,
    meta: Option<Meta>,
}

/// Products that are issued together.
#[derive(Clone, Debug)]
pub struct Group {
    shape: Shape,
    products: Vec<Product>,
}

/// Reduction depth of one dense product: 32 bytes of k (PTX ISA 9.7.15.2).
pub fn depth(dtype: DType) -> u32 {
    256 / dtype.bits()
}

fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "f16",
        DType::BF16 => "bf16",
        DType::F8E4M3 => "e4m3",
        DType::F8E5M2 => "e5m2",
        _ => panic!("wgmma takes no {dtype}"),
    }
}

/// Operands of an inline statement: tied accumulators first, each other value once.
struct Operands {
    values: Vec<Val>,
    letters: Vec<&'static str>,
    tied: usize,
}

impl Operands {
    fn new(acc: &[Val]) -> Operands {
        Operands { values: acc.to_vec(), letters: vec![], tied: acc.len() }
    }

    /// The operand number of `value`.
    fn number(&mut self, value: Val, letter: &'static str) -> usize {
        let same = |v: &Val| v.raw.ptr == value.raw.ptr;
        let at = self.values[self.tied..].iter().position(same).unwrap_or_else(|| {
            self.values.push(value);
            self.letters.push(letter);
            self.letters.len() - 1
        });
        2 * self.tied + at
    }

    fn constraints(&self) -> String {
        let outputs = (0..self.tied).map(|_| "=f".to_string());
        let ties = (0..self.tied).map(|i| i.to_string());
        let inputs = self.letters.iter().map(|l| l.to_string());
        outputs.chain(ties).chain(inputs).chain(["~{memory}".to_string()]).collect::<Vec<_>>().join(",")
    }
}

impl Group {
    /// An empty group.
    pub fn new(shape: Shape) -> Group {
        Group { shape, products: vec![] }
    }

    /// Adds a dense product into accumulators `first..first + n / 2`. `b` is a descriptor, `step` a constant added to it.
    pub fn product(&mut self, first: usize, a: Operand, b: Val, step: i64) -> &mut Group {
        self.products.push(Product { first, a, b, step, meta: None });
        self
    }

    /// Adds a product whose A is 2:4 compressed; its depth is twice the dense one.
    pub fn sparse_product(&mut self, first: usize, a: Operand, meta: Meta, b: Val, step: i64) -> &mut Group {
        self.products.push(Product { first, a, b, step, meta: Some(meta) });
        self
    }

    /// Issues fence, products and commit. The results may not be touched before [`wait`].
    pub fn issue(&self, b: &Builder, acc: &[Val]) -> Vec<Val> {
        let mut operands = Operands::new(acc);
        let mut text = String::from("{\n.reg .b64 da, db;\nwgmma.fence.sync.aligned;\n");
        for product in &self.products {
            text.push_str(&self.instruction(product, &mut operands));
        }
        text.push_str("wgmma.commit_group.sync.aligned;\n}");
        b.asm(&text, &operands.constraints(), &operands.values, &vec![Ty::F32; acc.len()], true)
    }

    fn instruction(&self, product: &Product, operands: &mut Operands) -> String {
        let Shape { n, a, b, a_major, b_major } = self.shape;
        let list = |numbers: Vec<usize>| numbers.iter().map(|i| format!("${i}")).collect::<Vec<_>>().join(", ");
        let acc = list((product.first..product.first + n as usize / 2).collect());
        let (mut text, left) = match product.a {
            Operand::Shared { descriptor, step } => {
                (format!("add.s64 da, ${}, {step};\n", operands.number(descriptor, "l")), "da".to_string())
            }
            Operand::Registers(regs) => {
                (String::new(), format!("{{{}}}", list(regs.iter().map(|r| operands.number(*r, "r")).collect())))
            }
        };
        text.push_str(&format!("add.s64 db, ${}, {};\n", operands.number(product.b, "l"), product.step));
        // Transposition immediates exist for 16-bit types only; a register A has none.
        let transposed = |major: Major| u32::from(major == Major::Mn);
        let transpose = match (a.bits(), product.a) {
            (16, Operand::Shared { .. }) => format!(", {}, {}", transposed(a_major), transposed(b_major)),
            (16, Operand::Registers(_)) => format!(", {}", transposed(b_major)),
            _ => String::new(),
        };
        let (sparse, deeper, meta) = match product.meta {
            None => ("", 1, String::new()),
            Some(m) => (".sp", 2, format!(" ${}, {},", operands.number(m.word, "r"), m.selector)),
        };
        let (k, a, b) = (depth(a) * deeper, type_name(a), type_name(b));
        text.push_str(&format!(
            "wgmma.mma_async{sparse}.sync.aligned.m64n{n}k{k}.f32.{a}.{b} {{{acc}}}, {left}, db,{meta} 1, 1, 1{transpose};\n"
        ));
        text
    }
}

/// Waits until at most `pending` groups of this warpgroup are in flight, and hands the accumulators on.
pub fn wait(b: &Builder, acc: &[Val], pending: u32) -> Vec<Val> {
    let operands = Operands::new(acc);
    let text = format!("wgmma.wait_group.sync.aligned {pending};");
    b.asm(&text, &operands.constraints(), acc, &vec![Ty::F32; acc.len()], true)
}
