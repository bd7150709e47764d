//! `tricot opt`: the rewritten graph as text.

use crate::args::Opt;
use crate::build::write_out;
use crate::{Outcome, models};
use tricot_compiler::{Report, Stage, dump};

pub fn opt(args: &Opt) -> Outcome {
    let mut options = models::options(&args.rewrite, std::slice::from_ref(&args.target));
    options.stop_after = Some(Stage::Rewrite);
    let compiler = models::compiler(options)?;
    let module = models::load(&args.model)?;
    let compiled = compiler.compile(module, &mut Report::default(), &|_| {})?;
    let result = compiled.targets[0].module.as_ref().expect("the input is a graph");
    let text = match args.format.as_str() {
        "mlir" => tricot_dialects::text::print_mlir(result),
        _ => tricot_dialects::text::print(result),
    };
    match &args.output {
        None => write_out(&mut std::io::stdout().lock(), &text),
        Some(path) => {
            // Weights that the text names by digest go beside it, so that the pair reads back.
            let weights = tricot_import::constants_bytes(result)?;
            let beside = path.with_extension("safetensors");
            dump::write_together(&[(&beside, &weights), (path, text.as_bytes())]).map_err(|d| vec![d])
        }
    }
}
