//! Whether a disturbed run kept the tool's promises, judged by the world alone.
//!
//! It sees what lies in the accounts, who serves and what the volumes hold, and the journal as a text in which ids
//! occur or not. It must not use any rule, name or state of the executor: it is there to contradict it.

use std::collections::BTreeSet;

use snapmigrate_lab::Lab;
use snapmigrate_lab::world::{HostSeen, Observation};

/// Room for the clock's rounding and for an answer that is under way when a limit ends.
const ROUNDING_SECONDS: f64 = 1.0;

/// What the run promised.
#[derive(Clone, Debug)]
pub struct Promise<'a> {
    /// Instance that served before.
    pub source: &'a str,
    /// Instance that is to serve.
    pub target: &'a str,
    /// Longest freeze the policy allows.
    pub freeze_limit_seconds: f64,
    /// Longest time that a side may stand fenced without a commit.
    pub lease_seconds: f64,
    /// What there was before.
    pub before: &'a Observation,
    /// The journal's text as it was announced, entry by entry.
    pub announced: &'a str,
    /// The journal's text as it lies on the disk, or why it cannot be read.
    pub journal: &'a str,
    /// What the tool says became of it.
    pub outcome: &'a str,
    /// Whether the tool says that the target serves.
    pub target_is_said_to_serve: bool,
}

/// The promises that were broken, in words; every lease has ended by now.
#[must_use]
pub fn broken(lab: &Lab, seen: &Observation, promise: &Promise<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    broken.extend(two_writers(seen));
    broken.extend(frozen(seen, promise));
    broken.extend(fenced_too_long(seen, promise));
    broken.extend(nobody_serves(seen));
    broken.extend(other_side_serves(seen, promise));
    broken.extend(lost_blocks(lab, seen, promise));
    broken.extend(gave_way(seen, promise));
    broken.extend(orphans(seen, promise));
    broken.extend(announced_early(promise));
    broken.extend(without_end(promise));
    broken
}

fn two_writers(seen: &Observation) -> Option<String> {
    let at = seen.two_writers_at?;
    Some(format!("two hosts would have accepted a commit at {at}"))
}

fn frozen(seen: &Observation, promise: &Promise<'_>) -> Vec<String> {
    let limit = promise.freeze_limit_seconds + ROUNDING_SECONDS;
    let too_long = |host: &&HostSeen| host.frozen || host.longest_freeze_seconds > limit;
    let words = |host: &HostSeen| {
        let longest = host.longest_freeze_seconds;
        format!(
            "{} was frozen for {longest:.1} s; frozen now: {}",
            host.instance, host.frozen
        )
    };
    seen.hosts.iter().filter(too_long).map(words).collect()
}

fn fenced_too_long(seen: &Observation, promise: &Promise<'_>) -> Vec<String> {
    let limit = promise.lease_seconds + ROUNDING_SECONDS;
    let too_long = seen
        .hosts
        .iter()
        .filter(|host| host.longest_lease_seconds > limit);
    let words = |host: &HostSeen| {
        let longest = host.longest_lease_seconds;
        format!(
            "{} stood fenced without a commit for {longest:.1} s",
            host.instance
        )
    };
    too_long.map(words).collect()
}

fn nobody_serves(seen: &Observation) -> Option<String> {
    let serving = seen.hosts.iter().filter(|host| host.serving).count();
    (serving != 1).then(|| format!("{serving} hosts serve when all is over"))
}

fn other_side_serves(seen: &Observation, promise: &Promise<'_>) -> Option<String> {
    let target = seen
        .hosts
        .iter()
        .any(|host| host.serving && host.instance == promise.target);
    let said = promise.target_is_said_to_serve;
    (said != target).then(|| {
        let side = if target {
            promise.target
        } else {
            promise.source
        };
        format!("the tool says {}, but {side} serves", promise.outcome)
    })
}

/// Whichever side serves: everything that the source acknowledged is there, and its own volumes are what it wrote.
fn lost_blocks(lab: &Lab, seen: &Observation, promise: &Promise<'_>) -> Option<String> {
    let serving = seen.hosts.iter().find(|host| host.serving)?;
    let side = if serving.instance == promise.target {
        "target"
    } else {
        "source"
    };
    match lab.audit(&serving.database_volumes) {
        Ok(audit) if audit.mismatches == 0 && audit.blocks_compared > 0 => None,
        Ok(audit) => Some(format!(
            "{} of {} blocks on the {side} are not what the source wrote last",
            audit.mismatches, audit.blocks_compared
        )),
        Err(error) => Some(format!("the {side} cannot be audited: {error}")),
    }
}

/// A target that was given up for the source is closed for good: no lease is left that could let it go.
fn gave_way(seen: &Observation, promise: &Promise<'_>) -> Option<String> {
    let of = |instance: &str| seen.hosts.iter().find(|host| host.instance == instance);
    let (source, target) = (of(promise.source)?, of(promise.target)?);
    let back = promise.outcome == "reverted";
    (back && !(source.serving && target.fenced)).then(|| {
        format!(
            "the tool says reverted; the source serves: {}, the target is closed: {}",
            source.serving, target.fenced
        )
    })
}

/// Whatever was made is in the journal.
fn orphans(seen: &Observation, promise: &Promise<'_>) -> Vec<String> {
    let before = ids(promise.before);
    let unknown = |id: &&&str| !before.contains(**id) && !promise.journal.contains(**id);
    let now = ids(seen);
    let found = now.iter().filter(unknown);
    found
        .map(|id| format!("{id} was made and is not in the journal"))
        .collect()
}

/// Nothing is announced that is not on the disk.
fn announced_early(promise: &Promise<'_>) -> Option<String> {
    let durable: BTreeSet<&str> = promise.journal.lines().collect();
    let missing = promise
        .announced
        .lines()
        .find(|line| !durable.contains(line))?;
    Some(format!(
        "announced and not in the journal on the disk: {missing}"
    ))
}

/// Whatever does not come, nobody waits for it for ever.
fn without_end(promise: &Promise<'_>) -> Option<String> {
    let hangs = promise.outcome == "hanging";
    hangs.then(|| "the executor waited for weeks and did not come to an end".to_owned())
}

fn ids(seen: &Observation) -> BTreeSet<&str> {
    let things = seen.snapshots.iter().chain(&seen.volumes);
    things.map(|thing| thing.id.as_str()).collect()
}
