//! Arrow IPC files and streams, message by message, through the checks that hold for messages from the bus.
//!
//! A file is its magic word, a stream, and a footer that repeats what the stream says; so both are read as a stream.
//! Each record batch is put behind the schema and decoded alone: the decoder sees nothing that was not checked.

use crate::error::{Fault, FaultKind};
use crate::message::{PIECE_BYTES, PIECE_ROWS, Piece, ROW_BYTES};
use crate::text::{Rules, Sink};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek as _, SeekFrom};
use std::sync::Arc;
use tidemill_conform::{Limits, Reject, decode_stream, encode_stream};
use tidemill_contracts::headers;

const MAGIC: &[u8] = b"ARROW1\0\0";
/// Writers align the first message behind the magic word, by up to so many bytes.
const ALIGNMENT: u64 = 64;
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Most bytes of one record batch.
const BATCH_BYTES: u64 = 512 << 20;
/// Most bytes of the metadata of one message.
const METADATA_BYTES: usize = 16 << 20;
const MEND: &str = "write it without dictionaries, nested columns and compression: compression=\"uncompressed\"";

pub(super) fn read(mut file: File, size: u64, rules: &Rules, skip: u64, sink: Sink<'_>) -> Result<u64, Fault> {
    let start = start(&mut file);
    file.seek(SeekFrom::Start(start)).map_err(|e| cut(&e))?;
    let mut stream = BufReader::with_capacity(1 << 20, file);
    let Some(schema) = message(&mut stream, size)? else { return Err(damaged("there is no schema")) };
    let mut batches = Batches::new(skip);
    while let Some(next) = message(&mut stream, size)? {
        let alone = [schema.as_slice(), &next, &END].concat();
        let limits = Limits { body_bytes: usize::MAX, decoded_bytes: usize::MAX, rows: usize::MAX };
        for batch in decode_stream(&alone, &limits).map_err(|reject| refused(&reject))? {
            if !batches.push(&batch, rules, sink)? {
                return Ok(batches.rows());
            }
        }
    }
    Ok(batches.rows())
}

/// Where the stream begins: behind the magic word of a file, or at once.
fn start(file: &mut File) -> u64 {
    let mut word = [0; 8];
    if file.read_exact(&mut word).is_err() || word != MAGIC {
        return 0;
    }
    let mut at = 8;
    while at < ALIGNMENT && file.read_exact(&mut word).is_ok() && word == [0; 8] {
        at += 8;
    }
    at
}

