//! A column's sketches as the few numbers and the little picture that people read.

use crate::format;
use maud::Markup;
use serde::Serialize;
use tidemill_plot::{mini_bars, mini_histogram};
use tidemill_stats::ColumnProfile;
use tidemill_types::Millis;

/// Bins of the little picture.
const BINS: usize = 24;
/// Values of the little picture of a text column.
const VALUES: usize = 12;
/// Share of rows left out at either end, so that one wild value does not flatten the rest.
const TAIL: f64 = 0.005;

/// What is shown of a column.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    pub(super) name: String,
    /// `number`, `instant`, `text` or `yes/no`.
    pub(super) kind: &'static str,
    pub(super) rows: u64,
    pub(super) missing_share: f64,
    pub(super) mean: Option<f64>,
    pub(super) sd: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) distinct: u64,
    /// Whether every value was counted, not estimated.
    pub(super) distinct_exact: bool,
    /// Whether its values are personal, so that none is kept or shown.
    pub(super) withheld: bool,
    pub(super) bins: Bins,
}

/// Counts of a column in bins or by value.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Bins {
    /// Rising edges, one more than counts; empty for values.
    pub(super) edges: Vec<f64>,
    /// The most frequent values; empty for bins.
    pub(super) values: Vec<String>,
    pub(super) counts: Vec<u64>,
}

impl Summary {
    /// Reads the sketches of a column.
    pub(super) fn of(column: &ColumnProfile, bins: usize) -> Self {
        let kind = format!("{:?}", column.kind).to_lowercase();
        let kind = match kind.as_str() {
            "numeric" => "number",
            "instant" => "instant",
            "boolean" => "yes/no",
            "text" => "text",
            _ => "other",
        };
        let (distinct, distinct_exact) = column.distinct_values();
        let numbers = matches!(kind, "number" | "instant") && column.moments.count > 0;
        Self {
            name: column.name.clone(),
            kind,
            rows: column.count,
            missing_share: column.missing_share(),
            mean: numbers.then_some(column.moments.mean),
            sd: column.moments.std_dev().filter(|_| numbers),
            min: column.quantiles.quantile(0.0).ok().flatten().filter(|_| numbers),
            max: column.quantiles.quantile(1.0).ok().flatten().filter(|_| numbers),
            distinct,
            distinct_exact,
            withheld: column.is_withheld(),
            bins: if numbers { Bins::of_numbers(column, bins) } else { Bins::of_values(column) },
        }
    }

    /// The summary in a row of a table.
    pub(super) fn short(column: &ColumnProfile) -> Self {
        Self::of(column, BINS)
    }

    /// The little picture.
    pub(super) fn picture(&self) -> Markup {
        if self.bins.values.is_empty() {
            let end = |at: Option<&f64>| at.map_or_else(String::new, |value| self.value(*value));
            let ends = (end(self.bins.edges.first()), end(self.bins.edges.last()));
            let name = format!("{} from {} to {}", self.name, ends.0, ends.1);
            return mini_histogram(&name, &self.bins.edges, &self.bins.counts);
        }
        let name = format!("{}: the most frequent of {} values", self.name, format::count(self.distinct));
        mini_bars(&name, &self.bins.counts)
    }

    /// Number of different values.
    pub(super) fn distinct(&self) -> String {
        let about = if self.distinct_exact { "" } else { "≈ " };
        format!("{about}{}", format::count(self.distinct))
    }

    /// A value of the column as people read it.
    #[expect(clippy::cast_possible_truncation, reason = "instants are whole milliseconds")]
    pub(super) fn value(&self, value: f64) -> String {
        match self.kind {
            "instant" => format::minute(Millis(value as i64)),
            _ => format::number(value),
        }
    }

    /// A spread of the column as people read it.
    #[expect(clippy::cast_possible_truncation, reason = "spans are whole milliseconds")]
    pub(super) fn spread(&self, value: f64) -> String {
        match self.kind {
            "instant" => format::span(value as i64),
            _ => format::number(value),
        }
    }
}

