//! Kernels that came as code: assembled where they are PTX, launched as their author says.
//!
//! The central function is [`compile`]. Nothing is emitted, so no worker process is needed.

use crate::ptxas::{self, Assembler};
use std::collections::BTreeMap;
use tricot_kernel::{CompileOptions, CompiledKernel, Custom, CustomArgument, CustomCode, KernelDesc};
use tricot_plan::{GpuLaunch, How, Param};
use tricot_types::{Diagnostic, Poly};

/// Code, launch and texts of one kernel; with `assembler`, also the bundle's files.
///
/// # Errors
/// TC0503 PTX that ptxas refuses, TC0510 code without the entry.
pub fn compile(
    desc: &KernelDesc,
    custom: &Custom,
    assembler: Option<&Assembler>,
    options: &CompileOptions,
) -> Result<(CompiledKernel, BTreeMap<String, Vec<u8>>), Diagnostic> {
    let wanted = |stage: &str| options.want.contains(&stage) || options.stop_after == Some(stage);
    let (mut files, mut texts) = (BTreeMap::new(), BTreeMap::new());
    let cubin = match &custom.code {
        CustomCode::Ptx(text) => {
            if !declares(text, &custom.entry) {
                return Err(no_entry(desc, custom, "`.entry`"));
            }
            if wanted("ptx") {
                texts.insert("ptx", text.clone());
            }
            files.insert(format!("{}.ptx", desc.name), text.clone().into_bytes());
            assembler.map(|a| a.assemble_given(&desc.name, text)).transpose()?
        }
        CustomCode::Cubin(bytes) => {
            // Every function has a section of its own.
            let section = format!(".text.{}\0", custom.entry);
            if !bytes.windows(section.len()).any(|w| w == section.as_bytes()) {
                return Err(no_entry(desc, custom, "section"));
            }
            Some(bytes.clone())
        }
    };
    if let Some(cubin) = cubin {
        if wanted("sass")
            && let Some(text) = ptxas::disassemble(&cubin)
        {
            texts.insert("sass", text);
        }
        files.insert(format!("{}.cubin", desc.name), cubin);
    }
    let params = custom.arguments.iter().map(|a| match a {
        CustomArgument::Buffer(at) => Param::Buffer(*at),
        CustomArgument::Value { value, bytes: 4 } => Param::Word(value.clone()),
        CustomArgument::Value { value, .. } => Param::Value(value.clone()),
    });
    let launch = GpuLaunch {
        entry: custom.entry.clone(),
        grid: custom.grid.clone(),
        block: custom.block,
        cluster: custom.cluster,
        shared_bytes: custom.shared_bytes,
        params: params.collect(),
        scratch: Poly::default(),
        zero_scratch: false,
        min_assembler: ptxas::MINIMUM_TEXT.into(),
    };
    let choice = format!("{} by `{}`", custom.op, custom.entry);
    Ok((CompiledKernel { how: How::Gpu(launch), choice, texts }, files))
}

/// Whether PTX has `.entry name` as whole words.
fn declares(ptx: &str, name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    ptx.match_indices(".entry").any(|(at, mark)| {
        let rest = ptx[at + mark.len()..].trim_start();
        rest.strip_prefix(name).is_some_and(|after| !after.starts_with(word))
    })
}

fn no_entry(desc: &KernelDesc, custom: &Custom, what: &str) -> Diagnostic {
    Diagnostic::error("TC0510", format!("the code of `{}` has no {what} `{}`", custom.op, custom.entry))
        .at_name(format!("kernel `{}`", desc.name), "")
        .with_help("`entry` is the name of the function as the code spells it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_whole_words() {
        for (text, found) in [
            (".visible .entry gate(\n.param", true),
            (".entry\tgate {", true),
            (".entry gate2(", false),
            (".func gate(", false),
        ] {
            assert_eq!(declares(text, "gate"), found, "{text}");
        }
    }
}
