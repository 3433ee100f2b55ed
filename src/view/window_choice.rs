//! The choice of a slot to freeze in, judged on series of half-hours: what each way to choose cost against the best
//! slot of the day.

use serde::Serialize;
use snapmigrate_models::backtest::Choice;

use super::table::table;

/// Regrets of one way to choose, at one snapshot rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChoiceRegret {
    /// The way.
    pub choice: String,
    /// The snapshot's rate over the mean rate of dirtying.
    pub rate_factor: f64,
    /// Choices judged.
    pub choices: usize,
    /// Seconds of the chosen slot over those of the best: median.
    pub p50: f64,
    /// Nine in ten are at or below.
    pub p90: f64,
    /// Ninety-nine in a hundred are at or below.
    pub p99: f64,
}

/// How a way to choose is called.
#[must_use]
pub const fn choice_words(choice: Choice) -> &'static str {
    match choice {
        Choice::Now => "now",
        Choice::HistoryMean => "time of day with the least mean",
        Choice::HistoryMinimax => "time of day with the least maximum",
        Choice::Plan => "forecast, no gate",
        Choice::Gate => "forecast and gate that knows the present half-hour",
        Choice::StaleGate => "forecast and gate that is half an hour behind",
    }
}

/// The regrets as a table.
#[must_use]
pub fn window_choice(found: &[ChoiceRegret], volumes: usize) -> String {
    let row = |one: &ChoiceRegret| {
        vec![
            one.choice.clone(),
            format!("{:.1}", one.rate_factor),
            one.choices.to_string(),
            format!("{:.2}", one.p50),
            format!("{:.2}", one.p90),
            format!("{:.1}", one.p99),
        ]
    };
    let header = ["choice", "rate", "choices", "median", "P90", "P99"];
    format!(
        "Choice of a slot in the next 24 hours, {volumes} volumes\n\
         \x20 length of the final round in the chosen half-hour, times that in the best one; rate: speed of a snapshot\n\
         \x20 over the volume's mean rate of dirtying; the gate's goal: median at most 1.15, P99 at most 3.5\n\n{}",
        table(&header, found.iter().map(row).collect(), &[1, 2, 3, 4, 5]),
    )
}
