//! One program for each scalar row: opcode, operand kinds, result width.

use super::inputs::Kind::{self, *};
use super::inputs::{hash, operand, seed, special};

/// Operand sets of a row.
pub const SETS: usize = 128;

pub struct Row {
    /// The opcode, and what follows the operands after a `;` (an immediate).
    pub opcode: String,
    pub operands: Vec<Kind>,
    /// Bits of the result register.
    pub bits: u32,
    /// The instruction text with `$d`, `$a`, `$b`, `$c`, `$e`.
    pub text: String,
}

impl Row {
    /// Operand `k` of set `i`. The first 36 sets walk through the special values, each operand in another order.
    pub fn input(&self, i: usize, k: usize) -> u64 {
        let (kind, h) = (self.operands[k], hash(seed(&self.opcode), (i * 4 + k) as u64));
        // NaNs of which one may stand for an operand out of bounds.
        if i >= 36 && self.opcode.contains(".oob") && h >> 60 < 6 {
            let nan = |h: u64| [0x7ff7, 0xfff7, 0x7fff, 0xffff, 0x7ffe, 0x7e00, 0x7ff7, 0x3c00][(h >> 40) as usize % 8];
            return nan(h) | if kind.bits() == 32 { nan(hash(h, 0)) << 16 } else { 0 };
        }
        let step = [1, 5, 7, 11][k];
        let walked = if i < 36 { special(kind, i * step + i / 12 * k, h) } else { None };
        walked.unwrap_or_else(|| operand(kind, h))
    }

    /// The program: thread `i` applies the instruction to set `i`.
    pub fn ptx(&self, name: &str) -> String {
        let mut body = String::new();
        let mut text = self.text.clone();
        for (k, kind) in self.operands.iter().enumerate() {
            let bits = kind.bits();
            body += &format!("  .reg .b{bits} %x{k};\n  ld.global.b{bits} %x{k}, [%in+{}];\n", 8 * k);
            text = text.replace(&format!("${}", ["a", "b", "c", "e"][k]), &format!("%x{k}"));
        }
        text = text.replace("$d", "%y");
        // What hands data from block to block wants a launch of clusters.
        let cluster =
            if self.opcode.contains("shared::cluster") { " .explicitcluster .reqnctapercluster 1, 1, 1" } else { "" };
        format!(
            ".visible .entry {name}(.param .u64 in, .param .u64 out){cluster}\n{{\n  .reg .b32 %t;\n  .reg .b64 %in, %out;\n  .reg .pred %p, %q;\n  .reg .b{bits} %y, %z;\n  \
             ld.param.u64 %in, [in];\n  ld.param.u64 %out, [out];\n  mov.u32 %t, %tid.x;\n  mad.wide.u32 %in, %t, 32, %in;\n  \
             mad.wide.u32 %out, %t, 8, %out;\n{body}  {text}\n  st.global.b{bits} [%out], %y;\n  ret;\n}}\n\n",
            bits = self.bits
        )
    }
}

/// All spellings of a pattern with `{a,b}` alternatives.
fn spell(pattern: &str) -> Vec<String> {
    let Some(open) = pattern.find('{') else { return vec![pattern.to_owned()] };
    let close = open + pattern[open..].find('}').expect("a closing brace");
    pattern[open + 1..close]
        .split(',')
        .flat_map(|choice| spell(&format!("{}{choice}{}", &pattern[..open], &pattern[close + 1..])))
        .collect()
}

struct Rows(Vec<Row>);

impl Rows {
    /// Rows `opcode $d, $a, …;`.
    fn plain(&mut self, pattern: &str, bits: u32, operands: &[Kind]) {
        let names = ["$d", "$a", "$b", "$c", "$e"][..=operands.len()].join(", ");
        for opcode in spell(pattern) {
            let text = format!("{opcode} {names};");
            self.0.push(Row { opcode, operands: operands.to_vec(), bits, text });
        }
    }

    /// Rows with a text of their own; `@` stands for the opcode.
    fn text(&mut self, pattern: &str, bits: u32, operands: &[Kind], text: &str) {
        for opcode in spell(pattern) {
            let text = text.replace('@', opcode.split(';').next().unwrap_or(""));
            let text = text.replace('#', opcode.split(';').nth(1).unwrap_or(""));
            self.0.push(Row { opcode, operands: operands.to_vec(), bits, text });
        }
    }
}

