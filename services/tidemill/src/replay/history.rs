//! Files of history as rows in the order in which they became known. Pure: batches in, slices out.

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, filter_record_batch, sort_to_indices, take_record_batch};
use arrow::datatypes::{Schema, TimestampMillisecondType};
use std::sync::Arc;
use tidemill_expr::Compiled;
use tidemill_spec::{ReplayStream, Source};
use tidemill_types::{Millis, SourceName};

/// All events of one source, sorted by knowledge time.
#[derive(Debug)]
pub(crate) struct History {
    /// The source.
    pub(crate) source: SourceName,
    /// CloudEvents type of its events.
    pub(crate) event_type: String,
    rows: RecordBatch,
    known_at: Vec<i64>,
    next: usize,
}

impl History {
    /// Computes the events of one stream from the rows of its file.
    ///
    /// # Errors
    /// Expressions that do not fit the file, or rows that do not fit the declared columns.
    pub(crate) fn build(stream: &ReplayStream, source: &Source, file: &[RecordBatch]) -> Result<Self> {
        let schema = file.first().map(RecordBatch::schema).context("the file has no rows")?;
        let all = concat_batches(&schema, file)?;
        let chosen = match &stream.filter {
            Some(text) => {
                let keep = Compiled::new(text, &schema)?.evaluate(&all)?;
                filter_record_batch(&all, boolean(&keep)?)?
            }
            None => all,
        };
        let known = Compiled::new(&stream.known_at, &schema)?.evaluate(&chosen)?;
        let order: UInt32Array = sort_to_indices(&known, None, None)?;
        let chosen = take_record_batch(&chosen, &order)?;
        let known = arrow::compute::take(&known, &order, None)?;
        let known = cast(&known, &Millis::arrow_type())?;
        anyhow::ensure!(known.null_count() == 0, "{}: known_at is null in {} rows", stream.source, known.null_count());
        let known_at = known.as_primitive::<TimestampMillisecondType>().values().to_vec();

        let declared = source.declared_schema();
        let mut columns = Vec::with_capacity(declared.fields().len());
        for field in declared.fields() {
            let text = stream.columns.get(field.name()).with_context(|| {
                format!("{}: the plan does not say where column {} comes from", stream.source, field.name())
            })?;
            let values = Compiled::new(text, &chosen.schema())?.evaluate(&chosen)?;
            columns.push(cast(&values, field.data_type()).with_context(|| format!("column {}", field.name()))?);
        }
        if let Some(extra) = stream.columns.keys().find(|c| declared.field_with_name(c).is_err()) {
            anyhow::bail!("{}: the source declares no column {extra}", stream.source);
        }
        let rows = RecordBatch::try_new(Arc::new(Schema::new(declared.fields().clone())), columns)?;
        Ok(Self { source: stream.source.clone(), event_type: stream.event_type.clone(), rows, known_at, next: 0 })
    }

    /// The events known by `until`, inclusive, that were not taken yet, with the position of the first.
    pub(crate) fn take_until(&mut self, until: Millis) -> (usize, RecordBatch) {
        let first = self.next;
        let end = self.known_at.partition_point(|t| *t <= until.0).max(first);
        self.next = end;
        (first, self.rows.slice(first, end - first))
    }

    /// Knowledge instants of the first and the last event.
    pub(crate) fn span(&self) -> Option<(Millis, Millis)> {
        self.known_at.first().zip(self.known_at.last()).map(|(a, b)| (Millis(*a), Millis(*b)))
    }

    /// The declared rows, sorted by knowledge time.
    pub(crate) fn rows(&self) -> &RecordBatch {
        &self.rows
    }
}

fn boolean(values: &ArrayRef) -> Result<&BooleanArray> {
    values.as_boolean_opt().context("the filter is not a boolean")
}
