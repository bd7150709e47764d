//! Decoders of the instructions that touch memory, other threads or asynchronous units (PTX ISA 9.7.9 to 9.7.15).
//!
//! Each takes its modifiers one by one and refuses what is left.

use super::decode::Decoder;
use super::op::*;
use crate::syntax::{Instruction, Operand, Space};

type Result<T> = std::result::Result<T, String>;

/// Modifiers in order, eaten from the front.
pub(super) struct Mods<'a>(pub(super) &'a [&'a str]);

impl<'a> Mods<'a> {
    pub(super) fn eat(&mut self, name: &str) -> bool {
        let found = self.0.first() == Some(&name);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(n, _)| self.0.first() == Some(n))?;
        self.0 = &self.0[1..];
        Some(found.1)
    }

    pub(super) fn need<T: Copy>(&mut self, choices: &[(&str, T)]) -> Result<T> {
        self.one_of(choices).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|c| c.0).collect();
            format!("one of .{} is expected", names.join(" ."))
        })
    }

    pub(super) fn done(&self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(m) => Err(format!("`.{m}` is not known or not supported here")),
        }
    }

    pub(super) fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }
}

pub(super) const SPACES: &[(&str, Space)] = &[
    ("global", Space::Global),
    ("shared", Space::Shared),
    ("shared::cta", Space::Shared),
    ("shared::cluster", Space::Shared),
    ("local", Space::Local),
    ("const", Space::Const),
    ("param", Space::Param),
    ("param::entry", Space::Param),
    ("param::func", Space::Param),
];
pub(super) const SHARED: &[(&str, Space)] =
    &[("shared", Space::Shared), ("shared::cta", Space::Shared), ("shared::cluster", Space::Shared)];

pub(super) fn order(m: &mut Mods) -> Order {
    let strong = Order { strong: true, ..Order::default() };
    let choices = [
        ("weak", Order::default()),
        ("volatile", strong),
        ("mmio", strong),
        ("relaxed", strong),
        ("acquire", Order { acquire: true, ..strong }),
        ("release", Order { release: true, ..strong }),
        ("acq_rel", Order { acquire: true, release: true, ..strong }),
    ];
    let order = m.one_of(&choices).unwrap_or_default();
    Order { wide: scope(m), ..order }
}

/// Whether the scope is cluster or wider, as it is where none is named.
pub(super) fn scope(m: &mut Mods) -> bool {
    m.one_of(&[("cta", false), ("cluster", true), ("gpu", true), ("sys", true)]).unwrap_or(true)
}

pub(super) fn cache(m: &mut Mods) {
    loop {
        let Some(first) = m.0.first() else { return };
        let known = first.starts_with("L1::")
            || first.starts_with("L2::")
            || matches!(*first, "ca" | "cg" | "cs" | "lu" | "cv" | "wb" | "wt");
        if !known {
            return;
        }
        m.0 = &m.0[1..];
    }
}

pub(super) fn data_type(name: &str) -> Option<(u8, bool)> {
    Some(match name {
        "b8" | "u8" => (1, false),
        "s8" => (1, true),
        "b16" | "u16" | "f16" | "bf16" => (2, false),
        "s16" => (2, true),
        "b32" | "u32" | "f32" => (4, false),
        "s32" => (4, true),
        "b64" | "u64" | "s64" | "f64" => (8, false),
        _ => return None,
    })
}

pub(super) fn numbers(text: &str) -> Option<[u32; 3]> {
    // m64n128k16
    let rest = text.strip_prefix('m')?;
    let (m, rest) = rest.split_once('n')?;
    let (n, k) = rest.split_once('k')?;
    Some([m.parse().ok()?, n.parse().ok()?, k.parse().ok()?])
}

pub(super) fn acc(name: &str) -> Option<Acc> {
    Some(match name {
        "f64" => Acc::F64,
        "f32" => Acc::F32,
        "f16" => Acc::F16,
        "s32" => Acc::S32,
        _ => return None,
    })
}

