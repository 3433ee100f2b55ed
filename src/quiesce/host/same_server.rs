//! Whether the server that is about to be fenced is the one that was looked at: a failover, a restore or a restart in
//! between would make everything that was found untrue.

use super::service::Host;
use crate::quiesce::protocol::{ErrorCode, InspectReply, Refusal};
use snapmigrate_models::step::ServerIdentity;

/// Starts may differ by this much, in seconds: engines that only tell for how long they have run count whole seconds.
const SAME_START_SECONDS: f64 = 3.0;

impl Host {
    pub(super) fn require_same_server(&self, expected: &ServerIdentity) -> Result<(), Refusal> {
        let found = self.engine.inspect()?;
        match difference(expected, &found) {
            None => Ok(()),
            Some(difference) => Err(Refusal::new(
                ErrorCode::Refused,
                format!("not the server that was looked at: {difference}; look again"),
            )),
        }
    }
}

fn difference(expected: &ServerIdentity, found: &InspectReply) -> Option<String> {
    if found.in_recovery {
        return Some("it is a standby now".to_owned());
    }
    if found.system_identifier != expected.system_identifier {
        return Some(format!(
            "database {}, then {}",
            found.system_identifier, expected.system_identifier
        ));
    }
    if found.timeline != expected.timeline {
        return Some(format!(
            "timeline {}, then {}",
            found.timeline, expected.timeline
        ));
    }
    let (then, now) = (expected.started_at?, found.started_at);
    let apart = now.map(|now| (now - then).as_seconds_f64().abs());
    if apart.is_some_and(|apart| apart <= SAME_START_SECONDS) {
        return None;
    }
    let now = now.map_or_else(|| "not running".to_owned(), |now| now.to_rfc3339());
    Some(format!("started {now}, then {}", then.to_rfc3339()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    fn found() -> InspectReply {
        InspectReply {
            engine: "postgres".into(),
            version: "15".into(),
            system_identifier: "7".into(),
            timeline: 1,
            in_recovery: false,
            started_at: Some(DateTime::UNIX_EPOCH),
            lsn: "0/1".into(),
            data_directory: "/data".into(),
            mounts: Vec::new(),
            findings: Vec::new(),
            transactions: None,
        }
    }

    #[test]
    fn another_server_is_told_by_what_differs() {
        let expected = ServerIdentity {
            system_identifier: "7".into(),
            timeline: 1,
            started_at: Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(1)),
        };
        let differs = |change: fn(&mut InspectReply)| {
            let mut found = found();
            change(&mut found);
            difference(&expected, &found).unwrap_or_default()
        };
        assert_eq!(differs(|_| ()), "");
        for (change, word) in [
            (
                (|it| it.in_recovery = true) as fn(&mut InspectReply),
                "standby",
            ),
            (|it| it.system_identifier = "8".into(), "database 8"),
            (|it| it.timeline = 2, "timeline 2"),
            (|it| it.started_at = None, "not running"),
            (
                |it| it.started_at = Some(DateTime::UNIX_EPOCH + TimeDelta::minutes(1)),
                "started",
            ),
        ] {
            assert!(differs(change).contains(word), "{word}");
        }
    }
}
