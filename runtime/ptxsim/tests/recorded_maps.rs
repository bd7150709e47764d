//! The driver's answers to legal and illegal tensor maps, and the simulator's encoding of them.

#[path = "../numerics/recording/mod.rs"]
mod recording;

use recording::maps::{Case, cases};
use tricot_ptxsim::TensorMap;
use tricot_ptxsim::machine::{tensormap::element_bytes, tiled::Tiled};

fn tiled(c: &Case) -> Tiled {
    let Case { data_type, rank, address, dims, strides, boxes, steps, interleave, swizzle, l2, fill } = c.clone();
    Tiled { data_type, rank, address, dims, strides, boxes, steps, interleave, swizzle, l2, fill }
}

#[test]
fn codes_are_those_of_the_driver() {
    let recorded = include_bytes!("../recordings/maps.out");
    let cases = cases();
    assert_eq!(recorded.len(), cases.len(), "record the cases anew: see recordings/record.py");
    let wrong: Vec<_> = cases
        .iter()
        .zip(recorded)
        .enumerate()
        .filter(|(_, (case, code))| tiled(case).code() != u32::from(**code))
        .map(|(i, (case, code))| format!("case {i}: driver {code}, ours {:?}, {case:?}", tiled(case).check()))
        .collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    let legal = recorded.iter().filter(|code| **code == 0).count();
    assert!((100..200).contains(&legal), "{legal} of {} cases are legal", cases.len());
}

/// `tensormap.replace` numbers element types in another way than the driver.
fn map(case: &Case) -> TensorMap {
    let elemtype = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 8, 11, 12][case.data_type as usize];
    let rank = case.rank as usize;
    TensorMap {
        address: case.address,
        elemtype,
        element: element_bytes(elemtype).expect("a type"),
        dims: case.dims[..rank].to_vec(),
        strides: case.strides[..rank - 1].to_vec(),
        tile: case.boxes[..rank].to_vec(),
        element_strides: case.steps[..rank].to_vec(),
        swizzle: case.swizzle as u8,
        interleave: case.interleave as u8,
        fill_nan: case.fill == 1,
    }
}

#[test]
fn legal_maps_survive_encoding() {
    let (mut legal, mut illegal) = (0, 0);
    for case in cases()
        .iter()
        .filter(|c| c.data_type < 13 && (1..6).contains(&c.rank) && c.interleave == 0 && c.swizzle < 4 && c.fill < 2)
    {
        let map = map(case);
        // The simulator's map has no field for promotion to L2.
        let same = Tiled { l2: 0, ..tiled(case) };
        assert_eq!(map.check().is_ok(), same.check().is_ok(), "{case:?}");
        match map.check() {
            Ok(()) => {
                assert_eq!(TensorMap::decode(&map.encode()), Ok(map));
                legal += 1;
            }
            Err(limit) => {
                // Counts are stored less one: those beyond their bytes are not the same after it.
                if let Err(e) = TensorMap::decode(&map.encode()) {
                    assert!(e.starts_with(limit.field), "{e}, {limit}");
                    illegal += 1;
                }
            }
        }
    }
    assert!(legal > 100 && illegal > 40, "{legal} legal cases, {illegal} illegal");
}
