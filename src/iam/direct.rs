//! What path `direct` needs: a role that reads snapshots and nothing else, who may assume it, and the snapshots of the
//! target's volumes.

use serde_json::json;
use snapmigrate_models::plan::Plan;

use super::{Statement, everything, snapshots, source_keys, target_volumes};

/// The role whose sessions the target's host reads with.
pub(super) fn reader(plan: &Plan) -> Vec<Statement> {
    let region = plan.source.region.as_str();
    // A base that was there before does not carry the migration's tag.
    let reused = plan.volumes.iter().any(|v| v.reusable_base.is_some());
    let own = json!({ "StringEquals": { "aws:ResourceTag/snapmigrate:migration": plan.name } });
    let mut statements = vec![
        Statement::allow("Look", &["ec2:DescribeSnapshots"], everything()),
        Statement {
            condition: (!reused).then_some(own),
            ..Statement::allow(
                "ReadBlocks",
                &[
                    "ebs:ListSnapshotBlocks",
                    "ebs:ListChangedBlocks",
                    "ebs:GetSnapshotBlock",
                ],
                snapshots(region),
            )
        },
    ];
    let keys = source_keys(plan);
    if !keys.is_empty() {
        statements.push(Statement::allow("ReadKey", &["kms:Decrypt"], keys));
    }
    statements
}

/// The executor's role in the source account assumes it; nobody else has to.
pub(super) fn assuming(plan: &Plan) -> Option<Statement> {
    let policy = plan.policy.direct.as_ref()?;
    let role = vec![policy.reader_role_arn.clone()];
    Some(Statement::allow("HandOutReader", &["sts:AssumeRole"], role))
}

/// A snapshot of each prepared volume before it is mounted.
pub(super) fn keeping(plan: &Plan) -> Statement {
    let mut resources = target_volumes(plan);
    resources.extend(snapshots(plan.target.region.as_str()));
    Statement::allow("KeepVolumes", &["ec2:CreateSnapshot"], resources)
}
