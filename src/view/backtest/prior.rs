//! A table of errors made from traces, and how it holds on each of them when that one is left out.

use snapmigrate_models::backtest::Derived;

use crate::view::plan::titled;
use crate::view::table::table;

/// The table's rows as they stand in `models/data/calibration.toml`, and the coverage beside it.
#[must_use]
pub fn derived_prior(found: &Derived) -> String {
    let rows = found.held_out.iter().map(|(name, windows, share)| {
        vec![
            name.clone(),
            windows.to_string(),
            format!("{:.0} %", 100.0 * share),
        ]
    });
    let header = ["left out", "windows", "90 % band holds"];
    let held = table(&header, rows.collect(), &[1, 2]);
    let prior = &found.prior;
    format!(
        "volumes = {}\nlevels = {:?}\nlike_its_own = {:?}\nunlike = {:?}\n\n{}",
        prior.volumes(),
        prior.levels(),
        prior.like_its_own(),
        prior.unlike(),
        titled("Each volume by the others' table", &held)
    )
}
