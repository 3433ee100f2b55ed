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
        notice: &|_| {},
        watcher,
    }
}

/// Executes until such a step is begun, where the process is killed.
async fn killed_at(
    sides: &Sides,
    journal: &mut Journal,
    clock: Clock,
    step: impl Fn(&Action, &Progress) -> bool,
) {
    let reached = Notify::new();
    let mut watcher = |entry: &Entry, progress: &Progress| {
        if let Event::Started { action, .. } = &entry.event
            && step(action, progress)
        {
            reached.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = reached.notified() => {}
        ended = execute(sides, journal, run(clock, &mut watcher)) => panic!("{ended:?}"),
    }
}

/// The same command once more, to its end.
async fn ended(sides: &Sides, journal: &mut Journal, clock: Clock) -> Ended {
    let ended = execute(sides, journal, run(clock, &mut |_, _| {})).await;
    ended.expect("it runs to an end")
}

/// Killed at the last delta behind the fence, and given up by the operator.
async fn given_up(sides: &Sides, journal: &mut Journal, clock: Clock) -> Ended {
    let last_delta = |action: &Action, progress: &Progress| {
        matches!(action, Action::AwaitSync { .. }) && progress.fence.is_some()
    };
    killed_at(sides, journal, clock, last_delta).await;
    let abort = Event::Operator { verb: Verb::Abort };
    journal.append(clock.now(), &abort).expect("it may be said");
    ended(sides, journal, clock).await
}

fn is_cut_over(ended: &Ended) -> bool {
    matches!(
        ended,
        Ended::Closed {
            outcome: RunOutcome::CutOver,
            ..
        }
    )
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
    let end = given_up(&sides, &mut journal, clock).await;
    let stays = |reason: &str| reason.contains("stay as they are");
    let left =
        matches!(&end, Ended::Closed { outcome: RunOutcome::Aborted, reason } if stays(reason));
    assert!(left, "{end:?}");
    let targets = |progress: &Progress| -> Vec<_> {
        progress
            .restored
            .iter()
            .map(|pair| pair.target.clone())
            .collect()
    };
    let volumes = targets(journal.progress());
    let changed = |progress: &Progress| -> u64 {
        progress.rounds[&0]
            .synced
            .iter()
            .map(|synced| synced.changed_blocks)
            .sum()
    };
    let whole = changed(journal.progress());

    let mut journal = Journal::in_memory(&plan()).expect("a journal");
    let end = ended(&sides, &mut journal, clock).await;
    assert!(is_cut_over(&end), "{end:?}");
    let progress = journal.progress();
    assert_eq!(targets(progress), volumes, "the same volumes");
    let base = &progress.rounds[&0].synced;
    assert!(base.iter().all(|synced| synced.from.is_some()), "{base:?}");
    assert!(
        changed(progress) < whole / 2,
        "{} of {whole} blocks",
        changed(progress)
    );
    let found = progress.verification.as_ref().expect("it was compared");
    assert_eq!(found.mismatches, 0);
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_snapshot_is_lost_is_compared_by_what_was_read_back() {
    let scenario = Scenario::load(Path::new(SCENARIO)).expect("a scenario");
    let stage = Stage::set(&scenario, SEED).await.expect("a stage");
    let profile = stage.measure(&scenario).await.expect("a profile");
    let clock = stage.clock;
    let plan = make_plan(&profile, &stage.policy, clock.now(), SEED).expect("a plan");
    let mut journal = Journal::in_memory(&plan).expect("a journal");
    let sides = sides(stage, &scenario);
    let compare = |action: &Action, _: &Progress| matches!(action, Action::Compare);
    killed_at(&sides, &mut journal, clock, compare).await;
    let lost = journal.progress().kept[0].snapshot.clone();
    sides
        .target
        .delete_snapshot(&lost)
        .await
        .expect("somebody deletes it");
    let end = ended(&sides, &mut journal, clock).await;
    assert!(is_cut_over(&end), "{end:?}");
    let progress = journal.progress();
    let found = progress.verification.as_ref().expect("it was compared");
    let synced = progress.rounds.values().flat_map(|round| &round.synced);
    let read_back: u64 = synced.map(|synced| synced.read_back_blocks).sum();
    assert_eq!(
        (found.method.as_str(), found.blocks_compared),
        ("read_back", read_back)
    );
}
