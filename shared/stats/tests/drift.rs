//! Promises of drift detection: calibrated when nothing drifts, loud when something does.

mod random;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use random::Random;
use std::sync::Arc;
use tidemill_stats::distance::PsiBand;
use tidemill_stats::drift::{Reference, Test};
use tidemill_stats::{Error, family};

fn normal(n: usize, shift: f64, seed: u64) -> ArrayRef {
    let mut random = Random(seed);
    Arc::new(Float64Array::from_iter_values((0..n).map(|_| random.normal() + shift)))
}

fn colours(n: usize, names: &[&str], seed: u64) -> ArrayRef {
    let mut random = Random(seed);
    Arc::new(StringArray::from_iter_values((0..n).map(|_| names[random.bits() as usize % names.len()])))
}

#[test]
fn without_drift_alarms_keep_their_level() {
    let (mut by_psi, mut by_test, mut fixed) = (0, 0, 0);
    for seed in 0..400 {
        let reference = Reference::of("x", &normal(1_000, 0.0, seed)).unwrap();
        let drift = reference.compare(&normal(100, 0.0, 10_000 + seed)).unwrap();
        by_psi += usize::from(drift.psi > drift.psi_critical);
        by_test += usize::from(drift.drifted);
        fixed += usize::from(drift.psi_band != PsiBand::Stable);
    }
    let share = |count: usize| count as f64 / 400.0;
    assert!(share(by_psi) < 0.10, "{}", share(by_psi));
    assert!((0.01..0.09).contains(&share(by_test)), "{}", share(by_test));
    assert!(share(fixed) > 0.25, "fixed bands fire on small windows: {}", share(fixed));
}

#[test]
fn a_shift_is_found_and_measured() {
    let reference = Reference::of("x", &normal(30_000, 0.0, 1)).unwrap();
    let drift = reference.compare(&normal(3_000, 1.0, 2)).unwrap();
    assert!(drift.drifted && drift.psi > 0.25 && drift.psi_band == PsiBand::Act && drift.test == Test::Ks);
    let json = serde_json::to_string(&reference).unwrap();
    let stored: Reference = serde_json::from_str(&json).unwrap();
    assert_eq!(stored.compare(&normal(3_000, 1.0, 2)).unwrap(), drift);
}

#[test]
fn one_wild_value_does_not_blind_the_detector() {
    let reference = Reference::of("x", &normal(5_000, 0.0, 1)).unwrap();
    let mut values: Vec<f64> = {
        let mut random = Random(7);
        (0..2_000).map(|_| random.normal() + 0.5).collect()
    };
    let before = reference.compare(&(Arc::new(Float64Array::from(values.clone())) as ArrayRef)).unwrap();
    values.extend([1e300, f64::INFINITY]);
    let after = reference.compare(&(Arc::new(Float64Array::from(values)) as ArrayRef)).unwrap();
    assert!(before.drifted && after.drifted && (before.psi - after.psi).abs() < 0.01);
}

#[test]
fn missing_values_are_drift_too() {
    let reference = Reference::of("x", &normal(5_000, 0.0, 1)).unwrap();
    let mut random = Random(3);
    let current: ArrayRef = Arc::new(Float64Array::from_iter((0..2_000).map(|i| (i % 5 > 0).then(|| random.normal()))));
    let drift = reference.compare(&current).unwrap();
    assert!(drift.drifted && drift.psi > 0.25);
    assert_eq!((drift.null_share, drift.reference_null_share), (0.2, 0.0));
    let all_null: ArrayRef = Arc::new(Float64Array::from(vec![None; 50]));
    assert!(reference.compare(&all_null).unwrap().drifted);
}

#[test]
fn categories_drift_and_new_ones_are_named() {
    let reference = Reference::of("colour", &colours(5_000, &["red", "green", "blue"], 1)).unwrap();
    let same = reference.compare(&colours(1_000, &["red", "green", "blue"], 2)).unwrap();
    assert!(!same.drifted && same.new_categories.is_empty() && same.psi < same.psi_critical);
    let other = reference.compare(&colours(1_000, &["red", "green", "green", "mauve"], 2)).unwrap();
    assert!(other.drifted && other.test == Test::Chi2);
    assert_eq!(other.new_categories, ["mauve"]);
}

