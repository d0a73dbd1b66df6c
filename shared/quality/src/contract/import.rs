//! From a contract to sources and rules.

use super::OWN;
use super::quality::{custom, rule_of};
use super::types::{column_type, unit};
use crate::error::QualityError;
use crate::rule::Rules;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidemill_spec::{Check, ColumnType, RangeRule, RegexRule, Rule, Source, Span};
use tidemill_types::SourceName;

/// What a contract says, in our words.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Imported {
    /// Sources by name.
    pub sources: BTreeMap<SourceName, Source>,
    /// Rules by source.
    pub quality: BTreeMap<SourceName, Vec<Rule>>,
    /// Parts of the contract that have no counterpart, each with its path and why.
    pub not_taken: Vec<String>,
    /// What had to be assumed.
    pub assumed: Vec<String>,
}

/// Keys of a contract that are read, or say nothing about data.
const READ: [&str; 10] =
    ["version", "apiVersion", "kind", "id", "name", "status", "schema", "slaProperties", "contractCreatedTs", "team"];
const OBJECT: [&str; 9] = [
    "id",
    "name",
    "physicalName",
    "physicalType",
    "logicalType",
    "properties",
    "quality",
    "customProperties",
    "description",
];
const PROPERTY: [&str; 15] = [
    "id",
    "name",
    "physicalName",
    "physicalType",
    "logicalType",
    "logicalTypeOptions",
    "required",
    "unique",
    "primaryKey",
    "primaryKeyPosition",
    "quality",
    "customProperties",
    "description",
    "businessName",
    "examples",
];

/// Reads a contract of ODCS 3.
///
/// # Errors
/// A document that is no such contract, a name that is none of ours, or an object without an instant.
pub fn import(contract: &Value) -> Result<Imported, QualityError> {
    let bad = |message: &str| QualityError::Contract(message.to_owned());
    let version = contract["apiVersion"].as_str().unwrap_or_default();
    if contract["kind"] != "DataContract" || !version.starts_with("v3.") {
        return Err(bad("kind must be DataContract, and apiVersion v3"));
    }
    let mut found = Imported::default();
    found.name_others("", contract, &READ);
    let objects = contract["schema"].as_array().ok_or_else(|| bad("schema is missing"))?;
    for object in objects {
        let written = object["name"].as_str().unwrap_or_default();
        let name: SourceName = written
            .parse()
            .map_err(|_| bad(&format!("\"{written}\" is no name of a source: letters, digits, _ and - are")))?;
        found.object(&name, object)?;
    }
    for agreed in contract["slaProperties"].as_array().into_iter().flatten() {
        found.agreed(agreed);
    }
    found.owned(&contract["team"]);
    for (name, rules) in &found.quality {
        Rules::compile(&found.sources[name], rules)?;
    }
    Ok(found)
}

impl Imported {
    fn skip(&mut self, path: &str, why: &str) {
        self.not_taken.push(format!("{path}: {why}"));
    }

    /// Names every key that is not read.
    fn name_others(&mut self, path: &str, of: &Value, read: &[&str]) {
        let dot = if path.is_empty() { "" } else { "." };
        let keys = of.as_object().into_iter().flat_map(Map::keys);
        for key in keys.filter(|key| !read.contains(&key.as_str())) {
            self.skip(&format!("{path}{dot}{key}"), "has no counterpart");
        }
        for property in of["customProperties"].as_array().into_iter().flatten() {
            if property["property"] != OWN {
                self.skip(&format!("{path}{dot}customProperties.{}", property["property"]), "has no counterpart");
            }
        }
    }