/// The operand kind of a type's spelling.
fn kind(ty: &str) -> Kind {
    match ty {
        "f64" => F64,
        "f32" => F32,
        "f16" => F16,
        "bf16" => Bf16,
        "f16x2" => F16x2,
        "bf16x2" => Bf16x2,
        _ => Int(ty[1..].parse().expect("an integer type")),
    }
}

/// Every scalar row, in the order of the recording.
pub fn rows() -> Vec<Row> {
    let mut r = Rows(vec![]);
    float_rows(&mut r);
    half_rows(&mut r);
    approximate_rows(&mut r);
    conversion_rows(&mut r);
    integer_rows(&mut r);
    comparison_rows(&mut r);
    selection_rows(&mut r);
    pack_rows(&mut r);
    video_rows(&mut r);
    atomic_rows(&mut r);
    asynchronous_rows(&mut r);
    r.0
}

fn float_rows(r: &mut Rows) {
    r.plain("{add,sub,mul}.{rn,rz,rm,rp}{,.ftz}{,.sat}.f32", 32, &[F32, F32]);
    r.plain("fma.{rn,rz,rm,rp}{,.ftz}{,.sat}.f32", 32, &[F32, F32, F32]);
    r.plain("{add,sub,mul,div}.{rn,rz,rm,rp}.f64", 64, &[F64, F64]);
    r.plain("fma.{rn,rz,rm,rp}.f64", 64, &[F64, F64, F64]);
    r.plain("div.{rn,rz,rm,rp}{,.ftz}.f32", 32, &[F32, F32]);
    r.plain("{rcp,sqrt}.{rn,rz,rm,rp}{,.ftz}.f32", 32, &[F32]);
    r.plain("{rcp,sqrt}.{rn,rz,rm,rp}.f64", 64, &[F64]);
    r.plain("{min,max}{,.ftz}{,.NaN}{,.xorsign.abs}.f32", 32, &[F32, F32]);
    r.plain("{min,max}.f64", 64, &[F64, F64]);
    r.plain("{abs,neg}{,.ftz}.f32", 32, &[F32]);
    r.plain("{abs,neg}.f64", 64, &[F64]);
    r.plain("copysign.f32", 32, &[F32, F32]);
    r.plain("copysign.f64", 64, &[F64, F64]);
}

fn half_rows(r: &mut Rows) {
    for ty in ["f16", "f16x2"] {
        let (k, bits) = (kind(ty), kind(ty).bits());
        r.plain(&format!("{{add,sub,mul}}.rn{{,.ftz}}{{,.sat}}.{ty}"), bits, &[k, k]);
        r.plain(&format!("fma.rn{{,.ftz}}{{,.sat,.relu}}.{ty}"), bits, &[k, k, k]);
        r.plain(&format!("{{min,max}}{{,.ftz}}{{,.NaN}}{{,.xorsign.abs}}.{ty}"), bits, &[k, k]);
        r.plain(&format!("{{abs,neg}}{{,.ftz}}.{ty}"), bits, &[k]);
    }
    for ty in ["bf16", "bf16x2"] {
        let (k, bits) = (kind(ty), kind(ty).bits());
        r.plain(&format!("{{add,sub,mul}}.rn.{ty}"), bits, &[k, k]);
        r.plain(&format!("fma.rn{{,.relu}}.{ty}"), bits, &[k, k, k]);
        r.plain(&format!("{{min,max}}{{,.NaN}}{{,.xorsign.abs}}.{ty}"), bits, &[k, k]);
        r.plain(&format!("{{abs,neg}}.{ty}"), bits, &[k]);
    }
    for ty in ["f16", "f16x2", "bf16", "bf16x2"] {
        let k = kind(ty);
        r.plain(&format!("fma.rn.oob{{,.relu}}.{ty}"), k.bits(), &[k, k, k]);
    }
}

