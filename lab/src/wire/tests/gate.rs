//! What every request passes: signatures, rates, faults, latency and counting.

use std::time::Duration;

use super::ebs::{block, get, put, started};
use super::*;

#[tokio::test(start_paused = true)]
async fn requests_without_a_usable_signature_are_refused_in_their_own_protocol() {
    let lab = traced_lab("");
    let form = "application/x-www-form-urlencoded";
    let unsigned = Request::post("/").header("content-type", form);
    let response = send(&lab, unsigned, "Action=DescribeVolumes&Version=2016-11-15").await;
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    assert_eq!(response.status(), 403);
    assert!(
        text.contains("<Errors><Error><Code>MissingAuthenticationToken"),
        "{text}"
    );
    let bad = Request::get("/snapshots/snap-1/blocks").header("authorization", "Bearer x");
    let bad = send(&lab, bad, "").await;
    assert_eq!(
        exception(&bad),
        (400, "IncompleteSignature".into(), String::new())
    );
    let foreign = send(&lab, signed(ACCOUNT, "s3", "GET", "/bucket"), "").await;
    assert_eq!(
        exception(&foreign),
        (403, "SignatureDoesNotMatch".into(), String::new())
    );
}

#[tokio::test(start_paused = true)]
async fn unknown_actions_are_refused_by_every_service() {
    let lab = traced_lab("");
    for service in ["ec2", "sts", "monitoring"] {
        let (status, text) = query(&lab, service, "Action=DoNothing&Version=1").await;
        assert_eq!(status, 400);
        assert!(
            text.contains("<Code>InvalidAction</Code>"),
            "{service}: {text}"
        );
        let (_, text) = query(&lab, service, "Version=1").await;
        assert!(
            text.contains("<Code>MissingAction</Code>"),
            "{service}: {text}"
        );
    }
    let ebs = send(
        &lab,
        signed(ACCOUNT, "ebs", "DELETE", "/snapshots/snap-1"),
        "",
    )
    .await;
    assert_eq!(exception(&ebs).1, "UnknownOperationException");
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_service_and_action() {
    let lab = traced_lab("");
    query(&lab, "sts", "Action=GetCallerIdentity").await;
    query(&lab, "sts", "Action=GetCallerIdentity").await;
    get(&lab, "/snapshots/snap-1/blocks").await;
    let count = |service: &str, action: &str| lab.calls()[&(service.to_owned(), action.to_owned())];
    assert_eq!(count("sts", "GetCallerIdentity"), 2);
    assert_eq!(count("ebs", "ListSnapshotBlocks"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_its_latency_of_virtual_time() {
    let lab = traced_lab("[service]\napi_latency_ms = { median = 400.0, sigma = 0.0 }");
    let before = lab.now();
    query(&lab, "sts", "Action=GetCallerIdentity").await;
    assert_eq!((lab.now() - before).num_milliseconds(), 400);
}

#[tokio::test(start_paused = true)]
async fn quotas_answer_per_account_and_per_snapshot_with_their_own_errors() {
    let (lab, _scratch) = bytes_lab(true);
    let id = started(&lab, r#"{"VolumeSize":1}"#).await;
    let read = format!("/snapshots/{id}/blocks/0?blockToken=AAAA");
    let mut throttled = 0;
    for _ in 0..1010 {
        let (_, kind, reason) = exception(&get(&lab, &read).await);
        match kind.as_str() {
            "RequestThrottledException" => {
                assert_eq!(reason, "RESOURCE_LEVEL_THROTTLE");
                throttled += 1;
            }
            other => assert_eq!(other, "ValidationException"),
        }
    }
    assert_eq!(throttled, 10, "1000 blocks a second and snapshot");
    assert_eq!(
        put(&lab, &id, 0, block(1)).await.status(),
        201,
        "writing has a rate of its own"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(exception(&get(&lab, &read).await).1, "ValidationException");
    for _ in 0..50 {
        assert_eq!(
            exception(&get(&lab, &format!("/snapshots/{id}/blocks")).await).1,
            "ValidationException"
        );
    }
    let over = get(&lab, &format!("/snapshots/{id}/blocks")).await;
    assert_eq!(
        exception(&over),
        (400, "ThrottlingException".into(), String::new())
    );
}

#[tokio::test(start_paused = true)]
async fn without_quota_nothing_is_throttled() {
    let (lab, _scratch) = bytes_lab(false);
    for _ in 0..60 {
        let answer = get(&lab, "/snapshots/snap-0000000000000dead/blocks").await;
        assert_eq!(answer.status(), 404);
    }
}

#[tokio::test(start_paused = true)]
async fn faults_strike_before_or_after_the_effect() {
    let form = "Name=/lock";
    let put = r#"{"Name":"/lock","Value":"a"}"#;
    let ssm = |action: &str| {
        signed(ACCOUNT, "ssm", "POST", "/").header("x-amz-target", format!("AmazonSSM.{action}"))
    };
    let before = traced_lab("[faults]\nserver_error = 1000.0");
    assert_eq!(send(&before, ssm("PutParameter"), put).await.status(), 500);
    before
        .with_world(|world| world.parameter(&caller("ssm"), "/lock").map(drop))
        .unwrap_err();
    let after = traced_lab("[faults]\nlost_answer = 1000.0");
    let lost = send(&after, ssm("PutParameter"), put).await;
    assert_eq!(
        (lost.status().as_u16(), json(&lost)["__type"].as_str()),
        (500, Some("InternalServerError"))
    );
    after
        .with_world(|world| world.parameter(&caller("ssm"), "/lock").map(drop))
        .unwrap();
    let throttle = traced_lab("[faults]\nthrottle = 1000.0");
    let (status, text) = query(&throttle, "ec2", &format!("Action=CopySnapshot&{form}")).await;
    assert_eq!(status, 503);
    assert!(text.contains("<Code>RequestLimitExceeded</Code>"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn aws_chunked_bodies_are_joined() {
    let lab = traced_lab("");
    let json_body = r#"{"Name":"/lock","Value":"a"}"#;
    let chunks = format!("{:x}\r\n{json_body}\r\n0\r\n\r\n", json_body.len());
    let request = signed(ACCOUNT, "ssm", "POST", "/")
        .header("x-amz-target", "AmazonSSM.PutParameter")
        .header("content-encoding", "aws-chunked");
    assert_eq!(send(&lab, request, chunks).await.status(), 200);
    let request = signed(ACCOUNT, "ssm", "POST", "/").header("x-amz-content-sha256", "STREAMING-X");
    let broken = send(&lab, request, "zz").await;
    assert_eq!(json(&broken)["__type"], "IncompleteBody");
}