    fn object(&mut self, name: &SourceName, object: &Value) -> Result<(), QualityError> {
        let path = format!("schema.{name}");
        self.name_others(&path, object, &OBJECT);
        let mut rules: Vec<(Option<u64>, Rule)> = Vec::new();
        let (mut columns, mut keys) = (Map::new(), Vec::new());
        for property in object["properties"].as_array().into_iter().flatten() {
            let Some(column) = property["name"].as_str() else {
                self.skip(&path, "a property has no name");
                continue;
            };
            let at = format!("{path}.{column}");
            self.name_others(&at, property, &PROPERTY);
            let kind = column_type(property["physicalType"].as_str(), property["logicalType"].as_str());
            let Some(kind) = kind else {
                self.skip(&at, &format!("columns of type {} are not stored", property["logicalType"]));
                continue;
            };
            let mut written = own(property);
            written.insert("type".to_owned(), json!(kind));
            written.insert("nullable".to_owned(), json!(property["required"] != true));
            columns.insert(column.to_owned(), Value::Object(written));
            if property["primaryKey"] == true {
                keys.push((property["primaryKeyPosition"].as_i64().unwrap_or(i64::MAX), column.to_owned()));
            }
            self.rules_of(&at, property, Some(column), &mut rules);
            self.options(&at, column, property, kind, &mut rules);
        }
        self.rules_of(&path, object, None, &mut rules);
        keys.sort();
        let keys: Vec<String> = keys.into_iter().map(|(_, column)| column).collect();
        let mut written = own(object);
        if let Some(description) = object["description"].as_str().filter(|text| !text.trim().is_empty()) {
            written.insert("description".to_owned(), description.into());
        }
        let source = self.source(name, written, columns, keys)?;
        rules.retain(|(_, rule)| match rule.columns().into_iter().find(|c| !source.columns.contains_key(*c)) {
            Some(column) => {
                self.not_taken.push(format!("{path}.quality.{}: there is no column {column}", rule.id));
                false
            }
            None => true,
        });
        // Rules of ours return to their places; others follow in the order in which they stand.
        rules.sort_by_key(|(place, _)| place.unwrap_or(u64::MAX));
        if !rules.is_empty() {
            self.quality.insert(name.clone(), distinct(rules.into_iter().map(|(_, rule)| rule).collect()));
        }
        self.sources.insert(name.clone(), source);
        Ok(())
    }

    fn source(
        &mut self,
        name: &SourceName,
        mut written: Map<String, Value>,
        columns: Map<String, Value>,
        keys: Vec<String>,
    ) -> Result<Source, QualityError> {
        if !written.contains_key("event_time") {
            let instant =
                |column: &Value| column["type"] == json!(ColumnType::Timestamp) && column["nullable"] == false;
            let first = columns.iter().find(|(_, column)| instant(column)).map(|(column, _)| column.clone());
            let none = || QualityError::Contract(format!("{name} has no required timestamp to be its event time"));
            let first = first.ok_or_else(none)?;
            self.assumed.push(format!("sources.{name}.event_time: {first}, the first required timestamp"));
            written.insert("event_time".to_owned(), first.into());
        }
        written.insert("key".to_owned(), json!(keys));
        written.insert("columns".to_owned(), Value::Object(columns));
        serde_json::from_value(Value::Object(written)).map_err(|e| QualityError::Contract(format!("{name}: {e}")))
    }

    fn rules_of(&mut self, path: &str, of: &Value, column: Option<&str>, rules: &mut Vec<(Option<u64>, Rule)>) {
        for (nth, check) in of["quality"].as_array().into_iter().flatten().enumerate() {
            match rule_of(check, column) {
                Ok((rule, place)) => rules.push((place, rule)),
                Err(why) => {
                    let name = check["name"].as_str().map_or_else(|| nth.to_string(), str::to_owned);
                    self.skip(&format!("{path}.quality.{name}"), &why);
                }
            }
        }
    }

