//! The first rows of a file or of what an address answers.

use super::{InferOptions, SAMPLE_ROWS};
use crate::error::{Error, Fault, FaultKind, Result};
use crate::files::read::{blocking, compression_of};
use crate::files::{Compression, Scratch, csv_fault, endless, format_of};
use crate::http::{Answer, Fetcher, Known};
use crate::message::ROW_BYTES;
use crate::records::{OpenRecord, RecordEnd, Records};
use crate::secret;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;
use tidemill_spec::{ColumnType, HttpOrigin, RowFormat, S3Origin};
use tidemill_storage::Storage;

/// Most bytes that are fetched to look at.
const MOST: u64 = 1 << 30;
/// Objects inside of each other in which rows are looked for.
const DEPTH: usize = 4;
/// Lines by which the delimiter is found.
const DELIMITER_LINES: usize = 20;

/// Rows with what is known of their columns.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Columns in their order.
    pub(super) names: Vec<String>,
    /// Types that the file itself declares.
    pub(super) known: BTreeMap<String, ColumnType>,
    pub(super) rows: Vec<Map<String, Value>>,
    pub(super) whole: bool,
    pub(super) format: RowFormat,
    pub(super) delimiter: char,
    pub(super) url: String,
    pub(super) pattern: String,
    pub(super) is_http: bool,
    /// JSON pointer to the rows.
    pub(super) rows_at: String,
}

/// Reads the first rows.
pub(super) async fn take(options: &InferOptions) -> Result<Sample> {
    let most = options.rows.unwrap_or(SAMPLE_ROWS).max(1);
    let place = options.place.as_str();
    if place.starts_with("http://") || place.starts_with("https://") {
        return over_http(options, most).await;
    }
    let (url, name) = if place.starts_with("file://") || place.starts_with("s3://") {
        place.rsplit_once('/').map(|(url, name)| (url.to_owned(), name.to_owned())).unwrap_or_default()
    } else {
        let full = std::path::absolute(place).map_err(Error::io(format!("find {place}")))?;
        let folder = full.parent().unwrap_or(Path::new("/")).display().to_string();
        (format!("file://{folder}"), full.file_name().unwrap_or_default().to_string_lossy().into_owned())
    };
    let lower = name.to_ascii_lowercase();
    let compression = compression_of(&lower).1;
    let format = options.format.or(format_of(&name).map(|named| named.format)).ok_or_else(|| {
        let mend = "end its name in .csv, .jsonl, .parquet or .arrow, or say --format";
        Fault::new(FaultKind::Format, "the name does not say a format", mend).of(place)
    })?;
    if format == RowFormat::Json {
        let mend = "write JSON lines, one object a line, and say --format jsonl if the name does not";
        return Err(Fault::new(FaultKind::Format, "a JSON document is no file of rows", mend).of(place).into());
    }
    let file = open(&url, &name, options.s3.as_ref()).await?;
    let shown = place.to_owned();
    let mut sample =
        blocking(move || read(file, format, compression, most, None)).await?.map_err(|fault| fault.of(&shown))?;
    (sample.url, sample.pattern) = (url, name);
    Ok(sample)
}

/// A local file as it is, any other copied first.
async fn open(url: &str, name: &str, s3: Option<&S3Origin>) -> Result<File> {
    if let Some(folder) = url.strip_prefix("file://") {
        let path = Path::new(folder).join(name);
        return File::open(&path).map_err(Error::io(format!("read {}", path.display())));
    }
    let storage = Storage::open(url, &secret::s3(s3)?)?;
    let size = storage.head_listed(name).await?.size;
    Ok(Scratch::copy(&storage, name, size, MOST, None).await?.file)
}

