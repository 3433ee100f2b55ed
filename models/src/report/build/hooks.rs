//! What the report says of hooks.

use crate::plan::Plan;
use crate::policy::{HookPhase, HookTime};
use crate::progress::Progress;
use crate::report::ReportedHook;
use crate::units::Timestamp;

/// Every hook that ended well, in the order of their ends.
pub(super) fn reported(plan: &Plan, progress: &Progress) -> Vec<ReportedHook> {
    let mut hooks: Vec<ReportedHook> = progress
        .hooks
        .values()
        .filter_map(|run| {
            let hook = plan.policy.hook(&run.name)?;
            Some(ReportedHook {
                name: run.name.clone(),
                phase: hook.phase.name().to_owned(),
                when: hook.when.name().to_owned(),
                occasion: run.occasion,
                seconds: run.seconds,
                ended_at: run.at,
            })
        })
        .collect();
    hooks.sort_by_key(|hook| hook.ended_at);
    hooks
}

/// When the last hook after the activation ended: only then do clients reach the target.
pub(super) fn switched(plan: &Plan, progress: &Progress) -> Option<Timestamp> {
    let of_switch = |name: &str| {
        let hook = plan.policy.hook(name);
        hook.is_some_and(|hook| (hook.phase, hook.when) == (HookPhase::Switch, HookTime::Post))
    };
    let runs = progress.hooks.values().filter(|run| of_switch(&run.name));
    runs.map(|run| run.at).max()
}
