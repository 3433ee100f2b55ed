//! Answers that a service may give and a young lab never does: tokens that expired, an archived snapshot.
//!
//! The lab itself refuses: only what it is asked, or says, is changed on the way.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use snapmigrate::cloud::Wire;
use snapmigrate::transfer::sync::SyncError;
use snapmigrate_lab::Lab;

use crate::oracle::{Volume, differs};
use crate::stage::Stage;

const GIB_BLOCKS: u64 = 2048;
const CREATE: &str = "Action=CreateVolume&Size=1&AvailabilityZone=us-east-1a";

/// What a test changes in a request's path and query.
type Change = dyn Fn(String) -> String + Send + Sync;

/// A wire on which every request's path and query go through `change`.
fn asking(change: Arc<Change>) -> impl FnOnce(Lab) -> Wire {
    move |lab| {
        Wire::through(move |request: Request<Bytes>| {
            let (lab, change) = (lab.clone(), Arc::clone(&change));
            Box::pin(async move {
                let (mut parts, body) = request.into_parts();
                let asked = parts.uri.path_and_query().map(ToString::to_string);
                parts.uri = change(asked.unwrap_or_default())
                    .parse()
                    .expect("still a path and a query");
                Some(lab.http(Request::from_parts(parts, body)).await)
            })
        })
    }
}

/// The value of a query's parameter.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = query.split_once(&format!("{name}="))?;
    rest.split('&').next()
}

/// Two snapshots of 400 blocks, between which every eighth changed, and a target that holds the first.
async fn pair(stage: &Stage) -> (Volume, String, String, std::path::PathBuf) {
    let id = stage.made(CREATE, "vol-").await;
    let mut volume = Volume::open(&stage.volume(&id));
    (0..400).for_each(|block| volume.write(block, 0, 7, 100));
    let first = stage.snapshot(&id).await;
    let target = stage.scratch.0.join("target.img");
    stage.sync(None, &first, &target, 1).await;
    (0..400)
        .step_by(8)
        .for_each(|block| volume.write(block, 0, 8, 100));
    let second = stage.snapshot(&id).await;
    (volume, first, second, target)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_token_that_expired_is_listed_past() {
    let expired = Arc::new(Mutex::new((0_u32, BTreeSet::new())));
    let seen = Arc::clone(&expired);
    let change = Arc::new(move |asked: String| {
        let asked = asked.replace("maxResults=10000", "maxResults=100");
        let Some(token) = parameter(&asked, "pageToken").map(str::to_owned) else {
            return asked;
        };
        let mut seen = seen.lock().expect("nobody died");
        seen.0 += 1;
        if seen.0.is_multiple_of(2) && seen.1.insert(token.clone()) {
            return asked.replace(&token, "expired");
        }
        asked
    });
    let stage = Stage::through(asking(change)).await;
    let (volume, first, second, target) = pair(&stage).await;
    let before = expired.lock().expect("nobody died").1.len();
    assert!(before > 0, "the whole listing met an expired token, too");
    // A single listing relies on the pages alone: these hold a hundred blocks each.
    let report = stage.sync(Some(&first), &second, &target, 1).await;
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);
    assert!(report.proved && report.blocks.changed == 50, "{report:?}");
    assert!(expired.lock().expect("nobody died").1.len() > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_token_that_expired_is_listed_again() {
    let expired = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&expired);
    let change = Arc::new(move |asked: String| {
        let Some(token) = parameter(&asked, "blockToken").map(str::to_owned) else {
            return asked;
        };
        let block = asked.split('?').next().unwrap_or_default().to_owned();
        let mut seen = seen.lock().expect("nobody died");
        // The first token of each block; another one is good.
        if seen.insert(block) {
            return asked.replace(&token, "expired");
        }
        asked
    });
    let stage = Stage::through(asking(change)).await;
    let (volume, first, second, target) = pair(&stage).await;
    let report = stage.sync(Some(&first), &second, &target, 24).await;
    assert_eq!(differs(&target, &volume.image, GIB_BLOCKS), None);
    assert!(report.proved && report.blocks.written == 50, "{report:?}");
    assert_eq!(expired.lock().expect("nobody died").len(), 450);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_never_good_end_it_with_the_services_word() {
    let change = Arc::new(|asked: String| {
        let Some(token) = parameter(&asked, "blockToken").map(str::to_owned) else {
            return asked;
        };
        asked.replace(&token, "expired")
    });
    let stage = Stage::through(asking(change)).await;
    let id = stage.made(CREATE, "vol-").await;
    Volume::open(&stage.volume(&id)).write(3, 0, 7, 100);
    let snapshot = stage.snapshot(&id).await;
    let target = stage.scratch.0.join("target.img");
    match stage.tried(None, &snapshot, &target, 24).await {
        Err(SyncError::Cloud(error)) => {
            assert_eq!(error.code, "ValidationException/INVALID_BLOCK_TOKEN");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_snapshot_is_named_and_nothing_is_begun() {
    let archived = |lab: Lab| {
        Wire::through(move |request: Request<Bytes>| {
            let lab = lab.clone();
            Box::pin(async move {
                let answer = lab.http(request).await;
                Some(answer.map(|body| match std::str::from_utf8(&body) {
                    Ok(text) => {
                        Bytes::from(text.replace("<storageTier>standard<", "<storageTier>archive<"))
                    }
                    Err(_) => body,
                }))
            })
        })
    };
    let stage = Stage::through(archived).await;
    let id = stage.made(CREATE, "vol-").await;
    Volume::open(&stage.volume(&id)).write(3, 0, 7, 100);
    let snapshot = stage.snapshot(&id).await;
    let target = stage.scratch.0.join("target.img");
    let refused = stage.tried(None, &snapshot, &target, 24).await;
    let refused = refused.expect_err("it cannot be read");
    assert!(
        matches!(&refused, SyncError::NotReadable { state, .. } if state == "archived"),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("restore it"), "{refused}");
    assert!(!target.exists() && !target.with_extension("sync").exists());
}
