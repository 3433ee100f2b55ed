//! Somebody else with the same rights, who deletes or archives what is not his. It must not know whose it is or what
//! for.

use crate::caller::Caller;

use super::World;

/// One in so many strikes of a stranger on a snapshot archives it.
const ARCHIVES_ONE_IN: u64 = 4;

impl World {
    /// A stranger deletes one of the snapshots and unused volumes there are, the one that `draw` falls on, or archives
    /// that snapshot; its id, or nothing where there is nothing.
    pub fn stranger_strikes(&mut self, draw: u64) -> Option<String> {
        let snapshots = self.snapshots.values().filter(|snapshot| snapshot.exists());
        let snapshots = snapshots.map(|s| (s.id.clone(), s.owner.clone(), s.region.clone()));
        let unused = self.volumes.values().filter(|v| v.attachment.is_none());
        let unused = unused.map(|v| (v.id.clone(), v.owner.clone(), v.region.clone()));
        let all: Vec<(String, String, String)> = snapshots.chain(unused).collect();
        let count = u64::try_from(all.len()).ok().filter(|count| *count > 0)?;
        let (id, account, region) = all.into_iter().nth(usize::try_from(draw % count).ok()?)?;
        let owner = Caller {
            account,
            region,
            service: "ec2".to_owned(),
        };
        let archives = (draw / count).is_multiple_of(ARCHIVES_ONE_IN);
        let done = match id.starts_with("vol-") {
            true => self.delete_volume(&owner, &id),
            false if archives => self.archive_snapshot(&owner, &id).map(drop),
            false => self.delete_snapshot(&owner, &id),
        };
        done.is_ok().then_some(id)
    }
}
