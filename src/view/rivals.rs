//! The search beside simpler schedules and an oracle, as a table.

use snapmigrate_models::schedule::Comparison;
use snapmigrate_models::units::Quantiles;

use super::table::table;
use super::units::{duration, percent};

/// One row per plan, and the ratios over all of them.
#[must_use]
pub fn rivals(rows: &[Comparison]) -> String {
    let row = |row: &Comparison| {
        vec![
            row.name.clone(),
            row.seed.to_string(),
            percent(row.confidence),
            row.rounds.to_string(),
            duration(row.chosen_seconds),
            duration(row.hourly_seconds),
            duration(row.azure_seconds),
            duration(row.back_to_back_seconds),
            duration(row.oracle_seconds),
            format!("{:.3}", row.over_rival()),
            format!("{:.3}", row.over_oracle()),
        ]
    };
    let header = [
        "scenario",
        "seed",
        "at",
        "rounds",
        "chosen",
        "hourly",
        "Azure",
        "back to back",
        "oracle",
        "/ best rival",
        "/ oracle",
    ];
    let body = table(
        &header,
        rows.iter().map(row).collect(),
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    let ratios = |of: fn(&Comparison) -> f64| {
        let mut all: Vec<f64> = rows.iter().map(of).collect();
        (Quantiles::of(&mut all), all.last().copied().unwrap_or(0.0))
    };
    let line = |name: &str, (ratio, most): (Quantiles, f64)| {
        format!(
            "{name}: median {:.3}, P90 {:.3}, worst {most:.3}\n",
            ratio.p50, ratio.p90
        )
    };
    format!(
        "{body}\n{}{}",
        line("over the best rival", ratios(Comparison::over_rival)),
        line("over the oracle", ratios(Comparison::over_oracle))
    )
}
