//! A small campaign: forecasts keep their word in worlds they were not told of, and the number of threads changes
//! nothing. The full one is `snapmigrate rehearse fixtures/scenarios/calibration.toml --runs 200`.

use std::path::Path;

use snapmigrate::rehearse::campaign;
use snapmigrate_models::campaign::{Campaign, CampaignRun, Coverage};

const SCENARIO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/scenarios/calibration.toml"
);
const FIRST_SEED: u64 = 1000;

fn rehearsed(runs: usize, threads: usize) -> Vec<CampaignRun> {
    campaign(Path::new(SCENARIO), (FIRST_SEED, runs), threads, |_| {})
}

#[track_caller]
fn holds(what: &str, coverage: &Coverage, widest: f64) {
    // A dozen runs: bounds that a model without bias stays within, and one that is off by a factor of two does not.
    let (half, most) = (coverage.under_p50_percent, coverage.under_p90_percent);
    assert!((15.0..=92.0).contains(&half), "{what}: {half} % under P50");
    assert!(most >= 65.0, "{what}: {most} % under P90");
    let width = coverage.median_p90_over_p50;
    assert!(
        (1.05..=widest).contains(&width),
        "{what}: P90 is {width} x P50"
    );
}

#[test]
fn plan_and_gate_keep_their_word_in_a_dozen_worlds() {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let campaign = Campaign::of("calibration", rehearsed(12, threads));
    let summary = &campaign.summary;
    let failures: Vec<&CampaignRun> = campaign
        .runs
        .iter()
        .filter(|r| r.failure.is_some())
        .collect();
    assert!(failures.is_empty(), "{failures:?}");
    holds(
        "write downtime at plan time",
        &summary.write_downtime_at_plan,
        3.5,
    );
    holds(
        "write downtime at the gate",
        &summary.write_downtime_at_gate,
        2.2,
    );
    let error = summary.final_delta_at_gate.median_abs_log_error;
    assert!(
        error < 0.4,
        "the final delta at the gate is off by {error} (ln)"
    );
    // Truth is one actual downtime, the verdict speaks of P90: a cautious no is counted as wrong here.
    assert!(
        summary.verdict.right_percent >= 50.0,
        "{:?}",
        summary.verdict
    );
}

#[test]
fn the_number_of_threads_changes_nothing() {
    assert_eq!(rehearsed(3, 1), rehearsed(3, 3));
}

#[test]
fn a_scenario_that_cannot_be_used_is_told_by_each_run() {
    let runs = campaign(Path::new("no-such-scenario.toml"), (1, 2), 2, |_| {});
    assert!(runs.iter().all(|run| {
        let failure = run.failure.as_deref().unwrap_or_default();
        failure.contains("no-such-scenario.toml")
    }));
    assert_eq!(runs.len(), 2);
}
