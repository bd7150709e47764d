//! Access patterns whose clock cycles are recorded: they show in how many passes a shared-memory access goes, and what a
//! sector of global memory costs.
//!
//! A program is one block of [`WARPS`] warps. Each warp repeats one access, so that the memory pipeline and not its latency
//! sets the time; thread 0 writes the cycles between two barriers. The offsets of the lanes are an input.

use super::inputs::hash;

/// Warps of the block: enough to fill the pipeline.
pub const WARPS: u32 = 16;
/// Accesses in the loop's body.
pub const UNROLL: u32 = 8;
/// Bytes that an access of global memory may span. No two accesses of a launch share them, so that none finds another's data
/// in the first-level cache; all together stay in the second-level cache.
pub const SPAN: u32 = 4096;
const GLOBAL_ROUNDS: u32 = 16;
const SHARED_BYTES: u32 = 8192;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Shared,
    Global,
}

pub struct Pattern {
    pub name: &'static str,
    pub place: Place,
    pub store: bool,
    /// Bytes of a lane: 1, 2, 4, 8 or 16.
    pub bytes: u32,
    /// The byte offset of each lane.
    pub offsets: [u32; 32],
    /// The lanes that take part.
    pub active: u32,
}

impl Pattern {
    /// Rounds of the loop.
    fn rounds(&self) -> u32 {
        if self.place == Place::Shared { 64 } else { GLOBAL_ROUNDS }
    }

    /// Warp-wide accesses of a launch.
    pub fn accesses(&self) -> u32 {
        WARPS * UNROLL * self.rounds()
    }

    /// Bytes of global memory that a program reads or writes.
    pub fn buffer() -> usize {
        (WARPS * UNROLL * GLOBAL_ROUNDS * SPAN) as usize
    }

    /// Kernel `name(in, buffer, out)`: the offsets, the memory of global patterns, the cycles.
    pub fn ptx(&self, name: &str) -> String {
        let (vector, element) = match self.bytes {
            16 => (".v4", "b32"),
            8 => (".v2", "b32"),
            4 => ("", "b32"),
            2 => ("", "b16"),
            _ => ("", "b8"),
        };
        let (order, space, base) = match (self.place, self.store) {
            (Place::Shared, _) => (".volatile", ".shared", "%s"),
            (Place::Global, false) => (".relaxed.gpu", ".global", "%g"),
            (Place::Global, true) => ("", ".global", "%g"),
        };
        let guard = if self.active == u32::MAX { "" } else { "@%q " };
        let (mut accesses, mut sums) = (String::new(), String::new());
        for i in 0..UNROLL {
            let registers: Vec<_> = (0..4).map(|e| format!("%v{}", 4 * i + e)).collect();
            let list = match self.bytes {
                16 => format!("{{{}}}", registers.join(", ")),
                8 => format!("{{{}}}", registers[..2].join(", ")),
                2 => format!("%h{i}"),
                _ => registers[0].clone(),
            };
            let at = if self.place == Place::Global { i * SPAN } else { 0 };
            if self.store {
                let zero = match self.bytes {
                    16 => "{%z, %z, %z, %z}",
                    8 => "{%z, %z}",
                    2 => "%hz",
                    _ => "%z",
                };
                accesses += &format!("  {guard}st{order}{space}{vector}.{element} [{base}+{at}], {zero};\n");
            } else {
                accesses += &format!("  {guard}ld{order}{space}{vector}.{element} {list}, [{base}+{at}];\n");
                if self.bytes == 2 {
                    sums += &format!("  cvt.u32.u16 %v{}, %h{i};\n", 4 * i);
                }
                for register in &registers[..self.bytes.div_ceil(4) as usize] {
                    sums += &format!("  xor.b32 %x, %x, {register};\n");
                }
            }
        }
        let memory = match self.place {
            Place::Shared => format!(
                "  .shared .align 128 .b8 sm[{SHARED_BYTES}];\n  mov.u32 %s, sm;\n  mad.lo.u32 %f, %t, 16, %s;\n  \
                 st.shared.v4.b32 [%f], {{%z, %z, %z, %z}};\n  add.u32 %s, %s, %o;\n"
            ),
            Place::Global => format!(
                "  shr.u32 %w, %t, 5;\n  mul.wide.u32 %d, %w, {};\n  add.s64 %g, %g, %d;\n  cvt.u64.u32 %d, %o;\n  add.s64 %g, %g, %d;\n",
                UNROLL * SPAN
            ),
        };
        let next = match self.place {
            Place::Shared => String::new(),
            Place::Global => format!("  add.s64 %g, %g, {};\n", WARPS * UNROLL * SPAN),
        };
        // Lanes that sit out sum what they start with.
        let start: String = (0..4 * UNROLL).map(|v| format!("  mov.b32 %v{v}, 0;\n")).collect();
        let (active, rounds) = (self.active, self.rounds());
        format!(
            ".visible .entry {name}(.param .u64 in, .param .u64 buffer, .param .u64 out)\n{{\n  \
             .reg .b32 %t, %l, %o, %s, %f, %w, %x, %z, %i, %t0, %t1, %v<32>;\n  .reg .b16 %hz, %h<8>;\n  .reg .b64 %in, %g, %out, %d;\n  .reg .pred %p, %q;\n  \
             ld.param.u64 %in, [in];\n  ld.param.u64 %g, [buffer];\n  ld.param.u64 %out, [out];\n  mov.u32 %t, %tid.x;\n  and.b32 %l, %t, 31;\n  \
             mad.wide.u32 %in, %l, 4, %in;\n  ld.global.b32 %o, [%in];\n  mov.b32 %z, 0;\n  mov.b16 %hz, 0;\n  mov.b32 %x, 0;\n{memory}{start}  \
             mov.b32 %w, {active};\n  shr.u32 %w, %w, %l;\n  and.b32 %w, %w, 1;\n  setp.ne.u32 %q, %w, 0;\n  \
             mov.b32 %i, 0;\n  bar.sync 0;\n  mov.u32 %t0, %clock;\nROUND:\n{accesses}{sums}{next}  \
             add.u32 %i, %i, 1;\n  setp.lt.u32 %p, %i, {rounds};\n  @%p bra ROUND;\n  bar.sync 0;\n  mov.u32 %t1, %clock;\n  \
             sub.u32 %t1, %t1, %t0;\n  setp.eq.u32 %p, %t, 0;\n  mad.wide.u32 %out, %t, 4, %out;\n  @!%p mov.b32 %t1, %x;\n  \
             st.global.b32 [%out], %t1;\n  ret;\n}}\n\n"
        )
    }
}

