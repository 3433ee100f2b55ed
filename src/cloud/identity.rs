//! Who we are in AWS.

use snapmigrate_models::ids::AccountId;

use super::convert::parsed;
use super::error::classify;
use super::{Cloud, CloudError};

/// The caller's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Account.
    pub account: AccountId,
    /// ARN of the user or role.
    pub arn: String,
}

impl Cloud {
    /// Account and ARN behind the credentials.
    ///
    /// # Errors
    /// [`CloudError`], of class `Credentials` when there are none or they are refused.
    pub async fn identity(&self) -> Result<Identity, CloudError> {
        const CALL: &str = "GetCallerIdentity";
        let region = self.region.as_str();
        let answer = self.sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| classify(CALL, region, &error))?;
        Ok(Identity {
            account: parsed(CALL, region, answer.account())?,
            arn: answer.arn().unwrap_or_default().to_owned(),
        })
    }
}
