//! What happens to an EC2 request before and after its effect: token buckets and faults.
//! It must not know what the request does.

use crate::caller::Caller;
use crate::error::ApiError;

use super::{World, request_limit_exceeded};

/// What is to become of the answer of a request that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Answered,
    /// The request has its effect, but a server error arrives instead of its answer.
    Lost,
}

impl World {
    /// Lets an EC2 request in, or refuses it before it has any effect.
    ///
    /// # Errors
    /// `RequestLimitExceeded` (503), `InternalError` (500) as a fault.
    pub fn admit(
        &mut self,
        caller: &Caller,
        action: &str,
        unfiltered: bool,
    ) -> Result<Fate, ApiError> {
        if self.settings.rates && self.service.throttle {
            self.limits.take(caller, action, unfiltered, self.now)?;
        }
        let entity =
            |kind: &str| format!("fault/{kind}/{}/{}/{action}", caller.account, caller.region);
        let faults = self.faults;
        if self.chance.strikes(&entity("throttle"), faults.throttle) {
            return Err(request_limit_exceeded());
        }
        if self.chance.strikes(&entity("server"), faults.server_error) {
            return Err(ApiError::internal("An internal error has occurred"));
        }
        let lost = self.chance.strikes(&entity("lost"), faults.lost_answer);
        Ok(if lost { Fate::Lost } else { Fate::Answered })
    }
}
