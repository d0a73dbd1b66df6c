//! Memory of `unique` rules: which keys were taken, and by which row.
//!
//! A key is kept as the 128-bit XXH3 of its values: two different keys share one with a probability below
//! 10^-25 among a million. The memory is bounded: past the capacity the keys taken first are forgotten, in the
//! order in which rows were accepted, so that every consumer of the same stream forgets alike. A row that is
//! checked again (same sequence and row number) is not its own duplicate.

use crate::error::QualityError;
use crate::rule::{Check, Rules, column};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use std::collections::{HashMap, VecDeque};
use tidemill_types::{Digest, columns};
use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8; 4] = b"TMUQ";
const DIGEST_BYTES: usize = 64;
const ENTRY_BYTES: usize = 28;

/// The row that took a key.
pub(crate) type Owner = (i64, i32);

/// Keys taken so far, for every `unique` rule of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct UniqueState {
    /// Digest of the rules' ids and columns.
    pub(crate) rules: Digest,
    capacity: usize,
    pub(crate) taken: Vec<Taken>,
}

/// Keys of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    owners: HashMap<u128, Owner>,
    /// Keys from the first to the last taken.
    order: VecDeque<u128>,
}

impl Taken {
    /// Whether another row holds the key.
    pub(crate) fn by_other(&self, key: u128, owner: Owner) -> bool {
        self.owners.get(&key).is_some_and(|holder| *holder != owner)
    }

    /// Takes a key unless it is taken; the first row wins.
    fn take(&mut self, key: u128, owner: Owner, capacity: usize) -> Option<Undo> {
        if self.owners.contains_key(&key) {
            return None;
        }
        self.owners.insert(key, owner);
        self.order.push_back(key);
        let oldest = if self.order.len() > capacity { self.order.pop_front() } else { None };
        let forgotten = oldest.and_then(|oldest| self.owners.remove(&oldest).map(|owner| (oldest, owner)));
        Some(Undo { forgotten })
    }

    /// Takes the newest key back.
    fn undo(&mut self, undo: Undo) {
        if let Some(key) = self.order.pop_back() {
            self.owners.remove(&key);
        }
        if let Some((key, owner)) = undo.forgotten {
            self.order.push_front(key);
            self.owners.insert(key, owner);
        }
    }
}

/// How to take the newest key back.
pub(crate) struct Undo {
    /// The key that was forgotten for it.
    forgotten: Option<(u128, Owner)>,
}

impl UniqueState {
    /// Keys remembered per rule unless said otherwise; about 100 bytes each.
    pub const CAPACITY: usize = 4_000_000;

    /// Nothing taken yet, with room for `capacity` keys per rule (at least one).
    #[must_use]
    pub fn new(rules: &Rules, capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let taken = unique_rules(rules).map(|_| Taken::default()).collect();
        Self { rules: digest(rules), capacity, taken }
    }

    /// Number of keys remembered, over all rules.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.iter().map(|t| t.order.len()).sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Remembers rows that were accepted elsewhere, such as those of the clean table at a start.
    ///
    /// # Errors
    /// A batch without the columns of the rules or the system columns.
    pub fn remember(&mut self, rules: &Rules, accepted: &RecordBatch) -> Result<(), QualityError> {
        self.belongs_to(rules)?;
        let owners = owners(accepted)?;
        let keys = unique_rules(rules).map(|columns| keys(accepted, columns)).collect::<Result<Vec<_>, _>>()?;
        for (row, owner) in owners.into_iter().enumerate() {
            for (rule, keys) in keys.iter().enumerate() {
                let _ = self.take(rule, keys[row], owner);
            }
        }
        Ok(())
    }

    pub(crate) fn belongs_to(&self, rules: &Rules) -> Result<(), QualityError> {
        if self.rules == digest(rules) { Ok(()) } else { Err(QualityError::OtherRules) }
    }

    /// Takes a key for a row under a rule; returns how to undo it when something changed.
    pub(crate) fn take(&mut self, rule: usize, key: Option<u128>, owner: Owner) -> Option<Undo> {
        self.taken.get_mut(rule)?.take(key?, owner, self.capacity)
    }

    /// Undoes what was taken, the newest first.
    pub(crate) fn undo(&mut self, taken: Vec<(usize, Undo)>) {
        for (rule, undo) in taken.into_iter().rev() {
            if let Some(taken) = self.taken.get_mut(rule) {
                taken.undo(undo);
            }
        }
    }

