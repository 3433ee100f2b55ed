//! A whole migration on the embedded lab: measure, plan, check, execute with cutover, verify.
//!
//! It knows the scenario's two accounts and hands the lab's wire and hosts to the same code that
//! runs against AWS. The planner gets no more of the scenario than its `[policy]` and `[measure]`.

mod campaign;
#[cfg(test)]
mod changed;
mod deaths;
mod faults;
mod fleet;
mod many;
mod run;

pub use campaign::campaign;
pub use deaths::{Chosen, kill_campaign, kill_once};
pub use fleet::FleetStage;
pub use many::{Field, fault_campaign};
pub use run::{Rehearsed, Wish, rehearse};

use chrono::TimeDelta;
use serde::Deserialize;
use snapmigrate_lab::scenario::ScenarioError;
use snapmigrate_lab::{ApiError, Lab, LabError, Scenario};
use snapmigrate_models::ids::{AccountId, InvalidId};
use snapmigrate_models::policy::{Policy, PolicyError};
use snapmigrate_models::profile::Profile;
use snapmigrate_models::schedule::PlanError;

use crate::clock::Clock;
use crate::cloud::{self, Cloud, CloudError, Connection, Transport, Wire};
use crate::execute::ExecuteError;
use crate::journal::JournalError;
use crate::measure::{self, MeasureError, Options, ProbePolicy, Subject};

/// The scenario's `[measure]` table.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MeasureTable {
    history_hours: u32,
    probe_snapshots: u32,
    probe_spacing_minutes: u32,
}

impl Default for MeasureTable {
    fn default() -> Self {
        Self {
            history_hours: 336,
            probe_snapshots: 0,
            probe_spacing_minutes: 20,
        }
    }
}

