//! What is masked in rows as JSON, and how bytes are shown that may be rows and may be anything.

use crate::class::{Declaration, PiiClass};
use crate::error::PrivacyError;
use crate::mask::{HIDDEN, Masks};
use crate::value::examine;
use crate::verdict::{ColumnView, classify};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidemill_types::columns;

/// Rows in which it is looked for what looks personal.
pub const LOOKED_AT: usize = 1_000;

impl Masks {
    /// The columns that are declared personal.
    #[must_use]
    pub fn declared(declared: &BTreeMap<String, Declaration>) -> Self {
        declared.iter().filter_map(|(name, said)| Some((name.clone(), said.class()?))).collect()
    }

    /// What is masked in rows as they were sent: the columns that are declared personal, and, of those of which nothing is
    /// declared, such as look so or have a single value with the form of a personal one. The first [`LOOKED_AT`] rows
    /// are looked at; lists of rows count as their rows.
    ///
    /// # Errors
    /// Arrow cannot write the values of a column as text.
    pub fn of_rows(declared: &BTreeMap<String, Declaration>, rows: &[Value]) -> Result<Self, PrivacyError> {
        let objects: Vec<&Map<String, Value>> = rows.iter().flat_map(objects).take(LOOKED_AT).collect();
        let names: BTreeSet<&String> =
            objects.iter().flat_map(|row| row.keys()).filter(|name| !name.starts_with(columns::PREFIX)).collect();
        let cells = |name: &str| objects.iter().map(|row| row.get(name).and_then(text)).collect::<StringArray>();
        let arrays: Vec<(&str, ArrayRef)> =
            names.into_iter().map(|name| (name.as_str(), Arc::new(cells(name)) as ArrayRef)).collect();
        let mut masks = Self::found(declared, arrays.iter().map(|(name, values)| (*name, values)))?;
        // Refused events are few, and hold what their columns should not: nested values, and texts of another kind.
        let strays = objects.iter().flat_map(|row| row.iter()).filter(|(name, cell)| {
            let is_looked_at = !name.starts_with(columns::PREFIX) && !declared.contains_key(*name);
            let is_text = matches!(cell, Value::String(_) | Value::Object(_) | Value::Array(_));
            is_looked_at && is_text && text(cell).is_some_and(|text| shows_a_person(&text))
        });
        masks.extend(strays.map(|(name, _)| (name.clone(), PiiClass::FreeText)).collect());
        Ok(masks)
    }

    /// What is masked in the rows of a table: the columns that are declared personal, and those that look so in a sample
    /// and of which nothing is declared.
    ///
    /// # Errors
    /// As [`Masks::of_rows`].
    pub fn of_columns(declared: &BTreeMap<String, Declaration>, rows: &RecordBatch) -> Result<Self, PrivacyError> {
        let schema = rows.schema_ref();
        let all = schema.fields().iter().map(|field| field.name().as_str()).zip(rows.columns());
        Self::found(declared, all.filter(|(name, _)| !name.starts_with(columns::PREFIX)))
    }

    fn found<'a>(
        declared: &BTreeMap<String, Declaration>,
        columns: impl Iterator<Item = (&'a str, &'a ArrayRef)>,
    ) -> Result<Self, PrivacyError> {
        let said = |name: &str| declared.get(name).copied();
        let views: Vec<ColumnView<'_>> =
            columns.map(|(name, values)| ColumnView { name, values, declared: said(name) }).collect();
        let suspicious = classify(&views, 0)?.into_iter().filter(|verdict| verdict.is_suspicious());
        let mut masks = Self::declared(declared);
        masks.extend(suspicious.filter_map(|verdict| Some((verdict.column, verdict.class?))).collect());
        Ok(masks)
    }

    /// The body of a message as it may be shown, at most so many characters of it. Rows are masked, one a line or in a
    /// list; what is no row is hidden where any column is masked, as nobody knows which value belongs to which, and where
    /// a value in it has the form of a personal one.
    #[must_use]
    pub fn body(&self, text: &str, most: usize) -> String {
        let cut = |text: &str| text.chars().take(most).collect::<String>();
        if let Some(mut value) = read(text) {
            if self.is_empty() {
                return cut(text);
            }
            self.json(&mut value);
            return cut(&value.to_string());
        }
        let line = |line: &str| match read(line) {
            Some(_) => self.line(line),
            None if line.trim().is_empty() => String::new(),
            None if self.is_empty() && !shows_a_person(line) => line.to_owned(),
            None => HIDDEN.to_owned(),
        };
        cut(text).lines().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Masks an event in place: rows, or the text that stands for what could not be read as such.
    pub fn event(&self, event: &mut Value) {
        match event {
            Value::String(text) => *text = self.body(text, usize::MAX),
            Value::Array(rows) => rows.iter_mut().for_each(|row| self.event(row)),
            row => self.json(row),
        }
    }
}

