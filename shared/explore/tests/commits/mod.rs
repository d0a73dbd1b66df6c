//! What validation keeps of commits, made up.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use std::sync::Arc;
use tidemill_quality::{QualityReport, QualityScore, Tally};
use tidemill_stats::TableProfile;
use tidemill_types::Millis;

/// Commit `version` has ten rows with values from `10 · version` on, known in day `version`.
pub(crate) fn report(version: i64) -> QualityReport {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(10 * version..10 * version + 10));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..10).map(|i| format!("n{}", i % 2))));
    let batch = RecordBatch::try_from_iter([("value", values), ("name", names)]).unwrap();
    QualityReport {
        raw_version: version,
        checked: 10,
        quarantined: 0,
        held: None,
        blocked: None,
        rules: vec![],
        tally: Tally::default(),
        freshness: None,
        score: QualityScore { total: Some((version % 100) as f64), ..QualityScore::default() },
        newest_known_at: Some(Millis(version * 86_400_000)),
        profile: TableProfile::of(&batch).unwrap(),
    }
}