async fn over_http(options: &InferOptions, most: usize) -> Result<Sample> {
    // A person looks once, and robots.txt is for programs that come again.
    let origin = serde_json::json!({
        "url": options.place, "allow": options.allow, "attempts": 3, "max_bytes": MOST, "robots": "ignore",
    });
    let origin: HttpOrigin =
        serde_json::from_value(origin).map_err(|e| Error::settings("the address", e.to_string()))?;
    let mut fetcher = Fetcher::new(&origin)?;
    let url = reqwest::Url::parse(&options.place).map_err(|e| Error::settings("the address", e.to_string()))?;
    let Answer::Body(page) = fetcher.fetch(&url, &Known::default()).await? else {
        let detail = " though nothing was known of it".to_owned();
        return Err(Error::Status { url: crate::http::shown(&url), status: 304, detail });
    };
    let path = url.path().to_ascii_lowercase();
    let named = format_of(&path).map(|named| named.format);
    let by_type =
        page.content_type.as_deref().and_then(|kind| match kind.split(';').next().unwrap_or_default().trim() {
            "text/csv" => Some(RowFormat::Csv),
            "application/x-ndjson" | "application/jsonl" => Some(RowFormat::Jsonl),
            "application/json" => Some(RowFormat::Json),
            _ => None,
        });
    let format = options.format.or(named).or(by_type).unwrap_or(RowFormat::Json);
    let compression = compression_of(&path).1;
    if matches!(format, RowFormat::Parquet | RowFormat::Arrow) || compression.is_some() {
        let reason = "bodies of rows are fetched as JSON, JSON lines or CSV, without compression of their own";
        let mend = "put the file into a folder or bucket, and look at it there";
        return Err(Fault::new(FaultKind::Format, reason, mend).of(&crate::http::shown(&url)).into());
    }
    let scratch = Scratch::of(&page.body, None)?;
    let rows_at = options.rows_at.clone();
    let read = blocking(move || read(scratch.file, format, None, most, rows_at.as_deref())).await?;
    let mut sample = read.map_err(|fault| fault.of(&crate::http::shown(&url)))?;
    sample.pattern = path;
    sample.url.clone_from(&options.place);
    sample.is_http = true;
    Ok(sample)
}

fn lost(error: &std::io::Error) -> Fault {
    if let Some(open) = OpenRecord::behind(error) {
        return endless(&open);
    }
    Fault::new(FaultKind::Damaged, error.to_string(), "see whether the file was cut off")
}

fn read(
    file: File,
    format: RowFormat,
    compression: Option<Compression>,
    most: usize,
    rows_at: Option<&str>,
) -> Result<Sample, Fault> {
    let plain: Box<dyn Read> = match (compression, format) {
        (None, RowFormat::Parquet) => return parquet(file, most),
        (_, RowFormat::Parquet | RowFormat::Arrow) if compression.is_some() => {
            return Err(Fault::new(FaultKind::Format, "a compressed binary file is not looked at", "unpack it first"));
        }
        (None, RowFormat::Arrow) => return arrow(file, most),
        (None, _) => Box::new(file),
        (Some(Compression::Gzip), _) => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
        (Some(Compression::Zstd), _) => Box::new(zstd::stream::read::Decoder::new(file).map_err(|error| lost(&error))?),
    };
    let reader = BufReader::with_capacity(1 << 20, plain.take(MOST));
    match format {
        RowFormat::Csv => csv(reader, most),
        RowFormat::Json => json(reader, most, rows_at),
        _ => json_lines(reader, most),
    }
}

fn sample(format: RowFormat, names: Vec<String>, rows: Vec<Map<String, Value>>, whole: bool) -> Sample {
    Sample {
        names,
        known: BTreeMap::new(),
        rows,
        whole,
        format,
        delimiter: ',',
        url: String::new(),
        pattern: String::new(),
        is_http: false,
        rows_at: String::new(),
    }
}

fn csv(mut reader: impl BufRead, most: usize) -> Result<Sample, Fault> {
    let start = reader.fill_buf().map_err(|error| lost(&error))?.to_vec();
    let mark = if start.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    reader.consume(mark);
    let delimiter = delimiter(start.get(mark..).unwrap_or_default());
    let reader = Records::new(reader, RecordEnd::Csv { delimiter }, ROW_BYTES as u64);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(false).from_reader(reader);
    let broken = |error: csv::Error| csv_fault(&error);
    let names: Vec<String> = reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    let mut records = reader.records();
    while rows.len() < most {
        let Some(record) = records.next() else {
            return Ok(Sample { delimiter: char::from(delimiter), ..sample(RowFormat::Csv, names, rows, true) });
        };
        let record = record.map_err(broken)?;
        rows.push(names.iter().cloned().zip(record.iter().map(Value::from)).collect());
    }
    Ok(Sample { delimiter: char::from(delimiter), ..sample(RowFormat::Csv, names, rows, false) })
}

