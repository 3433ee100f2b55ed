//! A child plan takes over, or the operator is waited for.

use crate::decide::{Goal, Next, Outlook, decide_with};
use crate::evidence::Evidence;
use crate::plan::{Plan, Verdict};
use crate::step::Event;
use crate::story::{Story, forecast, plan};
use crate::units::{Quantiles, Timestamp};

const AT_GATE: &str = "preflight round0 +3600 round1 +10800";
/// The window of the story's plan is over by then.
const LATE: &str = "preflight round0 +3600 round1 +18001";

fn converging(_: Option<Timestamp>) -> Result<Plan, String> {
    Ok(plan())
}

fn hopeless(_: Option<Timestamp>) -> Result<Plan, String> {
    Ok(Plan {
        verdict: Verdict::DoesNotConverge,
        ..plan()
    })
}

fn next(
    plan: &Plan,
    story: &Story,
    child: &dyn Fn(Option<Timestamp>) -> Result<Plan, String>,
) -> Next {
    let outlook = Outlook {
        cutover: &|_: &Evidence, _: Timestamp| forecast(900.0),
        round_seconds: &|_: &Evidence, _: Timestamp| 900.0,
        child,
    };
    let goal = Goal { cutover: true };
    decide_with(plan, &story.progress, goal, story.now, outlook)
}

fn short(next: &Next) -> String {
    match next {
        Next::Act { action, .. } => action.step_id(),
        Next::WaitUntil { .. } => "wait".into(),
        Next::Adopt { .. } => "adopt".into(),
        Next::AwaitOperator { .. } => "operator".into(),
        Next::Stop { outcome, .. } => format!("stop {outcome:?}").to_lowercase(),
    }
}

fn told(text: &str, child: &dyn Fn(Option<Timestamp>) -> Result<Plan, String>) -> String {
    short(&next(&plan(), &Story::of(text), child))
}

fn limited() -> Event {
    let limits = serde_json::json!({"max_write_downtime_seconds": 1200.0});
    let new: crate::policy::PolicyLimits = serde_json::from_value(limits).expect("limits");
    let old = new.as_in(&plan().policy);
    Event::Limited { old, new }
}

#[test]
fn a_missed_window_leads_to_the_next_one_or_to_the_operator() {
    assert_eq!(told(LATE, &converging), "adopt");
    assert_eq!(told(LATE, &hopeless), "operator");
    assert_eq!(told(LATE, &|_| Err("no".into())), "operator");
    let mut alone = plan();
    alone.policy.replan = false;
    assert_eq!(
        short(&next(&alone, &Story::of(LATE), &converging)),
        "stop aborted"
    );
}

#[test]
fn a_postponed_cutover_waits_and_is_planned_anew_when_it_is_released() {
    let held = format!("{LATE} op:postpone");
    assert_eq!(told(&held, &converging), "wait");
    for word in ["op:release", "op:cutover"] {
        assert_eq!(told(&format!("{held} {word}"), &converging), "adopt");
    }
}

#[test]
fn a_round_far_from_its_plan_is_no_reason_to_stop() {
    let story = Story::of("preflight round0 +3600 round1");
    let mut small = plan();
    small.rounds[1].delta_bytes = Quantiles::exact(1000.0);
    assert_eq!(short(&next(&small, &story, &converging)), "adopt");
    assert_eq!(
        short(&next(&small, &story, &hopeless)),
        "wait",
        "the parent goes on"
    );
    let mut fits = plan();
    fits.rounds[1].delta_bytes = Quantiles::exact(5e6);
    assert_eq!(short(&next(&fits, &story, &converging)), "wait");
}

#[test]
fn a_surprise_moves_no_night_and_a_missed_one_does() {
    let mut small = plan();
    small.rounds[1].delta_bytes = Quantiles::exact(1000.0);
    small.bounds.latest_fence = small.window.end - chrono::TimeDelta::minutes(10);
    let asked = std::cell::Cell::new(None);
    let child = |by| {
        asked.set(Some(by));
        converging(by)
    };
    let surprise = Story::of("preflight round0 +3600 round1");
    assert_eq!(short(&next(&small, &surprise, &child)), "adopt");
    assert_eq!(asked.take(), Some(Some(small.bounds.latest_fence)));
    assert_eq!(short(&next(&small, &Story::of(LATE), &child)), "adopt");
    assert_eq!(asked.take(), Some(None), "the next night");
}

#[test]
fn moved_limits_hold_from_a_child_on_and_never_behind_the_fence() {
    let mut story = Story::of(AT_GATE);
    story.say(limited()).expect("before the fence");
    assert_eq!(short(&next(&plan(), &story, &converging)), "adopt");
    let waits = next(&plan(), &story, &hopeless);
    let Next::AwaitOperator { reason } = &waits else {
        panic!("{waits:?}")
    };
    assert!(
        reason.contains("moved limits") && reason.contains("limits"),
        "{reason}"
    );
    let mut fenced = Story::of(&format!("{AT_GATE} gate check fence"));
    assert!(fenced.say(limited()).is_err());
}

#[test]
fn a_lost_base_waits_for_a_plan_that_counts_with_it() {
    for step in ["s1!l", "s1 a1 h1 c1!l", "s1 a1 h1 c1 d1 w1 +10800 gate!l"] {
        let text = format!("preflight round0 +3600 b1 {step}");
        assert_eq!(told(&text, &converging), "adopt", "{text}");
        assert_eq!(told(&text, &hopeless), "operator", "{text}");
        let mut story = Story::of(&text);
        let child = Event::Adopted {
            plan: Box::new(plan()),
            reason: Some("lost".to_owned()),
        };
        story.say(child).expect("legal");
        let round = story.progress.full.iter().next().copied();
        assert!(matches!(round, Some(1 | 2)), "{round:?}");
        let then = short(&next(&crate::story::plan(), &story, &hopeless));
        assert!(
            !["adopt", "operator"].contains(&then.as_str()),
            "{text}: {then}"
        );
    }
    let fenced = format!("{AT_GATE} gate check fence f2 a2 h2 c2!l");
    assert_eq!(
        told(&fenced, &converging),
        "unfence.7",
        "no lease is that long"
    );
}

#[test]
fn a_round_whose_snapshots_are_gone_is_replaced_by_the_next() {
    let gone = "preflight round0 +3600 b1 s1 a1 h1 c1!g";
    assert_eq!(told(gone, &hopeless), "r02.flush");
    let again = format!("{gone} b2 s2 a2 h2 c2!g b3 s3 a3 h3 c3!g b4 s4 a4 h4 c4!g");
    assert_eq!(
        told(&again, &hopeless),
        "stop failed",
        "something else deletes them"
    );
}
