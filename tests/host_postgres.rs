//! The helper with a real PostgreSQL on real file systems: a whole cutover by hand, and everything it does by itself.

#[path = "host_postgres/closed.rs"]
mod closed;
mod common;
#[path = "host_postgres/relay.rs"]
mod relay;

use common::helper::Helper;
use common::load::{Load, missing};
use common::source::{DATA, WAL, code, fence, source, until, writable};
use common::{text, try_run};
use snapmigrate::quiesce::channel::Channel;
use snapmigrate::quiesce::protocol::*;
use std::fs;
use std::time::{Duration, Instant};

const COPY_OF_DATA: &str = "vol-0bbbbbbbbbbbbbbb1";
const COPY_OF_WAL: &str = "vol-0bbbbbbbbbbbbbbb2";

/// An executor of epoch 1 is refused.
fn assert_stale<O: Operation>(host: &Helper, operation: O)
where
    O::Reply: std::fmt::Debug,
{
    assert_eq!(code(host.ask_under(1, operation)), ErrorCode::StaleEpoch);
}

#[test]
fn a_whole_cutover_loses_no_commit_and_leaves_one_writer() {
    let mut source = source();
    let load = Load::start(&source.cluster.connection(), 3);
    until("the load commits", Duration::from_secs(20), || {
        load.count() > 200
    });

    let hello = source.helper.call(Hello {});
    assert_eq!(hello.protocol, PROTOCOL);
    let inspection = source.helper.call(Inspect {});
    let volumes: Vec<_> = inspection
        .mounts
        .iter()
        .map(|mount| mount.volume.clone().expect("a volume"))
        .collect();
    assert_eq!(volumes, [DATA, WAL]);
    let refusals: Vec<_> = inspection
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refuse)
        .collect();
    assert!(refusals.is_empty(), "{refusals:?}");
    assert!(!inspection.in_recovery && inspection.timeline == 1);

    source.helper.call(Checkpoint {});
    let fenced = source.helper.call(fence(1, 120.0));
    assert_eq!(fenced.system_identifier, inspection.system_identifier);
    assert_eq!(
        source.helper.call(fence(1, 120.0)),
        fenced,
        "fencing again answers the same"
    );
    assert!(!source.cluster.serves());
    let pg_ctl = text(&common::postgres::bin_directory().join("pg_ctl"));
    let start = [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
        &pg_ctl,
        "start",
        "-w",
        "-D",
    ];
    let log = text(&source.disks.root.join("sockets/stubborn.log"));
    let stubborn = try_run(&[&start[..], &[&text(&source.cluster.data), "-l", &log]].concat());
    assert!(
        !stubborn.status.success(),
        "the fence holds against a supervisor"
    );
    assert!(
        fs::read_to_string(&log)
            .expect("it wrote a log")
            .contains("snapmigrate_fence")
    );

    let frozen = source.helper.call(Freeze {
        epoch: 1,
        limit_seconds: 20.0,
    });
    assert!(source.helper.call(Status {}).frozen);
    assert_eq!(
        code(source.helper.ask(Commit { epoch: 1 })),
        ErrorCode::Refused,
        "no commit while frozen"
    );
    source.disks.clone_volume(DATA, COPY_OF_DATA);
    source.disks.clone_volume(WAL, COPY_OF_WAL);
    let thawed = source.helper.call(Thaw {
        freeze_id: frozen.freeze_id,
    });
    assert!(thawed.unbroken && thawed.frozen_seconds < 20.0);

    for volume in [COPY_OF_DATA, COPY_OF_WAL] {
        let image = source.disks.image(volume);
        source.disks.attach(&image);
    }
    let target = Helper::elsewhere(
        &source.disks.root.join("target-host"),
        &source.cluster,
        source.mounts.clone(),
    );
    assert_eq!(target.call(Status {}).database, DatabaseState::Absent);
    let mounts = [COPY_OF_DATA, COPY_OF_WAL].into_iter().zip(&source.mounts);
    let mounts: Vec<_> = mounts
        .map(|(volume, at)| MountRequest {
            volume: volume.to_owned(),
            mountpoint: text(at),
        })
        .collect();
    let (system_identifier, lsn) = (fenced.system_identifier.clone(), fenced.lsn.clone());
    let bring_up = BringUp {
        mounts,
        stacks: Vec::new(),
        system_identifier: system_identifier.clone(),
        lsn: lsn.clone(),
        timeline: fenced.timeline,
    };
    let up = target.call(bring_up.clone());
    assert!(up.replay_seconds.is_some(), "its log was read: {up:?}");
    assert_eq!(
        (&up.system_identifier, up.timeline),
        (&fenced.system_identifier, fenced.timeline)
    );
    assert!(
        !source.cluster.serves(),
        "the isolated standby is not reachable"
    );
    let take_down = target.call(TakeDown {});
    assert!(take_down.stopped && take_down.unmounted.len() == 2);

    // Another executor takes the migration over: whatever the first one still asks for is refused, on both hosts.
    source.helper.call(fence(2, 120.0));
    assert_stale(&source.helper, fence(1, 60.0));
    assert_stale(
        &source.helper,
        Freeze {
            epoch: 1,
            limit_seconds: 5.0,
        },
    );
    assert_stale(&source.helper, Unfence { epoch: 1 });
    assert_stale(&source.helper, Commit { epoch: 1 });
    target
        .ask_under(2, bring_up.clone())
        .expect("the second executor brings it up");
    assert_stale(&target, bring_up);
    assert_stale(&target, TakeDown {});

    let prove = |lsn: &str| Prove {
        system_identifier: system_identifier.clone(),
        lsn: lsn.to_owned(),
    };
    assert!(target.call(prove(&lsn)).in_recovery);
    let other = Prove {
        system_identifier: "1".to_owned(),
        lsn: lsn.clone(),
    };
    assert_eq!(code(target.ask(other)), ErrorCode::NotProved);
    assert_stale(&target, prove(&lsn));
    assert_stale(&target, Activate { epoch: 1 });

    let committed = source.helper.call(Commit { epoch: 2 });
    source.cluster.killed_and_supervised(target.pid());
    let activated = target.call(Activate { epoch: 2 });
    assert_eq!(
        target.call(Activate { epoch: 2 }),
        activated,
        "activating again answers the same"
    );
    assert_eq!(activated.timeline, 2);
    assert!(
        fenced.last_source_write <= fenced.fenced_at && fenced.fenced_at <= committed.committed_at
    );
    assert!(
        committed.committed_at <= activated.activated_at
            && activated.activated_at <= activated.first_target_write
    );

    let before = load.count();
    until(
        "the clients commit on the target",
        Duration::from_secs(20),
        || load.count() > before + 50,
    );
    let acknowledged = load.finish();
    assert_eq!(
        missing(&source.cluster.connection(), &acknowledged),
        Vec::<i64>::new(),
        "of {}",
        acknowledged.len()
    );
    assert_eq!(source.cluster.query("SELECT pg_is_in_recovery()"), "f");
    assert_eq!(
        source
            .cluster
            .query("SELECT system_identifier FROM pg_control_system()"),
        system_identifier
    );
    let window = acknowledged
        .iter()
        .filter(|commit| commit.at > fenced.fenced_at && commit.at < activated.activated_at);
    assert_eq!(
        window.count(),
        0,
        "a commit was accepted between the fence and the activation"
    );

    assert_eq!(
        code(source.helper.ask(Unfence { epoch: 2 })),
        ErrorCode::Committed
    );
    assert_eq!(code(target.ask(TakeDown {})), ErrorCode::Refused);
    let status = source.helper.call(Status {});
    assert_eq!(
        (status.fence, status.database),
        (FenceState::Permanent, DatabaseState::Stopped)
    );
    source.helper.kill();
    source.helper.restart();
    assert_eq!(
        source.helper.call(Status {}).fence,
        FenceState::Permanent,
        "for good, whatever becomes of the helper"
    );
}

