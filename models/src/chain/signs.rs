//! What each group of uncertain inputs says on a draw: one number each, larger when it makes the final
//! hop longer. The numbers speak of a nominal hop, so that no group's number depends on another group.

use super::{Chain, Since};
use crate::dirty::Written;
use crate::draws::Draw;
use crate::observation::ServiceStep;

/// Groups of uncertain inputs.
pub const INPUTS: usize = 6;

/// The numbers of one draw: write volume, delta curve, snapshot service, copy service, restore and
/// start, scatter of the calls.
pub type Signs = [f64; INPUTS];

/// The hop that the numbers speak of.
#[derive(Clone, Debug)]
pub struct Nominal {
    since: Since,
    fence: f64,
    bytes: f64,
    /// What each volume writes meanwhile, at the median.
    central: Vec<Written>,
}

impl Chain {
    /// A final hop from `since` to `fence` that moves `bytes` at the median.
    #[must_use]
    pub fn nominal(&self, since: Since, fence: f64, bytes: f64) -> Nominal {
        let from = self.held_at_middle(since);
        let volumes = self.volumes.iter();
        Nominal {
            since,
            fence,
            bytes,
            central: volumes.map(|v| v.load.expected(from, fence)).collect(),
        }
    }

    /// The numbers for a nominal hop.
    #[must_use]
    pub fn signs(&self, hop: &Nominal, draw: &Draw) -> Signs {
        let (volume, curve) = self.growth(hop, draw);
        let share = hop.bytes / self.volumes.len().max(1) as f64;
        let mean = |step: ServiceStep| {
            let z = draw.service[step as usize];
            self.service(step)
                .map_or(0.0, |model| model.mean_seconds(share, z))
        };
        let around = self.around(draw).iter().sum::<f64>() + self.once(ServiceStep::Freeze, draw);
        [
            volume,
            curve,
            mean(ServiceStep::Snapshot),
            mean(ServiceStep::Copy),
            around,
            self.scatter(share, draw),
        ]
    }

    /// Blocks by the writing alone at the central curve, and by the curve alone at the central writing.
    fn growth(&self, hop: &Nominal, draw: &Draw) -> (f64, f64) {
        let from = self.held_until(hop.since, draw);
        let mut sums = (0.0, 0.0);
        let volumes = self.volumes.iter().zip(&hop.central).zip(&draw.volumes);
        for ((volume, central), own) in volumes {
            let written = volume.load.drawn(from, hop.fence, draw, own);
            sums.0 += volume.expected_bytes(written);
            sums.1 += volume.drawn_bytes(*central, own);
        }
        sums
    }

    /// Snapshot and slowest copy of average services on this draw's luck.
    fn scatter(&self, bytes: f64, draw: &Draw) -> f64 {
        let last = usize::MAX;
        let seconds = |step: ServiceStep, factor: &dyn Fn(&crate::service::ServiceModel) -> f64| {
            let model = self.service(step);
            model.map_or(0.0, |model| {
                model.mean_seconds(bytes, [0.0; 2]) * factor(model)
            })
        };
        let snapshot = seconds(ServiceStep::Snapshot, &|model| {
            model.luck(draw.call(last, ServiceStep::Snapshot))
        });
        let copies = seconds(ServiceStep::Copy, &|model| {
            let luck = (0..self.volumes.len()).map(|volume| model.luck(draw.copy(last, volume)));
            luck.fold(0.0, f64::max)
        });
        snapshot + copies
    }
}
