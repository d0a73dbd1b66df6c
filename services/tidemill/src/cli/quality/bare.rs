//! A file without a project: its columns are read off, its rows come as one commit.

use super::FileArgs;
use crate::cli::output::say;
use crate::cli::rows::{self, FileKind};
use crate::error::{Error, Result};
use crate::projects;
use arrow::array::{Array as _, ArrayRef, Int32Array, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{Field, Schema};
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use tidemill_spec::{Column, ColumnType, Source, Spec};
use tidemill_types::{Millis, SourceName, columns};

/// A file as a source and the rows of one commit.
pub(super) struct Bare {
    pub(super) source: Source,
    pub(super) rows: RecordBatch,
}

/// Reads a file, in the columns that a project declares or in its own.
pub(super) async fn read(path: &Path, args: &FileArgs, source: Option<&SourceName>) -> Result<Bare> {
    let (source, order) = match (&args.project, source) {
        (Some(file), Some(name)) => {
            let declared = declared(file, name)?;
            let order = declared.columns.keys().cloned().collect();
            (declared, order)
        }
        _ => infer(path, args).await?,
    };
    let batches = rows::read(path, &source).await?;
    let schema = Arc::new(source.declared_schema());
    let bad = |e: arrow::error::ArrowError| Error::Rows { path: path.to_owned(), reason: e.to_string() };
    let rows = concat_batches(&schema, &batches).map_err(bad)?;
    let rows = placed(&rows, &order, &source, args.known_at).map_err(bad)?;
    Ok(Bare { source, rows })
}

/// A source of a project file.
fn declared(file: &Path, name: &SourceName) -> Result<Source> {
    let text = std::fs::read_to_string(file).map_err(Error::file("read", file))?;
    let spec: Spec = projects::check(&text).map_err(Error::in_file(file, &text))?;
    let missing = || Error::NotFound { what: "source", name: name.to_string(), list: "tidemill project validate FILE" };
    spec.sources.get(name).cloned().ok_or_else(missing)
}

/// The source that a file is like, and its columns in the order of the file.
async fn infer(path: &Path, args: &FileArgs) -> Result<(Source, Vec<String>)> {
    let bad = |reason: String| Error::Rows { path: path.to_owned(), reason };
    let schema = match FileKind::of(path)? {
        FileKind::Parquet => {
            let batches = rows::parquet(path).await?;
            let first = batches.first().ok_or_else(|| bad("the file has no rows".to_owned()))?;
            first.schema()
        }
        FileKind::Csv => {
            let format = arrow::csv::reader::Format::default().with_header(true);
            Arc::new(format.infer_schema(open(path)?, None).map_err(|e| bad(e.to_string()))?.0)
        }
        FileKind::JsonLines => {
            let inferred = arrow::json::reader::infer_json_schema(open(path)?, None);
            Arc::new(inferred.map_err(|e| bad(e.to_string()))?.0)
        }
    };
    let mut columns = BTreeMap::new();
    let mut order = Vec::new();
    for field in schema.fields() {
        match ColumnType::holding(field.data_type()) {
            Some(kind) if !field.name().starts_with(columns::PREFIX) => {
                order.push(field.name().clone());
                let column = serde_json::json!({"type": kind, "nullable": true});
                let column: Column = serde_json::from_value(column).map_err(|e| bad(e.to_string()))?;
                columns.insert(field.name().clone(), column);
            }
            _ => say(&format!("column {} of type {} is left out", field.name(), field.data_type())),
        }
    }
    let instant = |name: &&String| columns.get(*name).is_some_and(|c: &Column| c.kind == ColumnType::Timestamp);
    let event_time = args.event_time.clone().or_else(|| order.iter().find(instant).cloned()).unwrap_or_default();
    for named in args.key.iter().chain(&args.event_time) {
        if !columns.contains_key(named) {
            return Err(bad(format!("there is no column \"{named}\"")));
        }
    }
    let source = serde_json::json!({"key": args.key, "event_time": event_time, "columns": columns});
    Ok((serde_json::from_value(source).map_err(|e| bad(e.to_string()))?, order))
}

fn open(path: &Path) -> Result<BufReader<std::fs::File>> {
    std::fs::File::open(path).map(BufReader::new).map_err(Error::file("read", path))
}

/// The rows in the order of the file's columns, with the positions and knowledge times that rules may ask for.
fn placed(
    rows: &RecordBatch,
    order: &[String],
    source: &Source,
    known_at: Option<Millis>,
) -> std::result::Result<RecordBatch, arrow::error::ArrowError> {
    let schema = rows.schema();
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (place, name) in order.iter().filter_map(|name| Some((schema.index_of(name).ok()?, name))) {
        fields.push(Field::new(name, rows.column(place).data_type().clone(), true));
        arrays.push(rows.column(place).clone());
    }
    let count = rows.num_rows();
    let known: ArrayRef = match (known_at, source.known_at.as_ref().and_then(|name| rows.column_by_name(name))) {
        (Some(at), _) => {
            let same = TimestampMillisecondArray::from_iter_values(std::iter::repeat_n(at.0, count));
            cast(&same, &Millis::arrow_type())?
        }
        (None, Some(column)) => column.clone(),
        (None, None) => arrow::array::new_null_array(&Millis::arrow_type(), count),
    };
    let own: [(&str, ArrayRef); 3] = [
        (columns::SEQ, Arc::new(Int64Array::from_iter_values(0..count as i64))),
        (columns::ROW, Arc::new(Int32Array::from_iter_values(std::iter::repeat_n(0, count)))),
        (columns::KNOWN_AT, known),
    ];
    for (name, array) in own {
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
