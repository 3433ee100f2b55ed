//! Where a migration runs, and which durations speak of that place.

use super::{Point, ServiceModel};
use crate::ids::{Region, Zone};
use crate::observation::{ObservedDuration, ServiceStep};

/// Log spread between places: what another zone, region pair or volume type tells of this one, it
/// tells that much less exactly. Assumed: zones of one region differ visibly (reports of slow zones
/// in the TiDB operator's issues), regions and their pairs more.
const BETWEEN_PLACES: f64 = 0.6;

/// Snapshots that end within this belong to one set.
const SET_SECONDS: f64 = 0.5;

/// The places of one migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Source.
    pub source: (Region, Zone),
    /// Target.
    pub target: (Region, Zone),
    /// Types of the group's volumes.
    pub volume_types: Vec<String>,
}

impl Setting {
    /// The duration is of this migration's own place, as far as it says where it was.
    fn owns(&self, seen: &ObservedDuration) -> bool {
        use ServiceStep as S;
        let at_source = matches!(
            seen.step,
            S::Snapshot | S::Checkpoint | S::Fence | S::Freeze
        );
        let (region, zone) = if at_source {
            &self.source
        } else {
            &self.target
        };
        let same_zone = seen.zone.as_ref().is_none_or(|seen| seen == zone);
        let same_type = seen
            .volume_type
            .as_ref()
            .is_none_or(|seen| self.volume_types.contains(seen));
        let same_pair = seen
            .from_region
            .as_ref()
            .is_none_or(|seen| *seen == self.source.0);
        seen.region == *region && (seen.step == S::Copy || (same_zone && same_type)) && same_pair
    }
}

/// The services after more durations, each step by its own.
#[must_use]
pub fn learned(
    services: &[ServiceModel],
    durations: &[ObservedDuration],
    setting: &Setting,
) -> Vec<ServiceModel> {
    let mut ordered: Vec<&ObservedDuration> = durations.iter().collect();
    ordered.sort_by_key(|d| (d.ended_at, d.step, std::cmp::Reverse(d.moved_bytes)));
    // The members of a set complete together: only the one that moved most tells the rate.
    ordered.dedup_by(|later, first| {
        let apart = (later.ended_at - first.ended_at).as_seconds_f64();
        later.step == ServiceStep::Snapshot && first.step == later.step && apart < SET_SECONDS
    });
    let update = |model: &ServiceModel| {
        let points = |own: bool| -> Vec<Point> {
            let seen = ordered.iter().filter(|seen| seen.step == model.step);
            let seen = seen.filter(|seen| setting.owns(seen) == own);
            seen.filter_map(|seen| Point::of(seen)).collect()
        };
        model.after_others(&points(false)).updated(&points(true))
    };
    services.iter().map(update).collect()
}

impl ServiceModel {
    /// What other places told: nearer to the truth than the prior, never as near as the own place.
    fn after_others(&self, points: &[Point]) -> Self {
        if points.is_empty() {
            return self.clone();
        }
        let told = self.updated(points);
        let widened = |spread: f64, before: f64| spread.hypot(BETWEEN_PLACES).min(before);
        Self {
            log_overhead_spread: widened(told.log_overhead_spread, self.log_overhead_spread),
            log_rate_spread: widened(told.log_rate_spread, self.log_rate_spread),
            correlation: 0.0,
            ..told
        }
    }
}
