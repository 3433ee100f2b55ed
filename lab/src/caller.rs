//! Who sends a request and to which region: what a signature says. It must not know any action.

/// The account, region and service a signed request stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The 12-digit account id.
    pub account: String,
    /// The region of the signature's scope.
    pub region: String,
    /// The service name of the signature's scope (`ec2`, `ebs`, `monitoring`, `sts`, `ssm`).
    pub service: String,
}
