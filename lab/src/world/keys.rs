//! KMS keys as far as EBS looks at them: names resolved to ARNs, and whether a key can be used here.
//! It must not know key policies: in the lab a well-formed key of the region is accessible.

use crate::caller::Caller;

/// What a snapshot shows when its key could not be used (EBS user guide, "Copy a snapshot").
pub(crate) const NOT_ACCESSIBLE: &str = "Given key ID is not accessible";

/// The key that encrypts where none is named: the AWS managed `aws/ebs` of account and region.
pub(crate) fn default_key(caller: &Caller) -> String {
    format!(
        "arn:aws:kms:{}:{}:alias/aws/ebs",
        caller.region, caller.account
    )
}

/// The ARN of a key named by id, alias or ARN.
pub(crate) fn key_arn(caller: &Caller, named: &str) -> String {
    if named.starts_with("arn:") {
        return named.to_owned();
    }
    let path = if named.starts_with("alias/") {
        named.to_owned()
    } else {
        format!("key/{named}")
    };
    format!("arn:aws:kms:{}:{}:{path}", caller.region, caller.account)
}

/// Whether a key can be used in a region: an ARN of KMS, of that region, with an account.
pub(crate) fn accessible(arn: &str, region: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "kms", key_region, account, path] => {
            let path_ok = path.starts_with("key/") || path.starts_with("alias/");
            *key_region == region && account.len() == 12 && path_ok
        }
        _ => false,
    }
}

/// Whether a key is an AWS managed one, which can't be shared.
pub(crate) fn is_aws_managed(arn: &str) -> bool {
    arn.ends_with(":alias/aws/ebs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_belong_to_one_region() {
        let key = "arn:aws:kms:eu-west-1:222222222222:key/abc";
        assert!(accessible(key, "eu-west-1"));
        assert!(!accessible(key, "us-east-1"));
        assert!(!accessible("nonsense", "us-east-1"));
    }
}
