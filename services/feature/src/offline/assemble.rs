//! From engine readings to feature rows, and from feature rows and outcomes to a training set. Pure.

use crate::error::FeatureServiceError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow::compute::{cast, concat_batches, filter_record_batch, take, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidemill_contracts::training_set as names;
use tidemill_expr::Compiled;
use tidemill_features::{Engine, Plan, Status};
use tidemill_spec::Spec;
use tidemill_types::{Millis, columns};

/// Columns of the table of feature rows: key, instant, features, the entity row's own columns.
pub(super) fn rows_schema(plan: &Plan) -> SchemaRef {
    let key =
        plan.entity_columns().field_with_name(plan.entity_key()).map_or(DataType::Int64, |f| f.data_type().clone());
    let mut fields = vec![Field::new(names::KEY, key, false), Field::new(names::AS_OF, Millis::arrow_type(), false)];
    fields.extend(plan.schema().fields().iter().map(|f| f.as_ref().clone()));
    fields.extend(entity_fields(plan));
    Arc::new(Schema::new(fields))
}

fn entity_fields(plan: &Plan) -> impl Iterator<Item = Field> + '_ {
    let columns = plan.entity_columns().fields().iter();
    columns.map(|f| Field::new(format!("{}{}", names::ENTITY_PREFIX, f.name()), f.data_type().clone(), true))
}

/// Notes entities under the instants of their predictions.
pub(super) fn enqueue(
    plan: &Plan,
    waiting: &mut BTreeMap<i64, Vec<RecordBatch>>,
    entities: &RecordBatch,
) -> Result<(), FeatureServiceError> {
    let instants = plan.as_of_for(entities)?;
    let mut by_instant: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, instant) in (0_u32..).zip(instants) {
        if let Some(instant) = instant {
            by_instant.entry(instant.0).or_default().push(row);
        }
    }
    for (instant, rows) in by_instant {
        let chosen = take_record_batch(entities, &UInt32Array::from(rows))?;
        waiting.entry(instant).or_default().push(chosen);
    }
    Ok(())
}

/// Reads the entities whose instant has come, oldest first; those unknown at their instant are left out.
pub(super) fn read_due(
    plan: &Plan,
    engine: &Engine,
    due: BTreeMap<i64, Vec<RecordBatch>>,
) -> Result<Option<RecordBatch>, FeatureServiceError> {
    let mut instants = Vec::new();
    let mut batches = Vec::new();
    for (instant, entities) in due {
        for batch in entities {
            instants.extend(std::iter::repeat_n(Millis(instant), batch.num_rows()));
            batches.push(batch);
        }
    }
    let Some(schema) = batches.first().map(RecordBatch::schema) else {
        return Ok(None);
    };
    let entities = concat_batches(&schema, &batches)?;
    let missing = || FeatureServiceError::Request("entity rows lack their key".to_owned());
    let keys = entities.column_by_name(plan.entity_key()).cloned().ok_or_else(missing)?;
    let reading = engine.read(&keys, &instants)?;
    let as_of = TimestampMillisecondArray::from_iter_values(instants.iter().map(|t| t.0)).with_timezone("UTC");
    let mut arrays: Vec<ArrayRef> = vec![keys, Arc::new(as_of)];
    arrays.extend(reading.batch.columns().iter().cloned());
    for field in plan.entity_columns().fields() {
        let column = reading.entity.column_by_name(field.name()).cloned().ok_or_else(missing)?;
        arrays.push(column);
    }
    let rows = RecordBatch::try_new(rows_schema(plan), arrays)?;
    let known: BooleanArray = reading.status.iter().map(|s| Some(*s == Status::Present)).collect();
    Ok(Some(filter_record_batch(&rows, &known)?))
}

/// Joins labels and applies the exclusion rule.
pub(super) struct Assembler {
    schema: SchemaRef,
    entity: SchemaRef,
    label_key: String,
    label: Compiled,
    exclude: Option<Compiled>,
}

