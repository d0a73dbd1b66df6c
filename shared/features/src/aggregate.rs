//! Aggregates over the visible entries of a window.

use crate::series::Series;
use crate::value::{ValueKind, Values};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// An aggregate. All but `count()` leave out nulls; of no values, counts are 0 and the rest is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    /// Rows.
    CountRows,
    /// Values that are present.
    Count,
    Sum,
    Mean,
    Min,
    Max,
    /// Sample standard deviation, n − 1; null below two values.
    Std,
    /// The present value with the newest (knowledge time, sequence, row).
    Last,
    /// Number of different values.
    Distinct,
}

impl Aggregate {
    /// Reads `name(expression)`; the expression is absent for `count()` and `count(*)`.
    pub(crate) fn parse(text: &str) -> Result<(Self, Option<&str>), String> {
        let text = text.trim();
        let open = text.find('(').filter(|_| text.ends_with(')'));
        let Some(open) = open else {
            return Err(format!("`{text}` is no aggregate: write one call, such as mean(delay)"));
        };
        let (name, rest) = text.split_at(open);
        let inner = rest[1..rest.len() - 1].trim();
        let argument = if inner.is_empty() || inner == "*" { None } else { Some(inner) };
        let aggregate = match (name.trim().to_ascii_lowercase().as_str(), argument) {
            ("count", None) => Self::CountRows,
            ("count", Some(_)) => Self::Count,
            ("sum", Some(_)) => Self::Sum,
            ("mean", Some(_)) => Self::Mean,
            ("min", Some(_)) => Self::Min,
            ("max", Some(_)) => Self::Max,
            ("std", Some(_)) => Self::Std,
            ("last", Some(_)) => Self::Last,
            ("distinct", Some(_)) => Self::Distinct,
            ("sum" | "mean" | "min" | "max" | "std" | "last" | "distinct", None) => {
                return Err(format!("`{text}` needs a value between the brackets"));
            }
            (other, _) => {
                return Err(format!(
                    "unknown aggregate `{other}`: there are count, sum, mean, min, max, std, last and distinct"
                ));
            }
        };
        Ok((aggregate, argument))
    }

    /// Kind of the result for values of `kind`.
    pub(crate) fn output(self, kind: ValueKind) -> Result<ValueKind, String> {
        match (self, kind) {
            (Self::CountRows | Self::Count | Self::Distinct, _) => Ok(ValueKind::Number),
            (Self::Last, ValueKind::Text) => Ok(ValueKind::Text),
            (Self::Last | Self::Min | Self::Max, ValueKind::Number | ValueKind::Instant) => Ok(ValueKind::Number),
            (_, ValueKind::Number) => Ok(ValueKind::Number),
            (_, ValueKind::Instant) => Err("sum, mean and std need numbers or booleans, not instants".to_owned()),
            (_, ValueKind::Text) => Err("texts have only count, distinct and last".to_owned()),
        }
    }

    /// The result over no rows.
    pub(crate) fn of_nothing(self) -> f64 {
        match self {
            Self::CountRows | Self::Count | Self::Distinct => 0.0,
            _ => f64::NAN,
        }
    }

    /// The result as a number; NaN is null. `column` is ignored for `count()`.
    pub(crate) fn number(self, series: &Series, column: usize, visible: &Visible<'_>) -> f64 {
        if self == Self::CountRows {
            return visible.len() as f64;
        }
        match (&series.columns[column], visible) {
            (Values::Numbers(values), Visible::Range(range)) if self == Self::Last && series.is_on_known() => {
                values[range.clone()].iter().rev().copied().find(|v| !v.is_nan()).unwrap_or(f64::NAN)
            }
            (Values::Numbers(values), _) if self == Self::Last => {
                newest(series, visible, |i| !values[i].is_nan()).map_or(f64::NAN, |i| values[i])
            }
            (Values::Numbers(values), Visible::Range(range)) => self.fold(values[range.clone()].iter().copied()),
            (Values::Numbers(values), Visible::Picked(picked)) => self.fold(picked.iter().map(|i| values[*i])),
            (Values::Texts(values), _) => {
                let texts = visible.indices().filter_map(|i| values[i].as_deref());
                match self {
                    Self::Distinct => texts.collect::<HashSet<_>>().len() as f64,
                    _ => texts.count() as f64,
                }
            }
        }
    }

