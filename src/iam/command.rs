//! What a host that is reached by SSM RunCommand needs of the role of its side.

use snapmigrate_models::plan::{Place, Plan};

use super::{Statement, everything};

/// For the source's role.
pub(super) fn source(plan: &Plan) -> Vec<Statement> {
    let database = plan.policy.database.as_ref();
    commanding(
        &plan.source,
        database.map(|database| database.source_host.as_str()),
    )
}

/// For the target's role.
pub(super) fn target(plan: &Plan) -> Vec<Statement> {
    let database = plan.policy.database.as_ref();
    commanding(
        &plan.target,
        database.map(|database| database.target_host.as_str()),
    )
}

/// SendCommand is authorised on the document and on the instance, the look at its end on nothing narrower than all
/// (service authorization reference, AWS Systems Manager).
fn commanding(place: &Place, channel: Option<&str>) -> Vec<Statement> {
    let Some(instance) = channel.and_then(|channel| channel.strip_prefix("ssm:")) else {
        return Vec::new();
    };
    let instance = instance.split('/').next().unwrap_or_default();
    let (region, account) = (&place.region, &place.account);
    let resources = vec![
        format!("arn:aws:ssm:{region}::document/AWS-RunShellScript"),
        format!("arn:aws:ec2:{region}:{account}:instance/{instance}"),
    ];
    vec![
        Statement::allow("AskHelper", &["ssm:SendCommand"], resources),
        Statement::allow("HearHelper", &["ssm:GetCommandInvocation"], everything()),
    ]
}