/// The rows in the body of a message: an object, a list of them, or one a line.
#[must_use]
pub fn rows_of(body: &str) -> Vec<Value> {
    read(body).map_or_else(|| body.lines().filter_map(read).take(LOOKED_AT).collect(), |value| vec![value])
}

/// JSON that is a row or a list of rows.
fn read(text: &str) -> Option<Value> {
    let value = serde_json::from_str::<Value>(text).ok()?;
    let is_rows = match &value {
        Value::Object(_) => true,
        Value::Array(rows) => rows.iter().all(Value::is_object),
        _ => false,
    };
    is_rows.then_some(value)
}

/// The rows in a value: itself, or those of a list.
fn objects(value: &Value) -> Vec<&Map<String, Value>> {
    match value {
        Value::Object(row) => vec![row],
        Value::Array(rows) => rows.iter().filter_map(Value::as_object).collect(),
        _ => Vec::new(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Whether a text that is no row has a value in it whose form other data seldom has.
fn shows_a_person(text: &str) -> bool {
    let found = |piece: &str| {
        let found = examine(piece);
        found.is_email || found.is_iban || found.is_card || found.is_phone || found.text_contains.is_some()
    };
    let pieces = text.split(['"', '\'', '{', '}', '[', ']', ',', ';', '<', '>', '=', '\\']);
    let mut pieces = pieces.filter(|piece| !piece.trim().is_empty());
    found(text) || pieces.any(|piece| found(piece) || piece.split_whitespace().any(found))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn found(rows: &[Value]) -> Masks {
        Masks::of_rows(&BTreeMap::new(), rows).unwrap()
    }

    #[test]
    fn what_looks_personal_is_masked_though_nobody_has_declared_it() {
        let rows: Vec<Value> =
            (0..30).map(|n| json!({"email": format!("p{n}@example.org"), "n": n, "tm_event_id": "a@b.de"})).collect();
        assert_eq!(found(&rows).columns().collect::<Vec<_>>(), ["email"]);
        let looked = [("email".to_owned(), Declaration::None)].into_iter().collect();
        assert!(Masks::of_rows(&looked, &rows).unwrap().is_empty(), "what somebody looked at is not doubted");
    }

    #[test]
    fn values_of_persons_where_none_are_expected_are_hidden() {
        let rest = json!({"n": 4_111_111_111_111_111_u64, "at": "2013-02-01T06:00:00Z", "where": {"room": 4}});
        let strays = [json!({"mail": ["anna@example.org"]}), json!("anna@example.org 2013-02-01")];
        for stray in strays {
            let mut event = rest.clone();
            event["who"] = stray;
            found(&[event.clone()]).event(&mut event);
            assert_eq!(event["who"], "***");
            assert_eq!((&event["at"], &event["where"]), (&rest["at"], &rest["where"]), "{event}");
        }
    }

    #[test]
    fn bytes_are_hidden_unless_they_are_rows_or_speak_of_nobody() {
        let masks = found(&[json!({"email": "anna@example.org"})]);
        assert_eq!(
            masks.body("{\"email\":\"anna@example.org\"}\n\n{\"email\":\"x", 99),
            "{\"email\":\"a***@***.org\"}\n\n***"
        );
        assert_eq!(masks.body("[{\"email\":\"anna@example.org\"}]", 12), "[{\"email\":\"a");
        let nothing = Masks::default();
        for text in [
            "{\"n\":1,\"to\":\"anna@example.org\"",
            "[\"anna@example.org\"]",
            "\"anna@example.org\"",
            "n,anna@example.org",
        ] {
            assert_eq!(nothing.body(text, 99), "***", "{text}");
        }
        assert_eq!(
            nothing.body("{\"humid\": 120.0, \"at\": \"2013-02-01", 99),
            "{\"humid\": 120.0, \"at\": \"2013-02-01"
        );
    }

    #[test]
    fn rows_are_found_in_bodies_of_every_form() {
        assert_eq!(rows_of("{\"a\":1}\n{\"a\":\n{\"a\":2}"), [json!({"a": 1}), json!({"a": 2})]);
        assert_eq!(rows_of("[{\"a\":1},{\"a\":2}]"), [json!([{"a": 1}, {"a": 2}])]);
        assert!(rows_of("[1]").is_empty() && rows_of("").is_empty());
    }
}
