//! `plan`: from a profile and a policy to a plan.

mod child;
mod fleet;
mod rivals;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use snapmigrate_models::calibration::History;
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
  snapmigrate plan --instance i-0abc --source-region us-east-1 --policy policy.toml
  snapmigrate plan --scenario fixtures/scenarios/fourteen-hours.toml -o plan.json
  snapmigrate plan --from plan.journal.sqlite -o child.json     # and: execute child.json --journal plan.journal.sqlite
  snapmigrate plan --policy fleet.toml --profile profiles/ -o plans/ --picture fleet.svg
  snapmigrate plan --scenario fixtures/scenarios/fleet.toml --picture fleet.svg
  snapmigrate plan --rivals --profile profile.json --policy policy.toml --seeds 5"
)]
pub struct Args {
    /// Profile that `measure` wrote; for a policy with a fleet those of all its instances, as files or folders.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        required_unless_present_any = ["instance", "scenario", "from"],
        conflicts_with_all = ["instance", "scenario", "from"]
    )]
    profile: Vec<PathBuf>,
    /// Make a child of this journal's plan: from what really happened, under the same policy. `execute` goes on
    /// with it in the same journal, up to the fence.
    #[arg(long, value_name = "JOURNAL", conflicts_with_all = ["instance", "scenario", "policy", "rivals", "picture"])]
    from: Option<PathBuf>,
    /// Measure this scenario's instance on the embedded lab, and plan by the scenario's policy; may be given
    /// several times with --rivals.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["instance", "policy"])]
    scenario: Vec<PathBuf>,
    /// Show the schedule beside simpler ones (hourly rounds, Azure Migrate's cycle, back-to-back rounds) and
    /// beside an oracle that knows all writing and luck beforehand, on the same draws.
    #[arg(long, conflicts_with = "output")]
    rivals: bool,
    /// With --rivals: so many seeds, from --seed on; a scenario is another world with each.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "rivals",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,
    /// Measure this instance now instead of reading a profile.
    #[arg(long, value_name = "ID")]
    instance: Option<InstanceId>,
    /// What is wanted and allowed, in TOML.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// File to write the plan to; for a fleet the folder for `fleet.json` and each instance's own plan.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// For a fleet: file to draw its timeline in, as SVG.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
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
    if args.rivals {
        return rivals::run(args, ui);
    }
    if let Some(journal) = &args.from {
        return child::run(args, journal, ui);
    }
    let Given {
        profile,
        policy,
        now,
        seed,
    } = match args.scenario.as_slice() {
        [] => match policy(args)? {
            policy if policy.fleet.is_some() => return fleet::of_files(args, &policy, ui),
            policy => given(args, policy, ui)?,
        },
        [path] => match fleet::staged(path)? {
            Some(stage) => return fleet::of_scenario(args, &stage, ui),
            None => rivals::measured(path, None)?,
        },
        _ => {
            return Err(CliError::usage(
                "--scenario: one at a time, without --rivals",
            ));
        }
    };
    if args.picture.is_some() {
        return Err(
            CliError::usage("--picture draws the timeline of a fleet").hint(
                "a fleet is a policy with [[fleet.instances]], or a scenario with [[fleet.groups]]",
            ),
        );
    }
    let history = match args.scenario.is_empty() {
        true => args.state.read(ui).learned(),
        false => History::default(),
    };
    let plan = make_plan_with(&profile, &policy, &history, now, seed).map_err(refusal)?;
    shown(args, &plan, ui)
}

/// Saves and shows.
fn shown(args: &Args, plan: &Plan, ui: &Ui) -> Result<Exit, CliError> {
    if let Some(path) = &args.output {
        files::save(path, &plan.to_json())?;
    }
    ui.show(plan, view::plan)?;
    Ok(exit(plan))
}

/// What a plan is made from.
struct Given {
    profile: Profile,
    policy: Policy,
    now: DateTime<Utc>,
    seed: u64,
}

fn given(args: &Args, policy: Policy, ui: &Ui) -> Result<Given, CliError> {
    let profile = profile(args, ui)?;
    let now = args
        .at
        .unwrap_or_else(|| Clock::System.now().max(profile.inventory.taken_at));
    Ok(Given {
        profile,
        policy,
        now,
        seed: args.seed,
    })
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
    match (args.profile.as_slice(), &args.instance) {
        ([path], _) => files::profile(path),
        ([_, second, ..], _) => Err(CliError::usage(format!(
            "--profile {}: one profile is enough for a policy without a fleet",
            second.display()
        ))),
        ([], Some(instance)) => {
            let subject = Subject::Instance(instance.clone());
            runtime::network(measure::read(
                &subject,
                &args.connection,
                &Options::default(),
                ui,
            ))?
        }
        ([], None) => Err(CliError::usage("give --profile FILE or --instance ID")),
    }
}
