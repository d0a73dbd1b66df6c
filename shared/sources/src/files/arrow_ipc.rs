//! Arrow IPC files and streams, message by message, through the checks that hold for messages from the bus.
//!
//! A file is its magic word, a stream, and a footer that repeats what the stream says; so both are read as a stream.
//! Each record batch is put behind the schema and decoded alone: the decoder sees nothing that was not checked.

use crate::error::{Fault, FaultKind};
use crate::files::batches::Batches;
use crate::text::{Rules, Sink};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek as _, SeekFrom};
use tidemill_conform::{Limits, Reject, decode_stream};

const MAGIC: &[u8] = b"ARROW1\0\0";
/// Writers align the first message behind the magic word, by up to so many bytes.
const ALIGNMENT: u64 = 64;
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Most bytes of one record batch, which is in memory as a whole.
const BATCH_BYTES: usize = 256 << 20;
/// What one record batch may hold: of the shortest values, bits, one a row; of views, which may share their text, no
/// more text than four batches.
const LIMITS: Limits = Limits { body_bytes: usize::MAX, decoded_bytes: 4 * BATCH_BYTES, rows: 8 * BATCH_BYTES };
/// Most bytes of the metadata of one message.
const METADATA_BYTES: usize = 16 << 20;
const MEND: &str = "write it without dictionaries, nested columns and compression: compression=\"uncompressed\"";

