//! `dataset classify`: which columns of a file or table look like personal data.

use super::dataset::open;
use super::output::{Output, next, say};
use super::rows::{self, FileKind};
use super::target::Target;
use crate::error::{Error, Result};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use tidemill_contracts::{prediction_log, training_set};
use tidemill_privacy::{ColumnView, Declaration, Verdict, classify};
use tidemill_spec::{Column, ColumnType, Source, Spec};
use tidemill_types::{SourceName, columns};

/// Rows of a file or table that are read, at most.
const ROWS: usize = 100_000;
/// Records of a JSON file from which its columns are found.
const RECORDS: usize = 1_000;

/// `tidemill dataset classify`.
#[derive(Debug, Args)]
pub(super) struct ClassifyArgs {
    /// .parquet, .csv with a header, .jsonl, or a table as `dataset ls` shows it.
    #[arg(value_name = "FILE|TABLE[@VERSION]")]
    what: String,
    /// Chooses the sample; the same seed gives the same answer.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
}

/// Runs the command; ends with 3 when a column waits for its classification.
pub(super) async fn run(target: &Target, out: Output, args: &ClassifyArgs) -> Result<u8> {
    let path = Path::new(&args.what);
    let (batch, known) =
        if path.is_file() { (of_file(path).await?, Known::default()) } else { of_table(target, &args.what).await? };
    let column = |name: &str| known.source.as_ref().and_then(|source| source.columns.get(name));
    let (schema, arrays) = (batch.schema(), batch.columns());
    let own = |(field, _): &(&Arc<Field>, &ArrayRef)| !field.name().starts_with(columns::PREFIX);
    let views: Vec<ColumnView<'_>> = schema
        .fields()
        .iter()
        .zip(arrays)
        .filter(own)
        .map(|(field, values)| ColumnView {
            name: field.name(),
            values,
            declared: known.said.get(field.name()).copied(),
        })
        .collect();
    let verdicts = classify(&views, args.seed).map_err(tidemill_privacy::PrivacyError::from)?;
    let mut shown = Vec::new();
    for view in &views {
        let verdict = verdicts.iter().find(|verdict| verdict.column == view.name);
        shown.push(row(view, verdict, column(view.name)));
    }
    out.rows(&["column", "class", "confidence", "decision", "sensitive", "example", "reason", "line"], &shown)?;
    let waiting = verdicts.iter().filter(|verdict| verdict.is_suspicious()).count();
    if waiting == 0 {
        next("tidemill project validate FILE");
        return Ok(0);
    }
    say(&format!("{waiting} columns look like personal data and are not classified; validation would hold them back"));
    next("put the lines into the source's columns, or pii: none where it is no personal data");
    Ok(3)
}

fn row(view: &ColumnView<'_>, verdict: Option<&Verdict>, column: Option<&Column>) -> Value {
    let Some(verdict) = verdict else {
        let class = view.declared.map(Declaration::as_str);
        return json!({"column": view.name, "class": class, "decision": "declared"});
    };
    let suspicious = verdict.is_suspicious();
    let class = verdict.class.filter(|_| suspicious);
    let line = class.and_then(|class| line(view, column, class.into(), verdict));
    let probable = verdict.class.filter(|_| verdict.confidence >= 0.01);
    json!({
        "column": view.name,
        "class": probable,
        "kind": verdict.kind.filter(|_| suspicious),
        "confidence": (verdict.confidence * 1_000.0).round() / 1_000.0,
        "decision": if suspicious { "classify" } else { "pass" },
        "sensitive": verdict.sensitive,
        "example": class.map(|_| verdict.example.as_str()),
        "reason": class.map(|_| verdict.reason.as_str()),
        "line": line,
    })
}

/// The column's line of a project file.
fn line(view: &ColumnView<'_>, column: Option<&Column>, pii: Declaration, verdict: &Verdict) -> Option<String> {
    let nullable = view.values.logical_null_count() > 0;
    let guessed = || {
        let kind = ColumnType::holding(view.values.data_type())?;
        Some(Column { kind, nullable, pii: None, sensitive: verdict.sensitive.is_some() })
    };
    let column = column.cloned().or_else(guessed)?;
    Some(column.line(view.name, pii))
}

