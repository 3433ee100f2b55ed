//! Taking snapshots of volumes: one, or all of an instance at one point in time.
//! It must not know any wire format.

use chrono::{DateTime, TimeDelta, Utc};

use crate::caller::Caller;
use crate::clock::{seconds, seconds_between};
use crate::error::ApiError;

use super::{Origin, Outcome, Snapshot, State, Tags, World, content_failed, tags};

/// Least time between two CreateSnapshot requests for a volume (EC2 error codes,
/// SnapshotCreationPerVolumeRateExceeded; 15 seconds in AWS's and its partners' own code).
const SECONDS_BETWEEN_SNAPSHOTS: f64 = 15.0;
/// How long a stuck snapshot stays so: beyond any window, short enough to rehearse.
const STUCK_DAYS: i64 = 3;
/// Most volumes to exclude from one set (EC2 API reference, CreateSnapshots).
const MAX_EXCLUDED_VOLUMES: usize = 40;

/// CreateSnapshot.
#[derive(Debug, Clone, Default)]
pub struct SnapshotRequest {
    /// The volume.
    pub volume: String,
    /// The description.
    pub description: String,
    /// Tags for the snapshot.
    pub tags: Tags,
}

/// CreateSnapshots.
#[derive(Debug, Clone, Default)]
pub struct SetRequest {
    /// The instance.
    pub instance: String,
    /// Leave out the root volume.
    pub exclude_boot_volume: bool,
    /// Leave out these data volumes.
    pub exclude_data_volumes: Vec<String>,
    /// The description of every snapshot.
    pub description: String,
    /// Tags for every snapshot.
    pub tags: Tags,
    /// Whether every snapshot gets its volume's tags too.
    pub copy_tags_from_source: bool,
}

impl World {
    /// Whether CreateSnapshot would be accepted now.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `IncorrectState`, `ConcurrentSnapshotLimitExceeded`,
    /// `SnapshotCreationPerVolumeRateExceeded`.
    pub fn check_snapshot(
        &self,
        caller: &Caller,
        request: &SnapshotRequest,
    ) -> Result<(), ApiError> {
        tags::check(&request.tags)?;
        self.own_volume(caller, &request.volume)?;
        self.may_snapshot(&request.volume)
    }

    /// Takes a snapshot of a volume as it is now; returns its id.
    ///
    /// # Errors
    /// As [`World::check_snapshot`].
    pub fn create_snapshot(
        &mut self,
        caller: &Caller,
        request: &SnapshotRequest,
    ) -> Result<String, ApiError> {
        self.check_snapshot(caller, request)?;
        let id = self.take_snapshot(&request.volume, &request.description, request.tags.clone())?;
        let message = "An internal error occurred while taking the snapshot.";
        self.strike_snapshots(&request.volume, std::slice::from_ref(&id), message);
        Ok(id)
    }

    /// The volumes that CreateSnapshots would take, by device.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`, `InvalidParameterValue` (a root or foreign volume excluded by id),
    /// and as [`World::check_snapshot`] for every volume.
    pub fn check_snapshots(
        &self,
        caller: &Caller,
        request: &SetRequest,
    ) -> Result<Vec<String>, ApiError> {
        tags::check(&request.tags)?;
        self.own_instance(caller, &request.instance)?;
        if request.exclude_data_volumes.len() > MAX_EXCLUDED_VOLUMES {
            return Err(bad_set(
                "You can exclude up to 40 data volumes per request.",
            ));
        }
        let attached = self.attached_to(&request.instance);
        for excluded in &request.exclude_data_volumes {
            let data = attached.iter().any(|v| v.id == *excluded && !v.is_root());
            if !data {
                return Err(bad_set(&format!(
                    "'{excluded}' is not an attached data volume."
                )));
            }
        }
        let taken: Vec<String> = attached
            .iter()
            .filter(|volume| !(volume.is_root() && request.exclude_boot_volume))
            .filter(|volume| !request.exclude_data_volumes.contains(&volume.id))
            .map(|volume| volume.id.clone())
            .collect();
        if taken.is_empty() {
            return Err(bad_set("The instance has no volume left to snapshot."));
        }
        taken
            .iter()
            .try_for_each(|volume| self.may_snapshot(volume))?;
        Ok(taken)
    }

