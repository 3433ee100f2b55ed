//! The path `direct`: what comes next, and what is refused.

use crate::decide::{Goal, Next, Outlook, admissible, decide_with};
use crate::evidence::Evidence;
use crate::plan::Plan;
use crate::policy::TransferPath;
use crate::step::{Action, Event, StepResult};
use crate::story::{Story, forecast, plan};
use crate::units::Timestamp;

const BASE: &str = "preflight s0 prep a0 Y0 d0 z0";
const FENCED: &str =
    "preflight s0 prep a0 Y0 d0 z0 +3600 b1 s1 a1 y1 d1 z1 +10800 gate check fence";
const SYNCED: &str = "preflight s0 prep a0 Y0 d0 z0 +3600 b1 s1 a1 y1 d1 z1 +10800 gate check fence \
                      f2 a2 y2 z2";

fn direct() -> Plan {
    let mut plan = plan();
    for round in &mut plan.rounds {
        round.path = TransferPath::Direct;
    }
    plan.sealed()
}

fn next(text: &str) -> Next {
    let story = Story::of(text);
    let outlook = Outlook {
        cutover: &|_: &Evidence, _: Timestamp| forecast(900.0),
        round_seconds: &|_: &Evidence, _: Timestamp| 900.0,
        child: &|_| Err("there is none".to_owned()),
    };
    let goal = Goal { cutover: true };
    decide_with(&direct(), &story.progress, goal, story.now, outlook)
}

fn told(text: &str) -> String {
    match next(text) {
        Next::Act { action, .. } => action.step_id(),
        Next::WaitUntil { .. } => "wait".into(),
        Next::Adopt { .. } => "adopt".into(),
        Next::AwaitOperator { .. } => "operator".into(),
        Next::Stop { outcome, .. } => format!("stop {outcome:?}").to_lowercase(),
    }
}

#[test]
fn the_volumes_are_prepared_once_and_follow_each_round() {
    let table = [
        ("preflight s0", "prepare-volumes"),
        ("preflight s0 prep", "r00.await-snapshots"),
        ("preflight s0 prep a0", "r00.sync-whole"),
        ("preflight s0 prep a0 Y0", "r00.measure-delta"),
        ("preflight s0 prep a0 Y0 d0", "r00.await-sync"),
        (BASE, "wait"),
        ("preflight s0 prep a0 Y0 d0 z0 +3600 b1 s1 a1", "r01.sync"),
    ];
    for (story, expected) in table {
        assert_eq!(told(story), expected, "after {story:?}");
    }
}

#[test]
fn behind_the_fence_only_the_delta_is_written_and_a_snapshot_comes_before_the_mount() {
    let steps = [
        ("f2", "r02.await-snapshots"),
        ("a2", "r02.sync"),
        ("y2", "r02.await-sync"),
        ("z2", "keep-target"),
        ("keep", "bring-up"),
        ("up", "prove"),
        ("prove", "commit.7"),
        ("commit", "activate.7"),
        ("act", "r02.measure-delta"),
        ("d2", "compare"),
        ("cmp", "cleanup"),
        ("clean", "stop cutover"),
    ];
    let mut text = FENCED.to_owned();
    for (token, expected) in steps {
        text = format!("{text} {token}");
        let found = told(&text);
        assert!(found.starts_with(expected), "after {text:?}: {found}");
    }
}

#[test]
fn a_base_that_is_none_any_more_is_asked_once_more_then_written_whole_then_given_up() {
    let refused = "preflight s0 prep a0 Y0 d0 z0 +3600 b1 s1 a1 y1 d1 z1!i";
    assert_eq!(told(refused), "r01.await-sync");
    let twice = format!("{refused} z1!i");
    assert_eq!(told(&twice), "r01.sync-whole");
    let rebuilt = format!("{twice} Y1");
    assert_eq!(told(&rebuilt), "r01.await-sync");
    assert_eq!(told(&format!("{rebuilt} z1")), "wait");
    let again = " z1!i z1!i Y1".repeat(2);
    assert_eq!(told(&format!("{rebuilt}{again} z1!i z1!i")), "stop failed");
    assert_eq!(
        told(&format!("{twice} Y1!t")),
        "wait",
        "no order is repeated without a pause"
    );
}

#[test]
fn behind_the_fence_a_refused_base_leads_back_and_the_volumes_go() {
    let refused = format!("{FENCED} f2 a2 y2 z2!i");
    assert_eq!(told(&refused), "r02.await-sync");
    let back = format!("{refused} z2!i");
    assert_eq!(told(&back), "unfence.7");
    assert_eq!(told(&format!("{back} unf")), "delete-volumes");
    assert_eq!(told(&format!("{back} unf del")), "stop aborted");
}

#[test]
fn an_aborted_cutover_that_mounted_nothing_leaves_the_volumes_to_the_next_run() {
    let back = format!("{FENCED} f2 a2 y2 op:abort unf");
    let Next::Stop { reason, .. } = next(&back) else {
        panic!("{:?}", next(&back))
    };
    assert!(reason.contains("begins with what they hold"), "{reason}");
    let kept = format!("{SYNCED} keep op:abort unf");
    assert_eq!(
        told(&kept),
        "delete-volumes",
        "a snapshot of them is under way"
    );
}

