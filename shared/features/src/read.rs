//! Reading: feature vectors at instants.

use crate::engine::{Engine, conform};
use crate::error::FeatureError;
use crate::input::{look_up, outputs};
use crate::key::{Keys, comparable};
use crate::plan::{FeaturePlan, evaluate};
use crate::value::without_nan;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidemill_spec::FeatureKind;
use tidemill_types::{Millis, SourceName};

/// Whether a row of a reading could be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Answered. Single features may still be null: nothing known, or expired.
    Present,
    /// No such entity was known at that instant, or its time is over by more than one lookback.
    UnknownEntity,
    /// The instant lies farther back than the engine answers.
    OutsideLookback,
}

/// Feature vectors, one row per question, in the order of the questions.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Features in the plan's schema; all null unless the status is present.
    pub batch: RecordBatch,
    /// Status of each row.
    pub status: Vec<Status>,
    /// Declared columns of the entity row that was used; all null unless the status is present.
    pub entity: RecordBatch,
    /// Newest knowledge of each source when the reading was made, in name order.
    pub newest_known_at: Vec<(SourceName, Option<Millis>)>,
}

impl Engine {
    /// The feature vectors of entities at instants, from rows with `tm_known_at` ≤ `as_of` only.
    ///
    /// `keys` has the type of the entity's key column (integers of any width will do) and as many rows as
    /// `as_of`. Instants may come in any order.
    ///
    /// # Errors
    /// Keys of another type, lengths that differ, or an expression that fails on a row.
    pub fn read(&self, keys: &ArrayRef, as_of: &[Millis]) -> Result<Reading, FeatureError> {
        same_length(keys.len(), as_of.len())?;
        let field = self.plan.entity_schema.field_with_name(&self.plan.entity_key)?;
        if !comparable(keys.data_type(), field.data_type()) {
            let message = format!("keys have type {}, the entity key {}", keys.data_type(), field.data_type());
            return Err(FeatureError::Arguments(message));
        }
        let keys = Keys::of_arrays(&[keys], as_of.len())?;
        let floor = self.floor();
        let mut ids = Vec::with_capacity(as_of.len());
        let mut instants = Vec::with_capacity(as_of.len());
        let mut status = Vec::with_capacity(as_of.len());
        for (row, instant) in as_of.iter().enumerate() {
            if floor.is_some_and(|floor| instant.0 < floor) {
                status.push(Status::OutsideLookback);
                continue;
            }
            match keys.get(row).and_then(|key| self.entities.find(key, instant.0)) {
                Some(version) => {
                    ids.push(version.id);
                    instants.push(instant.0);
                    status.push(Status::Present);
                }
                None => status.push(Status::UnknownEntity),
            }
        }
        self.reading(self.entities.rows(&ids)?, &instants, status)
    }

    /// As [`Engine::read`], for a caller who has the entity rows (declared columns, in any order).
    ///
    /// # Errors
    /// Missing columns, lengths that differ, or an expression that fails on a row.
    pub fn read_rows(&self, entity_rows: &RecordBatch, as_of: &[Millis]) -> Result<Reading, FeatureError> {
        same_length(entity_rows.num_rows(), as_of.len())?;
        let rows = conform(&self.plan.entity_schema, entity_rows)?;
        let floor = self.floor().unwrap_or(i64::MIN);
        let answer = |t: &Millis| if t.0 < floor { Status::OutsideLookback } else { Status::Present };
        let status: Vec<Status> = as_of.iter().map(answer).collect();
        let present = (0_u32..).zip(&status).filter(|(_, s)| **s == Status::Present).map(|(i, _)| i);
        let present = UInt32Array::from_iter_values(present);
        let instants: Vec<i64> = as_of.iter().map(|t| t.0).filter(|t| *t >= floor).collect();
        self.reading(pick(&rows, &present)?, &instants, status)
    }

    /// Computes the present rows and spreads them over the questions.
    fn reading(&self, entity: RecordBatch, as_of: &[i64], status: Vec<Status>) -> Result<Reading, FeatureError> {
        let mut batch = self.features(&entity, as_of)?;
        let mut entity = entity;
        if as_of.len() < status.len() {
            let mut next = 0_u32;
            let positions: UInt32Array = status
                .iter()
                .map(|s| {
                    let present = *s == Status::Present;
                    let position = present.then_some(next);
                    next += u32::from(present);
                    position
                })
                .collect();
            batch = pick(&batch, &positions)?;
            entity = pick(&entity, &positions)?;
        }
        Ok(Reading { batch, status, entity, newest_known_at: self.newest_known_at() })
    }

    fn features(&self, entity: &RecordBatch, as_of: &[i64]) -> Result<RecordBatch, FeatureError> {
        let plan = &*self.plan;
        let rows = as_of.len();
        let keys = plan.key_lists.iter().map(|by| Keys::of_batch(entity, by)).collect::<Result<Vec<_>, _>>()?;
        let found: Vec<_> =
            self.groups.iter().zip(&plan.groups).map(|(group, p)| look_up(group, &keys[p.keys], rows)).collect();
        let mut arrays: Vec<ArrayRef> = entity.columns().to_vec();
        arrays.push(Arc::new(TimestampMillisecondArray::from(as_of.to_vec()).with_timezone("UTC")));
        for input in &plan.inputs {
            arrays.extend(outputs(plan, input, entity, as_of, &found[input.group])?);
        }
        let row = RecordBatch::try_new(plan.row_schema.clone(), arrays)?;
        let features = plan.features.iter().map(|f| feature(f, &row)).collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(plan.schema.clone(), features)?)
    }
}

fn feature(feature: &FeaturePlan, row: &RecordBatch) -> Result<ArrayRef, FeatureError> {
    let array = evaluate(&feature.expr, row, &feature.name)?;
    match feature.kind {
        FeatureKind::Category => Ok(cast(&array, &DataType::Utf8)?),
        FeatureKind::Number => {
            let array = cast(&array, &DataType::Float64)?;
            Ok(Arc::new(without_nan(array.as_primitive::<Float64Type>())))
        }
    }
}

/// Rows by position; a null position gives a row of nulls.
fn pick(batch: &RecordBatch, positions: &UInt32Array) -> Result<RecordBatch, FeatureError> {
    let schema: SchemaRef = batch.schema();
    let arrays = batch.columns().iter().map(|a| take(a, positions, None)).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema, arrays)?)
}

fn same_length(keys: usize, instants: usize) -> Result<(), FeatureError> {
    if keys == instants {
        return Ok(());
    }
    Err(FeatureError::Arguments(format!("{keys} entities were asked for at {instants} instants")))
}
