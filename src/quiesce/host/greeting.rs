//! Who this is and how it stands: the handshake, the status, and the one line that every refusal carries.

use super::bases;
use super::clock::{self, BootSeconds};
use super::service::Host;
use super::survey;
use crate::quiesce::protocol::*;

impl Host {
    pub(super) fn hello(&self) -> HelloReply {
        HelloReply {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            boot_id: self.boot_id.clone(),
            now: clock::wall(),
            abilities: self.abilities(),
            sha256: survey::own_digest().cloned(),
        }
    }

    pub(super) fn status(&self) -> StatusReply {
        let fence = self.store.get().fence;
        StatusReply {
            epoch: fence.epoch,
            fence: fence.shown(),
            lease_remaining_seconds: fence.lease_remaining_seconds(BootSeconds::now()),
            frozen: self.freezer.is_frozen(),
            database: self.engine.state(),
        }
    }

    pub(super) fn describe(&self) -> String {
        let status = self.status();
        let epoch = status
            .epoch
            .map_or("none".to_owned(), |epoch| epoch.to_string());
        let lease = status
            .lease_remaining_seconds
            .map_or(String::new(), |left| format!(" ({left:.1} s left)"));
        let frozen = if status.frozen {
            "frozen"
        } else {
            "not frozen"
        };
        format!(
            "epoch {epoch}, fence {:?}{lease}, {frozen}, database {:?}",
            status.fence, status.database
        )
        .to_lowercase()
    }

    /// A helper without its worker beside it cannot take part in path `direct`, one without a key file opens nothing.
    fn abilities(&self) -> Vec<String> {
        let luks = self.mount_config.luks_key_file.is_some();
        let able = [
            (bases::program().is_ok(), SYNC_ABILITY),
            (true, REVERT_ABILITY),
            (true, SURVEY_ABILITY),
            (true, STACKS_ABILITY),
            (luks, LUKS_ABILITY),
        ];
        let able = able.into_iter().filter(|(able, _)| *able);
        able.map(|(_, ability)| ability.to_owned()).collect()
    }
}
