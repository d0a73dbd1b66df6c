//! Durable writes to a local folder.
//!
//! The library's local store leaves flushing to the operating system, so after a power cut a file may exist under
//! its final name and be empty. A table's log must not have such files: content is flushed before the name appears,
//! and the folder after.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Distinguishes temporary files of one process; its id distinguishes processes.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What to do when the name is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Replace,
    Keep,
}

/// Writes a file under its final name, complete and flushed; false when it exists and is to be kept.
pub(crate) fn write(target: &Path, content: &[u8], existing: Existing) -> io::Result<bool> {
    let folder = target.parent().ok_or_else(|| io::Error::other("a file without a folder"))?;
    fs::create_dir_all(folder)?;
    if existing == Existing::Keep && target.exists() {
        return Ok(false);
    }
    let temporary = temporary(target);
    let written = write_and_name(&temporary, target, content, existing);
    if !matches!(written, Ok(true)) || existing == Existing::Keep {
        // The link keeps the content; a missing temporary file is what we want anyway.
        let _ = fs::remove_file(&temporary);
    }
    if matches!(written, Ok(true)) {
        File::open(folder)?.sync_all()?;
    }
    written
}

fn write_and_name(temporary: &Path, target: &Path, content: &[u8], existing: Existing) -> io::Result<bool> {
    let mut file = File::create_new(temporary)?;
    file.write_all(content)?;
    file.sync_data()?;
    if existing == Existing::Replace {
        return fs::rename(temporary, target).map(|()| true);
    }
    // A hard link fails when the name exists, on every Unix file system: the atomic create.
    match fs::hard_link(temporary, target) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

/// Beside the target; a `#` and a number at the end is what the library's listing hides as unfinished.
fn temporary(target: &Path) -> PathBuf {
    let number = (u64::from(std::process::id()) << 32) | (NEXT.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff);
    let mut name = target.as_os_str().to_owned();
    name.push(format!("#{number}"));
    PathBuf::from(name)
}
