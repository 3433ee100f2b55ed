//! Two writers are impossible: the fence machine of both hosts under every order of events, up to a bound.
//!
//! The transitions are the helper's own (`host::fence`, `host::target::rules`); modelled here is only what surrounds
//! them: the database process, its supervisor, reboots, and a network in which every request may be lost, late and
//! doubled. No executor is modelled but by the two rules that bind all of them: an activation is sent only after the
//! source's commit was acknowledged, a reopening only after the other side's. So any number of executors is covered.
//! The argument and its assumptions are in docs/two-writers.md.

#[path = "two_writers/model.rs"]
mod model;

use model::{Machine, Protocol};
use stateright::{Checker, HasDiscoveries, Model};

/// Every property of the protocol as it is.
#[test]
fn no_order_of_events_has_two_writers() {
    let checker = Protocol::of(Machine::Real).checker().spawn_bfs().join();
    checker.assert_properties();
    let states = checker.unique_state_count();
    assert!(
        states > 5_000,
        "only {states} states: the model lost its events"
    );
}

/// The checker must be able to find what it looks for.
#[test]
fn a_broken_machine_has_two_writers() {
    for machine in Machine::BROKEN {
        let model = Protocol::of(machine);
        let first = HasDiscoveries::AnyFailures;
        let checker = model.checker().finish_when(first).spawn_bfs().join();
        let found = checker.discovery(model::ONE_WRITER);
        assert!(found.is_some(), "{machine:?} went unnoticed");
    }
}
