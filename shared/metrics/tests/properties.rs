//! Promises that hold for every input: invariance, bounds, coverage, determinism, speed.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use tidemill_metrics::{
    Error, auc_interval, binary_report, bootstrap::bootstrap, ece, paired_report, pr_auc, regression_report, roc_auc,
};

/// Scores that are calibrated by construction: the label is drawn with the score as its chance.
fn sample(n: usize, seed: u64) -> (Vec<f64>, Vec<bool>) {
    let mut rng = Pcg64::seed_from_u64(seed);
    let scores: Vec<f64> = (0..n).map(|_| rng.random::<f64>().powi(2)).collect();
    let labels = scores.iter().map(|s| rng.random::<f64>() < *s).collect();
    (scores, labels)
}

#[test]
fn ranking_metrics_ignore_monotone_maps_of_the_scores() {
    for seed in 0..20 {
        let (scores, labels) = sample(200, seed);
        let mapped: Vec<f64> = scores.iter().map(|s| (3.0 * s).exp() - 7.0).collect();
        assert_eq!(roc_auc(&scores, &labels).unwrap(), roc_auc(&mapped, &labels).unwrap());
        assert_eq!(pr_auc(&scores, &labels).unwrap(), pr_auc(&mapped, &labels).unwrap());
    }
}

#[test]
fn negated_scores_mirror_the_auc() {
    for seed in 0..20 {
        let (scores, labels) = sample(150, seed);
        let negated: Vec<f64> = scores.iter().map(|s| -s).collect();
        let sum = roc_auc(&scores, &labels).unwrap() + roc_auc(&negated, &labels).unwrap();
        assert!((sum - 1.0).abs() < 1e-12);
    }
}

#[test]
fn delong_intervals_cover_the_true_auc_at_their_level() {
    let (scores, labels) = sample(400_000, 99);
    let truth = roc_auc(&scores, &labels).unwrap();
    let covered = (0..400).filter(|seed| {
        let (s, l) = sample(300, 1000 + seed);
        auc_interval(&s, &l).unwrap().contains(truth)
    });
    let share = covered.count() as f64 / 400.0;
    assert!((0.91..=0.985).contains(&share), "coverage {share}");
}

#[test]
fn bootstrap_intervals_of_average_precision_cover_the_truth() {
    let (scores, labels) = sample(400_000, 98);
    let truth = pr_auc(&scores, &labels).unwrap();
    let covered = (0..300).filter(|seed| {
        let (s, l) = sample(400, 5000 + seed);
        binary_report(&s, &l, 0.1, *seed).unwrap().pr_auc.contains(truth)
    });
    let share = covered.count() as f64 / 300.0;
    assert!((0.89..=0.99).contains(&share), "coverage {share}");
}

#[test]
fn weighted_replicates_equal_the_plain_bootstrap() {
    let (mut scores, labels) = sample(300, 4);
    for s in &mut scores {
        *s = (*s * 20.0).round() / 20.0;
    }
    let pick = |rows: &[usize], f: fn(&[f64], &[bool]) -> f64| {
        let s: Vec<f64> = rows.iter().map(|r| scores[*r]).collect();
        let l: Vec<bool> = rows.iter().map(|r| labels[*r]).collect();
        f(&s, &l)
    };
    let report = binary_report(&scores, &labels, 0.1, 77).unwrap();
    let ap = bootstrap(300, 200, 77, |rows| pick(rows, |s, l| pr_auc(s, l).unwrap_or(f64::NAN))).unwrap();
    let calibration = bootstrap(300, 200, 77, |rows| pick(rows, |s, l| ece(s, l, 10).unwrap_or(f64::NAN))).unwrap();
    for (fast, plain) in [(report.pr_auc, ap), (report.ece, calibration)] {
        assert!((fast.value - plain.value).abs() < 1e-12);
        assert!((fast.low - plain.low).abs() < 1e-12);
        assert!((fast.high - plain.high).abs() < 1e-12);
    }
}

#[test]
fn a_report_is_a_function_of_inputs_and_seed() {
    let (scores, labels) = sample(500, 3);
    assert_eq!(binary_report(&scores, &labels, 0.05, 1).unwrap(), binary_report(&scores, &labels, 0.05, 1).unwrap());
    let json = serde_json::to_string(&binary_report(&scores, &labels, 0.05, 1).unwrap()).unwrap();
    let back: tidemill_metrics::BinaryReport = serde_json::from_str(&json).unwrap();
    assert_eq!(back, binary_report(&scores, &labels, 0.05, 1).unwrap());
}

#[test]
fn a_model_does_not_differ_from_itself_and_noise_is_seen_as_worse() {
    let (scores, labels) = sample(2_000, 8);
    let same = paired_report(&scores, &scores, &labels, 0.1, 1).unwrap();
    for d in [&same.roc_auc, &same.pr_auc, &same.log_loss, &same.brier, &same.precision_at_budget] {
        assert_eq!((d.difference.value, d.p), (0.0, 1.0));
    }
    let mut rng = Pcg64::seed_from_u64(9);
    let noisy: Vec<f64> = scores.iter().map(|s| (s + 0.6 * rng.random::<f64>()).min(1.0)).collect();
    let worse = paired_report(&scores, &noisy, &labels, 0.1, 1).unwrap();
    assert!(worse.roc_auc.difference.high < 0.0 && worse.roc_auc.p < 1e-6);
    assert!(worse.pr_auc.difference.high < 0.0 && worse.pr_auc.p < 0.02);
    assert!(worse.log_loss.difference.low > 0.0 && worse.brier.difference.low > 0.0);
}

#[test]
fn perfect_separation_still_has_an_interval_with_width() {
    let scores: Vec<f64> = (0..40).map(|i| f64::from(i) / 40.0).collect();
    let labels: Vec<bool> = (0..40).map(|i| i >= 30).collect();
    let auc = auc_interval(&scores, &labels).unwrap();
    assert_eq!((auc.value, auc.high), (1.0, 1.0));
    assert!(auc.low < 0.8);
}

#[test]
fn bad_inputs_are_named() {
    assert_eq!(roc_auc(&[0.1], &[]), Err(Error::Length { left: 1, right: 0 }));
    assert_eq!(roc_auc(&[0.1, f64::NAN], &[true, false]), Err(Error::NotFinite { what: "score", row: 1 }));
    assert_eq!(roc_auc(&[0.1, 0.2], &[true, true]), Err(Error::OneClass { rows: 2 }));
    assert!(matches!(binary_report(&[1.5, 0.2], &[true, false], 0.1, 1), Err(Error::Range { .. })));
    assert!(matches!(binary_report(&[0.5, 0.2], &[true, false], 0.0, 1), Err(Error::Range { .. })));
    assert!(matches!(regression_report(&[1.0, 2.0], &[3.0, 3.0], 1), Err(Error::OneClass { .. })));
}

#[test]
fn thirty_thousand_rows_are_reported_within_a_second_and_a_half() {
    let (scores, labels) = sample(30_000, 6);
    let start = std::time::Instant::now();
    let report = binary_report(&scores, &labels, 0.01, 1).unwrap();
    let took = start.elapsed();
    println!("binary_report: {took:?}");
    assert!(took.as_secs_f64() < 1.5, "{took:?}");
    assert!(report.roc_auc.low < report.roc_auc.value && report.roc_auc.value < report.roc_auc.high);
}
