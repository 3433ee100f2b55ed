//! Least-privilege IAM policies for the roles of a plan, from the paths it takes.
//!
//! Which actions each step needs: AWS EBS user guide (identity-based policy examples, sharing and
//! copying encrypted snapshots, EBS encryption) and the service authorization reference. `Describe*`
//! actions have no resource-level control, so their resource is `*`.

mod command;
mod direct;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};
use snapmigrate_models::plan::Plan;
use snapmigrate_models::policy::TransferPath;

/// The policies of both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolePolicies {
    /// For the role that measures and takes snapshots in the source account.
    pub source: PolicyDocument,
    /// For the role that copies, restores and attaches in the target account.
    pub target: PolicyDocument,
    /// For the role of the source account whose sessions the target's host reads snapshots with; path `direct` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader: Option<PolicyDocument>,
}

/// An IAM policy document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyDocument {
    /// Version of the policy language.
    #[serde(rename = "Version")]
    pub version: &'static str,
    /// What is allowed; everything else is denied.
    #[serde(rename = "Statement")]
    pub statements: Vec<Statement>,
}

/// One permission.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statement {
    /// Name, letters and digits only.
    #[serde(rename = "Sid")]
    pub sid: &'static str,
    /// Always `Allow`.
    #[serde(rename = "Effect")]
    pub effect: &'static str,
    /// Actions, in the order the work meets them.
    #[serde(rename = "Action")]
    pub actions: Vec<&'static str>,
    /// On what.
    #[serde(rename = "Resource")]
    pub resources: Vec<String>,
    /// Under which condition.
    #[serde(rename = "Condition", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Value>,
}

impl Statement {
    fn allow(sid: &'static str, actions: &[&'static str], resources: Vec<String>) -> Self {
        Self {
            sid,
            effect: "Allow",
            actions: actions.to_vec(),
            resources,
            condition: None,
        }
    }

    fn when(self, condition: Value) -> Self {
        Self {
            condition: Some(condition),
            ..self
        }
    }
}

/// The policies that executing `plan` needs, and no more.
#[must_use]
pub fn policies(plan: &Plan) -> RolePolicies {
    let statements = |statements| PolicyDocument {
        version: "2012-10-17",
        statements,
    };
    RolePolicies {
        source: statements(source(plan)),
        target: statements(target(plan)),
        reader: takes(plan, TransferPath::Direct).then(|| statements(direct::reader(plan))),
    }
}

fn takes(plan: &Plan, path: TransferPath) -> bool {
    plan.paths
        .iter()
        .any(|choice| choice.chosen && choice.path == path)
        || plan.rounds.iter().any(|round| round.path == path)
}

