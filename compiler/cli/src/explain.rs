//! `tricot explain`: the proof in words, or why an op is not there.

use crate::args::Explain;
use crate::build::write_out;
use crate::{Outcome, models};
use tricot_compiler::{Report, Stage};

pub fn explain(args: &Explain) -> Outcome {
    let mut options = models::options(&args.rewrite, std::slice::from_ref(&args.target));
    options.stop_after = Some(Stage::Rewrite);
    let module = models::load(&args.model)?;
    let mut out = std::io::stdout().lock();
    let rewriting = options.rewrite_options(&args.target);
    let compiler = models::compiler(options)?;
    if let Some(op) = &args.why_not {
        // The rewriter knows why it did not find an op; the schedules, why a candidate that has it lost.
        let reason = tricot_rewrite::why_not(&module, op, &rewriting)?;
        let compiled = compiler.compile(module, &mut Report::default(), &|_| {})?;
        return write_out(&mut out, &compiled.targets[0].why_not(op).unwrap_or(reason));
    }
    let compiled = compiler.compile(module, &mut Report::default(), &|_| {})?;
    let target = &compiled.targets[0];
    let text = match args.json {
        true => target.explain_json(),
        false => target.explain(),
    };
    write_out(&mut out, &text)
}
