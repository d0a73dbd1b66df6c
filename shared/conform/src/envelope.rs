//! The envelope of an Arrow IPC stream, checked before the decoder sees a byte of it.
//!
//! The decoder trusts lengths found in the message: one damaged length makes it ask for more memory than there is,
//! and an allocation failure ends the process. So every length, offset and count is compared with the bytes that are
//! really there. Only flat columns of the types that can be cast to declared ones pass; compression inside the
//! stream, dictionaries and nesting are refused, each by name.

use crate::reject::{ARROW_FEATURE_REFUSED, BODY_TOO_LARGE, MALFORMED_ARROW, Reject, TOO_MANY_ROWS, shortened};
use crate::schema::Limits;
use arrow_ipc::{Endianness, Field, Message, MessageHeader, MetadataVersion, Precision, RecordBatch, Schema, Type};

/// A flatbuffer is verified against this before any of its fields is read.
const METADATA_ALIGNMENT: usize = 8;
const PREFIX: usize = 8;
/// Bytes of a view; its length comes first.
const VIEW: usize = 16;
/// More columns than this cost more to compare than any declared schema can need.
const MAX_COLUMNS: usize = 4096;
/// A stream of very many tiny batches is slow rather than large.
const MAX_BATCHES: usize = 1000;

/// How a column's values lie in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Bits,
    Fixed(usize),
    /// Offsets of this width, then bytes.
    Offsets(usize),
    Views,
}

struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let slice = self.body.get(self.at..end)?;
        self.at = end;
        Some(slice)
    }
}

fn malformed(what: impl Into<String>, at: usize) -> Reject {
    Reject::whole(MALFORMED_ARROW, what, format!("byte {at}"))
}

fn refused(what: impl Into<String>, at: usize) -> Reject {
    Reject::whole(ARROW_FEATURE_REFUSED, what, format!("byte {at}"))
}

/// Walks the whole stream; `Ok` is the number of rows that its batches announce.
pub(crate) fn check(body: &[u8], limits: &Limits) -> Result<usize, Reject> {
    let max_rows = limits.rows;
    let mut cursor = Cursor { body, at: 0 };
    let mut layouts: Option<Vec<Layout>> = None;
    let mut rows = 0_usize;
    let mut batches = 0_usize;
    let mut text = 0_u64;
    loop {
        let at = cursor.at;
        let Some(metadata) = next_metadata(&mut cursor)? else { break };
        let message =
            arrow_ipc::root_as_message(metadata).map_err(|_| malformed("the message metadata do not verify", at))?;
        if !matches!(message.version(), MetadataVersion::V4 | MetadataVersion::V5) {
            return Err(refused("a metadata version other than 4 and 5", at));
        }
        let length = usize::try_from(message.bodyLength()).map_err(|_| malformed("negative body length", at))?;
        let data = cursor.take(length).ok_or_else(|| malformed("the body is longer than the message", at))?;
        match (&layouts, message.header_type()) {
            (None, MessageHeader::Schema) if data.is_empty() => layouts = Some(schema_layouts(&message, at)?),
            (Some(layouts), MessageHeader::RecordBatch) => {
                batches += 1;
                if batches > MAX_BATCHES {
                    return Err(refused(format!("more than {MAX_BATCHES} record batches in one message"), at));
                }
                let batch = message.header_as_record_batch().ok_or_else(|| malformed("no record batch", at))?;
                rows = rows.saturating_add(check_batch(&batch, layouts, data, max_rows, &mut text, at)?);
                if rows > max_rows {
                    return Err(Reject::whole(TOO_MANY_ROWS, format!("more than {max_rows} rows in one message"), ""));
                }
                if text > u64::try_from(limits.decoded_bytes).unwrap_or(u64::MAX) {
                    let reason = format!("views stand for more than {} bytes of text", limits.decoded_bytes);
                    return Err(Reject::whole(BODY_TOO_LARGE, reason, format!("byte {at}")));
                }
            }
            (_, MessageHeader::DictionaryBatch) => return Err(refused("dictionary-encoded columns", at)),
            (None, _) => return Err(malformed("the stream does not start with a schema", at)),
            (Some(_), _) => return Err(malformed("something other than a record batch after the schema", at)),
        }
    }
    if cursor.at != body.len() {
        return Err(malformed("bytes after the end of the stream", cursor.at));
    }
    if layouts.is_none() {
        return Err(malformed("the stream holds no schema", 0));
    }
    Ok(rows)
}

/// The next message's metadata; `None` at the end of the stream.
fn next_metadata<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Reject> {
    let at = cursor.at;
    if at == cursor.body.len() {
        return Ok(None);
    }
    let prefix = cursor.take(PREFIX).ok_or_else(|| malformed("the stream ends inside a length", at))?;
    let (marker, length) = prefix.split_at(4);
    if marker != [0xff; 4] {
        return Err(malformed("no continuation marker", at));
    }
    let length = length.try_into().map_or(-1, i32::from_le_bytes);
    if length == 0 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| malformed("negative metadata length", at))?;
    if length % METADATA_ALIGNMENT != 0 {
        return Err(malformed("the metadata length is no multiple of 8", at));
    }
    cursor.take(length).map(Some).ok_or_else(|| malformed("the metadata are longer than the message", at))
}

fn schema_layouts(message: &Message<'_>, at: usize) -> Result<Vec<Layout>, Reject> {
    let schema: Schema<'_> = message.header_as_schema().ok_or_else(|| malformed("no schema", at))?;
    if schema.endianness() != Endianness::Little {
        return Err(refused("big-endian data", at));
    }
    let fields = schema.fields().ok_or_else(|| malformed("the schema has no field list", at))?;
    if fields.len() > MAX_COLUMNS {
        return Err(refused(format!("more than {MAX_COLUMNS} columns"), at));
    }
    fields.iter().map(|field| field_layout(&field, at)).collect()
}

