//! Helpers of this crate's tests.

use crate::ptxas::Assembler;

/// The assembler; `None`, with the reason printed, where there is none, unless `TRICOT_REQUIRE_PTXAS` is set.
pub(crate) fn assembler() -> Option<&'static Assembler> {
    match Assembler::find() {
        Ok(found) => Some(found),
        Err(why) if std::env::var_os("TRICOT_REQUIRE_PTXAS").is_some() => panic!("{why}"),
        Err(why) => {
            eprintln!("not assembled: {why}");
            None
        }
    }
}

pub(crate) mod emulate;

mod cases;
mod covered;
mod mutants;
mod snapshots;