fn approximate_rows(r: &mut Rows) {
    r.plain("div.{approx,full}{,.ftz}.f32", 32, &[F32, F32]);
    r.plain("{rcp,sqrt,rsqrt,sin,cos,lg2,ex2}.approx{,.ftz}.f32", 32, &[F32]);
    r.plain("tanh.approx.f32", 32, &[F32]);
    r.plain("{rcp,rsqrt}.approx.ftz.f64", 64, &[F64]);
    r.plain("rsqrt.approx.f64", 64, &[F64]);
    for ty in ["f16", "f16x2", "bf16", "bf16x2"] {
        let k = kind(ty);
        r.plain(&format!("tanh.approx.{ty}"), k.bits(), &[k]);
        let ftz = if ty.starts_with('b') { ".ftz" } else { "" };
        r.plain(&format!("ex2.approx{ftz}.{ty}"), k.bits(), &[k]);
    }
}

fn conversion_rows(r: &mut Rows) {
    let ints = ["u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"];
    let width = |ty: &str| kind(ty).bits();
    for from in ints {
        for to in ints {
            // `.sat` where the source has values that the destination lacks.
            let (bits, source) = (to[1..].parse::<u32>().unwrap_or(0), from[1..].parse::<u32>().unwrap_or(0));
            let holds = match (&from[..1], &to[..1]) {
                ("u", "u") | ("s", "s") => bits >= source,
                ("u", _) => bits > source,
                _ => false,
            };
            let sat = if holds { "" } else { "{,.sat}" };
            r.plain(&format!("cvt{sat}.{to}.{from}"), width(to), &[kind(from)]);
        }
        let floats: &[&str] = if from.ends_with("8") { &["f16", "f32", "f64"] } else { &["f16", "bf16", "f32", "f64"] };
        for to in floats {
            r.plain(&format!("cvt.{{rn,rz,rm,rp}}.{to}.{from}"), width(to), &[kind(from)]);
        }
        for to in ["f16", "f32", "f64"] {
            r.plain(&format!("cvt.rn.sat.{to}.{from}"), width(to), &[kind(from)]);
        }
        for source in floats {
            let ftz = if *source == "f32" { "{,.ftz}" } else { "" };
            r.plain(&format!("cvt.{{rni,rzi,rmi,rpi}}{ftz}.{from}.{source}"), width(from), &[kind(source)]);
        }
        r.plain(&format!("cvt.rzi.sat.{from}.f32"), width(from), &[F32]);
    }
    for (to, from, ftz) in [("f16", "f32", "{,.ftz}"), ("f32", "f64", "{,.ftz}"), ("f16", "f64", "")] {
        r.plain(&format!("cvt.{{rn,rz,rm,rp}}{ftz}{{,.sat}}.{to}.{from}"), width(to), &[kind(from)]);
    }
    r.plain("cvt{,.ftz}{,.sat}.f32.f16", 32, &[F16]);
    r.plain("cvt{,.ftz}{,.sat}.f64.f32", 64, &[F32]);
    r.plain("cvt{,.sat}.f64.f16", 64, &[F16]);
    r.plain("cvt.f32.bf16", 32, &[Bf16]);
    r.plain("cvt.f64.bf16", 64, &[Bf16]);
    r.plain("cvt.{rn,rz,rm,rp}.bf16.f64", 16, &[F64]);
    r.plain("cvt.{rn,rz,rm,rp}.bf16.f16", 16, &[F16]);
    r.plain("cvt.{rn,rz,rm,rp}.f16.bf16", 16, &[Bf16]);
    r.plain("cvt.{rni,rzi,rmi,rpi}{,.ftz}{,.sat}.f32.f32", 32, &[F32]);
    r.plain("cvt.{rni,rzi,rmi,rpi}{,.sat}.f64.f64", 64, &[F64]);
    r.plain("cvt.{rni,rzi,rmi,rpi}{,.sat}.f16.f16", 16, &[F16]);
    r.plain("cvt.{rni,rzi,rmi,rpi}.bf16.bf16", 16, &[Bf16]);
    r.plain("cvt.{rn,rz}{,.relu}{,.satfinite}.{f16,bf16}.f32", 16, &[F32]);
    r.plain("cvt.{rn,rz}{,.relu}{,.satfinite}.{f16x2,bf16x2}.f32", 32, &[F32, F32]);
    r.plain("cvt.rna{,.satfinite}.tf32.f32", 32, &[F32]);
    r.plain("cvt.{rn,rz}{,.relu}.tf32.f32", 32, &[F32]);
    r.plain("cvt.rn.satfinite{,.relu}.{e4m3x2,e5m2x2}.f32", 16, &[F32, F32]);
    r.plain("cvt.rn.satfinite{,.relu}.{e4m3x2,e5m2x2}.f16x2", 16, &[F16x2]);
    r.plain("cvt.rn{,.relu}.f16x2.e4m3x2", 32, &[E4m3x2]);
    r.plain("cvt.rn{,.relu}.f16x2.e5m2x2", 32, &[E5m2x2]);
    // Rounding and saturation of duplicated spellings (`cvt.rn.f16.f32`) appear once.
    let mut seen = std::collections::HashSet::new();
    r.0.retain(|row| seen.insert(row.opcode.clone()));
}

