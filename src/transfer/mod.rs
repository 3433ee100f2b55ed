//! The direct data path: blocks between snapshots and devices, without the console's detours.
//!
//! Knows AWS only through `cloud`. It emits values and never prints.

pub mod compare;
mod digests;
pub mod hydrate;
pub mod sync;
pub mod verify_device;
