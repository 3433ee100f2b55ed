//! Time-based copies: whether a promised duration can be kept (EBS user guide, time-based copies).
//! It must not know any wire format, nor how long a copy really takes.

use crate::caller::Caller;
use crate::clock::seconds_between;
use crate::error::ApiError;

use super::copies::{copy_key, invalid};
use super::{CopyRequest, Origin, Outcome, Snapshot, World, content_failed};

/// Fastest time-based copy, MiB/s (EBS user guide, time-based copies).
const TIME_BASED_MIB_PER_SECOND: f64 = 500.0;
/// Sum of all time-based copies between two regions, MiB/s (EBS user guide, quotas).
const TIME_BASED_PAIR_MIB_PER_SECOND: f64 = 2000.0;

impl World {
    pub(super) fn check_promise(
        &self,
        caller: &Caller,
        request: &CopyRequest,
        source: &Snapshot,
        minutes: u32,
    ) -> Result<(), ApiError> {
        if !minutes.is_multiple_of(15) || !(15..=2880).contains(&minutes) {
            let message = "CompletionDurationMinutes must be a multiple of 15 between 15 and 2880.";
            return Err(invalid(message));
        }
        let need = self.bytes_to_move(caller, request, source)? / f64::from(minutes * 60);
        if need > TIME_BASED_MIB_PER_SECOND * 1_048_576.0 {
            return Err(invalid(
                "The snapshot can't be copied within CompletionDurationMinutes.",
            ));
        }
        let used: f64 = self
            .copies_into(caller)
            .map(promised_bytes_per_second)
            .sum();
        if used >= TIME_BASED_PAIR_MIB_PER_SECOND * 1_048_576.0 {
            let message = "The cumulative snapshot copy throughput quota is used up.";
            return Err(ApiError::client("ResourceLimitExceeded", message));
        }
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "volumes are far below 2^53 bytes"
    )]
    fn bytes_to_move(
        &self,
        caller: &Caller,
        request: &CopyRequest,
        source: &Snapshot,
    ) -> Result<f64, ApiError> {
        let key = copy_key(caller, request, source);
        let Some(route) = self.route(caller, source, key.as_deref()) else {
            return Ok(0.0);
        };
        let parent = self.parent_copy(&route, key.as_deref(), self.now);
        let older = parent.and_then(|parent| match &parent.origin {
            Origin::Copy { source, .. } => self.snapshots.get(source)?.content.as_ref(),
            Origin::Volume | Origin::Direct => None,
        });
        match (older, source.content.as_ref()) {
            (Some(older), Some(data)) => {
                Ok(data.changed_since(older).map_err(content_failed)?.bytes() as f64)
            }
            _ => Ok(source.full_bytes as f64),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "volumes are far below 2^53 bytes"
)]
fn promised_bytes_per_second(copy: &Snapshot) -> f64 {
    let promised = copy.promised_minutes.map(|minutes| f64::from(minutes * 60));
    match (promised, &copy.outcome) {
        (Some(promised), Outcome::Work { from, until, .. }) => {
            copy.delta_bytes as f64 / promised.max(seconds_between(*from, *until))
        }
        _ => 0.0,
    }
}