fn integer_rows(r: &mut Rows) {
    for bits in [16, 32, 64] {
        let k = Int(bits);
        r.plain(&format!("{{add,sub,mul.lo,mul.hi,div,rem,min,max}}.{{s,u}}{bits}"), bits, &[k, k]);
        r.plain(&format!("mad.{{lo,hi}}.{{s,u}}{bits}"), bits, &[k, k, k]);
        r.plain(&format!("{{abs,neg}}.s{bits}"), bits, &[k]);
        r.plain(&format!("sad.{{s,u}}{bits}"), bits, &[k, k, k]);
        r.plain(&format!("{{and,or,xor}}.b{bits}"), bits, &[k, k]);
        r.plain(&format!("{{not,cnot}}.b{bits}"), bits, &[k]);
        r.plain(&format!("{{shl.b,shr.b,shr.s,shr.u}}{bits}"), bits, &[k, Count]);
    }
    r.plain("{add,sub}.sat.s32", 32, &[Int(32), Int(32)]);
    r.plain("mad.hi.sat.s32", 32, &[Int(32), Int(32), Int(32)]);
    r.plain("mul.wide.{s,u}16", 32, &[Int(16), Int(16)]);
    r.plain("mul.wide.{s,u}32", 64, &[Int(32), Int(32)]);
    r.plain("mad.wide.{s,u}16", 32, &[Int(16), Int(16), Int(32)]);
    r.plain("mad.wide.{s,u}32", 64, &[Int(32), Int(32), Int(64)]);
    r.plain("mul24.{lo,hi}.{s,u}32", 32, &[Int(32), Int(32)]);
    r.plain("mad24.{lo,hi}.{s,u}32", 32, &[Int(32), Int(32), Int(32)]);
    r.plain("mad24.hi.sat.s32", 32, &[Int(32), Int(32), Int(32)]);
    r.plain("add.{s,u}16x2", 32, &[Int(32), Int(32)]);
    r.plain("{min,max}.{s,u}16x2", 32, &[Int(32), Int(32)]);
    r.plain("{min,max}.relu.{s32,s16x2}", 32, &[Int(32), Int(32)]);
    for bits in [32, 64] {
        let k = Int(bits);
        r.plain(&format!("{{popc,clz}}.b{bits}"), 32, &[k]);
        r.plain(&format!("brev.b{bits}"), bits, &[k]);
        r.plain(&format!("bfind{{,.shiftamt}}.{{s,u}}{bits}"), 32, &[k]);
        r.plain(&format!("bfe.{{s,u}}{bits}"), bits, &[k, Count, Count]);
        r.plain(&format!("bfi.b{bits}"), bits, &[k, k, Count, Count]);
    }
    r.plain("bmsk.{clamp,wrap}.b32", 32, &[Count, Count]);
    r.plain("szext.{clamp,wrap}.{s,u}32", 32, &[Int(32), Count]);
    r.plain("fns.b32", 32, &[Int(32), Count, Count]);
    r.plain("shf.{l,r}.{clamp,wrap}.b32", 32, &[Int(32), Int(32), Count]);
    r.plain("prmt.b32{,.f4e,.b4e,.rc8,.ecl,.ecr,.rc16}", 32, &[Int(32), Int(32), Int(32)]);
    r.text(
        "lop3.b32;{0x80,0xe8,0x96,0xca,0x1b,0x6c,0xfe,0x01}",
        32,
        &[Int(32), Int(32), Int(32)],
        "@ $d, $a, $b, $c, #;",
    );
    r.plain("dp4a.{s32,u32}.{s32,u32}", 32, &[Int(32), Int(32), Int(32)]);
    r.plain("dp2a.{lo,hi}.{s32,u32}.{s32,u32}", 32, &[Int(32), Int(32), Int(32)]);
    for bits in [32, 64] {
        let k = Int(bits);
        // The carry shows in the lowest bit of a second addition.
        r.text(
            &format!("{{add,sub}}.cc.{{s,u}}{bits}"),
            bits,
            &[k, k],
            &format!("@ %z, $a, $b; addc.u{bits} $d, 0, 0;"),
        );
        r.text(
            &format!("{{addc,subc}}.cc.{{s,u}}{bits}"),
            bits,
            &[k, k, k],
            &format!("add.cc.u{bits} %z, $c, $c; @ $d, $a, $b; addc.u{bits} %z, 0, 0; xor.b{bits} $d, $d, %z;"),
        );
        r.text(
            &format!("{{mad,madc}}.{{lo,hi}}.cc.{{s,u}}{bits}"),
            bits,
            &[k, k, k],
            &format!("add.cc.u{bits} %z, $b, $c; @ $d, $a, $b, $c; addc.u{bits} %z, 0, 0; xor.b{bits} $d, $d, %z;"),
        );
    }
}

