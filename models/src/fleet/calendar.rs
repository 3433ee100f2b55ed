//! What is taken of each shared limit, step by step in time.
//!
//! It must not know what takes it, nor why a limit is as it is.

use std::collections::BTreeMap;

use crate::units::at_epoch_seconds;

use super::document::{LimitUse, UseStep};

/// Length of a step, seconds. A take counts in every step it touches.
pub(super) const STEP_SECONDS: f64 = 300.0;
/// Steps of one point of the series that is shown: an hour.
const SHOWN_STEPS: usize = 12;
/// Room for what floating sums lose.
const SLACK: f64 = 1e-6;

/// So much of one limit, from when to when (seconds since 1970).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Take {
    pub(super) limit: String,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) amount: f64,
}

impl Take {
    pub(super) fn later(&self, seconds: f64) -> Self {
        Self {
            from: self.from + seconds,
            to: self.to + seconds,
            ..self.clone()
        }
    }
}

/// The limits, and what is taken of them.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    start: f64,
    lanes: BTreeMap<String, Lane>,
    /// Takes that found no earlier room: as nothing is given back, none that asks for as much ever will.
    found: Vec<(Take, f64)>,
}

#[derive(Clone, Debug)]
struct Lane {
    allowed: f64,
    unit: &'static str,
    used: Vec<f64>,
}

impl Calendar {
    pub(super) fn from(start: f64) -> Self {
        Self {
            start,
            lanes: BTreeMap::new(),
            found: Vec::new(),
        }
    }

    /// Names a limit; one that is there already stays as it is.
    pub(super) fn limit(&mut self, name: &str, allowed: f64, unit: &'static str) {
        let lane = || Lane {
            allowed,
            unit,
            used: Vec::new(),
        };
        self.lanes.entry(name.to_owned()).or_insert_with(lane);
    }

