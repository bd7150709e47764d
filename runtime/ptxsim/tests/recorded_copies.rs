//! Tensor copies and the driver's answers to tensor maps, as they were recorded on hardware.

#[path = "../numerics/recording/mod.rs"]
mod recording;

use recording::copies::{Copy, copies};
use recording::maps::{Case, Im2col, cases, im2col_cases};
use recording::{HEADER, outputs};
use tricot_ptxsim::machine::im2col::Map;
use tricot_ptxsim::machine::{tensormap::element_bytes, tiled::Tiled};
use tricot_ptxsim::{Class, Device, Im2colMap, Launch, TensorMap, pack};

fn tiled(c: &Case) -> Tiled {
    let Case { data_type, rank, address, dims, strides, boxes, steps, interleave, swizzle, l2, fill } = c.clone();
    Tiled { data_type, rank, address, dims, strides, boxes, steps, interleave, swizzle, l2, fill }
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

fn im2col(case: &Case, shape: &Im2col) -> Im2colMap {
    let mut tensor = map(case);
    tensor.tile = vec![1; tensor.dims.len()];
    tensor.tile[0] = shape.channels;
    Im2colMap { tensor, lower: shape.lower.clone(), upper: shape.upper.clone(), pixels: shape.pixels }
}

/// The bytes that a copy's program leaves behind, or what the simulator says of it.
fn run(copy: &Copy) -> Result<Vec<u8>, String> {
    let mut device = Device::new();
    let text = format!("{HEADER}{}", copy.ptx("k"));
    let module = device.load(&text).unwrap_or_else(|e| panic!("{}: {e}", copy.name));
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{}: {e}", copy.name));
    let tensor = device.memory.add("tensor", Some(copy.tensor()), 0);
    let case = Case { address: tensor, ..copy.map.clone() };
    let encoded = match &copy.im2col {
        Some(shape) => im2col(&case, shape).encode(),
        None => map(&case).encode(),
    };
    assert!(Map::decode(&encoded).is_ok(), "{}: {:?}", copy.name, Map::decode(&encoded));
    let pointers = [
        device.memory.add("map", Some(encoded.to_vec()), 0),
        device.memory.add("in", Some(copy.source()), 0),
        device.memory.add("out", None, copy.result_bytes()),
    ];
    let params = pack(&program, &pointers.map(|p| p.to_le_bytes().to_vec())).expect("three pointers");
    let report = device.run(&module, &program, &Launch { params, step_limit: 1_000_000, ..Launch::default() });
    match report.findings.first() {
        Some(finding) if finding.class == Class::TensorMap => return Err(finding.to_string()),
        Some(finding) => panic!("{}: {finding}", copy.name),
        None => {}
    }
    let result = device.memory.region(if copy.store { tensor } else { pointers[2] }).expect("a buffer");
    Ok(result.data[..copy.result_bytes()].to_vec())
}

/// Error 715 of the runtime, an illegal instruction, is a finding; every other copy leaves the same bytes.
#[test]
fn copies_leave_the_bytes_of_the_hardware() {
    const ILLEGAL: u16 = 715;
    let mut recorded = include_bytes!("../recordings/copies.out").as_slice();
    let mut take = |count: usize| {
        let (bytes, rest) = recorded.split_at_checked(count).expect("record the copies anew: see record.py");
        recorded = rest;
        bytes
    };
    let (mut failures, mut illegal) = (vec![], 0);
    let copies = copies();
    let names: Vec<&str> = copies.iter().map(|copy| copy.name.as_str()).collect();
    outputs::is_recorded(&outputs::folder(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings")), "copies", &names);
    for (number, copy) in copies.iter().enumerate() {
        let status = u16::from_le_bytes([take(1)[0], take(1)[0]]);
        let theirs = if status == 0 { take(copy.result_bytes()) } else { &[] };
        let what = match run(copy) {
            Ok(_) if status == ILLEGAL => "is an illegal instruction".into(),
            Err(finding) if status == 0 => finding,
            Ok(ours) if ours != theirs => {
                let at = ours.iter().zip(theirs).position(|(x, y)| x != y).expect("bytes that differ");
                let wrong = ours.iter().zip(theirs).filter(|(x, y)| x != y).count();
                let part = |v: &[u8]| v[at & !7..].iter().take(8).map(|b| format!("{b:02x}")).collect::<String>();
                let (of, ours, theirs) = (ours.len(), part(&ours), part(theirs));
                format!("{wrong} of {of} bytes, first {at}: {ours}, not {theirs}")
            }
            _ => {
                illegal += usize::from(status == ILLEGAL);
                continue;
            }
        };
        failures.push(format!("c{number} {}: {what}", copy.name));
    }
    assert!(recorded.is_empty(), "the recording is longer than the copies");
    assert!(failures.is_empty(), "{} copies differ:\n{}", failures.len(), failures.join("\n"));
    assert!(illegal > 8, "{illegal} illegal copies");
}

#[test]
fn codes_of_maps_are_those_of_the_driver() {
    let recorded = include_bytes!("../recordings/maps.out");
    let (cases, im2col_cases) = (cases(), im2col_cases());
    assert_eq!(recorded.len(), cases.len() + im2col_cases.len(), "record the maps anew: see record.py");
    let (tiles, columns) = recorded.split_at(cases.len());
    let mut wrong = vec![];
    for (i, (case, code)) in cases.iter().zip(tiles).enumerate() {
        if tiled(case).code() != u32::from(*code) {
            wrong.push(format!("case {i}: driver {code}, ours {:?}, {case:?}", tiled(case).check()));
        }
    }
    for (i, ((case, shape), code)) in im2col_cases.iter().zip(columns).enumerate() {
        let ours = if case.data_type > 12 || !(1..6).contains(&case.rank) || case.fill > 1 {
            Err("no such map".to_string())
        } else {
            im2col(case, shape).check()
        };
        if ours.is_ok() != (*code == 0) {
            wrong.push(format!("im2col case {i}: driver {code}, ours {ours:?}, {case:?}, {shape:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    for part in [tiles, columns] {
        let legal = part.iter().filter(|code| **code == 0).count();
        assert!(legal > 80 && part.len() - legal > 80, "{legal} of {} cases are legal", part.len());
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
