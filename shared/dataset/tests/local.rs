//! Local Parquet files: read by column, and refused before they can do harm.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidemill_dataset::{Error, LocalParquet};

const ROWS: usize = 10_000;

fn rows() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let few: ArrayRef = Arc::new(StringArray::from_iter((0..ROWS).map(|i| (i % 7 > 0).then(|| format!("v{}", i % 5)))));
    let many: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(|i| format!("{i:032}"))));
    let real: ArrayRef = Arc::new(Float64Array::from_iter_values((0..ROWS).map(|i| i as f64 / 7.0)));
    RecordBatch::try_from_iter([("id", ids), ("few", few), ("many", many), ("real", real)]).unwrap()
}

fn written(folder: &Path) -> PathBuf {
    let path = folder.join("rows.parquet");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(4_000))
        .set_dictionary_page_size_limit(20_000)
        .build();
    let rows = rows();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    path
}

fn read(file: &LocalParquet, group: usize, column: usize) -> Result<Vec<ArrayRef>, Error> {
    let mut arrays = Vec::new();
    file.read::<Error>(group, column, &mut |array| {
        arrays.push(Arc::clone(array));
        Ok(())
    })?;
    Ok(arrays)
}

fn read_all(path: &Path) -> Result<usize, Error> {
    let file = LocalParquet::open(path)?;
    let mut rows = 0;
    for group in 0..file.row_groups().len() {
        for column in 0..file.schema().fields().len() {
            rows += read(&file, group, column)?.iter().map(|array| array.len()).sum::<usize>();
        }
    }
    Ok(rows)
}

#[test]
fn columns_come_by_row_group_and_repeated_texts_as_dictionaries() {
    let folder = tempfile::tempdir().unwrap();
    let file = LocalParquet::open(&written(folder.path())).unwrap();
    assert_eq!(file.row_groups(), [4_000, 4_000, 2_000]);
    let ids = read(&file, 2, 0).unwrap();
    assert_eq!(ids[0].as_primitive::<Int64Type>().value(0), 8_000);
    let few = read(&file, 0, 1).unwrap();
    assert!(matches!(few[0].data_type(), DataType::Dictionary(..)), "{}", few[0].data_type());
    assert_eq!(few[0].as_any_dictionary().values().len(), 5);
    let many = read(&file, 0, 2).unwrap();
    assert_eq!((many[0].data_type(), many[0].as_string_view().value(9)), (&DataType::Utf8View, &*format!("{:032}", 9)));
}

#[test]
fn threads_read_one_file_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let file = LocalParquet::open(&written(folder.path())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for group in (0..3).cycle().take(30) {
                    let ids = read(&file, group, 0).unwrap();
                    assert_eq!(ids[0].as_primitive::<Int64Type>().value(3), group as i64 * 4_000 + 3);
                }
            });
        }
    });
}

#[test]
fn a_file_cut_off_anywhere_is_damaged_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path());
    let whole = std::fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(whole.len() / 40) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(read_all(&path), Err(Error::Corrupt { .. })), "{length} bytes");
    }
    for at in (4..whole.len()).step_by(211) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        std::fs::write(&path, &bytes).unwrap();
        // A flipped bit in a value cannot be seen without a checksum; anything else is refused.
        assert!(matches!(read_all(&path), Ok(_) | Err(Error::Corrupt { .. })), "byte {at}");
    }
}

/// The file with another footer.
fn forged(path: &Path, forge: impl Fn(ColumnChunkMetaData) -> ColumnChunkMetaData, rows: Option<i64>) {
    let bytes = std::fs::read(path).unwrap();
    let found = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap().metadata().clone();
    let groups = found.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|column| forge(column.clone())).collect();
        let group = group.clone().into_builder().set_column_metadata(columns);
        let group = match rows {
            Some(rows) => group.set_num_rows(rows),
            None => group,
        };
        group.build().unwrap()
    });
    let forged = ParquetMetaData::new(found.file_metadata().clone(), groups.collect());
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let mut out = bytes[..bytes.len() - 8 - length].to_vec();
    ParquetMetaDataWriter::new(&mut out, &forged).finish().unwrap();
    std::fs::write(path, out).unwrap();
}

#[test]
fn a_footer_that_declares_the_impossible_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |forge: &dyn Fn(ColumnChunkMetaData) -> ColumnChunkMetaData, rows, wanted: &str| {
        let path = written(folder.path());
        forged(&path, forge, rows);
        let begin = std::time::Instant::now();
        match LocalParquet::open(&path) {
            Err(Error::Corrupt { reason, .. }) => assert!(reason.contains(wanted), "{reason}"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("a file that declares the impossible was opened"),
        }
        assert!(begin.elapsed().as_secs() < 5);
    };
    let bomb = |chunk: ColumnChunkMetaData| chunk.into_builder().set_total_uncompressed_size(1 << 50).build().unwrap();
    refused(&bomb, None, "burst the memory");
    refused(&|chunk| chunk, Some(1 << 60), "rows in");
    refused(&|chunk| chunk, Some(-5), "-5 rows");
    let beyond = |chunk: ColumnChunkMetaData| chunk.into_builder().set_total_compressed_size(1 << 40).build().unwrap();
    refused(&beyond, None, "beyond the end of the file");
}
