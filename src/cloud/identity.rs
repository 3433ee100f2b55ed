//! Who we are in AWS.

use snapmigrate_models::ids::AccountId;
use snapmigrate_models::units::Timestamp;

use super::convert::{parsed, time_of};
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

/// Temporary credentials of an assumed role.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// `ASIA...`.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// Belongs to temporary credentials.
    pub session_token: String,
    /// When they end.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Session(until {})", self.expires_at)
    }
}

/// Seconds a handed-out session lives: the longest for a role assumed from a role (STS API reference, AssumeRole).
const SESSION_SECONDS: i32 = 3600;

/// What a session may do at most, whatever its role allows: read snapshots.
const READ_SNAPSHOTS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:DescribeSnapshots","ebs:ListSnapshotBlocks","ebs:ListChangedBlocks","ebs:GetSnapshotBlock","kms:Decrypt"],"Resource":"*"}]}"#;

impl Cloud {
    /// A session of `role_arn` that can read snapshots for an hour and do nothing else.
    ///
    /// # Errors
    /// [`CloudError`], `Permanent` when the role may not be assumed.
    pub async fn reader_session(&self, role_arn: &str) -> Result<Session, CloudError> {
        const CALL: &str = "AssumeRole";
        let request = self
            .sts
            .assume_role()
            .role_arn(role_arn)
            .role_session_name("snapmigrate-reader")
            .duration_seconds(SESSION_SECONDS)
            .policy(READ_SNAPSHOTS);
        let answer = request.send().await;
        let answer = answer.map_err(|error| classify(CALL, role_arn, &error))?;
        let found = answer.credentials();
        let found = found.ok_or_else(|| CloudError::incomplete(CALL, role_arn, "credentials"))?;
        let expires_at = time_of(found.expiration());
        Ok(Session {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: found.secret_access_key().to_owned(),
            session_token: found.session_token().to_owned(),
            expires_at: expires_at
                .ok_or_else(|| CloudError::incomplete(CALL, role_arn, "expiration"))?,
        })
    }

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
