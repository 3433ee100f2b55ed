//! Flags that override single wishes of a policy file.

use toml::{Table, Value};

use super::CliError;

/// Flags that override the policy file.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Policy (overrides the file)")]
pub struct Wishes {
    /// Name of the migration, also its tag.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Longest write downtime accepted.
    #[arg(long, value_name = "SECONDS")]
    max_write_downtime_seconds: Option<f64>,
    /// Probability with which that must hold, between 0 and 1.
    #[arg(long, value_name = "P")]
    confidence: Option<f64>,
    /// Most rounds after the base, the final one included.
    #[arg(long, value_name = "N")]
    max_rounds: Option<i64>,
    /// Daily window for the cutover; may be given several times.
    #[arg(long, value_name = "HH:MM-HH:MM")]
    window: Vec<String>,
    /// Time zone of the windows, such as Europe/Berlin [default: UTC].
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// The migration must be over by then (RFC 3339).
    #[arg(long, value_name = "TIME")]
    latest_finish: Option<String>,
    /// Most money to spend.
    #[arg(long, value_name = "USD")]
    budget_usd: Option<f64>,
    /// Transfer path that may be used (share, copy, direct, clone); may be given several times.
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// Target account.
    #[arg(long, value_name = "ACCOUNT")]
    target_account: Option<String>,
    /// Target availability zone.
    #[arg(long, value_name = "ZONE")]
    target_zone: Option<String>,
    /// Instance on the target that the volumes are attached to.
    #[arg(long, value_name = "ID")]
    target_instance: Option<String>,
    /// Key on the target that the copies are encrypted with.
    #[arg(long, value_name = "ARN")]
    target_kms_key: Option<String>,
}

impl Wishes {
    /// The policy table with the given flags in place of what it says.
    pub fn over(&self, mut table: Table, target_region: Option<&str>) -> Result<Table, CliError> {
        let text = |value: &Option<String>| value.clone().map(Value::String);
        let number = |value: Option<f64>| value.map(Value::Float);
        let names = |values: &[String]| {
            let values: Vec<Value> = values.iter().cloned().map(Value::String).collect();
            (!values.is_empty()).then_some(Value::Array(values))
        };
        set(&mut table, "name", text(&self.name));
        set(
            &mut table,
            "max_write_downtime_seconds",
            number(self.max_write_downtime_seconds),
        );
        set(&mut table, "confidence", number(self.confidence));
        set(
            &mut table,
            "max_rounds",
            self.max_rounds.map(Value::Integer),
        );
        set(&mut table, "windows", self.windows()?);
        set(&mut table, "time_zone", text(&self.time_zone));
        set(&mut table, "latest_finish", text(&self.latest_finish));
        set(&mut table, "budget_usd", number(self.budget_usd));
        set(&mut table, "paths", names(&self.path));
        let target = table
            .entry("target")
            .or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(target) = target {
            set(target, "account", text(&self.target_account));
            set(
                target,
                "region",
                target_region.map(|region| Value::String(region.to_owned())),
            );
            set(target, "zone", text(&self.target_zone));
            set(target, "instance", text(&self.target_instance));
            set(target, "kms_key", text(&self.target_kms_key));
        }
        Ok(table)
    }

    fn windows(&self) -> Result<Option<Value>, CliError> {
        let windows: Result<Vec<Value>, CliError> =
            self.window.iter().map(|text| window(text)).collect();
        Ok(Some(windows?)
            .filter(|windows| !windows.is_empty())
            .map(Value::Array))
    }
}

fn set(table: &mut Table, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        table.insert(key.to_owned(), value);
    }
}

fn window(text: &str) -> Result<Value, CliError> {
    let (start, end) = text.split_once('-').ok_or_else(|| {
        CliError::usage(format!(
            "--window {text}: expected HH:MM-HH:MM, such as 02:00-04:30"
        ))
    })?;
    let fields = [("start", start), ("end", end)];
    let fields = fields.map(|(key, value)| (key.to_owned(), Value::String(value.to_owned())));
    Ok(Value::Table(fields.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use snapmigrate_models::policy::Policy;

    use super::*;

    #[test]
    fn flags_win_over_the_file() {
        let file = "confidence = 0.8\nmax_rounds = 3\n[target]\naccount = \"222222222222\"\n\
                    region = \"eu-west-1\"\nzone = \"eu-west-1a\"\n";
        let wishes = Wishes {
            confidence: Some(0.95),
            window: vec!["02:00-04:30".to_owned()],
            target_zone: Some("eu-central-1b".to_owned()),
            ..Wishes::default()
        };
        let table = wishes.over(file.parse().expect("valid TOML"), Some("eu-central-1"));
        let policy = Policy::from_table(table.expect("valid flags")).expect("a valid policy");
        assert_eq!(policy.confidence.to_bits(), 0.95_f64.to_bits());
        assert_eq!(policy.max_rounds, 3);
        assert_eq!(policy.windows[0].end, "04:30");
        assert_eq!(policy.target.region.as_str(), "eu-central-1");
        assert_eq!(policy.target.zone.as_str(), "eu-central-1b");
    }

    #[test]
    fn flags_alone_can_make_a_policy() {
        let wishes = Wishes {
            target_account: Some("222222222222".to_owned()),
            target_zone: Some("eu-west-1a".to_owned()),
            ..Wishes::default()
        };
        let table = wishes
            .over(Table::new(), Some("eu-west-1"))
            .expect("valid flags");
        assert!(Policy::from_table(table).is_ok());
    }
}
