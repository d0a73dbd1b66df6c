//! Reading a table once: profiles, a sample, and what repeats.
//!
//! A table comes in groups of rows. Each column of each group is read on its own, by whichever thread is free, and the
//! parts are merged in the order of the groups, so that the result does not depend on the number of threads.

mod assembly;

use crate::error::{Error, Result};
use crate::repeats::Repeats;
use crate::sample::Draw;
use crate::times::TimeFacts;
use arrow::array::{Array as _, ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, SchemaRef};
use assembly::Assembly;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tidemill_stats::{ColumnProfile, Kind, Reading, TableProfile};

/// Columns and groups of rows of a table.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Columns as the reader yields them; dictionaries count as their values.
    pub columns: Vec<Field>,
    /// Rows of each group.
    pub groups: Vec<u64>,
}

/// How a table is read.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// Rows of the sample; a table of no more rows is its own sample.
    pub sample_rows: u64,
    /// Which rows are drawn.
    pub seed: u64,
    /// Threads that read.
    pub threads: usize,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { sample_rows: 50_000, seed: 0, threads: 1 }
    }
}

/// A table that was read.
#[derive(Debug)]
pub struct Scanned {
    /// Sketches of every column.
    pub profile: TableProfile,
    /// Sampled rows in the order of the table.
    pub sample: RecordBatch,
    /// Whether the sample is the whole table.
    pub whole: bool,
    /// Repeats of whole rows; none for a table that is too long for it.
    pub rows: Option<Repeats>,
    /// Repeats of the values of columns that are nearly unique, by name.
    pub keys: Vec<(String, Repeats)>,
    /// Order, repeats and gaps of instant columns.
    pub times: Vec<TimeFacts>,
}

/// One column of one group, read.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) profile: ColumnProfile,
    pub(crate) words: Vec<u64>,
    pub(crate) instants: Vec<i64>,
    pub(crate) sampled: Vec<ArrayRef>,
}

/// What reading a column of a group may hand on: an array at a time, in the order of the rows.
pub type Visit<'a, E> = &'a mut dyn FnMut(&ArrayRef) -> std::result::Result<(), E>;

/// Reads a table on several threads.
///
/// `read(group, column, visit)` must hand the arrays of a column of a group to `visit`.
///
/// # Errors
/// The reader's, and those of columns that cannot be summarised.
pub fn scan<E, F>(shape: &Shape, options: &ScanOptions, read: F) -> std::result::Result<Scanned, E>
where
    E: From<Error> + Send,
    F: Fn(usize, usize, Visit<'_, E>) -> std::result::Result<(), E> + Sync,
{
    let rows = shape.groups.iter().sum::<u64>();
    let draw = Draw::of(rows, options.sample_rows, options.seed);
    let starts: Vec<u64> = shape.groups.iter().scan(0, |at, n| Some(std::mem::replace(at, *at + n))).collect();
    let tasks = shape.groups.len() * shape.columns.len();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let assembly = Mutex::new(Assembly::new(&shape.columns, rows));
    let failure = Mutex::new(None);
    let work = || {
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks || stop.load(Ordering::Relaxed) {
                return;
            }
            let (group, column) = (task / shape.columns.len(), task % shape.columns.len());
            let reader = |visit: Visit<'_, E>| read(group, column, visit);
            let done = read_part(&shape.columns[column], starts[group], rows, draw, reader).and_then(|part| {
                let mut assembly = assembly.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                Ok(assembly.add(group, column, starts[group], part)?)
            });
            if let Err(error) = done {
                stop.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..options.threads.clamp(1, 64)).map(|_| scope.spawn(work)).collect();
        work();
        drop(workers);
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    let assembly = assembly.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(assembly.finish(draw.is_whole())?)
}

fn read_part<E: From<Error>>(
    field: &Field,
    start: u64,
    expected: u64,
    draw: Draw,
    read: impl FnOnce(Visit<'_, E>) -> std::result::Result<(), E>,
) -> std::result::Result<Part, E> {
    let mut part = Part::empty(field);
    let mut at = start;
    read(&mut |array| {
        let taken = draw.rows(at, array.len() as u64);
        at += array.len() as u64;
        Ok(part.add(array, (at - array.len() as u64, expected), &taken)?)
    })?;
    Ok(part)
}

impl Part {
    pub(crate) fn empty(field: &Field) -> Self {
        let profile = ColumnProfile::new(field.name(), Kind::of(field.data_type()));
        Self { profile, words: Vec::new(), instants: Vec::new(), sampled: Vec::new() }
    }

    /// Adds an array that begins at row `first` of `expected`, of which the rows `taken` are sampled.
    pub(crate) fn add(&mut self, array: &ArrayRef, (first, expected): (u64, u64), taken: &[u32]) -> Result<()> {
        let before = self.words.len();
        self.words.resize(before + array.len(), 0);
        let words = Some(&mut self.words[before..]);
        self.profile.read(array, Reading { expected, first_row: first, words })?;
        if self.profile.kind == Kind::Instant {
            self.instants.append(&mut tidemill_stats::millis(array)?);
        }
        if taken.len() == array.len() {
            self.sampled.push(plain(array)?);
        } else if !taken.is_empty() {
            let rows = UInt32Array::from(taken.to_vec());
            self.sampled.push(plain(&arrow::compute::take(array, &rows, None)?)?);
        }
        Ok(())
    }
}

/// An array of the type that its column has in the sample: dictionaries and views become plain.
fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    let to = plain_type(array.data_type());
    Ok(if array.data_type() == &to { array.clone() } else { arrow::compute::cast(array, &to)? })
}

/// The type of a column in the sample.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other.clone(),
    }
}

/// A table that comes batch by batch, of a length nobody knows beforehand.
#[derive(Debug)]
pub struct Stream {
    schema: SchemaRef,
    wanted: u64,
    draw: Draw,
    rows: u64,
    groups: usize,
    kept: u64,
    assembly: Assembly,
}

impl Stream {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(schema: &SchemaRef, options: &ScanOptions) -> Self {
        let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        Self {
            schema: schema.clone(),
            wanted: options.sample_rows.max(1),
            draw: Draw::of(0, options.sample_rows, options.seed),
            rows: 0,
            groups: 0,
            kept: 0,
            assembly: Assembly::new(&fields, 0),
        }
    }

    /// Adds rows.
    ///
    /// # Errors
    /// Columns that cannot be summarised.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let taken = self.draw.rows(self.rows, batch.num_rows() as u64);
        for (column, (field, array)) in self.schema.fields().iter().zip(batch.columns()).enumerate() {
            let mut part = Part::empty(field);
            part.add(array, (self.rows, self.rows), &taken)?;
            self.assembly.add(self.groups, column, self.rows, part)?;
        }
        self.rows += batch.num_rows() as u64;
        self.kept += taken.len() as u64;
        self.groups += 1;
        self.assembly.drawn(taken.into_iter().map(|row| self.rows - batch.num_rows() as u64 + u64::from(row)));
        while self.kept > 2 * self.wanted {
            self.draw = self.draw.halved();
            self.kept = self.assembly.thin(self.draw)?;
        }
        Ok(())
    }

    /// Rows added so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the table.
    ///
    /// # Errors
    /// None in practice; those of putting sampled rows together.
    pub fn finish(self) -> Result<Scanned> {
        self.assembly.finish(self.draw.is_whole())
    }
}
