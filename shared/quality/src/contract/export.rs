//! From sources and rules to a contract.

use super::quality::check_of;
use super::types::logical;
use super::{API_VERSION, OWN};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidemill_spec::{Column, Rule, Source, Span};
use tidemill_types::{ProjectName, SourceName};

/// Keys of a source that the standard has words for.
const STANDARD: [&str; 5] = ["key", "columns", "fresh_within", "cadence", "description"];

/// The contract of a project's sources.
#[must_use]
pub fn export(
    project: &ProjectName,
    sources: &BTreeMap<SourceName, Source>,
    quality: &BTreeMap<SourceName, Vec<Rule>>,
) -> Value {
    let schema = sources.iter().map(|(name, source)| {
        let rules = quality.get(name).map(Vec::as_slice).unwrap_or_default();
        object(name, source, rules)
    });
    let agreed: Vec<Value> = sources.iter().flat_map(|(name, source)| promises(name, source)).collect();
    let mut contract = json!({
        "version": "1.0.0",
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": project,
        "name": project,
        "status": "active",
        "schema": schema.collect::<Vec<_>>(),
    });
    if !agreed.is_empty() {
        contract["slaProperties"] = Value::Array(agreed);
    }
    if let Some(owner) = one_owner(sources) {
        contract["team"] = json!({"name": owner});
    }
    contract
}

/// The owner of all sources; the standard knows one team a contract.
fn one_owner(sources: &BTreeMap<SourceName, Source>) -> Option<&str> {
    let mut owners = sources.values().map(|source| source.owner.as_deref());
    let first = owners.next()??;
    owners.all(|owner| owner == Some(first)).then_some(first)
}

fn object(name: &SourceName, source: &Source, rules: &[Rule]) -> Value {
    let (mut by_column, mut whole): (BTreeMap<&str, Vec<Value>>, Vec<Value>) = Default::default();
    for (place, rule) in rules.iter().enumerate() {
        let check = check_of(rule, place);
        match rule.columns().as_slice() {
            [one] if source.columns.contains_key(*one) => by_column.entry(*one).or_default().push(check),
            _ => whole.push(check),
        }
    }
    let properties = source.columns.iter().map(|(name, column)| {
        let place = source.key.iter().position(|key| key == name);
        property(name, column, place, by_column.remove(name.as_str()))
    });
    let mut object = json!({
        "name": name,
        "physicalName": name,
        "physicalType": "table",
        "logicalType": "object",
        "properties": properties.collect::<Vec<_>>(),
        "customProperties": [{"property": OWN, "value": rest(source, &STANDARD)}],
    });
    if let Some(description) = &source.description {
        object["description"] = description.as_str().into();
    }
    if !whole.is_empty() {
        object["quality"] = Value::Array(whole);
    }
    object
}

/// What a structure says beside the named keys.
fn rest(of: &impl serde::Serialize, without: &[&str]) -> Value {
    let mut fields = match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    fields.retain(|key, value| !without.contains(&key.as_str()) && !value.is_null());
    Value::Object(fields)
}

fn property(name: &str, column: &Column, key: Option<usize>, quality: Option<Vec<Value>>) -> Value {
    let physical = serde_json::to_value(column.kind).unwrap_or_default();
    let mut property = json!({
        "name": name,
        "physicalName": name,
        "logicalType": logical(column.kind),
        "physicalType": physical,
        "required": !column.nullable,
    });
    if let Some(place) = key {
        property["primaryKey"] = true.into();
        property["primaryKeyPosition"] = (place + 1).into();
    }
    let own = rest(column, &["type", "nullable"]);
    if own.as_object().is_some_and(|own| !own.is_empty()) {
        property["customProperties"] = json!([{"property": OWN, "value": own}]);
    }
    if let Some(quality) = quality {
        property["quality"] = Value::Array(quality);
    }
    property
}

/// What is promised of freshness, and how often rows come, in milliseconds so that nothing is rounded.
fn promises(name: &SourceName, source: &Source) -> Vec<Value> {
    let element = format!("{name}.{}", source.known_at.as_ref().unwrap_or(&source.event_time));
    let promise = |(property, span): (&str, Option<Span>)| {
        let (value, unit) = match span?.millis() {
            whole if whole % 1_000 == 0 => (whole / 1_000, "s"),
            odd => (odd, "ms"),
        };
        Some(json!({"property": property, "value": value, "unit": unit, "element": element}))
    };
    [("latency", source.fresh_within), ("frequency", source.cadence)].into_iter().filter_map(promise).collect()
}