async fn of_table(target: &Target, named: &str) -> Result<(RecordBatch, Known)> {
    let storage = target.storage()?;
    let (table, snapshot) = open(target, &storage, named).await?;
    let known = known(target, table.path()).await?;
    Ok((table.head(&snapshot, ROWS).await?, known))
}

/// What the project in force says of a table.
#[derive(Default)]
pub(super) struct Known {
    /// The source whose rows it holds.
    pub(super) source: Option<Source>,
    /// What is said of personal data in its columns.
    pub(super) said: BTreeMap<String, Declaration>,
}

/// What the project in force says of a table of rows, predictions or features; nothing without a bus that knows the
/// project, which is said.
pub(super) async fn known(target: &Target, table: &str) -> Result<Known> {
    let path: Vec<&str> = super::dataset::origin(table).split('/').collect();
    let [area @ ("raw" | "clean" | "quarantine" | "predictions" | "features"), owner, name, ..] = path.as_slice()
    else {
        return Ok(Known::default());
    };
    // Features lie under the name of their set, all others under that of the project.
    let is_theirs = |spec: &Spec| match *area {
        "features" => spec.features.set == *owner,
        _ => spec.project.as_str() == *owner,
    };
    let spec = async { target.spec(&target.bus().await?).await };
    let spec = match spec.await {
        Ok(spec) if is_theirs(&spec) => spec,
        Ok(_) => return Ok(Known::default()),
        Err(error) if target.instance.is_some() => return Err(error),
        Err(_) => {
            say("no project can be asked which columns are personal data; how their values look decides");
            return Ok(Known::default());
        }
    };
    if matches!(*area, "predictions" | "features") {
        return Ok(Known { source: None, said: of_features(&spec) });
    }
    let source = name.parse::<SourceName>().ok().and_then(|name| spec.sources.get(&name).cloned());
    let said = source.as_ref().map(Source::declarations).unwrap_or_default();
    Ok(Known { source, said })
}

/// What is said of the columns of the prediction log and of training sets: features, the key of the entity, and the rows
/// that stand beside them for the checks of leaks.
fn of_features(spec: &Spec) -> BTreeMap<String, Declaration> {
    let features = &spec.features;
    let beside = [
        (training_set::ENTITY_PREFIX, &features.entity.source),
        (training_set::OUTCOME_PREFIX, &features.label.source),
    ];
    let mut said = spec.feature_declarations();
    for (prefix, source) in beside {
        let declared = spec.sources.get(source).map(Source::declarations).unwrap_or_default();
        said.extend(declared.into_iter().map(|(name, class)| (format!("{prefix}{name}"), class)));
    }
    let key = said.get(&features.entity.key).copied();
    said.extend(
        key.into_iter().flat_map(|class| [prediction_log::KEY, training_set::KEY].map(|key| (key.to_owned(), class))),
    );
    said
}

async fn of_file(path: &Path) -> Result<RecordBatch> {
    let bad = |e: arrow::error::ArrowError| Error::Rows { path: path.to_owned(), reason: e.to_string() };
    let batches = match FileKind::of(path)? {
        FileKind::Parquet => rows::parquet(path).await?,
        // All columns as text, as detectors read text.
        FileKind::Csv => {
            let batches = rows::csv(path, &Schema::empty());
            batches.and_then(|batches| batches.take(batches_of(1_024)).collect()).map_err(bad)?
        }
        FileKind::JsonLines => json_lines(path).map_err(bad)?,
    };
    let mut left = ROWS;
    let mut taken = Vec::new();
    for batch in batches {
        let part = batch.slice(0, left.min(batch.num_rows()));
        left -= part.num_rows();
        taken.push(part);
        if left == 0 {
            break;
        }
    }
    let schema = taken.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    concat_batches(&schema, &taken).map_err(bad)
}

type Read = std::result::Result<Vec<RecordBatch>, arrow::error::ArrowError>;

fn json_lines(path: &Path) -> Read {
    let open = || std::fs::File::open(path).map(BufReader::new);
    let (schema, _) = arrow::json::reader::infer_json_schema(open()?, Some(RECORDS))?;
    let reader = arrow::json::ReaderBuilder::new(Arc::new(schema)).build(open()?)?;
    reader.take(batches_of(1_024)).collect()
}

/// Batches of a size that hold all the rows that are read.
fn batches_of(rows: usize) -> usize {
    ROWS.div_ceil(rows)
}
