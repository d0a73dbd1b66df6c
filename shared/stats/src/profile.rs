//! Column and table profiles: everything known about a batch, mergeable with the next one.

mod column;

use crate::values::Kind;
use crate::{Distinct, Error, Extremes, Histogram, Moments, Quantiles, Result, TopK};
use arrow::array::{ArrayRef, RecordBatch};
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
    /// Zeros (numeric columns); absent in profiles that older versions wrote, as all that follow with a default.
    #[serde(default)]
    pub zeros: u64,
    /// Values below zero (numeric columns).
    #[serde(default)]
    pub negatives: u64,
    /// Texts that are empty or white space only.
    #[serde(default)]
    pub blanks: u64,
    /// Moments of the finite values (numeric and instant columns).
    pub moments: Moments,
    /// Quantiles of the finite values (numeric and instant columns).
    pub quantiles: Quantiles,
    /// The outermost values with exact counts (numeric columns).
    #[serde(default)]
    pub extremes: Extremes,
    /// Moments of the lengths in characters (text columns).
    #[serde(default)]
    pub lengths: Moments,
    /// Distinct non-null values.
    pub distinct: Distinct,
    /// Frequent values; numbers as they are written, instants in milliseconds.
    pub topk: TopK,
    /// Counts in reference bins, when edges were given.
    pub histogram: Option<Histogram>,
}

/// How a batch is read into a profile.
#[derive(Debug, Default)]
pub struct Reading<'a> {
    /// Values that are expected in all, so that quantiles of very many are drawn; zero if unknown.
    pub expected: u64,
    /// Place of the batch in the whole, so that parts that are read apart toss their own coins.
    pub first_row: u64,
    /// Takes one word a row that identifies its value; must be as long as the batch.
    pub words: Option<&'a mut [u64]>,
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
            zeros: 0,
            negatives: 0,
            blanks: 0,
            moments: Moments::default(),
            quantiles: Quantiles::default(),
            extremes: Extremes::default(),
            lengths: Moments::default(),
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
        self.read(array, Reading::default())
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
        self.zeros += other.zeros;
        self.negatives += other.negatives;
        self.blanks += other.blanks;
        self.extremes.merge(&other.extremes);
        self.lengths.merge(&other.lengths);
        self.moments.merge(&other.moments);
        self.quantiles.merge(&other.quantiles);
        self.distinct.merge(&other.distinct);
        self.topk.merge(&other.topk);
        Ok(())
    }

    /// Leaves out every value and what single values follow from: counts, lengths and the estimate of different values
    /// remain.
    pub fn withhold(&mut self) {
        self.topk = TopK::default();
        self.extremes = Extremes::default();
        self.quantiles = Quantiles::default();
        // The mean of one row is its value.
        self.moments = Moments::default();
    }

    /// Whether values were counted and are left out, as of personal columns.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.kind != Kind::Other
            && self.present() > self.infs
            && self.topk.entries().is_empty()
            && self.extremes.low().is_empty()
            && self.quantiles.count() == 0
    }

    /// Rows with a value: neither null nor NaN.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.count.saturating_sub(self.nulls + self.nans)
    }

    /// Number of different values, and whether it is exact rather than estimated.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate of a count")]
    pub fn distinct_values(&self) -> (u64, bool) {
        if self.topk.is_exact() && !self.topk.entries().is_empty() {
            return (self.topk.entries().len() as u64, true);
        }
        ((self.distinct.estimate().round() as u64).min(self.present()), self.present() == 0)
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
    /// Leaves out every value of some columns, as [`ColumnProfile::withhold`] does.
    pub fn withhold(&mut self, is_withheld: impl Fn(&str) -> bool) {
        self.columns.iter_mut().filter(|column| is_withheld(&column.name)).for_each(ColumnProfile::withhold);
    }

    /// Profile of one batch.
    ///
    /// # Errors
    /// A column whose values cannot be read (a decimal beyond `f64`, say).
    pub fn of(batch: &RecordBatch) -> Result<Self> {
        Self::of_part(batch, 0)
    }

    /// Profile of one batch that is a part of something; parts that are like each other toss other coins when they begin
    /// at other rows, so that their errors do not add up when they are merged.
    ///
    /// # Errors
    /// A column whose values cannot be read.
    pub fn of_part(batch: &RecordBatch, first_row: u64) -> Result<Self> {
        let schema = batch.schema_ref();
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let mut column = ColumnProfile::new(field.name(), Kind::of(field.data_type()));
            column.read(array, Reading { first_row, ..Reading::default() })?;
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
