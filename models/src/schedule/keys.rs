//! Keys that fit where the data goes.

use crate::inventory::VolumeFacts;
use crate::plan::Place;
use crate::policy::Policy;

use super::PlanError;

/// Encrypted data goes to another account or region only under a key the operator names, and that
/// key is one of the target's.
pub(super) fn fit(
    facts: &[VolumeFacts],
    source: &Place,
    target: &Place,
    policy: &Policy,
) -> Result<(), PlanError> {
    if let Some(key) = &policy.target.kms_key {
        of_the_target(key, target)?;
    }
    let moves = source.account != target.account || source.region != target.region;
    let encrypted = facts.iter().find(|facts| facts.encrypted);
    match encrypted {
        Some(facts) if moves && policy.target.kms_key.is_none() => Err(PlanError::Contradiction {
            one: format!("volume {} is encrypted", facts.volume),
            other:
                "the policy names no target.kms_key, so copies would get the default key or fail"
                    .into(),
            remedy: "set target.kms_key to a customer managed key of the target account",
        }),
        _ => Ok(()),
    }
}

/// An ARN names region and account; a bare id or alias is looked up in the target's.
fn of_the_target(key: &str, target: &Place) -> Result<(), PlanError> {
    let mut parts = key.split(':').skip(3);
    let (Some(region), Some(account)) = (parts.next(), parts.next()) else {
        return Ok(());
    };
    let foreign = |kind: &str, own: &str| PlanError::Contradiction {
        one: format!("target.kms_key is {key}"),
        other: format!("the target's {kind} is {own}"),
        remedy: "name a key of the account and region the volumes go to",
    };
    if account != target.account.as_str() {
        return Err(foreign("account", target.account.as_str()));
    }
    if region != target.region.as_str() {
        return Err(foreign("region", target.region.as_str()));
    }
    Ok(())
}
