//! Column and table profiles: everything known about a batch, mergeable with the next one.

use crate::values::{self, Kind};
use crate::{Distinct, Error, Histogram, Moments, Quantiles, Result, TopK};
use arrow::array::{Array, ArrayRef, RecordBatch};
use serde::{Deserialize, Serialize};

/// Summary of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Column name.
    pub name: String,
    /// How the values were read.
    pub kind: Kind,
    /// Rows, nulls included.
    pub count: u64,
    /// Null rows.
    pub nulls: u64,
    /// NaN rows.
    pub nans: u64,
    /// Infinite rows.
    pub infs: u64,
    /// Moments of the finite values (numeric and instant columns).
    pub moments: Moments,
    /// Quantiles of the finite values (numeric and instant columns).
    pub quantiles: Quantiles,
    /// Distinct non-null values.
    pub distinct: Distinct,
    /// Frequent values (text and boolean columns).
    pub topk: TopK,
    /// Counts in reference bins, when edges were given.
    pub histogram: Option<Histogram>,
}

impl ColumnProfile {
    /// An empty profile.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            count: 0,
            nulls: 0,
            nans: 0,
            infs: 0,
            moments: Moments::default(),
            quantiles: Quantiles::default(),
            distinct: Distinct::default(),
            topk: TopK::default(),
            histogram: None,
        }
    }

    /// Also counts values in these bins from now on.
    ///
    /// # Errors
    /// Edges that [`Histogram::new`] refuses.
    pub fn with_edges(mut self, edges: Vec<f64>) -> Result<Self> {
        self.histogram = Some(Histogram::new(edges)?);
        Ok(self)
    }

    /// Adds a batch of values.
    ///
    /// # Errors
    /// An array of another kind than the profile's.
    pub fn update(&mut self, array: &ArrayRef) -> Result<()> {
        let kind = Kind::of(array.data_type());
        if kind != self.kind {
            return Err(mismatch("kind of column", &self.kind, &kind));
        }
        match kind {
            Kind::Numeric | Kind::Instant => self.update_numbers(array)?,
            Kind::Boolean | Kind::Text => self.update_texts(array)?,
            Kind::Other => {}
        }
        self.count += array.len() as u64;
        self.nulls += array.logical_null_count() as u64;
        Ok(())
    }

    fn update_numbers(&mut self, array: &ArrayRef) -> Result<()> {
        let numbers = values::floats(array)?;
        let mut finite = Vec::with_capacity(numbers.len());
        for value in numbers.iter().flatten() {
            if value.is_finite() {
                finite.push(value);
            } else if value.is_nan() {
                self.nans += 1;
            } else {
                self.infs += 1;
            }
        }
        self.moments.merge(&Moments::of(&finite));
        for value in &finite {
            self.quantiles.update(*value);
        }
        values::number_bytes(array, &numbers, |bytes| self.distinct.update(bytes));
        if let Some(histogram) = &mut self.histogram {
            numbers.iter().for_each(|value| histogram.update(value));
        }
        Ok(())
    }

    fn update_texts(&mut self, array: &ArrayRef) -> Result<()> {
        let texts = values::texts(array)?;
        for text in texts.iter().flatten() {
            self.distinct.update(text.as_bytes());
        }
        self.topk.update(texts.iter().flatten());
        Ok(())
    }

    /// Adds everything behind `other`.
    ///
    /// # Errors
    /// Another name, kind or set of bins.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.name != other.name {
            return Err(mismatch("columns", &self.name, &other.name));
        }
        if self.kind != other.kind {
            return Err(mismatch("kind of column", &self.kind, &other.kind));
        }
        match (&mut self.histogram, &other.histogram) {
            (Some(mine), Some(theirs)) => mine.merge(theirs)?,
            (None, None) => {}
            (mine, theirs) => return Err(mismatch("bins", &mine.is_some(), &theirs.is_some())),
        }
        self.count += other.count;
        self.nulls += other.nulls;
        self.nans += other.nans;
        self.infs += other.infs;
        self.moments.merge(&other.moments);
        self.quantiles.merge(&other.quantiles);
        self.distinct.merge(&other.distinct);
        self.topk.merge(&other.topk);
        Ok(())
    }

    /// Share of rows that are null or NaN; zero for an empty profile.
    #[must_use]
    pub fn missing_share(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.nulls + self.nans) as f64 / self.count as f64 }
    }
}

fn mismatch(what: &'static str, left: &impl std::fmt::Debug, right: &impl std::fmt::Debug) -> Error {
    Error::Mismatch { what, left: format!("{left:?}"), right: format!("{right:?}") }
}

/// Summary of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableProfile {
    /// Rows.
    pub rows: u64,
    /// One profile per column, in schema order.
    pub columns: Vec<ColumnProfile>,
}

impl TableProfile {
    /// Profile of one batch.
    ///
    /// # Errors
    /// A column whose values cannot be read (a decimal beyond `f64`, say).
    pub fn of(batch: &RecordBatch) -> Result<Self> {
        let schema = batch.schema_ref();
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let mut column = ColumnProfile::new(field.name(), Kind::of(field.data_type()));
            column.update(array)?;
            columns.push(column);
        }
        Ok(Self { rows: batch.num_rows() as u64, columns })
    }

    /// The profile of the named column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnProfile> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Adds everything behind `other`; an empty profile takes over the columns of the first one merged into it.
    ///
    /// # Errors
    /// Other columns; then nothing was added.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.columns.is_empty() {
            self.clone_from(other);
            return Ok(());
        }
        if self.columns.len() != other.columns.len() {
            return Err(mismatch("tables by columns", &self.columns.len(), &other.columns.len()));
        }
        let mut merged = self.columns.clone();
        for (mine, theirs) in merged.iter_mut().zip(&other.columns) {
            mine.merge(theirs)?;
        }
        self.columns = merged;
        self.rows += other.rows;
        Ok(())
    }

    /// The stored form.
    ///
    /// # Errors
    /// None in practice; the JSON writer's, should it fail.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// Text that is no profile.
    pub fn from_json(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }
}
