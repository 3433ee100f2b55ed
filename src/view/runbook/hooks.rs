//! The runbook's section on hooks: what of the operator's own is run when, for how long, and what its failure means.

use snapmigrate_models::plan::Plan;
use snapmigrate_models::policy::{HookPhase, HookPolicy};

use crate::view::table::markdown;
use crate::view::units::duration;

/// The section; none without hooks.
pub(super) fn hooks(plan: &Plan) -> Option<String> {
    let hooks = &plan.policy.hooks;
    if hooks.is_empty() {
        return None;
    }
    let mut sorted: Vec<&HookPolicy> = hooks.iter().collect();
    sorted.sort_by_key(|hook| (hook.phase, hook.when));
    let rows: Vec<Vec<String>> = sorted.into_iter().map(row).collect();
    let heads = [
        "Hook",
        "When",
        "Command",
        "At most",
        "When it fails",
        "Run again by itself",
    ];
    let table = markdown(&heads, &rows);
    let downtime = duration(plan.policy.hooks_in_downtime_seconds());
    Some(format!(
        "The executor runs these on its own machine, once each. A rehearsal only names them.\n\n{table}\n\
         Hooks after the fence and around the switch lie in the time in which clients cannot write: at most \
         {downtime} more than the forecast says. Behind the fence they count against the lease.\n"
    ))
}

fn row(hook: &HookPolicy) -> Vec<String> {
    vec![
        hook.name.clone(),
        format!("{} {}", hook.when.name(), hook.phase.name()),
        format!("`{}`", hook.command.join(" ")),
        duration(hook.timeout_seconds),
        failure(hook).to_owned(),
        if hook.idempotent {
            "yes"
        } else {
            "no: you decide"
        }
        .to_owned(),
    ]
}

const fn failure(hook: &HookPolicy) -> &'static str {
    match hook.phase {
        _ if !hook.fatal => "goes on",
        HookPhase::Unfence => "goes on: nothing holds up the source",
        HookPhase::Round => "waits for you; the source serves",
        HookPhase::Fence => "before: waits for you; after: the way back",
        HookPhase::Switch | HookPhase::Revert => "waits for you; the commit stands",
    }
}
