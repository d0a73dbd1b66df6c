//! Record batches into pieces, whatever file they came from: declared columns, in plain types, within the limits of a
//! message and of what a file of its size may hold.

use crate::error::{Fault, FaultKind};
use crate::message::{PIECE_BYTES, PIECE_ROWS, Piece, ROW_BYTES};
use crate::text::{Rules, Sink};
use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidemill_conform::encode_stream;
use tidemill_contracts::headers;

/// Most bytes of a piece before it is compressed, those of one row: the intake takes what it unfolds to.
const UNPACKED_BYTES: u64 = ROW_BYTES as u64;
/// A file may unfold to so many bytes whatever its size, and beyond them to so many times its size.
const FREE_BYTES: u64 = 256 << 20;
const RATIO: u64 = 1_000;

/// Gathers record batches into pieces.
#[derive(Debug)]
pub(super) struct Batches {
    rows: u64,
    skip: u64,
    checked: bool,
    /// Bytes of the file, and those that its rows have had so far.
    size: u64,
    unfolded: u64,
}

impl Batches {
    /// Of a file of `size` bytes; rows before `skip` are counted and left out.
    pub(super) fn new(skip: u64, size: u64) -> Self {
        Self { rows: 0, skip, checked: false, size, unfolded: 0 }
    }

    /// Rows seen.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Hands over the rows of a batch in pieces; false when the sink wants no more.
    pub(super) fn push(&mut self, batch: &RecordBatch, rules: &Rules, sink: Sink<'_>) -> Result<bool, Fault> {
        let schema = batch.schema();
        if !std::mem::replace(&mut self.checked, true) {
            let names: BTreeSet<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            rules.fits(&names)?;
        }
        let known = schema.fields().iter().enumerate().filter(|(_, field)| rules.columns.contains_key(field.name()));
        let known: Vec<usize> = known.map(|(at, _)| at).collect();
        let batch = batch.project(&known).map_err(|e| unfit(&e))?;
        let before = usize::try_from(self.skip.saturating_sub(self.rows)).unwrap_or(usize::MAX).min(batch.num_rows());
        let first = self.rows + before as u64;
        self.rows += batch.num_rows() as u64;
        let mut at = before;
        while at < batch.num_rows() {
            let part = batch.slice(at, PIECE_ROWS.min(batch.num_rows() - at));
            if !self.piece(&part, first + (at - before) as u64, sink)? {
                return Ok(false);
            }
            at += part.num_rows();
        }
        Ok(true)
    }

    /// One piece, or several when it would be too large.
    fn piece(&mut self, part: &RecordBatch, first: u64, sink: Sink<'_>) -> Result<bool, Fault> {
        let (rows, bytes) = (part.num_rows(), weight(part));
        if bytes > UNPACKED_BYTES {
            if rows > 1 {
                return self.halves(part, first, sink);
            }
            let reason = format!("row {} has {bytes} bytes; the limit is {ROW_BYTES}", first + 1);
            return Err(Fault::new(FaultKind::Row, reason, "move large values to files and name them in the row"));
        }
        let plain = plain(part).map_err(|e| unfit(&e))?;
        let body =
            encode_stream(&[plain]).map_err(|e| Fault::new(FaultKind::Format, e.to_string(), "use plain columns"))?;
        if rows > 1 && body.len() > PIECE_BYTES {
            return self.halves(part, first, sink);
        }
        self.unfolded += bytes;
        if self.unfolded > FREE_BYTES && self.unfolded / RATIO > self.size {
            let reason = format!("{} bytes unfold to more than {RATIO} times as many", self.size);
            let mend = "write it as CSV or JSON lines, which hold every value as often as it occurs";
            return Err(Fault::new(FaultKind::TooLarge, reason, mend));
        }
        Ok(sink(Piece { content_type: headers::ARROW_STREAM, body: Bytes::from(body), first, rows: rows as u64 }))
    }

    fn halves(&mut self, part: &RecordBatch, first: u64, sink: Sink<'_>) -> Result<bool, Fault> {
        let half = part.num_rows() / 2;
        let rest = part.slice(half, part.num_rows() - half);
        Ok(self.piece(&part.slice(0, half), first, sink)? && self.piece(&rest, first + half as u64, sink)?)
    }
}

fn unfit(error: &ArrowError) -> Fault {
    Fault::new(FaultKind::Damaged, error.to_string(), "see whether the file was cut off, and write it again")
}

/// Bytes of the values of a part of a batch, text as often as it occurs.
fn weight(part: &RecordBatch) -> u64 {
    let column = |column: &ArrayRef| match column.as_string_view_opt() {
        Some(views) => views.lengths().map(u64::from).sum(),
        None => column.to_data().get_slice_memory_size().map_or(u64::MAX, |bytes| bytes as u64),
    };
    part.columns().iter().map(column).fold(0, u64::saturating_add)
}

/// The part with timestamps as instants, one without a zone being UTC as a text without offset is, and with text that
/// is its own: views would travel with all the text of the batch they were cut from.
fn plain(part: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (field, array) in part.schema().fields().iter().zip(part.columns()) {
        let kind = match field.data_type() {
            DataType::Timestamp(unit, None) => DataType::Timestamp(*unit, Some("UTC".into())),
            DataType::Utf8View => DataType::Utf8,
            other => other.clone(),
        };
        arrays.push(cast(array, &kind)?);
        fields.push(field.as_ref().clone().with_data_type(kind));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::TimestampMicrosecondArray;
    use arrow::datatypes::TimestampMicrosecondType;

    #[test]
    fn timestamps_without_a_zone_are_utc_and_others_stay() {
        let micros = || TimestampMicrosecondArray::from(vec![Some(1_000_001), None]);
        let columns: Vec<(&str, ArrayRef)> =
            vec![("bare", Arc::new(micros())), ("zoned", Arc::new(micros().with_timezone("+02:00")))];
        let batch = plain(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        let zones = batch.schema().fields().iter().map(|f| f.data_type().to_string()).collect::<Vec<_>>();
        assert!(zones[0].contains("UTC") && zones[1].contains("+02:00"), "{zones:?}");
        for column in batch.columns() {
            let values: Vec<_> = column.as_primitive::<TimestampMicrosecondType>().iter().collect();
            assert_eq!(values, [Some(1_000_001), None]);
        }
    }
}
