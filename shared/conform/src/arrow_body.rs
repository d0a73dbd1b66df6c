//! Arrow IPC streams into batches of the declared schema, and back for senders.

use crate::cells::Origin;
use crate::envelope;
use crate::error::Error;
use crate::frame;
use crate::reject::{
    self, DUPLICATE_COLUMN, EMPTY, INVALID_ARROW_DATA, MISSING_COLUMN, NULL_IN_REQUIRED, OUT_OF_RANGE, Reject,
    TYPE_MISMATCH, UNKNOWN_COLUMN, shortened,
};
use crate::schema::{Checked, Column, Extra, Kind, Limits};
use crate::value::{is_calendar, outside};
use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch, max, min};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimestampMillisecondType};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tidemill_types::Code;

/// Writes batches as one uncompressed Arrow IPC stream inside one zstd frame, as [`crate::Conform`] reads it.
///
/// # Errors
/// When the batches differ in schema or hold a type the format lacks.
pub fn encode_stream(batches: &[RecordBatch]) -> Result<Vec<u8>, Error> {
    let Some(first) = batches.first() else { return Err(Error::Encode("no batch".to_owned())) };
    let failed = |e: ArrowError| Error::Encode(e.to_string());
    let mut writer = StreamWriter::try_new(Vec::new(), &first.schema()).map_err(failed)?;
    for batch in batches {
        writer.write(batch).map_err(failed)?;
    }
    let stream = writer.into_inner().map_err(failed)?;
    zstd::bulk::compress(&stream, 1).map_err(|e| Error::Encode(e.to_string()))
}

/// Reads a stream from an untrusted sender without knowing its columns: envelope checked, limits held, values valid.
///
/// # Errors
/// The reason for which the whole message is refused.
pub fn decode_stream(body: &[u8], limits: &Limits) -> Result<Vec<RecordBatch>, Reject> {
    if body.len() > limits.body_bytes {
        let what = format!("the body has {} bytes, the limit is {}", body.len(), limits.body_bytes);
        return Err(Reject::whole(reject::BODY_TOO_LARGE, what, ""));
    }
    let stream = frame::unwrap(body, limits.decoded_bytes)?;
    let announced = envelope::check(&stream, limits)?;
    if announced == 0 {
        return Err(Reject::whole(EMPTY, "the stream holds no rows", ""));
    }
    let invalid = |what: String| Reject::whole(INVALID_ARROW_DATA, shortened(&what), "");
    // The decoder has panicked on damaged input before; nothing is shared with it, so unwinding is safe.
    let batches = catch_unwind(AssertUnwindSafe(|| read(&stream)))
        .map_err(|_| invalid("the decoder gave up on the data".to_owned()))?
        .map_err(|e| invalid(e.to_string()))?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows != announced {
        return Err(invalid(format!("{announced} rows announced, {rows} decoded")));
    }
    Ok(batches)
}

fn read(stream: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    let batches = StreamReader::try_new(stream, None)?.collect::<Result<Vec<_>, _>>()?;
    // The reader validates the values of every array that it makes, but not those of its children.
    for column in batches.iter().flat_map(RecordBatch::columns) {
        let data = column.to_data();
        if !data.child_data().is_empty() {
            data.validate_full()?;
        }
    }
    Ok(batches)
}

/// What a message's Arrow body amounts to.
pub(crate) struct Outcome {
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) rejects: Vec<Reject>,
}

/// Decodes a body and casts its columns, by name, to the declared types.
pub(crate) fn read_body(
    schema: &Checked,
    extra: Extra,
    limits: &Limits,
    body: &[u8],
    origin: Origin<'_>,
) -> Result<Outcome, Reject> {
    let mut outcome = Outcome { batches: Vec::new(), rejects: Vec::new() };
    let mut first_row = 0_u32;
    for batch in decode_stream(body, limits)? {
        check_names(schema, extra, &batch)?;
        let conformed = conform(schema, &batch, first_row, origin, &mut outcome.rejects)?;
        if conformed.num_rows() > 0 {
            outcome.batches.push(conformed);
        }
        first_row = first_row.saturating_add(u32::try_from(batch.num_rows()).unwrap_or(u32::MAX));
    }
    Ok(outcome)
}

