//! Promises of the sketches: merging equals one pass, stated errors hold, profiles survive storage.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod random;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use random::Random;
use std::sync::Arc;
use tidemill_stats::{ColumnProfile, Distinct, Error, Histogram, Kind, Moments, Quantiles, TableProfile, TopK};

fn batch(rows: usize, columns: usize, seed: u64) -> RecordBatch {
    let mut random = Random(seed);
    let mut fields: Vec<(String, ArrayRef)> = Vec::new();
    for c in 0..columns {
        let array: ArrayRef = match c % 5 {
            0 => Arc::new(Float64Array::from_iter(
                (0..rows).map(|i| (i % 10 > 0).then(|| if i % 97 == 1 { f64::NAN } else { random.normal() })),
            )),
            1 => Arc::new(Int64Array::from_iter_values((0..rows).map(|_| (random.bits() % 5000) as i64))),
            2 => Arc::new(StringArray::from_iter_values(
                (0..rows).map(|_| format!("v{}", (1.0 / (random.uniform() + 1e-4)) as u64)),
            )),
            3 => Arc::new(BooleanArray::from_iter((0..rows).map(|_| Some(random.bits().is_multiple_of(3))))),
            _ => Arc::new(TimestampMicrosecondArray::from_iter_values((0..rows).map(|i| i as i64 * 1_000_000))),
        };
        fields.push((format!("c{c}"), array));
    }
    RecordBatch::try_from_iter(fields).unwrap()
}

#[test]
fn merged_profiles_equal_one_pass() {
    for seed in 0..8 {
        let whole = batch(3_000, 5, seed);
        let one = TableProfile::of(&whole).unwrap();
        let mut parts = TableProfile::default();
        for (start, length) in [(0, 1), (1, 999), (1_000, 0), (1_000, 2_000)] {
            parts.merge(&TableProfile::of(&whole.slice(start, length)).unwrap()).unwrap();
        }
        assert_eq!(parts.rows, one.rows);
        for (a, b) in parts.columns.iter().zip(&one.columns) {
            assert_eq!((a.count, a.nulls, a.nans, a.infs), (b.count, b.nulls, b.nans, b.infs));
            assert_eq!(a.distinct, b.distinct);
            assert_eq!((a.moments.min, a.moments.max), (b.moments.min, b.moments.max));
            let near = |x: f64, y: f64| (x - y).abs() <= 1e-9 * y.abs().max(1.0);
            assert!(near(a.moments.mean, b.moments.mean));
            for (x, y) in [(a.moments.m2, b.moments.m2), (a.moments.m4, b.moments.m4)] {
                assert!(near(x, y), "{x} {y}");
            }
            let skews = (a.moments.skewness().unwrap_or(0.0), b.moments.skewness().unwrap_or(0.0));
            assert!(near(skews.0, skews.1), "{skews:?}");
        }
    }
}

#[test]
fn moments_of_a_far_away_cluster_do_not_cancel() {
    let values: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 10)).collect();
    let mut one_by_one = Moments::default();
    values.iter().for_each(|v| one_by_one.update(*v));
    assert!((one_by_one.variance().unwrap() - 8.258_258_258_258_26).abs() < 1e-5);
    assert!((Moments::of(&values).variance().unwrap() - 8.258_258_258_258_26).abs() < 1e-9);
}

#[test]
fn quantile_ranks_stay_within_the_stated_error() {
    let (mut queries, mut misses) = (0, 0);
    for seed in 0..40 {
        let mut random = Random(seed);
        let values: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        // Half in one pass, half merged from twenty parts.
        let mut sketch = Quantiles::default();
        if seed % 2 == 0 {
            values.iter().for_each(|v| sketch.update(*v));
        } else {
            for part in values.chunks(1_000) {
                let mut one = Quantiles::default();
                part.iter().for_each(|v| one.update(*v));
                sketch.merge(&one);
            }
        }
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        for step in 1..40 {
            let q = f64::from(step) / 40.0;
            let answer = sketch.quantile(q).unwrap().unwrap();
            let rank = sorted.partition_point(|v| *v <= answer) as f64 / sorted.len() as f64;
            queries += 2;
            misses += usize::from((rank - q).abs() > Quantiles::rank_error());
            misses += usize::from((sketch.rank(answer).unwrap() - rank).abs() > Quantiles::rank_error());
        }
        assert_eq!(sketch.quantile(0.0).unwrap().unwrap(), sorted[0]);
        assert_eq!(sketch.quantile(1.0).unwrap().unwrap(), sorted[sorted.len() - 1]);
        assert_eq!(sketch.count(), 20_000);
        assert!(sketch.held() < 4 * 256, "{} values held", sketch.held());
    }
    assert!(misses as f64 <= 0.01 * queries as f64, "{misses} of {queries}");
}

