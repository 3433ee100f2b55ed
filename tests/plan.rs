//! What `plan` makes of wishes that cannot be had together, of fleets and of journals, through the built binary.

#[path = "common/cli.rs"]
mod tool;

use tool::{assert_refused, path, snapmigrate, text, written};

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
            "2026-11-09T06",
            "2026-11-02T09",
            ["latest_finish is 2026-11-02", "base is expected"],
        ),
        (
            "never.toml",
            finish,
            "latest_finish = \"2026-11-03T02:01:00Z\"",
            ["latest_finish is 2026-11-03", "no allowed window"],
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