fn comparison_rows(r: &mut Rows) {
    for ty in ["f16", "f16x2", "bf16", "f32", "f64"] {
        let k = kind(ty);
        let ftz = if ty == "f32" || ty.starts_with("f16") { "{,.ftz}" } else { "" };
        let ops = "{eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan}";
        if ty == "f16x2" {
            let text = "@ %p|%q, $a, $b; selp.b32 $d, 1, 0, %p; selp.b32 %z, 2, 0, %q; or.b32 $d, $d, %z;";
            r.text(&format!("setp.{ops}{ftz}.{ty}"), 32, &[k, k], text);
        } else {
            r.text(&format!("setp.{ops}{ftz}.{ty}"), 32, &[k, k], "@ %p, $a, $b; selp.b32 $d, 1, 0, %p;");
        }
    }
    for bits in [16, 32, 64] {
        let k = Int(bits);
        r.text(&format!("setp.{{eq,ne}}.b{bits}"), 32, &[k, k], "@ %p, $a, $b; selp.b32 $d, 1, 0, %p;");
        for ty in ["s", "u"] {
            let text = "@ %p, $a, $b; selp.b32 $d, 1, 0, %p;";
            r.text(&format!("setp.{{eq,ne,lt,le,gt,ge}}.{ty}{bits}"), 32, &[k, k], text);
        }
    }
    r.text("setp.{lo,ls,hi,hs}.u32", 32, &[Int(32), Int(32)], "@ %p, $a, $b; selp.b32 $d, 1, 0, %p;");
    r.text(
        "testp.{finite,infinite,number,notanumber,normal,subnormal}.f32",
        32,
        &[F32],
        "@ %p, $a; selp.b32 $d, 1, 0, %p;",
    );
    r.text(
        "testp.{finite,infinite,number,notanumber,normal,subnormal}.f64",
        32,
        &[F64],
        "@ %p, $a; selp.b32 $d, 1, 0, %p;",
    );
    r.plain("set.{eq,lt,gtu,nan}{,.ftz}.{u32,s32,f32}.f32", 32, &[F32, F32]);
    r.plain("set.{eq,lt,ge}.{u32,s32,f32}.{s32,u32}", 32, &[Int(32), Int(32)]);
    r.plain("slct.{b32,f32}.s32", 32, &[Int(32), Int(32), Int(32)]);
    r.plain("slct{,.ftz}.{b32,f32}.f32", 32, &[Int(32), Int(32), F32]);
}

