//! Checks one launch of an untrusted plan. Hardware limits: CUDA C Programming Guide, "Compute Capabilities",
//! and the driver API page of `cuTensorMapEncodeTiled`.

use super::check::Problems;
use super::{CPU_CODE, target_entry};
use std::collections::BTreeSet;
use tricot_plan::{GpuLaunch, How, Launch, Manifest, Param, Swizzle, TensorMap};
use tricot_types::{Poly, Symbol};

/// Dynamic shared memory of one block on sm_90, in bytes.
const MAX_SHARED: u32 = 232_448;
/// Blocks of one cluster, with the non-portable attribute.
const MAX_CLUSTER: u64 = 16;
/// Kernel parameters in bytes (4 KiB before CUDA 12.1, 32,764 since; sm_70 and later).
const MAX_PARAM_BYTES: usize = 32_764;
const MAX_ITEMS: usize = 4096;

/// Adds what is wrong with `launch` to `p`.
pub fn check(m: &Manifest, target: &str, place: &str, launch: &Launch, known: &BTreeSet<&Symbol>, p: &mut Problems) {
    let place = &format!("{place} (kernel `{}`)", launch.kernel);
    launch.symbols.iter().for_each(|s| p.poly(place, s, known));
    if !launch.symbol_names.is_empty() && launch.symbol_names.len() != launch.symbols.len() {
        let (names, values) = (launch.symbol_names.len(), launch.symbols.len());
        p.add(place, format!("{names} symbol names for {values} values"));
    }
    if launch.symbols.len() > MAX_ITEMS || launch.buffers.len() > MAX_ITEMS {
        p.add(place, format!("more than {MAX_ITEMS} buffers or symbols"));
    }
    let mut inner = known.clone();
    inner.extend(&launch.symbol_names);
    for poly in launch.work.iter().flat_map(|w| [&w.flops, &w.bytes]) {
        p.poly(place, poly, &inner);
    }
    match &launch.how {
        How::Cpu(cpu) => {
            p.poly(place, &cpu.scratch, &inner);
            match m.entries.get(&target_entry(target, CPU_CODE)) {
                _ if target != "cpu" => p.add(place, format!("a cpu launch in target `{target}`")),
                None => p.add(place, format!("there is no entry `{}`", target_entry(target, CPU_CODE))),
                Some(code) if cpu.offset >= code.bytes => {
                    p.add(place, format!("entry point at byte {} of {} bytes of code", cpu.offset, code.bytes));
                }
                Some(_) => {}
            }
        }
        How::Gpu(gpu) => {
            let code = |kind: &str| m.entries.contains_key(&target_entry(target, &format!("{}.{kind}", launch.kernel)));
            if target == "cpu" {
                p.add(place, "a grid launch in target `cpu`".into());
            } else if !code("cubin") && !code("ptx") {
                p.add(place, format!("neither `{0}.cubin` nor `{0}.ptx` is an entry", launch.kernel));
            }
            check_gpu(place, launch, gpu, &inner, p);
        }
    }
}

fn check_gpu(place: &str, launch: &Launch, gpu: &GpuLaunch, known: &BTreeSet<&Symbol>, p: &mut Problems) {
    gpu.grid.iter().chain([&gpu.scratch]).for_each(|poly| p.poly(place, poly, known));
    let product = |v: &[u32; 3]| v.iter().map(|x| u64::from(*x)).try_fold(1u64, u64::checked_mul).unwrap_or(u64::MAX);
    if !(1..=1024).contains(&product(&gpu.block)) || gpu.block[2] > 64 {
        p.add(place, format!("a block of {:?} threads", gpu.block));
    }
    if !(1..=MAX_CLUSTER).contains(&product(&gpu.cluster)) {
        p.add(place, format!("a cluster of {:?} blocks", gpu.cluster));
    }
    let version = |v: &str| v.split('.').count() <= 2 && v.split('.').all(|n| n.parse::<u16>().is_ok());
    if !gpu.min_assembler.is_empty() && !version(&gpu.min_assembler) {
        p.add(place, format!("`{}` is no assembler version", gpu.min_assembler));
    }
    if gpu.shared_bytes > MAX_SHARED {
        p.add(place, format!("{} bytes of shared memory, at most {MAX_SHARED} exist", gpu.shared_bytes));
    }
    let bytes: usize = gpu.params.iter().map(|q| if matches!(q, Param::TensorMap(_)) { 128 } else { 8 }).sum();
    if bytes > MAX_PARAM_BYTES {
        p.add(place, format!("{bytes} bytes of parameters, at most {MAX_PARAM_BYTES} can be passed"));
    }
    for (i, param) in gpu.params.iter().enumerate() {
        match param {
            Param::Buffer(n) if *n as usize >= launch.buffers.len() => {
                p.add(place, format!("parameter {i} is buffer {n} of {}", launch.buffers.len()));
            }
            Param::Symbol(n) if *n as usize >= launch.symbols.len() => {
                p.add(place, format!("parameter {i} is symbol {n} of {}", launch.symbols.len()));
            }
            Param::Value(value) | Param::Word(value) => p.poly(place, value, known),
            Param::TensorMap(map) => check_map(&format!("parameter {i} of {place}"), launch, map, known, p),
            Param::Buffer(_) | Param::Symbol(_) | Param::Scratch => {}
        }
    }
}

fn check_map(place: &str, launch: &Launch, map: &TensorMap, known: &BTreeSet<&Symbol>, p: &mut Problems) {
    if map.buffer as usize >= launch.buffers.len() {
        p.add(place, format!("a tensor map over buffer {} of {}", map.buffer, launch.buffers.len()));
    }
    let polys = map.dims.iter().chain(&map.strides).chain([&map.offset]);
    polys.for_each(|poly: &Poly| p.poly(place, poly, known));
    let rank = map.dims.len();
    if !(1..=5).contains(&rank) || map.strides.len() + 1 != rank || map.tile.len() != rank {
        let (strides, tile) = (map.strides.len(), map.tile.len());
        return p.add(place, format!("a tensor map of {rank} dimensions, {strides} strides and {tile} box extents"));
    }
    if map.tile.iter().any(|t| !(1..=256).contains(t)) {
        p.add(place, format!("box extents {:?} outside 1..=256", map.tile));
    }
    let inner = u64::from(map.tile[0]) * u64::from(map.dtype.bits()) / 8;
    let span = match map.swizzle {
        Swizzle::None => u64::MAX,
        Swizzle::B32 => 32,
        Swizzle::B64 => 64,
        Swizzle::B128 => 128,
    };
    if inner == 0 || inner % 16 != 0 || inner > span {
        p.add(
            place,
            format!("the box's inner extent is {inner} bytes: a multiple of 16 within the swizzle span is needed"),
        );
    }
    if map.dtype.bits() < 8 {
        p.add(place, format!("no tensor map of {}", map.dtype));
    }
}
