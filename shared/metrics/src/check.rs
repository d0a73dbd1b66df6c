//! Checks that every metric makes on its inputs before it starts.

use crate::{Error, Result};

pub(crate) fn same_length(left: usize, right: usize) -> Result<()> {
    if left == right { Ok(()) } else { Err(Error::Length { left, right }) }
}

pub(crate) fn at_least(what: &'static str, need: usize, got: usize) -> Result<()> {
    if got >= need { Ok(()) } else { Err(Error::TooFew { what, need, got }) }
}

pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(row) => Err(Error::NotFinite { what, row }),
    }
}

/// Scores and labels of equal, positive length, scores finite.
pub(crate) fn scored(scores: &[f64], labels: &[bool]) -> Result<()> {
    same_length(scores.len(), labels.len())?;
    at_least("metric", 1, scores.len())?;
    finite("score", scores)
}

/// As [`scored`], and every score is a probability.
pub(crate) fn probabilities(scores: &[f64], labels: &[bool]) -> Result<()> {
    scored(scores, labels)?;
    match scores.iter().find(|s| !(0.0..=1.0).contains(*s)) {
        None => Ok(()),
        Some(value) => Err(Error::Range { what: "score", value: *value, range: "[0, 1]" }),
    }
}

/// The number of positives, when both classes are there.
pub(crate) fn both_classes(labels: &[bool]) -> Result<usize> {
    let positives = labels.iter().filter(|l| **l).count();
    if positives == 0 || positives == labels.len() {
        return Err(Error::OneClass { rows: labels.len() });
    }
    Ok(positives)
}

pub(crate) fn share(what: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value <= 1.0 { Ok(()) } else { Err(Error::Range { what, value, range: "(0, 1]" }) }
}
