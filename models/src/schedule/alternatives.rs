//! Where a chain of snapshots is the wrong tool: what would serve better, with its public figures.
//!
//! Nothing here is measured by this program; every figure names the page it stands on.

use crate::plan::{Alternative, Verdict};
use crate::policy::Policy;

use super::demand::Demand;

/// Below this no snapshot chain comes: an empty snapshot alone takes most of a minute.
const SECONDS_NEEDED: f64 = 120.0;

/// What an operator should weigh instead; nothing where the chain keeps the limit and must cross zones.
pub(super) fn alternatives(demand: &Demand, policy: &Policy, verdict: Verdict) -> Vec<Alternative> {
    let mut told = Vec::new();
    if demand.source.zone == demand.target.zone && demand.source.region == demand.target.region {
        told.push(copy_volumes());
    }
    let misses = matches!(
        verdict,
        Verdict::DoesNotConverge | Verdict::NeedsLowerWriteRate
    );
    if misses || policy.max_write_downtime_seconds < SECONDS_NEEDED {
        told.push(native());
        told.push(disaster_recovery());
    }
    told
}

fn alternative(name: &str, promise: &str, limits: &str, source: &str) -> Alternative {
    Alternative {
        name: name.to_owned(),
        promise: promise.to_owned(),
        limits: limits.to_owned(),
        source: source.to_owned(),
    }
}

fn copy_volumes() -> Alternative {
    alternative(
        "CopyVolumes in the same zone",
        "a crash-consistent copy of the volume at once, readable within milliseconds while it fills",
        "same zone only; another account over AWS RAM and a shared customer key, never under aws/ebs; \
         filled after at most 6 h for the first TiB and 1.2 h for each further one; one copy in progress per volume",
        "AWS EBS user guide, copying volumes",
    )
}

fn native() -> Alternative {
    alternative(
        "the database's own replication",
        "seconds of downtime: a standby follows and is promoted",
        "needs a network path between the two, versions that replicate, and an operator of the database",
        "PostgreSQL and MySQL manuals on replication; seconds are practice, not a promise",
    )
}

fn disaster_recovery() -> Alternative {
    alternative(
        "AWS Elastic Disaster Recovery",
        "continuous block replication: data loss typically below a second, recovery typically 5 to 20 minutes",
        "an agent on the host, staging instances and volumes that are paid for; replication falls behind \
         when network or staging volumes are slower than the writing",
        "AWS Elastic Disaster Recovery user guide, concepts and replication questions",
    )
}
