//! What a column of numbers suggests.

use super::commits::{History, RARE};
use super::id;
use crate::commit::{binned, of_statistics, present, quantile};
use crate::error::QualityError;
use arrow::array::{Array, ArrayRef};
use std::collections::BTreeSet;
use tidemill_spec::{Check, DecimalsRule, DistributionRule, RangeRule, Rule, SetRule};
use tidemill_stats::distance::psi;
use tidemill_stats::hypothesis::chi_square_quantile;

/// Different numbers that still look like codes.
const CODES: usize = 20;
/// Rows of a usual commit from which its distribution tells anything.
const FEWEST: f64 = 30.0;

/// Rules that the values of a column suggest.
pub(super) fn mine(name: &str, array: &ArrayRef, history: &History, rules: &mut Vec<Rule>) -> Result<(), QualityError> {
    let mut values = present(array)?;
    let is_float = array.data_type().is_floating();
    if values.len() < 10 || values.iter().any(|v| v.is_infinite()) {
        return Ok(());
    }
    let different: BTreeSet<u64> = values.iter().take(200_000).map(|v| (v + 0.0).to_bits()).collect();
    let are_codes = !is_float && (2..=CODES).contains(&different.len()) && values.len() >= 50 * different.len();
    if are_codes {
        let mut codes: Vec<f64> = different.iter().map(|bits| f64::from_bits(*bits)).collect();
        codes.sort_by(f64::total_cmp);
        let values = codes.iter().map(ToString::to_string).collect();
        rules.push(Rule::new(id(name, "in_set"), Check::InSet(SetRule { column: name.to_owned(), values })));
    } else {
        rules.push(range(name, &mut values));
    }
    if is_float {
        rules.push(Rule::new(id(name, "finite"), Check::Finite(name.to_owned())));
        let places = (0..=4).find(|places| values.iter().all(|v| has_places(*v, *places)));
        rules.extend(places.map(|places| match places {
            0 => Rule::new(id(name, "whole_number"), Check::WholeNumber(name.to_owned())),
            at_most => {
                let rule = DecimalsRule { column: name.to_owned(), at_most };
                Rule::new(id(name, "decimals"), Check::Decimals(rule))
            }
        }));
    }
    if different.len() > CODES {
        rules.extend(mean(name, array, &values, history)?);
        rules.extend(distribution(name, array, &mut values, history)?);
    }
    Ok(())
}

fn has_places(value: f64, places: u32) -> bool {
    let scaled = value * 10_f64.powi(places as i32);
    (scaled - scaled.round()).abs() <= 1e-9_f64.max(scaled.abs() * f64::EPSILON)
}

/// The range seen, widened by half its inner width; numbers that were never negative stay so.
fn range(name: &str, values: &mut [f64]) -> Rule {
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let inner = quantile(values, 0.99).unwrap_or(high) - quantile(values, 0.01).unwrap_or(low);
    let margin = 0.5 * inner.max((high - low) / 10.0);
    let floor = if low >= 0.0 { 0.0_f64.max(low - margin) } else { low - margin };
    let rule =
        RangeRule { column: name.to_owned(), min: Some(outward(floor, -1.0)), max: Some(outward(high + margin, 1.0)) };
    Rule::new(id(name, "range"), Check::Range(rule))
}

/// Two digits that count, rounded away from the middle.
fn outward(value: f64, side: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let places = 1 - value.abs().log10().floor() as i32;
    // Dividing by a power of ten keeps short decimals short.
    let scaled = value * 10_f64.powi(places);
    let rounded = if side > 0.0 { scaled.ceil() } else { scaled.floor() };
    if places >= 0 { rounded / 10_f64.powi(places) } else { rounded * 10_f64.powi(-places) }
}

/// Bounds of the mean of a commit: what the means of commits scatter, six times over, and no less than sampling does.
fn mean(name: &str, array: &ArrayRef, values: &[f64], history: &History) -> Result<Option<Rule>, QualityError> {
    let mut means = Vec::with_capacity(history.commits());
    for rows in history.each() {
        let values = present(&array.slice(rows.start, rows.len()))?;
        if !values.is_empty() {
            means.push(values.iter().sum::<f64>() / values.len() as f64);
        }
    }
    let Some(middle) = quantile(&mut means, 0.5) else {
        return Ok(None);
    };
    let mut off: Vec<f64> = means.iter().map(|m| (m - middle).abs()).collect();
    let largest = off.iter().copied().fold(0.0, f64::max);
    let filled = values.len() as f64 / array.len().max(1) as f64;
    let sampling = spread(values) / (history.usual() * filled).max(1.0).sqrt();
    let scatter = (1.4826 * quantile(&mut off, 0.5).unwrap_or_default()).max(sampling);
    let margin = (6.0 * scatter).max(1.5 * largest);
    let rule = RangeRule {
        column: name.to_owned(),
        min: Some(outward(middle - margin, -1.0)),
        max: Some(outward(middle + margin, 1.0)),
    };
    Ok((means.len() >= 3).then(|| Rule::new(id(name, "mean"), Check::Mean(rule))))
}

/// The standard deviation.
fn spread(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count).sqrt()
}

/// Deciles of the history as the reference of its distribution. The rule's own limit is passed by one commit in twenty;
/// `at_least` is therefore what sampling passes rarely, and half as much again as any commit of the history.
fn distribution(
    name: &str,
    array: &ArrayRef,
    values: &mut [f64],
    history: &History,
) -> Result<Option<Rule>, QualityError> {
    let mut edges: Vec<f64> = (1..10).filter_map(|tenth| quantile(values, f64::from(tenth) / 10.0)).collect();
    edges.dedup();
    let usual = history.usual();
    if edges.len() < 4 || usual < FEWEST {
        return Ok(None);
    }
    let counts = binned(array, &edges)?;
    let used = counts.iter().filter(|count| **count > 0).count() as u64;
    let rarely =
        chi_square_quantile(1.0 - RARE, used - 1).map_err(of_statistics)? * (1.0 / usual + 1.0 / array.len() as f64);
    let mut largest: f64 = 0.0;
    for rows in history.each().filter(|rows| !rows.is_empty()) {
        let commit = binned(&array.slice(rows.start, rows.len()), &edges)?;
        largest = largest.max(psi(&counts, &commit).map_err(of_statistics)?);
    }
    let at_least = outward(rarely.max(1.5 * largest).max(0.1), 1.0);
    let rule = DistributionRule { column: name.to_owned(), edges, values: vec![], counts, at_least };
    Ok(Some(Rule::new(id(name, "distribution"), Check::Distribution(rule))))
}
