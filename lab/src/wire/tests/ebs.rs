//! EBS direct: writing snapshots and reading them back, byte by byte.

use std::time::Duration;

use http::Response;
use sha2::{Digest, Sha256};

use super::*;
use crate::content::BLOCK_LEN;
use crate::wire::ebs::{sha, sha_text};

pub fn block(fill: u8) -> Bytes {
    Bytes::from(vec![fill; BLOCK_LEN])
}

pub async fn get(lab: &Lab, uri: &str) -> Response<Bytes> {
    send(lab, signed(ACCOUNT, "ebs", "GET", uri), "").await
}

pub async fn start(lab: &Lab, body: &str) -> Response<Bytes> {
    send(
        lab,
        signed(ACCOUNT, "ebs", "POST", "/snapshots"),
        body.to_owned(),
    )
    .await
}

pub async fn started(lab: &Lab, body: &str) -> String {
    let response = start(lab, body).await;
    assert_eq!(response.status(), 201, "{response:?}");
    json(&response)["SnapshotId"].as_str().unwrap().to_owned()
}

fn put_request(id: &str, index: u64, data: &Bytes) -> http::request::Builder {
    signed(
        ACCOUNT,
        "ebs",
        "PUT",
        &format!("/snapshots/{id}/blocks/{index}"),
    )
    .header("x-amz-Data-Length", data.len())
    .header("x-amz-Checksum", sha_text(&sha(data)))
    .header("x-amz-Checksum-Algorithm", "SHA256")
}

pub async fn put(lab: &Lab, id: &str, index: u64, data: Bytes) -> Response<Bytes> {
    send(lab, put_request(id, index, &data), data).await
}

pub async fn complete(lab: &Lab, id: &str, count: u64) -> Response<Bytes> {
    let request = signed(
        ACCOUNT,
        "ebs",
        "POST",
        &format!("/snapshots/completion/{id}"),
    )
    .header("x-amz-ChangedBlocksCount", count);
    let response = send(lab, request, "").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    response
}

