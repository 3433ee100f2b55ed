//! A table: which hooks a policy has, what happened, and what comes next.

use super::super::{Goal, Next, Outlook, decide_with};
use crate::evidence::Evidence;
use crate::plan::Plan;
use crate::policy::{HookPhase, HookPolicy, HookTime};
use crate::story::{Story, forecast, plan};
use crate::units::Timestamp;

const FENCED: &str = "preflight round0 +3600 round1 +10800 gate check fence";
const PROVED: &str = "preflight round0 +3600 round1 +10800 gate check fence f2 a2 h2 c2 d2 w2 vol att up \
                      prove";

/// Named after phase and time: `round-pre` ...
fn hook(phase: HookPhase, when: HookTime) -> HookPolicy {
    HookPolicy {
        name: format!("{}-{}", phase.name(), when.name()),
        phase,
        when,
        command: vec!["/bin/true".into()],
        timeout_seconds: 10.0,
        fatal: true,
        idempotent: false,
    }
}

fn with(hooks: &[(HookPhase, HookTime)], change: impl Fn(&mut HookPolicy)) -> Plan {
    let mut plan = plan();
    plan.policy.hooks = hooks
        .iter()
        .map(|(phase, when)| hook(*phase, *when))
        .collect();
    plan.policy.hooks.iter_mut().for_each(change);
    plan
}

fn told(plan: &Plan, text: &str) -> String {
    let story = Story::of(text);
    let cutover = |_: &Evidence, _: Timestamp| forecast(900.0);
    let round_seconds = |_: &Evidence, _: Timestamp| 900.0;
    let outlook = Outlook {
        cutover: &cutover,
        round_seconds: &round_seconds,
        child: &|_| Err("there is none".to_owned()),
    };
    let goal = Goal { cutover: true };
    match decide_with(plan, &story.progress, goal, story.now, outlook) {
        Next::Act { action, .. } => action.step_id(),
        Next::WaitUntil { .. } => "wait".into(),
        Next::Adopt { .. } => "adopt".into(),
        Next::AwaitOperator { reason } => {
            assert!(reason.contains("hook"), "{reason}");
            "operator".into()
        }
        Next::Stop { outcome, .. } => format!("stop {outcome:?}").to_lowercase(),
    }
}

#[test]
fn hooks_run_once_before_and_after_their_phase() {
    use HookPhase::{Fence, Round, Switch, Unfence};
    use HookTime::{Post, Pre};
    let all = [
        (Round, Pre),
        (Round, Post),
        (Fence, Pre),
        (Fence, Post),
        (Switch, Pre),
        (Switch, Post),
        (Unfence, Pre),
        (Unfence, Post),
    ];
    let plan = with(&all, |_| {});
    let rounds = "hook:round-pre@0 hook:round-post@0 hook:round-post@1";
    let story = |text: &str| text.replacen("preflight", &format!("preflight {rounds}"), 1);
    for (text, expected) in [
        ("preflight", "hook.round-pre.0"),
        ("preflight hook:round-pre@0", "r00.snapshot"),
        ("preflight hook:round-pre@0 s0", "hook.round-post.0"),
        (
            "preflight hook:round-pre@0 s0 hook:round-post@0",
            "r00.await-snapshots",
        ),
        (
            &story("preflight round0 +3600 round1 +10800 gate check"),
            "hook.fence-pre.1",
        ),
        (
            &story("preflight round0 +3600 round1 +10800 gate check hook:fence-pre@1 op:abort"),
            "hook.unfence-post.1",
        ),
        (
            &story(
                "preflight round0 +3600 round1 +10800 gate check hook:fence-pre@1 op:abort hook:unfence-post@1",
            ),
            "stop aborted",
        ),
        (&story(FENCED), "hook.fence-post.7"),
        (
            &story(&format!("{FENCED} hook:fence-post@7")),
            "r02.freeze-snapshot.1",
        ),
        (
            &story(&format!("{PROVED} hook:fence-post@7 commit")),
            "hook.switch-pre.7",
        ),
        (
            &story(&format!(
                "{PROVED} hook:fence-post@7 commit hook:switch-pre@7"
            )),
            "activate.7",
        ),
        (
            &story(&format!("{PROVED} hook:fence-post@7 commit act")),
            "hook.switch-post.7",
        ),
        (
            &story(&format!(
                "{PROVED} hook:fence-post@7 commit act hook:switch-post@7"
            )),
            "compare",
        ),
        (&story(&format!("{FENCED} op:abort")), "hook.unfence-pre.7"),
        (
            &story(&format!("{FENCED} op:abort hook:unfence-pre@7")),
            "unfence.7",
        ),
        (
            &story(&format!("{FENCED} op:abort hook:unfence-pre@7 unf")),
            "hook.unfence-post.7",
        ),
        (
            &story(&format!(
                "{FENCED} op:abort hook:unfence-pre@7 unf hook:unfence-post@7"
            )),
            "stop aborted",
        ),
    ] {
        assert_eq!(told(&plan, text), expected, "{text}");
    }
}

