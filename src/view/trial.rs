//! A restore that was tried.

use snapmigrate_models::observation::ServiceStep;
use snapmigrate_models::trial::{TrialReport, TrialStep};

use super::table::table;
use super::units::duration;

/// The trial as a table.
#[must_use]
pub fn trial(found: &TrialReport) -> String {
    let steps = table(
        &["step", "believed at the median", "took"],
        found.steps.iter().map(row).collect(),
        &[1, 2],
    );
    format!(
        "{}: round {} was restored on the target, its database started isolated, and all of it removed again\n{steps}\n  \
         {}\n  \
         The gate of this migration forecasts with what was measured here.\n",
        found.name,
        found.round,
        replay(found)
    )
}

fn replay(found: &TrialReport) -> String {
    let told = found.steps.iter().find_map(|step| step.replay_seconds);
    let known = told.map(|seconds| {
        let replay = duration(seconds);
        format!("A round's database was never stopped: {replay} of this start replayed its log, the one behind the fence need not.")
    });
    known.unwrap_or_else(|| {
        "A round's database was never stopped: this start replays its log, the one behind the fence need not. How long \
         that took its log does not tell; half of the start is assumed."
            .to_owned()
    })
}

fn row(step: &TrialStep) -> Vec<String> {
    let name = match step.step {
        ServiceStep::CreateVolume => "create the volumes",
        ServiceStep::Attach => "attach them",
        _ => "mount them and start the database",
    };
    let believed = step.believed_seconds.map(duration);
    vec![
        name.to_owned(),
        believed.unwrap_or_else(|| "-".to_owned()),
        duration(step.seconds),
    ]
}
