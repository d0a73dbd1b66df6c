//! Drawing rows from row groups of one file, of which only the wanted bytes are fetched.

use crate::codec::FileReader;
use crate::error::Error;
use crate::file::DataFile;
use crate::table::{Table, blocking};
use arrow::array::RecordBatch;
use bytes::{Buf as _, Bytes};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_stats::sample::Draw;

/// Bytes of the end of a file that are fetched first; a smaller file is fetched whole.
const TAIL: u64 = 512 << 10;

/// What to draw from a file.
pub(super) struct Drawing<'a> {
    /// Rows of the file around which is drawn.
    pub(super) offsets: &'a [u64],
    /// Rows for each of them.
    pub(super) quota: u64,
    /// Which rows.
    pub(super) seed: u64,
}

impl Table {
    /// Rows of the row groups in which the offsets lie.
    pub(super) async fn draw_from(
        &self,
        file: &DataFile,
        columns: Option<&[&str]>,
        drawing: &Drawing<'_>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let path = self.object(&file.path);
        let (tail, metadata) = self.footer(file, &path).await?;
        let mut batches = Vec::new();
        for (group, times) in groups(&metadata, drawing.offsets) {
            let held = metadata.row_group(group);
            let (from, to) = span(held).filter(|(_, to)| *to <= file.size).ok_or_else(|| Error::Corrupt {
                path: path.clone(),
                reason: format!("row group {group} lies outside the file"),
            })?;
            let bytes = match from.checked_sub(tail.start) {
                Some(at) => tail.bytes.slice(at as usize..(to - tail.start) as usize),
                None => self.storage.get_range(&path, from..to).await?,
            };
            let fetched = Fetched { length: file.size, start: from, bytes };
            let rows = held.num_rows().unsigned_abs();
            let drawn = Draw::of(rows, times * drawing.quota, drawing.seed ^ group as u64).rows(0, rows);
            let (metadata, path, schema) = (Arc::clone(&metadata), path.clone(), self.schema());
            let columns: Option<Vec<String>> =
                columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            let read = move || {
                let corrupt = |e: ParquetError| Error::Corrupt { path: path.clone(), reason: e.to_string() };
                let metadata = ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new()).map_err(corrupt)?;
                let wanted = drawn.iter().map(|row| *row as usize..*row as usize + 1);
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(fetched, metadata)
                    .with_row_groups(vec![group])
                    .with_row_selection(RowSelection::from_consecutive_ranges(wanted, rows as usize));
                FileReader::over(&path, builder, columns.as_deref(), Some(&schema))?.rest()
            };
            batches.extend(blocking(read).await?);
        }
        Ok(batches)
    }

    /// The end of a file, and what its footer says.
    async fn footer(&self, file: &DataFile, path: &str) -> Result<(Fetched, Arc<ParquetMetaData>), Error> {
        let mut wanted = TAIL;
        loop {
            let start = file.size.saturating_sub(wanted);
            let bytes = self.storage.get_range(path, start..file.size).await?;
            let mut reader = ParquetMetaDataReader::new();
            match reader.try_parse_sized(&bytes, file.size).and_then(|()| reader.finish()) {
                Ok(metadata) => return Ok((Fetched { length: file.size, start, bytes }, Arc::new(metadata))),
                Err(ParquetError::NeedMoreData(needed)) if needed as u64 > wanted => wanted = needed as u64,
                Err(e) => return Err(Error::Corrupt { path: path.to_owned(), reason: e.to_string() }),
            }
        }
    }
}

/// Row groups in which rows lie, and how many of the rows.
fn groups(metadata: &ParquetMetaData, offsets: &[u64]) -> BTreeMap<usize, u64> {
    let mut found = BTreeMap::new();
    for offset in offsets {
        let mut end = 0;
        let holds = |group: &RowGroupMetaData| {
            end += group.num_rows().unsigned_abs();
            *offset < end
        };
        if let Some(group) = metadata.row_groups().iter().position(holds) {
            *found.entry(group).or_default() += 1;
        }
    }
    found
}

/// First byte of a row group and the one behind its last.
fn span(group: &RowGroupMetaData) -> Option<(u64, u64)> {
    let of = |chunk: &parquet::file::metadata::ColumnChunkMetaData| {
        let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
        let start = u64::try_from(start).ok()?;
        Some((start, start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?))
    };
    group.columns().iter().try_fold((u64::MAX, 0), |(low, high), chunk| {
        let (start, end) = of(chunk)?;
        Some((low.min(start), high.max(end)))
    })
}

/// A stretch of a file.
#[derive(Clone)]
struct Fetched {
    /// Bytes of the whole file.
    length: u64,
    /// Where the stretch begins.
    start: u64,
    bytes: Bytes,
}

impl Fetched {
    fn part(&self, start: u64, length: Option<usize>) -> ParquetResult<Bytes> {
        let outside = || ParquetError::EOF(format!("byte {start} is not part of the row group"));
        let from = usize::try_from(start.checked_sub(self.start).ok_or_else(outside)?).map_err(|_| outside())?;
        let to = length.map_or(Some(self.bytes.len()), |length| from.checked_add(length)).ok_or_else(outside)?;
        if from > to || to > self.bytes.len() {
            return Err(outside());
        }
        Ok(self.bytes.slice(from..to))
    }
}

impl Length for Fetched {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Fetched {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.part(start, None)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.part(start, Some(length))
    }
}
