//! The texts sent to PostgreSQL, and what identifies a row.
//!
//! Every row comes as one JSON object that the server makes, so the server's own rules decide how a value is written:
//! numbers in full, instants in UTC with all their digits, JSON as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use tidemill_spec::{ColumnType, PostgresOrigin, Source};
use tokio_postgres::SimpleQueryRow;

/// How a session writes values.
pub(super) const SESSION: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET standard_conforming_strings = on; \
     SET extra_float_digits = 1; SET IntervalStyle = 'iso_8601'";

/// An identifier in quotes.
fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A literal in quotes.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `schema.table`, each part in quotes.
fn relation(table: &str) -> String {
    table.split('.').map(name).collect::<Vec<_>>().join(".")
}

/// Asks for the columns of a table with their types.
pub(super) fn columns_of(table: &str) -> String {
    format!(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = {}::regclass AND attnum > 0 AND \
         NOT attisdropped",
        literal(&relation(table))
    )
}

/// A table with how its columns are read.
#[derive(Clone, Debug)]
pub(super) struct Table {
    relation: String,
    cursor: String,
    keys: Vec<String>,
    columns: String,
    overlap: String,
    /// Whether a row has a cursor that others can be compared with.
    usable: String,
}

impl Table {
    /// A table as declared, held against the columns that it has.
    pub(super) fn new(
        origin: &PostgresOrigin,
        source: &Source,
        found: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        if found.is_empty() {
            return Err("the table has no columns, or may not be seen".to_owned());
        }
        let missing: Vec<&str> =
            source.columns.keys().filter(|column| !found.contains_key(*column)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(format!("the table has no columns {}", missing.join(", ")));
        }
        let column = |(declared, column): (&String, &tidemill_spec::Column)| {
            let kind = found.get(declared).map_or("", String::as_str);
            format!("{} AS {}", read_as(declared, column.kind, kind), name(declared))
        };
        let columns = source.columns.iter().map(column).collect::<Vec<_>>().join(", ");
        let overlap = match (origin.overlap, origin.overlap_numbers) {
            (Some(span), _) => format!(" - interval '{} milliseconds'", span.millis()),
            (None, Some(numbers)) => format!(" - {numbers}"),
            (None, None) => String::new(),
        };
        let keys = source.key.iter().filter(|key| **key != origin.cursor).map(|key| name(key)).collect();
        let cursor = name(&origin.cursor);
        // After `infinity` nothing would ever be new.
        let instant = found.get(&origin.cursor).is_some_and(|kind| kind.starts_with("timestamp") || kind == "date");
        let usable = if instant { format!("isfinite({cursor})") } else { format!("{cursor} IS NOT NULL") };
        Ok(Self { relation: relation(&origin.table), cursor, keys, columns, overlap, usable })
    }

    /// Newest cursor, the lower end of the poll after this one, and whether there are rows without a usable cursor.
    pub(super) fn ends(&self) -> String {
        let Self { relation, cursor, overlap, usable, .. } = self;
        format!(
            "SELECT max({cursor})::text, (max({cursor}){overlap})::text, \
             EXISTS (SELECT FROM {relation} WHERE ({usable}) IS NOT TRUE) FROM {relation} WHERE {usable}"
        )
    }

    /// The rows of a poll in order: JSON, whether it lies in the next overlap, cursor, keys.
    pub(super) fn select(&self, low: Option<&str>, high: &str, next_low: &str, after: Option<&[String]>) -> String {
        let order = self.order();
        let texts: String = order.iter().map(|column| format!(", t.{column}::text")).collect();
        let mut text = format!(
            "SELECT (SELECT row_to_json(r) FROM (SELECT {}) r)::text, (t.{c} >= {}){texts} FROM {} t WHERE t.{c} <= {}",
            self.columns,
            literal(next_low),
            self.relation,
            literal(high),
            c = self.cursor,
        );
        // Writing to a string cannot fail.
        if let Some(low) = low {
            let _ = write!(text, " AND t.{} >= {}", self.cursor, literal(low));
        }
        if let Some(after) = after.filter(|after| after.len() == order.len()) {
            let left = order.iter().map(|column| format!("t.{column}")).collect::<Vec<_>>().join(", ");
            let right = after.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", ");
            let _ = write!(text, " AND ({left}) > ({right})");
        }
        let order = order.iter().map(|column| format!("t.{column}")).collect::<Vec<_>>().join(", ");
        let _ = write!(text, " ORDER BY {order}");
        text
    }

    fn order(&self) -> Vec<&String> {
        std::iter::once(&self.cursor).chain(&self.keys).collect()
    }

    /// Cursor and keys of a row.
    pub(super) fn position(&self, row: &SimpleQueryRow) -> Vec<String> {
        (2..2 + self.order().len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect()
    }
}

