//! SIGKILL of every process in every phase of the cutover, and a reboot of each host.
//!
//! Two cases by default, one of which kills each kind of process once; `SNAPMIGRATE_TEST_KILLS=all` runs the whole
//! matrix (docs/operating.md, "Promises"), and a case's name that one alone.

use super::common::kills::*;
use super::common::postgres::Cluster;

/// One migration in which everybody is killed, but the source's host not rebooted behind its fence.
fn everybody() -> Case {
    use Victim::{Channel, Database, Executor, SourceHelper, TargetHelper, TargetReboot};
    Case {
        name: "everybody".to_owned(),
        kills: vec![
            (GATE, Channel),
            (CHECKPOINT, SourceHelper),
            (FENCED, Executor),
            (THAWED, SourceHelper),
            (COPIES, TargetHelper),
            (VOLUMES, Executor),
            (BRING_UP, Database),
            (PROVE, TargetReboot),
            (COMMIT, SourceHelper),
            (ACTIVATE, Channel),
            (ACTIVATED, TargetReboot),
        ],
        recovers: true,
    }
}

fn all() -> Vec<Case> {
    let phases: Vec<usize> = (0..PHASES.len()).collect();
    let but_the_fence: Vec<usize> = (0..PHASES.len()).filter(|phase| *phase != FENCE).collect();
    let recover = [
        Case::through(Victim::Executor, &phases),
        Case::through(Victim::Channel, &phases),
        Case::through(Victim::SourceHelper, &but_the_fence),
        Case::through(Victim::TargetHelper, &phases),
        Case::through(Victim::TargetReboot, &phases),
        // The source's server ends with the fence; what runs later is the target's.
        Case::through(
            Victim::Database,
            &[BRING_UP, PROVE, COMMIT, ACTIVATE, ACTIVATED],
        ),
    ];
    // A fence that was not finished, or a server that is not the one the gate saw, is let go; and a reboot of the
    // source's host ends the lease: each is a migration of its own.
    let alone = [
        Case::at(FENCE, Victim::SourceHelper),
        Case::at(GATE, Victim::Database),
        Case::at(CHECKPOINT, Victim::Database),
        Case::at(FENCE, Victim::Database),
    ];
    let reboots = phases
        .iter()
        .map(|&phase| Case::at(phase, Victim::SourceReboot));
    recover.into_iter().chain(alone).chain(reboots).collect()
}

#[test]
fn whoever_is_killed_in_whichever_phase_one_side_serves_everything() {
    let sample = vec![everybody(), Case::at(FENCED, Victim::SourceReboot)];
    migrate_through_all::<Cluster>(&asked_for(sample, all()));
}