/// Choices, predicates, and the comparisons of halves.
fn selection_rows(r: &mut Rows) {
    for bits in [16, 32, 64] {
        let k = Int(bits);
        let selp = format!("selp.{{b{bits},u{bits},s{bits}}}");
        r.text(&selp, bits, &[k, k, Int(32)], "setp.lt.s32 %p, $c, 0; @ $d, $a, $b, %p;");
        if bits != 32 {
            r.plain(&format!("slct.b{bits}.s32"), bits, &[k, k, Int(32)]);
            r.plain(&format!("slct{{,.ftz}}.b{bits}.f32"), bits, &[k, k, F32]);
        }
        r.plain(&format!("slct.{{u{bits},s{bits}}}.s32"), bits, &[k, k, Int(32)]);
    }
    for (ty, bits) in [("f32", 32), ("f64", 64)] {
        let text = "setp.lt.s32 %p, $c, 0; @ $d, $a, $b, %p;";
        r.text(&format!("selp.{ty}"), bits, &[kind(ty), kind(ty), Int(32)], text);
    }
    r.plain("slct{,.ftz}.f64.f32", 64, &[Int(64), Int(64), F32]);
    r.plain("slct.f64.s32", 64, &[Int(64), Int(64), Int(32)]);
    let two = "setp.lt.s32 %p, $a, 0; setp.lt.s32 %q, $b, 0; @ %p, %p, %q; selp.b32 $d, 1, 0, %p;";
    r.text("{and,or,xor}.pred", 32, &[Int(32), Int(32)], two);
    r.text("{not,mov}.pred", 32, &[Int(32)], "setp.lt.s32 %p, $a, 0; @ %q, %p; selp.b32 $d, 1, 0, %q;");
    r.text("setp.{lo,ls,hi,hs}.u16", 32, &[Int(16), Int(16)], "@ %p, $a, $b; selp.b32 $d, 1, 0, %p;");
    r.text("setp.{lo,ls,hi,hs}.u64", 32, &[Int(64), Int(64)], "@ %p, $a, $b; selp.b32 $d, 1, 0, %p;");
    let halves = "@ %p|%q, $a, $b; selp.b32 $d, 1, 0, %p; selp.b32 %z, 2, 0, %q; or.b32 $d, $d, %z;";
    r.text("setp.{eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan}.bf16x2", 32, &[Bf16x2, Bf16x2], halves);
    for (ty, ftz) in [("f16", "{,.ftz}"), ("bf16", "")] {
        let k = kind(ty);
        r.plain(&format!("set.{{ne,le,geu,num}}{ftz}.{{u16,s16,{ty}}}.{ty}"), 16, &[k, k]);
        r.plain(&format!("set.{{ne,le,geu,num}}{ftz}.{{u32,s32}}.{ty}"), 32, &[k, k]);
        let k = kind(&format!("{ty}x2"));
        r.plain(&format!("set.{{eq,gt,ltu,nan}}{ftz}.{{u32,s32,{ty}x2}}.{ty}x2"), 32, &[k, k]);
    }
    r.plain("set.{le,neu}.{u32,f32}.f64", 32, &[F64, F64]);
    r.plain("set.{le,neu}.{f16,bf16}.f32", 16, &[F32, F32]);
    r.plain("set.{lt,ge}.{u32,f32}.{s64,u64}", 32, &[Int(64), Int(64)]);
    // The predicate that is combined is whether the third operand is negative.
    let combined = "setp.lt.s32 %p, $c, 0; @ $d, $a, $b, %p;";
    r.text("set.{lt,ge}.{and,or,xor}.u32.s32", 32, &[Int(32), Int(32), Int(32)], combined);
    let combined =
        "setp.lt.s32 %p, $c, 0; @ %p|%q, $a, $b, !%p; selp.b32 $d, 1, 0, %p; selp.b32 %z, 2, 0, %q; or.b32 $d, $d, %z;";
    r.text("setp.{lt,ge}.{and,or,xor}.s32", 32, &[Int(32), Int(32), Int(32)], combined);
}

fn pack_rows(r: &mut Rows) {
    r.plain("cvt.{rm,rp}.bf16.f32", 16, &[F32]);
    r.plain("cvt.pack.sat.{u16,s16}.s32", 32, &[Int(32), Int(32)]);
    r.plain("cvt.pack.sat.{u8,s8,u4,s4,u2,s2}.s32.b32", 32, &[Int(32), Int(32), Int(32)]);
}

