//! The chain of operations that orders two accesses, for `--explain-order`.
//!
//! Central type: [`Trail`]. It keeps what every agent passes on and picks up while a launch runs, finds a pair of accesses to one word at
//! the two lines asked for, and walks from the first to the second. Knows no clocks: it shows why they say what they say.

use super::Spot;
use std::collections::BTreeMap;

/// Cluster and agent.
pub type Who = (u32, u16);

/// Where one agent leaves what it knows for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Post {
    /// Cluster, block of it, number and generation of a named barrier.
    Bar(u32, usize, u32, u64),
    /// Cluster and generation of its barrier.
    Cluster(u32, u64),
    /// Cluster, block of it, address and phase of an mbarrier.
    Phase(u32, usize, u64, u64),
    /// A word of memory; the cluster if it is shared.
    Word(Option<u32>, Spot),
    /// The start of a copy.
    Copy(u64),
    /// Bulk stores of a warp, up to a number.
    Stores(Who, u32),
}

impl Post {
    /// In words; `buffer` names a buffer of global memory.
    fn text(&self, buffer: &impl Fn(usize) -> String) -> String {
        match self {
            Post::Bar(_, _, id, generation) => format!("barrier {id}, its {generation}. time"),
            Post::Cluster(_, generation) => format!("the cluster barrier, its {generation}. time"),
            Post::Phase(_, block, address, phase) => {
                format!("phase {phase} of the mbarrier at shared address {address} of block {block} of the cluster")
            }
            Post::Word(_, Spot::Shared(block, offset)) => {
                format!("shared address {offset} of block {block} of the cluster")
            }
            Post::Word(_, Spot::Global(index, offset)) => format!("byte {offset} of `{}`", buffer(*index)),
            Post::Copy(_) => "a copy".into(),
            Post::Stores(_, n) => format!("the first {n} bulk stores"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Event {
    who: Who,
    line: u32,
    post: Post,
    /// Leaves there, or picks up.
    leaves: bool,
}

/// An access: who, at which line, after how many events.
#[derive(Clone, Copy, Debug)]
struct Access {
    who: Who,
    line: u32,
    after: usize,
}

/// What happened so far.
pub struct Trail {
    lines: (u32, u32),
    events: Vec<Event>,
    /// The last access of the first line to each word.
    first: BTreeMap<(Option<u32>, Spot), Access>,
    pair: Option<(Spot, Access, Access)>,
}

impl Trail {
    /// For accesses at two PTX lines.
    pub fn new(lines: (u32, u32)) -> Trail {
        Trail { lines, events: vec![], first: BTreeMap::new(), pair: None }
    }

    /// An agent leaves what it knows, or picks up what others have left.
    pub fn pass(&mut self, who: Who, line: u32, post: Post, leaves: bool) {
        self.events.push(Event { who, line, post, leaves });
    }

    /// An access to a word, and whether it is ordered after those before.
    pub fn access(&mut self, cluster: Option<u32>, word: Spot, who: Who, line: u32, ordered: bool) {
        let now = Access { who, line, after: self.events.len() };
        if line == self.lines.1
            && ordered
            && self.pair.is_none_or(|(_, a, b)| a.who == b.who)
            && let Some(first) = self.first.get(&(cluster, word))
        {
            self.pair = Some((word, *first, now));
        }
        if line == self.lines.0 {
            self.first.insert((cluster, word), now);
        }
    }

    /// The chain in words; `name` names an agent, `buffer` a buffer of global memory.
    pub fn explain(&self, name: impl Fn(Who) -> String, buffer: impl Fn(usize) -> String) -> Vec<String> {
        let (a, b) = self.lines;
        let Some((word, first, second)) = self.pair else {
            return vec![format!("no access at PTX line {b} is ordered after one at PTX line {a} to the same word")];
        };
        let place = Post::Word(None, word).text(&buffer);
        let mut out = vec![format!("PTX line {}: {} accesses {place}", first.line, name(first.who))];
        for event in self.chain(first, second) {
            let does = if event.leaves { "arrives at" } else { "passes" };
            out.push(format!("PTX line {}: {} {does} {}", event.line, name(event.who), event.post.text(&buffer)));
        }
        out.push(format!("PTX line {}: {} accesses it", second.line, name(second.who)));
        out
    }

    /// Events that lead from one access to another.
    fn chain(&self, first: Access, second: Access) -> Vec<Event> {
        // By what each agent and each post was reached.
        let mut agents: BTreeMap<Who, Option<usize>> = BTreeMap::from([(first.who, None)]);
        let mut posts: BTreeMap<Post, usize> = BTreeMap::new();
        let mut chains: BTreeMap<usize, Option<usize>> = BTreeMap::new();
        for (n, event) in self.events.iter().enumerate().take(second.after).skip(first.after) {
            if event.leaves {
                if let Some(before) = agents.get(&event.who) {
                    chains.insert(n, *before);
                    posts.entry(event.post).or_insert(n);
                }
            } else if let Some(before) = posts.get(&event.post)
                && !agents.contains_key(&event.who)
            {
                chains.insert(n, Some(*before));
                agents.insert(event.who, Some(n));
            }
        }
        let mut at = agents.get(&second.who).copied().flatten();
        let mut out = vec![];
        while let Some(n) = at {
            out.push(self.events[n]);
            at = chains.get(&n).copied().flatten();
        }
        out.reverse();
        out
    }
}
