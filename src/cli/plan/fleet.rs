//! `plan` for a fleet: many instances under limits they share.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use snapmigrate_models::fleet::{FleetError, FleetPlan, Profiles, check, plan_fleet};
use snapmigrate_models::format::Document;
use snapmigrate_models::ids::InstanceId;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::policy::Policy;

use super::{Args, refusal};
use crate::cli::{CliError, Exit, Ui, files};
use crate::clock::Clock;
use crate::rehearse::FleetStage;
use crate::view;

/// The fleet of a scenario, measured on the embedded lab; nothing when it has none.
pub fn staged(path: &Path) -> Result<Option<FleetStage>, CliError> {
    FleetStage::set(path)
        .map_err(|error| CliError::usage("cannot measure the scenario's fleet").caused_by(error))
}

/// Plans it.
pub fn of_scenario(args: &Args, stage: &FleetStage, ui: &Ui) -> Result<Exit, CliError> {
    let profiles = |instance: &InstanceId| stage.profile(instance);
    made(args, &stage.policy, &profiles, stage.now, ui)
}

/// Plans the fleet of a policy from the profiles that were given.
pub fn of_files(args: &Args, policy: &Policy, ui: &Ui) -> Result<Exit, CliError> {
    if args.instance.is_some() {
        return Err(CliError::usage("--instance measures one instance, the policy names a fleet")
            .hint("measure each instance with snapmigrate measure, and give the profiles with --profile"));
    }
    let found = found(&args.profile)?;
    let profiles = |instance: &InstanceId| match found.get(instance) {
        Some(head) => {
            files::profile(&head.path).map_err(|error| error.to_string().trim_end().to_owned())
        }
        None => Err("no profile of it was given with --profile".to_owned()),
    };
    let taken = found.values().map(|head| head.taken_at).max();
    let clock = Clock::System.now();
    let now = args
        .at
        .unwrap_or_else(|| taken.map_or(clock, |taken| clock.max(taken)));
    made(args, policy, &profiles, now, ui)
}

fn made(
    args: &Args,
    policy: &Policy,
    profiles: &Profiles<'_>,
    now: DateTime<Utc>,
    ui: &Ui,
) -> Result<Exit, CliError> {
    let folder = args.output.as_deref().map(Folder::new).transpose()?;
    let mut failed = None;
    let mut keep = |plan: &Plan| {
        if let (Some(folder), None) = (&folder, &failed) {
            failed = folder.keep(plan).err();
        }
    };
    let fleet = plan_fleet(policy, profiles, now, args.seed, &mut keep).map_err(impossible)?;
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(folder) = &folder {
        files::save(&folder.0.join("fleet.json"), &fleet.to_json())?;
    }
    if let Some(path) = &args.picture {
        files::save(path, &view::fleet_timeline(&fleet))?;
    }
    ui.show(&fleet, view::fleet)?;
    Ok(exit(&fleet))
}

/// What the shared part cannot be is refused, what one instance lacks is in the document.
fn exit(fleet: &FleetPlan) -> Exit {
    if check(fleet).refused() {
        Exit::Refused
    } else {
        Exit::Done
    }
}

fn impossible(error: FleetError) -> CliError {
    match error {
        FleetError::Plan(error) => refusal(error),
        FleetError::Empty | FleetError::Member { .. } => {
            CliError::usage("cannot plan this fleet").caused_by(error)
        }
    }
}

/// Where the plans go.
struct Folder(PathBuf);

impl Folder {
    fn new(path: &Path) -> Result<Self, CliError> {
        fs::create_dir_all(path).map_err(|error| {
            CliError::usage(format!("cannot make the folder {}", path.display())).caused_by(error)
        })?;
        Ok(Self(path.to_owned()))
    }

    fn keep(&self, plan: &Plan) -> Result<(), CliError> {
        let name = plan
            .source
            .instance
            .as_ref()
            .map_or(plan.name.as_str(), InstanceId::as_str);
        files::save(&self.0.join(format!("{name}.json")), &plan.to_json())
    }
}

/// The part of a profile that says whose it is.
#[derive(Deserialize)]
struct Beginning {
    inventory: Whose,
}

#[derive(Deserialize)]
struct Whose {
    taken_at: DateTime<Utc>,
    instance: Option<InstanceId>,
}

/// A profile that was given.
struct Head {
    path: PathBuf,
    taken_at: DateTime<Utc>,
}

/// The profiles by instance; of two of the same instance the newer one.
fn found(given: &[PathBuf]) -> Result<BTreeMap<InstanceId, Head>, CliError> {
    let mut heads: BTreeMap<InstanceId, Head> = BTreeMap::new();
    for path in all(given)? {
        let text = files::read(&path)?;
        let beginning: Beginning = serde_json::from_str(&text).map_err(|error| {
            CliError::usage(format!("cannot use {}", path.display()))
                .caused_by(error)
                .hint("snapmigrate measure -o FILE writes a profile")
        })?;
        let taken_at = beginning.inventory.taken_at;
        let Some(instance) = beginning.inventory.instance else {
            continue;
        };
        if heads
            .get(&instance)
            .is_none_or(|known| known.taken_at < taken_at)
        {
            heads.insert(instance, Head { path, taken_at });
        }
    }
    Ok(heads)
}

/// The files given, and the JSON files in the folders given, in order.
fn all(given: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut paths = Vec::new();
    for path in given {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let unread =
            |error| CliError::usage(format!("cannot read {}", path.display())).caused_by(error);
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(unread)? {
            inside.push(entry.map_err(unread)?.path());
        }
        inside.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        });
        inside.sort();
        paths.extend(inside);
    }
    Ok(paths)
}