pub(super) const ATOM_OPS: &[(&str, AtomOp)] = &[
    ("add", AtomOp::Add),
    ("min", AtomOp::Min),
    ("max", AtomOp::Max),
    ("and", AtomOp::And),
    ("or", AtomOp::Or),
    ("xor", AtomOp::Xor),
    ("exch", AtomOp::Exch),
    ("cas", AtomOp::Cas),
    ("inc", AtomOp::Inc),
    ("dec", AtomOp::Dec),
];
pub(super) const SCALARS: &[(&str, Scalar)] = &[
    ("u32", Scalar::U32),
    ("b32", Scalar::U32),
    ("s32", Scalar::S32),
    ("u64", Scalar::U64),
    ("b64", Scalar::U64),
    ("s64", Scalar::S64),
    ("f32", Scalar::F32),
    ("f64", Scalar::F64),
    ("b16", Scalar::B16),
    ("f16", Scalar::F16),
    ("bf16", Scalar::Bf16),
    ("f16x2", Scalar::F16x2),
    ("bf16x2", Scalar::Bf16x2),
];

pub(super) fn int(o: &Operand) -> Result<u32> {
    match o {
        Operand::Int(v) => u32::try_from(*v).map_err(|_| format!("{v} is out of range")),
        _ => Err("a constant is expected".into()),
    }
}

pub(super) fn vector(o: &Operand) -> Vec<Operand> {
    match o {
        Operand::Vector(items) => items.clone(),
        other => vec![other.clone()],
    }
}

/// The space an address is in: the modifier's, or the named variable's where the instruction says none.
pub(super) fn settle(said: Option<Space>, named: Option<Space>) -> Space {
    match (said, named) {
        // Parameters of device functions and call frames live in local memory.
        (Some(Space::Param), Some(s)) => s,
        (Some(s), _) => s,
        (None, Some(s)) => s,
        (None, None) => Space::Generic,
    }
}

