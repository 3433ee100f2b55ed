//! What a migration's stage needs of a database engine.

use super::load::Clients;
use super::stage::Stage;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A running server; ended on drop, wherever it runs by then.
pub trait Database: Sized {
    /// As `host.toml` and the policy call it.
    const ENGINE: &'static str;

    /// Makes and starts one with its data on the first of `mounts` and its log on the second, if there is one;
    /// everything else lies below `root`.
    fn start_on(mounts: &[PathBuf], root: &Path) -> Self;

    /// `[database]` of the helper's configuration, on the source or on the target.
    fn host_section(&self, target: bool) -> String;

    /// How clients reach it, on whichever side serves.
    fn clients(&self) -> Arc<dyn Clients>;

    /// Its server processes, on either side.
    fn servers(&self) -> Vec<rustix::process::Pid>;

    /// Starts it on the source as a service manager would, which knows nothing of a fence; it may fail.
    fn start_by_hand(&mut self);

    /// Starts it in the open on the host that has the mounts of process `of_host`, as a service manager would.
    fn start_on_target(&self, of_host: u32);

    /// Whether clients can connect.
    fn serves(&self) -> bool;

    /// After a cutover: what the database itself says on either side.
    fn check_hosts(stage: &Stage<Self>, report: &Value);
}
