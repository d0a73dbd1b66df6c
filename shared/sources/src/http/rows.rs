//! A body into rows, each with its position in the body, and the cursor of the next page.

use crate::error::{Fault, FaultKind};
use crate::files::{Scratch, read};
use crate::text::Rules;
use serde_json::Value;
use tidemill_spec::{HttpOrigin, Paging, RowFormat};

/// What a body holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// One JSON object a row, on one line.
    pub(super) lines: Vec<Vec<u8>>,
    /// Cursor of the next page, when paging is by cursor and there is one.
    pub(super) cursor: Option<String>,
}

/// Reads a body.
pub(super) fn read(body: &[u8], origin: &HttpOrigin, rules: &Rules) -> Result<Held, Fault> {
    match origin.format {
        RowFormat::Json => document(body, origin, rules),
        format => Ok(Held { lines: lines(body, format, rules)?, cursor: None }),
    }
}

fn document(body: &[u8], origin: &HttpOrigin, rules: &Rules) -> Result<Held, Fault> {
    let no_json = |e: serde_json::Error| {
        let reason = format!("the body is no JSON: {e}");
        Fault::new(FaultKind::Json, reason, "see what the interface answers, and set from.http.format").sample(body)
    };
    let mut document: Value = serde_json::from_slice(body).map_err(no_json)?;
    let cursor = match &origin.paging {
        Paging::Cursor { field, .. } => match document.pointer(field) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        },
        _ => None,
    };
    let rows = match document.pointer_mut(&origin.rows).map(Value::take) {
        Some(Value::Array(rows)) => rows,
        Some(row @ Value::Object(_)) => vec![row],
        found => {
            let found = if found.is_some() { "holds no rows" } else { "does not exist" };
            let reason = format!("\"{}\" {found} in the body", origin.rows);
            let mend = "set from.http.rows to the JSON pointer of the array of rows";
            return Err(Fault::new(FaultKind::Schema, reason, mend).sample(body));
        }
    };
    let plain = rules.is_plain();
    let lines = rows.into_iter().map(|mut row| {
        if !plain {
            rules.rewrite(&mut row);
        }
        row.to_string().into_bytes()
    });
    Ok(Held { lines: lines.collect(), cursor })
}

fn lines(body: &[u8], format: RowFormat, rules: &Rules) -> Result<Vec<Vec<u8>>, Fault> {
    let scratch = Scratch::of(body, None)
        .map_err(|e| Fault::new(FaultKind::Damaged, e.to_string(), "see the disk of this machine"))?;
    let mut lines = Vec::new();
    read::rows(&scratch, format, rules, 0, &mut |piece| {
        let rows = piece.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.extend(rows.map(<[u8]>::to_vec));
        true
    })?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;
    use tidemill_spec::Source;

    fn held(body: &str, origin: Value) -> Result<Held, Fault> {
        let mut all = json!({"url": "https://h.test/"});
        all.as_object_mut().unwrap().extend(origin.as_object().unwrap().clone());
        let origin: HttpOrigin = serde_json::from_value(all).unwrap();
        let columns = json!({"n": {"type": "int64"}, "at": {"type": "timestamp"}});
        let source: Source =
            serde_json::from_value(json!({"key": ["n"], "event_time": "at", "columns": columns})).unwrap();
        read(body.as_bytes(), &origin, &Rules::new(&source, &origin.text))
    }

    #[test]
    fn rows_are_found_where_the_pointer_says() {
        let paging = json!({"rows": "/data/items", "paging": {"cursor": {"field": "/next", "param": "c"}}});
        let found = held(r#"{"next": "abc", "data": {"items": [{"n": 1}, {"n": 2}]}}"#, paging.clone()).unwrap();
        assert_eq!((found.lines.len(), found.cursor.as_deref()), (2, Some("abc")));
        let last = held(r#"{"next": null, "data": {"items": []}}"#, paging.clone()).unwrap();
        assert_eq!(last, Held::default());
        assert_eq!(held(r#"{"n": 1}"#, json!({})).unwrap().lines, [br#"{"n":1}"#.to_vec()]);
        assert_eq!(held("{}", paging).unwrap_err().kind, FaultKind::Schema);
        assert_eq!(held("<html>", json!({})).unwrap_err().kind, FaultKind::Json);
    }

    #[test]
    fn csv_and_json_lines_are_bodies_too() {
        let csv = held("n,at\n1,2024-01-01T00:00:00Z\n", json!({"format": "csv"})).unwrap();
        assert_eq!(csv.lines, [br#"{"n":1,"at":"2024-01-01T00:00:00Z"}"#.to_vec()]);
        assert_eq!(held("{\"n\":1}\n{\"n\":2}\n", json!({"format": "jsonl"})).unwrap().lines.len(), 2);
    }
}
