//! The schema of a file or an address, from its first rows: types, forms of instants, keys, and a block for the
//! project file that reads it.

mod column;
mod sample;
mod yaml;

use crate::error::{Error, Fault, FaultKind, Result};
use column::Seen;
use sample::Sample;
use serde::Serialize;
use std::collections::HashSet;
use tidemill_spec::{ColumnType, RowFormat, S3Origin};
use xxhash_rust::xxh3::xxh3_128;

/// Rows that are looked at.
pub const SAMPLE_ROWS: usize = 10_000;
/// Columns that are tried together as a key.
const KEY_COLUMNS: usize = 8;

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct InferOptions {
    /// A path, `file://…`, `s3://…` or `http(s)://…`.
    pub place: String,
    /// Format; `None` takes what the name says.
    pub format: Option<RowFormat>,
    /// Name of the source; `None` makes one of the file's name.
    pub name: Option<String>,
    /// Rows to look at.
    pub rows: Option<usize>,
    /// JSON pointer to the rows of a JSON document; `None` takes its longest array of objects.
    pub rows_at: Option<String>,
    /// How a bucket is reached; becomes part of the block.
    pub s3: Option<S3Origin>,
    /// Networks inside that may be asked.
    pub allow: Vec<String>,
}

/// A column as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InferredColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Rows of the sample without a value.
    pub nulls: u64,
    /// Different values in the sample.
    pub distinct: u64,
    /// How its instants are written, when not RFC 3339.
    pub instant_form: Option<String>,
    /// What a person should look at.
    pub remark: Option<String>,
}

/// Columns whose values differ from row to row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// One column or two.
    pub columns: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inferred {
    /// Name of the source.
    pub name: String,
    /// Rows of the sample.
    pub rows: u64,
    /// Whether the sample is all there is.
    pub whole: bool,
    /// Format of the rows.
    pub format: RowFormat,
    /// Columns in their order.
    pub columns: Vec<InferredColumn>,
    /// Columns that could be the key, the likeliest first.
    pub keys: Vec<Candidate>,
    /// Columns that could be the event time, the likeliest first.
    pub event_times: Vec<String>,
    /// Texts that mean "absent".
    pub absent: Vec<String>,
    /// Between the fields of a line.
    pub delimiter: char,
    /// Folder, prefix or address.
    #[serde(skip)]
    url: String,
    /// Name of the file below it.
    #[serde(skip)]
    pattern: String,
    #[serde(skip)]
    is_http: bool,
    /// JSON pointer to the rows; empty: the whole body.
    #[serde(skip)]
    rows_at: String,
    #[serde(skip)]
    s3: Option<S3Origin>,
}

impl Inferred {
    /// The block for the project file.
    #[must_use]
    pub fn yaml(&self) -> String {
        yaml::block(self)
    }
}

/// Looks at the first rows of a file or an address.
///
/// # Errors
/// A place that cannot be read, a format that is not known, or no rows.
pub async fn infer(options: &InferOptions) -> Result<Inferred> {
    let sample = sample::take(options).await?;
    if sample.rows.is_empty() {
        let fault = Fault::new(FaultKind::Schema, "there is no row to look at", "take a file with at least one row");
        return Err(Error::Fault(fault.of(&options.place)));
    }
    Ok(judge(options, sample))
}

fn judge(options: &InferOptions, sample: Sample) -> Inferred {
    let mut columns = Vec::new();
    let mut absent: Vec<String> = Vec::new();
    for name in &sample.names {
        let mut seen = Seen::default();
        let mut without = 0;
        for row in &sample.rows {
            match row.get(name) {
                Some(value) => seen.add(value),
                None => without += 1,
            }
        }
        seen.absent_in(without);
        let verdict = seen.verdict(name, sample.known.get(name).copied());
        absent.extend(verdict.absent);
        columns.push(InferredColumn {
            name: name.clone(),
            kind: verdict.kind,
            nulls: verdict.nulls,
            distinct: verdict.distinct,
            instant_form: verdict.form,
            remark: verdict.remark,
        });
    }
    absent.sort();
    absent.dedup();
    let keys = keys(&columns, &sample);
    let event_times = event_times(&columns);
    Inferred {
        name: options.name.clone().unwrap_or_else(|| source_name(&sample.pattern)),
        rows: sample.rows.len() as u64,
        whole: sample.whole,
        format: sample.format,
        columns,
        keys,
        event_times,
        absent,
        delimiter: sample.delimiter,
        url: sample.url,
        pattern: sample.pattern,
        is_http: sample.is_http,
        rows_at: sample.rows_at,
        s3: options.s3.clone(),
    }
}