impl Decoder<'_> {
    pub(super) fn regs(&mut self, o: &Operand) -> Result<Vec<u32>> {
        vector(o).iter().map(|x| self.r(x)).collect()
    }

    pub(super) fn dst_regs(&mut self, o: &Operand) -> Result<Vec<u32>> {
        vector(o).iter().map(|x| self.dst_r(x)).collect()
    }

    pub(super) fn family(&mut self, i: &Instruction, parts: &[&str]) -> Result<Op> {
        let m = Mods(&parts[1..]);
        match parts[0] {
            "ld" | "ldu" => self.load(i, m),
            "st" if m.0.first() == Some(&"async") => self.async_store(i, Mods(&m.0[1..])),
            "red" if m.0.first() == Some(&"async") => self.async_reduce(i, Mods(&m.0[1..])),
            "st" => self.store(i, m),
            "atom" | "red" => self.atomic(i, m, parts[0] == "red"),
            "cvta" => self.cvta(i, m),
            "isspacep" => self.isspacep(i, m),
            "mapa" => self.mapa(i, m),
            "getctarank" => self.getctarank(i, m),
            "shfl" | "vote" | "match" | "redux" | "elect" | "activemask" => self.warp_wide(i, parts[0], m),
            "bar" | "barrier" => self.barrier(i, m),
            "fence" if m.0.starts_with(&["proxy", "tensormap::generic", "acquire"]) => self.map_acquire(i, m),
            "membar" | "fence" => fence(parts[0], m),
            "mbarrier" => self.mbarrier(i, m),
            "cp" => self.copy(i, m),
            "ldmatrix" | "stmatrix" => self.matrix_move(i, parts[0], m),
            "mma" => self.mma(i, m),
            "wmma" => self.wmma(i, m),
            "wgmma" => self.wgmma(i, m),
            "setmaxnreg" => self.setmaxnreg(i, m),
            "tensormap" => self.tensormap(i, m),
            "multimem" => Err("`multimem` works on multicast memory of several devices, which is not simulated".into()),
            _ => Err("there is no such instruction for sm_90a, or it is not supported".into()),
        }
    }

    pub(super) fn operands<'i>(&self, i: &'i Instruction, least: usize, most: usize) -> Result<&'i [Operand]> {
        let n = i.operands.len();
        if (least..=most).contains(&n) {
            Ok(&i.operands)
        } else {
            Err(format!("{least} operands are expected, not {n}"))
        }
    }

    pub(super) fn load(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let order = order(&mut m);
        let said = m.one_of(SPACES);
        m.eat("nc");
        cache(&mut m);
        let n = m.one_of(&[("v2", 2), ("v4", 4)]).unwrap_or(1);
        let ty = m.next().unwrap_or("");
        let wide = ty == "b128" && n == 1;
        let (size, signed) =
            if wide { (8, false) } else { data_type(ty).ok_or_else(|| format!("`.{ty}` is not a type of `ld`"))? };
        m.done()?;
        let o = self.operands(i, 2, 3)?;
        let n = if wide { 2 } else { n };
        let dst = if wide {
            self.halves(&o[0])?
        } else {
            vector(&o[0]).iter().map(|x| Ok(self.any(x)?.0)).collect::<Result<Vec<_>>>()?
        };
        if dst.len() != n {
            return Err(format!("{n} destinations are expected"));
        }
        let (addr, named) = self.addr(&o[1])?;
        let used = self.used_bytes(u32::from(size) * n as u32);
        Ok(Op::Ld { space: settle(said, named), addr, size, signed, dst, order, used })
    }

    pub(super) fn store(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let order = order(&mut m);
        let said = m.one_of(SPACES);
        cache(&mut m);
        let n = m.one_of(&[("v2", 2), ("v4", 4)]).unwrap_or(1);
        let ty = m.next().unwrap_or("");
        let wide = ty == "b128" && n == 1;
        let (size, _) =
            if wide { (8, false) } else { data_type(ty).ok_or_else(|| format!("`.{ty}` is not a type of `st`"))? };
        m.done()?;
        let o = self.operands(i, 2, 3)?;
        let n = if wide { 2 } else { n };
        let src = if wide {
            self.halves(&o[1])?
        } else {
            vector(&o[1]).iter().map(|x| self.source(x, u32::from(size) * 8)).collect::<Result<Vec<_>>>()?
        };
        if src.len() != n {
            return Err(format!("{n} sources are expected"));
        }
        let (addr, named) = self.addr(&o[0])?;
        Ok(Op::St { space: settle(said, named), addr, size, src, order })
    }

    pub(super) fn cvta(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let to = m.eat("to");
        let space = m.need(SPACES)?;
        m.need(&[("u64", ())])?;
        m.done()?;
        let o = self.operands(i, 2, 2)?;
        Ok(Op::Cvta { d: self.dst_d(&o[0])?, a: self.d(&o[1])?, space, to })
    }

    pub(super) fn isspacep(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let space = m.need(SPACES)?;
        m.done()?;
        let o = self.operands(i, 2, 2)?;
        Ok(Op::Isspacep { p: self.dst_p(&o[0])?, a: self.any(&o[1])?.0, space })
    }

    pub(super) fn mapa(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let shared = m.one_of(SHARED).is_some();
        let bits = m.need(&[("u32", 32), ("u64", 64)])?;
        m.done()?;
        let o = self.operands(i, 3, 3)?;
        let a = match &o[1] {
            Operand::Sum(..) if bits == 64 => Slot::D(self.d(&o[1])?),
            other => self.source(other, bits)?,
        };
        Ok(Op::Mapa { d: self.any(&o[0])?.0, a, rank: self.r(&o[2])?, generic: !shared })
    }

    fn getctarank(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let shared = m.one_of(&[("shared::cluster", ())]).is_some();
        let bits = m.need(&[("u32", 32), ("u64", 64)])?;
        m.done()?;
        let o = self.operands(i, 2, 2)?;
        Ok(Op::Getctarank { d: self.dst_r(&o[0])?, a: self.source(&o[1], bits)?, generic: !shared })
    }

    pub(super) fn warp_wide(&mut self, i: &Instruction, name: &str, mut m: Mods) -> Result<Op> {
        if name == "activemask" {
            m.need(&[("b32", ())])?;
            m.done()?;
            return Ok(Op::Activemask { d: self.dst_r(&self.operands(i, 1, 1)?[0])? });
        }
        let all = if name == "match" { m.need(&[("all", true), ("any", false)])? } else { false };
        if !m.eat("sync") {
            return Err("only the `.sync` form exists on sm_90a".into());
        }
        let pair = |d: &mut Self, o: &Operand| -> Result<(u32, Option<u32>)> {
            match o {
                Operand::Pair(r, p) => Ok((d.dst_r(r)?, Some(d.dst_p(p)?))),
                single => Ok((d.dst_r(single)?, None)),
            }
        };
        match name {
            "shfl" => {
                use ShuffleMode::*;
                let mode = m.need(&[("up", Up), ("down", Down), ("bfly", Bfly), ("idx", Idx)])?;
                m.need(&[("b32", ())])?;
                m.done()?;
                let o = self.operands(i, 5, 5)?;
                let (d, p) = pair(self, &o[0])?;
                Ok(Op::Shuffle {
                    mode,
                    d,
                    p,
                    a: self.r(&o[1])?,
                    b: self.r(&o[2])?,
                    c: self.r(&o[3])?,
                    members: self.r(&o[4])?,
                })
            }
            "vote" => {
                let choices = [
                    ("all", VoteMode::All),
                    ("any", VoteMode::Any),
                    ("uni", VoteMode::Uni),
                    ("ballot", VoteMode::Ballot),
                ];
                let mode = m.need(&choices)?;
                m.need(&[("pred", ()), ("b32", ())])?;
                m.done()?;
                let o = self.operands(i, 3, 3)?;
                let (p, negated) = self.p(&o[1])?;
                let d =
                    if mode == VoteMode::Ballot { Slot::R(self.dst_r(&o[0])?) } else { Slot::P(self.dst_p(&o[0])?) };
                Ok(Op::Vote { mode, d, p, negated, members: self.r(&o[2])? })
            }
            "match" => {
                let bits = m.need(&[("b32", 32), ("b64", 64)])?;
                m.done()?;
                let o = self.operands(i, 3, 3)?;
                let (d, p) = pair(self, &o[0])?;
                Ok(Op::Match { all, d, p, a: self.source(&o[1], bits)?, members: self.r(&o[2])? })
            }
            "redux" => {
                let op = m.need(&ATOM_OPS[..6])?;
                let signed = m.need(&[("u32", false), ("s32", true), ("b32", false)])?;
                m.done()?;
                let o = self.operands(i, 3, 3)?;
                Ok(Op::Redux { op, signed, d: self.dst_r(&o[0])?, a: self.r(&o[1])?, members: self.r(&o[2])? })
            }
            _ => {
                m.done()?;
                let o = self.operands(i, 2, 2)?;
                let Operand::Pair(d, p) = &o[0] else { return Err("`d|p` is expected".into()) };
                Ok(Op::Elect { d: self.any(d)?.0, p: self.dst_p(p)?, members: self.r(&o[1])? })
            }
        }
    }

    pub(super) fn barrier(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        if m.eat("cluster") {
            let arrive = m.need(&[("arrive", true), ("wait", false)])?;
            let relaxed = m.one_of(&[("release", false), ("relaxed", true), ("acquire", false)]).unwrap_or(false);
            m.eat("aligned");
            m.done()?;
            return Ok(if arrive { Op::ClusterArrive { relaxed } } else { Op::ClusterWait });
        }
        if m.eat("warp") {
            m.need(&[("sync", ())])?;
            m.done()?;
            return Ok(Op::BarWarp { members: self.r(&self.operands(i, 1, 1)?[0])? });
        }
        m.eat("cta");
        let what = m.need(&[("sync", 0), ("arrive", 1), ("red", 2)])?;
        let aligned = i.opcode.starts_with("bar.") | m.eat("aligned");
        if what == 2 {
            let mode = m.need(&[("popc", VoteMode::Ballot), ("and", VoteMode::All), ("or", VoteMode::Any)])?;
            let aligned = aligned | m.eat("aligned");
            m.need(&[(if mode == VoteMode::Ballot { "u32" } else { "pred" }, ())])?;
            m.done()?;
            let o = self.operands(i, 3, 4)?;
            let (p, negated) = self.p(&o[o.len() - 1])?;
            let d = if mode == VoteMode::Ballot { Slot::R(self.dst_r(&o[0])?) } else { Slot::P(self.dst_p(&o[0])?) };
            let count = if o.len() == 4 { Some(self.r(&o[2])?) } else { None };
            return Ok(Op::Bar {
                id: self.r(&o[1])?,
                count,
                arrive: false,
                aligned,
                reduce: Some(Reduce { mode, d, p, negated }),
            });
        }
        m.done()?;
        let o = self.operands(i, 1 + what, 2)?;
        let count = o.get(1).map(|c| self.r(c)).transpose()?;
        Ok(Op::Bar { id: self.r(&o[0])?, count, arrive: what == 1, aligned, reduce: None })
    }

    pub(super) fn mbarrier(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let what = m.next().unwrap_or("");
        let mut expect = false;
        let mut drop = false;
        let mut complete = true;
        let mut parity = false;
        match what {
            "arrive" | "arrive_drop" => {
                drop = what == "arrive_drop";
                expect = m.eat("expect_tx");
                complete = !m.eat("noComplete");
            }
            "test_wait" | "try_wait" => parity = m.eat("parity"),
            "init" | "inval" | "expect_tx" | "complete_tx" => {}
            _ => return Err("this mbarrier operation is not supported".into()),
        }
        let _ = order(&mut m);
        let said = m.one_of(SHARED);
        m.need(&[("b64", ())])?;
        m.done()?;
        let o = &i.operands;
        let get = |n: usize| o.get(n).ok_or_else(|| "an operand is missing".to_string());
        let place = |d: &mut Self, n: usize| -> Result<(Space, Addr)> {
            let (addr, named) = d.addr(get(n)?)?;
            Ok((settle(said, named), addr))
        };
        match what {
            "init" => {
                let (space, addr) = place(self, 0)?;
                Ok(Op::MbarInit { space, addr, count: self.r(get(1)?)? })
            }
            "inval" => {
                let (space, addr) = place(self, 0)?;
                Ok(Op::MbarInval { space, addr })
            }
            "expect_tx" | "complete_tx" => {
                let (space, addr) = place(self, 0)?;
                Ok(Op::MbarTx { space, addr, bytes: self.r(get(1)?)?, complete: what == "complete_tx" })
            }
            "arrive" | "arrive_drop" => {
                let first = usize::from(!matches!(get(0)?, Operand::Address { .. }));
                let state = if first == 1 { self.any(get(0)?)?.0 } else { Slot::Sink };
                let (space, addr) = place(self, first)?;
                let value = o.get(first + 1).map(|x| self.r(x)).transpose()?;
                let (count, bytes) = if expect { (None, value) } else { (value, None) };
                if expect && bytes.is_none() {
                    return Err("a byte count is expected".into());
                }
                Ok(Op::MbarArrive { space, addr, state, count, expect: bytes, drop, complete })
            }
            _ => {
                let p = self.dst_p(get(0)?)?;
                let (space, addr) = place(self, 1)?;
                let token = if parity { Slot::R(self.r(get(2)?)?) } else { Slot::D(self.d(get(2)?)?) };
                Ok(Op::MbarWait { space, addr, p, token, parity, blocking: what == "try_wait" })
            }
        }
    }

    pub(super) fn copy(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        let reduce = m.eat("reduce");
        if !m.eat("async") {
            return Err("there is no such instruction for sm_90a, or it is not supported".into());
        }
        if m.eat("bulk") {
            return self.bulk(i, m, reduce);
        }
        if m.eat("commit_group") {
            m.done()?;
            return Ok(Op::CpAsyncCommit);
        }
        if m.eat("wait_all") {
            m.done()?;
            return Ok(Op::CpAsyncWait { pending: None });
        }
        if m.eat("wait_group") {
            m.done()?;
            return Ok(Op::CpAsyncWait { pending: Some(int(&self.operands(i, 1, 1)?[0])?) });
        }
        if m.eat("mbarrier") {
            m.need(&[("arrive", ())])?;
            let noinc = m.eat("noinc");
            let said = m.one_of(SHARED);
            m.need(&[("b64", ())])?;
            m.done()?;
            let (addr, named) = self.addr(&self.operands(i, 1, 1)?[0])?;
            return Ok(Op::CpAsyncArrive { space: settle(said, named), addr, noinc });
        }
        m.need(&[("ca", ()), ("cg", ())])?;
        m.need(SHARED)?;
        m.need(&[("global", ())])?;
        cache(&mut m);
        m.done()?;
        let o = self.operands(i, 3, 5)?;
        let (dst, src) = (self.addr(&o[0])?.0, self.addr(&o[1])?.0);
        let size = int(&o[2])?;
        if !matches!(size, 4 | 8 | 16) {
            return Err(format!("{size} bytes; 4, 8 or 16 are possible"));
        }
        let bytes = match o.get(3) {
            None => None,
            Some(x) => Some(match self.any(x) {
                Ok((p @ Slot::P(_), _)) => p,
                _ => self.source(x, 32)?,
            }),
        };
        Ok(Op::CpAsync { dst, src, size, bytes })
    }
}

