//! Columns of a table, its volume against earlier commits, and how new its rows are.

use super::statistics::quantile;
use super::{CommitCheck, CommitMemory, Finding, shown};
use crate::error::QualityError;
use crate::row::column;
use crate::row::times::instants;
use arrow::array::RecordBatch;
use arrow::compute::max;
use tidemill_spec::{ColumnsRule, Span, TrailingRule};
use tidemill_types::{Millis, columns};

/// Earlier commits needed before a volume is judged.
const LEAST_COMMITS: usize = 5;

/// Columns that must be there.
#[derive(Clone, Debug)]
pub(super) struct HasColumns(pub(super) ColumnsRule);

impl CommitCheck for HasColumns {
    fn judge(&self, rows: &RecordBatch, _: &CommitMemory, _: usize) -> Result<Option<Finding>, QualityError> {
        let schema = rows.schema();
        let own = |name: &str| !name.starts_with(columns::PREFIX);
        let found: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).filter(|name| own(name)).collect();
        let mut wrong = Vec::new();
        for name in self.0.names.iter().filter(|name| !found.contains(&name.as_str())) {
            wrong.push(format!("{name} is missing"));
        }
        if self.0.only {
            wrong.extend(found.iter().filter(|n| !self.0.names.iter().any(|m| m == *n)).map(|n| format!("{n} is new")));
        }
        let in_place = found.iter().filter(|name| self.0.names.iter().any(|n| n == *name));
        if self.0.ordered && wrong.is_empty() && !in_place.eq(self.0.names.iter()) {
            wrong.push(format!("the order is {}", found.join(", ")));
        }
        for (name, kind) in &self.0.types {
            match schema.field_with_name(name) {
                Ok(field) if *field.data_type() != kind.arrow() => {
                    wrong.push(format!("{name} has type {}", field.data_type()));
                }
                _ => {}
            }
        }
        let observed = if wrong.is_empty() { "as declared".to_owned() } else { wrong.join("; ") };
        Ok(Some(Finding { holds: wrong.is_empty(), observed }))
    }
}

/// Rows against the median of earlier commits.
#[derive(Clone, Debug)]
pub(super) struct Trailing(pub(super) TrailingRule);

impl CommitCheck for Trailing {
    fn judge(&self, rows: &RecordBatch, memory: &CommitMemory, _: usize) -> Result<Option<Finding>, QualityError> {
        let mut earlier: Vec<f64> = memory.counts().take(self.0.commits).map(|rows| rows as f64).collect();
        if earlier.len() < LEAST_COMMITS {
            return Ok(None);
        }
        let median = quantile(&mut earlier, 0.5).unwrap_or_default();
        let count = rows.num_rows() as f64;
        let holds = self.0.low * median <= count && count <= self.0.high * median;
        let observed = format!("{} rows, the median of {} commits is {}", shown(count), earlier.len(), shown(median));
        Ok(Some(Finding { holds, observed }))
    }

    fn trailing(&self) -> usize {
        self.0.commits
    }
}

/// The newest instant against the newest knowledge time.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    pub(super) column: String,
    pub(super) within: Span,
}

impl CommitCheck for Fresh {
    fn judge(&self, rows: &RecordBatch, _: &CommitMemory, _: usize) -> Result<Option<Finding>, QualityError> {
        let newest = max(&instants(column(rows, &self.column)?)?);
        let known = max(&instants(column(rows, columns::KNOWN_AT)?)?);
        let (Some(newest), Some(known)) = (newest, known) else {
            return Ok(None);
        };
        let age = Span::from_millis(known.saturating_sub(newest));
        let observed = format!("newest {}, {age} old", Millis(newest));
        Ok(Some(Finding { holds: age <= self.within, observed }))
    }
}
