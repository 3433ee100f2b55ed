//! A migration over the path `direct` that was given up before anything was mounted, and the next plan for it.

use std::path::Path;

use snapmigrate_models::step::Action;
use tokio::sync::Notify;

use super::*;

const SCENARIO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/scenarios/direct.toml"
);
const SEED: u64 = 11;

fn run<'a>(clock: Clock, watcher: Watcher<'a>) -> Run<'a> {
    Run {
        clock,
        claimant: rehearsing(),
        goal: Goal { cutover: true },
        control: Control::none(),
        watcher,
    }
}

/// Up to the last delta behind the fence, where the process is killed and the operator gives up.
async fn given_up(sides: &Sides, journal: &mut Journal, clock: Clock) -> Ended {
    let reached = Notify::new();
    let mut watcher = |entry: &Entry, progress: &Progress| {
        let last = matches!(
            &entry.event,
            Event::Started {
                action: Action::AwaitSync { .. },
                ..
            }
        );
        if last && progress.fence.is_some() {
            reached.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = reached.notified() => {}
        ended = execute(sides, journal, run(clock, &mut watcher)) => panic!("{ended:?}"),
    }
    let abort = Event::Operator { verb: Verb::Abort };
    journal.append(clock.now(), &abort).expect("it may be said");
    let ended = execute(sides, journal, run(clock, &mut |_, _| {})).await;
    ended.expect("it goes back")
}

#[tokio::test(start_paused = true)]
async fn the_next_plan_puts_what_changed_onto_the_volumes_that_were_left() {
    let scenario = Scenario::load(Path::new(SCENARIO)).expect("a scenario");
    let stage = Stage::set(&scenario, SEED).await.expect("a stage");
    let profile = stage.measure(&scenario).await.expect("a profile");
    let (clock, policy) = (stage.clock, stage.policy.clone());
    let plan = || make_plan(&profile, &policy, clock.now(), SEED).expect("a plan");
    let mut journal = Journal::in_memory(&plan()).expect("a journal");
    let sides = sides(stage, &scenario);
    let ended = given_up(&sides, &mut journal, clock).await;
    let left = matches!(&ended, Ended::Closed { outcome: RunOutcome::Aborted, reason } if reason.contains("stay as they are"));
    assert!(left, "{ended:?}");
    let targets = |progress: &Progress| -> Vec<_> {
        progress
            .restored
            .iter()
            .map(|pair| pair.target.clone())
            .collect()
    };
    let volumes = targets(journal.progress());
    let whole: u64 = journal.progress().rounds[&0]
        .synced
        .iter()
        .map(|s| s.changed_blocks)
        .sum();

    let mut journal = Journal::in_memory(&plan()).expect("a journal");
    let ended = execute(&sides, &mut journal, run(clock, &mut |_, _| {})).await;
    let ended = ended.expect("it runs to an end");
    assert!(
        matches!(
            &ended,
            Ended::Closed {
                outcome: RunOutcome::CutOver,
                ..
            }
        ),
        "{ended:?}"
    );
    let progress = journal.progress();
    assert_eq!(targets(progress), volumes, "the same volumes");
    let base = &progress.rounds[&0].synced;
    assert!(base.iter().all(|synced| synced.from.is_some()), "{base:?}");
    let changed: u64 = base.iter().map(|synced| synced.changed_blocks).sum();
    assert!(changed < whole / 2, "{changed} of {whole} blocks");
    let found = progress.verification.as_ref().expect("it was compared");
    assert_eq!(found.mismatches, 0);
}
