//! Writes the programs and inputs that `runtime/ptxsim/recordings/record.py` runs on a GPU.
//!
//! ```text
//! cargo run --release -p tricot-ptx-numerics --example recording_programs -- DIRECTORY
//! ```
//! writes `scalar.ptx`, `matrix.ptx`, `copies.ptx`, `timings.ptx`, inputs `*.bin` and `programs.json`.

#[path = "../recording/mod.rs"]
mod recording;

use std::{env, error::Error, fs, path::Path};

use recording::{HEADER, forms::forms as matrix_forms, maps, scalar, timings};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args().nth(1).ok_or("usage: recording_programs DIRECTORY")?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;

    let (mut ptx, mut input, mut rows) = (HEADER.to_owned(), vec![], vec![]);
    for (i, row) in scalar::rows().iter().enumerate() {
        ptx += &row.ptx(&format!("s{i}"));
        for set in 0..scalar::SETS {
            for k in 0..4 {
                let word = if k < row.operands.len() { row.input(set, k) } else { 0 };
                input.extend_from_slice(&word.to_le_bytes());
            }
        }
        rows.push(json!({ "opcode": row.opcode, "bytes": row.bits / 8 }));
    }
    fs::write(directory.join("scalar.ptx"), ptx)?;
    fs::write(directory.join("scalar.bin"), input)?;

    let (mut ptx, mut input, mut forms, mut outputs) = (HEADER.to_owned(), vec![], vec![], 0);
    for (i, form) in matrix_forms().iter().enumerate() {
        ptx += &form.ptx(&format!("m{i}"));
        let at = input.len();
        (0..form.trials).flat_map(|t| form.image(t)).for_each(|w| input.extend_from_slice(&w.to_le_bytes()));
        let words_at = input.len();
        for t in 0..form.trials {
            (0..form.threads()).flat_map(|x| form.words(t, x)).for_each(|w| input.extend_from_slice(&w.to_le_bytes()));
        }
        outputs += form.m * form.n * form.trials;
        forms.push(json!({
            "opcode": form.opcode, "images": at, "words": words_at, "end": input.len(), "trials": form.trials,
            "threads": form.threads(), "output_words": form.trials * form.threads() * form.d_words(),
        }));
    }
    fs::write(directory.join("matrix.ptx"), ptx)?;
    fs::write(directory.join("matrix.bin"), input)?;

    let cases: Vec<_> = maps::cases().iter().map(|c| map(c, None)).collect();
    let cases: Vec<_> = cases.into_iter().chain(maps::im2col_cases().iter().map(|(c, i)| map(c, Some(i)))).collect();

    let (mut ptx, mut input, mut copies) = (HEADER.to_owned(), vec![], vec![]);
    for (i, copy) in recording::copies::copies().iter().enumerate() {
        ptx += &copy.ptx(&format!("c{i}"));
        let (tensor, source) = (copy.tensor(), copy.source());
        copies.push(json!({
            "name": copy.name, "map": map(&copy.map, copy.im2col.as_ref()), "tensor": tensor.len(), "source": source.len(),
            "store": copy.store, "bytes": copy.result_bytes(),
        }));
        input.extend(tensor);
        input.extend(source);
    }
    fs::write(directory.join("copies.ptx"), ptx)?;
    fs::write(directory.join("copies.bin"), input)?;

    let mut ptx = HEADER.to_owned();
    let mut patterns = vec![];
    for (i, pattern) in timings::patterns().iter().enumerate() {
        ptx += &pattern.ptx(&format!("t{i}"));
        patterns.push(json!({ "name": pattern.name, "offsets": pattern.offsets }));
    }
    fs::write(directory.join("timings.ptx"), ptx)?;
    println!(
        "{} scalar rows, {} matrix forms with {outputs} outputs, {} tensor maps, {} tensor copies, {} access patterns",
        rows.len(),
        forms.len(),
        cases.len(),
        copies.len(),
        patterns.len()
    );
    let timings = json!({ "threads": 32 * timings::WARPS, "buffer": timings::Pattern::buffer(), "patterns": patterns });
    let programs = json!({ "sets": scalar::SETS, "scalar": rows, "matrix": forms, "maps": cases, "copies": copies, "timings": timings });
    fs::write(directory.join("programs.json"), serde_json::to_string(&programs)?)?;
    Ok(())
}

/// Arguments of the driver's call for a map.
fn map(c: &maps::Case, im2col: Option<&maps::Im2col>) -> Value {
    json!({
        "data_type": c.data_type, "rank": c.rank, "address": c.address, "dims": c.dims, "strides": c.strides,
        "boxes": c.boxes, "steps": c.steps, "interleave": c.interleave, "swizzle": c.swizzle, "l2": c.l2, "fill": c.fill,
        "im2col": im2col.map(|i| json!({ "lower": i.lower, "upper": i.upper, "channels": i.channels, "pixels": i.pixels })),
    })
}
