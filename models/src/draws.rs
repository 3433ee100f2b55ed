//! Chance for the simulation: every draw is a fixed set of variates that depends on the seed alone.
//!
//! Nothing that is simulated decides how many variates are taken. So two circumstances are compared
//! on the same luck, and a worse one never looks better by chance. It must not know what is drawn for.

use std::sync::LazyLock;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::observation::ServiceStep;
use crate::shares::by_shares;

/// Draws behind a forecast that is shown or decided on.
pub const DRAWS: usize = 10_000;

/// Draws behind the weighing of one more round.
pub const GLANCE_DRAWS: usize = 1000;

/// Draws behind a comparison of candidates.
pub const SEARCH_DRAWS: usize = 128;

/// Rounds a simulation follows; a longer chain has converged long before.
pub const MAX_ROUNDS: usize = 24;

/// Number of service steps with luck of their own.
pub const STEPS: usize = 10;

/// Where a draw keeps the luck of a step. No chain both copies and writes directly, so that these two share it.
#[must_use]
pub const fn luck_of(step: ServiceStep) -> usize {
    match step {
        ServiceStep::Direct => ServiceStep::Copy as usize,
        own => own as usize,
    }
}

/// One possible world.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Where in the checkpoint period the last unflushed round falls, in (0, 1).
    pub phase: f64,
    /// Which of the load's sample paths comes true, in (0, 1).
    pub path: f64,
    /// What belongs to each volume.
    pub volumes: Vec<VolumeDraw>,
    /// Per step: what is not known of overhead and rate, standard normal.
    pub service: [[f64; 2]; STEPS],
    /// Per round: the set's snapshot, then each volume's copy.
    rounds: Vec<Call>,
    /// Steps that come once.
    once: [Call; STEPS],
}

/// The luck of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Call {
    /// Around its own mean, Student t with 4 degrees of freedom.
    pub scatter: f64,
    /// Whether it falls into the tail, in (0, 1).
    pub tail: f64,
    /// Where in the pause between two looks it ends, in (0, 1).
    pub seen: f64,
}

/// The part of a draw that belongs to one volume.
#[derive(Clone, Copy, Debug)]
pub struct VolumeDraw {
    /// Error of its delta curve as a level, in (0, 1).
    pub error_level: f64,
    /// The same as ln of its odds.
    pub error_log_odds: f64,
}

impl VolumeDraw {
    /// At a level in (0, 1).
    #[must_use]
    pub fn at(error_level: f64) -> Self {
        Self {
            error_level,
            error_log_odds: (error_level / (1.0 - error_level)).ln(),
        }
    }
}

impl Draw {
    /// A round's snapshot set, or a step that comes once; rounds beyond the last share its luck.
    #[must_use]
    pub fn call(&self, round: usize, step: ServiceStep) -> Call {
        match step {
            ServiceStep::Snapshot => self.of_round(round, 0),
            ServiceStep::Copy | ServiceStep::Direct => self.of_round(round, 1),
            once => self.once[luck_of(once)],
        }
    }

    /// The copy of one volume in a round.
    #[must_use]
    pub fn copy(&self, round: usize, volume: usize) -> Call {
        self.of_round(round, 1 + volume)
    }

    fn of_round(&self, round: usize, kind: usize) -> Call {
        let width = 1 + self.volumes.len();
        let last = (self.rounds.len() / width).saturating_sub(1);
        let index = round.min(last) * width + kind.min(width - 1);
        self.rounds.get(index).copied().unwrap_or_default()
    }
}

/// `count` draws for a group of `volumes` volumes and chains of up to `rounds` rounds. Fewer
/// draws, volumes or rounds are the beginning of more.
#[must_use]
pub fn draws(seed: u64, volumes: usize, rounds: usize, count: usize) -> Vec<Draw> {
    let mut chance = Chance::of(seed);
    (0..count)
        .map(|index| chance.draw(index as u64, volumes, rounds))
        .collect()
}

/// What `play` makes of each of the same draws, in their order, on as many threads as there are: a
/// draw depends on its number alone, so the answer does not depend on them.
#[must_use]
pub fn outcomes<T: Send>(
    seed: u64,
    volumes: usize,
    rounds: usize,
    count: usize,
    play: impl Fn(&Draw) -> T + Sync,
) -> Vec<T> {
    by_shares(count, LEAST_SHARE, |share| {
        let mut chance = Chance::of(seed);
        share
            .map(|index| play(&chance.draw(index as u64, volumes, rounds)))
            .collect()
    })
}

/// Fewer draws than this are not worth a thread.
const LEAST_SHARE: usize = 1000;

struct Chance(ChaCha8Rng);

