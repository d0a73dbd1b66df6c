//! `dataset export`: a version of a table as a file. Rows flow through; the table is never held whole.

use super::{is_standard, masked, pinned};
use crate::cli::classify;
use crate::cli::masking::Unmask;
use crate::cli::output::{Output, next, say};
use crate::cli::rows;
use crate::cli::target::Target;
use crate::error::{Error, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::FileWriter;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tidemill_dataset::{Between, ParquetFile};
use tidemill_storage::Storage;
use tidemill_types::{Millis, columns};

type Sink = Box<dyn Write + Send>;

/// What to write, and where.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// The version.
    #[arg(value_name = "TABLE[@VERSION]")]
    path: String,
    /// The file; `-` for standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Its format; by default what the name says: .parquet, .csv, .jsonl, .arrow.
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    shape: Option<Shape>,
    /// Only these columns.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    columns: Vec<String>,
    /// Only rows that were known by this instant.
    #[arg(long, value_name = "INSTANT", value_parser = crate::cli::instant)]
    known_by: Option<Millis>,
    #[command(flatten)]
    unmask: Unmask,
}

/// Format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header; an empty field is null.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Arrow IPC file.
    Arrow,
}

impl Shape {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
            "parquet" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            "arrow" | "feather" => Ok(Self::Arrow),
            _ => Err(Error::Usage(format!("{}: say which format: --as parquet, csv, jsonl or arrow", path.display()))),
        }
    }
}

/// A file under way.
enum Writer {
    Parquet(Box<ParquetFile<Sink>>),
    Csv(Box<arrow::csv::Writer<Sink>>),
    Lines(Sink),
    Arrow(Box<FileWriter<Sink>>),
}

impl Writer {
    fn begin(shape: Shape, sink: Sink, schema: &Schema) -> Result<Self> {
        Ok(match shape {
            Shape::Parquet => Self::Parquet(Box::new(ParquetFile::begin(sink, schema)?)),
            Shape::Csv => Self::Csv(Box::new(arrow::csv::WriterBuilder::new().with_header(true).build(sink))),
            Shape::Jsonl => Self::Lines(sink),
            Shape::Arrow => Self::Arrow(Box::new(FileWriter::try_new(sink, schema).map_err(std::io::Error::other)?)),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(file) => file.write(batch)?,
            Self::Csv(file) => file.write(batch).map_err(std::io::Error::other)?,
            Self::Lines(file) => {
                for line in rows::to_json_lines(batch)? {
                    writeln!(file, "{line}")?;
                }
            }
            Self::Arrow(file) => file.write(batch).map_err(std::io::Error::other)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let mut sink = match self {
            Self::Parquet(file) => file.finish()?,
            Self::Csv(file) => file.into_inner(),
            Self::Lines(file) => file,
            Self::Arrow(mut file) => {
                file.finish().map_err(std::io::Error::other)?;
                file.into_inner().map_err(std::io::Error::other)?
            }
        };
        Ok(sink.flush()?)
    }
}

/// Writes the file.
pub(super) async fn run(target: &Target, storage: &Storage, out: Output, args: &ExportArgs) -> Result<u8> {
    let shape = args.shape.map_or_else(|| Shape::of(&args.out), Ok)?;
    let pinned::Pinned { table, snapshot } = pinned::open(target, storage, &args.path).await?;
    let names: Option<Vec<&str>> =
        (!args.columns.is_empty()).then(|| args.columns.iter().map(String::as_str).collect());
    let schema = snapshot.schema();
    let schema = match &names {
        None => schema.as_ref().clone(),
        Some(names) => {
            let index =
                |name: &&str| schema.index_of(name).map_err(|_| tidemill_dataset::Error::Column((*name).into()));
            let wanted = names.iter().map(index).collect::<std::result::Result<Vec<_>, _>>()?;
            schema.project(&wanted).map_err(std::io::Error::other)?
        }
    };
    let known = classify::known(target, table.path()).await?;
    let masks = masked::masks(target, (&table, &snapshot), &known, &schema, &args.unmask).await?;
    let schema = masked::schema(&schema, &masks);
    let between = args.known_by.map(|instant| Between {
        column: columns::KNOWN_AT.to_owned(),
        from: Millis::MIN,
        to: Millis(instant.0.saturating_add(1)),
    });
    let standard = is_standard(&args.out);
    let sink: Sink = match standard {
        true => Box::new(std::io::stdout()),
        false => Box::new(BufWriter::new(File::create(&args.out).map_err(Error::file("write", &args.out))?)),
    };
    let mut writer = Writer::begin(shape, sink, &schema)?;
    let mut written = 0;
    let mut scan = table.scan(&snapshot, names.as_deref(), between);
    while let Some(batch) = scan.next().await? {
        writer.write(&masked::batch(&batch, &schema, &masks)?)?;
        written += batch.num_rows();
    }
    writer.finish()?;
    if !masks.is_empty() {
        let named: Vec<&str> = masks.columns().collect();
        say(&format!("masked: {}; --unmask writes them as they are", named.join(", ")));
    }
    if standard {
        say(&format!("{written} rows of {}@{}", table.path(), snapshot.version()));
        return Ok(0);
    }
    out.record(&json!({
        "table": table.path(),
        "version": snapshot.version(),
        "rows": written,
        "masked": masks.columns().collect::<Vec<_>>(),
        "file": args.out.display().to_string(),
    }))?;
    next(&format!("tidemill dataset show {} --hash", args.path));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_format() {
        assert_eq!(Shape::of(Path::new("a.parquet")).unwrap(), Shape::Parquet);
        assert_eq!(Shape::of(Path::new("a.ndjson")).unwrap(), Shape::Jsonl);
        assert!(Shape::of(Path::new("-")).unwrap_err().to_string().contains("--as"));
    }
}
