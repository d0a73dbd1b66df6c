//! Rules in words, for pages and reports.

use super::{Check, Rule};
use serde_json::Value;

impl Rule {
    /// The rule without its name, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut text = self.check.in_words();
        if let Some(when) = &self.when {
            text.push_str(&format!(", when {when}"));
        }
        if let Some(mostly) = self.mostly {
            text.push_str(&format!(", for {} % of rows", 100.0 * mostly));
        }
        text
    }

    /// Whether the rule names the column; expressions are looked at as text.
    #[must_use]
    pub fn concerns(&self, column: &str) -> bool {
        let word = |c: char| !(c.is_alphanumeric() || c == '_');
        self.columns().contains(&column)
            || self.conditions().into_iter().any(|text| text.split(word).any(|part| part == column))
    }
}

impl Check {
    fn in_words(&self) -> String {
        let end = |end: Option<f64>| end.map_or_else(|| "–".to_owned(), |end| end.to_string());
        match self {
            Self::NotNull(column) => format!("{column} is present"),
            Self::Range(rule) => format!("{} from {} to {}", rule.column, end(rule.min), end(rule.max)),
            Self::InSet(rule) => format!("{} among {}", rule.column, rule.values.join(", ")),
            Self::Regex(rule) => format!("{} matches {}", rule.column, rule.pattern),
            Self::Unique(columns) => format!("{} once", columns.join(", ")),
            Self::Expr(text) => text.clone(),
            other => other.by_key(),
        }
    }

    /// Kind, columns and whatever else was said.
    fn by_key(&self) -> String {
        let kind = self.kind().key.replace('_', " ");
        let written = serde_json::to_value(self).unwrap_or_default();
        let params = written.as_object().and_then(|map| map.values().next());
        let others: Vec<String> = match params {
            Some(Value::Object(params)) => params
                .iter()
                .filter(|(key, value)| !value.is_null() && !matches!(key.as_str(), "column" | "counts" | "edges"))
                .map(|(key, value)| format!("{} {}", key.replace('_', " "), plain(value)))
                .collect(),
            Some(Value::Array(columns)) => columns.iter().map(plain).collect(),
            _ => Vec::new(),
        };
        let column = match params {
            Some(Value::Object(params)) => params.get("column").map(plain).unwrap_or_default(),
            Some(Value::String(column)) => column.clone(),
            _ => String::new(),
        };
        format!("{column} {kind} {}", others.join(", ")).trim().to_owned()
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A value as one line of YAML, in flow style, as project files have rules.
#[must_use]
pub fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let field =
                |(key, value): (&String, &Value)| format!("{}: {}", flow(&Value::from(key.as_str())), flow(value));
            let written: Vec<String> = fields.iter().filter(|(_, value)| !value.is_null()).map(field).collect();
            format!("{{{}}}", written.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether YAML reads the text as itself without quotes.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

impl Rule {
    /// The rule as one line of YAML, as it stands in a project file.
    #[must_use]
    pub fn to_line(&self) -> String {
        flow(&serde_json::to_value(self).unwrap_or_default())
    }
}
