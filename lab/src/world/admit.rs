//! What happens to a request before it does anything: latency, rates and faults, for every service.
//!
//! Rates: EC2's token buckets (`limits`); for the EBS direct APIs the quotas of the EBS user guide, "Quotas for EBS
//! direct APIs": per account and region, and fixed per snapshot for blocks. Must not know any wire format.

use std::time::Duration;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::scenario::Dist;

use super::{World, request_limit_exceeded};

/// Regions in which an account may read and write 5 000 blocks a second; elsewhere 1 000.
const FAST_REGIONS: [&str; 5] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "ap-southeast-1",
    "eu-west-1",
];
/// Blocks read, and blocks written, per second and snapshot; fixed (500 MiB/s).
const SNAPSHOT_BLOCKS_PER_SECOND: u32 = 1000;

/// What the gate has to know of a request.
#[derive(Debug, Clone, Copy)]
pub struct Admit<'a> {
    /// The action's name.
    pub action: &'a str,
    /// Whether it is a describe with no filter, ids or page size.
    pub unfiltered: bool,
    /// The snapshot whose block is read or written.
    pub block_snapshot: Option<&'a str>,
}

/// How a request fares.
#[derive(Debug, Default)]
pub struct Admission {
    /// Wait before the request takes effect.
    pub before: Duration,
    /// Wait between the effect and the answer.
    pub after: Duration,
    /// It has no effect, and this answer.
    pub refusal: Option<ApiError>,
    /// It has its effect, but the answer is this error.
    pub lost: Option<ApiError>,
}

impl Admission {
    /// Refused at once.
    pub fn refuse(refusal: ApiError) -> Admission {
        Admission {
            refusal: Some(refusal),
            ..Admission::default()
        }
    }
}

impl World {
    /// Decides how a request fares: how long it takes, whether its rate allows it, whether a fault strikes.
    pub fn admit(&mut self, caller: &Caller, request: &Admit) -> Admission {
        let half = Duration::from_secs_f64(self.request_latency_ms(caller, request) / 2000.0);
        let refusal = self.refusal(caller, request).err();
        let lost = self.strikes("lost", request.action, self.faults.lost_answer);
        Admission {
            before: half,
            after: half,
            refusal,
            lost: lost.then(|| server_error(&caller.service)),
        }
    }

    fn request_latency_ms(&mut self, caller: &Caller, request: &Admit) -> f64 {
        let direct = self.service.direct;
        let drawn: Dist = match (caller.service.as_str(), request.action) {
            ("ebs", "ListSnapshotBlocks" | "ListChangedBlocks") => direct.list_page_ms,
            ("ebs", "GetSnapshotBlock") => direct.get_block_ms,
            ("ebs", "PutSnapshotBlock") => direct.put_block_ms,
            _ => self.service.api_latency_ms,
        };
        self.latency_ms(request.action, drawn).clamp(0.0, 1e9)
    }

    fn refusal(&mut self, caller: &Caller, request: &Admit) -> Result<(), ApiError> {
        if self.strikes("throttle", request.action, self.faults.throttle) {
            return Err(throttled(&caller.service));
        }
        if self.strikes("server_error", request.action, self.faults.server_error) {
            return Err(server_error(&caller.service));
        }
        if !self.settings.rates {
            return Ok(());
        }
        match caller.service.as_str() {
            "ec2" => self
                .limits
                .take(caller, request.action, request.unfiltered, self.now),
            "ebs" => self.take_direct(caller, request),
            _ => Ok(()),
        }
    }

    fn take_direct(&mut self, caller: &Caller, request: &Admit) -> Result<(), ApiError> {
        let now = self.now;
        let account_rate = direct_per_second(caller, request.action);
        if !self
            .limits
            .take_rate(caller, request.action, account_rate, now)
        {
            return Err(throttled("ebs"));
        }
        let Some(snapshot) = request.block_snapshot else {
            return Ok(());
        };
        let name = format!("{}/{snapshot}", request.action);
        if self
            .limits
            .take_rate(caller, &name, SNAPSHOT_BLOCKS_PER_SECOND, now)
        {
            return Ok(());
        }
        let code = "RequestThrottledException/RESOURCE_LEVEL_THROTTLE";
        let message = format!("The request rate of the snapshot '{snapshot}' was exceeded.");
        Err(ApiError::client(code, message))
    }

    fn strikes(&mut self, kind: &str, action: &str, per_mille: f64) -> bool {
        per_mille > 0.0
            && self
                .chance
                .strikes(&format!("fault/{kind}/{action}"), per_mille)
    }
}

/// Requests per second, account and region (EBS user guide, quotas of the EBS direct APIs).
fn direct_per_second(caller: &Caller, action: &str) -> u32 {
    match action {
        "GetSnapshotBlock" | "PutSnapshotBlock" => {
            if FAST_REGIONS.contains(&caller.region.as_str()) {
                5000
            } else {
                1000
            }
        }
        "ListSnapshotBlocks" | "ListChangedBlocks" => 50,
        _ => 10,
    }
}

/// The answer to a request over its account's rate, as the service words it.
fn throttled(service: &str) -> ApiError {
    match service {
        "ec2" => request_limit_exceeded(),
        "sts" | "monitoring" => ApiError::client("Throttling", "Rate exceeded"),
        _ => ApiError::client("ThrottlingException", "Rate exceeded"),
    }
}

/// The answer of a service that failed inside, as the service words it.
fn server_error(service: &str) -> ApiError {
    let code = match service {
        "ec2" => "InternalError",
        "ebs" => "InternalServerException",
        "ssm" => "InternalServerError",
        _ => "InternalFailure",
    };
    ApiError::with_status(code, "An internal error has occurred", 500)
}
