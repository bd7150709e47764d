//! The list of matrix programs: which types, shapes, layouts and selectors are recorded, in which order.

use super::matrix::{Acc, Elem, Form};

/// Descriptor bits (PTX ISA, "Matrix-descriptor format"): swizzle code, leading and stride byte offsets.
pub fn descriptor(swizzle: u64, leading: u64, stride: u64) -> u64 {
    swizzle << 62 | (stride >> 4) << 32 | (leading >> 4) << 16
}

/// Every matrix program, in the order of the recording.
pub fn forms() -> Vec<Form> {
    let mut out = wgmma_forms();
    out.extend(mma_forms());
    out.extend(wmma_forms());
    out.extend(quad_forms());
    out
}

fn wgmma_forms() -> Vec<Form> {
    use Elem::*;
    let pairs8 = [(E4m3, E4m3), (E4m3, E5m2), (E5m2, E4m3), (E5m2, E5m2)];
    let pairs_int = [(S8, S8), (S8, U8), (U8, S8), (U8, U8)];
    let mut types = vec![(F16, F16, Acc::F32), (F16, F16, Acc::F16), (Bf16, Bf16, Acc::F32), (Tf32, Tf32, Acc::F32)];
    types.extend(pairs8.iter().flat_map(|&(a, b)| [(a, b, Acc::F32), (a, b, Acc::F16)]));
    types.extend(pairs_int.iter().map(|&(a, b)| (a, b, Acc::S32)));
    types.push((B1, B1, Acc::S32));
    let make = |a: Elem, b: Elem, d: Acc, sparse: bool, n: u32| {
        let k = 256 / a.bits() * (1 + u32::from(sparse));
        let sp = if sparse { ".sp" } else { "" };
        let pop = if a == B1 { ".and.popc" } else { "" };
        let types = if a == B1 { format!("s32.b1.b1{pop}") } else { format!("{}.{}.{}", d.name(), a.name(), b.name()) };
        Form {
            opcode: format!("wgmma.mma_async{sp}.sync.aligned.m64n{n}k{k}.{types}"),
            wgmma: true,
            wmma: false,
            sparse,
            m: 64,
            n,
            k,
            a,
            b,
            d,
            c: d,
            a_regs: false,
            trans_a: false,
            trans_b: false,
            selector: 0,
            desc_a: descriptor(1, 16, 1024),
            desc_b: descriptor(1, 16, 1024),
            scale_d: true,
            negate_a: false,
            negate_b: false,
            trials: 8,
        }
    };
    let mut out = vec![];
    for sparse in [false, true] {
        for &(a, b, d) in &types {
            if sparse && a == B1 {
                continue;
            }
            let form = make(a, b, d, sparse, 32);
            out.push(form.clone());
            out.push(Form { a_regs: true, trials: 2, ..form.clone() });
            if sparse && a.bits() > 8 {
                out.push(Form { selector: 1, ..form.clone() });
            }
            if d == Acc::S32 && a != B1 {
                out.push(Form { opcode: format!("{}.satfinite", form.opcode), trials: 4, ..form });
            }
        }
    }
    for n in [8, 24, 64, 256] {
        for (a, d) in [(Bf16, Acc::F32), (F16, Acc::F16), (E4m3, Acc::F32), (S8, Acc::S32)] {
            for sparse in [false, true] {
                out.push(Form { trials: if n == 256 { 1 } else { 3 }, ..make(a, a, d, sparse, n) });
            }
        }
    }
    let bf = make(Bf16, Bf16, Acc::F32, false, 64);
    let small = Form { trials: 2, ..bf };
    out.push(Form { scale_d: false, ..small.clone() });
    out.push(Form { negate_a: true, ..small.clone() });
    out.push(Form { negate_b: true, ..small.clone() });
    // Layouts: K-major in every swizzle and at every 32-byte step of a 128-byte row, then MN-major.
    for (code, leading, stride) in [(0, 128, 256), (0, 1024, 128), (3, 16, 256), (2, 16, 512)] {
        out.push(Form {
            desc_a: descriptor(code, leading, stride),
            desc_b: descriptor(code, leading, stride),
            ..small.clone()
        });
    }
    for step in 1..4 {
        out.push(Form { desc_a: small.desc_a + 2 * step, desc_b: small.desc_b + 2 * step, ..small.clone() });
    }
    out.push(Form { desc_a: descriptor(2, 16, 512) + 2, desc_b: descriptor(2, 16, 512) + 2, ..small.clone() });
    for sparse in [false, true] {
        let base = Form { trials: 1, ..make(Bf16, Bf16, Acc::F32, sparse, 128) };
        // (swizzle, leading, stride): leading steps between repeats along MN, stride between groups of 8 along K, or the
        // other way round without swizzle.
        for (code, leading, stride) in
            [(1, 2048, 1024), (1, 4096, 1024), (2, 1024, 512), (3, 512, 256), (0, 128, 1024), (0, 1024, 128)]
        {
            let desc = descriptor(code, leading, stride);
            for (trans_a, trans_b) in [(true, false), (false, true), (true, true)] {
                let form = Form { trans_a, trans_b, ..base.clone() };
                let desc_a = if trans_a { desc } else { form.desc_a };
                let desc_b = if trans_b { desc } else { form.desc_b };
                out.push(Form { desc_a, desc_b, ..form });
            }
        }
    }
    out
}