    /// The state as bytes: `TMUQ`, rules digest, capacity, keys with their owners, SHA-256 of all that.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(self.rules.as_str().as_bytes());
        bytes.extend_from_slice(&(self.capacity as u64).to_le_bytes());
        for taken in &self.taken {
            bytes.extend_from_slice(&(taken.order.len() as u64).to_le_bytes());
            for key in &taken.order {
                let (seq, row) = taken.owners.get(key).copied().unwrap_or_default();
                bytes.extend_from_slice(&key.to_le_bytes());
                bytes.extend_from_slice(&seq.to_le_bytes());
                bytes.extend_from_slice(&row.to_le_bytes());
            }
        }
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.as_str().as_bytes());
        bytes
    }

    /// Reads what [`UniqueState::to_bytes`] wrote.
    ///
    /// # Errors
    /// Damaged bytes, or keys of other rules.
    pub fn from_bytes(rules: &Rules, bytes: &[u8]) -> Result<Self, QualityError> {
        let content = bytes.len().checked_sub(DIGEST_BYTES).ok_or(QualityError::Damaged("too short"))?;
        let (content, sum) = bytes.split_at(content);
        if Digest::of(content).as_str().as_bytes() != sum {
            return Err(QualityError::Damaged("the digest is wrong"));
        }
        let mut reader = Reader(content);
        if reader.take::<4>()? != *MAGIC {
            return Err(QualityError::Damaged("it does not start with TMUQ"));
        }
        if reader.take::<DIGEST_BYTES>()? != *digest(rules).as_str().as_bytes() {
            return Err(QualityError::OtherRules);
        }
        let capacity = reader.length()?;
        let mut state = Self::new(rules, capacity);
        for taken in &mut state.taken {
            let entries = reader.length()?;
            if entries > reader.0.len() / ENTRY_BYTES {
                return Err(QualityError::Damaged("keys are cut off"));
            }
            for _ in 0..entries {
                let key = u128::from_le_bytes(reader.take()?);
                let owner = (i64::from_le_bytes(reader.take()?), i32::from_le_bytes(reader.take()?));
                taken.take(key, owner, capacity);
            }
        }
        Ok(state)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], QualityError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(QualityError::Damaged("too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn length(&mut self) -> Result<usize, QualityError> {
        usize::try_from(u64::from_le_bytes(self.take()?)).map_err(|_| QualityError::Damaged("a length is too large"))
    }
}

/// Columns of the `unique` rules, in the order of the rules.
pub(crate) fn unique_rules(rules: &Rules) -> impl Iterator<Item = &[String]> {
    rules.rules.iter().filter_map(|rule| match &rule.check {
        Check::Unique(columns) => Some(columns.as_slice()),
        _ => None,
    })
}

fn digest(rules: &Rules) -> Digest {
    Digest::of(format!("{:?}", unique_rules(rules).collect::<Vec<_>>()).as_bytes())
}

/// Stream position of every row.
pub(crate) fn owners(batch: &RecordBatch) -> Result<Vec<Owner>, QualityError> {
    let seq = cast(column(batch, columns::SEQ)?, &DataType::Int64)?;
    let row = cast(column(batch, columns::ROW)?, &DataType::Int32)?;
    let (seq, row): (&Int64Array, &Int32Array) = (seq.as_primitive::<Int64Type>(), row.as_primitive::<Int32Type>());
    Ok(seq.values().iter().copied().zip(row.values().iter().copied()).collect())
}

/// Key of every row; `None` when a component is null, for null equals nothing.
pub(crate) fn keys(batch: &RecordBatch, names: &[String]) -> Result<Vec<Option<u128>>, QualityError> {
    let columns = names.iter().map(|name| Cells::of(column(batch, name)?)).collect::<Result<Vec<_>, _>>()?;
    let mut bytes = Vec::new();
    let mut key = |row| {
        bytes.clear();
        let present = columns.iter().all(|cells| cells.append(row, &mut bytes));
        present.then(|| xxh3_128(&bytes))
    };
    Ok((0..batch.num_rows()).map(&mut key).collect())
}

enum Cells {
    Text(StringArray),
    Flag(BooleanArray),
    Float(Float64Array),
    Integer(Int64Array),
}

impl Cells {
    fn of(array: &ArrayRef) -> Result<Self, QualityError> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string::<i32>().clone()),
            DataType::Boolean => Self::Flag(array.as_boolean().clone()),
            float if float.is_floating() => {
                Self::Float(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            _ => Self::Integer(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone()),
        })
    }

    /// Appends the bytes of one value; false when it is null.
    fn append(&self, row: usize, bytes: &mut Vec<u8>) -> bool {
        match self {
            Self::Text(array) => {
                // The length keeps ("ab", "c") apart from ("a", "bc").
                bytes.extend_from_slice(&(array.value(row).len() as u64).to_le_bytes());
                bytes.extend_from_slice(array.value(row).as_bytes());
                array.is_valid(row)
            }
            Self::Flag(array) => {
                bytes.push(u8::from(array.value(row)));
                array.is_valid(row)
            }
            Self::Float(array) => {
                // Adding zero makes one value of −0 and +0.
                bytes.extend_from_slice(&(array.value(row) + 0.0).to_le_bytes());
                array.is_valid(row)
            }
            Self::Integer(array) => {
                bytes.extend_from_slice(&array.value(row).to_le_bytes());
                array.is_valid(row)
            }
        }
    }
}
