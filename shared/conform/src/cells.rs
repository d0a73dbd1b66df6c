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

    #[expect(clippy::cast_possible_truncation, reason = "cells were range-checked against this column")]
    fn append(&mut self, cell: &Cell, arena: &str) {
        match (self, cell) {
            (Self::Bool(b), Cell::Bool(v)) => b.append_value(*v),
            (Self::Int8(b), Cell::Int(v)) => b.append_value(*v as i8),
            (Self::Int16(b), Cell::Int(v)) => b.append_value(*v as i16),
            (Self::Int32(b), Cell::Int(v)) => b.append_value(*v as i32),
            (Self::Int64(b), Cell::Int(v)) => b.append_value(*v),
            (Self::Instant(b), Cell::Int(v)) => b.append_value(*v),
            (Self::F32(b), Cell::Float(v)) => b.append_value(*v as f32),
            (Self::F64(b), Cell::Float(v)) => b.append_value(*v),
            (Self::Text(b), Cell::Text(at)) => b.append_value(arena.get(at.clone()).unwrap_or_default()),
            (Self::Bool(b), _) => b.append_null(),
            (Self::Int8(b), _) => b.append_null(),
            (Self::Int16(b), _) => b.append_null(),
            (Self::Int32(b), _) => b.append_null(),
            (Self::Int64(b), _) => b.append_null(),
            (Self::Instant(b), _) => b.append_null(),
            (Self::F32(b), _) => b.append_null(),
            (Self::F64(b), _) => b.append_null(),
            (Self::Text(b), _) => b.append_null(),
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
        for (cells, position) in rows.cells.chunks(width).zip(&rows.accepted) {
            for (builder, cell) in self.declared.iter_mut().zip(cells) {
                builder.append(cell, &rows.arena);
            }
            let declared = self.schema.known_at.and_then(|at| cells.get(at));
            let known_at = if let Some(Cell::Int(millis)) = declared { *millis } else { origin.arrived_at };
            self.seq.append_value(origin.seq);
            self.row.append_value(i32::try_from(*position).unwrap_or(i32::MAX));
            self.event_id.append_value(origin.event_id);
            self.known_at.append_value(known_at);
            self.rows += 1;
        }
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
