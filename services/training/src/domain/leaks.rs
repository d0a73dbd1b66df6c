//! Leak checks: does one column alone give the outcome away?
//!
//! A column is judged by the AUC of its values (texts by the rate of each frequent value), by the share of positives
//! among its nulls and among the rows of each frequent value. Every verdict is on a confidence bound.

use crate::error::TrainingError;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_metrics::{Estimate, auc_interval, wilson};
use tidemill_privacy::Masks;
use tidemill_spec::LeakChecks;

/// Rows behind an AUC at most, evenly spaced; the interval tells what that costs.
const AUC_ROWS: usize = 60_000;
/// Texts with more distinct values are keys: their purity says nothing.
const MOST_VALUES: usize = 1_000;

/// Where a column comes from, which decides what a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnRole {
    /// The model would read it: a finding blocks the candidate.
    Feature,
    /// A column of the entity row: a finding says that it must never become a feature.
    Entity,
    /// A column of the outcome row: findings are expected.
    Outcome,
}

/// How a column gave the outcome away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeakKind {
    /// Its values alone order the rows almost perfectly.
    Auc,
    /// Being null means one outcome.
    NullPurity,
    /// One of its values means one outcome.
    ValuePurity,
}

/// One column that gives the outcome away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeakFinding {
    /// Name of the column in the training set.
    pub column: String,
    /// Where it comes from.
    pub role: ColumnRole,
    /// How it was found.
    pub kind: LeakKind,
    /// The value that is pure, for value purity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// AUC (at least 0.5, whichever way round) or share of positives, with its interval.
    pub value: Estimate,
    /// Rows behind it.
    pub support: u64,
    /// The finding in one sentence.
    pub verdict: String,
}

impl LeakFinding {
    /// Masks the value that it names, where that is personal.
    pub(crate) fn mask(&mut self, masks: &Masks) {
        let Some(value) = self.of.as_ref().filter(|_| masks.covers(&self.column)) else { return };
        let shown = masks.text(&self.column, value);
        self.verdict = self.verdict.replacen(&named(&self.column, value), &named(&self.column, &shown), 1);
        self.of = Some(shown);
    }
}

/// What a finding on one value is about.
fn named(column: &str, value: &str) -> String {
    format!("{column} = '{value}'")
}

/// Judges one column against the labels of the same rows.
///
/// # Errors
/// Arrow cannot read the column.
pub(crate) fn check_column(
    name: &str,
    role: ColumnRole,
    array: &ArrayRef,
    labels: &[bool],
    rules: &LeakChecks,
) -> Result<Vec<LeakFinding>, TrainingError> {
    let mut found = Vec::new();
    let column = Judge { name, role, rules };
    let nulls = (0..array.len()).filter(|row| array.is_null(*row));
    let (rows, positives) = tally(nulls, labels);
    found.extend(column.purity(LeakKind::NullPurity, None, rows, positives)?);
    if is_text(array.data_type()) {
        column.texts(array, labels, &mut found)?;
    } else if let Some(values) = numbers(array)? {
        let kept = values.iter().enumerate().filter_map(|(row, v)| Some((v.filter(|v| v.is_finite())?, labels[row])));
        found.extend(column.auc(&kept.collect::<Vec<_>>())?);
    }
    Ok(found)
}

struct Judge<'a> {
    name: &'a str,
    role: ColumnRole,
    rules: &'a LeakChecks,
}

impl Judge<'_> {
    fn texts(&self, array: &ArrayRef, labels: &[bool], found: &mut Vec<LeakFinding>) -> Result<(), TrainingError> {
        let texts = cast(array, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let mut by_value: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let (mut rows, mut positives) = (0_u64, 0_u64);
        for (text, label) in texts.iter().zip(labels) {
            let Some(text) = text else { continue };
            let cell = by_value.entry(text).or_default();
            *cell = (cell.0 + 1, cell.1 + u64::from(*label));
            (rows, positives) = (rows + 1, positives + u64::from(*label));
        }
        if rows == 0 {
            return Ok(());
        }
        if by_value.len() <= MOST_VALUES {
            for (value, (rows, positives)) in &by_value {
                found.extend(self.purity(LeakKind::ValuePurity, Some(value), *rows, *positives)?);
            }
        }
        // Values too rare to count stand for the overall rate, so that a key column does not encode its own labels.
        let overall = positives as f64 / rows as f64;
        let rate = |text: &str| match by_value.get(text) {
            Some((rows, positives)) if *rows >= self.rules.min_support => *positives as f64 / *rows as f64,
            _ => overall,
        };
        let scored: Vec<(f64, bool)> =
            texts.iter().zip(labels).filter_map(|(text, label)| Some((rate(text?), *label))).collect();
        found.extend(self.auc(&scored)?);
        Ok(())
    }

    fn auc(&self, scored: &[(f64, bool)]) -> Result<Option<LeakFinding>, TrainingError> {
        let step = scored.len().div_ceil(AUC_ROWS).max(1);
        let (values, labels): (Vec<f64>, Vec<bool>) = scored.iter().step_by(step).copied().unzip();
        let positives = labels.iter().filter(|label| **label).count() as u64;
        let smaller = positives.min(labels.len() as u64 - positives);
        if smaller < self.rules.min_support.max(2) {
            return Ok(None);
        }
        let auc = auc_interval(&values, &labels)?;
        let auc = if auc.value < 0.5 { mirrored(auc) } else { auc };
        if auc.low <= self.rules.auc_above {
            return Ok(None);
        }
        let verdict = format!(
            "{} alone separates the outcomes with AUC {:.4} on {} rows: {}",
            self.name,
            auc.value,
            labels.len(),
            self.consequence()
        );
        let support = labels.len() as u64;
        Ok(Some(self.finding(LeakKind::Auc, None, auc, support, verdict)))
    }

    fn purity(
        &self,
        kind: LeakKind,
        of: Option<&str>,
        rows: u64,
        positives: u64,
    ) -> Result<Option<LeakFinding>, TrainingError> {
        if rows < self.rules.min_support.max(1) {
            return Ok(None);
        }
        let share = wilson(positives, rows)?;
        let pure = self.rules.purity_above;
        let all_positive = share.value > pure && (share.low > pure || positives == rows);
        let all_negative = share.value < 1.0 - pure && share.high < 1.0 - pure;
        if !all_positive && !all_negative {
            return Ok(None);
        }
        let what = of.map_or_else(|| format!("{} is null", self.name), |value| named(self.name, value));
        let verdict = format!("{what}: {:.1}% positive of {rows} rows: {}", 100.0 * share.value, self.consequence());
        Ok(Some(self.finding(kind, of, share, rows, verdict)))
    }

    fn finding(&self, kind: LeakKind, of: Option<&str>, value: Estimate, support: u64, verdict: String) -> LeakFinding {
        LeakFinding {
            column: self.name.to_owned(),
            role: self.role,
            kind,
            of: of.map(str::to_owned),
            value,
            support,
            verdict,
        }
    }

    fn consequence(&self) -> &'static str {
        match self.role {
            ColumnRole::Feature => "the feature leaks the outcome",
            ColumnRole::Entity => "never make a feature of it",
            ColumnRole::Outcome => "an outcome, never a feature",
        }
    }
}

