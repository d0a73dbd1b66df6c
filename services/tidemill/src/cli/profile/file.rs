//! Files: Parquet by column on several threads, the others batch by batch.

mod text;

use crate::error::{Error, Result};
use arrow::datatypes::Field;
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tidemill_dataset::LocalParquet;
use tidemill_explore::report::Context;
use tidemill_explore::{Exploration, Options, ScanOptions, Scanned, Shape, Stream, explore, scan};

/// Profiles a file.
pub(super) fn profile(path: &Path, options: &ScanOptions, wanted: &Options) -> Result<(Exploration, Context)> {
    let bytes = std::fs::metadata(path).map_err(Error::file("read", path))?.len();
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let scanned = match ending.as_str() {
        "parquet" => parquet(path, options)?,
        "csv" => text::csv(path, options)?,
        "jsonl" | "ndjson" => text::json_lines(path, options)?,
        "arrow" | "arrows" | "ipc" | "feather" => ipc(path, options)?,
        other => {
            let reason = format!("files ending in \"{other}\" are not read");
            return Err(unreadable(path, "its name", reason, "take .parquet, .csv, .jsonl or .arrow"));
        }
    };
    if scanned.profile.rows == 0 {
        return Err(unreadable(path, "the whole file", "it has no rows", "check what wrote it"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let found = explore(&name, &scanned, wanted).map_err(Error::Explore)?;
    let context = Context {
        origin: path.display().to_string(),
        bytes: Some(bytes),
        made_at: chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
        ..Context::default()
    };
    Ok((found, context))
}

/// A file that cannot be read as what its name says.
fn unreadable(path: &Path, place: &str, reason: impl Into<String>, mend: &'static str) -> Error {
    Error::Unreadable { path: path.to_owned(), place: place.to_owned(), reason: reason.into(), mend }
}

const MEND_PARQUET: &str = "fetch or write the file again; another reader, such as DuckDB, should refuse it too";

fn parquet(path: &Path, options: &ScanOptions) -> Result<Scanned> {
    let damaged = |error: Error| match error {
        Error::Dataset(tidemill_dataset::Error::Corrupt { reason, .. }) => {
            let (place, reason) = match reason.split_once(": ").filter(|(place, _)| place.starts_with("row group")) {
                Some((place, reason)) => (place.to_owned(), reason.to_owned()),
                None => ("its footer".to_owned(), reason),
            };
            unreadable(path, &place, reason, MEND_PARQUET)
        }
        other => other,
    };
    let file = LocalParquet::open(path).map_err(|e| damaged(e.into()))?;
    let columns: Vec<Field> = file.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let shape = Shape { columns, groups: file.row_groups() };
    scan(&shape, options, |group, column, visit| file.read::<Error>(group, column, visit)).map_err(damaged)
}

const MEND_IPC: &str = "write the file again; streams and files of Arrow IPC are both read";

fn ipc(path: &Path, options: &ScanOptions) -> Result<Scanned> {
    let read = || -> Result<Scanned> {
        let damaged = |e: arrow::error::ArrowError| unreadable(path, "an Arrow message", e.to_string(), MEND_IPC);
        let open = || File::open(path).map(BufReader::new).map_err(Error::file("read", path));
        match arrow::ipc::reader::FileReader::try_new(open()?, None) {
            Ok(reader) => batches(reader.schema(), reader, options, damaged),
            Err(_) => {
                let reader = arrow::ipc::reader::StreamReader::try_new(open()?, None).map_err(damaged)?;
                batches(reader.schema(), reader, options, damaged)
            }
        }
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(unreadable(path, "an Arrow message", "the decoder gave up on what it found there", MEND_IPC))
    })
}

fn batches(
    schema: arrow::datatypes::SchemaRef,
    reader: impl Iterator<Item = std::result::Result<arrow::array::RecordBatch, arrow::error::ArrowError>>,
    options: &ScanOptions,
    damaged: impl Fn(arrow::error::ArrowError) -> Error,
) -> Result<Scanned> {
    let mut stream = Stream::new(&schema, options);
    for batch in reader {
        stream.push(&batch.map_err(&damaged)?).map_err(Error::Explore)?;
    }
    stream.finish().map_err(Error::Explore)
}
