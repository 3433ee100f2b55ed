//! `measure`: an account's volumes into a profile.

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use snapmigrate_models::format::Document;
use snapmigrate_models::ids::{InstanceId, VolumeId};
use snapmigrate_models::profile::Profile;

use super::{CliError, ConnectionArgs, Exit, Ui, files, runtime};
use crate::clock::Clock;
use crate::cloud::{self, CloudError, Transport};
use crate::measure::{self, MeasureError, Options, ProbePolicy, Subject};
use crate::view;

/// Measure the volumes of an instance: write history, deltas and durations of existing snapshots.
///
/// Reads only, unless probe snapshots are allowed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapmigrate measure --instance i-0abc -o profile.json
  snapmigrate measure --volume vol-0abc --volume vol-0def --source-region us-east-1 -o profile.json
  snapmigrate measure --instance i-0abc --probe-snapshots 2 --probe-spacing-minutes 20 -o profile.json")]
pub struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Write the profile to this file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Hours of write history to read from CloudWatch.
    #[arg(long, value_name = "HOURS", default_value_t = 336, value_parser = clap::value_parser!(u32).range(1..=1512))]
    history_hours: u32,
    /// Take this many snapshots of the group to learn its deltas from; they stay, tagged.
    #[arg(long, value_name = "N", default_value_t = 0)]
    probe_snapshots: u32,
    /// Minutes between two probe snapshots.
    #[arg(long, value_name = "MINUTES", default_value_t = 20)]
    probe_spacing_minutes: u32,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What to measure: an instance, or volumes one by one.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct SubjectArgs {
    /// Every data volume of this instance.
    #[arg(long, value_name = "ID")]
    instance: Option<InstanceId>,
    /// This volume; may be given several times.
    #[arg(long, value_name = "ID")]
    volume: Vec<VolumeId>,
}

impl SubjectArgs {
    /// The subject named.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match &self.instance {
            Some(instance) => Subject::Instance(instance.clone()),
            None => Subject::Volumes(self.volume.clone()),
        }
    }
}

/// Measures, saves, shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    runtime::network(measure_and_save(args, ui))?
}

async fn measure_and_save(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let options = Options {
        history: TimeDelta::hours(args.history_hours.into()),
        probe: (args.probe_snapshots > 0).then(|| ProbePolicy {
            snapshots: args.probe_snapshots,
            spacing: Duration::from_secs(60 * u64::from(args.probe_spacing_minutes)),
        }),
    };
    let profile = read(&args.subject.subject(), &args.connection, &options, ui).await?;
    if let Some(path) = &args.output {
        files::save(path, &profile.to_json())?;
        ui.note(&format!("profile written to {}", path.display()));
    }
    ui.show(&profile, view::profile)?;
    Ok(Exit::Done)
}

/// Measures over the network, for every command that starts from an account.
pub async fn read(
    subject: &Subject,
    connection: &ConnectionArgs,
    options: &Options,
    ui: &Ui,
) -> Result<Profile, CliError> {
    let clock = Clock::System;
    let cloud = cloud::connect(&connection.source(), &Transport::Network, clock).await;
    let cloud = cloud.map_err(|error| failed(error.into()))?;
    ui.note(&format!("measuring in {} ...", cloud.region()));
    measure::measure(&cloud, &clock, subject, options)
        .await
        .map_err(failed)
}

fn failed(error: MeasureError) -> CliError {
    let hint = match &error {
        MeasureError::Cloud(cloud) => hint(cloud),
        _ => None,
    };
    let failed = CliError::failed("nothing was measured and nothing was changed").caused_by(error);
    match hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

fn hint(error: &CloudError) -> Option<&'static str> {
    match error.code.as_str() {
        code if code.ends_with("NotFound") => Some(
            "check the id, the region (--source-region) and whose credentials these are (--source-profile)",
        ),
        "dispatch" | "timeout" => Some(
            "no answer: check the region's name (--source-region), the network and --endpoint-url",
        ),
        _ => None,
    }
}
