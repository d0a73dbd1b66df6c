//! `lineage why` of a prediction: the very rows that its features were read from, with the events they came in.
//!
//! The rows are found again in the clean tables by the definitions of the project file, as `shared/spec` words them:
//! equal keys, known by the instant of the prediction, inside the window.

use super::Place;
use super::subject::Prediction;
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{and, cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, TimestampMillisecondType};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_contracts::{paths, prediction_log as log};
use tidemill_dataset::{Between, Table};
use tidemill_expr::{Compiled, columns_of};
use tidemill_lineage::names;
use tidemill_spec::Input;
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
    let read = match &entity {
        Some((entity, _)) => read_by_inputs(place, entity, as_of).await?,
        None => BTreeMap::new(),
    };
    let row = |(name, input): (&String, &Input)| {
        let rows = read.get(name).map(Vec::as_slice).unwrap_or_default();
        input_row(place, name, input, rows, uses.get(name).map(Vec::as_slice).unwrap_or_default())
    };
    let mut inputs: Vec<Value> = spec.features.inputs.iter().map(row).collect();
    let age_s = |known: &i64| as_of.0.saturating_sub(*known) / 1_000;
    for input in &mut inputs {
        let newest = input["input"].as_str().and_then(|name| read.get(name)?.iter().map(|o| o.known).max());
        input["age_s"] = json!(newest.as_ref().map(age_s));
    }
    let oldest = inputs.iter().filter(|input| input["age_s"].is_i64()).max_by_key(|input| input["age_s"].as_i64());
    let oldest = oldest.map(|input| json!({"source": input["source"], "age_s": input["age_s"]}));
    let entity_source = &spec.features.entity.source;
    Ok(json!({
        "prediction": found.id,
        "model": found.model,
        "score": found.score,
        "as_of": as_of.to_string(),
        "answered_at": found.answered_at.map(|at| at.to_string()),
        "entity": entity.as_ref().map(|(_, origin)| event(&names::events(&spec.project, entity_source), origin)),
        "oldest_input": oldest,
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
    let wanted = vec![(entity.key.clone(), key)];
    let mut asked = [Asked::new(columns::KNOWN_AT, (Millis::MIN, as_of), wanted)];
    known(place, &entity.source, &mut asked, as_of, None).await?;
    let Some(rows) = asked[0].rows()? else { return Ok(None) };
    let origins = origins(&rows)?;
    let newest = (0..origins.len()).max_by_key(|i| origins.get(*i).map(|o| (o.known, o.seq, o.row)));
    let Some(newest) = newest else { return Ok(None) };
    Ok(origins.into_iter().nth(newest).map(|origin| (rows.slice(newest, 1), origin)))
}

/// The rows that each input read for an entity, by its name. Each table is read once, whatever the number of inputs.
async fn read_by_inputs(
    place: &Place<'_>,
    entity: &RecordBatch,
    as_of: Millis,
) -> Result<BTreeMap<String, Vec<Origin>>> {
    let mut read = BTreeMap::new();
    let inputs = &place.spec.features.inputs;
    for source in inputs.values().map(|input| &input.from).collect::<BTreeSet<_>>() {
        let (mut of, mut asked) = (Vec::new(), Vec::new());
        for (name, input) in inputs.iter().filter(|(_, input)| input.from == *source) {
            if let Some(ask) = Asked::of(input, entity, as_of)? {
                of.push((name, input));
                asked.push(ask);
            }
        }
        let mut names: BTreeSet<&str> = columns::ADDED.into_iter().collect();
        let conditions: Vec<String> =
            of.iter().filter_map(|(_, input)| columns_of(input.filter.as_ref()?).ok()).flatten().collect();
        names.extend(conditions.iter().map(String::as_str));
        names.extend(of.iter().flat_map(|(_, input)| input.by.iter().chain(&input.on)).map(String::as_str));
        let names: Vec<&str> = names.into_iter().collect();
        known(place, source, &mut asked, as_of, Some(&names)).await?;
        for ((name, input), asked) in of.into_iter().zip(asked) {
            read.insert(name.clone(), chosen(input, asked.rows()?)?);
        }
    }
    Ok(read)
}

/// Of the rows that an input may see, those that it read.
fn chosen(input: &Input, rows: Option<RecordBatch>) -> Result<Vec<Origin>> {
    let Some(rows) = rows else { return Ok(Vec::new()) };
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

/// Rows that are looked for in a table: their time lies in a stretch, both ends included, and they have the wanted
/// values.
struct Asked {
    on: String,
    from: Millis,
    to: Millis,
    wanted: Vec<(String, String)>,
    found: Vec<RecordBatch>,
}

impl Asked {
    fn new(on: &str, (from, to): (Millis, Millis), wanted: Vec<(String, String)>) -> Self {
        Self { on: on.to_owned(), from, to, wanted, found: Vec::new() }
    }

    /// What an input asks for an entity; `None` when it meets nothing.
    fn of(input: &Input, entity: &RecordBatch, as_of: Millis) -> Result<Option<Self>> {
        let mut wanted = Vec::new();
        for name in &input.by {
            let values = entity.column_by_name(name).map(text).transpose()?;
            match values.filter(|values| values.is_valid(0)) {
                Some(values) => wanted.push((name.clone(), values.value(0).to_owned())),
                // A key that is null meets nothing.
                None => return Ok(None),
            }
        }
        let stretch = match (input.window, input.within) {
            (Some(window), _) => {
                let Some(anchor) = anchor(input, entity, as_of)? else { return Ok(None) };
                // The window is open at its begin and closed at its end.
                (Millis(anchor.0 - window.millis() + 1), Millis(anchor.0 + input.ahead.millis()))
            }
            (None, Some(within)) => (Millis(as_of.0 - within.millis()), as_of),
            (None, None) => (Millis::MIN, as_of),
        };
        Ok(Some(Self::new(input.on.as_deref().unwrap_or(columns::KNOWN_AT), stretch, wanted)))
    }

    /// Keeps the rows of a batch that are asked for. `texts` are columns that were needed before.
    fn take(&mut self, batch: &RecordBatch, by: Millis, texts: &mut BTreeMap<String, StringArray>) -> Result<()> {
        let failed = std::io::Error::other::<arrow::error::ArrowError>;
        let known = BooleanArray::from_unary(instants(batch, columns::KNOWN_AT)?, |at| at <= by.0);
        let inside = |at: i64| self.from.0 <= at && at <= self.to.0;
        let mut mask = and(&known, &BooleanArray::from_unary(instants(batch, &self.on)?, inside)).map_err(failed)?;
        for (name, value) in &self.wanted {
            if !texts.contains_key(name) {
                let column = batch.column_by_name(name).ok_or_else(|| tidemill_dataset::Error::Column(name.clone()))?;
                texts.insert(name.clone(), text(column)?);
            }
            let same = eq(&texts[name], &StringArray::new_scalar(value)).map_err(failed)?;
            mask = and(&mask, &same).map_err(failed)?;
        }
        let kept = filter_record_batch(batch, &mask).map_err(failed)?;
        if kept.num_rows() > 0 {
            self.found.push(kept);
        }
        Ok(())
    }

    fn rows(&self) -> Result<Option<RecordBatch>> {
        let Some(first) = self.found.first() else { return Ok(None) };
        Ok(Some(concat_batches(&first.schema(), &self.found).map_err(std::io::Error::other)?))
    }
}

/// Reads a clean table once for everything that is asked of it; only rows that were known by an instant count. `None` for
/// `names` means all columns.
async fn known(
    place: &Place<'_>,
    source: &SourceName,
    asked: &mut [Asked],
    by: Millis,
    names: Option<&[&str]>,
) -> Result<()> {
    let table = Table::open(place.storage, &paths::clean_table(&place.spec.project, source)).await?;
    let snapshot = table.load().await?;
    // Files are passed over where all ask for the same time.
    let on = asked.first().map(|ask| ask.on.clone()).filter(|on| asked.iter().all(|ask| ask.on == *on));
    let (from, to) = (asked.iter().map(|ask| ask.from).min(), asked.iter().map(|ask| ask.to).max());
    let (Some(from), Some(to)) = (from, to) else { return Ok(()) };
    let between = on.map(|column| Between { column, from, to: Millis(to.0.saturating_add(1)) });
    let mut scan = table.scan(&snapshot, names, between);
    while let Some(batch) = scan.next().await? {
        let mut texts = BTreeMap::new();
        for ask in asked.iter_mut() {
            ask.take(&batch, by, &mut texts)?;
        }
    }
    Ok(())
}

/// Values as texts, so that keys meet whatever integer width they have.
fn text(column: &ArrayRef) -> Result<StringArray> {
    let cast = cast(column, &DataType::Utf8).map_err(std::io::Error::other)?;
    Ok(cast.as_string::<i32>().clone())
}

fn instants<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b TimestampMillisecondArray> {
    let column = batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
    Ok(column.ok_or_else(|| tidemill_dataset::Error::Column(name.to_owned()))?)
}

fn origins(rows: &RecordBatch) -> Result<Vec<Origin>> {
    let missing = |name: &str| Error::from(tidemill_dataset::Error::Column(name.to_owned()));
    let column = |name: &str| rows.column_by_name(name).ok_or_else(|| missing(name));
    let seq = column(columns::SEQ)?.as_primitive_opt::<Int64Type>().ok_or_else(|| missing(columns::SEQ))?;
    let row = column(columns::ROW)?.as_primitive_opt::<Int32Type>().ok_or_else(|| missing(columns::ROW))?;
    let ids = column(columns::EVENT_ID)?.as_string_opt::<i32>().ok_or_else(|| missing(columns::EVENT_ID))?;
    let known = instants(rows, columns::KNOWN_AT)?.values().to_vec();
    let of = |(i, known): (usize, i64)| Origin {
        seq: seq.value(i),
        row: row.value(i),
        event_id: ids.value(i).to_owned(),
        known,
    };
    Ok(known.into_iter().enumerate().map(of).collect())
}
