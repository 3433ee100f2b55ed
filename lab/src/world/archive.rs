//! Archiving snapshots. It must not know any wire format.

use chrono::{DateTime, Utc};

use crate::caller::Caller;
use crate::error::ApiError;

use super::{World, missing_snapshot};

impl World {
    /// Moves a completed snapshot to the archive tier, at once; since when. It can't be copied, restored or read from
    /// then on, and no copy is incremental to it (EBS user guide, archive snapshots). It does not come back.
    ///
    /// # Errors
    /// As [`World::check_delete_snapshot`], `IncorrectState` when it is not completed or archived already.
    pub fn archive_snapshot(
        &mut self,
        caller: &Caller,
        id: &str,
    ) -> Result<DateTime<Utc>, ApiError> {
        self.check_delete_snapshot(caller, id)?;
        let now = self.now;
        let snapshot = self.snapshots.get_mut(id).expect("checked before");
        if !snapshot.usable(now) {
            let message = format!("The snapshot '{id}' is not 'completed' in the standard tier.");
            return Err(ApiError::client("IncorrectState", message));
        }
        snapshot.archived = true;
        Ok(now)
    }

    pub(crate) fn archived_by_owner(&mut self, id: &str) -> Result<(), ApiError> {
        let snapshot = self.snapshot(id).ok_or_else(|| missing_snapshot(id))?;
        let owner = Caller {
            account: snapshot.owner.clone(),
            region: snapshot.region.clone(),
            service: "ec2".to_owned(),
        };
        self.archive_snapshot(&owner, id).map(drop)
    }
}
