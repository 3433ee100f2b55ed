//! A fleet from a few scenarios: some worlds of each are measured on the lab, and every instance takes one of them
//! under ids of its own.
//!
//! Measuring a thousand instances would tell nothing more: they differ by their world, and there are as many of
//! those as the scenario asks for.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use snapmigrate_lab::Scenario;
use snapmigrate_models::ids::{InstanceId, VolumeId};
use snapmigrate_models::policy::{FleetMember, Policy};
use snapmigrate_models::profile::Profile;
use snapmigrate_models::units::Timestamp;

use super::many::{over, paused};
use super::{RehearseError, Stage, policy_table};

/// The scenario's `[fleet]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FleetTable {
    groups: Vec<Group>,
}

/// Instances of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// The scenario they are like, relative to this one; absent: this one.
    scenario: Option<PathBuf>,
    instances: u32,
    /// Different ones among them.
    worlds: u32,
    /// Replicas in one failure domain.
    #[serde(default = "alone")]
    domain_size: u32,
    /// Keys of the policy that are different for them.
    #[serde(default)]
    policy: toml::Table,
}

const fn alone() -> u32 {
    1
}

/// A fleet, ready to be planned.
pub struct FleetStage {
    /// What its operator wants; names every instance.
    pub policy: Policy,
    /// The moment it was measured.
    pub now: Timestamp,
    worlds: BTreeMap<InstanceId, (u32, Arc<Profile>)>,
}

impl FleetStage {
    /// Measures the worlds of a scenario's fleet; nothing when the scenario has none.
    ///
    /// # Errors
    /// [`RehearseError`].
    pub fn set(path: &Path) -> Result<Option<Self>, RehearseError> {
        let scenario = &Scenario::load(path)?;
        if scenario.fleet.is_empty() {
            return Ok(None);
        }
        let table: FleetTable = scenario
            .fleet
            .clone()
            .try_into()
            .map_err(|error| RehearseError::Fleet(Box::new(error)))?;
        let mut policy = Policy::from_table(policy_table(scenario))?;
        let mut fleet = policy.fleet.take().unwrap_or_default();
        let mut worlds = BTreeMap::new();
        let mut number = 0;
        for (index, group) in table.groups.iter().enumerate() {
            let like = group.scenario.as_ref();
            let like = like.map_or_else(|| path.to_owned(), |own| scenario.base_dir.join(own));
            let measured = measured(&like, scenario.seed, group.worlds)?;
            for k in 0..group.instances {
                let instance: InstanceId = format!("i-0f1ee7{number:011}").parse()?;
                let world = (k % group.worlds.max(1)) as usize;
                fleet
                    .instances
                    .push(member(group, index, k, number, &instance));
                worlds.insert(instance, (number, measured[world].clone()));
                number += 1;
            }
        }
        policy.fleet = Some(fleet);
        let taken = worlds
            .values()
            .map(|(_, profile)| profile.inventory.taken_at);
        Ok(Some(Self {
            policy,
            now: taken.max().unwrap_or(scenario.start),
            worlds,
        }))
    }

    /// What was measured of an instance.
    ///
    /// # Errors
    /// Words, when there is no such instance.
    pub fn profile(&self, instance: &InstanceId) -> Result<Profile, String> {
        let world = self.worlds.get(instance);
        let (number, profile) = world.ok_or_else(|| format!("the scenario has no {instance}"))?;
        renamed(profile, instance, *number).map_err(|error| error.to_string())
    }
}

fn member(group: &Group, index: usize, k: u32, number: u32, instance: &InstanceId) -> FleetMember {
    let mut policy = group.policy.clone();
    let target = policy
        .entry("target")
        .or_insert_with(|| toml::Table::new().into());
    if let toml::Value::Table(target) = target {
        let restored = format!("i-0f1ee8{number:011}");
        target.insert("instance".to_owned(), toml::Value::String(restored));
    }
    let domain = format!("group-{index}-cluster-{}", k / group.domain_size.max(1));
    FleetMember {
        instance: instance.clone(),
        domain: (group.domain_size > 1).then_some(domain),
        policy,
    }
}

/// So many worlds of a scenario, measured on the lab with one seed after the other.
fn measured(path: &Path, first: u64, count: u32) -> Result<Vec<Arc<Profile>>, RehearseError> {
    let worlds = 0..count.max(1);
    let seeds: Vec<u64> = worlds
        .map(|world| first.wrapping_add(world.into()))
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let one = |seed: &u64| -> Result<Arc<Profile>, RehearseError> {
        let template = Scenario::load_with(path, Some(*seed))?;
        paused()?.block_on(async {
            let stage = Stage::set(&template, *seed).await?;
            Ok(Arc::new(stage.measure(&template).await?))
        })
    };
    over(&seeds, threads, one, |_| {}).into_iter().collect()
}

/// The same profile of another instance with volumes of its own.
fn renamed(
    profile: &Profile,
    instance: &InstanceId,
    number: u32,
) -> Result<Profile, snapmigrate_models::ids::InvalidId> {
    let mut own = profile.clone();
    let mut names: BTreeMap<VolumeId, VolumeId> = BTreeMap::new();
    for (facts, place) in own.inventory.volumes.iter_mut().zip(0_u32..) {
        let name: VolumeId = format!("vol-0f1ee7{number:07}{place:04}").parse()?;
        names.insert(std::mem::replace(&mut facts.volume, name.clone()), name);
        facts.attached_to = Some(instance.clone());
    }
    own.inventory.instance = Some(instance.clone());
    let rename = |volume: &mut VolumeId| {
        if let Some(name) = names.get(volume) {
            volume.clone_from(name);
        }
    };
    own.volumes
        .iter_mut()
        .for_each(|seen| rename(&mut seen.volume));
    own.inventory
        .snapshots
        .iter_mut()
        .for_each(|one| rename(&mut one.volume));
    Ok(own)
}
