//! Rows as people see them: personal data is masked unless it is asked for, and asking is noted.

use super::output::say;
use super::target::Target;
use crate::error::Result;
use arrow::array::{ArrayRef, StringArray};
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidemill_privacy::{ColumnView, HIDDEN, Masks, PrivacyError, classify};
use tidemill_runtime::Teller;
use tidemill_spec::Source;
use tidemill_types::{Millis, columns};

/// Rows of an answer from which masks are found.
const LOOKED_AT: usize = 1_000;

/// Whether personal data is shown.
#[derive(Clone, Debug, Args)]
pub(super) struct Unmask {
    /// Show personal data as it is; the audit log of the instance notes who asked for what.
    #[arg(long)]
    unmask: bool,
    /// Who, for the audit.
    #[arg(long, env = "USER", default_value = "unknown", hide_env_values = true, value_name = "NAME")]
    by: String,
}

impl Unmask {
    /// What is masked in `rows`: the columns that the project calls personal, and those that look so and about which it
    /// says nothing. With `--unmask` nothing is, and the audit log notes it.
    pub(super) async fn masks(
        &self,
        target: &Target,
        what: &str,
        declared: Option<&Source>,
        rows: &[Value],
    ) -> Result<Masks> {
        self.asked(target, what, masks(declared, rows)?).await
    }

    /// The same where what is masked has been found already.
    pub(super) async fn asked(&self, target: &Target, what: &str, masks: Masks) -> Result<Masks> {
        if !self.unmask || masks.is_empty() {
            return Ok(masks);
        }
        note(target, what, &self.by, &masks).await?;
        Ok(Masks::default())
    }

    /// The same for a stream of rows, which is noted once, before the first row.
    pub(super) async fn begin(&self, target: &Target, what: &str, declared: &Source) -> Result<Stream> {
        if self.unmask {
            note(target, what, &self.by, &declared.masks()).await?;
        }
        Ok(Stream { unmask: self.unmask, declared: declared.clone() })
    }
}

/// Rows that come one after another.
pub(super) struct Stream {
    unmask: bool,
    declared: Source,
}

impl Stream {
    /// Masks the rows in `field` of each.
    pub(super) fn mask(&self, rows: &mut [Value], field: &str) -> Result<()> {
        if self.unmask {
            return Ok(());
        }
        let inner: Vec<Value> = rows.iter().filter_map(|row| row.get(field).cloned()).collect();
        let masks = masks(Some(&self.declared), &inner)?;
        for cell in rows.iter_mut().filter_map(|row| row.get_mut(field)) {
            masks.json(cell);
        }
        Ok(())
    }
}

/// Masks by the project and by the look of the values.
pub(super) fn masks(declared: Option<&Source>, rows: &[Value]) -> Result<Masks> {
    let mut masks = declared.map(Source::masks).unwrap_or_default();
    let objects: Vec<&Map<String, Value>> = rows.iter().flat_map(objects).take(LOOKED_AT).collect();
    let names: BTreeSet<&String> =
        objects.iter().flat_map(|row| row.keys()).filter(|name| !name.starts_with(columns::PREFIX)).collect();
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let arrays: Vec<(&String, ArrayRef)> = names
        .into_iter()
        .map(|name| {
            let cells: StringArray = objects.iter().map(|row| row.get(name).and_then(text)).collect();
            (name, Arc::new(cells) as ArrayRef)
        })
        .collect();
    let said = |name: &str| declared.and_then(|source| source.columns.get(name)?.pii);
    let views: Vec<ColumnView<'_>> =
        arrays.iter().map(|(name, values)| ColumnView { name, values, declared: said(name) }).collect();
    let verdicts = classify(&views, 0).map_err(PrivacyError::from)?;
    let suspicious = verdicts.into_iter().filter(|verdict| verdict.is_suspicious());
    masks.extend(suspicious.filter_map(|verdict| Some((verdict.column, verdict.class?))).collect());
    Ok(masks)
}

/// The rows in a value: itself, or those of a list.
fn objects(value: &Value) -> Vec<&Map<String, Value>> {
    match value {
        Value::Object(row) => vec![row],
        Value::Array(rows) => rows.iter().filter_map(Value::as_object).collect(),
        _ => Vec::new(),
    }
}

/// Masks the event and the bytes of a dead letter. A body that is no JSON is hidden, as its columns are not known.
pub(super) fn letter(masks: &Masks, shown: &mut Value) {
    if masks.is_empty() {
        return;
    }
    let Some(fields) = shown.as_object_mut() else { return };
    if let Some(event) = fields.get_mut("event") {
        masks.json(event);
    }
    if let Some(Value::String(body)) = fields.get_mut("body") {
        *body = match serde_json::from_str::<Value>(body) {
            Ok(_) => masks.line(body),
            Err(_) => body.lines().map(|line| masks.line(line)).collect::<Vec<_>>().join("\n"),
        };
    }
    if let Some(body) = fields.get_mut("body_base64") {
        *body = HIDDEN.into();
    }
}

/// Notes in the audit log that personal data was shown.
async fn note(target: &Target, what: &str, by: &str, masks: &Masks) -> Result<()> {
    let bus = match target.bus().await {
        Ok(bus) => bus,
        Err(error) if target.instance.is_some() => return Err(error),
        Err(_) => {
            say("no instance runs here, so there is no audit log to note this in");
            return Ok(());
        }
    };
    let project = target.project().await?;
    let entry = json!({
        "action": "unmask",
        "what": what,
        "columns": masks.columns().collect::<Vec<_>>(),
        "by": by,
        "at": Millis(chrono::Utc::now().timestamp_millis()).to_string(),
    });
    Ok(Teller { role: "tidemill", bus: &bus, project: &project }.audit(None, &entry).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_personal_is_masked_though_nobody_has_declared_it() {
        let rows: Vec<Value> =
            (0..30).map(|n| json!({"email": format!("p{n}@example.org"), "n": n, "tm_event_id": "a@b.de"})).collect();
        let masks = masks(None, &rows).unwrap();
        assert_eq!(masks.columns().collect::<Vec<_>>(), ["email"]);
    }

    #[test]
    fn bytes_of_a_letter_are_hidden_unless_they_are_rows() {
        let masks = masks(None, &[json!({"email": "anna@example.org"})]).unwrap();
        let mut shown = json!({"event": [{"email": "anna@example.org"}], "body": "{\"email\":\"anna@example.org\"}\n{\"email\":\"x", "body_base64": "YW5uYQ=="});
        letter(&masks, &mut shown);
        assert!(!shown.to_string().contains("anna"), "{shown}");
        assert_eq!(shown["event"][0]["email"], "a***@***.org");
    }
}
