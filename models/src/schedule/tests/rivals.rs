//! The search against simpler schedules and the oracle, on draws it has not seen.

use super::*;
use crate::schedule::compare;
use crate::schedule::demand::Demand;
use crate::schedule::search::Search;

/// What the search promises on its own draws, seconds at the level of the comparison.
fn promised(profile: &Profile, policy: &Policy) -> f64 {
    let demand = Demand::of(profile, policy, now()).unwrap();
    let model = fit_with(profile, policy, &History::default());
    let search = Search::new(&model, &demand, now(), 1).unwrap();
    search.best().unwrap().downtime_seconds
}

fn windows(starts: &[u32]) -> Vec<WindowPolicy> {
    let one = |start: &u32| WindowPolicy {
        days: Vec::new(),
        start: format!("{start:02}:00"),
        end: format!("{:02}:00", (start + 3) % 24),
    };
    starts.iter().map(one).collect()
}

#[test]
fn no_simpler_schedule_is_better_and_the_oracle_is_near() {
    for (gib, factor, count) in [(100, 0.2, 1), (2560, 1.0, 1), (500, 4.0, 2)] {
        let profile = with_deltas(profile(count, gib, factor), 6);
        let found = compare(&profile, &policy(1800.0), now(), 1).unwrap();
        assert!(found.over_rival() < 1.03, "{found:?}");
        assert!((1.0..1.5).contains(&found.over_oracle()), "{found:?}");
    }
}

#[test]
fn a_wider_policy_never_promises_a_worse_plan() {
    let profile = with_deltas(profile(1, 1000, 3.0), 6);
    let at = |policy: Policy| promised(&profile, &policy);
    let within = |starts: &[u32]| Policy {
        windows: windows(starts),
        ..policy(1800.0)
    };
    // A choice among nearly equal ones falls to the earliest: that much is allowed.
    let slack = 1.03;
    let narrow = at(within(&[10]));
    let wide = at(within(&[10, 2]));
    assert!(wide <= narrow * slack, "{wide} {narrow}");
    assert!(at(within(&[10, 2, 18])) <= wide * slack);
    let few = Policy {
        max_rounds: 1,
        ..policy(1800.0)
    };
    assert!(at(policy(1800.0)) <= at(few) * slack);
}

#[test]
fn a_known_week_is_searched_as_a_whole() {
    let days = |history_hours: u32| {
        let mut profile = profile(1, 100, 1.0);
        profile.volumes[0].writes = crate::fixtures::history(history_hours, 1.0);
        let demand = Demand::of(&profile, &policy(1800.0), now()).unwrap();
        let model = fit_with(&profile, &policy(1800.0), &History::default());
        let search = Search::new(&model, &demand, now(), 1).unwrap();
        let (start, end) = search.spans()[0];
        assert!(search.fences().len() > 40);
        (end - start) / 86_400.0
    };
    assert!(days(72) < 4.0);
    assert!(days(335) >= 7.0);
}