fn mma_forms() -> Vec<Form> {
    use Elem::*;
    let mut out = vec![];
    let mut add = |sparse: bool, (m, n, k): (u32, u32, u32), d: Acc, a: Elem, b: Elem, selectors: u32, extra: &str| {
        for selector in 0..selectors {
            let sp = if sparse { ".sp::ordered_metadata" } else { "" };
            let (sat, op) = if extra == ".satfinite" { (extra, "") } else { ("", extra) };
            out.push(Form {
                opcode: format!(
                    "mma{sp}.sync.aligned.m{m}n{n}k{k}.row.col{sat}.{0}.{1}.{2}.{0}{op}",
                    d.name(),
                    a.name(),
                    b.name()
                ),
                wgmma: false,
                wmma: false,
                sparse,
                m,
                n,
                k,
                a,
                b,
                d,
                c: d,
                a_regs: true,
                trans_a: false,
                trans_b: false,
                selector,
                desc_a: 0,
                desc_b: 0,
                scale_d: true,
                negate_a: false,
                negate_b: false,
                trials: 16,
            });
        }
    };
    for k in [8, 16] {
        add(false, (16, 8, k), Acc::F32, F16, F16, 1, "");
        add(false, (16, 8, k), Acc::F16, F16, F16, 1, "");
        add(false, (16, 8, k), Acc::F32, Bf16, Bf16, 1, "");
        add(false, (16, 8, k / 2), Acc::F32, Tf32, Tf32, 1, "");
    }
    add(false, (8, 8, 4), Acc::F64, F64, F64, 1, "");
    for k in [4, 8, 16] {
        add(false, (16, 8, k), Acc::F64, F64, F64, 1, "");
    }
    for (a, b) in [(E4m3, E4m3), (E4m3, E5m2), (E5m2, E4m3), (E5m2, E5m2)] {
        for d in [Acc::F32, Acc::F16] {
            add(false, (16, 8, 32), d, a, b, 1, "");
            add(false, (16, 8, 16), d, a, b, 1, "");
        }
        add(true, (16, 8, 64), Acc::F32, a, b, 1, "");
    }
    for (a, b) in [(S8, S8), (S8, U8), (U8, S8), (U8, U8)] {
        for extra in ["", ".satfinite"] {
            for shape in [(8, 8, 16), (16, 8, 16), (16, 8, 32)] {
                add(false, shape, Acc::S32, a, b, 1, extra);
            }
            add(true, (16, 8, 32), Acc::S32, a, b, 2, extra);
            add(true, (16, 8, 64), Acc::S32, a, b, 1, extra);
        }
    }
    for (a, b) in [(S4, S4), (S4, U4), (U4, S4), (U4, U4)] {
        for shape in [(8, 8, 32), (16, 8, 32), (16, 8, 64)] {
            add(false, shape, Acc::S32, a, b, 1, "");
        }
    }
    for op in [".xor.popc", ".and.popc"] {
        for shape in [(8, 8, 128), (16, 8, 128), (16, 8, 256)] {
            add(false, shape, Acc::S32, B1, B1, 1, op);
        }
    }
    for (d, e) in [(Acc::F32, F16), (Acc::F16, F16), (Acc::F32, Bf16)] {
        add(true, (16, 8, 16), d, e, e, 4, "");
        add(true, (16, 8, 32), d, e, e, 2, "");
    }
    add(true, (16, 8, 8), Acc::F32, Tf32, Tf32, 4, "");
    add(true, (16, 8, 16), Acc::F32, Tf32, Tf32, 2, "");
    for (a, b) in [(S4, S4), (S4, U4), (U4, S4), (U4, U4)] {
        for shape in [(8, 8, 32), (16, 8, 32), (16, 8, 64)] {
            add(false, shape, Acc::S32, a, b, 1, ".satfinite");
        }
        for extra in ["", ".satfinite"] {
            add(true, (16, 8, 64), Acc::S32, a, b, 2, extra);
            add(true, (16, 8, 128), Acc::S32, a, b, 1, extra);
        }
    }
    // The spelling without order does the same.
    let unordered: Vec<Form> = out.iter().filter(|f| f.sparse && f.selector == 0).cloned().collect();
    for form in unordered {
        out.push(Form { opcode: form.opcode.replace("::ordered_metadata", ""), trials: 2, ..form });
    }
    out
}