fn mirrored(auc: Estimate) -> Estimate {
    Estimate { value: 1.0 - auc.value, low: 1.0 - auc.high, high: 1.0 - auc.low, ..auc }
}

fn tally(rows: impl Iterator<Item = usize>, labels: &[bool]) -> (u64, u64) {
    rows.fold((0, 0), |(count, positives), row| (count + 1, positives + u64::from(labels[row])))
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Numbers and instants as doubles; `None` for types without an order.
fn numbers(array: &ArrayRef) -> Result<Option<arrow::array::Float64Array>, TrainingError> {
    let array = match array.data_type() {
        DataType::Timestamp(..) => cast(array, &DataType::Int64)?,
        other if other.is_numeric() => ArrayRef::clone(array),
        _ => return Ok(None),
    };
    Ok(Some(cast(&array, &DataType::Float64)?.as_primitive::<Float64Type>().clone()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{Float64Array, StringArray};
    use std::sync::Arc;

    const RULES: LeakChecks = LeakChecks { auc_above: 0.95, purity_above: 0.99, min_support: 30 };

    /// Every fifth row of two thousand is positive.
    fn labels() -> Vec<bool> {
        (0..2_000).map(|row| row % 5 == 0).collect()
    }

    fn check(role: ColumnRole, array: ArrayRef) -> Vec<LeakFinding> {
        check_column("c", role, &array, &labels(), &RULES).unwrap()
    }

    #[test]
    fn a_null_that_means_positive_is_named() {
        let tail = (0..2_000).map(|row| (row % 25 != 0).then(|| format!("N{}", row % 300)));
        let found = check(ColumnRole::Entity, Arc::new(tail.collect::<StringArray>()));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].support), (LeakKind::NullPurity, 80));
        assert!(found[0].verdict.contains("c is null: 100.0% positive of 80 rows"), "{}", found[0].verdict);
    }

    #[test]
    fn a_number_that_is_the_outcome_is_named_whichever_way_round() {
        for sign in [1.0, -1.0] {
            let late = |l: bool| if l { 60.0 } else { 0.0 };
            let delay = labels().into_iter().enumerate().map(|(i, l)| sign * (late(l) + (i % 7) as f64));
            let found = check(ColumnRole::Feature, Arc::new(delay.collect::<Float64Array>()));
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].kind, LeakKind::Auc);
        }
    }

    #[test]
    fn a_value_that_means_one_outcome_is_named() {
        let status = labels().into_iter().enumerate().map(|(i, l)| match (l, i % 2) {
            (true, 0) => Some("cancelled"),
            (_, 0) => Some("landed"),
            _ => Some("unknown"),
        });
        let found = check(ColumnRole::Outcome, Arc::new(status.collect::<StringArray>()));
        let pure: Vec<_> = found.iter().filter_map(|f| f.of.as_deref()).collect();
        assert!(pure.contains(&"cancelled") && pure.contains(&"landed") && !pure.contains(&"unknown"), "{pure:?}");
    }

    #[test]
    fn the_value_of_a_personal_column_is_named_masked() {
        let doctor = labels().into_iter().map(|l| Some(if l { "SECRET-1" } else { "SECRET-2" }));
        let mut found = check(ColumnRole::Feature, Arc::new(doctor.collect::<StringArray>()));
        let rows: Vec<u64> = found.iter().map(|f| f.support).collect();
        let masks = [("c".to_owned(), tidemill_privacy::PiiClass::PersonName)].into_iter().collect();
        found.iter_mut().for_each(|finding| finding.mask(&masks));
        let told = serde_json::to_string(&found).unwrap();
        assert!(told.contains("c = 'S***': 100.0% positive of 400 rows") && !told.contains("SECRET"), "{told}");
        assert_eq!(found.iter().map(|f| f.support).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn honest_columns_and_keys_are_left_alone() {
        let noise = (0..2_000_u64).map(|i| ((i * 2_654_435_761) % 1_000) as f64);
        assert_eq!(check(ColumnRole::Feature, Arc::new(noise.collect::<Float64Array>())), []);
        let key = (0..2_000).map(|i| Some(format!("k{i}")));
        assert_eq!(check(ColumnRole::Entity, Arc::new(key.collect::<StringArray>())), []);
    }
}
