//! Copying snapshots: who may, in which order, from what, and what arrives.
//!
//! A copy that moves only what changed is built from the copy before it and the changed blocks, never
//! from its source as a whole: a mistake in the lineage shows up as wrong data.
//! It must not know any wire format.

use chrono::{DateTime, Utc};

use crate::caller::Caller;
use crate::content::{BLOCK_BYTES, Content};
use crate::error::ApiError;

use super::keys::{NOT_ACCESSIBLE, accessible, default_key, key_arn};
use super::{
    COPIED_VOLUME_ID, CopyRoute, Origin, Outcome, Snapshot, State, Tags, World, content_failed,
    tags,
};

/// Most copies under way into one region of an account (EBS user guide, quotas).
const MAX_CONCURRENT_COPIES: usize = 20;

/// CopySnapshot, called in the destination.
#[derive(Debug, Clone, Default)]
pub struct CopyRequest {
    /// The region of the source snapshot.
    pub source_region: String,
    /// The source snapshot.
    pub source: String,
    /// The copy's description.
    pub description: String,
    /// The copy's tags; the source's are not copied.
    pub tags: Tags,
    /// Whether to encrypt the copy; can't be off.
    pub encrypted: Option<bool>,
    /// The key to encrypt it with.
    pub kms_key: Option<String>,
    /// The promised duration in minutes.
    pub completion_minutes: Option<u32>,
}

/// What a copy will consist of, decided when it begins.
struct Parts {
    incremental: bool,
    delta_bytes: u64,
    content: Content,
    family: String,
}

impl World {
    /// Whether CopySnapshot would be accepted now.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `IncorrectState` (source not completed), `InvalidParameterValue`,
    /// `InvalidParameterDependency`, `ResourceLimitExceeded`.
    pub fn check_copy(&self, caller: &Caller, request: &CopyRequest) -> Result<(), ApiError> {
        tags::check(&request.tags)?;
        if request.encrypted == Some(false) {
            return Err(invalid("Encrypted can't be false."));
        }
        if request.kms_key.is_some() && request.encrypted.is_none() {
            let message = "KmsKeyId requires that Encrypted is set.";
            return Err(ApiError::client("InvalidParameterDependency", message));
        }
        let there = Caller {
            region: request.source_region.clone(),
            ..caller.clone()
        };
        let source = self.usable_snapshot(&there, &request.source)?;
        if !source.usable(self.now) {
            let message = format!("The snapshot '{}' is not completed.", source.id);
            return Err(ApiError::client("IncorrectState", message));
        }
        if self.copies_into(caller).count() >= MAX_CONCURRENT_COPIES {
            let message =
                "Too many snapshot copies in progress. The limit is 20 for this destination.";
            return Err(ApiError::client("ResourceLimitExceeded", message));
        }
        match request.completion_minutes {
            Some(minutes) => self.check_promise(caller, request, source, minutes),
            None => Ok(()),
        }
    }

    /// Copies a snapshot into the caller's account and region; returns the copy's id at once.
    ///
    /// # Errors
    /// As [`World::check_copy`]. A key that can't be used fails the copy later.
    pub fn copy_snapshot(
        &mut self,
        caller: &Caller,
        request: &CopyRequest,
    ) -> Result<String, ApiError> {
        self.check_copy(caller, request)?;
        let id = self.ids.next("snap");
        let visible_at = self.seen_from(&id);
        let source = &self.snapshots[&request.source];
        let kms_key = copy_key(caller, request, source);
        let route = self.route(caller, source, kms_key.as_deref());
        let copy = Snapshot {
            id: id.clone(),
            owner: caller.account.clone(),
            region: caller.region.clone(),
            volume_id: COPIED_VOLUME_ID.to_owned(),
            volume_size_gib: source.volume_size_gib,
            description: request.description.clone(),
            tags: request.tags.clone(),
            kms_key,
            start_time: self.now,
            visible_at,
            family: String::new(),
            origin: Origin::Copy {
                source: request.source.clone(),
                source_region: request.source_region.clone(),
                route: route.clone(),
            },
            outcome: Outcome::Waiting,
            content: None,
            full_bytes: source.full_bytes,
            delta_bytes: 0,
            incremental: false,
            permissions: Default::default(),
            promised_minutes: request.completion_minutes,
            archived: false,
            deleted_at: None,
        };
        self.snapshots.insert(id.clone(), copy);
        self.waiting.push(id.clone());
        self.begin_waiting_copies(self.now)?;
        Ok(id)
    }

