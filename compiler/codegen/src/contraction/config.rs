//! Tile sizes and pipeline depth of a contraction: data, with defaults for the H200.

use super::plan::Plan;
use crate::tile::barrier::Ring;
use crate::tile::roles::{CONSUMERS, SMS};
use crate::tile::smem::{ATOM, Layout, SHARED_LIMIT};
use crate::tile::wgmma;
use tricot_types::SymbolTable;

/// A tile and its pipeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// wgmmas of 64 rows side by side in each consumer.
    pub blocks: u32,
    /// Columns of the tile, a multiple of 32.
    pub cols: u32,
    /// Stages of the ring.
    pub stages: u32,
}

/// Shapes worth having and their measured or expected share of the full rate. Two blocks of 128 columns need the least shared
/// memory traffic; the small ones are for small problems.
const SHAPES: &[(u32, u32, f64)] = &[(2, 128, 1.0), (1, 256, 0.97), (1, 128, 0.85), (1, 64, 0.6), (1, 32, 0.35)];

/// Fixed cost of a tile in the unit of its area: prologue, epilogue, launch share.
const OVERHEAD: f64 = 6000.0;

/// Most stages: beyond them latency is hidden anyway.
const MAX_STAGES: u32 = 8;

/// Where things lie in shared memory, in bytes from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places {
    /// First stage; stages follow each other.
    pub ring: u32,
    /// Bytes of a stage: the row tile, then the column tile.
    pub stage: u32,
    pub row_bytes: u32,
    pub barriers: u32,
    pub epilogue: u32,
    pub total: u32,
}

impl Config {
    /// Rows of the tile.
    pub fn rows(&self) -> u32 {
        CONSUMERS * self.blocks * wgmma::M
    }

    /// Accumulator registers of a consumer thread.
    pub fn registers(&self) -> usize {
        (self.blocks * self.cols / 2) as usize
    }

    /// The best shape for a plan by a simple count of waves; its cost is the second value.
    pub fn choose(plan: &Plan, symbols: &SymbolTable) -> (Config, f64) {
        let (m, n) = (plan.rows.hint(symbols), plan.cols.hint(symbols));
        let batch: f64 = plan.batch.iter().map(|a| a.hint(symbols)).product();
        let cost = |blocks: u32, cols: u32, rate: f64| {
            let (rows, cols) = (f64::from(CONSUMERS * blocks * wgmma::M), f64::from(cols));
            let tiles = (m / rows).ceil() * (n / cols).ceil() * batch;
            (tiles / f64::from(SMS)).ceil() * (rows * cols / rate + OVERHEAD)
        };
        let costed = SHAPES.iter().map(|(b, c, r)| (*b, *c, cost(*b, *c, *r)));
        let (blocks, cols, cost) = costed.min_by(|x, y| x.2.total_cmp(&y.2)).expect("there are shapes");
        (Config { blocks, cols, stages: 0 }.deepest(plan), cost)
    }

    /// The same tile with as many stages as fit.
    fn deepest(self, plan: &Plan) -> Config {
        let fits = |stages: &u32| Config { stages: *stages, ..self }.places(plan).total <= SHARED_LIMIT;
        Config { stages: (2..=MAX_STAGES).rev().find(fits).expect("two stages of every shape fit"), ..self }
    }

    /// The layout of shared memory.
    pub fn places(&self, plan: &Plan) -> Places {
        let row_bytes = plan.row_tile(self.rows()).size();
        let stage = row_bytes + plan.col_tile(self.cols).size();
        let mut layout = Layout::default();
        let ring = layout.take(self.stages * stage, ATOM);
        let epilogue = layout.take(super::epilogue::BYTES, 16);
        let barriers = layout.take(Ring::bytes(self.stages), 8);
        Places { ring, stage, row_bytes, barriers, epilogue, total: layout.used() }
    }
}
