//! How much a text may ask for.

/// Bounds that keep the memory and the stack of a parse finite, whatever the text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text.
    pub text: usize,
    /// Blocks, vectors, initialisers and expressions inside each other.
    pub depth: u32,
    /// Registers that one function declares, ranges such as `%r<100>` counted in full.
    pub registers: u32,
    /// Bytes of one variable.
    pub variable: u64,
    /// Size of the tree: a statement, variable or function counts as 4 nodes, an operand, a modifier or a value as one, a
    /// parameter as 8. A node takes at most 96 bytes while the text is read.
    pub nodes: u32,
}

/// Nodes of [`Limits::nodes`] that one statement, variable or function takes.
pub const STATEMENT: u32 = 4;

impl Default for Limits {
    fn default() -> Self {
        Limits { text: 64 << 20, depth: 64, registers: 1 << 20, variable: 1 << 40, nodes: 16 << 20 }
    }
}