impl Bins {
    /// Equal bins between the tails.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks come from a sketch, so counts are estimates"
    )]
    fn of_numbers(column: &ColumnProfile, bins: usize) -> Self {
        let ends = column.quantiles.quantiles(&[TAIL, 1.0 - TAIL]).ok().flatten();
        let Some([low, high]) = ends.as_deref().and_then(|ends| <[f64; 2]>::try_from(ends).ok()) else {
            return Self::default();
        };
        if high <= low {
            let half = (low.abs() * 0.01).max(0.5);
            return Self { edges: vec![low - half, low + half], counts: vec![column.moments.count], values: vec![] };
        }
        let step = (high - low) / bins as f64;
        let edges: Vec<f64> = (0..=bins).map(|at| low + step * at as f64).collect();
        // The share up to an edge; what lies below the first one belongs to the first bin.
        let share = |value: f64| column.quantiles.rank(value).unwrap_or(0.0);
        let rows = column.moments.count as f64;
        let mut before = 0.0;
        let mut counts = Vec::with_capacity(bins);
        for edge in &edges[1..] {
            let up_to = share(*edge);
            counts.push(((up_to - before) * rows).max(0.0).round() as u64);
            before = up_to;
        }
        Self { edges, counts, values: vec![] }
    }

    fn of_values(column: &ColumnProfile) -> Self {
        let entries = column.topk.entries().iter().take(VALUES);
        let (values, counts) = entries.map(|entry| (shortened(&entry.value), entry.count)).unzip();
        Self { edges: vec![], values, counts }
    }
}

/// Texts of events can be long; a page shows their beginning.
fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use std::sync::Arc;
    use tidemill_stats::TableProfile;

    /// Made as validation stores it.
    fn column(json: &str) -> ColumnProfile {
        TableProfile::from_json(json).unwrap().columns.remove(0)
    }

    #[test]
    fn an_empty_column_has_no_numbers() {
        let empty = serde_json::to_value(tidemill_stats::TableProfile::default()).unwrap();
        assert_eq!(empty["rows"], 0);
        let profile = ColumnProfile::new("x", serde_json::from_str("\"numeric\"").unwrap());
        let json = serde_json::to_string(&TableProfile { rows: 0, columns: vec![profile] }).unwrap();
        let summary = Summary::short(&column(&json));
        assert_eq!((summary.kind, summary.mean, summary.min), ("number", None, None));
        assert!(summary.bins.counts.is_empty());
        assert_eq!(summary.missing_share, 0.0);
    }

    #[test]
    fn a_personal_column_tells_how_many_values_it_has_and_none_of_them() {
        let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..500).map(|n| format!("name {n}"))));
        let births: ArrayRef = Arc::new(Int64Array::from_iter_values(0..500));
        let rows = RecordBatch::try_from_iter([("name", names), ("birth", births)]).unwrap();
        let mut profile = TableProfile::of(&rows).unwrap();
        profile.withhold(|_| true);
        for column in &profile.columns {
            let summary = Summary::short(column);
            assert!(summary.withheld && (450..=500).contains(&summary.distinct), "{summary:?}");
            assert_eq!((summary.mean, summary.min, summary.bins.counts.len()), (None, None, 0));
        }
    }

    #[test]
    fn bins_hold_every_row() {
        let mut profile = ColumnProfile::new("x", serde_json::from_str("\"numeric\"").unwrap());
        for value in 0..1_000 {
            profile.quantiles.update(f64::from(value));
            profile.moments.update(f64::from(value));
            profile.count += 1;
        }
        let summary = Summary::of(&profile, 10);
        let sum: u64 = summary.bins.counts.iter().sum();
        assert_eq!(summary.bins.counts.len(), 10);
        assert!(sum.abs_diff(1_000) < 15, "{sum}");
        assert!(summary.bins.counts.iter().all(|count| (80..130).contains(count)), "{:?}", summary.bins.counts);
    }
}
