//! What goes wrong between an executor and its world, by a seed: requests and answers that are lost or late, calls
//! that hang, an executor that stands still, partitions, strangers that delete, and the executor's own death before,
//! during and after a call or at an entry of its journal.
//!
//! It sees that a call is made and by which name. It must not know what the executor makes of the trouble.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::mood::Mood;
use super::places::{KillPoint, Moment};

/// Which kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a service of AWS.
    Service,
    /// To the helper on a database host.
    Host,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It arrives and is answered.
    Passes,
    /// It is under way for so long.
    Hangs(Duration),
    /// The executor stands still for so long, before it is sent or after its effect.
    Pauses(Moment, Duration),
    /// It does not arrive.
    IsLost,
    /// It arrives; the answer is lost.
    LosesItsAnswer,
    /// It arrives when nobody waits for its answer any more.
    IsLate(Duration),
    /// The executor dies.
    Dies(Moment),
}

#[derive(Debug)]
struct State {
    rng: ChaCha8Rng,
    mood: Mood,
    calls: u64,
    entries: u64,
    kills: Vec<KillPoint>,
    partition_calls: Vec<u64>,
    cut_until: [Option<Instant>; 2],
    calm: bool,
    faults: u64,
    kill_points: Vec<String>,
}

/// The trouble of one run; clones share it.
#[derive(Clone, Debug)]
pub struct Meddler {
    state: Arc<Mutex<State>>,
    death: Arc<Notify>,
}

impl Meddler {
    /// The trouble that this seed brings.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6d65_6464_6c65_7221);
        let mood = Mood::draw(&mut rng);
        Self::sharing(State {
            kills: mood.kills(&mut rng),
            partition_calls: mood.partition_calls(&mut rng),
            mood,
            ..State::quiet(rng)
        })
    }

    /// No trouble, after a death at this place, if at one; `seed` says when somebody starts the executor again.
    #[must_use]
    pub fn quiet(seed: u64, died_at: Option<String>) -> Self {
        let mut state = State::quiet(ChaCha8Rng::seed_from_u64(seed));
        state.kill_points.extend(died_at);
        Self::sharing(state)
    }

    fn sharing(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
            death: Arc::new(Notify::new()),
        }
    }

    /// Decides what becomes of the next call.
    #[must_use]
    pub fn fate(&self, way: Way, name: &str) -> Fate {
        let fate = self.state().fate(way, name);
        if fate == Fate::Dies(Moment::Before) {
            self.kill();
        }
        fate
    }

    /// The executor dies now, wherever it is.
    pub fn kill(&self) {
        self.death.notify_one();
    }

    /// Told that an entry is durable: the executor may die of it.
    pub fn entry(&self, what: &str) {
        if self.state().entry(what) {
            self.kill();
        }
    }

    /// Returns when the executor has died.
    pub async fn death(&self) {
        self.death.notified().await;
    }

    /// How long until somebody starts it again.
    #[must_use]
    pub fn pause_seconds(&self) -> f64 {
        // From a supervisor's second to an operator's two hours.
        (self.state().rng.random::<f64>() * 7200_f64.ln()).exp()
    }

    /// Which thing a stranger deletes now, if one does.
    #[must_use]
    pub fn stranger(&self) -> Option<u64> {
        let mut state = self.state();
        let strikes = !state.calm && state.mood.strangers > 0.0;
        let strikes = strikes && state.rng.random::<f64>() < state.mood.strangers;
        strikes.then(|| state.rng.random())
    }

    /// Room on the journal's disk for the executor's next life, in pages; all it wants when absent.
    #[must_use]
    pub fn journal_pages(&self) -> Option<u32> {
        let mut state = self.state();
        let fills = !state.calm && state.mood.full_disks > 0.0;
        let fills = fills && state.rng.random::<f64>() < state.mood.full_disks;
        fills.then(|| state.rng.random_range(0..40))
    }

    /// Told that the executor ended because its journal took no more.
    pub fn disk_was_full(&self) {
        let mut state = self.state();
        let entries = state.entries;
        state.faults += 1;
        let place = format!("no room for the journal's entry {}", entries + 1);
        state.kill_points.push(place);
    }

    /// Something struck that it was not asked about.
    pub fn struck(&self) {
        self.state().faults += 1;
    }

    /// Nothing more goes wrong.
    pub fn calm_down(&self) {
        self.state().calm = true;
    }

    /// What struck so far.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.state().faults
    }

    /// Where the executor died, in order.
    #[must_use]
    pub fn kill_points(&self) -> Vec<String> {
        self.state().kill_points.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn quiet(rng: ChaCha8Rng) -> Self {
        Self {
            rng,
            mood: Mood::GOOD,
            calls: 0,
            entries: 0,
            kills: Vec::new(),
            partition_calls: Vec::new(),
            cut_until: [None, None],
            calm: false,
            faults: 0,
            kill_points: Vec::new(),
        }
    }

    fn fate(&mut self, way: Way, name: &str) -> Fate {
        self.calls += 1;
        if self.calm {
            return Fate::Passes;
        }
        for moment in [Moment::Before, Moment::During, Moment::After] {
            if self.dies(KillPoint::Call(self.calls, moment), name) {
                return Fate::Dies(moment);
            }
        }
        if self.partition_calls.contains(&self.calls) {
            let seconds = 5.0 * self.span_seconds(400.0);
            self.cut_until[way.index()] = Some(Instant::now() + Duration::from_secs_f64(seconds));
        }
        let fate = self.troubled(way);
        self.faults += u64::from(fate != Fate::Passes);
        fate
    }

    fn entry(&mut self, what: &str) -> bool {
        self.entries += 1;
        !self.calm && self.dies(KillPoint::Entry(self.entries), what)
    }

    /// Whether the executor dies here, and then that it did.
    fn dies(&mut self, here: KillPoint, what: &str) -> bool {
        let dies = self.kills.contains(&here);
        if dies {
            self.kill_points.push(here.name(what));
        }
        dies
    }

    fn troubled(&mut self, way: Way) -> Fate {
        if self.cut_until[way.index()].is_some_and(|until| Instant::now() < until) {
            return Fate::IsLost;
        }
        if self.strikes(self.mood.lost[way.index()]) {
            return self.lost(way);
        }
        if self.strikes(self.mood.hangs) {
            return Fate::Hangs(self.span(1800.0));
        }
        if self.strikes(self.mood.pauses) {
            let moment = if self.rng.random() {
                Moment::Before
            } else {
                Moment::During
            };
            return Fate::Pauses(moment, self.span(5400.0));
        }
        Fate::Passes
    }

    /// Only what goes to a host may arrive late: AWS answers or closes the connection.
    fn lost(&mut self, way: Way) -> Fate {
        match self.rng.random_range(0..3) {
            0 => Fate::IsLost,
            1 if way == Way::Host => Fate::IsLate(self.span(240.0)),
            _ => Fate::LosesItsAnswer,
        }
    }

    fn strikes(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random::<f64>() < probability
    }

    fn span(&mut self, longest_seconds: f64) -> Duration {
        Duration::from_secs_f64(self.span_seconds(longest_seconds))
    }

    /// From a second to the longest, short ones as often as long ones in the logarithm.
    fn span_seconds(&mut self, longest_seconds: f64) -> f64 {
        (self.rng.random::<f64>() * longest_seconds.ln()).exp()
    }
}

impl Way {
    const fn index(self) -> usize {
        match self {
            Self::Service => 0,
            Self::Host => 1,
        }
    }
}
