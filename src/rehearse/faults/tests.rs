//! The observer against executors that are broken on purpose: ways that lie to it do what a defect would.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use snapmigrate_lab::world::Thing;

use super::super::many::paused;
use super::*;

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios/tiny.toml");

/// What becomes of a request to a host: another request that is sent instead, or an answer without one.
enum Lie {
    Ask(Value),
    Say(Value),
}

type Liar = fn(Value) -> Lie;
/// What is sent instead of a request, and what is sent before it, to which nobody hears the answer.
type Forger = fn(&Lab, Request<Bytes>) -> (Request<Bytes>, Option<Request<Bytes>>);

fn honest(request: Value) -> Lie {
    Lie::Ask(request)
}

fn genuine(_: &Lab, request: Request<Bytes>) -> (Request<Bytes>, Option<Request<Bytes>>) {
    (request, None)
}

/// One run over ways that lie and forge; what the observer finds.
fn found(liar: Liar, forger: Forger) -> FaultRun {
    under(liar, forger, FaultSpec::default(), 3)
}

/// The same with faults of the service.
fn under(liar: Liar, forger: Forger, faults: FaultSpec, seed: u64) -> FaultRun {
    with(liar, forger, faults, seed, |_| ())
}

/// The same with a journal that something is done to before.
fn with(liar: Liar, forger: Forger, faults: FaultSpec, seed: u64, spoil: fn(&Journal)) -> FaultRun {
    let services = |lab: &Lab| {
        let lab = lab.clone();
        Wire::through(move |request| {
            let lab = lab.clone();
            Box::pin(async move {
                let (request, before) = forger(&lab, request);
                if let Some(before) = before {
                    lab.http(before).await;
                }
                Some(lab.http(request).await)
            })
        })
    };
    let host = |lab: &Lab, instance: &str| {
        let (lab, instance) = (lab.clone(), instance.to_owned());
        Channel::in_process(Arc::new(move |request: Value| {
            let (lab, instance) = (lab.clone(), instance.clone());
            let id = request["id"].clone();
            Box::pin(async move {
                match liar(request) {
                    Lie::Ask(request) => lab.host(&instance, request).await,
                    Lie::Say(ok) => json!({ "id": id, "ok": ok }),
                }
            })
        }))
    };
    let ways = Ways {
        services: &services,
        host: &host,
        told: &|_| (),
        steps: Steps::default(),
        revert: false,
    };
    let calm = Scenario::load(Path::new(SCENARIO)).unwrap();
    let scenario = Scenario {
        faults,
        ..calm.clone()
    };
    let meddler = Meddler::quiet(0, None);
    paused().unwrap().block_on(async {
        let plan = campaign_plan(&calm, calm.seed).await.unwrap();
        let mut journal = Journal::in_memory(&plan).unwrap();
        spoil(&journal);
        judged(&scenario, seed, &mut journal, &meddler, &ways)
            .await
            .unwrap()
    })
}

#[track_caller]
fn breaks(run: &FaultRun, what: &str) {
    assert!(run.broken.iter().any(|b| b.contains(what)), "{run:?}");
}

#[test]
fn an_honest_executor_breaks_no_promise() {
    let run = found(honest, genuine);
    assert_eq!(
        (run.outcome.as_str(), run.broken.len()),
        ("cut_over", 0),
        "{run:?}"
    );
}

#[test]
fn a_commit_that_never_reached_the_source_ends_with_two_writers() {
    let lie = |request: Value| match request["op"].as_str() {
        Some("commit") => Lie::Say(json!({ "committed_at": "2026-11-02T08:15:00.000Z" })),
        _ => Lie::Ask(request),
    };
    breaks(&found(lie, genuine), "two hosts");
}

/// What is tagged as the step's is found and deleted on the way back: these are tagged otherwise.
#[test]
fn a_request_that_is_sent_twice_leaves_an_orphan() {
    let twice = |_: &Lab, request: Request<Bytes>| {
        let (head, body) = request.into_parts();
        let body = String::from_utf8_lossy(&body).into_owned();
        let creates = body.contains("Action=CreateSnapshots");
        let body = match creates {
            true => body.replace("snapmigrate%3Astep", "snapmigrate%3Aother"),
            false => body,
        };
        let request = Request::from_parts(head, Bytes::from(body));
        (request.clone(), creates.then_some(request))
    };
    breaks(&found(honest, twice), "is not in the journal");
}

