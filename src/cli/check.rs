//! `check`: does a plan still fit what stands in the account?

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use snapmigrate_models::check::check;
use snapmigrate_models::inventory::Inventory;
use snapmigrate_models::plan::Plan;

use super::{CliError, ConnectionArgs, Exit, Ui, files, runtime};
use crate::clock::Clock;
use crate::cloud::{self, Transport};
use crate::measure::{self, MeasureError, Subject};
use crate::view;

/// Check a plan against the account, or against a profile: findings, and nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 3 when a finding forbids executing the plan.

Examples:
  snapmigrate check plan.json
  snapmigrate check plan.json --profile profile.json")]
pub struct Args {
    /// Plan to check.
    plan: PathBuf,
    /// Check against what this profile saw instead of what stands in the source account now.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Check as if it were this time (RFC 3339) [default: now].
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Checks and shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let plan = files::plan(&args.plan)?;
    let inventory = inventory(args, &plan)?;
    let findings = check(
        &plan,
        &inventory,
        args.at.unwrap_or_else(|| Clock::System.now()),
    );
    ui.show(&findings, view::findings)?;
    Ok(if findings.refused() {
        Exit::Refused
    } else {
        Exit::Done
    })
}

fn inventory(args: &Args, plan: &Plan) -> Result<Inventory, CliError> {
    match &args.profile {
        Some(path) => Ok(files::profile(path)?.inventory),
        None => runtime::network(live(plan, &args.connection))?,
    }
}

async fn live(plan: &Plan, connection: &ConnectionArgs) -> Result<Inventory, CliError> {
    let mut connection = connection.source();
    connection
        .region
        .get_or_insert_with(|| plan.source.region.to_string());
    let clock = Clock::System;
    let failed = |error: MeasureError| {
        CliError::failed("cannot look at the source account; nothing was changed").caused_by(error)
    };
    let cloud = cloud::connect(&connection, &Transport::Network, clock).await;
    let cloud = cloud.map_err(|error| failed(error.into()))?;
    measure::inventory(&cloud, &clock, &subject(plan))
        .await
        .map_err(failed)
}

fn subject(plan: &Plan) -> Subject {
    match &plan.source.instance {
        Some(instance) => Subject::Instance(instance.clone()),
        None => Subject::Volumes(
            plan.volumes
                .iter()
                .map(|volume| volume.volume.clone())
                .collect(),
        ),
    }
}
