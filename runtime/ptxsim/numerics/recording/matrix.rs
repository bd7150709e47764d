//! Matrix programs: every type and shape of `wgmma`, `mma.sync` and `wmma`, dense and sparse.
//!
//! A block is one trial. Shared memory holds an image of hashed elements (A in the first 8 KiB, B after it); accumulators,
//! register fragments and metadata are hashed words of each thread. `wmma` takes A and B from the image and C from the words,
//! row after row, for where its fragments lie is open.

use super::inputs::{hash, seed};

/// An element type of A or B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    F64,
    Tf32,
    F16,
    Bf16,
    E4m3,
    E5m2,
    S8,
    U8,
    S4,
    U4,
    B1,
}

impl Elem {
    pub fn name(self) -> &'static str {
        match self {
            Elem::F64 => "f64",
            Elem::Tf32 => "tf32",
            Elem::F16 => "f16",
            Elem::Bf16 => "bf16",
            Elem::E4m3 => "e4m3",
            Elem::E5m2 => "e5m2",
            Elem::S8 => "s8",
            Elem::U8 => "u8",
            Elem::S4 => "s4",
            Elem::U4 => "u4",
            Elem::B1 => "b1",
        }
    }

    pub fn bits(self) -> u32 {
        match self {
            Elem::F64 => 64,
            Elem::Tf32 => 32,
            Elem::F16 | Elem::Bf16 => 16,
            Elem::E4m3 | Elem::E5m2 | Elem::S8 | Elem::U8 => 8,
            Elem::S4 | Elem::U4 => 4,
            Elem::B1 => 1,
        }
    }

    fn fields(self) -> Option<(u32, u32)> {
        match self {
            Elem::F64 => Some((11, 52)),
            Elem::Tf32 => Some((8, 23)),
            Elem::F16 => Some((5, 10)),
            Elem::Bf16 => Some((8, 7)),
            Elem::E4m3 => Some((4, 3)),
            Elem::E5m2 => Some((5, 2)),
            _ => None,
        }
    }
}

/// The type of D or C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acc {
    F64,
    F32,
    F16,
    S32,
}

impl Acc {
    pub fn name(self) -> &'static str {
        match self {
            Acc::F64 => "f64",
            Acc::F32 => "f32",
            Acc::F16 => "f16",
            Acc::S32 => "s32",
        }
    }
}

/// One program.
#[derive(Clone, Debug)]
pub struct Form {
    pub opcode: String,
    pub wgmma: bool,
    pub wmma: bool,
    pub sparse: bool,
    pub m: u32,
    pub n: u32,
    /// Logical K.
    pub k: u32,
    pub a: Elem,
    pub b: Elem,
    pub d: Acc,
    /// Other than `d` in some products on f16 only.
    pub c: Acc,
    /// wgmma: A in registers; wmma: unused.
    pub a_regs: bool,
    pub trans_a: bool,
    pub trans_b: bool,
    pub selector: u32,
    /// wgmma descriptor bits without the address: layout, strides.
    pub desc_a: u64,
    pub desc_b: u64,
    pub scale_d: bool,
    pub negate_a: bool,
    pub negate_b: bool,
    pub trials: u32,
}

/// Bytes of A's part of the image.
pub const A_BYTES: u32 = 8192;

/// How the numbers of a trial are drawn.
pub const MODES: u32 = 8;

