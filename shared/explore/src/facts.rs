//! What a report says of one column, from its sketches and, where there are rows, its sample.

use crate::formats::{Formats, formats};
use crate::outliers::{Outliers, outliers};
use crate::table::Column;
use serde::Serialize;
use tidemill_stats::{ColumnProfile, Extreme, Kind, Quantiles};

/// Shares at which quantiles are told.
pub const SHARES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Bins of a histogram.
const BINS: usize = 40;
/// Frequent values that are told.
const TOP: usize = 10;
/// Share of the values that a histogram leaves out at either end.
const TAIL: f64 = 0.002;

/// A frequent value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frequent {
    /// The value.
    pub value: String,
    /// Rows that have it, at most.
    pub count: u64,
    /// By how much `count` may be too high.
    pub error: u64,
    /// Share of the rows with a value.
    pub share: f64,
}

/// Counts between edges.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bins {
    /// Rising edges, one more than counts.
    pub edges: Vec<f64>,
    /// Values between two edges, estimated from the quantile sketch.
    pub counts: Vec<u64>,
}

/// Lengths of texts in characters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// The shortest.
    pub min: f64,
    /// Their mean.
    pub mean: f64,
    /// The longest.
    pub max: f64,
}

/// What sampled rows tell of one column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Outliers, of numbers.
    pub outliers: Option<Outliers>,
    /// Formats, of texts.
    pub formats: Option<Formats>,
}

impl Seen {
    /// Looks at the sampled values.
    #[must_use]
    pub fn of(column: &Column) -> Self {
        let numbers = (column.kind == Kind::Numeric).then(|| column.finite());
        Self { outliers: numbers.and_then(|numbers| outliers(&numbers)), formats: text_formats(column) }
    }
}

/// What is known of a column. Instants are milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// How it was read.
    pub kind: Kind,
    /// Rows.
    pub rows: u64,
    /// Nulls.
    pub nulls: u64,
    /// NaN.
    pub nans: u64,
    /// Infinite values.
    pub infs: u64,
    /// Zeros.
    pub zeros: u64,
    /// Values below zero.
    pub negatives: u64,
    /// Empty texts, or of white space only.
    pub blanks: u64,
    /// Share of rows that are null or NaN.
    pub missing_share: f64,
    /// Different values.
    pub distinct: u64,
    /// Whether that is exact.
    pub distinct_exact: bool,
    /// The smallest value.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// Both as text, for instants.
    pub range: Option<(String, String)>,
    /// Mean.
    pub mean: Option<f64>,
    /// Standard deviation, divisor n − 1.
    pub sd: Option<f64>,
    /// Skewness.
    pub skewness: Option<f64>,
    /// Excess kurtosis.
    pub kurtosis: Option<f64>,
    /// Shares with their quantiles; ranks are right to the stated error.
    pub quantiles: Vec<(f64, f64)>,
    /// Lower whisker, quartiles, upper whisker (Tukey: the values within 1.5 interquartile ranges of the quartiles).
    pub five: Option<[f64; 5]>,
    /// Shape of the distribution.
    pub histogram: Bins,
    /// The smallest different values with exact counts.
    pub lowest: Vec<Extreme>,
    /// The largest ones.
    pub highest: Vec<Extreme>,
    /// Frequent values.
    pub top: Vec<Frequent>,
    /// All values that are known with their counts, at most 128.
    #[serde(skip)]
    pub(crate) known: Vec<Frequent>,
    /// Lengths of texts.
    pub lengths: Option<Lengths>,
    /// Outliers among the sampled rows.
    pub outliers: Option<Outliers>,
    /// Formats of the sampled texts.
    pub formats: Option<Formats>,
    /// Whether the values are personal, so that none is told.
    pub withheld: bool,
}

impl ColumnFacts {
    /// Facts of a profile, with the column's sample where there is one.
    #[must_use]
    pub fn of(profile: &ColumnProfile, seen: Option<&Seen>) -> Self {
        let ordered = profile.kind.is_numeric() && profile.moments.count > 0;
        let number = |value: Option<f64>| value.filter(|v| ordered && v.is_finite());
        let (distinct, distinct_exact) = profile.distinct_values();
        let quantiles = if ordered { quantiles(&profile.quantiles) } else { Vec::new() };
        let (min, max) = (number(profile.moments.min), number(profile.moments.max));
        let instants = profile.kind == Kind::Instant;
        let text = |value: f64| tidemill_types::Millis(value as i64).to_string();
        let (lengths, known) = (&profile.lengths, known(profile));
        Self {
            name: profile.name.clone(),
            kind: profile.kind,
            rows: profile.count,
            nulls: profile.nulls,
            nans: profile.nans,
            infs: profile.infs,
            zeros: profile.zeros,
            negatives: profile.negatives,
            blanks: profile.blanks,
            missing_share: profile.missing_share(),
            distinct,
            distinct_exact,
            range: min.zip(max).filter(|_| instants).map(|(min, max)| (text(min), text(max))),
            mean: number(Some(profile.moments.mean)),
            sd: number(profile.moments.std_dev()),
            skewness: number(profile.moments.skewness()).filter(|_| !instants),
            kurtosis: number(profile.moments.kurtosis()).filter(|_| !instants),
            five: five(&quantiles, min, max, &profile.quantiles),
            histogram: if ordered { bins(profile) } else { Bins::default() },
            lowest: profile.extremes.low().to_vec(),
            highest: profile.extremes.high().to_vec(),
            top: known.iter().take(TOP).cloned().collect(),
            known,
            lengths: lengths.min.zip(lengths.max).map(|(min, max)| Lengths { min, mean: lengths.mean, max }),
            outliers: seen.and_then(|seen| seen.outliers),
            formats: seen.and_then(|seen| seen.formats.clone()),
            quantiles,
            min,
            max,
            withheld: false,
        }
    }

