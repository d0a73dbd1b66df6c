//! Rows as people see them: personal data is masked unless it is asked for, and asking is noted.

use super::output::say;
use super::target::Target;
use crate::error::Result;
use clap::Args;
use serde_json::{Value, json};
use tidemill_privacy::{HIDDEN, Masks};
use tidemill_runtime::Teller;
use tidemill_spec::Source;
use tidemill_types::Millis;

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
    /// What is masked of what was found. With `--unmask` nothing is, and the audit log notes it.
    pub(super) async fn asked(&self, target: &Target, what: &str, masks: Masks) -> Result<Masks> {
        if !self.unmask || masks.is_empty() {
            return Ok(masks);
        }
        note(target, what, &self.by, &masks).await?;
        Ok(Masks::default())
    }

    /// A dead letter with its event and bytes masked, or as it is, which is noted where that shows anything.
    pub(super) async fn letter(
        &self,
        target: &Target,
        what: &str,
        declared: Option<&Source>,
        shown: Value,
    ) -> Result<Value> {
        let masks = masks(declared, shown["event"].as_array().map_or(&[], Vec::as_slice))?;
        let mut masked = shown.clone();
        letter(&masks, &mut masked);
        if !self.unmask {
            return Ok(masked);
        }
        if masked != shown {
            note(target, what, &self.by, &masks).await?;
        }
        Ok(shown)
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
        rows.iter_mut().filter_map(|row| row.get_mut(field)).for_each(|cell| masks.event(cell));
        Ok(())
    }
}

/// Masks by the project and by the look of the values.
fn masks(declared: Option<&Source>, rows: &[Value]) -> Result<Masks> {
    Ok(Masks::of_rows(&declared.map(Source::declarations).unwrap_or_default(), rows)?)
}

/// Masks the event and the bytes of a dead letter.
fn letter(masks: &Masks, shown: &mut Value) {
    let Some(fields) = shown.as_object_mut() else { return };
    if let Some(event) = fields.get_mut("event") {
        masks.event(event);
    }
    if let Some(Value::String(body)) = fields.get_mut("body") {
        *body = masks.body(body, usize::MAX);
    }
    if let Some(body) = fields.get_mut("body_base64").filter(|_| !masks.is_empty()) {
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
    fn bytes_of_a_letter_are_hidden_unless_they_are_rows() {
        let masks = masks(None, &[json!({"email": "anna@example.org"})]).unwrap();
        let mut shown = json!({"event": [{"email": "anna@example.org"}], "body": "{\"email\":\"anna@example.org\"}\n{\"email\":\"x", "body_base64": "YW5uYQ=="});
        letter(&masks, &mut shown);
        assert!(!shown.to_string().contains("anna"), "{shown}");
        assert_eq!(shown["event"][0]["email"], "a***@***.org");
    }
}