#[test]
fn an_executor_that_vanishes_leaves_a_serving_source() {
    let source = source();
    let load = Load::start(&source.cluster.connection(), 2);
    until("the load commits", Duration::from_secs(20), || {
        load.count() > 50
    });
    let begun = Instant::now();
    source.helper.call(fence(1, 6.0));
    assert!(!source.cluster.serves());
    let before = load.count();
    until(
        "the lease's end lets the database serve",
        Duration::from_secs(20),
        || source.cluster.serves(),
    );
    assert!(
        begun.elapsed() >= Duration::from_secs(6),
        "it held for the whole lease"
    );
    until("the clients go on", Duration::from_secs(20), || {
        load.count() > before + 20
    });
    assert_eq!(
        code(source.helper.ask(Commit { epoch: 1 })),
        ErrorCode::LeaseEnded
    );
    assert_eq!(
        missing(&source.cluster.connection(), &load.finish()),
        Vec::<i64>::new()
    );

    source.helper.call(fence(5, 60.0));
    for refused in [
        source.helper.ask(Commit { epoch: 4 }).err(),
        source.helper.ask(Unfence { epoch: 4 }).err(),
    ] {
        assert_eq!(
            refused.expect("refused").code(),
            Some(ErrorCode::StaleEpoch)
        );
    }
    source.helper.call(Unfence { epoch: 5 });
    assert!(
        source.cluster.serves(),
        "unfencing answers once the database serves"
    );
    let configuration =
        fs::read_to_string(source.cluster.data.join("postgresql.auto.conf")).expect("it is there");
    assert!(
        !configuration.contains("snapmigrate"),
        "nothing is left of the fence"
    );
}

