//! The refused rows of a message, each as an event of its own. Pure.
//!
//! Ingestion writes them as letters; from letters that were written before it did, the commands cut them.

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::sync::Arc;
use tidemill_bus::Message;
use tidemill_conform::Limits;
use tidemill_contracts::headers;

/// Rows of a message in binary mode, by position: the media type of each alone, and their bodies in the order asked for.
///
/// # Errors
/// Why a row cannot be cut out, for people.
pub fn rows_alone(message: &Message, rows: &[usize]) -> Result<(&'static str, Vec<Bytes>), String> {
    let media = message.headers.get(headers::CONTENT_TYPE).unwrap_or(headers::JSON).to_ascii_lowercase();
    let body = &message.payload;
    if media.starts_with(headers::ARROW_STREAM) {
        return Ok((headers::ARROW_STREAM, of_arrow(body, rows)?));
    }
    let all: Vec<&[u8]> = if media.starts_with(headers::NDJSON) {
        body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect()
    } else if is_one_object(message) {
        vec![&body[..]]
    } else {
        let all: Vec<&RawValue> = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        all.into_iter().map(|row| row.get().as_bytes()).collect()
    };
    let one = |row: &usize| all.get(*row).map(|text| Bytes::copy_from_slice(text)).ok_or_else(|| absent(*row));
    Ok((headers::JSON, rows.iter().map(one).collect::<Result<_, _>>()?))
}

/// Whether a message in binary mode is one JSON object, which is its only row.
#[must_use]
pub fn is_one_object(message: &Message) -> bool {
    let media = message.headers.get(headers::CONTENT_TYPE).unwrap_or(headers::JSON).to_ascii_lowercase();
    let media = media.split(';').next().unwrap_or_default().trim();
    (media.is_empty() || media == headers::JSON) && message.payload.trim_ascii_start().starts_with(b"{")
}

fn absent(row: usize) -> String {
    format!("the message has no row {row}")
}

fn of_arrow(body: &[u8], rows: &[usize]) -> Result<Vec<Bytes>, String> {
    let batches = tidemill_conform::decode_stream(body, &Limits::default()).map_err(|reject| reject.reason)?;
    let mut bodies = Vec::with_capacity(rows.len());
    for row in rows {
        let mut at = *row;
        let found = batches.iter().find(|batch| {
            let is_here = at < batch.num_rows();
            at -= if is_here { 0 } else { batch.num_rows() };
            is_here
        });
        let one = found.ok_or_else(|| absent(*row))?.slice(at, 1);
        let one = without_views(&one).map_err(|e| e.to_string())?;
        bodies.push(tidemill_conform::encode_stream(&[one]).map_err(|e| e.to_string())?.into());
    }
    Ok(bodies)
}

/// A slice of views still holds all their bytes.
fn without_views(row: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = row.schema();
    if !schema.fields().iter().any(|field| field.data_type() == &DataType::Utf8View) {
        return Ok(row.clone());
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(row.columns()) {
        let is_view = field.data_type() == &DataType::Utf8View;
        let data_type = if is_view { DataType::Utf8 } else { field.data_type().clone() };
        columns.push(cast(column, &data_type)?);
        fields.push(Field::new(field.name(), data_type, field.is_nullable()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::message;
    use arrow::array::{ArrayRef, AsArray as _, Int64Array, StringArray, StringViewArray};

    fn texts(media: &str, body: &str, rows: &[usize]) -> Result<Vec<String>, String> {
        let (_, bodies) = rows_alone(&message(&[("content-type", media)], body), rows)?;
        Ok(bodies.iter().map(|body| String::from_utf8(body.to_vec()).unwrap()).collect())
    }

    #[test]
    fn rows_of_text_are_cut_out_byte_for_byte() {
        let array = r#" [{"n": 1}, 17.50 ,{"n":2,"n":3}, [4]]"#;
        assert_eq!(texts(headers::JSON, array, &[1, 2, 3]).unwrap(), ["17.50", r#"{"n":2,"n":3}"#, "[4]"]);
        assert_eq!(texts(headers::NDJSON, "{\"n\":1}\n\n oops\n{}", &[2, 1]).unwrap(), ["{}", " oops"]);
        assert_eq!(texts("", r#" {"n":1}"#, &[0]).unwrap(), [r#" {"n":1}"#]);
        assert!(texts(headers::JSON, "[1]", &[1]).unwrap_err().contains("no row 1"));
        assert!(texts(headers::JSON, "[1", &[0]).is_err());
    }

    #[test]
    fn a_row_of_a_stream_is_a_stream_that_holds_nothing_else() {
        let long = "x".repeat(10_000);
        let names: Vec<String> = (0..1_000).map(|n| format!("{n} {long}")).collect();
        for texts in [
            Arc::new(StringArray::from_iter_values(&names)) as ArrayRef,
            Arc::new(StringViewArray::from_iter_values(&names)),
        ] {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
            let all = RecordBatch::try_from_iter([("n", numbers), ("text", texts)]).unwrap();
            let body = tidemill_conform::encode_stream(&[all.slice(0, 300), all.slice(300, 700)]).unwrap();
            let mut whole = message(&[("content-type", headers::ARROW_STREAM)], "");
            whole.payload = body.into();
            let (media, bodies) = rows_alone(&whole, &[299, 300]).unwrap();
            assert_eq!(media, headers::ARROW_STREAM);
            for (body, n) in bodies.iter().zip([299, 300]) {
                let rows = tidemill_conform::decode_stream(body, &Limits::default()).unwrap();
                let [row] = rows.as_slice() else { panic!("{} batches", rows.len()) };
                assert_eq!((row.num_rows(), row.column(1).as_string::<i32>().value(0)), (1, &names[n][..]));
                assert!(row.get_array_memory_size() < 100_000, "{}", row.get_array_memory_size());
            }
            assert!(rows_alone(&whole, &[1_000]).unwrap_err().contains("no row 1000"));
        }
    }
}
