//! The texts that the tests read.

use std::path::{Path, PathBuf};

/// PTX of other compilers and of this repository, with its paths, in their order.
pub fn texts() -> Vec<(PathBuf, String)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    collect(&here.join("../ptxsim/tests/other"), &mut texts);
    assert!(texts.len() >= 38, "only {} texts of other compilers", texts.len());
    collect(&here.join("../tests/fixtures"), &mut texts);
    texts.sort();
    texts
}

fn collect(folder: &Path, texts: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            collect(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "ptx") {
            let text = std::fs::read_to_string(&path).expect("text");
            texts.push((path, text));
        }
    }
}

/// A short text with every piece of grammar in it.
pub const ALL: &str = r#".version 8.7
.target sm_90a, debug
.address_size 64
.extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b) .noreturn;
.extern .shared .align 128 .b8 shared[];
.visible .global .attribute(.managed, .unified(1, 2)) .align 4 .f32 w[2][2] = {{1.5, 0f40000000}, {-1.0}};
.global .align 8 .u64 $p$1[3] = {w, generic(w)+4, 0xFF00(w-8)};
.const .v4 .u32 c[] = {1, 2, 3}, d;
.alias g, f; .pragma "x\"y";
.weak .func f(.reg .f32 a) { ret; }
.visible .entry k(.param .u64 .ptr .global .align 1 k0, .param .align 64 .b8 k1[128])
.maxntid 128, 1 .minnctapersm 2 .reqnctapercluster 2 .explicitcluster .maxnreg 168
{
	.reg .pred %p<4>; .reg .v2 .b32 v, %r<10>;
	.loc 1 20 5
	.local .align 16 .b8 depot[8 * (1 << 4)]; /* block
	comment */ mov.b64 %rd1, $p$1+4; // line comment
	.loc 2 112 3, function_name $L__s0+1, inlined_at 1 10 7
	@!%p1 bra $L__1;
	{ .reg .pred p; L: elect.sync _|p, -1; @p bra L; }
	{ L: setp.lt.and.s32 p|q, %tid.x, 0x10, !r; }
	cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd1, {%r2, 0}], [%r3+8];
	cp.async.bulk.commit_group ;
	ld.v2.b32 {%r1, _}, [ %rd1 + -16 ]; ld.b32 {v.y}, [64];
	mov.f64 %fd, 0d7FF8000000000000; mov.f32 %f, -0f3F800000; mov.f64 %fd, 1.5e-3;
$L__1: ts: .branchtargets $L__1, L;
	fs: .calltargets f, g;
	proto: .callprototype (.param .b32 _) _ (.param .align 8 .b8 _[16]) .noreturn;
	brx.idx.uni %r1, ts;
	call.uni (r), %rd1, (a, 1, 0f00000000), proto; call f;
	.pragma "nounroll";
	mov.b64 %rd1, 1 ? ~3 : !(4 % 3) && 7 / 2 | 1 ^ 3 & 5;
	ret;
}
.file 1 "a.cu", 5, 6
.section .debug_str
{
$L__s0:
.b8 104,105, 0
.b32 .debug_abbrev
.b64 $L__s0+4, b-a+1
.b16 -1
}
"#;
