//! Log messages on disk while the bus is away. One file a message, named so that names sort by age.
//!
//! A file that bears its final name is complete and on the disk. All calls block: run them off the network
//! threads.

use crate::error::Error;
use bytes::Bytes;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

const SUFFIX: &str = "arrow";
const REFUSED: &str = "refused";

/// A folder of messages.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
}

/// One message on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolFile {
    /// Id of the message, in time order (version 7).
    pub id: Uuid,
    /// Predictions in it.
    pub rows: u64,
    path: PathBuf,
}

impl Spool {
    /// Opens a folder, made when absent, and clears away what a crash left half written.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(failed(folder))?;
        for path in paths(folder)? {
            if path.extension().is_some_and(|e| e == "tmp") {
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Messages on disk, the oldest first. Files of other names are left alone.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<SpoolFile>, Error> {
        let mut files: Vec<_> = paths(&self.folder)?.into_iter().filter_map(parse).collect();
        files.sort_by_key(|f| f.id);
        Ok(files)
    }

    /// Stores a message; it is on the disk when this returns.
    ///
    /// # Errors
    /// When the disk does not take it; then nothing is left under the final name.
    pub fn write(&self, id: Uuid, rows: u64, body: &[u8]) -> Result<(), Error> {
        let path = self.folder.join(format!("{id}.{rows}.{SUFFIX}"));
        let draft = self.folder.join(format!("{id}.tmp"));
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(body)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            // The new name is durable only when the folder is.
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(failed(&path))
    }

    /// The body of a message.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self, file: &SpoolFile) -> Result<Bytes, Error> {
        fs::read(&file.path).map(Bytes::from).map_err(failed(&file.path))
    }

    /// Forgets a message that the bus has acknowledged.
    ///
    /// # Errors
    /// When the file cannot be removed; sending it again does no harm, since the bus knows its id.
    pub fn remove(&self, file: &SpoolFile) -> Result<(), Error> {
        fs::remove_file(&file.path).map_err(failed(&file.path))
    }

    /// Sets a message aside that the bus will never take, so that those behind it can go. It is kept.
    ///
    /// # Errors
    /// When the file cannot be renamed.
    pub fn set_aside(&self, file: &SpoolFile) -> Result<(), Error> {
        fs::rename(&file.path, file.path.with_extension(REFUSED)).map_err(failed(&file.path))
    }
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(failed(folder))?;
    entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>().map_err(failed(folder))
}

/// `<id>.<rows>.arrow`
fn parse(path: PathBuf) -> Option<SpoolFile> {
    let name = path.file_name()?.to_str()?.to_owned();
    let (id, rest) = name.split_once('.')?;
    let (rows, suffix) = rest.split_once('.')?;
    let (id, rows) = (Uuid::parse_str(id).ok()?, rows.parse().ok()?);
    (suffix == SUFFIX).then_some(SpoolFile { id, rows, path })
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.display().to_string();
    move |source| Error::Spool { path, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn messages_come_back_in_order_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let ids: Vec<_> = (0..4).map(|_| Uuid::now_v7()).collect();
        for id in ids.iter().rev() {
            spool.write(*id, 3, id.as_bytes()).unwrap();
        }
        fs::write(folder.path().join("half.tmp"), b"x").unwrap();
        let again = Spool::open(folder.path()).unwrap();
        let files = again.list().unwrap();
        assert_eq!(files.iter().map(|f| f.id).collect::<Vec<_>>(), ids);
        assert_eq!(again.read(&files[0]).unwrap(), ids[0].as_bytes().as_slice());
        assert!(!folder.path().join("half.tmp").exists());
    }

    #[test]
    fn what_is_removed_or_set_aside_is_not_sent_again() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        for _ in 0..2 {
            spool.write(Uuid::now_v7(), 1, b"x").unwrap();
        }
        let files = spool.list().unwrap();
        spool.remove(&files[0]).unwrap();
        spool.set_aside(&files[1]).unwrap();
        assert!(spool.list().unwrap().is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "kept for a person to look at");
    }
}
