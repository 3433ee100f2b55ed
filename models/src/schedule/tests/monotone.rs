//! Laws of whole plans: what makes things easier never makes the planned downtime longer.
//!
//! All on the same draws. A schedule is searched on a grid and the earliest within 2 % of the best is taken, of the
//! fewest rounds within 2 % likewise; and what is faster has its base in the target at another moment, from which the
//! rounds are counted. So much, 5 % in all, two searches may differ without either being wrong.

use proptest::prelude::*;

use super::*;
use crate::forecast::{FittedModel, fit};
use crate::schedule::demand::Demand;
use crate::schedule::search::Search;

const SLACK: f64 = 1.05;

/// What the search promises of a model, seconds at the policy's confidence.
fn promised(model: &FittedModel, profile: &Profile, policy: &Policy) -> f64 {
    let demand = Demand::of(profile, policy, now()).unwrap();
    let search = Search::new(model, &demand, now(), 1).unwrap();
    search.best().unwrap().downtime_seconds
}

/// Every service of the model moves data this much faster.
fn with_rate(model: &FittedModel, factor: f64) -> FittedModel {
    let mut model = model.clone();
    for service in &mut model.services {
        service.log_rate = service.log_rate.map(|rate| rate + factor.ln());
    }
    model
}

fn measured(gib: u64, factor: f64) -> Profile {
    with_deltas(profile(1, gib, factor), 4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn more_bandwidth_never_lengthens_the_planned_downtime(
        gib in 50_u64..1500, load in 0.1_f64..4.0, factor in 1.1_f64..6.0,
    ) {
        let profile = measured(gib, load);
        let model = fit(&profile, &policy(1e6));
        let slow = promised(&model, &profile, &policy(1e6));
        let fast = promised(&with_rate(&model, factor), &profile, &policy(1e6));
        prop_assert!(fast <= slow * SLACK, "{fast} {slow}");
    }

    #[test]
    fn a_higher_write_rate_never_shortens_the_planned_downtime(
        gib in 50_u64..1500, load in 0.1_f64..2.0, factor in 1.1_f64..6.0,
    ) {
        let less = measured(gib, load);
        // The same volume whose future is busier: what was measured of its blocks stays.
        let mut model = fit(&less, &policy(1e6));
        let quiet = promised(&model, &less, &policy(1e6));
        for volume in &mut model.volumes {
            volume.load = crate::load::LoadModel::fit(&crate::fixtures::history(72, load * factor));
        }
        let busy = promised(&model, &less, &policy(1e6));
        prop_assert!(busy >= quiet / SLACK, "{busy} {quiet}");
    }

    #[test]
    fn a_wider_policy_never_gives_a_worse_plan(gib in 50_u64..800, load in 0.1_f64..3.0, opens in 0_u32..20) {
        let profile = measured(gib, load);
        let model = fit(&profile, &policy(1e6));
        let window = |from: u32, hours: u32| WindowPolicy {
            days: Vec::new(),
            start: format!("{from:02}:00"),
            end: format!("{:02}:00", (from + hours) % 24),
        };
        let under = |windows: Vec<WindowPolicy>, max_rounds| {
            let policy = Policy { windows, max_rounds, ..policy(1e6) };
            promised(&model, &profile, &policy)
        };
        let narrow = under(vec![window(opens, 3)], 12);
        let wider = under(vec![window(opens, 3), window((opens + 8) % 24, 3)], 12);
        prop_assert!(wider <= narrow * SLACK, "another window: {wider} {narrow}");
        prop_assert!(under(Vec::new(), 12) <= narrow * SLACK, "any time");
        prop_assert!(narrow <= under(vec![window(opens, 3)], 2) * SLACK, "more rounds");
    }

    #[test]
    fn every_plan_passes_the_check_or_says_that_it_misses_the_limit(
        count in 1_u32..4, gib in 20_u64..2000, load in 0.05_f64..6.0, limit in 300.0_f64..7200.0,
    ) {
        let profile = with_deltas(profile(count, gib, load), 3);
        let plan = planned(&profile, &policy(limit));
        let refused = check(&plan, &profile.inventory, now()).refused();
        let misses = matches!(plan.verdict, Verdict::DoesNotConverge | Verdict::NeedsLowerWriteRate);
        prop_assert_eq!(refused, misses, "{:?}", plan.verdict);
    }
}
