//! One volume made ready: a forecast asks for its deltas hundreds of thousands of times.
//!
//! The curve's error, which is costly to ask for, is laid out as a table over the written volume and the
//! level, along the volume's usual mix of small and bulk writing.

use crate::dirty::{DirtyCurve, Written};
use crate::draws::VolumeDraw;
use crate::forecast::VolumeModel;
use crate::load::LoadPaths;
use crate::units::BLOCK_BYTES;

/// Written volumes of the table, in days of usual writing: from seconds to months, in ln.
const ROWS: usize = 40;
const FIRST_LOG_DAYS: f64 = -9.0;
const LOG_DAYS_STEP: f64 = 0.35;
/// Levels of the table: log odds from -8 on.
const LEVELS: usize = 33;
const FIRST_LOG_ODDS: f64 = -8.0;
const LOG_ODDS_STEP: f64 = 0.5;
/// The usual mix is that of a day.
const USUAL_SECONDS: f64 = 86_400.0;

/// A volume of the chain.
#[derive(Clone, Debug)]
pub(super) struct ChainVolume {
    pub(super) base_bytes: f64,
    pub(super) load: LoadPaths,
    curve: DirtyCurve,
    /// Blocks a small write dirties, within a day: what makes the streams comparable.
    blocks_per_small: f64,
    /// What is usually written in a day, in such blocks.
    usual_blocks: f64,
    /// What is usually written in a day.
    usual: Written,
    /// ln of the expected blocks of each row.
    log_row_blocks: Vec<f64>,
    /// ln(drawn / expected), row by row.
    log_errors: Vec<f64>,
}

impl ChainVolume {
    /// Makes `model` ready for questions asked at `issued_at`.
    pub(super) fn of(model: &VolumeModel, issued_at: f64) -> Self {
        let load = LoadPaths::of(&model.load, issued_at);
        let usual = usual(load.expected(issued_at, issued_at + USUAL_SECONDS));
        let small = Written {
            bulk_blocks: 0.0,
            ..usual
        };
        let blocks_per_small = model.curve.blocks(small) / usual.small.max(1e-9);
        Self {
            usual_blocks: usual.small * blocks_per_small + usual.bulk_blocks,
            blocks_per_small,
            base_bytes: model.base_blocks * BLOCK_BYTES as f64,
            usual,
            log_row_blocks: (0..ROWS)
                .map(|row| model.curve.blocks(usual.scaled(days_of(row))).ln())
                .collect(),
            log_errors: log_errors(&model.curve, usual),
            curve: model.curve.clone(),
            load,
        }
    }

    /// Bytes of the blocks a window dirties on average.
    pub(super) fn expected_bytes(&self, written: Written) -> f64 {
        self.curve.blocks(written) * BLOCK_BYTES as f64
    }

    /// The same in one draw.
    pub(super) fn drawn_bytes(&self, written: Written, own: &VolumeDraw) -> f64 {
        let blocks = self.curve.blocks(written);
        let days =
            (written.small * self.blocks_per_small + written.bulk_blocks) / self.usual_blocks;
        let factor = self.log_factor(days, own.error_log_odds).exp();
        let drawn = blocks * if factor.is_finite() { factor } else { 1.0 };
        drawn.min(self.curve.bound_blocks) * BLOCK_BYTES as f64
    }

    /// ln(drawn / expected) of so many usual days.
    fn log_factor(&self, days: f64, log_odds: f64) -> f64 {
        let (row, down) = cell((days.ln() - FIRST_LOG_DAYS) / LOG_DAYS_STEP, ROWS);
        let (column, right) = cell((log_odds - FIRST_LOG_ODDS) / LOG_ODDS_STEP, LEVELS);
        let errors = |row: usize, column: usize| self.log_errors[row * LEVELS + column];
        let ends =
            [column, column + 1].map(|column| (errors(row, column), errors(row + 1, column)));
        if ends.iter().all(|(before, after)| after >= before) {
            let [left, next] = ends.map(|(before, after)| before + down * (after - before));
            return left + right * (next - left);
        }
        // Where the error falls from row to row the smaller one counts, but never for fewer blocks than
        // at the row before: more writing never dirties less.
        let fallen = self.log_row_blocks[row] - self.curve.blocks(self.usual.scaled(days)).ln();
        let [left, next] = ends.map(|(before, after)| {
            if after >= before {
                before + down * (after - before)
            } else {
                after.max(before + fallen)
            }
        });
        left + right * (next - left)
    }
}

/// The grid point before a position, and the share of the way to the next one; the ends are held.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the grid; what is not a number becomes 0"
)]
fn cell(position: f64, count: usize) -> (usize, f64) {
    let last = (count - 1) as f64;
    let held = if position > 0.0 {
        position.min(last)
    } else {
        0.0
    };
    let before = (held as usize).min(count - 2);
    (before, (held - before as f64).clamp(0.0, 1.0))
}

/// An idle volume may wake: then by small writes.
fn usual(written: Written) -> Written {
    if written.small + written.bulk_blocks > 0.0 {
        return written;
    }
    Written {
        small: USUAL_SECONDS,
        bulk_blocks: 0.0,
    }
}

fn days_of(row: usize) -> f64 {
    (FIRST_LOG_DAYS + LOG_DAYS_STEP * row as f64).exp()
}

fn log_errors(curve: &DirtyCurve, usual: Written) -> Vec<f64> {
    let entry = |row: usize, column: usize| {
        let window = usual.scaled(days_of(row));
        let odds = FIRST_LOG_ODDS + LOG_ODDS_STEP * column as f64;
        let own = VolumeDraw::at(1.0 / (1.0 + (-odds).exp()));
        let ratio = curve.drawn(window, &own) / curve.blocks(window);
        if ratio.is_finite() && ratio > 0.0 {
            ratio.ln()
        } else {
            0.0
        }
    };
    (0..ROWS)
        .flat_map(|row| (0..LEVELS).map(move |column| entry(row, column)))
        .collect()
}
