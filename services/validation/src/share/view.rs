//! What one partner sees of a table: some columns of some rows.

use super::error::ShareError;
use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidemill_expr::Compiled;
use tidemill_spec::{Partner, Share, Source};

/// A view of the clean table of a source.
#[derive(Clone)]
pub(super) struct View {
    columns: Vec<String>,
    conditions: Vec<Compiled>,
    schema: SchemaRef,
}

impl View {
    /// What a partner gets of a share.
    pub(super) fn new(share: &Share, source: &Source, partner: &Partner) -> Result<Self, ShareError> {
        let declared = source.declared_schema();
        let columns = share.columns_for(source, partner);
        let places = columns.iter().map(|name| declared.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let schema = Arc::new(declared.project(&places)?);
        let conditions = share.conditions(partner).map(|text| Compiled::new(text, &declared));
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { columns, conditions, schema })
    }

    /// Columns of the view, in its order.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Conditions that rows meet.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().map(Compiled::text)
    }

    /// Columns to be read: those of the view and those of its conditions.
    pub(super) fn reads(&self) -> Vec<&str> {
        let conditions = self.conditions.iter().flat_map(Compiled::columns);
        let names: BTreeSet<&str> = self.columns.iter().chain(conditions).map(String::as_str).collect();
        names.into_iter().collect()
    }

    /// The view of some rows. A condition that is null does not hold.
    pub(super) fn rows(&self, batch: &RecordBatch) -> Result<RecordBatch, ShareError> {
        let mut rows = batch.clone();
        for condition in &self.conditions {
            let holds = condition.evaluate(&rows)?;
            rows = filter_record_batch(&rows, holds.as_boolean())?;
        }
        let places = self.columns.iter().map(|name| rows.schema_ref().index_of(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(self.schema(), rows.project(&places)?.columns().to_vec())?)
    }
}
