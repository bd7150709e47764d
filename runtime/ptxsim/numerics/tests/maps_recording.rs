//! The driver's answers to legal and illegal tensor maps, and the encoding.

#[path = "../recording/mod.rs"]
mod recording;

use std::{fs, path::PathBuf};

use recording::maps::{Case, cases};
use tricot_ptx_numerics::tensor_map::{Error, TensorMap};

fn map(c: &Case) -> TensorMap {
    let Case { data_type, rank, address, dims, strides, boxes, steps, interleave, swizzle, l2, fill } = c.clone();
    TensorMap { data_type, rank, address, dims, strides, boxes, steps, interleave, swizzle, l2, fill }
}

#[test]
#[ignore = "needs maps.out, which record.py makes on a GPU"]
fn codes_are_those_of_the_driver() {
    let folder = std::env::var_os("PTX_RECORDING")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../recordings"), PathBuf::from);
    let recorded = fs::read(folder.join("maps.out")).expect("maps.out: see record.py for the command that makes it");
    let cases = cases();
    assert_eq!(recorded.len(), cases.len());
    let wrong: Vec<_> = cases
        .iter()
        .zip(recorded)
        .enumerate()
        .filter(|(_, (case, code))| map(case).code() != u32::from(*code))
        .map(|(i, (case, code))| format!("case {i}: driver {code}, ours {:?}, {case:?}", map(case).check()))
        .collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn legal_maps_survive_encoding() {
    let mut legal = 0;
    for case in cases() {
        let mut map = map(&case);
        if map.check().is_err() {
            continue;
        }
        legal += 1;
        // Entries beyond the rank carry nothing.
        for i in map.rank as usize..5 {
            (map.dims[i], map.boxes[i], map.steps[i]) = (1, 1, 1);
        }
        assert_eq!(TensorMap::decode(&map.encode()), Ok(map));
    }
    assert!(legal > 60, "{legal} legal cases");
    assert_eq!(TensorMap::decode(&[0x5a; 128]), Err(Error::Foreign));
}

/// Every element of a box against the definition: coordinates, strides, fill.
#[test]
fn rows_of_a_box_are_its_elements() {
    let map = TensorMap {
        data_type: 9,
        rank: 3,
        address: 1 << 20,
        dims: [20, 7, 5, 0, 0],
        strides: [64, 640, 0, 0],
        boxes: [8, 4, 3, 0, 0],
        steps: [1, 2, 1, 0, 0],
        ..TensorMap::default()
    };
    for start in [[0, 0, 0], [-3, -1, 2], [16, 5, 4], [30, 0, 0]] {
        let (mut rows, mut bytes) = (vec![], 0);
        map.rows(&start, |row| rows.push(row)).expect("legal");
        for (n, row) in rows.iter().enumerate() {
            let (y, z) = (start[1] + 2 * (n as i32 % 2), start[2] + n as i32 / 2);
            for x in 0..8 {
                let inside = (0..20).contains(&(start[0] + x)) && (0..7).contains(&y) && (0..5).contains(&z);
                let at = 2 * x as u32;
                assert_eq!(row.inside.0 <= at && at < row.inside.1, inside, "{start:?} line {n} element {x}");
                if inside {
                    let address = (1i64 << 20) + i64::from(2 * (start[0] + x) + 64 * y + 640 * z);
                    assert_eq!(row.global + u64::from(at), address as u64);
                }
                bytes += 2;
            }
        }
        assert_eq!((rows.len(), bytes), (6, map.box_bytes()));
    }
}
