//! `schema`: the JSON Schema of every document the tool reads or writes.

use schemars::{SchemaGenerator, schema_for};
use serde_json::{Value, json};
use snapmigrate_models::backtest::Backtest;
use snapmigrate_models::campaign::Campaign;
use snapmigrate_models::check::Findings;
use snapmigrate_models::control::{Reply, Request};
use snapmigrate_models::faults::FaultCampaign;
use snapmigrate_models::fleet::FleetPlan;
use snapmigrate_models::history::PastMigrations;
use snapmigrate_models::plan::Plan;
use snapmigrate_models::policy::Policy;
use snapmigrate_models::profile::Profile;
use snapmigrate_models::report::Report;
use snapmigrate_models::status::Status;
use snapmigrate_models::sync::SyncReport;
use snapmigrate_models::trial::TrialReport;
use snapmigrate_models::verify::DeviceVerification;

use super::{CliError, Exit, Ui};

/// Print the JSON Schema of a document.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Published: profile, policy, plan, findings, status, report, verify, backtest, sync,
campaign, faults, history, fleet, try, scenario, control

Examples:
  snapmigrate schema plan > plan.schema.json"
)]
pub struct Args {
    /// Document: profile, policy, plan, findings, status, report, verify, backtest, sync, campaign, faults, history, fleet, try, scenario, control.
    name: String,
}

const PUBLISHED: &str = "profile, policy, plan, findings, status, report, verify, backtest, sync, campaign, faults, history, fleet, try, scenario, control";

pub fn run(args: &Args, ui: &Ui) -> Result<Exit, CliError> {
    ui.json(&schema(&args.name)?)?;
    Ok(Exit::Done)
}

fn schema(name: &str) -> Result<Value, CliError> {
    let schema = match name {
        "profile" => schema_for!(Profile).to_value(),
        "policy" => schema_for!(Policy).to_value(),
        "plan" => schema_for!(Plan).to_value(),
        "findings" => schema_for!(Findings).to_value(),
        "status" => schema_for!(Status).to_value(),
        "report" => schema_for!(Report).to_value(),
        "verify" => schema_for!(DeviceVerification).to_value(),
        "backtest" => schema_for!(Backtest).to_value(),
        "sync" => schema_for!(SyncReport).to_value(),
        "campaign" => schema_for!(Campaign).to_value(),
        "faults" => schema_for!(FaultCampaign).to_value(),
        "history" => schema_for!(PastMigrations).to_value(),
        "fleet" => schema_for!(FleetPlan).to_value(),
        "try" => schema_for!(TrialReport).to_value(),
        "scenario" => snapmigrate_lab::scenario::schema(),
        "control" => control(),
        _ => return Err(unpublished(name)),
    };
    Ok(named(schema, name))
}

/// A line in either direction.
fn control() -> Value {
    let mut generator = SchemaGenerator::default();
    let lines = [
        generator.subschema_for::<Request>(),
        generator.subschema_for::<Reply>(),
    ];
    json!({ "title": "Control", "oneOf": lines, "$defs": generator.definitions() })
}

fn unpublished(name: &str) -> CliError {
    CliError::usage(format!("there is no document {name:?}"))
        .hint(format!("published: {PUBLISHED}"))
}

/// Adds the format's name: `$id`, and the one value the field `format` may have.
fn named(mut schema: Value, name: &str) -> Value {
    let format = format!("snapmigrate.{name}/1");
    let field = json!({ "const": format, "description": "Name and version of the format." });
    if let Some(fields) = schema
        .pointer_mut("/properties")
        .and_then(Value::as_object_mut)
    {
        fields.insert("format".to_owned(), field);
    }
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".to_owned(), json!(format));
    }
    schema
}
