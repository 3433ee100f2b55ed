//! Go now or wait for a quieter moment: the decision, for whoever has costs to compare.
//!
//! A plan made days ahead cannot know unannounced jobs; the gate knows the present one. So a slot
//! is taken as soon as it is nearly as good as any later one is expected to be. The later slots
//! get fewer, so the demand falls by itself and the last one is always taken. It must not know
//! what a cost is made of.

/// A present cost this much above the best to be expected is not worth waiting for: forecasts of
/// one slot's cost are not better than that.
const NEARLY: f64 = 1.1;

/// What a slot to come is expected to cost, in any unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// As likely above as below.
    pub median: f64,
    /// One in ten is above.
    pub high: f64,
}

/// What to do in the present slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take it.
    Go,
    /// A later one is expected to be better.
    Wait,
}

/// Decides on the present slot by its cost, as far as it is known now, and those that are left:
/// a later one counts by the middle between its median and its bad outcomes, for what is at hand
/// is certain and what is to come is not.
/// A cost that is no number is never taken while another slot is left.
#[must_use]
pub fn decide(now: f64, later: &[Outlook]) -> Decision {
    let best = later
        .iter()
        .map(|slot| (slot.median * slot.high).sqrt())
        .fold(f64::INFINITY, f64::min);
    if later.is_empty() || now <= best * NEARLY {
        Decision::Go
    } else {
        Decision::Wait
    }
}

/// The slot to plan for: the one whose bad outcomes are least bad, for a mean of noisy forecasts
/// flatters whichever was underestimated most; the earliest among equals.
#[must_use]
pub fn planned(slots: &[Outlook]) -> Option<usize> {
    let by_high = |a: &(usize, &Outlook), b: &(usize, &Outlook)| a.1.high.total_cmp(&b.1.high);
    slots
        .iter()
        .enumerate()
        .min_by(by_high)
        .map(|(slot, _)| slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(medians: &[f64]) -> Vec<Outlook> {
        let one = |median: &f64| Outlook {
            median: *median,
            high: 2.0 * median,
        };
        medians.iter().map(one).collect()
    }

    #[test]
    fn a_quiet_moment_is_taken_and_a_busy_one_is_not() {
        assert_eq!(decide(104.0, &slots(&[100.0, 300.0])), Decision::Go);
        assert_eq!(decide(900.0, &slots(&[100.0, 300.0])), Decision::Wait);
    }

    #[test]
    fn the_demand_falls_with_what_is_left_and_the_last_slot_is_taken() {
        let all = slots(&[100.0, 300.0, 500.0]);
        assert_eq!(decide(320.0, &all), Decision::Wait);
        assert_eq!(decide(320.0, &all[1..]), Decision::Go);
        assert_eq!(decide(f64::NAN, &all), Decision::Wait);
        assert_eq!(decide(f64::NAN, &[]), Decision::Go);
    }

    #[test]
    fn the_plan_shuns_the_slot_that_may_go_wrong() {
        let risky = Outlook {
            median: 50.0,
            high: 900.0,
        };
        let calm = Outlook {
            median: 60.0,
            high: 80.0,
        };
        assert_eq!(planned(&[risky, calm, calm]), Some(1));
        assert_eq!(planned(&[]), None);
    }
}
