//! Rows on their way from JSON into columns.
//!
//! A message is read completely into cells before any of them enters a column, so that a message that turns out to
//! be damaged in its middle leaves nothing behind.

use crate::schema::{Checked, Kind};
use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder,
    RecordBatch, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::error::ArrowError;
use std::ops::Range;
use std::sync::Arc;

/// Text that one batch may hold over all its columns; a text column's offsets end at 2^31.
const MAX_TEXT_BYTES: usize = 1 << 30;

/// One value, already checked against its column's type and range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Absent,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Bytes of the arena.
    Text(Range<usize>),
}

/// The rows of one message: `cells` is row-major, one cell per declared column.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) cells: Vec<Cell>,
    pub(crate) arena: String,
    /// Position in the message of each row that was accepted.
    pub(crate) accepted: Vec<u32>,
}

impl Rows {
    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.arena.clear();
        self.accepted.clear();
    }
}

/// What every row of a message shares.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) seq: i64,
    pub(crate) event_id: &'a str,
    pub(crate) arrived_at: i64,
}

enum Builder {
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    F32(Float32Builder),
    F64(Float64Builder),
    Text(StringBuilder),
    Instant(TimestampMillisecondBuilder),
}

impl Builder {
    fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            Kind::Int(8) => Self::Int8(Int8Builder::with_capacity(rows)),
            Kind::Int(16) => Self::Int16(Int16Builder::with_capacity(rows)),
            Kind::Int(32) => Self::Int32(Int32Builder::with_capacity(rows)),
            Kind::Int(_) => Self::Int64(Int64Builder::with_capacity(rows)),
            Kind::F32 => Self::F32(Float32Builder::with_capacity(rows)),
            Kind::F64 => Self::F64(Float64Builder::with_capacity(rows)),
            Kind::Text => Self::Text(StringBuilder::with_capacity(rows, rows * 8)),
            Kind::Instant => Self::Instant(instants(rows)),
        }
    }

    /// Appends one cell of each row.
    #[expect(clippy::cast_possible_truncation, reason = "cells were range-checked against this column")]
    fn extend<'c>(&mut self, cells: impl Iterator<Item = &'c Cell>, arena: &str) {
        // Matched once a column rather than once a value.
        macro_rules! each {
            ($builder:ident, $kind:ident($value:ident) => $made:expr) => {
                for cell in cells {
                    match cell {
                        Cell::$kind($value) => $builder.append_value($made),
                        _ => $builder.append_null(),
                    }
                }
            };
        }
        match self {
            Self::Bool(b) => each!(b, Bool(v) => *v),
            Self::Int8(b) => each!(b, Int(v) => *v as i8),
            Self::Int16(b) => each!(b, Int(v) => *v as i16),
            Self::Int32(b) => each!(b, Int(v) => *v as i32),
            Self::Int64(b) => each!(b, Int(v) => *v),
            Self::Instant(b) => each!(b, Int(v) => *v),
            Self::F32(b) => each!(b, Float(v) => *v as f32),
            Self::F64(b) => each!(b, Float(v) => *v),
            Self::Text(b) => each!(b, Text(at) => arena.get(at.clone()).unwrap_or_default()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Int8(b) => Arc::new(b.finish()),
            Self::Int16(b) => Arc::new(b.finish()),
            Self::Int32(b) => Arc::new(b.finish()),
            Self::Int64(b) => Arc::new(b.finish()),
            Self::F32(b) => Arc::new(b.finish()),
            Self::F64(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
            Self::Instant(b) => Arc::new(b.finish()),
        }
    }
}

fn instants(rows: usize) -> TimestampMillisecondBuilder {
    TimestampMillisecondBuilder::with_capacity(rows).with_timezone("UTC")
}

/// The batch under construction.
pub(crate) struct Columns<'s> {
    schema: &'s Checked,
    declared: Vec<Builder>,
    seq: Int64Builder,
    row: Int32Builder,
    event_id: StringBuilder,
    known_at: TimestampMillisecondBuilder,
    text_bytes: usize,
    rows: usize,
}

impl<'s> Columns<'s> {
    pub(crate) fn new(schema: &'s Checked, rows: usize) -> Self {
        Self {
            schema,
            declared: schema.columns.iter().map(|c| Builder::new(c.kind, rows)).collect(),
            seq: Int64Builder::with_capacity(rows),
            row: Int32Builder::with_capacity(rows),
            event_id: StringBuilder::with_capacity(rows, rows * 24),
            known_at: instants(rows),
            text_bytes: 0,
            rows: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Takes over a message's rows; false, and nothing taken, when the batch cannot hold their text.
    #[must_use]
    pub(crate) fn append(&mut self, rows: &Rows, origin: Origin<'_>) -> bool {
        let text = rows.arena.len() + rows.accepted.len() * origin.event_id.len();
        if self.text_bytes + text > MAX_TEXT_BYTES {
            return false;
        }
        self.text_bytes += text;
        let width = self.declared.len().max(1);
        for (at, builder) in self.declared.iter_mut().enumerate() {
            builder.extend(rows.cells.iter().skip(at).step_by(width), &rows.arena);
        }
        let count = rows.accepted.len();
        self.seq.append_value_n(origin.seq, count);
        for position in &rows.accepted {
            self.row.append_value(i32::try_from(*position).unwrap_or(i32::MAX));
            self.event_id.append_value(origin.event_id);
        }
        match self.schema.known_at {
            Some(at) => {
                for cell in rows.cells.iter().skip(at).step_by(width) {
                    self.known_at.append_value(if let Cell::Int(millis) = cell { *millis } else { origin.arrived_at });
                }
            }
            None => self.known_at.append_value_n(origin.arrived_at, count),
        }
        self.rows += count;
        true
    }

    /// The batch so far; the columns are empty afterwards.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut arrays: Vec<ArrayRef> = self.declared.iter_mut().map(Builder::finish).collect();
        arrays.push(Arc::new(self.seq.finish()));
        arrays.push(Arc::new(self.row.finish()));
        arrays.push(Arc::new(self.event_id.finish()));
        arrays.push(Arc::new(self.known_at.finish()));
        self.text_bytes = 0;
        self.rows = 0;
        RecordBatch::try_new(Arc::clone(&self.schema.output), arrays)
    }
}
