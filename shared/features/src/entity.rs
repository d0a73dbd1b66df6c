//! Entity rows: what predictions are about, by key and knowledge time.
//!
//! An entity can be read from its knowledge time until one lookback after its own instant of prediction
//! (the spec's `as_of`; without one, its knowledge time). That end belongs to the row, not to the clock of
//! the engine, so letting go of rows past it never changes an answer.

use crate::error::FeatureError;
use crate::key::KeyMap;
use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::SchemaRef;

/// Small batches that may pile up before they are joined.
const SMALL_CHUNKS: usize = 64;
/// Rows from which a batch is no longer small.
const SMALL_ROWS: usize = 2_048;

/// One version of an entity row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) known: i64,
    pub(crate) seq: i64,
    pub(crate) row: i32,
    /// Last instant at which the version can be read.
    pub(crate) until: i64,
    /// Number of the row in the store.
    pub(crate) id: u64,
}

struct Chunk {
    start: u64,
    batch: RecordBatch,
}

/// All entity rows that can still be read.
pub(crate) struct Entities {
    schema: SchemaRef,
    /// Sorted by knowledge time, sequence, row.
    pub(crate) versions: KeyMap<Vec<Version>>,
    chunks: Vec<Chunk>,
    next: u64,
    live: usize,
}

impl Entities {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema, versions: KeyMap::default(), chunks: Vec::new(), next: 0, live: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Adds a batch in the store's schema; returns the number of its first row.
    pub(crate) fn append(&mut self, batch: RecordBatch) -> Result<u64, FeatureError> {
        let start = self.next;
        self.next += batch.num_rows() as u64;
        if batch.num_rows() > 0 {
            self.chunks.push(Chunk { start, batch });
        }
        let small = self.chunks.iter().rev().take_while(|c| c.batch.num_rows() < SMALL_ROWS).count();
        if small > SMALL_CHUNKS {
            let joined = self.chunks.split_off(self.chunks.len() - small);
            let first = joined.first().map_or(start, |c| c.start);
            let batch = concat_batches(&self.schema, joined.iter().map(|c| &c.batch))?;
            self.chunks.push(Chunk { start: first, batch });
        }
        Ok(start)
    }

    /// Names a version of an entity; false when it is there already.
    pub(crate) fn insert(&mut self, key: &[u8], version: Version) -> bool {
        let order = |v: &Version| (v.known, v.seq, v.row);
        let Some(versions) = self.versions.get_mut(key) else {
            self.versions.insert(key.into(), vec![version]);
            self.live += 1;
            return true;
        };
        match versions.binary_search_by_key(&order(&version), order) {
            Ok(_) => false,
            Err(at) => {
                versions.insert(at, version);
                self.live += 1;
                true
            }
        }
    }

    /// The version that counted at an instant.
    pub(crate) fn find(&self, key: &[u8], as_of: i64) -> Option<&Version> {
        let versions = self.versions.get(key)?;
        let known_by = versions.partition_point(|v| v.known <= as_of);
        versions[..known_by].last().filter(|v| as_of <= v.until)
    }

    /// Rows by their numbers.
    pub(crate) fn rows(&self, ids: &[u64]) -> Result<RecordBatch, FeatureError> {
        let mut local = vec![usize::MAX; self.chunks.len()];
        let mut batches = Vec::new();
        let mut picks = Vec::with_capacity(ids.len());
        for id in ids {
            let chunk = self.chunks.partition_point(|c| c.start <= *id).saturating_sub(1);
            if local[chunk] == usize::MAX {
                local[chunk] = batches.len();
                batches.push(&self.chunks[chunk].batch);
            }
            let offset = usize::try_from(*id - self.chunks[chunk].start).unwrap_or(usize::MAX);
            picks.push((local[chunk], offset));
        }
        if picks.is_empty() {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        Ok(interleave_record_batch(&batches, &picks)?)
    }

    /// Lets go of versions that no read at or after `floor` can see; returns how many.
    pub(crate) fn evict(&mut self, floor: i64) -> Result<usize, FeatureError> {
        self.shrink(|versions| {
            let known_by = versions.partition_point(|v| v.known <= floor);
            // Of those known by the floor only the newest counts, and only while it can be read.
            let ended = known_by > 0 && versions[known_by - 1].until < floor;
            let drop = if ended { known_by } else { known_by.saturating_sub(1) };
            versions.drain(..drop);
        })
    }

    /// Takes back versions with a sequence after `after`; returns how many.
    pub(crate) fn take_back(&mut self, after: i64) -> Result<usize, FeatureError> {
        self.shrink(|versions| versions.retain(|v| v.seq <= after))
    }

    /// Drops versions of each entity, and the rows that no version names any more once they are many.
    fn shrink(&mut self, drop: impl Fn(&mut Vec<Version>)) -> Result<usize, FeatureError> {
        let before = self.live;
        self.versions.retain(|_, versions| {
            drop(versions);
            !versions.is_empty()
        });
        self.live = self.versions.values().map(Vec::len).sum();
        let stored: usize = self.chunks.iter().map(|c| c.batch.num_rows()).sum();
        if stored > SMALL_ROWS && self.live * 2 < stored {
            self.compact()?;
        }
        Ok(before - self.live)
    }

    /// Writes the rows that are still named into one batch.
    fn compact(&mut self) -> Result<(), FeatureError> {
        let mut live: Vec<&mut Version> = self.versions.values_mut().flatten().collect();
        live.sort_unstable_by_key(|v| v.id);
        let ids: Vec<u64> = live.iter().map(|v| v.id).collect();
        for (position, version) in live.into_iter().enumerate() {
            version.id = position as u64;
        }
        let batch = self.rows(&ids)?;
        self.next = ids.len() as u64;
        self.chunks = if ids.is_empty() { vec![] } else { vec![Chunk { start: 0, batch }] };
        Ok(())
    }
}
