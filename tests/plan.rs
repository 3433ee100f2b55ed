//! What `plan` makes of wishes that cannot be had together, of fleets and of journals, through the built binary.

use snapmigrate_models::fleet::FleetPlan;
use snapmigrate_models::format::Document;
use snapmigrate_models::plan::Plan;

#[path = "common/cli.rs"]
mod tool;

use tool::{assert_refused, path, scratch, snapmigrate, text, written};

/// Sensible wishes that cannot be had together: exit code 3, and one message with both sides.
#[test]
fn contradictory_policies_are_refused_with_both_sides() {
    let with = |name: &str, old: &str, new: &str| {
        let changed = text("policy.toml").replace(old, new);
        assert_ne!(
            changed,
            text("policy.toml"),
            "{name}: the edit must hit something"
        );
        written("contradictions", name, &changed)
    };
    let key = "kms:eu-west-1:222222222222:key";
    let finish = "latest_finish = \"2026-11-09T06:00:00Z\"";
    let cases = [
        (
            "over.toml",
            "2026-11-09T06",
            "2026-11-01T06",
            ["latest_finish is 2026-11-01", "already"],
        ),
        (
            "soon.toml",
            "2026-11-09T06:00:00Z",
            "2026-11-02T08:01:00Z",
            ["latest_finish is 2026-11-02", "base is expected"],
        ),
        (
            "never.toml",
            finish,
            "latest_finish = \"2026-11-03T02:01:00Z\"",
            ["to end before latest_finish", "no allowed window"],
        ),
        (
            "free.toml",
            "budget_usd = 500.0",
            "budget_usd = 0.0",
            ["budget_usd is 0", "are paid for"],
        ),
        (
            "poor.toml",
            "budget_usd = 500.0",
            "budget_usd = 1.0",
            ["budget_usd is 1.00", "expected to cost"],
        ),
        (
            "zone.toml",
            "eu-west-1a",
            "us-east-1a",
            ["target.zone is us-east-1a", "target.region is eu-west-1"],
        ),
        (
            "letter.toml",
            "eu-west-1a",
            "eu-west-1-moon",
            [
                "target.zone is eu-west-1-moon",
                "target.region is eu-west-1",
            ],
        ),
        (
            "key.toml",
            key,
            "kms:eu-west-1:999999999999:key",
            ["999999999999", "account is 222222222222"],
        ),
        (
            "region.toml",
            key,
            "kms:eu-west-2:222222222222:key",
            ["eu-west-2", "region is eu-west-1"],
        ),
        (
            "path.toml",
            "paths = [\"copy\"]",
            "paths = [\"share\"]",
            ["stays in its region", "does not allow"],
        ),
    ];
    let profile = path("profile.json");
    for (name, old, new, words) in cases {
        let policy = with(name, old, new);
        let at = "2026-11-02T08:00:01Z";
        let arguments = [
            "plan",
            "--profile",
            &profile,
            "--policy",
            &policy,
            "--at",
            at,
        ];
        assert_refused(&arguments, 3, &words);
    }
    let stay = [
        "plan",
        "--profile",
        &profile,
        "--target-account",
        "111111111111",
        "--target-region",
        "us-east-1",
        "--target-zone",
        "us-east-1a",
    ];
    assert_refused(
        &stay,
        3,
        &["account 111111111111, zone us-east-1a", "already"],
    );
}

#[test]
fn what_belongs_to_a_fleet_is_said() {
    let fleet = path("policy-fleet.toml");
    let profile = path("profile.json");
    let plan = ["plan", "--policy", &fleet, "--profile", &profile];
    let output = snapmigrate(&plan);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("i-0001: no profile of it was given"),
        "{told}"
    );
    let picture = [
        "plan",
        "--policy",
        &path("policy.toml"),
        "--profile",
        &profile,
        "--picture",
        "x.svg",
    ];
    assert_refused(&picture, 2, &["timeline of a fleet", "fleet.instances"]);
    let broken =
        text("policy-fleet.toml").replace("max_write_downtime_seconds = 3600", "max_rounds = 0");
    let broken = written("fleet", "broken.toml", &broken);
    let plan = ["plan", "--policy", &broken, "--profile", &profile];
    assert_refused(&plan, 2, &["instance i-0003", "max_rounds is 0"]);
    let from = [
        "plan",
        "--from",
        "/nonexistent/journal",
        "--max-rounds",
        "3",
    ];
    assert_refused(&from, 2, &["keeps to its parent's policy"]);
}

/// Four instances in two clusters, like those of a small scenario: a plan for each, their order, and a picture.
#[test]
fn a_scenarios_fleet_gets_a_plan_for_each_instance() {
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios/tiny.toml");
    let tiny = std::fs::read_to_string(tiny).expect("the scenario exists");
    let groups = "[[fleet.groups]]\ninstances = 4\nworlds = 2\ndomain_size = 2\n\n[[volumes]]";
    let scenario = written(
        "fleet",
        "scenario.toml",
        &tiny.replacen("[[volumes]]", groups, 1),
    );
    let folder = scratch("fleet").join("plans");
    let picture = scratch("fleet").join("fleet.svg");
    let (to, drawn) = (folder.display().to_string(), picture.display().to_string());
    let output = snapmigrate(&[
        "plan",
        "--scenario",
        &scenario,
        "-o",
        &to,
        "--picture",
        &drawn,
        "--json",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let fleet: FleetPlan = serde_json::from_slice(&output.stdout).expect("a fleet plan");
    assert_eq!(
        (fleet.instances.len(), fleet.digest.clone()),
        (4, fleet.computed_digest())
    );
    let saved = std::fs::read_to_string(folder.join("fleet.json")).expect("it was saved");
    assert_eq!(
        FleetPlan::from_json(&saved).expect("it is read back"),
        fleet
    );
    for one in &fleet.instances {
        let text = std::fs::read_to_string(folder.join(format!("{}.json", one.instance)));
        let plan = Plan::from_json(&text.expect("each has a plan")).expect("it is a plan");
        assert_eq!(
            (&plan.digest, plan.computed_digest()),
            (&one.plan_digest, one.plan_digest.clone())
        );
        assert_eq!(plan.source.instance.as_ref(), Some(&one.instance));
    }
    let svg = std::fs::read_to_string(picture).expect("it was drawn");
    assert!(svg.starts_with("<svg") && svg.contains(fleet.instances[0].instance.as_str()));
}
