//! One number for quality, with the product that makes it.
//!
//! Each side of quality is 100 times the product of the factors that are known of it:
//!
//! * rows: 1 − rows that failed a rule on rows of this side / rows that such rules looked at;
//! * rules on commits: 1 − [`COMMIT_WEIGHT`] · failed verdicts / verdicts, one for each commit and rule of this side (of
//!   rules with `mostly` too): such a rule says that something is wrong with the commit, not with which of its rows;
//! * for completeness, cells: 1 − missing cells / cells of the declared columns;
//! * for timeliness, silence: min(1, promised silence / silence), and 0 for a source that promised and never sent a row.
//!
//! All rows count that came: accepted, set aside, and held. A side of which no factor is known is unknown, and not
//! perfect; the total is the mean of the known sides, and unknown when there is none. More failed rows or verdicts, more
//! missing cells or a longer silence never raise a side or the total.

use crate::freshness::{Freshness, FreshnessState};
use crate::tally::Tally;
use serde::{Deserialize, Serialize};
use tidemill_spec::Dimension;

/// How much of a side its rules on commits take off when all of them fail.
pub const COMMIT_WEIGHT: f64 = 0.5;

/// Scores from 0 (nothing is right) to 100; none where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QualityScore {
    /// Whether values are possible.
    pub accuracy: Option<f64>,
    /// Whether values and rows are there.
    pub completeness: Option<f64>,
    /// Whether values agree with each other.
    pub consistency: Option<f64>,
    /// Whether rows come in time.
    pub timeliness: Option<f64>,
    /// Mean of the sides that are known.
    pub total: Option<f64>,
    /// The computation with its numbers.
    pub formula: String,
}

/// Scores rows from what was counted of them and from the freshness of their source.
#[must_use]
pub fn score(tally: &Tally, freshness: &Freshness) -> QualityScore {
    let sides = [
        ("accuracy", factors(tally, Dimension::Accuracy)),
        ("completeness", factors(tally, Dimension::Completeness).and(cells(tally))),
        ("consistency", factors(tally, Dimension::Consistency)),
        ("timeliness", factors(tally, Dimension::Timeliness).and(silence(freshness))),
    ];
    let values = sides.each_ref().map(|(_, factors)| factors.value());
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    let total = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
    let mut formula: Vec<String> = sides.iter().map(|(name, factors)| factors.formula(name)).collect();
    formula.push(total.map_or_else(
        || "total unknown".to_owned(),
        |total| {
            let each: Vec<String> = known.iter().map(|value| format!("{value:.2}")).collect();
            format!("total {total:.2} = ({}) / {}", each.join(" + "), known.len())
        },
    ));
    let [accuracy, completeness, consistency, timeliness] = values;
    QualityScore { accuracy, completeness, consistency, timeliness, total, formula: formula.join("; ") }
}

/// What a side is made of: each factor from 0 to 1, with how it came about.
#[derive(Default)]
struct Factors(Vec<(f64, String)>);

impl Factors {
    /// With one more factor, where there are any to share among.
    fn less(mut self, weight: f64, bad: u64, of: u64, what: &str) -> Self {
        if of > 0 {
            let weighed = if weight < 1.0 { format!("{weight} * ") } else { String::new() };
            let value = 1.0 - weight * (bad as f64 / of as f64);
            self.0.push((value, format!("(1 - {weighed}{bad} / {of} {what})")));
        }
        self
    }

    fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn value(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| 100.0 * self.0.iter().map(|(value, _)| value).product::<f64>())
    }

    fn formula(&self, name: &str) -> String {
        let each: Vec<&str> = self.0.iter().map(|(_, text)| text.as_str()).collect();
        match self.value() {
            Some(value) => format!("{name} {value:.2} = 100 * {}", each.join(" * ")),
            None => format!("{name} unknown"),
        }
    }
}

fn factors(tally: &Tally, dimension: Dimension) -> Factors {
    let side = tally.sides.get(&dimension).copied().unwrap_or_default();
    let rows = Factors::default().less(1.0, side.faulty, side.rows, "rows");
    rows.less(COMMIT_WEIGHT, side.failed, side.verdicts, "rules on commits")
}

fn cells(tally: &Tally) -> Factors {
    Factors::default().less(1.0, tally.missing, tally.cells, "cells")
}

fn silence(freshness: &Freshness) -> Factors {
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let within = seconds(freshness.within.unwrap_or_default());
    let silence = seconds(freshness.silence().unwrap_or_default());
    let text = format!("min(1, {within} s / {silence} s)");
    Factors(match freshness.state() {
        FreshnessState::Undeclared => Vec::new(),
        FreshnessState::Empty => vec![(0.0, "0 (no rows were ever seen)".to_owned())],
        FreshnessState::Fresh => vec![(1.0, text)],
        FreshnessState::Stale => vec![(within / silence, text)],
    })
}
