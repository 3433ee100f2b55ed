//! Request token buckets per account, region and API (EC2 developer guide, "Request throttling").
//! It must not know what a request does.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::caller::Caller;
use crate::clock::seconds_between;
use crate::error::ApiError;

const LIMITS: &str = include_str!("../../data/limits.toml");

/// Size and refill of a bucket.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    burst: u32,
    per_second: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    default_describe: Size,
    unfiltered_describe: Size,
    default_mutating: Size,
    actions: BTreeMap<String, Size>,
}

#[derive(Debug, Clone)]
struct Bucket {
    tokens: f64,
    at: DateTime<Utc>,
}

/// All buckets of the lab.
#[derive(Debug, Clone)]
pub struct Limits {
    sizes: Sizes,
    buckets: BTreeMap<(String, String, String), Bucket>,
}

impl Limits {
    /// Full buckets of the committed sizes.
    pub fn new() -> Limits {
        let sizes = toml::from_str(LIMITS).expect("the committed limits.toml is well formed");
        Limits {
            sizes,
            buckets: BTreeMap::new(),
        }
    }

    /// Takes one token for an EC2 action. `unfiltered` is a describe with no filter, ids or page size.
    pub fn take(
        &mut self,
        caller: &Caller,
        action: &str,
        unfiltered: bool,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let size = self.size(action, unfiltered);
        let kind = if unfiltered {
            format!("{action}/unfiltered")
        } else {
            action.to_owned()
        };
        if self.spend(caller, kind, (size.burst, size.per_second), now) {
            Ok(())
        } else {
            Err(request_limit_exceeded())
        }
    }

    /// Takes one token of a bucket that holds one second's worth; false when it is empty.
    pub fn take_rate(
        &mut self,
        caller: &Caller,
        name: &str,
        per_second: u32,
        now: DateTime<Utc>,
    ) -> bool {
        self.spend(caller, name.to_owned(), (per_second, per_second), now)
    }

    fn spend(
        &mut self,
        caller: &Caller,
        name: String,
        (burst, per_second): (u32, u32),
        now: DateTime<Utc>,
    ) -> bool {
        let key = (caller.account.clone(), caller.region.clone(), name);
        let burst = f64::from(burst);
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            tokens: burst,
            at: now,
        });
        let refill = seconds_between(bucket.at, now) * f64::from(per_second);
        bucket.tokens = (bucket.tokens + refill).min(burst);
        bucket.at = now;
        let granted = bucket.tokens >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        granted
    }

    fn size(&self, action: &str, unfiltered: bool) -> Size {
        if let Some(size) = self.sizes.actions.get(action) {
            return *size;
        }
        let describe = action.starts_with("Describe") || action.starts_with("Get");
        match (describe, unfiltered) {
            (true, true) => self.sizes.unfiltered_describe,
            (true, false) => self.sizes.default_describe,
            (false, _) => self.sizes.default_mutating,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::new()
    }
}

/// EC2's throttling answer (EC2 error codes: RequestLimitExceeded, HTTP 503).
pub fn request_limit_exceeded() -> ApiError {
    ApiError::with_status("RequestLimitExceeded", "Request limit exceeded.", 503)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn caller(account: &str) -> Caller {
        let text = str::to_owned;
        Caller {
            account: text(account),
            region: text("us-east-1"),
            service: text("ec2"),
        }
    }

    #[test]
    fn a_burst_then_the_refill_rate() {
        let (mut limits, now) = (Limits::new(), DateTime::UNIX_EPOCH);
        let me = caller("111111111111");
        let granted = (0..80).filter(|_| limits.take(&me, "CopySnapshot", false, now).is_ok());
        assert_eq!(granted.count(), 50);
        let later = now + TimeDelta::seconds(2);
        let granted = (0..80).filter(|_| limits.take(&me, "CopySnapshot", false, later).is_ok());
        assert_eq!(granted.count(), 10);
    }

    #[test]
    fn buckets_are_per_account_and_api() {
        let (mut limits, now) = (Limits::new(), DateTime::UNIX_EPOCH);
        while limits
            .take(&caller("1"), "CopySnapshot", false, now)
            .is_ok()
        {}
        limits
            .take(&caller("2"), "CopySnapshot", false, now)
            .expect("another account's bucket");
        limits
            .take(&caller("1"), "CreateSnapshot", false, now)
            .expect("another API's bucket");
    }
}
