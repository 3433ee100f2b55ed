//! Two hosts, their databases and the requests that may reach them.

#[path = "host.rs"]
mod host;

use host::{Host, Stage};
use stateright::{Model, Property};

/// The safety property.
pub const ONE_WRITER: &str = "never two writers";
/// Epochs that executors use; nothing keeps two of them from using the same one.
const EPOCHS: std::ops::RangeInclusive<u8> = 1..=4;
/// Reboots of either host.
const REBOOTS: u8 = 2;

/// The protocol as it is, or with one defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// As it is.
    Real,
    /// A commit is acknowledged although the lease has ended and the database is being let go.
    AcknowledgesLate,
    /// A reboot lets the database go and does not raise the epoch, and a commit of it counts.
    TrustsOldBoots,
    /// A permanent fence is let go for any epoch: an old message does.
    ReopensForAnyone,
    /// A target that gave way is activated again.
    ActivatesClosedTargets,
    /// Nothing keeps a supervisor from starting a stopped database.
    LeavesNoMarker,
}

impl Machine {
    /// All defects.
    pub const BROKEN: [Self; 5] = [
        Self::AcknowledgesLate,
        Self::TrustsOldBoots,
        Self::ReopensForAnyone,
        Self::ActivatesClosedTargets,
        Self::LeavesNoMarker,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct World {
    source: Host,
    target: Host,
    /// Commits that somebody saw acknowledged, per side and epoch, as bits.
    acknowledged: [u8; 2],
    /// The target's instance was seen stopped and its volumes were taken.
    isolated: bool,
    reboots: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Source,
    Target,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A request arrives: the first time, late or again.
    Fence(Side, u8),
    Commit(Side, u8),
    Unfence(Side, u8),
    Reopen(Side, u8, u8),
    BringUp,
    TakeDown,
    Activate(u8),
    /// The target's instance is seen stopped and loses its volumes.
    Isolate,
    /// The lease's time passes; the watchdog looks.
    Pass(Side),
    Tick(Side),
    /// The helper goes on with what it does to the database, or fails to stop it.
    Works(Side),
    Fails(Side),
    /// The helper, the host or the database's supervisor starts something.
    Restart(Side),
    Reboot(Side),
    Supervise(Side),
}

/// The protocol with a machine.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    machine: Machine,
}

impl Protocol {
    /// With this machine.
    pub const fn of(machine: Machine) -> Self {
        Self { machine }
    }
}

impl Step {
    const fn side(self) -> Side {
        match self {
            Self::Fence(side, _)
            | Self::Commit(side, _)
            | Self::Unfence(side, _)
            | Self::Reopen(side, _, _)
            | Self::Pass(side)
            | Self::Tick(side)
            | Self::Works(side)
            | Self::Fails(side)
            | Self::Restart(side)
            | Self::Reboot(side)
            | Self::Supervise(side) => side,
            Self::BringUp | Self::TakeDown | Self::Activate(_) | Self::Isolate => Side::Target,
        }
    }
}

impl World {
    const fn host(self, side: Side) -> Host {
        match side {
            Side::Source => self.source,
            Side::Target => self.target,
        }
    }

    fn saw(self, side: Side, epoch: u8) -> bool {
        self.acknowledged[side as usize] & (1 << epoch) != 0
    }

    /// An executor may send a reopening: the other side acknowledged a commit of that epoch, or has no volumes.
    fn may_reopen(self, side: Side, epoch: u8) -> bool {
        match side {
            Side::Source => self.saw(Side::Target, epoch) || self.isolated,
            Side::Target => self.saw(Side::Source, epoch),
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            source: Host::new(true),
            target: Host::new(false),
            acknowledged: [0; 2],
            isolated: false,
            reboots: 0,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for side in [Side::Source, Side::Target] {
            for epoch in EPOCHS {
                steps.extend([
                    Step::Fence(side, epoch),
                    Step::Commit(side, epoch),
                    Step::Unfence(side, epoch),
                ]);
                if world.may_reopen(side, epoch) {
                    steps.extend(EPOCHS.map(|committed| Step::Reopen(side, epoch, committed)));
                }
            }
            steps.extend([
                Step::Pass(side),
                Step::Tick(side),
                Step::Works(side),
                Step::Fails(side),
                Step::Restart(side),
                Step::Supervise(side),
            ]);
            if world.reboots < REBOOTS {
                steps.push(Step::Reboot(side));
            }
        }
        steps.extend([Step::BringUp, Step::TakeDown, Step::Isolate]);
        let committed = EPOCHS.filter(|epoch| world.saw(Side::Source, *epoch));
        steps.extend(committed.map(Step::Activate));
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let side = step.side();
        let mut next = *world;
        if side == Side::Target && world.isolated {
            return None;
        }
        if step == Step::Isolate {
            next.isolated = true;
            next.target = Host::new(false);
            return Some(next);
        }
        let host = self.at(world.host(side), side, step)?;
        match side {
            Side::Source => next.source = host,
            Side::Target => next.target = host,
        }
        if let Step::Commit(_, epoch) = step {
            next.acknowledged[side as usize] |= 1 << epoch;
        }
        next.reboots += u8::from(matches!(step, Step::Reboot(_)));
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_WRITER, |_, world: &World| {
                !(world.source.writes && world.target.writes)
            }),
            Property::sometimes("cut over", |_, world: &World| {
                world.target.writes && world.source.stage == Stage::Permanent
            }),
            Property::sometimes(
                "back on the source before the commit",
                |_, world: &World| {
                    let source = world.source;
                    source.writes && source.stage == Stage::Open && source.epoch.is_some()
                },
            ),
            Property::sometimes("reverted", |_, world: &World| {
                let closed = world.target.stage == Stage::Permanent;
                world.source.writes && world.source.stage == Stage::Open && closed
            }),
            Property::sometimes("reverted from a stopped target", |_, world: &World| {
                world.isolated && world.source.writes && world.source.reopened.is_some()
            }),
            Property::sometimes("cut over again after a revert", |_, world: &World| {
                world.target.writes && world.target.reopened.is_some()
            }),
        ]
    }
}
