//! An undisturbed run from which others branch off: at each place where the executor can die, world and journal are
//! copied, and the copy goes on with an executor that is started anew.
//!
//! A dead executor leaves nothing but its world and its journal, so the copy is all there is to know of that death.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use snapmigrate_lab::world::Observation;
use snapmigrate_lab::{Lab, Still};
use snapmigrate_models::step::Event;
use snapmigrate_models::units::Timestamp;

use super::places::{Call, Moment, Place, Places};
use super::wires::{asked, called};
use super::{begun, what};
use crate::cloud::Wire;
use crate::journal::Entry;
use crate::quiesce::channel::{Channel, Simulated};

/// World and journal when the executor died.
#[derive(Debug)]
pub struct Fork {
    /// Where.
    pub place: Place,
    /// The world.
    pub still: Still,
    /// The journal.
    pub entries: Vec<(Timestamp, Event)>,
    /// The world before the run.
    pub before: Observation,
}

/// Which places are branched off from.
pub type Choice = Arc<dyn Fn(&Place) -> bool + Send + Sync>;

/// Branches off; clones share what was passed.
#[derive(Clone)]
pub struct Forks {
    state: Arc<Mutex<State>>,
    choice: Choice,
    taken: SyncSender<Fork>,
}

#[derive(Default)]
struct State {
    places: Places,
    entries: Vec<(Timestamp, Event)>,
    world: Option<(Lab, Observation)>,
}

impl Forks {
    /// Sends each fork of a chosen place to `taken`.
    pub fn new(choice: Choice, taken: SyncSender<Fork>) -> Self {
        let state = Arc::default();
        Self {
            state,
            choice,
            taken,
        }
    }

    /// The services of AWS.
    pub fn services(&self, lab: &Lab) -> Wire {
        self.begin(lab);
        let (forks, lab) = (self.clone(), lab.clone());
        Wire::through(move |request| {
            let (forks, lab) = (forks.clone(), lab.clone());
            Box::pin(async move {
                let call = forks.before(&called(&request));
                let answer = lab.http(request).await;
                forks.after(call.as_ref());
                Some(answer)
            })
        })
    }

    /// The helper on a host.
    pub fn host(&self, lab: &Lab, instance: &str) -> Channel {
        let (forks, lab, instance) = (self.clone(), lab.clone(), instance.to_owned());
        let simulated: Simulated = Arc::new(move |request: Value| {
            let (forks, lab, instance) = (forks.clone(), lab.clone(), instance.clone());
            Box::pin(async move {
                let call = forks.before(&asked(&request, &instance));
                let answer = lab.host(&instance, request).await;
                forks.after(call.as_ref());
                answer
            })
        });
        Channel::in_process(simulated)
    }

    /// Told that an entry is durable.
    pub fn entry(&self, entry: &Entry) {
        let mut state = self.state();
        state.entries.push((entry.at, entry.event.clone()));
        let place = state.places.entry(&what(&entry.event), begun(&entry.event));
        self.fork(&state, Some(place));
    }

    fn begin(&self, lab: &Lab) {
        self.state().world = lab.observe().ok().map(|before| (lab.clone(), before));
    }

    fn before(&self, name: &str) -> Option<Call> {
        let mut state = self.state();
        let call = state.places.call(name)?;
        let place = state.places.moment(&call, Moment::Before);
        self.fork(&state, place);
        Some(call)
    }

    fn after(&self, call: Option<&Call>) {
        let Some(call) = call else { return };
        let mut state = self.state();
        for moment in [Moment::During, Moment::After] {
            let place = state.places.moment(call, moment);
            self.fork(&state, place);
        }
    }

    fn fork(&self, state: &State, place: Option<Place>) {
        let Some(place) = place.filter(|place| (self.choice)(place)) else {
            return;
        };
        let Some((lab, before)) = &state.world else {
            return;
        };
        let Ok(Some(still)) = lab.still() else { return };
        let (entries, before) = (state.entries.clone(), before.clone());
        // Nobody listens any more when another fork could not go on: the campaign is over.
        drop(self.taken.send(Fork {
            place,
            still,
            entries,
            before,
        }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
