//! `lineage why` of a prediction: the very rows that its features were read from, with the events they came in.
//!
//! The rows are found again in the clean tables by the definitions of the project file, as `shared/spec` words them:
//! equal keys, known by the instant of the prediction, inside the window.

use super::Place;
use super::subject::Prediction;
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, TimestampMillisecondType};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidemill_contracts::{paths, prediction_log as log};
use tidemill_dataset::{Between, Table};
use tidemill_expr::{Compiled, columns_of};
use tidemill_lineage::names;
use tidemill_spec::{Input, Source};
use tidemill_types::{Millis, SourceName, columns};

/// Events listed one by one for each input; of more, the first and last are told.
const LISTED: usize = 1_000;

/// A row of a clean table by where it came from.
struct Origin {
    seq: i64,
    row: i32,
    event_id: String,
    known: i64,
}

/// Everything that was read for a prediction.
pub(super) async fn why(place: &Place<'_>, found: &Prediction) -> Result<Value> {
    let spec = place.spec;
    let as_of = found.as_of.ok_or_else(|| Error::Usage("the prediction was about no instant".to_owned()))?;
    let entity = entity(place, found, as_of).await?;
    let uses = uses(spec);
    let mut inputs = Vec::new();
    for (name, input) in &spec.features.inputs {
        let rows = match &entity {
            Some((entity, _)) => read_by(place, input, entity, as_of).await?,
            None => Vec::new(),
        };
        inputs.push(input_row(place, name, input, &rows, uses.get(name).map(Vec::as_slice).unwrap_or_default()));
    }
    let entity_source = &spec.features.entity.source;
    Ok(json!({
        "prediction": found.id,
        "model": found.model,
        "score": found.score,
        "as_of": as_of.to_string(),
        "answered_at": found.answered_at.map(|at| at.to_string()),
        "entity": entity.as_ref().map(|(_, origin)| event(&names::events(&spec.project, entity_source), origin)),
        "inputs": inputs,
        "training": place.graph.up(&found.model_dataset(), None),
    }))
}

/// Features by the inputs that their expressions read.
fn uses(spec: &tidemill_spec::Spec) -> BTreeMap<String, Vec<String>> {
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (feature, definition) in &spec.features.define {
        for name in columns_of(definition.expr()).unwrap_or_default() {
            let Some((input, _)) = name.split_once('.') else { continue };
            let features = uses.entry(input.to_owned()).or_default();
            if features.last() != Some(feature) {
                features.push(feature.clone());
            }
        }
    }
    uses
}

fn event(stream: &str, origin: &Origin) -> Value {
    json!({
        "events": stream,
        "seq": origin.seq,
        "row": origin.row,
        "event_id": origin.event_id,
        "known_at": Millis(origin.known).to_string(),
    })
}

fn input_row(place: &Place<'_>, name: &str, input: &Input, rows: &[Origin], features: &[String]) -> Value {
    let listed: Vec<Value> =
        rows.iter().take(LISTED).map(|o| json!({"seq": o.seq, "row": o.row, "event_id": o.event_id})).collect();
    json!({
        "input": name,
        "source": input.from,
        "stream": names::events(&place.spec.project, &input.from),
        "rows": rows.len(),
        "first_event": rows.iter().map(|o| o.seq).min(),
        "last_event": rows.iter().map(|o| o.seq).max(),
        "newest_known_at": rows.iter().map(|o| o.known).max().map(|known| Millis(known).to_string()),
        "features": features.join(" "),
        "events": listed,
    })
}

/// The entity row that was used: the newest known by the instant.
async fn entity(place: &Place<'_>, found: &Prediction, as_of: Millis) -> Result<Option<(RecordBatch, Origin)>> {
    let entity = &place.spec.features.entity;
    let key = found.row.column_by_name(log::KEY).map(text).transpose()?;
    let Some(key) = key.filter(|key| key.is_valid(0)).map(|key| key.value(0).to_owned()) else { return Ok(None) };
    let wanted = [(entity.key.clone(), key)];
    let rows = known(place, &entity.source, None, (Millis::MIN, as_of), as_of, &wanted).await?;
    let origins = origins(&rows)?;
    let newest = (0..origins.len()).max_by_key(|i| origins.get(*i).map(|o| (o.known, o.seq, o.row)));
    let Some(newest) = newest else { return Ok(None) };
    Ok(origins.into_iter().nth(newest).map(|origin| (rows.slice(newest, 1), origin)))
}