/// An element of `width` bits: the mode decides how wide the exponents spread and which specials appear.
fn element(fields: Option<(u32, u32)>, bits: u32, mode: u32, h: u64) -> u64 {
    let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    let Some((exp, man)) = fields else { return h & mask };
    let sign = (h >> 63) << (exp + man);
    let fraction = h & ((1 << man) - 1);
    let bias = (1u64 << (exp - 1)) - 1;
    let top = (1u64 << exp) - 1;
    let at = |e: u64| sign | e.min(top - 1) << man | fraction;
    let r = h >> 40;
    let spread = |s: u64| bias.saturating_add(r % (2 * s + 1)).saturating_sub(s);
    match mode % MODES {
        0 => at(spread(2)),
        1 => at(spread(12.min(bias - 1))),
        2 => sign | (bias + r % 3) << man | fraction >> (man - 1) << (man - 1),
        // Rare specials, or else ordinary numbers.
        3 if r.is_multiple_of(509) => sign | top << man | if r & 1 == 0 { 0 } else { fraction | 1 },
        3 => at(spread(3)),
        4 => at(spread(20.min(bias - 1))),
        // Subnormals with large partners.
        5 => match r % 3 {
            0 => sign | fraction,
            1 => at(top - 2 - r / 3 % 4),
            _ => at(1 + r / 3 % 3),
        },
        // Zeros with wide exponents.
        6 => {
            if r.is_multiple_of(3) {
                sign
            } else {
                at(spread(bias / 2))
            }
        }
        _ => at(spread(1)),
    }
}

impl Form {
    fn seed(&self) -> u64 {
        seed(&self.opcode)
            ^ hash(
                self.desc_a ^ self.desc_b.rotate_left(7),
                u64::from(self.selector) << 4
                    | u64::from(self.a_regs) << 3
                    | u64::from(self.negate_a) << 2
                    | u64::from(self.negate_b) << 1
                    | u64::from(self.scale_d),
            )
    }

    pub fn threads(&self) -> u32 {
        if self.wgmma { 128 } else { 32 }
    }

    /// `mma.m8n8k4` on f16: four products in a warp, each of eight threads.
    pub fn quads(&self) -> bool {
        !self.wmma && self.m == 8 && self.a == Elem::F16
    }

    /// 32-bit words of D of a thread.
    pub fn d_words(&self) -> u32 {
        self.accumulator_words(self.d)
    }

    /// 32-bit words of C of a thread.
    pub fn c_words(&self) -> u32 {
        self.accumulator_words(self.c)
    }

    fn accumulator_words(&self, acc: Acc) -> u32 {
        let elements = self.m * self.n / if self.quads() { 8 } else { self.threads() };
        match acc {
            Acc::F64 => elements * 2,
            Acc::F16 => elements / 2,
            _ => elements,
        }
    }

    /// 32-bit words of A a thread holds; half of K is stored where A is sparse.
    pub fn a_words(&self) -> u32 {
        if self.quads() {
            2
        } else if self.wmma || self.wgmma && !self.a_regs {
            0
        } else {
            self.m * self.k / (1 + u32::from(self.sparse)) * self.a.bits() / 32 / self.threads()
        }
    }

    pub fn b_words(&self) -> u32 {
        if self.quads() {
            2
        } else if self.wgmma || self.wmma {
            0
        } else {
            self.n * self.k * self.b.bits() / 32 / 32
        }
    }

    /// Bytes of the shared image of a trial.
    pub fn image_bytes(&self) -> u32 {
        if self.wmma {
            2 * A_BYTES
        } else if !self.wgmma {
            0
        } else {
            A_BYTES + (self.n * 128).max(16384)
        }
    }

    /// Words of a thread: C, A, B, metadata.
    pub fn thread_words(&self) -> u32 {
        self.c_words() + self.a_words() + self.b_words() + u32::from(self.sparse)
    }

    fn packed(&self, elem: Elem, trial: u32, counter: u64) -> u32 {
        let count = (32 / elem.bits().min(32)) as u64;
        (0..count).fold(0u64, |w, i| {
            let h = hash(self.seed() ^ u64::from(trial) << 40, counter * 32 + i);
            // tf32 elements fill 32 bits; only the upper 19 count.
            w | element(elem.fields(), elem.bits(), trial, h) << (i as u32 * elem.bits())
        }) as u32
    }