/// The expression by which a column of the table becomes a value of the declared type.
fn read_as(column: &str, declared: ColumnType, found: &str) -> String {
    let column = format!("t.{}", name(column));
    match (declared, found) {
        (ColumnType::String, _) => format!("{column}::text"),
        // Wall-clock time without a zone is taken for UTC, as everywhere in Tidemill.
        (ColumnType::Timestamp, "timestamp without time zone") => format!("({column} AT TIME ZONE 'UTC')"),
        (ColumnType::Timestamp, "date") => format!("({column}::timestamp AT TIME ZONE 'UTC')"),
        _ => column,
    }
}

/// What identifies a row in its JSON: its keys and its cursor.
#[derive(Clone, Debug)]
pub(super) struct Identity(Vec<String>);

impl Identity {
    pub(super) fn new(source: &Source, cursor: &str) -> Self {
        Self(source.key.iter().cloned().chain([cursor.to_owned()]).collect())
    }

    /// The identity of a row; a line that is no object is its own.
    pub(super) fn of(&self, line: &[u8]) -> Vec<u8> {
        match serde_json::from_slice::<serde_json::Value>(line) {
            Ok(row) => {
                self.0.iter().filter_map(|name| row.get(name)).map(|v| format!("{v}\u{1}")).collect::<String>().into()
            }
            Err(_) => line.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn table(overlap: serde_json::Value) -> Table {
        let source: Source = serde_json::from_value(json!({"key": ["id"], "event_time": "at", "columns": {
            "id": {"type": "int64"}, "at": {"type": "timestamp"}, "no\"te": {"type": "string"}}}))
        .unwrap();
        let mut origin = json!({"host": "h", "database": "d", "user": "u", "table": "public.my table", "cursor": "at"});
        origin.as_object_mut().unwrap().extend(overlap.as_object().unwrap().clone());
        let kinds = [("id", "bigint"), ("at", "timestamp without time zone"), ("no\"te", "jsonb"), ("other", "text")];
        let found = kinds.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        Table::new(&serde_json::from_value(origin).unwrap(), &source, &found).unwrap()
    }

    #[test]
    fn names_and_values_are_quoted() {
        let text = table(json!({})).select(Some("1'; DROP TABLE x; --"), "9", "8", Some(&["7".into(), "6".into()]));
        assert!(
            text.contains(r#"FROM "public"."my table" t WHERE t."at" <= '9' AND t."at" >= '1''; DROP TABLE x; --'"#)
        );
        assert!(text.contains(r#"(t."at", t."id") > ('7', '6') ORDER BY t."at", t."id""#), "{text}");
        assert!(
            text.contains(r#"(t."at" AT TIME ZONE 'UTC') AS "at""#) && text.contains(r#"t."no""te"::text AS "no""te""#)
        );
    }

    #[test]
    fn the_overlap_is_subtracted_by_the_server() {
        let ends = table(json!({"overlap": "5m"})).ends();
        assert!(ends.contains(r#"(max("at") - interval '300000 milliseconds')::text"#), "{ends}");
        assert!(table(json!({})).ends().contains(r#"(max("at"))::text"#));
    }

    #[test]
    fn a_row_is_known_by_keys_and_cursor() {
        let source: Source = serde_json::from_value(json!({"key": ["id"], "event_time": "at", "columns": {
            "id": {"type": "int64"}, "at": {"type": "timestamp"}}}))
        .unwrap();
        let identity = Identity::new(&source, "at");
        assert_eq!(identity.of(br#"{"id":1,"at":"x","v":1}"#), identity.of(br#"{"v":2, "at":"x","id":1}"#));
        assert_ne!(identity.of(br#"{"id":1,"at":"x"}"#), identity.of(br#"{"id":1,"at":"y"}"#));
    }
}
