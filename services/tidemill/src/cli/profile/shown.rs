//! The profile at a terminal and as JSON.

use super::super::output::Output;
use crate::error::{Error, Result};
use serde_json::{Value, json};
use tidemill_explore::report::{Context, written};
use tidemill_explore::{ColumnFacts, Exploration, Level};

/// Warnings that a terminal shows.
const WARNINGS: usize = 25;
/// Columns of the table.
const HEADS: [&str; 9] = ["column", "type", "missing", "distinct", "min", "median", "mean", "max", "most frequent"];

/// Writes the answer.
pub(super) fn show(out: Output, found: &Exploration, context: &Context) -> Result<()> {
    if out.is_json() {
        let mut all = serde_json::to_value(found).map_err(|e| Error::Output(e.into()))?;
        if let (Some(fields), Some(quality)) = (all.as_object_mut(), &context.quality) {
            fields.insert("quality".to_owned(), serde_json::to_value(quality).map_err(|e| Error::Output(e.into()))?);
        }
        return out.record(&all);
    }
    if out.is_table() {
        out.text("profile", &summary(found, context))?;
    }
    let rows: Vec<Value> = found.columns.iter().map(row).collect();
    out.rows(&HEADS, &rows)
}

fn summary(found: &Exploration, context: &Context) -> String {
    let mut text = format!("{}\n{}\n", found.name, context.origin);
    let repeats = found.duplicates.map_or_else(|| "not counted".to_owned(), |rows| rows.repeated.to_string());
    text.push_str(&format!(
        "{} rows, {} columns, {} missing cells, full duplicate rows: {repeats}\n",
        found.rows,
        found.columns.len(),
        found.missing_cells
    ));
    if found.sampled > 0 && !found.whole {
        text.push_str(&format!(
            "relations, tests, outliers and formats rest on {} sampled rows (seed {})\n",
            found.sampled, found.seed
        ));
    }
    if !found.warnings.is_empty() {
        text.push_str("\nwhat to look at first\n");
    }
    for warning in found.warnings.iter().take(WARNINGS) {
        let mark = match warning.level {
            Level::Bad => "!!",
            Level::Warn => "! ",
            Level::Note => "  ",
        };
        let column = warning.column.as_ref().map(|column| format!("{column}: ")).unwrap_or_default();
        text.push_str(&format!("  {mark} {column}{}\n", warning.text));
    }
    if found.warnings.len() > WARNINGS {
        text.push_str(&format!("     {} more: -o json, or --report\n", found.warnings.len() - WARNINGS));
    }
    text.push('\n');
    text
}

fn row(facts: &ColumnFacts) -> Value {
    let value = |value: Option<f64>| value.map(|value| written(facts.kind, value));
    let about = if facts.distinct_exact { "" } else { "~" };
    let top = facts.top.first().map(|top| format!("{} ({:.1} %)", top.value, top.share * 100.0));
    json!({
        "column": facts.name,
        "type": facts.kind,
        "missing": facts.nulls + facts.nans,
        "distinct": format!("{about}{}", facts.distinct),
        "min": value(facts.min),
        "median": value(facts.quantile(0.5)),
        "mean": value(facts.mean),
        "max": value(facts.max),
        "most frequent": top,
    })
}