/// The character that divides every one of the first lines into the same number of fields, more than one.
fn delimiter(start: &[u8]) -> u8 {
    let fields = |delimiter: u8| {
        let mut reader =
            csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(start);
        let counts: Vec<usize> = reader.byte_records().take(DELIMITER_LINES).flatten().map(|r| r.len()).collect();
        // The last line of the buffer may be cut off.
        let counts = counts.get(..counts.len().saturating_sub(1).max(1)).unwrap_or_default();
        let first = counts.first().copied().unwrap_or_default();
        if first > 1 && counts.iter().all(|count| *count == first) { first } else { 0 }
    };
    [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|delimiter| fields(*delimiter)).unwrap_or(b',')
}

fn json_lines(reader: impl BufRead, most: usize) -> Result<Sample, Fault> {
    let reader = BufReader::new(Records::new(reader, RecordEnd::Line, ROW_BYTES as u64));
    let mut rows = Vec::new();
    let mut names = Vec::new();
    for (number, line) in (1..).zip(reader.split(b'\n')) {
        let line = line.map_err(|error| lost(&error))?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if rows.len() >= most {
            return Ok(sample(RowFormat::Jsonl, names, rows, false));
        }
        let broken = |reason: String| Fault::new(FaultKind::Json, reason, "one JSON object a line").line(number);
        match serde_json::from_slice(&line).map_err(|error| broken(error.to_string()))? {
            Value::Object(row) => push(row, &mut names, &mut rows),
            _ => return Err(broken("no object".to_owned())),
        }
    }
    Ok(sample(RowFormat::Jsonl, names, rows, true))
}

fn json(reader: impl BufRead, most: usize, rows_at: Option<&str>) -> Result<Sample, Fault> {
    let broken = |reason: String| {
        Fault::new(FaultKind::Json, reason, "say --rows-at with the JSON pointer of an array of objects: /data/items")
    };
    let mut document: Value = serde_json::from_reader(reader).map_err(|error| broken(error.to_string()))?;
    let at = match rows_at {
        Some(pointer) => pointer.to_owned(),
        None => longest(&document, String::new(), DEPTH).map(|(_, at)| at).unwrap_or_default(),
    };
    let all = match document.pointer_mut(&at).map(Value::take) {
        Some(Value::Array(all)) => all,
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err(broken(format!("\"{at}\" holds no rows"))),
    };
    let whole = all.len() <= most;
    let (mut rows, mut names) = (Vec::new(), Vec::new());
    for row in all.into_iter().take(most) {
        let Value::Object(row) = row else { return Err(broken(format!("an element of \"{at}\" is no object"))) };
        push(row, &mut names, &mut rows);
    }
    Ok(Sample { rows_at: at, ..sample(RowFormat::Json, names, rows, whole) })
}

/// Length and place of the longest array of objects in the objects of a document; of two the first.
fn longest(value: &Value, at: String, depth: usize) -> Option<(usize, String)> {
    match value {
        Value::Array(all) => all.first().is_some_and(Value::is_object).then_some((all.len(), at)),
        Value::Object(fields) if depth > 0 => {
            let step = |name: &String| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            let found = fields.iter().filter_map(|(name, value)| longest(value, step(name), depth - 1));
            found.reduce(|best, next| if next.0 > best.0 { next } else { best })
        }
        _ => None,
    }
}

fn push(row: Map<String, Value>, names: &mut Vec<String>, rows: &mut Vec<Map<String, Value>>) {
    for name in row.keys() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    rows.push(row);
}

