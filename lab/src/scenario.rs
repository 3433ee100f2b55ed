//! The scenario file `snapmigrate.scenario/1`: what a lab holds and how it behaves.
//!
//! It must not know the world that is built from it, nor read the product's own tables
//! (`[policy]`, `[measure]` and `[fleet]` are only carried).

mod check;
mod dist;
mod drawn;
mod schema;
mod service;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Table;

pub use dist::{Dist, standard_normal};
pub use schema::schema;
pub use service::{Database, Direct, Initialize, Service, Step, TimeBased, Transfer};

/// The format name and version that this lab reads.
pub const FORMAT: &str = "snapmigrate.scenario/1";

/// Why a scenario can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("can't read the scenario {path}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not TOML, or a key is missing, unknown or of the wrong type.
    #[error("the scenario{} is malformed: {message}", at.as_deref().map(|at| format!("'s [{at}]")).unwrap_or_default())]
    Malformed {
        /// The table that could not be read, when it is known.
        at: Option<String>,
        /// What is wrong, with the key's name.
        message: String,
    },
    /// It says another format.
    #[error("the scenario's format is `{found}`, this program reads `{FORMAT}`")]
    Format {
        /// What it says.
        found: String,
    },
    /// A value that can't be.
    #[error("the scenario's {subject} can't be used: {message}")]
    Invalid {
        /// Which value.
        subject: String,
        /// Why not, and what would do.
        message: String,
    },
}

/// One side of the migration: an account, a region, a zone and the instance there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The 12-digit account id.
    pub account: String,
    /// The region, e.g. `us-east-1`.
    pub region: String,
    /// The availability zone, e.g. `us-east-1a`.
    pub zone: String,
    /// The instance's id.
    pub instance: String,
}

/// A snapshot that exists when the lab starts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotSpec {
    /// How long before the start it was begun, in hours.
    pub age_hours: f64,
    /// How long it took, in seconds; absent: as the service's snapshots take here.
    pub duration_seconds: Option<f64>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A data volume of the source instance.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeSpec {
    /// Its id.
    pub id: String,
    /// The device it is attached as.
    pub device: String,
    /// Its size in GiB.
    pub size_gib: u64,
    /// Its type (`gp3`, `io2`, `st1`, ...).
    #[serde(rename = "type", default = "gp3")]
    pub volume_type: String,
    /// GiB written before the lab starts.
    pub written_gib: f64,
    /// The KMS key's ARN; the volume is encrypted when there is one.
    pub kms_key: Option<String>,
    /// Provisioned IOPS.
    pub iops: Option<u32>,
    /// Provisioned throughput in MiB/s.
    pub throughput: Option<u32>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The processes that write to it.
    #[serde(default)]
    #[schemars(with = "Vec<crate::workload::ProcessSpec>")]
    pub workload: Vec<toml::Table>,
    /// Snapshots that exist when the lab starts.
    #[serde(default)]
    pub snapshots: Vec<SnapshotSpec>,
}

fn gp3() -> String {
    "gp3".to_owned()
}

/// Probabilities of faults, in per mille of the requests or operations that they can strike.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FaultSpec {
    /// RequestLimitExceeded where the bucket was not empty.
    pub throttle: f64,
    /// A server error before any effect.
    pub server_error: f64,
    /// A server error after the effect: the answer is lost.
    pub lost_answer: f64,
    /// A snapshot of a volume that ends in `error`.
    pub snapshot_error: f64,
    /// A copy that ends in `error`.
    pub copy_error: f64,
    /// A snapshot of a volume that stays pending for days.
    pub snapshot_stuck: f64,
    /// A copy that stays pending for days.
    pub copy_stuck: f64,
    /// A describe that shows an older world.
    pub stale_describe: f64,
    /// A describe that does not know what was made of late.
    pub missing_describe: f64,
    /// An operation that takes several times as long.
    pub slow: f64,
    /// A snapshot that takes as long as if it were the volume's first.
    pub full_scan: f64,
}

/// A scenario, checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The seed its values were drawn with: the file's, where the caller gave none.
    pub seed: u64,
    /// The virtual start.
    pub start: DateTime<Utc>,
    /// Where the database is.
    pub source: Place,
    /// Where it goes.
    pub target: Place,
    /// The source instance's data volumes.
    pub volumes: Vec<VolumeSpec>,
    /// How the service behaves.
    pub service: Service,
    /// How the simulated database host behaves.
    pub database: Database,
    /// What goes wrong at random.
    pub faults: FaultSpec,
    /// The operator's policy, for the product.
    pub policy: Table,
    /// How to measure, for the product.
    pub measure: Table,
    /// How many instances like this one there are, for the product's fleet planning; the lab holds one.
    pub fleet: Table,
    /// Where relative paths in the scenario start: its file's directory.
    pub base_dir: PathBuf,
}

