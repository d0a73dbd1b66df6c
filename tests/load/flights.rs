//! The flights of the demo project as clean rows, feature vectors and labels, without bus or services.

use anyhow::{Context as _, Result};
use arrow::array::{Array as _, ArrayRef, AsArray as _, Int32Array, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, filter_record_batch, sort_to_indices, take, take_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimestampMillisecondType};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tidemill_dataset::read_parquet;
use tidemill_expr::Compiled;
use tidemill_features::{Feed, Plan, Replay};
use tidemill_spec::{ReplayPlan, ReplayStream, Source, Spec};
use tidemill_storage::{S3Options, Storage};
use tidemill_types::{Millis, SourceName, columns};

/// Rows of one batch of a feed.
const BATCH_ROWS: usize = 8_192;

/// Every source up to an instant, in the order in which it became known.
pub(crate) struct Flights {
    pub(crate) spec: Arc<Spec>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) sources: Vec<(SourceName, RecordBatch)>,
    /// Entities and the instants of their predictions, in that order.
    pub(crate) keys: ArrayRef,
    pub(crate) as_of: Vec<Millis>,
}

/// Feature vectors of all entities that have a label.
pub(crate) struct Labelled {
    pub(crate) features: RecordBatch,
    pub(crate) labels: Vec<bool>,
}

impl Flights {
    /// Reads what was known before `until`.
    pub(crate) async fn load(until: Millis) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/examples/flights").canonicalize()?;
        let spec = Arc::new(Spec::parse(&std::fs::read_to_string(folder.join("project.yaml"))?)?);
        let replay = ReplayPlan::parse(&std::fs::read_to_string(folder.join("replay.yaml"))?)?;
        let storage = Storage::open(&format!("file://{}", folder.display()), &S3Options::default())?;
        let plan = Arc::new(Plan::compile(&spec)?);
        let mut sources = Vec::new();
        for stream in replay.streams.iter().filter(|s| plan.sources().contains(&s.source)) {
            let source = spec.sources.get(&stream.source).context("a source of the replay is not declared")?;
            let file = read_parquet(&storage, &stream.file, None).await?;
            let all = concat_batches(&file.first().context("an empty file")?.schema(), &file)?;
            sources.push((stream.source.clone(), clean_rows(stream, source, all, until)?));
        }
        let (keys, as_of) = questions(&spec, &plan, &sources, until)?;
        Ok(Self { spec, plan, sources, keys, as_of })
    }

    /// Rows of all sources.
    pub(crate) fn events(&self) -> usize {
        self.sources.iter().map(|(_, rows)| rows.num_rows()).sum()
    }

    /// The vectors of all entities at their instants, by replay.
    pub(crate) fn vectors(&self) -> Result<RecordBatch> {
        let feed = |(source, rows): &(SourceName, RecordBatch)| {
            let rows = rows.clone();
            let starts = (0..rows.num_rows()).step_by(BATCH_ROWS);
            let batches = starts.map(move |at| Ok(rows.slice(at, BATCH_ROWS.min(rows.num_rows() - at))));
            (source.clone(), Box::new(batches) as Feed<'static>)
        };
        let mut replay = Replay::new(Arc::clone(&self.plan), self.sources.iter().map(feed).collect())?;
        Ok(replay.read(&self.keys, &self.as_of)?.batch)
    }

    /// The vectors of the entities whose outcome is known, with that outcome.
    pub(crate) fn labelled(&self) -> Result<Labelled> {
        let label = &self.spec.features.label;
        let outcomes = &self.sources.iter().find(|(source, _)| *source == label.source).context("no outcomes")?.1;
        let values = Compiled::new(&label.value, &outcomes.schema())?.evaluate(outcomes)?;
        let keys = cast(outcomes.column_by_name(&label.key).context("no key")?, &DataType::Int32)?;
        let keys = keys.as_primitive::<Int32Type>().values();
        let known: HashMap<i32, bool> = keys.iter().copied().zip(values.as_boolean().iter().flatten()).collect();
        let entities = cast(&self.keys, &DataType::Int32)?;
        let entities = entities.as_primitive::<Int32Type>().values().to_vec();
        let has_label: Vec<bool> = entities.iter().map(|key| known.contains_key(key)).collect();
        let labels = entities.iter().filter_map(|key| known.get(key).copied()).collect();
        let features = filter_record_batch(&self.vectors()?, &has_label.into())?;
        Ok(Labelled { features, labels })
    }
}

/// The declared columns of one stream with the columns that ingestion adds.
fn clean_rows(stream: &ReplayStream, source: &Source, file: RecordBatch, until: Millis) -> Result<RecordBatch> {
    let chosen = match &stream.filter {
        Some(text) => {
            let keep = Compiled::new(text, &file.schema())?.evaluate(&file)?;
            filter_record_batch(&file, keep.as_boolean())?
        }
        None => file,
    };
    let known = cast(&Compiled::new(&stream.known_at, &chosen.schema())?.evaluate(&chosen)?, &Millis::arrow_type())?;
    let order: UInt32Array = sort_to_indices(&known, None, None)?;
    let known = take(&known, &order, None)?;
    let end = known.as_primitive::<TimestampMillisecondType>().values().partition_point(|t| *t < until.0);
    let chosen = take_record_batch(&chosen, &order)?.slice(0, end);
    let mut fields: Vec<Field> = Vec::new();
    let mut values: Vec<ArrayRef> = Vec::new();
    for field in source.declared_schema().fields() {
        let text = stream.columns.get(field.name()).with_context(|| format!("no column {}", field.name()))?;
        values.push(cast(&Compiled::new(text, &chosen.schema())?.evaluate(&chosen)?, field.data_type())?);
        fields.push(field.as_ref().clone());
    }
    let system: [(&str, ArrayRef); 3] = [
        (columns::SEQ, Arc::new((1_i64..).take(end).collect::<Int64Array>())),
        (columns::ROW, Arc::new(Int32Array::from(vec![0; end]))),
        (columns::KNOWN_AT, known.slice(0, end)),
    ];
    for (name, array) in system {
        fields.push(Field::new(name, array.data_type().clone(), false));
        values.push(array);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), values)?)
}

/// Entities whose instant lies before `until`, in the order of their instants.
fn questions(
    spec: &Spec,
    plan: &Plan,
    sources: &[(SourceName, RecordBatch)],
    until: Millis,
) -> Result<(ArrayRef, Vec<Millis>)> {
    let entities = &sources.iter().find(|(source, _)| source == plan.entity_source()).context("no entities")?.1;
    let as_of = plan.as_of_for(entities)?.into_iter().map(|at| at.unwrap_or(until)).collect::<Vec<_>>();
    let mut order: Vec<u32> = (0_u32..).zip(&as_of).filter(|(_, at)| **at < until).map(|(row, _)| row).collect();
    order.sort_by_key(|row| as_of[*row as usize]);
    let keys = entities.column_by_name(&spec.features.entity.key).context("entities lack their key")?;
    let keys = take(keys, &UInt32Array::from(order.clone()), None)?;
    Ok((keys, order.into_iter().map(|row| as_of[row as usize]).collect()))
}