pub async fn written(lab: &Lab, body: &str, blocks: &[(u64, u8)]) -> String {
    let id = started(lab, body).await;
    for (index, fill) in blocks {
        assert_eq!(put(lab, &id, *index, block(*fill)).await.status(), 201);
    }
    assert_eq!(complete(lab, &id, blocks.len() as u64).await.status(), 202);
    id
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_reads_back_what_was_put() {
    let (lab, _scratch) = bytes_lab(false);
    let id = written(&lab, r#"{"VolumeSize":1}"#, &[(7, 1), (0, 2), (2047, 3)]).await;
    let list = get(&lab, &format!("/snapshots/{id}/blocks")).await;
    let list = json(&list);
    assert_eq!(
        (&list["BlockSize"], &list["VolumeSize"]),
        (&524_288.into(), &1.into())
    );
    assert!(list.get("NextToken").is_none());
    for (entry, (index, fill)) in
        list["Blocks"]
            .as_array()
            .unwrap()
            .iter()
            .zip([(0, 2), (7, 1), (2047, 3)])
    {
        assert_eq!(entry["BlockIndex"], index);
        let token = entry["BlockToken"]
            .as_str()
            .unwrap()
            .replace('+', "%2B")
            .replace('/', "%2F");
        let got = get(
            &lab,
            &format!("/snapshots/{id}/blocks/{index}?blockToken={token}"),
        )
        .await;
        assert_eq!(got.body(), &block(fill));
        assert_eq!(
            got.headers()["x-amz-checksum"],
            sha_text(&sha(&block(fill)))
        );
        assert_eq!(got.headers()["x-amz-checksum-algorithm"], "SHA256");
        assert_eq!(got.headers()["x-amz-data-length"], "524288");
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_differs_from_its_parent_by_its_blocks() {
    let (lab, _scratch) = bytes_lab(false);
    let parent = written(&lab, r#"{"VolumeSize":1}"#, &[(1, 1), (2, 2)]).await;
    let body = format!(r#"{{"VolumeSize":1,"ParentSnapshotId":"{parent}"}}"#);
    let child = written(&lab, &body, &[(2, 9), (5, 5)]).await;
    let uri = format!("/snapshots/{child}/changedblocks?firstSnapshotId={parent}");
    let changed = json(&get(&lab, &uri).await);
    let changed = changed["ChangedBlocks"].as_array().unwrap();
    let tokens = |n: usize| {
        let has = |name| changed[n].get(name).is_some();
        (
            changed[n]["BlockIndex"].as_u64().unwrap(),
            has("FirstBlockToken"),
            has("SecondBlockToken"),
        )
    };
    assert_eq!(
        (changed.len(), tokens(0), tokens(1)),
        (2, (2, true, true), (5, false, true))
    );
    let back = format!("/snapshots/{parent}/changedblocks?firstSnapshotId={child}");
    let back = json(&get(&lab, &back).await);
    assert!(
        back["ChangedBlocks"][1].get("SecondBlockToken").is_none(),
        "block 5 only in the first"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_token_makes_a_start_repeatable() {
    let (lab, _scratch) = bytes_lab(false);
    let body = r#"{"VolumeSize":1,"ClientToken":"t"}"#;
    assert_eq!(started(&lab, body).await, started(&lab, body).await);
    let other = start(&lab, r#"{"VolumeSize":2,"ClientToken":"t"}"#).await;
    assert_eq!(
        exception(&other),
        (409, "ConflictException".into(), String::new())
    );
}

#[tokio::test(start_paused = true)]
async fn bad_starts_are_refused() {
    let (lab, _scratch) = bytes_lab(false);
    let id = started(&lab, r#"{"VolumeSize":1}"#).await;
    let both = format!(r#"{{"VolumeSize":1,"ParentSnapshotId":"{id}","Encrypted":true}}"#);
    for (body, reason) in [
        ("{}", "INVALID_PARAMETER_VALUE"),
        ("not json", "INVALID_PARAMETER_VALUE"),
        (r#"{"VolumeSize":0}"#, "INVALID_VOLUME_SIZE"),
        (r#"{"VolumeSize":65537}"#, "INVALID_VOLUME_SIZE"),
        (r#"{"VolumeSize":1,"Timeout":9}"#, "INVALID_PARAMETER_VALUE"),
        (r#"{"VolumeSize":1,"Tags":[{"Value":"x"}]}"#, "INVALID_TAG"),
        (&both, "INVALID_PARAMETER_VALUE"),
    ] {
        let got = exception(&start(&lab, body).await);
        assert_eq!(
            got,
            (400, "ValidationException".into(), reason.into()),
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn bad_blocks_are_refused() {
    let (lab, _scratch) = bytes_lab(false);
    let id = started(&lab, r#"{"VolumeSize":1}"#).await;
    let refused = |response: Response<Bytes>| exception(&response).2;
    assert_eq!(
        refused(put(&lab, &id, 2048, block(1)).await),
        "INVALID_BLOCK"
    );
    let short = put(&lab, &id, 0, Bytes::from_static(b"abc")).await;
    assert_eq!(refused(short), "INVALID_PARAMETER_VALUE");
    let wrong = send(&lab, put_request(&id, 0, &block(1)), block(2)).await;
    assert_eq!(refused(wrong), "INVALID_PARAMETER_VALUE");
    let none = put(&lab, "snap-00000000000000dead", 0, block(1)).await;
    assert_eq!(
        exception(&none),
        (
            404,
            "ResourceNotFoundException".into(),
            "SNAPSHOT_NOT_FOUND".into()
        )
    );
    put(&lab, &id, 0, block(1)).await;
    let progress = put_request(&id, 0, &block(1)).header("x-amz-Progress", "101");
    assert_eq!(
        refused(send(&lab, progress, block(1)).await),
        "INVALID_PARAMETER_VALUE"
    );
    assert_eq!(complete(&lab, &id, 1).await.status(), 202);
    assert_eq!(
        refused(put(&lab, &id, 1, block(1)).await),
        "INVALID_SNAPSHOT_ID"
    );
}

#[tokio::test(start_paused = true)]
async fn completion_checks_the_count_and_the_linear_aggregate() {
    let (lab, _scratch) = bytes_lab(false);
    let id = started(&lab, r#"{"VolumeSize":1}"#).await;
    put(&lab, &id, 5, block(5)).await;
    put(&lab, &id, 3, block(3)).await;
    assert_eq!(
        exception(&complete(&lab, &id, 3).await).2,
        "INVALID_PARAMETER_VALUE"
    );
    let aggregate = |fills: [u8; 2]| -> String {
        let mut all = Sha256::new();
        fills.iter().for_each(|fill| all.update(sha(&block(*fill))));
        sha_text(&all.finalize().into())
    };
    let finish = |checksum: String, method: &str| {
        signed(
            ACCOUNT,
            "ebs",
            "POST",
            &format!("/snapshots/completion/{id}"),
        )
        .header("x-amz-ChangedBlocksCount", 2)
        .header("x-amz-Checksum", checksum)
        .header("x-amz-Checksum-Algorithm", "SHA256")
        .header("x-amz-Checksum-Aggregation-Method", method)
    };
    let bad_order = send(&lab, finish(aggregate([5, 3]), "LINEAR"), "").await;
    assert_eq!(exception(&bad_order).2, "INVALID_PARAMETER_VALUE");
    let bad_method = send(&lab, finish(aggregate([3, 5]), "TREE"), "").await;
    assert_eq!(exception(&bad_method).2, "INVALID_PARAMETER_VALUE");
    let good = send(&lab, finish(aggregate([3, 5]), "LINEAR"), "").await;
    assert_eq!(
        (good.status().as_u16(), json(&good)["Status"].as_str()),
        (202, Some("pending"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_started_snapshot_is_cancelled_after_its_timeout() {
    let (lab, _scratch) = bytes_lab(false);
    let id = started(&lab, r#"{"VolumeSize":1,"Timeout":10}"#).await;
    tokio::time::sleep(Duration::from_secs(9 * 60)).await;
    assert_eq!(put(&lab, &id, 0, block(1)).await.status(), 201);
    tokio::time::sleep(Duration::from_secs(10 * 60 + 1)).await;
    assert_eq!(
        exception(&put(&lab, &id, 1, block(1)).await).2,
        "INVALID_SNAPSHOT_ID"
    );
}