    /// Takes snapshots of an instance's volumes at one point in time; they complete together, or fail
    /// together. Returns their ids.
    ///
    /// # Errors
    /// As [`World::check_snapshots`].
    pub fn create_snapshots(
        &mut self,
        caller: &Caller,
        request: &SetRequest,
    ) -> Result<Vec<String>, ApiError> {
        let volumes = self.check_snapshots(caller, request)?;
        let mut ids = Vec::new();
        for volume in &volumes {
            let tags = self.set_tags(volume, request);
            ids.push(self.take_snapshot(volume, &request.description, tags)?);
        }
        self.complete_together(&ids);
        let message = "A snapshot of the multi-volume set failed.";
        self.strike_snapshots(&request.instance, &ids, message);
        Ok(ids)
    }

    /// What a fault makes of the snapshots that were just taken of a volume or an instance.
    fn strike_snapshots(&mut self, of: &str, ids: &[String], message: &str) {
        let fails = format!("fault/snapshot/{of}");
        if self.chance.strikes(&fails, self.faults.snapshot_error) {
            self.fail(ids, message);
        }
        let sticks = format!("fault/stuck snapshot/{of}");
        if self.chance.strikes(&sticks, self.faults.snapshot_stuck) {
            self.stick(ids);
        }
    }

    fn set_tags(&self, volume: &str, request: &SetRequest) -> Tags {
        let mut tags = Tags::new();
        if request.copy_tags_from_source {
            tags.extend(self.volumes[volume].tags.clone());
        }
        tags.extend(request.tags.clone());
        tags
    }

    fn may_snapshot(&self, volume: &str) -> Result<(), ApiError> {
        let volume = &self.volumes[volume];
        if self.now < volume.available_at {
            let message = format!("The volume '{}' is not in the correct state.", volume.id);
            return Err(ApiError::client("IncorrectState", message));
        }
        let pending = self
            .snapshots_of(&volume.id)
            .filter(|s| self.counts_as_pending(s))
            .count();
        if pending >= volume.max_pending_snapshots() {
            return Err(ApiError::client(
                "ConcurrentSnapshotLimitExceeded",
                "Maximum allowed in-progress snapshots for a single volume exceeded.",
            ));
        }
        let since = volume
            .last_snapshot_request
            .map(|last| seconds_between(last, self.now));
        if self.settings.snapshot_spacing
            && since.is_some_and(|since| since < SECONDS_BETWEEN_SNAPSHOTS)
        {
            return Err(ApiError::client(
                "SnapshotCreationPerVolumeRateExceeded",
                "The maximum per volume CreateSnapshot request rate has been exceeded. \
                 Use an increasing or variable sleep interval between requests.",
            ));
        }
        Ok(())
    }

    /// Deleted snapshots run on and count until they are done; failed ones count until deleted.
    fn counts_as_pending(&self, snapshot: &Snapshot) -> bool {
        match snapshot.status(self.now).state {
            State::Pending => true,
            State::Error => snapshot.exists(),
            State::Completed => false,
        }
    }

