//! Control flow: basic blocks and the order in which divergent lanes run.
//!
//! Central type: [`Flow`]. Blocks are numbered so that every block comes after all that lead to it, loops in one piece before
//! what follows them: strongly connected components in topological order, and the same inside each with its entry's back edges
//! cut. Running the group of lanes with the smallest number first makes lanes meet at immediate post-dominators. Knows no
//! instruction.

/// What ends or continues a block.
pub struct Flow {
    /// Block that starts at a pc, `NONE` elsewhere.
    pub block_at: Vec<u32>,
    /// Place of each block.
    pub order: Vec<u32>,
    /// Last place of the loop that a block heads; its own place where it heads none.
    pub loop_end: Vec<u32>,
    /// Place of the block that a pc is in.
    pub places: Vec<u32>,
}

pub const NONE: u32 = u32::MAX;

impl Flow {
    /// `leaders[pc]` says where blocks start; `next(pc)` lists where control may go from the block's last instruction.
    pub fn new(leaders: &[bool], next: impl Fn(usize) -> Vec<u32>) -> Flow {
        let mut block_at = vec![NONE; leaders.len()];
        let mut starts = vec![];
        for (pc, leads) in leaders.iter().enumerate() {
            if *leads {
                block_at[pc] = starts.len() as u32;
                starts.push(pc);
            }
        }
        let count = starts.len();
        let edges: Vec<Vec<u32>> = (0..count)
            .map(|b| {
                let end = starts.get(b + 1).copied().unwrap_or(leaders.len());
                next(end - 1)
                    .into_iter()
                    .filter(|pc| (*pc as usize) < leaders.len())
                    .map(|pc| block_at[pc as usize])
                    .collect()
            })
            .collect();
        let mut flow = Flow { block_at, order: vec![NONE; count], loop_end: vec![0; count], places: vec![] };
        let mut place = 0;
        let all: Vec<u32> = (0..count as u32).collect();
        // Work list instead of recursion: (blocks of a component, head whose incoming edges are cut).
        let mut region = vec![0u32; count];
        let mut next_region = 1;
        flow.arrange(&edges, all, NONE, &mut region, 0, &mut next_region, &mut place, 0);
        for b in 0..count {
            flow.loop_end[b] = flow.loop_end[b].max(flow.order[b]);
        }
        let mut here = 0;
        for pc in 0..leaders.len() {
            if flow.block_at[pc] != NONE {
                here = flow.order[flow.block_at[pc] as usize];
            }
            flow.places.push(here);
        }
        flow
    }

    #[allow(clippy::too_many_arguments)]
    fn arrange(
        &mut self,
        edges: &[Vec<u32>],
        blocks: Vec<u32>,
        head: u32,
        region: &mut [u32],
        own: u32,
        next_region: &mut u32,
        place: &mut u32,
        depth: u32,
    ) {
        let components = components(edges, &blocks, head, region, own);
        for mut component in components {
            let first = component.iter().copied().min().unwrap_or(0);
            let cyclic = component.len() > 1 || edges[first as usize].contains(&first);
            if component.len() == 1 || depth > 64 {
                component.sort_unstable();
                for b in component {
                    self.order[b as usize] = *place;
                    *place += 1;
                }
                if cyclic {
                    self.loop_end[first as usize] = *place - 1;
                }
                continue;
            }
            // The entry: a block with an edge from outside, else the first in the text.
            let inner = *next_region;
            *next_region += 1;
            component.iter().for_each(|b| region[*b as usize] = inner);
            let entered =
                |b: u32| blocks.iter().any(|o| region[*o as usize] != inner && edges[*o as usize].contains(&b));
            let entry =
                component.iter().copied().filter(|b| component.len() < 512 && entered(*b)).min().unwrap_or(first);
            self.arrange(edges, component, entry, region, inner, next_region, place, depth + 1);
            self.loop_end[entry as usize] = *place - 1;
        }
    }
}

/// Strongly connected components of `blocks` in topological order, without edges into `head`.
fn components(edges: &[Vec<u32>], blocks: &[u32], head: u32, region: &[u32], own: u32) -> Vec<Vec<u32>> {
    let n = edges.len();
    let (mut index, mut low) = (vec![NONE; n], vec![0u32; n]);
    let mut on_stack = vec![false; n];
    let (mut stack, mut out, mut counter) = (vec![], vec![], 0);
    let mut roots: Vec<u32> = blocks.to_vec();
    roots.sort_unstable();
    if head != NONE {
        roots.insert(0, head);
    }
    for root in roots {
        if index[root as usize] != NONE {
            continue;
        }
        let mut work = vec![(root, 0usize)];
        while let Some((b, at)) = work.pop() {
            let v = b as usize;
            if at == 0 {
                index[v] = counter;
                low[v] = counter;
                counter += 1;
                stack.push(b);
                on_stack[v] = true;
            }
            // Later edges first, so that the fall-through comes first in the reversed result.
            if let Some(&to) = edges[v].get(at) {
                work.push((b, at + 1));
                let w = to as usize;
                if to == head || region[w] != own {
                    continue;
                }
                if index[w] == NONE {
                    work.push((to, 0));
                } else if on_stack[w] {
                    low[v] = low[v].min(index[w]);
                }
                continue;
            }
            if low[v] == index[v] {
                let mut component = vec![];
                while let Some(top) = stack.pop() {
                    on_stack[top as usize] = false;
                    component.push(top);
                    if top == b {
                        break;
                    }
                }
                out.push(component);
            }
            if let Some(&(parent, _)) = work.last() {
                let p = parent as usize;
                low[p] = low[p].min(low[v]);
            }
        }
    }
    out.reverse();
    out
}