/// The rows that an input read for an entity.
async fn read_by(place: &Place<'_>, input: &Input, entity: &RecordBatch, as_of: Millis) -> Result<Vec<Origin>> {
    let mut wanted = Vec::new();
    for name in &input.by {
        let values = entity.column_by_name(name).map(text).transpose()?;
        match values.filter(|values| values.is_valid(0)) {
            Some(values) => wanted.push((name.clone(), values.value(0).to_owned())),
            // A key that is null meets nothing.
            None => return Ok(Vec::new()),
        }
    }
    let from = match (input.window, input.within) {
        (Some(window), _) => {
            let anchor = anchor(input, entity, as_of)?;
            let Some(anchor) = anchor else { return Ok(Vec::new()) };
            // The window is open at its begin and closed at its end; scans are the other way round.
            (Millis(anchor.0 - window.millis() + 1), Millis(anchor.0 + input.ahead.millis()))
        }
        (None, Some(within)) => (Millis(as_of.0 - within.millis()), as_of),
        (None, None) => (Millis::MIN, as_of),
    };
    let rows = known(place, &input.from, input.on.as_deref(), from, as_of, &wanted).await?;
    let rows = match &input.filter {
        None => rows,
        Some(text) => {
            let holds = compiled(text, &rows)?.evaluate(&rows).map_err(std::io::Error::other)?;
            let holds = holds.as_boolean_opt().ok_or_else(|| Error::Usage(format!("\"{text}\" is no condition")))?;
            filter_record_batch(&rows, holds).map_err(std::io::Error::other)?
        }
    };
    let mut origins = origins(&rows)?;
    origins.sort_by_key(|o| (o.known, o.seq, o.row));
    if !input.last.is_empty() {
        let lag = usize::try_from(input.lag).unwrap_or(usize::MAX);
        let at = origins.len().checked_sub(lag.saturating_add(1));
        return Ok(at.map(|at| origins.swap_remove(at)).into_iter().collect());
    }
    Ok(origins)
}

/// Where the window of an input ends for an entity.
fn anchor(input: &Input, entity: &RecordBatch, as_of: Millis) -> Result<Option<Millis>> {
    let Some(text) = &input.anchor else { return Ok(Some(as_of)) };
    let value = compiled(text, entity)?.evaluate(entity).map_err(std::io::Error::other)?;
    let instants = value.as_primitive_opt::<TimestampMillisecondType>();
    Ok(instants.filter(|instants| instants.is_valid(0)).map(|instants| Millis(instants.value(0))))
}

fn compiled(text: &str, rows: &RecordBatch) -> Result<Compiled> {
    let nullable = |field: &arrow::datatypes::FieldRef| Field::new(field.name(), field.data_type().clone(), true);
    let schema = Schema::new(rows.schema().fields().iter().map(nullable).collect::<Vec<_>>());
    Ok(Compiled::new(text, &schema).map_err(std::io::Error::other)?)
}

/// Clean rows whose time (`on`, else knowledge) lies in a stretch, both ends included, that were known by an instant and
/// have the wanted values.
async fn known(
    place: &Place<'_>,
    source: &SourceName,
    on: Option<&str>,
    (from, to): (Millis, Millis),
    by: Millis,
    wanted: &[(String, String)],
) -> Result<RecordBatch> {
    let missing = || Error::NotFound { what: "source", name: source.to_string(), list: "tidemill project show" };
    let declared: &Source = place.spec.sources.get(source).ok_or_else(missing)?;
    let table = Table::open(place.storage, &paths::clean_table(&place.spec.project, source)).await?;
    let snapshot = table.load().await?;
    let between =
        Between { column: on.unwrap_or(columns::KNOWN_AT).to_owned(), from, to: Millis(to.0.saturating_add(1)) };
    let schema = declared.table_schema();
    let mut scan = table.scan(&snapshot, None, Some(between));
    let mut found = Vec::new();
    while let Some(batch) = scan.next().await? {
        let mut mask: Vec<bool> = instants(&batch, columns::KNOWN_AT)?.iter().map(|at| *at <= by.0).collect();
        for (name, value) in wanted {
            let column = batch.column_by_name(name).ok_or_else(|| tidemill_dataset::Error::Column(name.clone()))?;
            let values = text(column)?;
            for (keep, here) in mask.iter_mut().zip(values.iter()) {
                *keep &= here == Some(value.as_str());
            }
        }
        let kept = filter_record_batch(&batch, &BooleanArray::from(mask)).map_err(std::io::Error::other)?;
        if kept.num_rows() > 0 {
            found.push(kept);
        }
    }
    Ok(concat_batches(&schema, &found).map_err(std::io::Error::other)?)
}

/// Values as texts, so that keys meet whatever integer width they have.
fn text(column: &ArrayRef) -> Result<StringArray> {
    let cast = cast(column, &DataType::Utf8).map_err(std::io::Error::other)?;
    Ok(cast.as_string::<i32>().clone())
}

fn instants(batch: &RecordBatch, name: &str) -> Result<Vec<i64>> {
    let column = batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
    let column = column.ok_or_else(|| tidemill_dataset::Error::Column(name.to_owned()))?;
    Ok(column.values().to_vec())
}

fn origins(rows: &RecordBatch) -> Result<Vec<Origin>> {
    let missing = |name: &str| Error::from(tidemill_dataset::Error::Column(name.to_owned()));
    let column = |name: &str| rows.column_by_name(name).ok_or_else(|| missing(name));
    let seq = column(columns::SEQ)?.as_primitive_opt::<Int64Type>().ok_or_else(|| missing(columns::SEQ))?;
    let row = column(columns::ROW)?.as_primitive_opt::<Int32Type>().ok_or_else(|| missing(columns::ROW))?;
    let ids = column(columns::EVENT_ID)?.as_string_opt::<i32>().ok_or_else(|| missing(columns::EVENT_ID))?;
    let known = instants(rows, columns::KNOWN_AT)?;
    let of = |(i, known): (usize, i64)| Origin {
        seq: seq.value(i),
        row: row.value(i),
        event_id: ids.value(i).to_owned(),
        known,
    };
    Ok(known.into_iter().enumerate().map(of).collect())
}
