//! The fence of a server that goes on: whoever was in is out, nobody comes in, and a commit made all the same is found.

use super::*;
use common::database::Database;
use common::postgres::{Cluster, servers_of};
use common::source::{Source, source_with};
use rustix::process::{Signal, kill_process};

fn closing() -> Source {
    source_with(Cluster::rejecting)
}

fn hba(source: &Source) -> String {
    fs::read_to_string(source.cluster.data.join("pg_hba.conf")).expect("it is there")
}

fn settings(source: &Source) -> String {
    fs::read_to_string(source.cluster.data.join("postgresql.auto.conf")).expect("it is there")
}

/// As the operating system's user of the superuser's name, over the socket: the helper's own door.
fn through_the_helpers_door(source: &Source, statement: &str) -> String {
    source.cluster.query(statement)
}

#[test]
fn a_whole_cutover_under_a_running_server_loses_no_commit() {
    let source = closing();
    let original = hba(&source);
    let load = Load::start(&source.cluster.connection(), 3);
    until("the load commits", Duration::from_secs(20), || {
        load.count() > 200
    });
    let inspection = source.helper.call(Inspect {});
    let refused = |finding: &&Finding| finding.severity == Severity::Refuse;
    let refusals: Vec<_> = inspection.findings.iter().filter(refused).collect();
    assert!(refusals.is_empty(), "{refusals:?}");

    let fenced = source.helper.call(fence(1, 120.0));
    assert_eq!(source.helper.call(fence(1, 120.0)), fenced);
    assert_eq!(
        source.helper.call(Status {}).database,
        DatabaseState::Fenced
    );
    let others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    assert_eq!(through_the_helpers_door(&source, others), "0");
    assert_eq!(through_the_helpers_door(&source, "SHOW autovacuum"), "off");
    let frozen = source.helper.call(Freeze {
        epoch: 1,
        limit_seconds: 20.0,
    });
    source.disks.clone_volume(DATA, COPY_OF_DATA);
    source.disks.clone_volume(WAL, COPY_OF_WAL);
    assert!(
        source
            .helper
            .call(Thaw {
                freeze_id: frozen.freeze_id
            })
            .unbroken
    );

    let mut source = source;
    for volume in [COPY_OF_DATA, COPY_OF_WAL] {
        let image = source.disks.image(volume);
        source.disks.attach(&image);
    }
    let target = Helper::elsewhere(
        &source.disks.root.join("target-host"),
        &source.cluster,
        source.mounts.clone(),
    );
    let mounts = [COPY_OF_DATA, COPY_OF_WAL].into_iter().zip(&source.mounts);
    target.call(BringUp {
        mounts: mounts
            .map(|(volume, at)| MountRequest {
                volume: volume.to_owned(),
                mountpoint: text(at),
            })
            .collect(),
        stacks: Vec::new(),
        system_identifier: fenced.system_identifier.clone(),
        lsn: fenced.lsn.clone(),
        timeline: fenced.timeline,
    });
    target.call(Prove {
        system_identifier: fenced.system_identifier.clone(),
        lsn: fenced.lsn.clone(),
    });
    let committed = source.helper.call(Commit { epoch: 1 });
    let activated = target.call(Activate { epoch: 1 });
    assert_eq!((fenced.timeline, activated.timeline), (1, 2));

    let before = load.count();
    until(
        "the clients commit on the target",
        Duration::from_secs(20),
        || load.count() > before + 50,
    );
    let acknowledged = load.finish();
    let connection = source.cluster.connection();
    assert_eq!(missing(&connection, &acknowledged), Vec::<i64>::new());
    let between = acknowledged
        .iter()
        .filter(|commit| commit.at > fenced.fenced_at && commit.at < activated.activated_at);
    assert_eq!(between.count(), 0, "no commit between the two");
    assert!(
        fenced.last_source_write <= fenced.fenced_at && fenced.fenced_at <= committed.committed_at
    );
    assert_eq!(
        source.cluster.query_target("SHOW autovacuum"),
        "on",
        "nothing is inherited"
    );
    assert_eq!(
        source
            .cluster
            .query_target("SELECT pg_read_file('pg_hba.conf')"),
        original.trim()
    );
    assert!(
        hba(&source).starts_with("# snapmigrate fence begins"),
        "for good"
    );
    assert_eq!(
        code(source.helper.ask(Unfence { epoch: 1 })),
        ErrorCode::Committed
    );
}

