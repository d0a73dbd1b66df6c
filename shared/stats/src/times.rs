//! The rhythm of a time column: order, repeats, step and gaps.

use serde::Serialize;

/// Gaps that are told.
const TOLD: usize = 5;
/// A step so many times the median one is a gap.
const TIMES_MEDIAN: i64 = 10;
/// Nor is anything a gap that is shorter than this share of the whole span.
const SPAN_SHARE: i64 = 200;

/// A span without any row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Last instant before it.
    pub from: i64,
    /// First instant after it.
    pub to: i64,
}

impl Gap {
    /// Its length in milliseconds.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.to.saturating_sub(self.from)
    }
}

/// What is known of a column of instants, all in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimeFacts {
    /// Column.
    pub column: String,
    /// Instants.
    pub values: u64,
    /// Whether they never fall in the order of the rows.
    pub ordered: bool,
    /// Instants that stand somewhere else too, the first one of each not counted.
    pub repeated: u64,
    /// Median step between different instants.
    pub median_step: i64,
    /// Longest steps that are far longer than the median one, the longest first.
    pub gaps: Vec<Gap>,
    /// How many there are.
    pub gap_count: u64,
}

impl TimeFacts {
    /// Facts of instants in the order of their rows.
    #[must_use]
    pub fn of(column: &str, mut instants: Vec<i64>) -> Self {
        let values = instants.len() as u64;
        let ordered = instants.is_sorted();
        if !ordered {
            instants.sort_unstable();
        }
        instants.dedup();
        let repeated = values - instants.len() as u64;
        let mut steps: Vec<i64> = instants.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        let middle = steps.len() / 2;
        let median_step = if steps.is_empty() { 0 } else { *steps.select_nth_unstable(middle).1 };
        let span = instants.last().zip(instants.first()).map_or(0, |(last, first)| last.saturating_sub(*first));
        let least = median_step.saturating_mul(TIMES_MEDIAN).max(span / SPAN_SHARE).max(1);
        let all = instants.windows(2).map(|pair| Gap { from: pair[0], to: pair[1] });
        let mut gaps: Vec<Gap> = all.filter(|gap| gap.millis() > least).collect();
        let gap_count = gaps.len() as u64;
        gaps.sort_by_key(|gap| (std::cmp::Reverse(gap.millis()), gap.from));
        gaps.truncate(TOLD);
        Self { column: column.to_owned(), values, ordered, repeated, median_step, gaps, gap_count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_and_gaps_are_found_in_any_order() {
        const HOUR: i64 = 3_600_000;
        let mut instants: Vec<i64> = (0..1_000).map(|i| i * HOUR).collect();
        instants.extend((2_000..3_000).map(|i| i * HOUR));
        instants.push(5 * HOUR);
        let facts = TimeFacts::of("at", instants.clone());
        assert_eq!((facts.values, facts.repeated, facts.median_step, facts.ordered), (2_001, 1, HOUR, false));
        assert_eq!(facts.gaps, [Gap { from: 999 * HOUR, to: 2_000 * HOUR }]);
        instants.reverse();
        assert_eq!(TimeFacts::of("at", instants), facts);
        assert!(TimeFacts::of("at", vec![7]).gaps.is_empty());
    }
}
