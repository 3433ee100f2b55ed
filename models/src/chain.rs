//! The chain of snapshots played through on one draw: base, rounds, final.
//!
//! Rounds are sequential in this version: snapshot, then transfer, then the next round. The
//! volumes of a set complete together, so the slowest one sets the clock. All times are seconds
//! since 1970. It must not know policy, windows, prices or quantiles.

use std::sync::Arc;

use crate::dirty::DirtyCurve;
use crate::draws::Draw;
use crate::forecast::{FittedModel, VolumeModel};
use crate::limits::LIMITS;
use crate::load::LoadPaths;
use crate::observation::ServiceStep;
use crate::policy::TransferPath;
use crate::service::ServiceModel;
use crate::units::BLOCK_BYTES;

/// Dirty database buffers reach the disk within one checkpoint period (PostgreSQL's default
/// `checkpoint_timeout`, 5 minutes): up to that much writing arrives after the fence.
const FLUSH_SECONDS: f64 = 300.0;
/// Changes of circumstances to play through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circumstances {
    /// All writing times this.
    pub write_factor: f64,
    /// Rate of the transfer times this.
    pub transfer_factor: f64,
    /// How the last delta reaches the target.
    pub path: TransferPath,
}

impl Circumstances {
    /// Nothing changed.
    #[must_use]
    pub const fn plain(path: TransferPath) -> Self {
        Self {
            write_factor: 1.0,
            transfer_factor: 1.0,
            path,
        }
    }
}

/// One consistency group, ready to be played through.
#[derive(Clone, Debug)]
pub struct Chain {
    volumes: Arc<[ChainVolume]>,
    services: Vec<ServiceModel>,
    database: bool,
    circumstances: Circumstances,
}

#[derive(Clone, Debug)]
struct ChainVolume {
    base_bytes: f64,
    curve: DirtyCurve,
    load: LoadPaths,
}

/// What one round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoundOutcome {
    /// Point in time its snapshots hold.
    pub at: f64,
    /// Changed bytes, all volumes; for the base all written bytes.
    pub delta_bytes: f64,
    /// Until the set was completed.
    pub snapshot_seconds: f64,
    /// From there until the data was in the target.
    pub transfer_seconds: f64,
}

impl RoundOutcome {
    /// When the next round may start.
    #[must_use]
    pub fn ready(&self) -> f64 {
        self.at + self.snapshot_seconds + self.transfer_seconds
    }
}

/// What the cutover came to, its final round included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cutover {
    /// The final round; `at` is the fence.
    pub round: RoundOutcome,
    /// First FIFREEZE to last FITHAW.
    pub freeze_seconds: f64,
    /// Last commit of the source to first commit of the target.
    pub write_downtime_seconds: f64,
    /// Part of it that does not depend on the delta's size.
    pub fixed_seconds: f64,
}

/// When the rounds are taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Itinerary {
    /// Base, or the existing snapshot used as base.
    pub base_at: f64,
    /// The base exists and is completed: only its transfer is still to do, from `transfer_from`.
    pub transfer_from: Option<f64>,
    /// Rounds between base and final, not before.
    pub rounds: Vec<f64>,
    /// The fence, not before.
    pub fence: f64,
}

/// A chain played through on one draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Base and rounds.
    pub rounds: Vec<RoundOutcome>,
    /// The end.
    pub cutover: Cutover,
}

impl Chain {
    /// Prepares `model` under `circumstances`, with the load as seen at `issued_at`.
    #[must_use]
    pub fn of(model: &FittedModel, circumstances: Circumstances, issued_at: f64) -> Self {
        let volume = |v: &VolumeModel| ChainVolume {
            base_bytes: v.base_blocks * BLOCK_BYTES as f64,
            curve: v.curve.clone(),
            load: LoadPaths::of(&v.load, issued_at),
        };
        Self {
            volumes: model.volumes.iter().map(volume).collect(),
            services: model.services.clone(),
            database: model.database,
            circumstances,
        }
    }

    /// The same chain under other circumstances; what was prepared is shared.
    #[must_use]
    pub fn under(&self, circumstances: Circumstances) -> Self {
        Self {
            circumstances,
            ..self.clone()
        }
    }

    /// Number of volumes.
    #[must_use]
    pub fn volumes(&self) -> usize {
        self.volumes.len()
    }

    /// Plays the whole chain.
    #[must_use]
    pub fn run(&self, itinerary: &Itinerary, draw: &Draw) -> Run {
        let base = self.base(itinerary, draw);
        let mut rounds = vec![base];
        let mut ready = itinerary
            .transfer_from
            .map_or(base.ready(), |from| from + base.transfer_seconds);
        let mut since = base.at;
        for (index, start) in itinerary.rounds.iter().enumerate() {
            let round = self.round(since, start.max(ready), index + 1, draw);
            (since, ready) = (round.at, round.ready());
            rounds.push(round);
        }
        let cutover = self.cutover(since, itinerary.fence.max(ready), rounds.len(), draw);
        Run { rounds, cutover }
    }

