//! What happens to Arrow streams, good, unsuitable and hostile.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, DictionaryArray, Float64Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int8Type, Int32Type, TimestampMillisecondType};
use arrow::ipc::writer::StreamWriter;
use std::sync::Arc;
use tidemill_conform::reject::{
    ARROW_FEATURE_REFUSED, BAD_COMPRESSION, DUPLICATE_COLUMN, EMPTY, MALFORMED_ARROW, MISSING_COLUMN, NULL_IN_REQUIRED,
    OUT_OF_RANGE, TOO_MANY_ROWS, TYPE_MISMATCH, UNKNOWN_COLUMN,
};
use tidemill_conform::{
    ARROW_STREAM, ColumnDef, Conform, ConformSchema, Conformed, Limits, MessageIn, Values, encode_stream,
};
use tidemill_types::{Millis, columns};

fn conform() -> Conform {
    let column = |name: &str, data_type, nullable| {
        let (name, values) = (name.to_owned(), Values::default());
        ColumnDef { name, data_type, nullable, values }
    };
    let columns = vec![
        column("at", Millis::arrow_type(), false),
        column("small", DataType::Int8, true),
        column("x", DataType::Float64, true),
        column("name", DataType::Utf8, true),
    ];
    Conform::new(&ConformSchema { columns, event_time: "at".to_owned(), known_at: None }).unwrap()
}

fn instants(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC"))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn plain(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn take(body: &[u8]) -> Conformed {
    let message = MessageIn { seq: 3, content_type: ARROW_STREAM, event_id: "e", arrived_at: Millis(9), body };
    conform().message(&message)
}

#[test]
fn columns_are_matched_by_name_and_cast_to_the_declared_types() {
    let micros = TimestampMicrosecondArray::from(vec![5_999, 7_000]).with_timezone("+02:00");
    let sent = batch(vec![
        ("name", Arc::new(StringViewArray::from(vec![Some("a"), None]))),
        ("x", Arc::new(Int64Array::from(vec![1, 2]))),
        ("at", Arc::new(micros)),
    ]);
    for body in [plain(&sent), encode_stream(std::slice::from_ref(&sent)).unwrap()] {
        let got = take(&body).batch.unwrap();
        assert_eq!(got.schema(), conform().schema());
        assert_eq!(got["at"].as_primitive::<TimestampMillisecondType>().values().as_ref(), &[5, 7]);
        assert_eq!(got["x"].as_primitive::<Float64Type>().values().as_ref(), &[1.0, 2.0]);
        assert_eq!(got["name"].as_string::<i32>().value(0), "a");
        assert_eq!(got["small"].null_count(), 2);
        assert_eq!(got[columns::ROW].as_primitive::<Int32Type>().values().as_ref(), &[0, 1]);
    }
}

#[test]
fn rows_whose_values_do_not_fit_are_refused_alone_across_batches() {
    let part = |small: Vec<i64>, at| batch(vec![("at", instants(at)), ("small", Arc::new(Int64Array::from(small)))]);
    let parts = [part(vec![1, 300], vec![Some(1), Some(2)]), part(vec![5, 6], vec![None, Some(4)])];
    let got = take(&encode_stream(&parts).unwrap());
    let kept = got.batch.unwrap();
    assert_eq!(kept["small"].as_primitive::<Int8Type>().values().as_ref(), &[1, 6]);
    assert_eq!(kept[columns::ROW].as_primitive::<Int32Type>().values().as_ref(), &[0, 3]);
    let codes: Vec<_> = got.rejects.iter().map(|r| (r.row, r.code)).collect();
    assert_eq!(codes, [(Some(1), OUT_OF_RANGE), (Some(2), NULL_IN_REQUIRED)]);
}

#[test]
fn nan_is_a_value_in_arrow() {
    let sent = batch(vec![("at", instants(vec![Some(1)])), ("x", Arc::new(Float64Array::from(vec![f64::NAN])))]);
    assert!(take(&plain(&sent)).batch.unwrap()["x"].as_primitive::<Float64Type>().value(0).is_nan());
}

