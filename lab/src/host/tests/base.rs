//! Volumes brought to snapshots on the target's host: whole, by deltas, interrupted, refused.

use super::*;
use crate::content::VersionMap;

/// A bench with an empty volume at the target.
fn direct() -> Bench {
    let mut bench = bench();
    let empty = Content::Traced(VersionMap::new("vol-new", 4));
    let volume = (empty, None, TARGET.to_owned());
    bench.shelf.0.insert("vol-new".to_owned(), volume);
    bench
}

impl Bench {
    fn snap(&mut self, id: &str) {
        let content = self.shelf.0["vol-data"].0.freeze_clone(id).unwrap();
        let volume = (content, None, String::new());
        self.shelf.0.insert(id.to_owned(), volume);
    }

    fn order(&self, from: Option<&str>, to: &str, expires_seconds: f64) -> Value {
        let credentials = json!({
            "access_key_id": "ASIA111111111111", "secret_access_key": "s", "session_token": "t",
            "expires_at": time(after(self.now, expires_seconds)),
        });
        let reader = json!({ "region": "us-east-1", "credentials": credentials });
        json!({ "volume": "vol-new", "from": from, "to": to, "reader": reader })
    }

    /// Asks until it is no longer being written.
    fn settled(&mut self) -> Value {
        loop {
            let wait = json!({ "volume": "vol-new", "wait_seconds": 60.0 });
            let status = self.ok(TARGET, "sync_status", wait);
            if status["state"] != "running" {
                return status;
            }
        }
    }

    fn differs(&self, snapshot: &str) -> u64 {
        let held = &self.shelf.0["vol-new"].0;
        held.changed_since(&self.shelf.0[snapshot].0).unwrap().len()
    }
}

#[test]
fn a_base_and_its_delta_end_with_the_snapshots_blocks() {
    let mut bench = direct();
    bench.snap("snap-1");
    let order = bench.order(None, "snap-1", 36_000.0);
    assert_eq!(bench.ok(TARGET, "sync", order)["state"], "running");
    let whole = bench.settled();
    assert_eq!(
        (&whole["state"], bench.differs("snap-1")),
        (&json!("held"), 0)
    );
    bench.wait(300.0);
    bench.snap("snap-2");
    let changed = bench.differs("snap-2");
    assert!(changed > 0);
    let order = bench.order(Some("snap-1"), "snap-2", 36_000.0);
    bench.ok(TARGET, "sync", order.clone());
    let delta = bench.settled();
    assert_eq!(bench.differs("snap-2"), 0);
    for count in ["changed_blocks", "written_blocks", "read_back_blocks"] {
        assert_eq!(delta["done"][count], changed);
    }
    let again = bench.ok(TARGET, "sync", order);
    assert_eq!(again["done"], delta["done"], "asked again it says the same");
}

#[test]
fn a_delta_from_something_else_is_refused() {
    let mut bench = direct();
    bench.snap("snap-1");
    let order = bench.order(Some("snap-1"), "snap-1", 3600.0);
    assert_eq!(bench.code(TARGET, "sync", order), "not_a_base");
    let order = bench.order(None, "snap-1", 3600.0);
    bench.ok(TARGET, "sync", order);
    let other = bench.order(None, "snap-2", 3600.0);
    assert_eq!(
        bench.code(TARGET, "sync", other),
        "refused",
        "one at a time"
    );
    bench.settled();
    let missing = bench.order(Some("snap-1"), "snap-9", 3600.0);
    assert_eq!(bench.code(TARGET, "sync", missing), "refused");
    bench.ok(TARGET, "release", json!({ "volume": "vol-new" }));
    let order = bench.order(Some("snap-1"), "snap-1", 3600.0);
    assert_eq!(bench.code(TARGET, "sync", order), "not_a_base");
}

#[test]
fn a_session_that_expires_ends_an_attempt_and_the_next_goes_on() {
    let mut bench = direct();
    bench.snap("snap-1");
    let order = bench.order(None, "snap-1", 8.0);
    bench.ok(TARGET, "sync", order);
    let expired = bench.settled();
    assert_eq!(expired["state"], "failed", "{expired}");
    assert_eq!(expired["trouble"]["code"], "service");
    assert!(bench.differs("snap-1") > 0, "nothing is claimed");
    let expired = bench.order(None, "snap-1", -1.0);
    assert_eq!(bench.code(TARGET, "sync", expired), "service");
    let order = bench.order(None, "snap-1", 3600.0);
    bench.ok(TARGET, "sync", order);
    let held = bench.settled();
    assert_eq!(bench.differs("snap-1"), 0);
    assert!(held["done"]["resumed_blocks"].as_u64() > Some(0), "{held}");
}
