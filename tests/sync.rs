//! `sync` against an oracle: random histories of writes, zeros, holes and growth, in process against the lab;
//! then kills, altered bytes, quotas and bad input, against a served one.

#[path = "sync/answers.rs"]
mod answers;
#[cfg(feature = "system-tests")]
#[path = "sync/devices.rs"]
mod devices;
#[path = "sync/histories.rs"]
mod histories;
#[path = "sync/hydration.rs"]
mod hydration;
#[path = "sync/onto.rs"]
mod onto;
#[path = "sync/oracle.rs"]
mod oracle;
#[path = "sync/served.rs"]
mod served;
#[path = "sync/stage.rs"]
mod stage;
#[path = "sync/trouble.rs"]
mod trouble;