    fn take_snapshot(
        &mut self,
        volume_id: &str,
        description: &str,
        tags: Tags,
    ) -> Result<String, ApiError> {
        let id = self.ids.next("snap");
        let volume = &self.volumes[volume_id];
        let content = volume.content.freeze_clone(&id).map_err(content_failed)?;
        let full_bytes = content.written_blocks().map_err(content_failed)?.bytes();
        let previous = self
            .previous_snapshot(volume)
            .and_then(|s| s.content.as_ref());
        let incremental = previous.is_some();
        let delta_bytes = match previous {
            Some(older) => content
                .changed_since(older)
                .map_err(content_failed)?
                .bytes(),
            None => full_bytes,
        };
        let from = self.after_older(volume_id);
        let scan = format!("fault/full scan/{volume_id}");
        let scans = self.chance.strikes(&scan, self.faults.full_scan);
        let moved_bytes = if scans { full_bytes } else { delta_bytes };
        let outcome = self.snapshot_work(volume_id, from, moved_bytes);
        let visible_at = self.seen_from(&id);
        let now = self.now;
        let volume = self.volumes.get_mut(volume_id).expect("looked up before");
        volume.last_snapshot_request = Some(now);
        let snapshot = Snapshot {
            id: id.clone(),
            owner: volume.owner.clone(),
            region: volume.region.clone(),
            volume_id: volume_id.to_owned(),
            volume_size_gib: volume.size_gib,
            description: description.to_owned(),
            tags,
            kms_key: volume.kms_key.clone(),
            start_time: now,
            visible_at,
            family: volume.family.clone(),
            origin: Origin::Volume,
            outcome,
            content: Some(content),
            full_bytes,
            delta_bytes,
            incremental,
            permissions: Default::default(),
            promised_minutes: None,
            archived: false,
            deleted_at: None,
        };
        self.snapshots.insert(id.clone(), snapshot);
        Ok(id)
    }

    /// Newer snapshots of a volume wait for the older ones.
    fn after_older(&self, volume: &str) -> DateTime<Utc> {
        let ends = self.snapshots_of(volume).filter_map(Snapshot::ends_at);
        ends.max().map_or(self.now, |end| end.max(self.now))
    }

    pub(super) fn snapshot_work(
        &mut self,
        volume: &str,
        from: DateTime<Utc>,
        bytes: u64,
    ) -> Outcome {
        let pace = self.pace(&format!("snapshot/{volume}"), self.service.snapshot);
        let ready = from + self.scaled(pace.seconds(bytes));
        Outcome::Work {
            from,
            ready,
            until: ready,
            bend: pace.bend,
            failure: None,
        }
    }

    fn complete_together(&mut self, ids: &[String]) {
        let ends = ids
            .iter()
            .filter_map(|id| self.snapshots.get(id)?.ends_at());
        let Some(last) = ends.max() else { return };
        for id in ids {
            if let Some(Outcome::Work { until, .. }) = self
                .snapshots
                .get_mut(id)
                .map(|snapshot| &mut snapshot.outcome)
            {
                *until = last;
            }
        }
    }

    /// Makes snapshots or copies stay pending for days.
    pub(super) fn stick(&mut self, ids: &[String]) {
        for id in ids {
            if let Some(Outcome::Work { ready, until, .. }) = self
                .snapshots
                .get_mut(id)
                .map(|snapshot| &mut snapshot.outcome)
            {
                *until += TimeDelta::days(STUCK_DAYS);
                *ready = *until;
            }
        }
    }

    /// Makes snapshots end in `error` half way.
    pub(crate) fn fail(&mut self, ids: &[String], message: &str) {
        for id in ids {
            if let Some(Outcome::Work {
                from,
                ready,
                until,
                failure,
                ..
            }) = self
                .snapshots
                .get_mut(id)
                .map(|snapshot| &mut snapshot.outcome)
            {
                let half: TimeDelta = seconds(seconds_between(*from, *ready) / 2.0);
                *until = *from + half;
                *failure = Some(message.to_owned());
            }
        }
        self.fail_at_once(ids);
    }

    /// All members of a failed set end at the same time: when the first one fails.
    fn fail_at_once(&mut self, ids: &[String]) {
        let first = ids
            .iter()
            .filter_map(|id| self.snapshots.get(id)?.ends_at())
            .min();
        for id in ids {
            if let (Some(first), Some(Outcome::Work { until, .. })) = (
                first,
                self.snapshots
                    .get_mut(id)
                    .map(|snapshot| &mut snapshot.outcome),
            ) {
                *until = first;
            }
        }
    }
}

fn bad_set(message: &str) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}
