//! The compiled form of a feature set: what is kept, how it is read, what comes out.

use crate::aggregate::Aggregate;
use crate::compile;
use crate::error::FeatureError;
use crate::value::{ValueKind, millis};
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use tidemill_expr::Compiled;
use tidemill_spec::{FeatureKind, Spec};
use tidemill_types::{Digest, Millis, SourceName};

/// A feature set, typed and ready to run.
///
/// Inputs with equal `from`, `by`, `where` and `on` share one store (a *group*); each input is a way of
/// reading it.
pub struct Plan {
    pub(crate) sources: Vec<SourceName>,
    pub(crate) entity_source: SourceName,
    pub(crate) entity_key: String,
    /// Declared columns of the entity source, all nullable.
    pub(crate) entity_schema: SchemaRef,
    pub(crate) as_of: Compiled,
    pub(crate) lookback: i64,
    /// Distinct lists of key columns; groups refer to them by position.
    pub(crate) key_lists: Vec<Vec<String>>,
    pub(crate) groups: Vec<GroupPlan>,
    pub(crate) inputs: Vec<InputPlan>,
    /// Entity columns, `as_of`, then every output `input.output`.
    pub(crate) row_schema: SchemaRef,
    pub(crate) features: Vec<FeaturePlan>,
    pub(crate) schema: SchemaRef,
    pub(crate) digest: Digest,
}

/// Rows of one source, kept by one key.
pub(crate) struct GroupPlan {
    pub(crate) source: SourceName,
    /// Position in [`Plan::key_lists`].
    pub(crate) keys: usize,
    pub(crate) filter_text: Option<String>,
    pub(crate) filter: Option<Compiled>,
    /// Window time column; absent: knowledge time.
    pub(crate) on: Option<String>,
    pub(crate) columns: Vec<ColumnPlan>,
    pub(crate) keeps: Vec<Keep>,
}

/// One stored column of a group.
pub(crate) struct ColumnPlan {
    pub(crate) text: String,
    pub(crate) expr: Compiled,
    pub(crate) kind: ValueKind,
}

/// What a reader of a group needs to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Entries whose window time is less than `reach` ms before the oldest answerable instant.
    Window { reach: i64 },
    /// The newest `lag + 1` rows known by the oldest answerable instant, if they are not older than `within`.
    Last { lag: usize, within: Option<i64> },
}

/// One input of the spec.
pub(crate) struct InputPlan {
    pub(crate) group: usize,
    pub(crate) shape: Shape,
}

/// How an input is read.
pub(crate) enum Shape {
    /// Aggregates over `(anchor − length, anchor + ahead]`.
    Window { length: i64, ahead: i64, anchor: Option<Compiled>, outputs: Vec<WindowOutput> },
    /// Columns of the `lag`-th newest row, then `age_s`.
    Last { lag: usize, within: Option<i64>, columns: Vec<usize> },
}

/// One aggregate of a window.
pub(crate) struct WindowOutput {
    pub(crate) aggregate: Aggregate,
    /// Stored column; meaningless for `count()`.
    pub(crate) column: usize,
    pub(crate) kind: ValueKind,
}

/// One feature.
pub(crate) struct FeaturePlan {
    pub(crate) name: String,
    pub(crate) kind: FeatureKind,
    pub(crate) expr: Compiled,
}

impl Plan {
    /// Types every expression of the feature set and decides what is stored.
    ///
    /// # Errors
    /// The path in the spec and what is wrong there: unknown columns, types that do not fit, keys that the
    /// entity row lacks, aggregates that do not exist.
    pub fn compile(spec: &Spec) -> Result<Self, FeatureError> {
        compile::compile(spec)
    }

    /// Features in name order: numbers as `Float64`, categories as `Utf8`, all nullable.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Sources whose clean rows the engine must be fed, in name order.
    #[must_use]
    pub fn sources(&self) -> &[SourceName] {
        &self.sources
    }

    /// Source with one row per entity.
    #[must_use]
    pub fn entity_source(&self) -> &SourceName {
        &self.entity_source
    }

    /// Key column of the entity source.
    #[must_use]
    pub fn entity_key(&self) -> &str {
        &self.entity_key
    }

    /// Declared columns of the entity row, in name order, all nullable.
    #[must_use]
    pub fn entity_columns(&self) -> &SchemaRef {
        &self.entity_schema
    }

    /// How far before the newest knowledge a read may ask, in milliseconds.
    #[must_use]
    pub fn lookback_millis(&self) -> i64 {
        self.lookback
    }

    /// Digest of everything that decides what the engine computes; equal digests mean equal answers.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The instant of the prediction of each entity row; `None` where the expression is null.
    ///
    /// # Errors
    /// When the rows lack a column that the expression reads.
    pub fn as_of_for(&self, entity_rows: &RecordBatch) -> Result<Vec<Option<Millis>>, FeatureError> {
        let array = evaluate(&self.as_of, entity_rows, "features.as_of")?;
        let instants = millis(&array)?;
        Ok((0..instants.len()).map(|i| instants.is_valid(i).then(|| Millis(instants.value(i)))).collect())
    }
}

/// Evaluates an expression and says where in the spec it stands when that fails.
pub(crate) fn evaluate(
    expr: &Compiled,
    batch: &RecordBatch,
    place: &str,
) -> Result<arrow::array::ArrayRef, FeatureError> {
    expr.evaluate(batch).map_err(|source| FeatureError::Expression { place: place.to_owned(), source })
}
