//! A kernel in a few lines of PTX, and what the simulator says of it.

use tricot_ptxsim::{Class, Device, Launch, Report, pack};

pub const HEAD: &str = ".version 8.7\n.target sm_90a\n.address_size 64\n";

/// Runs kernel `k(out)` with a zeroed buffer of `bytes`; returns the report and the buffer.
pub fn run(body: &str, bytes: usize, change: impl Fn(&mut Launch)) -> (Report, Vec<u8>) {
    let text = format!("{HEAD}.visible .entry k(.param .u64 out)\n{body}");
    let mut device = Device::new();
    let module = device.load(&text).expect("the text loads");
    let program = module.kernel("k").expect("the kernel decodes");
    let base = device.memory.add("out", Some(vec![0; bytes]), 0);
    let params = pack(&program, &[base.to_le_bytes().to_vec()]).expect("one pointer");
    let mut launch = Launch { block: [64, 1, 1], params, step_limit: 10_000_000, ..Launch::default() };
    change(&mut launch);
    let report = device.run(&module, &program, &launch);
    (report, device.memory.region(base).expect("the buffer").data.clone())
}

pub fn classes(report: &Report) -> Vec<Class> {
    report.findings.iter().map(|f| f.class).collect()
}

/// Registers and the start of every body: `%a` the thread, `%o` the address of the thread's word.
pub const START: &str = "{ .reg .pred %p<8>; .reg .b32 %a, %r<16>; .reg .b64 %o, %d<16>;
    .shared .align 16 .b8 sm[1024];
    mov.u32 %a, %tid.x; ld.param.u64 %d0, [out]; mul.wide.u32 %d1, %a, 4; add.s64 %o, %d0, %d1; mov.u32 %r0, sm; shl.b32 %r1, %a, 2; add.u32 %r1, %r0, %r1;\n";

pub fn body(text: &str) -> String {
    format!("{START}{text}\nret;\n}}")
}