    /// The shared image of a trial, in words.
    pub fn image(&self, trial: u32) -> Vec<u32> {
        if self.a == Elem::F64 {
            let double = |i| element(self.a.fields(), 64, trial, hash(self.seed() ^ u64::from(trial) << 40, i));
            return (0..self.image_bytes() / 4).map(|i| (double(u64::from(i / 2)) >> (32 * (i & 1))) as u32).collect();
        }
        (0..self.image_bytes() / 4)
            .map(|i| self.packed(if i < A_BYTES / 4 { self.a } else { self.b }, trial, u64::from(i)))
            .collect()
    }

    /// The words of a thread in a trial.
    pub fn words(&self, trial: u32, thread: u32) -> Vec<u32> {
        let base = u64::from(thread + 1) << 24;
        let mut out = vec![];
        for i in 0..self.c_words() {
            let h = hash(self.seed() ^ u64::from(trial) << 40, base + u64::from(i));
            // Accumulators of mode 7 dwarf the products, those of mode 6 are tiny.
            let float = |exp: u32, man: u32, h: u64| {
                let bias = (1u64 << (exp - 1)) - 1;
                let e = match trial % MODES {
                    1 => bias - 10 + (h >> 40) % 20,
                    4 => bias + 4 + (h >> 40) % 8,
                    5 => (h >> 40) % 3,
                    6 => (bias / 2) + (h >> 40) % (bias - 1),
                    7 => bias + 8 + (h >> 40) % 4,
                    _ => bias - 2 + (h >> 40) % 6,
                };
                (h >> 63) << (exp + man) | e << man | h & ((1 << man) - 1)
            };
            out.push(match self.c {
                Acc::F32 => float(8, 23, h) as u32,
                Acc::F16 => (float(5, 10, h) | float(5, 10, hash(h, 1)) << 16) as u32,
                Acc::S32 => {
                    if trial % 4 == 3 {
                        0x7fff_ff00u32.wrapping_add(h as u32 & 0xff) ^ ((h >> 63) as u32 * u32::MAX)
                    } else {
                        h as u32 >> 8
                    }
                }
                Acc::F64 => (float(11, 52, hash(self.seed(), base + u64::from(i / 2))) >> (32 * (i & 1))) as u32,
            });
        }
        let fragment = |elem: Elem, i: u32, which: u64| {
            if elem == Elem::F64 {
                let h = hash(self.seed() ^ u64::from(trial) << 40, base + which + u64::from(i / 2));
                (element(elem.fields(), 64, trial, h) >> (32 * (i & 1))) as u32
            } else {
                self.packed(elem, trial, base + which + u64::from(i))
            }
        };
        out.extend((0..self.a_words()).map(|i| fragment(self.a, i, 1 << 20)));
        out.extend((0..self.b_words()).map(|i| fragment(self.b, i, 1 << 21)));
        if self.sparse {
            let legal: &[u32] = if self.a == Elem::Tf32 { &[4, 14] } else { &[4, 8, 12, 9, 13, 14] };
            let h = hash(self.seed() ^ u64::from(trial) << 40, base + (1 << 22));
            out.push((0..8).fold(0, |w, c| w | legal[(h >> (8 * c)) as usize % 256 % legal.len()] << (4 * c)));
        }
        out
    }

