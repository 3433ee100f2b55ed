//! The lab as its users hold it: one world behind one clock, cheap to clone.
//!
//! It must not know any wire format or behaviour; it only lets time pass before anyone looks.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Request, Response};
use serde_json::{Value, json};

use crate::audit::Audit;
use crate::clock::LabClock;
use crate::content::ImageStore;
use crate::error::{ApiError, LabError};
use crate::scenario::Scenario;
use crate::wire::{self, Calls, Commands, Memory};
use crate::world::{Ground, Observation, Settings, Storage, World};

/// How to serve a lab.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where volumes and snapshots hold their bytes.
    pub dir: PathBuf,
    /// What exists at the start; nothing when absent.
    pub scenario: Option<Scenario>,
    /// Latency added to every request, in milliseconds.
    pub latency_ms: u64,
    /// Whether rates are limited.
    pub quota: bool,
    /// What the scenario's service times are divided by.
    pub time_scale: f64,
    /// The seed of all chance.
    pub seed: u64,
    /// Whether attached volumes get loop devices (needs root).
    pub loop_devices: bool,
    /// Whether volumes hold versions instead of bytes: 16 TiB fit in a bitmap.
    pub traced: bool,
}

/// A simulated AWS. Clones share one world.
#[derive(Debug, Clone)]
pub struct Lab {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: LabClock,
    world: Mutex<World>,
    notices: Vec<String>,
    wire: Memory,
    commands: Arc<Commands>,
}

/// A world at one instant, from which a lab can go on in a time of its own.
#[derive(Debug, Clone)]
pub struct Still {
    world: World,
}

impl Still {
    /// The instant.
    pub fn at(&self) -> DateTime<Utc> {
        self.world.now()
    }

    /// A lab that goes on from here. Must be called inside the runtime whose clock it is to follow.
    pub fn go_on(self, seed: u64) -> Lab {
        let clock = LabClock::starting_at(self.at());
        Lab::new(clock, self.world, Vec::new(), seed)
    }
}

impl Lab {
    /// A lab in process: traced volumes, on tokio's clock, which should be paused. The world is the scenario's: its
    /// seed fixes how fast each service is; `seed` fixes the luck of every write and operation in it.
    ///
    /// # Errors
    /// [`LabError::Content`] when a volume's content can't be made.
    pub fn from_scenario(scenario: &Scenario, seed: u64) -> Result<Lab, LabError> {
        let settings = Settings {
            rates: true,
            snapshot_spacing: true,
            time_scale: 1.0,
            latency_ms: None,
            loop_devices: false,
            any_instance: false,
        };
        let (start, storage) = (scenario.start, Storage::Traced);
        let world = World::from_scenario(
            scenario,
            Ground {
                start,
                seed,
                salt: 0,
                settings,
                storage,
            },
        )?;
        Ok(Lab::new(
            LabClock::starting_at(start),
            world,
            Vec::new(),
            seed,
        ))
    }

    /// A lab to serve: byte-holding volumes under a directory, at wall pace.
    ///
    /// # Errors
    /// [`LabError`] when the directory or a volume's image can't be made.
    pub fn open(options: &ServeOptions) -> Result<Lab, LabError> {
        let store = ImageStore::open(&options.dir).map_err(|error| LabError::Content {
            entity: options.dir.display().to_string(),
            message: error.to_string(),
        })?;
        let clock = LabClock::wall();
        let settings = Settings {
            rates: options.quota,
            snapshot_spacing: options.quota || options.scenario.is_some(),
            time_scale: if options.time_scale > 0.0 {
                options.time_scale
            } else {
                1.0
            },
            latency_ms: Some(options.latency_ms),
            loop_devices: options.loop_devices,
            any_instance: options.scenario.is_none(),
        };
        let notices = store.notice().into_iter().collect();
        let ground = Ground {
            start: clock.start(),
            seed: options.seed,
            salt: clock.start().timestamp_millis(),
            settings,
            storage: if options.traced {
                Storage::Traced
            } else {
                Storage::Images(store)
            },
        };
        let world = match &options.scenario {
            Some(scenario) => World::from_scenario(scenario, ground)?,
            None => World::empty(ground),
        };
        Ok(Lab::new(clock, world, notices, options.seed))
    }