#[test]
fn nothing_that_was_mounted_is_synced_again() {
    let mut story = Story::of(&format!("{SYNCED} keep up"));
    for token in ["y2", "Y2"] {
        let refused = story.tell(token).expect_err("it was mounted");
        assert!(refused.to_string().contains("no base"), "{refused}");
    }
    let back = format!("{SYNCED} keep up op:abort");
    assert_eq!(told(&back), "take-down");
    assert_eq!(told(&format!("{back} down unf")), "delete-volumes");
}

#[test]
fn a_delta_needs_its_base_and_a_mount_its_snapshot() {
    let table = [
        ("preflight s0 a0", "Y0", "no volumes are prepared"),
        ("preflight", "prep", "there is no base"),
        ("preflight s0 prep a0", "y0", "do not hold the round before"),
        (
            "preflight s0 prep a0 Y0 d0 b1 s1 a1",
            "y1",
            "do not hold the round before",
        ),
        (SYNCED, "up", "before mounting"),
        ("preflight s0 prep a0", "z0", "not being synced"),
        (BASE, "keep", "not fenced"),
    ];
    for (text, token, why) in table {
        let error = Story::of(text).tell(token).expect_err("it must be refused");
        assert!(
            error.to_string().contains(why),
            "{token} after {text:?}: {error}"
        );
    }
}

/// The answer to the final sync, changed by `change`, and what is said to it.
fn answered(change: impl Fn(&mut crate::step::SyncedVolume)) -> Result<(), String> {
    let whole = Story::of(SYNCED);
    let entries = whole.entries.iter().rev();
    let mut events = entries.map(|(_, event)| event.clone());
    let told = events.find(|event| matches!(event, Event::Finished { .. }));
    let Some(Event::Finished {
        action,
        result: StepResult::Synced { mut volumes },
    }) = told
    else {
        panic!("the story ends with a sync")
    };
    volumes.iter_mut().for_each(&change);
    let mut story = Story::of(SYNCED.strip_suffix(" z2").expect("it ends so"));
    story.tell("z2?").expect("it may be begun");
    let result = StepResult::Synced { volumes };
    story
        .say(Event::Finished { action, result })
        .map_err(|refused| refused.to_string())
}

#[test]
fn changed_written_and_read_back_must_be_one_set_between_the_right_snapshots() {
    assert_eq!(answered(|_| ()), Ok(()));
    let refused =
        |change: fn(&mut crate::step::SyncedVolume)| answered(change).expect_err("refused");
    assert!(refused(|s| s.written_blocks -= 1).contains("9 were written"));
    assert!(refused(|s| s.read_back_blocks -= 1).contains("9 read back"));
    assert!(refused(|s| s.from = None).contains("round before"));
    assert!(refused(|s| s.to = "snap-other".parse().expect("an id")).contains("round before"));
}

#[test]
fn it_needs_a_database_and_a_target_instance_even_without_a_cutover() {
    let mut plan = direct();
    assert_eq!(admissible(&plan, Goal { cutover: false }), Ok(()));
    plan.target.instance = None;
    assert!(admissible(&plan, Goal { cutover: false }).is_err());
}

#[test]
fn names_differ_and_belong_to_their_round() {
    let delta = Action::Sync {
        round: 3,
        whole: false,
    };
    let whole = Action::Sync {
        round: 3,
        whole: true,
    };
    assert_ne!(delta.step_id(), whole.step_id());
    assert_eq!(delta.round(), Some(3));
}

/// A gate that refuses.
fn refusing(story: &mut Story) {
    story.tell("gate?").expect("it may be asked");
    let action = story.progress.running.clone().expect("it is").action;
    let mut result = story.result(&action);
    if let StepResult::Gate { refusals, .. } = &mut result {
        refusals.push("vol-02 was written to".into());
    }
    story
        .say(Event::Finished { action, result })
        .expect("legal");
}

fn next_of(story: &Story) -> String {
    let outlook = Outlook {
        cutover: &|_: &Evidence, _: Timestamp| forecast(900.0),
        round_seconds: &|_: &Evidence, _: Timestamp| 900.0,
        child: &|_| Err("there is none".to_owned()),
    };
    let goal = Goal { cutover: true };
    match decide_with(&direct(), &story.progress, goal, story.now, outlook) {
        Next::Act { action, .. } => action.step_id(),
        Next::WaitUntil { .. } => "wait".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_gate_that_refuses_for_a_base_leads_to_a_new_one_and_back_to_the_gate() {
    let mut story = Story::of(&format!("{BASE} +3600 b1 s1 a1 y1 d1 z1 +10800"));
    refusing(&mut story);
    story.tell("+1").expect("time passes");
    assert_eq!(next_of(&story), "r01.await-sync");
    let mut sound = story.clone();
    sound.tell("z1").expect("legal");
    assert_eq!(next_of(&sound), "wait", "the refusal is of something else");
    for token in ["z1!i", "z1!i"] {
        story.tell(token).expect("legal");
    }
    assert_eq!(next_of(&story), "r01.sync-whole");
    for token in ["Y1", "z1"] {
        story.tell(token).expect("legal");
    }
    assert_eq!(next_of(&story), "gate.2");
}
