//! EBS direct: listings page by page, tokens, and who may read what when.

use std::time::Duration;

use proptest::prelude::*;

use super::ebs::{block, get, put, started, written};
use super::*;
use crate::content::{BlockSet, Content};
use crate::world::{SnapshotRequest, World};

/// The block that a traced volume's database stamps with its mark: always changed.
const MARKED: u64 = 0;

/// Follows the pages of a listing: block indices, and how many pages.
async fn pages(lab: &Lab, path: &str, list: &str, parameters: &str) -> (Vec<u64>, usize) {
    let (mut blocks, mut count, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = get(lab, &format!("{path}?{parameters}{token}")).await;
        assert_eq!(page.status(), 200, "{page:?}");
        let page = json(&page);
        let entries = page[list].as_array().unwrap();
        blocks.extend(
            entries
                .iter()
                .map(|entry| entry["BlockIndex"].as_u64().unwrap()),
        );
        count += 1;
        match page.get("NextToken").and_then(Value::as_str) {
            Some(next) => token = format!("&pageToken={}", escape(next)),
            None => return (blocks, count),
        }
    }
}

fn escape(token: &str) -> String {
    token
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
}

/// Gives blocks of the traced volume another version.
fn rewrite(world: &mut World, blocks: &BlockSet) {
    let Content::Traced(map) = &mut world.volume_mut(VOLUME).unwrap().content else {
        unreachable!("the scenario's volumes are traced")
    };
    blocks
        .iter()
        .for_each(|block| map.fill(block, block + 1, 2));
}

/// A completed snapshot of the traced volume, after `writes` have been made to it.
async fn snapshot(lab: &Lab, writes: &BlockSet) -> String {
    let id = lab
        .with_world(|world| {
            rewrite(world, writes);
            let request = SnapshotRequest {
                volume: VOLUME.to_owned(),
                ..Default::default()
            };
            world.create_snapshot(&caller("ec2"), &request)
        })
        .unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    id
}

