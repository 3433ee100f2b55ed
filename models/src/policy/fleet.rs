//! A policy for many instances: who they are, which must not be cut over together, what they share.
//!
//! It must not know what was measured of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wish::{impossible, number};
use super::{ImpossibleWish, Policy, PolicyError};
use crate::ids::InstanceId;

/// Many instances that are planned together. The rest of the policy holds for each of them, but for
/// `budget_usd`, which is that of all together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetPolicy {
    /// The instances.
    #[serde(default)]
    pub instances: Vec<FleetMember>,
    /// How long the cutover of an instance may wait once its window is open.
    #[serde(default = "default_window_seconds")]
    pub window_seconds: f64,
    /// Pause between the end of one cutover and the window of the next one of its failure domain.
    #[serde(default = "default_settle_seconds")]
    pub settle_seconds: f64,
    /// Most instances whose cutover windows overlap; absent: no limit but that of the domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutovers_at_once: Option<u32>,
    /// Most copies at once into one destination region; absent: what AWS allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies_at_once: Option<u32>,
    /// What all copies between two regions may move together, in MiB/s; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_mib_per_second: Option<f64>,
}

/// One instance of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetMember {
    /// Instance at the source.
    pub instance: InstanceId,
    /// Failure domain, such as the cluster it is a replica of; absent: one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Keys of the policy that are different for it, such as `target.instance`.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub policy: toml::Table,
}

impl Default for FleetPolicy {
    fn default() -> Self {
        Self {
            instances: Vec::new(),
            window_seconds: default_window_seconds(),
            settle_seconds: default_settle_seconds(),
            cutovers_at_once: None,
            copies_at_once: None,
            copy_mib_per_second: None,
        }
    }
}

const fn default_window_seconds() -> f64 {
    7200.0
}

const fn default_settle_seconds() -> f64 {
    3600.0
}

impl FleetPolicy {
    /// Checks that every wish can be one.
    pub(super) fn validate(&self) -> Result<(), ImpossibleWish> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let pause = |value: f64| value >= 0.0 && value.is_finite();
        let above = "a number of seconds above 0";
        number("fleet.window_seconds", self.window_seconds, positive, above)?;
        let expected = "a number of seconds, 0 or more";
        number("fleet.settle_seconds", self.settle_seconds, pause, expected)?;
        let rate = self.copy_mib_per_second.unwrap_or(1.0);
        number(
            "fleet.copy_mib_per_second",
            rate,
            positive,
            "a rate above 0",
        )?;
        for (key, most) in [
            ("fleet.cutovers_at_once", self.cutovers_at_once),
            ("fleet.copies_at_once", self.copies_at_once),
        ] {
            if most == Some(0) {
                return Err(impossible(key, "0", "at least 1"));
            }
        }
        self.once_each()
    }

    fn once_each(&self) -> Result<(), ImpossibleWish> {
        let mut seen = std::collections::BTreeSet::new();
        let twice = self
            .instances
            .iter()
            .find(|one| !seen.insert(&one.instance));
        twice.map_or(Ok(()), |one| {
            let expected = "each instance once";
            Err(impossible(
                "fleet.instances",
                one.instance.as_str(),
                expected,
            ))
        })
    }
}

impl Policy {
    /// The policy of one instance of the fleet: its own keys in place of the common ones, its own name, and of
    /// the budget only what it was given itself.
    ///
    /// # Errors
    /// [`PolicyError`] naming the key that cannot be.
    pub fn of_member(&self, member: &FleetMember) -> Result<Self, PolicyError> {
        let common = Self {
            fleet: None,
            budget_usd: None,
            name: format!("{}-{}", self.name, member.instance),
            ..self.clone()
        };
        let mut table = toml::Table::try_from(&common)
            .expect("a policy that was read from a table can be written as one");
        lay_over(&mut table, &member.policy);
        Self::from_table(table)
    }
}

/// `above` in place of the same keys of `below`.
fn lay_over(below: &mut toml::Table, above: &toml::Table) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            _ => {
                below.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: &str = r#"
name = "orders"
budget_usd = 900
max_write_downtime_seconds = 600
[target]
account = "222222222222"
region = "eu-west-1"
zone = "eu-west-1a"
[[fleet.instances]]
instance = "i-01"
domain = "orders"
policy = { max_rounds = 3, target = { instance = "i-11" } }
[[fleet.instances]]
instance = "i-02"
"#;

    #[test]
    fn an_instances_own_keys_lie_over_the_common_ones() {
        let policy = Policy::from_toml(FLEET).expect("a policy");
        let fleet = policy.fleet.as_ref().expect("a fleet");
        let first = policy.of_member(&fleet.instances[0]).expect("a policy");
        assert_eq!((first.max_rounds, first.budget_usd), (3, None));
        assert_eq!(first.name, "orders-i-01");
        assert_eq!(first.target.region.as_str(), "eu-west-1");
        assert_eq!(
            first.target.instance.as_ref().map(InstanceId::as_str),
            Some("i-11")
        );
        let second = policy.of_member(&fleet.instances[1]).expect("a policy");
        assert!(second.target.instance.is_none() && second.fleet.is_none());
    }

    #[test]
    fn what_cannot_be_wished_for_is_named() {
        let cases = [
            (FLEET.replace("i-02", "i-01"), "fleet.instances is i-01"),
            (with("copies_at_once = 0"), "fleet.copies_at_once is 0"),
            (with("window_seconds = 0"), "fleet.window_seconds is 0"),
            (
                with("copy_mib_per_second = -1"),
                "fleet.copy_mib_per_second is -1",
            ),
        ];
        for (text, expected) in cases {
            let error = Policy::from_toml(&text)
                .expect_err("must be refused")
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// The fleet with one more key of its own.
    fn with(key: &str) -> String {
        FLEET.replacen(
            "[[fleet.instances]]",
            &format!("[fleet]\n{key}\n[[fleet.instances]]"),
            1,
        )
    }

    #[test]
    fn a_key_of_an_instance_that_cannot_be_is_named() {
        let policy = Policy::from_toml(&FLEET.replace("max_rounds = 3", "max_rounds = 0"));
        let policy = policy.expect("the instance's keys are looked at one by one");
        let member = &policy.fleet.as_ref().expect("a fleet").instances[0];
        let error = policy.of_member(member).expect_err("no rounds").to_string();
        assert!(error.contains("max_rounds is 0"), "{error}");
    }
}