/// Elements by default and by selectors, which stand behind the `;` of an opcode: of d, a and b.
fn video_rows(r: &mut Rows) {
    let three = [Int(32), Int(32), Int(32)];
    for n in [2, 4] {
        let (mask, a, b) = if n == 2 { ("h1", "h03", "h12") } else { ("b20", "b0527", "b1346") };
        let ops = format!("{{vadd,vsub,vavrg,vabsdiff,vmin,vmax}}{n}");
        r.plain(&format!("{ops}.{{u32,s32}}.{{u32.u32,s32.s32,u32.s32}}{{,.sat,.add}}"), 32, &three);
        r.plain(&format!("vset{n}.{{u32.u32,s32.s32}}.{{eq,ne,lt,le,gt,ge}}{{,.add}}"), 32, &three);
        let text = format!("@ $d.{mask}, $a.{a}, $b.{b}, $c;");
        r.text(&format!("{{vadd,vabsdiff}}{n}.s32.s32.u32{{,.sat,.add}};{mask} {a} {b}"), 32, &three, &text);
    }
    let ops = "{vadd,vsub,vabsdiff,vmin,vmax}";
    r.plain(&format!("{ops}.{{u32,s32}}.{{u32.u32,s32.u32}}{{,.sat}}"), 32, &three[..2]);
    r.plain(&format!("{ops}.{{u32,s32}}.s32.s32.{{add,min,max}}"), 32, &three);
    r.text(&format!("{ops}.{{u32,s32}}.s32.u32.sat;h1 b2 h0"), 32, &three, "@ $d.h1, $a.b2, $b.h0, $c;");
    r.plain("vset.{u32.u32,s32.s32,u32.s32}.{eq,ne,lt,le,gt,ge}", 32, &three[..2]);
    r.plain("vset.{u32.u32,s32.s32}.{lt,ge}.{add,min,max}", 32, &three);
    r.plain("{vshl,vshr}.{u32,s32}.{u32,s32}.u32{,.sat}.{clamp,wrap}", 32, &[Int(32), Count]);
    r.plain(&format!("{ops}.{{u32,s32}}.u32.u32{{,.sat}}.{{add,min,max}}"), 32, &three);
    r.plain("vset.{u32.s32,s32.u32}.{lt,ge}.{add,min,max}", 32, &three);
    r.plain("{vshl,vshr}.{u32,s32}.s32.u32{,.sat}.clamp.{min,max}", 32, &[Int(32), Count, Int(32)]);
    for d in ["h0", "h1", "b0", "b1", "b3"] {
        let text = format!("@ $d.{d}, $a.h1, $b.b3, $c;");
        r.text(&format!("{{vadd,vsub,vabsdiff}}.{{u32,s32}}.s32.u32{{,.sat}};{d} h1 b3"), 32, &three, &text);
        let text = format!("@ $d.{d}, $a, $b, $c;");
        r.text(&format!("{{vadd,vmin}}.{{u32,s32}}.s32.u32.sat;{d} w0 w0"), 32, &three, &text);
        r.text(&format!("vshl.{{u32,s32}}.s32.u32.sat.clamp;{d} w0 w0"), 32, &[Int(32), Count, Int(32)], &text);
    }
    r.text("{vshl,vshr}.u32.s32.u32.clamp.add;w0 h1 b0", 32, &[Int(32), Count, Int(32)], "@ $d, $a.h1, $b.b0, $c;");
}

/// Atomics: what memory that held `a` holds afterwards.
fn atomic_rows(r: &mut Rows) {
    let add = ["u32", "s32", "u64", "f32", "f64", "noftz.f16", "noftz.bf16", "noftz.f16x2", "noftz.bf16x2"];
    let order = ["u32", "s32", "u64", "s64"];
    let bits = ["b32", "b64"];
    let table: [(&str, &[&str]); 9] = [
        ("add", &add),
        ("min", &order),
        ("max", &order),
        ("inc", &["u32"]),
        ("dec", &["u32"]),
        ("and", &bits),
        ("or", &bits),
        ("xor", &bits),
        ("exch", &bits),
    ];
    for (instruction, space) in [("atom", "global"), ("red", "global"), ("atom", "shared")] {
        let around = |width: u32, operation: &str| {
            let at = if space == "global" { "%out" } else { "%at" };
            let place = "{ .shared .align 8 .b8 sm[1024]; .reg .b32 %at; mov.u32 %at, sm; mad.lo.u32 %at, %t, 8, %at;";
            let (open, close) = if space == "global" { ("", "") } else { (place, " }") };
            format!(
                "{open} st.{space}.b{width} [{at}], $a; {operation} ld.volatile.{space}.b{width} $d, [{at}];{close}",
                operation = operation.replace('~', at)
            )
        };
        for (op, types) in table.iter().filter(|(op, _)| instruction == "atom" || *op != "exch") {
            for ty in *types {
                let k = kind(ty.rsplit('.').next().expect("a type"));
                let old = if instruction == "atom" { "%z, " } else { "" };
                let text = around(k.bits(), &format!("@ {old}[~], $b;"));
                r.text(&format!("{instruction}.{space}.{op}.{ty}"), k.bits(), &[k, k], &text);
            }
        }
        for ty in ["b16", "b32", "b64"].iter().filter(|_| instruction == "atom") {
            let k = kind(ty);
            // Compared with what is there, and with something else.
            let text = around(k.bits(), "@ %z, [~], #, $c;");
            r.text(&format!("atom.{space}.cas.{ty};{{$a,$b}}"), k.bits(), &[k, k, k], &text);
        }
    }
}

