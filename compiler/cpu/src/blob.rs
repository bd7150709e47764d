//! Machine code of many functions as one position-independent blob without relocations.
//!
//! The central type is [`Blob`]. References between functions of the blob are pc-relative and patched here; any other
//! relocation is an internal error, so that the bytes can be mapped anywhere. Knows no kernel.

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{ExternalName, Function};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{Context, FinalizedRelocTarget};
use tricot_types::Diagnostic;

/// Functions start at multiples of this: a cache line, and enough for every constant pool.
const ALIGN: usize = 64;

/// One compiled function: its bytes and the places that refer to other functions of the same unit.
struct Piece {
    code: Vec<u8>,
    /// (offset of the 32-bit field, number of the function in the unit, addend).
    fixups: Vec<(usize, u32, i64)>,
}

/// The functions of one kernel, linked among themselves; function 0 is the entry.
#[derive(Default)]
pub struct Unit {
    pieces: Vec<Piece>,
    /// Cranelift's text before and after code generation, when wanted.
    pub clif: String,
    pub asm: String,
}

impl Unit {
    /// Compiles the next function of the unit.
    ///
    /// # Errors
    /// TC0691 when Cranelift fails or leaves a relocation that is not a reference inside the unit.
    pub fn add(&mut self, isa: &dyn TargetIsa, func: Function, text: bool) -> Result<(), Diagnostic> {
        let bug = |what: String| Diagnostic::error("TC0691", what).with_help("this is a defect of the compiler");
        if text {
            self.clif.push_str(&func.display().to_string());
        }
        let mut context = Context::for_function(func);
        context.set_disasm(text);
        let compiled = match context.compile(isa, &mut Default::default()) {
            Ok(compiled) => compiled,
            Err(e) => return Err(bug(format!("Cranelift cannot compile the kernel: {:?}", e.inner))),
        };
        if let Some(vcode) = &compiled.vcode {
            self.asm.push_str(vcode);
        }
        let mut fixups = vec![];
        let code = compiled.code_buffer().to_vec();
        let relocs = compiled.buffer.relocs().to_vec();
        for reloc in relocs {
            let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = &reloc.target else {
                return Err(bug(format!("a kernel refers to {:?}", reloc.target)));
            };
            let name = context.func.params.user_named_funcs()[*name].index;
            if !matches!(reloc.kind, Reloc::X86PCRel4 | Reloc::X86CallPCRel4) {
                return Err(bug(format!("a kernel needs relocation {:?}", reloc.kind)));
            }
            fixups.push((reloc.offset as usize, name, reloc.addend));
        }
        self.pieces.push(Piece { code, fixups });
        Ok(())
    }
}

/// The bytes of all units so far.
#[derive(Default)]
pub struct Blob {
    pub bytes: Vec<u8>,
}

impl Blob {
    /// Appends a unit and returns the offset of its entry.
    pub fn append(&mut self, unit: &Unit) -> u64 {
        let mut starts = vec![];
        for piece in &unit.pieces {
            // int3 between functions: falling off one is never silent.
            self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0xcc);
            starts.push(self.bytes.len());
            self.bytes.extend_from_slice(&piece.code);
        }
        for (piece, start) in unit.pieces.iter().zip(&starts) {
            for (at, target, addend) in &piece.fixups {
                let field = start + at;
                let delta = starts[*target as usize] as i64 + addend - field as i64;
                self.bytes[field..field + 4].copy_from_slice(&(delta as i32).to_le_bytes());
            }
        }
        starts.first().copied().unwrap_or(0) as u64
    }
}
