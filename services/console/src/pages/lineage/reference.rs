//! Statistics of the features at training, from what the model's bundle keeps for drift.

use crate::app::App;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_privacy::{HIDDEN, Masks, numbered};
use tidemill_stats::drift::{Reference, Shape};

/// Categories that are named.
const NAMED: usize = 20;
/// Bars of a picture.
const BARS: usize = 16;

/// Statistics of one feature at training.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Statistics {
    /// Rows, missing ones included.
    pub(crate) rows: u64,
    /// Share that was missing.
    pub(crate) null_share: f64,
    /// The others.
    pub(crate) values: Values,
}

/// The values of a feature.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Values {
    /// Numbers: from a sample of at most 2,000.
    Numeric {
        /// Mean and standard deviation.
        mean: f64,
        sd: f64,
        /// Smallest, lower quartile, median, upper quartile, largest.
        five: [f64; 5],
        /// Bins of equal width between the 1st and the 99th percentile, which the outer ones hold too.
        edges: Vec<f64>,
        counts: Vec<u64>,
    },
    /// Texts.
    Categorical {
        /// How many there are.
        distinct: usize,
        /// The most frequent ones.
        top: Vec<(String, u64)>,
        /// Rows of all others.
        rest: u64,
    },
    /// Numbers of persons, of which nothing is told.
    Withheld,
}

/// Statistics by feature, of the training of a model. A bundle never changes, so they are worked out once.
pub(crate) async fn statistics(app: &App, model: &str) -> Result<BTreeMap<String, Statistics>> {
    let path = format!("models/{model}/reference.json");
    let damaged = |e: serde_json::Error| Error::Stored { path: path.clone(), reason: e.to_string() };
    let made = app.lasting(&path, async {
        let bytes = match app.storage.get(&path).await {
            Ok(bytes) => bytes,
            Err(tidemill_storage::Error::NotFound(_)) => return Ok(serde_json::json!({})),
            Err(other) => return Err(other.into()),
        };
        let references: Vec<Reference> = serde_json::from_slice(&bytes).map_err(damaged)?;
        let all: BTreeMap<String, Statistics> = references.iter().map(|r| (r.name.clone(), of(r))).collect();
        serde_json::to_value(all).map_err(damaged)
    });
    let all: BTreeMap<String, Statistics> = BTreeMap::deserialize(&*made.await?).map_err(damaged)?;
    let masks = app.spec.feature_masks();
    Ok(all.into_iter().map(|(name, found)| (name.clone(), masked(&name, found, &masks))).collect())
}

/// Statistics as they may be shown.
fn masked(name: &str, mut found: Statistics, masks: &Masks) -> Statistics {
    if !masks.covers(name) {
        return found;
    }
    match &mut found.values {
        Values::Categorical { top, .. } => {
            let shown = masks.texts(name, top.iter().map(|(value, _)| value.as_str()));
            top.iter_mut().zip(shown).for_each(|((value, _), shown)| *value = shown);
        }
        values => *values = Values::Withheld,
    }
    found
}

fn of(reference: &Reference) -> Statistics {
    let values = match &reference.shape {
        Shape::Numeric { sample, .. } => numeric(sample),
        Shape::Categorical { counts, rest, salt } => {
            let mut top: Vec<(String, u64)> = counts.iter().map(|(name, count)| (name.clone(), *count)).collect();
            top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let left: u64 = top.iter().skip(NAMED).map(|(_, count)| count).sum();
            let distinct = top.len();
            top.truncate(NAMED);
            if salt.is_some() {
                // Pseudonyms say nothing to anybody.
                top.iter_mut().enumerate().for_each(|(at, (name, _))| *name = numbered(HIDDEN, at + 1));
            }
            Values::Categorical { distinct, top, rest: rest + left }
        }
    };
    Statistics { rows: reference.rows, null_share: reference.null_share(), values }
}

/// Statistics of a rising sample.
fn numeric(sample: &[f64]) -> Values {
    let n = sample.len().max(1) as f64;
    let mean = sample.iter().sum::<f64>() / n;
    let squares: f64 = sample.iter().map(|v| (v - mean) * (v - mean)).sum();
    let at = |share: f64| {
        let place = (share * (sample.len().saturating_sub(1)) as f64).round() as usize;
        sample.get(place).copied().unwrap_or_default()
    };
    let (low, high) = (at(0.01), at(0.99));
    let high = if high > low { high } else { low + 1.0 };
    let edges: Vec<f64> = (0..=BARS).map(|i| low + (high - low) * i as f64 / BARS as f64).collect();
    let mut counts = vec![0; BARS];
    for value in sample {
        let bin = ((value - low) / (high - low) * BARS as f64).clamp(0.0, BARS as f64 - 1.0);
        counts[bin as usize] += 1;
    }
    let sd = (squares / (n - 1.0).max(1.0)).sqrt();
    Values::Numeric { mean, sd, five: [0.0, 0.25, 0.5, 0.75, 1.0].map(at), edges, counts }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn of_personal_features_counts_are_told_and_no_value() {
        let texts: arrow::array::ArrayRef =
            std::sync::Arc::new(arrow::array::StringArray::from(vec!["SECRET-1", "SECRET-2"]));
        let masks = [("who".to_owned(), tidemill_privacy::PiiClass::PersonName)].into_iter().collect();
        let of_before = Reference::of("who", &texts).unwrap();
        for (reference, first) in [(of_before.clone().pseudonymous("salt"), "***"), (of_before, "S***")] {
            let shown = masked("who", of(&reference), &masks);
            let Values::Categorical { distinct, top, .. } = &shown.values else { unreachable!() };
            assert_eq!((*distinct, &top[0], &top[1].0), (2, &(first.to_owned(), 1), &format!("{first} (2)")));
        }
        let born = Statistics { rows: 2, null_share: 0.0, values: numeric(&[1_950.0, 1_960.0]) };
        assert!(matches!(masked("who", born, &masks).values, Values::Withheld));
    }

    #[test]
    fn a_sample_is_told_in_a_few_numbers() {
        let sample: Vec<f64> = (0..=100).map(f64::from).collect();
        let Values::Numeric { mean, five, counts, edges, .. } = numeric(&sample) else { unreachable!() };
        assert_eq!((mean, five), (50.0, [0.0, 25.0, 50.0, 75.0, 100.0]));
        assert_eq!((counts.iter().sum::<u64>(), edges.len()), (101, counts.len() + 1));
        let Values::Numeric { edges, .. } = numeric(&[3.0; 5]) else { unreachable!() };
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(matches!(numeric(&[]), Values::Numeric { .. }));
    }
}