pub(super) fn read(mut file: File, size: u64, rules: &Rules, skip: u64, sink: Sink<'_>) -> Result<u64, Fault> {
    let start = start(&mut file);
    file.seek(SeekFrom::Start(start)).map_err(|e| cut(&e))?;
    let mut stream = BufReader::with_capacity(1 << 20, file);
    let mut schema = Vec::new();
    if !message(&mut stream, size, &mut schema)? {
        return Err(damaged("there is no schema"));
    }
    let mut batches = Batches::new(skip, size);
    let mut alone = schema.clone();
    while message(&mut stream, size, &mut alone)? {
        alone.extend_from_slice(&END);
        let decoded = decode_stream(&alone, &LIMITS).map_err(|reject| refused(&reject))?;
        alone.clone_from(&schema);
        for batch in decoded {
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

/// Appends the next message; false at the end of the stream.
fn message(stream: &mut impl Read, size: u64, bytes: &mut Vec<u8>) -> Result<bool, Fault> {
    let mut prefix = [0; 8];
    match stream.read_exact(&mut prefix) {
        Ok(()) => {}
        // A stream may end without its mark; a file that ends so has lost its footer.
        Err(e) => return Err(cut(&e)),
    }
    if prefix == END {
        return Ok(false);
    }
    let [marker @ .., a, b, c, d] = prefix;
    let length = usize::try_from(i32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if marker != [0xff; 4] || length > METADATA_BYTES {
        return Err(damaged("no message where one is expected"));
    }
    bytes.extend_from_slice(&prefix);
    let metadata = append(stream, length, bytes)?;
    let message =
        arrow_ipc::root_as_message(metadata).map_err(|_| damaged("the metadata of a message do not verify"))?;
    let body = u64::try_from(message.bodyLength()).map_err(|_| damaged("a negative length"))?;
    if body > size {
        return Err(damaged("a message is longer than the file"));
    }
    let Some(body) = usize::try_from(body).ok().filter(|body| *body <= BATCH_BYTES) else {
        let reason = format!("a record batch of {body} bytes; at most {BATCH_BYTES} are read");
        let mend = "write smaller record batches: record_batch_size in Polars, max_chunksize in PyArrow";
        return Err(Fault::new(FaultKind::TooLarge, reason, mend));
    };
    append(stream, body, bytes)?;
    Ok(true)
}

/// Appends so many bytes, and shows them.
fn append<'b>(stream: &mut impl Read, length: usize, bytes: &'b mut Vec<u8>) -> Result<&'b [u8], Fault> {
    let start = bytes.len();
    bytes.resize(start + length, 0);
    let new = bytes.get_mut(start..).unwrap_or_default();
    stream.read_exact(new).map_err(|e| cut(&e))?;
    Ok(new)
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
    if [tidemill_conform::reject::BODY_TOO_LARGE, tidemill_conform::reject::TOO_MANY_ROWS].contains(&reject.code) {
        return Fault::new(FaultKind::TooLarge, reject.reason.clone(), "write smaller record batches");
    }
    damaged(&reject.reason)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::files::Scratch;
    use crate::message::ROW_BYTES;
    use arrow::array::{ArrayRef, ByteView, DictionaryArray, Int64Array, RecordBatch, StringArray, StringViewArray};
    use arrow::buffer::Buffer;
    use arrow::datatypes::Int32Type;
    use arrow::ipc::writer::{FileWriter, StreamWriter};
    use serde_json::json;
    use std::sync::Arc;
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

    fn written(texts: ArrayRef) -> Vec<u8> {
        let numbers = Int64Array::from_iter_values(0..i64::try_from(texts.len()).unwrap());
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef), ("at", texts)]).unwrap();
        let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn views_travel_with_their_own_text_only() {
        // Some 16 MB of text in one batch, as Polars writes a column of strings: more than any message holds.
        let text = |n: usize| format!("{n:>8}").repeat(100);
        let views = StringViewArray::from_iter_values((0..20_000).map(text));
        let scratch = Scratch::of(&written(Arc::new(views)), None).unwrap();
        let (mut pieces, mut first) = (0, String::new());
        let rows = read(scratch.file, scratch.size, &rules(), 0, &mut |piece| {
            let batches = decode_stream(&piece.body, &Limits::default()).unwrap();
            assert_eq!(batches[0].schema().field(1).data_type(), &arrow::datatypes::DataType::Utf8);
            let texts = batches[0].column(1).as_any().downcast_ref::<StringArray>().unwrap();
            assert_eq!(texts.value(0), text(usize::try_from(piece.first).unwrap()));
            first = texts.value(0).to_owned();
            pieces += 1;
            true
        });
        assert_eq!((rows.unwrap(), first.len()), (20_000, 800));
        assert!(pieces < 200, "{pieces} pieces, as if rows travelled one by one");
    }

    #[test]
    fn views_that_share_their_text_are_no_bomb() {
        let shared = |length: u32, rows: usize| -> ArrayRef {
            let block = Buffer::from_vec(vec![b'x'; length as usize]);
            let views = vec![ByteView::new(length, b"xxxx").as_u128(); rows];
            Arc::new(StringViewArray::try_new(views.into(), vec![block], None).unwrap())
        };
        // Refused before anything is decoded, by what it unfolds to, and by one row.
        for (length, rows, kind) in [
            (100_000, 20_000, FaultKind::TooLarge),
            (80_000, 10_000, FaultKind::TooLarge),
            (u32::try_from(ROW_BYTES).unwrap() + 1, 2, FaultKind::Row),
        ] {
            let refused = all(&written(shared(length, rows)), 0).unwrap_err();
            assert_eq!(refused.kind, kind, "{length}: {refused}");
        }
        assert_eq!(all(&written(shared(1_000, 1_000)), 0).unwrap(), (1_000, 1_000));
    }

    #[test]
    fn a_batch_that_announces_more_than_it_holds_is_refused() {
        let whole = written(Arc::new(StringArray::from(vec!["a"; 3])));
        // The number of rows stands in the metadata of the batch as 64 bits.
        let three = 3_u64.to_le_bytes();
        for at in (8..whole.len() - 8).filter(|at| whole[*at..*at + 8] == three) {
            let mut forged = whole.clone();
            forged[at..at + 8].copy_from_slice(&(1_u64 << 61).to_le_bytes());
            assert!(all(&forged, 0).is_err(), "byte {at}");
        }
    }
}