/// Why a rehearsal could not run to a report.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The scenario's `[policy]` cannot be used.
    #[error("the scenario's [policy] cannot be used")]
    Policy(#[from] PolicyError),
    /// The scenario's `[measure]` cannot be used.
    #[error("the scenario's [measure] cannot be used")]
    Measure(#[source] Box<toml::de::Error>),
    /// The scenario's `[fleet]` cannot be used.
    #[error("the scenario's [fleet] cannot be used")]
    Fleet(#[source] Box<toml::de::Error>),
    /// A scenario that a fleet's instances are like cannot be used.
    #[error("a scenario that the fleet names cannot be used")]
    Template(#[from] ScenarioError),
    /// A name in the scenario does not have the form of its kind.
    #[error("the scenario names something that cannot be")]
    Name(#[from] InvalidId),
    /// The lab cannot be built.
    #[error("the lab cannot be built from the scenario")]
    Lab(#[from] LabError),
    /// Clients of the lab cannot be made.
    #[error("cannot reach the lab")]
    Cloud(#[from] CloudError),
    /// Measuring failed.
    #[error(transparent)]
    Measuring(#[from] MeasureError),
    /// The check refuses the plan.
    #[error("the check refuses the plan: `rehearse` without --faults says why")]
    Refused,
    /// The lab cannot be looked at.
    #[error("the lab cannot be looked at")]
    Observing(#[source] ApiError),
    /// Time cannot be simulated.
    #[error("cannot start a clock for the rehearsal")]
    Runtime(#[from] std::io::Error),
    /// Nothing can be planned.
    #[error("cannot plan this migration")]
    Planning(#[from] PlanError),
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The executor could not go on.
    #[error("cannot execute the plan")]
    Executing(#[from] ExecuteError),
}

/// The lab with both sides connected, on a paused clock.
pub struct Stage {
    /// The simulated AWS.
    pub lab: Lab,
    /// Virtual time.
    pub clock: Clock,
    /// The account the database is in.
    pub source: Cloud,
    /// The account it goes to.
    pub target: Cloud,
    /// What the scenario's operator wants.
    pub policy: Policy,
}

impl Stage {
    /// Builds the lab of a scenario. Must be called inside a runtime with paused time.
    ///
    /// # Errors
    /// [`RehearseError`].
    pub async fn set(scenario: &Scenario, seed: u64) -> Result<Self, RehearseError> {
        Self::over(scenario, seed, |lab| Wire::to(lab.clone())).await
    }

    /// The same with a way to the lab of the caller's own.
    async fn over(
        scenario: &Scenario,
        seed: u64,
        wire: impl FnOnce(&Lab) -> Wire,
    ) -> Result<Self, RehearseError> {
        let lab = Lab::from_scenario(scenario, seed)?;
        Self::of_lab(scenario, lab, Clock::paused(scenario.start), wire).await
    }

    /// The same over a lab that is there.
    async fn of_lab(
        scenario: &Scenario,
        lab: Lab,
        clock: Clock,
        wire: impl FnOnce(&Lab) -> Wire,
    ) -> Result<Self, RehearseError> {
        let policy = Policy::from_table(policy_table(scenario))?;
        let wire = wire(&lab);
        let source = side(&wire, &scenario.source, clock).await?;
        let target = side(&wire, &scenario.target, clock).await?;
        Ok(Self {
            lab,
            clock,
            source,
            target,
            policy,
        })
    }

    /// Measures the scenario's source instance as its `[measure]` table says.
    ///
    /// # Errors
    /// [`RehearseError`].
    pub async fn measure(&self, scenario: &Scenario) -> Result<Profile, RehearseError> {
        let table: MeasureTable = scenario
            .measure
            .clone()
            .try_into()
            .map_err(|error| RehearseError::Measure(Box::new(error)))?;
        let spacing = std::time::Duration::from_secs(60 * u64::from(table.probe_spacing_minutes));
        let options = Options {
            history: TimeDelta::hours(table.history_hours.into()),
            probe: (table.probe_snapshots > 0).then_some(ProbePolicy {
                snapshots: table.probe_snapshots,
                spacing,
            }),
        };
        let subject = Subject::Instance(scenario.source.instance.parse()?);
        Ok(measure::measure(&self.source, &self.clock, &subject, &options).await?)
    }
}

async fn side(
    wire: &Wire,
    place: &snapmigrate_lab::scenario::Place,
    clock: Clock,
) -> Result<Cloud, RehearseError> {
    let account: AccountId = place.account.parse()?;
    let connection = Connection {
        region: Some(place.region.clone()),
        ..Connection::default()
    };
    let transport = Transport::Lab {
        wire: wire.clone(),
        account,
    };
    Ok(cloud::connect(&connection, &transport, clock).await?)
}

/// The scenario's policy with its target place filled in, where the policy does not name one.
fn policy_table(scenario: &Scenario) -> toml::Table {
    let mut table = scenario.policy.clone();
    let name = toml::Value::String(scenario.name.clone());
    table.entry("name").or_insert(name);
    // The lab's hosts are simulated in process: the channel names are for the plan's reader.
    table.entry("database").or_insert_with(|| {
        toml::toml! {
            engine = "postgres"
            source_host = "lab"
            target_host = "lab"
        }
        .into()
    });
    let target = table
        .entry("target")
        .or_insert_with(|| toml::Table::new().into());
    if let toml::Value::Table(target) = target {
        let place = &scenario.target;
        let keys = [
            ("account", &place.account),
            ("region", &place.region),
            ("zone", &place.zone),
            ("instance", &place.instance),
        ];
        for (key, value) in keys {
            target
                .entry(key)
                .or_insert_with(|| toml::Value::String(value.clone()));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
format = "snapmigrate.scenario/1"
name = "small"
seed = 1
start = "2026-11-02T08:00:00Z"
[source]
account = "111111111111"
region = "us-east-1"
zone = "us-east-1a"
instance = "i-0db00000000000001"
[target]
account = "222222222222"
region = "eu-west-1"
zone = "eu-west-1a"
instance = "i-0db00000000000002"
[[volumes]]
id = "vol-0data000000000001"
device = "/dev/sdf"
size_gib = 20
type = "gp3"
written_gib = 10
[[volumes.snapshots]]
age_hours = 26
duration_seconds = 600
[[volumes.snapshots]]
age_hours = 2
duration_seconds = 60
[measure]
history_hours = 24
"#;

    #[test]
    fn every_scenario_loads_with_a_policy_that_makes_sense() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).expect("the scenarios") {
            let path = entry.expect("a file").path();
            let scenario = Scenario::load_with(&path, None).expect("a scenario");
            let policy = Policy::from_table(policy_table(&scenario));
            assert!(policy.is_ok(), "{}: {policy:?}", path.display());
            seen += 1;
        }
        assert!(seen >= 16, "{seen} scenarios");
    }

    #[tokio::test(start_paused = true)]
    async fn the_sdk_measures_a_volume_of_the_lab() {
        let scenario = Scenario::parse(SMALL).expect("a scenario");
        let stage = Stage::set(&scenario, 1).await.expect("a stage");
        let profile = stage.measure(&scenario).await.expect("a profile");
        assert_eq!(profile.inventory.account.as_str(), "111111111111");
        assert_eq!(profile.inventory.volumes.len(), 1);
        assert_eq!(profile.inventory.snapshots.len(), 2);
        assert_eq!(profile.volumes[0].deltas.len(), 1);
        assert_eq!(profile.volumes[0].written_blocks, Some(20_480));
    }
}
