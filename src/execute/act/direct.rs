//! Path `direct`: empty volumes in the target long before the fence, brought to each round's content by the target's
//! host, kept by a snapshot before anything mounts them.

mod order;

use chrono::TimeDelta;
use snapmigrate_models::ids::{SnapshotId, VolumeId};
use snapmigrate_models::plan::PlannedVolume;
use snapmigrate_models::progress::RoundProgress;
use snapmigrate_models::step::{
    Action, FailureClass, MadeSnapshot, StepResult, SyncedVolume, VolumePair,
};
use snapmigrate_models::units::Timestamp;

use super::Context;
use super::discard::discard;
use super::snapshots::sorted;
use crate::cloud::VolumeRequest;
use crate::execute::adopt;
use crate::execute::failure::Failure;
use crate::execute::names::{VOLUME_TAG, client_token, description, step_tags, volume_tags};
use crate::quiesce::protocol::{
    BaseState, Credentials, Hello, Reader, Release, SYNC_ABILITY, SyncStatus, SyncVolume,
};
use order::Order;

/// Longest wait for one answer of the host while the source serves, and behind the fence, where the lease is looked at
/// in between.
const WAIT_SECONDS: f64 = 60.0;
const WAIT_FENCED_SECONDS: f64 = 5.0;

/// Credentials are renewed when they end within this: half of what they live.
const RENEW: TimeDelta = TimeDelta::minutes(30);

/// Lease that must be left when a wait behind the fence gives up.
const RESERVE: TimeDelta = TimeDelta::seconds(30);

