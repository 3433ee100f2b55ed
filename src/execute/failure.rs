//! A failed step: class and words. Retry is decided by the class alone.

use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::step::FailureClass;

use crate::cloud::CloudError;
use crate::quiesce::channel::HostError;
use crate::quiesce::protocol::ErrorCode;

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) class: FailureClass,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }

    pub(super) fn permanent(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Permanent, message)
    }

    /// The same with what may have stayed behind: whoever reads it can delete it.
    pub(super) fn leaving<'a>(mut self, left: impl Iterator<Item = &'a SnapshotId>) -> Self {
        let left: Vec<&str> = left.map(SnapshotId::as_str).collect();
        self.message += &format!(
            "; of what does not count there may still be {}",
            left.join(", ")
        );
        self
    }

    /// The same behind `made` calls of one step that were answered: what they made is in no journal, and the next
    /// attempt has to wait until it is seen.
    pub(super) fn after(mut self, made: usize) -> Self {
        if made > 0 && self.class == FailureClass::Transient {
            self.class = FailureClass::Unknown;
        }
        self
    }

    pub(super) fn transient(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Transient, message)
    }
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        Self {
            class: error.class,
            message: error.to_string(),
        }
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let class = match &error {
            HostError::ChannelLost { sent: true, .. } => FailureClass::Unknown,
            HostError::ChannelLost { sent: false, .. } => FailureClass::Transient,
            HostError::Refused { code, .. } => refusal(*code),
        };
        Self {
            class,
            message: error.to_string(),
        }
    }
}

/// A database may be busy, a device may not have appeared, a replay may not be there yet: those
/// pass. What the host knows for certain does not.
pub(super) const fn refusal(code: ErrorCode) -> FailureClass {
    match code {
        ErrorCode::Database
        | ErrorCode::Device
        | ErrorCode::NotProved
        | ErrorCode::Service
        | ErrorCode::FreezeBroken => FailureClass::Transient,
        ErrorCode::NotABase => FailureClass::Integrity,
        ErrorCode::BadRequest
        | ErrorCode::UnknownProtocol
        | ErrorCode::StaleEpoch
        | ErrorCode::LeaseEnded
        | ErrorCode::NotFenced
        | ErrorCode::Committed
        | ErrorCode::Refused
        | ErrorCode::NoTarget
        | ErrorCode::Other => FailureClass::Permanent,
    }
}

/// Whether a call failed for a reason that passes, or that somebody ends by logging in again.
pub(super) const fn passes(error: &CloudError) -> bool {
    matches!(
        error.class,
        FailureClass::Transient | FailureClass::Unknown | FailureClass::Credentials
    )
}

/// Whether a call failed because the thing is not there, or not visible yet.
pub(super) fn is_not_found(error: &CloudError) -> bool {
    error.code.contains("NotFound")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_before_a_call_failed_is_waited_for() {
        let failing = |made| Failure::transient("throttled").after(made).class;
        assert_eq!(failing(0), FailureClass::Transient, "nothing was made");
        assert_eq!(failing(1), FailureClass::Unknown);
        let gone = Failure::permanent("it is gone").after(2);
        assert_eq!(gone.class, FailureClass::Permanent, "it stays hopeless");
    }

    #[test]
    fn what_may_have_stayed_behind_is_named() {
        let left: Vec<SnapshotId> = ["snap-01", "snap-02"]
            .map(|id| id.parse().expect("an id"))
            .into();
        let said = Failure::permanent("denied").leaving(left.iter());
        assert_eq!(
            said.message,
            "denied; of what does not count there may still be snap-01, snap-02"
        );
    }
}
