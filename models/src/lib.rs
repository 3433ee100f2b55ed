//! The pure heart of snapmigrate: from observations to a forecast, a plan, decisions and a report.
//!
//! ```text
//! measure -> Profile -> Forecast -> Plan + Rationale -> Finding* -> [decide -> append -> act -> append]* -> Report
//! ```
//!
//! Every stage is a function from plain values to a plain value that can be printed, saved and
//! compared. This crate must not know AWS, files, terminals, a clock or a source of chance: `now`
//! and seeds are arguments.

pub mod backtest;
pub mod blocks;
pub mod calibration;
pub mod campaign;
pub mod chain;
pub mod check;
pub mod control;
pub mod cost;
pub mod decide;
pub mod dirty;
pub mod draws;
pub mod evidence;
pub mod faults;
#[cfg(test)]
mod fixtures;
pub mod fleet;
pub mod forecast;
pub mod format;
pub mod history;
pub mod hosts;
pub mod ids;
pub mod inventory;
pub mod left;
pub mod limits;
pub mod load;
pub mod observation;
pub mod path;
pub mod plan;
pub mod policy;
pub mod profile;
pub mod progress;
pub mod report;
pub mod schedule;
pub mod service;
mod shares;
pub mod status;
pub mod step;
pub mod sync;
pub mod trial;
pub mod units;
pub mod verify;

#[cfg(test)]
mod story;
