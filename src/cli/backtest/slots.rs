//! `backtest --series`: the choice of a slot to freeze in, on series of half-hours.

use std::path::Path;

use snapmigrate_models::backtest::{Choice, HalfHours, regrets};

use super::super::{CliError, Exit, Ui};
use crate::trace;
use crate::view::{self, ChoiceRegret};

/// Snapshot rates over the mean rate of dirtying: comfortable, and hardly enough.
const RATE_FACTORS: [f64; 2] = [3.0, 1.5];

/// Judges every way to choose on every volume that tells enough.
pub fn run(path: &Path, ui: &Ui) -> Result<Exit, CliError> {
    let unusable = || CliError::usage(format!("cannot use {}", path.display()));
    let series = trace::read_series(path).map_err(|error| unusable().caused_by(error))?;
    let volumes: Vec<&HalfHours> = series.values().filter(|one| tells(one)).collect();
    if volumes.is_empty() {
        return Err(unusable()
            .hint("a volume needs more than five days with 60 half-hours of 50 pages or more"));
    }
    let found: Vec<ChoiceRegret> = RATE_FACTORS
        .iter()
        .flat_map(|factor| Choice::ALL.map(|choice| regret(&volumes, *factor, choice)))
        .collect();
    ui.show(&found, |found| view::window_choice(found, volumes.len()))?;
    Ok(Exit::Done)
}

/// Whether a volume's series is long and busy enough to be judged.
fn tells(series: &HalfHours) -> bool {
    !regrets(series, RATE_FACTORS[0], Choice::Now).is_empty()
}

fn regret(volumes: &[&HalfHours], rate_factor: f64, choice: Choice) -> ChoiceRegret {
    let each = volumes
        .iter()
        .flat_map(|series| regrets(series, rate_factor, choice));
    let mut all: Vec<f64> = each.collect();
    all.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        all.get(all.len().saturating_sub(1) * percent / 100)
            .copied()
            .unwrap_or(f64::NAN)
    };
    ChoiceRegret {
        choice: view::choice_words(choice).to_owned(),
        rate_factor,
        choices: all.len(),
        p50: at(50),
        p90: at(90),
        p99: at(99),
    }
}
