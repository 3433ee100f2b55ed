//! When a snapshot or a copy moves only what changed (EBS user guide, "How snapshots work" and
//! "Copy a snapshot"). Pure questions to the world: it must not change it, nor know any duration.

use chrono::{DateTime, Utc};

use super::{CopyRoute, Origin, Snapshot, State, Volume, World};

impl World {
    /// The snapshot that the volume's next one counts its delta from: the latest of its own that
    /// still exists and has not failed, else the one it was made from. None: the next one is full.
    pub(crate) fn previous_snapshot(&self, volume: &Volume) -> Option<&Snapshot> {
        let own = self.snapshots_of(&volume.id).filter(|snapshot| {
            snapshot.exists() && snapshot.status(self.now).state != State::Error
        });
        let latest = own.max_by_key(|snapshot| (snapshot.start_time, snapshot.id.as_str()));
        latest.or_else(|| {
            let base = self.snapshots.get(volume.base.as_deref()?)?;
            base.exists().then_some(base)
        })
    }

    /// The snapshots ever taken of a volume, deleted ones included while they are kept.
    pub(crate) fn snapshots_of<'a>(&'a self, volume: &str) -> impl Iterator<Item = &'a Snapshot> {
        self.snapshots.values().filter(move |snapshot| {
            matches!(snapshot.origin, Origin::Volume) && snapshot.volume_id == volume
        })
    }

    /// The copy that the next one on the route builds on. It is incremental when the lineage was
    /// copied there before, the most recently completed copy still exists, and all copies there are
    /// under the one key (none counts as one) that the next one uses.
    pub(crate) fn parent_copy(
        &self,
        route: &CopyRoute,
        kms_key: Option<&str>,
        at: DateTime<Utc>,
    ) -> Option<&Snapshot> {
        let completed = self.copies_on(route).filter_map(|copy| {
            let done = copy.status(at).completed_at?;
            Some((done, copy.id.as_str(), copy))
        });
        let (_, _, latest) = completed.max_by_key(|(done, id, _)| (*done, *id))?;
        let one_key = self
            .copies_on(route)
            .filter(|copy| copy.exists() && copy.status(at).state == State::Completed)
            .all(|copy| copy.kms_key.as_deref() == kms_key);
        (latest.exists() && !latest.archived && latest.content.is_some() && one_key)
            .then_some(latest)
    }

    /// All copies ever begun on a route, deleted ones included while they are kept.
    pub(crate) fn copies_on<'a>(&'a self, route: &CopyRoute) -> impl Iterator<Item = &'a Snapshot> {
        self.snapshots.values().filter(move |copy| {
            matches!(&copy.origin, Origin::Copy { route: Some(other), .. } if other == route)
        })
    }

    /// Whether data of a deleted snapshot is still needed: by its own unfinished work, by a copy that
    /// has yet to read it, or as the baseline of the copy made from it.
    pub(crate) fn is_needed(&self, snapshot: &Snapshot) -> bool {
        let unfinished = snapshot.ends_at().is_none_or(|end| end > self.now);
        unfinished
            || self
                .snapshots
                .values()
                .any(|other| self.reads(other, &snapshot.id))
    }

    fn reads(&self, copy: &Snapshot, wanted: &str) -> bool {
        let Origin::Copy { source, .. } = &copy.origin else {
            return false;
        };
        source == wanted && (copy.exists() || copy.ends_at().is_none_or(|end| end > self.now))
    }
}
