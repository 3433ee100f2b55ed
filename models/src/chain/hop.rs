//! One hop: the set's snapshot, its transfer, and what stands around the final one.

use super::{Chain, RoundOutcome};
use crate::draws::{Call, Draw};
use crate::limits::LIMITS;
use crate::observation::ServiceStep;
use crate::policy::TransferPath;

/// Least and longest pause between two looks at the service while the source serves, and behind the
/// fence: those of the executor.
pub(super) const UNHURRIED: (f64, f64) = (15.0, 300.0);
pub(super) const HURRIED: (f64, f64) = (2.0, 10.0);
/// What comes once, around the final round.
pub(super) const AROUND: [ServiceStep; 5] = [
    ServiceStep::Fence,
    ServiceStep::CreateVolume,
    ServiceStep::Attach,
    ServiceStep::Recovery,
    ServiceStep::Activate,
];
/// A pause is this share of what was waited so far.
const PAUSE_SHARE: f64 = 0.05;

/// How late the end of something is seen that took `seconds`.
fn unseen(seconds: f64, (least, longest): (f64, f64), call: Call) -> f64 {
    call.seen * (PAUSE_SHARE * seconds).clamp(least, longest)
}

impl Chain {
    /// Snapshot and transfer of `bytes`, one number per volume.
    pub(super) fn hop(
        &self,
        at: f64,
        bytes: &[f64],
        index: usize,
        draw: &Draw,
        pauses: (f64, f64),
    ) -> RoundOutcome {
        let largest = bytes.iter().copied().fold(0.0, f64::max);
        let call = draw.call(index, ServiceStep::Snapshot);
        let snapshot = self.service(ServiceStep::Snapshot);
        let snapshot_seconds = snapshot.map_or(0.0, |model| model.seconds(largest, call, draw));
        let transfer_seconds = self.transfer(bytes, index, draw);
        let late = match self.circumstances.path {
            TransferPath::Copy => unseen(transfer_seconds, pauses, draw.copy(index, 0)),
            _ => 0.0,
        };
        RoundOutcome {
            at,
            delta_bytes: bytes.iter().sum(),
            snapshot_seconds,
            transfer_seconds,
            unseen_seconds: unseen(snapshot_seconds, pauses, call) + late,
        }
    }

    fn transfer(&self, bytes: &[f64], index: usize, draw: &Draw) -> f64 {
        let factor = self.circumstances.transfer_factor.max(1e-6);
        match self.circumstances.path {
            TransferPath::Share | TransferPath::Clone => 0.0,
            TransferPath::Copy => self.copies(bytes, factor, index, draw),
            TransferPath::Direct => self.syncs(bytes, factor, index, draw),
        }
    }

    /// Volumes are written side by side, none faster than the quota lets one snapshot be read, all
    /// together no faster than the smaller of the account quotas, which is the same (AWS EBS quotas).
    fn syncs(&self, bytes: &[f64], factor: f64, index: usize, draw: &Draw) -> f64 {
        let quota = |bytes: f64| bytes / LIMITS.direct_snapshot_bytes_per_second;
        let (overhead, per_byte, model) = match self.service(ServiceStep::Direct) {
            Some(model) => {
                let (overhead, per_byte) = model.pace(draw);
                (overhead, per_byte, Some(model))
            }
            // A plan of a version that could not run this path.
            None => (LIMITS.direct_list_seconds, 0.0, None),
        };
        let one = |(volume, bytes): (usize, &f64)| {
            let luck = model.map_or(1.0, |model| model.luck(draw.copy(index, volume)));
            ((overhead + bytes / factor * per_byte) * luck).max(overhead + quota(*bytes))
        };
        let slowest = bytes.iter().enumerate().map(one).fold(0.0, f64::max);
        slowest.max(overhead + quota(bytes.iter().sum()))
    }

    /// Copies run side by side; those beyond the limit per destination region wait for the largest
    /// ones before them.
    fn copies(&self, bytes: &[f64], factor: f64, index: usize, draw: &Draw) -> f64 {
        let Some(model) = self.service(ServiceStep::Copy) else {
            return 0.0;
        };
        let (overhead, per_byte) = model.pace(draw);
        let one = |volume: usize| {
            (overhead + bytes[volume] / factor * per_byte) * model.luck(draw.copy(index, volume))
        };
        let slowest = |wave: &[usize]| wave.iter().map(|volume| one(*volume)).fold(0.0, f64::max);
        if bytes.len() <= LIMITS.copies_per_destination_region {
            return (0..bytes.len()).map(one).fold(0.0, f64::max);
        }
        let mut order: Vec<usize> = (0..bytes.len()).collect();
        order.sort_by(|a, b| bytes[*b].total_cmp(&bytes[*a]));
        order
            .chunks(LIMITS.copies_per_destination_region.max(1))
            .map(slowest)
            .sum()
    }

    /// Fence, restore, start and switch: all of the downtime that no snapshot or transfer takes, in the order of
    /// [`AROUND`].
    pub(super) fn around(&self, draw: &Draw) -> [f64; AROUND.len()] {
        let direct = self.circumstances.path == TransferPath::Direct;
        AROUND.map(|step| match step {
            ServiceStep::CreateVolume | ServiceStep::Attach if direct => 0.0,
            ServiceStep::CreateVolume | ServiceStep::Attach => {
                let seconds = self.once(step, draw);
                seconds + unseen(seconds, HURRIED, draw.call(0, step))
            }
            _ if !self.database => 0.0,
            _ => self.once(step, draw),
        })
    }
}
