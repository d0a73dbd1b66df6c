//! One rule as a quality check of the standard, and back.

use super::{ENGINE, PLACE};
use serde_json::{Map, Value, json};
use tidemill_spec::{Check, CountRule, Dimension, RangeRule, RegexRule, Rule, SetRule, Severity};

/// The check that says what a rule says.
pub(super) fn check_of(rule: &Rule, place: usize) -> Value {
    let mut check = metric_of(rule).unwrap_or_else(|| custom_of(rule));
    check["name"] = rule.id.as_str().into();
    check["dimension"] = dimension(rule.check.kind().dimension).into();
    check["severity"] = serde_json::to_value(rule.on_fail).unwrap_or_default();
    check["customProperties"] = json!([{"property": PLACE, "value": place}]);
    check
}

fn dimension(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Accuracy => "accuracy",
        Dimension::Completeness => "completeness",
        Dimension::Consistency => "consistency",
        Dimension::Timeliness => "timeliness",
    }
}

/// A metric of the standard's library, where one says exactly the same.
fn metric_of(rule: &Rule) -> Option<Value> {
    if rule.when.is_some() || rule.mostly.is_some() {
        return None;
    }
    Some(match &rule.check {
        Check::NotNull(_) => json!({"type": "library", "metric": "nullValues", "mustBe": 0}),
        Check::Unique(columns) => json!({
            "type": "library", "metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": columns},
        }),
        Check::InSet(set) => json!({
            "type": "library", "metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": set.values},
        }),
        Check::Regex(regex) => json!({
            "type": "library", "metric": "invalidValues", "mustBe": 0, "arguments": {"pattern": regex.pattern},
        }),
        Check::RowCount(CountRule { min: Some(min), max: None }) => {
            json!({"type": "library", "metric": "rowCount", "mustBeGreaterOrEqualTo": min})
        }
        Check::RowCount(CountRule { min: None, max: Some(max) }) => {
            json!({"type": "library", "metric": "rowCount", "mustBeLessOrEqualTo": max})
        }
        // The standard asks for two different numbers.
        Check::RowCount(CountRule { min: Some(min), max: Some(max) }) if min < max => {
            json!({"type": "library", "metric": "rowCount", "mustBeBetween": [min, max]})
        }
        _ => return None,
    })
}

/// A check of our own engine: the rule without its name and severity.
fn custom_of(rule: &Rule) -> Value {
    let mut written = serde_json::to_value(rule).unwrap_or_default();
    if let Some(fields) = written.as_object_mut() {
        fields.remove("id");
        fields.remove("on_fail");
    }
    json!({"type": "custom", "engine": ENGINE, "implementation": written})
}

/// Keys of a check that are read; every other is named as not taken.
const READ: [&str; 18] = [
    "id",
    "name",
    "type",
    "metric",
    "arguments",
    "unit",
    "engine",
    "implementation",
    "severity",
    "dimension",
    "customProperties",
    "mustBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "description",
];

/// The rule that says what a check says, and its place when it has one; or why there is none. `column` is the
/// property it stands at.
pub(super) fn rule_of(check: &Value, column: Option<&str>) -> Result<(Rule, Option<u64>), String> {
    let text = |key: &str| check.get(key).and_then(Value::as_str);
    let kind = text("type").unwrap_or("library");
    let found = match kind {
        "library" => library(check, column)?,
        "custom" if text("engine") == Some(ENGINE) => {
            let written = check.get("implementation").cloned().unwrap_or_default();
            let mut rule = written.as_object().cloned().ok_or("its implementation is no rule")?;
            rule.insert("id".to_owned(), Value::from("?"));
            serde_json::from_value::<Rule>(Value::Object(rule)).map_err(|e| format!("its rule is not known: {e}"))?
        }
        "custom" => return Err(format!("it is for the engine {}", text("engine").unwrap_or("(none)"))),
        other => return Err(format!("checks of type {other} are not run")),
    };
    if let Some(key) = check.as_object().and_then(|c| c.keys().find(|key| !READ.contains(&key.as_str()))) {
        return Err(format!("its key {key} has no counterpart"));
    }
    let place = custom(check, PLACE).and_then(Value::as_u64);
    let fallback = || format!("{}-{}", column.unwrap_or("rows"), found.check.kind().key).replace('_', "-");
    let id = text("name").or_else(|| text("id")).map_or_else(fallback, |name| name.replace(',', " "));
    let on_fail = match text("severity") {
        Some("quarantine") => Severity::Quarantine,
        Some("block" | "error" | "critical" | "fatal") => Severity::Block,
        _ => Severity::Warn,
    };
    Ok((Rule { id, on_fail, ..found }, place))
}

