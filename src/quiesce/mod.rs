//! Quiescing a database: the protocol to the helper on its host, and the helper itself.
//!
//! The executor speaks [`protocol`] over a [`channel`]; everything under [`host`] runs on the database's machine as
//! `snapmigrate-host`. Nothing here knows AWS, plans or journals.

pub mod channel;
pub mod compare;
pub mod host;
pub mod install;
pub mod parcel;
pub mod protocol;
pub mod ssh;
