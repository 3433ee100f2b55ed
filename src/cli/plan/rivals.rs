//! `plan --rivals`: the search against simpler schedules and an oracle.

use std::path::Path;

use serde::Serialize;
use snapmigrate_lab::Scenario;
use snapmigrate_models::schedule::{Comparison, compare};

use super::{Args, Given, given, policy, refusal};
use crate::cli::{CliError, Exit, Ui, runtime};
use crate::rehearse::Stage;
use crate::view;

/// Measures, plans, compares, seed after seed; what cannot be planned is named and left out.
pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    let mut rows = Vec::new();
    if args.scenario.is_empty() {
        for seed in seeds(args.seed, args.seeds) {
            let given = given(args, policy(args)?, ui)?;
            rows.push(compared(&Given { seed, ..given })?);
        }
    }
    for path in &args.scenario {
        let first = load(path, None)?.seed;
        for seed in seeds(first, args.seeds) {
            match measured(path, Some(seed)).and_then(|given| compared(&given)) {
                Ok(row) => rows.push(row),
                Err(error) => ui.note(&format!("{} seed {seed}: {error}", path.display())),
            }
        }
    }
    ui.show(&Rows { rivals: rows }, |rows| view::rivals(&rows.rivals))?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Rows {
    rivals: Vec<Comparison>,
}

fn seeds(first: u64, count: u32) -> impl Iterator<Item = u64> {
    (0..count).map(move |k| first.wrapping_add(k.into()))
}

fn compared(given: &Given) -> Result<Comparison, CliError> {
    compare(&given.profile, &given.policy, given.now, given.seed).map_err(refusal)
}

fn load(path: &Path, seed: Option<u64>) -> Result<Scenario, CliError> {
    Scenario::load_with(path, seed)
        .map_err(|error| CliError::usage("cannot use the scenario").caused_by(error))
}

/// What the product sees of a scenario's instance on the embedded lab.
pub fn measured(path: &Path, seed: Option<u64>) -> Result<Given, CliError> {
    let scenario = load(path, seed)?;
    let seed = scenario.seed;
    runtime::rehearsal(async {
        let stage = Stage::set(&scenario, seed).await?;
        let profile = stage.measure(&scenario).await?;
        Ok(Given {
            profile,
            now: stage.clock.now(),
            policy: stage.policy,
            seed,
        })
    })?
    .map_err(|error: crate::rehearse::RehearseError| {
        CliError::failed("cannot measure the scenario").caused_by(error)
    })
}
