//! Frozen examples of every file format: each version that was ever written stays readable, and what
//! a later version wrote is refused.

use std::path::Path;

use snapmigrate_lab::Scenario;
use snapmigrate_models::backtest::Backtest;
use snapmigrate_models::campaign::{Campaign, CampaignSummary};
use snapmigrate_models::check::Findings;
use snapmigrate_models::control::{Reply, Request};
use snapmigrate_models::faults::FaultCampaign;
use snapmigrate_models::fleet::{FleetPlan, check as fleet_check};
use snapmigrate_models::format::Document;
use snapmigrate_models::history::PastMigrations;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::policy::Policy;
use snapmigrate_models::profile::Profile;
use snapmigrate_models::report::Report;
use snapmigrate_models::status::Status;
use snapmigrate_models::sync::SyncReport;
use snapmigrate_models::trial::TrialReport;
use snapmigrate_models::verify::DeviceVerification;

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/formats")
        .join(name);
    std::fs::read_to_string(path).expect("the fixture exists")
}

#[track_caller]
fn frozen<T: Document>(name: &str) -> T {
    let text = text(name);
    let document = T::from_json(&text).expect("a frozen example stays readable");
    let again = T::from_json(&document.to_json()).expect("what is written is read");
    assert_eq!(
        again.to_json(),
        document.to_json(),
        "written as it was read"
    );
    let newer = text.replacen(T::FORMAT, &T::FORMAT.replace("/1", "/2"), 1);
    let error = T::from_json(&newer)
        .err()
        .expect("a later version is refused")
        .to_string();
    assert!(error.contains("/2") && error.contains(T::FORMAT), "{error}");
    assert!(
        T::from_json("{}").is_err(),
        "a document must name its format"
    );
    document
}

#[test]
fn profile() {
    let profile: Profile = frozen("profile.json");
    assert_eq!(profile.inventory.volumes.len(), profile.volumes.len());
}

#[test]
fn plan() {
    let plan: Plan = frozen("plan.json");
    assert_eq!(plan.digest, plan.computed_digest(), "sealed");
}

#[test]
fn fleet() {
    let fleet: FleetPlan = frozen("fleet.json");
    assert_eq!(fleet.digest, fleet.computed_digest(), "sealed");
    assert!(!fleet_check(&fleet).refused() && !fleet.limits.is_empty());
}

#[test]
fn trial() {
    let trial: TrialReport = frozen("try.json");
    assert_eq!((trial.trial, trial.steps.len()), (1, 3));
    assert_eq!(trial.steps[2].replay_seconds, Some(38.5));
}

#[test]
fn a_policy_of_a_fleet() {
    let policy = Policy::from_toml(&text("policy-fleet.toml")).expect("stays readable");
    let fleet = policy.fleet.as_ref().expect("a fleet");
    let own = policy.of_member(&fleet.instances[2]).expect("a policy");
    assert_eq!(own.target.zone.as_str(), "us-east-1b");
}

#[test]
fn findings() {
    frozen::<Findings>("findings.json");
}

#[test]
fn backtest() {
    let backtest: Backtest = frozen("backtest.json");
    assert!(backtest.predictions.iter().any(|one| one.scored));
}

#[test]
fn report() {
    let report: Report = frozen("report.json");
    assert!(!report.rounds.is_empty(), "an example with a chain");
}

#[test]
fn campaign() {
    let campaign: Campaign = frozen("campaign.json");
    let again = Campaign::of(&campaign.scenario, campaign.runs.clone());
    let written = |summary: &CampaignSummary| serde_json::to_value(summary).expect("plain values");
    assert_eq!(
        written(&again.summary),
        written(&campaign.summary),
        "counted from its runs"
    );
}

/// Written before a world had several lucks: readable, though its verdicts were counted by another truth.
#[test]
fn campaign_before_worlds() {
    let campaign: Campaign = frozen("campaign-before-worlds.json");
    let again = Campaign::of(&campaign.scenario, campaign.runs.clone());
    let downtime = |summary: &CampaignSummary| summary.write_downtime_at_gate;
    assert_eq!(downtime(&again.summary), downtime(&campaign.summary));
}

#[test]
fn faults() {
    let campaign: FaultCampaign = frozen("faults.json");
    assert_eq!(campaign.outcomes.values().sum::<u64>(), campaign.runs);
    assert!(campaign.kills > 0 && campaign.violations.is_empty());
}

#[test]
fn history() {
    let past: PastMigrations = frozen("history.json");
    assert!(!past.learned().durations.is_empty() && !past.learned().clocks.is_empty());
}

#[test]
fn sync() {
    let sync: SyncReport = frozen("sync.json");
    assert_eq!(
        sync.blocks.changed, sync.blocks.read_back,
        "a proved example"
    );
}

#[test]
fn policy() {
    let text = text("policy.toml");
    let policy = Policy::from_toml(&text).expect("a frozen example stays readable");
    assert_eq!(policy.name, "orders");
    let newer = text.replacen("snapmigrate.policy/1", "snapmigrate.policy/2", 1);
    assert!(
        Policy::from_toml(&newer).is_err(),
        "a later version is refused"
    );
}

#[test]
fn status() {
    let status: Status = frozen("status.json");
    assert!(
        status.executor.is_none(),
        "read from a journal that nobody writes"
    );
}

#[test]
fn verify() {
    let found: DeviceVerification = frozen("verify.json");
    assert_eq!((found.mismatches, found.first_mismatches), (1, vec![1900]));
}

#[test]
fn scenario() {
    let text = text("scenario.toml");
    let scenario = Scenario::parse(&text).expect("a frozen example stays readable");
    assert_eq!(
        (scenario.name.as_str(), scenario.volumes.len()),
        ("frozen", 1)
    );
    let newer = text.replacen("snapmigrate.scenario/1", "snapmigrate.scenario/2", 1);
    let error = Scenario::parse(&newer).expect_err("a later version is refused");
    assert!(error.to_string().contains("scenario/2"), "{error}");
}

/// A request and its reply, turn by turn.
#[test]
fn control() {
    let text = text("control.jsonl");
    let lines: Vec<&str> = text.lines().collect();
    for turn in lines.chunks(2) {
        let request: Request = serde_json::from_str(turn[0]).expect("stays readable");
        let reply: Reply = serde_json::from_str(turn[1]).expect("stays readable");
        assert_eq!(
            serde_json::to_string(&request).expect("plain values"),
            turn[0]
        );
        assert_eq!(
            serde_json::to_string(&reply).expect("plain values"),
            turn[1]
        );
    }
    assert_eq!(lines.len(), 6, "each kind of answer");
}
