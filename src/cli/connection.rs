//! How to reach the two accounts, as flags. Plain values only: credentials are found by the SDK.

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