/// Every pattern, in the order of the recording.
pub fn patterns() -> Vec<Pattern> {
    let mut all = vec![];
    let mut add = |name, place, store, bytes, offset: &dyn Fn(u32) -> u32| {
        let offsets = std::array::from_fn(|lane| offset(lane as u32));
        all.push(Pattern { name, place, store, bytes, offsets, active: u32::MAX });
    };
    use Place::{Global, Shared};
    let random = |lane: u32| hash(u64::from_le_bytes(*b"patterns"), u64::from(lane)) as u32;

    add("words in a row", Shared, false, 4, &|l| 4 * l);
    add("one word for all lanes", Shared, false, 4, &|_| 64);
    add("every second word", Shared, false, 4, &|l| 8 * l);
    add("every fourth word", Shared, false, 4, &|l| 16 * l);
    add("every eighth word", Shared, false, 4, &|l| 32 * l);
    add("a column of rows of 32 words", Shared, false, 4, &|l| 128 * l);
    add("a column of rows of 33 words", Shared, false, 4, &|l| 132 * l);
    add("a column with an exclusive-or swizzle", Shared, false, 4, &|l| 128 * l + 4 * (l ^ 5));
    add("words at random", Shared, false, 4, &|l| random(l) % 1024 * 4);
    add("bytes in a row", Shared, false, 1, &|l| l);
    add("halves in a row", Shared, false, 2, &|l| 2 * l);
    add("halves, one a word", Shared, false, 2, &|l| 4 * l + 2 * (l & 1));
    add("pairs in a row", Shared, false, 8, &|l| 8 * l);
    add("every second pair", Shared, false, 8, &|l| 16 * l);
    add("one pair for all lanes", Shared, false, 8, &|_| 64);
    add("pairs, the same for both half-warps", Shared, false, 8, &|l| 8 * (l & 15));
    add("pairs, the same for neighbours", Shared, false, 8, &|l| 8 * (l / 2));
    add("pairs at random", Shared, false, 8, &|l| random(l) % 512 * 8);
    add("pairs, the same for lanes two apart", Shared, false, 8, &|l| 8 * (l & 1 | l >> 2 << 1));
    add("pairs, the same for lanes four apart", Shared, false, 8, &|l| 8 * (l & 3 | l >> 3 << 2));
    add("pairs, the same for lanes eight apart", Shared, false, 8, &|l| 8 * (l & 7 | l >> 4 << 3));
    add("pairs, the same for four lanes", Shared, false, 8, &|l| 8 * (l / 4));
    add("pairs, the same for neighbours of the lower half-warp", Shared, false, 8, &|l| {
        if l < 16 { l / 2 * 8 } else { 8 * l }
    });
    add("pairs, the same for all neighbours but two", Shared, false, 8, &|l| if l < 30 { l / 2 * 8 } else { 8 * l });
    add("every second pair, the same for neighbours", Shared, false, 8, &|l| 16 * (l / 2));
    add("pairs, neighbours or lanes two apart the same", Shared, false, 8, &|l| {
        8 * if l < 16 { l / 2 } else { l & 1 | l >> 2 << 1 }
    });
    add("quads in a row", Shared, false, 16, &|l| 16 * l);
    add("every second quad", Shared, false, 16, &|l| 32 * l);
    add("one quad for all lanes", Shared, false, 16, &|_| 64);
    add("quads, the same for all quarter-warps", Shared, false, 16, &|l| 16 * (l & 7));
    add("quads, the same for neighbours", Shared, false, 16, &|l| 16 * (l / 2));
    add("quads, the same for four lanes", Shared, false, 16, &|l| 16 * (l / 4));
    add("quads, the same for lanes two apart", Shared, false, 16, &|l| 16 * (l & 1 | l >> 2 << 1));
    add("quads, the same for lanes four apart", Shared, false, 16, &|l| 16 * (l & 3 | l >> 3 << 2));
    add("quads, the same for lanes eight apart", Shared, false, 16, &|l| 16 * (l & 7 | l >> 4 << 3));
    add("quads, the same for both half-warps", Shared, false, 16, &|l| 16 * (l & 15));
    add("quads, the same for eight lanes", Shared, false, 16, &|l| 16 * (l / 8));
    add("quads, the same for neighbours of the lower half-warp", Shared, false, 16, &|l| {
        16 * if l < 16 { l / 2 } else { l }
    });
    add("quads, the same for neighbours of each second quarter", Shared, false, 16, &|l| {
        16 * if l & 8 == 0 { l / 2 } else { l }
    });
    add("quads of a column", Shared, false, 16, &|l| 128 * l);
    add("quads of a column with a 128-byte swizzle", Shared, false, 16, &|l| 128 * l + 16 * (l & 7));
    add("quads at random", Shared, false, 16, &|l| random(l) % 256 * 16);
    add("stores in a row", Shared, true, 4, &|l| 4 * l);
    add("stores to every second word", Shared, true, 4, &|l| 8 * l);
    add("stores to every eighth word", Shared, true, 4, &|l| 32 * l);
    add("stores of bytes in a row", Shared, true, 1, &|l| l);
    add("stores to one word", Shared, true, 4, &|_| 64);
    add("stores of pairs in a row", Shared, true, 8, &|l| 8 * l);
    add("stores of quads in a row", Shared, true, 16, &|l| 16 * l);
    add("stores of quads to a column", Shared, true, 16, &|l| 128 * l);

    add("stores of pairs, the same for neighbours", Shared, true, 8, &|l| 8 * (l / 2));
    add("stores of quads, the same for neighbours", Shared, true, 16, &|l| 16 * (l / 2));

    add("global words in a row", Global, false, 4, &|l| 4 * l);
    add("global words in a row, from the middle of a sector", Global, false, 4, &|l| 4 * l + 16);
    add("every second global word", Global, false, 4, &|l| 8 * l);
    add("every fourth global word", Global, false, 4, &|l| 16 * l);
    add("a global word of each sector", Global, false, 4, &|l| 32 * l);
    add("a global word of each second sector", Global, false, 4, &|l| 64 * l);
    add("a global word of each line", Global, false, 4, &|l| 128 * l);
    add("one global word for all lanes", Global, false, 4, &|_| 64);
    add("global bytes in a row", Global, false, 1, &|l| l);
    add("global pairs in a row", Global, false, 8, &|l| 8 * l);
    add("global quads in a row", Global, false, 16, &|l| 16 * l);
    add("every second global quad", Global, false, 16, &|l| 32 * l);
    add("global words at random", Global, false, 4, &|l| random(l) % 1024 * 4);
    add("global stores in a row", Global, true, 4, &|l| 4 * l);
    add("global stores of quads in a row", Global, true, 16, &|l| 16 * l);
    add("global stores to every fourth word", Global, true, 4, &|l| 16 * l);
    add("a global store to each sector", Global, true, 4, &|l| 32 * l);

    let mut some = |name, bytes, active, offset: &dyn Fn(u32) -> u32| {
        let offsets = std::array::from_fn(|lane| offset(lane as u32));
        all.push(Pattern { name, place: Shared, store: false, bytes, offsets, active });
    };
    some("a column in every fourth lane", 4, 0x1111_1111, &|l| 128 * l);
    some("pairs of the lower half-warp", 8, 0xffff, &|l| 8 * l);
    some("pairs of even lanes", 8, 0x5555_5555, &|l| 8 * l);
    some("pairs of two lanes of four", 8, 0x3333_3333, &|l| 8 * l);
    some("quads of the lower half-warp", 16, 0xffff, &|l| 16 * l);
    some("quads of the lower quarter", 16, 0xff, &|l| 16 * l);
    some("quads of even lanes", 16, 0x5555_5555, &|l| 16 * l);
    some("quads of two lanes of four", 16, 0x3333_3333, &|l| 16 * l);
    some("quads of one lane of four", 16, 0x1111_1111, &|l| 16 * l);
    all
}
