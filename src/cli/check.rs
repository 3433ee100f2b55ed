//! `check`: does a plan still fit what stands in the account and on the database's hosts?

mod hosts;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use snapmigrate_models::check::{Findings, check};
use snapmigrate_models::inventory::Inventory;
use snapmigrate_models::plan::Plan;

use super::{CliError, ConnectionArgs, Exit, Kind, Ui, execute, files, runtime};
use crate::clock::Clock;
use crate::cloud::{self, Cloud, Transport};
use crate::measure::{self, MeasureError, Subject};
use crate::view;

/// Check a plan against the account and the database's hosts, or against a profile: findings, and nothing is changed.
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
    let mut findings = check(
        &plan,
        &inventory,
        args.at.unwrap_or_else(|| Clock::System.now()),
    );
    if args.profile.is_none() {
        let journal = execute::beside(&args.plan);
        runtime::network(hosts::add(&mut findings, &plan, &args.connection, &journal))??;
    }
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
    let cloud = cloud::connect(&connection, &Transport::Network, Clock::System).await;
    fresh(
        &cloud.map_err(|error| unseen(error.into()))?,
        plan,
        Clock::System,
    )
    .await
}

/// What stands at the source of `plan` right now.
async fn fresh(source: &Cloud, plan: &Plan, clock: Clock) -> Result<Inventory, CliError> {
    measure::inventory(source, &clock, &subject(plan))
        .await
        .map_err(unseen)
}

fn unseen(error: MeasureError) -> CliError {
    CliError::failed("cannot look at the source account; nothing was changed").caused_by(error)
}

/// Checks `plan` against what stands in the account before anything is done for it; what does not forbid it
/// is told.
///
/// With `hosts`, how to reach them and the journal that a cutover will be recorded in, those are looked at as well.
///
/// # Errors
/// [`CliError`] when a finding forbids it, with all findings.
pub async fn before_start(
    source: &Cloud,
    plan: &Plan,
    clock: Clock,
    hosts: Option<(&ConnectionArgs, &Path)>,
    ui: &Ui,
) -> Result<(), CliError> {
    let mut findings = check(plan, &fresh(source, plan, clock).await?, clock.now());
    if let Some((connection, journal)) = hosts {
        hosts::add(&mut findings, plan, connection, journal).await?;
    }
    if findings.refused() {
        return Err(refusal(&findings));
    }
    if !findings.findings.is_empty() {
        ui.note(view::findings(&findings).trim_end());
    }
    Ok(())
}

/// Findings that forbid executing a plan, as an error.
pub fn refusal(findings: &Findings) -> CliError {
    CliError::new(
        Kind::Refused,
        "the check refuses the plan; nothing was changed",
    )
    .hint(view::findings(findings))
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

#[cfg(test)]
mod tests {
    use snapmigrate_lab::Scenario;
    use snapmigrate_models::schedule::make_plan;

    use super::*;
    use crate::rehearse::Stage;

    const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios/tiny.toml");

    #[tokio::test(start_paused = true)]
    async fn a_plan_that_the_account_outgrew_is_refused_before_anything_is_done() {
        let scenario = Scenario::load(std::path::Path::new(SCENARIO)).expect("a scenario");
        let stage = Stage::set(&scenario, 1).await.expect("a stage");
        let profile = stage.measure(&scenario).await.expect("a profile");
        let plan = make_plan(&profile, &stage.policy, stage.clock.now(), 1).expect("a plan");
        let ui = Ui::new(false);
        let fits = before_start(&stage.source, &plan, stage.clock, None, &ui).await;
        assert!(fits.is_ok(), "{fits:?}");
        let mut grown = plan;
        grown.volumes[0].size_gib -= 1;
        let grown = grown.sealed();
        let refused = before_start(&stage.source, &grown, stage.clock, None, &ui).await;
        let error = refused.expect_err("the volume is larger than planned for");
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.to_string().contains("GiB, is"), "{error}");
    }
}
