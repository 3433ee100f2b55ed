//! Names of things in an account, one type each, so that a snapshot cannot stand where a volume belongs.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that does not have the form of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {kind}: expected {expected}")]
pub struct InvalidId {
    /// The text that was given.
    pub value: String,
    /// What it should have been, with its article.
    pub kind: &'static str,
    /// The form that is accepted.
    pub expected: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    return Ok(Self(value.to_owned()));
                }
                Err(InvalidId { value: value.to_owned(), kind: $kind, expected: $expected })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id!(
    /// An EBS volume, `vol-...`.
    VolumeId, "a volume id", "vol- and letters or digits", |v| prefixed(v, "vol-")
);
id!(
    /// An EBS snapshot, `snap-...`.
    SnapshotId, "a snapshot id", "snap- and letters or digits", |v| prefixed(v, "snap-")
);
id!(
    /// An EC2 instance, `i-...`.
    InstanceId, "an instance id", "i- and letters or digits", |v| prefixed(v, "i-")
);
id!(
    /// An AWS account, twelve digits.
    AccountId, "an account id", "12 digits",
    |v| v.len() == 12 && v.bytes().all(|b| b.is_ascii_digit())
);
id!(
    /// A region such as `eu-west-1`.
    Region, "a region", "a name such as eu-west-1",
    |v| v.matches('-').count() >= 2 && v.ends_with(|c: char| c.is_ascii_digit()) && is_name(v)
);
id!(
    /// An availability zone such as `eu-west-1a`.
    Zone, "an availability zone", "a name such as eu-west-1a",
    |v| v.matches('-').count() >= 2 && is_name(v)
);

fn prefixed(value: &str, prefix: &str) -> bool {
    value
        .strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn is_name(value: &str) -> bool {
    value
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_where_they_enter() {
        assert!("vol-0abc".parse::<VolumeId>().is_ok());
        assert!("snap-0abc".parse::<VolumeId>().is_err());
        assert!("vol-".parse::<VolumeId>().is_err());
        assert!("111122223333".parse::<AccountId>().is_ok());
        assert!("1111".parse::<AccountId>().is_err());
        assert!("us-gov-west-1".parse::<Region>().is_ok());
        assert!("mars".parse::<Region>().is_err());
    }

    #[test]
    fn the_error_names_the_value_and_the_form() {
        let error = "x-1".parse::<InstanceId>().err().map(|e| e.to_string());
        let expected = "\"x-1\" is not an instance id: expected i- and letters or digits";
        assert_eq!(error.as_deref(), Some(expected));
    }
}
