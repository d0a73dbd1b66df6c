//! The block of a project file that reads what was looked at.

use super::{Inferred, InferredColumn};
use crate::files::format_of;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use tidemill_spec::S3Origin;

/// A name as a YAML key or value: plain where it cannot be taken for anything else.
fn plain(text: &str) -> String {
    let mut chars = text.chars();
    let simple =
        chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if simple && !word { text.to_owned() } else { Value::from(text).to_string() }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
}

/// A type or format as the project file writes it.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// How a bucket is reached, without what is so by itself.
fn bucket(s3: &S3Origin) -> Option<String> {
    let keys = [
        ("endpoint", &s3.endpoint),
        ("region", &s3.region),
        ("access_key_file", &s3.access_key_file),
        ("secret_key_file", &s3.secret_key_file),
    ];
    let said = keys.iter().filter_map(|(key, value)| Some(format!("{key}: {}", Value::from(value.as_deref()?))));
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| format!("{{{}}}", said.join(", ")))
}

fn text_form(inferred: &Inferred) -> Option<String> {
    let mut parts = Vec::new();
    if inferred.delimiter != ',' {
        parts.push(format!("delimiter: {}", Value::from(inferred.delimiter.to_string())));
    }
    if inferred.absent.iter().any(|word| !word.is_empty()) {
        let mut words = vec![String::new()];
        words.extend(inferred.absent.iter().filter(|word| !word.is_empty()).cloned());
        parts.push(format!("null_values: {}", json!(words)));
    }
    let forms = inferred.columns.iter().filter_map(|column| Some((column, column.instant_form.as_deref()?)));
    let forms: Vec<String> =
        forms.map(|(column, form)| format!("{}: {}", plain(&column.name), Value::from(form))).collect();
    if !forms.is_empty() {
        parts.push(format!("instants: {{{}}}", forms.join(", ")));
    }
    (!parts.is_empty()).then(|| format!("{{{}}}", parts.join(", ")))
}

/// The whole block, with a remark behind what a person should look at.
pub(super) fn block(inferred: &Inferred) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line("sources:".to_owned());
    line(format!("  {}:", inferred.name));
    line("    from:".to_owned());
    if inferred.is_http {
        line("      http:".to_owned());
        line(format!("        url: {}", Value::from(inferred.url.as_str())));
        line(format!("        format: {}", word(inferred.format)));
        if !inferred.rows_at.is_empty() {
            line(format!("        rows: {}", Value::from(inferred.rows_at.as_str())));
        }
        line("        every: 1h".to_owned());
    } else {
        line("      files:".to_owned());
        line(format!("        url: {}", Value::from(inferred.url.as_str())));
        line(format!("        match: {}", Value::from(inferred.pattern.as_str())));
        if format_of(&inferred.pattern).is_none_or(|named| named.format != inferred.format) {
            line(format!("        format: {}", word(inferred.format)));
        }
        if let Some(s3) = inferred.s3.as_ref().and_then(bucket) {
            line(format!("        s3: {s3}"));
        }
    }
    if let Some(form) = text_form(inferred) {
        line(format!("        text: {form}"));
    }
    match inferred.keys.first() {
        Some(key) => {
            let others = inferred.keys.get(1..).unwrap_or_default();
            let others: Vec<String> = others.iter().map(|key| format!("[{}]", list(&key.columns))).collect();
            let remark = if others.is_empty() { String::new() } else { format!(" # unique too: {}", others.join(" ")) };
            line(format!("    key: [{}]{remark}", list(&key.columns)));
        }
        None => line("    key: [] # no column is unique in the sample: name those that identify a row".to_owned()),
    }
    match inferred.event_times.split_first() {
        Some((first, [])) => line(format!("    event_time: {}", plain(first))),
        Some((first, others)) => line(format!("    event_time: {} # or {}", plain(first), list(others))),
        None => {
            line("    event_time: \"\" # no column holds instants in every row: add one, and name it here".to_owned())
        }
    }
    line("    columns:".to_owned());
    for column in &inferred.columns {
        line(format!("      {}", one(column, inferred)));
    }
    out
}

fn one(column: &InferredColumn, inferred: &Inferred) -> String {
    // What was never empty in the sample may be empty later; a key or an instant may not.
    let nullable = if column.nulls > 0 { ", nullable: true" } else { "" };
    let remark = match &column.remark {
        Some(remark) => format!(" # {remark}"),
        None if column.nulls > 0 => format!(" # empty in {} of {}", column.nulls, inferred.rows),
        None => String::new(),
    };
    format!("{}: {{type: {}{nullable}}}{remark}", plain(&column.name), word(column.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_yaml_would_read_them_otherwise() {
        assert_eq!(plain("temp_c"), "temp_c");
        for (name, expected) in
            [("no", "\"no\""), ("a b", "\"a b\""), ("2nd", "\"2nd\""), ("a:b", "\"a:b\""), ("", "\"\"")]
        {
            assert_eq!(plain(name), expected);
        }
    }
}
