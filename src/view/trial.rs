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
        found.steps.iter().flat_map(rows).collect(),
        &[1, 2],
    );
    let told = found.steps.iter().any(|step| step.replay_seconds.is_some());
    let replay = if told {
        "A round's database was never stopped: it replays its log, the one behind the fence need not."
    } else {
        "A round's database was never stopped: this start replays its log, the one behind the fence need not. Its log does\n  \
         not tell how long that took; half of the start is assumed."
    };
    format!(
        "{}: round {} was restored on the target, its database started isolated, and all of it removed again\n{steps}\n  \
         {replay}\n  \
         The gate of this migration forecasts with what was measured here.\n",
        found.name, found.round
    )
}

/// A start whose replay is known is shown without it, which is what was believed, and the replay below.
fn rows(step: &TrialStep) -> Vec<Vec<String>> {
    let name = match step.step {
        ServiceStep::CreateVolume => "create the volumes",
        ServiceStep::Attach => "attach them",
        _ => "mount them and start the database",
    };
    let row = |name: &str, believed: Option<f64>, seconds| {
        let believed = believed.map_or_else(|| "-".to_owned(), duration);
        vec![name.to_owned(), believed, duration(seconds)]
    };
    let without = step.seconds - step.replay_seconds.unwrap_or_default();
    let replay = step.replay_seconds.map(|s| row("replay its log", None, s));
    let step = row(name, step.believed_seconds, without);
    std::iter::once(step).chain(replay).collect()
}
