//! The restore that is tried before the fence, once: create, attach and start come for the first time behind it
//! otherwise, and the gate would know them by priors alone.

use super::retry::Retry;
use super::{Next, View};
use crate::policy::TransferPath;
use crate::step::Action;

impl View<'_> {
    /// A restore of the round that has just arrived: when the operator says so, and once by the policy. By the policy
    /// the base is tried only when no round follows it: its successors are sooner in the target.
    pub(super) fn trial(&self, index: u32) -> Option<Next> {
        let progress = self.progress;
        let by_policy = || {
            let wanted = self.plan.policy.try_restore && self.goal.cutover;
            wanted && progress.trial.number == 0 && (index > 0 || !self.goes_on_after(index))
        };
        if !self.may_try_restores() || !(progress.orders.trial || by_policy()) {
            return None;
        }
        let reason = format!(
            "round {index} is in the target: a restore of it is tried and removed, so that the gate knows what \
             create, attach and start take"
        );
        let trial = progress.trial.number + 1;
        Some(self.act(
            Action::TryRestore {
                round: index,
                trial,
            },
            reason,
        ))
    }

    /// Volumes come from snapshots, and there is a host to start their database on.
    pub(super) fn may_try_restores(&self) -> bool {
        let path = self.plan.rounds.first().map(|round| round.path);
        let from_snapshots = matches!(path, Some(TransferPath::Copy | TransferPath::Share));
        from_snapshots && self.plan.policy.database.is_some() && self.plan.target.instance.is_some()
    }

    /// What an interrupted or failed trial left goes before anything else.
    pub(super) fn clear_away(&self) -> Option<Next> {
        let trial = &self.progress.trial;
        if self.progress.nothing_tried_is_left() {
            return None;
        }
        let action = Action::TryRestore {
            round: trial.round,
            trial: trial.number,
        };
        let first = self.progress.attempts_of(&action) < 2;
        match self.retry_unhurried(&action) {
            Retry::Later(next) if !first => Some(next),
            Retry::GivenUp(failing) if !first => Some(Next::AwaitOperator {
                reason: format!(
                    "what a tried restore left on the target could not be removed: {}; the source serves; mend \
                     the target host or remove the volumes tagged {}, then run the same command again",
                    failing.message,
                    action.step_id()
                ),
            }),
            _ => {
                let reason = "the tried restore did not come to its end: what it made is removed";
                Some(self.act(action, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::decide::{Goal, Next, decide};
    use crate::evidence::Evidence;
    use crate::observation::ServiceStep;
    use crate::plan::Plan;
    use crate::story::{Story, plan};

    fn trying() -> Plan {
        let mut plan = plan();
        plan.policy.try_restore = true;
        plan
    }

    fn told(plan: &Plan, text: &str, cutover: bool) -> String {
        let story = Story::of(text);
        match decide(plan, &story.progress, Goal { cutover }, story.now) {
            Next::Act { action, .. } => action.step_id(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_restore_is_tried_once_when_the_first_round_has_arrived() {
        let before = "preflight round0 +5000 b1 s1 a1 h1 c1 d1";
        assert_eq!(told(&trying(), before, true), "r01.await-copies");
        let arrived = format!("{before} w1");
        assert_eq!(told(&trying(), &arrived, true), "r01.try-restore.1");
        let after = told(&trying(), &format!("{arrived} t1"), true);
        assert!(!after.contains("try-restore"), "{after}");
        for (plan, cutover) in [(plan(), true), (trying(), false)] {
            let other = told(&plan, &arrived, cutover);
            assert!(!other.contains("try-restore"), "{other}");
        }
    }

    #[test]
    fn a_base_is_tried_when_no_round_follows_it() {
        let base = "preflight round0";
        assert!(!told(&trying(), base, true).contains("try-restore"));
        let now = format!("{base} op:cutover");
        assert_eq!(told(&trying(), &now, true), "r00.try-restore.1");
        let after = told(&trying(), &format!("{now} t0"), true);
        assert!(!after.contains("try-restore"), "{after}");
    }

    #[test]
    fn what_a_trial_left_goes_first_even_when_the_operator_aborts() {
        let arrived = "preflight round0 +5000 b1 s1 a1 h1 c1 d1 w1";
        for failure in ["t", "u", "p"] {
            let left = format!("{arrived} t1!{failure}");
            assert_eq!(told(&trying(), &left, true), "r01.try-restore.1");
            let aborted = format!("{left} op:abort");
            assert_eq!(told(&trying(), &aborted, true), "r01.try-restore.1");
            let stuck = told(&trying(), &format!("{left} t1!p"), true);
            assert!(stuck.contains("could not be removed"), "{stuck}");
        }
    }

    #[test]
    fn the_trial_teaches_the_gate() {
        let story = Story::of("preflight round0 +5000 b1 s1 a1 h1 c1 d1 w1 t1");
        let evidence = Evidence::of(&trying(), &story.progress);
        assert_eq!(evidence.unclean_start_seconds, Some(40.0));
        assert!(story.progress.trial.over);
    }

    /// What the story's start of 40 s teaches, with so much of it replay: as it is, and without the replay.
    fn taught_of_a_start(replay_seconds: f64) -> (Option<f64>, Vec<f64>) {
        let mut story = Story::of("preflight round0 +5000 b1 s1 a1 h1 c1 d1 w1 t1");
        let measured = &mut story.progress.trial.measured;
        let (_, restore) = measured.as_mut().expect("a restore that was tried");
        restore.replay_seconds = Some(replay_seconds);
        let evidence = Evidence::of(&trying(), &story.progress);
        let starts = evidence.durations.iter();
        let starts = starts.filter(|told| told.step == ServiceStep::Recovery);
        let clean = starts.map(|told| told.seconds).collect();
        (evidence.unclean_start_seconds, clean)
    }

    #[test]
    fn a_start_whose_replay_was_measured_teaches_what_is_left_of_it() {
        assert_eq!(taught_of_a_start(26.0), (None, vec![14.0]));
        assert_eq!(taught_of_a_start(0.0), (None, vec![40.0]));
        for unusable in [40.0, 41.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(taught_of_a_start(unusable), (Some(40.0), vec![]));
        }
    }

    #[test]
    fn the_operator_has_one_tried_whenever_a_round_is_there() {
        let base = "preflight round0 +5000 b1 s1";
        let arrived = format!("{base} a1 h1 c1 d1 w1");
        for (before, trial) in [(arrived.clone(), 1), (format!("{arrived} t1"), 2)] {
            let said = told(&plan(), &format!("{before} op:try"), false);
            assert_eq!(said, format!("r01.try-restore.{trial}"));
            let over = told(&plan(), &format!("{before} op:try t1"), false);
            assert!(!over.contains("try-restore"), "{over}");
        }
        // One that was killed is removed first, and the order still stands.
        let again = format!("{arrived} op:try t1!u op:try");
        assert_eq!(told(&plan(), &again, false), "r01.try-restore.1");
        let removed = format!("{again} t1");
        assert_eq!(told(&plan(), &removed, false), "r01.try-restore.2");
    }
}