impl Chance {
    fn of(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Each part of a draw has a stream of its own, so that what one part takes moves no other.
    fn draw(&mut self, index: u64, volumes: usize, rounds: usize) -> Draw {
        let rounds = rounds.clamp(1, MAX_ROUNDS);
        self.begin(4 * index);
        let phase = self.uniform();
        let service = std::array::from_fn(|_| [self.normal(), self.normal()]);
        let once = std::array::from_fn(|_| self.call());
        let path = self.uniform();
        self.begin(4 * index + 1);
        let own = (0..volumes)
            .map(|_| VolumeDraw::at(self.uniform()))
            .collect();
        self.begin(4 * index + 2);
        let calls = (0..rounds * (1 + volumes)).map(|_| self.call());
        let rounds = calls.collect();
        Draw {
            phase,
            path,
            volumes: own,
            service,
            rounds,
            once,
        }
    }

    fn begin(&mut self, stream: u64) {
        self.0.set_stream(stream);
        self.0.set_word_pos(0);
    }

    fn call(&mut self) -> Call {
        let scatter = self.student();
        let both = self.0.next_u32();
        // Half a word tells one in 65,536: enough for what happens to one call in fifty.
        let half = |bits: u32| (f64::from(bits & 0xffff) + 0.5) / 65_536.0;
        Call {
            scatter,
            tail: half(both >> 16),
            seen: half(both),
        }
    }

    /// In the open interval (0, 1).
    fn uniform(&mut self) -> f64 {
        (f64::from(self.0.next_u32()) + 0.5) / 4_294_967_296.0
    }

    fn normal(&mut self) -> f64 {
        NORMAL.at(self.uniform())
    }

    fn student(&mut self) -> f64 {
        STUDENT.at(self.uniform())
    }
}

static NORMAL: LazyLock<Quantile> = LazyLock::new(|| Quantile::of(normal_quantile));
static STUDENT: LazyLock<Quantile> = LazyLock::new(|| Quantile::of(student4_quantile));

/// A quantile function as a table: a forecast takes a million values of it.
struct Quantile {
    table: Vec<f64>,
    exact: fn(f64) -> f64,
}

impl Quantile {
    /// Pieces of the table, and how many at each end are too curved for it.
    const PIECES: u32 = 4096;
    const CURVED: usize = 16;

    fn of(exact: fn(f64) -> f64) -> Self {
        let piece = |k: u32| exact(f64::from(k) / f64::from(Self::PIECES));
        let inner = (1..Self::PIECES).map(piece);
        let table = std::iter::once(0.0).chain(inner).collect();
        Self { table, exact }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a level between 0 and 1"
    )]
    fn at(&self, level: f64) -> f64 {
        let position = level * f64::from(Self::PIECES);
        let before = position as usize;
        if before < Self::CURVED || before + Self::CURVED >= self.table.len() {
            return (self.exact)(level);
        }
        let (low, high) = (self.table[before], self.table[before + 1]);
        low + (position - before as f64) * (high - low)
    }
}

fn normal_quantile(level: f64) -> f64 {
    statrs::function::erf::erf_inv(2.0 * level - 1.0) * std::f64::consts::SQRT_2
}

/// Quantile of Student's t with 4 degrees of freedom in closed form (Shaw, Journal of
/// Computational Finance 9, 2006), cut at 12 so that one draw in 10,000 does not decide a mean.
#[must_use]
pub fn student4_quantile(level: f64) -> f64 {
    let alpha = (4.0 * level * (1.0 - level)).clamp(1e-12, 1.0);
    let root = alpha.sqrt();
    let q = (root.acos() / 3.0).cos() / root;
    let size = 2.0 * (q - 1.0).max(0.0).sqrt();
    (if level < 0.5 { -size } else { size }).clamp(-12.0, 12.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_run_is_the_beginning_of_a_longer_one() {
        let few = draws(7, 2, 3, 3);
        let many = draws(7, 2, 3, 9);
        assert_eq!(format!("{:?}", few[2]), format!("{:?}", many[2]));
        assert_ne!(format!("{:?}", many[2]), format!("{:?}", many[3]));
    }

    #[test]
    fn outcomes_come_in_the_order_of_their_draws() {
        let path = |draw: &Draw| draw.path;
        let together = outcomes(7, 2, 3, 5000, path);
        let alone: Vec<f64> = draws(7, 2, 3, 5000).iter().map(path).collect();
        assert_eq!(together, alone);
    }

    #[test]
    fn what_one_word_tells_of_a_call_is_evenly_spread() {
        let all = draws(3, 1, 1, 4000);
        let calls = || all.iter().map(|draw| draw.call(0, ServiceStep::Copy));
        let share = |holds: &dyn Fn(Call) -> bool| {
            calls().filter(|call| holds(*call)).count() as f64 / 4000.0
        };
        assert!((share(&|call| call.tail > 0.9) - 0.1).abs() < 0.02);
        assert!((share(&|call| call.seen < 0.5) - 0.5).abs() < 0.03);
        let both = share(&|call| call.tail > 0.5 && call.seen > 0.5);
        assert!((both - 0.25).abs() < 0.03, "{both}");
    }

    #[test]
    fn student_quantiles_match_the_table() {
        assert!((student4_quantile(0.9) - 1.533).abs() < 1e-3);
        assert!((student4_quantile(0.99) - 3.747).abs() < 1e-3);
        assert!((student4_quantile(0.1) + 1.533).abs() < 1e-3);
        assert!(student4_quantile(0.5).abs() < 1e-6);
    }

    #[test]
    fn the_tables_follow_their_functions() {
        for k in 1..10_000 {
            let level = f64::from(k) / 10_000.0;
            assert!(
                (STUDENT.at(level) - student4_quantile(level)).abs() < 2e-3,
                "{level}"
            );
            assert!(
                (NORMAL.at(level) - normal_quantile(level)).abs() < 1e-3,
                "{level}"
            );
        }
        assert!((NORMAL.at(0.975) - 1.959_96).abs() < 1e-4);
    }

    #[test]
    fn normals_have_the_right_spread() {
        let all = draws(1, 1, 1, 4000);
        let normals = || all.iter().map(|draw| draw.service[0][0]);
        let mean = normals().sum::<f64>() / 4000.0;
        let variance = normals().map(|z| z * z).sum::<f64>() / 4000.0;
        assert!(
            mean.abs() < 0.06 && (variance - 1.0).abs() < 0.1,
            "{mean} {variance}"
        );
    }
}
