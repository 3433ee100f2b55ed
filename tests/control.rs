//! The control verbs through the built binary, on a journal that nobody executes, and files that are none.

use std::path::PathBuf;

use snapmigrate::journal::{Journal, Recorded};
use snapmigrate_models::format::Document;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::step::{Event, Verb};

#[path = "common/cli.rs"]
mod tool;

use tool::{assert_refused, scratch, snapmigrate, text};

fn plan() -> Plan {
    Plan::from_json(&text("plan.json")).expect("the frozen plan")
}

/// A journal that was begun; its path as an argument.
fn begun(test: &str) -> String {
    let path = scratch(test).join("orders.journal.sqlite");
    for suffix in ["", ".postpone"] {
        drop(std::fs::remove_file(format!("{}{suffix}", path.display())));
    }
    drop(Journal::open(&path, &plan()).expect("a journal"));
    path.display().to_string()
}

#[track_caller]
fn done(arguments: &[&str]) -> String {
    let output = snapmigrate(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn words(journal: &str) -> Vec<Verb> {
    let recorded = Recorded::read(&PathBuf::from(journal)).expect("a journal");
    let verb = |event: &Event| match event {
        Event::Operator { verb } => Some(*verb),
        _ => None,
    };
    let entries = recorded.entries.iter();
    entries.filter_map(|entry| verb(&entry.event)).collect()
}

#[test]
fn dangerous_words_need_the_name_and_the_others_do_not() {
    let (journal, name) = (begun("control-names"), plan().name);
    for dangerous in [
        &["cutover"][..],
        &["abort", "--delete-snapshots"],
        &["revert"],
        &["finalize"],
        &["limits", "--budget", "100"],
    ] {
        let unnamed = [dangerous, &[&journal]].concat();
        assert_refused(&unnamed, 2, &["must be given", &name]);
        let misnamed = [dangerous, &[&journal, "--confirm", "another"]].concat();
        assert_refused(&misnamed, 2, &["another", &name, "nothing was changed"]);
    }
    assert_eq!(words(&journal), [], "nothing was changed");
    done(&["postpone", &journal]);
    done(&["postpone", &journal, "--release"]);
    done(&["cutover", &journal, "--confirm", &name]);
    done(&["abort", &journal]);
    let said = [Verb::Postpone, Verb::Release, Verb::Cutover, Verb::Abort];
    assert_eq!(words(&journal), said);
}

#[test]
fn limits_are_journaled_and_impossible_ones_refused() {
    let (journal, name) = (begun("control-limits"), plan().name);
    let limits = |more: &[&str]| {
        let all = [&["limits", &journal, "--confirm", &name], more].concat();
        snapmigrate(&all).status.code()
    };
    assert_eq!(
        limits(&["--max-write-downtime", "20m", "--any-time"]),
        Some(0)
    );
    assert_eq!(limits(&["--window", "25:00-26:00"]), Some(3));
    assert_eq!(limits(&["--max-write-downtime", "soon"]), Some(2));
    assert_eq!(limits(&[]), Some(2));
    let recorded = Recorded::read(&PathBuf::from(&journal)).expect("a journal");
    assert_eq!(recorded.entries.len(), 1);
    let moved = recorded.progress.limits;
    assert_eq!(moved.max_write_downtime_seconds, Some(1200.0));
    assert_eq!(moved.windows, Some(Vec::new()));
}

#[test]
fn the_flag_file_is_seen_and_said() {
    let journal = begun("control-flag");
    let flag = format!("{journal}.postpone");
    assert!(!done(&["status", &journal]).contains("postponed"));
    std::fs::write(&flag, "").expect("touched");
    assert!(done(&["status", &journal]).contains("postponed"));
    assert_refused(
        &["postpone", &journal, "--release"],
        2,
        &[&flag, "remove it"],
    );
}

#[test]
fn files_that_are_no_journal_of_this_plan_change_nothing() {
    let journal = begun("control-bad");
    let whole = std::fs::read(&journal).expect("a file");
    let execute = |plan: &str| {
        let output = snapmigrate(&["execute", plan, "--journal", &journal]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let fixture = tool::path("plan.json");
    for cut in [0, 100, whole.len() / 2] {
        std::fs::write(&journal, &whole[..cut]).expect("written");
        let (code, said) = execute(&fixture);
        assert!(matches!(code, Some(1 | 2)), "{cut} bytes: {code:?} {said}");
        assert!(said.contains("nothing was changed"), "{said}");
        let after = std::fs::read(&journal).expect("a file");
        assert!(after == whole[..cut], "{cut} bytes were changed");
    }
    std::fs::write(&journal, &whole).expect("written");
    let other = Plan { seed: 99, ..plan() };
    let other = tool::written("control-bad", "other.json", &other.sealed().to_json());
    let (code, said) = execute(&other);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("not of plan"), "{said}");
    let edited = text("plan.json").replacen("\"name\": \"", "\"name\": \"x", 1);
    assert_ne!(edited, text("plan.json"), "the edit must hit something");
    let edited = tool::written("control-bad", "edited.json", &edited);
    let (code, said) = execute(&edited);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("digest does not match"), "{said}");
}