#[test]
fn a_freeze_thaws_by_itself_at_its_limit() {
    let source = source();
    assert_eq!(
        code(source.helper.ask(Freeze {
            epoch: 1,
            limit_seconds: 1.0
        })),
        ErrorCode::NotFenced
    );
    source.helper.call(fence(1, 60.0));
    let frozen = source.helper.call(Freeze {
        epoch: 1,
        limit_seconds: 2.0,
    });
    let begun = Instant::now();
    assert!(
        !source.mounts.iter().any(|mountpoint| writable(mountpoint)),
        "frozen"
    );
    until("it thaws", Duration::from_secs(5), || {
        source.mounts.iter().all(|mountpoint| writable(mountpoint))
    });
    assert!(begun.elapsed() < Duration::from_secs(4));
    let thawed = source.helper.call(Thaw {
        freeze_id: frozen.freeze_id,
    });
    assert!(!thawed.unbroken, "the executor learns that it did not hold");
    assert!(
        (1.9..3.0).contains(&thawed.frozen_seconds),
        "{}",
        thawed.frozen_seconds
    );
    source.helper.call(Unfence { epoch: 1 });
    assert!(source.cluster.serves());
}

#[test]
fn a_killed_helper_thaws_first_and_keeps_the_lease_and_a_reboot_voids_it() {
    let mut source = source();
    source.helper.call(fence(1, 60.0));
    let frozen = source.helper.call(Freeze {
        epoch: 1,
        limit_seconds: 50.0,
    });
    source.helper.kill();
    assert!(!writable(&source.mounts[0]), "nobody is there to thaw");
    source.helper.restart();
    assert!(
        source.mounts.iter().all(|mountpoint| writable(mountpoint)),
        "thawed before it listens"
    );
    assert_eq!(
        code(source.helper.ask(Thaw {
            freeze_id: frozen.freeze_id
        })),
        ErrorCode::FreezeBroken
    );
    let status = source.helper.call(Status {});
    assert_eq!(
        (status.fence, status.frozen, status.database),
        (FenceState::Leased, false, DatabaseState::Stopped)
    );
    source.helper.call(fence(1, 60.0));

    source.helper.kill();
    source.helper.boot_anew();
    source.helper.restart();
    until(
        "a new boot releases the database",
        Duration::from_secs(20),
        || source.cluster.serves(),
    );
    assert_eq!(
        code(source.helper.ask(Commit { epoch: 1 })),
        ErrorCode::StaleEpoch
    );
}
