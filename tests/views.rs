//! What people see, as expected files: the frozen examples through every view. After a wanted change run
//! with `UPDATE_VIEWS=1` and read the difference.

use std::path::{Path, PathBuf};

use snapmigrate::view;
use snapmigrate_models::backtest::{Backtest, pooled};
use snapmigrate_models::check::Findings;
use snapmigrate_models::format::Document;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::profile::Profile;
use snapmigrate_models::progress::Progress;
use snapmigrate_models::report::Report;
use snapmigrate_models::status::status;
use snapmigrate_models::step::{Action, Event};
use snapmigrate_models::trial::TrialReport;
use snapmigrate_models::units::{Quantiles, Timestamp};

fn fixtures(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(path)
}

fn example<T: Document>(name: &str) -> T {
    let text = std::fs::read_to_string(fixtures("formats").join(name)).expect("the fixture exists");
    T::from_json(&text).expect("a frozen example is readable")
}

#[track_caller]
fn assert_shows(name: &str, shown: &str) {
    let path = fixtures("views").join(name);
    if std::env::var_os("UPDATE_VIEWS").is_some() {
        std::fs::write(&path, shown).expect("the fixtures can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shown == expected,
        "{} differs from what is shown:\n{shown}",
        path.display()
    );
    let blanks = shown.lines().find(|line| line.ends_with(' '));
    assert_eq!(blanks, None, "no line ends in a blank");
}

#[test]
fn plan() {
    assert_shows("plan.txt", &view::plan(&example::<Plan>("plan.json")));
}

#[test]
fn backtest() {
    let one: Backtest = example("backtest.json");
    let two = pooled(vec![one.clone(), one.clone()]);
    let shown = view::backtest(&one, false)
        + "\n"
        + &view::backtest(&two, true)
        + &view::backtest_goals(&two);
    assert_shows("backtest.txt", &shown);
}

#[test]
fn runbook() {
    let plan: Plan = example("plan.json");
    let markdown = view::runbook(&plan, "orders.json").markdown();
    assert_shows("runbook.md", &markdown);
    let execute = "snapmigrate execute orders.json --cutover --journal orders.journal.sqlite";
    for needed in [
        execute,
        "POINT OF NO RETURN",
        "**Deadline:**",
        "When a step fails",
    ] {
        assert!(markdown.contains(needed), "{needed:?} is missing");
    }
}

#[test]
fn profile() {
    assert_shows(
        "profile.txt",
        &view::profile(&example::<Profile>("profile.json")),
    );
}

#[test]
fn a_restore_that_was_tried() {
    let told: TrialReport = example("try.json");
    let mut untold = told.clone();
    for step in &mut untold.steps {
        step.replay_seconds = None;
    }
    let shown = view::trial(&told) + "\n" + &view::trial(&untold);
    assert_shows("try.txt", &shown);
}

#[test]
fn findings() {
    assert_shows(
        "findings.txt",
        &view::findings(&example::<Findings>("findings.json")),
    );
}

#[test]
fn report() {
    assert_shows(
        "report.txt",
        &view::report(&example::<Report>("report.json")),
    );
}

#[test]
fn status_of_a_running_step() {
    let plan: Plan = example("plan.json");
    let at = |minutes: i64| plan.made_at + chrono::TimeDelta::minutes(minutes);
    let action = Action::Preflight;
    let reason = "begin with what could refuse".to_owned();
    let events: [(Timestamp, Event); 2] = [
        (
            at(0),
            Event::Decided {
                action: action.clone(),
                reason,
            },
        ),
        (at(1), Event::Started { action, attempt: 1 }),
    ];
    let progress = Progress::fold(events.iter().map(|(at, event)| (*at, event)));
    let progress = progress.expect("a legal beginning");
    assert_shows(
        "status.txt",
        &view::status(&status(&plan, &progress, at(3))),
    );
    let mut late = status(&plan, &progress, at(3));
    let running = late.running.as_mut().expect("one runs");
    (running.action, running.expected_seconds) = (
        Action::AwaitSnapshots { round: 0 },
        Some(Quantiles {
            p50: 30.0,
            p90: 60.0,
            p99: 90.0,
        }),
    );
    assert_shows("status-late.txt", &view::status(&late));
    let lines: Vec<String> = events
        .iter()
        .filter_map(|(at, event)| view::line(*at, event))
        .collect();
    assert!(
        lines[0].ends_with("decided: begin with what could refuse"),
        "{lines:?}"
    );
    assert!(
        lines[1].ends_with("check accounts, hosts and lineage"),
        "{lines:?}"
    );
}