#[test]
fn it_outlives_the_server_and_the_watchdog_takes_it_back() {
    let mut source = closing();
    let (rules, set) = (hba(&source), settings(&source));
    let load = Load::start(&source.cluster.connection(), 2);
    until("the load commits", Duration::from_secs(20), || {
        load.count() > 50
    });
    source.helper.call(fence(1, 120.0));
    let before = load.count();
    for server in servers_of("/postgres", &text(&source.cluster.data)) {
        kill_process(server, Signal::KILL).expect("it can be killed");
    }
    until("its processes are gone", Duration::from_secs(10), || {
        servers_of("/postgres", &text(&source.cluster.data)).is_empty()
    });
    source.cluster.start_by_hand();
    assert!(!source.cluster.serves(), "the rules outlive the server");
    assert_eq!(
        code(source.helper.ask(Commit { epoch: 1 })),
        ErrorCode::Refused,
        "another server than the one that was fenced"
    );
    assert_eq!(load.count(), before);
    source.helper.call(fence(1, 1.0));
    until("the lease's end opens it", Duration::from_secs(40), || {
        source.cluster.serves()
    });
    until("the clients go on", Duration::from_secs(20), || {
        load.count() > before + 20
    });
    assert_eq!(hba(&source), rules);
    assert_eq!(settings(&source), set);
    assert_eq!(source.cluster.query("SHOW autovacuum"), "on");
    assert_eq!(
        missing(&source.cluster.connection(), &load.finish()),
        Vec::<i64>::new()
    );
}

#[test]
fn a_commit_behind_the_fence_refuses_the_commit_of_the_migration() {
    let source = closing();
    source.helper.call(fence(1, 60.0));
    through_the_helpers_door(&source, "CREATE TABLE sneaked_in ()");
    let refused = source
        .helper
        .ask(Commit { epoch: 1 })
        .expect_err("a commit");
    assert_eq!(refused.code(), Some(ErrorCode::Refused));
    assert!(
        refused
            .to_string()
            .contains("committed or prepared behind the fence"),
        "{refused}"
    );
    assert_eq!(source.helper.call(Status {}).fence, FenceState::Leased);
    source.helper.call(Unfence { epoch: 1 });
    assert!(source.cluster.serves());

    // One that only looks, or makes the server write what is dirty, is none.
    source.helper.call(fence(2, 60.0));
    through_the_helpers_door(&source, "SELECT count(*) FROM sneaked_in");
    through_the_helpers_door(&source, "CHECKPOINT");
    source.helper.call(Commit { epoch: 2 });
}

/// `archive_timeout` ends a segment whatever is written, and a checkpoint takes away those before it.
#[test]
fn the_log_since_the_fence_is_read_whatever_files_lie_beside_it() {
    let source = closing();
    let end_segments = || {
        for _ in 0..3 {
            through_the_helpers_door(&source, "SELECT pg_switch_wal()");
            through_the_helpers_door(&source, "CHECKPOINT");
        }
    };
    made_in_advance(&source, 40);
    source.helper.call(fence(1, 120.0));
    end_segments();
    through_the_helpers_door(&source, "CREATE TABLE sneaked_in ()");
    let refused = source
        .helper
        .ask(Commit { epoch: 1 })
        .expect_err("a commit three segments later");
    assert!(
        refused.to_string().contains("behind the fence, the first"),
        "{refused}"
    );
    source.helper.call(Unfence { epoch: 1 });

    source.helper.call(fence(2, 120.0));
    end_segments();
    source.helper.call(Commit { epoch: 2 });
}

/// Empty segments of the log for later, as the server makes them.
fn made_in_advance(source: &Source, count: u32) {
    let log = source.cluster.data.join("pg_wal");
    for number in 0..count {
        let segment = fs::File::create(log.join(format!("0000000100000001{number:08X}")));
        segment
            .and_then(|file| file.set_len(16 << 20))
            .expect("it can be written");
    }
}

#[test]
fn what_no_rule_binds_is_refused_before_anything_is_closed() {
    let source = closing();
    source
        .cluster
        .query("CREATE UNLOGGED TABLE scratch (n int)");
    let finding = |subject: &str| {
        let found = source.helper.call(Inspect {}).findings;
        found
            .into_iter()
            .find(|finding| finding.subject == subject && finding.message.contains("pg_hba"))
    };
    let unlogged = finding("unlogged tables").expect("it is found");
    assert_eq!(unlogged.severity, Severity::Refuse);
    assert!(unlogged.remedy.contains("clean_stop"));
    assert_eq!(code(source.helper.ask(fence(1, 60.0))), ErrorCode::Refused);
    until("nothing is closed", Duration::from_secs(10), || {
        source.cluster.serves()
    });
    assert_eq!(source.helper.call(Status {}).fence, FenceState::None);
}
