//! The goals the project has set itself for its forecast, beside the figures of a backtest.

use snapmigrate_models::backtest::{Backtest, MomentChoice, MomentRegret, TraceResult};

use crate::view::plan::titled;
use crate::view::table::table;

/// Words in the name of a recording of a database.
const DATABASES: [&str; 6] = [
    "postgres", "pgbench", "mysql", "mariadb", "innodb", "sqlite",
];

/// Each goal with the figure, met or missed.
#[must_use]
pub fn goals(found: &Backtest) -> String {
    let all = &found.figures;
    let mut rows = vec![
        goal(
            "pooled error told the writes",
            all.median_abs_log_error_known_volume,
            At::Most(0.10),
        ),
        goal(
            "rate x time over the curve told the writes, least trace",
            least_gain(found),
            At::Least(2.5),
        ),
        goal(
            "pooled error of the forecast, database recordings",
            databases(found),
            At::Most(0.25),
        ),
        goal(
            "pooled error of the forecast, all traces",
            all.median_abs_log_error,
            At::Most(0.50),
        ),
        goal(
            "90 % band holds, all windows",
            all.coverage_90_percent,
            At::Between(0.85, 0.95),
        ),
        goal(
            "90 % band holds, least trace",
            least(found, |t| t.figures.coverage_90_percent),
            At::Least(0.75),
        ),
        goal(
            "90 % band told the writes holds, all windows",
            all.coverage_90_percent_known_volume,
            At::Between(0.85, 0.95),
        ),
        goal(
            "90 % band told the writes holds, least trace",
            least(found, |t| t.figures.coverage_90_percent_known_volume),
            At::Least(0.75),
        ),
        goal(
            "P90/P50 of the forecast, writes up to 3 times those seen",
            all.p90_over_p50,
            At::Most(1.6),
        ),
        goal(
            "P90/P50 told the writes, the same",
            all.p90_over_p50_known_volume,
            At::Most(1.6),
        ),
    ];
    if !found.moments.is_empty() {
        rows.extend([
            goal(
                "moment chosen by the gate over the best, median",
                most_regret(found, |row| row.p50),
                At::Most(1.15),
            ),
            goal(
                "moment chosen by the gate over the best, P99",
                most_regret(found, |row| row.p99),
                At::Most(3.5),
            ),
        ]);
    }
    let header = [
        "figure (errors are |ln(predicted/actual)|)",
        "goal",
        "found",
        "",
    ];
    format!("\n{}", titled("Goals", &table(&header, rows, &[2])))
}

#[derive(Clone, Copy)]
enum At {
    Most(f64),
    Least(f64),
    Between(f64, f64),
}

fn goal(name: &str, found: Option<f64>, at: At) -> Vec<String> {
    let (words, met) = match at {
        At::Most(most) => (
            format!("at most {most:.2}"),
            found.is_some_and(|f| f <= most),
        ),
        At::Least(least) => (
            format!("at least {least:.2}"),
            found.is_some_and(|f| f >= least),
        ),
        At::Between(low, high) => (
            format!("{low:.2} to {high:.2}"),
            found.is_some_and(|f| (low..=high).contains(&f)),
        ),
    };
    let verdict = match found {
        None => "no such trace",
        Some(_) if met => "met",
        Some(_) => "missed",
    };
    let shown = found.map_or_else(|| "-".to_owned(), |f| format!("{f:.3}"));
    vec![name.to_owned(), words, shown, verdict.to_owned()]
}

fn least(found: &Backtest, of: impl Fn(&TraceResult) -> Option<f64>) -> Option<f64> {
    found.traces.iter().filter_map(of).reduce(f64::min)
}

fn least_gain(found: &Backtest) -> Option<f64> {
    least(found, |trace| {
        let known = trace.figures.median_abs_log_error_known_volume?;
        Some(trace.figures.naive_median_abs_log_error? / known.max(1e-9))
    })
}

/// The gate's, over all traces, at the snapshot rate that makes it largest.
fn most_regret(found: &Backtest, of: impl Fn(&MomentRegret) -> f64) -> Option<f64> {
    let gate = |row: &&MomentRegret| row.trace.is_none() && row.choice == MomentChoice::Gate;
    found.moments.iter().filter(gate).map(of).reduce(f64::max)
}

/// Median of the medians of the traces whose name says that a database was recorded.
fn databases(found: &Backtest) -> Option<f64> {
    let is_database = |trace: &&TraceResult| {
        let name = trace.trace.to_lowercase();
        DATABASES.iter().any(|word| name.contains(word))
    };
    let of_databases = found.traces.iter().filter(is_database);
    let mut errors: Vec<f64> = of_databases
        .filter_map(|trace| trace.figures.median_abs_log_error)
        .collect();
    errors.sort_by(f64::total_cmp);
    let middle = errors.len().checked_sub(1)?;
    Some((errors[middle / 2] + errors[middle.div_ceil(2)]) / 2.0)
}