fn other_account(plan: &Plan) -> bool {
    plan.source.account != plan.target.account
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

fn snapshots(region: &str) -> Vec<String> {
    vec![format!("arn:aws:ec2:{region}::snapshot/*")]
}

/// Only what this migration made: every snapshot and volume carries its name as a tag.
fn own(plan: &Plan) -> Value {
    json!({ "StringEquals": { "aws:ResourceTag/snapmigrate:migration": plan.name } })
}

fn tag_on_create(plan: &Plan, region: &str, kinds: &[&str], actions: &[&str]) -> Statement {
    let resources = kinds.iter().map(|kind| match *kind {
        "snapshot" => format!("arn:aws:ec2:{region}::snapshot/*"),
        kind => format!("arn:aws:ec2:{region}:{}:{kind}/*", plan.target.account),
    });
    Statement::allow("TagWhatIsMade", &["ec2:CreateTags"], resources.collect())
        .when(json!({ "StringEquals": { "ec2:CreateAction": actions } }))
}

fn source(plan: &Plan) -> Vec<Statement> {
    let region = plan.source.region.as_str();
    let mut statements = vec![
        Statement::allow(
            "Look",
            &[
                "ec2:DescribeInstances",
                "ec2:DescribeVolumes",
                "ec2:DescribeSnapshots",
                "ec2:DescribeSnapshotAttribute",
                "cloudwatch:GetMetricData",
                "sts:GetCallerIdentity",
            ],
            everything(),
        ),
        Statement::allow(
            "BeTheOneExecutor",
            &[
                "ssm:PutParameter",
                "ssm:GetParameter",
                "ssm:DeleteParameter",
            ],
            vec![format!(
                "arn:aws:ssm:{region}:{}:parameter{}",
                plan.source.account,
                plan.claim_parameter()
            )],
        ),
        Statement::allow(
            "MeasureDeltas",
            &[
                "ebs:ListSnapshotBlocks",
                "ebs:ListChangedBlocks",
                "ebs:GetSnapshotBlock",
            ],
            snapshots(region),
        ),
        Statement::allow(
            "TakeSnapshots",
            &["ec2:CreateSnapshot", "ec2:CreateSnapshots"],
            group(plan),
        ),
        tag_on_create(
            plan,
            region,
            &["snapshot"],
            &["CreateSnapshot", "CreateSnapshots"],
        ),
        Statement::allow(
            "DeleteOwnSnapshots",
            &["ec2:DeleteSnapshot"],
            snapshots(region),
        )
        .when(own(plan)),
    ];
    if other_account(plan) && !takes(plan, TransferPath::Direct) {
        statements.push(
            Statement::allow(
                "ShareOwnSnapshots",
                &["ec2:ModifySnapshotAttribute"],
                snapshots(region),
            )
            .when(own(plan)),
        );
    }
    statements.extend(direct::assuming(plan));
    statements.extend(command::source(plan));
    let keys = source_keys(plan);
    if !keys.is_empty() {
        statements.push(Statement::allow(
            "ReadKey",
            &["kms:DescribeKey", "kms:Decrypt"],
            keys,
        ));
    }
    statements
}

/// The instance, its volumes, and the snapshots made of them.
fn group(plan: &Plan) -> Vec<String> {
    let place = &plan.source;
    let owned = |kind: &str, id: &str| {
        format!("arn:aws:ec2:{}:{}:{kind}/{id}", place.region, place.account)
    };
    let mut resources = snapshots(place.region.as_str());
    resources.extend(
        place
            .instance
            .iter()
            .map(|id| owned("instance", id.as_str())),
    );
    // CreateSnapshots is authorised on every volume of the instance, the excluded root volume too.
    resources.push(owned("volume", "*"));
    resources
}

fn source_keys(plan: &Plan) -> Vec<String> {
    let keys: BTreeSet<&String> = plan
        .volumes
        .iter()
        .filter_map(|v| v.kms_key.as_ref())
        .collect();
    keys.into_iter().cloned().collect()
}

fn target(plan: &Plan) -> Vec<Statement> {
    let region = plan.target.region.as_str();
    let mut statements = vec![
        Statement::allow(
            "Look",
            &[
                "ec2:DescribeInstances",
                "ec2:DescribeVolumes",
                "ec2:DescribeVolumeStatus",
                "ec2:DescribeSnapshots",
                "ec2:DescribeAvailabilityZones",
                "sts:GetCallerIdentity",
            ],
            everything(),
        ),
        tag_on_create(
            plan,
            region,
            &["snapshot", "volume"],
            &["CopySnapshot", "CreateSnapshot", "CreateVolume"],
        ),
        Statement::allow("Restore", &["ec2:CreateVolume"], restore_resources(plan)),
        Statement::allow(
            "Attach",
            &["ec2:AttachVolume", "ec2:DetachVolume"],
            attach_resources(plan),
        ),
        Statement::allow(
            "DeleteOwnVolumes",
            &["ec2:DeleteVolume"],
            target_volumes(plan),
        )
        .when(own(plan)),
    ];
    if takes(plan, TransferPath::Copy) || takes(plan, TransferPath::Share) {
        statements.push(copying());
    }
    if takes(plan, TransferPath::Direct) {
        statements.push(direct::keeping(plan));
    }
    statements.push(
        Statement::allow(
            "DeleteOwnCopies",
            &["ec2:DeleteSnapshot"],
            snapshots(region),
        )
        .when(own(plan)),
    );
    statements.push(Statement::allow(
        "VerifyBlocks",
        &[
            "ebs:ListSnapshotBlocks",
            "ebs:ListChangedBlocks",
            "ebs:GetSnapshotBlock",
        ],
        snapshots(region),
    ));
    statements.extend(key_statements(plan));
    statements.extend(command::target(plan));
    statements
}

/// CopySnapshot is authorised on the source snapshot and on the new one.
fn copying() -> Statement {
    Statement::allow("Copy", &["ec2:CopySnapshot"], snapshots("*"))
}

fn target_volumes(plan: &Plan) -> Vec<String> {
    vec![format!(
        "arn:aws:ec2:{}:{}:volume/*",
        plan.target.region, plan.target.account
    )]
}

fn restore_resources(plan: &Plan) -> Vec<String> {
    let mut resources = target_volumes(plan);
    resources.extend(snapshots(plan.target.region.as_str()));
    resources
}

fn attach_resources(plan: &Plan) -> Vec<String> {
    let place = &plan.target;
    let instance = place.instance.as_ref().map_or("*", |id| id.as_str());
    let mut resources = target_volumes(plan);
    resources.push(format!(
        "arn:aws:ec2:{}:{}:instance/{instance}",
        place.region, place.account
    ));
    resources
}

/// Copies and attachments of encrypted volumes read with the source key and write with the target's.
fn key_statements(plan: &Plan) -> Vec<Statement> {
    let mut keys = source_keys(plan);
    keys.extend(
        plan.policy
            .target
            .kms_key
            .clone()
            .filter(|key| key.starts_with("arn:")),
    );
    keys.dedup();
    if keys.is_empty() {
        return Vec::new();
    }
    vec![
        Statement::allow(
            "UseKeys",
            &[
                "kms:DescribeKey",
                "kms:Decrypt",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
            ],
            keys.clone(),
        ),
        Statement::allow("GrantKeysToEbs", &["kms:CreateGrant"], keys)
            .when(json!({ "Bool": { "kms:GrantIsForAWSResource": "true" } })),
    ]
}

#[cfg(test)]
mod tests;
