//! Disturbed and killed rehearsals: whatever is lost, fails or dies, one side serves with all that was acknowledged.
//!
//! A sample: `SNAPMIGRATE_FAULTS=1000 cargo test --test faults` takes more seeds, `SNAPMIGRATE_KILL_STRIDE=1` every
//! place. All of it is `tests/trouble faults` and `tests/trouble kill-points`.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::num::NonZero;
use std::path::Path;

use snapmigrate::journal::Journal;
use snapmigrate::rehearse::{Chosen, Field, fault_campaign, kill_campaign};
use snapmigrate_lab::Scenario;
use snapmigrate_models::faults::{FaultCampaign, FaultRun};

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios/tiny.toml");
/// Copied, shared, copied under another key in the target's account, and written by the target's host.
const SCENARIOS: [&str; 4] = ["tiny", "tiny-share", "tiny-key", "direct"];
const RUNS: u64 = 16;
const STRIDE: u64 = 59;

fn scenarios() -> Vec<Scenario> {
    let folder = Path::new(SCENARIO).parent().unwrap();
    let load = |name: &&str| Scenario::load(&folder.join(format!("{name}.toml"))).unwrap();
    SCENARIOS.iter().map(load).collect()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|n| n.parse().unwrap())
}

fn disturbed(seeds: &[u64], revert: bool, threads: usize) -> Vec<FaultRun> {
    let scenarios = scenarios();
    let field = Field {
        scenarios: &scenarios,
        revert,
        threads,
    };
    fault_campaign(field, seeds, Journal::in_memory, |_| {}).unwrap()
}

fn campaign(runs: &[FaultRun]) -> FaultCampaign {
    let campaign = FaultCampaign::of(&SCENARIOS, 0, runs);
    assert!(campaign.violations.is_empty(), "{:#?}", campaign.violations);
    campaign
}

#[test]
fn no_trouble_breaks_a_promise() {
    for (first, revert, ends) in [(500, false, "cut_over"), (900_500, true, "reverted")] {
        let runs = asked("SNAPMIGRATE_FAULTS").unwrap_or(RUNS) / 2;
        let seeds: Vec<u64> = (first..first + runs).collect();
        let campaign = campaign(&disturbed(&seeds, revert, threads()));
        assert!(
            campaign.kills >= runs / 2 && campaign.faults_injected >= runs,
            "{campaign:?}"
        );
        assert!(campaign.outcomes.contains_key(ends), "{campaign:?}");
    }
}

#[test]
fn a_seed_shows_the_same_again_on_any_thread_to_the_last_byte_of_its_journal() {
    let seeds = [510, 511, 512, 513];
    let shown = disturbed(&seeds, false, 1);
    assert_eq!(shown, disturbed(&seeds, false, 3));
    assert!(shown.iter().all(|run| !run.journal.is_empty()));
}

#[test]
fn a_death_at_any_place_is_survived() {
    let scenarios = scenarios();
    let stride = asked("SNAPMIGRATE_KILL_STRIDE").unwrap_or(STRIDE);
    for (revert, ends) in [(false, "cut_over"), (true, "reverted")] {
        let field = Field {
            scenarios: &scenarios,
            revert,
            threads: threads(),
        };
        let chosen = Chosen::Every { stride, offset: 7 };
        let campaign = campaign(&kill_campaign(field, &chosen, |_| {}).unwrap());
        assert_eq!(campaign.kills, campaign.runs);
        assert!(
            campaign.by_scenario.iter().all(|counts| counts.runs >= 4),
            "{campaign:?}"
        );
        // A death between fence and commit may cost the lease: then the source serves.
        assert!(campaign.outcomes[ends] * 2 > campaign.runs, "{campaign:?}");
    }
}

/// What the binary says.
fn said(arguments: &[&str]) -> FaultCampaign {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_snapmigrate"));
    let command = command.args(["rehearse", SCENARIO, "--json", "-q"]);
    let output = command.args(arguments).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the binary counts under these seeds: kills and faults.
fn counted(first: &str, runs: &str) -> [u64; 2] {
    let campaign = said(&["--seed", first, "--faults", runs]);
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

#[test]
fn a_death_can_be_shown_alone() {
    let campaign = said(&["--kill-point", "100"]);
    let (runs, kills) = (campaign.runs, campaign.kills);
    assert_eq!((runs, kills, campaign.violations.len()), (1, 1, 0));
    let (code, text, _) = killed_at("100");
    assert!(
        code == Some(0) && text.contains("no promise was broken"),
        "{text}"
    );
    assert!(text.lines().count() > 50, "its journal: {text}");
    let (code, _, complaint) = killed_at("nowhere");
    assert!(
        code == Some(2) && complaint.contains("no such place"),
        "{complaint}"
    );
}

/// Exit code, output and complaints of one death.
fn killed_at(place: &str) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_snapmigrate"));
    let command = command.args(["rehearse", SCENARIO, "--kill-point", place]);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}