    /// The base: every written block.
    #[must_use]
    pub fn base(&self, itinerary: &Itinerary, draw: &Draw) -> RoundOutcome {
        let bytes: Vec<f64> = self
            .volumes
            .iter()
            .map(|volume| volume.base_bytes)
            .collect();
        let mut base = self.moved(itinerary.base_at, &bytes, 0, draw);
        if itinerary.transfer_from.is_some() {
            base.snapshot_seconds = 0.0;
        }
        base
    }

    /// One incremental round taken at `at`, the previous one at `since`.
    #[must_use]
    pub fn round(&self, since: f64, at: f64, index: usize, draw: &Draw) -> RoundOutcome {
        self.moved(at, &self.delta_bytes(since, at, draw), index, draw)
    }

    /// Fence at `fence`, the last round at `since`, until the target accepts a commit.
    #[must_use]
    pub fn cutover(&self, since: f64, fence: f64, index: usize, draw: &Draw) -> Cutover {
        let flush = if self.database {
            FLUSH_SECONDS * draw.phase
        } else {
            0.0
        };
        let bytes = self.delta_bytes(since, fence + flush, draw);
        let round = self.moved(fence, &bytes, index, draw);
        let bare = self.moved(fence, &vec![0.0; bytes.len()], index, draw);
        let freeze_seconds = self.step(ServiceStep::Freeze, index, draw);
        let fixed = freeze_seconds + self.around(index, draw);
        Cutover {
            round,
            freeze_seconds,
            write_downtime_seconds: fixed + round.snapshot_seconds + round.transfer_seconds,
            fixed_seconds: fixed + bare.snapshot_seconds + bare.transfer_seconds,
        }
    }

    /// Checkpoint before the fence: time in which the source still serves.
    #[must_use]
    pub fn checkpoint_seconds(&self, index: usize, draw: &Draw) -> f64 {
        if self.database {
            self.step(ServiceStep::Checkpoint, index, draw)
        } else {
            0.0
        }
    }

    /// Fence, restore, start and switch: all of the downtime that no snapshot or transfer takes.
    fn around(&self, index: usize, draw: &Draw) -> f64 {
        let direct = self.circumstances.path == TransferPath::Direct;
        let restore = [ServiceStep::CreateVolume, ServiceStep::Attach];
        let serve = [
            ServiceStep::Fence,
            ServiceStep::Recovery,
            ServiceStep::Activate,
        ];
        let steps = restore
            .iter()
            .filter(|_| !direct)
            .chain(serve.iter().filter(|_| self.database));
        steps.map(|step| self.step(*step, index, draw)).sum()
    }

    fn step(&self, step: ServiceStep, index: usize, draw: &Draw) -> f64 {
        self.seconds(step, 0.0, index, draw)
    }

    fn seconds(&self, step: ServiceStep, bytes: f64, index: usize, draw: &Draw) -> f64 {
        let model = self.services.iter().find(|model| model.step == step);
        model.map_or(0.0, |model| model.seconds(bytes, index, draw))
    }

    /// Changed bytes of each volume between two points in time.
    fn delta_bytes(&self, from: f64, to: f64, draw: &Draw) -> Vec<f64> {
        let volumes = self.volumes.iter().zip(&draw.volumes);
        volumes
            .map(|(volume, own)| {
                let written = volume.load.drawn(from, to, draw, own);
                let written = written.scaled(self.circumstances.write_factor);
                volume.curve.drawn(written, own) * BLOCK_BYTES as f64
            })
            .collect()
    }

    fn moved(&self, at: f64, bytes: &[f64], index: usize, draw: &Draw) -> RoundOutcome {
        let largest = bytes.iter().copied().fold(0.0, f64::max);
        RoundOutcome {
            at,
            delta_bytes: bytes.iter().sum(),
            snapshot_seconds: self.seconds(ServiceStep::Snapshot, largest, index, draw),
            transfer_seconds: self.transfer(bytes, index, draw),
        }
    }

    fn transfer(&self, bytes: &[f64], index: usize, draw: &Draw) -> f64 {
        let factor = self.circumstances.transfer_factor.max(1e-6);
        match self.circumstances.path {
            TransferPath::Share | TransferPath::Clone => 0.0,
            TransferPath::Copy => waves(bytes)
                .map(|wave| self.seconds(ServiceStep::Copy, wave / factor, index, draw))
                .sum(),
            TransferPath::Direct => {
                let largest = bytes.iter().copied().fold(0.0, f64::max);
                LIMITS.direct_list_seconds
                    + largest / factor / LIMITS.direct_snapshot_bytes_per_second
            }
        }
    }
}

/// Copies beyond the limit per destination region wait for the first ones: the largest of each
/// batch sets that batch's clock.
fn waves(bytes: &[f64]) -> impl Iterator<Item = f64> {
    let mut sorted = bytes.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted
        .into_iter()
        .step_by(LIMITS.copies_per_destination_region.max(1))
}
