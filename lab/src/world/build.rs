//! Building a world: empty, or as a scenario describes it. It must not know who runs it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::seconds;
use crate::error::LabError;
use crate::scenario::{Database, FaultSpec, Place, Scenario, Service, SnapshotSpec, VolumeSpec};

use super::hosts::Begin;
use super::{
    Attachment, Chance, Ids, Instance, Limits, Origin, Outcome, ROOT_DEVICE, Settings, Snapshot,
    Storage, Volume, World,
};

/// Size of every root volume, in GiB.
const ROOT_GIB: u64 = 8;
/// What of it is written, in GiB.
const ROOT_WRITTEN_GIB: f64 = 2.5;

/// What a world is built with, beside its scenario.
#[derive(Debug)]
pub struct Ground {
    /// When it begins.
    pub start: DateTime<Utc>,
    /// The seed of what varies from run to run; what belongs to the world follows its scenario's seed.
    pub seed: u64,
    /// Keeps the ids of two runs apart; 0 in process.
    pub salt: i64,
    /// How it is run.
    pub settings: Settings,
    /// What volumes are made of.
    pub storage: Storage,
}

impl World {
    /// A world in which nothing exists and nothing waits.
    pub fn empty(ground: Ground) -> World {
        let database = Database::with(&toml::Table::new(), None);
        let database = database.expect("the committed database.toml is complete");
        let seed = ground.seed;
        World::new(
            ground,
            seed,
            Service::instant(),
            database,
            FaultSpec::default(),
        )
    }

    /// The world of a scenario at its start.
    ///
    /// # Errors
    /// [`LabError::Content`] when a volume's content can't be made.
    pub fn from_scenario(scenario: &Scenario, ground: Ground) -> Result<World, LabError> {
        let (service, database) = (scenario.service.clone(), scenario.database.clone());
        let since = ground.start - oldest_age(&scenario.volumes);
        let seed = ground.seed;
        let mut world = World::new(ground, scenario.seed, service, database, scenario.faults);
        for place in [&scenario.source, &scenario.target] {
            world.add_instance(place);
            world.add_root(place)?;
        }
        for spec in &scenario.volumes {
            world.add_volume(&scenario.source, spec)?;
            let base_dir = &scenario.base_dir;
            world.add_writer(
                spec,
                &Begin {
                    since,
                    seed,
                    base_dir,
                },
            )?;
        }
        world.plug_all(&scenario.volumes)?;
        world.add_hosts(scenario, since, seed);
        world.live_through_past(&scenario.volumes)?;
        Ok(world)
    }

    fn new(
        ground: Ground,
        world_seed: u64,
        service: Service,
        database: Database,
        faults: FaultSpec,
    ) -> World {
        let mut settings = ground.settings;
        settings.rates &= service.throttle;
        World {
            now: ground.start,
            start: ground.start,
            service,
            database,
            faults,
            settings,
            storage: ground.storage,
            instances: BTreeMap::new(),
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            hosts: BTreeMap::new(),
            waiting: Vec::new(),
            receiving: BTreeMap::new(),
            comparisons: Default::default(),
            parameters: BTreeMap::new(),
            volume_tokens: Default::default(),
            snapshot_tokens: Default::default(),
            limits: Limits::new(),
            chance: Chance::of(world_seed, ground.seed),
            ids: Ids::new(ground.seed, ground.salt),
            two_writers_at: None,
        }
    }

    fn add_instance(&mut self, place: &Place) {
        let instance = Instance {
            id: place.instance.clone(),
            owner: place.account.clone(),
            region: place.region.clone(),
            zone: place.zone.clone(),
            instance_type: "r6i.4xlarge".to_owned(),
            launch_time: self.start - TimeDelta::days(200),
            tags: BTreeMap::new(),
        };
        self.instances.insert(instance.id.clone(), instance);
    }

    fn add_root(&mut self, place: &Place) -> Result<(), LabError> {
        let spec = VolumeSpec {
            id: self.ids.next("vol"),
            device: ROOT_DEVICE.to_owned(),
            size_gib: ROOT_GIB,
            volume_type: "gp3".to_owned(),
            written_gib: ROOT_WRITTEN_GIB,
            kms_key: None,
            iops: None,
            throughput: None,
            tags: BTreeMap::new(),
            workload: Vec::new(),
            snapshots: Vec::new(),
        };
        self.add_volume(place, &spec)
    }

