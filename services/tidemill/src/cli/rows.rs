//! Files of rows in the declared columns of a source.

use crate::error::{Error, Result};
use arrow::array::RecordBatch;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use tidemill_spec::Source;
use tidemill_storage::{S3Options, Storage};

/// The format that the name of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// `.parquet`
    Parquet,
    /// `.csv`, with a header
    Csv,
    /// `.jsonl` or `.ndjson`
    JsonLines,
}

impl FileKind {
    /// The kind of a file by its name.
    pub(super) fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
            "parquet" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            other => Err(Error::Rows {
                path: path.to_owned(),
                reason: format!("files ending in \"{other}\" are not read; take .parquet, .csv or .jsonl"),
            }),
        }
    }
}

/// The rows of a file in the declared columns, converted where that loses nothing.
///
/// # Errors
/// A column that the source needs is missing, or a value does not fit its type.
pub(super) async fn read(path: &Path, source: &Source) -> Result<Vec<RecordBatch>> {
    let bad = |reason: String| Error::Rows { path: path.to_owned(), reason };
    let batches = match FileKind::of(path)? {
        FileKind::Parquet => parquet(path).await?,
        FileKind::Csv => {
            let batches = csv(path, &source.declared_schema()).and_then(Iterator::collect);
            batches.map_err(|e| bad(e.to_string()))?
        }
        FileKind::JsonLines => json_lines(path, source).map_err(bad)?,
    };
    batches.iter().map(|batch| declared(batch, source).map_err(bad)).collect()
}

/// The rows of a Parquet file, as they are.
pub(super) async fn parquet(path: &Path) -> Result<Vec<RecordBatch>> {
    let full = path.canonicalize().map_err(Error::file("read", path))?;
    let (folder, name) = (full.parent().unwrap_or(Path::new("/")), full.file_name().unwrap_or_default());
    let storage = Storage::open(&format!("file://{}", folder.display()), &S3Options::default())?;
    Ok(tidemill_dataset::read_parquet(&storage, &name.to_string_lossy(), None).await?)
}

/// A file with a header, batch by batch; columns that are not declared are read as text, in which nothing is lost.
pub(super) fn csv(
    path: &Path,
    declared: &Schema,
) -> std::result::Result<arrow::csv::reader::BufReader<BufReader<std::fs::File>>, ArrowError> {
    let open = || std::fs::File::open(path).map(BufReader::new);
    let format = arrow::csv::reader::Format::default().with_header(true);
    let (header, _) = format.infer_schema(open()?, Some(0))?;
    let typed = header.fields().iter().map(|field| match declared.field_with_name(field.name()) {
        Ok(known) => known.clone().with_nullable(true),
        Err(_) => Field::new(field.name(), DataType::Utf8, true),
    });
    let schema = Arc::new(Schema::new(typed.collect::<Vec<_>>()));
    arrow::csv::ReaderBuilder::new(schema).with_header(true).build_buffered(open()?)
}

fn json_lines(path: &Path, source: &Source) -> std::result::Result<Vec<RecordBatch>, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let schema = Arc::new(source.declared_schema());
    let reader = arrow::json::ReaderBuilder::new(schema).with_strict_mode(true).build(BufReader::new(file));
    reader.map_err(|e| e.to_string())?.collect::<std::result::Result<_, _>>().map_err(|e| e.to_string())
}

fn declared(batch: &RecordBatch, source: &Source) -> std::result::Result<RecordBatch, String> {
    let schema = source.declared_schema();
    let exact = CastOptions { safe: false, ..CastOptions::default() };
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let Some(column) = batch.column_by_name(field.name()) else {
            if field.is_nullable() {
                columns.push(arrow::array::new_null_array(field.data_type(), batch.num_rows()));
                continue;
            }
            return Err(format!("column \"{}\" is missing", field.name()));
        };
        let column = cast_with_options(column, field.data_type(), &exact)
            .map_err(|e| format!("column \"{}\": {e}", field.name()))?;
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(schema), columns).map_err(|e| e.to_string())
}

/// Rows as JSON objects, one a line, absent values as null.
pub(super) fn to_json_lines(batch: &RecordBatch) -> Result<Vec<String>> {
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::LineDelimited>(Vec::new());
    let written = writer.write(batch).and_then(|()| writer.finish());
    written.map_err(std::io::Error::other)?;
    let text = String::from_utf8(writer.into_inner()).map_err(std::io::Error::other)?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Rows as JSON values.
pub(super) fn to_json(batches: &[RecordBatch]) -> Result<Vec<serde_json::Value>> {
    let mut rows = Vec::new();
    for batch in batches {
        for line in to_json_lines(batch)? {
            rows.push(serde_json::from_str(&line).map_err(std::io::Error::other)?);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_spec::Spec;

    #[tokio::test]
    async fn a_csv_file_becomes_declared_rows_and_json_again() {
        let spec = Spec::parse(include_str!("../../../../infra/examples/flights/project.yaml")).unwrap();
        let weather = &spec.sources[&"weather".parse().unwrap()];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.csv");
        let text = "origin,observed_at,published_at,temp,other\nJFK,2013-01-01T00:00:00Z,2013-01-01T00:15:00Z,39.5,x\n";
        std::fs::write(&path, text).unwrap();
        let rows = read(&path, weather).await.unwrap();
        assert_eq!(rows[0].num_columns(), weather.columns.len());
        let json = to_json(&rows).unwrap();
        assert_eq!(json[0]["temp"], 39.5);
        assert!(json[0]["dewp"].is_null());
        assert!(json[0].get("other").is_none());

        std::fs::write(&path, "origin\nJFK\n").unwrap();
        let text = read(&path, weather).await.unwrap_err().to_string();
        assert!(text.contains("is missing"), "{text}");
    }
}
