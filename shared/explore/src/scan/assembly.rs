//! Parts of a table put together in the order of their groups.

use super::{Part, Scanned, plain_type};
use crate::error::Result;
use crate::repeats::{MOST_ROWS, RowWords, repeats};
use crate::sample::Draw;
use crate::times::TimeFacts;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_empty_array};
use arrow::compute::{concat, filter};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_stats::{ColumnProfile, Kind, TableProfile};

/// Share of different values from which on a column may be a key.
const KEY_SHARE: f64 = 0.9;
/// Columns whose instants are kept at most.
const TIMES: usize = 4;
/// Words of possible keys that are kept at most, over all columns.
const KEY_WORDS: u64 = 40_000_000;

/// A table in the making.
#[derive(Debug)]
pub(crate) struct Assembly {
    columns: Vec<Growing>,
    rows: Option<RowWords>,
    total: u64,
    /// Numbers of the sampled rows, where they are thinned out later.
    drawn: Vec<u64>,
}

/// A column in the making.
#[derive(Debug)]
struct Growing {
    field: Field,
    profile: ColumnProfile,
    next: usize,
    waiting: BTreeMap<usize, Part>,
    /// Words of all values, while the column may be a key.
    key: Option<Vec<u64>>,
    /// Rows up to which they are kept.
    key_rows: u64,
    instants: Option<Vec<i64>>,
    sampled: Vec<ArrayRef>,
}

impl Growing {
    fn take(&mut self, part: Part) -> Result<()> {
        self.profile.merge(&part.profile)?;
        self.sampled.extend(part.sampled);
        if self.profile.count > MOST_ROWS {
            self.instants = None;
        }
        if let Some(instants) = &mut self.instants {
            instants.extend(part.instants);
        }
        if let Some(key) = &mut self.key {
            key.extend(part.words);
        }
        if self.profile.count > self.key_rows || !self.may_be_key() {
            self.key = None;
        }
        Ok(())
    }

    fn may_be_key(&self) -> bool {
        let present = self.profile.present() as f64;
        present > 0.0 && self.profile.distinct.estimate() >= KEY_SHARE * present
    }
}

impl Assembly {
    /// `expected` rows, or zero when their number is unknown.
    pub(crate) fn new(fields: &[Field], expected: u64) -> Self {
        let mut instants = 0;
        let is_key =
            |field: &Field| Kind::of(field.data_type()) == Kind::Text || plain_type(field.data_type()).is_integer();
        let key_rows = KEY_WORDS / fields.iter().filter(|field| is_key(field)).count().max(1) as u64;
        let grow = |field: &Field| {
            let kind = Kind::of(field.data_type());
            let is_time = kind == Kind::Instant && instants < TIMES;
            instants += usize::from(is_time);
            Growing {
                field: field.clone(),
                profile: ColumnProfile::new(field.name(), kind),
                next: 0,
                waiting: BTreeMap::new(),
                key: is_key(field).then(Vec::new),
                key_rows: key_rows.min(MOST_ROWS),
                instants: is_time.then(Vec::new),
                sampled: Vec::new(),
            }
        };
        let columns = fields.iter().map(grow).collect();
        let rows = (expected <= MOST_ROWS).then(RowWords::default);
        Self { columns, rows, total: 0, drawn: Vec::new() }
    }

    /// Adds a column of a group whose first row is `start`.
    pub(crate) fn add(&mut self, group: usize, column: usize, start: u64, mut part: Part) -> Result<()> {
        let count = part.profile.count;
        if column == 0 {
            self.total += count;
        }
        if start + count > MOST_ROWS {
            self.rows = None;
        }
        if let Some(rows) = &mut self.rows {
            rows.add(start as usize, column, &part.words);
        }
        let growing = &mut self.columns[column];
        if growing.key.is_none() {
            part.words = Vec::new();
        }
        growing.waiting.insert(group, part);
        while let Some(part) = growing.waiting.remove(&growing.next) {
            growing.take(part)?;
            growing.next += 1;
        }
        Ok(())
    }

    /// Notes which rows were sampled.
    pub(crate) fn drawn(&mut self, rows: impl Iterator<Item = u64>) {
        self.drawn.extend(rows);
    }

    /// Keeps the sampled rows that a smaller draw takes, and says how many they are.
    pub(crate) fn thin(&mut self, draw: Draw) -> Result<u64> {
        let mask = BooleanArray::from_iter(self.drawn.iter().map(|row| Some(draw.takes(*row))));
        for growing in &mut self.columns {
            let sampled = joined(&growing.field, &growing.sampled)?;
            growing.sampled = vec![filter(&sampled, &mask)?];
        }
        self.drawn.retain(|row| draw.takes(*row));
        Ok(self.drawn.len() as u64)
    }

    pub(crate) fn finish(self, whole: bool) -> Result<Scanned> {
        let mut profile = TableProfile { rows: self.total, columns: Vec::new() };
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        let (mut keys, mut times) = (Vec::new(), Vec::new());
        for growing in self.columns {
            let name = growing.field.name();
            let sampled = joined(&growing.field, &growing.sampled)?;
            fields.push(Field::new(name, sampled.data_type().clone(), true));
            arrays.push(sampled);
            let complete = growing.key.filter(|words| words.len() as u64 == growing.profile.count);
            if let Some(words) = complete.filter(|_| growing.profile.nulls + growing.profile.nans == 0) {
                keys.push((name.clone(), repeats(words)));
            }
            if let Some(instants) = growing.instants.filter(|instants| !instants.is_empty()) {
                times.push(TimeFacts::of(name, instants));
            }
            profile.columns.push(growing.profile);
        }
        let rows = arrays.first().map_or(0, |array| array.len());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let sample = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        let repeated = self.rows.map(|rows| repeats(rows.into_words()));
        Ok(Scanned { profile, sample, whole, rows: repeated, keys, times })
    }
}

fn joined(field: &Field, arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let data_type: DataType = plain_type(field.data_type());
    let parts: Vec<&dyn arrow::array::Array> = arrays.iter().map(AsRef::as_ref).collect();
    Ok(if parts.is_empty() { new_empty_array(&data_type) } else { concat(&parts)? })
}
