//! What the machine runs: decoded instructions with register slots in place of names.
//!
//! Central type: [`Program`]. Constants and special registers have slots of their own that are filled when a warp starts, so
//! that every source operand is a slot.

use crate::isa::Exec;
use crate::syntax::{Bounds, Location, Space};
use std::collections::BTreeMap;

use tricot_ptx_numerics::format::Round;

pub use tricot_ptx_numerics::matrix::Elem;

/// A register slot by file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// 32-bit file.
    R(u32),
    /// 64-bit file.
    D(u32),
    /// Predicate file.
    P(u32),
    /// 128 bits: this and the next slot of the 64-bit file.
    Q(u32),
    Sink,
}

/// `[register + offset]`
#[derive(Clone, Copy, Debug)]
pub struct Addr {
    pub base: Slot,
    pub offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    ClusterId(u8),
    NclusterId(u8),
    ClusterCtaid(u8),
    ClusterNctaid(u8),
    ClusterCtarank,
    ClusterNctarank,
    Lane,
    Warp,
    Nwarp,
    Sm,
    Nsm,
    MaskEq,
    MaskLt,
    MaskLe,
    MaskGt,
    MaskGe,
    DynamicShared,
    TotalShared,
    /// A predicate: the launch has clusters.
    Explicit,
    Zero,
}

/// Ordering of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Order {
    /// Volatile, relaxed, acquire or release: not a plain access.
    pub strong: bool,
    pub acquire: bool,
    pub release: bool,
    /// At cluster scope or wider.
    pub wide: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtomOp {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Exch,
    Cas,
    Inc,
    Dec,
}

/// Type of an atomic's operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    B16,
    U32,
    S32,
    U64,
    S64,
    F32,
    F64,
    F16,
    Bf16,
    F16x2,
    Bf16x2,
}

impl Scalar {
    pub fn bytes(self) -> u32 {
        match self {
            Scalar::B16 | Scalar::F16 | Scalar::Bf16 => 2,
            Scalar::U64 | Scalar::S64 | Scalar::F64 => 8,
            _ => 4,
        }
    }
}

/// The type of C and D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acc {
    F64,
    F32,
    F16,
    S32,
}

