//! Deterministic names: tags of everything made, client tokens, descriptions.

use sha2::{Digest, Sha256};
use snapmigrate_models::format::hex;
use snapmigrate_models::ids::VolumeId;
use snapmigrate_models::plan::Plan;

use crate::cloud::Tags;

/// Tag with the migration's name, on everything made for it.
pub(super) const MIGRATION_TAG: &str = "snapmigrate:migration";
/// Tag with the plan's digest, shortened.
pub(super) const PLAN_TAG: &str = "snapmigrate:plan";
/// Tag with the step that made it.
pub(super) const STEP_TAG: &str = "snapmigrate:step";
/// Tag with the source volume's id, on copies and volumes.
pub(super) const VOLUME_TAG: &str = "snapmigrate:volume";

/// Longest token used: EC2 accepts 64 ASCII characters (EC2 API, idempotency).
const TOKEN_LENGTH: usize = 60;

/// Tags of what a step makes; they find it again after a lost answer.
pub(super) fn step_tags(plan: &Plan, step: &str) -> Tags {
    let mut tags = plan_tags(plan);
    tags.insert(STEP_TAG.to_owned(), step.to_owned());
    tags
}

/// Tags of everything that is made for a plan, its parents and its children.
pub(super) fn plan_tags(plan: &Plan) -> Tags {
    let digest: String = plan.chain_digest().chars().take(16).collect();
    Tags::from([
        (MIGRATION_TAG.to_owned(), plan.policy.name.clone()),
        (PLAN_TAG.to_owned(), digest),
    ])
}

/// The same for what belongs to one source volume.
pub(super) fn volume_tags(plan: &Plan, step: &str, volume: &VolumeId) -> Tags {
    let mut tags = step_tags(plan, step);
    tags.insert(VOLUME_TAG.to_owned(), volume.to_string());
    tags
}

/// The same token for the same plan, step and volume: repeating the call makes nothing new.
pub(super) fn client_token(plan: &Plan, step: &str, volume: &VolumeId) -> String {
    let name = format!("{}\n{step}\n{volume}", plan.chain_digest());
    let mut token = hex(&Sha256::digest(name.as_bytes()));
    token.truncate(TOKEN_LENGTH);
    token
}

/// What people read in the console.
pub(super) fn description(plan: &Plan, step: &str) -> String {
    format!("snapmigrate {} {step}", plan.policy.name)
}