    /// Steps that a take touches.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and small: steps of minutes within years"
    )]
    fn steps(&self, take: &Take) -> std::ops::Range<usize> {
        let step = |at: f64| ((at - self.start) / STEP_SECONDS).clamp(0.0, 1e7);
        let first = step(take.from).floor() as usize;
        first..(step(take.to).ceil() as usize).max(first + 1)
    }

    /// The end of the last step in which something has no room any more, with the limit's name; nothing when
    /// each has.
    fn conflict(&self, takes: &[Take]) -> Option<(f64, String)> {
        let full = |take: &Take| {
            let lane = self.lanes.get(&take.limit)?;
            // What alone is more than is allowed is slowed down to it.
            let free = lane.allowed - take.amount.min(lane.allowed) + SLACK;
            let used = |step: usize| lane.used.get(step).copied().unwrap_or(0.0);
            let last = self.steps(take).rev().find(|step| used(*step) > free)?;
            let end = self.start + (last + 1) as f64 * STEP_SECONDS;
            Some((end - take.from, end, take.limit.clone()))
        };
        let worst = takes.iter().filter_map(full);
        worst
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, end, limit)| (end, limit))
    }

    /// The least delay from `least` on with which everything has room, with the limit that asked for most of it.
    pub(super) fn first_fit(&mut self, takes: &[Take], least: f64) -> (f64, Option<String>) {
        let mut delay = least;
        let mut named = None;
        for take in takes {
            let alone = self.alone(take, least);
            if alone > delay {
                delay = alone;
                named = Some(take.limit.clone());
            }
        }
        loop {
            let moved: Vec<Take> = takes.iter().map(|take| take.later(delay)).collect();
            let Some((end, limit)) = self.conflict(&moved) else {
                return (delay, named);
            };
            let blocked = moved.iter().filter(|take| take.limit == limit);
            let first = blocked.map(|take| take.from).fold(f64::INFINITY, f64::min);
            delay += (end - first).max(1.0);
            named = Some(limit);
        }
    }

    /// The least delay with which one take has room by itself.
    fn alone(&mut self, take: &Take, least: f64) -> f64 {
        let as_much = |known: &&(Take, f64)| {
            known.0.limit == take.limit
                && known.0.amount <= take.amount
                && known.0.from <= take.from
                && known.0.to - known.0.from <= take.to - take.from
        };
        let start = |known: &(Take, f64)| known.0.from + known.1 - take.from;
        let known = self.found.iter().filter(as_much).map(start);
        let mut delay = known.fold(least.max(0.0), f64::max);
        let searched = least <= 0.0;
        while let Some((end, _)) = self.conflict(&[take.later(delay)]) {
            delay += (end - take.from - delay).max(1.0);
        }
        if searched {
            self.found.push((take.clone(), delay));
        }
        delay
    }

    /// All of one instance's takes have room together. Its own never add up: its rounds follow one another.
    pub(super) fn has_room(&self, takes: &[Take]) -> bool {
        self.together(takes).into_iter().all(|(name, steps)| {
            let Some(lane) = self.lanes.get(name) else {
                return true;
            };
            let used = |step: usize| lane.used.get(step).copied().unwrap_or(0.0);
            let fits =
                |(step, amount): (&usize, &f64)| used(*step) + amount <= lane.allowed + SLACK;
            steps.iter().all(fits)
        })
    }

    /// Takes what one instance needs.
    pub(super) fn reserve(&mut self, takes: &[Take]) {
        for (name, steps) in self.together(takes) {
            let Some(lane) = self.lanes.get_mut(name) else {
                continue;
            };
            let end = steps.last_key_value().map_or(0, |(last, _)| last + 1);
            lane.used.resize(lane.used.len().max(end), 0.0);
            for (step, amount) in steps {
                lane.used[step] += amount;
            }
        }
    }

    /// By limit and step the most of one instance's takes.
    fn together<'t>(&self, takes: &'t [Take]) -> BTreeMap<&'t str, BTreeMap<usize, f64>> {
        let mut all: BTreeMap<&str, BTreeMap<usize, f64>> = BTreeMap::new();
        for take in takes {
            let allowed = self.lanes.get(&take.limit).map_or(0.0, |lane| lane.allowed);
            let own = all.entry(&take.limit).or_default();
            for step in self.steps(take) {
                let most = own.entry(step).or_default();
                *most = most.max(take.amount.min(allowed));
            }
        }
        all
    }

    /// Each limit with its use over time, the most of each hour.
    pub(super) fn uses(&self) -> Vec<LimitUse> {
        let lanes = self.lanes.iter().filter(|(_, lane)| !lane.used.is_empty());
        lanes.map(|(name, lane)| self.shown(name, lane)).collect()
    }

    fn shown(&self, name: &str, lane: &Lane) -> LimitUse {
        let mut steps: Vec<UseStep> = Vec::new();
        for (hour, used) in lane.used.chunks(SHOWN_STEPS).enumerate() {
            let most = used.iter().copied().fold(0.0, f64::max);
            if steps
                .last()
                .is_none_or(|last| last.used.to_bits() != most.to_bits())
            {
                let at = self.start + (hour * SHOWN_STEPS) as f64 * STEP_SECONDS;
                let at = at_epoch_seconds(at);
                steps.push(UseStep { at, used: most });
            }
        }
        let full = lane
            .used
            .iter()
            .filter(|used| **used >= 0.95 * lane.allowed);
        LimitUse {
            limit: name.to_owned(),
            unit: lane.unit.to_owned(),
            allowed: lane.allowed,
            most: lane.used.iter().copied().fold(0.0, f64::max),
            full_hours: full.count() as f64 * STEP_SECONDS / 3600.0,
            steps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(from: f64, to: f64, amount: f64) -> Take {
        Take {
            limit: "copies".to_owned(),
            from,
            to,
            amount,
        }
    }

    fn calendar() -> Calendar {
        let mut calendar = Calendar::from(1000.0);
        calendar.limit("copies", 20.0, "copies");
        calendar
    }

    #[test]
    fn what_does_not_fit_waits_until_there_is_room() {
        let mut calendar = calendar();
        calendar.reserve(&[take(1000.0, 1000.0 + 3600.0, 16.0)]);
        let wanted = [take(1300.0, 1900.0, 5.0)];
        assert_eq!(calendar.conflict(&[take(1300.0, 1900.0, 4.0)]), None);
        let (end, limit) = calendar.conflict(&wanted).expect("21 of 20");
        assert_eq!((end, limit.as_str()), (1900.0, "copies"));
        let (delay, named) = calendar.first_fit(&wanted, 0.0);
        assert!((3300.0..3700.0).contains(&delay), "{delay}");
        assert_eq!(named.as_deref(), Some("copies"));
        calendar.reserve(&[wanted[0].later(delay)]);
        assert!(calendar.uses()[0].most <= 20.0);
    }

    #[test]
    fn what_is_too_much_alone_gets_all_there_is() {
        let mut calendar = calendar();
        calendar.reserve(&[take(2000.0, 3000.0, 50.0)]);
        assert!((calendar.uses()[0].most - 20.0).abs() < 1e-9);
        assert!(calendar.conflict(&[take(2100.0, 2200.0, 1.0)]).is_some());
        assert_eq!(calendar.conflict(&[take(9100.0, 9200.0, 99.0)]), None);
    }
}
