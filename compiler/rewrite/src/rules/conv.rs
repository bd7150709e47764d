//! Convolutions: Winograd's transforms, and batch norm into the filter.

use crate::lang::Found;
use crate::{RewriteOptions, Winograd};
use tricot_dialects::Attrs;
use tricot_proof::checker::conv::{affine, distribute, merge_shifts, scale_into_filter};
use tricot_proof::{Bank, TermId};
use tricot_types::Poly;

pub fn find(bank: &mut Bank, term: TermId, options: &RewriteOptions, out: &mut Vec<Found>) {
    match bank.name(term) {
        "nn.batch_norm" => {
            out.extend(affine(bank, term).ok().map(|to| Found::new("batch-norm-scale", term, to)));
        }
        "core.map" if bank.is_map(term, "mul") => {
            out.extend(distribute(bank, term).ok().map(|to| Found::new("scale-shift", term, to)));
            out.extend(scale_into_filter(bank, term).ok().map(|to| Found::new("conv-scale", term, to)));
        }
        "core.map" if bank.is_map(term, "add") => {
            out.extend(merge_shifts(bank, term).ok().map(|to| Found::new("shift-shift", term, to)));
        }
        "nn.conv2d" => {
            let tiles: &[i64] = match options.winograd {
                Winograd::Off => &[],
                Winograd::Auto => &[2, 4],
                Winograd::F23 => &[2],
                Winograd::F43 => &[4],
            };
            out.extend(tiles.iter().filter_map(|m| winograd(bank, term, *m)));
        }
        _ => {}
    }
}

fn winograd(bank: &mut Bank, conv: TermId, m: i64) -> Option<Found> {
    const R: i64 = 3;
    let [x, w] = bank.operands(conv)[..] else { return None };
    let attrs = bank.attrs(conv);
    let plain = attrs.ints("stride") == [1, 1] && attrs.ints("dilation") == [1, 1] && attrs.int("groups") == 1;
    if !plain || bank.ty(w).shape[2..] != [Poly::constant(R), Poly::constant(R)] {
        return None;
    }
    let (ty, dtype) = (bank.ty(conv).clone(), bank.ty(x).dtype);
    let tile = || Attrs::new().with("m", m).with("r", R);
    let input = bank.op("winograd.input", tile().with("pad", attrs.ints("pad").to_vec()), &[x]).ok()?;
    let filter = bank.op("winograd.filter", tile(), &[w]).ok()?;
    let product = bank.contract("abnhwc,abfc->abnhwf", &[input, filter], dtype).ok()?;
    let to = bank.op("winograd.output", tile().with("size", ty.shape[2..].to_vec()), &[product]).ok()?;
    Some(Found::new("winograd", conv, to).when("m", m).when("r", R))
}
