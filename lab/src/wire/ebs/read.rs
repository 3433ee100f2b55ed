//! ListSnapshotBlocks, ListChangedBlocks and GetSnapshotBlock.
//!
//! Page tokens live 60 minutes, block tokens 7 days (EBS user guide, EBS direct APIs FAQ). That a new listing of a
//! snapshot ends the older tokens is not simulated: parallel listings of one snapshot work in practice.

use std::fmt::Write;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::Response;

use super::Call;
use super::checksum;
use super::paging::{Page, page};
use super::refusal::{invalid, validation};
use super::request::{Paging, block_index};
use crate::content::{BLOCK_LEN, BlockSet};
use crate::error::ApiError;
use crate::wire::reply::{JSON, respond, set_header};
use crate::wire::token::{Purpose, Sealer, subject};
use crate::world::content_failed;

/// Lifetime of a page token.
const PAGE_TOKEN_SECONDS: i64 = 60 * 60;
/// Lifetime of a block token.
const BLOCK_TOKEN_SECONDS: i64 = 7 * 24 * 60 * 60;

/// What every page of one listing shares.
struct Listing<'a> {
    sealer: Sealer,
    now: DateTime<Utc>,
    volume_size_gib: u64,
    /// Purpose and subject of its page tokens.
    page_token: (Purpose, u64),
    paging: &'a Paging,
}

impl Listing<'_> {
    fn page(&self, scanned: &BlockSet, found: &BlockSet) -> Result<Page, ApiError> {
        let start = match &self.paging.token {
            None => self.paging.start,
            Some(token) => {
                self.sealer
                    .open(token, self.page_token, self.now, PAGE_TOKEN_SECONDS)
                    .map_err(|_| {
                        validation("INVALID_PAGE_TOKEN", "NextToken is invalid or has expired.")
                    })?
                    .position
            }
        };
        Ok(page(scanned, found, start, self.paging.max_results))
    }

    fn block_token(&self, snapshot: u64, block: u64) -> String {
        self.sealer.seal(Purpose::Block, snapshot, block, self.now)
    }

    /// Closes the JSON body that `blocks` began.
    fn respond(&self, mut body: String, next: Option<u64>) -> Response<Bytes> {
        let expires = (self.now + TimeDelta::seconds(BLOCK_TOKEN_SECONDS)).timestamp();
        let _ = write!(
            body,
            "],\"BlockSize\":{BLOCK_LEN},\"ExpiryTime\":{expires},\"VolumeSize\":{}",
            self.volume_size_gib
        );
        if let Some(next) = next {
            let token = self
                .sealer
                .seal(self.page_token.0, self.page_token.1, next, self.now);
            let _ = write!(body, ",\"NextToken\":\"{token}\"");
        }
        body.push('}');
        respond(200, JSON, body)
    }
}

/// Answers ListSnapshotBlocks.
pub(super) fn list_snapshot_blocks(call: &Call, id: &str) -> Result<Response<Bytes>, ApiError> {
    let paging = Paging::read(&call.query)?;
    let (blocks, volume_size_gib, now) = call.lab.with_world(|world| {
        let blocks = world.snapshot_blocks(call.caller, id)?;
        Ok((blocks, size_gib(world, id), world.now()))
    })?;
    let about = subject(&[id]);
    let page_token = (Purpose::SnapshotPage, about);
    let listing = Listing {
        sealer: call.lab.wire().sealer(),
        now,
        volume_size_gib,
        page_token,
        paging: &paging,
    };
    let page = listing.page(&blocks, &blocks)?;
    let mut body = String::with_capacity(page.blocks.len() * 80 + 200);
    body.push_str("{\"Blocks\":[");
    for (n, block) in page.blocks.iter().enumerate() {
        let token = listing.block_token(about, *block);
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(
            body,
            "{comma}{{\"BlockIndex\":{block},\"BlockToken\":\"{token}\"}}"
        );
    }
    Ok(listing.respond(body, page.next))
}

/// Answers ListChangedBlocks. A block without FirstBlockToken is new in the second snapshot; one without
/// SecondBlockToken exists only in the first.
pub(super) fn list_changed_blocks(call: &Call, second: &str) -> Result<Response<Bytes>, ApiError> {
    let paging = Paging::read(&call.query)?;
    let first = call
        .query
        .get("firstSnapshotId")
        .filter(|id| !id.is_empty());
    let first = first.ok_or_else(|| invalid("FirstSnapshotId is required."))?;
    let (blocks, volume_size_gib, now) = call.lab.with_world(|world| {
        let blocks = world.changed_blocks(call.caller, first, second)?;
        Ok((blocks, size_gib(world, second), world.now()))
    })?;
    let (first_subject, second_subject) = (subject(&[first]), subject(&[second]));
    let page_token = (Purpose::ChangedPage, subject(&[first, second]));
    let listing = Listing {
        sealer: call.lab.wire().sealer(),
        now,
        volume_size_gib,
        page_token,
        paging: &paging,
    };
    let page = listing.page(&blocks.scanned, &blocks.changed)?;
    let mut body = String::with_capacity(page.blocks.len() * 150 + 200);
    body.push_str("{\"ChangedBlocks\":[");
    for (n, block) in page.blocks.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(body, "{comma}{{\"BlockIndex\":{block}");
        for (name, about, set) in [
            ("FirstBlockToken", first_subject, &blocks.first),
            ("SecondBlockToken", second_subject, &blocks.second),
        ] {
            if set.contains(*block) {
                let _ = write!(
                    body,
                    ",\"{name}\":\"{}\"",
                    listing.block_token(about, *block)
                );
            }
        }
        body.push('}');
    }
    Ok(listing.respond(body, page.next))
}

/// Answers GetSnapshotBlock: the block's bytes with their checksum.
pub(super) fn get_snapshot_block(
    call: &Call,
    id: &str,
    label: &str,
) -> Result<Response<Bytes>, ApiError> {
    let block = block_index(label)?;
    let bad_token = || {
        validation(
            "INVALID_BLOCK_TOKEN",
            "BlockToken is invalid or has expired.",
        )
    };
    let token = call
        .query
        .get("blockToken")
        .ok_or_else(|| invalid("BlockToken is required."))?;
    let expected = (Purpose::Block, subject(&[id]));
    let reader = call.lab.with_world(|world| {
        world.readable_snapshot(call.caller, id)?;
        let opened =
            call.lab
                .wire()
                .sealer()
                .open(token, expected, world.now(), BLOCK_TOKEN_SECONDS);
        if opened.map(|opened| opened.position) != Ok(block) {
            return Err(bad_token());
        }
        world.snapshot_block(call.caller, id, block)
    })?;
    let data = reader.read().map_err(content_failed)?;
    let digest = call.lab.wire().digest(id, block, || checksum::of(&data));
    let checksum = checksum::text(&digest);
    let mut response = respond(200, "application/octet-stream", data);
    set_header(&mut response, "x-amz-data-length", "524288");
    set_header(&mut response, "x-amz-checksum", &checksum);
    set_header(&mut response, "x-amz-checksum-algorithm", "SHA256");
    Ok(response)
}

fn size_gib(world: &crate::world::World, id: &str) -> u64 {
    world
        .snapshot(id)
        .map_or(0, |snapshot| snapshot.volume_size_gib)
}
