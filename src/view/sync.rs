//! A sync's progress and result.

use snapmigrate_models::sync::{HydrationReport, ReadBackMode, SyncAction, SyncReport};
use snapmigrate_models::units::BLOCK_BYTES;

use super::units::{duration, per_second, whole_bytes};
use crate::transfer::hydrate::Hydrated;
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
        None if now.listed < 1.0 => "remaining time unknown until all is listed".to_owned(),
        None => "remaining time unknown: nothing came lately".to_owned(),
    };
    let rate = per_second(now.blocks_per_second * BLOCK_BYTES as f64);
    format!(
        "{listed}{} of {} done, {rate}, {left}, limited by {}",
        whole_bytes(now.done_blocks * BLOCK_BYTES),
        whole_bytes(now.changed_blocks * BLOCK_BYTES),
        bound(now.bound)
    )
}

/// One line while a device is read in full.
#[must_use]
pub fn hydration_progress(now: &Hydrated) -> String {
    let left = now.remaining_seconds.map_or_else(
        || "remaining time unknown".to_owned(),
        |left| format!("{} left", duration(left)),
    );
    format!(
        "{} of {} read, {}, {left}",
        whole_bytes(now.done_bytes),
        whole_bytes(now.total_bytes),
        per_second(now.bytes_per_second)
    )
}

/// A device that was read in full.
#[must_use]
pub fn hydration(done: &HydrationReport) -> String {
    format!(
        "{} was read in full: {}, {}\n",
        done.device,
        whole_bytes(done.read_bytes),
        per_second(done.bytes_per_second)
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
    let mut from = done
        .from
        .as_ref()
        .map_or_else(String::new, |from| format!(" from {from}"));
    if let Some(parent) = &done.onto {
        from += &format!(" onto {parent}");
    }
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
        ReadBackMode::Service => {
            format!("read back {} (from the snapshot)", done.blocks.read_back)
        }
        ReadBackMode::Off => "NOT READ BACK".to_owned(),
    }
}
