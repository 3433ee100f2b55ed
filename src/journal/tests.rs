//! Reopened, torn, corrupted, foreign, newer, locked; and every prefix folds to its own state.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta};
use rusqlite::Connection;
use serde_json::json;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::policy::Policy;
use snapmigrate_models::profile::Profile;
use snapmigrate_models::progress::Progress;
use snapmigrate_models::schedule::make_plan;
use snapmigrate_models::step::{Action, Event, FailureClass, StepResult, Verb};
use snapmigrate_models::units::Timestamp;

use super::{Entry, Journal, JournalError, Recorded};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("snapmigrate-journal-{}-{name}", std::process::id());
        let place = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&place.0).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.0.join("m.journal")
    }

    fn sql(&self, statement: &str) {
        Connection::open(self.file())
            .unwrap()
            .execute_batch(statement)
            .unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A plan of one volume nothing was measured of.
fn plan(seed: u64) -> Plan {
    static MADE: std::sync::OnceLock<Plan> = std::sync::OnceLock::new();
    let made = MADE.get_or_init(|| {
        let policy = json!({
            "name": "m",
            "target": {"account": "222222222222", "region": "eu-west-1", "zone": "eu-west-1a"},
        });
        let volume = json!({
            "volume": "vol-01", "zone": "us-east-1a", "size_gib": 100, "volume_type": "gp3",
            "iops": null, "throughput_mib_per_second": null, "state": "in-use",
            "device": "/dev/sdf", "attached_to": "i-01", "multi_attach": false,
            "encrypted": false, "kms_key": null, "created_at": null, "tags": {},
        });
        let profile = json!({
            "format": "snapmigrate.profile/1",
            "inventory": {
                "taken_at": at(0), "account": "111111111111", "region": "us-east-1",
                "instance": "i-01", "volumes": [volume], "root_volume": null, "snapshots": [],
            },
            "volumes": [{
                "volume": "vol-01", "written_blocks": null, "writes": [], "deltas": [],
                "durations": [],
            }],
            "notes": [],
        });
        let profile: Profile = serde_json::from_value(profile).unwrap();
        let policy: Policy = serde_json::from_value(policy).unwrap();
        make_plan(&profile, &policy, at(0), 1).unwrap()
    });
    Plan {
        seed,
        ..made.clone()
    }
    .sealed()
}

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn events() -> Vec<Event> {
    let step = |action: Action, attempt| {
        [
            Event::Decided {
                action: action.clone(),
                reason: "told".into(),
            },
            Event::Started { action, attempt },
        ]
    };
    let preflight = Action::Preflight;
    let failed = Event::Failed {
        action: preflight.clone(),
        class: FailureClass::Transient,
        message: "throttled".into(),
    };
    let mut events = step(preflight.clone(), 1).to_vec();
    events.push(failed);
    events.push(Event::Waiting {
        until: at(60),
        reason: "a pause".into(),
    });
    events.extend(step(preflight.clone(), 2));
    events.push(Event::Finished {
        action: preflight,
        result: StepResult::Done,
    });
    events.push(Event::Operator {
        verb: Verb::Postpone,
    });
    events
}

fn written(place: &Place) -> Vec<Entry> {
    let mut journal = Journal::open(&place.file(), &plan(1)).unwrap();
    for (second, event) in (0..).zip(events()) {
        journal.append(at(second), &event).unwrap();
    }
    journal.recorded().entries.clone()
}

#[test]
fn a_reopened_journal_holds_what_was_appended_and_goes_on() {
    let place = Place::new("reopen");
    let entries = written(&place);
    let mut journal = Journal::open(&place.file(), &plan(1)).unwrap();
    assert_eq!(journal.recorded().entries, entries);
    let more = Event::Operator {
        verb: Verb::Cutover,
    };
    assert_eq!(
        journal.append(at(99), &more).unwrap().seq,
        entries.len() as u64 + 1
    );
    let read = Recorded::read(&place.file()).unwrap();
    assert_eq!(
        read.progress,
        *journal.progress(),
        "a reader sees it while it is open"
    );
}

#[test]
fn an_event_that_cannot_follow_is_not_appended() {
    let mut journal = Journal::in_memory(&plan(1)).unwrap();
    let early = Event::Started {
        action: Action::Preflight,
        attempt: 1,
    };
    assert!(matches!(
        journal.append(at(0), &early),
        Err(JournalError::Refused(_))
    ));
    assert!(journal.recorded().entries.is_empty());
}

#[test]
fn a_child_takes_over_its_parents_journal_and_no_other() {
    let place = Place::new("child");
    let (parent, stranger) = (plan(1), plan(2));
    let child_of = |of: &Plan| {
        let parent = Some(of.digest.clone());
        Plan { parent, ..plan(3) }.sealed()
    };
    let child = child_of(&parent);
    let orphan = Journal::go_on(&place.file(), &child, at(1)).map(drop);
    assert!(
        matches!(orphan, Err(JournalError::Orphan { .. })),
        "{orphan:?}"
    );
    drop(Journal::open(&place.file(), &parent).unwrap());
    let foreign = Journal::go_on(&place.file(), &child_of(&stranger), at(1)).map(drop);
    assert!(
        matches!(foreign, Err(JournalError::ForeignPlan { .. })),
        "{foreign:?}"
    );
    for _ in 0..2 {
        let journal = Journal::go_on(&place.file(), &child, at(1)).unwrap();
        assert_eq!(journal.recorded().entries.len(), 1, "it takes over once");
    }
    let read = Recorded::read(&place.file()).unwrap();
    assert_eq!((&read.plan, &read.first), (&child, &parent));
    let again = Journal::open(&place.file(), &parent).unwrap();
    assert_eq!(again.recorded().plan, child, "the same command goes on");
    drop(again);
    let foreign = Journal::open(&place.file(), &stranger).map(drop);
    assert!(matches!(foreign, Err(JournalError::ForeignPlan { .. })));
    place.sql("update entries set event = replace(event, '\"seed\":3', '\"seed\":4')");
    assert!(Recorded::read(&place.file()).is_err());
}

#[test]
fn one_writer_at_a_time() {
    let place = Place::new("lock");
    let first = Journal::open(&place.file(), &plan(1)).unwrap();
    let second = Journal::open(&place.file(), &plan(1));
    assert!(matches!(second, Err(JournalError::Locked { .. })));
    drop(first);
    assert!(Journal::open(&place.file(), &plan(1)).is_ok());
}

#[test]
fn a_changed_entry_is_named() {
    let place = Place::new("changed");
    written(&place);
    place.sql("update entries set event = replace(event, 'throttled', 'nothing') where seq = 3");
    let error = Recorded::read(&place.file()).unwrap_err();
    assert!(
        matches!(error, JournalError::Damaged { seq: 3, .. }),
        "{error}"
    );
}

#[test]
fn a_missing_entry_is_named() {
    let place = Place::new("missing");
    written(&place);
    place.sql("delete from entries where seq = 2");
    let error = Recorded::read(&place.file()).unwrap_err();
    assert!(
        matches!(error, JournalError::Damaged { seq: 2, .. }),
        "{error}"
    );
}

#[test]
fn an_edited_plan_is_noticed() {
    let place = Place::new("plan");
    written(&place);
    place.sql(
        "update header set value = replace(value, '\"seed\":1', '\"seed\":2') where key = 'plan'",
    );
    let error = Recorded::read(&place.file()).unwrap_err();
    assert!(
        matches!(error, JournalError::Damaged { seq: 0, .. }),
        "{error}"
    );
}

#[test]
fn foreign_newer_and_other_files_are_refused() {
    let place = Place::new("foreign");
    written(&place);
    let foreign = Journal::open(&place.file(), &plan(2)).map(drop);
    assert!(matches!(foreign, Err(JournalError::ForeignPlan { .. })));
    place.sql("update header set value = 'snapmigrate.journal/2' where key = 'format'");
    let newer = Recorded::read(&place.file()).unwrap_err();
    assert!(
        newer.to_string().contains("snapmigrate.journal/2"),
        "{newer}"
    );
    std::fs::write(
        place.file(),
        "no database at all, but long enough to look at",
    )
    .unwrap();
    assert!(Recorded::read(&place.file()).is_err());
    assert!(Journal::open(&place.file(), &plan(1)).is_err());
}

#[test]
fn a_file_cut_short_is_refused() {
    let place = Place::new("short");
    written(&place);
    let bytes = std::fs::read(place.file()).unwrap();
    std::fs::write(place.file(), &bytes[..bytes.len() / 2]).unwrap();
    assert!(Recorded::read(&place.file()).is_err());
}

#[test]
fn a_file_cut_to_nothing_is_not_begun_anew() {
    let place = Place::new("nothing");
    written(&place);
    std::fs::write(place.file(), "").unwrap();
    let error = Journal::open(&place.file(), &plan(1)).unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
    // One whose beginning was interrupted has no name yet, and is begun anew.
    std::fs::remove_file(place.file()).unwrap();
    std::fs::write(format!("{}.begun", place.file().display()), "half").unwrap();
    assert!(Journal::open(&place.file(), &plan(1)).is_ok());
}

#[test]
fn every_prefix_is_a_journal_of_its_own() {
    let place = Place::new("prefix");
    let entries = written(&place);
    for count in (0..entries.len()).rev() {
        place.sql(&format!("delete from entries where seq > {count}"));
        let read = Recorded::read(&place.file()).unwrap();
        assert_eq!(read.entries, entries[..count]);
        let prefix = entries[..count]
            .iter()
            .map(|entry| (entry.at, &entry.event));
        assert_eq!(read.progress, Progress::fold(prefix).unwrap());
    }
}

#[test]
fn the_same_entries_export_the_same_bytes() {
    let (one, two) = (Place::new("export-1"), Place::new("export-2"));
    written(&one);
    written(&two);
    let export = Recorded::read(&one.file()).unwrap().export();
    assert_eq!(export, Recorded::read(&two.file()).unwrap().export());
    assert_eq!(export.lines().count(), events().len() + 1);
    assert!(
        export
            .lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
}
