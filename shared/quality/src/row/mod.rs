//! Rules on single rows: which rows pass, as a bit mask.
//!
//! A kernel sees whole columns and gives one truth per row; null means that there is nothing to test. It holds no
//! state, so a row fails or passes alike in a message, a commit and a file.

mod codes;
mod compile;
mod formats;
mod numbers;
mod pairs;
mod texts;
pub(crate) mod times;

pub(crate) use compile::compile;
pub(crate) use pairs::Condition;

use crate::error::QualityError;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};

/// A test of single rows.
pub(crate) trait RowCheck: std::fmt::Debug + Send + Sync {
    /// True where the row passes, null where there is nothing to test.
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError>;
}

/// A kernel, whatever it is.
pub(crate) type Kernel = Box<dyn RowCheck>;

/// A column by name.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, QualityError> {
    batch.column_by_name(name).ok_or_else(|| QualityError::Batch(format!("column {name} is missing")))
}

/// Whether every text passes a test of single texts, as one column under the name that the check has.
pub(crate) fn all_pass<'a>(check: &tidemill_spec::Check, texts: impl Iterator<Item = &'a str>) -> bool {
    use arrow::array::StringArray;
    use arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;
    let Some(name) = check.columns().first().map(|name| (*name).to_owned()) else {
        return false;
    };
    let schema = Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, true)]));
    let rule = tidemill_spec::Rule::new("all", check.clone());
    let typing = crate::rule::Typing { rule: &rule, schema: &schema, event_time: "" };
    let Ok(Some(kernel)) = compile(&typing, check) else {
        return false;
    };
    let array = Arc::new(StringArray::from_iter_values(texts));
    let passes = RecordBatch::try_new(schema, vec![array]).map_err(QualityError::from).and_then(|b| kernel.passes(&b));
    passes.is_ok_and(|passes| passes.true_count() == passes.len())
}