fn check_names(schema: &Checked, extra: Extra, batch: &RecordBatch) -> Result<(), Reject> {
    let fields = batch.schema();
    for (at, field) in fields.fields().iter().enumerate() {
        let name = shortened(field.name());
        let position = format!("column \"{name}\"");
        if fields.fields().iter().take(at).any(|other| other.name() == field.name()) {
            return Err(Reject::whole(DUPLICATE_COLUMN, format!("the column \"{name}\" occurs twice"), position));
        }
        if extra == Extra::Reject && !schema.columns.iter().any(|c| c.name == *field.name()) {
            let reason = format!("the source declares no column \"{name}\"");
            return Err(Reject::whole(UNKNOWN_COLUMN, reason, position));
        }
    }
    Ok(())
}

/// The first fault of each row; empty while no column had any.
type RowFaults = Vec<Option<(Code, String, String)>>;

fn conform(
    schema: &Checked,
    batch: &RecordBatch,
    first_row: u32,
    origin: Origin<'_>,
    rejects: &mut Vec<Reject>,
) -> Result<RecordBatch, Reject> {
    let rows = batch.num_rows();
    let mut faults = RowFaults::new();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.output.fields().len());
    for column in &schema.columns {
        arrays.push(match batch.column_by_name(&column.name) {
            Some(array) => cast_column(column, array, &mut faults)?,
            None if column.nullable => new_null_array(&column.kind.data_type(), rows),
            None => {
                let reason = format!("the required column \"{}\" is absent", column.name);
                return Err(Reject::whole(MISSING_COLUMN, reason, format!("column \"{}\"", column.name)));
            }
        });
    }
    let known_at = known_at(schema, &arrays, rows, origin);
    let positions = (0..rows).map(|row| i32::try_from(row).unwrap_or(i32::MAX).saturating_add_unsigned(first_row));
    let positions: Int32Array = positions.collect::<Vec<_>>().into();
    arrays.push(Arc::new(Int64Array::from_value(origin.seq, rows)));
    arrays.push(Arc::new(positions));
    arrays.push(Arc::new(StringArray::new_repeated(origin.event_id, rows)));
    arrays.push(Arc::new(known_at));
    keep_sound(schema, arrays, faults, first_row, rejects)
        .map_err(|e| Reject::whole(reject::DEFECT, shortened(&e.to_string()), ""))
}

fn known_at(schema: &Checked, arrays: &[ArrayRef], rows: usize, origin: Origin<'_>) -> TimestampMillisecondArray {
    let declared = schema.known_at.and_then(|at| arrays.get(at)).map(|a| a.as_primitive::<TimestampMillisecondType>());
    if let Some(array) = declared.filter(|array| array.null_count() == 0) {
        return array.clone();
    }
    let values = (0..rows).map(|row| match declared {
        Some(array) if array.is_valid(row) => array.value(row),
        _ => origin.arrived_at,
    });
    TimestampMillisecondArray::from_iter_values(values).with_timezone("UTC")
}

