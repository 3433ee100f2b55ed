//! The fence machine against a fake clock and a fake database.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn facts() -> FenceReply {
    FenceReply {
        fenced_at: at(2),
        last_source_write: at(1),
        lsn: "0/3000028".into(),
        system_identifier: "7".into(),
        timeline: 1,
        started_at: None,
        transactions: None,
    }
}

fn step(fence: &Fence, event: Event, now: f64) -> (Fence, Effect) {
    fence.after(event, BootSeconds(now)).unwrap()
}

fn code(fence: &Fence, event: Event, now: f64) -> ErrorCode {
    fence.after(event, BootSeconds(now)).unwrap_err().code
}

fn ask(epoch: u64) -> Event {
    Event::FenceAsked {
        epoch,
        lease_seconds: 10.0,
    }
}

fn commit(epoch: u64) -> Event {
    Event::CommitAsked { epoch, at: at(5) }
}

/// Fenced under epoch 3 at boot second 0 with ten seconds of lease.
fn leased() -> Fence {
    let (fencing, effect) = step(&Fence::open("boot"), ask(3), 0.0);
    assert_eq!(effect, Effect::Stop);
    step(&fencing, Event::Stopped(facts()), 1.0).0
}

#[test]
fn a_fence_is_leased_then_committed_for_good() {
    let (permanent, _) = step(&leased(), commit(3), 9.9);
    assert_eq!(permanent.shown(), FenceState::Permanent);
    assert_eq!(
        step(&permanent, Event::Tick, 1e9),
        (permanent.clone(), Effect::None)
    );
    assert_eq!(
        step(&permanent, commit(3), 1e9).0,
        permanent,
        "a repeated commit is acknowledged again"
    );
    assert_eq!(
        code(&permanent, Event::UnfenceAsked { epoch: 3 }, 11.0),
        ErrorCode::Committed
    );
    assert_eq!(code(&permanent, ask(4), 11.0), ErrorCode::Committed);
    assert_eq!(
        permanent.clone().resumed("another boot").phase,
        permanent.phase
    );
}

#[test]
fn a_lease_that_ends_releases_the_database_and_refuses_the_commit() {
    assert_eq!(step(&leased(), Event::Tick, 9.9).1, Effect::None);
    assert_eq!(code(&leased(), commit(3), 10.0), ErrorCode::LeaseEnded);
    let (releasing, effect) = step(&leased(), Event::Tick, 10.0);
    assert_eq!(effect, Effect::Release);
    assert_eq!(code(&releasing, commit(3), 10.0), ErrorCode::LeaseEnded);
    assert_eq!(
        step(&releasing, Event::Tick, 10.1).1,
        Effect::Release,
        "tried until the database serves"
    );
    let (open, _) = step(&releasing, Event::Released, 12.0);
    assert_eq!(open.phase, Phase::Open);
    assert_eq!(code(&open, commit(3), 12.0), ErrorCode::LeaseEnded);
    assert_eq!(code(&open, ask(2), 12.0), ErrorCode::StaleEpoch);
}

#[test]
fn fencing_twice_answers_the_same_facts_and_a_newer_epoch_takes_over() {
    let (again, effect) = step(&leased(), ask(3), 5.0);
    assert_eq!(effect, Effect::None);
    assert_eq!(
        again.phase,
        Phase::Leased {
            lease_end: BootSeconds(15.0),
            facts: facts()
        }
    );
    assert_eq!(code(&leased(), ask(3), 10.0), ErrorCode::LeaseEnded);
    let (newer, _) = step(&leased(), ask(4), 5.0);
    for event in [commit(3), Event::UnfenceAsked { epoch: 3 }] {
        assert_eq!(code(&newer, event, 5.0), ErrorCode::StaleEpoch);
    }
    assert_eq!(
        step(&newer, commit(4), 6.0).0.shown(),
        FenceState::Permanent
    );
}

#[test]
fn a_commit_of_an_epoch_that_never_fenced_is_refused() {
    assert_eq!(code(&leased(), commit(4), 1.0), ErrorCode::NotFenced);
    assert_eq!(
        code(&Fence::open("boot"), commit(1), 1.0),
        ErrorCode::NotFenced
    );
}

#[test]
fn a_fence_that_fails_or_takes_longer_than_its_lease_is_let_go() {
    let (fencing, _) = step(&Fence::open("boot"), ask(3), 0.0);
    assert_eq!(code(&fencing, commit(3), 1.0), ErrorCode::NotFenced);
    assert_eq!(
        step(
            &fencing,
            Event::StopFailed {
                reason: "no".into()
            },
            1.0
        )
        .1,
        Effect::Release
    );
    assert_eq!(
        step(&fencing, Event::Stopped(facts()), 10.0).1,
        Effect::Release
    );
}

#[test]
fn a_restarted_helper_keeps_the_lease_and_a_rebooted_host_voids_it() {
    assert_eq!(leased().resumed("boot"), leased());
    let rebooted = leased().resumed("new boot");
    assert_eq!(rebooted.epoch, Some(4));
    assert_eq!(code(&rebooted, commit(3), 1.0), ErrorCode::StaleEpoch);
    assert_eq!(step(&rebooted, Event::Tick, 1.0).1, Effect::Release);
    let (fencing, _) = step(&Fence::open("boot"), ask(3), 0.0);
    assert!(matches!(
        fencing.resumed("boot").phase,
        Phase::Releasing { .. }
    ));
}

fn any_event() -> impl Strategy<Value = Event> {
    let lease = 1.0..20.0f64;
    prop_oneof![
        (1..4u64, lease).prop_map(|(epoch, lease_seconds)| Event::FenceAsked {
            epoch,
            lease_seconds
        }),
        Just(Event::Stopped(facts())),
        Just(Event::StopFailed {
            reason: "failed".into()
        }),
        (1..4u64).prop_map(commit),
        (1..4u64).prop_map(|epoch| Event::UnfenceAsked { epoch }),
        Just(Event::Tick),
        Just(Event::Released),
    ]
}

proptest! {
    /// Whatever happens in whatever order, with restarts and reboots between: after an acknowledged commit the
    /// database is never released, epochs never fall, and a commit is acknowledged only under a running lease.
    #[test]
    fn no_history_has_two_writers(history in prop::collection::vec((any_event(), 0.0..6.0f64, 0..12u8), 1..60)) {
        let (mut fence, mut now, mut boot, mut committed) = (Fence::open("0"), 0.0, 0, false);
        for (event, passed, restart) in history {
            now += passed;
            boot += u32::from(restart == 0);
            if restart <= 1 {
                fence = fence.resumed(&boot.to_string());
            }
            let Ok((next, effect)) = fence.after(event.clone(), BootSeconds(now)) else { continue };
            prop_assert!(next.epoch >= fence.epoch);
            prop_assert!(!(committed && effect == Effect::Release));
            if matches!(event, Event::CommitAsked { .. }) && !committed {
                prop_assert!(fence.lease_remaining_seconds(BootSeconds(now)).unwrap() > 0.0);
                committed = true;
            }
            prop_assert!(!committed || next.shown() == FenceState::Permanent);
            fence = next;
        }
    }
}
