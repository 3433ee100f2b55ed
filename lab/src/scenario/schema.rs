//! The JSON Schema of a scenario file: the types that read it, loosened by what a file may leave to chance and to the
//! committed tables.
//!
//! It must not know what a key means.

use schemars::{SchemaGenerator, schema_for};
use serde_json::{Map, Value, json};

use super::{Database, File, Service};

/// The schema. A scenario is TOML; the schema is of the same tables as JSON.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schema_for!(File).to_value();
    for partial in partials() {
        if let Some(table) = schema["$defs"][&partial].as_object_mut() {
            table.remove("required");
        }
    }
    let names: Vec<String> = schema["$defs"]
        .as_object()
        .map(|defs| defs.keys().cloned().collect())
        .unwrap_or_default();
    for name in names {
        loosen(&mut schema["$defs"][name]["properties"]);
    }
    loosen(&mut schema["properties"]);
    allow(
        &mut schema,
        "Dist",
        "world",
        "Spread of this median between worlds (lognormal sigma).",
    );
    for member in ["VolumeSpec", "SnapshotSpec", "ProcessSpec"] {
        let what = "Chance that a world has this one.";
        allow(&mut schema, member, "chance", what);
    }
    schema["$defs"]["Drawn"] = drawn();
    schema
}

/// Tables that lie over committed ones: no key of theirs must be given.
fn partials() -> Vec<String> {
    let mut generator = SchemaGenerator::default();
    generator.subschema_for::<Service>();
    generator.subschema_for::<Database>();
    let mut names: Vec<String> = generator.definitions().keys().cloned().collect();
    names.retain(|name| name != "Dist");
    names
}

/// Values and distributions may be drawn per seed.
fn loosen(properties: &mut Value) {
    for property in properties
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
    {
        let whole = property["$ref"] == "#/$defs/Dist";
        let plain = ["number", "integer", "string", "boolean"]
            .iter()
            .any(|name| property["type"] == **name || property["type"][0] == **name);
        if whole || plain {
            let said = property.take();
            *property = json!({ "anyOf": [said, { "$ref": "#/$defs/Drawn" }] });
        }
    }
}

fn allow(schema: &mut Value, table: &str, key: &str, what: &str) {
    schema["$defs"][table]["properties"][key] = json!({ "type": "number", "description": what });
}

fn drawn() -> Value {
    let pair = json!({ "type": "array", "minItems": 2, "maxItems": 2 });
    json!({
        "description": "Drawn once per seed: uniform, uniform in the logarithm, or one of these.",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
        "properties": {
            "between": pair,
            "log_between": pair,
            "one_of": { "type": "array", "minItems": 1 },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Every key of a value is one that the schema names where it stands.
    fn names(schema: &Value, rule: &Value, value: &Value, at: &str) {
        if *rule == true {
            return;
        }
        if let Some(reference) = rule["$ref"].as_str() {
            let rule = schema.pointer(&reference[1..]).expect("it is defined");
            return names(schema, rule, value, at);
        }
        if let Some(rules) = rule["anyOf"].as_array() {
            let is_drawn = value.as_object().is_some_and(|table| {
                ["between", "log_between", "one_of"]
                    .iter()
                    .any(|key| table.contains_key(*key))
            });
            return names(schema, &rules[usize::from(is_drawn)], value, at);
        }
        match value {
            Value::Object(table) => {
                for (key, value) in table {
                    let rule = rule["properties"].get(key).or_else(|| {
                        let more = &rule["additionalProperties"];
                        (!more.is_null() && *more != false).then_some(more)
                    });
                    let rule = rule.unwrap_or_else(|| panic!("{at}.{key} is not in the schema"));
                    names(schema, rule, value, &format!("{at}.{key}"));
                }
            }
            Value::Array(values) => {
                for value in values {
                    names(schema, &rule["items"], value, at);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_key_of_every_committed_scenario_is_in_the_schema() {
        let schema = schema();
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenarios");
        for file in std::fs::read_dir(scenarios).expect("a directory") {
            let path = file.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a file");
            let table: toml::Table = toml::from_str(&text).expect("TOML");
            let value = serde_json::to_value(table).expect("tables are JSON");
            names(&schema, &schema, &value, &path.display().to_string());
        }
    }

    #[test]
    fn a_table_over_the_committed_ones_needs_no_key_and_a_place_all_of_its() {
        let schema = schema();
        for partial in ["Service", "Transfer", "Database", "Sync"] {
            assert!(schema["$defs"][partial]["required"].is_null(), "{partial}");
        }
        assert_eq!(
            schema["$defs"]["Place"]["required"]
                .as_array()
                .map(Vec::len),
            Some(4)
        );
        assert!(!schema["$defs"]["ProcessSpec"]["properties"]["kind"].is_null());
    }
}