/// A custom property by name.
pub(super) fn custom<'a>(of: &'a Value, name: &str) -> Option<&'a Value> {
    let list = of.get("customProperties")?.as_array()?;
    list.iter().find(|property| property["property"] == name).map(|property| &property["value"])
}

fn library(check: &Value, column: Option<&str>) -> Result<Rule, String> {
    let none = Map::new();
    let arguments = check.get("arguments").and_then(Value::as_object).unwrap_or(&none);
    let metric = check.get("metric").and_then(Value::as_str).unwrap_or_default();
    let here = || column.map(str::to_owned).ok_or_else(|| format!("{metric} needs a property"));
    let check = match metric {
        "nullValues" => match (is_zero(check), percent(check)) {
            (true, _) => Check::NotNull(here()?),
            (false, Some(most)) => Check::NullShare(RangeRule { column: here()?, min: None, max: Some(most) }),
            _ => return Err("nullValues is read with mustBe 0, or in percent with mustBeLessOrEqualTo".to_owned()),
        },
        "duplicateValues" if is_zero(check) => match arguments.get("properties") {
            Some(list) => Check::Unique(serde_json::from_value(list.clone()).map_err(|e| e.to_string())?),
            None => Check::Unique(vec![here()?]),
        },
        "invalidValues" if is_zero(check) => match (arguments.get("validValues"), arguments.get("pattern")) {
            (Some(values), None) => {
                let rule = json!({"column": here()?, "values": values});
                Check::InSet(serde_json::from_value::<SetRule>(rule).map_err(|e| e.to_string())?)
            }
            (None, Some(Value::String(pattern))) => {
                Check::Regex(RegexRule { column: here()?, pattern: pattern.clone() })
            }
            _ => return Err("invalidValues is read with validValues or with a pattern".to_owned()),
        },
        "rowCount" => Check::RowCount(rows(check).ok_or("the bounds of rowCount are whole numbers, both included")?),
        "duplicateValues" | "invalidValues" => return Err(format!("{metric} is read with mustBe 0")),
        other => return Err(format!("there is no counterpart of the metric \"{other}\"")),
    };
    Ok(Rule::new("?", check))
}

fn is_zero(check: &Value) -> bool {
    check.get("mustBe").and_then(Value::as_f64) == Some(0.0)
}

fn percent(check: &Value) -> Option<f64> {
    (check.get("unit")? == "percent").then(|| check.get("mustBeLessOrEqualTo")?.as_f64()).flatten().map(|p| p / 100.0)
}

fn rows(check: &Value) -> Option<CountRule> {
    let whole = |key: &str| check.get(key).map(Value::as_u64);
    if let Some(pair) = check.get("mustBeBetween").and_then(Value::as_array) {
        return Some(CountRule { min: Some(pair.first()?.as_u64()?), max: Some(pair.get(1)?.as_u64()?) });
    }
    let (low, high) = (whole("mustBeGreaterOrEqualTo"), whole("mustBeLessOrEqualTo"));
    let (above, below) = (whole("mustBeGreaterThan"), whole("mustBeLessThan"));
    match (low, high, above, below, whole("mustBe")) {
        (Some(min), None, None, None, None) => Some(CountRule { min: Some(min?), max: None }),
        (None, Some(max), None, None, None) => Some(CountRule { min: None, max: Some(max?) }),
        (None, None, Some(min), None, None) => Some(CountRule { min: Some(min?.checked_add(1)?), max: None }),
        (None, None, None, Some(max), None) => Some(CountRule { min: None, max: Some(max?.checked_sub(1)?) }),
        (None, None, None, None, Some(rows)) => Some(CountRule { min: Some(rows?), max: Some(rows?) }),
        _ => None,
    }
}
