//! The decode table: which instructions exist, and what each is to the machine.
//!
//! Central type: [`Row`]. Arithmetic rows name every legal spelling with braces (`add{,.sat}.s32`) and carry the function that
//! computes one warp; [`lookup`] finds the row of a spelled opcode. Floats in the other modes are in [`general`]. Instructions
//! that touch memory, control or other threads have a family decoder in `machine::decode` that refuses any modifier it does not
//! know.

mod bits;
mod compare;
mod convert;
mod float;
pub mod general;
mod integer;

use std::collections::HashMap;
use std::sync::OnceLock;

/// A register of a warp: one 32-bit value a lane. 8- and 16-bit registers are zero-extended.
pub type L32 = [u32; 32];
/// A 64-bit register of a warp.
pub type L64 = [u64; 32];

/// What a row computes, by the widths of its operands: `r` is 32 bits or fewer, `d` is 64, `p` a predicate.
#[derive(Clone, Copy)]
pub enum Exec {
    /// r = f(r)
    R1(fn(&L32, &mut L32)),
    /// r = f(r, r)
    R2(fn(&L32, &L32, &mut L32)),
    /// r = f(r, r, r)
    R3(fn(&L32, &L32, &L32, &mut L32)),
    /// d = f(d)
    D1(fn(&L64, &mut L64)),
    D2(fn(&L64, &L64, &mut L64)),
    D3(fn(&L64, &L64, &L64, &mut L64)),
    /// d = f(r): widening.
    DR(fn(&L32, &mut L64)),
    /// r = f(d): narrowing.
    RD(fn(&L64, &mut L32)),
    /// d = f(r, r): wide products.
    DRR(fn(&L32, &L32, &mut L64)),
    /// d = f(d, r): shifts.
    DDR(fn(&L64, &L32, &mut L64)),
    /// d = f(r, r, d): wide multiply-add.
    DRRD(fn(&L32, &L32, &L64, &mut L64)),
    /// r = f(d, r, r) and d = f(d, r, r): bit fields.
    DDRR(fn(&L64, &L32, &L32, &mut L64)),
    /// d = f(d, d, r, r): bit field insertion.
    DDDRR(fn(&L64, &L64, &L32, &L32, &mut L64)),
    /// r = f(r, r, r, r)
    R4(fn(&L32, &L32, &L32, &L32, &mut L32)),
    /// p = f(r, r), with the forms of `setp`.
    PRR(fn(&L32, &L32) -> u32),
    PDD(fn(&L64, &L64) -> u32),
    /// p = f(p, p) on lane masks.
    PP(fn(u32, u32) -> u32),
    /// p = f(p)
    P1(fn(u32) -> u32),
    /// r = f(r, r, r) with an immediate or register mask, and predicates: the selections.
    Sel32,
    Sel64,
}

/// One row: all its spellings, and what they compute.
#[derive(Clone, Copy)]
pub struct Row {
    pub pattern: &'static str,
    pub exec: Exec,
}

/// r = f(r)
macro_rules! r1 {
    ($p:literal, |$a:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::R1(|x, o| {
                for i in 0..32 {
                    let $a = x[i];
                    o[i] = $e;
                }
            }),
        }
    };
}
macro_rules! r2 {
    ($p:literal, |$a:ident, $b:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::R2(|x, y, o| {
                for i in 0..32 {
                    let ($a, $b) = (x[i], y[i]);
                    o[i] = $e;
                }
            }),
        }
    };
}
macro_rules! r3 {
    ($p:literal, |$a:ident, $b:ident, $c:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::R3(|x, y, z, o| {
                for i in 0..32 {
                    let ($a, $b, $c) = (x[i], y[i], z[i]);
                    o[i] = $e;
                }
            }),
        }
    };
}
macro_rules! d1 {
    ($p:literal, |$a:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::D1(|x, o| {
                for i in 0..32 {
                    let $a = x[i];
                    o[i] = $e;
                }
            }),
        }
    };
}
macro_rules! d2 {
    ($p:literal, |$a:ident, $b:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::D2(|x, y, o| {
                for i in 0..32 {
                    let ($a, $b) = (x[i], y[i]);
                    o[i] = $e;
                }
            }),
        }
    };
}
macro_rules! d3 {
    ($p:literal, |$a:ident, $b:ident, $c:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::D3(|x, y, z, o| {
                for i in 0..32 {
                    let ($a, $b, $c) = (x[i], y[i], z[i]);
                    o[i] = $e;
                }
            }),
        }
    };
}
/// d = f(r)
macro_rules! dr {
    ($p:literal, |$a:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::DR(|x, o| {
                for i in 0..32 {
                    let $a = x[i];
                    o[i] = $e;
                }
            }),
        }
    };
}
/// r = f(d)
macro_rules! rd {
    ($p:literal, |$a:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::RD(|x, o| {
                for i in 0..32 {
                    let $a = x[i];
                    o[i] = $e;
                }
            }),
        }
    };
}
macro_rules! drr {
    ($p:literal, |$a:ident, $b:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::DRR(|x, y, o| {
                for i in 0..32 {
                    let ($a, $b) = (x[i], y[i]);
                    o[i] = $e;
                }
            }),
        }
    };
}
macro_rules! ddr {
    ($p:literal, |$a:ident, $b:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::DDR(|x, y, o| {
                for i in 0..32 {
                    let ($a, $b) = (x[i], y[i]);
                    o[i] = $e;
                }
            }),
        }
    };
}
macro_rules! prr {
    ($p:literal, |$a:ident, $b:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::PRR(|x, y| {
                let mut m = 0u32;
                for i in 0..32 {
                    let ($a, $b) = (x[i], y[i]);
                    m |= u32::from($e) << i;
                }
                m
            }),
        }
    };
}
macro_rules! pdd {
    ($p:literal, |$a:ident, $b:ident| $e:expr) => {
        Row {
            pattern: $p,
            exec: Exec::PDD(|x, y| {
                let mut m = 0u32;
                for i in 0..32 {
                    let ($a, $b) = (x[i], y[i]);
                    m |= u32::from($e) << i;
                }
                m
            }),
        }
    };
}
pub(crate) use {d1, d2, d3, ddr, dr, drr, pdd, prr, r1, r2, r3, rd};

/// Every spelling a pattern with `{a,b}` alternatives stands for.
pub fn spellings(pattern: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut rest = pattern;
    while let Some(open) = rest.find('{') {
        let close = open + rest[open..].find('}').expect("a closing brace in a pattern of the table");
        let mut more = vec![];
        for prefix in &out {
            for choice in rest[open + 1..close].split(',') {
                more.push(format!("{prefix}{}{choice}", &rest[..open]));
            }
        }
        out = more;
        rest = &rest[close + 1..];
    }
    out.iter_mut().for_each(|s| s.push_str(rest));
    out
}

/// All arithmetic rows.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [integer::ROWS, bits::ROWS, float::ROWS, compare::ROWS, convert::ROWS].into_iter().flatten()
}

/// Every spelling that computes on registers: of the rows, and of [`general`].
pub fn all_spellings() -> impl Iterator<Item = String> {
    rows().map(|r| r.pattern).chain(general::PATTERNS.iter().map(|p| p.0)).flat_map(spellings)
}

/// The row of a spelled opcode.
pub fn lookup(opcode: &str) -> Option<&'static Row> {
    static TABLE: OnceLock<HashMap<String, &'static Row>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = HashMap::new();
        for row in rows() {
            for spelling in spellings(row.pattern) {
                table.insert(spelling, row);
            }
        }
        table
    });
    table.get(opcode).copied()
}
