//! Deleting snapshots, and freeing what nobody needs any more.
//! It must not know any wire format.

use crate::caller::Caller;
use crate::error::ApiError;

use super::{Origin, Outcome, World, content_failed};

impl World {
    /// Whether DeleteSnapshot would be accepted now.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `UnauthorizedOperation` for another account's.
    pub fn check_delete_snapshot(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        self.own_snapshot(caller, id).map(|_| ())
    }

    /// Deletes a snapshot. One of a volume that is still pending runs on, unseen, and counts against
    /// the volume's limit; a copy is given up. Data that other snapshots need stays.
    ///
    /// # Errors
    /// As [`World::check_delete_snapshot`].
    pub fn delete_snapshot(&mut self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        self.check_delete_snapshot(caller, id)?;
        let now = self.now;
        let snapshot = self.snapshots.get_mut(id).expect("checked before");
        snapshot.deleted_at = Some(now);
        let unfinished = snapshot.ends_at().is_none_or(|end| end > now);
        if unfinished && !matches!(snapshot.origin, Origin::Volume) {
            let failure = Some("The snapshot was deleted.".to_owned());
            snapshot.outcome = Outcome::Work {
                from: now,
                ready: now,
                until: now,
                bend: 1.0,
                failure,
            };
        }
        self.waiting.retain(|waiting| waiting != id);
        self.receiving.remove(id);
        self.free_unneeded()?;
        self.begin_waiting_copies(now)
    }

    fn free_unneeded(&mut self) -> Result<(), ApiError> {
        let free: Vec<String> = self
            .snapshots
            .values()
            .filter(|s| !s.exists() && s.content.is_some() && !self.is_needed(s))
            .map(|s| s.id.clone())
            .collect();
        for id in free {
            let content = self.snapshots.get_mut(&id).and_then(|s| s.content.take());
            self.forget_comparisons(&id);
            content
                .map_or(Ok(()), |content| content.discard())
                .map_err(content_failed)?;
        }
        Ok(())
    }
}
