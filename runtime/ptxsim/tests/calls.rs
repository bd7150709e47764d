//! Calls through registers: by prototype, by a list of functions, from tables in memory.

use tricot_ptxsim::{Class, Device, Launch, Report, pack};

/// Three functions of one shape, one of another, one that calls what it is given, and a table of two.
const FUNCTIONS: &str = "
.func (.param .b32 result) twice(.param .b32 x)
{ .reg .b32 %r<2>; ld.param.u32 %r0, [x]; add.u32 %r0, %r0, %r0; st.param.b32 [result], %r0; ret; }
.func (.param .b32 result) square(.param .b32 x)
{ .reg .b32 %r<2>; ld.param.u32 %r0, [x]; mul.lo.u32 %r0, %r0, %r0; st.param.b32 [result], %r0; ret; }
.func (.param .b32 result) never(.param .b32 x)
{ .reg .b32 %r<2>; mov.u32 %r0, 12345; st.param.b32 [result], %r0; ret; }
.func (.param .b64 result) other(.param .b64 x)
{ .reg .b64 %d<2>; ld.param.u64 %d0, [x]; st.param.b64 [result], %d0; ret; }
.func (.param .b32 result) apply(.param .b64 f)
{ .reg .b64 %d<2>; .reg .b32 %r<2>; .param .b32 in; .param .b64 again; .param .b32 out; ld.param.u64 %d0, [f];
  again_shape: .callprototype (.param .b32 _) _ (.param .b64 _);
  st.param.b64 [again], %d0; call (out), %d0, (again), again_shape; ld.param.b32 %r0, [out]; st.param.b32 [result], %r0; ret; }
.global .align 8 .u64 table[2] = {twice, square};
";

fn text(body: &str) -> String {
    format!(
        ".version 9.0\n.target sm_90a\n.address_size 64\n{FUNCTIONS}\n.visible .entry k(.param .u64 out)\n{{ .reg .pred %p<4>;
        .reg .b32 %a, %r<8>; .reg .b64 %o, %d<8>; .param .b32 in; .param .b32 back; .param .b64 in64;
        mov.u32 %a, %tid.x; ld.param.u64 %d0, [out]; mul.wide.u32 %d1, %a, 4; add.s64 %o, %d0, %d1; st.param.b32 [in], %a;
        {body}\nret;\n}}"
    )
}

fn run(body: &str) -> (Report, Vec<u32>) {
    let mut device = Device::new();
    let module = device.load(&text(body)).expect("the text loads");
    let program = module.kernel("k").unwrap_or_else(|e| panic!("{e}"));
    let base = device.memory.add("out", Some(vec![0; 256]), 0);
    let params = pack(&program, &[base.to_le_bytes().to_vec()]).expect("one pointer");
    let report = device.run(&module, &program, &Launch { block: [64, 1, 1], params, ..Launch::default() });
    let words = device.memory.region(base).expect("the buffer").data.as_chunks().0.iter();
    (report, words.map(|w| u32::from_le_bytes(*w)).collect())
}

fn values(body: &str) -> Vec<u32> {
    let (report, out) = run(body);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    out
}

const STORE: &str = "ld.param.b32 %r2, [back]; st.global.u32 [%o], %r2;";
const SHAPE: &str = "shape: .callprototype (.param .b32 _) _ (.param .b32 _);";

#[test]
fn lanes_call_what_their_entry_of_a_table_says() {
    let out = values(&format!(
        "and.b32 %r1, %a, 1; mul.wide.u32 %d2, %r1, 8; mov.u64 %d3, table; add.s64 %d2, %d3, %d2; ld.global.u64 %d4, [%d2];
        {SHAPE} call (back), %d4, (in), shape; {STORE}"
    ));
    assert!((0..64).all(|n| out[n as usize] == if n % 2 == 0 { 2 * n } else { n * n }), "{out:?}");
}

#[test]
fn a_list_names_what_may_be_called() {
    let list = "list: .calltargets square, twice, never;";
    let choose = "mov.u64 %d2, twice; mov.u64 %d3, square; setp.lt.u32 %p0, %a, 10; selp.b64 %d4, %d2, %d3, %p0;";
    let out = values(&format!("{list} {choose} call.uni (back), %d4, (in), list; {STORE}"));
    assert!((0..64).all(|n| out[n as usize] == if n < 10 { 2 * n } else { n * n }), "{out:?}");
    // So does a table in memory.
    let out = values(&format!("{choose} call.uni (back), %d4, (in), table; {STORE}"));
    assert!((0..64).all(|n| out[n as usize] == if n < 10 { 2 * n } else { n * n }), "{out:?}");
    let (report, _) = run(&format!("mov.u64 %d4, never; call (back), %d4, (in), table; {STORE}"));
    assert_eq!(report.findings[0].class, Class::Trap);
    // Lanes that the guard excludes keep what was in the result.
    let out = values(&format!(
        "{list} {choose} mov.u32 %r3, 7; st.param.b32 [back], %r3; setp.ge.u32 %p1, %a, 5; @!%p1 call (back), %d4, (in), list; {STORE}"
    ));
    assert!((0..64).all(|n| out[n as usize] == if n < 5 { 2 * n } else { 7 }), "{out:?}");
}

#[test]
fn a_pointer_to_nothing_that_fits_is_a_finding() {
    for pointer in ["mov.u64 %d4, 4096;", "mov.u64 %d4, other;"] {
        let (report, _) = run(&format!("{pointer} {SHAPE} call (back), %d4, (in), shape; {STORE}"));
        assert_eq!(report.findings[0].class, Class::Trap, "{pointer}");
        assert!(report.findings[0].message.contains("no function"), "{}", report.findings[0]);
    }
    let (report, _) = run(&format!("{SHAPE} call (back), %d4, (in), shape; {STORE}"));
    assert_eq!(report.findings[0].class, Class::Uninitialised);
}

#[test]
fn recursion_is_refused_or_found() {
    let refused = |body: &str| {
        let mut device = Device::new();
        let module = device.load(&text(body)).expect("the text loads");
        module.kernel("k").err().unwrap_or_else(|| panic!("{body} is decoded")).to_string()
    };
    let (report, _) = run(&format!(
        "shape: .callprototype (.param .b32 _) _ (.param .b64 _); mov.u64 %d4, apply; st.param.b64 [in64], %d4;
        call (back), %d4, (in64), shape; {STORE}"
    ));
    assert_eq!(report.findings[0].class, Class::Trap);
    let message = report.findings[0].to_string();
    assert!(message.contains("`apply`") && message.contains("recursion"), "{message}");
    let direct = ".func f() { call f; ret; } .visible .entry k() { call f; ret; }";
    let mut device = Device::new();
    let module =
        device.load(&format!(".version 9.0\n.target sm_90a\n.address_size 64\n{direct}")).expect("the text loads");
    let message = module.kernel("k").err().expect("refused").to_string();
    assert!(message.contains("recursion") && message.contains("line 4"), "{message}");
    assert!(refused("call (back), %d4, (in), nothing;").contains("nothing"));
    assert!(refused("call (back), %d4, (in);").contains("prototype"));
    assert!(refused("list: .calltargets other; call (back), %d4, (in), absent;").contains("absent"));
    assert!(refused("list: .calltargets square; call (back), %d4, (in, in), list;").contains("`square` takes 1"));
}