    /// The world as it is now; nothing for byte-holding ones, of which there is one each.
    ///
    /// # Errors
    /// As [`World::advance`].
    pub fn still(&self) -> Result<Option<Still>, ApiError> {
        let world = self.with_world(|world| Ok(world.clone()))?;
        let traced = matches!(world.storage, Storage::Traced);
        Ok(traced.then_some(Still { world }))
    }

    fn new(clock: LabClock, world: World, notices: Vec<String>, seed: u64) -> Lab {
        Lab {
            shared: Arc::new(Shared {
                clock,
                world: Mutex::new(world),
                notices,
                wire: Memory::new(seed),
                commands: Arc::default(),
            }),
        }
    }

    /// The time in the lab.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// The lab's clock.
    pub fn clock(&self) -> &LabClock {
        &self.shared.clock
    }

    /// What the operator should know about how this lab runs.
    pub fn notices(&self) -> &[String] {
        &self.shared.notices
    }

    /// Answers one HTTP request of any service, region and account, as AWS would.
    pub async fn http(&self, request: Request<Bytes>) -> Response<Bytes> {
        wire::handle(self, request).await
    }

    /// Answers one request of the host protocol as the simulated host of an instance, and takes the time it takes.
    pub async fn host(&self, instance: &str, request: Value) -> Value {
        let answered = self.with_world(|world| Ok(world.host(instance, &request)));
        let (reply, took) = answered.unwrap_or_else(|error| {
            let error = json!({ "code": "device", "message": error.message, "state": "unknown" });
            (
                json!({ "id": request["id"], "error": error }),
                Duration::ZERO,
            )
        });
        tokio::time::sleep(took).await;
        reply
    }

    /// Compares each target volume with what the writer of its source volume remembers, block by block.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a volume that is not there or has no writer, [`LabError::Audit`] for byte-holding ones.
    pub fn audit(&self, pairs: &[(String, String)]) -> Result<Audit, LabError> {
        let world = self
            .shared
            .world
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        world.audit(pairs)
    }

    /// What an observer sees who asks nobody.
    ///
    /// # Errors
    /// As [`World::advance`].
    pub fn observe(&self) -> Result<Observation, ApiError> {
        self.with_world(|world| Ok(world.observe()))
    }

    /// A stranger deletes or archives a snapshot, or deletes an unused volume, the one that `draw` falls on; its id.
    ///
    /// # Errors
    /// As [`World::advance`].
    pub fn stranger_strikes(&self, draw: u64) -> Result<Option<String>, ApiError> {
        self.with_world(|world| Ok(world.stranger_strikes(draw)))
    }

    /// The owner of a snapshot moves it to the archive tier.
    ///
    /// # Errors
    /// As [`World::archive_snapshot`].
    pub fn archive(&self, id: &str) -> Result<(), ApiError> {
        self.with_world(|world| world.archived_by_owner(id))
    }

    /// Frees all loop devices of attached volumes: for the end of a server.
    ///
    /// # Errors
    /// `InternalError` when one can't be freed, e.g. because it is still mounted.
    pub fn detach_devices(&self) -> Result<(), ApiError> {
        self.with_world(World::detach_loops)
    }

    /// How often each action was called so far, by service and action.
    pub fn calls(&self) -> Calls {
        self.shared.wire.calls()
    }

    /// Commands sent to instances are run by this program, which gets the instance as its argument and the command on
    /// standard input. Never on a paused clock.
    pub fn run_commands_with(&self, agent: PathBuf) {
        self.shared.commands.run_with(agent);
    }

    pub(crate) fn commands(&self) -> &Arc<Commands> {
        &self.shared.commands
    }

    pub(crate) fn wire(&self) -> &Memory {
        &self.shared.wire
    }

    /// Does something with the world, advanced to now. Nothing may wait inside.
    ///
    /// # Errors
    /// As [`World::advance`], and what `act` answers.
    pub fn with_world<T>(
        &self,
        act: impl FnOnce(&mut World) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let now = self.now();
        let mut world = self
            .shared
            .world
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        world.advance(now)?;
        act(&mut world)
    }
}
