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

/// Whether a request under `epoch` may touch what was brought up under `known`: an executor that another one has
/// overtaken may not. Without a number, as before any fence, nothing is known.
///
/// # Errors
/// `stale_epoch`.
pub fn owned(known: Option<u64>, epoch: Option<u64>) -> Result<(), Refusal> {
    match (known, epoch) {
        (Some(known), Some(epoch)) if epoch < known => Err(Refusal::new(
            ErrorCode::StaleEpoch,
            format!(
                "this target was brought up under epoch {known}, the request is of epoch {epoch}: another executor owns it now"
            ),
        )),
        _ => Ok(()),
    }
}

pub(super) fn no_target() -> Refusal {
    Refusal::new(ErrorCode::NoTarget, "nothing was brought up on this host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lower_number_is_refused() {
        assert!(
            owned(Some(2), Some(1)).is_err_and(|refusal| refusal.code == ErrorCode::StaleEpoch)
        );
        for (known, epoch) in [
            (None, None),
            (None, Some(1)),
            (Some(2), Some(2)),
            (Some(2), Some(3)),
            (Some(2), None),
        ] {
            assert!(owned(known, epoch).is_ok(), "{known:?} {epoch:?}");
        }
    }
}