    /// The program of a `wmma`: three loads, the product, a store.
    fn wmma_ptx(&self, name: &str) -> String {
        let wide = self.a == Elem::F64;
        let list = |reg: &str, count: u32| {
            format!("{{{}}}", (0..count).map(|i| format!("{reg}{i}")).collect::<Vec<_>>().join(", "))
        };
        let count = |elements: u32| match self.a {
            Elem::F64 => elements / 32,
            // Eight registers whatever the shape.
            Elem::F16 => 8,
            _ => elements * self.a.bits() / 1024,
        };
        let (a, b) = (list("%a", count(self.m * self.k)), list("%b", count(self.n * self.k)));
        let accumulator = |reg: &str, words: u32| list(reg, if wide { words / 2 } else { words });
        let (c, d) = (accumulator("%c", self.c_words()), accumulator("%d", self.d_words()));
        let layout = |columns: bool| if columns { "col" } else { "row" };
        let (la, lb) = (layout(self.trans_a), layout(!self.trans_b));
        let lead = |turned: bool, rows: u32| if turned { rows } else { self.k };
        let (shape, bytes) = (format!("m{}n{}k{}", self.m, self.n, self.k), self.image_bytes());
        let ty = if wide { "f64" } else { "b32" };
        format!(
            ".visible .entry {name}(.param .u64 images, .param .u64 words, .param .u64 out)\n{{\n  .reg .b32 %t;\n  .reg .b64 %im, %w, %o;\n  \
             .reg .{ty} %a<8>, %b<8>, %c<8>, %d<8>;\n  ld.param.u64 %im, [images];\n  ld.param.u64 %w, [words];\n  ld.param.u64 %o, [out];\n  \
             mov.u32 %t, %ctaid.x;\n  mad.wide.u32 %im, %t, {bytes}, %im;\n  mad.wide.u32 %w, %t, {cs}, %w;\n  mad.wide.u32 %o, %t, {ds}, %o;\n  \
             wmma.load.a.sync.aligned.{la}.{shape}.global.{at} {a}, [%im], {sa};\n  \
             wmma.load.b.sync.aligned.{lb}.{shape}.global.{bt} {b}, [%im+{A_BYTES}], {sb};\n  \
             wmma.load.c.sync.aligned.row.{shape}.global.{ct} {c}, [%w], {n};\n  {op} {d}, {a}, {b}, {c};\n  \
             wmma.store.d.sync.aligned.row.{shape}.global.{dt} [%o], {d}, {n};\n  ret;\n}}\n\n",
            cs = 128 * self.c_words(),
            ds = 128 * self.d_words(),
            at = self.a.name(),
            bt = self.b.name(),
            ct = self.c.name(),
            dt = self.d.name(),
            sa = lead(self.trans_a, self.m),
            sb = lead(self.trans_b, self.n),
            n = self.n,
            op = self.opcode,
        )
    }