    /// The newest text of a column of texts.
    pub(crate) fn last_text(series: &Series, column: usize, visible: &Visible<'_>) -> Option<Arc<str>> {
        let Values::Texts(values) = &series.columns[column] else { return None };
        newest(series, visible, |i| values[i].is_some()).and_then(|i| values[i].clone())
    }

    fn fold(self, values: impl Iterator<Item = f64> + Clone) -> f64 {
        let present = values.filter(|v| !v.is_nan());
        match self {
            Self::CountRows | Self::Count => present.count() as f64,
            Self::Sum => sum(present).map_or(f64::NAN, |(sum, _)| sum),
            Self::Mean => sum(present).map_or(f64::NAN, |(sum, n)| sum / n),
            Self::Min => present.fold(f64::NAN, f64::min),
            Self::Max => present.fold(f64::NAN, f64::max),
            Self::Std => std(present),
            Self::Last => present.last().unwrap_or(f64::NAN),
            // Adding zero makes one value of −0 and +0.
            Self::Distinct => present.map(|v| (v + 0.0).to_bits()).collect::<HashSet<_>>().len() as f64,
        }
    }
}

/// Sum from the oldest to the newest, and how many.
fn sum(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut total = 0.0;
    let mut count = 0_u32;
    for value in values {
        total += value;
        count += 1;
    }
    (count > 0).then(|| (total, f64::from(count)))
}

/// Two passes: the textbook one-pass formula loses all digits when the mean is far from zero.
fn std(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let Some((total, count)) = sum(values.clone()) else { return f64::NAN };
    if count < 2.0 {
        return f64::NAN;
    }
    let mean = total / count;
    let squares: f64 = values.map(|v| (v - mean) * (v - mean)).sum();
    (squares / (count - 1.0)).sqrt()
}

fn newest(series: &Series, visible: &Visible<'_>, present: impl Fn(usize) -> bool) -> Option<usize> {
    let known = series.known();
    visible.indices().filter(|i| present(*i)).max_by_key(|i| (known[*i], series.seq[*i], series.row[*i]))
}

/// Entries a read may see, in the order of the series.
pub(crate) enum Visible<'a> {
    Range(Range<usize>),
    Picked(&'a [usize]),
}

impl Visible<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::Picked(picked) => picked.len(),
        }
    }

    fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        let (range, picked) = match self {
            Self::Range(range) => (range.clone(), [].as_slice()),
            Self::Picked(picked) => (0..0, *picked),
        };
        range.chain(picked.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregates_read_as_written() {
        assert_eq!(Aggregate::parse("count()"), Ok((Aggregate::CountRows, None)));
        assert_eq!(Aggregate::parse(" Mean( a >= (1) ) "), Ok((Aggregate::Mean, Some("a >= (1)"))));
        for bad in ["mean()", "median(x)", "x", "mean(x) + 1", ""] {
            assert!(Aggregate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_of_small_samples_are_those_of_the_textbook() {
        let fold = |a: Aggregate, v: &[f64]| a.fold(v.iter().copied());
        let values = [2.0, f64::NAN, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(fold(Aggregate::Count, &values), 8.0);
        assert_eq!(fold(Aggregate::Mean, &values), 5.0);
        assert_eq!(fold(Aggregate::Std, &values), (32.0_f64 / 7.0).sqrt());
        assert_eq!(fold(Aggregate::Min, &values), 2.0);
        assert_eq!(fold(Aggregate::Max, &values), 9.0);
        assert_eq!(fold(Aggregate::Distinct, &values), 5.0);
        assert!(fold(Aggregate::Std, &[1.0, f64::NAN]).is_nan());
        assert!(fold(Aggregate::Sum, &[]).is_nan());
        assert_eq!(fold(Aggregate::Count, &[]), 0.0);
    }
}