/// Reductions by copies: what 16 bytes of memory that held `a` hold afterwards, and by `red.async`. Each thread has memory and an
/// mbarrier of its own; its input gives way to global memory.
fn asynchronous_rows(r: &mut Rows) {
    const START: &str = "{ .shared .align 16 .b8 sm[4096]; .shared .align 8 .b8 bars[1024]; .reg .b32 %at, %to, %bar; .reg .pred %w; \
        mov.u32 %at, sm; mad.lo.u32 %at, %t, 16, %at; add.u32 %to, %at, 2048; mov.u32 %bar, bars; mad.lo.u32 %bar, %t, 8, %bar;";
    const WAIT: &str = "W: mbarrier.try_wait.parity.shared.b64 %w, [%bar], 0; @!%w bra W;";
    let fill = |k: Kind, space: &str, to: &str, value: &str| -> String {
        let store = |at: u32| format!("st.{space}.b{} [{to}+{at}], {value}; ", k.bits());
        (0..16).step_by(k.bits() as usize / 8).map(store).collect()
    };
    let barrier = |bytes: u32| {
        format!(
            "mbarrier.init.shared.b64 [%bar], 1; fence.proxy.async; mbarrier.arrive.expect_tx.shared.b64 _, [%bar], {bytes};"
        )
    };
    let global: [(&str, &[&str]); 8] = [
        ("add", &["u32", "s32", "u64", "f32", "f64", "noftz.f16", "noftz.bf16"]),
        ("min", &["u32", "s32", "u64", "s64", "f16", "bf16"]),
        ("max", &["u32", "s32", "u64", "s64", "f16", "bf16"]),
        ("inc", &["u32"]),
        ("dec", &["u32"]),
        ("and", &["b32", "b64"]),
        ("or", &["b32", "b64"]),
        ("xor", &["b32", "b64"]),
    ];
    for (op, types) in global {
        for ty in types {
            let k = kind(ty.rsplit('.').next().expect("a type"));
            let (source, target) = (fill(k, "shared", "%at", "$b"), fill(k, "global", "%in", "$a"));
            let opcode = format!("cp.reduce.async.bulk.global.shared::cta.bulk_group.{op}.{ty}");
            let text = format!(
                "{START} {source}{target}fence.proxy.async; {opcode} [%in], [%at], 16; cp.async.bulk.commit_group; \
                 cp.async.bulk.wait_group 0; ld.volatile.global.b{} $d, [%in]; }}",
                k.bits()
            );
            r.0.push(Row { opcode, operands: vec![k, k], bits: k.bits(), text });
        }
    }
    let shared: [(&str, &[&str]); 8] = [
        ("add", &["u32", "s32", "u64"]),
        ("min", &["u32", "s32"]),
        ("max", &["u32", "s32"]),
        ("inc", &["u32"]),
        ("dec", &["u32"]),
        ("and", &["b32"]),
        ("or", &["b32"]),
        ("xor", &["b32"]),
    ];
    for (op, types) in shared {
        for ty in types {
            let k = kind(ty);
            let (source, target) = (fill(k, "shared", "%at", "$b"), fill(k, "shared", "%to", "$a"));
            let end = format!("{WAIT} ld.shared.b{} $d, [%to]; }}", k.bits());
            let opcode =
                format!("cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.{op}.{ty}");
            let text = format!("{START} {source}{target}{} {opcode} [%to], [%at], 16, [%bar]; {end}", barrier(16));
            r.0.push(Row { opcode, operands: vec![k, k], bits: k.bits(), text });
            let opcode = format!("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.{op}.{ty}");
            let text = format!("{START} {target}{} {opcode} [%to], $b, [%bar]; {end}", barrier(k.bits() / 8));
            r.0.push(Row { opcode, operands: vec![k, k], bits: k.bits(), text });
        }
    }
}
