//! Assumed roles: temporary access keys and the accounts they stand for.
//! It must not know any policy: in the lab every role may be assumed by everyone.

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::ApiError;

use super::World;

/// What an access key of an assumed role stands for.
#[derive(Debug, Clone)]
pub(super) struct Role {
    account: String,
    arn: String,
}

/// Temporary credentials for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleCredentials {
    /// The temporary access key id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// Its session token.
    pub session_token: String,
    /// When it ends.
    pub expiration: DateTime<Utc>,
    /// The role's account.
    pub account: String,
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub assumed_role_arn: String,
    /// `AROA…:SESSION`.
    pub assumed_role_id: String,
}

impl World {
    /// Assumes the role `arn:aws:iam::ACCOUNT:role/NAME`.
    ///
    /// # Errors
    /// `ValidationError` when the ARN is not a role's.
    pub fn assume_role(
        &mut self,
        role_arn: &str,
        session: &str,
        duration_seconds: u32,
    ) -> Result<RoleCredentials, ApiError> {
        let (account, role) = parse(role_arn)
            .ok_or_else(|| ApiError::client("ValidationError", format!("{role_arn} is invalid")))?;
        let unique = self.ids.next("role").replace("role-", "").to_uppercase();
        let credentials = RoleCredentials {
            access_key_id: format!("ASIA{}", unique.chars().take(16).collect::<String>()),
            secret_access_key: format!("secret/{unique}"),
            session_token: format!("session/{unique}"),
            expiration: self.now + TimeDelta::seconds(i64::from(duration_seconds)),
            assumed_role_arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
            assumed_role_id: format!("AROA{unique}:{session}"),
            account: account.to_owned(),
        };
        let known = Role {
            account: account.to_owned(),
            arn: credentials.assumed_role_arn.clone(),
        };
        self.roles.insert(credentials.access_key_id.clone(), known);
        Ok(credentials)
    }

    /// The account that an access key of an assumed role stands for.
    pub fn account_of_role_key(&self, access_key_id: &str) -> Option<&str> {
        self.roles
            .get(access_key_id)
            .map(|role| role.account.as_str())
    }

    /// The ARN of the assumed role that an access key stands for.
    pub fn arn_of_role_key(&self, access_key_id: &str) -> Option<&str> {
        self.roles.get(access_key_id).map(|role| role.arn.as_str())
    }
}

fn parse(role_arn: &str) -> Option<(&str, &str)> {
    let rest = role_arn.strip_prefix("arn:aws:iam::")?;
    let (account, path) = rest.split_once(":role/")?;
    let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let role = path.rsplit('/').next()?;
    (digits && !role.is_empty()).then_some((account, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_role_arns_are_roles() {
        assert_eq!(
            parse("arn:aws:iam::222222222222:role/x/mover"),
            Some(("222222222222", "mover"))
        );
        assert_eq!(parse("arn:aws:iam::222:role/mover"), None);
        assert_eq!(parse("arn:aws:iam::222222222222:user/mover"), None);
    }
}
