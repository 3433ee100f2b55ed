//! What the fence refuses, in words. Knows no state.

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
