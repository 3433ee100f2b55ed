//! Makes the clients of one side: credentials, region, endpoint, time, retries and timeouts, all pinned.

use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{AppName, BehaviorVersion, SdkConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use snapmigrate_models::ids::{AccountId, Region};
use snapmigrate_models::step::FailureClass;

use super::lab_http::LabHttp;
use super::session::SharedSession;
use super::{Cloud, CloudError, Wire};
use crate::clock::Clock;

/// Attempts of a call that may be repeated. Calls that must not be repeated override it.
const MAX_ATTEMPTS: u32 = 6;

/// How to reach one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// Region; absent: from the profile or the environment.
    pub region: Option<String>,
    /// Role to assume on top of those credentials.
    pub role_arn: Option<String>,
    /// Endpoint of every service instead of AWS's own.
    pub endpoint_url: Option<String>,
}

/// What carries the requests.
#[derive(Clone, Debug)]
pub enum Transport {
    /// HTTPS to AWS, or to an endpoint override.
    Network,
    /// The same, with credentials that are handed in and renewed from outside.
    Handed(SharedSession),
    /// The lab in this process, as an account of it.
    Lab {
        /// The way to the simulated AWS.
        wire: Wire,
        /// Account the credentials belong to.
        account: AccountId,
    },
}

/// Makes the clients of one side. Sends nothing except what assuming a role needs.
///
/// # Errors
/// [`CloudError`] of class `Credentials` or `Permanent` when the region is unknown or malformed.
pub async fn connect(
    connection: &Connection,
    transport: &Transport,
    clock: Clock,
) -> Result<Cloud, CloudError> {
    let base = match transport {
        Transport::Network => network_config(connection, clock).await,
        Transport::Handed(session) => handed_config(connection, session, clock),
        Transport::Lab { wire, account } => lab_config(connection, wire, account, clock),
    };
    let region = region_of(&base)?;
    let config = with_role(connection, base).await;
    Ok(clients(
        &config,
        region,
        clock,
        matches!(transport, Transport::Lab { .. }),
    ))
}

async fn network_config(connection: &Connection, clock: Clock) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(https())
        .time_source(clock)
        .sleep_impl(TokioSleep::new())
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        .timeout_config(timeouts());
    if let Ok(name) = AppName::new("snapmigrate") {
        loader = loader.app_name(name);
    }
    if let Some(profile) = &connection.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &connection.region {
        loader = loader.region(aws_config::Region::new(region.clone()));
    }
    if let Some(url) = &connection.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// Nothing of the environment: neither its credentials nor its configuration.
fn handed_config(connection: &Connection, session: &SharedSession, clock: Clock) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(https())
        .time_source(clock)
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
            TokioSleep::new(),
        ))
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        .timeout_config(timeouts())
        .identity_cache(aws_sdk_sts::config::IdentityCache::no_cache())
        .credentials_provider(SharedCredentialsProvider::new(session.clone()))
        .region(connection.region.clone().map(aws_config::Region::new));
    if let Some(url) = &connection.endpoint_url {
        config = config.endpoint_url(url);
    }
    config.build()
}

fn lab_config(
    connection: &Connection,
    wire: &Wire,
    account: &AccountId,
    clock: Clock,
) -> SdkConfig {
    let credentials = Credentials::new(account.as_str(), "lab", None, None, "lab");
    // The SDK's own jitter is random: a rehearsal backs off by the plain exponential instead.
    let retries = RetryConfig::standard()
        .with_max_attempts(MAX_ATTEMPTS)
        .with_use_static_exponential_base(true);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(SharedHttpClient::new(LabHttp::new(wire.clone())))
        .time_source(clock)
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
            TokioSleep::new(),
        ))
        .retry_config(retries)
        .timeout_config(timeouts())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(connection.region.clone().map(aws_config::Region::new))
        .build()
}

async fn with_role(connection: &Connection, base: SdkConfig) -> SdkConfig {
    let Some(role) = &connection.role_arn else {
        return base;
    };
    let provider = AssumeRoleProvider::builder(role)
        .session_name("snapmigrate")
        .configure(&base)
        .build()
        .await;
    base.into_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        .build()
}

fn region_of(config: &SdkConfig) -> Result<Region, CloudError> {
    let name = config.region().map(AsRef::as_ref).unwrap_or_default();
    name.parse().map_err(|_| CloudError {
        class: FailureClass::Permanent,
        operation: "connect",
        subject: "region".to_owned(),
        code: "request".to_owned(),
        message: if name.is_empty() {
            "no region is set: name one with --source-region / --target-region or AWS_REGION"
                .to_owned()
        } else {
            format!("{name:?} is not a region: expected a name such as eu-west-1")
        },
    })
}

fn clients(config: &SdkConfig, region: Region, clock: Clock, in_lab: bool) -> Cloud {
    let mut ec2 = aws_sdk_ec2::config::Builder::from(config);
    let mut ebs = aws_sdk_ebs::config::Builder::from(config);
    let mut cloudwatch = aws_sdk_cloudwatch::config::Builder::from(config);
    let mut ssm = aws_sdk_ssm::config::Builder::from(config);
    let mut sts = aws_sdk_sts::config::Builder::from(config);
    if in_lab {
        // Every token that matters is ours; this pins the rest, so that the same seed gives the same bytes.
        ec2 = ec2.idempotency_token_provider("lab-token");
        ebs = ebs.idempotency_token_provider("lab-token");
        // The SDK's budget of retries is one for the whole process: what another rehearsal lost would change this one.
        let budget = || RetryPartition::custom("lab").token_bucket(TokenBucket::default());
        ec2 = ec2.retry_partition(budget().build());
        ebs = ebs.retry_partition(budget().build());
        cloudwatch = cloudwatch.retry_partition(budget().build());
        ssm = ssm.retry_partition(budget().build());
        sts = sts.retry_partition(budget().build());
    }
    Cloud {
        region,
        clock,
        endpoint_url: config.endpoint_url().map(str::to_owned),
        is_networked: !in_lab,
        ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
        ebs: aws_sdk_ebs::Client::from_conf(ebs.build()),
        cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch.build()),
        ssm: aws_sdk_ssm::Client::from_conf(ssm.build()),
        sts: aws_sdk_sts::Client::from_conf(sts.build()),
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Self::now(self).into()
    }
}

fn https() -> SharedHttpClient {
    Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https()
}

/// A call is answered within seconds or its connection is broken: the SDK alone would wait for ever.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(30))
        .operation_timeout(Duration::from_secs(180))
        .build()
}