    fn add_volume(&mut self, place: &Place, spec: &VolumeSpec) -> Result<(), LabError> {
        let content = self
            .storage
            .volume(&spec.id, spec.size_gib, spec.written_gib);
        let content = content.map_err(|error| bad_content(&spec.id, &error))?;
        let long_ago = self.start - TimeDelta::days(200);
        let volume = Volume {
            id: spec.id.clone(),
            owner: place.account.clone(),
            region: place.region.clone(),
            zone: place.zone.clone(),
            size_gib: spec.size_gib,
            volume_type: spec.volume_type.clone(),
            iops: spec.iops.or((spec.volume_type == "gp3").then_some(3000)),
            throughput: spec
                .throughput
                .or((spec.volume_type == "gp3").then_some(125)),
            kms_key: spec.kms_key.clone(),
            snapshot_id: String::new(),
            tags: spec.tags.clone(),
            create_time: long_ago,
            visible_at: long_ago,
            available_at: long_ago,
            initialized_at: long_ago,
            initialization_rate: None,
            attachment: Some(long_attached(place, spec, long_ago)),
            family: format!("family/{}", spec.id),
            base: None,
            content,
            workload: None,
            meter: None,
            last_snapshot_request: None,
        };
        self.volumes.insert(volume.id.clone(), volume);
        Ok(())
    }

    fn plug_all(&mut self, volumes: &[VolumeSpec]) -> Result<(), LabError> {
        for spec in volumes {
            let plugged = self.plug(&spec.id);
            plugged.map_err(|error| bad_content(&spec.id, &error))?;
        }
        Ok(())
    }

    /// Takes the snapshots that exist at the start, each at its time while the writers write.
    fn live_through_past(&mut self, volumes: &[VolumeSpec]) -> Result<(), LabError> {
        let past = |spec| move |snapshot| (spec, snapshot);
        let mut snapshots = volumes
            .iter()
            .flat_map(|spec| spec.snapshots.iter().map(past(spec)))
            .collect::<Vec<(&VolumeSpec, &SnapshotSpec)>>();
        snapshots.sort_by(|one, other| other.1.age_hours.total_cmp(&one.1.age_hours));
        for (spec, snapshot) in snapshots {
            self.advance_hosts(self.start - age(snapshot));
            self.add_snapshot(spec, snapshot)?;
        }
        self.advance_hosts(self.start);
        Ok(())
    }

    fn add_snapshot(&mut self, spec: &VolumeSpec, past: &SnapshotSpec) -> Result<(), LabError> {
        let id = self.ids.next("snap");
        let volume = &self.volumes[&spec.id];
        let fail = |error| bad_content(&id, &error);
        let content = volume.content.freeze_clone(&id).map_err(fail)?;
        let full_bytes = content.written_blocks().map_err(fail)?.bytes();
        let from = self.start - age(past);
        let until = from + seconds(past.duration_seconds.unwrap_or_default());
        let previous = self.previous_snapshot(volume);
        let incremental = previous.is_some();
        let delta_bytes = match previous.and_then(|older| older.content.as_ref()) {
            Some(older) => content.changed_since(older).map_err(fail)?.bytes(),
            None => full_bytes,
        };
        let snapshot = Snapshot {
            id: id.clone(),
            owner: volume.owner.clone(),
            region: volume.region.clone(),
            volume_id: volume.id.clone(),
            volume_size_gib: volume.size_gib,
            description: String::new(),
            tags: past.tags.clone(),
            kms_key: volume.kms_key.clone(),
            start_time: from,
            visible_at: from,
            family: volume.family.clone(),
            origin: Origin::Volume,
            outcome: Outcome::Work {
                from,
                ready: until,
                until,
                bend: 1.0,
                failure: None,
            },
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
        if past.duration_seconds.is_none() {
            let work = self.snapshot_work(&spec.id, from, delta_bytes);
            self.snapshots
                .entry(id)
                .and_modify(|made| made.outcome = work);
        }
        Ok(())
    }
}

/// How long before the start the writers begin: at the oldest snapshot, in whole seconds.
fn oldest_age(volumes: &[VolumeSpec]) -> TimeDelta {
    let ages = volumes.iter().flat_map(|spec| &spec.snapshots).map(age);
    let oldest = ages.max().unwrap_or_default();
    TimeDelta::seconds(oldest.num_seconds() + i64::from(oldest.subsec_nanos() > 0))
}

fn age(snapshot: &SnapshotSpec) -> TimeDelta {
    seconds(snapshot.age_hours * 3600.0)
}

fn long_attached(place: &Place, spec: &VolumeSpec, since: DateTime<Utc>) -> Attachment {
    Attachment {
        instance: place.instance.clone(),
        device: spec.device.clone(),
        attach_time: since,
        attached_at: since,
        detached_at: None,
        delete_on_termination: spec.device == ROOT_DEVICE,
        loop_device: None,
    }
}

fn bad_content(entity: &str, error: &dyn std::fmt::Display) -> LabError {
    LabError::Content {
        entity: entity.to_owned(),
        message: error.to_string(),
    }
}