impl Context<'_> {
    /// The target's helper must know how to sync.
    pub(super) async fn target_can_sync(&self) -> Result<(), Failure> {
        let host = self.target_host()?;
        let hello = host.call(Hello {}).await?;
        if hello
            .abilities
            .iter()
            .any(|ability| ability == SYNC_ABILITY)
        {
            return Ok(());
        }
        Err(Failure::permanent(format!(
            "the helper on {} (version {}) cannot sync volumes: install the one that came with this \
             program, or take another path",
            host.name(),
            hello.version
        )))
    }

    /// Takes over what an earlier run of this migration has prepared, or makes volumes: the client token makes a
    /// repeated call return the same one, an attachment that exists is adopted. When that fails for good, the journal
    /// says what is left of it.
    pub(super) async fn prepare_volumes(&self, action: &Action) -> Result<StepResult, Failure> {
        let step = action.step_id();
        match self.prepared_volumes(&step).await {
            Err(failure) if failure.class == FailureClass::Permanent => {
                Err(self.naming_what_is_left(failure, &step).await)
            }
            prepared => prepared,
        }
    }

    async fn naming_what_is_left(&self, mut failure: Failure, step: &str) -> Failure {
        let tags = step_tags(self.plan, step);
        let left = match self.sides.target.volumes_tagged(&tags).await {
            Ok(found) => found
                .iter()
                .map(|v| v.volume.to_string())
                .collect::<Vec<_>>()
                .join(", "),
            Err(_) => "the service did not tell".to_owned(),
        };
        failure.message += &format!("; made so far and left as they are: {left}");
        failure
    }

    async fn prepared_volumes(&self, step: &str) -> Result<StepResult, Failure> {
        if let Some(volumes) = self.bases_of_an_earlier_run(step).await? {
            return Ok(StepResult::Volumes { volumes });
        }
        let mut volumes = Vec::new();
        for planned in &self.plan.volumes {
            let request = self.empty_volume(step, planned);
            let target = self.made(request, step, planned).await?;
            volumes.push(VolumePair {
                source: planned.volume.clone(),
                target,
                holds: None,
            });
        }
        volumes.sort_by(|a, b| a.source.cmp(&b.source));
        self.await_available(&volumes).await?;
        self.attach_all(&volumes).await?;
        Ok(StepResult::Volumes { volumes })
    }

    pub(super) fn empty_volume(&self, step: &str, planned: &PlannedVolume) -> VolumeRequest {
        let policy = &self.plan.policy.target;
        VolumeRequest {
            snapshot: None,
            encrypted: planned.kms_key.is_some(),
            zone: self.plan.target.zone.clone(),
            size_gib: planned.size_gib,
            volume_type: planned.target_volume_type.clone(),
            kms_key: policy.kms_key.clone(),
            initialization_mib_per_second: None,
            client_token: client_token(self.plan, step, &planned.volume),
            tags: volume_tags(self.plan, step, &planned.volume),
        }
    }

    /// Orders every volume from the host and returns; asked again the host goes on where it is.
    pub(super) async fn sync_volumes(
        &self,
        round: u32,
        whole: bool,
    ) -> Result<StepResult, Failure> {
        let reader = self.reader().await?;
        for order in self.orders(round, whole)? {
            match self.order(&order, &reader).await {
                // A base that is none any more is found again by the wait, which has a way on.
                Err(refused) if refused.class == FailureClass::Integrity => {}
                answered => answered?,
            }
        }
        Ok(StepResult::Done)
    }

    pub(super) async fn await_sync(&self, index: u32) -> Result<StepResult, Failure> {
        let whole = self
            .round(index)?
            .syncing
            .is_none_or(|syncing| syncing.whole);
        let orders = self.orders(index, whole)?;
        let mut reader = self.reader().await?;
        for order in &orders {
            self.still_a_base(order).await?;
            self.order(order, &reader).await?;
        }
        let mut volumes = Vec::new();
        for order in &orders {
            volumes.push(self.await_volume(order, &orders, &mut reader).await?);
        }
        Ok(StepResult::Synced { volumes })
    }

    /// Waiting never writes a volume whole that is no base any more: that is decided, and journaled.
    async fn still_a_base(&self, order: &Order) -> Result<(), Failure> {
        let status = SyncStatus {
            volume: order.target.to_string(),
            wait_seconds: 0.0,
        };
        let reply = self.target_host()?.call(status).await?;
        match reply.state {
            BaseState::Broken => Err(order.trouble(&reply)),
            _ => Ok(()),
        }
    }

    async fn await_volume(
        &self,
        order: &Order,
        all: &[Order],
        reader: &mut Reader,
    ) -> Result<SyncedVolume, Failure> {
        loop {
            let wait_seconds = self.wait_seconds()?;
            let status = SyncStatus {
                volume: order.target.to_string(),
                wait_seconds,
            };
            let reply = self.target_host()?.call(status).await?;
            if let Some(done) = order.done(&reply) {
                return Ok(order.synced(done));
            }
            if reply.state != BaseState::Running {
                return Err(order.trouble(&reply));
            }
            self.keep_lease().await?;
            if reader.credentials.expires_at - self.clock.now() < RENEW {
                *reader = self.reader().await?;
                for order in all {
                    self.order(order, reader).await?;
                }
            }
        }
    }

    fn wait_seconds(&self) -> Result<f64, Failure> {
        let Some(deadline) = self.deadline else {
            return Ok(WAIT_SECONDS);
        };
        let left = deadline - RESERVE - self.clock.now();
        if left <= TimeDelta::zero() {
            return Err(Failure::transient(
                "blocks are still being written and the lease ends",
            ));
        }
        Ok(left.as_seconds_f64().min(WAIT_FENCED_SECONDS))
    }

    /// A refusal to begin is the step's failure; what the host holds already is as good as ordered.
    async fn order(&self, order: &Order, reader: &Reader) -> Result<(), Failure> {
        let ask = SyncVolume {
            volume: order.target.to_string(),
            from: order.from.as_ref().map(ToString::to_string),
            to: order.to.to_string(),
            reader: reader.clone(),
        };
        let reply = self.target_host()?.call(ask).await?;
        match reply.state {
            BaseState::Running | BaseState::Held => Ok(()),
            BaseState::Unknown | BaseState::Failed | BaseState::Broken => {
                Err(order.trouble(&reply))
            }
        }
    }

    /// One order per prepared volume, in order of source volumes.
    fn orders(&self, index: u32, whole: bool) -> Result<Vec<Order>, Failure> {
        let round = self.round(index)?;
        let order = |pair: &VolumePair| {
            let to = member(round, &pair.source)?;
            let held = self.progress.held_before(index, &pair.source).cloned();
            if !whole && held.is_none() {
                return Err(Failure::permanent(format!(
                    "{} does not hold the round before {index}",
                    pair.target
                )));
            }
            Ok(Order {
                source: pair.source.clone(),
                target: pair.target.clone(),
                from: held.filter(|_| !whole),
                to,
            })
        };
        self.progress.restored.iter().map(order).collect()
    }

    /// Read-only, for an hour, from the role that the policy names.
    async fn reader(&self) -> Result<Reader, Failure> {
        let Some(policy) = &self.plan.policy.direct else {
            return Err(Failure::permanent(
                "the policy names no direct.reader_role_arn: nothing may read the source's snapshots",
            ));
        };
        let source = &self.sides.source;
        let session = source.reader_session(&policy.reader_role_arn).await?;
        Ok(Reader {
            region: source.region().to_string(),
            endpoint_url: source.endpoint_url().map(str::to_owned),
            credentials: Credentials {
                access_key_id: session.access_key_id,
                secret_access_key: session.secret_access_key,
                session_token: session.session_token,
                expires_at: session.expires_at,
            },
        })
    }

    /// What the volumes hold before anything mounts them: the immutable side of the final comparison.
    pub(super) async fn keep_target(&self, action: &Action) -> Result<StepResult, Failure> {
        let step = action.step_id();
        let (target, tags) = (&self.sides.target, step_tags(self.plan, &step));
        let mut found = adopt::Found::default();
        if self.attempt > 1 {
            let lost = self.answer_was_lost(&step);
            found = adopt::find(target, self.clock, &tags, &self.volumes(), lost, None).await?;
            discard(target, self.clock, found.spare.iter().map(|s| &s.snapshot)).await?;
        }
        let mut kept = Vec::new();
        for pair in &self.progress.restored {
            let made = match found.usable.get(&pair.source) {
                Some(facts) => (facts.snapshot.clone(), facts.started_at),
                None => {
                    let made = self.keep(&step, pair).await;
                    made.map_err(|failure| failure.after(kept.len()))?
                }
            };
            kept.push(MadeSnapshot {
                volume: pair.source.clone(),
                snapshot: made.0,
                started_at: made.1,
            });
        }
        Ok(StepResult::Started {
            snapshots: sorted(kept),
        })
    }

    async fn keep(
        &self,
        step: &str,
        pair: &VolumePair,
    ) -> Result<(SnapshotId, Timestamp), Failure> {
        let tags = volume_tags(self.plan, step, &pair.source);
        let text = description(self.plan, step);
        let made = self
            .sides
            .target
            .create_snapshot(&pair.target, &text, &tags);
        let made = made.await?;
        Ok((made.snapshot, made.started_at))
    }

    /// What speaks against a fence now: a base that is none any more would cost the whole way.
    pub(super) async fn bases(&self) -> Result<Vec<String>, Failure> {
        let last = self.progress.rounds.values().next_back();
        let (true, Some(last)) = (self.progress.prepared, last) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for pair in &self.progress.restored {
            let status = SyncStatus {
                volume: pair.target.to_string(),
                wait_seconds: 0.0,
            };
            let reply = self.target_host()?.call(status).await?;
            let expected = held(last, &pair.source).map(|snapshot| snapshot.to_string());
            if reply.state != BaseState::Held || reply.to != expected {
                let why = reply.trouble.map_or_else(
                    || format!("{:?}", reply.state).to_lowercase(),
                    |trouble| trouble.message,
                );
                found.push(format!(
                    "{} is not ready for the last delta: {why}",
                    pair.target
                ));
            }
        }
        Ok(found)
    }

    /// Lets the host go of what it holds, and removes what was kept, before the volumes are deleted.
    pub(super) async fn let_go(&self, volumes: &[VolumeId]) -> Result<(), Failure> {
        if !self.progress.tried(&Action::PrepareVolumes) {
            return Ok(());
        }
        for volume in volumes {
            let release = Release {
                volume: volume.to_string(),
            };
            self.target_host()?.call(release).await?;
        }
        if !self.progress.tried(&Action::KeepTarget) {
            return Ok(());
        }
        let tags = step_tags(self.plan, &Action::KeepTarget.step_id());
        let mut kept = self.sides.target.snapshots_tagged(&tags).await?;
        kept.retain(|snapshot| snapshot.tags.contains_key(VOLUME_TAG));
        let kept = kept.iter().map(|snapshot| &snapshot.snapshot);
        discard(&self.sides.target, self.clock, kept).await
    }
}

fn member(round: &RoundProgress, volume: &VolumeId) -> Result<SnapshotId, Failure> {
    let member = round.completed.iter().find(|s| s.volume == *volume);
    let missing = || Failure::permanent(format!("the round has no completed snapshot of {volume}"));
    member.map(|s| s.snapshot.clone()).ok_or_else(missing)
}

fn held(round: &RoundProgress, volume: &VolumeId) -> Option<SnapshotId> {
    let synced = round.synced.iter().find(|synced| synced.volume == *volume);
    synced.map(|synced| synced.to.clone())
}
