//! What a description must keep before a family sees it; hosts build descriptions, but a reproducer file is anyone's.

use tricot_kernel::{KernelDesc, verify::verify};
use tricot_types::Diagnostic;

/// Checks the name, which becomes the entry's in PTX and that of files, and everything the verifier of descriptions checks, so
/// that emitters may index without asking.
///
/// # Errors
/// TC0509 for the name, TC0410 to TC0415 for the rest.
pub fn check(desc: &KernelDesc) -> Result<(), Vec<Diagnostic>> {
    let identifier = desc.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if desc.name.is_empty() || !identifier || desc.name.starts_with(|c: char| c.is_ascii_digit()) {
        let message = format!("`{}` is no name for a kernel", desc.name);
        return Err(vec![Diagnostic::error("TC0509", message).with_help("use letters, digits and underscores")]);
    }
    verify(desc)
}
