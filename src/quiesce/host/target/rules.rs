//! What an activation or a fence means on a target, by its record alone. Pure: no file, no engine, no clock.

use super::TargetPhase;
use crate::quiesce::host::fence::Phase;
use crate::quiesce::protocol::{ActivateReply, ErrorCode, Refusal};

/// What an activation comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// It was carried out before: this was answered.
    Done(ActivateReply),
    /// It is to be carried out, or carried on.
    Begin,
}

/// Whether the target may be activated under `epoch`, given its own fence and how far it came.
///
/// # Errors
/// `committed` for a target that gives way or gave way, `stale_epoch` under another number, `refused` without a target.
pub fn activation(
    fence: &Phase,
    target: Option<&TargetPhase>,
    epoch: u64,
) -> Result<Activation, Refusal> {
    if *fence != Phase::Open {
        let message = "this target is fenced: it gives way to the source";
        return Err(Refusal::new(ErrorCode::Committed, message));
    }
    match target.ok_or_else(no_target)? {
        TargetPhase::Active { epoch: done, reply } if *done == epoch => {
            Ok(Activation::Done(reply.clone()))
        }
        TargetPhase::Active { epoch: known, .. } | TargetPhase::Activating { epoch: known }
            if epoch != *known =>
        {
            Err(Refusal::new(
                ErrorCode::StaleEpoch,
                format!("this target is activated under epoch {known}"),
            ))
        }
        TargetPhase::Active { .. } | TargetPhase::Activating { .. } | TargetPhase::Isolated => {
            Ok(Activation::Begin)
        }
    }
}

/// Whether this host may be fenced under `epoch`: a source, or a target that was activated under an older one.
///
/// # Errors
/// `stale_epoch` or `refused`.
pub fn fenceable(target: Option<&TargetPhase>, epoch: u64) -> Result<(), Refusal> {
    match target {
        None => Ok(()),
        Some(TargetPhase::Active { epoch: known, .. }) if epoch > *known => Ok(()),
        Some(TargetPhase::Active { epoch: known, .. }) => Err(Refusal::new(
            ErrorCode::StaleEpoch,
            format!("this target was activated under epoch {known}: epoch {epoch} cannot fence it"),
        )),
        Some(TargetPhase::Isolated | TargetPhase::Activating { .. }) => Err(Refusal::new(
            ErrorCode::Refused,
            "this host is the target of a migration: nothing to fence",
        )),
    }
}

pub(super) fn no_target() -> Refusal {
    Refusal::new(ErrorCode::NoTarget, "nothing was brought up on this host")
}
