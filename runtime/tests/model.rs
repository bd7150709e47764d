//! A hand-made plan with hand-written machine code for the `cpu` device.

use crate::support::*;
use tricot_runtime::plan::{CpuLaunch, How, Manifest, Plan, Step, Storage, Units, Work};
use tricot_runtime::{Device, Module};

/// x86-64 (System V): `add(a, b, out) n` at 0, `reverse(a, out, scratch) n` at 64, `fail` at 192.
const CODE: &str = "\
488b06488b4e084c8b46104c8b0a4531d24d39ca7d17f3420f100490f3420f580491f3430f11049049ffc2ebe431c0c366662e0f1f8400000000000f1f440000\
488b064c8b4608488b4e104c8b0a4531d24d39ca7d0d468b1c9046891c9149ffc2ebee4531d24d39ca7d144d89cb4d29d3468b5c99fc47891c9049ffc2ebe731\
c0c366662e0f1f84000000000066662e0f1f84000000000066662e0f1f84000000000066662e0f1f84000000000066662e0f1f8400000000000f1f8000000000\
b801000000c366662e0f1f84000000000066662e0f1f84000000000066662e0f1f84000000000066662e0f1f84000000000066662e0f1f8400000000000f1f00";

pub fn code() -> Vec<u8> {
    (0..CODE.len() / 2).map(|i| u8::from_str_radix(&CODE[2 * i..2 * i + 2], 16).unwrap()).collect()
}

pub fn weight() -> Vec<f32> {
    vec![1.5, -2.0, 3.25, 4.0]
}

pub fn cpu(offset: u64, scratch: &str) -> How {
    How::Cpu(CpuLaunch { offset, scratch: poly(scratch) })
}

/// t = a + b, y = reversed t, z = b + t (may share b's memory), c = w; a, b: f32[n, 2*k].
pub fn model() -> Manifest {
    let grid = ["n", "2*k"];
    let m = [("m", "2*n*k")];
    let add = || {
        let mut step = launch("add", &[0, 1, 2], &m, cpu(0, "0"));
        if let Step::Launch(launch) = &mut step {
            let (flops, bytes) = (poly("m"), poly("12*m"));
            launch.work = Some(Work { flops, bytes, units: Units::Scalar, estimate: false });
        }
        step
    };
    let plan = Plan {
        symbols: Default::default(),
        buffers: vec![
            buffer("a", &grid, Storage::Input(0)),
            buffer("b", &grid, Storage::Input(1)),
            buffer("t", &grid, arena("0")),
            buffer("y", &grid, Storage::Output(0)),
            buffer("z", &grid, Storage::Output(1)),
            buffer("w", &["4"], Storage::Weight("weights/w".into())),
            buffer("c", &["4"], Storage::Output(2)),
        ],
        arena_bytes: poly("8*n*k"),
        steps: vec![
            add(),
            launch("reverse", &[2, 3], &m, cpu(64, "4*m")),
            copy(1, 4, "8*n*k"),
            launch("add", &[4, 2, 4], &m, cpu(0, "0")),
            copy(5, 6, "16"),
        ],
    };
    let mut z = port("z", &grid);
    z.alias = Some("b".into());
    manifest(
        "cpu",
        &[("n", info(1, 1000, 1)), ("k", info(1, i64::MAX, 2))],
        vec![port("a", &grid), port("b", &grid)],
        vec![port("y", &grid), z, port("c", &["4"])],
        vec![plan],
    )
}

pub fn entries() -> Vec<(&'static str, Vec<u8>)> {
    vec![("cpu/code.bin", code()), ("weights/w", bytes_of(&weight()))]
}

pub fn load() -> Module {
    let bundle = open(&mut model(), &entries());
    let digest = bundle.digest();
    Module::load(bundle, Device::Cpu, &digest).unwrap_or_else(|e| panic!("{}", text(&e)))
}

/// Expected y, z, c.
pub fn reference(a: &[f32], b: &[f32]) -> [Vec<f32>; 3] {
    let t: Vec<f32> = a.iter().zip(b).map(|(a, b)| a + b).collect();
    let z = b.iter().zip(&t).map(|(b, t)| b + t).collect();
    [t.iter().rev().copied().collect(), z, weight()]
}
