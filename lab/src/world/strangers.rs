//! Somebody else with the same rights, who deletes what is not his. It must not know whose it is or what for.

use crate::caller::Caller;

use super::World;

impl World {
    /// A stranger deletes one of the snapshots and unused volumes there are, the one that `draw` falls on; its id, or
    /// nothing where there is nothing to delete.
    pub fn stranger_deletes(&mut self, draw: u64) -> Option<String> {
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
        let deleted = match id.starts_with("vol-") {
            true => self.delete_volume(&owner, &id),
            false => self.delete_snapshot(&owner, &id),
        };
        deleted.is_ok().then_some(id)
    }
}
