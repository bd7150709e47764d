//! Tensor copies against plain loops: im2col in both directions, steps, fills, swizzles and reductions.

#[path = "tensor_copies/im2col.rs"]
mod im2col;
#[path = "tensor_copies/tiles.rs"]
mod tiles;

use tricot_ptxsim::{Device, Launch, Report, pack};

/// Bytes of shared memory that a copy fills, and of `out`.
const BYTES: usize = 16384;

/// One thread copies with `load` and every byte of `sm` goes to `out`, or `sm` comes from `out` before `store`.
/// Coordinates and offsets are constants.
fn text(load: &str, bytes: usize, store: &str) -> String {
    let wait = if load.is_empty() {
        String::new()
    } else {
        format!(
            "mbarrier.init.shared.b64 [%r5], 1; fence.proxy.async; mbarrier.arrive.expect_tx.shared.b64 _, [%r5], {bytes};
            {load} W: mbarrier.try_wait.parity.shared.b64 %p1, [%r5], 0; @!%p1 bra W; mov.u32 %r1, 0;
            L: add.u32 %r2, %r0, %r1; ld.shared.b32 %r3, [%r2]; cvt.u64.u32 %d2, %r1; add.s64 %d3, %d0, %d2;
            st.global.b32 [%d3], %r3; add.u32 %r1, %r1, 4; setp.lt.u32 %p2, %r1, {bytes}; @%p2 bra L;"
        )
    };
    let put = if store.is_empty() {
        String::new()
    } else {
        format!(
            "mov.u32 %r1, 0; S: cvt.u64.u32 %d2, %r1; add.s64 %d3, %d0, %d2; ld.global.b32 %r3, [%d3]; add.u32 %r2, %r0, %r1;
            st.shared.b32 [%r2], %r3; add.u32 %r1, %r1, 4; setp.lt.u32 %p2, %r1, {bytes}; @%p2 bra S;
            fence.proxy.async; {store} cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;"
        )
    };
    format!(
        ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .align 64 .b8 map[128], .param .u64 out)
{{ .reg .pred %p<4>; .reg .b32 %r<32>; .reg .b64 %d<9>; .shared .align 1024 .b8 sm[{BYTES}]; .shared .align 8 .b64 bar;
 mov.u32 %r0, sm; mov.u32 %r5, bar; mov.b64 %d1, map; ld.param.u64 %d0, [out];
{wait}\n{put} ret; }}"
    )
}

/// Runs a kernel with a map of the tensor's bytes; the report, `out` and the tensor after it.
fn run(text: &str, map: impl Fn(u64) -> [u8; 128], tensor: Vec<u8>, out: Vec<u8>) -> (Report, Vec<u8>, Vec<u8>) {
    let mut device = Device::new();
    let module = device.load(text).expect("the text loads");
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{e}"));
    let tensor = device.memory.add("tensor", Some(tensor), 0);
    let out = device.memory.add("out", Some(out), 0);
    let params = pack(&program, &[map(tensor).to_vec(), out.to_le_bytes().to_vec()]).expect("two parameters");
    let report = device.run(&module, &program, &Launch { params, step_limit: 1_000_000, ..Launch::default() });
    let data = |base| device.memory.region(base).expect("a buffer").data.clone();
    (report, data(out), data(tensor))
}

fn list(values: &[i32]) -> String {
    values.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

fn numbers(count: usize) -> Vec<u8> {
    (1..=count as u16).flat_map(u16::to_le_bytes).collect()
}
