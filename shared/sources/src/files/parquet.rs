//! Parquet files, batch by batch.

use crate::error::{Fault, FaultKind};
use crate::files::batches::Batches;
use crate::text::{Rules, Sink};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use ::parquet::errors::ParquetError;
use arrow::datatypes::DataType;
use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;
use tidemill_dataset::{Implausible, plausible, texts_as};

/// Rows decoded at once; text that is not shared is in memory for all of them.
const BATCH_ROWS: usize = 1_024;

pub(super) fn read(file: File, size: u64, rules: &Rules, skip: u64, sink: Sink<'_>) -> Result<u64, Fault> {
    let found = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|e| damaged(&e))?;
    plausible(found.metadata(), size).map_err(|e| implausible(&e))?;
    let schema = Arc::clone(found.schema());
    let names: BTreeSet<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    rules.fits(&names)?;
    let wanted: Vec<usize> = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| rules.columns.contains_key(field.name()))
        .map(|(at, _)| at)
        .collect();
    let options = ArrowReaderOptions::new().with_schema(texts_as(&schema, &DataType::Utf8View));
    let viewed = ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options).map_err(|e| damaged(&e))?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, viewed);
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&e))?;
    let mut batches = Batches::new(skip, size);
    for batch in reader {
        let batch = batch.map_err(|e| damaged(&e))?;
        if !batches.push(&batch, rules, sink)? {
            break;
        }
    }
    Ok(batches.rows())
}

fn implausible(error: &Implausible) -> Fault {
    let (kind, mend) = if error.is_bomb {
        (FaultKind::TooLarge, "write it again, in smaller files")
    } else {
        (FaultKind::Damaged, "see whether the file was cut off, and write it again")
    };
    Fault::new(kind, error.to_string(), mend)
}

fn damaged(error: &(dyn std::error::Error + 'static)) -> Fault {
    let text = error.to_string();
    let unsupported = error.downcast_ref::<ParquetError>().is_some_and(|e| matches!(e, ParquetError::NYI(_)));
    if unsupported || text.contains("Disabled feature at compile time") {
        let mend = "write it with compression none, snappy or zstd";
        return Fault::new(FaultKind::Format, format!("the file uses what is not read: {text}"), mend);
    }
    let reason = format!("no whole Parquet file: {text}");
    Fault::new(FaultKind::Damaged, reason, "see whether the file was cut off, and write it again")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::files::Scratch;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use serde_json::json;
    use std::sync::Arc;
    use tidemill_conform::{Limits, decode_stream};
    use tidemill_spec::Source;

    fn rules(extra: &str) -> Rules {
        let columns = json!({"n": {"type": "int64"}, "at": {"type": "string"}});
        let source: Source =
            serde_json::from_value(json!({"key": ["n"], "event_time": "at", "columns": columns})).unwrap();
        Rules::new(&source, &serde_json::from_value(json!({"extra_columns": extra})).unwrap())
    }

    fn parquet(rows: i64) -> Vec<u8> {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("other", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("at", Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("text {n}"))))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn batches_hold_declared_columns_from_any_row_on() {
        let mut numbers = Vec::new();
        let scratch = Scratch::of(&parquet(20_000), None).unwrap();
        let rows = read(scratch.file, scratch.size, &rules("ignore"), 19_000, &mut |piece| {
            let batch = &decode_stream(&piece.body, &Limits::default()).unwrap()[0];
            assert_eq!(batch.num_columns(), 2);
            numbers.push((piece.first, piece.rows));
            true
        });
        assert_eq!(rows.unwrap(), 20_000);
        assert_eq!(numbers.first().map(|(first, _)| *first), Some(19_000));
        assert_eq!(numbers.iter().map(|(_, rows)| rows).sum::<u64>(), 1_000);
    }

    #[test]
    fn cut_and_damaged_files_are_refused() {
        let whole = parquet(5_000);
        let refused = |bytes: &[u8]| {
            let scratch = Scratch::of(bytes, None).unwrap();
            read(scratch.file, scratch.size, &rules("ignore"), 0, &mut |_| true).unwrap_err().kind
        };
        assert_eq!(refused(&whole[..whole.len() / 2]), FaultKind::Damaged);
        assert_eq!(refused(b"PAR1"), FaultKind::Damaged);
        assert_eq!(refused(b""), FaultKind::Damaged);
        let scratch = Scratch::of(&whole, None).unwrap();
        let strict = read(scratch.file, scratch.size, &rules("refuse"), 0, &mut |_| true).unwrap_err();
        assert!(strict.kind == FaultKind::Schema && strict.reason.ends_with("other"), "{strict}");
    }

    #[test]
    fn a_small_file_does_not_unfold_into_a_flood() {
        // One text, which every row of the file points at.
        let rows = 20_000;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("at", Arc::new(StringArray::from_iter_values((0..rows).map(|_| "x".repeat(20_000))))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let scratch = Scratch::of(&writer.into_inner().unwrap(), None).unwrap();
        assert!(scratch.size < 300_000, "{}", scratch.size);
        let mut before = 0;
        let refused = read(scratch.file, scratch.size, &rules("refuse"), 0, &mut |piece| {
            before = piece.first;
            true
        });
        let refused = refused.unwrap_err();
        assert!(refused.kind == FaultKind::TooLarge && refused.mend.contains("CSV"), "{refused}");
        assert!(before < 16_000, "refused only at row {before}");
    }
}