    /// The program: kernel parameters are the images, the thread words and the outputs.
    pub fn ptx(&self, name: &str) -> String {
        if self.wmma {
            return self.wmma_ptx(name);
        }
        let (nc, nd, na, nb) = (self.c_words(), self.d_words(), self.a_words(), self.b_words());
        let wide = self.d == Acc::F64;
        let mut s = format!(
            ".visible .entry {name}(.param .u64 images, .param .u64 words, .param .u64 out)\n{{\n  .reg .b32 %t, %b, %i, %g, %v, %sm, %meta;\n  \
             .reg .b64 %im, %w, %o, %p, %q, %da, %db;\n  .reg .pred %go, %sd;\n  .reg .b32 %d<{}>, %a<{}>, %bb<{}>;\n  .reg .f64 %fd<8>, %fa<16>, %fb<16>;\n",
            nc.max(nd),
            na.max(1),
            nb.max(1)
        );
        if self.wgmma {
            s += &format!("  .shared .align 1024 .b8 sm[{}];\n", self.image_bytes());
        }
        s += "  ld.param.u64 %im, [images];\n  ld.param.u64 %w, [words];\n  ld.param.u64 %o, [out];\n  mov.u32 %t, %tid.x;\n  mov.u32 %b, %ctaid.x;\n";
        s += &format!(
            "  mad.lo.u32 %g, %b, {}, %t;\n  mad.wide.u32 %w, %g, {}, %w;\n  mad.wide.u32 %o, %g, {}, %o;\n",
            self.threads(),
            self.thread_words() * 4,
            nd * 4
        );
        if self.wgmma {
            let bytes = self.image_bytes();
            s += &format!(
                "  mad.wide.u32 %im, %b, {bytes}, %im;\n  mov.u32 %sm, sm;\n  shl.b32 %i, %t, 2;\nCOPY:\n  cvt.u64.u32 %q, %i;\n  add.u64 %p, %im, %q;\n  \
                 ld.global.b32 %v, [%p];\n  add.u32 %g, %sm, %i;\n  st.shared.b32 [%g], %v;\n  add.u32 %i, %i, 512;\n  setp.lt.u32 %go, %i, {bytes};\n  \
                 @%go bra COPY;\n  fence.proxy.async.shared::cta;\n  bar.sync 0;\n"
            );
            for (reg, offset, desc) in [("%da", 0, self.desc_a), ("%db", A_BYTES, self.desc_b)] {
                s += &format!(
                    "  add.u32 %g, %sm, {offset};\n  shr.u32 %g, %g, 4;\n  cvt.u64.u32 {reg}, %g;\n  add.u64 {reg}, {reg}, {desc};\n"
                );
            }
        }
        let mut at = 0;
        for (reg, count, in_f64) in
            [("%d", nc, wide), ("%a", na, self.a == Elem::F64), ("%bb", nb, self.b == Elem::F64)]
        {
            for i in 0..count {
                if in_f64 {
                    if i % 2 == 0 {
                        let f = if reg == "%bb" { "%fb" } else { &format!("%f{}", &reg[1..]) };
                        // Only 4-byte alignment is certain.
                        s += &format!(
                            "  ld.global.b32 %v, [%w+{at}];\n  ld.global.b32 %g, [%w+{}];\n  mov.b64 {f}{}, {{%v, %g}};\n",
                            at + 4,
                            i / 2
                        );
                    }
                } else {
                    s += &format!("  ld.global.b32 {reg}{i}, [%w+{at}];\n");
                }
                at += 4;
            }
        }
        if self.sparse {
            s += &format!("  ld.global.b32 %meta, [%w+{at}];\n");
        }
        let list = |reg: &str, count: u32| {
            format!("{{{}}}", (0..count).map(|i| format!("{reg}{i}")).collect::<Vec<_>>().join(", "))
        };
        let d = if wide { list("%fd", nd / 2) } else { list("%d", nd) };
        if self.wgmma {
            let a = if self.a_regs { list("%a", na) } else { "%da".to_owned() };
            let meta = if self.sparse { format!(", %meta, {}", self.selector) } else { String::new() };
            let sign = |n: bool| if n { -1 } else { 1 };
            let mut tail = String::new();
            if matches!(self.d, Acc::F32 | Acc::F16) {
                tail += &format!(", {}, {}", sign(self.negate_a), sign(self.negate_b));
                if matches!(self.a, Elem::F16 | Elem::Bf16) {
                    if !self.a_regs {
                        tail += &format!(", {}", u32::from(self.trans_a));
                    }
                    tail += &format!(", {}", u32::from(self.trans_b));
                }
            }
            s += &format!(
                "  setp.{} %sd, %t, %t;\n  wgmma.fence.sync.aligned;\n  {} {d}, {a}, %db{meta}, %sd{tail};\n  wgmma.commit_group.sync.aligned;\n  wgmma.wait_group.sync.aligned 0;\n",
                if self.scale_d { "eq.u32" } else { "ne.u32" },
                self.opcode
            );
        } else {
            let a = if self.a == Elem::F64 { list("%fa", na / 2) } else { list("%a", na) };
            let b = if self.b == Elem::F64 { list("%fb", nb / 2) } else { list("%bb", nb) };
            let meta = if self.sparse { format!(", %meta, {}", self.selector) } else { String::new() };
            let c = if wide { d.clone() } else { list("%d", nc) };
            s += &format!("  {} {d}, {a}, {b}, {c}{meta};\n", self.opcode);
        }
        for i in 0..nd {
            if wide {
                if i % 2 == 0 {
                    s += &format!("  st.global.f64 [%o+{}], %fd{};\n", i * 4, i / 2);
                }
            } else {
                s += &format!("  st.global.b32 [%o+{}], %d{i};\n", i * 4);
            }
        }
        s + "  ret;\n}\n\n"
    }
}
