//! Why a prediction is what it is: the very rows that its features were read from, with the events they came in.
//!
//! The rows are found again in the clean tables by the definitions of the project file, as `shared/spec` words them:
//! equal keys, known by the instant of the prediction, inside the window.

use crate::error::{Error, Result};
use crate::prediction::Prediction;
use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, TimestampMillisecondType};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tidemill_contracts::paths;
use tidemill_dataset::{Condition, Error as TableError, Table};
use tidemill_expr::{Compiled, columns_of};
use tidemill_lineage::names;
use tidemill_spec::{Input, Spec};
use tidemill_storage::Storage;
use tidemill_types::{Millis, SourceName, columns};

/// Events listed one by one for each input; of more, the first and last are told.
const LISTED: usize = 1_000;

/// What was read for a prediction.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    /// Its id.
    pub prediction: String,
    /// Digest of the model that answered.
    pub model: String,
    /// Its score, if there was one.
    pub score: Option<f64>,
    /// The instant for which features were read.
    pub as_of: String,
    /// When it was answered.
    pub answered_at: Option<String>,
    /// The event of the row it is about, if there was one.
    pub entity: Option<EventOf>,
    /// The input whose newest row was the oldest.
    pub oldest_input: Option<Oldest>,
    /// What each input read, in the order of their names.
    pub inputs: Vec<InputRead>,
}

/// The event that a row came in.
#[derive(Clone, Debug, Serialize)]
pub struct EventOf {
    /// The events of a source, as a dataset of lineage.
    pub events: String,
    /// Its sequence among them.
    pub seq: i64,
    /// Place of the row in it.
    pub row: i32,
    /// Its id.
    pub event_id: String,
    /// When the row was known.
    pub known_at: String,
}

/// How old the oldest input was.
#[derive(Clone, Debug, Serialize)]
pub struct Oldest {
    /// Its source.
    pub source: SourceName,
    /// Age of its newest row in seconds.
    pub age_s: i64,
}

/// What one input read.
#[derive(Clone, Debug, Serialize)]
pub struct InputRead {
    /// Its name.
    pub input: String,
    /// Its source.
    pub source: SourceName,
    /// The events of the source, as a dataset of lineage.
    pub stream: String,
    /// Rows that were read.
    pub rows: usize,
    /// Smallest sequence among their events.
    pub first_event: Option<i64>,
    /// Largest sequence among their events.
    pub last_event: Option<i64>,
    /// When the newest of them was known.
    pub newest_known_at: Option<String>,
    /// Age of the newest row in seconds, at the instant of the prediction.
    pub age_s: Option<i64>,
    /// Features that are computed from it.
    pub features: String,
    /// The events, at most 1,000.
    pub events: Vec<Listed>,
}

/// An event among others of its source.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its sequence.
    pub seq: i64,
    /// Place of the row in it.
    pub row: i32,
    /// Its id.
    pub event_id: String,
}

/// A row of a clean table by where it came from.
#[derive(Clone, Debug)]
struct Origin {
    seq: i64,
    row: i32,
    event_id: String,
    known: i64,
}

/// Finds everything that was read for a prediction about an instant, under the project file that its model was trained
/// under.
///
/// # Errors
/// When the store does not answer, a file is damaged, or a formula does not fit the rows.
pub async fn why(storage: &Storage, spec: &Spec, found: &Prediction, as_of: Millis) -> Result<Why> {
    let entity_source = &spec.features.entity.source;
    let sources: BTreeSet<&SourceName> =
        spec.features.inputs.values().map(|input| &input.from).chain([entity_source]).collect();
    let mut opening = Vec::new();
    for source in sources {
        opening.push(open(storage, spec, source));
    }
    let tables: BTreeMap<SourceName, Table> = futures::future::try_join_all(opening).await?.into_iter().collect();
    let entity = match &found.key {
        Some(key) => entity(&tables, spec, key, as_of).await?,
        None => None,
    };
    let mut read = match &entity {
        Some((entity, _)) => read_by_inputs(&tables, spec, entity, as_of).await?,
        None => BTreeMap::new(),
    };
    let uses = uses(spec);
    let inputs: Vec<InputRead> = spec
        .features
        .inputs
        .iter()
        .map(|(name, input)| {
            let features = uses.get(name).map(|features| features.join(" ")).unwrap_or_default();
            input_read(spec, (name, input), &read.remove(name).unwrap_or_default(), features, as_of)
        })
        .collect();
    let oldest = inputs.iter().filter_map(|input| Some((input.age_s?, input))).max_by_key(|(age_s, _)| *age_s);
    Ok(Why {
        prediction: found.id.clone(),
        model: found.model.clone(),
        score: found.score,
        as_of: as_of.to_string(),
        answered_at: found.answered_at.map(|at| at.to_string()),
        entity: entity.map(|(_, origin)| EventOf {
            events: names::events(&spec.project, entity_source),
            seq: origin.seq,
            row: origin.row,
            event_id: origin.event_id,
            known_at: Millis(origin.known).to_string(),
        }),
        oldest_input: oldest.map(|(age_s, input)| Oldest { source: input.source.clone(), age_s }),
        inputs,
    })
}

