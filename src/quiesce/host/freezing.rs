//! The helper's freeze and thaw: from the database's file systems to descriptors, a record of them, and the machine. It
//! must not know what is done while they are frozen.

use super::clock::{self, BootSeconds};
use super::filesystem::{Freezable, Mounted};
use super::service::{Host, bounded};
use crate::quiesce::protocol::*;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Longest freeze that is accepted, in seconds: ten minutes. Anything longer is a mistake in units, and would leave a
/// kernel blocked for as long.
const MAX_FREEZE_SECONDS: f64 = 600.0;

impl Host {
    pub(super) fn freeze(&self, asked: &Freeze) -> Result<FreezeReply, Refusal> {
        let limit_seconds = bounded("limit_seconds", asked.limit_seconds, MAX_FREEZE_SECONDS)?;
        let _changing = self.changing();
        self.store
            .get()
            .fence
            .require_leased(asked.epoch, BootSeconds::now())?;
        let mounts = self.database_mounts()?;
        self.require_freezable(&mounts)?;
        let mountpoints: Vec<PathBuf> = mounts.into_iter().map(|mount| mount.mountpoint).collect();
        let opened: Result<Vec<_>, Refusal> = mountpoints
            .iter()
            .map(|mountpoint| Mounted::open(mountpoint))
            .collect();
        let opened = opened?
            .into_iter()
            .map(|mounted| Box::new(mounted) as Box<dyn Freezable>)
            .collect();
        self.store.update(|record| {
            record.frozen = mountpoints;
            Ok(())
        })?;
        let number = self.next_freeze.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{}-{number}", asked.epoch, std::process::id());
        let frozen_at = self.freezer.freeze(&id, limit_seconds, opened)?;
        Ok(FreezeReply {
            frozen_at,
            freeze_id: FreezeId(Value::String(id)),
        })
    }

    pub(super) fn thaw(&self, asked: &Thaw) -> Result<ThawReply, Refusal> {
        let unknown = || {
            Refusal::new(
                ErrorCode::BadRequest,
                "freeze_id is not one of this helper's",
            )
        };
        let ended = self
            .freezer
            .thaw(asked.freeze_id.0.as_str().ok_or_else(unknown)?)?;
        Ok(ThawReply {
            thawed_at: clock::wall(),
            frozen_seconds: ended.frozen_seconds,
            unbroken: ended.unbroken,
        })
    }
}