#[test]
fn numbers_with_few_values_are_compared_by_bins() {
    let few =
        |n: i64, modulus: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..n).map(|i| i % modulus))) };
    let reference = Reference::of("k", &few(3_000, 3)).unwrap();
    let same = reference.compare(&few(900, 3)).unwrap();
    assert_eq!((same.test, same.drifted), (Test::Chi2, false));
    assert!(reference.compare(&few(900, 2)).unwrap().drifted);
    let constant = Reference::of("k", &few(100, 1)).unwrap();
    assert!(!constant.compare(&few(100, 1)).unwrap().drifted);
}

#[test]
fn a_family_of_quiet_features_rarely_alarms() {
    let mut windows = 0;
    for window in 0..40 {
        let drifts = (0..20)
            .map(|f| {
                let reference = Reference::of(&format!("f{f}"), &normal(500, 0.0, window * 100 + f)).unwrap();
                reference.compare(&normal(200, 0.0, 1_000_000 + window * 100 + f)).unwrap()
            })
            .collect();
        windows += usize::from(family(drifts, 0.05).unwrap().iter().any(|v| v.drifted));
    }
    assert!(windows <= 6, "{windows} of 40 windows alarmed");
    let reference = Reference::of("x", &normal(500, 0.0, 1)).unwrap();
    let verdicts = family(
        vec![reference.compare(&normal(500, 1.0, 2)).unwrap(), reference.compare(&normal(500, 0.0, 3)).unwrap()],
        0.05,
    )
    .unwrap();
    assert!(verdicts[0].drifted && verdicts[0].actionable && !verdicts[1].drifted);
}

/// Names in the order of which a hash knows nothing, some rare, some on one side only, with gaps.
fn people(n: usize, from: usize, seed: u64) -> ArrayRef {
    let mut random = Random(seed);
    let mut person = || {
        let at = random.bits() as usize % 40;
        // The first are frequent, the last ones rare.
        (at > 0).then(|| format!("SECRET-{}", from + at * at / 40))
    };
    Arc::new((0..n).map(|_| person()).collect::<StringArray>())
}

#[test]
fn pseudonyms_change_no_figure_and_tell_no_name() {
    for (from, seed) in [(0, 1), (0, 2), (3, 3), (90, 4)] {
        let plain = Reference::of("doctor", &people(5_000, 0, 10 + seed)).unwrap();
        let hidden = plain.clone().pseudonymous("salt");
        let stored = serde_json::to_string(&hidden).unwrap();
        assert!(!stored.contains("SECRET") && hidden.is_pseudonymous() && !plain.is_pseudonymous(), "{stored}");
        let hidden: Reference = serde_json::from_str(&stored).unwrap();
        assert_eq!(hidden.clone().pseudonymous("other"), hidden, "once is enough");
        let window = people(700, from, 20 + seed);
        let (before, after) = (plain.compare(&window).unwrap(), hidden.compare(&window).unwrap());
        assert!(!serde_json::to_string(&after).unwrap().contains("SECRET"));
        let figures = |drift: &tidemill_stats::FeatureDrift| {
            let distribution = drift.distribution.clone().unwrap();
            let numbers = [drift.psi, drift.psi_critical, drift.p_value, drift.statistic, drift.null_share];
            let counts = (distribution.expected, distribution.actual, drift.new_categories.len());
            (numbers.map(f64::to_bits), counts, drift.psi_band, drift.drifted, drift.rows)
        };
        assert_eq!(figures(&before), figures(&after), "to the last bit");
    }
}

#[test]
fn references_of_before_there_were_pseudonyms_are_read() {
    let stored = r#"{"name": "colour", "rows": 5, "missing": 1,
        "shape": {"kind": "categorical", "counts": {"red": 3, "green": 1}, "rest": 0}}"#;
    let reference: Reference = serde_json::from_str(stored).unwrap();
    let drift = reference.compare(&colours(100, &["red", "blue"], 1)).unwrap();
    assert_eq!((reference.is_pseudonymous(), &drift.new_categories[..]), (false, &["blue".to_owned()][..]));
    assert!(!serde_json::to_string(&reference).unwrap().contains("salt"), "and written as they were");
}

#[test]
fn bad_columns_are_refused() {
    let reference = Reference::of("x", &normal(500, 0.0, 1)).unwrap();
    assert!(matches!(reference.compare(&colours(10, &["a"], 1)), Err(Error::Type { .. })));
    assert!(matches!(reference.compare(&normal(0, 0.0, 1)), Err(Error::TooFew { .. })));
    let empty: ArrayRef = Arc::new(Float64Array::from(vec![None, None]));
    assert!(matches!(Reference::of("x", &empty), Err(Error::TooFew { .. })));
}