#[tokio::test(start_paused = true)]
async fn pages_count_scanned_blocks_and_may_be_empty() {
    let lab = traced_lab("");
    let first = snapshot(&lab, &BlockSet::new()).await;
    let second = snapshot(&lab, &BlockSet::from_range(999, 1000)).await;
    let path = format!("/snapshots/{second}/changedblocks");
    let parameters = format!("maxResults=100&firstSnapshotId={first}");
    let (blocks, count) = pages(&lab, &path, "ChangedBlocks", &parameters).await;
    assert_eq!(
        (blocks, count),
        (vec![MARKED, 999], 21),
        "2048 allocated blocks, 100 a page"
    );
    let later = format!("{parameters}&startingBlockIndex=1000");
    assert_eq!(
        pages(&lab, &path, "ChangedBlocks", &later).await,
        (Vec::new(), 11)
    );
    let all = pages(
        &lab,
        &format!("/snapshots/{second}/blocks"),
        "Blocks",
        "maxResults=1000",
    )
    .await;
    assert_eq!((all.0.len(), all.1), (2048, 3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_paging_returns_exactly_the_changed_set(
        changed in proptest::collection::btree_set(0_u64..4096, 0..200),
        max_results in 100_u64..3000,
        start in prop_oneof![Just(0), 0_u64..4200],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let changed: BlockSet = changed.into_iter().chain([MARKED]).collect();
        let (got, wanted) = runtime.block_on(async {
            let lab = traced_lab("[service]\nthrottle = false");
            let first = snapshot(&lab, &BlockSet::new()).await;
            let second = snapshot(&lab, &changed).await;
            let path = format!("/snapshots/{second}/changedblocks");
            let parameters =
                format!("firstSnapshotId={first}&maxResults={max_results}&startingBlockIndex={start}");
            let got = pages(&lab, &path, "ChangedBlocks", &parameters).await.0;
            (got, changed.range(start, u64::MAX).collect::<Vec<_>>())
        });
        prop_assert_eq!(got, wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn page_tokens_end_after_an_hour_and_fit_one_listing() {
    let lab = traced_lab("");
    let (one, two) = (
        snapshot(&lab, &BlockSet::new()).await,
        snapshot(&lab, &BlockSet::new()).await,
    );
    let token = |body: Value| escape(body["NextToken"].as_str().unwrap());
    let page = token(json(
        &get(&lab, &format!("/snapshots/{one}/blocks?maxResults=100")).await,
    ));
    let next = |id: &str| format!("/snapshots/{id}/blocks?maxResults=100&pageToken={page}");
    assert_eq!(get(&lab, &next(&one)).await.status(), 200);
    assert_eq!(
        exception(&get(&lab, &next(&two)).await).2,
        "INVALID_PAGE_TOKEN"
    );
    let changed = format!("/snapshots/{two}/changedblocks?firstSnapshotId={one}&pageToken={page}");
    assert_eq!(
        exception(&get(&lab, &changed).await).2,
        "INVALID_PAGE_TOKEN"
    );
    tokio::time::sleep(Duration::from_secs(3590)).await;
    assert_eq!(get(&lab, &next(&one)).await.status(), 200);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(
        exception(&get(&lab, &next(&one)).await).2,
        "INVALID_PAGE_TOKEN"
    );
}

#[tokio::test(start_paused = true)]
async fn block_tokens_end_after_seven_days_and_fit_one_block() {
    let lab = traced_lab("");
    let id = snapshot(&lab, &BlockSet::new()).await;
    let list = json(&get(&lab, &format!("/snapshots/{id}/blocks?maxResults=100")).await);
    let token = escape(list["Blocks"][3]["BlockToken"].as_str().unwrap());
    let read = |block: u64| format!("/snapshots/{id}/blocks/{block}?blockToken={token}");
    assert_eq!(get(&lab, &read(3)).await.status(), 200);
    assert_eq!(
        exception(&get(&lab, &read(4)).await).2,
        "INVALID_BLOCK_TOKEN"
    );
    let altered = read(3).replace("blockToken=A", "blockToken=B");
    assert_eq!(
        exception(&get(&lab, &altered).await).2,
        "INVALID_BLOCK_TOKEN"
    );
    let none = get(&lab, &format!("/snapshots/{id}/blocks/3")).await;
    assert_eq!(exception(&none).2, "INVALID_PARAMETER_VALUE");
    tokio::time::sleep(Duration::from_secs(7 * 86_400 + 1)).await;
    assert_eq!(
        exception(&get(&lab, &read(3)).await).2,
        "INVALID_BLOCK_TOKEN"
    );
}

#[tokio::test(start_paused = true)]
async fn pending_unrelated_foreign_and_missing_snapshots_are_refused() {
    let (lab, _scratch) = bytes_lab(false);
    let done = written(&lab, r#"{"VolumeSize":1}"#, &[(0, 1)]).await;
    let other = written(&lab, r#"{"VolumeSize":1}"#, &[(0, 1)]).await;
    let pending = started(&lab, r#"{"VolumeSize":1}"#).await;
    put(&lab, &pending, 0, block(1)).await;
    let list = async |id: &str| exception(&get(&lab, &format!("/snapshots/{id}/blocks")).await);
    assert_eq!(
        list(&pending).await,
        (
            400,
            "ValidationException".into(),
            "INVALID_SNAPSHOT_ID".into()
        )
    );
    let gone = list("snap-0000000000000dead").await;
    assert_eq!(
        gone,
        (
            404,
            "ResourceNotFoundException".into(),
            "SNAPSHOT_NOT_FOUND".into()
        )
    );
    let changed = format!("/snapshots/{done}/changedblocks");
    let related = get(&lab, &format!("{changed}?firstSnapshotId={other}")).await;
    assert_eq!(exception(&related).2, "UNRELATED_SNAPSHOTS");
    assert_eq!(
        exception(&get(&lab, &changed).await).2,
        "INVALID_PARAMETER_VALUE"
    );
    let foreign = signed(OTHER, "ebs", "GET", &format!("/snapshots/{done}/blocks"));
    let foreign = send(&lab, foreign, "").await;
    assert_eq!(
        exception(&foreign),
        (
            403,
            "AccessDeniedException".into(),
            "UNAUTHORIZED_ACCOUNT".into()
        )
    );
}
