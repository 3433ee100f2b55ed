//! Disturbed rehearsals: whatever is lost, fails or dies, one side serves with all that was acknowledged.
//!
//! A sample: `SNAPMIGRATE_FAULTS=1000 cargo test --test faults` takes more seeds. All of it is
//! `snapmigrate rehearse fixtures/scenarios/tiny.toml --faults 10000` and the same with `--kill-points`.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use snapmigrate::journal::Journal;
use snapmigrate::rehearse::fault_campaign;
use snapmigrate_lab::Scenario;
use snapmigrate_models::faults::{FaultCampaign, FaultRun};

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios/tiny.toml");
const RUNS: u64 = 40;

fn disturbed(seeds: &[u64], threads: usize) -> Vec<FaultRun> {
    let scenario = Scenario::load(Path::new(SCENARIO)).unwrap();
    fault_campaign(
        &scenario,
        (seeds, false),
        threads,
        Journal::in_memory,
        |_| {},
    )
    .unwrap()
}

#[test]
fn no_trouble_breaks_a_promise() {
    let more = std::env::var("SNAPMIGRATE_FAULTS").map(|n| n.parse().unwrap());
    let seeds: Vec<u64> = (500..500 + more.unwrap_or(RUNS)).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let campaign = FaultCampaign::of("tiny", 500, &disturbed(&seeds, threads));
    assert!(campaign.violations.is_empty(), "{:#?}", campaign.violations);
    assert!(
        campaign.kills >= RUNS / 2 && campaign.faults_injected >= RUNS,
        "{campaign:?}"
    );
    assert!(
        campaign.outcomes["cut_over"] > campaign.runs / 2,
        "{campaign:?}"
    );
}

#[test]
fn a_seed_shows_the_same_again_on_any_thread() {
    let seeds = [510, 511, 512];
    assert_eq!(disturbed(&seeds, 1), disturbed(&seeds, 3));
}

/// What the binary counts under these seeds: kills and faults.
fn counted(first: &str, runs: &str) -> [u64; 2] {
    let arguments = [
        "rehearse", SCENARIO, "--json", "-q", "--seed", first, "--faults", runs,
    ];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_snapmigrate"));
    let output = command.args(arguments).output().unwrap();
    let campaign: FaultCampaign = serde_json::from_slice(&output.stdout).unwrap();
    [campaign.kills, campaign.faults_injected]
}

#[test]
fn a_run_of_a_campaign_can_be_shown_alone() {
    let (both, one, other) = (
        counted("520", "2"),
        counted("520", "1"),
        counted("521", "1"),
    );
    assert_eq!(both, [one[0] + other[0], one[1] + other[1]]);
    assert!(both[1] > 0 && one != other, "{one:?} {other:?}");
}