async fn open(storage: &Storage, spec: &Spec, source: &SourceName) -> Result<(SourceName, Table)> {
    Ok((source.clone(), Table::open(storage, &paths::clean_table(&spec.project, source)).await?))
}

/// Features by the inputs that their expressions read.
fn uses(spec: &Spec) -> BTreeMap<String, Vec<String>> {
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

fn input_read(
    spec: &Spec,
    (name, input): (&String, &Input),
    rows: &[Origin],
    features: String,
    as_of: Millis,
) -> InputRead {
    let newest = rows.iter().map(|row| row.known).max();
    let listed = |row: &Origin| Listed { seq: row.seq, row: row.row, event_id: row.event_id.clone() };
    InputRead {
        input: name.clone(),
        source: input.from.clone(),
        stream: names::events(&spec.project, &input.from),
        rows: rows.len(),
        first_event: rows.iter().map(|row| row.seq).min(),
        last_event: rows.iter().map(|row| row.seq).max(),
        newest_known_at: newest.map(|known| Millis(known).to_string()),
        age_s: newest.map(|known| as_of.0.saturating_sub(known) / 1_000),
        features,
        events: rows.iter().take(LISTED).map(listed).collect(),
    }
}

/// Of a clean table for each question the rows that meet it, as far as they were known by an instant.
async fn known(
    tables: &BTreeMap<SourceName, Table>,
    source: &SourceName,
    names: &BTreeSet<String>,
    mut asks: Vec<Vec<Condition>>,
    as_of: Millis,
) -> Result<Vec<Option<RecordBatch>>> {
    let missing = || TableError::Absent { table: source.to_string(), version: None };
    let table = tables.get(source).ok_or_else(missing)?;
    for ask in &mut asks {
        ask.push(Condition::Between { column: columns::KNOWN_AT.to_owned(), from: Millis::MIN, to: as_of });
    }
    let names: Vec<&str> =
        names.iter().map(String::as_str).chain(columns::ADDED).collect::<BTreeSet<_>>().into_iter().collect();
    let found = table.find(&table.known().await, &names, &asks).await?;
    let whole = |batches: Vec<RecordBatch>| -> Result<Option<RecordBatch>> {
        let Some(first) = batches.first() else { return Ok(None) };
        Ok(Some(concat_batches(&first.schema(), &batches)?))
    };
    found.into_iter().map(whole).collect()
}

/// The entity row that was used: the newest known by the instant.
async fn entity(
    tables: &BTreeMap<SourceName, Table>,
    spec: &Spec,
    key: &str,
    as_of: Millis,
) -> Result<Option<(RecordBatch, Origin)>> {
    let entity = &spec.features.entity;
    // What inputs look for in it.
    let mut names: BTreeSet<String> = BTreeSet::new();
    for input in spec.features.inputs.values() {
        names.extend(input.by.iter().cloned());
        names.extend(input.anchor.iter().flat_map(|text| columns_of(text).unwrap_or_default()));
    }
    let is = Condition::Is { column: entity.key.clone(), value: key.to_owned() };
    let found = known(tables, &entity.source, &names, vec![vec![is]], as_of).await?;
    let Some(rows) = found.into_iter().next().flatten() else { return Ok(None) };
    let origins = origins(&rows)?;
    let newest = origins.into_iter().enumerate().max_by_key(|(_, origin)| (origin.known, origin.seq, origin.row));
    Ok(newest.map(|(at, origin)| (rows.slice(at, 1), origin)))
}

/// The rows that each input read for an entity, by its name. Each table is read once, whatever the number of inputs,
/// and all at a time.
async fn read_by_inputs(
    tables: &BTreeMap<SourceName, Table>,
    spec: &Spec,
    entity: &RecordBatch,
    as_of: Millis,
) -> Result<BTreeMap<String, Vec<Origin>>> {
    let sources: BTreeSet<&SourceName> = spec.features.inputs.values().map(|input| &input.from).collect();
    let mut reading = Vec::new();
    for source in sources {
        reading.push(read_of_source(tables, spec, source, entity, as_of));
    }
    Ok(futures::future::try_join_all(reading).await?.into_iter().flatten().collect())
}

/// The rows of one source that each of its inputs read.
async fn read_of_source(
    tables: &BTreeMap<SourceName, Table>,
    spec: &Spec,
    source: &SourceName,
    entity: &RecordBatch,
    as_of: Millis,
) -> Result<Vec<(String, Vec<Origin>)>> {
    let (mut of, mut asks, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (name, input) in spec.features.inputs.iter().filter(|(_, input)| input.from == *source) {
        if let Some(ask) = asked(input, entity, as_of)? {
            names.extend(input.filter.iter().flat_map(|text| columns_of(text).unwrap_or_default()));
            of.push((name, input));
            asks.push(ask);
        }
    }
    let found = known(tables, source, &names, asks, as_of).await?;
    let mut read = Vec::new();
    for ((name, input), rows) in of.into_iter().zip(found) {
        read.push((name.clone(), chosen(input, rows)?));
    }
    Ok(read)
}

/// What an input asks of its table for an entity; `None` when it meets nothing.
fn asked(input: &Input, entity: &RecordBatch, as_of: Millis) -> Result<Option<Vec<Condition>>> {
    let mut ask = Vec::new();
    for name in &input.by {
        let values = entity.column_by_name(name).map(text).transpose()?;
        // A key that is null meets nothing.
        let Some(values) = values.filter(|values| values.is_valid(0)) else { return Ok(None) };
        ask.push(Condition::Is { column: name.clone(), value: values.value(0).to_owned() });
    }
    let (from, to) = match (input.window, input.within) {
        (Some(window), _) => {
            let Some(anchor) = anchor(input, entity, as_of)? else { return Ok(None) };
            // The window is open at its begin and closed at its end.
            (Millis(anchor.0 - window.millis() + 1), Millis(anchor.0 + input.ahead.millis()))
        }
        (None, Some(within)) => (Millis(as_of.0 - within.millis()), as_of),
        (None, None) => (Millis::MIN, as_of),
    };
    let column = input.on.as_deref().unwrap_or(columns::KNOWN_AT).to_owned();
    ask.push(Condition::Between { column, from, to });
    Ok(Some(ask))
}

/// Where the window of an input ends for an entity.
fn anchor(input: &Input, entity: &RecordBatch, as_of: Millis) -> Result<Option<Millis>> {
    let Some(text) = &input.anchor else { return Ok(Some(as_of)) };
    let value = compiled(text, entity)?.evaluate(entity)?;
    let instants = value.as_primitive_opt::<TimestampMillisecondType>();
    Ok(instants.filter(|instants| instants.is_valid(0)).map(|instants| Millis(instants.value(0))))
}

/// Of the rows that an input may see, those that it read.
fn chosen(input: &Input, rows: Option<RecordBatch>) -> Result<Vec<Origin>> {
    let Some(rows) = rows else { return Ok(Vec::new()) };
    let rows = match &input.filter {
        None => rows,
        Some(text) => {
            let holds = compiled(text, &rows)?.evaluate(&rows)?;
            let holds = holds.as_boolean_opt().ok_or_else(|| TableError::Column(text.clone()))?;
            filter_record_batch(&rows, holds)?
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

fn compiled(text: &str, rows: &RecordBatch) -> Result<Compiled> {
    let nullable = |field: &arrow::datatypes::FieldRef| Field::new(field.name(), field.data_type().clone(), true);
    let schema = Schema::new(rows.schema().fields().iter().map(nullable).collect::<Vec<_>>());
    Ok(Compiled::new(text, &schema)?)
}

/// Values as texts, so that keys meet whatever integer width they have.
fn text(column: &ArrayRef) -> Result<StringArray> {
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn origins(rows: &RecordBatch) -> Result<Vec<Origin>> {
    let missing = |name: &str| Error::from(TableError::Column(name.to_owned()));
    let column = |name: &str| rows.column_by_name(name).ok_or_else(|| missing(name));
    let seq = column(columns::SEQ)?.as_primitive_opt::<Int64Type>().ok_or_else(|| missing(columns::SEQ))?;
    let row = column(columns::ROW)?.as_primitive_opt::<Int32Type>().ok_or_else(|| missing(columns::ROW))?;
    let ids = column(columns::EVENT_ID)?.as_string_opt::<i32>().ok_or_else(|| missing(columns::EVENT_ID))?;
    let known: Option<&TimestampMillisecondArray> = column(columns::KNOWN_AT)?.as_primitive_opt();
    let known = known.ok_or_else(|| missing(columns::KNOWN_AT))?;
    let of = |i: usize| Origin {
        seq: seq.value(i),
        row: row.value(i),
        event_id: ids.value(i).to_owned(),
        known: known.value(i),
    };
    Ok((0..rows.num_rows()).map(of).collect())
}