/// The bytes of the next message; `None` at the end of the stream.
fn message(stream: &mut impl Read, size: u64) -> Result<Option<Vec<u8>>, Fault> {
    let mut prefix = [0; 8];
    match stream.read_exact(&mut prefix) {
        Ok(()) => {}
        // A stream may end without its mark; a file that ends so has lost its footer.
        Err(e) => return Err(cut(&e)),
    }
    if prefix == END {
        return Ok(None);
    }
    let [marker @ .., a, b, c, d] = prefix;
    let length = usize::try_from(i32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if marker != [0xff; 4] || length > METADATA_BYTES {
        return Err(damaged("no message where one is expected"));
    }
    let mut bytes = prefix.to_vec();
    bytes.resize(8 + length, 0);
    stream.read_exact(bytes.get_mut(8..).unwrap_or_default()).map_err(|e| cut(&e))?;
    let metadata = bytes.get(8..).unwrap_or_default();
    let message =
        arrow_ipc::root_as_message(metadata).map_err(|_| damaged("the metadata of a message do not verify"))?;
    let body = u64::try_from(message.bodyLength()).map_err(|_| damaged("a negative length"))?;
    if body > size {
        return Err(damaged("a message is longer than the file"));
    }
    if body > BATCH_BYTES {
        let reason = format!("a record batch of {body} bytes; at most {BATCH_BYTES} are read");
        return Err(Fault::new(FaultKind::TooLarge, reason, "write smaller record batches"));
    }
    let start = bytes.len();
    bytes.resize(start + usize::try_from(body).unwrap_or(usize::MAX), 0);
    stream.read_exact(bytes.get_mut(start..).unwrap_or_default()).map_err(|e| cut(&e))?;
    Ok(Some(bytes))
}

fn cut(error: &std::io::Error) -> Fault {
    if error.kind() == ErrorKind::UnexpectedEof {
        return damaged("the file ends in the middle");
    }
    Fault::new(FaultKind::Damaged, error.to_string(), "see the disk of this machine")
}

fn damaged(reason: &str) -> Fault {
    let mend = "see whether the file was cut off, and write it again";
    Fault::new(FaultKind::Damaged, format!("no whole Arrow file: {reason}"), mend)
}

fn refused(reject: &Reject) -> Fault {
    if reject.code == tidemill_conform::reject::ARROW_FEATURE_REFUSED {
        return Fault::new(FaultKind::Format, reject.reason.clone(), MEND);
    }
    damaged(&reject.reason)
}

/// Gathers record batches into pieces.
#[derive(Debug)]
pub(super) struct Batches {
    rows: u64,
    skip: u64,
    checked: bool,
}

impl Batches {
    /// Rows before `skip` are counted and left out.
    pub(super) fn new(skip: u64) -> Self {
        Self { rows: 0, skip, checked: false }
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
        let batch = batch.project(&known).map_err(|e| damaged(&e.to_string()))?;
        let batch = in_utc(&batch).map_err(|e| damaged(&e.to_string()))?;
        let before = usize::try_from(self.skip.saturating_sub(self.rows)).unwrap_or(usize::MAX).min(batch.num_rows());
        let first = self.rows + before as u64;
        self.rows += batch.num_rows() as u64;
        self.pieces(&batch.slice(before, batch.num_rows() - before), first, sink)
    }

    fn pieces(&self, batch: &RecordBatch, first: u64, sink: Sink<'_>) -> Result<bool, Fault> {
        let mut at = 0;
        while at < batch.num_rows() {
            let part = batch.slice(at, PIECE_ROWS.min(batch.num_rows() - at));
            if !piece(&part, first + at as u64, sink)? {
                return Ok(false);
            }
            at += part.num_rows();
        }
        Ok(true)
    }
}

/// The batch with its timestamps as instants: one without a zone is UTC, as a text without offset is.
fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let instant = match field.data_type() {
            DataType::Timestamp(unit, None) => DataType::Timestamp(*unit, Some("UTC".into())),
            other => other.clone(),
        };
        arrays.push(cast(array, &instant)?);
        fields.push(field.as_ref().clone().with_data_type(instant));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// One piece, or several when it would be too large.
fn piece(part: &RecordBatch, first: u64, sink: Sink<'_>) -> Result<bool, Fault> {
    let body = encode_stream(std::slice::from_ref(part))
        .map_err(|e| Fault::new(FaultKind::Format, e.to_string(), "use plain columns"))?;
    let rows = part.num_rows();
    if body.len() > PIECE_BYTES && rows > 1 {
        let half = rows / 2;
        return Ok(piece(&part.slice(0, half), first, sink)?
            && piece(&part.slice(half, rows - half), first + half as u64, sink)?);
    }
    if body.len() > ROW_BYTES {
        let reason = format!("a row of {} bytes; the limit is {ROW_BYTES}", body.len());
        return Err(Fault::new(FaultKind::Row, reason, "move large values to files and name them in the row"));
    }
    Ok(sink(Piece { content_type: headers::ARROW_STREAM, body: Bytes::from(body), first, rows: rows as u64 }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::files::Scratch;
    use arrow::array::{AsArray as _, DictionaryArray, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
    use arrow::ipc::writer::{FileWriter, StreamWriter};
    use serde_json::json;
    use tidemill_spec::Source;

    fn rules() -> Rules {
        let columns = json!({"n": {"type": "int64"}, "at": {"type": "string"}});
        let source: Source =
            serde_json::from_value(json!({"key": ["n"], "event_time": "at", "columns": columns})).unwrap();
        Rules::new(&source, &serde_json::from_value(json!({})).unwrap())
    }

    fn batch(numbers: std::ops::Range<i64>) -> RecordBatch {
        let texts = numbers.clone().map(|n| format!("text {n}"));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from_iter_values(numbers))),
            ("at", Arc::new(StringArray::from_iter_values(texts))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn all(bytes: &[u8], skip: u64) -> Result<(u64, u64), Fault> {
        let scratch = Scratch::of(bytes, None).unwrap();
        let mut taken = 0;
        let rows = read(scratch.file, scratch.size, &rules(), skip, &mut |piece| {
            taken += piece.rows;
            true
        })?;
        Ok((rows, taken))
    }

    fn file() -> Vec<u8> {
        let mut writer = FileWriter::try_new(Vec::new(), &batch(0..1).schema()).unwrap();
        writer.write(&batch(0..1_000)).unwrap();
        writer.write(&batch(1_000..2_500)).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn files_and_streams_are_read_alike() {
        let mut stream = StreamWriter::try_new(Vec::new(), &batch(0..1).schema()).unwrap();
        stream.write(&batch(0..2_500)).unwrap();
        let stream = stream.into_inner().unwrap();
        assert_eq!(all(&file(), 0).unwrap(), (2_500, 2_500));
        assert_eq!(all(&stream, 2_000).unwrap(), (2_500, 500));
    }

    #[test]
    fn timestamps_without_a_zone_are_utc_and_others_stay() {
        let micros = || TimestampMicrosecondArray::from(vec![Some(1_000_001), None]);
        let columns: Vec<(&str, ArrayRef)> =
            vec![("bare", Arc::new(micros())), ("zoned", Arc::new(micros().with_timezone("+02:00")))];
        let batch = in_utc(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        let zones = batch.schema().fields().iter().map(|f| f.data_type().to_string()).collect::<Vec<_>>();
        assert!(zones[0].contains("UTC") && zones[1].contains("+02:00"), "{zones:?}");
        for column in batch.columns() {
            let values: Vec<_> = column.as_primitive::<TimestampMicrosecondType>().iter().collect();
            assert_eq!(values, [Some(1_000_001), None]);
        }
    }

    #[test]
    fn damaged_files_are_refused_whatever_is_damaged() {
        let whole = file();
        let cut = all(&whole[..whole.len() / 2], 0).unwrap_err();
        assert_eq!(cut.kind, FaultKind::Damaged, "{cut}");
        assert_eq!(all(b"ARROW1\0\0", 0).unwrap_err().kind, FaultKind::Damaged);
        assert_eq!(all(b"n,at\n1,2\n", 0).unwrap_err().kind, FaultKind::Damaged);
        for at in (8..whole.len()).step_by(97) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            // Whatever comes of it, it is an answer; a changed value stays a value.
            let _ = all(&bytes, 0);
        }
    }

    #[test]
    fn dictionaries_are_refused_with_the_mend() {
        let words: DictionaryArray<Int32Type> = ["a", "b"].into_iter().collect();
        let columns: Vec<(&str, ArrayRef)> =
            vec![("n", Arc::new(Int64Array::from(vec![1, 2]))), ("at", Arc::new(words))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        let refused = all(&writer.into_inner().unwrap(), 0).unwrap_err();
        assert_eq!(refused.kind, FaultKind::Format, "{refused}");
    }
}
