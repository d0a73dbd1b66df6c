//! CSV and JSON lines. Types are inferred from all rows, so that no later row can contradict them.

use super::{batches, unreadable};
use crate::error::{Error, Result};
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use regex::Regex;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use tidemill_explore::{ScanOptions, Scanned};
use tidemill_sources::{RecordEnd, Records};

/// Texts that mean "missing" in a CSV file.
const MISSING: &str = r"^\s*(|NA|N/A|n/a|null|NULL|None|\\N)\s*$";
/// How rows of a CSV file end.
const CSV: RecordEnd = RecordEnd::Csv { delimiter: b',' };
/// Longest row; a longer one is none but a quote that does not close, or a file without line ends.
const LONGEST: u64 = 16 << 20;
/// Rows of one batch.
const ROWS: usize = 16 * 1024;

const MEND_ENCODING: &str = "convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW";
const MEND_CSV: &str =
    "close every quote, quote fields that hold commas or line ends, and give every row the fields of the header";
const MEND_JSON: &str = "write one JSON object a line";

/// Reads a CSV file with a header.
pub(super) fn csv(path: &Path, options: &ScanOptions) -> Result<Scanned> {
    let failed = |e: ArrowError| explained(path, &e, None, MEND_CSV);
    let missing = Regex::new(MISSING).map_err(|e| Error::Story(e.into()))?;
    let format = Format::default().with_header(true).with_null_regex(missing.clone());
    let (schema, _) = format.infer_schema(records(path, CSV)?, None).map_err(failed)?;
    check_header(path, &schema)?;
    let schema = Arc::new(readable(&schema));
    let reader = arrow::csv::ReaderBuilder::new(Arc::clone(&schema))
        .with_header(true)
        .with_null_regex(missing)
        .with_batch_size(ROWS)
        .build(records(path, CSV)?)
        .map_err(failed)?;
    batches(schema, reader, options, failed)
}

/// Reads one JSON object a line.
pub(super) fn json_lines(path: &Path, options: &ScanOptions) -> Result<Scanned> {
    let failed = |e: ArrowError| explained(path, &e, Some(is_object), MEND_JSON);
    let lines = || Ok::<_, Error>(BufReader::new(records(path, RecordEnd::Line)?));
    let (schema, _) = arrow::json::reader::infer_json_schema(lines()?, None).map_err(failed)?;
    let schema = Arc::new(readable(&schema));
    let reader =
        arrow::json::ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(ROWS).build(lines()?).map_err(failed)?;
    batches(schema, reader, options, failed)
}

/// A column without any value has no type: it is read as text.
fn readable(schema: &Schema) -> Schema {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Null => Field::new(field.name(), DataType::Utf8, true),
        _ => field.as_ref().clone().with_nullable(true),
    };
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

fn check_header(path: &Path, schema: &Schema) -> Result<()> {
    for (at, field) in schema.fields().iter().enumerate() {
        let before = schema.fields().iter().take(at).any(|other| other.name() == field.name());
        if field.name().is_empty() || before {
            let reason =
                format!("column {} is {}", at + 1, if before { "named as another one" } else { "without a name" });
            return Err(unreadable(path, "line 1", reason, "give every column a name of its own in the header"));
        }
    }
    Ok(())
}

/// The records of a file, guarded against those without an end.
fn records(path: &Path, end: RecordEnd) -> Result<Records<BufReader<File>>> {
    Ok(Records::new(open(path)?, end, LONGEST))
}

/// The file behind its byte-order mark.
fn open(path: &Path) -> Result<BufReader<File>> {
    let mut file = File::open(path).map_err(Error::file("read", path))?;
    let mut head = [0; 3];
    let read = file.read(&mut head).map_err(Error::file("read", path))?;
    if read >= 2 && matches!(head[..2], [0xff, 0xfe] | [0xfe, 0xff]) {
        let mend = "convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW";
        return Err(unreadable(path, "line 1", "it is encoded as UTF-16", mend));
    }
    let start = if head == [0xef, 0xbb, 0xbf] { 3 } else { 0 };
    file.seek(SeekFrom::Start(start)).map_err(Error::file("read", path))?;
    Ok(BufReader::with_capacity(1 << 18, file))
}

fn is_object(line: &str) -> std::result::Result<(), String> {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).map(drop).map_err(|e| e.to_string())
}

/// Says what is wrong with a line of its own.
type LineCheck = fn(&str) -> std::result::Result<(), String>;

/// The refusal of a file, at the line that is to blame.
fn explained(path: &Path, error: &ArrowError, check: Option<LineCheck>, mend: &'static str) -> Error {
    if let Some((line, reason, mend)) = first_bad_line(path, check, mend) {
        return unreadable(path, &format!("line {line}"), reason, mend);
    }
    let text = error.to_string();
    let text = text.split_once("error: ").map_or(text.as_str(), |(_, rest)| rest);
    let place =
        text.split("line ").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    match place.filter(|digits| !digits.is_empty()) {
        Some(line) => unreadable(path, &format!("line {line}"), text, mend),
        None => unreadable(path, "its text", text, mend),
    }
}

/// The first line that is no UTF-8, or that `check` refuses.
fn first_bad_line(path: &Path, check: Option<LineCheck>, mend: &'static str) -> Option<(usize, String, &'static str)> {
    let mut reader = open(path).ok()?;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        match std::str::from_utf8(&line) {
            Err(e) => {
                let at = e.valid_up_to();
                let byte = line.get(at).copied().unwrap_or_default();
                return Some((number, format!("byte {} is 0x{byte:02x}, which is no UTF-8", at + 1), MEND_ENCODING));
            }
            Ok(text) if !text.trim().is_empty() => {
                if let Some(Err(reason)) = check.map(|check| check(text)) {
                    return Some((number, reason, mend));
                }
            }
            Ok(_) => {}
        }
    }
    None
}
