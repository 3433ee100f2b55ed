use super::*;

#[test]
fn a_fence_stops_all_writing_and_its_lease_lets_go() {
    let mut bench = bench();
    bench.wait(100.0);
    let fence = bench.fence(1, 60.0);
    let fenced = bench.written_ops();
    bench.wait(30.0);
    assert_eq!(
        bench.written_ops(),
        fenced,
        "nothing is written while fenced"
    );
    assert_eq!(bench.code(SOURCE, "probe_commit", json!({})), "refused");
    assert_eq!(
        bench.fence(1, 60.0),
        fence,
        "the same epoch gets the same answer"
    );
    bench.wait(61.0);
    let status = bench.ok(SOURCE, "status", json!({}));
    assert_eq!(
        (status["fence"].as_str(), status["database"].as_str()),
        (Some("none"), Some("running"))
    );
    bench.wait(5.0);
    assert!(bench.written_ops() > fenced, "it writes again");
    assert_eq!(
        bench.code(SOURCE, "commit", json!({ "epoch": 1 })),
        "lease_ended"
    );
}

#[test]
fn a_commit_makes_the_fence_permanent() {
    let mut bench = bench();
    bench.fence(4, 60.0);
    let committed = bench.ok(SOURCE, "commit", json!({ "epoch": 4 }));
    bench.wait(1000.0);
    assert_eq!(bench.ok(SOURCE, "commit", json!({ "epoch": 4 })), committed);
    assert_eq!(
        bench.code(SOURCE, "unfence", json!({ "epoch": 4 })),
        "committed"
    );
    assert_eq!(
        bench.code(SOURCE, "fence", json!({ "epoch": 5, "lease_seconds": 9.0 })),
        "committed"
    );
    assert_eq!(bench.ok(SOURCE, "status", json!({}))["fence"], "permanent");
    assert_eq!(bench.serving(), 0);
}

#[test]
fn an_older_epoch_is_refused_everywhere() {
    let mut bench = bench();
    bench.fence(4, 600.0);
    for op in ["fence", "freeze", "commit", "unfence"] {
        let arguments = json!({ "epoch": 3, "lease_seconds": 9.0, "limit_seconds": 9.0 });
        assert_eq!(bench.code(SOURCE, op, arguments), "stale_epoch", "{op}");
    }
    assert_eq!(
        bench.code(SOURCE, "commit", json!({ "epoch": 5 })),
        "not_fenced"
    );
}

#[test]
fn a_freeze_never_outlives_its_limit_and_says_whether_it_held() {
    let mut bench = bench();
    assert_eq!(
        bench.code(
            SOURCE,
            "freeze",
            json!({ "epoch": 1, "limit_seconds": 5.0 })
        ),
        "not_fenced"
    );
    bench.fence(1, 600.0);
    let first = bench.ok(
        SOURCE,
        "freeze",
        json!({ "epoch": 1, "limit_seconds": 20.0 }),
    );
    assert_eq!(
        bench.code(
            SOURCE,
            "freeze",
            json!({ "epoch": 1, "limit_seconds": 20.0 })
        ),
        "refused"
    );
    let thaw = bench.ok(SOURCE, "thaw", json!({ "freeze_id": first["freeze_id"] }));
    assert_eq!(thaw["unbroken"], true);
    let second = bench.ok(
        SOURCE,
        "freeze",
        json!({ "epoch": 1, "limit_seconds": 20.0 }),
    );
    bench.wait(25.0);
    assert_eq!(bench.ok(SOURCE, "status", json!({}))["frozen"], false);
    let thaw = bench.ok(SOURCE, "thaw", json!({ "freeze_id": second["freeze_id"] }));
    assert_eq!(
        (thaw["unbroken"].as_bool(), thaw["frozen_seconds"].as_f64()),
        (Some(false), Some(20.0))
    );
    assert_eq!(
        bench.code(SOURCE, "thaw", json!({ "freeze_id": "freeze-99" })),
        "freeze_broken"
    );
}

#[test]
fn a_stop_flushes_less_right_after_a_checkpoint() {
    let flushed = |wait_seconds: f64| {
        let mut bench = bench();
        bench.wait(400.0);
        bench.ok(SOURCE, "checkpoint", json!({}));
        bench.wait(wait_seconds);
        let before = bench.written_ops();
        bench.fence(1, 900.0);
        bench.written_ops() - before
    };
    assert!(
        flushed(2.0) * 2 < flushed(290.0),
        "{} {}",
        flushed(2.0),
        flushed(290.0)
    );
}

#[test]
fn what_is_no_request_is_refused_in_words() {
    let mut bench = bench();
    assert_eq!(bench.code(SOURCE, "dance", json!({})), "bad_request");
    assert_eq!(
        bench.code(SOURCE, "fence", json!({ "epoch": 1 })),
        "bad_request"
    );
    assert_eq!(
        bench.code(
            SOURCE,
            "fence",
            json!({ "epoch": 1, "lease_seconds": -1.0 })
        ),
        "bad_request"
    );
    assert_eq!(
        bench.code(SOURCE, "hello", json!({ "protocol": 2 })),
        "unknown_protocol"
    );
    assert_eq!(bench.code(TARGET, "inspect", json!({})), "database");
    assert_eq!(
        bench.code(TARGET, "fence", json!({ "epoch": 1, "lease_seconds": 9.0 })),
        "database"
    );
}