    /// Options of the logical type, which are rules too.
    fn options(
        &mut self,
        path: &str,
        column: &str,
        property: &Value,
        kind: ColumnType,
        rules: &mut Vec<(Option<u64>, Rule)>,
    ) {
        let mut add = |check: Check| {
            let id = format!("{column}-{}", check.kind().key).replace('_', "-");
            rules.push((None, Rule::new(id, check)));
        };
        if property["unique"] == true {
            add(Check::Unique(vec![column.to_owned()]));
        }
        let Some(options) = property["logicalTypeOptions"].as_object() else {
            return;
        };
        let number = |key: &str| options.get(key).and_then(Value::as_f64);
        let bounds = |min: &str, max: &str| {
            let (min, max) = (number(min), number(max));
            (min.is_some() || max.is_some()).then(|| RangeRule { column: column.to_owned(), min, max })
        };
        let is_number = !matches!(kind, ColumnType::String | ColumnType::Timestamp | ColumnType::Boolean);
        let mut read = Vec::new();
        if let Some(rule) = bounds("minimum", "maximum").filter(|_| is_number) {
            add(Check::Range(rule));
            read.extend(["minimum", "maximum"]);
        }
        if let Some(rule) = bounds("minLength", "maxLength").filter(|_| kind == ColumnType::String) {
            add(Check::Length(rule));
            read.extend(["minLength", "maxLength"]);
        }
        if let Some(pattern) = options.get("pattern").and_then(Value::as_str) {
            add(Check::Regex(RegexRule { column: column.to_owned(), pattern: pattern.to_owned() }));
            read.push("pattern");
        }
        let format = options.get("format").and_then(Value::as_str).filter(|_| kind == ColumnType::String);
        let check = match format {
            Some("email") => Some(Check::Email(column.to_owned())),
            Some("uri") => Some(Check::Url(column.to_owned())),
            Some("uuid") => Some(Check::Uuid(column.to_owned())),
            Some("hostname") => Some(Check::Hostname(column.to_owned())),
            Some("ipv4" | "ipv6") => Some(Check::Ip(column.to_owned())),
            _ => None,
        };
        if let Some(check) = check {
            add(check);
            read.push("format");
        }
        for key in options.keys().filter(|key| !read.contains(&key.as_str())) {
            self.skip(&format!("{path}.logicalTypeOptions.{key}"), "has no counterpart");
        }
    }

    /// The team owns the sources that name no owner of their own. Its members have no counterpart.
    fn owned(&mut self, team: &Value) {
        if team.is_null() {
            return;
        }
        let Some(name) = team["name"].as_str().filter(|name| !name.trim().is_empty()) else {
            return self.skip("team", "has no name to be the owner of the sources");
        };
        for source in self.sources.values_mut() {
            source.owner.get_or_insert_with(|| name.to_owned());
        }
        for key in team.as_object().into_iter().flat_map(Map::keys).filter(|key| *key != "name") {
            self.not_taken.push(format!("team.{key}: has no counterpart"));
        }
    }

    /// A promise of freshness, or how often rows come; every other agreement is named.
    fn agreed(&mut self, agreed: &Value) {
        let what = agreed["property"].as_str().unwrap_or_default();
        let path = format!("slaProperties.{what}");
        if !matches!(what, "latency" | "freshness" | "frequency") {
            self.skip(&path, "has no counterpart");
            return;
        }
        let length = agreed["value"].as_f64().zip(agreed["unit"].as_str().and_then(unit));
        let element = agreed["element"].as_str().unwrap_or_default();
        let source = element.split('.').next().unwrap_or_default();
        let only = self.sources.len() == 1;
        let source = self.sources.iter_mut().find(|(name, _)| name.as_str() == source || only);
        match (length, source) {
            (Some((value, unit)), Some((_, source))) => {
                let span = Some(Span::from_millis((value * unit as f64) as i64));
                match what {
                    "frequency" => source.cadence = span,
                    _ => source.fresh_within = span,
                }
            }
            _ => self.skip(&path, "value, unit and the element it is about are needed"),
        }
    }
}

/// What stands in our own custom property.
fn own(of: &Value) -> Map<String, Value> {
    custom(of, OWN).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Gives rules of one name numbers.
fn distinct(mut rules: Vec<Rule>) -> Vec<Rule> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for rule in &mut rules {
        let times = seen.entry(rule.id.clone()).or_default();
        *times += 1;
        if *times > 1 {
            rule.id = format!("{}-{times}", rule.id);
        }
    }
    rules
}