/// A scenario: what a lab holds and how it behaves.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scenario")]
struct File {
    /// Always `snapmigrate.scenario/1`.
    format: String,
    /// Its name.
    name: String,
    /// What is left to chance is drawn with it.
    seed: u64,
    /// The virtual start.
    start: DateTime<Utc>,
    /// Where the database is.
    source: Place,
    /// Where it goes.
    target: Place,
    /// The source instance's data volumes.
    #[serde(default)]
    volumes: Vec<VolumeSpec>,
    /// How the service behaves: only what differs from the lab's own tables.
    #[serde(default)]
    #[schemars(with = "Service")]
    service: Table,
    /// How the simulated database host behaves: only what differs from the lab's own tables.
    #[serde(default)]
    #[schemars(with = "Database")]
    database: Table,
    /// What goes wrong at random.
    #[serde(default)]
    faults: FaultSpec,
    /// The operator's policy: keys of `snapmigrate schema policy`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    policy: Table,
    /// How to measure.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    measure: Table,
    /// How many instances like this one there are.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    fleet: Table,
}

impl Scenario {
    /// Reads and checks the scenario file at `path`, drawn with its own seed.
    pub fn load(path: &Path) -> Result<Scenario, ScenarioError> {
        Scenario::load_with(path, None)
    }

    /// Reads the scenario file at `path`, draws what it leaves to chance with `seed` (its own when absent), and
    /// checks it.
    pub fn load_with(path: &Path, seed: Option<u64>) -> Result<Scenario, ScenarioError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Read { path: name, source })?;
        let mut scenario = Scenario::parse_with(&text, seed)?;
        if let Some(dir) = path.parent() {
            scenario.base_dir = dir.to_owned();
        }
        Ok(scenario)
    }

    /// Reads and checks a scenario, drawn with its own seed.
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        Scenario::parse_with(text, None)
    }

    /// Reads a scenario, draws what it leaves to chance with `seed` (its own when absent), and checks it.
    pub fn parse_with(text: &str, seed: Option<u64>) -> Result<Scenario, ScenarioError> {
        let mut table: Table = toml::from_str(text).map_err(|error| malformed(None, &error))?;
        match table.get("format").and_then(toml::Value::as_str) {
            Some(FORMAT) => {}
            found => {
                return Err(ScenarioError::Format {
                    found: found.unwrap_or("missing").to_owned(),
                });
            }
        }
        if let Some(seed) = seed {
            let seed = seed.cast_signed();
            table.insert("seed".to_owned(), toml::Value::Integer(seed));
        }
        let file: File = drawn_file(table, text)?;
        let scenario = file.resolve()?;
        check::check(&scenario)?;
        Ok(scenario)
    }
}

/// The file's tables with everything drawn. A file that draws nothing is read from its text, so that an
/// error names the line.
fn drawn_file(mut table: Table, text: &str) -> Result<File, ScenarioError> {
    let before = table.clone();
    let seed = table.get("seed").and_then(toml::Value::as_integer);
    let seed = seed.unwrap_or_default().cast_unsigned();
    drawn::draw(&mut table, seed)
        .map_err(|message| ScenarioError::Malformed { at: None, message })?;
    let read = if table == before {
        toml::from_str(text)
    } else {
        toml::Value::Table(table).try_into()
    };
    let mut file: File = read.map_err(|error| malformed(None, &error))?;
    file.seed = seed;
    Ok(file)
}

impl File {
    fn resolve(self) -> Result<Scenario, ScenarioError> {
        debug_assert_eq!(self.format, FORMAT, "checked before");
        let seed = Some(self.seed);
        let service =
            Service::with(&self.service, seed).map_err(|e| malformed(Some("service"), &e))?;
        let database =
            Database::with(&self.database, seed).map_err(|e| malformed(Some("database"), &e))?;
        Ok(Scenario {
            name: self.name,
            seed: self.seed,
            start: self.start,
            source: self.source,
            target: self.target,
            volumes: self.volumes,
            service,
            database,
            faults: self.faults,
            policy: self.policy,
            measure: self.measure,
            fleet: self.fleet,
            base_dir: PathBuf::from("."),
        })
    }
}

fn malformed(at: Option<&str>, error: &toml::de::Error) -> ScenarioError {
    ScenarioError::Malformed {
        at: at.map(str::to_owned),
        message: error.to_string().trim_end().to_owned(),
    }
}