fn field_layout(field: &Field<'_>, at: usize) -> Result<Layout, Reject> {
    let name = shortened(field.name().unwrap_or_default());
    if field.dictionary().is_some() {
        return Err(refused(format!("column \"{name}\" is dictionary-encoded: send plain values"), at));
    }
    if field.children().is_some_and(|children| !children.is_empty()) {
        return Err(refused(format!("column \"{name}\" is nested"), at));
    }
    let layout = match field.type_type() {
        Type::Bool => Some(Layout::Bits),
        Type::Int => field.type_as_int().and_then(|int| match int.bitWidth() {
            8 => Some(Layout::Fixed(1)),
            16 => Some(Layout::Fixed(2)),
            32 => Some(Layout::Fixed(4)),
            64 => Some(Layout::Fixed(8)),
            _ => None,
        }),
        Type::FloatingPoint => field.type_as_floating_point().and_then(|float| match float.precision() {
            Precision::SINGLE => Some(Layout::Fixed(4)),
            Precision::DOUBLE => Some(Layout::Fixed(8)),
            _ => None,
        }),
        Type::Timestamp => field.type_as_timestamp().map(|_| Layout::Fixed(8)),
        Type::Utf8 => Some(Layout::Offsets(4)),
        Type::LargeUtf8 => Some(Layout::Offsets(8)),
        Type::Utf8View => Some(Layout::Views),
        _ => None,
    };
    layout.ok_or_else(|| {
        let kind = field.type_type().variant_name().unwrap_or("unknown");
        refused(format!("column \"{name}\" is of Arrow type {kind}, which no declared type accepts"), at)
    })
}

fn check_batch(
    batch: &RecordBatch<'_>,
    layouts: &[Layout],
    data: &[u8],
    max_rows: usize,
    text: &mut u64,
    at: usize,
) -> Result<usize, Reject> {
    let body = data.len();
    if batch.compression().is_some() {
        return Err(refused("compressed buffers: compress the whole stream with zstd instead", at));
    }
    let rows = usize::try_from(batch.length()).map_err(|_| malformed("negative row count", at))?;
    if rows > max_rows {
        return Err(Reject::whole(TOO_MANY_ROWS, format!("more than {max_rows} rows in one message"), ""));
    }
    let nodes = batch.nodes().ok_or_else(|| malformed("a batch without column lengths", at))?;
    let buffers = batch.buffers().ok_or_else(|| malformed("a batch without buffers", at))?;
    if nodes.len() != layouts.len() {
        return Err(malformed("a batch with another number of columns than the schema", at));
    }
    let mut views = batch.variadicBufferCounts().map(|counts| counts.iter().collect::<Vec<_>>()).unwrap_or_default();
    if views.len() != layouts.iter().filter(|l| **l == Layout::Views).count() {
        return Err(malformed("view buffer counts do not match the view columns", at));
    }
    views.reverse();
    let mut buffers = buffers.iter();
    let mut used = 0_usize;
    let mut next = |need: usize, what: &str| -> Result<&[u8], Reject> {
        let buffer = buffers.next().ok_or_else(|| malformed("fewer buffers than the columns need", at))?;
        let (offset, length) = (buffer.offset(), buffer.length());
        let end = offset.checked_add(length).and_then(|end| usize::try_from(end).ok());
        let range = usize::try_from(offset).ok().zip(end).map(|(start, end)| start..end);
        let Some(buffer) = range.and_then(|range| data.get(range)) else {
            return Err(malformed("a buffer lies outside the body", at));
        };
        // Buffers that overlap would let a small message unfold into a large one.
        let length = buffer.len();
        used = used.saturating_add(length);
        if used > body {
            return Err(malformed("the buffers together are longer than the body", at));
        }
        if length < need {
            return Err(malformed(format!("a {what} buffer is too short for {rows} rows"), at));
        }
        Ok(buffer)
    };
    for (node, layout) in nodes.iter().zip(layouts) {
        if usize::try_from(node.length()) != Ok(rows) {
            return Err(malformed("a column's length differs from its batch's", at));
        }
        let nulls = usize::try_from(node.null_count()).map_err(|_| malformed("negative null count", at))?;
        if nulls > rows {
            return Err(malformed("more nulls than rows", at));
        }
        next(if nulls > 0 { rows.div_ceil(8) } else { 0 }, "validity")?;
        match layout {
            Layout::Bits => {
                next(rows.div_ceil(8), "value")?;
            }
            Layout::Fixed(width) => {
                next(rows.saturating_mul(*width), "value")?;
            }
            Layout::Offsets(width) => {
                next(if rows == 0 { 0 } else { rows.saturating_add(1).saturating_mul(*width) }, "offset")?;
                next(0, "text")?;
            }
            Layout::Views => {
                let views_of = next(rows.saturating_mul(VIEW), "view")?;
                *text = text.saturating_add(text_of(views_of.get(..rows * VIEW).unwrap_or_default()));
                let count = views.pop().unwrap_or_default();
                let count = usize::try_from(count).map_err(|_| malformed("negative view buffer count", at))?;
                for _ in 0..count {
                    next(0, "text")?;
                }
            }
        }
    }
    if buffers.next().is_some() {
        return Err(malformed("more buffers than the columns need", at));
    }
    Ok(rows)
}

/// Bytes of text that views stand for. They may all point at the same bytes, so that a small message would unfold into
/// a large one, and its text would be looked at as often as it is pointed at.
fn text_of(views: &[u8]) -> u64 {
    let lengths = views.chunks_exact(VIEW).filter_map(|view| view.first_chunk().copied());
    lengths.map(|length| u64::from(u32::from_le_bytes(length))).sum()
}
