//! Threads, barriers and shuffles (PTX ISA 9.0, "Special Registers", "bar", "shfl.sync").

use super::{Builder, Elem, Ty, Val};

impl Builder {
    fn special(&self, name: &str) -> Val {
        self.op1(&format!("nvvm.read.ptx.sreg.{name}"), &[], Ty::I32, &[])
    }

    /// Thread number in the block along `axis` (0 is x), i32.
    pub fn thread(&self, axis: usize) -> Val {
        self.special(["tid.x", "tid.y", "tid.z"][axis])
    }

    /// Block number in the grid along `axis` (0 is x), i32.
    pub fn block(&self, axis: usize) -> Val {
        self.special(["ctaid.x", "ctaid.y", "ctaid.z"][axis])
    }

    /// Number of blocks along `axis`, i32.
    pub fn grid(&self, axis: usize) -> Val {
        self.special(["nctaid.x", "nctaid.y", "nctaid.z"][axis])
    }

    /// Lane in the warp, i32.
    pub fn lane_id(&self) -> Val {
        self.special("laneid")
    }

    /// Waits for all threads of the block (`bar.sync 0`); every thread must arrive.
    pub fn barrier(&self) {
        self.op0("nvvm.barrier", &[], &[("operandSegmentSizes", self.i32s_attr(&[0, 0, 0]))]);
    }

    /// Waits for `threads` threads at named barrier `id` (1..16).
    pub fn named_barrier(&self, id: Val, threads: Val) {
        self.op0("nvvm.barrier", &[id, threads], &[("operandSegmentSizes", self.i32s_attr(&[1, 1, 0]))]);
    }

    /// The value of lane `lane ^ mask`; all 32 lanes take part. Any integer or float type up to 64 bits.
    pub fn shuffle_xor(&self, value: Val, mask: u32) -> Val {
        self.shuffle(value, self.i32(mask as i32), "bfly", 31)
    }

    /// The value of lane `lane` (i32, 0..32); all 32 lanes take part.
    pub fn shuffle_from(&self, value: Val, lane: Val) -> Val {
        self.shuffle(value, lane, "idx", 31)
    }

    fn shuffle(&self, value: Val, with: Val, kind: &str, clamp: i32) -> Val {
        let one = |v: Val| {
            let kind = self.parse_attr(&format!("#nvvm<shfl_kind {kind}>"));
            self.op1("nvvm.shfl.sync", &[self.i32(-1), v, with, self.i32(clamp)], v.ty, &[("kind", kind)])
        };
        match value.ty.elem {
            Elem::I32 | Elem::F32 => one(value),
            Elem::I64 | Elem::F64 => {
                let pair = self.bitcast(value, Ty::I32.vec(2));
                let moved = [one(self.lane(pair, 0)), one(self.lane(pair, 1))];
                self.bitcast(self.pack(&moved), value.ty)
            }
            _ => {
                let bits = self.bitcast(value, value.ty.as_int());
                let moved = one(self.resize_u(bits, Ty::I32));
                self.bitcast(self.resize_u(moved, bits.ty), value.ty)
            }
        }
    }
}
