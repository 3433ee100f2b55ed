//! One side of a migration in AWS: the official SDK behind verbs in our own words.
//!
//! The only module that names `aws_`. It knows no plan, no journal and no schedule: it is given
//! names and says what AWS answered, with every error sorted into a class.

mod blocks;
mod carrier;
mod command;
mod connect;
mod convert;
mod direct;
mod error;
mod identity;
mod lab_http;
mod metrics;
mod parameters;
mod session;
mod snapshots;
mod volumes;
mod wire;
mod write;

pub use blocks::{BlockRuns, SnapshotBlock};
pub use command::CommandOutput;
pub use connect::{Connection, Transport, connect};
pub use direct::{BlockBody, Direct, ListedBlock, ListedPage, ListedPair, PageStart};
pub use error::CloudError;
pub use identity::{Identity, Session};
pub use session::SharedSession;
pub use snapshots::CopyRequest;
pub use volumes::{InstanceVolumes, VolumeRequest};
pub use wire::{Answering, Wire};
pub use write::SnapshotStart;

use std::collections::BTreeMap;

use snapmigrate_models::ids::Region;

use crate::clock::Clock;

/// Tags of a resource.
pub type Tags = BTreeMap<String, String>;

/// Clients for one account and region.
#[derive(Clone, Debug)]
pub struct Cloud {
    region: Region,
    clock: Clock,
    endpoint_url: Option<String>,
    /// Whether calls leave this process.
    is_networked: bool,
    ec2: aws_sdk_ec2::Client,
    ebs: aws_sdk_ebs::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
}

impl Cloud {
    /// Region these clients talk to.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// Endpoint of every service instead of AWS's own, when there is one.
    #[must_use]
    pub fn endpoint_url(&self) -> Option<&str> {
        self.endpoint_url.as_deref()
    }
}
