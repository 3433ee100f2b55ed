//! How the simulated service behaves: the scenario's tables over the committed defaults.
//!
//! It must not know the world; it only holds figures and where they come from.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::{Table, Value};

use super::dist::Dist;
use super::drawn;

const SERVICE: &str = include_str!("../../data/service.toml");
const INSTANT: &str = include_str!("../../data/instant.toml");
const DATABASE: &str = include_str!("../../data/database.toml");

/// A step that moves data: an overhead, then a rate.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Time before any data moves, and after it has.
    pub overhead_seconds: Dist,
    /// Rate of the data, drawn once per entity.
    pub mib_per_second: Dist,
    /// Spread of the rate around the entity's own, per operation.
    pub jitter_sigma: f64,
    /// Chance that an operation is slow for reasons of its own.
    pub slow_probability: f64,
    /// How much longer it then takes.
    pub slow_factor: f64,
}

/// A step that takes a time whatever the size.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How long.
    pub seconds: Dist,
}

/// Background initialization of a volume made from a snapshot.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Initialize {
    /// Rate of the background loading.
    pub mib_per_second: Dist,
}

/// Copies with a promised duration.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeBased {
    /// Share of the promised duration that the copy really takes (held to at most 1).
    pub duration_share: Dist,
}

/// The EBS direct APIs.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Direct {
    /// Latency of a listing page.
    pub list_page_ms: Dist,
    /// Latency of one block read.
    pub get_block_ms: Dist,
    /// Latency of one block written.
    pub put_block_ms: Dist,
    /// From CompleteSnapshot to `completed`.
    pub complete_seconds: Dist,
}

/// Everything the simulated service takes time for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// How long a new resource stays absent from describes.
    pub consistency_delay_seconds: Dist,
    /// How old a stale answer is, when the fault `stale_describe` strikes.
    pub stale_seconds: Dist,
    /// How late a minute's sums appear in CloudWatch.
    pub metric_delay_seconds: Dist,
    /// Whether token buckets apply.
    pub throttle: bool,
    /// Latency of one request.
    pub api_latency_ms: Dist,
    /// Snapshots of volumes.
    pub snapshot: Transfer,
    /// Copies that move data.
    pub copy: Transfer,
    /// Copies within one account, region and key.
    pub local_copy: Step,
    /// Copies with a promised duration.
    pub time_based_copy: TimeBased,
    /// CreateVolume until `available`.
    pub volume_create: Step,
    /// Background initialization.
    pub initialize: Initialize,
    /// AttachVolume until `attached`.
    pub attach: Step,
    /// DetachVolume until `available`.
    pub detach: Step,
    /// EBS direct APIs.
    pub direct: Direct,
}

impl Service {
    /// The committed defaults with the scenario's `[service]` over them, in the world of a seed; without a seed
    /// in the middle of all worlds.
    pub fn with(overrides: &Table, seed: Option<u64>) -> Result<Service, toml::de::Error> {
        merged(("service", SERVICE), overrides, seed)
    }

    /// The service of a lab without a scenario: nothing waits.
    pub fn instant() -> Service {
        merged(("service", INSTANT), &Table::new(), None)
            .expect("the committed instant.toml is complete")
    }
}

/// How a simulated database host behaves.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The unit of the durations, always `s`.
    #[serde(deserialize_with = "only_seconds")]
    pub unit: String,
    /// From the fence request to no commit accepted any more.
    pub fence_seconds: Dist,
    /// One checkpoint.
    pub checkpoint_seconds: Dist,
    /// Freezing all its file systems.
    pub freeze_seconds: Dist,
    /// Starting the restored database until it is consistent.
    pub recovery_seconds: Dist,
    /// Promoting the standby until it accepts a commit.
    pub promote_seconds: Dist,
    /// Blocks that a clean stop flushes.
    pub shutdown_flush_blocks: Dist,
    /// Start of a database on volumes whose blocks are all in place, as a share of one on volumes that load lazily.
    pub loaded_start_share: f64,
    /// Bringing a volume to a snapshot on the target's host.
    pub sync: Sync,
}

/// Bringing an attached volume to a snapshot over the EBS direct APIs.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// Before the first block.
    pub overhead_seconds: Dist,
    /// Per page of the listing.
    pub page_seconds: Dist,
    /// Blocks written and read back.
    pub mib_per_second: Dist,
    /// The service's quota per snapshot.
    pub most_blocks_per_second: f64,
    /// Chance that a sync is slow for reasons of its own.
    pub slow_probability: f64,
    /// How much longer it then takes.
    pub slow_factor: f64,
}

impl Database {
    /// The committed defaults with the scenario's `[database]` over them, in the world of a seed; without a seed
    /// in the middle of all worlds.
    pub fn with(overrides: &Table, seed: Option<u64>) -> Result<Database, toml::de::Error> {
        merged(("database", DATABASE), overrides, seed)
    }
}

fn only_seconds<'de, D: serde::Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    let unit = String::deserialize(value)?;
    if unit == "s" {
        return Ok(unit);
    }
    Err(serde::de::Error::custom(format!(
        "unit is `{unit}`, but only `s` is known"
    )))
}

fn merged<T: serde::de::DeserializeOwned>(
    (name, defaults): (&str, &str),
    overrides: &Table,
    seed: Option<u64>,
) -> Result<T, toml::de::Error> {
    let mut table: Table = toml::from_str(defaults)?;
    overlay(&mut table, overrides);
    drawn::settle(&mut table, name, seed);
    T::deserialize(Value::Table(table))
}

fn overlay(base: &mut Table, over: &Table) {
    if over.contains_key("median") {
        // A figure of one's own holds in every world.
        base.remove("world");
    }
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(more)) => overlay(inner, more),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_scenario_changes_one_figure_and_keeps_the_others() {
        let over = toml::from_str("[snapshot]\nmib_per_second = { median = 9.0 }").unwrap();
        let service = Service::with(&over, None).unwrap();
        assert!((service.snapshot.mib_per_second.median - 9.0).abs() < 1e-12);
        assert!(service.snapshot.mib_per_second.sigma > 0.0);
        assert!(service.copy.mib_per_second.median > 20.0);
    }

    #[test]
    fn worlds_differ_except_where_the_scenario_says_a_figure() {
        let over = toml::from_str("[snapshot]\nmib_per_second = { median = 9.0 }").unwrap();
        let service = |seed| Service::with(&over, Some(seed)).unwrap();
        let (one, other) = (service(1), service(2));
        assert!((one.snapshot.mib_per_second.median - 9.0).abs() < 1e-12);
        assert!((one.copy.mib_per_second.median - other.copy.mib_per_second.median).abs() > 1.0);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let over = toml::from_str("[snapshot]\nspeed = 9.0").unwrap();
        let error = Service::with(&over, None).unwrap_err().to_string();
        assert!(error.contains("speed"), "{error}");
    }

    #[test]
    fn committed_tables_are_complete() {
        Service::instant();
        Service::with(&Table::new(), None).unwrap();
        Database::with(&Table::new(), None).unwrap();
    }
}
