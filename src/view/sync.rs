//! A sync's progress and result.

use snapmigrate_models::sync::{ReadBackMode, SyncAction, SyncReport};
use snapmigrate_models::units::BLOCK_BYTES;

use super::units::{duration, per_second, whole_bytes};
use crate::transfer::sync::{Bound, Progress};

/// One line while it runs.
#[must_use]
pub fn sync_progress(now: &Progress) -> String {
    let listed = if now.listed < 1.0 {
        format!("listed {:.0}%, ", now.listed * 100.0)
    } else {
        String::new()
    };
    let left = match now.remaining_seconds {
        Some((slow, fast)) => format!("{} to {} left", duration(fast), duration(slow)),
        None => "remaining time unknown until all is listed".to_owned(),
    };
    let rate = per_second(now.blocks_per_second * BLOCK_BYTES as f64);
    format!(
        "{listed}{} of {} done, {rate}, {left}, limited by {}",
        whole_bytes(now.done_blocks * BLOCK_BYTES),
        whole_bytes(now.changed_blocks * BLOCK_BYTES),
        bound(now.bound)
    )
}

const fn bound(bound: Bound) -> &'static str {
    match bound {
        Bound::Listing => "the listing",
        Bound::SnapshotQuota => "the snapshot's quota",
        Bound::AccountQuota => "the account's quota",
        Bound::Network => "network and service",
        Bound::Device => "the target's device",
        Bound::Checksum => "checksums",
    }
}

/// The result in a few lines.
#[must_use]
pub fn sync(done: &SyncReport) -> String {
    let seconds = duration(done.seconds.total);
    let (blocks, calls) = (&done.blocks, &done.calls);
    if done.action == SyncAction::Undo {
        return format!(
            "{} is as it was before it was brought to {}: {} blocks put back in {seconds}\n",
            done.target, done.to, blocks.written
        );
    }
    let from = done
        .from
        .as_ref()
        .map_or_else(String::new, |from| format!(" from {from}"));
    let mut text = format!(
        "{} holds {}{from}: {} in {seconds}\n  changed {}, written {}, {}\n",
        done.target,
        done.to,
        whole_bytes(blocks.written * BLOCK_BYTES),
        blocks.changed,
        blocks.written,
        read_back(done)
    );
    if blocks.only_in_first + blocks.cleared > 0 {
        text += &format!(
            "  {} blocks became zeros because only the first snapshot holds them, {} because none does\n",
            blocks.only_in_first, blocks.cleared
        );
    }
    if blocks.resumed > 0 {
        text += &format!("  {} blocks were durable already\n", blocks.resumed);
    }
    text += &format!(
        "  {} pages listed, {} blocks read: {} repeated, {} hedged, {} refused for their rate\n",
        calls.pages,
        calls.blocks_read,
        calls.repeated + calls.corrupt,
        calls.hedged,
        calls.throttled_by_snapshot + calls.throttled_by_account
    );
    if let Some(undo) = &done.undo {
        text += &format!(
            "  {} overwritten blocks are kept in {} ({}): sync --undo puts them back\n",
            undo.blocks,
            undo.directory,
            whole_bytes(undo.bytes)
        );
    }
    text + &format!("  digest {}\n", done.digest)
}

fn read_back(done: &SyncReport) -> String {
    match done.read_back {
        ReadBackMode::Direct => format!("read back {} (from the medium)", done.blocks.read_back),
        ReadBackMode::Cached => {
            format!(
                "read back {} (through the page cache)",
                done.blocks.read_back
            )
        }
        ReadBackMode::Off => "NOT READ BACK".to_owned(),
    }
}
