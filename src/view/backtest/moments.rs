//! What the choice of the moment to cut over in cost, trace by trace.

use snapmigrate_models::backtest::{MomentChoice, MomentRegret};

use crate::view::plan::titled;
use crate::view::table::table;

/// The regrets of every way to choose; nothing where none was judged.
pub fn choices(found: &[MomentRegret]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let row = |one: &MomentRegret| {
        vec![
            one.trace.clone().unwrap_or_else(|| "all traces".to_owned()),
            words(one.choice).to_owned(),
            format!("{:.1}", one.rate_factor),
            one.choices.to_string(),
            format!("{:.2}", one.p50),
            format!("{:.2}", one.p90),
            format!("{:.1}", one.p99),
        ]
    };
    let header = ["trace", "choice", "rate", "choices", "median", "P90", "P99"];
    let rows = found.iter().map(row).collect();
    titled(
        "The final round at the chosen moment of the next six deltas, times that at the best one (rate: of a snapshot, \
         over the mean rate of dirtying)",
        &table(&header, rows, &[2, 3, 4, 5, 6]),
    )
}

const fn words(choice: MomentChoice) -> &'static str {
    match choice {
        MomentChoice::Now => "now",
        MomentChoice::Plan => "forecast, no gate",
        MomentChoice::Gate => "forecast and gate",
    }
}
