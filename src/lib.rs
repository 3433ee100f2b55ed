//! Plans and executes EBS migrations as a timed chain of incremental snapshots.
//!
//! ```text
//! measure -> Profile -> Forecast -> Plan + Rationale -> Finding* -> [decide -> append -> act -> append]* -> Report
//! ```
//!
//! Every stage is one function from plain values to a plain value that can be printed, saved,
//! compared and put in a fixture; the subcommands carry the same names. The values and the pure
//! stages live in `snapmigrate-models`; this crate holds what touches the world, one module per
//! kind of contact: [`cli`] reads arguments and files, [`view`] turns values into text. Only these
//! two know the terminal.

pub mod buffers;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod execute;
pub mod iam;
pub mod journal;
pub mod measure;
pub mod quiesce;
pub mod rehearse;
pub mod state;
pub mod trace;
pub mod transfer;
pub mod view;
