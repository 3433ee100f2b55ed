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
         A round's database was never stopped: this start replays its log, the one behind the fence need not.\n  \
         The gate of this migration forecasts with what was measured here.\n",
        found.name, found.round
    )
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
