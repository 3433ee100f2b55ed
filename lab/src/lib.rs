//! A simulated AWS below the wire: what stands behind the endpoints, for rehearsals and tests.
//!
//! It must not know the product or the forecaster: it writes blocks and takes time, nothing more.

pub mod audit;
mod caller;
mod clock;
pub mod content;
mod error;
pub mod host;
mod lab;
pub mod scenario;
mod server;
mod wire;
pub mod workload;
pub mod world;

pub use audit::{Audit, AuditError, AuditPair};
pub use caller::Caller;
pub use clock::{LabClock, seconds, seconds_between};
pub use error::{ApiError, LabError};
pub use lab::{Lab, ServeOptions, Still};
pub use scenario::{Scenario, ScenarioError};
pub use server::serve;
pub use wire::Calls;
