//! A backtest: the error for each length of time, what simpler models would have said, and what to measure next.

mod goals;
mod moments;
mod prior;

use snapmigrate_models::backtest::{Advice, Backtest, Figures, ReachResult, TraceResult};

use super::plan::titled;
use super::table::{indented, table};
use super::units::{duration, percent};

const HEADER: [&str; 12] = [
    "ahead",
    "windows",
    "forecast",
    "held",
    "P90/P50",
    "told writes",
    "held",
    "P90/P50",
    "rate x time",
    "last rate",
    "exponential",
    "power law",
];
const RIGHT: [usize; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const LEGEND: &str = "\
forecast     how far the forecast delta was off, in either direction: median over the windows
told writes  the same for the delta curve alone, told how much is written in the window
held         windows whose delta lay in the band from P5 to P95; nine in ten should
P90/P50      how wide the band is upwards: median over windows of up to three times the writes seen
rate x time  mean rate of the deltas seen, times the time
last rate    constant-rate pre-copy: the last delta's rate, times the time (Liu et al., HPDC 2011)
exponential  one saturating exponential through the deltas seen, told the writes; power law likewise
";

pub use goals::goals;
pub use prior::derived_prior;

/// The whole backtest as text; `chosen` when the time between snapshots follows from the traces' lengths.
#[must_use]
pub fn backtest(found: &Backtest, chosen: bool) -> String {
    let tables = match found.traces.as_slice() {
        [trace] => lags(trace),
        traces => pooled(traces, &found.figures),
    };
    let sections = [
        head(found, chosen),
        titled("How far the predicted delta is off", &tables),
        titled(
            "The same by writes in the window, as a multiple of the writes seen",
            &reaches(found),
        ),
        moments::choices(&found.moments),
        titled("How to read it", &indented(LEGEND)),
        format!("Next: {}\n", words(Advice::of(found))),
    ];
    sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn head(found: &Backtest, chosen: bool) -> String {
    let Some(first) = found.traces.first().map(|trace| &trace.protocol) else {
        return String::new();
    };
    let title = match found.traces.as_slice() {
        [trace] => trace.trace.clone(),
        traces => format!("{} traces", traces.len()),
    };
    let windows = found.predictions.len();
    let unscored = windows - found.figures.scored as usize;
    let left_out = if unscored == 0 {
        String::new()
    } else {
        format!(
            " ({unscored} more changed fewer than 15 blocks or are shorter than half a delta: not scored)"
        )
    };
    format!(
        "{title}: {} windows{left_out}\n  {}; each forecast sees up to {} deltas and metrics {:.0} s old\n",
        found.figures.scored,
        snapshots(&found.traces, chosen),
        first.deltas,
        first.metric_delay_seconds,
    )
}

fn snapshots(traces: &[TraceResult], chosen: bool) -> String {
    let [trace] = traces else {
        let origin = if chosen {
            "chosen from each length; --delta-seconds sets it"
        } else {
            "as asked"
        };
        return format!("time between snapshots {origin}");
    };
    let origin = match (trace.protocol.lags_seconds.is_empty(), chosen) {
        (true, _) => "on average",
        (false, true) => "chosen from the length; --delta-seconds sets it",
        (false, false) => "as asked",
    };
    let every = duration(trace.protocol.delta_seconds);
    format!(
        "{} recorded, a snapshot every {every} ({origin})",
        duration(trace.seconds)
    )
}

fn lags(trace: &TraceResult) -> String {
    let mut rows: Vec<Vec<String>> = trace
        .lags
        .iter()
        .map(|lag| row(duration(lag.lag_seconds), &lag.figures))
        .collect();
    rows.push(row("all".to_owned(), &trace.figures));
    table(&HEADER, rows, &RIGHT)
}

fn pooled(traces: &[TraceResult], all: &Figures) -> String {
    let with_span = |mut row: Vec<String>, every: String| {
        row.insert(1, every);
        row
    };
    let of_trace = |trace: &TraceResult| {
        let every = duration(trace.protocol.delta_seconds);
        with_span(row(trace.trace.clone(), &trace.figures), every)
    };
    let mut rows: Vec<Vec<String>> = traces.iter().map(of_trace).collect();
    rows.push(with_span(
        row("pooled: median of the traces".to_owned(), all),
        String::new(),
    ));
    let mut header = HEADER.to_vec();
    header[0] = "trace";
    header.insert(1, "snapshot every");
    table(&header, rows, &[&RIGHT[..], &[12]].concat())
}

fn reaches(found: &Backtest) -> String {
    let mut header = HEADER;
    header[0] = "multiple";
    let group = |group: &ReachResult| {
        let name = match group.up_to {
            Some(up_to) => format!("{} to {up_to}", group.above),
            None => format!("more than {}", group.above),
        };
        row(name, &group.figures)
    };
    if found.reaches.is_empty() {
        return String::new();
    }
    table(&header, found.reaches.iter().map(group).collect(), &RIGHT)
}

fn row(name: String, figures: &Figures) -> Vec<String> {
    let share =
        |share: Option<f64>| share.map_or_else(dash, |share| format!("{:.0} %", share * 100.0));
    let width = |ratio: Option<f64>| ratio.map_or_else(dash, |ratio| format!("{ratio:.2}"));
    vec![
        name,
        figures.scored.to_string(),
        error(figures.median_abs_log_error),
        share(figures.coverage_90_percent),
        width(figures.p90_over_p50),
        error(figures.median_abs_log_error_known_volume),
        share(figures.coverage_90_percent_known_volume),
        width(figures.p90_over_p50_known_volume),
        error(figures.naive_median_abs_log_error),
        error(figures.constant_rate_median_abs_log_error),
        error(figures.exponential_median_abs_log_error),
        error(figures.power_law_median_abs_log_error),
    ]
}

fn dash() -> String {
    "-".to_owned()
}

fn error(log_error: Option<f64>) -> String {
    log_error.map_or_else(dash, off)
}

/// A |ln| error as people say it: percent, or a factor.
fn off(log_error: f64) -> String {
    let factor = log_error.exp();
    match factor {
        f if f < 1.0995 => format!("{:.1} %", (f - 1.0) * 100.0),
        f if f < 1.995 => format!("{:.0} %", (f - 1.0) * 100.0),
        f if f < 9.95 => format!("x{f:.1}"),
        f => format!("x{f:.0}"),
    }
}

fn words(advice: Advice) -> String {
    match advice {
        Advice::NothingScored => {
            "no window changed 15 blocks or more, so nothing is scored; longer --lags, or a \
                                  recording of a busier time, would tell something"
                .to_owned()
        }
        Advice::ShorterDeltas { lag_seconds, error } => format!(
            "windows of {} are off by {}, longer ones by much less: a probe pair of snapshots about {} apart would \
             narrow the short ones most; if the database flushes in a rhythm, freeze right after a checkpoint",
            duration(lag_seconds),
            off(error),
            duration(lag_seconds),
        ),
        Advice::MoreDeltas { above, error } => format!(
            "windows with more than {above} times the writes of all deltas seen are off by {}: more deltas, or longer \
             ones, would narrow these most",
            off(error),
        ),
        Advice::FresherMetrics { forecast, known } => format!(
            "told how much is written the curve is off by {}, the forecast by {}: how much will be written is what is \
             not known; a longer history of metrics narrows it days ahead, metrics 1 to 5 minutes old at the gate, \
             and a time of day with steady writes",
            off(known),
            off(forecast),
        ),
        Advice::Unsteady { known } => format!(
            "even told how much is written the curve is off by {}: what is written changes its nature; take the deltas \
             at the time of day the migration is planned for, and go by the gate",
            off(known),
        ),
        Advice::BandTooNarrow { coverage } => format!(
            "the errors are small but only {} of the windows lie in the band: more deltas would calibrate it",
            percent(coverage),
        ),
        Advice::Enough { forecast } => format!(
            "nothing stands out, the deltas and metrics at hand predict the next delta to {} in the median; for windows \
             shorter than half a delta take a probe pair of snapshots as far apart as they are long",
            off(forecast)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_percent_or_factor() {
        let cases = [
            (0.0, "0.0 %"),
            (0.022, "2.2 %"),
            (0.1, "11 %"),
            (0.69, "99 %"),
            (0.8, "x2.2"),
            (3.6, "x37"),
        ];
        for (log_error, expected) in cases {
            assert_eq!(off(log_error), expected);
        }
    }
}
