//! Before anything is changed: accounts, volumes, instances, hosts.

use snapmigrate_models::check;
use snapmigrate_models::ids::{AccountId, Region};
use snapmigrate_models::policy::TransferPath;
use snapmigrate_models::step::{Layer, Stack, StepResult, VolumeMount};

use super::Context;
use super::freeze::MARGIN_SECONDS;
use crate::cloud::Cloud;
use crate::execute::failure::Failure;
use crate::quiesce::compare::{CompareError, compare};
use crate::quiesce::protocol::{
    DatabaseState, Hello, Inspect, InspectReply, LUKS_ABILITY, MountFact, STACKS_ABILITY, Severity,
    Status,
};

/// How often a host is greeted to know how long a message takes.
const GREETINGS: u32 = 3;

impl Context<'_> {
    pub(super) async fn preflight(&self) -> Result<StepResult, Failure> {
        let (source, target) = (&self.plan.source, &self.plan.target);
        owner(
            "source",
            &self.sides.source,
            &source.account,
            &source.region,
        )
        .await?;
        owner(
            "target",
            &self.sides.target,
            &target.account,
            &target.region,
        )
        .await?;
        self.volumes_are_as_planned().await?;
        self.hooks_can_run()?;
        let direct = self
            .plan
            .rounds
            .iter()
            .any(|r| r.path == TransferPath::Direct);
        if direct {
            self.target_can_sync().await?;
        }
        let hosts = self.goal.cutover || self.progress.orders.trial;
        if !hosts || self.plan.policy.database.is_none() {
            return Ok(StepResult::Done);
        }
        self.target_instance_is_ready().await?;
        self.hosts_go_together().await?;
        self.messages_fit_the_freeze().await?;
        self.target_host_is_ready().await?;
        let found = self.inspect_source().await?;
        Ok(StepResult::Inspected {
            mounts: self.mounts(&found)?,
            stacks: self.stacks(&found).await?,
            system_identifier: found.system_identifier,
        })
    }

    async fn volumes_are_as_planned(&self) -> Result<(), Failure> {
        let facts = self.sides.source.describe_volumes(&self.volumes()).await?;
        for (facts, planned) in facts.iter().zip(&self.plan.volumes) {
            let size = planned.size_gib;
            if facts.size_gib != size {
                return Err(Failure::permanent(format!(
                    "{} has {} GiB, the plan was made for {size} GiB: measure and plan again",
                    facts.volume, facts.size_gib
                )));
            }
            if facts.state == "error" {
                let message = format!("{} is in state error: replace it first", facts.volume);
                return Err(Failure::permanent(message));
            }
        }
        Ok(())
    }

    async fn target_instance_is_ready(&self) -> Result<(), Failure> {
        let Some(instance) = &self.plan.target.instance else {
            return Err(Failure::permanent("the plan names no target instance"));
        };
        let found = self.sides.target.instance_volumes(instance).await?;
        let zone = &self.plan.target.zone;
        if found.zone.as_ref().is_some_and(|found| found != zone) {
            let message = format!("{instance} is not in {zone}: volumes could not be attached");
            return Err(Failure::permanent(message));
        }
        let ours = |device: &str| {
            self.plan
                .volumes
                .iter()
                .any(|planned| planned.device == device)
        };
        let taken = found
            .data
            .iter()
            .find(|v| v.device.as_deref().is_some_and(ours));
        match taken.filter(|volume| !volume.tags.contains_key("snapmigrate:plan")) {
            None => Ok(()),
            Some(taken) => Err(Failure::permanent(format!(
                "{} on {instance} is taken by {}: detach it first",
                taken.device.as_deref().unwrap_or("a device"),
                taken.volume
            ))),
        }
    }

    /// The helpers are ours, and what lies outside the volumes is alike.
    async fn hosts_go_together(&self) -> Result<(), Failure> {
        let expected = self.plan.policy.database.as_ref();
        let expected = expected.and_then(|database| database.helper_sha256.as_deref());
        let (source, target) = (self.source_host()?, self.target_host()?);
        let found = match compare(source, target, Vec::new(), expected).await {
            Ok(found) => found,
            Err(CompareError::Host(error)) => return Err(error.into()),
            Err(error @ CompareError::Foreign(_)) => {
                return Err(Failure::permanent(error.to_string()));
            }
        };
        let refused = found
            .iter()
            .filter(|f| f.severity == check::Severity::Refuse);
        let words: Vec<String> = refused
            .map(|f| format!("{} {}; {}", f.subject, f.message, f.remedy))
            .collect();
        if words.is_empty() {
            return Ok(());
        }
        Err(Failure::permanent(words.join("; ")))
    }

    /// Freeze and thaw are a message each: where those take seconds, both must fit into the limit beside the call. The
    /// host thaws at the limit by its own clock, whatever the messages do.
    async fn messages_fit_the_freeze(&self) -> Result<(), Failure> {
        let host = self.source_host()?;
        if !host.is_carried() {
            return Ok(());
        }
        let mut slowest: f64 = 0.0;
        for _ in 0..GREETINGS {
            let asked_at = self.clock.now();
            host.call(Hello {}).await?;
            slowest = slowest.max((self.clock.now() - asked_at).as_seconds_f64());
        }
        let (limit, needed) = (
            self.plan.policy.freeze_limit_seconds,
            2.0 * slowest + 2.0 * MARGIN_SECONDS,
        );
        if needed <= limit {
            return Ok(());
        }
        Err(Failure::permanent(format!(
            "{} answers within {slowest:.1} s: a freeze takes up to {needed:.0} s there and the policy allows {limit:.0} s; \
             raise freeze_limit_seconds, or use ssh:",
            host.name()
        )))
    }

    async fn target_host_is_ready(&self) -> Result<(), Failure> {
        let host = self.target_host()?;
        host.call(Hello {}).await?;
        let status = host.call(Status {}).await?;
        if status.database == DatabaseState::Running {
            return Err(Failure::permanent(format!(
                "a database accepts writes on the target host {}: stop it and empty its data \
                 directory first",
                host.name()
            )));
        }
        Ok(())
    }

    async fn inspect_source(&self) -> Result<InspectReply, Failure> {
        let host = self.source_host()?;
        host.call(Hello {}).await?;
        let found = host.call(Inspect {}).await?;
        let planned = self.plan.policy.database.as_ref();
        if let Some(planned) = planned.filter(|planned| planned.engine != found.engine) {
            return Err(Failure::permanent(format!(
                "the policy's engine is {}, {} has {}: make the two the same",
                planned.engine,
                host.name(),
                found.engine
            )));
        }
        let refusals = refusals(&found);
        if refusals.is_empty() {
            return Ok(found);
        }
        Err(Failure::permanent(format!(
            "{} refuses: {}",
            host.name(),
            refusals.join("; ")
        )))
    }

    /// Which file system belongs to which volume: told by the host, else by the device name, else
    /// there is only one.
    pub(super) fn mounts(&self, found: &InspectReply) -> Result<Vec<VolumeMount>, Failure> {
        let mounts = found.mounts.iter().map(|mount| self.mount(mount));
        let mut mounts: Vec<_> = mounts.collect::<Result<Vec<_>, _>>()?.concat();
        mounts.sort_by(|a, b| (&a.volume, &a.mountpoint).cmp(&(&b.volume, &b.mountpoint)));
        Ok(mounts)
    }

    /// What the target has to assemble first; its helper must know how.
    async fn stacks(&self, found: &InspectReply) -> Result<Vec<Stack>, Failure> {
        let layered = found.mounts.iter().filter(|mount| !mount.layers.is_empty());
        let stacks: Vec<Stack> = layered
            .map(|mount| Stack {
                mountpoint: mount.mountpoint.clone(),
                layers: mount.layers.clone(),
            })
            .collect();
        if stacks.is_empty() {
            return Ok(stacks);
        }
        let layers = || stacks.iter().flat_map(|stack| &stack.layers);
        let encrypted = layers().any(|layer| matches!(layer, Layer::Luks { .. }));
        let needed = [
            (
                true,
                STACKS_ABILITY,
                "update it: it cannot assemble LVM and mdraid",
            ),
            (
                encrypted,
                LUKS_ABILITY,
                "set mount.luks_key_file in its host.toml: a layer is encrypted",
            ),
        ];
        let host = self.target_host()?;
        let able = host.call(Hello {}).await?.abilities;
        match needed
            .iter()
            .find(|(needed, ability, _)| *needed && !able.iter().any(|it| it == ability))
        {
            None => Ok(stacks),
            Some((_, _, what)) => Err(Failure::permanent(format!(
                "the helper on the target host {}: {what}",
                host.name()
            ))),
        }
    }

    /// One entry per volume below the file system.
    fn mount(&self, mount: &MountFact) -> Result<Vec<VolumeMount>, Failure> {
        if mount.volumes.len() < 2 {
            return Ok(vec![self.mount_on(mount, mount.volume.as_deref())?]);
        }
        let volumes = mount.volumes.iter();
        volumes
            .map(|volume| self.mount_on(mount, Some(volume)))
            .collect()
    }

    fn mount_on(&self, mount: &MountFact, told: Option<&str>) -> Result<VolumeMount, Failure> {
        let planned = &self.plan.volumes;
        let by_name = planned.iter().find(|p| Some(p.volume.as_str()) == told);
        let by_device = || {
            planned
                .iter()
                .find(|p| told.is_none() && p.device == mount.device)
        };
        let only = || {
            planned
                .first()
                .filter(|_| told.is_none() && planned.len() == 1)
        };
        match by_name.or_else(by_device).or_else(only) {
            Some(planned) => Ok(VolumeMount {
                volume: planned.volume.clone(),
                mountpoint: mount.mountpoint.clone(),
            }),
            None => Err(Failure::permanent(format!(
                "{} ({}{}) is on no volume of the plan: it would be left behind; measure and plan \
                 with all volumes of the database",
                mount.mountpoint,
                mount.device,
                told.map_or_else(String::new, |volume| format!(", {volume}"))
            ))),
        }
    }
}

/// What forbids a migration, in words.
pub(super) fn refusals(found: &InspectReply) -> Vec<String> {
    let refuse = found
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refuse);
    let words = refuse.map(|f| format!("{}: {}; {}", f.subject, f.message, f.remedy));
    let standby = found
        .in_recovery
        .then(|| "the source is a standby, not the primary".to_owned());
    words.chain(standby).collect()
}

async fn owner(
    side: &str,
    cloud: &Cloud,
    account: &AccountId,
    region: &Region,
) -> Result<(), Failure> {
    let found = cloud.identity().await?;
    if found.account != *account || cloud.region() != region {
        return Err(Failure::permanent(format!(
            "the {side}'s credentials are for account {} in {}, the plan is for {account} in {region}",
            found.account,
            cloud.region()
        )));
    }
    Ok(())
}