fn wmma_forms() -> Vec<Form> {
    use Elem::*;
    let mut out = vec![];
    let mut add = |shapes: &[(u32, u32, u32)], acc: (Acc, Acc), (a, b): (Elem, Elem), extra: &str| {
        let (d, c) = acc;
        for &(m, n, k) in shapes {
            // A by columns and B by rows, too, where elements fill bytes.
            let turns: &[(bool, bool)] = if a.bits() < 8 {
                &[(false, false)]
            } else {
                &[(false, false), (true, false), (false, true), (true, true)]
            };
            for &(trans_a, trans_b) in turns {
                let (la, lb) = (if trans_a { "col" } else { "row" }, if trans_b { "row" } else { "col" });
                let (bit, round) = if a == B1 { (extra, "") } else { ("", if a == F64 { extra } else { "" }) };
                let sat = if extra == ".satfinite" { extra } else { "" };
                let types = if a == F16 {
                    format!("{}.{}", d.name(), c.name())
                } else {
                    format!("{0}.{1}.{2}.{0}", d.name(), a.name(), b.name())
                };
                out.push(Form {
                    opcode: format!("wmma.mma{bit}.sync.aligned.{la}.{lb}.m{m}n{n}k{k}{round}.{types}{sat}"),
                    wgmma: false,
                    wmma: true,
                    sparse: false,
                    m,
                    n,
                    k,
                    a,
                    b,
                    d,
                    c,
                    a_regs: false,
                    trans_a,
                    trans_b,
                    selector: 0,
                    desc_a: 0,
                    desc_b: 0,
                    scale_d: true,
                    negate_a: false,
                    negate_b: false,
                    trials: 8,
                });
            }
        }
    };
    let wide = [(16, 16, 16), (8, 32, 16), (32, 8, 16)];
    for acc in [(Acc::F32, Acc::F32), (Acc::F16, Acc::F16), (Acc::F32, Acc::F16), (Acc::F16, Acc::F32)] {
        add(&wide, acc, (F16, F16), "");
    }
    add(&wide, (Acc::F32, Acc::F32), (Bf16, Bf16), "");
    add(&[(16, 16, 8)], (Acc::F32, Acc::F32), (Tf32, Tf32), "");
    for round in ["", ".rn", ".rz", ".rm", ".rp"] {
        add(&[(8, 8, 4)], (Acc::F64, Acc::F64), (F64, F64), round);
    }
    for sat in ["", ".satfinite"] {
        add(&wide, (Acc::S32, Acc::S32), (S8, S8), sat);
        add(&wide, (Acc::S32, Acc::S32), (U8, U8), sat);
        add(&[(8, 8, 32)], (Acc::S32, Acc::S32), (S4, S4), sat);
        add(&[(8, 8, 32)], (Acc::S32, Acc::S32), (U4, U4), sat);
    }
    add(&[(8, 8, 128)], (Acc::S32, Acc::S32), (B1, B1), ".xor.popc");
    add(&[(8, 8, 128)], (Acc::S32, Acc::S32), (B1, B1), ".and.popc");
    out
}

fn quad_forms() -> Vec<Form> {
    let base = wmma_forms().remove(0);
    let make = |(d, c): (Acc, Acc), trans_a: bool, trans_b: bool| {
        let (la, lb) = (if trans_a { "col" } else { "row" }, if trans_b { "row" } else { "col" });
        let opcode = format!("mma.sync.aligned.m8n8k4.{la}.{lb}.{}.f16.f16.{}", d.name(), c.name());
        Form { opcode, wmma: false, m: 8, n: 8, k: 4, d, c, trans_a, trans_b, ..base.clone() }
    };
    let turns = [(false, false), (true, false), (false, true), (true, true)];
    let types = [(Acc::F32, Acc::F32), (Acc::F16, Acc::F16), (Acc::F32, Acc::F16)];
    types.iter().flat_map(|acc| turns.map(|(a, b)| make(*acc, a, b))).collect()
}
