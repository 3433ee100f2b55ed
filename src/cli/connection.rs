//! How to reach the two accounts, as flags. Plain values only: credentials are found by the SDK.

use snapmigrate_models::ids::Region;

use crate::cloud::Connection;

/// Connection flags of both sides.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Named profile of the AWS configuration files for the source account.
    #[arg(long, value_name = "NAME")]
    pub source_profile: Option<String>,
    /// Region of the source.
    #[arg(long, value_name = "REGION")]
    pub source_region: Option<String>,
    /// Role to assume in the source account.
    #[arg(long, value_name = "ARN")]
    pub source_role_arn: Option<String>,
    /// Named profile of the AWS configuration files for the target account.
    #[arg(long, value_name = "NAME")]
    pub target_profile: Option<String>,
    /// Region of the target.
    #[arg(long, value_name = "REGION")]
    pub target_region: Option<String>,
    /// Role to assume in the target account.
    #[arg(long, value_name = "ARN")]
    pub target_role_arn: Option<String>,
    /// Endpoint of every AWS service, such as that of a lab.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    pub endpoint_url: Option<String>,
}

impl ConnectionArgs {
    /// How to reach the source.
    #[must_use]
    pub fn source(&self) -> Connection {
        Connection {
            profile: self.source_profile.clone(),
            region: self.source_region.clone(),
            role_arn: self.source_role_arn.clone(),
            endpoint_url: self.endpoint_url.clone(),
        }
    }

    /// How to reach the source; its region is `region` unless a flag says otherwise.
    #[must_use]
    pub fn source_in(&self, region: &Region) -> Connection {
        let mut connection = self.source();
        connection.region.get_or_insert_with(|| region.to_string());
        connection
    }

    /// How to reach the target; its region is `region` unless a flag says otherwise.
    #[must_use]
    pub fn target(&self, region: &Region) -> Connection {
        Connection {
            profile: self.target_profile.clone(),
            region: self
                .target_region
                .clone()
                .or_else(|| Some(region.to_string())),
            role_arn: self.target_role_arn.clone(),
            endpoint_url: self.endpoint_url.clone(),
        }
    }
}
