//! Whether the parent can be what the delta starts from. The two sides cannot be compared by the service: sizes
//! and a few blocks are.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::Run;
use crate::cloud::{ListedBlock, PageStart};
use crate::transfer::sync::SyncError;
use crate::transfer::sync::calls::Calls;
use crate::transfer::sync::target::BLOCK;

/// Blocks compared, spread over the first page of the listing.
const COMPARED: usize = 8;

/// Checks the three snapshots; the size of the new one in GiB.
pub(super) async fn check(run: &Run<'_>) -> Result<u64, SyncError> {
    let request = run.request;
    let size_gib = Run::size_gib(run.source, &request.to).await?;
    let from_gib = Run::size_gib(run.source, &request.from).await?;
    let parent_gib = Run::size_gib(run.target, &request.onto).await?;
    if parent_gib != from_gib {
        return Err(wrong(
            run,
            format!("its volume has {parent_gib} GiB, not {from_gib}"),
        ));
    }
    if size_gib < parent_gib {
        return Err(wrong(
            run,
            format!("its volume is larger than that of {}", request.to),
        ));
    }
    compare(run).await?;
    Ok(size_gib)
}

async fn compare(run: &Run<'_>) -> Result<(), SyncError> {
    let ours = run.calls(run.source, None, &run.request.from);
    let theirs = run.calls(run.target, None, &run.request.onto);
    let start = PageStart::Block(0);
    let (left, right) = tokio::try_join!(ours.page(&start), theirs.page(&start))?;
    let seen = match (&right.next, right.blocks.last()) {
        (Some(_), Some(last)) => last.block + 1,
        _ => u64::MAX,
    };
    let left: Vec<_> = left
        .blocks
        .iter()
        .filter(|listed| listed.block < seen)
        .collect();
    let step = left.len().div_ceil(COMPARED).max(1);
    for listed in left.into_iter().step_by(step) {
        let block = listed.block;
        let found = right
            .blocks
            .binary_search_by_key(&block, |other| other.block);
        let other = found.ok().and_then(|at| right.blocks.get(at));
        if digest(&ours, Some(listed)).await? != digest(&theirs, other).await? {
            let text = format!("block {block} differs: name a copy of that snapshot");
            return Err(wrong(run, text));
        }
    }
    Ok(())
}

/// SHA-256 of a block as it is; zeros where it is not listed.
async fn digest(calls: &Calls, listed: Option<&ListedBlock>) -> Result<[u8; 32], SyncError> {
    let token = listed.and_then(|listed| Some((listed.block, listed.token.as_deref()?)));
    let Some((block, token)) = token else {
        return Ok(Sha256::digest(vec![0; BLOCK]).into());
    };
    let body = calls.block(block, token).await?;
    Ok(Sha256::digest(&body.bytes).into())
}

fn wrong(run: &Run<'_>, found: String) -> SyncError {
    SyncError::WrongBase {
        path: PathBuf::from(run.request.onto.to_string()),
        snapshot: run.request.from.clone(),
        found,
    }
}