fn parquet(file: File, most: usize) -> Result<Sample, Fault> {
    let damaged = |error: &dyn std::fmt::Display| {
        let mend = "see whether the file was cut off, and write it again";
        Fault::new(FaultKind::Damaged, format!("no whole Parquet file: {error}"), mend)
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
    let total = builder.metadata().file_metadata().num_rows();
    let schema = builder.schema().clone();
    let reader = builder.with_limit(most).build().map_err(|error| damaged(&error))?;
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(|error| damaged(&error))?;
    let whole = usize::try_from(total).is_ok_and(|total| total <= most);
    typed(RowFormat::Parquet, &schema, &batches, most, whole)
}

fn arrow(mut file: File, most: usize) -> Result<Sample, Fault> {
    let damaged = |error: &dyn std::fmt::Display| {
        Fault::new(FaultKind::Damaged, format!("no whole Arrow file: {error}"), "see whether the file was cut off")
    };
    let mut magic = [0; 6];
    let is_file = file.read_exact(&mut magic).is_ok() && &magic == b"ARROW1";
    file.seek(SeekFrom::Start(0)).map_err(|error| lost(&error))?;
    let mut batches = Vec::new();
    let mut rows = 0;
    let mut gather = |reader: &mut dyn Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>| {
        while rows < most {
            let Some(batch) = reader.next() else { return Ok(true) };
            let batch = batch.map_err(|error| damaged(&error))?;
            rows += batch.num_rows();
            batches.push(batch);
        }
        Ok(false)
    };
    let (schema, whole) = if is_file {
        let mut reader = arrow::ipc::reader::FileReader::try_new(file, None).map_err(|error| damaged(&error))?;
        (reader.schema(), gather(&mut reader)?)
    } else {
        let mut reader =
            arrow::ipc::reader::StreamReader::try_new(BufReader::new(file), None).map_err(|error| damaged(&error))?;
        (reader.schema(), gather(&mut reader)?)
    };
    typed(RowFormat::Arrow, &schema, &batches, most, whole)
}

/// Rows of a file that declares its types.
fn typed(
    format: RowFormat,
    schema: &Schema,
    batches: &[RecordBatch],
    most: usize,
    whole: bool,
) -> Result<Sample, Fault> {
    let unfit = |error: arrow::error::ArrowError| Fault::new(FaultKind::Format, error.to_string(), "use plain columns");
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::LineDelimited>(Vec::new());
    for batch in batches {
        writer.write(batch).map_err(unfit)?;
    }
    writer.finish().map_err(unfit)?;
    let text = writer.into_inner();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(most);
    let rows: Vec<Map<String, Value>> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let names = schema.fields().iter().map(|field| field.name().clone()).collect();
    let known = schema.fields().iter();
    let known = known.filter_map(|field| Some((field.name().clone(), ColumnType::holding(field.data_type())?)));
    Ok(Sample { known: known.collect(), ..sample(format, names, rows, whole) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_where_most_objects_stand_or_where_is_said() {
        let body = br#"{"meta": {"links": [{"rel": "next"}]}, "data": {"a/b": [{"n": 1}, {"n": 2}], "none": []}}"#;
        let found = |rows_at: Option<&str>| json(&body[..], 10, rows_at).map(|s| (s.rows_at, s.rows.len()));
        assert_eq!(found(None), Ok(("/data/a~1b".to_owned(), 2)));
        assert_eq!(found(Some("/meta/links")), Ok(("/meta/links".to_owned(), 1)));
        assert!(found(Some("/none")).is_err_and(|fault| fault.mend.contains("--rows-at")));
        let plain = |body: &[u8]| json(body, 10, None).map(|s| (s.rows_at, s.rows.len()));
        assert_eq!(plain(br#"[{"n": 1}]"#), Ok((String::new(), 1)));
        assert_eq!(plain(br#"{"n": 1}"#), Ok((String::new(), 1)), "one row, as the puller reads it");
        assert!(plain(b"[1]").is_err() && plain(b"1").is_err());
    }

    #[test]
    fn the_delimiter_is_what_divides_every_line_alike() {
        assert_eq!(delimiter(b"a,b\n1,2\n3,4\n"), b',');
        assert_eq!(delimiter(b"a;b;c\n\"1,5\";2;3\n3,1;4;5\n"), b';');
        assert_eq!(delimiter(b"a\tb\n1\t2\n3\t4\n"), b'\t');
        assert_eq!(delimiter(b"alone\n1\n2\n"), b',');
    }
}