/// The service made the set behind the fence and refused the call for good: once the source serves, what is in no
/// journal is deleted.
#[test]
fn the_way_back_deletes_what_a_refused_freeze_left() {
    let made_and_refused = |_: &Lab, request: Request<Bytes>| {
        let body = String::from_utf8_lossy(request.body()).into_owned();
        if !(body.contains("Action=CreateSnapshots") && body.contains("freeze-snapshot")) {
            return (request, None);
        }
        let refused = body.replace("Action=CreateSnapshots", "Action=CreateNothing");
        let (head, _) = request.clone().into_parts();
        let refused = Request::from_parts(head, Bytes::from(refused));
        (refused, Some(request))
    };
    let run = found(honest, made_and_refused);
    assert_eq!(
        (run.outcome.as_str(), run.broken.len()),
        ("aborted", 0),
        "{run:?}"
    );
}

#[test]
fn a_freeze_that_nobody_ends_is_too_long() {
    let lie = |mut request: Value| match request["op"].as_str() {
        Some("freeze") => {
            request["limit_seconds"] = json!(3000.0);
            Lie::Ask(request)
        }
        Some("thaw") => Lie::Say(json!({
            "thawed_at": "2026-11-02T08:15:00.000Z", "frozen_seconds": 1.0, "unbroken": true,
        })),
        _ => Lie::Ask(request),
    };
    breaks(&found(lie, genuine), "was frozen for");
}

#[test]
fn a_lease_that_our_own_clock_prolongs_is_too_long() {
    // It says how much is left by a wall clock that was set back, and the host believes it.
    let lie = |mut request: Value| match request["op"].as_str() {
        Some("fence") => {
            request["lease_seconds"] = json!(1e6);
            Lie::Ask(request)
        }
        Some("prove" | "unfence") => Lie::Say(json!({})),
        _ => Lie::Ask(request),
    };
    breaks(&found(lie, genuine), "stood fenced without a commit for");
}

#[test]
fn an_entry_that_the_journal_did_not_take_is_missed() {
    let spoil = |journal: &Journal| journal.lose(40).unwrap();
    let run = with(honest, genuine, FaultSpec::default(), 3, spoil);
    breaks(&run, "announced and not in the journal");
}

#[test]
fn who_waits_for_what_does_not_come_is_told_so() {
    let calm = Scenario::load(Path::new(SCENARIO)).unwrap();
    let lab = Lab::from_scenario(&calm, 3).unwrap();
    let seen = lab.observe().unwrap();
    let promise = Promise {
        source: &calm.source.instance,
        target: &calm.target.instance,
        freeze_limit_seconds: 60.0,
        lease_seconds: 1800.0,
        before: &seen,
        announced: "",
        journal: "",
        outcome: "waiting",
        target_is_said_to_serve: false,
    };
    assert!(observer::broken(&lab, &seen, &promise).is_empty());
    let hanging = Promise {
        outcome: "hanging",
        ..promise
    };
    let broken = observer::broken(&lab, &seen, &hanging);
    assert!(broken[0].contains("did not come to an end"), "{broken:?}");
}

#[test]
fn a_target_made_of_an_older_snapshot_has_lost_blocks() {
    let older = |lab: &Lab, request: Request<Bytes>| {
        let form = String::from_utf8_lossy(request.body()).into_owned();
        if !form.contains("Action=CreateVolume&") {
            return (request, None);
        }
        let seen = lab.observe().unwrap();
        let other = |s: &&Thing| s.owner == "222222222222" && !form.contains(&s.id);
        let copy = seen.snapshots.iter().find(other).unwrap();
        let field = |field: &str| match field.strip_prefix("SnapshotId=") {
            Some(_) => format!("SnapshotId={}", copy.id),
            None => field.to_owned(),
        };
        let body = form.split('&').map(field).collect::<Vec<_>>().join("&");
        let (mut parts, _) = request.into_parts();
        parts.headers.remove("content-length");
        (Request::from_parts(parts, Bytes::from(body)), None)
    };
    let run = found(honest, older);
    assert_eq!(run.outcome, "aborted", "the proof notices: {run:?}");
    let unproved = |mut request: Value| {
        if request["op"] == "prove" {
            request["lsn"] = json!("0/1");
        }
        Lie::Ask(request)
    };
    breaks(
        &found(unproved, older),
        "are not what the source wrote last",
    );
}

#[test]
fn what_a_failed_server_made_is_found_again() {
    // Every fourth answer is a server error after the effect: a copy that nobody heard of must not be made twice.
    let faults = FaultSpec {
        lost_answer: 250.0,
        ..FaultSpec::default()
    };
    for seed in 1..7 {
        let run = under(honest, genuine, faults, seed);
        assert!(run.faults_injected > 0 && run.broken.is_empty(), "{run:?}");
    }
}
