//! What the fence refuses, in words. Knows no state.

use super::Reopening;
use crate::quiesce::protocol::{ErrorCode, Refusal};

pub(super) fn lease_ended() -> Refusal {
    Refusal::new(
        ErrorCode::LeaseEnded,
        "the lease ended without a commit: the database serves again or soon will",
    )
}

pub(super) fn committed() -> Refusal {
    Refusal::new(
        ErrorCode::Committed,
        "the fence is permanent: the migration is committed and this side stays closed",
    )
}

pub(super) fn busy(what: &str) -> Refusal {
    Refusal::new(
        ErrorCode::Refused,
        format!("{what}: ask for the status and try again"),
    )
}

pub(super) fn not_closed() -> Refusal {
    Refusal::new(
        ErrorCode::NotFenced,
        "no permanent fence stands here: there is nothing to reopen",
    )
}

pub(super) fn other_fence(asked: &Reopening, known: Option<u64>) -> Refusal {
    let known = known.map_or_else(|| "none".to_owned(), |known| known.to_string());
    Refusal::new(
        ErrorCode::StaleEpoch,
        format!(
            "epoch {} is to reopen the fence of epoch {}, and the one that stands is of epoch {known}: an older message, \
             or another executor owns this migration now",
            asked.epoch, asked.committed_epoch
        ),
    )
}
