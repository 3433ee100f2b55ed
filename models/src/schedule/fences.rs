//! Start times worth trying: hourly, over the week's rhythm, within the policy's windows.

use super::search::Search;
use crate::load::WEEK_FROM_HOURS;
use crate::units::epoch_seconds;

const HOUR: f64 = 3600.0;
/// Hours after the base in which the quiet hour is looked for: days, and a week where one is known.
const DAYS_HOURS: f64 = 48.0;
const WEEK_HOURS: f64 = 168.0;
/// Days after the base in which a window of the policy is looked for, when none comes sooner.
const FAR_HORIZON_DAYS: f64 = 8.0;
/// However uncertain the base is, start times further away are not searched.
const LONGEST_HORIZON_DAYS: f64 = 14.0;

impl Search<'_> {
    /// Fences to try, each with the end of its window, in order of time. Without windows every
    /// hour of two days, or of a week whose rhythm is known, and the end is open.
    pub(crate) fn fences(&self) -> Vec<(f64, Option<f64>)> {
        let (from, to) = self.horizon();
        if self.demand.hours.is_empty() {
            return hourly(from, to).map(|fence| (fence, None)).collect();
        }
        let mut fences: Vec<(f64, Option<f64>)> = self
            .spans()
            .into_iter()
            .flat_map(|(start, end)| {
                hourly(start, end.min(to)).map(move |fence| (fence, Some(end)))
            })
            .collect();
        fences.sort_by(|a, b| a.0.total_cmp(&b.0));
        fences
    }

    /// When a fence may stand: the policy's windows within the horizon, or all of it.
    pub(super) fn spans(&self) -> Vec<(f64, f64)> {
        let (from, to) = self.horizon();
        if self.demand.hours.is_empty() {
            return vec![(from, to)];
        }
        let hours = self.demand.hours.iter();
        hours.flat_map(|hours| hours.spans(from, to)).collect()
    }

    /// From when to when start times are looked for.
    fn horizon(&self) -> (f64, f64) {
        let (from, to) = self.open_horizon();
        let by = self.demand.fence_by.map(epoch_seconds);
        (from, by.map_or(to, |by| to.min(by)))
    }

    fn open_horizon(&self) -> (f64, f64) {
        let from = self.base_expected;
        let most = from + LONGEST_HORIZON_DAYS * 24.0 * HOUR;
        if !self.demand.hours.is_empty() {
            return (
                from,
                (self.base_ready + FAR_HORIZON_DAYS * 24.0 * HOUR).min(most),
            );
        }
        let weekly =
            |volume: &crate::forecast::VolumeModel| volume.load.history_hours >= WEEK_FROM_HOURS;
        let hours = if self.model.volumes.iter().any(weekly) {
            WEEK_HOURS
        } else {
            DAYS_HOURS
        };
        let settled = from.max(self.base_ready - DAYS_HOURS / 2.0 * HOUR);
        (from, (settled + hours * HOUR).min(most))
    }
}

/// `from` and every full hour after it: the same hours whenever the base is there.
fn hourly(from: f64, to: f64) -> impl Iterator<Item = f64> {
    let full = (from / HOUR).floor() * HOUR;
    let hours = (1..).map(move |k| full + f64::from(k) * HOUR);
    std::iter::once(from)
        .chain(hours)
        .take_while(move |fence| *fence < to)
}
