//! The last accesses of a buffer.
//!
//! Central type: [`Shadow`]. Warps mostly touch consecutive bytes, so a page of memory keeps whole accesses as [`Span`]s as long as each
//! new one is plainly ordered after those it meets; otherwise it keeps every word by itself ([`Word`]), which decides precisely. Knows no
//! instruction.

use super::word::{Actor, Epoch, Issuer, MANY, Problem, WHOLE, Word};

/// Bytes of a page.
const PAGE: u64 = 1024;
/// Accesses that a page keeps before it forgets reads.
const KEPT: usize = 16;

/// Consecutive bytes, accessed by consecutive lanes or by one issuer.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub start: u64,
    pub len: u64,
    /// Bytes of each lane; 0 where one issuer accesses all of them.
    pub each: u64,
    /// The lane of the first byte; the issuer where there is but one.
    pub lane: u8,
}

impl Span {
    fn end(&self) -> u64 {
        self.start + self.len
    }

    fn meets(&self, other: &Span) -> bool {
        self.start < other.end() && other.start < self.end()
    }

    fn holds(&self, other: &Span) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }

    /// Whether every byte of both belongs to the same lane.
    fn same_lanes(&self, other: &Span) -> bool {
        let zero = |s: &Span| s.start as i64 - (u64::from(s.lane) * s.each) as i64;
        self.each == other.each
            && if self.each == 0 { self.lane == other.lane && self.lane != MANY } else { zero(self) == zero(other) }
    }

    /// The lane, or issuer, of a byte.
    fn lane_of(&self, at: u64) -> u8 {
        if self.each == 0 { self.lane } else { self.lane + ((at - self.start) / self.each) as u8 }
    }

    /// The part from `start` up to `end`; pages end at multiples of every access width, so no lane is cut.
    fn part(&self, start: u64, end: u64) -> Span {
        let start = start.max(self.start);
        Span { start, len: end.min(self.end()) - start, lane: self.lane_of(start), ..*self }
    }

    /// Words with the mask of bytes and the lane.
    fn words(&self) -> impl Iterator<Item = (u64, u8, u8)> + use<> {
        let span = *self;
        let step = if span.each == 0 || span.each >= 4 { 4 } else { span.each };
        let first = span.start / step * step;
        (first..span.end()).step_by(step as usize).map(move |at| {
            let low = at.max(span.start);
            let high = (at + step).min(span.end());
            let word = at / 4;
            let mask = (low..high).fold(0u8, |m, b| m | 1 << (b - 4 * word));
            (word, mask, span.lane_of(low))
        })
    }
}

/// An access that a page keeps whole.
#[derive(Clone, Debug)]
struct Kept {
    span: Span,
    epoch: Epoch,
    write: bool,
}

#[derive(Clone, Debug)]
enum Page {
    Whole(Vec<Kept>),
    Words(Box<[Word; PAGE as usize / 4]>),
}

impl Default for Page {
    fn default() -> Page {
        Page::Whole(vec![])
    }
}

/// The last accesses of a buffer, in pages that exist once they are accessed.
#[derive(Clone, Debug, Default)]
pub struct Shadow {
    pages: Vec<Page>,
}

impl Shadow {
    /// Records an access; the first word with something wrong, and what. `seen` is the time up to which a lane knows the others.
    pub fn access(&mut self, span: Span, actor: &Actor, seen: impl Fn(u8) -> u32) -> Option<(u64, Problem)> {
        let mut first = None;
        let (from, to) = (span.start / PAGE, span.end().div_ceil(PAGE));
        if self.pages.len() < to as usize {
            self.pages.resize(to as usize, Page::default());
        }
        for number in from..to {
            let part = span.part(number * PAGE, (number + 1) * PAGE);
            let page = &mut self.pages[number as usize];
            if let Page::Whole(kept) = page {
                let lanes = if part.each == 0 { 1 } else { part.len.div_ceil(part.each) as u8 };
                let least = (0..lanes).map(|n| seen(part.lane.saturating_add(n))).min().unwrap_or(0);
                if whole(kept, part, actor, least) {
                    continue;
                }
            }
            let words = page.words(number);
            for (word, mask, lane) in part.words() {
                let actor = Actor { issuer: Issuer { lane, seen: seen(lane), ..actor.issuer }, ..*actor };
                let problem = words[(word - number * PAGE / 4) as usize].access(&actor, mask);
                first = first.or(problem.map(|p| (4 * word, p)));
            }
        }
        first
    }
}

/// Records an access among those of a page if it is plainly ordered after all that it meets.
fn whole(kept: &mut Vec<Kept>, span: Span, actor: &Actor, least: u32) -> bool {
    let own = |k: &Kept| k.epoch.cluster == actor.cluster && k.epoch.agent == actor.issuer.agent;
    let knows = |k: &Kept| {
        if own(k) {
            let same = k.span.same_lanes(&span) || span.lane == WHOLE || k.epoch.lane == WHOLE;
            return k.epoch.time <= if same { actor.clocks.time(k.epoch.agent) } else { least };
        }
        let lane = if k.span.each == 0 { k.span.lane } else { MANY };
        actor.clocks.time_of(actor.cluster, k.epoch.cluster, k.epoch.agent, lane) >= k.epoch.time
    };
    for k in kept.iter().filter(|k| (k.write || actor.write) && k.span.meets(&span)) {
        let relaxed = actor.strong && k.epoch.strong();
        if !relaxed && !knows(k) || actor.asynchronous && !actor.fenced(&k.epoch) {
            return false;
        }
    }
    kept.retain(|k| !span.holds(&k.span) || !actor.write && (k.write || !knows(k)));
    if kept.len() == KEPT {
        match kept.iter().position(|k| !k.write) {
            Some(read) => drop(kept.remove(read)),
            None => return false,
        }
    }
    kept.push(Kept { span, epoch: actor.epoch(0xf), write: actor.write });
    true
}

impl Page {
    /// The words of the page, from now on one by one.
    fn words(&mut self, number: u64) -> &mut [Word; PAGE as usize / 4] {
        if let Page::Whole(kept) = self {
            let mut words = Box::new([Word::default(); PAGE as usize / 4]);
            for k in kept.iter() {
                for (word, mask, lane) in k.span.words() {
                    let lane = if k.epoch.lane == WHOLE { WHOLE } else { lane };
                    words[(word - number * PAGE / 4) as usize].record(k.epoch.of(lane, mask), k.write);
                }
            }
            *self = Page::Words(words);
        }
        match self {
            Page::Words(words) => words,
            Page::Whole(_) => unreachable!("the page has just been split into words"),
        }
    }
}