impl Decoder<'_> {
    fn map_acquire(&mut self, i: &Instruction, mut m: Mods) -> Result<Op> {
        for part in ["proxy", "tensormap::generic", "acquire"] {
            m.need(&[(part, ())])?;
        }
        scope(&mut m);
        m.done()?;
        let o = self.operands(i, 2, 2)?;
        if !matches!(o[1], Operand::Int(128)) {
            return Err("the size of a tensor map, 128, is expected".into());
        }
        Ok(Op::MapAcquire { addr: self.addr(&o[0])?.0 })
    }
}

pub(super) fn fence(name: &str, mut m: Mods) -> Result<Op> {
    if name == "membar" {
        let wide = m.need(&[("gl", true), ("cta", false), ("sys", true)])?;
        m.done()?;
        return Ok(Op::Fence(FenceKind::Memory { wide }));
    }
    if m.eat("mbarrier_init") {
        return Ok(Op::Fence(FenceKind::MbarrierInit));
    }
    if m.eat("proxy") {
        let kind = match m.next().unwrap_or("") {
            "async" | "async.global" => {
                let _ = m.one_of(SPACES);
                FenceKind::Async
            }
            "tensormap::generic" => {
                m.need(&[("release", ())])?;
                scope(&mut m);
                FenceKind::MapRelease
            }
            "alias" => FenceKind::OtherProxy,
            other => return Err(format!("the proxy `{other}` is not known")),
        };
        m.done()?;
        return Ok(Op::Fence(kind));
    }
    let _ = m.one_of(&[("sc", ()), ("acq_rel", ()), ("acquire", ()), ("release", ())]);
    let _ = m.one_of(&[("sync_restrict::shared::cta", ()), ("sync_restrict::shared::cluster", ())]);
    let wide = scope(&mut m);
    m.done()?;
    Ok(Op::Fence(FenceKind::Memory { wide }))
}