/// Drops the rows at fault. Required columns may hold nulls until then, so the strict schema comes last.
fn keep_sound(
    schema: &Checked,
    arrays: Vec<ArrayRef>,
    faults: RowFaults,
    first_row: u32,
    rejects: &mut Vec<Reject>,
) -> Result<RecordBatch, ArrowError> {
    if faults.iter().all(Option::is_none) {
        return RecordBatch::try_new(Arc::clone(&schema.output), arrays);
    }
    let sound: BooleanArray = faults.iter().map(|fault| Some(fault.is_none())).collect();
    let named = schema.output.fields().iter().zip(arrays).map(|(field, array)| (field.name(), array, true));
    let kept = filter_record_batch(&RecordBatch::try_from_iter_with_nullable(named)?, &sound)?;
    for (row, fault) in faults.into_iter().enumerate() {
        let Some((code, reason, column)) = fault else { continue };
        let row = first_row.saturating_add(u32::try_from(row).unwrap_or(u32::MAX));
        rejects.push(Reject { row: Some(row), code, reason, position: format!("column \"{column}\"") });
    }
    RecordBatch::try_new(Arc::clone(&schema.output), kept.columns().to_vec())
}

/// Which Arrow types a declared type accepts: those whose every value means the same, or is out of range and seen.
fn accepts(kind: Kind, from: &DataType) -> bool {
    match kind {
        Kind::Bool => *from == DataType::Boolean,
        Kind::Int(_) => from.is_integer(),
        Kind::F32 | Kind::F64 => from.is_integer() || matches!(from, DataType::Float32 | DataType::Float64),
        Kind::Text => matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        Kind::Instant => matches!(from, DataType::Timestamp(_, Some(_)) | DataType::Int64),
    }
}

fn cast_column(column: &Column, array: &ArrayRef, faults: &mut RowFaults) -> Result<ArrayRef, Reject> {
    let name = &column.name;
    let target = column.kind.data_type();
    let mismatch = |why: String| Reject::whole(TYPE_MISMATCH, why, format!("column \"{name}\""));
    if !accepts(column.kind, array.data_type()) {
        return Err(mismatch(format!("expected {}, found the Arrow type {}", column.kind.noun(), array.data_type())));
    }
    // `safe` turns what does not fit into null; comparing nulls before and after finds those rows.
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let cast = cast_with_options(array, &target, &options).map_err(|e| mismatch(shortened(&e.to_string())))?;
    if is_sound(column, array, &cast) {
        return Ok(cast);
    }
    faults.resize(array.len(), None);
    for (row, fault) in faults.iter_mut().enumerate() {
        if fault.is_some() {
            continue;
        }
        let found = if array.is_null(row) {
            let reason = || format!("the required column \"{name}\" is null");
            (!column.nullable).then(|| (NULL_IN_REQUIRED, reason()))
        } else {
            value_fault(column, array, &cast, row)
        };
        *fault = found.map(|(code, reason)| (code, reason, name.clone()));
    }
    Ok(cast)
}

/// Whether no row can be at fault, told from whole columns: the rule, so rows are looked at one by one only otherwise.
fn is_sound(column: &Column, before: &ArrayRef, after: &ArrayRef) -> bool {
    let nulls = before.null_count();
    if after.null_count() != nulls || (nulls > 0 && !column.nullable) {
        return false;
    }
    match column.kind {
        Kind::Instant => {
            let instants = after.as_primitive::<TimestampMillisecondType>();
            [min(instants), max(instants)].into_iter().flatten().all(is_calendar)
        }
        Kind::F32 => *before.data_type() != DataType::Float64,
        _ => true,
    }
}

fn value_fault(column: &Column, before: &ArrayRef, after: &ArrayRef, row: usize) -> Option<(Code, String)> {
    let kind = column.kind;
    let too_large = || (OUT_OF_RANGE, format!("the value does not fit {}", kind.noun()));
    if after.is_null(row) {
        return Some(too_large());
    }
    match kind {
        Kind::Instant => {
            let millis = after.as_primitive::<TimestampMillisecondType>().value(row);
            (!is_calendar(millis)).then(|| outside(column.values, millis))
        }
        Kind::F32 if *before.data_type() == DataType::Float64 => {
            let overflowed = before.as_primitive::<Float64Type>().value(row).is_finite()
                && after.as_primitive::<Float32Type>().value(row).is_infinite();
            overflowed.then(too_large)
        }
        _ => None,
    }
}
