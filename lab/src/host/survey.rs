//! What a simulated host is made of. Both hosts are alike: a scenario has nothing to say of it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::source::{DATA_DIRECTORY, ENGINE, ENGINE_VERSION};
use super::{Disks, SimulatedHost, State};

impl SimulatedHost {
    pub(super) fn survey(&self, now: DateTime<Utc>, disks: &mut dyn Disks) -> Value {
        let members = if self.state == State::Absent {
            Vec::new()
        } else {
            self.members(now, disks)
        };
        let places = members.iter().enumerate().map(|(index, member)| {
            json!({
                "what": if index == 0 { "data directory" } else { "directory" },
                "path": DATA_DIRECTORY, "mountpoint": DATA_DIRECTORY, "volumes": [member.volume],
            })
        });
        let uses =
            json!({ "libc_locales": ["en_US.UTF-8"], "icu": false, "libraries": ["plpgsql"] });
        json!({
            "helper_version": env!("CARGO_PKG_VERSION"), "helper_sha256": null, "architecture": "x86_64",
            "glibc": "2.36", "icu": "72", "locales": ["C", "en_US.utf8"],
            "engine": { "name": ENGINE, "version": ENGINE_VERSION, "accepts_collation_change": false },
            "server_user": { "name": "postgres", "uid": 101, "gid": 103 },
            "uses": (self.state == State::Running).then_some(uses), "libraries": ["plpgsql"],
            "places": places.collect::<Vec<_>>(),
        })
    }
}