#[test]
fn small_streams_have_exact_quantiles() {
    let mut sketch = Quantiles::default();
    (1..=100).rev().for_each(|v| sketch.update(f64::from(v)));
    assert_eq!(sketch.quantiles(&[0.01, 0.5, 0.99]).unwrap().unwrap(), vec![1.0, 50.0, 99.0]);
    assert_eq!(sketch.rank(25.0), Some(0.25));
    assert!(matches!(sketch.quantile(1.5), Err(Error::Value { .. })));
    assert_eq!(Quantiles::default().quantile(0.5).unwrap(), None);
}

#[test]
fn distinct_counts_stay_within_four_standard_errors() {
    for (seed, truth) in [10_u64, 100, 1_000, 5_000, 12_000, 20_000, 100_000].into_iter().enumerate() {
        let mut sketch = Distinct::default();
        for value in 0..truth {
            let key = (value + ((seed as u64) << 40)).to_le_bytes();
            sketch.update(&key);
            sketch.update(&key);
        }
        let error = (sketch.estimate() / truth as f64 - 1.0).abs();
        assert!(error < 4.0 * Distinct::standard_error(), "{truth}: {error}");
    }
    assert_eq!(Distinct::default().estimate(), 0.0);
}

#[test]
fn top_values_bound_the_true_counts() {
    let mut random = Random(5);
    let values: Vec<String> = (0..50_000).map(|_| format!("v{}", (1.0 / (random.uniform() + 1e-5)) as u64)).collect();
    let mut exact = std::collections::HashMap::new();
    values.iter().for_each(|v| *exact.entry(v.as_str()).or_insert(0_u64) += 1);
    let mut sketch = TopK::default();
    values.chunks(1_000).for_each(|part| sketch.update(part.iter().map(String::as_str)));
    for entry in sketch.entries() {
        let truth = exact.remove(entry.value.as_str()).unwrap_or(0);
        assert!(truth <= entry.count && entry.count - entry.error <= truth, "{entry:?} {truth}");
    }
    assert!(exact.values().all(|left| *left <= sketch.floor()));
    assert!(!sketch.is_exact() && sketch.entries()[0].value == "v1");
}

#[test]
fn histograms_place_edges_and_missing_values() {
    let mut histogram = Histogram::new(vec![0.0, 1.0, 2.0]).unwrap();
    for value in [Some(-0.1), Some(0.0), Some(1.0), Some(2.0), Some(2.1), Some(f64::NAN), None, Some(f64::INFINITY)] {
        histogram.update(value);
    }
    assert_eq!((histogram.counts(), histogram.underflow, histogram.overflow), (&[1, 2][..], 1, 2));
    assert_eq!((histogram.nulls, histogram.nans, histogram.total()), (1, 1, 8));
    assert!(Histogram::new(vec![1.0, 1.0]).is_err());
    assert!(histogram.merge(&Histogram::new(vec![0.0, 1.0]).unwrap()).is_err());
}

#[test]
fn profiles_survive_storage_and_refuse_strangers() {
    let profile = TableProfile::of(&batch(2_000, 5, 3)).unwrap();
    assert_eq!(TableProfile::from_json(&profile.to_json().unwrap()).unwrap(), profile);
    assert!(TableProfile::from_json("{").is_err());
    let mut other = profile.clone();
    other.columns[0].name = "else".into();
    assert!(matches!(other.merge(&profile), Err(Error::Mismatch { .. })));
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    assert!(ColumnProfile::new("c", Kind::Text).update(&numbers).is_err());
    let time = profile.column("c4").unwrap();
    assert_eq!((time.kind, time.moments.max), (Kind::Instant, Some(1_999_000.0)));
}

#[test]
fn large_identifiers_stay_apart() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((0..3_000).map(|i| (1_i64 << 60) + i)));
    let mut profile = ColumnProfile::new("id", Kind::Numeric);
    profile.update(&ids).unwrap();
    assert!((profile.distinct.estimate() / 3_000.0 - 1.0).abs() < 0.07);
}

#[test]
fn a_million_rows_of_twelve_columns_take_seconds() {
    let big = batch(1_000_000, 12, 1);
    let start = std::time::Instant::now();
    let profile = TableProfile::of(&big).unwrap();
    let took = start.elapsed();
    let bytes = profile.to_json().unwrap().len();
    println!("profile of 1,000,000 × 12: {took:?}, {bytes} bytes");
    assert!(bytes < 300_000, "a profile is small however many rows it covers: {bytes} bytes");
    assert!(took.as_secs_f64() < 10.0, "{took:?}");
}
