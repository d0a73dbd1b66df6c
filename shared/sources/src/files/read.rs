//! A copied file into pieces, whatever its format.
//!
//! A file is read twice: once to the end to see that all of it can be read, then to publish. So a file that is cut
//! off in its last line leaves nothing behind.

use crate::error::{Error, Fault, FaultKind, Result};
use crate::files::{Scratch, arrow_ipc, csv, jsonl, parquet};
use crate::message::Piece;
use crate::text::{Rules, Sink};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidemill_conform::{Conform, MessageIn};
use tidemill_spec::{RowFormat, Source};
use tidemill_types::Millis;

/// How a file is compressed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
}

/// What the name of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) format: RowFormat,
    pub(crate) compression: Option<Compression>,
}

/// Format and compression by the ending of a name; `None` when it says no format.
pub(crate) fn format_of(path: &str) -> Option<Named> {
    let lower = path.to_ascii_lowercase();
    let (stem, compression) = compression_of(&lower);
    let format = match stem.rsplit('.').next()? {
        "csv" => RowFormat::Csv,
        "jsonl" | "ndjson" => RowFormat::Jsonl,
        "parquet" => RowFormat::Parquet,
        "arrow" | "arrows" | "feather" | "ipc" => RowFormat::Arrow,
        _ => return None,
    };
    Some(Named { format, compression })
}

/// Compression by the ending of a name, and the name without it.
pub(crate) fn compression_of(lower: &str) -> (&str, Option<Compression>) {
    if let Some(stem) = lower.strip_suffix(".gz") {
        return (stem, Some(Compression::Gzip));
    }
    match lower.strip_suffix(".zst") {
        Some(stem) => (stem, Some(Compression::Zstd)),
        None => (lower, None),
    }
}

/// Reads all rows; those before `skip` are counted and left out. Returns the number of rows.
pub(crate) fn rows(
    scratch: &Scratch,
    format: RowFormat,
    rules: &Rules,
    skip: u64,
    sink: Sink<'_>,
) -> std::result::Result<u64, Fault> {
    let file = || -> std::result::Result<File, Fault> {
        use std::io::{Seek as _, SeekFrom};
        let lost = |e: std::io::Error| Fault::new(FaultKind::Damaged, e.to_string(), "see the disk of this machine");
        let mut file = scratch.file.try_clone().map_err(lost)?;
        file.seek(SeekFrom::Start(0)).map_err(lost)?;
        Ok(file)
    };
    match format {
        RowFormat::Csv => csv::read(file()?, rules, skip, sink),
        RowFormat::Jsonl => jsonl::read(file()?, rules, skip, sink),
        RowFormat::Parquet => guarded(|| parquet::read(file()?, scratch.size, rules, skip, sink)),
        RowFormat::Arrow => guarded(|| arrow_ipc::read(file()?, scratch.size, rules, skip, sink)),
        RowFormat::Json => Err(Fault::new(FaultKind::Format, "a JSON document is no file of rows", "write JSON lines")),
    }
}

/// Decoders of binary formats have panicked on damaged input before; nothing is shared with them.
fn guarded(read: impl FnOnce() -> std::result::Result<u64, Fault>) -> std::result::Result<u64, Fault> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Fault::new(FaultKind::Damaged, "the decoder gave up on the data", "write the file again"))
    })
}

/// Reads a whole file without keeping anything and says how many rows it has. A file none of whose first rows fits
/// the declared columns is refused with the reason of the first: it is another file than was meant.
pub(crate) fn check(
    scratch: &Scratch,
    format: RowFormat,
    rules: &Rules,
    source: &Source,
) -> std::result::Result<u64, Fault> {
    let conform = Conform::new(&source.conform_schema())
        .map_err(|e| Fault::new(FaultKind::Schema, e.to_string(), "mend the source in the project file"))?;
    let mut misfit = None;
    let mut is_first = true;
    let rows = rows(scratch, format, rules, 0, &mut |piece| {
        if std::mem::take(&mut is_first) {
            misfit = none_fits(&conform, &piece);
        }
        true
    })?;
    misfit.map_or(Ok(rows), Err)
}

fn none_fits(conform: &Conform, piece: &Piece) -> Option<Fault> {
    let message =
        MessageIn { seq: 1, content_type: piece.content_type, event_id: "", arrived_at: Millis(0), body: &piece.body };
    let conformed = conform.message(&message);
    let reject = conformed.rejects.first().filter(|_| conformed.batch.is_none())?;
    let reason = format!("none of the first {} rows fits: {} {}", piece.rows, reject.code, reject.reason);
    let mut fault = Fault::new(FaultKind::Schema, reason, "mend the columns or the text form of the source");
    fault.position.clone_from(&reject.position);
    Some(fault)
}

/// Runs file work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::Task(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_say_format_and_compression() {
        let named = |path| format_of(path).map(|named| (named.format, named.compression));
        assert_eq!(named("in/A.CSV"), Some((RowFormat::Csv, None)));
        assert_eq!(named("a.jsonl.gz"), Some((RowFormat::Jsonl, Some(Compression::Gzip))));
        assert_eq!(named("a.parquet.zst"), Some((RowFormat::Parquet, Some(Compression::Zstd))));
        assert_eq!(named("a.feather"), Some((RowFormat::Arrow, None)));
        assert_eq!(named("README.md"), None);
    }
}
