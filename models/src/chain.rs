//! The chain of snapshots played through on one draw: base, rounds, final.
//!
//! Rounds are sequential, as they are executed: snapshot, then transfer, then the next round, so that
//! no snapshot or copy ever queues behind an earlier one of its lineage. The volumes of a set complete
//! together, their copies run side by side, and the slowest one sets the clock. All times are seconds
//! since 1970. It must not know policy, windows, prices or quantiles.

mod flush;
mod hop;
mod pipelined;
mod signs;
mod volume;

use std::ops::Range;
use std::sync::Arc;

use crate::draws::{Draw, STEPS};
use crate::forecast::{FittedModel, VolumeModel};
use crate::observation::ServiceStep;
use crate::policy::TransferPath;
use crate::service::ServiceModel;
use crate::shares::by_shares;

pub use flush::Since;
use hop::AROUND;
pub use signs::{INPUTS, Nominal, Signs};
use volume::ChainVolume;

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
    /// By the number of the step.
    services: Arc<[Option<ServiceModel>; STEPS + 1]>,
    database: bool,
    stated_flush_bytes: f64,
    circumstances: Circumstances,
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
    /// Until the executor, which looks now and then, has seen both.
    pub unseen_seconds: f64,
}

impl RoundOutcome {
    /// When the next round may start.
    #[must_use]
    pub fn ready(&self) -> f64 {
        self.at + self.seconds()
    }

    /// From the call until the data is seen in the target.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.snapshot_seconds + self.transfer_seconds + self.unseen_seconds
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
    around: [f64; AROUND.len()],
}

impl Cutover {
    /// What one step takes of it; nothing for a step that is no part of a cutover.
    #[must_use]
    pub fn seconds_of(&self, step: ServiceStep) -> f64 {
        match step {
            ServiceStep::Snapshot => self.round.snapshot_seconds,
            ServiceStep::Copy => self.round.transfer_seconds,
            ServiceStep::Freeze => self.freeze_seconds,
            _ => AROUND
                .iter()
                .position(|around| *around == step)
                .map_or(0.0, |place| self.around[place]),
        }
    }
}

/// When the rounds are taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Itinerary {
    /// Base, or the existing snapshot used as base.
    pub base_at: f64,
    /// The base exists and is completed: only its transfer is still to do, from `transfer_from`.
    pub transfer_from: Option<f64>,
    /// Its data is in the target too.
    pub landed: bool,
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
        let service = |index: usize| {
            let mut models = model.services.iter();
            models.find(|model| model.step as usize == index).cloned()
        };
        Self {
            volumes: prepared(&model.volumes, issued_at),
            services: Arc::new(std::array::from_fn(service)),
            database: model.database,
            stated_flush_bytes: model.flush_bytes.unwrap_or(0.0).max(0.0),
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
        let mut ready = itinerary.transfer_from.map_or(base.ready(), |from| {
            from + base.transfer_seconds + base.unseen_seconds
        });
        let mut since = Since::unflushed(base.at);
        for (index, start) in itinerary.rounds.iter().enumerate() {
            let round = self.round(since, start.max(ready), index + 1, draw);
            (since, ready) = (Since::flushed(round.at), round.ready());
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
        let mut base = self.hop(itinerary.base_at, &bytes, 0, draw, hop::UNHURRIED);
        if itinerary.transfer_from.is_some() {
            base.snapshot_seconds = 0.0;
        }
        if itinerary.landed {
            (base.transfer_seconds, base.unseen_seconds) = (0.0, 0.0);
        }
        base
    }

    /// When the base's data is in the target.
    #[must_use]
    pub fn base_in_target(&self, itinerary: &Itinerary, draw: &Draw) -> f64 {
        let base = self.base(itinerary, draw);
        itinerary.transfer_from.map_or(base.ready(), |from| {
            from + base.transfer_seconds + base.unseen_seconds
        })
    }

    /// One incremental round taken at `at`, after a CHECKPOINT.
    #[must_use]
    pub fn round(&self, since: Since, at: f64, index: usize, draw: &Draw) -> RoundOutcome {
        let from = self.held_until(since, draw);
        let to = self.held_until(Since::flushed(at), draw);
        self.hop(
            at,
            &self.delta_bytes(from, to, draw),
            index,
            draw,
            hop::UNHURRIED,
        )
    }

    /// Fence at `fence` until the target accepts a commit. Nothing is dirtied behind the fence, and
    /// all that was dirtied before it is in the final delta.
    #[must_use]
    pub fn cutover(&self, since: Since, fence: f64, index: usize, draw: &Draw) -> Cutover {
        let mut bytes = self.delta_bytes(self.held_until(since, draw), fence, draw);
        self.add_stated_flush(&mut bytes);
        let round = self.hop(fence, &bytes, index, draw, hop::HURRIED);
        let bare = self.hop(fence, &vec![0.0; bytes.len()], index, draw, hop::HURRIED);
        let freeze_seconds = self.once(ServiceStep::Freeze, draw);
        let around = self.around(draw);
        let fixed = freeze_seconds + around.iter().sum::<f64>();
        Cutover {
            round,
            freeze_seconds,
            write_downtime_seconds: fixed + round.seconds(),
            fixed_seconds: fixed + bare.seconds(),
            around,
        }
    }

    /// Checkpoint before the fence: time in which the source still serves.
    #[must_use]
    pub fn checkpoint_seconds(&self, draw: &Draw) -> f64 {
        if self.database {
            self.once(ServiceStep::Checkpoint, draw)
        } else {
            0.0
        }
    }

    /// Changed bytes of each volume between two points in time.
    fn delta_bytes(&self, from: f64, to: f64, draw: &Draw) -> Vec<f64> {
        let volumes = self.volumes.iter().zip(&draw.volumes);
        volumes
            .map(|(volume, own)| {
                let mut written = volume.load.drawn(from, to, draw, own);
                written.small += self.held_now(&volume.load, from);
                let written = written.scaled(self.circumstances.write_factor);
                volume.drawn_bytes(written, own)
            })
            .collect()
    }

    fn service(&self, step: ServiceStep) -> Option<&ServiceModel> {
        self.services[step as usize].as_ref()
    }

    /// A step that moves nothing and comes once.
    fn once(&self, step: ServiceStep, draw: &Draw) -> f64 {
        let call = draw.call(0, step);
        self.service(step)
            .map_or(0.0, |model| model.seconds(0.0, call, draw))
    }
}

/// The volumes made ready, each on its own: laying out a load's paths takes milliseconds.
fn prepared(volumes: &[VolumeModel], issued_at: f64) -> Arc<[ChainVolume]> {
    let ready = |share: Range<usize>| {
        let share = volumes[share].iter();
        share
            .map(|volume| ChainVolume::of(volume, issued_at))
            .collect()
    };
    by_shares(volumes.len(), 1, ready).into()
}

#[cfg(test)]
mod tests;
