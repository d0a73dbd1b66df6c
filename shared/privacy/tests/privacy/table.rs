//! Tables of tests and how verdicts on them are counted.

use arrow::array::{ArrayRef, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::Path;
use tidemill_privacy::{ColumnView, Verdict, classify};

/// The first batches of a Parquet file, by its path from the root of the repository.
pub(crate) fn batches(path: &str, rows: usize, most: usize) -> Vec<RecordBatch> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().with_batch_size(rows).build().unwrap();
    reader.take(most).map(Result::unwrap).collect()
}

/// Verdicts on the columns of a batch.
pub(crate) fn verdicts(batch: &RecordBatch, seed: u64) -> Vec<Verdict> {
    let columns: Vec<(String, &ArrayRef)> =
        batch.schema().fields().iter().map(|f| f.name().clone()).zip(batch.columns()).collect();
    let views: Vec<ColumnView<'_>> =
        columns.iter().map(|(name, values)| ColumnView { name, values, declared: None }).collect();
    classify(&views, seed).unwrap()
}

/// Hits and misses over columns.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) found: usize,
    pub(crate) missed: Vec<String>,
    pub(crate) false_alarms: Vec<String>,
    pub(crate) right_class: usize,
}

#[expect(clippy::cast_precision_loss, reason = "counts of columns")]
impl Tally {
    pub(crate) fn precision(&self) -> f64 {
        self.found as f64 / (self.found + self.false_alarms.len()).max(1) as f64
    }

    pub(crate) fn recall(&self) -> f64 {
        self.found as f64 / (self.found + self.missed.len()).max(1) as f64
    }

    /// One column: what it is, and what is believed of it.
    pub(crate) fn count(&mut self, table: &str, truth: &str, verdict: &Verdict) {
        let class = verdict.class.map_or("-", |class| class.as_str());
        let told =
            format!("{table}.{} is {truth}: {class} {:.3} {}", verdict.column, verdict.confidence, verdict.reason);
        match (truth, verdict.is_suspicious()) {
            // A town beside persons may be called either.
            (maybe, _) if maybe.ends_with('?') => {}
            ("none", true) => self.false_alarms.push(told),
            ("none", false) => {}
            (_, false) => self.missed.push(told),
            (truth, true) => {
                self.found += 1;
                if class == truth {
                    self.right_class += 1;
                } else {
                    println!("  other class: {told}");
                }
            }
        }
    }

    pub(crate) fn print(&self, title: &str) {
        println!(
            "{title}: precision {:.3}, recall {:.3}, right class {} of {}",
            self.precision(),
            self.recall(),
            self.right_class,
            self.found
        );
        for line in self.missed.iter().chain(&self.false_alarms) {
            println!("  {line}");
        }
    }
}
