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
    fault_campaign(&scenario, seeds, threads, Journal::in_memory, |_| {}).unwrap()
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
