use super::*;
use crate::audit::{AuditPair, audit};
use crate::content::parse_lsn;

#[test]
fn a_whole_cutover_proves_and_never_has_two_writers() {
    let mut bench = bench();
    bench.wait(400.0);
    bench.ok(SOURCE, "checkpoint", json!({}));
    bench.wait(50.0);
    let fence = bench.fence(1, 900.0);
    let mounts = bench.restore();
    let up = bench.bring_up(&mounts, &fence);
    bench.ok(TARGET, "bring_up", up);
    let facts = json!({ "system_identifier": fence["system_identifier"], "lsn": fence["lsn"] });
    assert_eq!(bench.ok(TARGET, "prove", facts)["replay_lsn"], fence["lsn"]);
    bench.ok(SOURCE, "commit", json!({ "epoch": 1 }));
    assert_eq!(bench.serving(), 0);
    let active = bench.ok(TARGET, "activate", json!({ "epoch": 1 }));
    assert_eq!(active["timeline"], 2);
    assert_eq!(bench.serving(), 1);
    assert!(parse_lsn(active["lsn"].as_str().unwrap()) > parse_lsn(fence["lsn"].as_str().unwrap()));
    assert_eq!(bench.code(TARGET, "take_down", json!({})), "refused");
    let log = bench.shelf.0["vol-data"].1.as_ref().unwrap().log();
    let (target, content, through) = (
        "vol-data-new",
        &bench.shelf.0["vol-data-new"].0,
        bench.source.fence_tick(),
    );
    assert_eq!(
        audit(&[AuditPair {
            log,
            through,
            target,
            content
        }])
        .unwrap()
        .mismatches,
        0
    );
}

#[test]
fn snapshots_taken_before_the_fence_are_not_proved() {
    let mut bench = bench();
    bench.wait(100.0);
    let mounts = bench.restore();
    bench.wait(10.0);
    let fence = bench.fence(1, 900.0);
    let up = bench.bring_up(&mounts, &fence);
    bench.ok(TARGET, "bring_up", up);
    let facts = json!({ "system_identifier": fence["system_identifier"], "lsn": fence["lsn"] });
    assert_eq!(bench.code(TARGET, "prove", facts), "not_proved");
    let down = bench.ok(TARGET, "take_down", json!({}));
    assert_eq!(
        (
            down["stopped"].as_bool(),
            down["unmounted"].as_array().unwrap().len()
        ),
        (Some(true), 2)
    );
}

#[test]
fn volumes_of_different_times_or_missing_ones_do_not_come_up() {
    let mut bench = bench();
    bench.wait(100.0);
    bench.restore();
    let old = bench.shelf.0.remove("vol-wal-new").unwrap();
    bench.wait(10.0);
    let fence = bench.fence(1, 900.0);
    let mounts = bench.restore();
    let alone = json!([mounts[0]]);
    let up = bench.bring_up(&alone, &fence);
    assert_eq!(bench.code(TARGET, "bring_up", up), "database");
    bench.shelf.0.insert("vol-wal-new".into(), old);
    let up = bench.bring_up(&mounts, &fence);
    assert_eq!(bench.code(TARGET, "bring_up", up.clone()), "database");
    bench.shelf.0.get_mut("vol-wal-new").unwrap().2 = "i-other".into();
    assert_eq!(bench.code(TARGET, "bring_up", up), "device");
}