#[test]
fn a_fatal_failure_goes_back_before_the_commit_and_waits_after_it() {
    use HookPhase::{Fence, Round, Switch};
    use HookTime::{Post, Pre};
    let plan = with(&[(Round, Pre), (Fence, Post), (Switch, Post)], |_| {});
    let rounds = |text: &str| text.replacen("preflight", "preflight hook:round-pre@0", 1);
    for (text, expected) in [
        ("preflight hook:round-pre@0!p", "operator"),
        ("preflight hook:round-pre@0!p op:resume", "hook.round-pre.0"),
        (
            &rounds(&format!("{FENCED} hook:fence-post@7!p")),
            "unfence.7",
        ),
        (
            &rounds(&format!(
                "{PROVED} hook:fence-post@7 commit act hook:switch-post@7!p"
            )),
            "operator",
        ),
        (
            &rounds(&format!(
                "{PROVED} hook:fence-post@7 commit act hook:switch-post@7!p op:resume"
            )),
            "hook.switch-post.7",
        ),
    ] {
        assert_eq!(told(&plan, text), expected, "{text}");
    }
    let harmless = with(&[(Round, Pre)], |hook| hook.fatal = false);
    assert_eq!(
        told(&harmless, "preflight hook:round-pre@0!p"),
        "r00.snapshot"
    );
}

#[test]
fn a_hook_that_was_killed_in_the_middle_is_asked_again_only_if_that_does_no_harm() {
    use HookPhase::{Round, Switch};
    use HookTime::{Post, Pre};
    let killed = "preflight hook:round-pre@0!u op:resume";
    let once = with(&[(Round, Pre)], |_| {});
    assert_eq!(told(&once, killed), "operator");
    let word = format!("{killed} op:resume");
    assert_eq!(
        told(&once, &word),
        "hook.round-pre.0",
        "the operator asked again"
    );
    let again = with(&[(Round, Pre)], |hook| hook.idempotent = true);
    assert_eq!(told(&again, killed), "hook.round-pre.0");
    let switch = with(&[(Switch, Post)], |_| {});
    let killed = format!("{PROVED} commit act hook:switch-post@7!u op:resume");
    assert_eq!(told(&switch, &killed), "operator", "the commit stands");
}

#[test]
fn the_way_back_is_never_held_up() {
    let plan = with(&[(HookPhase::Unfence, HookTime::Pre)], |_| {});
    let text = format!("{FENCED} op:abort hook:unfence-pre@7!p");
    assert_eq!(told(&plan, &text), "unfence.7");
}

#[test]
fn the_hook_before_a_fence_is_asked_for_once_however_long_it_takes() {
    let plan = with(&[(HookPhase::Fence, HookTime::Pre)], |_| {});
    let ready = "preflight round0 +3600 round1 +10800 gate check +5 hook:fence-pre@1 +20";
    let next = told(&plan, ready);
    assert!(next.starts_with("fence."), "{next}");
}
