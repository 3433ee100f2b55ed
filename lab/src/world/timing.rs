//! How long things take: draws from the service's tables, one stream per entity.
//! It must not know what an operation does, nor change anything but its streams.

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::clock::seconds;
use crate::scenario::{Dist, Transfer, standard_normal};

use super::World;

/// One operation's draws; how long it takes follows from the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    overhead_seconds: f64,
    bytes_per_second: f64,
    slow: f64,
    /// Bends the progress over time.
    pub bend: f64,
}

impl Pace {
    /// How long an operation over `bytes` takes, in seconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "volumes are far below 2^53 bytes"
    )]
    pub(crate) fn seconds(&self, bytes: u64) -> f64 {
        (self.overhead_seconds + bytes as f64 / self.bytes_per_second) * self.slow
    }
}

impl World {
    /// The draws for the next operation of `entity`, whose own rate is drawn once.
    pub(crate) fn pace(&mut self, entity: &str, transfer: Transfer) -> Pace {
        let own = transfer
            .mib_per_second
            .draw(&mut self.chance.stream(entity));
        let mut rng = self.chance.next(entity);
        let jitter = (transfer.jitter_sigma * standard_normal(&mut rng)).exp();
        let overhead_seconds = transfer.overhead_seconds.draw(&mut rng);
        let slow = self.slowness(&mut rng, transfer);
        let bend = 0.6 + rng.random::<f64>();
        Pace {
            overhead_seconds,
            bytes_per_second: own * jitter * 1_048_576.0,
            slow,
            bend,
        }
    }

    fn slowness(&self, rng: &mut ChaCha8Rng, transfer: Transfer) -> f64 {
        let fault = rng.random::<f64>() * 1000.0 < self.faults.slow;
        let slow = rng.random::<f64>() < transfer.slow_probability;
        if fault || slow {
            transfer.slow_factor.max(1.0)
        } else {
            1.0
        }
    }

    /// A drawn duration for the next operation of `entity`, divided by the time scale.
    pub(crate) fn takes(&mut self, entity: &str, seconds_dist: Dist) -> TimeDelta {
        let drawn = seconds_dist.draw(&mut self.chance.next(entity));
        self.scaled(drawn)
    }

    /// A duration in seconds, divided by the time scale.
    pub(crate) fn scaled(&self, duration_seconds: f64) -> TimeDelta {
        seconds(duration_seconds / self.settings.time_scale)
    }

    /// From when describes know a resource that is created now.
    pub(crate) fn seen_from(&mut self, id: &str) -> DateTime<Utc> {
        self.now
            + self.takes(
                &format!("consistency/{id}"),
                self.service.consistency_delay_seconds,
            )
    }

    /// The latency of the next request of an API, in milliseconds. `drawn` is the service's own
    /// distribution for it; `Settings::latency_ms` stands before it where it is given.
    pub fn latency_ms(&mut self, api: &str, drawn: Dist) -> f64 {
        match self.settings.latency_ms {
            Some(fixed) => u32::try_from(fixed).map_or(f64::from(u32::MAX), f64::from),
            None => drawn.draw(&mut self.chance.next(&format!("latency/{api}"))),
        }
    }
}