    /// Begins every waiting copy whose turn comes until `now`, in the order of time.
    pub(super) fn begin_waiting_copies(&mut self, now: DateTime<Utc>) -> Result<(), ApiError> {
        while let Some((at, id)) = self.next_turn(now) {
            self.waiting.retain(|waiting| *waiting != id);
            self.begin_copy(&id, at)?;
        }
        Ok(())
    }

    fn next_turn(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, String)> {
        let turns = self.waiting.iter().enumerate().filter_map(|(place, id)| {
            let at = self.turn_of(id)?;
            (at <= now).then_some((at, place, id))
        });
        turns.min().map(|(at, _, id)| (at, id.clone()))
    }

    /// When the route of a waiting copy is free for it; none while one before it waits too.
    fn turn_of(&self, id: &str) -> Option<DateTime<Utc>> {
        let copy = &self.snapshots[id];
        let Origin::Copy {
            route: Some(route), ..
        } = &copy.origin
        else {
            return Some(copy.start_time);
        };
        let before = |other: &&String| self.route_of(other) == Some(route);
        if self
            .waiting
            .iter()
            .find(before)
            .is_some_and(|first| first != id)
        {
            return None;
        }
        let ends = self.copies_on(route).filter_map(Snapshot::ends_at);
        Some(
            ends.max()
                .map_or(copy.start_time, |end| end.max(copy.start_time)),
        )
    }

    fn route_of(&self, id: &str) -> Option<&CopyRoute> {
        match &self.snapshots.get(id)?.origin {
            Origin::Copy { route, .. } => route.as_ref(),
            Origin::Volume | Origin::Direct => None,
        }
    }

    fn begin_copy(&mut self, id: &str, at: DateTime<Utc>) -> Result<(), ApiError> {
        let parts = self.parts(id, at)?;
        let promised = self.snapshots[id].promised_minutes;
        let outcome = self.copy_work(id, at, parts.delta_bytes, promised);
        let failure = self.copy_failure(id);
        let copy = self
            .snapshots
            .get_mut(id)
            .expect("a copy that begins is known");
        copy.incremental = parts.incremental;
        copy.delta_bytes = parts.delta_bytes;
        copy.family = parts.family;
        copy.outcome = outcome;
        copy.content = Some(parts.content);
        if let Some(message) = failure {
            self.fail(&[id.to_owned()], &message);
        }
        let sticks = format!("fault/stuck copy/{id}");
        if self.chance.strikes(&sticks, self.faults.copy_stuck) {
            self.stick(&[id.to_owned()]);
        }
        Ok(())
    }

    fn parts(&self, id: &str, at: DateTime<Utc>) -> Result<Parts, ApiError> {
        let copy = &self.snapshots[id];
        let Origin::Copy { source, route, .. } = &copy.origin else {
            return Err(ApiError::internal(format!("'{id}' is not a copy.")));
        };
        let source = &self.snapshots[source];
        let data = source.content.as_ref().ok_or_else(|| gone(&source.id))?;
        let Some(route) = route else {
            let content = data.freeze_clone(id).map_err(content_failed)?;
            let family = source.family.clone();
            return Ok(Parts {
                incremental: true,
                delta_bytes: 0,
                content,
                family,
            });
        };
        match self.incremental_parts(id, route, copy.kms_key.as_deref(), at, data)? {
            Some(parts) => Ok(parts),
            None => Ok(Parts {
                incremental: false,
                delta_bytes: source.full_bytes,
                content: data.freeze_clone(id).map_err(content_failed)?,
                family: format!("family/{id}"),
            }),
        }
    }

