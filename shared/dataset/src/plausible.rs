//! What the footer of a Parquet file declares, held against the size of the file before anything is decoded.

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use std::fmt;

/// Bytes that a column chunk may declare for each byte it takes in the file.
const MOST_RATIO: i64 = 4_000;
/// Bytes that a column chunk may declare whatever its ratio.
const SMALL: i64 = 64 << 20;
/// Rows that a row group may declare for each byte it takes in the file.
const MOST_ROWS_PER_BYTE: i64 = 100_000;

/// Why a footer is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Implausible {
    /// Number of the row group, from 0.
    pub group: usize,
    /// What it declares.
    pub reason: String,
    /// Whether it is more than its bytes can hold, rather than nothing that can be.
    pub is_bomb: bool,
}

impl fmt::Display for Implausible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row group {}: {}", self.group, self.reason)
    }
}

/// Whether a file of `length` bytes can hold what its footer declares: no more rows and bytes than compression
/// explains, and column chunks that lie in the file.
///
/// # Errors
/// The first row group that cannot be as declared.
pub fn plausible(footer: &ParquetMetaData, length: u64) -> Result<(), Implausible> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    for (group, declared) in footer.row_groups().iter().enumerate() {
        plausible_group(declared, length).map_err(|(reason, is_bomb)| Implausible { group, reason, is_bomb })?;
    }
    Ok(())
}

/// Why not, and whether it is a bomb.
type Verdict = Result<(), (String, bool)>;

fn plausible_group(group: &RowGroupMetaData, length: i64) -> Verdict {
    let rows = group.num_rows();
    if rows < 0 {
        return Err((format!("it declares {rows} rows"), false));
    }
    let taken: i64 = group.columns().iter().map(|chunk| chunk.compressed_size().max(0)).fold(0, i64::saturating_add);
    if rows / MOST_ROWS_PER_BYTE > taken {
        return Err((format!("it declares {rows} rows in {taken} bytes"), true));
    }
    group.columns().iter().try_for_each(|chunk| plausible_chunk(chunk, length))
}

fn plausible_chunk(chunk: &ColumnChunkMetaData, length: i64) -> Verdict {
    let (taken, declared) = (chunk.compressed_size(), chunk.uncompressed_size());
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset()).min(chunk.data_page_offset());
    let name = chunk.column_path().string();
    if start < 0 || taken < 0 || declared < 0 || start.checked_add(taken).is_none_or(|end| end > length) {
        return Err((format!("column \"{name}\" ends beyond the end of the file: it was cut off or altered"), false));
    }
    if declared > SMALL && declared / MOST_RATIO > taken {
        let reason = format!("column \"{name}\" declares {declared} bytes in {taken}: it would burst the memory");
        return Err((reason, true));
    }
    Ok(())
}
