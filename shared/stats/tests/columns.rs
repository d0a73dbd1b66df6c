//! Promises of column profiles: what is drawn keeps its error, dictionaries and views tell what plain texts tell.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod random;

use arrow::array::{
    Array as _, ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use random::Random;
use std::sync::Arc;
use tidemill_stats::{ColumnProfile, Extreme, Extremes, Kind, Quantiles, Reading};

#[test]
fn ranks_of_drawn_values_stay_within_the_stated_error() {
    const ROWS: usize = 1 << 20;
    let (mut queries, mut misses) = (0, 0);
    for seed in 0..8 {
        let mut random = Random(seed);
        let mut values: Vec<f64> = (0..ROWS).map(|_| random.normal() + if seed % 2 == 0 { 0.0 } else { 5.0 }).collect();
        if seed % 4 == 3 {
            values.sort_by(f64::total_cmp);
        }
        let level = Quantiles::level_for(ROWS as u64);
        assert_eq!(level, 3);
        let mut sketch = Quantiles::default();
        for part in values.chunks(100_003) {
            let mut one = Quantiles::default();
            one.stir(sketch.count());
            part.chunks(9_999).for_each(|piece| one.extend(piece, level));
            sketch.merge(&one);
        }
        assert_eq!(sketch.count(), ROWS as u64);
        values.sort_by(f64::total_cmp);
        for step in 1..40 {
            let q = f64::from(step) / 40.0;
            let answer = sketch.quantile(q).unwrap().unwrap();
            let rank = values.partition_point(|v| *v <= answer) as f64 / ROWS as f64;
            queries += 1;
            misses += usize::from((rank - q).abs() > Quantiles::rank_error());
        }
        assert_eq!(sketch.quantile(0.0).unwrap(), values.first().copied());
        assert_eq!(sketch.quantile(1.0).unwrap(), values.last().copied());
        assert!(sketch.held() < 6 * 256, "{} values held", sketch.held());
    }
    assert!(misses as f64 <= 0.01 * queries as f64, "{misses} of {queries} beyond {}", Quantiles::rank_error());
    assert!(Quantiles::rank_error() < 0.0112, "the stated error");
}

#[test]
fn outermost_values_have_exact_counts_however_they_are_merged() {
    let mut random = Random(3);
    let values: Vec<f64> = (0..50_000).map(|_| (random.normal() * 40.0).round()).collect();
    let mut whole = Extremes::default();
    whole.extend(&values);
    let mut parts = Extremes::default();
    for part in values.chunks(777) {
        let mut one = Extremes::default();
        one.extend(part);
        parts.merge(&one);
    }
    assert_eq!(parts, whole);
    let mut distinct = values.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let count = |value: f64| values.iter().filter(|v| **v == value).count() as u64;
    let low: Vec<Extreme> = distinct.iter().take(5).map(|v| Extreme { value: *v, count: count(*v) }).collect();
    let high: Vec<Extreme> = distinct.iter().rev().take(5).map(|v| Extreme { value: *v, count: count(*v) }).collect();
    assert_eq!((whole.low(), whole.high()), (low.as_slice(), high.as_slice()));
}

fn profile(array: &ArrayRef) -> (ColumnProfile, Vec<u64>) {
    let mut found = ColumnProfile::new("c", Kind::of(array.data_type()));
    let mut words = vec![0; array.len()];
    found.read(array, Reading { words: Some(&mut words), ..Reading::default() }).unwrap();
    (found, words)
}

#[test]
fn dictionaries_views_and_large_texts_tell_what_plain_texts_tell() {
    let mut random = Random(9);
    let text = |random: &mut Random| match random.bits() % 9 {
        0 => None,
        1 => Some(" ".to_owned()),
        other => Some("é".repeat(other as usize) + &(random.bits() % 40).to_string()),
    };
    let texts: Vec<Option<String>> = (0..8_000).map(|_| text(&mut random)).collect();
    let plain: ArrayRef = Arc::new(StringArray::from(texts.clone()));
    let (expected, words) = profile(&plain);
    assert_eq!(expected.nulls as usize, texts.iter().filter(|t| t.is_none()).count());
    assert_eq!(expected.blanks as usize, texts.iter().flatten().filter(|t| t.as_str() == " ").count());
    assert_eq!((expected.lengths.min, expected.lengths.count), (Some(1.0), expected.present()));
    let keyed = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for other in [DataType::Utf8View, DataType::LargeUtf8, keyed] {
        let (found, other_words) = profile(&cast(&plain, &other).unwrap());
        assert_eq!(other_words, words, "{other}");
        let lengths = (found.lengths.mean - expected.lengths.mean).abs() < 1e-9;
        assert!(lengths && found.lengths.max == expected.lengths.max, "{other}");
        assert_eq!(ColumnProfile { lengths: expected.lengths.clone(), ..found }, expected, "{other}");
    }
    let (_, sliced) = profile(&cast(&plain, &DataType::Utf8View).unwrap().slice(100, 50));
    assert_eq!(sliced, words[100..150]);
}

#[test]
fn numbers_of_all_types_are_the_same_values() {
    let ints: ArrayRef = Arc::new(Int64Array::from_iter((0..5_000).map(|i| (i % 11 > 0).then_some(i % 300 - 7))));
    let (expected, words) = profile(&ints);
    assert_eq!((expected.zeros, expected.nulls), (ints_equal(&ints, 0), ints.null_count() as u64));
    for other in [DataType::Int32, DataType::Int16, DataType::Float32, DataType::Float64] {
        let (found, other_words) = profile(&cast(&ints, &other).unwrap());
        assert_eq!((&found, &other_words), (&expected, &words), "{other}");
    }
    assert!(expected.distinct_values().0.abs_diff(300) < 30);
    let few: ArrayRef = Arc::new(Int32Array::from(vec![3, 3, 1, 3]));
    let (found, _) = profile(&few);
    assert_eq!((found.topk.entries()[0].value.as_str(), found.topk.entries()[0].count), ("3", 3));
    assert_eq!(found.distinct_values(), (2, true));
}

fn ints_equal(array: &ArrayRef, value: i64) -> u64 {
    let array = array.as_any().downcast_ref::<Int64Array>().unwrap();
    array.iter().flatten().filter(|v| *v == value).count() as u64
}

#[test]
fn nan_and_infinity_are_counted_apart_from_nulls() {
    let odd: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(f64::NAN),
        None,
        Some(f64::INFINITY),
        Some(-0.0),
        Some(0.0),
        Some(-2.0),
    ]));
    let (found, words) = profile(&odd);
    assert_eq!((found.nans, found.nulls, found.infs, found.zeros, found.negatives), (1, 1, 1, 2, 1));
    assert_eq!((found.present(), words[3]), (4, words[4]));
    assert!(words[0] != words[1] && words[0] != words[2]);
    let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![5, 9]));
    let (found, _) = profile(&at);
    assert_eq!((found.moments.min, found.moments.max), (Some(5.0), Some(9.0)));
}

#[test]
fn profiles_of_older_versions_are_still_read() {
    let (found, _) = profile(&(Arc::new(Int32Array::from(vec![1, 2, 2])) as ArrayRef));
    let mut json = serde_json::to_value(&found).unwrap();
    for new in ["zeros", "negatives", "blanks", "extremes", "lengths"] {
        assert!(json.as_object_mut().unwrap().remove(new).is_some());
    }
    let mut old: ColumnProfile = serde_json::from_value(json).unwrap();
    old.merge(&found).unwrap();
    assert_eq!((old.count, old.zeros, old.topk.entries()[0].count), (6, 0, 4));
}