    /// The copy before this one plus what changed between their sources.
    fn incremental_parts(
        &self,
        id: &str,
        route: &CopyRoute,
        kms_key: Option<&str>,
        at: DateTime<Utc>,
        data: &Content,
    ) -> Result<Option<Parts>, ApiError> {
        let Some(parent) = self.parent_copy(route, kms_key, at) else {
            return Ok(None);
        };
        let Origin::Copy { source: older, .. } = &parent.origin else {
            return Ok(None);
        };
        let older_data = self
            .snapshots
            .get(older)
            .and_then(|older| older.content.as_ref());
        let (Some(older_data), Some(base)) = (older_data, parent.content.as_ref()) else {
            return Ok(None);
        };
        let delta = data.changed_since(older_data).map_err(content_failed)?;
        let content = base.overlay(id, &delta, data).map_err(content_failed)?;
        Ok(Some(Parts {
            incremental: true,
            delta_bytes: delta.len() * BLOCK_BYTES,
            content,
            family: parent.family.clone(),
        }))
    }

    fn copy_work(
        &mut self,
        id: &str,
        at: DateTime<Utc>,
        bytes: u64,
        promised: Option<u32>,
    ) -> Outcome {
        let Some(route) = self.route_of(id).cloned() else {
            let takes = self.takes(&format!("local copy/{id}"), self.service.local_copy.seconds);
            return work(at, at + takes, 1.0);
        };
        let entity = format!("copy/{}/{}/{}", route.family, route.account, route.region);
        let pace = self.pace(&entity, self.service.copy);
        let mut duration = pace.seconds(bytes);
        if let Some(minutes) = promised {
            let share = self.service.time_based_copy.duration_share;
            let share = share
                .draw(&mut self.chance.next(&format!("promise/{id}")))
                .min(1.0);
            duration = duration.min(f64::from(minutes) * 60.0 * share);
        }
        work(at, at + self.scaled(duration), pace.bend)
    }

    fn copy_failure(&mut self, id: &str) -> Option<String> {
        let copy = &self.snapshots[id];
        let key_fails = copy
            .kms_key
            .as_ref()
            .is_some_and(|key| !accessible(key, &copy.region));
        if key_fails {
            return Some(NOT_ACCESSIBLE.to_owned());
        }
        let entity = match self.route_of(id) {
            Some(route) => format!("fault/copy/{}/{}", route.family, route.region),
            None => format!("fault/copy/{id}"),
        };
        let strikes = self.chance.strikes(&entity, self.faults.copy_error);
        strikes.then(|| "An internal error occurred while copying the snapshot.".to_owned())
    }

    /// The queue of a copy; none within one account, region and key, where no data moves.
    pub(super) fn route(
        &self,
        caller: &Caller,
        source: &Snapshot,
        kms_key: Option<&str>,
    ) -> Option<CopyRoute> {
        let stays = source.owner == caller.account
            && source.region == caller.region
            && source.kms_key.as_deref() == kms_key;
        (!stays).then(|| CopyRoute {
            family: source.family.clone(),
            account: caller.account.clone(),
            region: caller.region.clone(),
        })
    }

    pub(super) fn copies_into<'a>(
        &'a self,
        caller: &'a Caller,
    ) -> impl Iterator<Item = &'a Snapshot> {
        self.snapshots.values().filter(move |copy| {
            matches!(copy.origin, Origin::Copy { .. })
                && copy.owner == caller.account
                && copy.region == caller.region
                && copy.status(self.now).state == State::Pending
        })
    }
}

pub(super) fn copy_key(
    caller: &Caller,
    request: &CopyRequest,
    source: &Snapshot,
) -> Option<String> {
    let encrypted = request.encrypted == Some(true) || source.kms_key.is_some();
    let named = request.kms_key.as_ref().map(|named| key_arn(caller, named));
    encrypted.then(|| named.unwrap_or_else(|| default_key(caller)))
}

fn work(from: DateTime<Utc>, until: DateTime<Utc>, bend: f64) -> Outcome {
    Outcome::Work {
        from,
        ready: until,
        until,
        bend,
        failure: None,
    }
}

pub(super) fn invalid(message: &str) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}

fn gone(id: &str) -> ApiError {
    ApiError::internal(format!("The data of '{id}' is gone."))
}