/// Columns that tell all rows apart; when none does alone, pairs.
fn keys(columns: &[InferredColumn], sample: &Sample) -> Vec<Candidate> {
    let rows = sample.rows.len() as u64;
    let usable = |column: &&InferredColumn| {
        column.nulls == 0 && !matches!(column.kind, ColumnType::Float32 | ColumnType::Float64 | ColumnType::Boolean)
    };
    let mut single: Vec<&InferredColumn> = columns.iter().filter(usable).filter(|c| c.distinct == rows).collect();
    single.sort_by_key(|column| (column.kind == ColumnType::Timestamp, !names_key(&column.name)));
    if !single.is_empty() {
        return single.into_iter().map(|column| Candidate { columns: vec![column.name.clone()] }).collect();
    }
    let mut likely: Vec<&InferredColumn> = columns.iter().filter(usable).filter(|column| column.distinct > 1).collect();
    likely.sort_by_key(|column| std::cmp::Reverse(column.distinct));
    likely.truncate(KEY_COLUMNS);
    let pairs = likely.iter().enumerate().flat_map(|(at, a)| likely.iter().skip(at + 1).map(move |b| (a, b)));
    let unique = pairs.filter(|(a, b)| {
        let values = sample.rows.iter().map(|row| format!("{:?}\u{1}{:?}", row.get(&a.name), row.get(&b.name)));
        values.map(|text| xxh3_128(text.as_bytes())).collect::<HashSet<_>>().len() as u64 == rows
    });
    // In the order of the file: what identifies comes mostly before when it happened.
    let position = |name: &str| columns.iter().position(|column| column.name == name);
    unique
        .map(|(a, b)| {
            let mut names = vec![a.name.clone(), b.name.clone()];
            names.sort_by_key(|name| position(name));
            Candidate { columns: names }
        })
        .collect()
}

fn names_key(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["id", "key", "uuid", "number", "no", "code"]
        .iter()
        .any(|word| lower == *word || lower.ends_with(&format!("_{word}")) || (*word == "id" && lower.ends_with("id")))
}

fn event_times(columns: &[InferredColumn]) -> Vec<String> {
    let instants = columns.iter().filter(|column| column.kind == ColumnType::Timestamp && column.nulls == 0);
    let mut found: Vec<&InferredColumn> = instants.collect();
    // When something was written down or changed is not when it happened.
    let rank = |name: &str| {
        let lower = name.to_ascii_lowercase();
        let late = ["updated", "modified", "changed", "loaded", "inserted", "known", "published", "received"];
        let early = ["event", "occurred", "observed", "measured", "happened"];
        (late.iter().any(|word| lower.contains(word)), !early.iter().any(|word| lower.contains(word)))
    };
    found.sort_by_key(|column| rank(&column.name));
    found.into_iter().map(|column| column.name.clone()).collect()
}

/// A name that subjects and folders can have.
fn source_name(file: &str) -> String {
    let stem = file.rsplit('/').next().unwrap_or(file).split('.').next().unwrap_or_default().to_ascii_lowercase();
    let mut name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(48).collect();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name = format!("s_{name}").chars().take(48).collect();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sources_are_made_of_names_of_files() {
        assert_eq!(source_name("in/Flights 2013.csv.gz"), "flights_2013");
        assert_eq!(source_name("2024-01.parquet"), "s_2024-01");
        assert_eq!(source_name(""), "s_");
    }
}
