//! What goes wrong between an executor and its world, by a seed: requests and answers that are lost, calls that
//! hang, partitions, and the executor's own death before, during and after a call or at an entry of its journal.
//!
//! It sees that a call is made and by which name. It must not know what the executor makes of the trouble.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Calls of an undisturbed run, roughly: kills are drawn within so many.
const CALLS: u64 = 260;
/// Entries of its journal.
const ENTRIES: u64 = 220;
/// Most kills of one run.
const MOST_KILLS: u32 = 3;

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
    /// It is answered after the executor, or the network, has slept.
    Hangs(Duration),
    /// It does not arrive.
    IsLost,
    /// It arrives; the answer is lost.
    LosesItsAnswer,
    /// The executor dies before it is sent.
    DiesBefore,
    /// It arrives; the executor dies before the answer.
    DiesAfter,
}

/// When an executor dies of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The call is not sent.
    Before,
    /// It has its effect, and nobody hears of it.
    After,
}

/// Where an executor dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillPoint {
    /// At this call, counted from 1.
    Call(u64, Moment),
    /// As soon as this entry of the journal is durable, counted from 1.
    Entry(u64),
}

/// How likely what is in one run.
#[derive(Clone, Copy, Debug)]
struct Mood {
    lost: [f64; 2],
    hangs: f64,
}

#[derive(Debug)]
struct State {
    rng: ChaCha8Rng,
    mood: Mood,
    calls: u64,
    entries: u64,
    kill_calls: Vec<(u64, Moment)>,
    kill_entries: Vec<u64>,
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
        let mut drawn = |most: u32, within: u64| -> Vec<u64> {
            let count = rng.random_range(0..=most);
            (0..count).map(|_| rng.random_range(1..within)).collect()
        };
        let (calls, entries) = (drawn(MOST_KILLS, CALLS), drawn(1, ENTRIES));
        let partition_calls = drawn(1, CALLS);
        let moment = |rng: &mut ChaCha8Rng| {
            if rng.random() {
                Moment::Before
            } else {
                Moment::After
            }
        };
        let kill_calls = calls.iter().map(|call| (*call, moment(&mut rng))).collect();
        let mood = Mood {
            lost: [
                one_of(&mut rng, [0.0, 0.002, 0.01]),
                one_of(&mut rng, [0.0, 0.01, 0.05]),
            ],
            hangs: one_of(&mut rng, [0.0, 0.0, 0.01]),
        };
        Self::sharing(State {
            kill_calls,
            kill_entries: entries,
            partition_calls,
            mood,
            ..State::quiet(rng)
        })
    }

    /// One death and no other trouble.
    #[must_use]
    pub fn killing(point: Option<KillPoint>) -> Self {
        let mut state = State::quiet(ChaCha8Rng::seed_from_u64(0));
        match point {
            Some(KillPoint::Call(call, moment)) => state.kill_calls.push((call, moment)),
            Some(KillPoint::Entry(entry)) => state.kill_entries.push(entry),
            None => {}
        }
        Self::sharing(state)
    }

    fn sharing(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
            death: Arc::new(Notify::new()),
        }
    }

    /// Every place at which a run that went like this one could have died.
    #[must_use]
    pub fn places(&self) -> Vec<KillPoint> {
        let state = self.state();
        let calls = (1..=state.calls).flat_map(|call| {
            [Moment::Before, Moment::After].map(|moment| KillPoint::Call(call, moment))
        });
        calls
            .chain((1..=state.entries).map(KillPoint::Entry))
            .collect()
    }

    /// Decides what becomes of the next call.
    #[must_use]
    pub fn fate(&self, way: Way, name: &str) -> Fate {
        let fate = self.state().fate(way, name);
        if matches!(fate, Fate::DiesBefore) {
            self.death.notify_one();
        }
        fate
    }

    /// The executor dies now, wherever it is.
    pub fn kill(&self) {
        self.death.notify_one();
    }

    /// Told that an entry is durable: the executor may die of it.
    pub fn entry(&self, what: &str) {
        let mut state = self.state();
        state.entries += 1;
        let entries = state.entries;
        if !state.calm && state.kill_entries.contains(&entries) {
            state
                .kill_points
                .push(format!("journal entry {entries}, {what}"));
            self.death.notify_one();
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
            mood: Mood {
                lost: [0.0, 0.0],
                hangs: 0.0,
            },
            calls: 0,
            entries: 0,
            kill_calls: Vec::new(),
            kill_entries: Vec::new(),
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
        let dies = self.kill_calls.iter().find(|(call, _)| *call == self.calls);
        if let Some((_, moment)) = dies {
            return self.dies(*moment, name);
        }
        if self.partition_calls.contains(&self.calls) {
            let seconds = 5.0 * (self.rng.random::<f64>() * 400_f64.ln()).exp();
            self.cut_until[way.index()] = Some(Instant::now() + Duration::from_secs_f64(seconds));
        }
        let fate = self.troubled(way);
        self.faults += u64::from(fate != Fate::Passes);
        fate
    }

    fn dies(&mut self, moment: Moment, name: &str) -> Fate {
        let (fate, words) = match moment {
            Moment::Before => (Fate::DiesBefore, "before it was sent"),
            Moment::After => (Fate::DiesAfter, "after its effect, before the answer"),
        };
        let call = self.calls;
        self.kill_points
            .push(format!("call {call}, {name}, {words}"));
        fate
    }

    fn troubled(&mut self, way: Way) -> Fate {
        if self.cut_until[way.index()].is_some_and(|until| Instant::now() < until) {
            return Fate::IsLost;
        }
        if self.rng.random::<f64>() < self.mood.lost[way.index()] {
            return if self.rng.random() {
                Fate::IsLost
            } else {
                Fate::LosesItsAnswer
            };
        }
        if self.rng.random::<f64>() < self.mood.hangs {
            let seconds = (self.rng.random::<f64>() * 1800_f64.ln()).exp();
            return Fate::Hangs(Duration::from_secs_f64(seconds));
        }
        Fate::Passes
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

fn one_of(rng: &mut ChaCha8Rng, choices: [f64; 3]) -> f64 {
    choices[rng.random_range(0..choices.len())]
}