#[test]
fn unsuitable_streams_are_refused_whole_each_with_its_code() {
    let at = || ("at", instants(vec![Some(1)]));
    let one = |name, array: ArrayRef| plain(&batch(vec![at(), (name, array)]));
    let dictionary: DictionaryArray<Int32Type> = vec!["a"].into_iter().collect();
    let text: ArrayRef = Arc::new(LargeStringArray::from(vec!["1"]));
    let compressed = include_bytes!("data/compressed_buffers.arrows").to_vec();
    let sent = batch(vec![at()]);
    let empty = plain(&sent.slice(0, 0));
    let naive: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1]));
    let many = plain(&batch(vec![("at", instants(vec![Some(1); 10_001]))]));
    let mut trailing = plain(&sent);
    trailing.push(0);
    let cases = [
        (one("y", Arc::clone(&text)), UNKNOWN_COLUMN),
        (one("small", Arc::clone(&text)), TYPE_MISMATCH),
        (plain(&batch(vec![("at", naive)])), TYPE_MISMATCH),
        (one("at", instants(vec![Some(2)])), DUPLICATE_COLUMN),
        (plain(&batch(vec![("name", text)])), MISSING_COLUMN),
        (one("name", Arc::new(dictionary)), ARROW_FEATURE_REFUSED),
        (one("x", arrow::array::new_null_array(&DataType::Binary, 1)), ARROW_FEATURE_REFUSED),
        (compressed, ARROW_FEATURE_REFUSED),
        (empty, EMPTY),
        (many, TOO_MANY_ROWS),
        (trailing, MALFORMED_ARROW),
        (plain(&sent)[..100].to_vec(), MALFORMED_ARROW),
        (b"{}".to_vec(), MALFORMED_ARROW),
    ];
    for (number, (body, code)) in cases.into_iter().enumerate() {
        let got = take(&body);
        assert!(got.batch.is_none(), "case {number}");
        assert_eq!(got.rejects.iter().map(|r| r.code).collect::<Vec<_>>(), [code], "case {number}: {:?}", got.rejects);
    }
}

#[test]
fn a_decompression_bomb_stops_at_the_cap() {
    let bomb = zstd::bulk::compress(&vec![0_u8; 80 << 20], 3).unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(take(&bomb).rejects[0].code, BAD_COMPRESSION);
    let mut two_frames = encode_stream(&[batch(vec![("at", instants(vec![Some(1)]))])]).unwrap();
    two_frames.extend_from_within(..);
    assert_eq!(take(&two_frames).rejects[0].code, BAD_COMPRESSION);
}

#[test]
fn views_that_share_bytes_cannot_unfold_into_more_text_than_the_limit() {
    let block = arrow::buffer::Buffer::from_vec(vec![b'x'; 100_000]);
    let views = vec![arrow::array::ByteView::new(100_000, b"xxxx").as_u128(); 1_000];
    let names = StringViewArray::try_new(views.into(), vec![block], None).unwrap();
    let sent = batch(vec![("at", instants(vec![Some(1); 1_000])), ("name", Arc::new(names))]);
    let options = Limits { decoded_bytes: 1 << 20, ..Limits::default() };
    let message =
        MessageIn { seq: 3, content_type: ARROW_STREAM, event_id: "e", arrived_at: Millis(9), body: &plain(&sent) };
    assert!(conform().with_limits(options).message(&message).batch.is_none());
    let kept: ArrayRef = Arc::new(StringArray::from(vec!["x"; 1_000]));
    let sound = batch(vec![("at", instants(vec![Some(1); 1_000])), ("name", kept)]);
    assert!(conform().with_limits(options).message(&MessageIn { body: &plain(&sound), ..message }).batch.is_some());
}
