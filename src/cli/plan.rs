//! `plan`: from a profile and a policy to a plan.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use snapmigrate_models::format::Document;
use snapmigrate_models::ids::InstanceId;
use snapmigrate_models::plan::{Plan, Verdict};
use snapmigrate_models::policy::Policy;
use snapmigrate_models::profile::Profile;
use snapmigrate_models::schedule::{PlanError, make_plan_with};

use super::error::Kind;
use super::wishes::Wishes;
use super::{CliError, ConnectionArgs, Exit, StateArgs, Ui, files, measure, runtime};
use crate::clock::Clock;
use crate::measure::{Options, Subject};
use crate::view;

/// Plan a migration: the rounds, when, over which path, to which downtime, or why it does not converge.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The policy file holds wishes and limits (docs/formats.md); flags override it. \
Exit code 3 when the plan does not converge: it is written all the same.

Examples:
  snapmigrate plan --profile profile.json --policy policy.toml -o plan.json
  snapmigrate plan --profile profile.json --target-account 222222222222 --target-region eu-west-1 \\
    --target-zone eu-west-1a --max-write-downtime-seconds 900 -o plan.json
  snapmigrate plan --instance i-0abc --source-region us-east-1 --policy policy.toml"
)]
pub struct Args {
    /// Profile that `measure` wrote.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "instance",
        conflicts_with = "instance"
    )]
    profile: Option<PathBuf>,
    /// Measure this instance now instead of reading a profile.
    #[arg(long, value_name = "ID")]
    instance: Option<InstanceId>,
    /// What is wanted and allowed, in TOML.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// File to write the plan to.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Plan as if it were this time (RFC 3339) [default: now; with --profile, when it was measured if that is later].
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    /// Seed of the simulation behind the forecast.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    wishes: Wishes,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    state: StateArgs,
}

/// Plans, saves, shows.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let policy = policy(args)?;
    let profile = profile(args, ui)?;
    let now = args
        .at
        .unwrap_or_else(|| Clock::System.now().max(profile.inventory.taken_at));
    let history = args.state.read(ui).learned();
    let plan = make_plan_with(&profile, &policy, &history, now, args.seed).map_err(refusal)?;
    if let Some(path) = &args.output {
        files::save(path, &plan.to_json())?;
    }
    ui.show(&plan, view::plan)?;
    Ok(exit(&plan))
}

/// Wishes that make no sense are a usage error; sensible ones that cannot be had are infeasible.
fn refusal(error: PlanError) -> CliError {
    let kind = if error.is_infeasible() {
        Kind::Refused
    } else {
        Kind::Usage
    };
    CliError::new(kind, "cannot plan this migration").caused_by(error)
}

const fn exit(plan: &Plan) -> Exit {
    match plan.verdict {
        Verdict::Converges | Verdict::ConvergesInWindow => Exit::Done,
        Verdict::NeedsLowerWriteRate | Verdict::DoesNotConverge => Exit::Refused,
    }
}

fn policy(args: &Args) -> Result<Policy, CliError> {
    let table = args
        .policy
        .as_deref()
        .map(files::toml)
        .transpose()?
        .unwrap_or_default();
    let table = args
        .wishes
        .over(table, args.connection.target_region.as_deref())?;
    let origin = args.policy.as_ref().map_or_else(
        || "cannot make a policy of the flags".to_owned(),
        |path| format!("cannot use {}", path.display()),
    );
    Policy::from_table(table).map_err(|error| {
        CliError::usage(origin)
            .caused_by(error)
            .hint("a policy needs at least [target] with account, region and zone, from --policy FILE or from \
                   --target-account, --target-region and --target-zone")
    })
}

fn profile(args: &Args, ui: &Ui) -> Result<Profile, CliError> {
    match (&args.profile, &args.instance) {
        (Some(path), _) => files::profile(path),
        (None, Some(instance)) => {
            let subject = Subject::Instance(instance.clone());
            runtime::network(measure::read(
                &subject,
                &args.connection,
                &Options::default(),
                ui,
            ))?
        }
        (None, None) => Err(CliError::usage("give --profile FILE or --instance ID")),
    }
}