impl Assembler {
    pub(super) fn new(spec: &Spec, plan: &Plan) -> Result<Self, FeatureServiceError> {
        let outcome = spec.sources.get(&spec.features.label.source);
        let outcome = outcome.ok_or_else(|| FeatureServiceError::Request("no outcome source".to_owned()))?;
        let entity = Arc::clone(plan.entity_columns());
        let exclude = spec.train.exclude.as_ref().map(|e| Compiled::new(&e.filter, &entity)).transpose()?;
        Ok(Self {
            schema: rows_schema(plan),
            label: Compiled::new(&spec.features.label.value, &outcome.table_schema())?,
            label_key: spec.features.label.key.clone(),
            entity,
            exclude,
        })
    }

    /// The training set, and how many of its rows have a label.
    pub(super) fn label(
        &self,
        rows: &[RecordBatch],
        outcomes: &RecordBatch,
    ) -> Result<(RecordBatch, u64), FeatureServiceError> {
        let rows = concat_batches(&self.schema, rows)?;
        let at = self.match_outcomes(&rows, outcomes)?;
        let labels = take(&self.label.evaluate(outcomes)?, &at, None)?;
        let labelled = (labels.len() - labels.null_count()) as u64;
        let mut fields: Vec<Field> = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut add = |name: String, array: ArrayRef| {
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        };
        add(names::LABEL.to_owned(), labels);
        let known_at = outcomes.column_by_name(columns::KNOWN_AT).cloned();
        let known_at =
            known_at.ok_or_else(|| FeatureServiceError::Request("outcomes lack their knowledge time".to_owned()))?;
        add(names::LABEL_KNOWN_AT.to_owned(), take(&known_at, &at, None)?);
        add(names::EXCLUDED.to_owned(), Arc::new(self.excluded(&rows)?));
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            add(field.name().clone(), Arc::clone(column));
        }
        for (field, column) in outcomes.schema().fields().iter().zip(outcomes.columns()) {
            if !field.name().starts_with(columns::PREFIX) && *field.name() != self.label_key {
                add(format!("{}{}", names::OUTCOME_PREFIX, field.name()), take(column, &at, None)?);
            }
        }
        Ok((RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?, labelled))
    }

    /// For every row, the newest outcome with its key, or null.
    fn match_outcomes(&self, rows: &RecordBatch, outcomes: &RecordBatch) -> Result<UInt32Array, FeatureServiceError> {
        let missing = |what: &str| FeatureServiceError::Request(format!("{what} lack their key"));
        let keys = rows.column_by_name(names::KEY).ok_or_else(|| missing("rows"))?;
        let theirs = outcomes.column_by_name(&self.label_key).ok_or_else(|| missing("outcomes"))?;
        let theirs = cast(theirs, keys.data_type())?;
        let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
        let (ours, theirs) = (converter.convert_columns(&[Arc::clone(keys)])?, converter.convert_columns(&[theirs])?);
        let mut newest: HashMap<&[u8], u32> = HashMap::with_capacity(outcomes.num_rows());
        for (at, key) in (0_u32..).zip(theirs.iter()) {
            // Outcomes are oldest first, so a restated one replaces what it restates.
            newest.insert(key.data(), at);
        }
        Ok(ours.iter().map(|key| newest.get(key.data()).copied()).collect())
    }

    fn excluded(&self, rows: &RecordBatch) -> Result<BooleanArray, FeatureServiceError> {
        let Some(exclude) = &self.exclude else {
            return Ok(BooleanArray::from(vec![false; rows.num_rows()]));
        };
        let named = |name: &String| rows.column_by_name(&format!("{}{name}", names::ENTITY_PREFIX)).cloned();
        let columns: Option<Vec<ArrayRef>> = self.entity.fields().iter().map(|f| named(f.name())).collect();
        let columns = columns.ok_or_else(|| FeatureServiceError::Request("rows lack entity columns".to_owned()))?;
        let fields: Vec<Field> = self.entity.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let entity = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let verdict = exclude.evaluate(&entity)?;
        let unknown_is_kept = verdict.as_boolean().iter().map(|v| Some(v.unwrap_or(false)));
        Ok(unknown_is_kept.collect())
    }
}
