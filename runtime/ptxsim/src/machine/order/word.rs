//! The last accesses of a word of memory, and whether a new one is ordered after them.
//!
//! Central types: [`Word`] and [`Actor`], who accesses with what knowledge. Knows no instruction.
//!
//! A word is four bytes; it keeps two writes and two reads, each with a mask of bytes. Older ones are forgotten, so a race with one of
//! them is not found; what is found is one.

use super::clocks::Clocks;

/// Lanes of one access, where it is not a single one.
pub const MANY: u8 = 0xff;
/// An access that its whole warp waits for.
pub const WHOLE: u8 = 0xfe;

const MASK: u8 = 0xf;
const ASYNC: u8 = 1 << 4;
const STRONG: u8 = 1 << 5;

/// One access to a word; time 0 is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epoch {
    pub time: u32,
    pub line: u32,
    pub cluster: u32,
    pub agent: u16,
    /// Lane of the warp, [`MANY`] or [`WHOLE`].
    pub lane: u8,
    /// Bytes of the word, and how they are accessed.
    flags: u8,
}

impl Epoch {
    pub fn asynchronous(&self) -> bool {
        self.flags & ASYNC != 0
    }

    pub fn strong(&self) -> bool {
        self.flags & STRONG != 0
    }

    /// The same access to other bytes, by another lane.
    pub fn of(self, lane: u8, mask: u8) -> Epoch {
        Epoch { lane, flags: self.flags & !MASK | mask & MASK, ..self }
    }

    fn touches(&self, mask: u8) -> bool {
        self.flags & mask & MASK != 0
    }

    fn forget(&mut self, mask: u8) {
        self.flags &= !(mask & MASK);
        if self.flags & MASK == 0 {
            *self = Epoch::default();
        }
    }
}

/// The last accesses of four bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Word {
    writes: [Epoch; 2],
    reads: [Epoch; 2],
}

/// The thread that an access comes from: lanes of one warp know each other only up to a time.
#[derive(Clone, Copy, Debug)]
pub struct Issuer {
    pub agent: u16,
    /// A lane, or [`WHOLE`] for an operation of the whole warp.
    pub lane: u8,
    /// Time of the warp up to which the lane knows the other lanes.
    pub seen: u32,
}

/// Who accesses, with what knowledge.
#[derive(Clone, Copy)]
pub struct Actor<'a> {
    pub agent: u16,
    pub time: u32,
    pub cluster: u32,
    pub issuer: Issuer,
    pub clocks: &'a Clocks,
    pub write: bool,
    pub asynchronous: bool,
    /// Volatile, relaxed or atomic.
    pub strong: bool,
    pub line: u32,
}

/// What is wrong between an earlier access and this one.
#[derive(Clone, Copy, Debug)]
pub enum Problem {
    /// Not ordered; whether the earlier one is a write.
    Race(Epoch, bool),
    /// Ordered, and no proxy fence between a generic write and this access of the async proxy.
    Proxy(Epoch),
    /// Ordered, and no proxy fence between a generic read and this write of the async proxy.
    ProxyRead(Epoch),
}

impl Actor<'_> {
    /// Whether an earlier access happened before this one.
    #[inline]
    pub fn knows(&self, e: &Epoch) -> bool {
        if e.cluster != self.cluster || e.agent != self.issuer.agent {
            return self.clocks.time_of(self.cluster, e.cluster, e.agent, e.lane) >= e.time;
        }
        let same = e.lane == self.issuer.lane && e.lane != MANY;
        let own = same || e.lane == WHOLE || self.issuer.lane == WHOLE;
        e.time <= if own { self.clocks.time(e.agent) } else { self.issuer.seen.max(self.clocks.lane(e.lane)) }
    }

    pub fn fenced(&self, e: &Epoch) -> bool {
        e.asynchronous() || self.clocks.fenced(self.cluster, e.cluster, e.agent) >= e.time
    }

    fn races(&self, e: &Epoch, mask: u8) -> bool {
        e.touches(mask) && !(self.strong && e.flags & STRONG != 0) && !self.knows(e)
    }

    pub fn epoch(&self, mask: u8) -> Epoch {
        let how = if self.asynchronous { ASYNC } else { 0 } | if self.strong { STRONG } else { 0 };
        let lane = if self.agent == self.issuer.agent { self.issuer.lane } else { WHOLE };
        Epoch {
            time: self.time,
            line: self.line,
            cluster: self.cluster,
            agent: self.agent,
            lane,
            flags: mask & MASK | how,
        }
    }
}

impl Word {
    /// Records an access to the bytes of `mask`; what is wrong with it.
    pub fn access(&mut self, actor: &Actor, mask: u8) -> Option<Problem> {
        let mut problem = None;
        for w in &self.writes {
            if actor.races(w, mask) {
                problem = problem.or(Some(Problem::Race(*w, true)));
            } else if actor.asynchronous && w.touches(mask) && !actor.fenced(w) {
                problem = problem.or(Some(Problem::Proxy(*w)));
            }
        }
        if actor.write {
            for r in &self.reads {
                if actor.races(r, mask) {
                    problem = problem.or(Some(Problem::Race(*r, false)));
                } else if actor.asynchronous && r.touches(mask) && !actor.fenced(r) {
                    problem = problem.or(Some(Problem::ProxyRead(*r)));
                }
            }
            self.record(actor.epoch(mask), true);
        } else {
            self.read(actor, mask);
        }
        problem
    }

    /// Records an access that has been checked.
    pub fn record(&mut self, epoch: Epoch, write: bool) {
        if write {
            let mask = epoch.flags & MASK;
            self.writes.iter_mut().chain(&mut self.reads).for_each(|e| e.forget(mask));
            let slot = self.writes.iter().position(|w| w.time == 0).unwrap_or(0);
            self.writes[slot] = epoch;
        } else {
            let slot = self.reads.iter().position(|r| r.time == 0).unwrap_or(1);
            self.reads[slot] = epoch;
        }
    }

    fn read(&mut self, actor: &Actor, mask: u8) {
        let mut new = actor.epoch(mask);
        let same = |r: &Epoch| {
            r.time != 0
                && r.agent == new.agent
                && r.cluster == new.cluster
                && (r.time == new.time && r.lane == new.lane || r.flags & MASK == new.flags & MASK)
        };
        if let Some(old) = self.reads.iter().position(same) {
            let old = &mut self.reads[old];
            if old.lane != new.lane && !actor.knows(old) {
                new.lane = MANY;
            }
            new.flags = (new.flags | old.flags & MASK) & (old.flags | !STRONG);
            *old = new;
            return;
        }
        let slot = self.reads.iter().position(|r| r.time == 0 || actor.knows(r)).unwrap_or(1);
        self.reads[slot] = new;
    }
}
