//! Fetching parts of a file: its end, and then only the columns, row groups and pages that are wanted.

use crate::error::Error;
use crate::file::DataFile;
use crate::table::Table;
use bytes::{Buf as _, Bytes};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelectionPolicy,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use std::ops::Range;
use std::sync::Arc;
use tidemill_storage::Storage;

/// Bytes of the end of a file that are fetched first; a smaller file is fetched whole.
pub(crate) const TAIL: u64 = 128 << 10;

/// A file of which parts are here. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Partial {
    storage: Storage,
    /// Path in the store.
    pub(crate) path: String,
    /// What the footer says, where pages lie included.
    pub(crate) metadata: Arc<ParquetMetaData>,
    parts: Parts,
}

impl Table {
    /// The end of a file, and what its footer says.
    pub(crate) async fn partial(&self, file: &DataFile) -> Result<Partial, Error> {
        let path = self.object(&file.path);
        let mut wanted = TAIL;
        loop {
            let start = file.size.saturating_sub(wanted);
            let bytes = self.storage.get_range(&path, start..file.size).await?;
            let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
            match reader.try_parse_sized(&bytes, file.size).and_then(|()| reader.finish()) {
                Ok(metadata) => {
                    let parts = Parts { length: file.size, held: vec![(start, bytes)] };
                    return Ok(Partial { storage: self.storage.clone(), path, metadata: Arc::new(metadata), parts });
                }
                Err(ParquetError::NeedMoreData(needed)) if needed as u64 > wanted => wanted = needed as u64,
                Err(e) => return Err(Error::Corrupt { path, reason: e.to_string() }),
            }
        }
    }
}

impl Partial {
    /// Fetches columns of row groups, all of them when none are named; of these the pages in which rows lie that are
    /// selected of each row group.
    pub(crate) async fn fetch(
        &mut self,
        groups: &[usize],
        columns: Option<&[String]>,
        selection: Option<&RowSelection>,
    ) -> Result<(), Error> {
        let mut missing = Vec::new();
        for group in groups {
            missing.extend(self.ranges(*group, columns, selection).ok_or_else(|| Error::Corrupt {
                path: self.path.clone(),
                reason: format!("row group {group} lies outside the file"),
            })?);
        }
        missing.retain(|range| self.parts.part(range.clone()).is_none());
        missing.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in missing {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        if joined.is_empty() {
            return Ok(());
        }
        let bytes = self.storage.get_ranges(&self.path, &joined).await?;
        self.parts.held.extend(joined.into_iter().map(|range| range.start).zip(bytes));
        Ok(())
    }

    /// Where the wanted pages lie; `None` when that is no place of the file.
    fn ranges(
        &self,
        group: usize,
        columns: Option<&[String]>,
        selection: Option<&RowSelection>,
    ) -> Option<Vec<Range<u64>>> {
        let schema = self.metadata.file_metadata().schema_descr();
        let is_wanted = |leaf: usize| {
            let name = schema.get_column_root(leaf).name();
            columns.is_none_or(|names| names.iter().any(|wanted| wanted == name))
        };
        let pages = self.metadata.offset_index().and_then(|index| index.get(group)).filter(|index| !index.is_empty());
        let mut ranges = Vec::new();
        for (leaf, chunk) in self.metadata.row_group(group).columns().iter().enumerate() {
            if !is_wanted(leaf) {
                continue;
            }
            let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
            let start = u64::try_from(start).ok()?;
            let end = start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?;
            match (selection, pages.and_then(|pages| pages.get(leaf)).map(|index| index.page_locations())) {
                (Some(selection), Some(locations)) => {
                    let first = locations.first().and_then(|page| u64::try_from(page.offset).ok());
                    // The dictionary stands before the first page.
                    ranges.extend(first.filter(|first| *first > start).map(|first| start..first));
                    ranges.extend(selection.scan_ranges(locations));
                }
                _ => ranges.push(start..end),
            }
        }
        ranges.iter().all(|range| range.start <= range.end && range.end <= self.parts.length).then_some(ranges)
    }

    /// A reader of row groups that were fetched; of their rows those that are selected.
    pub(crate) fn reader(
        &self,
        groups: Vec<usize>,
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReaderBuilder<Parts>, Error> {
        let corrupt = |e: ParquetError| Error::Corrupt { path: self.path.clone(), reason: e.to_string() };
        let metadata =
            ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), ArrowReaderOptions::new()).map_err(corrupt)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.parts.clone(), metadata);
        let builder = builder.with_row_groups(groups).with_row_selection_policy(RowSelectionPolicy::Selectors);
        Ok(match selection {
            Some(selection) => builder.with_row_selection(selection),
            None => builder,
        })
    }
}

/// Stretches of a file, each with where it begins.
#[derive(Clone)]
pub(crate) struct Parts {
    /// Bytes of the whole file.
    length: u64,
    held: Vec<(u64, Bytes)>,
}

impl Parts {
    /// Bytes of one stretch.
    fn part(&self, range: Range<u64>) -> Option<Bytes> {
        let inside = |(start, bytes): &(u64, Bytes)| {
            let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
            let to = usize::try_from(range.end.checked_sub(*start)?).ok()?;
            (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
        };
        self.held.iter().find_map(inside)
    }
}

fn outside(start: u64) -> ParquetError {
    ParquetError::EOF(format!("byte {start} is not part of what was fetched"))
}

impl Length for Parts {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Parts {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let end = |(from, bytes): &(u64, Bytes)| from + bytes.len() as u64;
        let held = self.held.iter().filter(|held| held.0 <= start && start <= end(held)).map(end).max();
        let bytes = held.and_then(|end| self.part(start..end)).ok_or_else(|| outside(start))?;
        Ok(bytes.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.part(start..start.saturating_add(length as u64)).ok_or_else(|| outside(start))
    }
}
