//! The helper on a database host: fences, freezes, thaws, keeps the lease, and brings the target up.
//!
//! What may happen is decided by two small pure machines ([`fence`] and [`freeze`]); [`service`] turns their effects
//! into calls on an [`engine::Engine`] and on file systems. The helper knows nothing of plans or journals, reads
//! snapshots only in a [`worker`] process of its own, and
//! lets go by itself when nobody talks to it: the file systems at the freeze limit, the database at the lease's end.

mod answers;
mod assemble;
mod bases;
pub mod clock;
mod cluster;
pub mod command;
pub mod config;
pub mod durable;
pub mod engine;
pub mod fence;
pub mod filesystem;
pub mod freeze;
mod freezing;
mod greeting;
mod layers;
mod leave;
pub mod mountinfo;
mod mounts;
pub mod mysql;
pub mod postgres;
mod processes;
pub mod record;
mod revert;
mod same_server;
pub mod server;
mod server_user;
pub mod service;
mod start_log;
mod supervisors;
pub mod survey;
#[cfg(test)]
mod sysfs_tree;
pub mod target;
pub mod volumes;
pub mod watchdog;
pub mod worker;