    /// The facts without any value, or what may be one: counts, shares and lengths remain. The mean of equal values is
    /// their value.
    #[must_use]
    pub(crate) fn without_values(self) -> Self {
        Self {
            min: None,
            max: None,
            range: None,
            mean: None,
            sd: None,
            skewness: None,
            kurtosis: None,
            quantiles: Vec::new(),
            five: None,
            histogram: Bins::default(),
            lowest: Vec::new(),
            highest: Vec::new(),
            top: Vec::new(),
            known: Vec::new(),
            outliers: None,
            formats: None,
            withheld: true,
            ..self
        }
    }

    /// Rows with a value.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.rows.saturating_sub(self.nulls + self.nans)
    }

    /// The quantile of a share that is told.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        self.quantiles.iter().find(|(at, _)| *at == share).map(|(_, value)| *value)
    }
}

fn quantiles(sketch: &Quantiles) -> Vec<(f64, f64)> {
    let values = sketch.quantiles(&SHARES).ok().flatten().unwrap_or_default();
    SHARES.into_iter().zip(values).collect()
}

fn five(quantiles: &[(f64, f64)], min: Option<f64>, max: Option<f64>, sketch: &Quantiles) -> Option<[f64; 5]> {
    let at = |share: f64| quantiles.iter().find(|(s, _)| *s == share).map(|(_, value)| *value);
    let (q1, median, q3) = (at(0.25)?, at(0.5)?, at(0.75)?);
    let reach = 1.5 * (q3 - q1);
    // Where a fence lies inside the values, the whisker ends at the fence's own quantile.
    let inside = |fence: f64| sketch.rank(fence).and_then(|rank| sketch.quantile(rank.clamp(0.0, 1.0)).ok().flatten());
    let low = if min? >= q1 - reach { min? } else { inside(q1 - reach).map_or(q1 - reach, |v| v.max(q1 - reach)) };
    let high = if max? <= q3 + reach { max? } else { inside(q3 + reach).map_or(q3 + reach, |v| v.min(q3 + reach)) };
    Some([low.min(q1), q1, median, q3, high.max(q3)])
}

/// Equal bins between the tails; what lies beyond belongs to the outer bins.
fn bins(profile: &ColumnProfile) -> Bins {
    let ends = profile.quantiles.quantiles(&[TAIL, 1.0 - TAIL]).ok().flatten();
    let Some([low, high]) = ends.as_deref().and_then(|ends| <[f64; 2]>::try_from(ends).ok()) else {
        return Bins::default();
    };
    if high <= low {
        let half = (low.abs() * 0.01).max(0.5);
        return Bins { edges: vec![low - half, low + half], counts: vec![profile.moments.count] };
    }
    let whole = profile.topk.is_exact() && profile.topk.entries().iter().all(|e| !e.value.contains('.'));
    let span = high - low;
    // A bin for each whole number, where there are few.
    let (low, step, count) = match whole && profile.kind == Kind::Numeric && span < BINS as f64 && low.fract() == 0.0 {
        true => (low - 0.5, 1.0, span.round() as usize + 1),
        false => (low, span / BINS as f64, BINS),
    };
    let edges: Vec<f64> = (0..=count).map(|at| low + step * at as f64).collect();
    let rows = profile.moments.count as f64;
    let mut before = 0.0;
    let counts = edges[1..].iter().enumerate().map(|(at, edge)| {
        let up_to = if at + 1 == count { 1.0 } else { profile.quantiles.rank(*edge).unwrap_or(before) };
        let share = up_to - std::mem::replace(&mut before, up_to);
        (share * rows).max(0.0).round() as u64
    });
    Bins { counts: counts.collect(), edges }
}

fn known(profile: &ColumnProfile) -> Vec<Frequent> {
    let present = profile.present().max(1) as f64;
    let shown = |value: &str| match (profile.kind, value.parse::<i64>()) {
        (Kind::Instant, Ok(millis)) => tidemill_types::Millis(millis).to_string(),
        _ => value.to_owned(),
    };
    let entries = profile.topk.entries().iter().filter(|e| e.count > e.error);
    let frequent = entries.map(|e| Frequent {
        value: shown(&e.value),
        count: e.count,
        error: e.error,
        share: e.count as f64 / present,
    });
    frequent.collect()
}

fn text_formats(column: &Column) -> Option<Formats> {
    let categories = column.categories.as_ref().filter(|_| column.kind == Kind::Text)?;
    let values = categories.names.iter().zip(&categories.counts);
    Some(formats(values.map(|(name, count)| (name.as_str(), *count))))
}
