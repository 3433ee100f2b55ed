//! One host: the helper's own machine, and the database process, marker and supervisor around it.

use super::{Machine, Protocol, Side, Step};
use chrono::DateTime;
use snapmigrate::quiesce::host::clock::BootSeconds;
use snapmigrate::quiesce::host::fence::{Effect, Event, Fence, Phase, Reopening};
use snapmigrate::quiesce::host::target::TargetPhase;
use snapmigrate::quiesce::host::target::rules::{self, Activation};
use snapmigrate::quiesce::protocol::{ActivateReply, FenceReply};

/// A phase without what only reports need; a lease has one unit of time left or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Open,
    Fencing(u8),
    Leased(u8),
    Releasing,
    Permanent,
}

/// What the helper is doing to the database; lost when it is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    None,
    Stop,
    Release,
}

/// How far a target came; a source is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    None,
    Isolated,
    Activating(u8),
    Active(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Host {
    pub stage: Stage,
    pub epoch: Option<u8>,
    pub reopened: Option<(u8, u8)>,
    pub work: Work,
    pub marker: bool,
    pub writes: bool,
    pub target: Target,
}

const NOW: BootSeconds = BootSeconds(0.0);
const BOOT: &str = "this boot";
const UNIT_SECONDS: f64 = 1.0;

fn facts() -> FenceReply {
    FenceReply {
        fenced_at: DateTime::UNIX_EPOCH,
        last_source_write: DateTime::UNIX_EPOCH,
        lsn: String::new(),
        system_identifier: String::new(),
        timeline: 1,
        started_at: None,
        transactions: None,
    }
}

fn reply() -> ActivateReply {
    ActivateReply {
        activated_at: DateTime::UNIX_EPOCH,
        first_target_write: DateTime::UNIX_EPOCH,
        timeline: 2,
        lsn: String::new(),
        transactions: None,
    }
}

impl Host {
    pub const fn new(writes: bool) -> Self {
        Self {
            stage: Stage::Open,
            epoch: None,
            reopened: None,
            work: Work::None,
            marker: false,
            writes,
            target: Target::None,
        }
    }

    /// The helper's own record.
    fn fence(self) -> Fence {
        let end = |left: u8| BootSeconds(f64::from(left) * UNIT_SECONDS);
        let phase = match self.stage {
            Stage::Open => Phase::Open,
            Stage::Fencing(left) => Phase::Fencing {
                lease_end: end(left),
            },
            Stage::Leased(left) => Phase::Leased {
                lease_end: end(left),
                facts: facts(),
            },
            Stage::Releasing => Phase::Releasing {
                reason: String::new(),
            },
            Stage::Permanent => Phase::Permanent {
                committed_at: DateTime::UNIX_EPOCH,
            },
        };
        Fence {
            boot_id: BOOT.to_owned(),
            epoch: self.epoch.map(u64::from),
            phase,
            reopened: self.reopened.map(|(epoch, committed_epoch)| Reopening {
                epoch: epoch.into(),
                committed_epoch: committed_epoch.into(),
                evidence: String::new(),
            }),
        }
    }

    fn with(self, fence: &Fence) -> Self {
        let left = |end: BootSeconds| u8::from(end.since(NOW) > 0.0);
        let small = |number: u64| u8::try_from(number).expect("few epochs");
        let stage = match fence.phase {
            Phase::Open => Stage::Open,
            Phase::Fencing { lease_end } => Stage::Fencing(left(lease_end)),
            Phase::Leased { lease_end, .. } => Stage::Leased(left(lease_end)),
            Phase::Releasing { .. } => Stage::Releasing,
            Phase::Permanent { .. } => Stage::Permanent,
        };
        Self {
            stage,
            epoch: fence.epoch.map(small),
            reopened: fence
                .reopened
                .as_ref()
                .map(|r| (small(r.epoch), small(r.committed_epoch))),
            ..self
        }
    }

    /// The machine takes an event; the caller carries out its effect next.
    fn after(self, event: Event) -> Option<Self> {
        let (fence, effect) = self.fence().after(event, NOW).ok()?;
        let next = self.with(&fence);
        Some(match effect {
            Effect::None => next,
            Effect::Stop => Self {
                work: Work::Stop,
                ..next
            },
            Effect::Release => Self {
                work: Work::Release,
                ..next
            },
        })
    }

    fn phase(self) -> Option<TargetPhase> {
        match self.target {
            Target::None => None,
            Target::Isolated => Some(TargetPhase::Isolated),
            Target::Activating(epoch) => Some(TargetPhase::Activating {
                epoch: epoch.into(),
            }),
            Target::Active(epoch) => Some(TargetPhase::Active {
                epoch: epoch.into(),
                reply: reply(),
            }),
        }
    }

    /// The data of a primary lies here.
    const fn primary(self, side: Side) -> bool {
        match side {
            Side::Source => true,
            Side::Target => matches!(self.target, Target::Activating(_) | Target::Active(_)),
        }
    }
}

impl Protocol {
    fn fenced(self, host: Host, side: Side, epoch: u8) -> Option<Host> {
        rules::fenceable(host.phase().as_ref(), epoch.into()).ok()?;
        if side == Side::Target && host.target == Target::None {
            return None;
        }
        // One change of the database at a time.
        if host.work != Work::None {
            return None;
        }
        host.after(Event::FenceAsked {
            epoch: epoch.into(),
            lease_seconds: UNIT_SECONDS,
        })
    }

    /// The host's new state when it acknowledges.
    fn committed(self, host: Host, epoch: u8) -> Option<Host> {
        let late = matches!(host.stage, Stage::Releasing | Stage::Open);
        let same = host.epoch == Some(epoch);
        let broken = matches!(
            self.machine,
            Machine::AcknowledgesLate | Machine::TrustsOldBoots
        );
        if broken && late && same {
            return Some(host);
        }
        host.after(Event::CommitAsked {
            epoch: epoch.into(),
            at: DateTime::UNIX_EPOCH,
        })
    }

    fn reopened(self, host: Host, epoch: u8, committed_epoch: u8) -> Option<Host> {
        if self.machine == Machine::ReopensForAnyone && host.stage == Stage::Permanent {
            return Some(Host {
                stage: Stage::Releasing,
                work: Work::Release,
                ..host
            });
        }
        if host.work != Work::None {
            return None;
        }
        host.after(Event::ReopenAsked(Reopening {
            epoch: epoch.into(),
            committed_epoch: committed_epoch.into(),
            evidence: String::new(),
        }))
    }

    fn activated(self, host: Host, epoch: u8) -> Option<Host> {
        let active = matches!(host.target, Target::Active(_));
        if self.machine == Machine::ActivatesClosedTargets && active {
            return Some(Host {
                writes: true,
                ..host
            });
        }
        let phase = host.phase();
        let may = rules::activation(&host.fence().phase, phase.as_ref(), epoch.into()).ok()?;
        if host.work != Work::None || may != Activation::Begin {
            return None;
        }
        // The first step is durable; the server is promoted and opened in the second.
        Some(match host.target {
            Target::Activating(_) => Host {
                target: Target::Active(epoch),
                writes: true,
                ..host
            },
            _ => Host {
                target: Target::Activating(epoch),
                ..host
            },
        })
    }

    /// Marker before stop, and start after the marker is gone: what an engine does.
    fn works(self, host: Host) -> Option<Host> {
        let marks = self.machine != Machine::LeavesNoMarker;
        match host.work {
            Work::None => None,
            Work::Stop if marks && !host.marker => Some(Host {
                marker: true,
                ..host
            }),
            Work::Stop if host.writes => Some(Host {
                writes: false,
                ..host
            }),
            Work::Stop => Host {
                work: Work::None,
                ..host
            }
            .after(Event::Stopped(facts())),
            Work::Release if host.marker => Some(Host {
                marker: false,
                ..host
            }),
            Work::Release if !host.writes => Some(Host {
                writes: true,
                ..host
            }),
            Work::Release => Host {
                work: Work::None,
                ..host
            }
            .after(Event::Released),
        }
    }

    fn restarted(self, host: Host, side: Side, reboot: bool) -> Host {
        let boot = if reboot { "the next boot" } else { BOOT };
        let fence = host.fence().resumed(boot);
        let mut next = Host {
            work: Work::None,
            ..host.with(&fence)
        };
        if reboot {
            next.writes = !host.marker && host.primary(side);
            if self.machine == Machine::TrustsOldBoots {
                next.epoch = host.epoch;
            }
        }
        next
    }

    pub(super) fn at(self, host: Host, side: Side, step: Step) -> Option<Host> {
        match step {
            Step::Fence(_, epoch) => self.fenced(host, side, epoch),
            Step::Commit(_, epoch) => self.committed(host, epoch),
            Step::Unfence(_, epoch) if host.work == Work::None => host.after(Event::UnfenceAsked {
                epoch: epoch.into(),
            }),
            Step::Reopen(_, epoch, committed) => self.reopened(host, epoch, committed),
            Step::BringUp => {
                let free = host.target == Target::None && host.stage == Stage::Open;
                free.then_some(Host {
                    target: Target::Isolated,
                    ..host
                })
            }
            Step::TakeDown => (host.target == Target::Isolated).then_some(Host {
                target: Target::None,
                ..host
            }),
            Step::Activate(epoch) => self.activated(host, epoch),
            Step::Pass(_) => match host.stage {
                Stage::Fencing(1) => Some(Host {
                    stage: Stage::Fencing(0),
                    ..host
                }),
                Stage::Leased(1) => Some(Host {
                    stage: Stage::Leased(0),
                    ..host
                }),
                _ => None,
            },
            Step::Tick(_) if host.work == Work::None => host.after(Event::Tick),
            Step::Works(_) => self.works(host),
            Step::Fails(_) if host.work == Work::Stop => Host {
                work: Work::None,
                ..host
            }
            .after(Event::StopFailed {
                reason: String::new(),
            }),
            Step::Restart(_) => Some(self.restarted(host, side, false)),
            Step::Reboot(_) => Some(self.restarted(host, side, true)),
            Step::Supervise(_) => {
                let starts = !host.writes && !host.marker && host.primary(side);
                starts.then_some(Host {
                    writes: true,
                    ..host
                })
            }
            _ => None,
        }
    }
}
