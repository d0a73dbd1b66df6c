//! A bounded sample of the rows of a table, from places that are spread over its whole length.
//!
//! Of a small table every row is taken. Of a larger one, places are spread over its rows in the order of the commits, so
//! that files of all ages are seen as often as they have rows, and in the row group around each place rows are drawn by
//! a seeded hash. What is read is bounded by the number of places and by bytes, whatever the size of the table.

mod group;

use crate::codec::ROW_GROUP_ROWS;
use crate::error::Error;
use crate::file::DataFile;
use crate::snapshot::Snapshot;
use crate::table::Table;
use arrow::array::RecordBatch;
use std::collections::BTreeMap;

/// How much is drawn and read.
#[derive(Clone, Copy, Debug)]
pub struct SampleOptions {
    /// Rows at most; a table of no more is its own sample.
    pub rows: u64,
    /// Which rows are drawn.
    pub seed: u64,
    /// Places at most that rows are drawn from.
    pub places: u64,
    /// Bytes of row groups read at most, as far as one place allows.
    pub bytes: u64,
}

impl SampleOptions {
    /// So many rows, from at most 96 places and 192 MB.
    #[must_use]
    pub fn new(rows: u64, seed: u64) -> Self {
        Self { rows, seed, places: 96, bytes: 192 << 20 }
    }
}

/// Drawn rows.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The rows, in the order of the table.
    pub batches: Vec<RecordBatch>,
    /// How many they are.
    pub rows: u64,
    /// Whether they are all rows of the table.
    pub whole: bool,
    /// Files that rows were drawn from.
    pub files_read: usize,
}

impl Table {
    /// Draws rows of a version; `None` for `columns` means all. The same version, options and seed give the same rows.
    ///
    /// # Errors
    /// [`Error::Column`] for an unknown column, [`Error::Corrupt`] for a damaged file.
    pub async fn sample(
        &self,
        snapshot: &Snapshot,
        columns: Option<&[&str]>,
        options: &SampleOptions,
    ) -> Result<Sample, Error> {
        let files: Vec<DataFile> = snapshot.files().cloned().collect();
        let few = files.len() as u64 <= options.places && snapshot.num_bytes() <= options.bytes;
        if few && snapshot.num_rows() <= options.rows {
            let batches = self.read_files(&files, columns).await?;
            let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
            return Ok(Sample { batches, rows, whole: true, files_read: files.len() });
        }
        let (places, quota) = places(&files, options);
        let mut drawn = Sample { batches: Vec::new(), rows: 0, whole: false, files_read: places.len() };
        for (file, offsets) in places {
            // Each file has its own draw, so that rows at the same place of two files are not drawn together.
            let draw = group::Drawing { offsets: &offsets, quota, seed: options.seed ^ (file as u64) << 32 };
            let batches = self.draw_from(&files[file], columns, &draw).await?;
            drawn.rows += batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
            drawn.batches.extend(batches);
        }
        Ok(drawn)
    }
}

/// Rows of files, by the place of the file, around which is drawn; and how many rows are drawn for each.
fn places(files: &[DataFile], options: &SampleOptions) -> (BTreeMap<usize, Vec<u64>>, u64) {
    let ends: Vec<u64> =
        files.iter().scan(0, |sum, file| Some(std::mem::replace(sum, *sum + file.rows) + file.rows)).collect();
    let all = ends.last().copied().unwrap_or(0);
    let mut found: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let (mut bytes, mut count) = (0, 0);
    for place in 0..options.places.min(all) {
        // The radical inverse of 0, 1, 2, …: however soon it ends, the places are spread evenly.
        let share = place.reverse_bits();
        let row = ((u128::from(share) * u128::from(all)) >> 64) as u64;
        let file = ends.partition_point(|end| *end <= row);
        let Some(one) = files.get(file) else { continue };
        let first = ends[file] - one.rows;
        if !found.contains_key(&file) || one.rows > ROW_GROUP_ROWS as u64 {
            bytes += one.size.min((u128::from(one.size) * ROW_GROUP_ROWS as u128 / u128::from(one.rows.max(1))) as u64);
        }
        if bytes > options.bytes && count > 0 {
            break;
        }
        found.entry(file).or_default().push(row - first);
        count += 1;
    }
    (found, options.rows.div_ceil(count.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rows: u64, size: u64) -> DataFile {
        DataFile { path: String::new(), size, rows, stats: None }
    }

    #[test]
    fn files_are_seen_as_often_as_they_have_rows() {
        let files = [file(10_000, 1), file(30_000, 1), file(0, 1), file(40_000, 1)];
        let options = SampleOptions { rows: 1_000, seed: 0, places: 64, bytes: 1 << 20 };
        let (found, quota) = places(&files, &options);
        let counts: Vec<(usize, usize)> = found.iter().map(|(file, rows)| (*file, rows.len())).collect();
        assert_eq!((counts, quota), (vec![(0, 8), (1, 24), (3, 32)], 16));
        assert!(found.iter().all(|(at, rows)| rows.iter().all(|row| *row < files[*at].rows)));
    }

    #[test]
    fn bytes_end_the_places_and_what_there_is_stays_spread() {
        let files: Vec<DataFile> = (0..100).map(|_| file(100_000, 10_000_000)).collect();
        let options = SampleOptions { rows: 1_000, seed: 0, places: 64, bytes: 45_000_000 };
        let (found, quota) = places(&files, &options);
        assert_eq!((found.keys().copied().collect::<Vec<_>>(), quota), (vec![0, 25, 50, 75], 250));
        // One place is read, however large.
        let options = SampleOptions { bytes: 1, ..options };
        assert_eq!(places(&files, &options).0.len(), 1);
    }
}