impl Acc {
    pub fn bits(self) -> u32 {
        match self {
            Acc::F64 => 64,
            Acc::F16 => 16,
            _ => 32,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShuffleMode {
    Up,
    Down,
    Bfly,
    Idx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteMode {
    All,
    Any,
    Uni,
    Ballot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceKind {
    /// `membar`, `fence.sc`, `fence.acq_rel`; whether at cluster scope or wider.
    Memory {
        wide: bool,
    },
    /// `fence.proxy.async`
    Async,
    /// `fence.proxy.tensormap::generic.release`
    MapRelease,
    MbarrierInit,
    OtherProxy,
}

/// `bar.red`: the result and the predicate, which may be negated.
#[derive(Clone, Copy, Debug)]
pub struct Reduce {
    /// `Ballot` counts.
    pub mode: VoteMode,
    pub d: Slot,
    pub p: u32,
    pub negated: bool,
}

/// What `setp` and `set` do with a third predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    And,
    Or,
    Xor,
}

/// A wgmma instruction (PTX ISA 9.7.15).
#[derive(Clone, Debug)]
pub struct Wgmma {
    pub n: u32,
    pub k: u32,
    pub acc: Acc,
    pub a: Elem,
    pub b: Elem,
    pub sparse: bool,
    pub saturate: bool,
    /// Accumulators, in fragment order.
    pub d: Vec<u32>,
    pub a_regs: Vec<u32>,
    pub a_desc: Option<u32>,
    pub b_desc: u32,
    /// Sparsity metadata and selector.
    pub meta: Option<(u32, u32)>,
    /// `scale-d` predicate.
    pub scale_d: u32,
    pub neg_a: bool,
    pub neg_b: bool,
    pub trans_a: bool,
    pub trans_b: bool,
}

impl Wgmma {
    /// Registers of the first operand and its metadata.
    pub fn operand_registers(&self) -> impl Iterator<Item = u32> + '_ {
        self.a_regs.iter().copied().chain(self.meta.map(|(m, _)| m))
    }
}

/// Where a sparse product finds which elements of A are stored.
#[derive(Clone, Copy, Debug)]
pub struct Sparse {
    /// Register of the metadata.
    pub meta: u32,
    /// Which threads of each four hold it.
    pub selector: u32,
    /// The positions of a group ascend.
    pub ordered: bool,
}

/// An `mma` instruction (PTX ISA 9.7.14.5, 9.7.14.6).
#[derive(Clone, Debug)]
pub struct Mma {
    pub m: u32,
    pub n: u32,
    pub k: u32,
    pub acc: Acc,
    pub a: Elem,
    pub b: Elem,
    pub sparse: Option<Sparse>,
    /// Single bits: those that differ are counted, not those that are both one.
    pub xor: bool,
    pub saturate: bool,
    /// Registers of 64 bits where the elements are f64.
    pub dr: Vec<u32>,
    pub ar: Vec<u32>,
    pub br: Vec<u32>,
    pub cr: Vec<u32>,
}

/// A `wmma.mma`: registers hold matrices as [`super::wmma`] places them.
#[derive(Clone, Debug)]
pub struct Wmma {
    pub mma: Mma,
    /// The type of C; that of D is `mma.acc`.
    pub c_acc: Acc,
    /// Of f64.
    pub round: Round,
}

/// `wmma.load` and `wmma.store`.
#[derive(Clone, Debug)]
pub struct WmmaMove {
    pub load: bool,
    /// Rows of A, C and D, columns of B.
    pub rows: u32,
    /// Elements of one: K or N.
    pub line: u32,
    pub bits: u32,
    /// What is contiguous in memory runs across them.
    pub across: bool,
    pub regs: Vec<u32>,
    pub space: Space,
    pub addr: Addr,
    /// Elements between lines in memory; `None` where they touch.
    pub stride: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    Load,
    Store,
    Reduce(AtomOp),
    Prefetch,
}

/// How a tensor copy walks through the tensor (PTX ISA 5.5.3, 5.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Tile,
    Im2col,
    /// Stores: im2col without offsets.
    Im2colNoOffsets,
}

#[derive(Clone, Debug)]
pub struct Tensor {
    pub kind: TensorKind,
    pub mode: Mode,
    pub map: Addr,
    pub coordinates: Vec<u32>,
    /// im2col offsets of W, H and D, 16 bits each.
    pub offsets: Vec<u32>,
    pub shared: Addr,
    pub barrier: Option<Addr>,
    pub multicast: Option<u32>,
}

/// `st.async` and `red.async`: a write into shared memory of the cluster that completes on an mbarrier.
#[derive(Clone, Debug)]
pub struct AsyncStore {
    pub space: Space,
    pub addr: Addr,
    pub barrier: Addr,
    pub src: Vec<Slot>,
    /// Bytes of an element.
    pub size: u32,
    pub reduce: Option<(AtomOp, Scalar)>,
}

/// One decoded operation.
#[derive(Clone)]
pub enum Op {
    Nop,
    /// A row of the arithmetic table: d, then a, b, c, e as the row's kind wants.
    Exec {
        f: Exec,
        d: u32,
        s: [u32; 4],
    },
    /// Any float instruction of [`crate::isa::general`].
    Float {
        f: crate::isa::general::Float,
        d: Slot,
        s: [Slot; 3],
    },
    /// A video instruction.
    Video {
        f: Box<super::video::Video>,
        d: u32,
        s: [u32; 3],
    },
    /// `setp` with both results and the combining predicate (slot, negated). The second result is that of `high`, or the
    /// first one negated.
    Setp {
        f: Exec,
        d: u32,
        q: Option<u32>,
        a: u32,
        b: u32,
        high: Option<(u32, u32)>,
        combine: Option<(Combine, u32, bool)>,
    },
    /// `selp`, and the last step of `set` and `slct`.
    Select {
        wide: bool,
        d: u32,
        a: u32,
        b: u32,
        p: u32,
    },
    Mov32 {
        d: u32,
        a: u32,
    },
    Mov64 {
        d: u32,
        a: u32,
    },
    /// Low part first; `bits` each.
    Pack {
        d: Slot,
        parts: Vec<Slot>,
        bits: u32,
    },
    Unpack {
        parts: Vec<Slot>,
        a: Slot,
        bits: u32,
    },
    /// `add.cc` and its kin: wide operands or not, `sub`, reads and writes the carry.
    Carry {
        wide: bool,
        sub: bool,
        input: bool,
        output: bool,
        d: u32,
        a: u32,
        b: u32,
    },
    /// `register` is the width of the destination.
    Convert {
        f: super::convert::Conversion,
        register: u32,
        d: Slot,
        s: [Slot; 3],
    },
    /// The counter, moved down by `shift` bits.
    Clock {
        shift: u32,
        d: Slot,
    },
    /// Adds a window's base to an address, or takes it away (`to`).
    Cvta {
        d: u32,
        a: u32,
        space: Space,
        to: bool,
    },
    Isspacep {
        p: u32,
        a: Slot,
        space: Space,
    },
    Mapa {
        d: Slot,
        a: Slot,
        rank: u32,
        generic: bool,
    },
    Getctarank {
        d: u32,
        a: Slot,
        generic: bool,
    },
    Ld {
        space: Space,
        addr: Addr,
        size: u8,
        signed: bool,
        dst: Vec<Slot>,
        order: Order,
        used: u32,
    },
    St {
        space: Space,
        addr: Addr,
        size: u8,
        src: Vec<Slot>,
        order: Order,
    },
    Atom {
        op: AtomOp,
        ty: Scalar,
        space: Space,
        addr: Addr,
        dst: Vec<Slot>,
        b: Vec<Slot>,
        c: Slot,
        order: Order,
    },
    Atom128(super::wide::Atom128),
    Prefetch,
    /// The bytes of a line lose their values.
    Discard {
        space: Space,
        addr: Addr,
    },
    Shuffle {
        mode: ShuffleMode,
        d: u32,
        p: Option<u32>,
        a: u32,
        b: u32,
        c: u32,
        members: u32,
    },
    Vote {
        mode: VoteMode,
        d: Slot,
        p: u32,
        negated: bool,
        members: u32,
    },
    Match {
        all: bool,
        d: u32,
        p: Option<u32>,
        a: Slot,
        members: u32,
    },
    Redux {
        op: AtomOp,
        signed: bool,
        d: u32,
        a: u32,
        members: u32,
    },
    Elect {
        d: Slot,
        p: u32,
        members: u32,
    },
    Activemask {
        d: u32,
    },
    Bra {
        target: u32,
    },
    Brx {
        targets: Vec<u32>,
        index: u32,
    },
    Exit,
    Trap,
    /// An indirect call to an address that none of its functions has; those that run already, by address.
    NoFunction {
        address: u32,
        running: Box<[(u64, String)]>,
    },
    /// `bar.sync`/`bar.arrive`: barrier and thread count by slot.
    Bar {
        id: u32,
        count: Option<u32>,
        arrive: bool,
        aligned: bool,
        reduce: Option<Reduce>,
    },
    BarWarp {
        members: u32,
    },
    ClusterArrive {
        relaxed: bool,
    },
    ClusterWait,
    Fence(FenceKind),
    /// `fence.proxy.tensormap::generic.acquire` of the map at an address.
    MapAcquire {
        addr: Addr,
    },
    MbarInit {
        space: Space,
        addr: Addr,
        count: u32,
    },
    MbarInval {
        space: Space,
        addr: Addr,
    },
    MbarArrive {
        space: Space,
        addr: Addr,
        state: Slot,
        count: Option<u32>,
        expect: Option<u32>,
        drop: bool,
        complete: bool,
    },
    /// `expect_tx` or `complete_tx` alone.
    MbarTx {
        space: Space,
        addr: Addr,
        bytes: u32,
        complete: bool,
    },
    MbarWait {
        space: Space,
        addr: Addr,
        p: u32,
        token: Slot,
        parity: bool,
        blocking: bool,
    },
    CpAsync {
        dst: Addr,
        src: Addr,
        size: u32,
        bytes: Option<Slot>,
    },
    CpAsyncCommit,
    CpAsyncWait {
        pending: Option<u32>,
    },
    CpAsyncArrive {
        space: Space,
        addr: Addr,
        noinc: bool,
    },
    BulkLoad {
        dst: Addr,
        src: Addr,
        size: u32,
        barrier: Addr,
        multicast: Option<u32>,
        from_shared: bool,
        /// From shared memory only.
        reduce: Option<(AtomOp, Scalar)>,
    },
    BulkPrefetch {
        src: Addr,
        size: u32,
    },
    AsyncStore(Box<AsyncStore>),
    BulkStore {
        dst: Addr,
        src: Addr,
        size: u32,
        reduce: Option<(AtomOp, Scalar)>,
    },
    BulkCommit,
    BulkWait {
        pending: u32,
        read: bool,
    },
    Tensor(Box<Tensor>),
    TensormapReplace {
        space: Space,
        addr: Addr,
        field: &'static str,
        index: Option<i64>,
        value: Slot,
    },
    TensormapCopy {
        dst: Addr,
        src: Addr,
    },
    Ldmatrix {
        dst: Vec<u32>,
        trans: bool,
        space: Space,
        addr: Addr,
    },
    Stmatrix {
        src: Vec<u32>,
        trans: bool,
        space: Space,
        addr: Addr,
    },
    Mma(Box<Mma>),
    Quads(Box<super::quads::Quads>),
    Wmma(Box<Wmma>),
    WmmaMove(Box<WmmaMove>),
    Wgmma(Box<Wgmma>),
    WgmmaFence,
    WgmmaCommit,
    WgmmaWait {
        pending: u32,
    },
    SetMaxNreg {
        count: u32,
        increase: bool,
    },
    Printf {
        format: Addr,
        arguments: Addr,
        d: Option<Addr>,
    },
    AssertFail {
        message: Addr,
        file: Addr,
        line: Addr,
    },
}

/// An operation with its guard and its line.
#[derive(Clone)]
pub struct Inst {
    pub op: Op,
    /// Predicate slot, and whether lanes run where it is false.
    pub guard: Option<(u32, bool)>,
    /// Line of the PTX text.
    pub line: u32,
}

/// A kernel ready to run.
pub struct Program {
    pub name: String,
    pub code: Vec<Inst>,
    pub flow: super::flow::Flow,
    /// Registers per file.
    pub files: [u32; 3],
    pub const32: Vec<(u32, u32)>,
    pub const64: Vec<(u32, u64)>,
    pub const_p: Vec<(u32, u32)>,
    pub specials: Vec<(Slot, Special)>,
    /// Bytes of local memory a thread.
    pub local: u64,
    pub static_shared: u64,
    /// Name, offset and bytes of shared variables.
    pub shared_names: Vec<(String, u64, u64)>,
    /// Offset and bytes of each parameter.
    pub params: Vec<(String, u64, u64)>,
    pub param_bytes: u64,
    pub bounds: Bounds,
    /// PTX line to the line table's location.
    pub locations: BTreeMap<u32, Location>,
    pub files_named: BTreeMap<u32, String>,
    /// The most registers that a `setmaxnreg.inc` asks for, 255 if none does; `None` without `setmaxnreg`.
    pub setmaxnreg: Option<u32>,
}
