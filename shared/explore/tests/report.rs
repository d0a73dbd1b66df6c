//! The report: small, whole, and without anything from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use std::sync::Arc;
use tidemill_explore::report::{Context, QualityFacts, RuleFacts, ScoreAt, page};
use tidemill_explore::{Exploration, Options, ScanOptions, Stream, explore};

fn batch(first: i64, rows: usize, width: usize) -> RecordBatch {
    let value = |row: usize, column: usize| ((first as usize + row) * (column * 7 + 3) % 1_009) as f64;
    let mut columns: Vec<(String, ArrayRef)> = vec![(
        "at".to_owned(),
        Arc::new(TimestampMillisecondArray::from_iter_values((0..rows as i64).map(|row| (first + row) * 60_000))),
    )];
    for column in 0..width {
        let numbers = (0..rows).map(|row| (value(row, column) > 50.0).then(|| value(row, column)));
        columns.push((format!("number <{column}>"), Arc::new(Float64Array::from_iter(numbers))));
        let texts = (0..rows).map(|row| format!("<b>value {}</b>", value(row, column) as usize % (column + 2)));
        columns.push((format!("text {column}"), Arc::new(StringArray::from_iter_values(texts))));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn explored(batches: i64, rows: usize, width: usize) -> Exploration {
    let schema = batch(0, 1, width).schema();
    let mut stream = Stream::new(&schema, &ScanOptions { sample_rows: 5_000, ..ScanOptions::default() });
    for at in 0..batches {
        stream.push(&batch(at * rows as i64, rows, width)).unwrap();
    }
    explore("rows <of> anything", &stream.finish().unwrap(), &Options::default()).unwrap()
}

fn quality() -> QualityFacts {
    let rule = RuleFacts {
        id: "range".to_owned(),
        severity: "warn".to_owned(),
        checked: 10,
        failed: 2,
        samples: vec!["{\"name\":\"A••\"}".to_owned()],
    };
    QualityFacts { rules: vec![rule], scores: (0..500).map(|i| ScoreAt { at: i * 1_000, score: 99.0 }).collect() }
}

#[test]
fn the_report_is_self_contained_and_bounded() {
    let context = Context { origin: "a file".to_owned(), quality: Some(quality()), ..Context::default() };
    let small = page(&explored(1, 1_000, 5), &context);
    let long = page(&explored(40, 5_000, 5), &context);
    let wide = page(&explored(2, 500, 120), &context);
    for text in [&small, &long, &wide] {
        for outside in ["http://", "https://", "<script", "url(", "@import", "src="] {
            let found = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(outside), "{outside}");
        }
        assert!(text.len() <= 500_000, "{} bytes", text.len());
        assert!(!text.contains("<b>value") && !text.contains("number <0>"), "text is escaped");
        assert!(text.contains("prefers") || text.contains("light-dark("));
        assert!(text.contains("Content-Security-Policy") && text.contains("@media print"));
        assert!(!text.contains("\"NaN") && !text.contains(">NaN"));
    }
    assert!(long.len() < small.len() * 2, "{} rows more must not weigh: {} and {}", 199_000, small.len(), long.len());
    for part in
        ["What to look at first", "Columns", "Missing cells", "Associations", "Rules", "Time columns", "Over time"]
    {
        assert!(small.contains(part), "{part}");
    }
}

#[test]
fn warnings_come_before_columns() {
    let text = page(&explored(1, 2_000, 2), &Context::default());
    assert!(text.find("What to look at first") < text.find("id=\"columns\""));
}

#[test]
fn an_empty_column_and_a_single_row_are_no_trouble() {
    let nothing: ArrayRef = Arc::new(Float64Array::from(vec![None, None::<f64>]));
    let nans: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(""), None]));
    let batch = RecordBatch::try_from_iter_with_nullable([("a", nothing, true), ("b", nans, true), ("c", texts, true)])
        .unwrap();
    let mut stream = Stream::new(&batch.schema(), &ScanOptions::default());
    stream.push(&batch.slice(0, 1)).unwrap();
    stream.push(&batch.slice(1, 1)).unwrap();
    let found = explore("two", &stream.finish().unwrap(), &Options::default()).unwrap();
    assert_eq!(found.columns[1].infs, 1);
    let text = page(&found, &Context::default());
    assert!(!text.contains("\"NaN") && !text.contains(">NaN"));
}
